"""The narration: whole sentences at a story's pace, with pauses that can be heard; measured on the finished sound."""

from __future__ import annotations

import io
import wave
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import ROOT

from media.words import split_words
from orchestrator import profile
from orchestrator.item import Item, write_json
from orchestrator.making import Making
from orchestrator.pool import Pool
from orchestrator.progress import JsonReport
from orchestrator.run import Run
from orchestrator.run_folder import MARK
from orchestrator.stages import collect, script, voice

OFFICE = """title: The Office
language: en

Dr. Smith met Mrs. Hill (e.g. on 3/4/2021 at 10:30) and paid $1,234.56. "Too much!" said J. R. Ray. "Is it?"

It was 1812 – or 1999 – when M. François Dupré, i.e. the 3rd, left… He walked 3½ miles, 50 % of them at night.
"""
GERMAN = """title: Taler
language: de

„Es ist Nacht“, dachte Dr. Frei. Bis zum 1. Januar 1812 zählte man 2.500 Stück, z. B. um 10:30 Uhr.
"""
ARABIC = """title: الأسد
language: ar

ضحك الأسد كثيرا وقال: «أنت فأر صغير، كيف تساعد أسدا؟» ثم تركه يذهب. بعد 3 أيام جاء د. أحمد.
"""
RUSSIAN = """title: Кто там
language: ru

— Кто там? — спросил он. — Я.

Дверь открылась в 6 часов утра.
"""


class Untimed(Run):
    """A run whose synthesizer does not say when its words sound."""

    def work(self, *arguments: Any, **settings: Any) -> Item:
        item = super().work(*arguments, **settings)
        return replace(item, output={**item.output, "words": None}) if "words" in item.output else item


@dataclass(frozen=True)
class Told:
    """A narrated story."""

    lines: list[Any]
    words: list[Any]
    sound: np.ndarray
    duration_s: float
    warnings: list[str]

    @property
    def pauses(self) -> list[tuple[float, bool]]:
        """The silence in seconds from each line to the next, and whether a paragraph ends there."""
        loud = np.flatnonzero(np.abs(self.sound) > 0.004) / 48000
        found = []
        for before, after in pairwise(self.words):
            if before["line"] != after["line"]:
                middle = (before["end_s"] + after["start_s"]) / 2
                place = np.searchsorted(loud, middle)
                new = self.lines[before["line"]]["paragraph"] != self.lines[after["line"]]["paragraph"]
                found.append((float(loud[place] - loud[place - 1]), new))
        return found


Tell = Callable[..., Told]


@pytest.fixture(scope="module")
def tell(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Narrates a story by the first stages of a run and real workers; each story is spoken once."""
    told: dict[tuple[str, type[Run]], Told] = {}
    folders: dict[str, Path] = {}
    with Pool() as pool:

        def narrate(text: str, kind: type[Run] = Run) -> Told:
            if (text, kind) not in told:
                folders.setdefault(text, tmp_path_factory.getbasetemp() / f"narration-{len(folders)}")
                with kind(folders[text], pool, JsonReport(io.StringIO()), ends_pool=False) as run:
                    write_json(run.folder / MARK, {"v": 1})
                    making = Making(run, profile.load("draft"), Path("story.md"), text)
                    for stage in (collect, script, voice):
                        stage.make(making)
                assert making.narration is not None
                with wave.open(str(making.narration)) as file:
                    channels = file.getnchannels()
                    samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, channels)[:, 0]
                warnings = [warning["code"] for item in run.items for warning in item.warnings]
                told[text, kind] = Told(making.lines, making.words, samples / 32768, making.duration_s, warnings)
            return told[text, kind]

        yield narrate


def story(name: str) -> str:
    return (ROOT / "examples" / f"{name}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "pace"), [("crow", 150), ("jingwa", 250)])
def test_a_story_is_told_at_the_pace_of_its_language(tell: Tell, name: str, pace: int) -> None:
    told = tell(story(name))
    assert len(told.words) * 60 / told.duration_s == pytest.approx(pace, rel=0.08)


@pytest.mark.parametrize("name", ["crow", "jingwa"])
def test_pauses_between_sentences_and_longer_ones_between_paragraphs_are_in_the_sound(tell: Tell, name: str) -> None:
    pauses = tell(story(name)).pauses
    assert len(pauses) >= 9
    assert all(0.35 <= silence <= 0.5 for silence, paragraph in pauses if not paragraph)
    assert all(0.8 <= silence <= 0.95 for silence, paragraph in pauses if paragraph)
    assert {paragraph for _, paragraph in pauses} == {True, False}


@pytest.mark.parametrize("text", [OFFICE, GERMAN, ARABIC, RUSSIAN, story("crow")], ids=lambda text: text[7:13])
def test_every_word_of_the_story_is_told_once_in_order_and_in_time(tell: Tell, text: str) -> None:
    told = tell(text)
    assert " ".join(word["word"] for word in told.words) == " ".join(text.split("\n\n", 1)[1].split())
    assert all(word["start_s"] < word["end_s"] for word in told.words)
    assert all(one["end_s"] <= two["start_s"] for one, two in pairwise(told.words))
    assert 0 < told.words[0]["start_s"] < 0.3
    assert told.words[-1]["end_s"] <= told.duration_s
    for word in told.words:
        heard = told.sound[round(word["start_s"] * 48000) : round(word["end_s"] * 48000)]
        assert float(np.sqrt(np.mean(heard**2))) > 0.015, word
    assert told.warnings == []


# Sentences


@pytest.mark.parametrize(
    ("language", "sentences"),
    [
        ("en", ["Dr. Smith met Mr. and Mrs. Hill, e.g. on St. Mark St.", "He left at 5 p.m. on Sunday."]),
        ("en", ['"Give up," said a lizard.', '"It is late," he said, "we must go."', '"What?"', '"Nothing."']),
        ("en", ["“Why?” she asked.", "“Go!” he said.", "‘Oh.’", "Anna said nothing… and left… for good."]),
        ("en", ["On Jan. 5, 1999 the U.S. Army left.", "Approx. 5 men, i.e. all, stayed.", "1. One came."]),
        ("en", ["iron and rust!", "no capitals here.", "she wrote so."]),
        ("cs", ["28. října přišel Ing. Malý.", "Byl r. 1918.", "„Kdo je tam?“ zeptala se.", "„Já.“"]),
        ("de", ["Bis zum 1. Januar 1812 zählte man z. B. 2.500 Stück.", "„Wer?“, fragte sie.", "»Nein.«", "»Doch!«"]),
        ("fr", ["M. Dupont vint.", "Le Dr. Watson aussi, c.-à-d. eux.", "« Qui ? » demanda-t-elle.", "« Si. »"]),
        ("fr", ["Vers l’an 52 av. J.-C. il vint.", "— Salut ! dit-il."]),
        ("es", ["¿Dónde está? —preguntó él.", "¡Aquí!", "El Sr. López vino."]),
        ("pl", ["— Kto? — spytał.", "Dr. Nowak, tj. lekarz.", "Ok. 5 os. przyszło."]),
        ("ru", ["— Кто там? — спросил он.", "— Я.", "А. С. Пушкин ушёл в 1999 г. домой."]),
        ("ar", ["قال: «لا تخف!»", "د. أحمد جاء؟", "نعم، جاء… ثم ذهب."]),
        ("hi", ["कौआ आया।", "उसने पानी देखा।"]),
        ("zh", ["“快下来！”青蛙说，“我在水里。”", "他问：“你见过大海吗？海有一千里宽。”"]),
        ("zh", ["“谁？”", "“我！”", "他说：“好……”"]),
        ("zh", ["『啊！』", "他走了。"]),
        ("ja", ["「水だ！」とカラスは言った。", "「うん。」", "そして行った。"]),
    ],
)  # fmt: skip
def test_a_line_is_a_whole_sentence(language: str, sentences: list[str]) -> None:
    blank = "" if language in {"zh", "ja"} else " "
    assert script.sentences(blank.join(sentences), language) == sentences


MARKS = st.sampled_from(['"', "“", "”", "«", "»", "「", "」", "』", "—", "…", "?", "!", ".", "。", "(", ")", "’", "1."])
TOKENS = st.lists(MARKS | st.sampled_from(["He", "said", "M.", "水", "ok"]), min_size=1, max_size=25)


@given(TOKENS, st.sampled_from([" ", ""]), st.sampled_from(["en", "fr", "zh", "ja", "cs", "ar", "xx"]))
def test_no_line_is_a_lone_mark_and_none_is_lost(tokens: list[str], blank: str, language: str) -> None:
    paragraph = blank.join(tokens)
    found = script.sentences(paragraph, language)
    assert all(any(map(str.isalnum, sentence)) for sentence in found)
    if any(map(str.isalnum, paragraph)):
        assert "".join("".join(found).split()) == "".join(paragraph.split())


@pytest.mark.parametrize("text", ["! " * 200_000, "A. b. " * 100_000, "“ ” " * 100_000])
def test_a_text_of_nothing_but_sentence_ends_is_cut_in_no_time(text: str) -> None:
    lines = script.lines([text], "en")
    assert all(len(line["text"]) <= script.MAX_LINE for line in lines)


# Times of words that nobody told


TEXTS = st.lists(
    st.sampled_from(
        [
            "crow,",
            "«",
            "»",
            "“yes”",
            "–",
            "1999",
            "$1,234.56",
            "water.",
            "乌鸦。",
            "「水」",
            "コー",
            "é",
            "🙂",
            "…",
            "(",
            "x)",
        ]
    ),
    min_size=1,
    max_size=25,
).map(" ".join)


@st.composite
def stretches(draw: st.DrawFn) -> list[tuple[float, float]]:
    """Stretches of sound with pauses between them."""
    now, found = draw(st.floats(0, 1)), []
    for _ in range(draw(st.integers(1, 12))):
        end = now + draw(st.floats(0.02, 3))
        found.append((now, end))
        now = end + draw(st.floats(0.1, 1))
    return found


@given(TEXTS, stretches())
def test_estimated_times_rise_and_lie_in_the_sound_and_no_word_is_missing(
    text: str, sound: list[tuple[float, float]]
) -> None:
    words = voice.estimated(text, sound)
    assert " ".join(word["word"] for word in words).replace(" ", "") == text.replace(" ", "")
    assert words[0]["start_s"] == pytest.approx(sound[0][0], abs=1e-4)
    assert words[-1]["end_s"] == pytest.approx(sound[-1][1], abs=1e-4)
    assert all(word["start_s"] <= word["end_s"] for word in words)
    assert all(one["end_s"] <= two["start_s"] for one, two in pairwise(words))
    if len(words) >= len(sound):  # else pauses must be inside words
        ends = [end for _, end in sound]
        assert sum(any(abs(word["end_s"] - end) < 1e-3 for end in ends) for word in words) >= len(sound)


@given(TEXTS.filter(lambda text: any(map(str.isalnum, text))))
def test_the_words_are_the_ones_that_a_synthesizer_would_have_named(text: str) -> None:
    assert voice.split_words(text) == [word.text for word in split_words(text)]


@pytest.mark.parametrize(("name", "mean_s"), [("crow", 0.11), ("jingwa", 0.11)])
def test_estimates_are_near_the_times_that_espeak_knows(tell: Tell, name: str, mean_s: float) -> None:
    known, told = tell(story(name)), tell(story(name), Untimed)
    assert [word["word"] for word in told.words] == [word["word"] for word in known.words]
    errors = [abs(one["start_s"] - two["start_s"]) for one, two in zip(told.words, known.words, strict=True)]
    assert np.mean(errors) < mean_s
    assert told.warnings == [voice.ESTIMATED]


def test_a_clip_that_is_no_wav_or_silent_counts_as_sound_from_end_to_end(tmp_path: Path) -> None:
    clip = tmp_path / "clip.wav"
    clip.write_bytes(b"ID3 this is no wav")
    assert voice.sounding(clip, 2.5) == [(0.0, 2.5)]
    with wave.open(str(clip), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(16000))
    assert voice.sounding(clip, 1.0) == [(0.0, 1.0)]


@pytest.mark.parametrize(
    ("platform", "says"), [("linux", "macOS and Windows"), ("darwin", "Mac's own"), ("win32", "voices of Windows")]
)
def test_the_summary_can_tell_how_to_get_a_better_voice(platform: str, says: str) -> None:
    items = [{"stage": "voice", "engine": engine} for engine in ("espeak", "ffmpeg", "rules")]
    advice = voice.advice({"items": items}, platform)
    assert says in str(advice)
    assert "--set voice.engine=system" in str(advice)
    assert voice.advice({"items": [{"stage": "voice", "engine": "system"}]}, platform) is None
