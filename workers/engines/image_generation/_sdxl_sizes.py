"""Which sizes Stable Diffusion XL was trained at, and what is made to deliver any other."""

from __future__ import annotations

from media.pictures import cover_box

STEP = 8
"""Pixels to one number of the latent picture: sides made are multiples of it."""
NATIVE = 1024
TRAINED = (
    (512, 2048), (512, 1984), (512, 1920), (512, 1856), (576, 1792), (576, 1728), (576, 1664), (640, 1600), (640, 1536),
    (704, 1472), (704, 1408), (704, 1344), (768, 1344), (768, 1280), (832, 1216), (832, 1152), (896, 1152), (896, 1088),
    (960, 1088), (960, 1024), (1024, 1024),
)  # fmt: skip
"""Both sides, either of which is the width: SDXL's paper (https://arxiv.org/abs/2307.01952), appendix I."""


def buckets(native: int) -> set[tuple[int, int]]:
    """(width, height) of the training pictures of a model whose square ones have ``native`` pixels a side."""
    scaled = [(_scaled(short, native), _scaled(long, native)) for short, long in TRAINED]
    return {*scaled, *((long, short) for short, long in scaled)}


def nearest_bucket(width: int, height: int, native: int) -> tuple[int, int]:
    """The training size that shows most of a picture of this shape; of several, the one nearest in pixels.

    >>> nearest_bucket(1080, 1920, 1024)
    (768, 1344)
    """

    def seen(bucket: tuple[int, int]) -> float:
        left, top, right, bottom = cover_box((width, height), *bucket)
        return (right - left) * (bottom - top)

    return max(sorted(buckets(native)), key=lambda bucket: (round(seen(bucket)), bucket[0] * bucket[1]))


def canvas(width: int, height: int) -> tuple[int, int]:
    """The smallest size that can be made and that holds ``width`` × ``height``.

    >>> canvas(1080, 1918)
    (1080, 1920)
    """
    return -(-width // STEP) * STEP, -(-height // STEP) * STEP


def _scaled(side: int, native: int) -> int:
    return max(STEP, round(side * native / NATIVE / STEP) * STEP)
