"""Stage 7 with a text model: one bible, the same in every prompt; and the prompt that is made of it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from planning import Model, answers, bible, idea, ideas, running, think, told
from support import STORY

from language.hosted import BOUNDS, STRUCTURE, expressible
from media.pictures import SUFFIXES, list_pictures
from orchestrator import options, references
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
    assert keyframes.world(made.bible) == {
        "language": "en",
        "setting": "a stone pier by the sea. around 1900. the old man",
    }
    picture, options = keyframes.request(made, shot, "sdxl", keyframes.Scenes(made))
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


# Reference pictures


LOOK: dict[str, Any] = {"palette": "slate, amber", "style": "charcoal drawing"}
OLD_MAN = {"kind": "character", "name": "old man", "appearance": "thin, white beard", **LOOK}
NOBODY = {**OLD_MAN, "name": "", "appearance": "somebody in a hood"}
LAMP = {"kind": "thing", "name": "lamp", "appearance": "brass, green glass", **LOOK}
PIER = {"kind": "place", "name": "", "appearance": "a stone pier", **LOOK}
INK = {"kind": "style", "name": "", "appearance": "loose lines", "palette": "black, cream", "style": "ink drawing"}


def picture(file: Path, red: int = 200) -> Path:
    file.parent.mkdir(exist_ok=True)
    Image.new("RGB", (64, 64), (red, 0, 0)).save(file)
    return file


def looks(folder: Path, *facts: Any) -> list[str]:
    """Settings of a vision model that says this of the pictures in ``folder / "cast"``, in order."""
    said = {"text": "", "tokens_generated": 1, "image_count": 1, "finish_reason": "stop", "seed": None}
    file = folder / "looks.jsonl"
    file.write_text("".join(json.dumps({"output": {**said, "json": fact}}) + "\n" for fact in facts), encoding="utf-8")
    scripted = ["vision.engine=scripted", f"vision.engine_options.answers='{file}'", "vision.at_once=1"]
    return [f"film.references='{folder / 'cast'}'", *scripted]


class Seeing(Pool):
    """Workers that keep what the vision model is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = list[dict[str, Any]]()

    def request(self, family: str, request: Mapping[str, Any], *rest: Any, **how: Any) -> dict[str, Any]:
        if family == "vision_language":
            self.asked.append(request["input"])
        return super().request(family, request, *rest, **how)


def test_reference_pictures_are_read_in_order_and_a_changed_one_alone_again(lamps: Making, tmp_path: Path) -> None:
    cast = tmp_path / "cast"
    old_man, lamp = picture(cast / "10_old-man.png"), picture(cast / "2.png", red=9)
    replies = iter([bible(), bible(light="lamplight")])
    model = Model(lambda question: next(replies))
    settings = [*looks(tmp_path, LAMP, OLD_MAN, NOBODY), *model.settings("guidance")]
    with (pool := Seeing()):
        first = think(lamps, tmp_path / "run", settings, scenes.make, guidance.make, pool=pool)
        assert first.items[-5:] == [f"guidance/{name}" for name in READ]
        picture(old_man, red=77)
        second = think(lamps, tmp_path / "run", settings, scenes.make, guidance.make, pool=pool)
    model.close()
    assert second.made == [f"guidance/{name}" for name in READ[1:]]
    assert second.making.bible["light"] == "lamplight"
    assert [Path(asked["images"][0]) for asked in pool.asked] == [lamp, old_man, old_man]
    assert "<name>10 old man</name>" in pool.asked[1]["prompt"]
    assert pool.asked[0]["json_schema"] == schema("guidance-reference", {})
    before, after = model.questions
    tail = "slate, amber | charcoal drawing"
    assert f"2.png | thing | lamp | brass, green glass | {tail}\n10_old-man.png | character | old man | thin" in before
    assert f"10_old-man.png | character |  | somebody in a hood | {tail}\n</pictures>" in after


READ = ("reference-001", "reference-002", "references", "answer", "bible")


def test_rules_place_the_figures_of_pictures_where_the_words_name_them() -> None:
    shots = [
        {"number": n, "text": text} for n, text in enumerate(["An Old Man, a lamp.", "He lit it.", "Lamplight."], 1)
    ]
    other = {**OLD_MAN, "name": "Old man", "appearance": "another"}
    made = guidance.of_pictures([OLD_MAN, NOBODY, LAMP, other, PIER, INK], shots)
    assert made["characters"] == [
        {"name": "old man", "appearance": "thin, white beard", "shots": [1]},
        {"name": "lamp", "appearance": "brass, green glass", "shots": [1]},
    ]
    assert (made["place"], made["palette"], made["style"]) == ("a stone pier", "black, cream", "ink drawing")
    bare = guidance.of_pictures([LAMP], shots[1:])
    assert bare == {"characters": [], "place": "", "era": "", "light": "", **LOOK}


def test_what_pictures_show_can_be_edited_and_nonsense_is_refused(lamps: Making, tmp_path: Path) -> None:
    picture(tmp_path / "cast" / "man.png")
    settings = looks(tmp_path, NOBODY)
    stages = (scenes.make, guidance.make)
    found = think(lamps, tmp_path / "run", settings, *stages)
    assert found.making.bible["characters"] == []
    ((code, message),) = found.warnings
    assert (code, "man.png is followed in no shot: its file name names nobody" in message) == (
        "reference_not_used",
        True,
    )
    file = tmp_path / "run/guidance/references/references.json"
    file.write_text(json.dumps({"pictures": [{"file": "man.png", **OLD_MAN}]}), encoding="utf-8")
    found = think(lamps, tmp_path / "run", settings, *stages)
    assert found.making.bible["characters"] == [{"name": "old man", "appearance": "thin, white beard", "shots": [1]}]
    assert found.made == ["guidance/bible"]
    assert found.making.writing["references"]["edited"]
    file.write_text(json.dumps({"pictures": [{"file": "man.png", **OLD_MAN, "kind": "hero"}]}), encoding="utf-8")
    with pytest.raises(StorygenError, match=r"of man\.png, kind: 'hero' is not one of") as caught:
        think(lamps, tmp_path / "run", settings, *stages)
    assert caught.value.code == "invalid_request"


def test_a_useless_word_on_a_picture_is_asked_for_again_once(lamps: Making, tmp_path: Path) -> None:
    file = picture(tmp_path / "cast" / "old man.png")
    stages = (scenes.make, guidance.make)
    with (pool := Seeing()):
        found = think(lamps, tmp_path / "run", looks(tmp_path, {**OLD_MAN, "palette": ""}, OLD_MAN), *stages, pool=pool)
        assert found.items[-4:-2] == ["guidance/reference-001", "guidance/reference-001-again"]
        assert found.making.bible["palette"] == LOOK["palette"]
        assert pool.asked[1]["prompt"] == f"{pool.asked[0]['prompt']}\n\n{AGAIN}"
        with pytest.raises(StorygenError, match=f"said nothing of {file} that can be used: it: None is not") as caught:
            think(lamps, tmp_path / "two", looks(tmp_path, None), *stages, pool=pool)
    assert caught.value.code == "unsupported_capability"
    assert "--force guidance/reference-001-again" in (caught.value.hint or "")


AGAIN = "An earlier answer could not be used:\n- palette is empty"


def test_a_picture_that_the_model_cannot_open_is_named(lamps: Making, tmp_path: Path) -> None:
    model = Model(lambda question: OLD_MAN)
    file = picture(tmp_path / "cast" / "old man.png")
    file.write_bytes(file.read_bytes()[:60])
    vision = [setting.replace("guidance.", "vision.") for setting in model.settings("guidance")]
    with pytest.raises(StorygenError) as caught:
        think(lamps, tmp_path / "run", [f"film.references='{file.parent}'", *vision], scenes.make, guidance.make)
    model.close()
    assert (caught.value.code, str(file) in caught.value.message) == ("input_unreadable", True)
    assert model.requests == []


def test_pictures_count_and_sort_as_for_the_workers(tmp_path: Path) -> None:
    for name in ("b.PNG", "a10.jpg", "A2.webp", "notes.txt", ".hidden.png", "c.tiff"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    film = {"film": {"references": str(tmp_path)}, "vision": {"engine": "scripted"}}
    found = references.pictures(film)
    assert found == list_pictures(tmp_path)
    assert [file.name for file in found] == ["A2.webp", "a10.jpg", "b.PNG", "c.tiff"]
    assert references.SUFFIXES == SUFFIXES
    assert references.pictures({**film, "film": {"references": None}}) == []


@pytest.mark.parametrize(
    ("names", "vision", "code", "says"),
    [
        (["a.png"], "none", "unsupported_capability", "no vision model, so nobody can read the reference pictures in"),
        (None, "scripted", "input_not_found", "There is no folder"),
        (["a.txt"], "scripted", "input_not_found", "There is no picture in the folder"),
        ([f"{n}.png" for n in range(17)], "scripted", "invalid_request", "holds 17 pictures; at most 16 are read"),
        (["a.png", "broken.png"], "scripted", "input_unreadable", "broken.png cannot be read as a picture"),
    ],
)
def test_references_that_cannot_be_read_are_said_before_anything_is_made(
    names: list[str] | None, vision: str, code: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in names or ():
        picture(tmp_path / "cast" / "a.png").rename(tmp_path / "cast" / name)
    if "broken" in says:
        (tmp_path / "cast" / "broken.png").write_text("no picture")
        picture(tmp_path / "cast" / "b.gif")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StorygenError) as caught:
        options.profile("draft", {"references": "cast"}, None, [f"vision.engine={vision}"], None, None)
    assert (caught.value.code, says in caught.value.message) == (code, True), caught.value.message
    assert str(tmp_path / "cast") in caught.value.message
    assert caught.value.hint


def test_a_folder_of_references_is_remembered_by_its_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture(tmp_path / "cast" / "a.gif")
    monkeypatch.chdir(tmp_path)
    found = options.profile("draft", {}, None, ["vision.engine=scripted", "film.references=cast"], None, None)
    assert found["film"]["references"] == str(tmp_path / "cast")


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
        told[able] = next(asked for asked in workers.asked if "width" in asked)
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
