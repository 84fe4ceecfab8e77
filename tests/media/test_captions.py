"""Cues: where they break, what they refuse, and what their files say."""

from __future__ import annotations

import html
import itertools
import time
import unicodedata
from pathlib import Path
from typing import Any

import av
import pytest
from captioning import HOSTILE, STORY, events, request, run, seen, shown, signs, spoken, validator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from media.captions import captions, to_srt, to_vtt
from media.clusters import clusters
from media.cues import PAUSE_CS, Limits, break_costs, build, cells, units
from runtime.context import Context
from runtime.errors import WorkerError


def joined(cues: list[dict[str, Any]]) -> str:
    return " ".join(line for cue in cues for line in cue["lines"])


# Cue building, for any words

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Z", "Cf", "M"]), min_size=1, max_size=14)
TIMED = st.lists(st.tuples(TEXTS, st.integers(0, 150), st.sampled_from([0, 0, 0, 5, 20, 50, 70, 71, 300])), max_size=60)
LIMITS = st.builds(
    Limits, words_per_line=st.integers(1, 10), chars_per_line=st.integers(4, 42), lines=st.integers(1, 3),
    min_cs=st.integers(10, 100), max_cs=st.integers(100, 600), width=st.one_of(st.none(), st.floats(4, 20)),
)  # fmt: skip


def timed(raw: list[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    words, now = [], 0
    for text, length, pause in raw:
        words.append((text, now, now + length))
        now += length + pause
    return words


def cells_of(text: str) -> int:
    return cells("".join(char for char in text if unicodedata.category(char) != "Cc").strip()) if text.strip() else 0


def ems(text: str) -> float:
    return 0.55 * cells(text)


@settings(max_examples=300, deadline=None)
@given(TIMED, LIMITS, st.one_of(st.none(), st.integers(0, 20000)))
def test_any_words_become_cues_that_keep_every_word_and_limit(raw, limits, last):
    parts = units(timed(raw), limits, ems)
    cues = build(parts, limits, ems(" "), last)
    assert [unit for cue in cues for unit in cue.units] == parts
    whole = ["".join(unit.text for unit in group) for _, group in itertools.groupby(parts, lambda unit: unit.word)]
    assert whole == [text for text, _, _ in raw]
    for cue in cues:
        assert 1 <= len(cue.lines) <= limits.lines
        assert 0 < cue.end - cue.start <= limits.max_cs
        assert cue.start == cue.units[0].start
        for text in cue.texts:
            assert cells(text) <= limits.chars_per_line
            assert len(text.split(" ")) <= limits.words_per_line
            assert limits.width is None or ems(text) <= limits.width + 1e-6
        for before, after in itertools.pairwise(cue.units):
            assert before.end <= after.start <= before.end + PAUSE_CS
    for cue, following in itertools.pairwise(cues):
        assert cue.end <= following.start
        longest = min(cue.start + limits.max_cs, following.start)
        assert cue.end >= min(cue.start + limits.min_cs, longest), "there was silence to extend it into"


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text("<>{}\\&-iNnhb/!:; a1", min_size=1, max_size=9).filter(str.strip), min_size=1, max_size=12))
def test_any_markup_in_the_words_is_text_to_other_parsers(texts):
    limits = Limits(10, 42, 2, 80, 500, None)
    texts = [" ".join(text.split()) for text in texts]
    cues = build(units([(text, 40 * n, 40 * n + 30) for n, text in enumerate(texts)], limits, ems), limits, 0)
    lines = ["\n".join(cue.texts) for cue in cues]
    assert [unstamped(block) for block in to_srt(cues).strip("\n").split("\n\n")] == lines
    head, *blocks = to_vtt(cues).strip("\n").split("\n\n")
    assert head == "WEBVTT"
    assert [html.unescape(unstamped(f"1\n{block}")) for block in blocks] == lines
    assert not any("<" in block for block in blocks)


def unstamped(block: str) -> str:
    number, times, *lines = block.split("\n")
    assert number.isdigit()
    assert times.count("-->") == 1
    assert not any("-->" in line for line in lines)
    return "\n".join(lines).replace("\u2060", "")


# Where cues break


def lines_of(text: str, tmp_path: Path, **wanted: Any) -> list[list[str]]:
    return [cue["lines"] for cue in run(tmp_path, spoken(text), **wanted)[0]["cues"]]


@pytest.mark.parametrize(
    ("language", "text", "line"),
    [
        ("en", "A young crow flew over the white fields with her beak open.", "with her beak open."),
        ("en", "She looked at the small child and then she went home to the old farm", "and then she went home"),
        ("cs", "Chytil ji za listy a potom šel v noci s babičkou domů k řece", "a potom šel v noci"),
        ("de", "Am Fluss saß ein Kind und fror so sehr am Kopf und an den Händen", "und fror so sehr am Kopf"),
        ("fr", "Elle traversait toute la baie à la rame pour allumer la lampe du phare", "pour allumer la lampe"),
    ],
)
def test_a_break_stands_before_a_word_that_leans_on_the_next(tmp_path, language, text, line):
    words = [{"word": word, "start_s": n / 3, "end_s": n / 3 + 0.33} for n, word in enumerate(text.split())]
    lines = [line for cue in run(tmp_path, words, language=language)[0]["cues"] for line in cue["lines"]]
    assert line in " ".join(lines)
    starts = {words_of.split()[0] for words_of in lines}
    assert line.split()[0] in starts, lines
    lean = {"over", "the", "with", "a", "of", "to", "za", "v", "s", "k", "ein", "am", "und", "la", "du", "pour", "à"}
    assert not [text for text in lines if text.split()[-1] in lean], lines


@pytest.mark.parametrize(
    ("language", "before", "after", "good"),
    [
        ("en", "flew", "over", True), ("en", "over", "the", False), ("en", "3", "miles", False),
        ("en", "dark", "night", None), ("de", "das", "Kind", False), ("cs", "v", "lese", False),
        ("pl", "w", "lesie", False), ("es", "casa", "y", True), ("hi", "घर", "में", False),
        ("zh", "慢", "慢", False), ("zh", "我", "的", False), ("zh", "在", "井", False),
        ("en", "years", "old", False), ("en", "nine", "years", False), ("en", "there", "was", False),
        ("de", "Jahre", "alt", False), ("it", "la", "sua", False), ("it", "anni", "fa", False),
        ("cs", "Marta", "Nováková", False), ("de", "Märchen", "Abend", None), ("fr", "leur", "maison", False),
        ("ja", "言", "い", False), ("ja", "カ", "ラ", None), ("xx", "the", "cat", None),
    ],
)  # fmt: skip
def test_the_table_says_which_words_lean(language, before, after, good):
    limits = Limits(10, 42, 2, 80, 500, None)
    cost = break_costs(units([(before, 0, 20), (after, 20, 40)], limits, ems), language)[1]
    assert (cost < 0.9) if good else (cost > 0.9) if good is False else (cost == 0.9)


@pytest.mark.parametrize(("language", "number"), [("cs", "28."), ("de", "1.")])
def test_the_full_stop_of_an_ordinal_ends_no_sentence(tmp_path, language, number):
    words = spoken(f"Es war schon am Abend, {number} Januar, und alle kamen zusammen.")
    for word in words:
        word["start_s"], word["end_s"] = word["start_s"] * 0.5, word["end_s"] * 0.5
    cues = run(tmp_path, words, language=language)[0]["cues"]
    assert any(f"{number} Januar" in line for cue in cues for line in cue["lines"])


@pytest.mark.parametrize("size", [(1080, 1920), (1920, 1080), (1080, 1080)])
@pytest.mark.parametrize(
    ("language", "text", "torn"),
    [
        ("en", "Marta was nine years old, and she lived in a lighthouse with her aunt.", ["nine|years", "years|old,"]),
        ("en", "In the morning there was a cake on the doorstep.", ["there|was"]),
        ("it", "L'orologiaio salì sulla torre con la sua scala, aprì lo sportello e trovò,", ["con|la", "la|sua"]),
        ("en", "They live at 10 St. James's St. in the U.S.A. It was 3 p.m. Then it rained.", ["in|the", "3|p.m."]),
        ("de", "Am Ende heiratete der Müllersohn die Prinzessin, und der Kater wurde Minister.",
         ["die|Prinzessin,", "der|Kater", "der|Müllersohn"]),
    ],
)  # fmt: skip
def test_what_belongs_together_stays_in_a_line(tmp_path, size, language, text, torn):
    cues = run(tmp_path, spoken(text), language=language, width=size[0], height=size[1])[0]["cues"]
    lines = [line for cue in cues for line in cue["lines"]]
    assert " ".join(lines) == text
    for pair in torn:
        word, following = pair.split("|")
        assert any(f"{word} {following}" in line for line in lines), (pair, lines)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", '"Dad?" she whispered.'), ("it", "«Che ore sono?» chiedeva."), ("de", "„Kommst du?“ fragte er."),
        ("fr", "« Qui est là ? » demanda-t-il."),
    ],
)  # fmt: skip
def test_who_speaks_is_said_in_the_cue_of_what_is_spoken(tmp_path, language, text):
    words = [{"word": word, "start_s": n / 4, "end_s": n / 4 + 0.2} for n, word in enumerate(text.split())]
    assert len(run(tmp_path, words, language=language)[0]["cues"]) == 1


def test_a_sentence_after_a_quotation_has_its_own_cue(tmp_path):
    words = spoken('"Come here at once, Dad!" She whispered it again.')
    cues = [" ".join(cue["lines"]) for cue in run(tmp_path, words)[0]["cues"]]
    assert cues == ['"Come here at once, Dad!"', "She whispered it again."]


def test_sentences_and_phrases_are_not_mixed_and_lines_are_balanced(tmp_path):
    cues = lines_of(STORY, tmp_path)
    assert ["but she could", "not reach it."] in cues
    for lines in cues:
        inner = " ".join(lines).split()[:-1]
        assert not [word for word in inner if word[-1] in ".?!" and word != "Mr."], lines
        assert "Mr." not in lines[-1][-3:]
        if len(lines) == 2 and lines[0][-1] not in ",:":  # a line that ends with a phrase may be short
            assert min(map(len, lines)) > 0.45 * max(map(len, lines)), lines


def test_no_short_word_is_left_alone(tmp_path):
    cues = lines_of("I would not have thought that anybody could ever do it for me or for him so I left", tmp_path)
    assert min(len(" ".join(lines).split()) for lines in cues) > 1


def test_a_long_pause_ends_the_cue(tmp_path):
    words = [{"word": "wait", "start_s": 0.0, "end_s": 0.4}, {"word": "here", "start_s": 1.2, "end_s": 1.6}]
    cues = run(tmp_path, words)[0]["cues"]
    assert [(cue["lines"], cue["start_s"], cue["end_s"]) for cue in cues] == [(["wait"], 0, 0.8), (["here"], 1.2, 2.0)]


def test_no_cue_is_extended_beyond_the_film(tmp_path):
    words = [{"word": "end", "start_s": 1.0, "end_s": 1.2}]
    assert run(tmp_path, words)[0]["cues"][0]["end_s"] == 1.8
    output, context = run(tmp_path, words, duration_s=1.5)
    assert output["cues"][0]["end_s"] == 1.5
    assert [warning["code"] for warning in context.warnings] == ["short_cue"]


def test_a_hundred_cues_take_half_a_second(tmp_path):
    words = spoken(" ".join([STORY] * 9))
    run(tmp_path, words[:40])  # the fonts are read once
    started = time.process_time()
    cues = run(tmp_path, words)[0]["cues"]
    assert len(cues) >= 100
    assert time.process_time() - started < 0.5 * len(cues) / 100


def test_fast_speech_is_warned_of(tmp_path):
    words = [{"word": "go", "start_s": n / 6, "end_s": n / 6 + 0.1} for n in range(12)]
    (warning,) = [one for one in run(tmp_path, words)[1].warnings if one["code"] == "fast_speech"]
    assert "voice.input.speed" in warning["message"]  # what a user can do about it
    hurried = [{"word": "go", "start_s": n / 4.4, "end_s": n / 4.4 + 0.2} for n in range(12)]
    assert not run(tmp_path, hurried)[1].warnings  # single cues of a usual narration run so
    assert not run(tmp_path, spoken(STORY))[1].warnings


def test_a_word_longer_than_a_line_is_cut_and_goes_on(tmp_path):
    word = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
    output = run(tmp_path, [{"word": word, "start_s": 0, "end_s": 6}], language="de")[0]
    assert "".join(joined(output["cues"]).split(" ")) == word
    assert len(output["cues"]) > 1
    assert {tuple(cue["words"]) for cue in output["cues"]} == {(0, 1)}


def test_a_letter_wider_than_the_film_is_refused(tmp_path):
    with pytest.raises(WorkerError, match="font_size_px is 900") as caught:
        run(tmp_path, spoken("WWW"), font_size_px=900, width=320)
    assert caught.value.code == "invalid_request"


def test_chinese_is_joined_without_blanks_and_counts_two(tmp_path):
    text = "一只口渴的乌鸦看见一个瓶子，瓶子里有水。可是瓶子很高，瓶口又小，里边的水又少，它喝不着。"
    words = [{"word": char, "start_s": n / 5, "end_s": n / 5 + 0.18} for n, char in enumerate(text)]
    cues = run(tmp_path, words, formats=["srt"], language="zh", max_chars_per_line=20, max_words_per_line=1)[0]["cues"]
    assert joined(cues).replace(" ", "") == text
    assert not any(" " in line or cells(line) > 20 or line[0] in "，。" for cue in cues for line in cue["lines"])


@pytest.mark.parametrize("width", [8, 9, 10, 13, 16, 20])
def test_no_line_begins_with_a_closing_mark_or_ends_with_an_opening_one(tmp_path, width):
    text = "「のどが渇いた」と、カラスは《水さし》を見て言いました。"
    text += "一天早晨，“朋友，快下来看看！”青蛙说，“我白天在水里（游泳）。”"
    cues = run(tmp_path, signs(text), formats=["srt"], language="ja", max_chars_per_line=width)[0]["cues"]
    lines = [line for cue in cues for line in cue["lines"]]
    assert "".join(lines) == text
    assert len(lines) > 4
    assert not [line for line in lines if line[0] in "」”》）。，、！？ー" or line[-1] in "「“《（"]
    whole = [{"word": text.replace("。", ""), "start_s": 0, "end_s": 9}]  # one word, cut to lines
    cues = run(tmp_path, whole, formats=["srt"], language="ja", max_chars_per_line=width)[0]["cues"]
    lines = [line for cue in cues for line in cue["lines"]]
    assert not [line for line in lines if line[0] in "」”》），、！？ー" or line[-1] in "「“《（"]


def test_thai_keeps_its_blanks_and_is_cut_where_syllables_begin(tmp_path):
    text = "อีกาตัวหนึ่งกระหายน้ำมาก มันเห็นเหยือกน้ำสูงใบหนึ่งตั้งอยู่กลางสวน"
    words = [{"word": word, "start_s": 3 * n, "end_s": 3 * n + 2.9} for n, word in enumerate(text.split())]
    cues = run(tmp_path, words, language="th", max_chars_per_line=30)[0]["cues"]
    assert [cue["words"] for cue in cues] == [[0, 1], [1, 2]] or len(cues) == 1
    lines = [line for cue in cues for line in cue["lines"]]
    assert "".join(lines) == text.replace(" ", "")
    assert "ใบหนึ่งตั้งอยู่กลางสวน" in lines
    assert "ก ข" in joined(run(tmp_path, spoken("ก ข"), language="th", formats=["srt"])[0]["cues"])


@pytest.mark.parametrize(
    "text",
    ["👨\u200d👩\u200d👧\u200d👦", "👍🏽", "🇫🇷", "1\ufe0f\u20e3", "❤\ufe0f",
     "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
     "e\u0301\u0323", "क्षि", "น้ำ", "เก", "\u1112\u1161\u11ab", "نُّ"],
)  # fmt: skip
def test_what_is_one_character_to_a_reader_is_never_cut(tmp_path, text):
    assert clusters(f"a{text}b") == ["a", text, "b"]
    assert clusters(text * 2) == [text, text]
    words = [{"word": text * 12, "start_s": 0, "end_s": 9}]
    cues = run(tmp_path, words, formats=["srt"], max_chars_per_line=7)[0]["cues"]
    lines = [line for cue in cues for line in cue["lines"]]
    assert len(lines) > 1
    composed = unicodedata.normalize("NFC", text)
    assert all(line.replace(composed, "") == "" for line in lines)


def test_a_long_word_is_cut_after_its_hyphens(tmp_path):
    cues = run(tmp_path, [{"word": "Nord-Ostsee-Kanalverwaltung", "start_s": 0, "end_s": 3}], max_chars_per_line=20)
    assert cues[0]["cues"][0]["lines"] == ["Nord-Ostsee-", "Kanalverwaltung"]


def test_marks_that_turn_a_line_do_not_reach_the_next_word(tmp_path):
    cues = run(tmp_path, spoken("a\u202eb\u2067 c"), formats=["srt"])[0]["cues"]
    assert [cue["lines"] for cue in cues] == [["ab c"]]


@pytest.mark.parametrize(
    ("texts", "line"),
    [
        (["“你好，”", "小猫"], "“你好，”小猫"),
        (["“", "你好", "，", "”", "小猫"], "“你好，”小猫"),
        (["小猫", "“你好”"], "小猫“你好”"),
        (["Hello，", "小猫"], "Hello，小猫"),
        (["他说", "“Hello”", "小猫"], "他说 “Hello” 小猫"),
        (["said", "“小猫”", "and"], "said “小猫” and"),
        (["你好。", "Go"], "你好。 Go"),
        (["well…", "“Yes”"], "well… “Yes”"),
    ],
)
def test_blanks_stand_where_the_scripts_write_them(tmp_path, texts, line):
    words = [{"word": text, "start_s": n / 4, "end_s": n / 4 + 0.2} for n, text in enumerate(texts)]
    cues = run(tmp_path, words, formats=["srt"], max_chars_per_line=100)[0]["cues"]
    assert [cue["lines"] for cue in cues] == [[line]]


def test_filling_lines_takes_bounded_time_and_can_be_stopped(tmp_path):
    words = [{"word": "a", "start_s": 0, "end_s": 0}] * 200
    wide = {"max_lines": 3, "max_words_per_line": 50, "max_chars_per_line": 100, "formats": ["srt"]}
    started = time.process_time()
    assert joined(run(tmp_path, words, **wide)[0]["cues"]).split() == ["a"] * 200
    assert time.process_time() - started < 30  # it took hours; now seconds
    late = Context(output_dir=tmp_path, output_name="late", deadline=time.monotonic() + 0.2)
    with pytest.raises(WorkerError) as caught:
        captions(request(words * 20, **wide), late)
    assert caught.value.code == "timeout"
    assert time.process_time() - started < 60


@pytest.mark.parametrize("place", ["start_s", "end_s", "duration_s"])
def test_endless_times_are_refused_by_the_schema(place):
    word, rest = {"word": "a", "start_s": 0, "end_s": 1}, {}
    if place == "duration_s":
        rest = {place: 1e400}
    else:
        word[place] = 1e400
    assert not validator("input").is_valid({"words": [word], **rest})


@pytest.mark.parametrize(
    ("words", "pointer"),
    [
        ([{"word": " \n", "start_s": 0, "end_s": 1}], "/input/words/0/word"),
        ([{"word": "\u200b", "start_s": 0, "end_s": 1}], "/input/words/0/word"),
        ([{"word": "a", "start_s": 2, "end_s": 1}], "/input/words/0/end_s"),
        ([{"word": "a", "start_s": 2, "end_s": 3}, {"word": "b", "start_s": 1, "end_s": 3}], "/input/words/1/start_s"),
    ],
)
def test_impossible_words_are_named(tmp_path, words, pointer):
    with pytest.raises(WorkerError) as caught:
        run(tmp_path, words)
    assert (caught.value.code, caught.value.pointer) == ("invalid_request", pointer)


# The files


def test_no_words_give_empty_files_and_a_warning(tmp_path):
    output, context = run(tmp_path, [])
    assert [warning["code"] for warning in context.warnings] == ["no_words"]
    assert output["cues"] == []
    assert Path(output["files"]["vtt"]["path"]).read_text() == "WEBVTT\n"
    assert "Dialogue" not in Path(output["files"]["ass"]["path"]).read_text()


def test_only_the_formats_asked_for_are_written_and_srt_needs_no_glyphs(tmp_path):
    output = run(tmp_path, spoken("\U000e0041\ue000 private"), formats=["srt"])[0]
    assert output["files"]["vtt"] is output["files"]["ass"] is output["font_size_px"] is None
    assert [path.name for path in tmp_path.iterdir()] == ["captions_001.srt"]


# Blanks, letters of three scripts, marks, joiners, emoji, direction marks, controls, and what formats take for markup.
PIECES = st.sampled_from(
    [*"ab1-.,!<>&{}\\/%;:\"'", "\\N", "\\n", "\\h", "{\\b1}", "{\\fs200}", "{y:i}", "{note}", "<i>", "</font>", "-->",
     "&amp;", "&lt;", "e\u0301", "\u0301", "\u200b", "\u200d", "\u2060", "\u00ad", "\u202e", "\u2067", "\u200f", "\x07",
     "\u2028", "\x85", "\u00a0", "👩🏽‍🚀", "🇫🇷", "1️⃣", "❤️", "😀", "\ufe0f", "غراب", "؟", "นํ้า", "कौआ", "\x1b[31m", "NOTE"]
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(PIECES, min_size=1, max_size=6).map("".join).filter(cells_of), min_size=1, max_size=8))
def test_any_text_is_drawn_as_it_was_written(tmp_path, texts):
    words = [{"word": text, "start_s": n / 2, "end_s": n / 2 + 0.4} for n, text in enumerate(texts)]
    output = run(tmp_path, words, max_chars_per_line=100, font_size_px=20)[0]
    wanted = seen(" ".join(texts))
    assert seen(joined(output["cues"])) == wanted
    files = {kind: output["files"][kind]["path"] for kind in ("srt", "vtt", "ass")}
    for cue in output["cues"]:
        start, end = (round(100 * cue[name]) for name in ("start_s", "end_s"))
        edges = {start, *(event.start for event in events(files["ass"]) if start < event.start < end)}
        for moment in edges:  # every change of colour leaves the text as it is
            assert [seen(line) for line in shown(files["ass"], moment)] == [seen(line) for line in cue["lines"]]
    assert seen(" ".join(dialogue(data) for data in decoded(files["srt"]))) == wanted
    vtt = [dialogue(data.replace("\\{{}", "{")) for data in decoded(files["vtt"])]
    assert seen(" ".join(vtt)) == wanted
    head, *blocks = Path(files["vtt"]).read_text(encoding="utf-8").strip("\n").split("\n\n")
    assert head == "WEBVTT"
    assert seen(" ".join(html.unescape(unstamped(f"1\n{block}")) for block in blocks)) == wanted


def test_hostile_text_comes_back_from_ffmpegs_parsers_as_it_was(tmp_path):
    output = run(tmp_path, spoken(HOSTILE + " two\nlines"))[0]
    words = [*HOSTILE.split(), "two", "lines"]
    assert joined(output["cues"]) == " ".join(words)
    srt = [dialogue(data) for data in decoded(output["files"]["srt"]["path"])]
    assert " ".join(srt) == " ".join(words)
    vtt = [dialogue(data.replace("\\{{}", "{")) for data in decoded(output["files"]["vtt"]["path"])]
    assert " ".join(vtt) == " ".join(words)


def test_srt_is_left_alone_where_no_player_would_stumble(tmp_path):
    output = run(tmp_path, spoken(r"a {note} 3 < 4 & C:\temp <3 -- {x"), formats=["srt"])[0]
    assert "\u2060" not in Path(output["files"]["srt"]["path"]).read_text(encoding="utf-8")


def decoded(path: str) -> list[str]:
    with av.open(path) as container:
        subtitles: list[Any] = [subtitle for packet in container.demux() for subtitle in packet.decode()]
    return [subtitle.ass.decode() for subtitle in subtitles]


def dialogue(data: str) -> str:
    return data.split(",", 8)[8].replace("\\N", " ").replace("\u2060", "")


def test_every_word_is_coloured_once_and_no_line_flickers(tmp_path):
    words = spoken(STORY)
    output = run(tmp_path, words)[0]
    drawn = events(output["files"]["ass"]["path"])
    for cue in output["cues"]:
        start, end = (round(100 * cue[name]) for name in ("start_s", "end_s"))
        for text in cue["lines"]:
            line = [event for event in drawn if event.text == text and start <= event.start < end]
            assert (line[0].start, line[-1].end) == (start, end)
            assert all(a.end == b.start for a, b in itertools.pairwise(line)), "the text would flicker"
            assert len({(event.x, event.y) for event in line}) == 1, "the text would jump"
    colored = [event for event in drawn if "\\c&" in event.overrides]
    assert len(colored) == len(words)
    for event, word in zip(sorted(colored, key=lambda event: event.start), words, strict=True):
        assert abs(event.start - 100 * word["start_s"]) <= 0.51
        assert -0.51 <= event.end - 100 * word["end_s"] <= 10.51


def test_lines_that_run_from_right_to_left_say_so_in_every_format(tmp_path):
    words = spoken("قال Bob Smith: مرحبا. Hello, يا صديقي.")
    output = run(tmp_path, words, language="ar", max_words_per_line=2)[0]
    for kind in ("srt", "vtt"):
        lines = Path(output["files"][kind]["path"]).read_text(encoding="utf-8").split("\n")
        texts = [line for line in lines if any(map(str.isalpha, line)) and line != "WEBVTT"]
        assert len(texts) == sum(len(cue["lines"]) for cue in output["cues"])
        assert all(line[0] == "\u200f" for line in texts)
    assert all(event.text[0] == "\u200f" for event in events(output["files"]["ass"]["path"]))
    assert not any("\u200f" in line for cue in output["cues"] for line in cue["lines"])


def test_a_cue_ends_with_a_sentence_whose_closing_mark_stands_apart(tmp_path):
    """French sets blanks inside « … ? »; the next paragraph's first word belongs to the next cue."""
    spoken_at = [
        ("une", 34.2, 34.41),
        ("petite", 34.41, 34.85),
        ("voix :", 34.85, 35.21),
        ("« Papa,", 35.69, 36.12),
        ("où", 36.33, 36.47),
        ("est", 36.47, 36.57),
        ("la", 36.57, 36.72),
        ("côte ? »", 36.72, 37.14),
        ("Une", 37.83, 38.05),
        ("barque", 38.05, 38.37),
        ("bleue", 38.37, 38.58),
    ]
    words = [{"word": text, "start_s": start, "end_s": end} for text, start, end in spoken_at]
    cues = run(tmp_path, words, language="fr", formats=["srt"])[0]["cues"]
    assert 8 in [cue["words"][1] for cue in cues]
