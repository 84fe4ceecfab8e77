"""Silhouettes for storyboard panels, drawn with a Pen in a box of height 1; the width is said for each."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np

from engines.image_generation._canvas import Draw, Pen

Point = tuple[float, float]


def curve(*points: Point, steps: int = 14) -> list[Point]:
    """A Bézier curve through its first and last point, pulled by those between."""
    line = []
    for step in range(steps + 1):
        t, left = step / steps, list(points)
        while len(left) > 1:
            left = [(a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t) for a, b in itertools.pairwise(left)]
        line.append(left[0])
    return line


def gull(lift: float) -> Draw:
    """A far bird on the wing, width 2; ``lift`` 0 (wings level) to 1 (wings up)."""

    def draw(pen: Pen) -> None:
        tip = 0.62 - 0.5 * lift
        for side in (-1, 1):
            upper = curve((1 + side, tip), (1 + side * 0.55, tip - 0.3), (1 + side * 0.2, 0.45), (1, 0.6))
            lower = curve((1, 0.74), (1 + side * 0.25, 0.62), (1 + side * 0.6, tip + 0.02), (1 + side, tip))
            pen.polygon([*upper, *lower])

    return draw


def big_bird(pen: Pen) -> None:
    """A bird flying to the right, seen from the side, width 1.5."""
    body = curve((0.18, 0.66), (0.55, 0.46), (0.95, 0.5), (1.16, 0.52)) + curve(
        (1.16, 0.6), (0.95, 0.8), (0.55, 0.8), (0.18, 0.7)
    )
    pen.polygon(body)
    pen.oval(1.18, 0.535, 0.1, 0.088)
    pen.polygon([*curve((1.24, 0.48), (1.34, 0.5), (1.42, 0.57)), *curve((1.42, 0.57), (1.32, 0.58), (1.24, 0.6))])
    pen.polygon([(0.3, 0.61), (0.0, 0.62), (0.04, 0.68), (0.0, 0.74), (0.07, 0.77), (0.35, 0.73)])
    feathers = [
        (0.3, 0.02),
        (0.36, 0.14),
        (0.2, 0.08),
        (0.31, 0.22),
        (0.15, 0.18),
        (0.3, 0.33),
        (0.16, 0.3),
        (0.42, 0.5),
    ]
    pen.polygon([*curve((0.98, 0.56), (0.92, 0.24), (0.66, 0.1), (0.3, 0.02)), *feathers, (0.62, 0.68)])
    pen.polygon(
        [*curve((1.0, 0.54), (1.12, 0.3), (1.02, 0.12), (0.86, 0.04)), *curve((0.86, 0.04), (0.84, 0.3), (0.8, 0.5))]
    )


def conifer(pen: Pen) -> None:
    """A fir, width 0.5."""
    pen.box(0.23, 0.85, 0.04, 0.15)
    for top, bottom, half in ((0.0, 0.36, 0.11), (0.18, 0.58, 0.165), (0.38, 0.77, 0.21), (0.58, 0.93, 0.245)):
        right = curve((0.25, top), (0.25 + half * 0.35, (top + bottom) / 2), (0.25 + half, bottom))
        hem = curve((0.25 + half, bottom), (0.25, bottom - 0.045), (0.25 - half, bottom))
        left = curve((0.25 - half, bottom), (0.25 - half * 0.35, (top + bottom) / 2), (0.25, top))
        pen.polygon([*right, *hem, *left])


def poplar(pen: Pen) -> None:
    """A slender tree, width 0.3."""
    pen.box(0.135, 0.85, 0.03, 0.15)
    pen.polygon(
        [
            *curve((0.15, 0), (0.32, 0.45), (0.3, 0.9), (0.15, 0.93)),
            *curve((0.15, 0.93), (0, 0.9), (-0.02, 0.45), (0.15, 0)),
        ]
    )


def round_tree(rng: np.random.Generator) -> Draw:
    """A leafy tree, width 0.8."""
    bumps = [
        (0.4 + 0.2 * math.cos(a), 0.34 + 0.17 * math.sin(a), 0.13 + 0.06 * rng.random())
        for a in np.linspace(0, 6.28, 9)
    ]

    def draw(pen: Pen) -> None:
        pen.polygon(
            [
                (0.35, 1),
                (0.38, 0.55),
                (0.3, 0.42),
                (0.33, 0.4),
                (0.4, 0.5),
                (0.47, 0.38),
                (0.5, 0.4),
                (0.42, 0.57),
                (0.45, 1),
            ]
        )
        pen.oval(0.4, 0.34, 0.24, 0.22)
        for x, y, radius in bumps:
            pen.oval(x, y, radius, radius * 0.92)

    return draw


def bare_tree(rng: np.random.Generator) -> Draw:
    """A tree without leaves, width 0.9."""
    limbs: list[tuple[Point, Point, float]] = []

    def grow(start: Point, angle: float, length: float, width: float, depth: int) -> None:
        end = start[0] + length * math.sin(angle), start[1] - length * math.cos(angle)
        limbs.append((start, end, width))
        if depth:
            for side in (-1, 1):
                turn = side * (0.3 + 0.35 * rng.random()) + 0.12 * (rng.random() - 0.5)
                grow(end, angle * 0.9 + turn, length * (0.66 + 0.14 * rng.random()), width * 0.62, depth - 1)

    grow((0.45, 1.0), 0.1 * (rng.random() - 0.5), 0.3, 0.045, 6)

    def draw(pen: Pen) -> None:
        for (x0, y0), (x1, y1), width in limbs:
            pen.line([(x0, y0), (x1, y1)], width)
            pen.oval(x1, y1, width * 0.45, width * 0.45)

    return draw


def palm(pen: Pen) -> None:
    """A palm leaning to the right, width 0.9."""
    pen.polygon([*curve((0.3, 1), (0.34, 0.6), (0.5, 0.3)), *curve((0.53, 0.31), (0.39, 0.62), (0.36, 1))])
    for x, y, sag in (
        (0.05, 0.42, 0.2),
        (0.14, 0.16, 0.24),
        (0.5, 0.02, 0.1),
        (0.84, 0.14, 0.22),
        (0.92, 0.42, 0.2),
        (0.68, 0.56, 0.05),
        (0.28, 0.56, 0.06),
    ):
        middle = ((x + 0.51) / 2, min(y, 0.3) - sag * 0.5)
        pen.polygon([*curve((0.5, 0.3), middle, (x, y)), *curve((x, y), (middle[0], middle[1] + 0.14), (0.52, 0.32))])


def house(pen: Pen) -> None:
    """A house with a gable and a chimney, width 1.2; its windows are ``house_windows``."""
    pen.polygon([(0.1, 1), (0.1, 0.5), (0.02, 0.5), (0.3, 0.12), (0.95, 0.12), (1.18, 0.5), (1.1, 0.5), (1.1, 1)])
    pen.box(0.8, 0, 0.1, 0.2)


def house_windows(pen: Pen) -> None:
    """Two windows and a door for ``house``."""
    for x in (0.24, 0.84):
        pen.box(x, 0.62, 0.055, 0.075)
        pen.box(x + 0.07, 0.62, 0.055, 0.075)
        pen.box(x, 0.71, 0.055, 0.075)
        pen.box(x + 0.07, 0.71, 0.055, 0.075)
    pen.box(0.54, 0.66, 0.14, 0.34)


def castle(pen: Pen) -> None:
    """A castle of four towers, width 1.2."""
    pen.box(0.1, 0.62, 1.0, 0.38)
    for x, top, width in ((0.05, 0.5, 0.17), (0.36, 0.32, 0.2), (0.64, 0.42, 0.15), (0.98, 0.52, 0.17)):
        pen.box(x, top, width, 1 - top)
        pen.polygon([(x - 0.03, top + 0.01), (x + width / 2, top - width * 1.55), (x + width + 0.03, top + 0.01)])
    for x in np.arange(0.12, 1.06, 0.08):
        pen.box(float(x), 0.585, 0.045, 0.05)


def castle_windows(pen: Pen) -> None:
    """Lit slits and a gate for ``castle``."""
    for x, y in ((0.12, 0.6), (0.43, 0.42), (0.43, 0.56), (0.7, 0.52), (1.05, 0.62)):
        pen.box(x, y, 0.035, 0.07)
    pen.polygon([(0.54, 1), (0.54, 0.86), *curve((0.54, 0.86), (0.6, 0.74), (0.66, 0.86)), (0.66, 1)])


def lighthouse(pen: Pen) -> None:
    """A lighthouse, width 0.4; its stripes and lamp are ``lighthouse_bands`` and ``lighthouse_lamp``."""
    pen.polygon([(0.09, 1), (0.14, 0.24), (0.26, 0.24), (0.31, 1)])
    pen.box(0.115, 0.215, 0.17, 0.03)
    pen.box(0.15, 0.11, 0.1, 0.12)
    pen.polygon(
        [(0.13, 0.12), *curve((0.13, 0.12), (0.15, 0.05), (0.2, 0.04)), *curve((0.2, 0.04), (0.25, 0.05), (0.27, 0.12))]
    )
    pen.box(0.194, 0.0, 0.012, 0.06)


def lighthouse_bands(pen: Pen) -> None:
    """Stripes for ``lighthouse``."""
    for top in (0.32, 0.56, 0.8):
        bottom = top + 0.12
        inset = [0.05 * (1 - y) / 0.76 for y in (top, bottom)]
        pen.polygon(
            [(0.09 + inset[0], top), (0.31 - inset[0], top), (0.31 - inset[1], bottom), (0.09 + inset[1], bottom)]
        )


def lighthouse_lamp(pen: Pen) -> None:
    """The lamp room's panes for ``lighthouse``."""
    pen.box(0.162, 0.125, 0.076, 0.075)


def hull(pen: Pen) -> None:
    """A boat's hull and mast, width 1; its sails are ``sails``."""
    pen.polygon(
        [
            *curve((0.08, 0.78), (0.5, 0.86), (0.96, 0.75)),
            *curve((0.96, 0.75), (0.86, 0.96), (0.7, 0.98)),
            (0.26, 0.98),
            *curve((0.26, 0.98), (0.14, 0.94), (0.08, 0.78)),
        ]
    )
    pen.box(0.47, 0.02, 0.02, 0.8)


def sails(pen: Pen) -> None:
    """A mainsail and a jib for ``hull``."""
    pen.polygon(
        [(0.5, 0.05), *curve((0.5, 0.05), (0.86, 0.35), (0.9, 0.7)), *curve((0.9, 0.7), (0.7, 0.76), (0.5, 0.74))]
    )
    pen.polygon(
        [
            (0.455, 0.12),
            *curve((0.455, 0.12), (0.3, 0.5), (0.12, 0.72)),
            *curve((0.12, 0.72), (0.3, 0.76), (0.455, 0.74)),
        ]
    )


def well(pen: Pen) -> None:
    """A draw well with a roof, width 0.9."""
    pen.polygon([(0.0, 0.36), (0.45, 0.0), (0.9, 0.36), (0.84, 0.38), (0.06, 0.38)])
    pen.box(0.17, 0.3, 0.05, 0.5)
    pen.box(0.68, 0.3, 0.05, 0.5)
    pen.box(0.17, 0.48, 0.56, 0.03)
    pen.line([(0.45, 0.5), (0.45, 0.66)], 0.015)
    pen.box(0.4, 0.63, 0.1, 0.09)
    pen.polygon([(0.08, 0.72), (0.82, 0.72), (0.78, 1), (0.12, 1)])


def cloud(rng: np.random.Generator) -> Draw:
    """A cloud with a flat base, width 3."""
    places = np.linspace(0.45, 2.55, 7)
    bumps = [(float(x), 0.3 + 0.28 * math.sin(math.pi * (x - 0.2) / 2.6) * (0.65 + 0.5 * rng.random())) for x in places]

    def draw(pen: Pen) -> None:
        pen.oval(0.4, 0.82, 0.4, 0.18)
        pen.oval(2.6, 0.82, 0.4, 0.18)
        pen.box(0.4, 0.64, 2.2, 0.36)
        for x, radius in bumps:
            pen.oval(x, 0.84 - radius * 0.55, radius * 1.15, radius * 0.85)

    return draw


def blades(rng: np.random.Generator, width: float, count: int) -> Draw:
    """Tall grass from the box's bottom, ``width`` wide."""
    grown = [(width * rng.random(), 0.35 + 0.65 * rng.random() ** 2, 0.5 * (rng.random() - 0.5)) for _ in range(count)]

    def draw(pen: Pen) -> None:
        for x, tall, lean in grown:
            tip = (x + lean * tall, 1 - tall)
            middle = (x + lean * tall * 0.25, 1 - tall * 0.6)
            pen.polygon(
                [
                    *curve((x - 0.018, 1.02), middle, tip, steps=6),
                    *curve(tip, (middle[0] + 0.025, middle[1]), (x + 0.025, 1.02), steps=6),
                ]
            )

    return draw


def dots(places: Sequence[tuple[float, float, float]]) -> Draw:
    """Discs (x, y, radius)."""

    def draw(pen: Pen) -> None:
        for x, y, radius in places:
            pen.oval(x, y, radius, radius)

    return draw


TREES: dict[str, tuple[float, Callable[[np.random.Generator], Draw]]] = {
    "conifer": (0.5, lambda rng: conifer),
    "poplar": (0.3, lambda rng: poplar),
    "round": (0.8, round_tree),
    "bare": (0.9, bare_tree),
    "palm": (0.9, lambda rng: palm),
}
"""Kind -> (width, how to draw one)."""
