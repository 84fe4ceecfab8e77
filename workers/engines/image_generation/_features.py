"""What places of storyboard panels are made of: buildings, water, fields, paths, the nearest ground."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from PIL import Image

from engines.image_generation import _props as props
from engines.image_generation._canvas import Array, Draw, Pen, mix
from engines.image_generation._scene import Rgb
from engines.image_generation._stage import WHITE, Stage, foreground, jagged, lay, plant, rolling


def nearest_ground(stage: Stage) -> None:
    lay(stage, rolling(stage, stage.down(0.86), 0.03, 1.5), 1.0, 0.4)
    foreground(stage)


def usual_tree(stage: Stage) -> str:
    if stage.scene.mood in {"dry", "winter"} or stage.parched:
        return "bare"
    return "conifer" if stage.scene.mood == "mist" else "round"


def settle(stage: Stage, ridge: Array, depth: float) -> None:
    """A house, a village, a castle or a well on a ridge, where the words name one."""
    things, middle = stage.scene.things, 0.66 if stage.sun[0] < stage.canvas.width / 2 else 0.34
    if "castle" in things:
        _build(stage, ridge, depth, middle, 0.26, props.castle, props.castle_windows)
    elif "house" in things:
        for shift in (-0.21, 0.16, 0.0) if "many" in things else (0.0,):
            _build(
                stage, ridge, depth, middle + shift + stage.between(-0.03, 0.03), 0.13, props.house, props.house_windows
            )
    if "well" in things:
        _build(stage, ridge, depth, 1 - middle, 0.2, props.well, None)


def _build(
    stage: Stage, ridge: Array, depth: float, place: float, size: float, draw: Draw, windows: Draw | None
) -> None:
    """One building, ``size`` units high, at ``place`` across; its windows are lit when it is dark."""
    canvas, accent = stage.canvas, stage.palette.accent
    tall, wide = stage.unit * size * stage.between(0.9, 1.15), 1.2 if windows else 0.9
    x = canvas.width * place
    left, right = (int(np.clip(x + side * tall * wide / 2, 0, canvas.width - 1)) for side in (-1, 1))
    foot = float(ridge[left : right + 1].max()) + 0.02 * tall
    box = (x - tall * wide / 2, foot - tall, tall * wide, tall)
    canvas.shape(*box, stage.ink(min(1.0, depth + 0.3)), draw)
    if windows is not None:
        canvas.shape(*box, accent if stage.dark else mix(stage.haze, accent, 0.35), windows)
        canvas.glow(x, foot - tall * 0.35, tall * 0.8, accent, 0.3 if stage.dark else 0.06)


def snowcap(stage: Stage, peaks: Array) -> None:
    """Light on the heights of a ridge, its lower edge uneven."""
    x = np.arange(stage.canvas.width) / stage.unit
    teeth = np.abs(((x * 9 + 0.8 * np.sin(x * 13 + stage.between(0, 6))) % 1) - 0.5) + 0.5 * np.abs(
        ((x * 23) % 1) - 0.5
    )
    line = float(peaks.min()) + stage.unit * 0.24
    edge = line - (line - peaks) * 0.35 + stage.unit * 0.11 * (teeth - 0.7)
    rows = np.arange(stage.canvas.height)[:, None]
    cover = np.clip(rows + 1 - peaks, 0, 1) * np.clip(edge - rows, 0, 1) * 215
    stage.canvas.stamp(Image.fromarray(cover.astype(np.uint8)), 0, 0, mix(stage.palette.light, stage.haze, 0.25))


def furrows(stage: Stage, top: float) -> None:
    """Rows of a field, running together at the horizon."""
    canvas = stage.canvas
    first = max(0, int(top))
    rows = np.arange(first, canvas.height, dtype=np.float32)[:, None]
    depth = (rows - top + 0.06 * stage.unit) / stage.unit
    across = (
        (np.arange(canvas.width, dtype=np.float32)[None, :] - canvas.width * stage.between(0.35, 0.65))
        / stage.unit
        / depth
    )
    wave = np.sin(across * 9) * 0.5 + 0.5
    wave = np.clip((wave - 0.32) * 3.2, 0, 1) * np.clip(depth * 2.4 - 0.1, 0, 1)
    for color, cover in (
        (stage.tone(0.78), wave),
        (
            mix(stage.tone(0.2), stage.palette.accent, 0.2),
            np.clip(np.sin(across * 9 + 2.2) * 2 - 1.2, 0, 1) * 0.35 * np.clip(depth * 2.4, 0, 1),
        ),
    ):
        canvas.stamp(Image.fromarray((cover * 255).astype(np.uint8)), 0, first, color, 0.8)


def path(stage: Stage, ridge: Array) -> None:
    """A way that winds down from a ridge to the bottom, where the words name one."""
    if "path" in stage.scene.things and stage.scene.place != "river":
        _winding(stage, ridge, mix(stage.tone(0.2), stage.haze, 0.55), 1.0)


def river(stage: Stage, ridge: Array) -> None:
    """A river that winds down from a ridge to the bottom; a drought leaves its bed."""
    if stage.parched:
        bank, water_color = mix(stage.tone(0.75), (70, 40, 24), 0.25), mix(stage.tone(0.3), stage.haze, 0.35)
    else:
        bank, water_color = mix(stage.tone(0.7), stage.haze, 0.15), mix(stage.palette.sky[1], stage.palette.sky[0], 0.3)
    state = stage.rng.bit_generator.state
    for color, wide in ((bank, 2.3), (water_color, 2.0), (mix(water_color, stage.palette.light, 0.3), 0.5)):
        stage.rng.bit_generator.state = state  # the same bends each time
        _winding(stage, ridge, color, wide)


def _winding(stage: Stage, ridge: Array, color: Rgb, wide: float) -> None:
    canvas, unit = stage.canvas, stage.unit
    start = canvas.width * stage.between(0.35, 0.65)
    top = float(ridge[int(start)]) + 2
    t = np.linspace(0, 1, 40)
    center = start + unit * 0.22 * np.sin(t * 5.0 + stage.between(0, 6)) * t - unit * 0.22 * np.sin(0) * t
    half = unit * (0.006 + 0.13 * t**1.8) * wide
    rows = top + (canvas.height - top) * t**1.25
    outline = [*zip(center - half, rows, strict=True), *zip((center + half)[::-1], rows[::-1], strict=True)]
    points = [(float(x) / canvas.height, float(y) / canvas.height) for x, y in outline]
    canvas.shape(0, 0, canvas.width, canvas.height, color, lambda pen: pen.polygon(points), 0.85)


def bushes(stage: Stage, row: float, depth: float) -> None:
    """A hedge of round bushes with blossoms."""
    canvas, size = stage.canvas, stage.unit * (0.05 + 0.06 * depth)
    blossoms = mix(stage.palette.accent, WHITE, 0.1)
    for x in np.arange(-0.5, canvas.width / size / 1.15 + 1):
        if stage.rng.random() < 0.3:
            continue
        tall = size * stage.between(0.8, 1.5)
        left = x * size * 1.15
        box = (left, row - tall * 0.8 + stage.between(0, 0.3) * size, tall * 1.6, tall)
        lumps = [(0.3, 0.66, 0.3), (0.8, 0.48, 0.42), (1.28, 0.68, 0.3), (0.8, 0.8, 0.4)]
        stage.canvas.shape(*box, mix(stage.tone(depth), stage.tone(1), stage.between(0, 0.5)), props.dots(lumps))
        dots = [
            (0.25 + 1.1 * float(a), 0.2 + 0.7 * float(b), 0.035 + 0.02 * float(c))
            for a, b, c in stage.rng.random((9, 3))
        ]
        stage.canvas.shape(
            *box,
            blossoms if stage.rng.random() < 0.6 else mix(blossoms, WHITE, 0.6),
            props.dots(dots),
            0.55 if stage.dark else 0.95,
        )


def skyline(stage: Stage, row: float, height: float, depth: float) -> None:
    """A row of buildings standing at ``row``, their windows lit when it is dark."""
    canvas, unit, x = stage.canvas, stage.unit, -0.03 * stage.canvas.unit
    color = stage.ink(depth)
    light = stage.palette.accent if stage.dark else mix(stage.haze, WHITE, 0.2)
    while x < canvas.width:
        wide, tall = unit * stage.between(0.07, 0.14), unit * height * stage.between(0.4, 1.0)
        shade = mix(color, stage.haze, stage.between(0, 0.16))
        kind = stage.rng.integers(4)
        box = (x, row - tall, wide, tall)
        share = wide / tall

        def tower(pen: Pen, share: float = share, kind: int = int(kind)) -> None:
            pen.box(0, 0.1, share, 1)
            if kind == 0:
                pen.polygon([(0, 0.1), (share / 2, 0), (share, 0.1)])
            elif kind == 1:
                pen.box(share * 0.2, 0.04, share * 0.6, 0.1)
                pen.box(share * 0.48, 0.0, share * 0.05, 0.05)
            elif kind == 2:
                pen.polygon([(0, 0.11), (0, 0.03), (share, 0.09), (share, 0.11)])

        canvas.shape(*box, shade, tower)
        canvas.shape(*box, light, _panes(stage, share, 0.018 * unit / tall), 0.85 if stage.dark else 0.35)
        x += wide * stage.between(0.8, 1.25)


def _panes(stage: Stage, share: float, size: float) -> Callable[[Pen], None]:
    columns, rows = max(1, int(share / (size * 1.9))), max(1, int(0.8 / (size * 2.2)))
    lit = stage.rng.random((columns, rows)) < (0.42 if stage.dark else 0.8)

    def draw(pen: Pen) -> None:
        margin = (share - columns * size * 1.9 + size * 0.9) / 2
        for column, row in np.argwhere(lit):
            pen.box(margin + column * size * 1.9, 0.15 + row * size * 2.2, size, size * 1.25)

    return draw


def water(stage: Stage, top: float, bottom: float) -> None:
    """Still water that mirrors the sky, with glints below the light."""
    canvas, unit = stage.canvas, stage.unit
    deep = mix(stage.palette.sky[0], stage.ink(0.8), 0.45)
    canvas.ground(np.full(canvas.width, top), mix(stage.palette.sky[2], deep, 0.35), deep, (bottom - top) * 0.9)
    canvas.glow(stage.sun[0], top, unit * 0.35, stage.palette.light, 0.16 if stage.scene.mood == "storm" else 0.3)
    lines, height = [], bottom - top
    for _ in range(int(90 * max(1.0, canvas.width / unit))):
        depth = float(stage.rng.random()) ** 1.5
        near = stage.rng.random() < 0.55
        x = (
            stage.sun[0] + float(stage.rng.normal()) * unit * (0.05 + 0.1 * depth)
            if near
            else canvas.width * float(stage.rng.random())
        )
        lines.append(
            (
                x / height,
                depth,
                (0.012 + 0.06 * depth) * unit / height * stage.between(0.4, 1.3),
                (0.0016 + 0.003 * depth) * unit / height,
            )
        )

    def glints(pen: Pen) -> None:
        for x, y, half, thick in lines:
            pen.oval(x, y, half, thick)

    canvas.shape(
        0, top, canvas.width, height, mix(stage.palette.light, stage.haze, 0.3), glints, 0.3 if stage.dark else 0.55
    )


def wave(stage: Stage, row: float, height: float, depth: float) -> None:
    """A line of waves with crests, lighter along the top."""
    x = np.arange(stage.canvas.width) / stage.unit
    length = 0.16 + 0.3 * depth
    swell = np.sin(2 * math.pi * (x / 1.3 + stage.rng.random())) * 0.5
    crests = 1 - np.abs(np.sin(math.pi * (x / length + stage.rng.random()) + 0.5 * swell)) ** 0.8
    ridge = row - (crests + swell) * height * stage.unit
    deep = mix(stage.palette.sky[0], stage.ink(0.9), 0.35 + 0.5 * depth)
    foam = mix(deep, mix(stage.haze, WHITE, 0.3), 0.5)
    stage.canvas.ground(ridge, foam, mix(deep, foam, 0.3), 0.02 * stage.unit)
    stage.canvas.ground(
        ridge + stage.unit * 0.006 * (0.4 + 1.2 * crests), mix(deep, foam, 0.25), deep, 0.2 * stage.unit
    )


def shore(stage: Stage) -> None:
    winter = stage.scene.mood == "winter"
    sand = mix((236, 208, 160), stage.tone(0.6), 0.8 if winter else 0.55 if stage.dark else 0.2)
    slope = np.linspace(-0.1, 0.16, stage.canvas.width) * stage.unit
    row = stage.room[1] - 0.08 * stage.unit if stage.on_land else stage.down(0.8)
    slope *= 0.2 if stage.on_land else 1.0  # or one of them would stand in the water
    ridge = rolling(stage, row, 0.015, 1.4) + (slope if stage.sun[0] > stage.canvas.width / 2 else slope[::-1])
    stage.canvas.ground(
        ridge - 0.012 * stage.unit, mix(stage.haze, WHITE, 0.4), mix(sand, WHITE, 0.2), 0.02 * stage.unit
    )
    stage.canvas.ground(ridge, mix(sand, (0, 0, 0), 0.08), sand, 0.25 * stage.unit)
    left = stage.sun[0] > stage.canvas.width / 2
    if "lighthouse" in stage.scene.things:  # no place for palms
        return
    plant(
        stage,
        ridge + 0.08 * stage.unit,
        "bare" if winter else "palm",
        2,
        0.5,
        0.95,
        spread=(0.06, 0.24) if left else (0.7, 0.88),
    )


def lighthouse(stage: Stage) -> None:
    canvas, unit = stage.canvas, stage.unit
    right = stage.sun[0] < canvas.width / 2
    tall = unit * 0.52
    x, foot = canvas.width * (0.74 if right else 0.26), stage.down(0.1)
    rock = mix(stage.ink(1), (0, 0, 0), 0.2)
    span = np.arange(canvas.width)
    cliff = (
        foot
        + np.maximum(0, np.abs(span - x) - unit * 0.12) ** 1.25 * 1.1 * unit**-0.25
        + (jagged(stage, 0, 0.05, rough=0.7) + 0.02 * unit)
    )
    box = (x - 0.2 * tall, foot - tall * 0.97, 0.4 * tall, tall)
    canvas.shape(*box, mix(stage.haze, stage.tone(0.5), 0.35 if not stage.dark else 0.6), props.lighthouse)
    canvas.shape(*box, mix((176, 60, 48), stage.tone(0.8), 0.15 if not stage.dark else 0.6), props.lighthouse_bands)
    lit = "unlit" not in stage.scene.things
    canvas.shape(*box, (255, 236, 170) if lit and stage.dark else rock, props.lighthouse_lamp)
    canvas.ground(cliff, mix(rock, stage.haze, 0.12), rock, 0.3 * unit)


def boat(stage: Stage) -> None:
    tall = stage.unit * 0.3
    x = stage.canvas.width * (0.6 if stage.sun[0] < stage.canvas.width / 2 else 0.4)
    lift = 0.98 if "wild" in stage.scene.things else 0.9  # above the crests
    box = (x - tall / 2, stage.down(0.14 if "wild" in stage.scene.things else 0.2) - tall * lift, tall, tall)
    stage.canvas.shape(*box, mix(stage.haze, WHITE, 0.15 if stage.dark else 0.6), props.sails)
    stage.canvas.shape(*box, mix(stage.ink(1), (60, 30, 20), 0.4), props.hull)


def reflect(stage: Stage, row: float) -> None:
    """What stands above ``row`` mirrored below it, paler downwards and broken by ripples."""
    canvas, first = stage.canvas, math.ceil(row)
    rows = np.arange(first, min(canvas.height, 2 * first))
    deep = (rows - row) / stage.unit
    source = np.clip(2 * row - rows, 0, first - 1).astype(int)
    shift = np.rint(np.sin(deep * 60 / (0.35 + deep)) * deep * 0.05 * stage.unit).astype(int)
    across = np.clip(np.arange(canvas.width)[None, :] + shift[:, None], 0, canvas.width - 1)
    cover = (0.5 * np.exp(-deep * 2.6)).astype(np.float32)[:, None, None]
    here = canvas.pixels[rows[0] : rows[-1] + 1]
    here += (canvas.pixels[source[:, None], across] - here) * cover
