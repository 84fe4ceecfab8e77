"""Frames of a film as it is seen: upright, square pixels, BT.709, at exactly the size asked for."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from media.source import BT709, LIMITED, UNSPECIFIED, quarter_turns, turned_yuv420
from media.tracks import Picture

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

FULL = 2
"""The colour range 0 to 255, as FFmpeg numbers it."""
SMALLEST = 16


def fitted(frame: Any, picture: Picture, width: int, height: int, fit: str = "contain") -> np.ndarray:
    """A frame of ``picture`` upright as limited-range BT.709 yuv420p, shape (height·3/2, width), both even.

    ``fit``: contain (all of it, black around), cover (cut to fill) or stretch.
    """
    import numpy as np

    turns = quarter_turns(frame)
    across, down = (height, width) if turns % 2 else (width, height)
    wide, high = scaled((frame.width * picture.pixel_aspect, frame.height), across, down, fit)
    space = frame.colorspace if frame.colorspace != UNSPECIFIED else BT709
    span = frame.color_range or LIMITED
    plain = frame.format.name == "yuv420p" and (space, span) == (BT709, LIMITED)
    if not plain or (frame.width, frame.height) != (wide, high):
        frame = frame.reformat(
            width=wide,
            height=high,
            format="yuv420p",
            src_colorspace=space,
            dst_colorspace=BT709,
            src_color_range=span,
            dst_color_range=LIMITED,
            interpolation=_smooth(),
        )
    placed = placed_yuv420(np.asarray(frame.to_ndarray()), wide, high, across, down)
    return turned_yuv420(placed, across, down, turns)


def _smooth() -> Any:
    """Scaling that keeps colours: else they are off by two levels, and by three in RGB."""
    from av.video.reformatter import Interpolation

    return Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT


def image_of(frame: Any, picture: Picture, width: int, height: int) -> Image.Image:
    """A frame of ``picture`` upright as an RGB picture of this size."""
    turns = quarter_turns(frame)
    across, down = (height, width) if turns % 2 else (width, height)
    sized = frame.reformat(
        width=across,
        height=down,
        format="rgb24",
        src_colorspace=frame.colorspace if frame.colorspace != UNSPECIFIED else BT709,
        src_color_range=frame.color_range or LIMITED,
        dst_color_range=FULL,
        interpolation=_smooth(),
    )
    image: Image.Image = sized.to_image()
    return image.rotate(90 * turns, expand=True)


def film_size(picture: Picture, width: int | None, height: int | None) -> tuple[int, int]:
    """Even width and height of a film made from ``picture``; what is not given follows its shape."""
    if width is None and height is None:
        width, height = picture.width, picture.height
    elif width is None:
        width = round(picture.width * (height or 0) / picture.height)
    elif height is None:
        height = round(picture.height * width / picture.width)
    return even(width or 0), even(height or 0)


def even(side: float) -> int:
    """The even number of pixels that is nearest from below; encoders take no fewer than 16."""
    return max(SMALLEST, int(side) // 2 * 2)


def scaled(size: tuple[Fraction | int, int], width: int, height: int, fit: str) -> tuple[int, int]:
    """Even width and height of a picture of ``size`` made to fit.

    What differs from the box by a line or two fills it: a black line at the edge looks like a fault.
    """
    ratios = Fraction(width) / size[0], Fraction(height) / size[1]
    if fit == "stretch" or min(abs(size[0] * ratios[1] - width), abs(size[1] * ratios[0] - height)) <= 2:
        return width, height
    scale = min(ratios) if fit == "contain" else max(ratios)
    wide, high = (max(2, 2 * round(side * scale / 2)) for side in size)
    return wide, high


def placed_yuv420(frame: np.ndarray, wide: int, high: int, width: int, height: int) -> np.ndarray:
    """A ``wide``×``high`` yuv420p array in the middle of ``width``×``height``: cut where larger, black around it."""
    import numpy as np

    if (wide, high) == (width, height):
        return frame
    placed = np.full(width * height * 3 // 2, 128, np.uint8)
    placed[: width * height] = 16
    across, down = _middle(wide, width), _middle(high, height)
    for number, (target, source) in enumerate(
        zip(planes(placed, width, height), planes(frame, wide, high), strict=True)
    ):
        (x, left, columns), (y, top, rows) = across, down
        if number:  # chroma: one for two in both directions
            x, left, columns, y, top, rows = (value // 2 for value in (x, left, columns, y, top, rows))
        target[top : top + rows, left : left + columns] = source[y : y + rows, x : x + columns]
    return placed.reshape(height * 3 // 2, width)


def _middle(have: int, want: int) -> tuple[int, int, int]:
    """Start in the source, start in the target, length of what both share in the middle; all even."""
    return max(0, have - want) // 4 * 2, max(0, want - have) // 4 * 2, min(have, want)


def planes(frame: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Views of Y, U and V of a contiguous yuv420p array."""
    flat, pixels = frame.reshape(-1), width * height
    blue, red = flat[pixels : pixels * 3 // 2].reshape(2, height // 2, width // 2)
    return flat[:pixels].reshape(height, width), blue, red
