"""A large picture as overlapping tiles of a size that a model knows, and back again without seams."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

OVERLAP = 1 / 8
"""Of a tile's side: wide enough that the eye does not find where one picture becomes the other."""


def corners(size: tuple[int, int], tile: tuple[int, int]) -> list[tuple[int, int]]:
    """(left, top) of the tiles that cover ``size``, row by row; neighbours share at least ``OVERLAP`` of a side."""
    across, down = (_starts(whole, part) for whole, part in zip(size, tile, strict=True))
    return [(left, top) for top, left in product(down, across)]


def _starts(whole: int, part: int) -> list[int]:
    count = 1 + max(0, -int(-(whole - part) // (part * (1 - OVERLAP))))
    return [round((whole - part) * number / (count - 1)) for number in range(count)] if count > 1 else [0]


class Blend:
    """Tiles laid over one another, each fading out over its overlap. ``add`` them, then take the ``picture``."""

    def __init__(self, size: tuple[int, int], tile: tuple[int, int]) -> None:
        width, height = size
        self._sum: NDArray[np.float32] = np.zeros((height, width, 3), np.float32)
        self._weights: NDArray[np.float32] = np.zeros((height, width, 1), np.float32)
        across, down = (_ramp(side) for side in tile)
        self._share = np.outer(down, across)[..., None].astype(np.float32)

    def add(self, tiles: Iterable[tuple[tuple[int, int], Image.Image]]) -> None:
        """Lay each tile with its corner at (left, top)."""
        for (left, top), tile in tiles:
            here = np.s_[top : top + tile.height, left : left + tile.width]
            self._sum[here] += np.asarray(tile, np.float32) * self._share
            self._weights[here] += self._share

    def picture(self) -> Image.Image:
        """What the tiles show together."""
        return Image.fromarray(np.rint(self._sum / self._weights).astype(np.uint8))


def _ramp(side: int) -> NDArray[np.float32]:
    """1 inside, falling towards both ends over the overlap, nowhere 0."""
    from_an_end = np.minimum(np.arange(side), np.arange(side)[::-1]) + 1.0
    return np.minimum(from_an_end / max(1.0, side * OVERLAP), 1.0).astype(np.float32)
