"""Pictures by Stable Diffusion XL: the worker against the script one writes by hand, with the same tiny model, in turn.

A tiny model shows what we add, for its own work on a picture takes a twentieth of a second; a real one takes seconds.
Both make the same pictures of 4 steps, of 1 and of 16 prompts. Nothing here passes or fails.
"""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
WORKERS = ROOT / "workers"
sys.path[:0] = [str(ROOT), str(WORKERS), str(ROOT / "tests")]

COLD_STARTS, WARM_REQUESTS = 5, 9
COUNTS = (1, 16)
NEEDED = ("torch", "diffusers", "transformers")
os.environ["OMP_NUM_THREADS"] = "1"
"""For all processes started here: threads gain nothing on a tiny model, and those of two disturb each other."""
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
PLAIN_SCRIPT = """\
import json, os, sys, time
import torch
from diffusers import StableDiffusionXLPipeline
pipeline = StableDiffusionXLPipeline.from_pretrained(sys.argv[1], dtype=torch.float32)
pipeline.set_progress_bar_config(disable=True)

def draw(count):
    for number in range(count):
        image = pipeline(f"a crow beside pitcher {number}", width=64, height=64, num_inference_steps=4,
                         guidance_scale=7.5, generator=torch.Generator("cpu").manual_seed(7)).images[0]
        image.save(os.path.join(sys.argv[2], f"plain_{number + 1:03}.png"))

if len(sys.argv) > 3:
    draw(int(sys.argv[3]))
    try:
        import resource
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
    except ImportError:
        peak = None
    print(json.dumps({"peak_rss_mb": peak}))
else:
    for line in sys.stdin:
        began = time.perf_counter()
        draw(int(line))
        print(json.dumps({"seconds": time.perf_counter() - began}), flush=True)
"""


def main() -> None:
    """All three figures."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        print(f"\nsdxl: skipped: {', '.join(missing)} is not installed (the models extra has it)")
        return
    from diffusers.utils import logging
    from tiny_models import sdxl
    from transformers.utils import logging as text_logging

    for each in (logging, text_logging):
        each.set_verbosity_error()
        each.disable_progress_bar()
    with tempfile.TemporaryDirectory(prefix="storygen-bench-") as name:
        folder = Path(name)
        sdxl.base(folder / "model")
        for part in (warm, cold, memory):
            print(f"\nsdxl, {part.__name__}: {part.__doc__}", flush=True)
            for line in part(folder):
                print(f"  {line}", flush=True)


def warm(folder: Path) -> Iterator[str]:
    """pictures of a serving worker, seen by its host, against a loop in one process that has loaded its pipeline."""
    from orchestrator.worker import Worker

    plain = subprocess.Popen(
        _plain(folder), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=ENVIRONMENT
    )
    assert plain.stdin is not None
    assert plain.stdout is not None
    says, hears = plain.stdin, plain.stdout

    def by_itself(count: int) -> float:
        says.write(f"{count}\n".encode())
        says.flush()
        return float(json.loads(hears.readline())["seconds"])

    with Worker("image_generation") as worker:

        def over_the_wire(count: int) -> float:
            return _seconds(partial(worker.request, _request(folder, count)))

        for count in COUNTS:
            for _ in range(2):
                by_itself(count), over_the_wire(count)
            pairs = [(by_itself(count), over_the_wire(count)) for _ in range(WARM_REQUESTS)]
            theirs, ours = (1000 * statistics.median(side) / count for side in zip(*pairs, strict=True))
            extra = 1000 * statistics.median(our - their for their, our in pairs) / count
            yield (
                f"{count:2d} prompts   plain script {theirs:6.1f} ms a picture   worker {ours:6.1f}   {extra:+5.1f} "
                f"(aim ≤ {0.03 * theirs + 20:.1f}: 3 % + 20 ms), {_same(folder, count)}"
            )
    says.close()
    plain.wait()


def cold(folder: Path) -> Iterator[str]:
    """a whole process, against the plain script."""
    for count in COUNTS:
        plain, ours = [], []
        for _ in range(COLD_STARTS):
            plain.append(_seconds(partial(_finished, _plain(folder, count))))
            ours.append(_seconds(partial(_finished, _worker(), _request(folder, count))))
        ratio = statistics.median(ours) / statistics.median(plain)
        yield f"{count:2d} prompts   plain script {_spread(plain)}   worker {_spread(ours)}   {ratio:.2f} (aim ≤ 0.85)"


def memory(folder: Path) -> Iterator[str]:
    """the most memory held, MB."""
    for count in COUNTS:
        plain = json.loads(_finished(_plain(folder, count)))["peak_rss_mb"]
        ours = json.loads(_finished(_worker(), _request(folder, count)))["metrics"]["peak_rss_mb"]
        if plain is None or ours is None:
            yield "not known on this system"
            return
        yield f"{count:2d} prompts   plain script {plain:.0f}, worker {ours:.0f} ({ours - plain:+.0f})"


# Commands


def _plain(folder: Path, count: int | None = None) -> list[str]:
    more = [] if count is None else [str(count)]
    return [sys.executable, "-W", "ignore", "-c", PLAIN_SCRIPT, str(folder / "model"), str(folder), *more]


def _worker() -> list[str]:
    return [sys.executable, str(WORKERS / "image_generation.py"), "--input", "-"]


def _request(folder: Path, count: int) -> dict[str, Any]:
    asked = {
        "prompts": [f"a crow beside pitcher {number}" for number in range(count)],
        "width": 64,
        "height": 64,
        "num_inference_steps": 4,
        "seed": 7,
    }
    where = {"output_dir": str(folder), "output_name": "ours"}
    return {"v": 1, "op": "generate", "engine": "sdxl", "model": {"id": str(folder / "model")}, "input": asked, **where}


def _same(folder: Path, count: int) -> str:
    """Whether the last pictures of both are the same."""
    from PIL import Image

    names = [f"{number + 1:03}.png" for number in range(count)]
    pairs = [(Image.open(folder / f"plain_{name}"), Image.open(folder / f"ours_{name}")) for name in names]
    return "the same pictures" if all(one.tobytes() == other.tobytes() for one, other in pairs) else "OTHER PICTURES"


def _finished(command: Sequence[str], request: dict[str, Any] | None = None) -> bytes:
    body = b"" if request is None else json.dumps(request).encode()
    return subprocess.run(command, input=body, capture_output=True, env=ENVIRONMENT, check=True).stdout


def _seconds(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def _spread(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds):5.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"


if __name__ == "__main__":
    main()
