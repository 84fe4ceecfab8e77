"""Stage 2 for an idea: a script that is only what is spoken, in the right language, as long as it was asked for."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import pytest
import writing
from hypothesis import given
from hypothesis import strategies as st
from support import STORY
from writing import idea_scores, ideas, narration, script_scores

from orchestrator import drafts, languages, length
from orchestrator.errors import StorygenError
from orchestrator.run_items import Wishes
from orchestrator.spoken import spoken
from orchestrator.stages import collect

IDEAS = (ideas(), idea_scores())


def made(folder: Path, *scripts: Any, more: tuple[str, ...] = ()) -> writing.Written:
    """What becomes of these answers to the stage's questions; 25 words were asked for."""
    settings = writing.played(folder, *IDEAS, *scripts)
    return writing.write(folder, (*settings, "revision.engine=none", *more))


def test_a_script_of_the_right_length_is_taken_at_once(tmp_path: Path) -> None:
    written = made(tmp_path, narration(25))
    assert [item for item in written.items if item.startswith("script")] == ["script/draft-1", "script/script"]
    assert written.spoken == " ".join(writing.text(25))
    assert written.making.source["paragraphs"] == writing.text(25)
    assert written.warnings == {}
    assert written.skipped["revision"] == "revision.engine names no text model; the script is told as it was written"


def test_a_script_of_the_wrong_length_is_corrected_and_the_nearest_kept(tmp_path: Path) -> None:
    written = made(tmp_path, narration(60), narration(19), narration(27))
    assert [item for item in written.items if "draft" in item] == [f"script/draft-{number}" for number in (1, 2, 3)]
    assert len(written.spoken.split()) == 27
    document = json.loads(writing.document(tmp_path, "script", "script").read_text(encoding="utf-8"))
    assert (document["kept"], document["target_words"]) == ("draft-3", 25)
    assert document["versions"] == [
        {"item": "draft-1", "words": 60},
        {"item": "draft-2", "words": 19},
        {"item": "draft-3", "words": 27},
    ]
    assert written.warnings == {}


def test_a_length_that_is_never_met_is_told_with_its_numbers(tmp_path: Path) -> None:
    written = made(tmp_path, narration(60), narration(50), narration(35), narration(55))
    assert [item for item in written.items if "draft" in item][-1] == "script/draft-4"
    assert len(written.spoken.split()) == 35
    assert "35 words where 25 words ±10% were asked for, after 3 corrections" in written.warnings["length_missed"]
    assert "about 14 s instead of 10 s" in written.warnings["length_missed"]
    assert "script/script/script.json" in written.warnings["length_missed"]


def test_what_is_not_spoken_is_taken_out_and_told(tmp_path: Path) -> None:
    dirty = ["# The Last Chair", "**Narrator:** Ida climbed. [Waves crash]", "(softly) " + writing.text(22)[0]]
    written = made(tmp_path, {"paragraphs": dirty})
    assert written.spoken == f"Ida climbed. {writing.text(22)[0]}"
    for removed in ("# The Last Chair", "Narrator:", "[Waves crash]", "(softly)", "its Markdown"):
        assert removed in written.warnings["additions_removed"]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"paragraphs": ["[Music]", " ", "# Title"]}, "there is no text to be spoken"),
        (
            {"paragraphs": ["Ида поднялась по лестнице со стулом на спине."]},
            "it is written in Cyrl, English (en) in Latn",
        ),
        ({"paragraphs": ["The sea roared all night.", "the sea roared all night."] * 2}, "a paragraph occurs twice"),
        ({"paragraphs": "Ida climbed."}, "is not of type 'array'"),
        ({"text": "Ida climbed."}, "'paragraphs' is a required property"),
    ],
)
def test_a_useless_script_is_asked_for_once_more(bad: Any, said: str, tmp_path: Path) -> None:
    if said == "a paragraph occurs twice":
        bad = {"paragraphs": [f"{each} She broke a chair." for each in bad["paragraphs"]]}
    written = made(tmp_path, bad, narration(25))
    assert "script/draft-1-again" in written.items
    assert said in written.warnings["asked_again"]
    folder = tmp_path / "2"
    folder.mkdir()
    with pytest.raises(StorygenError, match="script: scripted was asked twice for script/draft-1") as failure:
        made(folder, bad, bad)
    assert said in failure.value.message


@pytest.mark.parametrize(
    ("line", "code", "exit_code"),
    [
        ({"error": {"code": "content_refused", "message": "No."}}, "content_refused", 76),
        ({"error": {"code": "auth_rejected", "message": "Wrong key."}}, "auth_rejected", 77),
        ({"output": {"text": "{"}}, "internal_error", 70),
        ({"raise": "boom"}, "internal_error", 70),
        ({"exit": 3}, "worker_crashed", 70),
        ({"wait_s": 60, "output": {}}, "timeout", 124),
    ],
)
def test_what_the_model_ends_with_ends_the_run(line: Any, code: str, exit_code: int, tmp_path: Path) -> None:
    with pytest.raises(StorygenError) as failure:
        made(tmp_path, line, more=("script.options.timeout_s=1.5",))
    assert (failure.value.code, failure.value.exit_code) == (code, exit_code)
    assert (tmp_path / "run" / "idea" / "idea" / "result.json").is_file()
    assert not (tmp_path / "run" / "script").exists() or not list((tmp_path / "run" / "script").glob("*/result.json"))


def test_an_edited_script_is_told_as_it_is_and_not_rewritten(tmp_path: Path) -> None:
    answers: dict[str, Any] = {"idea": IDEAS, "script": [narration()], "revision": [script_scores()]}
    settings = writing.played_apart(tmp_path, **answers)
    assert writing.write(tmp_path, settings).skipped["revision"] is None
    path = writing.document(tmp_path, "script", "script")
    document = json.loads(path.read_text(encoding="utf-8"))
    document["lines"] = [{"text": "Mine alone.", "paragraph": 0}]
    writing.as_file(path, document)
    written = writing.write(tmp_path, settings)
    assert written.spoken == "Mine alone."
    assert written.skipped["revision"] == "the script was edited by hand and is told as it is"
    assert written.making.writing["script"] | {"versions": [], "kept": ""} == {
        "words": 2,
        "target_words": 25,
        "versions": [],
        "kept": "",
        "edited": True,
    }


def test_what_is_taken_as_it_lies_there_is_not_asked_for_again(tmp_path: Path) -> None:
    settings = writing.played(tmp_path, *IDEAS, narration(), script_scores(50), narration(24), script_scores(40))
    before = writing.write(tmp_path, settings)
    wishes = Wishes(as_stored=frozenset({"collect", "idea", "script", "revision"}))
    after = writing.write(tmp_path, (*settings, "film.target_s=40"), wishes=wishes)
    assert after.items == ["collect/source", "idea/idea", "script/script", "revision/revision"]
    assert (after.spoken, after.making.source["title"]) == (before.spoken, "Two Fires")
    assert after.making.writing == before.making.writing


def test_a_story_is_told_as_it_is_written_in_every_profile(tmp_path: Path) -> None:
    written = writing.write(tmp_path, writing.played(tmp_path, {"exit": 9}), said=None)
    assert written.spoken == "Told as it is. Quite so."
    assert written.items == ["collect/source", "script/script"]
    assert written.skipped["revision"] == "the user's text is told as it is written"
    assert written.making.writing["script"]["words"] == 6


# What models add


@pytest.mark.parametrize(
    ("dirty", "clean"),
    [
        ("Narrator: He left.", "He left."),
        ("**Vypravěč (tiše):** Odešel.", "Odešel."),
        ("旁白：乌鸦口渴了。", "乌鸦口渴了。"),
        ("Scene 2: The sea.", "The sea."),
        ("[0:00-0:05] The sea.", "The sea."),
        ("0:05 – 0:10: The sea.", "The sea."),
        ("(Upbeat music)\n\nThe sea.", "The sea."),
        ("- The sea.\n- The wind.", "The sea.|The wind."),
        ("The sea. 【海浪声】 It rose.", "The sea. It rose."),
        ("One.\n\nTwo.", "One.|Two."),
    ],
)
def test_additions_are_removed(dirty: str, clean: str) -> None:
    assert "|".join(spoken([dirty])[0]) == clean


@pytest.mark.parametrize(
    "told",
    [
        "He left (as he always did) at dawn.",
        "(Nobody saw him.) He left.",
        "At 8:15 the train came.",
        "There was one rule: never look back.",
        "Her scene: a kitchen. Her host, Tom: kind.",
        '"Ida," he said, "come down."',
        "2024 was dry. 3. května přšelo.",
        "A * B is not C.",
    ],
)
def test_what_belongs_to_the_story_stays(told: str) -> None:
    assert spoken([told]) == ([told], [])


def test_a_story_goes_through_untouched() -> None:
    paragraphs = collect.source(STORY, "story")["paragraphs"]
    assert spoken(paragraphs) == (paragraphs, [])


@given(st.lists(st.text("abc .,!?\n[]()*#:-0159", max_size=60), max_size=4))
def test_cleaning_leaves_words_or_nothing_and_changes_nothing_the_second_time(paragraphs: list[str]) -> None:
    kept, _ = spoken(paragraphs)
    assert all(any(map(str.isalnum, each)) for each in kept)
    assert not any("\n" in each for each in kept)


# Length


@pytest.mark.parametrize(
    ("told", "language", "words"),
    [
        ("He lit it — again, at 3 o'clock.", "en", 7),
        ("Žofie šla domů.", "cs", 3),
        ("乌鸦口渴了，找到一个水罐。", "zh", 7),  # 11 characters at 1.61 a word
        ("カラスはのどがかわいて、水さしを見つけました。", "ja", 11),  # 21 at 1.85
        ("กาตัวหนึ่งกระหายน้ำ", "th", 4),  # 19 letters and marks at 4.8
        ("까마귀는 목이 말랐다.", "ko", 3),
        ("BBC 报道了 2024 年的雨。", "zh", 6),  # two words and six characters
        ("", "en", 0),
        ("—…!", "zh", 0),
    ],
)
def test_words_are_counted_as_long_as_they_take(told: str, language: str, words: int) -> None:
    assert length.count(told, language) == words


WORDS = st.lists(st.text(string.ascii_letters + "žř", min_size=1, max_size=9), max_size=80)


@given(WORDS, WORDS)
def test_spaced_words_are_counted_one_by_one(first: list[str], second: list[str]) -> None:
    assert length.count(" ".join(first), "en") == len(first)
    assert length.of([" ".join(first), " ".join(second)], "cs") == len(first) + len(second)


@given(st.text("乌鸦口渴了找到一个水罐", max_size=200), st.text("乌鸦口渴了", max_size=200))
def test_characters_add_up_to_within_a_word(first: str, second: str) -> None:
    apart = length.count(first, "zh") + length.count(second, "zh")
    assert abs(length.of([first, second], "zh") - apart) <= 1
    assert length.count(first, "zh") == round(len(first) * 158 / 255)


@given(st.integers(1, 20_000), st.integers(0, 40_000))
def test_what_fits_is_within_a_tenth_and_a_correction_leads_there(wanted: int, words: int) -> None:
    wish = length.Wish(wanted, "en")
    assert wish.fits(words) == (abs(words - wanted) * 10 <= wanted)
    verb, _, amount = length.correction(words, wish).partition(" it by about ")
    change = int(amount.split()[0])
    assert wish.fits(words - change if verb == "Cut" else words + change)


@given(st.floats(5, 3600), st.floats(50, 400))
def test_the_wish_is_seconds_by_pace(seconds: float, pace: float) -> None:
    wish = length.wish({"target_s": seconds, "words_per_minute": pace}, "en")
    assert abs(wish.words - seconds * pace / 60) <= 0.5 or wish.words == 1
    told = wish.in_words()
    each, paragraphs = int(told["each"].split()[0]), int(told["paragraphs"])
    assert abs(each * paragraphs - wish.words) <= paragraphs / 2


@given(st.lists(st.integers(0, 400), min_size=1, max_size=4), st.integers(1, 200))
def test_the_nearest_version_is_kept(sizes: list[int], wanted: int) -> None:
    versions = [drafts.Draft(f"draft-{number}", [], words) for number, words in enumerate(sizes, 1)]
    kept = drafts.nearest(versions, length.Wish(wanted, "en"))
    assert abs(kept.words - wanted) == min(abs(words - wanted) for words in sizes)


# Languages


@pytest.mark.parametrize(
    ("told", "tag", "why"),
    [
        ("Byl jednou jeden král a měl tři syny.", "cs", None),
        ("Жил-был царь по имени Tom.", "ru", None),
        ("Žil-byl car.", "ru", "it is written in Latn, Russian (ru) in Cyrl"),
        ("カラスは水を飲んだ。", "ja", None),
        ("カラスは水を飲んだ。", "zh", "it is written in Hira, Chinese (zh) in Hani"),
        ("Ова је прича.", "sr-Cyrl", None),
        ("1 + 1 = 2", "ar", None),
        ("anything at all", "tlh", None),
        (" ".join(writing.SENTENCES), "de", "it is written in English, not in German (de)"),
        (" ".join(writing.SENTENCES), "en", None),
        ("The Who spielten. " + "Der alte Mann fuhr allein auf die See hinaus. " * 3, "de", None),
    ],
)
def test_a_text_in_another_script_or_in_english_is_seen(told: str, tag: str, why: str | None) -> None:
    assert languages.not_in(told, tag) == why


@pytest.mark.parametrize("tag", ["zh-Hans", "zh-Hant-TW", "cs-Latn", "sr-Cyrl", "ja-Jpan", "pt-BR"])
def test_english_is_no_other_language_whatever_script_its_tag_names(tag: str) -> None:
    text = "The old man lit a lamp beside the sea and the wind put it out again. He lit it once more. Far away, on the "
    assert languages.not_in(text + "black water, a second lamp answered, and they were not alone that night.", tag)


def test_a_tags_script_is_what_a_text_must_be_written_in() -> None:
    assert languages.not_in("乌鸦口渴了，找到一个水罐。", "zh-Hans") is None
    assert languages.not_in("Живео једном један стари чамац.", "sr-Cyrl") is None
    assert languages.not_in("Živeo jednom jedan stari čamac.", "sr-Latn") is None
    assert languages.not_in("Živeo jednom jedan stari čamac.", "sr-Cyrl")
