"""The places of storyboard panels, painted from the horizon to the nearest ground."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
from PIL import Image

from engines.image_generation._canvas import Canvas, mix
from engines.image_generation._composition import stand
from engines.image_generation._features import (
    boat,
    bushes,
    furrows,
    lighthouse,
    nearest_ground,
    path,
    reflect,
    river,
    settle,
    shore,
    skyline,
    snowcap,
    usual_tree,
    water,
    wave,
)
from engines.image_generation._furniture import hanging_lamp, rug, shelf, table, wallpaper, window_frame
from engines.image_generation._scene import MOODS, Scene
from engines.image_generation._stage import (
    WHITE,
    Stage,
    dunes,
    fall,
    fly,
    jagged,
    lay,
    open_stage,
    paint_sky,
    plant,
    rolling,
    strike,
)

MOONLIT_PEAKS, MOONLIT_TREES = 0.3, 0.6
"""Height in units of mountains that must not hide the moon, and the share of its height left to a forest's tree."""


def draw_panel(prompt: str, scene: Scene, seed: int, width: int, height: int) -> Image.Image:
    """The panel of a prompt's scene, ``width`` × ``height`` pixels: the same arguments give the same picture."""
    digest = hashlib.sha256(f"{seed}\n{prompt}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    canvas = Canvas(width, height)
    paint(canvas, scene, rng)
    canvas.vignette(0.3)
    return canvas.picture(rng)


def paint(canvas: Canvas, scene: Scene, rng: np.random.Generator) -> None:
    """A scene over the whole canvas."""
    stage = open_stage(canvas, scene, MOODS[scene.mood], rng)
    if scene.place == "room":
        _room(stage)
        stand(stage)
        return
    paint_sky(stage)
    strike(stage)
    PLACES[scene.place](stage)
    if scene.mood not in {"night", "storm"}:
        canvas.glow(*stage.sun, stage.unit * 0.9, stage.palette.light, 0.16)  # the light lies on the land too
    fly(stage)
    stand(stage)
    fall(stage)


def _hills(stage: Stage) -> None:
    lay(stage, jagged(stage, stage.horizon, 0.16, rough=0.42), 0.0, 0.35)
    lay(stage, rolling(stage, stage.down(0.08), 0.06, 1.3), 0.22)
    ridge = lay(stage, rolling(stage, stage.down(0.26), 0.05, 1.0), 0.45)
    settle(stage, ridge, 0.5)
    plant(stage, ridge, usual_tree(stage), 5, 0.1, 0.58)
    ridge = lay(stage, rolling(stage, stage.down(0.5), 0.05, 1.4), 0.7)
    plant(stage, ridge, usual_tree(stage), 3 if "trees" in stage.scene.things else 1, 0.3, 0.86, spread=(0.05, 0.95))
    path(stage, ridge)
    nearest_ground(stage)


def _mountains(stage: Stage) -> None:
    peaks = jagged(stage, stage.horizon, MOONLIT_PEAKS if "moon" in stage.scene.things else 0.62)
    lay(stage, peaks, 0.0, 0.7)
    snowcap(stage, peaks)
    lay(stage, jagged(stage, stage.down(0.1), 0.3), 0.3, 0.4)
    ridge = lay(stage, rolling(stage, stage.down(0.3), 0.06, 1.2), 0.52)
    plant(stage, ridge, "conifer", 26, 0.09, 0.62)
    settle(stage, ridge, 0.6)
    ridge = lay(stage, rolling(stage, stage.down(0.56), 0.05, 1.5), 0.76)
    plant(stage, ridge, "conifer", 5, 0.3, 0.9)
    nearest_ground(stage)


def _fields(stage: Stage) -> None:
    lay(stage, rolling(stage, stage.horizon, 0.03, 1.8), 0.08, 0.2)
    ridge = lay(stage, rolling(stage, stage.down(0.05), 0.022, 1.2), 0.3, 0.15)
    plant(stage, ridge, usual_tree(stage), 6, 0.075, 0.42)
    settle(stage, ridge, 0.45)
    top = stage.down(0.13)
    lay(stage, rolling(stage, top, 0.008, 2.5), 0.42, 0.9)
    if stage.scene.mood != "winter":
        furrows(stage, top + 0.012 * stage.unit)
    if stage.scene.mood in {"dry", "winter", "dusk", "night"} or "trees" in stage.scene.things:
        kind = "bare" if stage.scene.mood in {"dry", "winter"} else usual_tree(stage)
        side = (0.1, 0.22) if stage.sun[0] > stage.canvas.width / 2 else (0.78, 0.9)
        plant(stage, np.full(stage.canvas.width, stage.down(0.42)), kind, 1, 0.5, 1.0, spread=side)
    nearest_ground(stage)


def _desert(stage: Stage) -> None:
    lay(stage, jagged(stage, stage.horizon + 0.02 * stage.unit, 0.1, rough=0.4), 0.0, 0.2)
    for share, height, depth in ((0.1, 0.05, 0.2), (0.28, 0.09, 0.4), (0.55, 0.13, 0.62), (0.9, 0.16, 0.85)):
        ridge = dunes(stage, stage.down(share), height)
        lay(stage, ridge, depth, 0.35)
        if depth == 0.4:
            plant(stage, ridge, "palm", 2, 0.16, 0.75, spread=(0.15, 0.85))


def _forest(stage: Stage) -> None:
    lay(stage, rolling(stage, stage.horizon, 0.05), 0.0)
    kind = (
        "bare"
        if stage.scene.mood == "winter" and stage.rng.random() < 0.5
        else "conifer"
        if stage.rng.random() < 0.65
        else "round"
    )
    for share, size, count, depth in (
        (0.02, 0.2, 24, 0.12),
        (0.1, 0.32, 17, 0.32),
        (0.24, 0.48, 10, 0.55),
        (0.44, 0.74, 4, 0.82),
    ):
        ridge = rolling(stage, stage.down(share), 0.03, 1.1)
        wide = max(1.0, stage.canvas.width / stage.unit)
        tall = size * (MOONLIT_TREES if "moon" in stage.scene.things else 1) * (0.72 if kind == "round" else 1)
        plant(stage, ridge, kind, int(count * wide), tall, depth)
        lay(stage, ridge, depth, 0.25)
        if depth == 0.32:
            settle(stage, ridge, 0.5)
    path(stage, ridge)
    nearest_ground(stage)


def _garden(stage: Stage) -> None:
    lay(stage, rolling(stage, stage.horizon, 0.05, 1.2), 0.05)
    ridge = lay(stage, rolling(stage, stage.down(0.1), 0.03, 1.0), 0.3)
    plant(stage, ridge, "poplar", 7, 0.26, 0.42)
    plant(stage, ridge, "round", 4, 0.2, 0.5)
    settle(stage, ridge, 0.5)
    ridge = lay(stage, rolling(stage, stage.down(0.3), 0.025, 1.6), 0.52, 0.5)
    path(stage, ridge)
    for share, depth in ((0.36, 0.64), (0.62, 0.8)):
        bushes(stage, stage.down(share), depth)
    nearest_ground(stage)


def _city(stage: Stage) -> None:
    for share, height, depth in ((0.02, 0.5, 0.1), (0.12, 0.38, 0.38), (0.26, 0.26, 0.66)):
        skyline(stage, stage.down(share), height, depth)
    if stage.on_land:
        lay(stage, np.full(stage.canvas.width, stage.room[1] - 0.05 * stage.unit), 0.5, 0.2)
    quay = max(stage.down(0.27), stage.room[1] + 0.03 * stage.unit)
    water(stage, quay, stage.canvas.height)
    reflect(stage, quay)
    bank = np.full(stage.canvas.width, quay - 0.006 * stage.unit)
    plant(stage, bank + 0.01 * stage.unit, "round", 6, 0.09, 0.9)
    stage.canvas.shape(
        0,
        quay - 0.01 * stage.unit,
        stage.canvas.width,
        0.02 * stage.unit,
        stage.ink(0.95),
        lambda pen: pen.box(0, 0, 1e4, 1),
    )
    nearest_ground(stage)


def _sea(stage: Stage) -> None:
    wild = stage.scene.mood == "storm" or "wild" in stage.scene.things
    water(stage, stage.horizon, stage.canvas.height)
    if "lighthouse" in stage.scene.things:
        lighthouse(stage)
    if "boat" in stage.scene.things:
        boat(stage)
    tall = 0.055 if wild else 0.018
    for share in (0.22, 0.38, 0.56, 0.76) if wild else (0.5, 0.72):
        wave(stage, stage.down(share), tall * (0.6 + share), 0.25 + 0.75 * share)
    if (not wild and "boat" not in stage.scene.things) or stage.on_land:
        shore(stage)


def _lake(stage: Stage) -> None:
    lay(stage, jagged(stage, stage.horizon, 0.3, rough=0.45), 0.0, 0.35)
    ridge = lay(stage, rolling(stage, stage.down(0.04), 0.035, 1.0), 0.3)
    plant(stage, ridge, "conifer", 14, 0.11, 0.42)
    settle(stage, ridge, 0.45)
    water(stage, stage.down(0.16), stage.canvas.height)
    bank = rolling(stage, stage.room[1] - 0.08 * stage.unit if stage.on_land else stage.down(0.62), 0.02, 1.6)
    slope = np.linspace(0, 0.04 if stage.on_land else 0.5, stage.canvas.width) * stage.unit
    ridge = lay(stage, bank + (slope if stage.sun[0] > stage.canvas.width / 2 else slope[::-1]), 0.75)
    plant(
        stage,
        ridge,
        usual_tree(stage),
        2,
        0.4,
        0.95,
        spread=(0.02, 0.2) if stage.sun[0] > stage.canvas.width / 2 else (0.8, 0.98),
    )
    nearest_ground(stage)


def _room(stage: Stage) -> None:
    """A wall with a window, through which another scene is seen, a shelf, a lamp and a table on a rug."""
    canvas, unit, palette = stage.canvas, stage.unit, stage.palette
    warm = (196, 132, 96) if stage.dark else (236, 200, 158)
    wall = mix(mix(palette.near, warm, 0.45), palette.sky[1], 0.15)
    line = stage.room[1] - 0.06 * unit
    canvas.sky((mix(wall, (0, 0, 0), 0.22), wall, mix(wall, WHITE, 0.1)), line)
    wallpaper(stage, line, mix(wall, WHITE, 0.25))
    floor = mix(wall, (52, 26, 18), 0.62)
    canvas.ground(np.full(canvas.width, line - 0.03 * unit), mix(wall, WHITE, 0.35), mix(wall, WHITE, 0.3), unit)
    canvas.ground(np.full(canvas.width, line), mix(floor, warm, 0.18), floor, canvas.height - line)
    left_side = stage.sun[0] < canvas.width / 2
    wide, tall = unit * 0.5, min(unit * 0.62, canvas.height * 0.46)
    x, y = int((canvas.width - wide) * (0.24 if left_side else 0.76)), max(2, int(line - tall - unit * 0.2))
    view = Canvas(max(4, int(wide)), max(4, int(tall)))
    paint(view, Scene(stage.scene.mood, "hills", stage.scene.things | {"window"}), stage.rng)
    part = canvas.pixels[y : y + view.height, x : x + view.width]
    part[:] = view.pixels[: part.shape[0], : part.shape[1]]
    furniture = mix(floor, (20, 10, 10), 0.45)
    window_frame(stage, x, y, view.width, view.height, mix(wall, WHITE, 0.6), mix(palette.accent, wall, 0.35))
    canvas.glow(x + wide / 2, y + tall / 2, unit * 0.6, palette.light, 0.08 if stage.dark else 0.22)
    other = canvas.width * (0.8 if left_side else 0.2)
    shelf(stage, other, y + 0.3 * tall, furniture)
    if y > 0.3 * unit:  # else it would hang before the shelf
        hanging_lamp(stage, other, y - 0.12 * tall, furniture)
    if stage.scene.pictograms:  # they take the table's place
        rug(stage, canvas.width / 2, stage.room[1], 1.15 * unit, furniture)
    else:
        table(stage, canvas.width * (0.58 if left_side else 0.42), line, furniture)


def _river(stage: Stage) -> None:
    """Hills with a river that winds down to us; in a drought its bed."""
    lay(stage, jagged(stage, stage.horizon, 0.2, rough=0.42), 0.0, 0.35)
    lay(stage, rolling(stage, stage.down(0.05), 0.05, 1.3), 0.22)
    ridge = lay(stage, rolling(stage, stage.down(0.14), 0.03, 1.0), 0.42, 0.6)
    plant(stage, ridge, usual_tree(stage), 5, 0.1, 0.58)
    settle(stage, ridge, 0.5)
    river(stage, ridge)
    side = (0.0, 0.1) if stage.sun[0] > stage.canvas.width / 2 else (0.9, 1.0)
    plant(stage, np.full(stage.canvas.width, stage.down(0.55)), usual_tree(stage), 2, 0.42, 0.95, spread=side)
    nearest_ground(stage)


PLACES: dict[str, Callable[[Stage], None]] = {
    "river": _river,
    "hills": _hills,
    "mountains": _mountains,
    "fields": _fields,
    "desert": _desert,
    "forest": _forest,
    "garden": _garden,
    "city": _city,
    "sea": _sea,
    "lake": _lake,
}
