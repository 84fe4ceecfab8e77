"""Where pictures are calm: a title stands there, off what they show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

SMALL = 128
"""Longer side, in pixels, at which pictures are looked at: outlines stay, grain and grass go."""
FULL_SLOPE = 50.0
"""Slope of the luma, in levels a small pixel, that counts in full: a figure's outline. Half of it counts a quarter:
hills before a sky have a third of that slope."""
CLOSED = 11
"""Small pixels: a gap between two edges up to so wide belongs to what they are the edges of."""
OUTER = 0.4
"""What an edge counts at the top and at the bottom, of what it counts half-way: subjects stand there, hills above."""
BRIGHT_SHARE = 75
"""Percentile of the luma that is taken for how bright a place is: a title crosses a cloud, not only the sky."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in shares (0…1) of width and height."""


class Ground:
    """What a title lies on: pictures of one shape, a place being as busy and as bright as the worst of them."""

    def __init__(self, lumas: Sequence[np.ndarray]) -> None:
        """``lumas``: at least one array of shape (height, width), 0 (black) to 255 (white)."""
        import numpy as np

        small = [_small(luma) for luma in lumas]
        self._luma = np.max(small, axis=0)
        busy = np.max([_busy(luma) for luma in small], axis=0)
        self._sums = np.pad(busy, ((1, 0), (1, 0))).cumsum(0).cumsum(1)

    def busyness(self, box: Box) -> float:
        """Mean of a place, from 0 (plain) to 1 (edges all over): what a title would hide."""
        left, top, right, bottom = self._pixels(box)
        sums = self._sums
        inside = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
        return float(inside) / ((right - left) * (bottom - top))

    def brightness(self, box: Box) -> float:
        """Luma of a place's brighter parts, 0 to 1 as displays show it."""
        import numpy as np

        left, top, right, bottom = self._pixels(box)
        return float(np.percentile(self._luma[top:bottom, left:right], BRIGHT_SHARE)) / 255

    def _pixels(self, box: Box) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of a box that is at least a pixel and inside."""
        height, width = self._luma.shape
        left, right = (min(max(0, round(share * width)), width) for share in (box[0], box[2]))
        top, bottom = (min(max(0, round(share * height)), height) for share in (box[1], box[3]))
        left, top = min(left, width - 1), min(top, height - 1)
        return left, top, max(right, left + 1), max(bottom, top + 1)


def _small(luma: np.ndarray) -> np.ndarray:
    import numpy as np
    from PIL import Image

    picture = Image.fromarray(np.asarray(luma, np.uint8))
    scale = SMALL / max(picture.size)
    size = max(CLOSED, round(picture.width * scale)), max(CLOSED, round(picture.height * scale))
    return np.asarray(picture.resize(size, Image.Resampling.BOX), np.float64)


def _busy(luma: np.ndarray) -> np.ndarray:
    """0…1 for each pixel: the square of the slope there or between two edges near each other (morphological closing).

    What has edges on all four sides is inside of something, and as busy as the weakest of them. Far up and far down
    all of it counts less.
    """
    import numpy as np
    from PIL import Image, ImageFilter

    slope = np.clip(np.hypot(*np.gradient(luma)) / FULL_SLOPE, 0, 1)
    picture = Image.fromarray(np.rint(255 * slope**2).astype(np.uint8))
    # one pixel wider than it is closed: letters do not touch what they spare
    closed = picture.filter(ImageFilter.MaxFilter(CLOSED + 2)).filter(ImageFilter.MinFilter(CLOSED))
    busy = np.asarray(closed, np.float64) / 255
    sides = [np.rot90(np.maximum.accumulate(np.rot90(busy, turn), axis=1), -turn) for turn in range(4)]
    heights = np.linspace(-1, 1, picture.height)[:, None]
    weights = OUTER + (1 - OUTER) * np.exp(-((heights / 0.5) ** 2))
    inside: np.ndarray = np.min(sides, axis=0) * weights
    return inside
