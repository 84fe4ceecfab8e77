"""What a model takes of this machine's memory, and what is free: whether it has room beside those that are loaded."""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.needs import named_in, table

GB, MB, MIB = 1e9, 1e6, float(1 << 20)
SPARE = 0.1
"""Of the main memory, for all else that the machine does while models are loaded."""
WEIGHTS = (".safetensors", ".bin")
UNPACKED = 2
"""Bytes held for a byte of weights: half precision becomes float32 on a processor; a graphics card works with them."""
LIBRARIES = 1.5 * GB
"""Of a worker without any weights: torch and its kin, one request's own work."""
UNKNOWN = float("inf")
LISTING_S = 20.0
CONTAINER = Path("/sys/fs/cgroup")
"""Where Linux tells a process of the limits of its container (cgroup v2)."""
FREE_OF_CARDS = ("--query-gpu=memory.free", "--format=csv,noheader,nounits")


@dataclass(frozen=True)
class Memory:
    """Bytes of a graphics card's memory and of the main one. A Mac's GPU has no memory of its own."""

    card: float
    main: float

    def fits(self, free: Memory) -> bool:
        """Whether so much is free."""
        return self.card <= free.card and self.main <= free.main

    def or_more(self, other: Memory) -> Memory:
        """The larger of each."""
        return Memory(max(self.card, other.card), max(self.main, other.main))


def free(*, card: bool = True) -> Memory:
    """What models may take now; of several NVIDIA cards the fullest counts, for one is used and it may be that.

    Without ``card`` NVIDIA's program, which takes a moment, is not asked.
    """
    import psutil

    state = psutil.virtual_memory()
    return Memory(
        min(_cards(), default=0.0) if card else 0.0, min(state.available - SPARE * state.total, _of_container())
    )


def _of_container() -> float:
    """Bytes that this process's container may still take but for a part; infinite where nothing limits it."""
    try:
        most, taken = (int((CONTAINER / name).read_text()) for name in ("memory.max", "memory.current"))
        kept = [line.split() for line in (CONTAINER / "memory.stat").read_text().splitlines()]
    except (OSError, ValueError):  # other systems, or the word "max"
        return UNKNOWN
    given_up = sum(int(number) for name, number in kept if name in {"active_file", "inactive_file"})  # at need
    return (1 - SPARE) * most - taken + given_up


def held(process: int) -> float:
    """Bytes of main memory that a process holds now; 0 for one that has ended."""
    import psutil

    try:
        return float(psutil.Process(process).memory_info().rss)
    except psutil.Error:
        return 0.0


def estimate(known: Mapping[str, Any], request: Mapping[str, Any]) -> Memory:
    """What a request's worker is going to hold with its models loaded, by the table of models or the size of its files.

    ``known`` are the models that the engine's worker tells of; without ``model.id`` it takes the first of them. A model
    that neither the table nor a folder tells the size of is taken to be like that one.
    """
    model, options = request.get("model") or {}, request.get("options") or {}
    name = model.get("id") or ""
    if _row(name) is None and name and Path(name).is_dir():
        return _of_files(Path(name), options)
    named = [_row(name) or _row(next(iter(known), "")), *map(_row, named_in(request["input"]))]
    needs = [_of_row(row, model, options) for row in named if row is not None]
    return max(needs, key=lambda need: (need.card, need.main), default=Memory(UNKNOWN, UNKNOWN))


def _row(name: str) -> Mapping[str, Any] | None:
    """The row of a model by id, alias, or the name of its folder."""
    return next((row for row in table() if name and Path(name).name in (Path(row["id"]).name, row["alias"])), None)


def _of_row(row: Mapping[str, Any], model: Mapping[str, Any], options: Mapping[str, Any]) -> Memory:
    by_offload, by_quantization = row["offload_vram_gb"], row["vram_gb"]
    takes: float = by_quantization.get(model.get("quantization") or "none", max(by_quantization.values()))
    if not _on_card(options):
        main = takes + LIBRARIES / GB if _is_mac() and options.get("device") != "cpu" else row["cpu_ram_gb"]
        return Memory(0.0, UNKNOWN if main is None else main * GB)
    return Memory(by_offload.get(options.get("offload"), takes) * GB, row["ram_gb"] * GB)


def _of_files(folder: Path, options: Mapping[str, Any]) -> Memory:
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.suffix in WEIGHTS and file.is_file())
    takes = UNPACKED * size + LIBRARIES
    return Memory(takes, takes) if _on_card(options) else Memory(0.0, takes)


def _on_card(options: Mapping[str, Any]) -> bool:
    device: str = options.get("device") or "auto"
    return device.startswith("cuda") or (device == "auto" and bool(list(_cards())))


def _is_mac() -> bool:
    return platform.system() == "Darwin" and platform.machine() == "arm64"


def _cards() -> Iterator[float]:
    """Free bytes of every NVIDIA card, as NVIDIA's own program says; none where it cannot be asked."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return
    try:
        done = subprocess.run(
            [program, *FREE_OF_CARDS],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LISTING_S,
            check=True,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except (OSError, subprocess.SubprocessError):  # installed, and no card or no driver
        return
    yield from (int(line) * MIB for line in done.stdout.split() if line.isdigit())
