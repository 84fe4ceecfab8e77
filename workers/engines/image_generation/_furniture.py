"""What stands and hangs in a storyboard panel's room."""

from __future__ import annotations

from engines.image_generation._canvas import Pen, mix
from engines.image_generation._props import curve, dots
from engines.image_generation._scene import Rgb
from engines.image_generation._stage import WHITE, Stage


def wallpaper(stage: Stage, line: float, color: tuple[float, float, float]) -> None:
    """Wallpaper."""
    step = 0.085 * stage.unit / line

    def draw(pen: Pen) -> None:
        for number in range(int(stage.canvas.width / line / step) + 2):
            pen.box(number * step, 0, step * 0.42, 1)

    stage.canvas.shape(0, 0, stage.canvas.width, line, color, draw, 0.16)


def window_frame(stage: Stage, left: float, top: float, wide: float, tall: float, color: Rgb, cloth: Rgb) -> None:
    """Bars, a sill and curtains around a view."""
    share, thick = wide / tall, 0.024 * stage.unit / tall

    def bars(pen: Pen) -> None:
        for x, bar in ((0.0, thick), (share / 2 - thick * 0.3, thick * 0.6), (share - thick, thick)):
            pen.box(x, 0, bar, 1)
        for y, bar in ((0.0, thick), (0.42, thick * 0.6), (1 - thick, thick)):
            pen.box(0, y, share, bar)

    stage.canvas.shape(left, top, wide, tall, color, bars)
    sill = 0.06 * wide
    stage.canvas.shape(
        left - sill,
        top + tall - 0.01 * stage.unit,
        wide + 2 * sill,
        0.02 * stage.unit,
        color,
        lambda pen: pen.box(0, 0, 1e3, 1),
    )
    over = 0.16 * wide
    full = (wide + 2 * over) / (tall * 1.12)

    def curtains(pen: Pen) -> None:
        for side in (-1, 1):
            middle, edge = full / 2, full / 2 + side * full / 2
            inner = curve(
                (middle + side * full * 0.12, 0.04),
                (middle + side * full * 0.2, 0.45),
                (edge - side * full * 0.1, 0.62),
            )
            pen.polygon(
                [
                    (edge, 0.04),
                    *inner,
                    *curve(
                        (edge - side * full * 0.1, 0.62),
                        (edge - side * full * 0.16, 0.85),
                        (edge - side * full * 0.2, 1),
                    ),
                    (edge, 1),
                ]
            )
        pen.box(-0.03, 0.02, full + 0.06, 0.022)

    stage.canvas.shape(left - over, top - 0.07 * tall, wide + 2 * over, tall * 1.12, cloth, curtains, 0.93)


def shelf(stage: Stage, x: float, y: float, ink: Rgb) -> None:
    """A board with books and a bowl, centred at ``x``, its top at ``y``."""
    tall = 0.11 * stage.unit
    wide = 0.28 * stage.unit
    colors = [
        stage.palette.accent,
        mix(ink, stage.palette.sky[0], 0.5),
        mix(stage.palette.accent, WHITE, 0.45),
        mix(ink, stage.palette.far, 0.6),
    ]
    at = 0.06
    for number in range(6):
        thick, high = stage.between(0.12, 0.2), stage.between(0.6, 0.95)

        def book(pen: Pen, at: float = at, thick: float = thick, high: float = high) -> None:
            pen.box(at, 1 - high, thick, high)

        stage.canvas.shape(x - wide / 2, y - tall, wide, tall, colors[number % 4], book)
        at += thick + 0.015
    bowl = [*curve((1.75, 0.62), (1.8, 1.1), (2.0, 1.0)), *curve((2.1, 1.0), (2.3, 1.1), (2.35, 0.62))]
    stage.canvas.shape(x - wide / 2, y - tall, wide, tall, ink, lambda pen: pen.polygon(bowl))
    stage.canvas.shape(x - wide * 0.55, y, wide * 1.1, 0.016 * stage.unit, ink, lambda pen: pen.box(0, 0, 1e3, 1))


def hanging_lamp(stage: Stage, x: float, y: float, ink: Rgb) -> None:
    """A lamp on a cord from the ceiling, its shade ending at ``y``; lit when it is dark."""
    tall, cord = 0.09 * stage.unit, 0.006 * stage.unit
    stage.canvas.shape(x - cord / 2, 0, cord, max(1.0, y - tall), ink, lambda pen: pen.box(0, 0, 1, 1))
    if stage.dark:
        stage.canvas.shape(
            x - tall * 0.3, y - tall * 0.3, tall * 0.6, tall * 0.6, (255, 240, 200), dots([(0.5, 0.5, 0.45)])
        )
        stage.canvas.glow(x, y + tall * 0.4, stage.unit * 0.42, (255, 214, 140), 0.5)
    shade = [*curve((0.85, 0), (0.8, 0.5), (0.0, 1)), *curve((2, 1), (1.2, 0.5), (1.15, 0))]
    stage.canvas.shape(x - tall, y - tall, 2 * tall, tall, ink, lambda pen: pen.polygon(shade))


def rug(stage: Stage, x: float, y: float, across: float, ink: Rgb) -> None:
    """An oval rug with a border, ``across`` pixels wide, its middle at (x, y)."""
    cloth = mix(stage.palette.accent, ink, 0.45)
    for share, color in ((1.0, cloth), (0.86, mix(cloth, WHITE, 0.2)), (0.8, cloth)):
        wide, flat = across * share, 0.15 * across * share
        middle = 0.5 * wide / flat

        def oval(pen: Pen, middle: float = middle) -> None:
            pen.oval(middle, 0.5, middle, 0.5)

        stage.canvas.shape(x - wide / 2, y - flat / 2, wide, flat, color, oval)


def table(stage: Stage, x: float, line: float, ink: Rgb) -> None:
    """A table with a jug and a cup on a rug, standing below the row ``line``."""
    canvas, tall = stage.canvas, stage.unit * 0.27
    foot = min(line + 0.36 * (canvas.height - line), line + 0.3 * stage.unit)
    rug(stage, x, foot, 3.1 * tall, ink)

    def draw(pen: Pen) -> None:
        pen.box(0, 0.42, 2.2, 0.06)
        pen.box(0.1, 0.46, 2.0, 0.08)
        for leg in (0.12, 1.96):
            pen.polygon([(leg, 0.45), (leg + 0.12, 0.45), (leg + 0.09, 1), (leg + 0.03, 1)])

    def jug(pen: Pen) -> None:
        pen.polygon(
            [
                *curve((1.0, 0.42), (0.84, 0.3), (0.95, 0.1)),
                (0.92, 0.04),
                (1.12, 0.04),
                (1.1, 0.1),
                *curve((1.1, 0.1), (1.2, 0.3), (1.06, 0.42)),
            ]
        )
        pen.line(curve((1.1, 0.1), (1.3, 0.12), (1.13, 0.28)), 0.022)
        pen.polygon([(1.42, 0.3), (1.58, 0.3), (1.55, 0.42), (1.45, 0.42)])

    canvas.shape(x - 1.1 * tall, foot - tall, 2.2 * tall, tall, ink, draw)
    canvas.shape(x - 1.1 * tall, foot - tall, 2.2 * tall, tall, mix(stage.palette.accent, WHITE, 0.2), jug)
