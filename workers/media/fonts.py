"""Which faces an ASS file needs, and a private folder where ffmpeg finds exactly those.

libass draws nothing at all, and says so to nobody, when it has no font; of a glyph that its font lacks it draws an
empty box. So both are refused here, and the faces that were measured are the ones that draw, on every machine.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from media.faces import BOLD, REGULAR, Face, coverage, location, not_found, open_font, packaged, system, visible
from runtime.errors import WorkerError

_TOKEN = re.compile(r"\\[{}Nnh]|\{[^}]*\}|.", re.S)
_OVERRIDE = re.compile(r"\\(?:fn(?P<family>[^\\}]*)|r(?P<style>[^\\}]*)|b(?P<bold>\d*)(?=[\\})])|p(?P<drawing>\d+))")


def fonts_of(path: Path) -> dict[Face, set[str]]:
    """The faces an ASS file needs and the characters each must draw.

    Raises WorkerError: ``font_not_found`` for a family nobody has or a character its face lacks, ``input_unreadable``
    for a file that is not ASS.
    """
    import pysubs2

    try:
        file = pysubs2.SSAFile.load(str(path), encoding="utf-8-sig", format_="ass")
    except FileNotFoundError:
        raise WorkerError("input_not_found", f"There is no file {path}.") from None
    except Exception as error:  # pysubs2 raises whatever a malformed line leads to
        raise WorkerError("input_unreadable", f"{path} cannot be read as ASS subtitles: {error}") from error
    if not file.styles:
        raise WorkerError("input_unreadable", f"{path} has no ASS styles.", hint="Give an .ass file.")
    drawn: dict[tuple[str, bool], set[str]] = {}
    for event in file.events:
        if not event.is_comment:
            for family, bold, char in _drawn(event.text, event.style, file.styles):
                drawn.setdefault((family, bold), set()).add(char)
    uses: dict[Face, set[str]] = {}
    for (family, bold), chars in drawn.items():
        uses.setdefault(find(family, bold=bold), set()).update(chars)
    for face, chars in uses.items():
        if missing := {char for char in chars if visible(char) and ord(char) not in coverage(face)}:
            raise not_found(missing, face.family)
    return uses


def _drawn(text: str, style: str, styles: dict[str, Any]) -> Iterator[tuple[str, bool, str]]:
    """(family, bold, character) for each character of an event that is drawn."""
    default = styles.get(style) or styles.get("Default") or next(iter(styles.values()))
    current, family, bold, drawing = default, default.fontname, bool(default.bold), False
    for token in _TOKEN.findall(text):
        if not (token.startswith("{") and token.endswith("}")):
            if not drawing:
                yield family, bold, " " if token in (r"\N", r"\n", r"\h") else token[-1]
            continue
        for match in _OVERRIDE.finditer(token):
            if match["style"] is not None:
                current = styles.get(match["style"].strip(), default)
                family, bold = current.fontname, bool(current.bold)
            elif match["family"] is not None:
                family = match["family"].strip() or current.fontname
            elif match["drawing"]:
                drawing = int(match["drawing"]) > 0
            elif match["bold"] is not None:
                weight = int(match["bold"] or current.bold)  # 0, 1 or a weight; nothing: the style's
                bold = weight == 1 or weight >= 600


def find(family: str, *, bold: bool) -> Face:
    """The face of that family, case apart, nearest to bold or regular. Raises WorkerError ``font_not_found``."""
    for source in (packaged, system):
        named = [face for face in source() if face.family.casefold() == family.strip().lstrip("@").casefold()]
        if named:
            return min(named, key=lambda face: abs(face.weight - (BOLD if bold else REGULAR)))
    known = ", ".join(dict.fromkeys(face.family for face in packaged()))
    raise WorkerError(
        "font_not_found",
        f"The captions ask for the font {family!r}, which is not on this machine.",
        hint=f"Install it, or use one that is packaged: {known or 'pip install fontpkg-noto-sans'}.",
    )


def font_folder(uses: Mapping[Face, Iterable[str]], into: Path) -> dict[str, str]:
    """Fill a private folder with the faces and a fontconfig that knows nothing else; return ffmpeg's extra environment.

    ``uses`` says which characters each face is to draw, see ``fonts_of``. Give the ass filter ``fontsdir=into`` too. A
    static font is linked or copied whole. A variable one becomes a static instance of its characters: fontsdir alone
    draws it unbold, and only fontconfig (Linux) knows its weights; an instance of all of Noto Sans takes 7 s, of what a
    film needs 0.3 s. Raises OSError when the folder cannot be written.
    """
    hidden = into / ".fontconfig"  # libass tries every file of fontsdir as a font, except hidden ones
    hidden.mkdir(parents=True, exist_ok=True)
    for number, (face, chars) in enumerate(uses.items()):
        target = into / f"{number:02d}{'.ttf' if face.variable else face.path.suffix.lower()}"
        target.unlink(missing_ok=True)
        if face.variable:
            _write_instance(face, "".join(chars), target)
        else:
            _link_or_copy(face.path, target)
    folders = f"<dir>{escape(str(into.resolve()))}</dir><cachedir>{escape(str(hidden.resolve() / 'cache'))}</cachedir>"
    doctype = '<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">'
    (hidden / "fonts.conf").write_text(f"{doctype}<fontconfig>{folders}</fontconfig>\n", encoding="utf-8")
    return {"FONTCONFIG_FILE": str((hidden / "fonts.conf").resolve())}


def _link_or_copy(source: Path, target: Path) -> None:
    with contextlib.suppress(OSError):  # another disk, or a file system without hard links
        os.link(source, target)
        return
    shutil.copyfile(source, target)


def _write_instance(face: Face, text: str, target: Path) -> None:
    from fontTools import subset
    from fontTools.varLib import instancer

    font = open_font(face)
    options = subset.Options(name_IDs=["*"], notdef_outline=True)
    cutter = subset.Subsetter(options)
    # HarfBuzz takes characters apart and puts them together: without the parts, น้ำ would show an empty box.
    forms = (text, *(unicodedata.normalize(form, text) for form in ("NFC", "NFD", "NFKD")))
    cutter.populate(text="".join(forms) + " \u2060\u25cc")
    cutter.subset(font)
    static = instancer.instantiateVariableFont(font, location(face, font))
    names = static["name"]
    for old in (16, 17, 21, 22, 25):  # typographic names would contradict the family and style set here
        names.removeNames(nameID=old)
    style = "Bold" if face.bold else "Regular"
    for number, value in ((1, face.family), (2, style), (4, f"{face.family} {style}")):
        names.setName(value, number, 3, 1, 0x409)
    names.setName(re.sub(r"[^A-Za-z0-9]", "", face.family) + f"-{style}", 6, 3, 1, 0x409)
    static["OS/2"].usWeightClass = face.weight
    static["OS/2"].fsSelection = static["OS/2"].fsSelection & ~0x61 | (0x20 if face.bold else 0x40)
    static["head"].macStyle = 1 if face.bold else 0
    static.save(target)
