"""What all places of a storyboard panel share: sky, light, ridges, trees on them, weather, foreground."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from engines.image_generation import _props as props
from engines.image_generation._canvas import Array, Canvas, Pen, mix
from engines.image_generation._concepts import concept_of
from engines.image_generation._scene import Palette, Rgb, Scene

WHITE: Rgb = (255.0, 255.0, 255.0)


@dataclass
class Stage:
    """A panel in the making. ``horizon`` is a row; ``sun`` the place of the sun or moon; ``unit`` the shorter side."""

    canvas: Canvas
    scene: Scene
    palette: Palette
    rng: np.random.Generator
    horizon: float
    sun: tuple[float, float]
    room: tuple[float, float]
    """The rows between which pictograms stand: above captions, below a title, whatever the camera does."""
    third: float
    """How far to the right they stand, 0..1 of the room there is."""
    turned: bool
    centered: bool
    scale: float
    """How near the view is: of pictograms and of what stands on the ground."""

    @property
    def unit(self) -> float:
        return self.canvas.unit

    @property
    def haze(self) -> Rgb:
        return self.palette.sky[2]

    @property
    def dark(self) -> bool:
        return self.scene.mood in {"night", "dusk", "storm"}

    @property
    def parched(self) -> bool:
        """Whether there is a drought, at any hour."""
        return self.scene.mood == "dry" or "drought" in self.scene.things

    def tone(self, depth: float) -> Rgb:
        """The ground's colour at depth 0 (horizon) to 1 (nearest)."""
        return mix(self.palette.far, self.palette.near, depth)

    def ink(self, depth: float) -> Rgb:
        """The colour of what stands on the ground; on snow, where the ground grows lighter, it still grows darker."""
        if self.scene.mood == "winter":
            return mix(self.palette.sky[1], (40, 58, 84), 0.2 + 0.75 * depth)
        return mix(self.tone(depth), (0, 0, 0), 0.12)

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    @property
    def on_land(self) -> bool:
        """Whether a pictogram needs ground under its feet."""
        shown = filter(None, map(concept_of, self.scene.pictograms))
        return any(concept.kind not in {"flyer", "aloft", "swimmer", "boat"} for concept in shown)

    def aside(self, x: float, wide: float) -> float:
        """A place at the picture's edge, on the same side: what stands nearer than the pictograms frames them."""
        edge = 0.02 * self.canvas.width + 0.1 * wide
        return edge + 0.1 * x if x < self.canvas.width / 2 else self.canvas.width - edge - 0.1 * (self.canvas.width - x)

    def down(self, share: float) -> float:
        """The row ``share`` (0..1) of the way from the horizon to the bottom."""
        return self.horizon + share * (self.canvas.height - self.horizon)


TALL, WIDE, SQUARE = (0.3, 0.598), (0.18, 0.695), (0.2, 0.685)
"""Rows for pictograms, of the height. Captions cover 66 to 80 % of a tall panel, the lowest 22 % of others; the camera
comes closer by up to a fifth."""
MOON_RISE = 0.6
"""How far above the horizon, in units, a moon stands that the words name: above roofs and what _places lowers."""


def open_stage(canvas: Canvas, scene: Scene, palette: Palette, rng: np.random.Generator) -> Stage:
    """An empty panel with its view chosen: horizon, light, how near and on which side the pictograms stand."""
    ratio = canvas.width / canvas.height
    above, foot = TALL if ratio < 0.8 else WIDE if ratio > 1.25 else SQUARE
    horizon = canvas.height * (foot - float(rng.uniform(0.04, 0.2)))
    side = rng.uniform(0.14, 0.34) if rng.random() < 0.5 else rng.uniform(0.66, 0.86)
    if "window" in scene.things:  # whose curtains hide what is at the side
        side = 0.4 + side / 5
    low = scene.mood in {"dawn", "sunset", "dry", "dusk"}
    height = horizon - canvas.unit * float(rng.uniform(0.14, 0.34) if low else rng.uniform(0.36, 0.5))
    if "moon" in scene.things:
        height = horizon - MOON_RISE * canvas.unit
    clear = float(rng.uniform(0, 0.35))  # one sky is deeper than the next
    top_color = mix(palette.sky[0], palette.sky[1], clear)
    palette = replace(palette, sky=(top_color, mix(palette.sky[1], palette.sky[2], clear / 2), palette.sky[2]))
    sun = canvas.width * float(side), max(height, canvas.height * 0.12)
    third = float(rng.choice((0.08, 0.3, 0.7, 0.92)))
    if "lighthouse" in scene.things:  # which stands where the light does not
        third = 0.08 if side < 0.5 else 0.92
    return Stage(
        canvas, scene, palette, rng, horizon, sun, (above * canvas.height, foot * canvas.height),
        third=third, turned=bool(rng.random() < 0.5),
        centered=bool(rng.random() < 0.5), scale=float(rng.choice((0.8, 1.0, 1.22))),
    )  # fmt: skip


# --- sky --------------------------------------------------------------------------------------------------------------


def paint_sky(stage: Stage) -> None:
    """Gradient, stars, sun or moon with their light, clouds."""
    stage.canvas.sky(stage.palette.sky, stage.horizon)
    if stage.scene.mood == "night":
        _stars(stage)
    if stage.scene.mood not in {"storm", "mist"}:
        _light(stage)
    else:
        stage.canvas.glow(*stage.sun, stage.unit * 0.55, stage.palette.light, 0.45)
    if "clouds" in stage.scene.things or stage.scene.mood in {"storm", "day", "spring", "dawn", "sunset"}:
        _clouds(stage)


def _stars(stage: Stage) -> None:
    canvas, rng = stage.canvas, stage.rng
    count = int(140 * max(1.0, canvas.height * canvas.width / canvas.unit**2))
    where = [
        (float(x), float(y) ** 1.4, float(r))
        for x, y, r in zip(rng.random(count), rng.random(count), rng.random(count), strict=True)
    ]
    for faint, opacity in ((True, 0.5), (False, 0.95)):
        size = 0.0011 if faint else 0.0019
        discs = [
            (x * canvas.width / stage.horizon, y * 0.9, size * (0.6 + r) * stage.unit / stage.horizon)
            for i, (x, y, r) in enumerate(where)
            if (i % 4 > 0) == faint
        ]
        canvas.shape(0, 0, canvas.width, stage.horizon, stage.palette.light, props.dots(discs), opacity)


def _light(stage: Stage) -> None:
    canvas, unit, (x, y) = stage.canvas, stage.unit, stage.sun
    night = stage.scene.mood == "night"
    radius = unit * (0.062 if night else 0.085 if stage.scene.mood in {"dawn", "sunset", "dry", "dusk"} else 0.058)
    light = stage.palette.light
    canvas.glow(x, y, unit * 0.62, light, 0.22 if night else 0.42)
    canvas.glow(x, y, unit * 0.2, light, 0.3 if night else 0.5)
    canvas.shape(x - radius, y - radius, 2 * radius, 2 * radius, light, props.dots([(0.5, 0.5, 0.5)]))
    if night:
        spots = [(0.36, 0.4, 0.1), (0.6, 0.3, 0.06), (0.58, 0.64, 0.13), (0.3, 0.68, 0.05)]
        canvas.shape(
            x - radius,
            y - radius,
            2 * radius,
            2 * radius,
            mix(light, stage.palette.sky[1], 0.25),
            props.dots(spots),
            0.6,
        )


def _clouds(stage: Stage) -> None:
    canvas, unit, storm = stage.canvas, stage.unit, stage.scene.mood == "storm"
    color = mix(stage.palette.sky[0], (0, 0, 0), 0.12) if storm else mix(stage.palette.sky[2], WHITE, 0.55)
    if stage.scene.mood in {"sunset", "dusk", "night"}:
        color = mix(stage.palette.sky[1], stage.palette.sky[2], 0.45)
    for _ in range(9 if storm else 4):
        height = unit * stage.between(0.05, 0.11) * (1.9 if storm else 1)
        x = stage.between(-0.15, 0.95) * canvas.width
        y = (stage.between(0.0, 0.42) if storm else stage.between(0.1, 0.72)) * stage.horizon
        shade = mix(color, stage.palette.sky[1], stage.between(0.0, 0.5))
        canvas.shape(x - height, y, 3 * height, height, shade, props.cloud(stage.rng), stage.between(0.4, 0.75))


# --- ground -----------------------------------------------------------------------------------------------------------


def rolling(stage: Stage, base: float, height: float, length: float = 0.9) -> Array:
    """A soft ridge around the row ``base``; ``height`` and ``length`` of its waves in units."""
    x = np.arange(stage.canvas.width) / stage.unit
    ridge = np.zeros(stage.canvas.width)
    for share, ratio in ((1.0, 1.0), (0.45, 2.1), (0.16, 4.7)):
        ridge += share * np.sin(2 * math.pi * (x * ratio / length * stage.between(0.85, 1.15) + stage.rng.random()))
    return base + ridge * height * stage.unit * 0.62


def jagged(stage: Stage, base: float, height: float, *, rough: float = 0.52) -> Array:
    """A mountain ridge above the row ``base``, by midpoint displacement; ``height`` in units."""
    points = np.array(
        [
            stage.between(*span)
            for span in ((0.2, 0.6), (0.55, 1.0), (0.1, 0.4), (0.4, 0.75), (0.2, 0.5), (0.7, 1.0), (0.2, 0.5))
        ]
    )
    points = points if stage.rng.random() < 0.5 else points[::-1]
    spread = 0.26
    while len(points) < 260:
        middles = (points[:-1] + points[1:]) / 2 + spread * (stage.rng.random(len(points) - 1) - 0.5)
        points = _woven(points, middles)
        spread *= rough
    span = np.linspace(0, 1, len(points)) * max(stage.canvas.width, stage.unit * 1.3)
    return base - np.interp(np.arange(stage.canvas.width), span, points) * height * stage.unit


def _woven(points: Array, middles: Array) -> Array:
    woven = np.empty(len(points) + len(middles))
    woven[0::2], woven[1::2] = points, middles
    return woven


def dunes(stage: Stage, base: float, height: float) -> Array:
    """A ridge of sand: long backs and sharp crests."""
    x = np.arange(stage.canvas.width) / stage.unit * stage.between(0.55, 0.8) + stage.rng.random()
    phase = x % 1.0
    back, face = np.clip(phase / 0.7, 0, 1), np.clip((phase - 0.7) / 0.3, 0, 1)
    crest = np.where(phase < 0.7, np.sin(back * math.pi / 2) ** 1.6, np.clip(np.cos(face * math.pi / 2), 0, 1) ** 1.3)
    swell = 0.35 * np.sin(2 * math.pi * (x * 0.37 + stage.rng.random()))
    return base - (crest + swell) * height * stage.unit


def lay(stage: Stage, ridge: Array, depth: float, thickness: float = 0.3) -> Array:
    """Ground below a ridge, fading into haze within ``thickness`` units as the next layer nears."""
    tone = stage.tone(depth)
    stage.canvas.ground(ridge, tone, mix(tone, stage.haze, 0.3 * (1 - depth) + 0.06), thickness * stage.unit)
    return ridge


def plant(
    stage: Stage,
    ridge: Array,
    kind: str,
    count: int,
    size: float,
    depth: float,
    *,
    spread: tuple[float, float] = (0, 1),
) -> None:
    """``count`` trees of a kind on a ridge, about ``size`` units high, in the ground's colour at ``depth``."""
    width, draw = props.TREES[kind]
    dark, pale = stage.ink(depth), mix(stage.ink(depth), stage.haze, 0.09)
    for _ in range(count):
        x = stage.between(*spread) * stage.canvas.width
        tall = stage.unit * size * stage.scale * stage.between(0.7, 1.25)
        if stage.scene.pictograms and float(np.median(ridge)) > stage.room[1] - 0.05 * stage.unit:
            x = stage.aside(x, tall * width)
        foot = float(ridge[int(np.clip(x, 0, stage.canvas.width - 1))]) + tall * 0.04
        stage.canvas.shape(
            x - tall * width / 2, foot - tall, tall * width, tall, mix(dark, pale, stage.between(0, 1)), draw(stage.rng)
        )


# --- what lies over all -----------------------------------------------------------------------------------------------


def fly(stage: Stage) -> None:
    """Birds where the words name them, and sometimes far ones by day."""
    canvas, unit, things = stage.canvas, stage.unit, stage.scene.things
    ink = mix(mix(stage.ink(1), (0, 0, 0), 0.4), stage.palette.sky[2], 0.12 if stage.dark else 0)
    free = {"forest": 0.12, "mountains": 0.26, "city": 0.24}.get(stage.scene.place, 0.52)  # of the sky, from the top
    if "bird" in things:
        tall = unit * stage.between(0.17, 0.21)
        x = canvas.width * (0.62 if stage.sun[0] < canvas.width / 2 else 0.36) - tall * 0.75
        canvas.shape(x, stage.horizon * free * stage.between(0.95, 1.15), tall * 1.5, tall, ink, props.big_bird)
    if "flock" in things or ("bird" not in things and not stage.dark and stage.rng.random() < 0.4):
        center = stage.between(0.3, 0.7) * canvas.width, stage.horizon * free * stage.between(0.8, 1.2)
        for _ in range(7):
            tall = unit * stage.between(0.01, 0.022)
            x, y = center[0] + unit * stage.between(-0.22, 0.22), center[1] + unit * stage.between(-0.1, 0.1)
            canvas.shape(x, y, 2 * tall, tall, ink, props.gull(stage.between(0.2, 1)), 0.8)


def fall(stage: Stage) -> None:
    """Rain, lightning or snow where the words or the mood ask for them."""
    canvas, rng = stage.canvas, stage.rng
    ratio = canvas.width / canvas.height
    if "snowfall" in stage.scene.things or stage.scene.mood == "winter":
        for size, opacity in ((0.0022, 0.6), (0.0042, 0.85), (0.008, 0.5)):
            flakes = [
                (float(x) * ratio, float(y), size * stage.unit / canvas.height)
                for x, y in rng.random((int(0.35 / size), 2))
            ]
            canvas.shape(0, 0, canvas.width, canvas.height, WHITE, props.dots(flakes), opacity)
    elif "rain" in stage.scene.things:
        starts, long = rng.random((190, 2)) * (ratio * 1.1, 1.1) - (0, 0.1), 0.075 * stage.unit / canvas.height

        def streaks(pen: Pen) -> None:
            for x, y in starts:
                reach = long * (0.6 + 0.8 * ((x * 37) % 1))
                pen.line([(x, y), (x - reach * 0.22, y + reach)], 0.0019 * stage.unit / canvas.height)

        canvas.shape(0, 0, canvas.width, canvas.height, mix(stage.palette.sky[2], WHITE, 0.4), streaks, 0.34)


def strike(stage: Stage) -> None:
    """A flash of lightning down to the horizon."""
    if "lightning" not in stage.scene.things:
        return
    bolt, x = [(0.35, 0.0)], 0.35
    for y in np.linspace(0.12, 1, 8):
        x = float(np.clip(x + stage.between(-0.16, 0.16), 0.05, 0.6))
        bolt.append((x, float(y)))
    tall, left = stage.horizon * 0.8, stage.canvas.width * stage.between(0.15, 0.7)
    stage.canvas.glow(left + 0.2 * tall, tall * 0.6, stage.unit * 0.5, WHITE, 0.35)
    stage.canvas.shape(left, stage.horizon - tall, tall * 0.7, tall, WHITE, lambda pen: pen.line(bolt, 0.009), 0.95)


def foreground(stage: Stage) -> None:
    """Tall grass at the bottom, in the darkest tone, with flowers where the words name them."""
    canvas, unit = stage.canvas, stage.unit
    ink = mix(stage.ink(1), (0, 0, 0), 0.25)
    tall = unit * stage.between(0.13, 0.17)
    wide = canvas.width / tall
    canvas.shape(0, canvas.height - tall, canvas.width, tall, ink, props.blades(stage.rng, wide, int(14 * wide) + 4))
    if "flowers" not in stage.scene.things or stage.dark:
        return
    for color in (stage.palette.accent, mix(stage.palette.accent, WHITE, 0.6), (250, 208, 92)):
        spots = [(wide * float(x), 0.12 + 0.75 * float(y)) for x, y in stage.rng.random((int(2.2 * wide) + 2, 2))]
        petals = [
            (x + 0.05 * math.cos(a), y + 0.05 * math.sin(a), 0.038) for x, y in spots for a in np.linspace(0, 5.03, 5)
        ]
        canvas.shape(0, canvas.height - tall, canvas.width, tall, color, props.dots(petals))
        canvas.shape(
            0,
            canvas.height - tall,
            canvas.width,
            tall,
            mix(color, (90, 60, 10), 0.5),
            props.dots([(x, y, 0.026) for x, y in spots]),
        )
