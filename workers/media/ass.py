"""Captions as an ASS file that libass draws exactly as measured.

Story text obeys no override. Only the word being spoken is coloured: one event a word, because ``\\k`` would leave the
sung ones coloured; the events of a cue follow each other without a gap, so nothing flickers.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from media.cues import Cue, Unit
from media.faces import Face, line_height
from media.typeface import Typeface

HOLD_CS = 10
"""A silence up to this long between two words keeps the first one coloured: three frames of plain text would flash."""


@dataclass(frozen=True)
class Look:
    """How captions look on a film of ``width`` × ``height`` pixels. All lengths in pixels, colours as #rrggbb."""

    width: int
    height: int
    em: float
    outline: float
    shadow: float
    side_margin: int
    edge_margin: int
    position: str
    text_color: str
    outline_color: str
    highlight_color: str | None
    """Colour of the word being spoken; None leaves all words alike."""


def escape(text: str) -> str:
    """Text that libass draws as it is.

    ``{`` would open an override block and is escaped as libass knows it; a backslash would eat an n, N or h after it
    unless U+2060 (word joiner, draws nothing) stands between.
    """
    return text.replace("\\", "\\\u2060").replace("{", r"\{").replace("}", r"\}")


def write(path: Path, cues: list[Cue], look: Look, typeface: Typeface) -> None:
    """Write the cues as ASS with PlayRes = the film's size, so that one unit is one pixel."""
    import pysubs2

    file = pysubs2.SSAFile()
    file.info.update(
        {
            "PlayResX": str(look.width),
            "PlayResY": str(look.height),
            "WrapStyle": "2",
            "ScaledBorderAndShadow": "yes",
            "Kerning": "yes",
            "YCbCr Matrix": "None",
        }
    )
    file.styles = {"Default": _style(look, typeface.primary)}
    mark = _direction_mark(cues)
    for cue in cues:
        for start, end, spoken in _moments(cue, look.highlight_color is not None):
            text = r"\N".join(mark + _line(line, spoken, look, typeface) for line in cue.lines)
            file.events.append(pysubs2.SSAEvent(start=10 * start, end=10 * end, text=text))
    file.save(str(path), encoding="utf-8", format_="ass", header_notice="Captions by storygen")


def _direction_mark(cues: list[Cue]) -> str:
    """U+200F or U+200E where the text is right-to-left or mixed: a line's own first letter must not turn its order."""
    kinds = [unicodedata.bidirectional(char) for cue in cues for unit in cue.units for char in unit.text]
    right, left = sum(kind in {"R", "AL"} for kind in kinds), kinds.count("L")
    return "" if not right else "\u200f" if right > left else "\u200e"


def _style(look: Look, face: Face) -> Any:
    import pysubs2

    return pysubs2.SSAStyle(
        fontname=face.family,
        fontsize=_size(look.em, face),
        bold=True,  # of a family without a bold face, such as the packaged Noto Sans CJK, libass thickens the regular
        primarycolor=_color(look.text_color),
        outlinecolor=_color(look.outline_color),
        backcolor=pysubs2.Color(0, 0, 0, 112),  # of the shadow: black, rather more than half opaque
        borderstyle=1,
        outline=look.outline,
        shadow=look.shadow,
        alignment=pysubs2.Alignment({"bottom": 2, "middle": 5, "top": 8}[look.position]),
        marginl=look.side_margin,
        marginr=look.side_margin,
        marginv=look.edge_margin,
        encoding=-1,  # libass then finds each line's direction and orders it whole; else a colour breaks right-to-left
    )


def _size(em: float, face: Face) -> float:
    return round(em * line_height(face), 2)


def _color(color: str) -> Any:
    import pysubs2

    return pysubs2.Color(*bytes.fromhex(color[1:]))


def _moments(cue: Cue, highlight: bool) -> Iterator[tuple[int, int, Unit | None]]:
    """(start, end, the unit being spoken or None), without gap from the cue's start to its end."""
    if not highlight:
        yield cue.start, cue.end, None
        return
    nexts = [unit.start for unit in cue.units[1:]] + [cue.end]
    for unit, following in zip(cue.units, nexts, strict=True):
        end = min(unit.end, following)
        end = following if following - end <= HOLD_CS else end
        if end > unit.start:
            yield unit.start, end, unit
        if following > end:
            yield end, following, None


def _line(line: tuple[Unit, ...], spoken: Unit | None, look: Look, typeface: Typeface) -> str:
    primary, written = typeface.primary, []
    for number, unit in enumerate(line):
        text = ""
        for face, piece in typeface.runs(unit.text):
            drawn = escape(piece)
            text += drawn if face == primary else _switch(look.em, face) + drawn + _switch(look.em, primary)
        if unit is spoken and look.highlight_color:
            text = f"{{\\c{_bgr(look.highlight_color)}}}{text}{{\\c{_bgr(look.text_color)}}}"
        written.append(("" if number == 0 or unit.glued else " ") + text)
    return "".join(written)


def _switch(em: float, face: Face) -> str:
    return f"{{\\fn{face.family}\\fs{_size(em, face):g}}}"


def _bgr(color: str) -> str:
    return f"&H{color[5:7]}{color[3:5]}{color[1:3]}&".upper()
