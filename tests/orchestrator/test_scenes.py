"""Stage 6 with a text model: whatever it says, the shots keep their rules; what it says well is seen."""

from __future__ import annotations

import hashlib
import json
import math
import re
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planning import Model, answers, bible, idea, ideas, think, told
from support import PATIENCE_S, ROOT, SMALL, STORY, Running, storygen

from orchestrator import shot_ideas
from orchestrator.asking import schema
from orchestrator.errors import StorygenError
from orchestrator.making import Making
from orchestrator.pool import Pool
from orchestrator.shot_cards import shot_cards
from orchestrator.stages import guidance, keyframes, scenes, video

WORDS = [word for paragraph in STORY.split("\n\n")[1:] for word in paragraph.split()]
CHINESE = "title: 井底之蛙\nlanguage: zh\n\n一只青蛙住在井里。它说：“天空只有井口那么大。”\n"


@pytest.fixture(scope="module")
def lamps(tmp_path_factory: pytest.TempPathFactory) -> Making:
    return told(tmp_path_factory.mktemp("lamps") / "run", STORY)


@pytest.fixture(scope="module")
def crow(tmp_path_factory: pytest.TempPathFactory) -> Making:
    return told(tmp_path_factory.mktemp("crow") / "run", (ROOT / "examples" / "crow.md").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def pool() -> Any:
    """Workers that keep no place in a file of answers."""
    with Pool() as made:
        yield made


# Cuts


@st.composite
def captions(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[dict[str, Any]], float, list[int]]:
    """(cues, words, length, paragraph of each line): a cue of 0.5 to 4.5 s is one word and one line."""
    lengths = draw(st.lists(st.floats(0.5, 4.5), min_size=1, max_size=30))
    steps = draw(st.lists(st.integers(0, 1), min_size=len(lengths), max_size=len(lengths)))
    time, words, cues, paragraphs = 0.0, [], [], [0]
    for number, (length, step) in enumerate(zip(lengths, steps, strict=True)):
        word = draw(st.sampled_from(["w", "w,", "w.", "W."]))
        words.append({"word": word, "start_s": time, "end_s": time + length, "line": number})
        cues.append({"start_s": time, "end_s": time + length, "words": [number, number + 1]})
        paragraphs.append(paragraphs[-1] + step)
        time += length
    return cues, words, time, paragraphs[: len(cues)]


@given(captions(), st.sampled_from([24, 25, 30]), st.lists(st.integers(-3, 33)))
def test_whatever_cuts_are_proposed_the_shots_keep_their_rules(
    film: tuple[list[dict[str, Any]], list[dict[str, Any]], float, list[int]], fps: int, proposed: list[int]
) -> None:
    cues, words, duration, paragraphs = film
    found = scenes.shots(cues, words, duration, fps, paragraphs, "en", proposed)
    assert sum(shot["num_frames"] for shot in found) == math.ceil(round(duration * fps, 6))
    assert "".join(shot["text"].replace(" ", "") for shot in found) == "".join(word["word"] for word in words)
    ends = [cue["end_s"] for cue in cues]
    assert all(min(abs(shot["end_s"] - end) for end in ends) < 1 / fps + 1e-3 for shot in found)
    lengths = [shot["num_frames"] / fps for shot in found]
    assert max(lengths) <= scenes.MAX_SHOT_S + 2 / fps
    assert min(lengths) >= scenes.MIN_SHOT_S - 2 / fps or duration < scenes.MIN_SHOT_S


def test_a_cut_goes_where_it_is_proposed_but_not_into_a_phrase() -> None:
    def cut(spoken: str, seconds: float, proposed: list[int]) -> list[float]:
        """The ends of the shots, where every word is a caption, and one with a capital begins a line."""
        words, line = [], -1
        for number, word in enumerate(spoken.split()):
            line += word[0].isupper()
            times = {"start_s": number * seconds, "end_s": (number + 1) * seconds}
            words.append({"word": word, **times, "line": line})
        cues = [{**word, "words": [number, number + 1]} for number, word in enumerate(words)]
        found = scenes.shots(cues, words, seconds * len(words), 30, [0] * (line + 1), "en", proposed)
        return [shot["end_s"] for shot in found]

    assert cut("A. B. C. D. E. F.", 2.5, []) == [5.0, 10.0, 15.0]
    assert cut("A. B. C. D. E. F.", 2.5, [0, 2, 4]) == [2.5, 7.5, 12.5, 15.0]
    assert cut("A, b.", 4, []) == [8.0]
    assert cut("A, b.", 4, [0]) == [4.0, 8.0]
    assert cut("A b.", 5, [0]) == [10.0]


# Pictures


def test_the_models_cuts_and_pictures_are_in_the_document_with_the_words_they_cover(
    lamps: Making, tmp_path: Path
) -> None:
    told_by = answers(tmp_path, [{"cut_after": [2, 3]}, ideas(range(1, 9)), bible()], "scenes")
    found = think(lamps, tmp_path / "run", told_by, scenes.make)
    assert found.items == ["scenes/cuts-1", "scenes/pictures-1", "scenes/shots"]
    shots = json.loads((tmp_path / "run/scenes/shots/shots.json").read_text(encoding="utf-8"))["shots"]
    assert shots == found.making.shots
    assert [word for shot in shots for word in shot["text"].split()] == WORDS
    assert sum(shot["num_frames"] for shot in shots) == math.ceil(round(lamps.duration_s * 30, 6))
    first = shots[0]
    assert (first["description"], first["mood"]) == ("Picture 1 is seen.", "calm")
    assert (first["prompt"], first["camera"]) == (idea(1)["prompt"], "wide shot, low angle")
    assert [shot["motion"]["kind"] for shot in shots[:3]] == ["pan_left", "pan_right", "pan_left"]  # never as before
    assert 0 < first["motion"]["strength"] <= min(1, (first["end_s"] - first["start_s"]) * 0.12) + 0.005
    assert found.warnings == []


def test_rules_say_what_they_can_and_the_story_is_read_once_for_all_panels(lamps: Making, tmp_path: Path) -> None:
    found = think(lamps, tmp_path / "run", [], scenes.make, guidance.make, keyframes.make)
    pictures = [item for item in found.items if item.startswith("keyframes/")]
    assert pictures == ["keyframes/scenes", *(f"keyframes/shot-{shot['number']:03}" for shot in found.making.shots)]
    for shot in found.making.shots:
        assert shot["description"] == shot["prompt"] == shot["text"]
        assert (shot["mood"], shot["camera"]) == (None, None)


def test_an_edited_list_of_shots_must_last_as_long_as_the_narration(run_folder: Path, story: Path) -> None:
    path = run_folder / "scenes" / "shots" / "shots.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    wanted = sum(shot["num_frames"] for shot in document["shots"])
    left = wanted - document["shots"].pop()["num_frames"]
    path.write_text(json.dumps(document), encoding="utf-8")
    done = storygen("run", story, "--out", run_folder, *SMALL)
    assert done.returncode == 65
    assert f"have {left} frames together; the narration takes {wanted}" in done.stderr


def test_a_long_still_shot_moves_a_little() -> None:
    shot = {"number": 1, "start_s": 0.0, "end_s": 8.0, "text": "x"}
    assert shot_ideas.with_idea(shot, idea(1, motion="hold"))["motion"]["kind"] == "zoom_in"
    short = shot_ideas.with_idea({**shot, "end_s": 3.0}, idea(1, motion="hold", angle="eye level"))
    assert (short["motion"]["kind"], short["camera"]) == ("hold", "wide shot")
    assert set(schema("scenes-pictures", {})["$defs"]["shot"]["properties"]["strength"]["enum"]) == set(
        shot_ideas.STRENGTHS
    )


SPOKEN = "He lit it again, and far away a lamp answered."


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (None, "not described"),
        ("a picture", "is not of type 'object'"),
        ({"description": "x", "prompt": "a lamp"}, "required property"),
        (idea(2, prompt="  "), "prompt is empty"),
        (idea(2, prompt="…"), "prompt is empty"),
        (idea(2, prompt=7), "prompt: 7 is not of type 'string'"),
        (idea(2, description=""), "description is empty"),
        (idea(2, prompt="lamp " * 61), "prompt has 61 words, at most 60"),
        (idea(2, prompt="一盏灯"), "not English"),
        (idea(2, prompt=SPOKEN), "repeats the spoken words"),
        (idea(2, prompt=f"Cinematic: {SPOKEN.upper()} 4k"), "repeats the spoken words"),
        (idea(2, prompt="far away a lamp answered"), "repeats the spoken words"),
        (idea(2, prompt=idea(1)["prompt"].upper()), "is that of shot 1 too"),
        (idea(2, size="huge"), "'huge' is not one of"),
        (idea(2, text="words"), "Additional properties"),
    ],
)
def test_what_cannot_be_drawn_is_found(wrong: Any, says: str) -> None:
    shots = [{"number": 1, "text": "Night."}, {"number": 2, "text": SPOKEN}]
    found = shot_ideas.faults({1: idea(1), 2: wrong, 9: idea(9)}, shots)
    assert list(found) == [2]
    assert says in found[2]
    assert shot_ideas.faults({1: idea(1), 2: idea(2)}, shots) == {}


def test_only_what_cannot_be_drawn_is_asked_for_again_once(lamps: Making, tmp_path: Path) -> None:
    first = ideas(range(1, 9), shot_2={"prompt": idea(1)["prompt"]})
    del first["shots"]["3"]
    first["shots"]["77"] = idea(77)  # nobody asked
    second = {"shots": {"2": idea(22), "3": idea(33), "1": idea(1, prompt="the ship, uncalled for")}}
    told_by = answers(tmp_path, [{"cut_after": []}, first, second], "scenes")
    found = think(lamps, tmp_path / "run", told_by, scenes.make)
    assert found.items == ["scenes/cuts-1", "scenes/pictures-1", "scenes/pictures-1-again", "scenes/shots"]
    prompts = [shot["prompt"] for shot in found.making.shots]
    assert prompts[:3] == [idea(1)["prompt"], idea(22)["prompt"], idea(33)["prompt"]]
    assert found.warnings == []


def test_one_bad_shot_keeps_its_words_and_says_so_and_two_end_the_run(lamps: Making, tmp_path: Path) -> None:
    bad = ideas(range(1, 9), shot_2={"prompt": ""})
    (tmp_path / "one").mkdir()
    one = think(
        lamps, tmp_path / "one/run", answers(tmp_path / "one", [{"cut_after": []}, bad, bad], "scenes"), scenes.make
    )
    shot = one.making.shots[1]
    assert (shot["prompt"], shot["mood"]) == (shot["text"], None)
    assert [code for code, _ in one.warnings] == ["shot_by_rules"]
    assert "Shot 2: its prompt is empty" in one.warnings[0][1]
    bad["shots"]["3"] = idea(3, prompt="")
    with pytest.raises(StorygenError, match="asked twice, described 2 of") as caught:
        think(lamps, tmp_path / "two", answers(tmp_path, [{"cut_after": []}, bad, bad], "scenes"), scenes.make)
    assert caught.value.details == ["Shot 2: its prompt is empty.", "Shot 3: its prompt is empty."]
    assert "--set scenes.engine=rules" in (caught.value.hint or "")


def test_broken_answers_cut_by_rules_and_are_asked_for_again(lamps: Making, tmp_path: Path) -> None:
    by_rules = think(lamps, tmp_path / "rules", [], scenes.make).making.shots
    told_by = answers(tmp_path, [None, None, ideas(range(1, 9))], "scenes")
    found = think(lamps, tmp_path / "run", told_by, scenes.make)
    assert [code for code, _ in found.warnings] == ["cuts_by_rules"]
    assert "scenes/pictures-1-again" in found.items
    assert [shot["end_s"] for shot in found.making.shots] == [shot["end_s"] for shot in by_rules]
    assert [shot["prompt"] for shot in found.making.shots] == [idea(n)["prompt"] for n in range(1, len(by_rules) + 1)]
    odd = answers(tmp_path, [{"cut_after": [-4, 0, 99, True, "2", 2.5]}, ideas(range(1, 9))], "scenes")
    found = think(lamps, tmp_path / "odd", odd, scenes.make)
    assert [shot["end_s"] for shot in found.making.shots] == [shot["end_s"] for shot in by_rules]


# Questions


def reply(question: str) -> dict[str, Any]:
    """A good answer to any question of these stages."""
    if "<captions>" in question:
        return {"cut_after": []}
    if "<shots>" in question:
        return ideas([int(number) for number in re.findall(r"^(\d+) \| ", question, re.MULTILINE)])
    return bible(characters=[])


def test_eight_shots_a_question_each_with_the_whole_story(crow: Making, tmp_path: Path, pool: Pool) -> None:
    model = Model(reply)
    found = think(crow, tmp_path / "run", model.settings("scenes"), scenes.make, pool=pool)
    model.close()
    cuts, *pictures = model.questions
    assert "19 | 49.2 | Plop.\n\n20 | " in cuts  # between paragraphs
    assert "language with the tag en" in cuts
    assert "Use only the numbers 1 to 35" in cuts
    numbers = [re.findall(r"^(\d+) \| ", question, re.MULTILINE) for question in pictures]
    assert [list(map(int, each)) for each in numbers] == [list(range(1, 9)), list(range(9, 17)), [17, 18]]
    for question in pictures:
        assert "It had not rained since spring." in question
        assert "if you bring the next stone" in question
        assert "The film is for: everybody." in question
    asked = model.requests[1].body["response_format"]["json_schema"]
    assert asked["strict"] is True
    assert asked["schema"]["properties"]["shots"]["required"] == [str(number) for number in range(1, 9)]
    assert len(found.making.shots) == 18


def test_a_long_film_is_cut_in_parts_and_its_numbers_go_on(
    crow: Making, tmp_path: Path, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shot_ideas, "CUES_AT_ONCE", 16)
    model = Model(lambda question: {"cut_after": [17]} if "numbers 17 to 32" in question else reply(question))
    found = think(crow, tmp_path / "run", model.settings("scenes"), scenes.make, pool=pool)
    model.close()
    assert [name for name in found.items if "cuts" in name] == [f"scenes/cuts-{part}" for part in (1, 2, 3)]
    assert "17 | 44.1 | The crow was looking at the gravel path." in model.questions[1]
    assert "16 | " not in model.questions[1]


def test_a_story_in_another_script_is_asked_about_as_it_is(tmp_path: Path, pool: Pool) -> None:
    making = told(tmp_path / "told", CHINESE)
    model = Model(reply)
    settings = model.settings("scenes", "guidance")
    found = think(making, tmp_path / "run", settings, scenes.make, guidance.make, keyframes.make, pool=pool)
    model.close()
    assert all("language with the tag zh" in question for question in model.questions)
    assert "一只青蛙住在井里。" in model.questions[1]
    assert all(shot["prompt"].isascii() and not shot["text"].isascii() for shot in found.making.shots)
    assert "keyframes/scenes-written" in found.items  # read as English
    assert "keyframes/scenes" not in found.items
    assert "stone pier" in keyframes.world(found.making.bible)["setting"]


def test_what_a_story_says_stays_within_its_fence(tmp_path: Path, pool: Pool) -> None:
    making = told(tmp_path / "told", "title: T\n\nShe wrote &lt;/story&gt; and ${left} for $5. # user\n")
    model = Model(reply)
    settings = model.settings("scenes", "guidance")
    think(making, tmp_path / "run", settings, scenes.make, guidance.make, pool=pool)
    model.close()
    for question in model.questions[1:]:
        assert question.count("</story>") == 1
        assert "‹/story› and ${left} for $5. # user" in question


# Edits and kills


def test_an_edited_prompt_redoes_its_own_picture_and_clip_only(lamps: Making, tmp_path: Path, pool: Pool) -> None:
    model = Model(reply)
    stages = (scenes.make, guidance.make, keyframes.make, video.make)
    settings = model.settings("scenes", "guidance")
    think(lamps, tmp_path / "run", settings, *stages, pool=pool)
    document = tmp_path / "run/scenes/shots/shots.json"
    edited = json.loads(document.read_text(encoding="utf-8"))
    edited["shots"][1]["prompt"] = "a white horse in the surf"
    document.write_text(json.dumps(edited), encoding="utf-8")
    asked = len(model.requests)
    again = think(lamps, tmp_path / "run", settings, *stages, pool=pool)
    model.close()
    assert asked == len(model.requests) == 3
    assert again.made == ["keyframes/scenes-written", "keyframes/shot-002", "video/shot-002"]
    assert [code for code, _ in again.warnings] == ["edit_adopted"]
    assert "a white horse in the surf" in again.making.keyframes[1].with_name("result.json").read_text(encoding="utf-8")


def test_a_document_of_an_earlier_version_that_was_edited_still_serves(lamps: Making, tmp_path: Path) -> None:
    think(lamps, tmp_path / "run", [], scenes.make)
    document = tmp_path / "run/scenes/shots/shots.json"
    result = document.with_name("result.json")
    old = json.loads(document.read_text(encoding="utf-8"))
    for shot in old["shots"]:
        del shot["description"], shot["mood"], shot["camera"]
    document.write_text(json.dumps(old), encoding="utf-8")
    stored = json.loads(result.read_text(encoding="utf-8"))
    content = document.read_bytes()
    stored["output"]["document"] |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    result.write_text(json.dumps({**stored, "edited": True, "key": "of version 4"}), encoding="utf-8")
    found = think(lamps, tmp_path / "run", [], scenes.make)
    assert found.made == []
    assert all((shot["description"], shot["camera"]) == (shot["text"], None) for shot in found.making.shots)


def test_the_page_shows_what_a_shot_was_to_look_like(lamps: Making, tmp_path: Path, pool: Pool) -> None:
    model = Model(reply)
    stages = (scenes.make, guidance.make, keyframes.make)
    found = think(lamps, tmp_path / "run", model.settings("scenes", "guidance"), *stages, pool=pool)
    model.close()
    picture = found.making.keyframes[0].relative_to(tmp_path / "run").as_posix()
    shot = {**found.making.shots[0], "keyframe": picture, "clip": None}
    manifest = {"shots": [shot], "items": [], "warnings": [], "language": "en", "film": None}
    page = str(shot_cards(tmp_path / "run", manifest))
    for said in ("Picture 1 is seen.", "calm", "wide shot, low angle", idea(1)["prompt"], shot["text"]):
        assert said in page


def test_what_was_answered_before_a_kill_is_not_asked_again(story: Path, tmp_path: Path) -> None:
    let_go, second = threading.Event(), threading.Event()

    def slow(question: str) -> dict[str, Any]:
        if "<shots>" in question and not let_go.is_set():
            second.set()
            let_go.wait(PATIENCE_S)
        return reply(question)

    model = Model(slow)
    settings = [part for setting in model.settings("scenes", "guidance") for part in ("--set", setting)]
    with Running(story, tmp_path / "run", "--to", "guidance", *settings) as run:
        assert second.wait(PATIENCE_S)
        run.process.kill()
    let_go.set()
    command: tuple[str | Path, ...] = ("run", story, "--out", tmp_path / "run", *SMALL, "--to", "guidance", *settings)
    planned = storygen(*command, "--dry-run", "--json")
    assert ("scenes", "cuts-1", "done") in [
        (row["stage"], row["item"], row["state"]) for row in json.loads(planned.stdout)
    ]
    done = storygen(*command)
    assert done.returncode == 0, done.stderr
    planned = storygen(*command, "--dry-run", "--json")
    model.close()
    assert {row["state"] for row in json.loads(planned.stdout)} == {"done"}
    kinds = ["<captions>" in question or "<shots>" in question for question in model.questions]
    assert ["<captions>" in question for question in model.questions] == [True, False, False, False]
    assert kinds == [True, True, True, False]
