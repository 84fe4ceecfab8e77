"""Crop a user's picture to the part where most is to be seen."""

from __future__ import annotations

import numpy as np
from PIL import Image

from media.pictures import cover_box

LOOKED_AT = 96  # pixels of the longer side: enough to tell a figure from sky
CENTRE = 0.25  # how much more detail a crop at the edge must hold than one in the middle


def crop_to_subject(picture: Image.Image, width: int, height: int) -> Image.Image:
    """The largest part shaped ``width``:``height``, scaled to that size: of those the one with most detail in it.

    Detail is the change of brightness from pixel to pixel; of parts about equal the middle one is taken.
    """
    left, top, right, bottom = cover_box(picture.size, width, height)
    small = picture.convert("L")
    small.thumbnail((LOOKED_AT, LOOKED_AT))
    levels = np.asarray(small, np.float32)
    detail = np.zeros_like(levels)
    detail[:, 1:] += np.abs(np.diff(levels, axis=1))
    detail[1:] += np.abs(np.diff(levels, axis=0))
    across, down = picture.width - (right - left), picture.height - (bottom - top)  # how far the part may move
    if across > 1:
        shift = _best(detail.sum(axis=0), (right - left) / picture.width) * across - left
        left, right = left + shift, right + shift
    elif down > 1:
        shift = _best(detail.sum(axis=1), (bottom - top) / picture.height) * down - top
        top, bottom = top + shift, bottom + shift
    box = max(0.0, left), max(0.0, top), min(float(picture.width), right), min(float(picture.height), bottom)
    return picture.resize((width, height), Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)


def _best(detail: np.ndarray, share: float) -> float:
    """Where, 0..1 of its way, a window over ``share`` of a row of details holds most of it."""
    size = max(1, round(share * len(detail)))
    sums = np.convolve(detail, np.ones(size), "valid")
    places = np.linspace(0, 1, len(sums)) if len(sums) > 1 else np.array([0.5])
    best = int(np.argmax(sums * (1 - CENTRE * np.abs(places - 0.5) * 2)))
    near = sums >= sums[best] * 0.98
    candidates = places[near] if sums[best] > 0 else np.array([0.5])
    return float(candidates[np.argmin(np.abs(candidates - 0.5))])
