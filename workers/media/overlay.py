"""A picture or a video over a video: frames decoded here, blended in numpy where they meet, one encode."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from media.convert import look_for_film
from media.fitting import film_size, fitted, planes
from media.formats import FILMS, USUAL_CRF, film_sound, write_film
from media.tracks import Media, Picture, check_span, frames, look
from runtime.context import Context
from runtime.errors import WorkerError

if TYPE_CHECKING:
    import numpy as np

BLACK = (16, 128, 128)
"""Y, Cb, Cr of black in the limited range."""


@dataclass(frozen=True)
class Box:
    """Where the overlay lies on the film, in even pixels; parts of it may lie outside."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class Layer:
    """What lies over the film: for Y, Cb and Cr what it adds to black, and what of the film it hides (0…1)."""

    colors: tuple[np.ndarray, ...]
    hides: tuple[np.ndarray | float, ...]


def overlay(input: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
    """The operation ``overlay``; see its schema."""
    base = look_for_film(input["media"])
    picture = base.seen()
    check_span(input["start_s"], input["end_s"], picture.duration_s)
    size, fps, name = film_size(picture, None, None), picture.fps, input["format"]
    count = picture.count_at(fps)
    first = round(input["start_s"] * fps)
    last = count if input["end_s"] is None else min(count, max(first + 1, round(input["end_s"] * fps)))
    film = _moving(input["overlay"])
    if film:
        last = min(last, first + film.count_at(fps))
    box, still = _prepared(input, film, size)
    context.check()

    def shown() -> Iterator[np.ndarray]:
        layers = _moving_layers(film, box, fps, last - first) if film else iter(())
        strengths = _strengths(last - first, round(input["fade_s"] * fps), input["opacity"])
        for number, frame in enumerate(frames(picture, fps=fps, count=count)):
            below = fitted(frame, picture, *size)
            if first <= number < last:
                layer = still or next(layers)
                below = laid_over(below, size, layer, box, strengths[number - first])
            yield below

    sound = film_sound(base.sound, name, context) if base.sound else None
    path = write_film(shown, name, context, size=size, fps=fps, count=count, crf=input["crf"], sound=sound)
    facts = {**look(str(path)).facts(), "num_frames": count}
    return {
        "media": context.publish(path, FILMS[name].media_type, **facts),
        "x": box.left,
        "y": box.top,
        "width": box.width,
        "height": box.height,
        "first_frame": first,
        "num_frames": last - first,
        "crf": USUAL_CRF[FILMS[name].picture] if input["crf"] is None else input["crf"],
    }


def _moving(path: str) -> Picture | None:
    """The overlay as a video; None for a still picture, which a GIF of one frame is too."""
    from media.pictures import picture_facts

    try:
        media: Media = look(path, "/input/overlay")
    except WorkerError as refused:
        try:
            picture_facts(Path(path))
        except WorkerError as error:
            raise WorkerError(
                error.code,
                f"{path} cannot be read as a video or a picture.",
                hint="Use a video, or a PNG, JPEG or WebP file.",
                pointer="/input/overlay",
            ) from refused
        return None
    picture = media.seen()
    return None if picture.num_frames == 1 and picture.codec == "gif" else picture


def _prepared(input: dict[str, Any], film: Picture | None, size: tuple[int, int]) -> tuple[Box, Layer | None]:  # noqa: A002
    """Where the overlay goes and, of a still picture, the layer that it is."""
    if film:
        return placed(input, (film.width, film.height), size), None
    color, through = _on_black_and_white(input["overlay"])
    box = placed(input, color.size, size)
    return box, _layer(*(_resized(image, box) for image in (color, through)))


def placed(input: dict[str, Any], natural: tuple[int, int], size: tuple[int, int]) -> Box:  # noqa: A002 - the wire's word
    """Size and place of the overlay. Raises WorkerError ``invalid_request`` where nothing of it would be seen."""
    margin = round(_pixels(input["margin"], min(size)))
    width, height = (
        None if input[side] is None else _pixels(input[side], whole)
        for side, whole in zip(("width", "height"), size, strict=True)
    )
    if width is None and height is None:
        shrunk = min(1.0, *((whole - 2 * margin) / own for own, whole in zip(natural, size, strict=True)))
        width, height = natural[0] * max(shrunk, 0), natural[1] * max(shrunk, 0)
    elif width is None:
        width = natural[0] * (height or 0) / natural[1]
    elif height is None:
        height = natural[1] * width / natural[0]
    wide, high = (max(2, 2 * round((side or 0) / 2)) for side in (width, height))
    corner = input["anchor"].split("_")
    across = margin if "left" in corner else size[0] - wide - margin if "right" in corner else (size[0] - wide) / 2
    down = margin if "top" in corner else size[1] - high - margin if "bottom" in corner else (size[1] - high) / 2
    left = across if input["x"] is None else _pixels(input["x"], size[0])
    top = down if input["y"] is None else _pixels(input["y"], size[1])
    box = Box(2 * round(left / 2), 2 * round(top / 2), wide, high)
    for field, start, side, whole in (("x", box.left, wide, size[0]), ("y", box.top, high, size[1])):
        if start >= whole or start + side <= 0:
            raise WorkerError(
                "invalid_request",
                f"The overlay would lie outside: from {field} {start} to {start + side} of {whole} pixels.",
                pointer=f"/input/{field}",
            )
    return box


def _pixels(value: float, whole: int) -> float:
    """From -1 to 1 a share of the whole, beyond it pixels."""
    return value * whole if abs(value) <= 1 else value


def _strengths(count: int, fade: int, opacity: float) -> list[float]:
    """How strongly each frame shows the overlay: it comes and goes over ``fade`` frames."""
    fade = min(fade, count // 2)
    return [opacity * min(1.0, (n + 1) / (fade + 1), (count - n) / (fade + 1)) for n in range(count)]


def laid_over(below: np.ndarray, size: tuple[int, int], layer: Layer, box: Box, strength: float) -> np.ndarray:
    """A yuv420p frame with the layer on it; only where the box lies anything is computed."""
    import numpy as np

    made = np.array(below)  # the same frame may be shown again, without it
    for number, (plane, color, hides, black) in enumerate(
        zip(planes(made, *size), layer.colors, layer.hides, BLACK, strict=True)
    ):
        half = 1 if number == 0 else 2
        rows, above = _shared(box.top // half, color.shape[0], plane.shape[0])
        columns, beside = _shared(box.left // half, color.shape[1], plane.shape[1])
        hidden = hides if isinstance(hides, float) else hides[above, beside]
        seen = (plane[rows, columns].astype(np.float32) - black) * (1 - hidden * strength)
        seen += color[above, beside] * strength + black
        plane[rows, columns] = np.clip(np.rint(seen), 0, 255).astype(np.uint8)
    return made


def _shared(start: int, length: int, whole: int) -> tuple[slice, slice]:
    """Where a stretch that starts at ``start`` lies in the whole, and which of its own part that is."""
    first, last = max(0, start), min(whole, start + length)
    return slice(first, last), slice(first - start, last - start)


def _on_black_and_white(path: str) -> tuple[Any, Any]:
    """The picture on black, which is premultiplied with its transparency, and on white, which tells what it hides."""
    from media.pictures import open_picture

    try:
        return open_picture(Path(path), background=(0, 0, 0)), open_picture(Path(path), background=(255, 255, 255))
    except WorkerError as error:
        raise WorkerError(error.code, error.message, hint=error.hint, pointer="/input/overlay") from error


def _resized(image: Any, box: Box) -> np.ndarray:
    """RGB, 0…1, of the size of the box."""
    import numpy as np
    from PIL.Image import Resampling

    sized = (
        image if image.size == (box.width, box.height) else image.resize((box.width, box.height), Resampling.BICUBIC)
    )
    return np.asarray(sized).astype(np.float32) / 255


def _layer(color: np.ndarray, through: np.ndarray) -> Layer:
    """From RGB on black and on white (0…1), by BT.709 (Rec. ITU-R BT.709-6, §3): what each adds to black."""
    red, green, blue = (color[..., channel] for channel in range(3))
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    hides = (1 - (through - color).mean(axis=2)).clip(0, 1)
    chroma = (224 * (blue - luma) / 1.8556, 224 * (red - luma) / 1.5748)
    quarter = _halved(hides)
    return Layer((219 * luma, *map(_halved, chroma)), (hides, quarter, quarter))


def _halved(plane: np.ndarray) -> np.ndarray:
    """Means of squares of four."""
    halved: np.ndarray = plane.reshape(plane.shape[0] // 2, 2, plane.shape[1] // 2, 2).mean(axis=(1, 3))
    return halved


def _moving_layers(film: Picture, box: Box, fps: Fraction, count: int) -> Iterator[Layer]:
    import numpy as np

    for frame in frames(film, fps=fps, count=count):
        if any(component.is_alpha for component in frame.format.components):
            drawn = frame.reformat(width=box.width, height=box.height, format="rgba").to_ndarray()
            share = drawn[..., 3:].astype(np.float32) / 255
            color = drawn[..., :3].astype(np.float32) / 255 * share
            yield _layer(color, color + 1 - share)
        else:
            shown = planes(fitted(frame, film, box.width, box.height, "stretch"), box.width, box.height)
            colors = tuple(plane.astype(np.float32) - black for plane, black in zip(shown, BLACK, strict=True))
            yield Layer(colors, (1.0, 1.0, 1.0))
