"""Cues, their files, and what ffmpeg really draws of them."""

from __future__ import annotations

import html
import itertools
import json
import os
import random
import subprocess
import time
from pathlib import Path
from typing import Any

import av
import jsonschema
import numpy as np
import pysubs2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from referencing import Registry, Resource

import media.faces
from media.captions import captions, to_srt, to_vtt
from media.cues import PAUSE_CS, Limits, build, cells, units
from media.fonts import font_folder, fonts_of
from media.typeface import Typeface
from runtime.context import Context
from runtime.errors import WorkerError

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas" / "v1"
SCHEMA = json.loads((SCHEMAS / "media_processing/captions.schema.json").read_text(encoding="utf-8"))
COMMON = json.loads((SCHEMAS / "common.schema.json").read_text(encoding="utf-8"))
REGISTRY = Registry().with_resources((s["$id"], Resource.from_contents(s)) for s in (SCHEMA, COMMON))
STORY = (
    "A thirsty crow found a tall clay pitcher with only a little water at the bottom. She pushed her beak inside, but "
    'she could not reach it. Mr. Fox, who was passing by, laughed: "You will never drink!" The crow thought for a '
    "while. Then she picked up a pebble, and dropped it in. Plop. One by one, the pebbles raised the water, until "
    "she drank."
)
HOSTILE = r"{\b1} a{b}c C:\new \N \h <i>hi</i> x<y & a&amp;b --> 00:00:01,000 {y:i} <font> {\an8}top \{ \\ } { end</b>"


def spoken(text: str) -> list[dict[str, Any]]:
    """Words at a reading pace, with pauses after commas and sentences."""
    words, now = [], 0.2
    for word in text.split():
        end = now + 0.14 + 0.05 * len(word)
        words.append({"word": word, "start_s": round(now, 3), "end_s": round(end, 3)})
        now = end + (0.45 if word[-1] in '.?!"' else 0.2 if word[-1] in ",;" else 0.02)
    return words


def request(words: list[dict[str, Any]], **wanted: Any) -> dict[str, Any]:
    """An input as the runtime gives it: valid, with the schema's defaults."""
    given = {"words": words, **wanted}
    validator("input").validate(given)
    return {name: facts.get("default") for name, facts in SCHEMA["$defs"]["input"]["properties"].items()} | given


def validator(part: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator({"$ref": f"{SCHEMA['$id']}#/$defs/{part}"}, registry=REGISTRY)


def run(folder: Path, words: list[dict[str, Any]], **wanted: Any) -> tuple[dict[str, Any], Context]:
    context = Context(output_dir=folder, output_name="captions")
    output = captions(request(words, **wanted), context)
    validator("output").validate(output)
    return output, context


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


def test_sentences_and_phrases_are_not_mixed_and_lines_are_balanced(tmp_path):
    cues = lines_of(STORY, tmp_path)
    assert ["but she could", "not reach it."] in cues
    for lines in cues:
        inner = " ".join(lines).split()[:-1]
        assert not [word for word in inner if word[-1] in ".?!" and word != "Mr."], lines
        assert "Mr." not in lines[-1][-3:]
        if len(lines) == 2:
            assert min(map(len, lines)) > 0.55 * max(map(len, lines)), lines


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


def test_fast_speech_is_warned_of(tmp_path):
    words = [{"word": "go", "start_s": n / 6, "end_s": n / 6 + 0.1} for n in range(12)]
    assert "fast_speech" in [warning["code"] for warning in run(tmp_path, words)[1].warnings]
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


def test_hostile_text_comes_back_from_ffmpegs_parsers_as_it_was(tmp_path):
    output = run(tmp_path, spoken(HOSTILE + " two\nlines"))[0]
    words = [*HOSTILE.split(), "two", "lines"]
    assert joined(output["cues"]) == " ".join(words)
    srt = [dialogue(data) for data in decoded(output["files"]["srt"]["path"])]
    assert " ".join(srt) == " ".join(words)
    vtt = [dialogue(data.replace("\\{{}", "{")) for data in decoded(output["files"]["vtt"]["path"])]
    assert " ".join(vtt) == " ".join(words)
    ass = [dialogue(unescaped(data)) for data in decoded(output["files"]["ass"]["path"])]
    assert list(dict.fromkeys(ass)) == [" ".join(cue["lines"]) for cue in output["cues"]]


def decoded(path: str) -> list[str]:
    with av.open(path) as container:
        subtitles: list[Any] = [subtitle for packet in container.demux() for subtitle in packet.decode()]
    return [subtitle.ass.decode() for subtitle in subtitles]


def dialogue(data: str) -> str:
    return data.split(",", 8)[8].replace("\\N", " ").replace("\u2060", "")


def unescaped(data: str) -> str:
    for color in ("00D4FF", "FFFFFF"):
        data = data.replace(f"{{\\c&H{color}&}}", "")
    return data.replace("\\{", "{").replace("\\}", "}")


def test_every_event_follows_the_last_and_every_word_is_coloured_once(tmp_path):
    words = spoken(STORY)
    output = run(tmp_path, words)[0]
    file = pysubs2.load(output["files"]["ass"]["path"])
    for before, after in itertools.pairwise(file.events):
        assert before.end <= after.start
    colored = [event for event in file.events if "{" in event.text]
    assert [event.text.split("}")[1].split("{")[0] for event in colored] == STORY.split()
    for event, word in zip(colored, words, strict=True):
        assert abs(event.start / 1000 - word["start_s"]) <= 0.005001
        assert -0.005001 <= event.end / 1000 - word["end_s"] <= 0.1051
    shown = [(cue["start_s"], cue["end_s"]) for cue in output["cues"]]
    for start, end in shown:
        inside = [event for event in file.events if start * 1000 <= event.start < end * 1000]
        assert (inside[0].start, inside[-1].end) == (round(start * 1000), round(end * 1000))
        assert all(a.end == b.start for a, b in itertools.pairwise(inside)), "the text would flicker"


# What is drawn


class Film:
    """The captions of a request, drawn on black by ffmpeg with nothing but the private font folder."""

    def __init__(self, folder: Path, words: list[dict[str, Any]], **wanted: Any) -> None:
        self.request = request(words, **wanted)
        self.output = captions(self.request, Context(output_dir=folder, output_name="captions"))
        self.ass = Path(self.output["files"]["ass"]["path"])
        # hidden and spaced, as a request's temporary folder may be
        self.fonts = folder / ".the private.fonts"
        self.environment = font_folder(fonts_of(self.ass), self.fonts)

    def frames(self, times: list[float], folder: Path) -> list[np.ndarray]:
        """RGB frames at those times (to 1/50 s), each (height, width, 3)."""
        import imageio_ffmpeg

        numbers = [round(50 * time) for time in times]
        chosen = "+".join(f"eq(n,{number})" for number in sorted(set(numbers)))
        size = f"{self.request['width']}x{self.request['height']}"
        source = f"color=c=black:s={size}:r=50:d={max(numbers) / 50 + 0.1},format=gbrp"
        path = folder / "film.mkv"
        done = subprocess.run(
            [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "verbose", "-y", "-f", "lavfi", "-i", source,
             "-vf", f"ass={self.ass.name}:fontsdir={self.fonts.name},select='{chosen}'", "-fps_mode", "passthrough",
             "-c:v", "ffv1", str(path)],
            cwd=self.ass.parent, env={**os.environ, **self.environment}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        self.log = done.stderr
        with av.open(path) as container:
            found = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        return [found[sorted(set(numbers)).index(number)] for number in numbers]


@pytest.fixture
def no_system_fonts(monkeypatch):
    monkeypatch.setattr(media.faces, "system_folders", list)
    media.faces.system.cache_clear()
    yield
    media.faces.system.cache_clear()


def box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of a mask, the last two one past the end."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def fill(frame: np.ndarray) -> np.ndarray:
    return frame[..., 0] > 128


def yellow(frame: np.ndarray) -> np.ndarray:
    return (frame[..., 0] > 128) & (frame[..., 2] < 0.6 * frame[..., 0])


@pytest.mark.parametrize(("width", "height", "margin"), [(1080, 1920, 0.22), (1920, 1080, 0.10), (1080, 1080, 0.10)])
def test_all_cues_are_drawn_inside_the_safe_area(tmp_path, no_system_fonts, width, height, margin):
    film = Film(tmp_path, spoken(STORY), width=width, height=height)
    frames = film.frames([(cue["start_s"] + cue["end_s"]) / 2 for cue in film.output["cues"]], tmp_path)
    em, side, edge = film.output["font_size_px"], 0.075 * width, (1 - margin) * height
    assert em == 72
    for frame, cue in zip(frames, film.output["cues"], strict=True):
        left, top, right, bottom = box(fill(frame))
        assert side <= left
        assert right <= width - side
        assert abs(left + right - width) < 0.2 * em, "centred"
        below = 0.3 if any(char in "gjpqy" for char in cue["lines"][-1]) else 0.55
        assert edge - below * em <= bottom <= edge
        assert edge - top < len(cue["lines"]) * 1.6 * em
    assert "Error" not in film.log


def test_only_the_spoken_word_is_coloured_at_twenty_moments(tmp_path, no_system_fonts):
    words = spoken(STORY)
    film = Film(tmp_path, words)
    typeface, em = Typeface(STORY), film.output["font_size_px"]
    picked = sorted(random.Random(20).sample(range(len(words)), 20))
    frames = film.frames([(words[n]["start_s"] + words[n]["end_s"]) / 2 for n in picked], tmp_path)
    for number, frame in zip(picked, frames, strict=True):
        cue = next(cue for cue in film.output["cues"] if cue["words"][0] <= number < cue["words"][1])
        row, before, word, after = placed(cue, number)
        left, right = (em * typeface.width(text) for text in (before, f"{before}{word}"))
        start = (1080 - em * typeface.width(f"{before}{word}{after}")) / 2
        pitch = em * 1.519  # Noto Sans's line height
        bottom = 0.78 * 1920 - pitch * (len(cue["lines"]) - 1 - row)
        lit, everything = yellow(frame), fill(frame)
        found = box(lit)
        # Kerning moves letters a little from the sum of their widths, by less than a blank (0.26 em).
        assert abs(found[0] - (start + left)) < 0.2 * em, word
        assert abs(found[2] - (start + right)) < 0.2 * em, word
        assert bottom - pitch - 8 <= found[1] < found[3] <= bottom
        line = everything[int(bottom - pitch) : int(bottom)]
        assert np.array_equal(line[:, found[0] : found[2]].sum(), lit.sum()), "nothing white in the word"
        plain = frame[everything & ~lit]
        assert (plain.max(axis=1) - plain.min(axis=1) < 40).all(), "nothing coloured outside the word"


def placed(cue: dict[str, Any], number: int) -> tuple[int, str, str, str]:
    """(line, text before, the word, text after) of a word of a cue."""
    at = number - cue["words"][0]
    for row, line in enumerate(cue["lines"]):
        texts = line.split(" ")
        if at < len(texts):
            before = "".join(text + " " for text in texts[:at])
            return row, before, texts[at], "".join(" " + text for text in texts[at + 1 :])
        at -= len(texts)
    raise AssertionError("the word is not in the cue")


def test_the_text_stands_still_while_the_colour_moves(tmp_path):
    words = spoken("To Avoid the crow")
    film = Film(tmp_path, words)
    frames = film.frames([(word["start_s"] + word["end_s"]) / 2 for word in words], tmp_path)
    first, *others = [frame.max(axis=2) > 128 for frame in frames]
    for other in others:
        assert box(other) == box(first)
        assert np.count_nonzero(first != other) < 0.02 * first.sum()  # edges, where the colour parts two bitmaps


@pytest.mark.parametrize("em", [60, 72, 80])
def test_letters_have_the_size_asked_for(tmp_path, no_system_fonts, em):
    film = Film(tmp_path, spoken("HHH"), font_size_px=em)
    left, top, right, bottom = box(fill(film.frames([0.3], tmp_path)[0]))
    assert abs((bottom - top) - 0.714 * em) <= 2  # Noto Sans's sCapHeight is 714 of 1000
    bold = 3 * 0.765 - 2 * 0.0895  # three advances of the bold H without the outer bearings; regular: 2.03
    assert abs((right - left) - bold * em) <= 0.04 * em + 2


def test_hostile_text_is_drawn_as_wide_as_it_is_long(tmp_path):
    text = r"{\b1} C:\new {x}"
    film = Film(tmp_path, spoken(text), style="plain")
    left, _, right, _ = box(fill(film.frames([1.0], tmp_path)[0]))
    assert film.output["cues"][0]["lines"] == [text]
    assert abs((right - left) / film.output["font_size_px"] - Typeface(text).width(text)) < 0.25


def test_each_line_of_a_mixed_text_runs_in_the_direction_of_the_whole(tmp_path):
    try:
        film = Film(tmp_path, spoken("שלום world, עולם טוב, hello שלום"), language="he", max_words_per_line=1)
    except WorkerError as error:
        pytest.skip(error.message)
    lines = [line for event in pysubs2.load(str(film.ass)) for line in event.text.split("\\N")]
    assert all(line.startswith("\u200f") for line in lines)


def test_hebrew_keeps_its_order_when_coloured(tmp_path):
    text = "שלום עולם טוב"
    try:
        film = Film(tmp_path, spoken(text), language="he")
    except WorkerError as error:
        pytest.skip(error.message)
    frames = film.frames([word["start_s"] + 0.1 for word in spoken(text)], tmp_path)
    starts = [box(yellow(frame))[0] for frame in frames]
    assert starts == sorted(starts, reverse=True)


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
