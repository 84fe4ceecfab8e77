"""What FFmpeg really draws of captions: its place, its colours, its letters."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from captioning import STORY, Film, box, fill, spoken, yellow
from PIL import Image, ImageDraw, ImageFont

import media.faces
from media.faces import extent
from media.typeface import Typeface
from runtime.errors import WorkerError


@pytest.fixture
def no_system_fonts(monkeypatch):
    monkeypatch.setattr(media.faces, "system_folders", list)
    media.faces.system.cache_clear()
    yield
    media.faces.system.cache_clear()


FORMATS = [(1080, 1920, 0.22), (1920, 1080, 0.05), (1080, 1080, 0.05)]


@pytest.mark.parametrize(("width", "height", "margin"), FORMATS)
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
        assert edge - top < len(cue["lines"]) * 1.4 * em
    assert "Error" not in film.log


@pytest.mark.parametrize(("width", "height", "margin"), FORMATS)
@pytest.mark.parametrize("position", ["bottom", "middle", "top"])
def test_the_box_holds_the_letters_and_stays_in_the_safe_area(tmp_path, width, height, margin, position):
    text = "She dropped a Ťápky pebble into it, and (gladly) jumped"
    small = {"width": width // 4 // 2 * 2, "height": height // 4 // 2 * 2}
    film = Film(tmp_path, spoken(text), style="boxed", text_color="#00FF00", position=position, **small)
    cues = film.output["cues"]
    frames = film.frames([cue["end_s"] - 0.04 for cue in cues], tmp_path, "white")
    assert max(len(cue["lines"]) for cue in cues) == 2
    em, (wide, high) = film.output["font_size_px"], small.values()
    for frame, cue in zip(frames, cues, strict=True):
        darker = frame.min(axis=2) < 240
        left, top, right, bottom = box(darker)
        assert 0.075 * wide - 1 <= left < right <= 0.925 * wide + 1
        assert abs(left + right - wide) <= 2, "centred"
        at = {"bottom": (bottom, (1 - margin) * high), "top": (top, margin * high), "middle": (top + bottom, high)}
        assert abs(at[position][0] - at[position][1]) <= 2
        letters = box((frame[..., 1] > 150) & (frame[..., 2] < 130))
        assert left + 0.3 * em <= letters[0] < letters[2] <= right - 0.3 * em
        assert top + 0.05 * em <= letters[1] < letters[3] <= bottom - 0.05 * em
        assert bottom - top < (1.5 + 1.4 * (len(cue["lines"]) - 1)) * em
        inside = frame[top + 2, (left + right) // 2].astype(int)
        assert (abs(inside - (0.72 * np.array([16, 16, 20]) + 0.28 * 255)) < 8).all(), "seen through by 28 %"
        assert not darker[top, left], "a round corner"


def test_each_style_colours_what_it_says(tmp_path):
    words, small = spoken("the crow drank"), {"width": 270, "height": 480}
    found = {}
    for style in ("highlight", "boxed", "plain"):
        (tmp_path / style).mkdir()
        frame = Film(tmp_path / style, words, style=style, **small).frames([0.3], tmp_path, "white")[0]
        found[style] = (int(yellow(frame).sum()), int((frame.max(axis=2) < 30).sum()))
    assert found["highlight"][0] > 20
    assert found["boxed"][0] > 20
    assert found["plain"][0] == 0
    assert found["highlight"][1] > 100, "letters on white need their outline"
    assert found["boxed"][1] == 0, "on a box they need none"


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
        pitch = em * sum(extent(typeface.primary))
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
        assert np.count_nonzero(first != other) < 0.03 * first.sum()  # edges, where the colour parts two bitmaps


@pytest.mark.parametrize("em", [60, 72, 80])
def test_letters_have_the_size_asked_for(tmp_path, no_system_fonts, em):
    film = Film(tmp_path, spoken("HHH"), font_size_px=em)
    left, top, right, bottom = box(fill(film.frames([0.3], tmp_path)[0]))
    assert abs((bottom - top) - 0.714 * em) <= 2  # Noto Sans's sCapHeight is 714 of 1000
    bold = 3 * 0.765 - 2 * 0.0895  # three advances of the bold H without the outer bearings; regular: 2.03
    assert abs((right - left) - bold * em) <= 0.04 * em + 2


def inked(film: Film, frame: np.ndarray, text: str) -> tuple[float, float]:
    """Ink of the frame and its width, each in parts of what Pillow draws of the text with the same font file."""
    font = ImageFont.truetype(next(film.fonts.glob("00.*")), film.output["font_size_px"])
    size = round(font.getlength(text)) + 100
    canvas = Image.new("L", (size, 300))
    ImageDraw.Draw(canvas).text((50, 100), text, font=font, fill=255)
    drawn, wanted = fill(frame), np.asarray(canvas) > 128
    widths = [box(mask)[2] - box(mask)[0] for mask in (drawn, wanted)]
    return drawn.sum() / wanted.sum(), widths[0] / widths[1]


@pytest.mark.parametrize(
    "text",
    [r"{\fs200}A", r"\N", r"C:\new\h\n", r"{\b1}x{", "{y:i} <i>a</i>", r"\{\\}", "&amp; -->", "{note}}", r"\\\{\p1}m"],
)
def test_hostile_text_is_drawn_letter_by_letter(tmp_path, no_system_fonts, text):
    """As much ink as Pillow, which knows no markup, needs for it; on a box that cannot be seen."""
    film = Film(tmp_path, spoken(text), style="boxed", box_opacity=0, text_color="#FFFFFF", highlight_color="#FFFFFF")
    ink, width = inked(film, film.frames([0.3], tmp_path)[0], text)
    assert ink == pytest.approx(1, abs=0.04)
    assert width == pytest.approx(1, abs=0.04)


def test_arabic_stays_joined_and_in_order_while_each_word_is_coloured(tmp_path, no_system_fonts):
    text = "قلب صغير 123 مسكين Bob شمس"
    words = spoken(text)
    film = Film(tmp_path, words, language="ar", width=1080, height=480, font_size_px=44)
    assert [cue["lines"] for cue in film.output["cues"]] == [[text]]
    frames = film.frames([(word["start_s"] + word["end_s"]) / 2 for word in words], tmp_path)
    whole = [fill(frame) for frame in frames]
    for mask in whole[1:]:
        assert box(mask) == box(whole[0])
        assert np.count_nonzero(mask != whole[0]) < 0.03 * mask.sum(), "the shape changes with the colour"
    places = [box(yellow(frame)) for frame in frames]
    assert [place[0] for place in places] == sorted((place[0] for place in places), reverse=True)
    for number, word in enumerate(text.split()):
        columns = yellow(frames[number]).any(axis=0).astype(int)
        strokes = int((np.diff(columns) == 1).sum())
        if word in {"قلب", "صغير", "مسكين", "شمس"}:
            assert strokes == 1, "letters that join leave no gap"
        else:
            assert strokes == 3


def test_punctuation_stands_at_the_left_end_of_a_line_from_right_to_left(tmp_path, no_system_fonts):
    film = Film(tmp_path, spoken("شمس شمس Bob!"), language="ar", width=1080, height=480, font_size_px=60)
    frame = film.frames([film.output["cues"][0]["end_s"] - 0.5], tmp_path)[0]
    columns = np.flatnonzero(np.diff(np.r_[0, yellow(frame).any(axis=0).astype(int), 0]))
    widths = np.diff(columns)[::2]
    assert widths[0] == widths.min(), "the exclamation mark is left of Bob"


EMOJI = {
    "family": "👨\u200d👩\u200d👧\u200d👦",
    "skin tone": "👍🏽",
    "flag": "🇫🇷",
    "keycap": "1\ufe0f\u20e3",
    "heart": "❤\ufe0f",
    "rainbow": "🏳\ufe0f\u200d🌈",
    "England": "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
}


@pytest.mark.parametrize("beside", ["", "x "], ids=["alone", "beside a letter"])
def test_emoji_are_drawn_whole_without_a_font_on_the_machine(tmp_path, no_system_fonts, beside):
    """One picture a sequence: as wide as measured, and never the pieces it is made of."""
    width = {"width": 480, "height": 270, "font_size_px": 40}
    texts = [
        {"word": beside + emoji, "start_s": 2.0 * n, "end_s": 2 * n + 1.0} for n, emoji in enumerate(EMOJI.values())
    ]
    film = Film(tmp_path, texts, style="boxed", box_opacity=0, highlight_color="#FFFFFF", **width)
    assert "Noto Emoji Medium" in [font["family"] for font in film.output["fonts"]]
    typeface = Typeface(" ".join(beside + emoji for emoji in EMOJI.values()))
    frames = film.frames([2 * n + 0.5 for n in range(len(texts))], tmp_path)
    for frame, emoji in zip(frames, EMOJI.values(), strict=True):
        left, top, right, bottom = box(fill(frame))
        letters = 40 * typeface.width(beside) if beside else 0
        assert 0.6 * 40 < right - left - letters <= 1.3 * 40, emoji
        assert 0.4 * 40 < bottom - top < 1.3 * 40, emoji
    pictures = {frame.tobytes() for frame in frames}
    assert len(pictures) == len(EMOJI), "two are drawn alike: an empty box?"


def test_hebrew_keeps_its_order_when_coloured(tmp_path):
    text = "שלום עולם טוב"
    try:
        film = Film(tmp_path, spoken(text), language="he")
    except WorkerError as error:
        pytest.skip(error.message)
    frames = film.frames([word["start_s"] + 0.1 for word in spoken(text)], tmp_path)
    starts = [box(yellow(frame))[0] for frame in frames]
    assert starts == sorted(starts, reverse=True)
