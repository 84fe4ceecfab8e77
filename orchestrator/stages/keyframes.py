"""Stage 8: one picture a shot, scored and drawn again where there is a vision model."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.item import Item
from orchestrator.making import Making, item_name
from orchestrator.stages.judging import Draw, Selection

CAMERA_ROOM = 1.2
"""Pictures are this much larger than the film, so that a camera move never has to enlarge them."""
MAX_SIDE = 4096
SEEDS_A_ROLL = 1000
"""Apart: the variants of one roll count their seeds up from its first."""

SETTING_LENGTH = 10_000  # characters


def make(making: Making) -> None:
    """Draw every shot; with a vision model, until each picture shows what its shot is about."""
    settings = making.settings("keyframes")
    making.run.report.stage_items("keyframes", len(making.shots))
    draw = drawing(making)
    if making.settings("vision")["engine"] != "none" and not settings["engine_options"].get("pictures"):
        making.keyframe_jobs = [_known(path) for path in Selection(making, draw).choose()]
        return

    def drawn(shot: Mapping[str, Any]) -> Path:
        return Path(draw(shot, item_name("shot", shot["number"]), 0, ()).output["images"][0]["path"])

    jobs = [partial(drawn, shot) for shot in making.shots]
    making.keyframe_jobs = making.run.beside("keyframes", jobs, settings, "image_generation", "generate")


def drawing(making: Making) -> Draw:
    """How a shot of this film is drawn."""
    settings = making.settings("keyframes")
    size = {side: min(MAX_SIDE, 2 * round(making.size[side] * CAMERA_ROOM / 2)) for side in ("width", "height")}
    pictures = settings["engine_options"].get("pictures")  # the user's own, one a shot
    judged = making.settings("vision")["engine"] != "none"
    variants = {"num_images_per_prompt": making.profile["gate"]["variants"]} if judged else {}

    def draw(shot: Mapping[str, Any], name: str, roll: int, advice: Sequence[str]) -> Item:
        # The seed follows the words: a shot that moves to another place in the story keeps its picture.
        seed = (making.profile["film"]["seed"] + zlib.crc32(shot["prompt"].encode()) + roll * SEEDS_A_ROLL) % 2**32
        own = {"pictures": Path(pictures).absolute(), "first_picture": shot["number"] - 1} if pictures else {}
        if settings["engine"] == "storyboard" and not pictures:
            own = {**story_options(making.source), **settings["engine_options"]}
        prompt = ", ".join([shot["prompt"].rstrip(". ") if advice else shot["prompt"], *advice])
        return making.run.work(
            "keyframes",
            name,
            "image_generation",
            "generate",
            {**size, **variants, "seed": seed, **settings["input"], "prompts": [prompt]},
            settings=settings,
            engine_options=own,
        )

    return draw


def _known(path: Path) -> Future[Path]:
    future: Future[Path] = Future()
    future.set_result(path)
    return future


def story_options(source: Mapping[str, Any]) -> dict[str, str]:
    """What a shot's own words leave open: the story's language if it says one, and where it opens."""
    options = {"setting": "\n".join([source["title"], *source["paragraphs"][:1]]).strip()[:SETTING_LENGTH]}
    if source["language_given"]:
        options["language"] = source["language"]
    return options
