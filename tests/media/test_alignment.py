"""A script on a recogniser's times: its own words, all of them, in order, and where the truth is known, near it."""

from __future__ import annotations

import math
import statistics
import wave
from itertools import pairwise
from pathlib import Path
from typing import Any

import aligning
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media import alignment
from media.alignment import Alignment, aligned, described
from media.sounding import stretches
from runtime.context import Context

SECONDS, SEED = 75, 1


def heard(*words: str | tuple[str, float, float], step_s: float = 0.5) -> list[dict[str, Any]]:
    """Words of a recogniser; those without times follow one another every half a second."""
    timed = [(word, n * step_s, (n + 1) * step_s) if isinstance(word, str) else word for n, word in enumerate(words)]
    return [{"word": word, "start_s": start, "end_s": end} for word, start, end in timed]


def matches(script: str | list[str], said: str | list[str], language: str = "en") -> list[list[str]]:
    """For each word of the script the recogniser's words it was matched with."""
    words = heard(*(said.split() if isinstance(said, str) else said))
    found = aligned(
        script.split() if isinstance(script, str) else script,
        words,
        language=language,
        duration_s=len(words) * 0.5,
    )
    return [[words[number]["word"] for number in source or ()] for source in found.sources]


# Where the truth is known


@pytest.mark.parametrize("language", aligning.LANGUAGES)
def test_words_are_near_the_truth_though_a_recogniser_makes_mistakes(language: str) -> None:
    truth = aligning.narration(language, SECONDS, SEED)
    unheard, right = list[float](), list[float]()
    for seed in range(4):
        said = aligning.heard(truth, 0.15, seed)
        found = aligned(
            truth.script, said.words, language=language, duration_s=truth.duration_s, sounding=truth.sounding
        )
        assert [word.word for word in found.words] == truth.script
        assert aligning.in_order(found, truth.duration_s)
        scored = aligning.score(truth, said, found)
        unheard += scored.unheard
        right.append(scored.right)
        assert aligning.percentile(scored.all, 95) <= aligning.SHIFT_S
        assert 0 < found.mismatch < 0.12
    assert statistics.mean(right) >= 0.99
    assert statistics.median(unheard) <= 0.12
    assert aligning.percentile(unheard, 95) <= 0.4


@pytest.mark.parametrize("language", aligning.LANGUAGES)
def test_a_bad_recogniser_that_loses_several_words_at_once_costs_little(language: str) -> None:
    truth = aligning.narration(language, SECONDS, SEED)
    unheard, right = list[float](), list[float]()
    for seed in range(4):
        said = aligning.heard(truth, 0.15, seed, bad=True)
        found = aligned(
            truth.script, said.words, language=language, duration_s=truth.duration_s, sounding=truth.sounding
        )
        scored = aligning.score(truth, said, found)
        unheard += scored.unheard
        right.append(scored.right)
    assert statistics.mean(right) >= 0.98
    assert statistics.median(unheard) <= 0.12


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_word_that_was_not_heard_lies_in_the_sound(language: str) -> None:
    truth = aligning.narration(language, SECONDS, SEED)
    said = aligning.heard(truth, 0.3, SEED, bad=True)
    found = aligned(truth.script, said.words, language=language, duration_s=truth.duration_s, sounding=truth.sounding)
    lost = [word for word in found.words if not word.heard]
    assert len(lost) > 20
    for word in lost:
        assert any(start - 1e-3 <= word.start_s and word.end_s <= end + 1e-3 for start, end in truth.sounding), word


def test_a_script_that_nobody_heard_is_spread_over_the_sound() -> None:
    truth = aligning.narration("en", SECONDS, SEED)
    found = aligned(truth.script, [], language="en", duration_s=truth.duration_s, sounding=truth.sounding)
    errors = [abs(word["start_s"] - got.start_s) for word, got in zip(truth.words, found.words, strict=True)]
    assert found.mismatch == 1
    assert not any(word.heard for word in found.words)
    assert statistics.median(errors) < 1
    assert aligning.in_order(found, truth.duration_s)


# What is matched with what


def test_a_misheard_word_takes_the_time_and_not_the_spelling() -> None:
    found = aligned(["A", "crow,", "alas."], heard("a", "grow", "alas"), language="en", duration_s=2)
    assert [word.word for word in found.words] == ["A", "crow,", "alas."]
    assert [(word.start_s, word.end_s) for word in found.words] == [(0, 0.5), (0.5, 1), (1, 1.5)]
    assert 0 < found.mismatch < 0.15


@pytest.mark.parametrize(
    ("script", "said", "wanted"),
    [
        ("It was 1999 then.", "it was nineteen ninety-nine then", {2: ["nineteen", "ninety-nine"]}),
        ("In nineteen ninety-nine he left.", "in 1999 he left", {1: ["1999"], 2: ["1999"]}),
        ("Dne 28. října přišel.", "dne osmadvacátého října přišel", {1: ["osmadvacátého"]}),
        ("He paid $1,234.56 at once.",
         "he paid one thousand two hundred thirty-four dollars and fifty-six cents at once",
         {2: ["one", "thousand", "two", "hundred", "thirty-four", "dollars", "and", "fifty-six", "cents"], 3: ["at"]}),
        ("Sie zahlte ٣ Taler.", "sie zahlte 3 taler", {2: ["3"]}),
        ("They went into the house.", "they went in to the house", {2: ["in", "to"]}),
        ("They went in to the house.", "they went into the house", {2: ["into"], 3: ["into"]}),
        ("C’est l’homme d’ici.", "c' est l' homme d' ici", {0: ["c'", "est"], 1: ["l'", "homme"], 2: ["d'", "ici"]}),
        ("Café Příliš ÉTÉ.", "cafe prilis été", {0: ["cafe"], 1: ["prilis"], 2: ["été"]}),
        ("ＦＵＬＬ width ﬁsh", "full width fish", {0: ["full"], 2: ["fish"]}),
        ("Straße", "strasse", {0: ["strasse"]}),
    ],
)  # fmt: skip
def test_the_same_is_found_however_it_is_written(script: str, said: str, wanted: dict[int, list[str]]) -> None:
    found = matches(script, said)
    assert {number: found[number] for number in wanted} == wanted
    assert all(found)


def test_a_turkish_capital_is_read_as_turkish() -> None:
    words = heard("ısı", "ve", "ışık")
    assert aligned(["ISI", "VE", "IŞIK"], words, language="tr", duration_s=2).mismatch == 0


def test_a_phrase_that_the_recogniser_loops_is_taken_once() -> None:
    script = ["The", "crow", "saw", "the", "pitcher", "and", "flew", "down", "to", "it", "at", "once."]
    said = [
        "the",
        "crow",
        "saw",
        "the",
        "pitcher",
        "saw",
        "the",
        "pitcher",
        "saw",
        "the",
        "pitcher",
        "and",
        "flew",
        "down",
        "to",
        "it",
        "at",
        "once",
    ]
    found = aligned(script, heard(*said), language="en", duration_s=len(said) / 2)
    assert found.mismatch == 0
    assert all(word.heard for word in found.words)
    assert [word.start_s for word in found.words][5:] == [number / 2 for number in range(11, 18)]


def test_a_phrase_that_the_script_repeats_and_the_recogniser_does_not_is_heard_when_it_sounds() -> None:
    script = [
        "He",
        "pulled",
        "and",
        "pulled",
        "and",
        "pulled",
        "and",
        "pulled",
        "until",
        "it",
        "came",
        "out",
        "of",
        "the",
        "ground.",
    ]
    said = [("he", 0.0, 0.3), ("pulled", 3.3, 3.8), ("until", 3.8, 4.2), ("it", 4.2, 4.4), ("came", 4.4, 4.8)]
    said += [(word, 4.8 + n * 0.3, 5.1 + n * 0.3) for n, word in enumerate(("out", "of", "the", "ground"))]
    found = aligned(script, heard(*said), language="en", duration_s=7)
    assert [word.heard for word in found.words[:9]] == [True, *[False] * 6, True, True]
    assert found.words[7].start_s == 3.3


def test_words_that_the_script_has_not_take_no_time_from_it() -> None:
    said = heard("thanks", "for", "watching", "the", "crow", "flew", "um", "down", "subscribe", "now")
    found = aligned(["The", "crow", "flew", "down."], said, language="en", duration_s=5)
    assert [word.start_s for word in found.words] == [1.5, 2.0, 2.5, 3.5]
    assert found.words[2].end_s == 3.0
    assert found.mismatch == 0


def test_scripts_without_blanks_are_matched_by_their_characters() -> None:
    assert matches(["乌", "鸦，", "看", "见", "水。"], ["乌鸦", "看见", "了", "水"], "zh") == [
        ["乌鸦"], ["乌鸦"], ["看见"], ["看见"], ["水"]
    ]  # fmt: skip
    assert matches(["コ", "ー", "ヒー", "を"], ["コーヒ", "ー", "を"], "ja")[3] == ["を"]
    thai = matches(["ผมชอบแมว", "มาก"], ["ผม", "ชอบ", "แมว", "มาก"], "th")
    assert thai == [["ผม", "ชอบ", "แมว"], ["มาก"]]


def test_right_to_left_scripts_are_matched_whatever_signs_they_are_written_with() -> None:
    assert matches(["كَتَبَ", "الأســدُ", "رسالة."], ["كتب", "الاسد", "رساله"], "ar") == [["كتب"], ["الاسد"], ["رساله"]]
    assert matches(["שָׁלוֹם,", "עולם"], ["שלום", "עולם"], "he") == [["שלום"], ["עולם"]]


def test_a_thai_word_lasts_from_its_first_character_to_its_last() -> None:
    said = heard(("ผม", 1.0, 1.4), ("ชอบ", 1.4, 1.9), ("แมว", 1.9, 2.5))
    (word,) = aligned(["ผมชอบแมว"], said, language="th", duration_s=3).words
    assert (word.start_s, word.end_s) == (1.0, 2.5)


# Times


def test_a_word_that_begins_in_the_pause_before_it_is_moved_to_its_sound() -> None:
    said = heard(("one", 0.2, 0.6), ("two", 0.6, 1.9))
    found = aligned(["one", "two"], said, language="en", duration_s=2, sounding=[(0.2, 0.6), (1.5, 1.8)])
    assert [(word.start_s, word.end_s) for word in found.words] == [(0.2, 0.6), (1.5, 1.8)]


def test_words_heard_as_one_across_a_pause_are_parted_by_it() -> None:
    said = heard(("seen.before", 1.0, 3.0))
    found = aligned(["seen.", "Before"], said, language="en", duration_s=3, sounding=[(1.0, 1.6), (2.4, 3.0)])
    assert [(word.start_s, word.end_s) for word in found.words] == [(1.0, 1.6), (2.4, 3.0)]


def test_unheard_words_share_the_time_by_their_length_and_keep_out_of_pauses() -> None:
    said = heard(("a", 0.0, 0.2), ("end", 3.0, 3.4))
    sound = [(0.0, 1.2), (2.0, 3.4)]
    found = aligned(["a", "calm", "evening,", "but", "cold", "end"], said, language="en", duration_s=4, sounding=sound)
    calm, evening, but, cold = found.words[1:5]
    assert (calm.start_s, evening.end_s, but.start_s, cold.end_s) == (0.2, 1.2, 2.0, 3.0)
    assert evening.end_s - evening.start_s > calm.end_s - calm.start_s > 0


def test_a_word_that_swallowed_its_neighbours_gives_them_their_time_back() -> None:
    said = heard(("the", 0.0, 0.2), ("crow", 0.2, 2.0), ("down", 2.0, 2.4), ("at", 2.4, 2.6), ("last", 2.6, 3.0))
    found = aligned(["the", "crow", "flew", "quietly", "down", "at", "last"], said, language="en", duration_s=3)
    starts = [word.start_s for word in found.words]
    assert starts[1] == 0.2
    assert 0.4 < starts[2] < 0.9
    assert starts[2] + 0.2 < starts[3] < 1.6
    assert starts[4] == 2.0


def test_one_time_that_is_absurd_does_not_move_the_others() -> None:
    said = heard("a", ("crow", 0.5, 99.0), ("sat", 90.0, 91.0))
    said += [
        {"word": w, "start_s": 1.5 + n / 2, "end_s": 2 + n / 2} for n, w in enumerate(("on", "the", "old", "wall"))
    ]
    found = aligned(["a", "crow", "sat", "on", "the", "old", "wall"], said, language="en", duration_s=100)
    assert [word.start_s for word in found.words][3:] == [1.5, 2.0, 2.5, 3.0]
    assert 0.5 < found.words[2].start_s < 1.5
    assert aligning.in_order(found, 100)


TOKENS = st.sampled_from(
    [
        "the",
        "crow",
        "crow,",
        "The",
        "1999",
        "nineteen",
        "",
        " ",
        "…",
        "🙂",
        "%",
        "水",
        "乌鸦",
        "é",
        "ผม",
        "אב",
        "a\u0301",
        "\u0301",
    ]
)
TIMES = st.floats(-5, 60) | st.sampled_from([0.0, 1.0, 30.0, math.inf, math.nan])
HEARD = st.lists(st.builds(lambda w, a, b: {"word": w, "start_s": a, "end_s": b}, TOKENS, TIMES, TIMES), max_size=25)
SOUND = st.lists(st.tuples(st.floats(-1, 40), st.floats(-1, 40)), max_size=6)


@given(st.lists(TOKENS, max_size=25), HEARD, st.floats(0, 40), SOUND, st.sampled_from(["en", "zh", "tr"]))
def test_every_word_is_there_once_in_order_and_in_time_whatever_was_heard(
    script: list[str], said: list[dict[str, Any]], duration_s: float, sound: list[tuple[float, float]], language: str
) -> None:
    found = aligned(script, said, language=language, duration_s=duration_s, sounding=sound)
    assert [word.word for word in found.words] == script
    assert aligning.in_order(found, duration_s)
    assert 0 <= found.mismatch <= 1
    assert [word.heard for word in found.words] == [source is not None for source in found.sources]
    starts = [source.start for source in found.sources if source is not None]
    assert starts == sorted(starts)


def test_a_long_script_that_is_not_what_is_spoken_is_no_trap() -> None:
    """Only what is near in time is compared: an hour of another text takes fifteen times as long as four minutes."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    script = [f"wo{letters[n * n % 23]}rd" for n in range(600)]
    said = heard(*(f"other{letters[n * n % 19]}" for n in range(600)), step_s=0.4)
    rows = 0

    def count() -> None:
        nonlocal rows
        rows += 1

    found = aligned(script, said, language="en", duration_s=240, check=count)
    assert rows == 601
    assert found.mismatch > alignment.MISMATCH_WARNING
    assert aligning.in_order(found, 240)


def test_it_can_be_stopped() -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        aligned(["a", "b"], heard("x", "y"), language="en", duration_s=1, check=stop)


# What a caller is told


def told(found: Alignment, tmp_path: Path) -> tuple[dict[str, Any], list[str]]:
    context = Context(output_dir=tmp_path, output_name="x")
    return described(found, context), [warning["code"] for warning in context.warnings]


def test_a_recording_of_another_text_is_warned_of(tmp_path: Path) -> None:
    script = ["An", "old", "man", "lit", "a", "lamp", "beside", "the", "sea."]
    right = aligned(script, heard(*script), language="en", duration_s=5)
    wrong = aligned(
        script,
        heard(*["Once", "upon", "a", "midnight", "dreary", "while", "I", "pondered"]),
        language="en",
        duration_s=5,
    )
    output, warnings = told(right, tmp_path)
    assert (output["mismatch"], warnings) == (0, [])
    assert output["words"][0] == {"word": "An", "start_s": 0, "end_s": 0.5, "heard": True}
    output, warnings = told(wrong, tmp_path)
    assert output["mismatch"] > 0.3
    assert warnings == ["script_mismatch"]


def test_the_pauses_of_a_recording_are_found_in_noise_too(tmp_path: Path) -> None:
    chance, rate = np.random.default_rng(1), 16000
    burst = 0.3 * np.sin(np.arange(int(0.8 * rate)) * 2 * np.pi * 220 / rate)
    for noise in (0.0, 0.01):
        sound = np.concatenate([np.zeros(rate // 2), burst, np.zeros(rate // 2), burst, np.zeros(rate // 4)])
        sound = sound + chance.normal(0, noise, len(sound)) if noise else sound
        path = tmp_path / f"{noise}.wav"
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, rate, 0, "NONE", ""))
            file.writeframes((sound * 32767).astype("<i2").tobytes())
        found = [moment for stretch in stretches(path) for moment in stretch]
        assert found == pytest.approx([0.5, 1.3, 1.8, 2.6], abs=0.02)
        assert all(one < two for one, two in pairwise(found))
