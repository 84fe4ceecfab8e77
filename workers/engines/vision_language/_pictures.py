"""Users' pictures, as models and services take them."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engines.vision_language import _questions
from media.pictures import open_picture
from runtime.context import Context
from runtime.errors import WorkerError

if TYPE_CHECKING:
    from PIL.Image import Image

JPEG_QUALITY = 92
"""Of 95: what a model sees is no different from the original, at a fifth of a PNG's size."""


def opened(op: str, input: Mapping[str, Any], longest_side: int, context: Context) -> list[Image]:  # noqa: A002
    """The request's pictures, upright and as RGB, scaled down to ``longest_side`` pixels one after the other.

    Raises WorkerError ``input_not_found`` or ``input_unreadable`` with the field of the picture.
    """
    named = _questions.pictures(op, input)
    found = []
    for number, (path, pointer) in enumerate(named):
        context.progress("prepare", number, len(named), "pictures")
        try:
            picture = open_picture(Path(path))
        except WorkerError as error:
            error.pointer = pointer
            raise
        found.append(_fitted(picture, longest_side))
    context.progress("prepare", len(named), len(named), "pictures")
    return found


def jpeg(picture: Image) -> str:
    """The picture as a JPEG file in base64."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return base64.b64encode(file.getvalue()).decode("ascii")


def _fitted(picture: Image, longest_side: int) -> Image:
    from PIL.Image import Resampling

    if max(picture.size) > longest_side:
        picture.thumbnail((longest_side, longest_side), Resampling.LANCZOS, reducing_gap=3.0)
    return picture
