"""Stage 8: one picture a shot, scored and drawn again where there is a vision model."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.asking import thinks
from orchestrator.depiction import depiction, unwanted
from orchestrator.errors import StorygenError
from orchestrator.item import Item
from orchestrator.making import Making, item_name
from orchestrator.stages.judging import Draw, Selection, Turns, as_chosen
from orchestrator.styles import style

CAMERA_ROOM = 1.2
"""Pictures are this much larger than the film, so that a camera move never has to enlarge them."""
MAX_SIDE = 4096
NATIVE_SIDE, NATIVE_STEP = 1024, 64
"""The square pictures that large diffusion models were trained on, and what all sides of the others are multiples of;
for a smaller model both are as much smaller.
"""
SEEDS_A_ROLL = 1000
"""The variants of one roll count their seeds up from its first; those of the next roll begin this far on."""
SETTING_LENGTH, STORY_LENGTH, BEFORE_LENGTH = 10_000, 10_000, 4_000  # characters
STYLE_IGNORED = "style_ignored"


def make(making: Making) -> None:
    """Draw every shot; with a vision model, until each picture shows what its shot is about."""
    for _ in turns(making):
        pass


def turns(making: Making) -> Turns[None]:
    """The same, with a pause wherever the vision model follows on the one that draws, or this one on it."""
    settings = making.settings("keyframes")
    making.run.report.stage_items("keyframes", len(making.shots))
    draw = drawing(making)
    if chosen := as_chosen(making):
        making.keyframe_jobs = [_known(path) for path in chosen]
        return
    if is_judged(making.profile):
        making.keyframe_jobs = [_known(path) for path in (yield from Selection(making, draw).choose())]
        return

    def drawn(shot: Mapping[str, Any]) -> Path:
        return Path(draw(shot, item_name("shot", shot["number"]), 0, ()).output["images"][0]["path"])

    jobs = [partial(drawn, shot) for shot in making.shots]
    making.keyframe_jobs = making.run.beside("keyframes", jobs, settings, "image_generation", "generate")


def is_judged(profile: Mapping[str, Any]) -> bool:
    """Whether a vision model chooses the pictures. The user's own ones nobody judges."""
    return profile["vision"]["engine"] != "none" and not profile["keyframes"]["engine_options"].get("pictures")


def drawing(making: Making) -> Draw:
    """How a shot of this film is drawn."""
    settings, look = making.settings("keyframes"), style(making.profile["film"]["style"])
    size = picture_size(making)
    variants = {"num_images_per_prompt": making.profile["gate"]["variants"]} if is_judged(making.profile) else {}

    def draw(shot: Mapping[str, Any], name: str, roll: int, advice: Sequence[str]) -> Item:
        # The seed follows the words: a shot that moves to another place in the story keeps its picture.
        seed = (making.profile["film"]["seed"] + zlib.crc32(shot["prompt"].encode()) + roll * SEEDS_A_ROLL) % 2**32

        def said(engine: str) -> tuple[dict[str, Any], dict[str, Any]]:
            prompt, options = request(making, shot, engine)
            return {"prompts": [", ".join([prompt.rstrip(". "), *advice]) if advice else prompt]}, options

        item = making.run.work(
            "keyframes",
            name,
            "image_generation",
            "generate",
            {**size, **variants, **settings["input"]},
            settings=settings,
            engine_options=own_pictures(settings, shot),
            in_its_words=said,
            where_able={"negative_prompt": unwanted(look), "seed": seed},
        )
        if item.engine == "storyboard" and look and shot is making.shots[0] and not roll:
            message = f"The engine storyboard draws in one style only: {making.profile['film']['style']} is left out."
            item.warnings.append(making.run.warn("keyframes", name, STYLE_IGNORED, message))
        return item

    return draw


def picture_size(making: Making) -> dict[str, int]:
    """{width, height} in pixels to ask the engine for.

    A model that was trained at one size gets the film's shape in as many pixels, which the clip's engine enlarges; any
    other engine draws with room for the camera.
    """
    width, height = making.size["width"], making.size["height"]
    if native := _native_side(making):
        step, shape = NATIVE_STEP * native // NATIVE_SIDE, math.sqrt(width / height)
        sides = {"width": native * shape, "height": native / shape}
        return {name: step * max(1, round(side / step)) for name, side in sides.items()}
    return {side: min(MAX_SIDE, 2 * round(making.size[side] * CAMERA_ROOM / 2)) for side in ("width", "height")}


def _native_side(making: Making) -> int | None:
    """Side in pixels of the square pictures that the stage's model was trained on, where its engine knows."""
    settings = making.settings("keyframes")
    try:
        engine = making.run.pool.engine("image_generation", settings["engine"], "generate", settings["python"])
    except StorygenError:  # the items will say it, or a fallback draw them
        return None
    side: int | None = engine.facts_of(settings["model"].get("id")).get("native_side")
    return side


def _known(path: Path) -> Future[Path]:
    future: Future[Path] = Future()
    future.set_result(path)
    return future


def request(making: Making, shot: Mapping[str, Any], engine: str) -> tuple[str, dict[str, Any]]:
    """(prompt, engine_options) of a shot's picture, as an engine understands them."""
    if engine == "storyboard":  # it draws every word that it knows: looks and colours would be things
        own = making.settings("keyframes")["engine_options"].get("pictures")
        return shot["prompt"], {} if own else panel_options(making, shot)
    return depiction(shot, making.bible, style(making.profile["film"]["style"])), {}


def own_pictures(settings: Mapping[str, Any], shot: Mapping[str, Any]) -> dict[str, Any]:
    """Where the user's own pictures lie, one a shot; nothing where there are none."""
    pictures = settings["engine_options"].get("pictures")
    return {"pictures": Path(pictures).absolute(), "first_picture": shot["number"] - 1} if pictures else {}


def panel_options(making: Making, shot: Mapping[str, Any]) -> dict[str, str]:
    """The language of a shot's prompt, and what its words leave open. What a model wrote is English."""
    if not thinks(making.settings("scenes")) or shot["prompt"] == shot["text"]:
        options = story_options(making.source)
        before = "\n".join(one["text"] for one in making.shots if one["number"] < shot["number"])
        return {**options, **({"before": before[-BEFORE_LENGTH:]} if before.strip() else {})}
    names = [one["name"] for one in making.bible.get("characters", ())[:1]]
    world = [*(making.bible.get(name) for name in ("place", "era")), *names]
    setting = ". ".join(filter(None, world))
    return {"language": "en", **({"setting": setting} if setting else {})}


def story_options(source: Mapping[str, Any]) -> dict[str, str]:
    """What a shot's own words leave open: the story's language if it says one, where it opens, and whom it is about."""
    title, paragraphs = source["title"].replace("\n", " "), source["paragraphs"]
    options = {
        "setting": "\n".join([title, *paragraphs[:1]]).strip()[:SETTING_LENGTH],
        "story": "\n".join([title, *paragraphs])[:STORY_LENGTH],
    }
    if source["language_given"]:
        options["language"] = source["language"]
    return options
