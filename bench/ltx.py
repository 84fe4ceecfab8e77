"""Clips by LTX-Video: the worker against a plain diffusers script with the same tiny model, in turn.

A tiny model shows what we add, for its own work on a clip takes a second or two. Nothing here passes or fails.
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
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
WORKERS = ROOT / "workers"
sys.path[:0] = [str(ROOT), str(WORKERS), str(ROOT / "tests")]

COLD_STARTS, WARM_REQUESTS = 7, 11
NEEDED = ("torch", "transformers", "diffusers", "av")
os.environ["OMP_NUM_THREADS"] = "1"
"""For all processes started here: threads gain nothing on a tiny model, and those of two disturb each other."""
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
PROMPT = "A small boat sails over a calm sea at sunset, seen from the shore."
SIZE: dict[str, Any] = {"width": 384, "height": 256, "num_frames": 49, "num_inference_steps": 4}
SHORT: dict[str, Any] = {"width": 64, "height": 64, "num_frames": 9, "num_inference_steps": 2}
SAME = 1.0
"""Mean difference of brightness, in levels: two encodings of the same frames differ by less."""
PLAIN_SCRIPT = """\
import json, sys, time
import imageio_ffmpeg, numpy, torch
from diffusers import LTXPipeline
pipe = LTXPipeline.from_pretrained(sys.argv[1], dtype=torch.float32)
pipe.set_progress_bar_config(disable=True)

def clip(path, width, height, num_frames, num_inference_steps):
    frames = pipe(prompt=sys.argv[2], negative_prompt="", width=width, height=height, num_frames=num_frames,
                  frame_rate=24, num_inference_steps=num_inference_steps, decode_timestep=0.05,
                  decode_noise_scale=0.025, generator=torch.Generator().manual_seed(7)).frames[0]
    film = imageio_ffmpeg.write_frames(path, (width, height), fps=24, codec="libx264", quality=None,
                                       macro_block_size=2, output_params=[
                                           "-crf", "16", "-preset", "ultrafast", "-vf", "scale=out_color_matrix=bt709"])
    film.send(None)
    for frame in frames:
        film.send(numpy.array(frame))
    film.close()

if len(sys.argv) > 4:
    clip(sys.argv[3], **json.loads(sys.argv[4]))
else:
    for line in sys.stdin:
        began = time.perf_counter()
        clip(sys.argv[3], **json.loads(line))
        print(json.dumps({"seconds": time.perf_counter() - began}), flush=True)
"""


def main() -> None:
    """All three figures."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        print(f"\nltx: skipped: {', '.join(missing)} is not installed (the models extra has it)")
        return
    from diffusers.utils import logging as diffusers_logging
    from tiny_models import ltx
    from transformers.utils import logging

    logging.disable_progress_bar()
    diffusers_logging.disable_progress_bar()
    with tempfile.TemporaryDirectory(prefix="storygen-bench-") as name:
        folder = Path(name)
        ltx.first(folder / "model", timestep_conditioning=True)
        for part in (warm, cold, memory):
            print(f"\nltx, {part.__name__}: {part.__doc__}", flush=True)
            for line in part(folder):
                print(f"  {line}", flush=True)


def warm(folder: Path) -> Iterator[str]:
    """a clip of a serving worker, seen by its host, against the same clip in one process."""
    from orchestrator.worker import Worker

    plain = subprocess.Popen(
        _plain(folder), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=ENVIRONMENT
    )
    assert plain.stdin is not None
    assert plain.stdout is not None
    says, hears = plain.stdin, plain.stdout

    def by_itself() -> float:
        says.write(f"{json.dumps(SIZE)}\n".encode())
        says.flush()
        seconds: float = json.loads(hears.readline())["seconds"]
        return seconds

    with Worker("video_generation") as worker:

        def over_the_wire() -> float:
            return _seconds(lambda: worker.request(_request(folder, SIZE)))

        for _ in range(2):
            by_itself(), over_the_wire()
        theirs, ours = [], []
        for _ in range(WARM_REQUESTS):
            theirs.append(by_itself())
            ours.append(over_the_wire())
    says.close()
    plain.wait()
    apart = _apart(folder / "plain.mp4", folder / "ours_001.mp4")
    extra = statistics.median(mine - other for mine, other in zip(ours, theirs, strict=True))
    aim = 0.03 * statistics.median(theirs) + 0.02
    yield f"plain script   {_spread(theirs)}"
    yield f"worker         {_spread(ours)}, {'the same frames' if apart < SAME else f'OTHER FRAMES, {apart:.1f} apart'}"
    yield f"worker - plain {1000 * extra:+8.1f} ms  (aim ≤ {1000 * aim:.0f}: 3 % + 20 ms)"


def cold(folder: Path) -> Iterator[str]:
    """a whole process that makes a clip of nine frames, against the plain script."""
    plain, ours = [], []
    for _ in range(COLD_STARTS):
        plain.append(_seconds(lambda: _finished(_plain(folder, SHORT))))
        ours.append(_seconds(lambda: _finished(_worker(), _request(folder, SHORT))))
    yield f"plain script   {_spread(plain)}"
    yield f"worker         {_spread(ours)}"
    yield f"worker / plain {statistics.median(ours) / statistics.median(plain):8.2f}   (aim ≤ 0.85)"


def memory(folder: Path) -> Iterator[str]:
    """the most memory held by the process that makes the frames, MB."""
    for name, size in (("9 frames", SHORT), ("49 frames", SIZE)):
        plain, ours = _peak_mb(_plain(folder, size)), _peak_mb(_worker(), _request(folder, size))
        if plain is None or ours is None:
            yield "not known on this system"
            return
        yield f"{name}: plain script {plain:.0f}, worker {ours:.0f} ({ours - plain:+.0f})"


# Commands


def _plain(folder: Path, size: dict[str, Any] | None = None) -> list[str]:
    command = [sys.executable, "-c", PLAIN_SCRIPT, str(folder / "model"), PROMPT, str(folder / "plain.mp4")]
    return command if size is None else [*command, json.dumps(size)]


def _worker() -> list[str]:
    return [sys.executable, str(WORKERS / "video_generation.py"), "--input", "-"]


def _request(folder: Path, size: dict[str, Any]) -> dict[str, Any]:
    asked = {"prompt": PROMPT, "negative_prompt": "", "fps": 24, "seed": 7, **size}
    model = {"id": str(folder / "model")}
    where = {"output_dir": str(folder), "output_name": "ours"}
    return {"v": 1, "op": "generate", "engine": "ltx_video", "model": model, "input": asked, **where}


def _apart(one: Path, other: Path) -> float:
    """Mean difference of brightness of two clips' frames, in levels."""
    import av
    import numpy as np

    found = []
    for path in (one, other):
        with av.open(str(path)) as container:
            planes = [frame.to_ndarray(format="yuv420p")[: frame.height] for frame in container.decode(video=0)]
        found.append(np.stack(planes).astype(np.float32))
    return float(np.abs(found[0] - found[1]).mean())


def _finished(command: Sequence[str], request: dict[str, Any] | None = None) -> bytes:
    body = b"" if request is None else json.dumps(request).encode()
    return subprocess.run(command, input=body, capture_output=True, env=ENVIRONMENT, check=True).stdout


def _peak_mb(command: Sequence[str], request: dict[str, Any] | None = None) -> float | None:
    """Of the process itself: Linux counts a parent's peak for a child that it starts after it, such as FFmpeg."""
    if sys.platform == "win32":
        return None
    with tempfile.TemporaryFile() as body:
        body.write(b"" if request is None else json.dumps(request).encode())
        body.seek(0)
        nowhere = subprocess.DEVNULL
        process = subprocess.Popen(command, stdin=body, stdout=nowhere, stderr=nowhere, env=ENVIRONMENT)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def _seconds(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def _spread(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds):8.2f} s   ({min(seconds):.2f} to {max(seconds):.2f})"


if __name__ == "__main__":
    main()
