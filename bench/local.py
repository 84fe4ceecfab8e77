"""The local profile end to end, a tiny model in every place: time per stage, peak memory per engine, loads of models;
then ten stories in a batch against ten runs.

Tiny models show what starting, loading and taking turns costs: their own work is next to nothing. With real ones a load
takes longer and so does the work. Nothing here passes or fails.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "workers"), str(ROOT / "tests")]

STORIES = 10
IDEA = "A light at sea."
NEEDED = ("torch", "transformers", "diffusers", "faster_whisper")
os.environ["OMP_NUM_THREADS"] = "1"
"""For all processes started here: threads gain nothing on a tiny model, and those of two disturb each other."""


def main() -> None:
    """All figures."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        print(f"\nlocal: skipped: {', '.join(missing)} is not installed (the models extra has it)")
        return
    import local_run

    with tempfile.TemporaryDirectory(prefix="storygen-bench-") as name:
        folder = Path(name)
        subprocess.run([sys.executable, local_run.__file__, str(folder / "models")], check=True, capture_output=True)
        options = local_run.options(folder / "models")
        for part in (one, ten):
            print(f"\nlocal, {part.__name__}: {part.__doc__}", flush=True)
            for line in part(folder, options):
                print(f"  {line}", flush=True)


def one(folder: Path, options: list[str]) -> Iterator[str]:
    """a run from an idea to its film."""
    import local_run

    seconds = _storygen("run", "--idea", IDEA, "--out", str(folder / "one"), *options)
    manifest = json.loads((folder / "one" / "manifest.json").read_text(encoding="utf-8"))
    yield f"{seconds:.1f} s for {manifest['facts']['duration_s']:.1f} s of film, {len(manifest['shots'])} shots"
    yield "stages: " + ", ".join(f"{name} {stage['seconds']:.1f} s" for name, stage in manifest["stages"].items())
    yield "peak memory: " + ", ".join(f"{engine} {peak:.0f} MB" for engine, peak in _peaks(manifest).items())
    yield f"loads, in order: {' '.join(local_run.loads(folder / 'one'))}"


def ten(folder: Path, options: list[str]) -> Iterator[str]:
    """as many stories in a batch, against a run for each."""
    import local_run

    ideas = [f"{IDEA} It is night number {number}." for number in range(1, STORIES + 1)]
    apart = [folder / "apart" / str(number) for number in range(len(ideas))]
    alone = sum(
        _storygen("run", "--idea", idea, "--out", str(out), *options) for idea, out in zip(ideas, apart, strict=True)
    )
    together = [folder / "batch" / str(number) for number in range(len(ideas))]
    lines = [json.dumps({"idea": idea, "out": out.name}) for idea, out in zip(ideas, together, strict=True)]
    (folder / "ideas.jsonl").write_text("\n".join(lines), encoding="utf-8")
    batch = _storygen("batch", str(folder / "ideas.jsonl"), "--out", str(folder / "batch"), *options)
    by_run = Counter(name for out in apart for name in local_run.loads(out))
    by_batch = Counter(local_run.loads(*together))
    yield f"{STORIES} runs    {alone:7.1f} s, {by_run.total():3} loads: {_counted(by_run)}"
    yield f"one batch  {batch:7.1f} s, {by_batch.total():3} loads: {_counted(by_batch)}"
    yield f"batch / runs {batch / alone:.2f} of the time, {by_batch.total() / by_run.total():.2f} of the loads"


def _storygen(*arguments: str) -> float:
    """Seconds that a command takes, process start included."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "orchestrator", *arguments], cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - began


def _peaks(manifest: dict[str, Any]) -> dict[str, float]:
    """The most memory that the workers of an engine held in a stage, in MB; all stages that think are one."""
    from orchestrator.profile import TEXT_STAGES

    peaks: dict[str, float] = {}
    for item in manifest["items"]:
        if peak := item["metrics"].get("peak_rss_mb"):
            name = f"{item['engine']} ({'text' if item['stage'] in TEXT_STAGES else item['stage']})"
            peaks[name] = max(peak, peaks.get(name, 0.0))
    return peaks


def _counted(loads: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(loads.items()))


if __name__ == "__main__":
    main()
