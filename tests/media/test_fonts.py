"""Which faces are found, chosen, refused, and handed to ffmpeg."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import fontpkg
import pytest
from captioning import spoken
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont
from support import ROOT, SMALL, result_of, worker

import media.faces
from media.faces import BOLD, Face, advance, coverage, extent, ligature, line_height, packaged, visible
from media.fonts import find, font_folder, fonts_of
from media.typeface import Typeface
from runtime.errors import WorkerError

ASS = """[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, Bold
Style: Default,Noto Sans,60,&H00FFFFFF,&H00FFFFFF,&H00000000,&H00000000,0,0,0,0,100,100,0,0,1,0,0,2,0,0,0,1
Style: Loud,Noto Sans,60,&H00FFFFFF,&H00FFFFFF,&H00000000,&H00000000,-1,0,0,0,100,100,0,0,1,0,0,2,0,0,0,1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


def make_font(path: Path, family: str, chars: str, *, weight: int = 400, win: tuple[int, int] = (900, 300)) -> Path:
    """A font of black squares, half an em wide, for those characters."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for point in ((0, 500), (400, 500), (400, 0)):
        pen.lineTo(point)
    pen.closePath()
    names = [".notdef", *(f"u{ord(char):04X}" for char in chars)]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(char): f"u{ord(char):04X}" for char in chars})
    builder.setupGlyf({name: pen.glyph() for name in names})
    builder.setupHorizontalMetrics(dict.fromkeys(names, (500, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": family, "styleName": "Regular"})
    builder.setupOS2(usWinAscent=win[0], usWinDescent=win[1], usWeightClass=weight)
    builder.setupPost()
    builder.save(path)
    return path


@pytest.fixture
def system_fonts(tmp_path, monkeypatch):
    """A system font folder of our own, empty at first."""
    folder = tmp_path / "system fonts"
    folder.mkdir()
    monkeypatch.setattr(media.faces, "system_folders", lambda: [folder])
    media.faces.system.cache_clear()
    yield folder
    media.faces.system.cache_clear()


def write_ass(folder: Path, *lines: str, style: str = "Default") -> Path:
    path = folder / "captions.ass"
    events = "".join(f"Dialogue: 0,0:00:00.00,0:00:01.00,{style},,0,0,0,,{line}\n" for line in lines)
    path.write_text(ASS + events, encoding="utf-8")
    return path


def test_the_packaged_font_comes_first_and_bold():
    face = Typeface("crow").primary
    assert (face.family, face.weight, face.origin, face.variable) == ("Noto Sans", BOLD, "packaged", True)


def test_the_system_is_not_asked_when_packaged_fonts_suffice(monkeypatch):
    monkeypatch.setattr("media.typeface.system", lambda: pytest.fail("the system's fonts were read"))
    assert Typeface("Příliš žluťoučký kůň, Ёлка, Ωμέγα").faces == [find("Noto Sans", bold=True)]


def test_widths_are_those_of_the_bold_instance(tmp_path):
    face = find("Noto Sans", bold=True)
    font_folder({face: "Hamburgefons"}, tmp_path)
    static = TTFont(tmp_path / "00.ttf")
    glyphs = static.getBestCmap()
    for char in "Hamburgefons":
        assert abs(static["hmtx"][glyphs[ord(char)]][0] / 1000 - advance(face, char)) < 0.001
    assert advance(face, "H") > advance(find("Noto Sans", bold=False), "H")


def test_the_private_instance_says_what_it_is(tmp_path):
    environment = font_folder({find("Noto Sans", bold=True): "abc"}, tmp_path)
    static = TTFont(tmp_path / "00.ttf")
    assert "fvar" not in static
    assert [static["name"].getDebugName(n) for n in (1, 2, 16)] == ["Noto Sans", "Bold", None]
    assert static["OS/2"].usWeightClass == BOLD
    assert static["OS/2"].fsSelection & 0x20
    assert str(tmp_path) in Path(environment["FONTCONFIG_FILE"]).read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == ["00.ttf"]


def test_a_static_font_is_taken_whole_and_another_time_too(tmp_path, system_fonts):
    source = make_font(system_fonts / "runes.ttf", "Rune Sans", "ᚠᚢ")
    for _ in range(2):
        font_folder({find("rune sans", bold=True): "ᚠ"}, tmp_path / "private")
    assert (tmp_path / "private/00.ttf").read_bytes() == source.read_bytes()


def test_each_script_gets_one_face_that_has_all_of_it(system_fonts):
    make_font(system_fonts / "a.ttf", "A Sans", "ᚠ")
    make_font(system_fonts / "b.ttf", "B Sans", "ᚠᚢ")
    typeface = Typeface("crow a ᚠ ᚢ!")
    assert [face.family for face in typeface.faces] == ["Noto Sans", "B Sans"]
    assert [(face.family, text) for face, text in typeface.runs("aᚠᚢ")] == [("Noto Sans", "a"), ("B Sans", "ᚠᚢ")]
    assert typeface.width("ᚠᚢ") == 1.0


def test_where_no_face_has_all_several_share_a_script(system_fonts):
    make_font(system_fonts / "a.ttf", "A Sans", "ᚠ")
    make_font(system_fonts / "b.ttf", "B Sans", "ᚢ")
    assert [face.family for face, _ in Typeface("ᚠᚢ").runs("ᚠᚢ")] == ["A Sans", "B Sans"]


def test_damaged_colour_and_box_fonts_are_passed_over(system_fonts):
    (system_fonts / "broken.ttf").write_bytes(b"\0\1\0\0 not a font")
    make_font(system_fonts / "boxes.ttf", "LastResort", "ᚠ")
    path = make_font(system_fonts / "color.ttf", "Color", "ᚠ")
    font = TTFont(path)
    font["sbix"] = font["COLR"] = TTFont(path)["post"]
    assert not media.faces._describe_one(font, path, 0, "system")
    path.unlink()
    with pytest.raises(WorkerError):
        Typeface("ᚠ")


@pytest.mark.parametrize(
    ("text", "named", "install"),
    [
        ("乌鸦", "U+4E4C 乌 CJK UNIFIED IDEOGRAPH-4E4C", "noto-cjk-sans-otc"),
        ("שלום", "HEBREW LETTER SHIN", "fonts-noto-core"),
        ("ყვავი", "GEORGIAN LETTER AN", "Noto Sans Georgian"),
        ("ok 🐦", "U+1F426 🐦 BIRD", "fonts-symbola"),
        ("\ue000", "U+E000 unnamed", "fonts-noto-core"),
    ],
)
def test_a_glyph_nobody_has_is_named_with_the_install_that_helps(system_fonts, monkeypatch, text, named, install):
    monkeypatch.setattr("media.typeface.packaged", lambda: tuple(f for f in packaged() if f.family == "Noto Sans"))
    with pytest.raises(WorkerError) as caught:
        Typeface(text)
    assert caught.value.code == "font_not_found"
    assert named in caught.value.message
    assert install in (caught.value.hint or "")


def test_a_whole_story_without_a_font_names_five_characters(system_fonts, monkeypatch):
    monkeypatch.setattr("media.typeface.packaged", lambda: tuple(f for f in packaged() if f.family == "Noto Sans"))
    with pytest.raises(WorkerError) as caught:
        Typeface("一只口渴的乌鸦看见一个瓶子")
    assert caught.value.message.count("U+") == 5
    assert caught.value.message.endswith("and 7 more.")
    assert [detail["message"] for detail in caught.value.details][5:] == ["and 7 more"]
    assert 'pip install -c requirements.lock -e ".[fonts]"' in (caught.value.hint or "")


def test_what_draws_nothing_needs_no_glyph(system_fonts):
    assert not any(map(visible, "\u200d\ufe0f\u2060\u00ad\u200f \u00a0\n\u3000"))
    assert Typeface("a\u2060\ufe0f").width("a\u2060") == Typeface("a").width("a")


def test_a_machine_without_fonts_says_so(system_fonts, monkeypatch):
    monkeypatch.setattr("media.typeface.packaged", tuple)
    with pytest.raises(WorkerError) as caught:
        Typeface("")
    assert "fontpkg-noto-sans" in (caught.value.hint or "")


def test_the_line_height_is_that_of_windows(system_fonts):
    make_font(system_fonts / "a.ttf", "A Sans", "ᚠ", win=(1100, 350))
    assert line_height(find("A Sans", bold=False)) == 1.45
    assert line_height(find("Noto Sans", bold=True)) == 1.519


def test_an_ass_files_faces_and_characters_are_found(tmp_path, system_fonts):
    make_font(system_fonts / "runes.ttf", "Rune Sans", "ᚠᚢ")
    faces = r"ab\Nc{\fnRune Sans\fs90\b0}ᚠ{\fn}d"
    path = write_ass(tmp_path, faces, r"{\b1\bord3\blur2}e{\b0}f{\rLoud}g{\r}h", r"{\p1}m 0 0{\p0}\{i\}")
    found = {(face.family, face.weight): "".join(sorted(chars)) for face, chars in fonts_of(path).items()}
    assert found == {("Noto Sans", 400): " abcdfhi{}", ("Noto Sans", 700): "eg", ("Rune Sans", 400): "ᚠ"}


def test_an_ass_file_with_a_font_or_glyph_nobody_has_is_refused(tmp_path, system_fonts):
    with pytest.raises(WorkerError, match="'Comic Sans MS'") as caught:
        fonts_of(write_ass(tmp_path, r"{\fnComic Sans MS}hi"))
    assert caught.value.code == "font_not_found"
    with pytest.raises(WorkerError, match="'Noto Sans' has no glyph for U\\+05E9"):
        fonts_of(write_ass(tmp_path, "ש"))


def test_what_is_not_ass_is_refused(tmp_path):
    path = tmp_path / "x.ass"
    with pytest.raises(WorkerError) as caught:
        fonts_of(path)
    assert caught.value.code == "input_not_found"
    for data in (b"\xff\xfe\0\1", b"1\n00:00:00,000 --> 00:00:01,000\nhi\n", b""):
        path.write_bytes(data)
        with pytest.raises(WorkerError) as caught:
            fonts_of(path)
        assert caught.value.code == "input_unreadable"


def test_every_packaged_upright_family_is_listed():
    names = {family.name for family in fontpkg.families().values()}
    assert names <= {face.family for face in packaged()}
    assert all(isinstance(face, Face) and coverage(face) for face in packaged())


def test_one_face_draws_an_emoji_and_letters_keep_theirs(system_fonts):
    typeface = Typeface("3 crows 3\ufe0f\u20e3 😀 🇫🇷 ❤ # #\ufe0f\u20e3")
    emoji = find("Noto Emoji Medium", bold=True)
    assert typeface.faces == [find("Noto Sans", bold=True), emoji]
    for text, face in (("3", typeface.primary), ("#", typeface.primary), ("#\ufe0f\u20e3", emoji), ("🇫🇷", emoji)):
        assert typeface.runs(text) == [(face, text)]
    assert typeface.runs("ro😀w") == [(typeface.primary, "ro"), (emoji, "😀"), (typeface.primary, "w")]


def test_a_sequence_that_is_one_picture_is_measured_as_one():
    face = find("Noto Emoji Medium", bold=True)
    one = advance(face, "😀")
    for sequence in ("👨\u200d👩\u200d👧", "👍🏽", "🇫🇷", "1\ufe0f\u20e3", "🏳\ufe0f\u200d🌈"):
        assert ligature(face, sequence) == one
        assert Typeface(sequence).width(sequence) == one
    assert ligature(face, "😀") is ligature(face, "🦊\u200d😀") is None
    assert Typeface("🦊\u200d😀").width("🦊\u200d😀") == 2 * one


def test_the_private_instance_has_the_parts_that_shaping_takes_letters_apart_into(tmp_path):
    face = find("Noto Sans Thai", bold=True)
    font_folder({face: "น้ำ"}, tmp_path)
    assert 0x0E4D in TTFont(tmp_path / "00.ttf").getBestCmap()  # without it the AM of "water" is an empty box


def test_arabic_hindi_and_thai_need_no_system_font(system_fonts):
    for text in ("غُرَابٌ؟ ۱۲۳", "कौआ प्यासा था।", "อีกากระหายน้ำ"):
        assert all(face.origin == "packaged" for face in Typeface(text).faces)


def test_lines_stand_no_further_apart_than_letters_reach():
    assert extent(find("Noto Sans", bold=True)) == (1.069, 0.293)
    assert extent(find("Noto Sans Arabic", bold=True)) == (1.1, 0.5)


@pytest.fixture
def hidden(tmp_path) -> dict[str, str]:
    """The environment of a process that finds the system's font folders empty."""
    code = """
import os

walk = os.walk

def without_fonts(top, *others, **named):
    hidden = "font" in str(top).lower() and "site-packages" not in str(top)
    return iter(()) if hidden else walk(top, *others, **named)

os.walk = without_fonts
"""
    (tmp_path / "sitecustomize.py").write_text(code, encoding="utf-8")
    return {"PYTHONPATH": str(tmp_path)}


@pytest.mark.parametrize(
    ("text", "named", "install"),
    [
        ("ᏌᏊ ᎪᎳᏅ", "U+13AA Ꭺ CHEROKEE LETTER GO", "Noto Sans Cherokee"),
        ("བྱ་རོག", "U+0F42 ག TIBETAN LETTER GA", "Noto Sans Tibetan"),
    ],
)
def test_a_script_nobody_can_draw_ends_the_worker_with_its_letters_and_the_install(
    tmp_path, hidden, text, named, install
):
    request = {"v": 1, "op": "captions", "input": {"words": spoken(text)}}
    done = worker("media_processing", request, "--output-dir", str(tmp_path / "out"), env=hidden)
    error = result_of(done)["error"]
    assert (done.returncode, error["code"]) == (69, "font_not_found")
    assert named in error["message"]
    assert error["message"].startswith("No font on this machine has a glyph for ")
    assert install in error["hint"]
    assert not list((tmp_path / "out").glob("*"))


def test_a_run_in_a_script_nobody_can_draw_says_which_letters_and_what_to_install(tmp_path, hidden):
    story = tmp_path / "yvavi.md"
    story.write_text("title: ყვავი\nlanguage: ka\n\nყვავს სწყუროდა.\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", "run", str(story), "--out", str(tmp_path / "run"), *SMALL],
        capture_output=True, text=True, encoding="utf-8", cwd=ROOT, env={**os.environ, **hidden}, check=False,
    )  # fmt: skip
    assert done.returncode == 69
    assert "No font on this machine has a glyph for U+10D0 ა GEORGIAN LETTER AN" in done.stderr
    assert "Noto Sans Georgian" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run" / "final.mp4").exists()
