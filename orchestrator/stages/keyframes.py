"""Stage 8: one picture a shot. Without a vision model none is scored."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.asking import thinks
from orchestrator.depiction import depiction, negative_prompt
from orchestrator.making import Making, item_name
from orchestrator.styles import style

CAMERA_ROOM = 1.2
"""Pictures are this much larger than the film, so that a camera move never has to enlarge them."""
MAX_SIDE = 4096

SETTING_LENGTH = 10_000  # characters
STYLE_IGNORED = "style_ignored"


def make(making: Making) -> None:
    """Draw every shot."""
    settings = making.settings("keyframes")
    making.run.report.stage_items("keyframes", len(making.shots))
    negative = negative_prompt(making, "keyframes", "image_generation", "generate")

    def drawn(shot: Mapping[str, Any]) -> Path:
        name, (picture, options) = item_name("shot", shot["number"]), request(making, shot)
        item = making.run.work(
            "keyframes",
            name,
            "image_generation",
            "generate",
            {**negative, **picture},
            settings=settings,
            engine_options=options,
        )
        if item.engine == "storyboard" and making.profile["film"]["style"] and shot is making.shots[0]:
            message = f"The engine storyboard draws in one style only: {making.profile['film']['style']} is left out."
            item.warnings.append(making.run.warn("keyframes", name, STYLE_IGNORED, message))
        return Path(item.output["images"][0]["path"])

    jobs = [partial(drawn, shot) for shot in making.shots]
    making.keyframe_jobs = making.run.beside("keyframes", jobs, settings, "image_generation", "generate")


def request(making: Making, shot: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(input, engine_options) of a shot's picture."""
    settings, film = making.settings("keyframes"), making.profile["film"]
    size = {side: min(MAX_SIDE, 2 * round(making.size[side] * CAMERA_ROOM / 2)) for side in ("width", "height")}
    # The seed follows the words: a shot that moves to another place in the story keeps its picture.
    seed = (film["seed"] + zlib.crc32(shot["prompt"].encode())) % 2**32
    options: dict[str, Any] = {}
    prompt = depiction(shot, making.bible, style(film["style"]))
    if settings["engine"] == "storyboard":  # it draws every word that it knows: looks and colours would be things
        prompt, options = shot["prompt"], {**panel_options(making, shot), **settings["engine_options"]}
    if pictures := settings["engine_options"].get("pictures"):  # the user's own, one a shot
        options = {"pictures": Path(pictures).absolute(), "first_picture": shot["number"] - 1}
    return {**size, "seed": seed, **settings["input"], "prompts": [prompt]}, options


def panel_options(making: Making, shot: Mapping[str, Any]) -> dict[str, str]:
    """The language of a shot's prompt, and what its words leave open. What a model wrote is English."""
    if not thinks(making.settings("scenes")) or shot["prompt"] == shot["text"]:
        return story_options(making.source)
    names = [one["name"] for one in making.bible.get("characters", ())[:1]]
    world = [*(making.bible.get(name) for name in ("place", "era")), *names]
    setting = ". ".join(filter(None, world))
    return {"language": "en", **({"setting": setting} if setting else {})}


def story_options(source: Mapping[str, Any]) -> dict[str, str]:
    """What a shot's own words leave open: the story's language if it says one, and where it opens."""
    options = {"setting": "\n".join([source["title"], *source["paragraphs"][:1]]).strip()[:SETTING_LENGTH]}
    if source["language_given"]:
        options["language"] = source["language"]
    return options
