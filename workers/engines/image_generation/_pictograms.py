"""Pictograms as storybook figures: a body in its own colour under the light of the scene, the drawing's lines over it.

A head gets a body: a robe for a person, a sitting animal's for an animal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from engines.image_generation._canvas import Array, mix
from engines.image_generation._concepts import Concept
from engines.image_generation._glyphs import outline
from engines.image_generation._props import curve
from engines.image_generation._scene import Rgb, rgb
from engines.image_generation._stage import WHITE, Stage

FINER = 2  # masks are drawn this much larger
BODY_MASK = 110  # pixels: bodies are found on a mask this high, flooding being slow
SKIN: Rgb = (246, 212, 168)
HEAD_SHARE = {"person": 0.56, "head": 0.66}  # of a whole figure's height
CHILD_SHARE = 0.62
LINE = 0.062  # of the head's height: the lines of the glyphs

Point = tuple[float, float]


@dataclass(frozen=True)
class Part:
    """Contours as in Outline and lines of a width, in units of the whole figure's height, on a body of one colour."""

    color: Rgb
    contours: Sequence[tuple[int, Array]] = ()
    lines: Sequence[tuple[Sequence[Point], float]] = ()
    body: Sequence[Sequence[Point]] = field(default=())


def figure(concept: Concept) -> tuple[list[Part], float]:
    """The parts of a concept's figure from back to front, and its width; its height is 1."""
    color = rgb(concept.color)
    if concept.emoji in DRAWN:
        return DRAWN[concept.emoji](color)
    drawing = outline(concept.emoji)
    if concept.kind not in HEAD_SHARE:
        return [Part(color, drawing.contours)], drawing.width
    share = CHILD_SHARE if concept.kind == "person" and concept.size < 4 else HEAD_SHARE[concept.kind]
    head = drawing.width * share
    wide = max(head, 0.5 if concept.kind == "person" else 0.62)
    middle = wide / 2
    body = _robe(middle, head, share, color) if concept.kind == "person" else _seated(middle, head, share, color)
    moved = [(turn, contour * share + (middle - head / 2, 0)) for turn, contour in drawing.contours]
    return [*body, Part(SKIN if concept.kind == "person" else color, moved)], wide


def _robe(middle: float, head: float, share: float, color: Rgb) -> list[Part]:
    """A bell from the neck to the ground, with sleeves."""
    top, neck, hem, line = share - 0.07, min(head, 0.46) * 0.36, 0.24, LINE * share
    foot = 1 - line / 2
    sides = [
        [
            *curve(
                (middle + side * neck, top),
                (middle + side * neck * 1.25, top + 0.2),
                (middle + side * hem, foot - 0.03),
            ),
            (middle + side * (hem - 0.02), foot),
        ]
        for side in (-1, 1)
    ]
    bell = [*sides[0], *reversed(sides[1])]
    arms = [
        curve((middle + side * (neck + 0.01), top + 0.12), (middle + side * (neck + 0.06), top + 0.24),
              (middle + side * 0.07, top + 0.26)) for side in (-1, 1)
    ]  # fmt: skip
    return [Part(color, lines=[([*bell, bell[0]], line), *((arm, line * 0.8) for arm in arms)], body=[bell])]


def _seated(middle: float, head: float, share: float, color: Rgb) -> list[Part]:
    """A pear with two paws, and a tail behind it."""
    top, line = share - 0.12, LINE * share
    foot, wide = 1 - line / 2, min(0.27, head * 0.46)
    tail = curve((middle + wide * 0.7, foot - 0.06), (middle + wide * 1.7, foot), (middle + wide * 1.15, foot - 0.26))
    pear = [
        *curve((middle - 0.11, top), (middle - wide * 1.1, top + 0.16), (middle - wide, foot - 0.04)),
        *curve((middle - wide, foot - 0.04), (middle - wide, foot), (middle - wide * 0.7, foot)),
        *curve((middle + wide * 0.7, foot), (middle + wide, foot), (middle + wide, foot - 0.04)),
        *curve((middle + wide, foot - 0.04), (middle + wide * 1.1, top + 0.16), (middle + 0.11, top)),
    ]
    arch = [(0.02, 0.0), (0.02, 0.09), (0.085, 0.09), (0.15, 0.09), (0.15, 0.0)]
    paws = [curve(*[(middle + side * x, foot - 1.3 * y) for x, y in arch]) for side in (-1, 1)]
    legs = [[(middle + side * 0.06, foot - 0.09), (middle + side * 0.055, top + 0.2)] for side in (-1, 1)]
    lines = [([*pear, pear[0]], line), *((paw, line * 0.8) for paw in paws), *((leg, line * 0.6) for leg in legs)]
    return [Part(color, lines=[(tail, line * 1.6)]), Part(color, lines=lines, body=[pear])]


def _well(color: Rgb) -> tuple[list[Part], float]:
    """A draw well: a roof on two posts over a ring of stones."""
    roof = [(0.0, 0.36), (0.42, 0.02), (0.84, 0.36), (0.0, 0.36)]
    ring = [(0.08, 0.68), (0.13, 0.97), (0.71, 0.97), (0.76, 0.68), (0.08, 0.68)]
    stones = [[(0.105, 0.82), (0.735, 0.82)]] + [[(x, y), (x, y + 0.14)] for x, y in (
        (0.28, 0.68), (0.5, 0.68), (0.2, 0.82), (0.4, 0.82), (0.6, 0.82))]  # fmt: skip
    posts = [[(x, 0.36), (x, 0.68)] for x in (0.18, 0.66)]
    bucket = [(0.37, 0.53), (0.39, 0.64), (0.45, 0.64), (0.47, 0.53), (0.37, 0.53)]
    wood: Rgb = (150, 96, 62)
    return [
        Part(wood, lines=[*((post, 0.05) for post in posts), ([(0.18, 0.43), (0.66, 0.43)], 0.03)]),
        Part(wood, lines=[([(0.42, 0.43), (0.42, 0.53)], 0.02), (bucket, 0.028)], body=[bucket]),
        Part(color, lines=[(ring, 0.045), *((stone, 0.026) for stone in stones)], body=[ring]),
        Part((188, 92, 70), lines=[(roof, 0.045), ([(0.21, 0.19), (0.63, 0.19)], 0.02)], body=[roof]),
    ], 0.84


def _net(color: Rgb) -> tuple[list[Part], float]:
    """A fishing net that hangs from a rope with floats; the font's own is a football goal."""

    def at(across: float, down: float) -> Point:
        return 0.06 + 0.98 * across, 0.12 + 0.84 * down * math.sqrt(max(0.0, 1 - (2 * across - 1) ** 2))

    depth = [step / 12 for step in range(13)]
    mesh = []
    for start in range(-3, 10):
        for way in (-1, 1):
            line = [at(across, down) for down in depth if 0 <= (across := (start + way * 2.5 * down) / 7) <= 1]
            mesh += [(line, 0.016)] if len(line) > 1 else []
    rope = [at(step / 20, 0.0) for step in range(21)]
    hem = [at(step / 40, 1.0) for step in range(41)]
    floats = [([at(step / 4, 0.0), at(step / 4, 0.0)], 0.09) for step in range(5)]
    cork: Rgb = (201, 133, 90)
    return [Part(color, lines=[*mesh, (rope, 0.03), (hem, 0.028)]), Part(cork, lines=floats)], 1.1


DRAWN = {"well": _well, "🥅": _net}


def draw_figure(stage: Stage, concept: Concept, left: float, top: float, tall: float, *, mirrored: bool) -> None:
    """A figure ``tall`` pixels high in the light of the stage's scene."""
    parts, wide = figure(concept)
    size = max(1, round(wide * tall) + 2), max(1, round(tall) + 2)
    x, y = round(left), round(top)
    masks = [(part, *_masks(part, size, tall, mirrored=mirrored)) for part in parts]
    whole = Image.new("L", size)
    for _, body, ink in masks:
        whole = ImageChops.lighter(whole, ImageChops.lighter(body, ink))
    _rim(stage, whole, x, y, tall)
    lit_from_left = stage.sun[0] < left + wide * tall / 2
    falloff = np.linspace(255, 0, size[0]) if lit_from_left else np.linspace(0, 255, size[0])
    shade = Image.fromarray(np.broadcast_to(falloff, size[::-1]).astype(np.uint8))
    for part, body, ink in masks:
        color = in_light(stage, part.color)
        stage.canvas.stamp(body, x, y, mix(color, (30, 24, 50), 0.24))
        stage.canvas.stamp(ImageChops.multiply(body, shade), x, y, mix(color, WHITE, 0.12))
        stage.canvas.stamp(ink, x, y, line_color(stage))


def in_light(stage: Stage, color: Rgb) -> Rgb:
    """A thing's own colour as the scene's light shows it."""
    if stage.scene.place == "room":
        return mix(color, (255, 226, 180), 0.12)
    share = {"night": 0.34, "dusk": 0.24, "storm": 0.24, "sunset": 0.2, "mist": 0.14}.get(stage.scene.mood, 0.12)
    return mix(color, mix(stage.palette.sky[1], stage.palette.sky[2], 0.5), share)


def line_color(stage: Stage) -> Rgb:
    return mix(mix(stage.palette.near, (24, 20, 34), 0.75), (24, 20, 34), 1.0 if stage.scene.mood == "winter" else 0.5)


def _rim(stage: Stage, whole: Image.Image, x: int, y: int, tall: float) -> None:
    """Light around a figure, so that it stands out from what is behind it; stronger in the dark."""
    reach = max(2, round(0.016 * stage.unit))
    margin = 3 * reach
    room = Image.new("L", (whole.width + 2 * margin, whole.height + 2 * margin))
    room.paste(whole, (margin, margin))
    small = room.reduce(4) if tall > 100 else room
    glow = small.filter(ImageFilter.GaussianBlur(reach / (4 if tall > 100 else 1))).resize(room.size)
    glow = glow.point([min(255, 2 * level) for level in range(256)])
    strength = 0.62 if stage.dark else 0.45
    stage.canvas.stamp(glow, x - margin, y - margin, mix(stage.palette.light, stage.haze, 0.4), strength)


def _masks(part: Part, size: tuple[int, int], tall: float, *, mirrored: bool) -> tuple[Image.Image, Image.Image]:
    """Where a part's body is and where its ink."""
    large = size[0] * FINER, size[1] * FINER
    scale = tall * FINER
    body, ink = Image.new("L", large), Image.new("L", large)
    on_body, on_ink = ImageDraw.Draw(body), ImageDraw.Draw(ink)
    if part.contours:
        body = _enclosed(part, size, tall).resize(large, Image.Resampling.BILINEAR)
        on_body = ImageDraw.Draw(body)
        ink.paste(255, (0, 0), _wound(part, large, scale))
    for outline_points in part.body:
        on_body.polygon([(x * scale, y * scale) for x, y in outline_points], fill=255)
    for points, width in part.lines:
        thick = max(1, round(width * scale))
        line = [(x * scale, y * scale) for x, y in points]
        on_ink.line(line, fill=255, width=thick, joint="curve")
        for x, y in (line[0], line[-1]):
            on_ink.ellipse((x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2), fill=255)
    masks = [ImageChops.lighter(body, ink).reduce(FINER), ink.reduce(FINER)]
    if mirrored:
        masks = [mask.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for mask in masks]
    return masks[0], masks[1]


def _wound(part: Part, size: tuple[int, int], scale: float) -> Image.Image:
    """Where contours wind round a point: the rule TrueType fills by, which Pillow's polygons do not know."""
    turns = np.zeros(size[::-1], np.int8)
    for turn, contour in part.contours:
        points = contour * scale
        (x0, y0), (x1, y1) = np.floor(points.min(axis=0)).astype(int), np.ceil(points.max(axis=0)).astype(int) + 1
        patch = Image.new("L", (int(x1 - x0), int(y1 - y0)))
        ImageDraw.Draw(patch).polygon([(x, y) for x, y in (points - (x0, y0)).tolist()], fill=1)
        here = turns[y0:y1, x0:x1]
        here += turn * np.asarray(patch, np.int8)[: here.shape[0], : here.shape[1]]
    return Image.fromarray(((turns != 0) * 255).astype(np.uint8))


def _enclosed(part: Part, size: tuple[int, int], tall: float) -> Image.Image:
    """All that ink goes round, small gaps closed; its edge lies within the ink, so that a small mask will do."""
    less = min(1.0, BODY_MASK / tall)
    small = max(8, round(size[0] * less)), max(8, round(size[1] * less))
    margin = 4
    room = Image.new("L", (small[0] + 2 * margin, small[1] + 2 * margin))
    room.paste(_wound(part, small, tall * less), (margin, margin))
    closed = room.filter(ImageFilter.MaxFilter(3))
    ImageDraw.floodfill(closed, (0, 0), 128)
    outside = closed.point([255 * (level == 128) for level in range(256)]).filter(ImageFilter.MaxFilter(5))
    return ImageChops.invert(outside).crop((margin, margin, margin + small[0], margin + small[1]))
