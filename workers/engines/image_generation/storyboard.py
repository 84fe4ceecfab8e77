"""Storyboard panels without a model: an illustrated scene read from the prompt's words, or the user's own pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.context import Context

if TYPE_CHECKING:
    from PIL.Image import Image

SEEDS = 2**32
PNG_LEVEL = 1  # grain hardly compresses: level 6 takes three times as long and saves a tenth


class Engine:
    """``generate``: one panel a prompt and picture asked; the same prompt, scene, seed and size give the same bytes.

    ``read_scenes`` reads a whole story and says what each of its panels shows.
    """

    version = "3"
    requires: tuple[str, ...] = ("PIL", "numpy", "fontTools", "snowballstemmer")
    key_env: str | None = None
    remote = False
    ops: tuple[str, ...] = ("generate", "read_scenes")
    capabilities = frozenset({"seed"})
    models: Mapping[str, Mapping[str, Any]] = {}
    options_schema: Mapping[str, Any] = {
        "type": "object",
        "properties": {
            "pictures": {
                "type": ["string", "null"],
                "minLength": 1,
                "maxLength": 4096,
                "default": None,
                "description": "Folder of pictures to use, in natural order of their names; null: panels are drawn.",
            },
            "first_picture": {
                "type": "integer",
                "minimum": 0,
                "maximum": 1000000,
                "default": 0,
                "description": "Which picture the first prompt gets, from 0; after the last comes the first again.",
            },
            "language": {
                "type": ["string", "null"],
                "minLength": 2,
                "maxLength": 35,
                "default": None,
                "description": "Language of the prompts, a BCP 47 tag; null, or one that is not known: told from the "
                "words of the setting and the prompt.",
            },
            "setting": {
                "type": ["string", "null"],
                "minLength": 1,
                "maxLength": 10000,
                "default": None,
                "description": "Words that set place and mood where the prompt's own words name none, such as the "
                "story's opening; null: drawn by lot.",
            },
            "scene": {
                "type": ["object", "null"],
                "properties": {
                    "mood": {"type": "string", "description": "Hour, weather or season, such as night."},
                    "place": {"type": "string", "description": "Landscape, such as sea."},
                    "things": {
                        "type": "array",
                        "items": {"type": "string"},
                        "description": "What the landscape has, such as lighthouse.",
                    },
                    "pictograms": {
                        "type": "array",
                        "items": {"type": "string"},
                        "description": "Emoji before it, the main one first.",
                    },
                },
                "required": ["mood", "place", "things", "pictograms"],
                "additionalProperties": False,
                "default": None,
                "description": "What the panels show, as read_scenes says it; null: it is read from each prompt.",
            },
        },
        "additionalProperties": False,
    }

    def load(self, model: Mapping[str, Any], options: Mapping[str, Any], context: Context) -> None:
        """Nothing to load."""

    def run(self, op: str, input: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
        """Make the pictures, or read what they show.

        Raises WorkerError ``input_not_found`` or ``input_unreadable`` for the user's pictures, ``invalid_request`` for
        a scene that cannot be drawn, ``output_failed``.
        """
        if op == "read_scenes":
            return _read(input, context)
        width, height, each = (int(input[name]) for name in ("width", "height", "num_images_per_prompt"))
        own = _own_pictures(context)
        total, images = len(input["prompts"]) * each, []
        context.progress("run", 0, total, "pictures")
        for number, prompt in enumerate(input["prompts"]):
            first = input["seed"] if own or input["seed"] is not None else _seed_of(prompt)
            for variant in range(each):
                seed = None if first is None else (first + variant) % SEEDS
                picture = (
                    _taken(own[number % len(own)], width, height, context)
                    if own
                    else _drawn(prompt, seed or 0, width, height, context.engine_options)
                )
                images.append(_published(picture, prompt, seed, context))
                context.progress("run", len(images), total, "pictures")
        return {"images": images}

    def unload(self) -> None:
        """Nothing to give back."""


def _own_pictures(context: Context) -> list[Path]:
    """The user's pictures, the first prompt's first; none where panels are to be drawn."""
    from media.pictures import list_pictures

    folder = context.engine_options["pictures"]
    if folder is None:
        return []
    pictures = list_pictures(Path(folder))
    first = context.engine_options["first_picture"] % len(pictures)
    return pictures[first:] + pictures[:first]


def _taken(path: Path, width: int, height: int, context: Context) -> Image:
    from engines.image_generation._subject import crop_to_subject
    from media.pictures import SHARP_UPSCALE, open_picture, upscale_factor

    picture = open_picture(path)
    factor = upscale_factor(picture.size, width, height)
    if factor > SHARP_UPSCALE:
        context.warn(
            "low_resolution",
            f"{path} has {picture.width}×{picture.height} pixels and is enlarged {factor:.1f} times "
            f"to {width}×{height}.",
        )
    return crop_to_subject(picture, width, height)


def _read(input: Mapping[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
    from engines.image_generation._scene import read_scenes

    language, scenes = read_scenes(input["prompts"], input["language"], input["setting"], input["story"], context.check)
    return {"scenes": [scene.as_json() for scene in scenes], "language": language}


def _drawn(prompt: str, seed: int, width: int, height: int, options: Mapping[str, Any]) -> Image:
    from engines.image_generation._places import draw_panel
    from engines.image_generation._scene import given_scene, read_scene

    given = options["scene"]
    scene = given_scene(given) if given else read_scene(prompt, options["language"], options["setting"])
    return draw_panel(prompt, scene, seed, width, height)


def _published(picture: Image, prompt: str, seed: int | None, context: Context) -> dict[str, Any]:
    file = context.temporary("png")
    picture.save(file, "PNG", compress_level=PNG_LEVEL)
    facts = {"width": picture.width, "height": picture.height, "prompt": prompt, "seed": seed}
    return context.publish(file, "image/png", **facts, used_refiner=False, flagged=None)


def _seed_of(prompt: str) -> int:
    """The engine's choice: the prompt's own, so that asking again gives the same panel."""
    return int.from_bytes(hashlib.sha256(prompt.encode()).digest()[:4], "big")
