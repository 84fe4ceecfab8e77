"""Titles: lines as even as they can be, large, inside the picture, in every script; and thumbnails."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support import ROOT, output_of

from media import title
from media.thumbnail import strength
from media.typeface import Typeface

STORIES = [
    tuple(line.partition(": ")[2] for line in path.read_text(encoding="utf-8").splitlines()[:2])
    for path in sorted((ROOT / "examples").glob("*.md"))
]
"""(title, language) of the examples."""
LONG = [
    ("A Very Long Title That Goes On About Everything Which the Author Could Not Leave Out of It", "en"),
    ("这是一个很长的标题，关于一只住在井底的青蛙和它看见的天空", "zh"),
    ("Donaudampfschifffahrtsgesellschaftskapitän", "de"),
]
SIZES = [(1080, 1920), (1920, 1080), (1080, 1080)]


def block(text: str, language: str, size: tuple[int, int], look: title.Look) -> title.Block:
    return title.fitted(text, Typeface(text, language=language), width=size[0], height=size[1], look=look)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_no_other_way_to_break_has_a_shorter_longest_line(count: int) -> None:
    words = ["The", "old", "man", "and", "his", "very", "small", "grey", "donkey"]
    pieces = [words[0], *(f" {word}" for word in words[1:])]
    lines = title.balanced(pieces, count, lambda text: float(len(text)))
    assert " ".join(lines) == " ".join(words)
    cuts = itertools.combinations(range(1, len(words)), count - 1)
    ways = [[" ".join(words[a:b]) for a, b in itertools.pairwise((0, *cut, len(words)))] for cut in cuts]
    assert max(map(len, lines)) == min(max(map(len, way)) for way in ways)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("text", "language"), [*STORIES, *LONG])
def test_a_title_fits_the_picture_in_few_lines(text: str, language: str, size: tuple[int, int]) -> None:
    typeface = Typeface(text, language=language)
    for look in (title.FILM, title.POSTER):
        found = block(text, language, size, look)
        assert "".join("".join(found.lines).split()) == "".join(text.split())
        assert len(found.lines) <= look.max_lines
        assert max(map(typeface.width, found.lines)) * found.em <= title.SAFE_WIDTH * size[0] + 1e-6
        assert len(found.lines) * found.leading <= look.max_height * size[1] + 1e-6


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("text", "language"), STORIES)
def test_the_examples_titles_can_be_read_on_a_thumbnail_of_320_pixels(
    text: str, language: str, size: tuple[int, int]
) -> None:
    assert block(text, language, size, title.POSTER).em * 320 / size[0] >= 320 / 11


def test_chinese_breaks_between_characters_but_no_line_begins_with_a_mark() -> None:
    for text, language in (LONG[1], ("「井底」，之「蛙」！？看《天空》。", "zh")):
        for size in ((400, 1920), (1080, 1920)):
            lines = block(text, language, size, title.POSTER).lines
            assert len(lines) > 1
            assert not any(re.match("[，。！？」》]", line) or re.search("[「《]$", line) for line in lines)


def test_a_lone_mark_stays_with_its_word() -> None:
    lines = block("Mais qui a peur du grand méchant phare ?", "fr", (1080, 1920), title.POSTER).lines
    assert lines[-1].endswith(" ?")
    assert len(lines[-1]) > 2


def written(tmp_path: Path, text: str, language: str = "en") -> str:
    title.write(tmp_path / "t.ass", text, width=540, height=960, language=language, look=title.FILM, seconds=2)
    return (tmp_path / "t.ass").read_text(encoding="utf-8")


def test_the_language_chooses_the_form_of_han_characters(tmp_path: Path) -> None:
    assert "Noto Sans CJK SC" in written(tmp_path, "骨", "zh")
    assert "Noto Sans CJK JP" in written(tmp_path, "骨", "ja")


def panel(path: Path, color: tuple[int, int, int] = (90, 90, 90), size: tuple[int, int] = (540, 960)) -> Path:
    Image.new("RGB", size, color).save(path)
    return path


def thumbnail(tmp_path: Path, *media: Path, **fields: Any) -> dict[str, Any]:
    files = {"media": str(media[0]), "candidates": [str(file) for file in media[1:]]}
    return output_of("media_processing", "thumbnail", {**files, **fields}, tmp_path / "out")


@pytest.mark.parametrize(
    ("text", "language"), [STORIES[0], STORIES[2], LONG[0], (r"{\alpha&HFF&}\N{\an1}Lamp", "en"), ("Fox 🦊", "en")]
)
def test_what_is_drawn_lies_inside_the_picture_and_obeys_no_override(tmp_path: Path, text: str, language: str) -> None:
    output = thumbnail(tmp_path, panel(tmp_path / "p.png"), title=text, language=language)
    with Image.open(output["image"]["path"]) as opened:
        assert opened.size == (540, 960)
        drawn = np.asarray(opened.convert("L")) > 220
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    found = block(text, language, (540, 960), title.POSTER)
    width = Typeface(text, language=language).width
    # Joined Arabic letters are narrower than the single ones that are measured.
    assert columns[-1] - columns[0] >= (0.6 if language == "ar" else 0.8) * found.em * max(map(width, found.lines))
    assert columns[0] >= 0.07 * 540
    assert columns[-1] <= 0.93 * 540
    assert rows[0] >= 0.05 * 960
    assert rows[-1] <= 0.58 * 960


def striped(path: Path, one: tuple[int, int, int], other: tuple[int, int, int]) -> Path:
    picture = Image.new("RGB", (540, 960), one)
    for top in range(0, 960, 120):
        picture.paste(other, (0, top, 540, top + 60))
    picture.save(path)
    return path


def test_of_several_pictures_the_colourful_one_with_something_in_its_middle_is_taken(tmp_path: Path) -> None:
    grey = striped(tmp_path / "grey.png", (80, 80, 80), (180, 180, 180))
    plain = panel(tmp_path / "plain.png", (220, 60, 40))
    strong = striped(tmp_path / "strong.png", (220, 60, 40), (40, 90, 200))
    weak = striped(tmp_path / "weak.png", (130, 110, 105), (105, 110, 130))
    output = thumbnail(tmp_path, grey, plain, weak, strong)
    assert output["source_index"] == 3
    with Image.open(output["image"]["path"]) as opened, Image.open(strong) as wanted:
        assert np.abs(np.asarray(opened).astype(int) - np.asarray(wanted)).mean() < 4
    scores = {}
    for file in (grey, plain, weak, strong):
        with Image.open(file) as picture:
            scores[file.stem] = strength(picture)
    assert scores["grey"] == pytest.approx(0, abs=0.5)
    assert scores["strong"] == pytest.approx(output["score"], abs=0.01)
    assert scores["strong"] > scores["weak"] > scores["plain"]


@pytest.mark.parametrize(
    ("fields", "size"),
    [({}, (540, 960)), ({"width": 270}, (270, 480)), ({"width": 2000}, (540, 960)), ({"height": 480}, (270, 480)),
     ({"width": 640, "height": 640}, (640, 640))],
)  # fmt: skip
def test_a_thumbnail_has_the_size_asked_for(tmp_path: Path, fields: dict[str, int], size: tuple[int, int]) -> None:
    image = thumbnail(tmp_path, panel(tmp_path / "p.png"), **fields)["image"]
    with Image.open(image["path"]) as opened:
        assert opened.size == (image["width"], image["height"]) == size
