"""Line drawings of things: the outlines of Noto Emoji's glyphs, looked up and flattened.

Read with fontTools, not drawn as text: Pillow joins a sequence such as bird + black square (a crow) only where it was
built with Raqm, and a body can only be filled from the outlines themselves.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from engines.image_generation._canvas import Array

FONT = Path(__file__).resolve().parents[2] / "media" / "typefaces" / "NotoEmoji-Medium.ttf"
PICTOGRAPHS = range(0x1F300, 0x1FB00)
"""Unicode's blocks of pictographs, emoticons and symbols; before them are arrows, letters and signs of text."""
SKIN_TONES = range(0x1F3FB, 0x1F400)
CURVE_STEPS = 8  # chords of one quadratic curve: within a pixel at the sizes drawn


@dataclass(frozen=True)
class Outline:
    """A drawing as TrueType has it: where its contours wind round a point, all together, there is ink.

    Contours are (n, 2) each, x right and y down, from the drawing's own corner, with which way each turns (1 or -1);
    1 is one that holds ink, and all that lies inside it belongs to the body. The drawing's height is 1.
    """

    contours: tuple[tuple[int, Array], ...]
    width: float


@functools.cache
def outline(emoji: str) -> Outline:
    """The drawing of an emoji. Raises KeyError where the font has none."""
    glyphs, name = _font()["glyf"], _glyph_name(emoji)
    coordinates, ends, flags = glyphs[name].getCoordinates(glyphs)
    points, marks = np.array(coordinates, float), np.array(flags) & 1
    starts = [0, *(end + 1 for end in ends[:-1])]
    contours = [_flat(points[start : end + 1], marks[start : end + 1]) for start, end in zip(starts, ends, strict=True)]
    everything = np.concatenate(contours)
    (left, bottom), (right, top) = everything.min(axis=0), everything.max(axis=0)
    tall = top - bottom
    placed = (np.stack([contour[:, 0] - left, top - contour[:, 1]], axis=1) / tall for contour in contours)
    return Outline(tuple((1 if _area(contour) > 0 else -1, contour) for contour in placed), (right - left) / tall)


@functools.cache
def drawable() -> frozenset[str]:
    """The single characters among the pictographs that the font has a drawing for."""
    blocks = (code for code in _font().getBestCmap() if code in PICTOGRAPHS and code not in SKIN_TONES)
    return frozenset(map(chr, blocks)) | {"\N{HEAVY BLACK HEART}"}


@functools.cache
def _font() -> Any:
    from fontTools.ttLib import TTFont

    return TTFont(FONT, lazy=True)


@functools.cache
def _ligatures() -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for lookup in _font()["GSUB"].table.LookupList.Lookup:
        if lookup.LookupType == 4:
            for table in lookup.SubTable:
                for first, ligatures in table.ligatures.items():
                    found.setdefault(first, []).extend(ligatures)
    return found


def _glyph_name(emoji: str) -> str:
    cmap = _font().getBestCmap()
    first, *rest = [cmap[ord(character)] for character in emoji if ord(character) in cmap]
    if not rest:
        return str(first)
    for ligature in _ligatures().get(first, []):
        if ligature.Component == rest:
            return str(ligature.LigGlyph)
    raise KeyError(emoji)


def _flat(points: Array, on_curve: Array) -> Array:
    """A TrueType contour as a polygon: between two control points lies a point of the curve, implied."""
    whole: list[tuple[Array, bool]] = []
    for number in range(len(points)):
        if not on_curve[number] and not on_curve[number - 1]:
            whole.append(((points[number] + points[number - 1]) / 2, True))
        whole.append((points[number], bool(on_curve[number])))
    first = next(number for number, (_, on) in enumerate(whole) if on)
    whole = whole[first:] + whole[: first + 1]
    polygon, t = [whole[0][0]], np.linspace(0, 1, CURVE_STEPS + 1)[1:, None]
    for number in range(1, len(whole)):
        point, on = whole[number]
        if not on:
            begin, end = whole[number - 1][0], whole[number + 1][0]
            polygon.extend((1 - t) ** 2 * begin + 2 * t * (1 - t) * point + t**2 * end)
        elif whole[number - 1][1]:
            polygon.append(point)
    return np.array(polygon)


def _area(polygon: Array) -> float:
    x, y = polygon[:, 0], polygon[:, 1]
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
