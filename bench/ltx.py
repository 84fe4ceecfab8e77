"""Clips by LTX-Video: the worker against a plain diffusers script with the same tiny model, in turn.

A tiny model shows what we add, for its own work on a clip takes a second or two. Nothing here passes or fails.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "workers"), str(ROOT / "tests")]

from bench.shared import measuring  # noqa: E402 - found only now

COLD_STARTS, WARM_REQUESTS = 7, 11
WORKER = measuring.worker("video_generation")
NEEDED = ("torch", "transformers", "diffusers", "av")
PROMPT = "A small boat sails over a calm sea at sunset, seen from the shore."
SIZE: dict[str, Any] = {"width": 384, "height": 256, "num_frames": 49, "num_inference_steps": 4}
SHORT: dict[str, Any] = {"width": 64, "height": 64, "num_frames": 9, "num_inference_steps": 2}
SECONDS, FPS, SIZES = (1.7, 5.04, 11.0), 30, ((1080, 1920), (1000, 562), (512, 512))
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
    """All four figures."""
    measuring.one_thread()
    measuring.measure("ltx", NEEDED, build, (warm, cold, memory, sizes))


def build(folder: Path) -> tuple[Path]:
    """The folder, with the model in it."""
    measuring.quiet("diffusers", "transformers")
    from tiny_models import ltx

    ltx.first(folder / "model", timestep_conditioning=True)
    return (folder,)


def warm(folder: Path) -> Iterator[str]:
    """a clip of a serving worker, seen by its host, against the same clip in one process."""
    from orchestrator.worker import Worker

    with measuring.Plain(_plain(folder)) as plain, Worker("video_generation") as worker:
        theirs, ours = measuring.in_turn(
            WARM_REQUESTS,
            lambda: float(plain(SIZE)["seconds"]),
            lambda: measuring.seconds(lambda: worker.request(_request(folder, SIZE))),
            first=2,
        )
    apart = _apart(folder / "plain.mp4", folder / "ours_001.mp4")
    same = "the same frames" if apart < SAME else f"OTHER FRAMES, {apart:.1f} apart"
    yield f"plain script   {measuring.spread(theirs)}"
    yield f"worker         {measuring.spread(ours)}, {same}"
    yield f"worker - plain {measuring.more(theirs, ours)}"


def cold(folder: Path) -> Iterator[str]:
    """a whole process that makes a clip of nine frames, against the plain script."""
    yield from measuring.whole_processes(COLD_STARTS, _plain(folder, SHORT), WORKER, _request(folder, SHORT))


def memory(folder: Path) -> Iterator[str]:
    """the most memory held by the process that makes the frames, MB."""
    for name, size in (("9 frames", SHORT), ("49 frames", SIZE)):
        yield f"{name:10} {measuring.peaks(_plain(folder, size), WORKER, _request(folder, size))}"


def sizes(folder: Path) -> Iterator[str]:
    """clips of odd lengths and sizes, as they are asked for and as their files are found, decoded frame by frame."""
    from orchestrator.worker import Worker

    with Worker("video_generation") as worker:
        for length_s in SECONDS:
            for width, height in SIZES:
                size = {"width": width, "height": height, "num_frames": round(length_s * FPS), "fps": FPS}
                began = time.perf_counter()
                answer = worker.request(_request(folder, {**size, "num_inference_steps": 2}))
                yield f"{length_s:5.2f} s at {_told(size, answer)}; {time.perf_counter() - began:.1f} s"


# Commands


def _plain(folder: Path, size: dict[str, Any] | None = None) -> list[str]:
    command = [sys.executable, "-c", PLAIN_SCRIPT, str(folder / "model"), PROMPT, str(folder / "plain.mp4")]
    return command if size is None else [*command, json.dumps(size)]


def _request(folder: Path, size: dict[str, Any]) -> dict[str, Any]:
    asked = {"prompt": PROMPT, "negative_prompt": "", "fps": 24, "seed": 7, **size}
    model = {"id": str(folder / "model")}
    where = {"output_dir": str(folder), "output_name": "ours"}
    return {"v": 1, "op": "generate", "engine": "ltx_video", "model": model, "input": asked, **where}


def _told(size: dict[str, Any], answer: dict[str, Any]) -> str:
    """What was asked, what the file holds, and what was said of it."""
    import av

    with av.open(answer["output"]["video"]["path"]) as container:
        stream = container.streams.video[0]
        found = {"width": stream.width, "height": stream.height, "fps": stream.average_rate}
        found["num_frames"] = sum(1 for _ in container.decode(stream))
    model = answer["model"]
    decoded = f"{model['frames_decoded_at_once']} frames decoded at once{', in tiles' if model['vae_tiling'] else ''}"
    codes = ", ".join(warning["code"] for warning in answer["warnings"])
    return (
        f"{size['width']}×{size['height']}: {found['num_frames']} frames of {found['width']}×{found['height']}, "
        f"{'as asked' if found == size else f'NOT AS ASKED, {size}'}; {codes}; {decoded}"
    )


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


if __name__ == "__main__":
    main()
