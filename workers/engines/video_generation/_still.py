"""A still cut to a clip's shape, and frames drawn from parts of it.

FFmpeg's zoompan rounds its window to whole pixels and shakes by more than one. Pillow resizes from a window given in
floats, so each of the Y, U and V planes is cut that way for every frame.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.context import Context

if TYPE_CHECKING:
    from PIL.Image import Image

    from engines.video_generation._camera import Motion, Part

THREADS = max(2, min(4, (os.cpu_count() or 1) // 2))  # the encoder needs the other cores
AHEAD = THREADS + 1  # frames drawn before they are asked for: memory does not grow with the clip
SHAPE = 10_000  # a shape is told in whole numbers; finer than any picture

Draw = Callable[[], bytes]
"""Draws one frame: the bytes of Y, U and V (yuv420p)."""


class Still:
    """The planes of a picture as large as the closest view of a clip of ``width`` × ``height`` needs to be sharp."""

    def __init__(self, picture: Image, width: int, height: int) -> None:
        import numpy as np
        from PIL import Image as pillow

        from media.color import yuv420_planes

        self.width, self.height = picture.size
        self.clip_width, self.clip_height = width, height
        y, u, v = yuv420_planes(np.asarray(picture))
        # Chroma may be read from a little beside its edges, but not where the whole width is always seen. A plane read
        # in its whole width or height is resized in the other direction only: pans cost half.
        self.margin = 0 if self.width == width else 1
        beside = ((0, 0), (self.margin, self.margin))
        self.luma = pillow.fromarray(y)
        self.chroma = [pillow.fromarray(np.pad(plane, beside, mode="edge")) for plane in (u, v)]

    def frame(self, part: Part) -> bytes:
        """The part at the clip's size, as yuv420p: the bytes of Y, U and V."""
        from PIL.Image import Resampling

        from media.color import left_sited_box

        left, top, right, bottom = part
        width, height = self.clip_width, self.clip_height
        box = (left * self.width, top * self.height, right * self.width, bottom * self.height)
        across, up, along, down = left_sited_box(box, scale=(box[2] - box[0]) / width)
        chroma_box = (across + self.margin, up, along + self.margin, down)
        half = (width // 2, height // 2)
        planes = [self.luma.resize((width, height), Resampling.BICUBIC, box=box)]
        planes += [plane.resize(half, Resampling.BICUBIC, box=chroma_box) for plane in self.chroma]
        return b"".join(plane.tobytes() for plane in planes)


def load_still(path: Path, motion: Motion, width: int, height: int, context: Context) -> Still:
    """The picture's centre, in the shape that the move needs: a pan takes its room from what the clip would cut off.

    Raises WorkerError ``input_not_found`` or ``input_unreadable``; a small picture is warned of.
    """
    from media.pictures import SHARP_UPSCALE, cover_crop, open_picture, upscale_factor

    picture = open_picture(path)
    wide, high = motion.extent
    size = _even(width * wide), _even(height * high)
    factor = upscale_factor(picture.size, *size)
    if factor > SHARP_UPSCALE:
        context.warn(
            "low_resolution",
            f"{path} has {picture.width}×{picture.height} pixels and is enlarged {factor:.1f} times for a clip of "
            f"{width}×{height}; {size[0]}×{size[1]} would be sharp.",
        )
    shape = round(width * wide * SHAPE), round(height * high * SHAPE)
    return Still(cover_crop(picture, *shape, size=size), width, height)


def moves(still: Still, motion: Motion, num_frames: int) -> Iterator[Draw]:
    """What draws each frame of a move over the still."""
    from engines.video_generation._camera import part_at

    if motion.zoom == 1:
        frame = still.frame((0.0, 0.0, 1.0, 1.0))
        for _ in range(num_frames):
            yield lambda: frame
    else:
        for number in range(num_frames):
            yield partial(still.frame, part_at(motion, number, num_frames))


def drawn(frames: Iterable[Draw]) -> Generator[bytes, None, None]:
    """The frames in order, drawn by THREADS threads a few ahead of the encoder."""
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="ken_burns")
    waiting: deque[Future[bytes]] = deque()
    try:
        for draw in frames:
            waiting.append(pool.submit(draw))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:  # also when the caller stops asking, because the request was cancelled
        pool.shutdown(wait=True, cancel_futures=True)


def _even(pixels: float) -> int:
    """The even number at or above; sizes that are whole but for rounding stay."""
    return 2 * math.ceil(round(pixels, 6) / 2)
