"""What a run costs beside the work itself: nothing to do, one sentence changed, the pool's share of a request."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
WORKERS = ROOT / "workers"
sys.path[:0] = [str(ROOT), str(WORKERS)]

TIMES, REQUESTS = 5, 400
STORY = ROOT / "examples" / "crow.md"
CHANGE = ("an empty farm", "a quiet farm")
SMALL = ("--set", "film.width=270", "--set", "film.height=480")
NOTHING_AIM_S, POOL_AIM_MS = 0.5, 2.0


def run(story: Path, folder: Path) -> float:
    """Seconds that ``storygen run`` takes, process start included."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "orchestrator", "run", str(story), "--out", str(folder), *SMALL]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - began


def taken(folder: Path) -> list[str]:
    """The items that workers took in the last run."""
    events = [json.loads(line) for line in (folder / "events.ndjson").read_text(encoding="utf-8").splitlines()]
    last = max(number for number, event in enumerate(events) if event["type"] == "run_started")
    return [f"{event['stage']}/{event['item']}" for event in events[last:] if event["type"] == "accepted"]


def reuse(folder: Path) -> None:
    """A whole run, the same with nothing to do, and one with a changed sentence."""
    whole = run(STORY, folder / "run")
    items = len(taken(folder / "run"))
    nothing = statistics.median(run(STORY, folder / "run") for _ in range(TIMES))
    changed = folder / STORY.name
    changed.write_text(STORY.read_text(encoding="utf-8").replace(*CHANGE), encoding="utf-8")
    after = run(changed, folder / "run")
    redone = taken(folder / "run")
    shots = len(json.loads((folder / "run" / "manifest.json").read_text(encoding="utf-8"))["shots"])
    print(f"reuse  {STORY.name}, {shots} shots at 270×480: whole run {whole:.1f} s for {items} items of workers")
    print(f"       nothing to do: {nothing:.2f} s (aim {NOTHING_AIM_S} s), {nothing / whole:.3f} of the whole")
    print(f"       one sentence changed: {after:.1f} s, {after / whole:.2f} of the whole, {len(redone)} items:")
    print(f"       {' '.join(redone)}")


def pool(folder: Path) -> None:
    """A no-op by the pool's warm worker, beside the same engine called in a loop in this process."""
    from engines.text_generation.scripted import Engine as Scripted
    from orchestrator.pool import Pool
    from runtime.context import Context

    answers = folder / "answers.jsonl"
    answers.write_text('{"output": {"text": "ok"}}\n', encoding="utf-8")
    options = {"answers": str(answers)}
    request: dict[str, Any] = {
        "v": 1,
        "op": "generate",
        "engine": "scripted",
        "input": {"prompt": "hello"},
        "engine_options": options,
    }
    context = Context(output_dir=folder, output_name="x", engine_options=options)
    engine = Scripted()
    engine.load({}, {}, context)
    direct, through = [], []
    with Pool() as workers:
        workers.request("text_generation", request)
        for _ in range(REQUESTS):
            began = time.perf_counter()
            engine.run("generate", request["input"], context)
            middle = time.perf_counter()
            workers.request("text_generation", request)
            direct.append(1000 * (middle - began))
            through.append(1000 * (time.perf_counter() - middle))
    extra = [after - before for before, after in zip(direct, through, strict=True)]
    p95 = statistics.quantiles(extra, n=20)[18]
    print(f"pool   beside the engine called in a loop in one process, {REQUESTS} requests:")
    print(f"       +{statistics.median(extra):.2f} ms median, +{p95:.2f} ms p95 (aim {POOL_AIM_MS} ms)")


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        pool(Path(name))
        reuse(Path(name))
    return 0


if __name__ == "__main__":
    sys.exit(main())
