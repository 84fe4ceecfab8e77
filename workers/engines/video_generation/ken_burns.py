"""Camera moves over a still, without a model: steady to a fifth of a pixel, eased at both ends.

FFmpeg's zoompan rounds its window to whole pixels and shakes by more than one. Pillow resizes from a window given in
floats, so each of the Y, U and V planes is cut that way for every frame and one FFmpeg encodes what comes.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.context import Context

if TYPE_CHECKING:
    from PIL.Image import Image

    from engines.video_generation._camera import Motion, Part

THREADS = max(1, min(2, os.cpu_count() or 1))  # more only take the encoder's cores
AHEAD = THREADS + 1  # frames drawn before they are asked for: memory does not grow with the clip


class Engine:
    """``animate``: a keyframe becomes a clip of exactly the size, frame rate and number of frames asked."""

    version = "1"
    requires: tuple[str, ...] = ("PIL", "numpy", "ffmpeg", "imageio_ffmpeg")
    key_env: str | None = None
    remote = False
    ops: tuple[str, ...] = ("animate",)
    # A seed is accepted because it is kept: nothing is random, so the same request gives the same clip.
    capabilities = frozenset({"image_to_video", "motion", "any_size", "seed"})
    models: Mapping[str, Mapping[str, Any]] = {}
    options_schema: Mapping[str, Any] = {
        "type": "object",
        "properties": {
            "crf": {
                "type": "number",
                "minimum": 0,
                "maximum": 51,
                "default": 16,
                "description": "x264's constant rate factor: lower is better and larger.",
            },
            "preset": {
                "enum": ["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower"],
                "default": "ultrafast",
                "description": "x264's speed against size; ultrafast keeps most texture, so moves stay steadiest.",
            },
        },
        "additionalProperties": False,
    }

    def load(self, model: Mapping[str, Any], options: Mapping[str, Any], context: Context) -> None:
        """Nothing to load."""

    def run(self, op: str, input: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
        """Animate a keyframe.

        Raises WorkerError ``input_not_found`` or ``input_unreadable`` for the keyframe, ``output_failed`` for the clip.
        """
        from engines.video_generation._camera import choose
        from media.ffmpeg import encode_frames

        motion = choose(input["motion"], input["motion_hint"])
        if motion.chosen_by == "default" and input["motion_hint"]:
            context.warn(
                "motion_hint_unknown", f"No camera move was found in {input['motion_hint']!r}; it is a gentle zoom in."
            )
        width, height, fps, num_frames = (int(input[name]) for name in ("width", "height", "fps", "num_frames"))
        still = _still(Path(input["image"]), motion, width, height, context)
        clip = context.temporary("mp4")
        encode_frames(
            _frames(still, motion, num_frames, width, height),
            width=width,
            height=height,
            fps=fps,
            output=clip,
            crf=context.engine_options["crf"],
            preset=context.engine_options["preset"],
            context=context,
            total=num_frames,
        )
        facts = {"fps": fps, "width": width, "height": height, "num_frames": num_frames, "duration_s": num_frames / fps}
        return {"video": context.publish(clip, "video/mp4", **facts, seed=input["seed"]), "motion": motion.as_json()}

    def unload(self) -> None:
        """Nothing to give back."""


def _still(path: Path, motion: Motion, width: int, height: int, context: Context) -> _Still:
    """The keyframe cropped to the clip's shape, as large as the closest view needs to be sharp, as planes."""
    from media.pictures import SHARP_UPSCALE, cover_crop, open_picture, upscale_factor

    context.progress("prepare", 0, 1, "picture")
    picture = open_picture(path)
    factor = upscale_factor(picture.size, width, height) * motion.zoom
    if factor > SHARP_UPSCALE:
        context.warn(
            "low_resolution",
            f"{path} has {picture.width}×{picture.height} pixels and is enlarged {factor:.1f} times for a clip of "
            f"{width}×{height}; {math.ceil(width * motion.zoom)}×{math.ceil(height * motion.zoom)} would be sharp.",
        )
    size = _even(width * motion.zoom), _even(height * motion.zoom)
    still = _Still(cover_crop(picture, width, height, size=size))
    context.progress("prepare", 1, 1, "picture")
    return still


class _Still:
    """The planes of a picture; ``frame`` resizes a part of them. Chroma has a column more on either side."""

    def __init__(self, picture: Image) -> None:
        import numpy as np
        from PIL import Image as pillow

        from media.color import yuv420_planes

        self.width, self.height = picture.size
        y, u, v = yuv420_planes(np.asarray(picture))
        self.luma = pillow.fromarray(y)
        self.chroma = [pillow.fromarray(np.pad(plane, ((0, 0), (1, 1)), mode="edge")) for plane in (u, v)]

    def frame(self, part: Part, width: int, height: int) -> bytes:
        """The part at the size asked, as yuv420p: the bytes of Y, U and V."""
        from PIL.Image import Resampling

        from media.color import left_sited_box

        left, top, right, bottom = part
        box = (left * self.width, top * self.height, right * self.width, bottom * self.height)
        across, up, along, down = left_sited_box(box, scale=(box[2] - box[0]) / width)
        padded = (across + 1, up, along + 1, down)
        half = (width // 2, height // 2)
        planes = [self.luma.resize((width, height), Resampling.BICUBIC, box=box)]
        planes += [plane.resize(half, Resampling.BICUBIC, box=padded) for plane in self.chroma]
        return b"".join(plane.tobytes() for plane in planes)


def _frames(still: _Still, motion: Motion, num_frames: int, width: int, height: int) -> Generator[bytes, None, None]:
    """The frames in order, drawn by THREADS threads a few ahead of the encoder."""
    from engines.video_generation._camera import part_at

    if motion.zoom == 1:
        frame = still.frame((0.0, 0.0, 1.0, 1.0), width, height)
        yield from (frame for _ in range(num_frames))
        return
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="ken_burns")
    waiting: deque[Future[bytes]] = deque()
    try:
        for number in range(num_frames):
            waiting.append(pool.submit(still.frame, part_at(motion, number, num_frames), width, height))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:  # also when the caller stops asking, because the request was cancelled
        pool.shutdown(wait=True, cancel_futures=True)


def _even(pixels: float) -> int:
    """The even number at or above; sizes that are whole but for rounding stay."""
    return 2 * math.ceil(round(pixels, 6) / 2)
