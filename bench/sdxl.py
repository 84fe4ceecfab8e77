"""Pictures by Stable Diffusion XL: the worker against the script one writes by hand, with the same tiny model, in turn.

A tiny model shows what we add, for its own work on a picture takes a twentieth of a second; a real one takes seconds.
Both make the same pictures of 4 steps, of 1 and of 16 prompts. Nothing here passes or fails.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "workers"), str(ROOT / "tests")]

from bench.shared import measuring  # noqa: E402 - found only now

COLD_STARTS, WARM_REQUESTS = 5, 9
COUNTS = (1, 16)
WORKER = measuring.worker("image_generation")
NEEDED = ("torch", "diffusers", "transformers")
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
else:
    for line in sys.stdin:
        began = time.perf_counter()
        draw(int(line))
        print(json.dumps({"seconds": time.perf_counter() - began}), flush=True)
"""


def main() -> None:
    """All three figures."""
    measuring.one_thread()
    measuring.measure("sdxl", NEEDED, build, (warm, cold, memory))


def build(folder: Path) -> tuple[Path]:
    """The folder, with the model in it."""
    measuring.quiet("diffusers", "transformers")
    from tiny_models import sdxl

    sdxl.base(folder / "model")
    return (folder,)


def warm(folder: Path) -> Iterator[str]:
    """pictures of a serving worker, seen by its host, against a loop in one process that has loaded its pipeline."""
    from orchestrator.worker import Worker

    with measuring.Plain(_plain(folder)) as plain, Worker("image_generation") as worker:

        def by_itself(count: int) -> float:
            return float(plain(count)["seconds"])

        def over_the_wire(count: int) -> float:
            return measuring.seconds(partial(worker.request, _request(folder, count)))

        for count in COUNTS:
            both = partial(by_itself, count), partial(over_the_wire, count)
            theirs, ours = measuring.in_turn(WARM_REQUESTS, *both, first=2)
            each = [1000 * statistics.median(side) / count for side in (theirs, ours)]
            yield (
                f"{count:2d} prompts   plain script {each[0]:6.1f} ms a picture   worker {each[1]:6.1f}   "
                f"{measuring.more(theirs, ours, count)}, {_same(folder, count)}"
            )


def cold(folder: Path) -> Iterator[str]:
    """a whole process, against the plain script."""
    for count in COUNTS:
        request = _request(folder, count)
        for line in measuring.whole_processes(COLD_STARTS, _plain(folder, count), WORKER, request):
            yield f"{count:2d} prompts   {line}"


def memory(folder: Path) -> Iterator[str]:
    """the most memory held, MB."""
    for count in COUNTS:
        yield f"{count:2d} prompts   {measuring.peaks(_plain(folder, count), WORKER, _request(folder, count))}"


# Commands


def _plain(folder: Path, count: int | None = None) -> list[str]:
    more = [] if count is None else [str(count)]
    return [sys.executable, "-W", "ignore", "-c", PLAIN_SCRIPT, str(folder / "model"), str(folder), *more]


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


if __name__ == "__main__":
    main()
