"""Frames of a film side by side in one picture."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from media.convert import look_for_film
from media.fitting import image_of
from media.tracks import Picture, timed_frames
from runtime.context import Context
from runtime.errors import WorkerError

MEDIA_TYPES = {"jpg": "image/jpeg", "png": "image/png"}
QUALITY = 90
SEEK_OVER_S = 5.0
"""What is further away is sought. Encoders set a key frame every 250 frames or so: the near is decoded as fast."""
ROUNDING_S = 0.002
"""Matroska's times are rounded to milliseconds."""
LARGEST_SIDE = 16384
"""Of a JPEG, decoders take 65,535 at most and many programs much less."""
SHEET_SHAPE = 4 / 3


def contact_sheet(input: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
    """The operation ``contact_sheet``; see its schema."""
    from PIL import Image

    picture = look_for_film(input["media"]).seen()
    times = _times(input, picture.duration_s)
    width = input["cell_width"]
    height = max(1, round(picture.height * width / picture.width))
    columns = min(len(times), input["columns"] or sensible_columns(len(times), width / height))
    rows, gap = math.ceil(len(times) / columns), input["gap"]
    size = columns * (width + gap) + gap, rows * (height + gap) + gap
    if max(size) > LARGEST_SIDE:
        raise WorkerError(
            "invalid_request",
            f"The sheet would have {size[0]}×{size[1]} pixels; at most {LARGEST_SIDE} a side are allowed.",
            hint="Give a smaller cell_width, or fewer times.",
            pointer="/input/cell_width",
        )
    sheet = Image.new("RGB", size, input["background"])
    cells: list[dict[str, Any]] = [{}] * len(times)
    for done, (number, shown) in enumerate(_in_order(picture, times, context), 1):
        x, y = gap + number % columns * (width + gap), gap + number // columns * (height + gap)
        sheet.paste(image_of(shown, picture, width, height), (x, y))
        cells[number] = {"time_s": times[number], "x": x, "y": y}
        context.progress("run", done, len(times), "frames")
    path = context.temporary(input["format"])
    sheet.save(path, quality=QUALITY)  # PNG has none and passes it by
    made = context.publish(path, MEDIA_TYPES[input["format"]], width=size[0], height=size[1])
    return {"image": made, "columns": columns, "rows": rows, "cell_width": width, "cell_height": height, "cells": cells}


def sensible_columns(count: int, shape: float) -> int:
    """How many columns of cells of a shape (width by height) make a sheet near four to three with few empty places."""

    def oddness(columns: int) -> float:
        rows = math.ceil(count / columns)
        return abs(math.log(columns * shape / rows / SHEET_SHAPE)) + (columns * rows - count) / count

    return min(range(1, count + 1), key=oddness)


def _times(input: dict[str, Any], duration_s: float) -> list[float]:  # noqa: A002 - the wire's word
    """The moments, in seconds, in the order of the cells."""
    given = input["times_s"]
    if not given:
        return [round((n + 0.5) * duration_s / input["count"], 6) for n in range(input["count"])]
    for number, time in enumerate(given):
        if time > duration_s + ROUNDING_S:
            raise WorkerError(
                "invalid_request",
                f"times_s has {time:g}; the film lasts {duration_s:.3f} s.",
                pointer=f"/input/times_s/{number}",
            )
    return [float(time) for time in given]


def _in_order(picture: Picture, times: Sequence[float], context: Context) -> Iterator[tuple[int, Any]]:
    """(index, frame shown then) of every time, in one pass over the film that leaps over what is far."""
    found = shown = None
    ahead: tuple[float, Any] | None = None
    for number in sorted(range(len(times)), key=lambda index: times[index]):
        time = times[number] + ROUNDING_S
        if found is None or (ahead is not None and time > ahead[0] + SEEK_OVER_S):
            found = timed_frames(picture, times[number])
            ahead = next(found, None)
        while ahead is not None and (shown is None or ahead[0] <= time):
            context.check()
            shown, ahead = ahead[1], next(found, None)
        yield number, shown
