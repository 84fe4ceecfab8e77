"""Stage 8: one picture a shot, scored and drawn again where there is a vision model."""

from __future__ import annotations

import math
import threading
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
from orchestrator.own_pictures import notice
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
SETTING_LENGTH, STORY_LENGTH = 10_000, 1_000_000  # characters
STYLE_IGNORED = "style_ignored"
STORYBOARD: Mapping[str, Any] = {
    "engine": "storyboard", "model": {}, "engine_options": {}, "python": None, "fallback": (),
}  # fmt: skip
"""Settings of the engine that reads scenes, whichever draws the other pictures."""


def make(making: Making) -> None:
    """Draw every shot; with a vision model, until each picture shows what its shot is about."""
    for _ in turns(making):
        pass


def turns(making: Making) -> Turns[None]:
    """The same, with a pause wherever the vision model follows on the one that draws, or this one on it."""
    settings = making.settings("keyframes")
    making.run.report.stage_items("keyframes", len(making.shots))
    own = settings["engine_options"].get("pictures")
    if own and (said := notice(Path(own), len(making.shots))):
        making.run.note("keyframes", "own_pictures", said)
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
    size, scenes = picture_size(making), Scenes(making)
    variants = {"num_images_per_prompt": making.profile["gate"]["variants"]} if is_judged(making.profile) else {}

    def draw(shot: Mapping[str, Any], name: str, roll: int, advice: Sequence[str]) -> Item:
        # The seed follows the words: a shot that moves to another place in the story keeps its picture.
        seed = (making.profile["film"]["seed"] + zlib.crc32(shot["prompt"].encode()) + roll * SEEDS_A_ROLL) % 2**32

        def said(engine: str) -> tuple[dict[str, Any], dict[str, Any]]:
            prompt, options = request(making, shot, engine, scenes)
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


def request(making: Making, shot: Mapping[str, Any], engine: str, scenes: Scenes) -> tuple[str, dict[str, Any]]:
    """(prompt, engine_options) of a shot's picture, as an engine understands them."""
    if engine == "storyboard":  # it draws every word that it knows: looks and colours would be things
        own = making.settings("keyframes")["engine_options"].get("pictures")
        return shot["prompt"], {} if own else {"scene": scenes.of(shot)}
    return depiction(shot, making.bible, style(making.profile["film"]["style"])), {}


class Scenes:
    """What the storyboard's panels show: the whole story is read once, when the first panel is to be drawn.

    So a panel depends on its own scene alone, and is drawn again only where a changed story changes that.
    """

    def __init__(self, making: Making) -> None:
        self._making = making
        self._guard = threading.Lock()
        self._read: dict[int, Any] = {}

    def of(self, shot: Mapping[str, Any]) -> Any:
        """The engine option ``scene`` of a shot."""
        with self._guard:  # panels are drawn side by side
            if not self._read:
                written = [one for one in self._making.shots if self._is_written(one)]
                told = [one for one in self._making.shots if not self._is_written(one)]
                self._read = self._scenes("scenes", told, story_told(self._making.source))
                self._read |= self._scenes("scenes-written", written, world(self._making.bible))
            return self._read[shot["number"]]

    def _is_written(self, shot: Mapping[str, Any]) -> bool:
        """Whether a model wrote the shot's prompt; what it wrote is English."""
        return thinks(self._making.settings("scenes")) and shot["prompt"] != shot["text"]

    def _scenes(self, name: str, shots: Sequence[Mapping[str, Any]], told: Mapping[str, str]) -> dict[int, Any]:
        if not shots:
            return {}
        asked = {"prompts": [shot["prompt"] for shot in shots], **told}
        settings = {**self._making.settings("keyframes"), **STORYBOARD}
        item = self._making.run.work("keyframes", name, "image_generation", "read_scenes", asked, settings=settings)
        return dict(zip((shot["number"] for shot in shots), item.output["scenes"], strict=True))


def own_pictures(settings: Mapping[str, Any], shot: Mapping[str, Any]) -> dict[str, Any]:
    """Where the user's own pictures lie, one a shot; nothing where there are none."""
    pictures = settings["engine_options"].get("pictures")
    return {"pictures": Path(pictures).absolute(), "first_picture": shot["number"] - 1} if pictures else {}


def story_told(source: Mapping[str, Any]) -> dict[str, str]:
    """What the sentences of a story leave open: its language if it says one, where it opens, whom it is about."""
    title, paragraphs = source["title"].replace("\n", " "), source["paragraphs"]
    return {
        "setting": "\n".join([title, *paragraphs[:1]]).strip()[:SETTING_LENGTH],
        "story": "\n".join([title, *paragraphs])[:STORY_LENGTH],
        **({"language": source["language"]} if source["language_given"] else {}),
    }


def world(bible: Mapping[str, Any]) -> dict[str, str]:
    """What prompts that a model wrote leave open: the place and era of the visual bible, and its main character."""
    names = [one["name"] for one in bible.get("characters", ())[:1]]
    setting = ". ".join(filter(None, [*(bible.get(name) for name in ("place", "era")), *names]))
    return {"language": "en", "setting": setting[:SETTING_LENGTH]}
