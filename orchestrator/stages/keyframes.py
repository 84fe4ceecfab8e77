"""Stage 8: one picture a shot. Without a vision model none is scored."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.making import Making, item_name

CAMERA_ROOM = 1.2
"""Pictures are this much larger than the film, so that a camera move never has to enlarge them."""
MAX_SIDE = 4096

SETTING_LENGTH = 10_000  # characters


def make(making: Making) -> None:
    """Draw every shot."""
    settings = making.settings("keyframes")
    making.run.report.stage_items("keyframes", len(making.shots))
    size = {side: min(MAX_SIDE, 2 * round(making.size[side] * CAMERA_ROOM / 2)) for side in ("width", "height")}
    pictures = settings["engine_options"].get("pictures")  # the user's own, one a shot

    def drawn(shot: Mapping[str, Any]) -> Path:
        # The seed follows the words: a shot that moves to another place in the story keeps its picture.
        seed = (making.profile["film"]["seed"] + zlib.crc32(shot["prompt"].encode())) % 2**32
        own = {"pictures": Path(pictures).absolute(), "first_picture": shot["number"] - 1} if pictures else {}
        if settings["engine"] == "storyboard" and not pictures:
            own = {**story_options(making.source), **settings["engine_options"]}
        item = making.run.work(
            "keyframes",
            item_name("shot", shot["number"]),
            "image_generation",
            "generate",
            {**size, "seed": seed, **settings["input"], "prompts": [shot["prompt"]]},
            settings=settings,
            engine_options=own,
        )
        return Path(item.output["images"][0]["path"])

    jobs = [partial(drawn, shot) for shot in making.shots]
    making.keyframe_jobs = making.run.beside("keyframes", jobs, settings, "image_generation", "generate")


def story_options(source: Mapping[str, Any]) -> dict[str, str]:
    """What a shot's own words leave open: the story's language if it says one, and where it opens."""
    options = {"setting": "\n".join([source["title"], *source["paragraphs"][:1]]).strip()[:SETTING_LENGTH]}
    if source["language_given"]:
        options["language"] = source["language"]
    return options
