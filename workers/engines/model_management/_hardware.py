"""What a machine has that decides which models run on it."""

from __future__ import annotations

import math
import platform
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

GIB = 1 << 30
QUERY = ("--query-gpu=name,memory.total", "--format=csv,noheader,nounits")
QUERY_S = 20.0
"""A driver that wakes up takes some seconds."""
APPLE_SHARE = 2 / 3
"""Of a Mac's memory its GPU may use about so much (Metal's recommendedMaxWorkingSetSize on small machines)."""


@dataclass(frozen=True)
class Hardware:
    """A machine; memory in GiB, rounded to how it is sold, room for models in GB of 1e9 bytes."""

    gpu: str | None
    vram_gb: float
    ram_gb: float
    disk_gb: float | None

    @property
    def facts(self) -> dict[str, Any]:
        return asdict(self)


def hardware(given: Mapping[str, Any] | None, models: Path) -> Hardware:
    """The machine described, or this one; ``models`` is a folder on the disk for models."""
    return Hardware(**given) if given is not None else here(models)


def here(models: Path) -> Hardware:
    """This machine. Nothing is imported that could take long: NVIDIA's own program is asked for the card."""
    import psutil

    ram = math.ceil(psutil.virtual_memory().total / GIB)  # the system keeps a part of the last one
    gpu, vram = _nvidia() or _apple(ram) or (None, 0.0)
    existing = next(each for each in (models, *models.parents) if each.is_dir())
    return Hardware(gpu, vram, ram, round(shutil.disk_usage(existing).free / 1e9, 1))


def _nvidia() -> tuple[str, float] | None:
    """(name, memory) of the largest NVIDIA card: an engine uses one."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, *QUERY],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=QUERY_S,
            check=True,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except (OSError, subprocess.SubprocessError):  # installed, and no card or no driver
        return None
    cards = [line.rpartition(",") for line in done.stdout.splitlines()]
    known = [(name.strip(), round(int(mib) / 1024)) for name, _, mib in cards if mib.strip().isdigit()]
    return max(known, key=lambda card: card[1], default=None)


def _apple(ram_gb: float) -> tuple[str, float] | None:
    if platform.system() != "Darwin" or platform.machine() != "arm64":
        return None
    return "Apple GPU (shares the main memory)", float(math.floor(ram_gb * APPLE_SHARE))
