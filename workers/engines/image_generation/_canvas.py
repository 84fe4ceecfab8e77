"""A picture in the making: float RGB, 0..255, painted on with anti-aliased coverage.

Everything is placed in pixels of the finished picture; ``unit`` is its shorter side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from engines.image_generation._scene import Rgb

Array = NDArray[Any]
Draw = Callable[["Pen"], None]

GRAIN = 0.5  # levels, standard deviation: enough to hide the steps of 8 bits; more is coded by every encoder after us


def mix(a: Sequence[float], b: Sequence[float], share: float) -> Rgb:
    """``a`` with ``share`` (0..1) of ``b``."""
    red, green, blue = (x + (y - x) * share for x, y in zip(a, b, strict=True))
    return red, green, blue


class Canvas:
    """``pixels`` is (height, width, 3) float32."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.unit = float(min(width, height))
        self.pixels: Array = np.zeros((height, width, 3), np.float32)

    def sky(self, colors: tuple[Rgb, Rgb, Rgb], horizon: float) -> None:
        """Three colours down to the row ``horizon``, the last one below it."""
        place = np.clip((np.arange(self.height) + 0.5) / horizon, 0, 1)
        channels = [np.interp(place, (0, 0.55, 1), [color[i] for color in colors]) for i in range(3)]
        self.pixels[:] = np.stack(channels, axis=-1)[:, None, :]

    def ground(self, ridge: Array, top: Rgb, bottom: Rgb, depth: float) -> None:
        """Fill below ``ridge`` (a row for each column), from ``top`` to ``bottom`` within ``depth`` rows."""
        first, solid = max(0, int(ridge.min()) - 1), min(self.height, max(0, int(ridge.max()) + 2))
        if first >= self.height:
            return
        rows = np.arange(first, self.height, dtype=np.float32)
        share = np.clip((rows - ridge.min()) / max(depth, 1), 0, 1)[:, None]
        colors = (np.array(top, np.float32) * (1 - share) + np.array(bottom, np.float32) * share)[:, None, :]
        edge = solid - first
        cover = np.clip(rows[:edge, None] + 1 - ridge.astype(np.float32), 0, 1)[..., None]
        self.pixels[first:solid] += (colors[:edge] - self.pixels[first:solid]) * cover
        self.pixels[solid:] = colors[edge:]

    def glow(self, x: float, y: float, radius: float, color: Rgb, strength: float, *, flat: float = 1.0) -> None:
        """Light (or shadow) that falls off around a point; ``flat`` is its height by its width."""
        across = np.exp(-(((np.arange(self.width) - x) / radius) ** 2)).astype(np.float32)
        down = np.exp(-(((np.arange(self.height) - y) / (radius * flat)) ** 2)).astype(np.float32)
        unseen = 0.4 / (255 * strength)  # of a level: the grain hides it
        rows, columns = np.flatnonzero(down > unseen), np.flatnonzero(across > unseen)
        if not len(rows) or not len(columns):
            return
        here = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        light = np.outer(np.float32(strength) * down[here[0]], across[here[1]])
        for channel, level in enumerate(color):
            part = self.pixels[(*here, channel)]
            part += (np.float32(level) - part) * light

    def shape(
        self, x: float, y: float, width: float, height: float, color: Rgb, draw: Draw, opacity: float = 1.0
    ) -> None:
        """A shape in the box (x, y, width, height); what lies outside the picture is cut off."""
        if width < 1 or height < 1 or x >= self.width or y >= self.height or x + width <= 0 or y + height <= 0:
            return
        finer = 4 if max(width, height) < 500 else 2
        left, top = int(np.floor(x)), int(np.floor(y))
        columns, rows = int(np.ceil(x + width)) - left + 1, int(np.ceil(y + height)) - top + 1
        mask = Image.new("L", (columns * finer, rows * finer))
        draw(Pen(mask, (x - left) * finer, (y - top) * finer, height * finer))
        self.stamp(mask.reduce(finer), left, top, color, opacity)

    def stamp(self, mask: Image.Image, left: int, top: int, color: Rgb, opacity: float = 1.0) -> None:
        """Paint ``color`` where ``mask`` (mode L) is white, its corner at (left, top)."""
        x0, y0 = max(0, left), max(0, top)
        x1, y1 = min(self.width, left + mask.width), min(self.height, top + mask.height)
        if x0 >= x1 or y0 >= y1:
            return
        cover = np.asarray(mask, np.float32)[y0 - top : y1 - top, x0 - left : x1 - left, None] * (opacity / 255)
        self.pixels[y0:y1, x0:x1] += (np.array(color, np.float32) - self.pixels[y0:y1, x0:x1]) * cover

    def vignette(self, strength: float) -> None:
        """Darken towards the corners by up to ``strength``."""
        across = np.linspace(-1, 1, self.width, dtype=np.float32) ** 2
        down = np.linspace(-1, 1, self.height, dtype=np.float32) ** 2
        self.pixels *= (1 - strength * np.square((across[None, :] + down[:, None]) / 2))[..., None]

    def picture(self, rng: np.random.Generator) -> Image.Image:
        """The finished 8-bit picture, with a fine grain that is the same in all three channels."""
        grain = rng.standard_normal((self.height, self.width), np.float32) * GRAIN
        return Image.fromarray(np.clip(np.rint(self.pixels + grain[..., None]), 0, 255).astype(np.uint8))


class Pen:
    """Draws on a mask in units of a shape's height, from the shape's own corner."""

    def __init__(self, mask: Image.Image, dx: float, dy: float, scale: float) -> None:
        self._draw = ImageDraw.Draw(mask)
        self._dx, self._dy, self._scale = dx, dy, scale

    def _at(self, x: float, y: float) -> tuple[float, float]:
        return x * self._scale + self._dx, y * self._scale + self._dy

    def polygon(self, points: Iterable[tuple[float, float]], ink: int = 255) -> None:
        self._draw.polygon([self._at(x, y) for x, y in points], fill=ink)

    def box(self, x: float, y: float, width: float, height: float, ink: int = 255) -> None:
        self.polygon([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], ink)

    def oval(self, x: float, y: float, rx: float, ry: float, ink: int = 255) -> None:
        self._draw.ellipse((*self._at(x - rx, y - ry), *self._at(x + rx, y + ry)), fill=ink)

    def line(self, points: Iterable[tuple[float, float]], width: float, ink: int = 255) -> None:
        wide = max(1, round(width * self._scale))
        self._draw.line([self._at(x, y) for x, y in points], fill=ink, width=wide, joint="curve")
