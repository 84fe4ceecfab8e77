"""Where a panel's pictograms stand: large, apart from one another, inside what every camera move and caption leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engines.image_generation._canvas import mix
from engines.image_generation._concepts import SIZES, Concept, concept_of
from engines.image_generation._pictograms import draw_figure, figure
from engines.image_generation._stage import Stage

ACROSS = (0.15, 0.85)
"""The share of the width that no camera move cuts off."""
LEADING, LEADING_THING = 0.42, 0.33
"""Height of a panel's main figure, in units."""
TURNED = frozenset({"beast", "head", "flyer", "swimmer", "boat"})
"""Kinds that look to one side: to the left, in this font."""
LOOK_RIGHT = frozenset("🕊🦇🌈⭐🌟🎆🐦🦅🪂🛸🛰🐝🦋🚣⛵")
"""Those that look the other way, or both."""
AIR = frozenset({"flyer", "aloft"})
DEPTH = {"house": 0.05, "plant": 0.028, "swimmer": 0.035, "boat": 0.035}
"""How much farther up, in units, a kind's feet stand than the main figure's."""


@dataclass(frozen=True)
class Placed:
    """A figure in its box, in pixels; ``mirrored`` if it looks to the right."""

    concept: Concept
    left: float
    top: float
    wide: float
    tall: float
    mirrored: bool


def place(stage: Stage) -> list[Placed]:
    """The scene's pictograms in their places, the farthest first."""
    chosen = [concept for emoji in stage.scene.pictograms if (concept := concept_of(emoji))]
    flying = [concept for concept in chosen if concept.kind in AIR]
    standing = [concept for concept in chosen if concept.kind not in AIR]
    top, foot = stage.room
    air = (foot - top) * (0.37 if standing else 0.8)
    ground = (foot - top) * (0.62 if flying else 1.0)
    rows = _row(stage, standing, foot, ground, stage.third)
    if flying:
        rows += _row(stage, flying, top + air, air, 1 - stage.third if standing else stage.third)
    return sorted(rows, key=lambda placed: placed.top + placed.tall)


def _row(stage: Stage, row: Sequence[Concept], foot: float, highest: float, third: float) -> list[Placed]:
    """Figures side by side, their feet about the row ``foot``, none taller than ``highest`` pixels."""
    if not row:
        return []
    unit, width = stage.unit, stage.canvas.width
    talls = [
        min(_tall(concept, number == 0, len(row)) * unit * stage.scale, highest) for number, concept in enumerate(row)
    ]
    wides = [figure(concept)[1] * tall for concept, tall in zip(row, talls, strict=True)]
    span = (ACROSS[1] - ACROSS[0]) * width
    gap = 0.05 * unit if len(row) > 1 else 0.0
    shrink = min(1.0, (span - gap * (len(row) - 1)) / sum(wides))
    talls, wides = [tall * shrink for tall in talls], [wide * shrink for wide in wides]
    order = list(range(len(row)))
    order = order[1:] + order[:1] if stage.turned else order  # the main figure leads from the left or from the right
    if len(row) == 3 and stage.centered:
        order = [1, 0, 2] if stage.turned else [2, 0, 1]
    free = span - sum(wides) - gap * (len(row) - 1)
    gap += min(free / (len(row) + 1), 0.07 * unit) if len(row) > 1 else 0
    free = span - sum(wides) - gap * (len(row) - 1)
    x, placed = ACROSS[0] * width + free * third, []
    for number in order:
        concept, tall, wide = row[number], talls[number], wides[number]
        lift = DEPTH.get(concept.kind, 0.012 * number) * unit if len(row) > 1 else 0.0
        to_the_left = x + wide / 2 < width / 2 if len(row) == 1 else number == order[0] or (number != order[-1])
        mirrored = concept.kind in TURNED and (to_the_left != (concept.emoji in LOOK_RIGHT))
        placed.append(Placed(concept, x, max(foot - highest, foot - tall - lift), wide, tall, mirrored))
        x += wide + gap
    return placed


def _tall(concept: Concept, leading: bool, count: int) -> float:
    """A figure's height in units: the main one large, even a mouse."""
    own = SIZES[concept.size - 1]
    if not leading:
        return own
    if concept.kind == "thing" and count > 1:
        return own * 1.1  # not larger than who handles it
    highest = LEADING_THING if concept.kind in {"thing", "aloft"} else LEADING
    return max(own, min(highest, own * 1.45)) * (1.1 if count == 1 else 1.0)


def stand(stage: Stage) -> None:
    """Draw the scene's pictograms where they stand, with their shadows."""
    canvas, unit = stage.canvas, stage.unit
    placed = place(stage)
    if not placed:
        return
    left, right = min(each.left for each in placed), max(each.left + each.wide for each in placed)
    canvas.glow((left + right) / 2, sum(stage.room) / 2, (right - left) * 0.5 + 0.12 * unit, stage.haze, 0.2)
    dark = mix(stage.palette.near, (16, 12, 28), 0.8)
    for each in placed:
        if each.concept.kind not in AIR:
            foot, middle = each.top + each.tall, each.left + each.wide / 2
            canvas.glow(middle, foot, each.wide * 0.52, dark, 0.3, flat=0.13)
            canvas.glow(middle, foot, each.wide * 0.36, dark, 0.35, flat=0.08)
        draw_figure(stage, each.concept, each.left, each.top, each.tall, mirrored=each.mirrored)
