"""Captions as an ASS file that libass draws exactly as measured.

Story text obeys no override. Only the word being spoken is coloured: one event a word, because ``\\k`` would leave the
sung ones coloured. Every line has its own events at its own place, for libass sets lines as far apart as the font
claims, up to two ems; those of a line follow each other without a gap, so nothing flickers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from media.cues import Cue, Unit, direction_mark
from media.faces import Face, depth, extent, line_height
from media.typeface import Typeface

HOLD_CS = 10
"""A silence up to this long between two words keeps the first one coloured: three frames of plain text would flash."""
EMOJI_OUTLINE = 2.0
"""Times the outline of letters: it then fills the picture, whose fine lines a bright film would swallow."""

_SCRIPT = "\u180e"  # Mongolian vowel separator: draws nothing, turns no direction
"""Begins a line of emoji and no letter: libass shapes signs without a script one by one, so a flag would come apart."""


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
    box_color: str | None
    """Colour of a box behind the text; None draws none."""
    box_opacity: float

    @property
    def box_padding(self) -> float:
        """Pixels of the box beside the text."""
        return 0.42 * self.em if self.box_color else 0.0


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
    if look.box_color:
        file.styles["Box"] = _box_style(look, typeface.primary)
    mark = direction_mark(cues)
    for cue in cues:
        baselines, (top, bottom) = _placed(len(cue.lines), look, typeface)
        if look.box_color:
            width = look.em * max(_width(line, typeface) for line in cue.lines) + 2 * look.box_padding
            text = _box(look.width / 2 - width / 2, top, width, bottom - top, 0.32 * look.em)
            file.events.append(pysubs2.SSAEvent(start=10 * cue.start, end=10 * cue.end, text=text, style="Box"))
        moments = list(_moments(cue, look.highlight_color is not None))
        for line, baseline in zip(cue.lines, baselines, strict=True):
            lead = mark + (_SCRIPT if _wordless(line) else "")
            place = f"{{\\pos({look.width / 2:g},{baseline + look.em * _below(line, lead, typeface):.1f})}}{lead}"
            for start, end, spoken in _of_line(line, moments):
                text = place + _line(line, spoken, look, typeface)
                file.events.append(pysubs2.SSAEvent(start=10 * start, end=10 * end, text=text, layer=1))
    file.save(str(path), encoding="utf-8", format_="ass", header_notice="Captions by storygen")


def _placed(lines: int, look: Look, typeface: Typeface) -> tuple[list[float], tuple[float, float]]:
    """Baselines of that many lines, and top and bottom of the block, in pixels from the film's top."""
    extents = [extent(face) for face in typeface.faces]
    ascent, descent = (look.em * max(sizes) for sizes in zip(*extents, strict=True))
    below = descent + (0.1 * look.em if look.box_color else 0.0)  # letters stand in the middle of the box by eye
    tall = lines * ascent + (lines - 1) * descent + below
    edge = float(look.edge_margin)
    top = {"bottom": look.height - edge - tall, "middle": (look.height - tall) / 2, "top": edge}[look.position]
    return [top + ascent + number * (ascent + descent) for number in range(lines)], (top, top + tall)


def _width(line: tuple[Unit, ...], typeface: Typeface) -> float:
    """In ems."""
    return sum(unit.width for unit in line) + typeface.width(" ") * sum(not unit.glued for unit in line[1:])


def _below(line: tuple[Unit, ...], lead: str, typeface: Typeface) -> float:
    """Ems from a line's baseline down to the bottom that libass places."""
    faces = {face for unit in line for face, _ in typeface.runs(unit.text)}
    if lead or not all(unit.glued for unit in line[1:]):
        faces.add(typeface.primary)
    return max(map(depth, faces))


def _wordless(line: tuple[Unit, ...]) -> bool:
    return not any(char.isalpha() for unit in line for char in unit.text)


def _box(left: float, top: float, width: float, height: float, radius: float) -> str:
    """A rectangle with round corners as an ASS drawing."""
    w, h, r = round(width), round(height), round(radius)
    c = round(0.448 * radius)  # how far from the corner the control points of a Bézier quarter circle lie
    corners = (
        f"m {r} 0 l {w - r} 0 b {w - c} 0 {w} {c} {w} {r} l {w} {h - r} b {w} {h - c} {w - c} {h} {w - r} {h} "
        f"l {r} {h} b {c} {h} 0 {h - c} 0 {h - r} l 0 {r} b 0 {c} {c} 0 {r} 0"
    )
    return f"{{\\pos({round(left)},{round(top)})\\p1}}{corners}"


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
        alignment=pysubs2.Alignment.BOTTOM_CENTER,
        encoding=-1,  # libass then finds each line's direction and orders it whole; else a colour breaks right-to-left
    )


def _box_style(look: Look, face: Face) -> Any:
    import pysubs2

    color = _color(look.box_color or "")
    color.a = round(255 * (1 - look.box_opacity))
    return pysubs2.SSAStyle(
        fontname=face.family, primarycolor=color, outline=0, shadow=0, alignment=pysubs2.Alignment.TOP_LEFT
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


def _of_line(
    line: tuple[Unit, ...], moments: list[tuple[int, int, Unit | None]]
) -> Iterator[tuple[int, int, Unit | None]]:
    """The moments of a cue as one of its lines sees them: as long as another line speaks nothing changes."""
    inside = {id(unit) for unit in line}
    for _, same in groupby(moments, lambda moment: id(moment[2]) if id(moment[2]) in inside else None):
        group = list(same)
        spoken = group[0][2] if id(group[0][2]) in inside else None
        yield group[0][0], group[-1][1], spoken


def _line(line: tuple[Unit, ...], spoken: Unit | None, look: Look, typeface: Typeface) -> str:
    primary, written = typeface.primary, []
    for number, unit in enumerate(line):
        text = ""
        for face, piece in typeface.runs(unit.text):
            drawn = escape(piece)
            text += drawn if face == primary else _switch(look, face) + drawn + _switch(look, primary)
        if unit is spoken and look.highlight_color:
            text = f"{{\\c{_bgr(look.highlight_color)}}}{text}{{\\c{_bgr(look.text_color)}}}"
        written.append(("" if number == 0 or unit.glued else " ") + text)
    return "".join(written)


def _switch(look: Look, face: Face) -> str:
    outline = look.outline * (EMOJI_OUTLINE if face.emoji else 1)
    return f"{{\\fn{face.family}\\fs{_size(look.em, face):g}\\b{int(not face.emoji)}\\bord{outline:g}}}"


def _bgr(color: str) -> str:
    return f"&H{color[5:7]}{color[3:5]}{color[1:3]}&".upper()
