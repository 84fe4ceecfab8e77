"""Titles: lines as even as they can be, large, inside the picture, in every script; and thumbnails."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from support import ROOT, output_of

from media import title
from media import title_layout as layout
from media.calm import Ground
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


def plain(size: tuple[int, int], level: int = 90) -> Ground:
    return Ground([np.full((size[1] // 8, size[0] // 8), level, np.uint8)])


def block(
    text: str, language: str, size: tuple[int, int], look: layout.Look, ground: Ground | None = None
) -> layout.Block:
    typeface, ground = Typeface(text, language=language), ground or plain(size)
    return layout.fitted(text, typeface, width=size[0], height=size[1], look=look, ground=ground)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_no_other_way_to_break_has_a_shorter_longest_line(count: int) -> None:
    words = ["The", "old", "man", "and", "his", "very", "small", "grey", "donkey"]
    pieces = [words[0], *(f" {word}" for word in words[1:])]
    lines = layout.balanced(pieces, count, lambda text: float(len(text)))
    assert " ".join(lines) == " ".join(words)
    cuts = itertools.combinations(range(1, len(words)), count - 1)
    ways = [[" ".join(words[a:b]) for a, b in itertools.pairwise((0, *cut, len(words)))] for cut in cuts]
    assert max(map(len, lines)) == min(max(map(len, way)) for way in ways)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("text", "language"), [*STORIES, *LONG])
def test_a_title_fits_the_picture_in_few_lines(text: str, language: str, size: tuple[int, int]) -> None:
    typeface = Typeface(text, language=language)
    for look in (layout.FILM, layout.POSTER):
        found = block(text, language, size, look)
        assert "".join("".join(found.lines).split()) == "".join(text.split())
        assert len(found.lines) <= look.max_lines
        assert max(map(typeface.width, found.lines)) * found.em <= layout.SAFE_WIDTH * size[0] + 1e-6
        assert len(found.lines) * found.leading <= look.max_height * size[1] + 1e-6


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("text", "language"), STORIES)
def test_the_examples_titles_can_be_read_on_a_thumbnail_of_320_pixels(
    text: str, language: str, size: tuple[int, int]
) -> None:
    assert block(text, language, size, layout.POSTER).em >= layout.POSTER.side(*size) / 11


@pytest.mark.parametrize("size", SIZES)
def test_a_title_has_three_lines_at_most_unless_it_is_very_long(size: tuple[int, int]) -> None:
    for text, language in [*STORIES, ("The Lighthouse Keeper's Daughter and the Old Radio", "en")]:
        for look in (layout.FILM, layout.POSTER):
            assert len(block(text, language, size, look).lines) <= 3
    endless = " ".join(["The Extraordinarily Long and Winding Tale of the Umbrella of Northumberland"] * 2)
    found = block(endless, "en", (1080, 1920), layout.FILM)
    assert len(found.lines) > 3
    assert found.em >= 0.04 * 1080


def test_chinese_breaks_between_characters_but_no_line_begins_with_a_mark() -> None:
    for text, language in (LONG[1], ("「井底」，之「蛙」！？看《天空》。", "zh")):
        for size in ((400, 1920), (1080, 1920)):
            lines = block(text, language, size, layout.POSTER).lines
            assert len(lines) > 1
            assert not any(re.match("[，。！？」》]", line) or re.search("[「《]$", line) for line in lines)


def test_a_lone_mark_stays_with_its_word() -> None:
    lines = block("Mais qui a peur du grand méchant phare ?", "fr", (1080, 1920), layout.POSTER).lines
    assert lines[-1].endswith(" ?")
    assert len(lines[-1]) > 2


def written(tmp_path: Path, text: str, language: str = "en") -> str:
    title.write(
        tmp_path / "t.ass",
        text,
        width=540,
        height=960,
        language=language,
        look=layout.FILM,
        ground=plain((540, 960)),
        seconds=2,
    )
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
    found = block(text, language, (540, 960), layout.POSTER)
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


def drawn_figure(path: Path, size: tuple[int, int], place: tuple[float, float, float, float]) -> Path:
    """A dark outline filled with red before a bright sky, at left, top, right, bottom in shares."""
    picture = Image.new("RGB", size, (150, 190, 220))
    box = [round(share * side) for share, side in zip(place, (*size, *size), strict=True)]
    ImageDraw.Draw(picture).rounded_rectangle(box, 40, fill=(170, 70, 60), outline=(20, 20, 30), width=min(size) // 60)
    picture.save(path)
    return path


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("look", [layout.FILM, layout.POSTER], ids=["film", "poster"])
@pytest.mark.parametrize("place", [(0.1, 0.22, 0.5, 0.75), (0.3, 0.3, 0.7, 0.75), (0.45, 0.2, 0.95, 0.7)])
def test_a_title_hides_nothing_of_what_is_shown(
    tmp_path: Path, size: tuple[int, int], look: layout.Look, place: tuple[float, float, float, float]
) -> None:
    with Image.open(drawn_figure(tmp_path / "p.png", size, place)) as opened:
        ground = Ground([np.asarray(opened.convert("L"))])
    for text, language in STORIES[:3]:
        found = block(text, language, size, look, ground)
        widths = [found.em * Typeface(text, language=language).width(line) for line in found.lines]
        half = len(found.lines) * found.leading / 2
        left, right = found.x - max(widths) / 2, found.x + max(widths) / 2
        beside = right <= place[0] * size[0] or left >= place[2] * size[0]
        assert found.y + half <= place[1] * size[1] or found.y - half >= place[3] * size[1] or beside
        assert found.em >= 0.045 * look.side(*size)  # and can still be read


def test_the_picture_with_room_for_the_title_is_taken(tmp_path: Path) -> None:
    tall = drawn_figure(tmp_path / "tall.png", (540, 540), (0.3, 0.02, 0.7, 0.98))
    low = drawn_figure(tmp_path / "low.png", (540, 540), (0.3, 0.4, 0.7, 0.9))
    assert thumbnail(tmp_path, tall, low)["source_index"] == 0
    assert thumbnail(tmp_path, tall, low, title="The Red Door")["source_index"] == 1


def luminance(level: float) -> float:
    """Of an sRGB grey, 0 to 1 (WCAG 2.2, relative luminance)."""
    return float(level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize("brightness", [1.0, 0.8, 0.65])
def test_white_letters_have_contrast_on_a_bright_sky(brightness: float) -> None:
    behind = brightness * (1 - title.opacity(brightness))
    assert 1.05 / (luminance(behind) + 0.05) == pytest.approx(title.CONTRAST, abs=0.01)
    assert title.opacity(0.4) == 0  # a dark sky stays as it is


def test_the_darkening_has_no_edge(tmp_path: Path) -> None:
    output = thumbnail(tmp_path, panel(tmp_path / "p.png", (250, 250, 250)), title="A Snow Day")
    with Image.open(output["image"]["path"]) as opened:
        rows = np.asarray(opened.convert("L"), int)[:, 2:8].mean(axis=1)
    assert rows.min() < 0.65 * 250
    assert rows[-1] > 245
    assert np.abs(np.diff(rows)).max() <= 5
