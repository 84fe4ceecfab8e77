"""Stage 7 with a text model: one bible, the same in every prompt; and the prompt that is made of it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from planning import Model, answers, bible, idea, ideas, running, think, told
from support import STORY

from language.hosted import BOUNDS, STRUCTURE, expressible
from orchestrator.asking import PROMPTS, schema
from orchestrator.depiction import depiction
from orchestrator.errors import StorygenError
from orchestrator.making import Making
from orchestrator.pool import Pool
from orchestrator.stages import guidance, keyframes, scenes
from orchestrator.styles import style

CUTS: dict[str, Any] = {"cut_after": []}
PICTURES = ideas(range(1, 9))
BOTH = ("scenes", "guidance")


@pytest.fixture(scope="module")
def lamps(tmp_path_factory: pytest.TempPathFactory) -> Making:
    return told(tmp_path_factory.mktemp("lamps") / "run", STORY)


def test_the_bible_is_in_every_prompt_and_the_same_in_each(lamps: Making, tmp_path: Path) -> None:
    settings = answers(tmp_path, [CUTS, PICTURES, bible()], *BOTH)
    found = think(lamps, tmp_path / "run", settings, scenes.make, guidance.make)
    assert found.items[-2:] == ["guidance/answer", "guidance/bible"]
    document = tmp_path / "run/guidance/bible/bible.json"
    assert found.making.bible == json.loads(document.read_text(encoding="utf-8")) == bible()
    prompts = [depiction(shot, found.making.bible, None) for shot in found.making.shots]
    assert len(prompts) > 2
    world = "a stone pier by the sea, around 1900, cold moonlight, palette of slate, amber, calm mood"
    for number, prompt in enumerate(prompts, 1):
        assert prompt.startswith(f"charcoal drawing, wide shot, low angle, {idea(number)['prompt']}, ")
        assert prompt.endswith(world)
        assert ("white beard" in prompt) == (number in {1, 2})
        assert ("green glass" in prompt) == (number == 2)


def test_other_engines_than_storyboard_are_given_the_whole_prompt(lamps: Making, tmp_path: Path) -> None:
    settings = answers(tmp_path, [CUTS, PICTURES, bible()], *BOTH)
    made = think(lamps, tmp_path / "run", [*settings, "film.style=clay"], scenes.make, guidance.make).making
    shot = made.shots[0]
    panel, options = keyframes.request(made, shot)
    assert panel == shot["prompt"]
    assert options == {"language": "en", "setting": "a stone pier by the sea. around 1900. the old man"}
    made.profile = {**made.profile, "keyframes": {**made.settings("keyframes"), "engine": "sdxl"}}
    picture, options = keyframes.request(made, shot)
    assert picture == depiction(shot, made.bible, style("clay"))
    assert picture.startswith("claymation")
    assert "charcoal" not in picture  # the preset is what was chosen
    assert options == {}


def test_a_shot_by_rules_without_bible_and_style_is_its_own_words() -> None:
    shot = {"number": 1, "prompt": "Plop. Plop.", "camera": None, "mood": None}
    assert depiction(shot, {}, None) == "Plop. Plop."
    assert depiction(shot, {}, style("photo")).startswith("realistic photograph, Plop. Plop, natural light")
    assert depiction({**shot, "mood": "sad"}, {}, None) == "Plop. Plop, sad mood"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (None, "is not of type 'object'"),
        ({**bible(), "extra": 1}, "extra"),
        (bible(place=""), "place is empty"),
        (bible(light="光"), "light is not English"),
        (bible(palette="red " * 21), "palette has 21 words"),
        (bible(characters=[{"name": "a", "appearance": "b", "shots": [0, 5]}]), "a is in shot 0, but there are 1 to 4"),
        (bible(characters=[{"name": "a", "appearance": "", "shots": []}]), "a's appearance is empty"),
        (bible(characters=[{"name": "", "appearance": "x", "shots": []}]), "a name is empty"),
        (bible(characters=[{"name": n, "appearance": "x", "shots": []} for n in ("A b", "a B")]), "two called a B"),
        (bible(characters=[{"name": "a", "appearance": "x"}]), "characters/0: 'shots' is a required property"),
    ],
)
def test_a_bible_that_cannot_be_used_is_found(wrong: Any, says: str) -> None:
    assert any(says in fault for fault in guidance.faults(wrong, 4)), guidance.faults(wrong, 4)
    assert guidance.faults(bible(), 4) == []
    assert guidance.faults(bible(characters=[], era=""), 4) == []


def test_a_bad_bible_is_asked_for_again_once_with_what_was_wrong(lamps: Making, tmp_path: Path) -> None:
    invented = bible(characters=[{"name": "the ghost", "appearance": "pale", "shots": [99]}])
    settings = answers(tmp_path, [invented, bible()], "guidance")
    found = think(lamps, tmp_path / "run", settings, scenes.make, guidance.make)
    assert found.items[-3:] == ["guidance/answer", "guidance/answer-again", "guidance/bible"]
    assert found.making.bible == bible()
    with pytest.raises(StorygenError, match="the ghost is in shot 99") as caught:
        think(lamps, tmp_path / "two", answers(tmp_path, [None, invented], "guidance"), scenes.make, guidance.make)
    assert "--set guidance.engine=none" in (caught.value.hint or "")


def test_the_model_hears_what_was_wrong_and_what_pictures_show(lamps: Making, tmp_path: Path) -> None:
    replies = iter([bible(place=""), bible(), bible()])
    model = Model(lambda question: next(replies))
    with Pool() as pool:
        made = think(lamps, tmp_path / "run", model.settings("guidance"), scenes.make, guidance.make, pool=pool).making
        with running(tmp_path / "seen", pool) as run:
            guidance._answer(replace(made, run=run), ["The old man has a red scarf."])
    model.close()
    first, second, third = model.questions
    assert "earlier answer" not in first
    assert second == f"{first}\n\nAn earlier answer could not be used:\n- place is empty"
    assert "<pictures>\n(no pictures)\n</pictures>" in first
    assert "<pictures>\nThe old man has a red scarf.\n</pictures>" in third
    assert "1 | An old man lit a lamp beside the sea." in first


def test_an_edited_bible_is_used_and_one_that_cannot_be_is_refused(lamps: Making, tmp_path: Path) -> None:
    settings = answers(tmp_path, [CUTS, PICTURES, bible(characters=[])], *BOTH)
    stages = (scenes.make, guidance.make)
    think(lamps, tmp_path / "run", settings, *stages)
    document = tmp_path / "run/guidance/bible/bible.json"
    document.write_text(json.dumps(bible(light="lamplight")), encoding="utf-8")
    found = think(lamps, tmp_path / "run", settings, *stages)
    assert found.making.bible["light"] == "lamplight"
    assert found.made == []
    document.write_text(json.dumps(bible(characters=[{"name": "she"}])), encoding="utf-8")
    with pytest.raises(StorygenError, match=r"The bible guidance/bible/bible\.json is wrong: characters\.0") as caught:
        think(lamps, tmp_path / "run", settings, *stages)
    assert caught.value.code == "invalid_request"


class Able(Pool):
    """Workers whose storyboard says that it takes a negative prompt, and what pictures were asked for."""

    def __init__(self, *capabilities: str) -> None:
        super().__init__()
        self.able, self.asked = capabilities, list[dict[str, Any]]()

    def describe(self, family: str, python: str | None = None) -> dict[str, Any]:
        said = super().describe(family, python)
        if family != "image_generation":
            return said
        facts = said["engines"]["storyboard"]
        able = {**facts, "capabilities": [*facts["capabilities"], *self.able]}
        return {**said, "engines": {**said["engines"], "storyboard": able}}

    def request(self, family: str, request: Mapping[str, Any], *rest: Any, **how: Any) -> dict[str, Any]:
        if family == "image_generation":
            self.asked.append(request["input"])
        return super().request(family, request, *rest, **how)


def test_a_negative_prompt_goes_to_engines_that_take_one(lamps: Making, tmp_path: Path) -> None:
    told: dict[bool, Any] = {}
    for able in (False, True):
        workers = Able(*["negative_prompt"] * able)
        with workers, contextlib.suppress(StorygenError):  # the real storyboard takes none
            stages = (scenes.make, guidance.make, keyframes.make)
            think(lamps, tmp_path / str(able), ["film.style=comic"], *stages, pool=workers)
        told[able] = workers.asked[0]
    assert "negative_prompt" not in told[False]
    assert "speech bubble" in told[True]["negative_prompt"]
    assert "watermark" in told[True]["negative_prompt"]


class Sized(Pool):
    """Workers whose storyboard says that it was trained on square pictures of 1024 pixels a side."""

    def describe(self, family: str, python: str | None = None) -> dict[str, Any]:
        said = super().describe(family, python)
        if family != "image_generation":
            return said
        sized = {**said["engines"]["storyboard"], "models": {"a/model": {"native_side": 1024}}}
        return {**said, "engines": {**said["engines"], "storyboard": sized}}


@pytest.mark.parametrize(
    ("width", "height", "asked"), [(1080, 1920, (768, 1344)), (1920, 1080, (1344, 768)), (270, 270, (1024, 1024))]
)
def test_a_model_is_asked_for_the_size_it_was_trained_at(
    width: int, height: int, asked: tuple[int, int], lamps: Making, tmp_path: Path
) -> None:
    with Sized() as pool:
        made = think(
            lamps, tmp_path / "run", [f"film.width={width}", f"film.height={height}"], guidance.make, pool=pool
        ).making
        assert tuple(keyframes.picture_size(made).values()) == asked
        assert keyframes.picture_size(made).keys() == {"width", "height"}


@pytest.mark.parametrize("name", sorted(path.name.split(".")[0] for path in PROMPTS.glob("*.schema.json")))
def test_hosted_models_can_be_held_to_every_answer(name: str) -> None:
    shots = {"properties": {"1": {"$ref": "#/$defs/shot"}}, "required": ["1"]}
    bound = schema(name, {"shots": shots} if name == "scenes-pictures" else {})
    assert expressible(bound, STRUCTURE | BOUNDS, strict=True)
