"""A title over a picture: wrapped, sized and placed here, drawn by libass like the captions.

The lines are balanced: of all ways to break the title the one whose longest line is shortest, in as many lines as let
it be largest. A soft dark halo follows the letters, so that they read on any picture without a box.
"""

from __future__ import annotations

import itertools
import math
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from media.ass import escape
from media.faces import Face, line_height
from media.typeface import Typeface

SAFE_WIDTH = 0.84
"""Share of the picture's width that lines may fill."""
LEADING, LEAST_LEADING, MOST_LEADING = 0.8, 1.1, 1.45
"""Distance of two lines as a share of what the face asks for, and its bounds in ems: headings are set close."""
WORTH_A_LINE = 1.25
"""Another line is begun only where the letters grow by as much."""
SQUAT = 0.6
"""Square and wide pictures have no apps' buttons at the top, and their subjects stand higher."""
TOP = 0.06
"""Share of the height that stays free above."""
FADE_IN_MS, FADE_OUT_MS = 300, 500
_HAN = "\u2e80-\u2fdf\u3005\u3007\u3021-\u3029\u3041-\u30ff\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_OPENING = "「『（《〈【〔“‘"
_PIECE = re.compile(f"[{_OPENING}]*[{_HAN}][^{_HAN}{_OPENING}\\w]*|[^{_HAN}{_OPENING}]+|.")
"""Where Chinese and Japanese may break: between two characters, but no mark begins a line and no bracket ends one."""
_BLANK = re.compile(r"[^\S\u00a0\u202f]+")


@dataclass(frozen=True)
class Look:
    """How a title stands on a picture. Lengths are shares: of the em, or of the side that is named."""

    max_em: float
    """Largest em size, of ``side``."""
    good_em: float
    """From this size on it reads well, of ``side``; below it lines are begun for any gain."""
    side: Callable[[int, int], int]
    """Which side of (width, height) the size goes by."""
    max_lines: int
    middle: float
    """Middle of the block, of the height of an upright picture; others carry it at SQUAT of that."""
    max_height: float
    """Height of the block at most, of the height."""


FILM = Look(
    max_em=0.11,
    good_em=0.07,
    side=lambda width, height: min(width, round(1.25 * height)),
    max_lines=3,
    middle=0.27,
    max_height=0.36,
)
"""Over the film's beginning: in the upper third, clear of captions at the bottom and of apps' buttons at the top."""
POSTER = Look(
    max_em=1 / 6.5, good_em=1 / 11, side=lambda width, height: width, max_lines=4, middle=0.22, max_height=0.55
)
"""On a thumbnail, which is looked at 320 pixels wide: as large as it goes."""


@dataclass(frozen=True)
class Block:
    """A title in lines; sizes in pixels."""

    lines: tuple[str, ...]
    em: float
    leading: float


def write(
    path: Path,
    text: str,
    *,
    width: int,
    height: int,
    language: str,
    look: Look,
    seconds: float | None = None,
) -> Block:
    """Write ``text`` as an ASS file for a picture of ``width`` × ``height`` pixels, shown for ``seconds``.

    None shows it for ever, without fading. Raises WorkerError ``font_not_found`` for a character without a glyph.
    """
    import pysubs2

    typeface = Typeface(text, language=language)
    block = fitted(text, typeface, width=width, height=height, look=look)
    file = pysubs2.SSAFile()
    file.info.update(
        {
            "PlayResX": str(width),
            "PlayResY": str(height),
            "WrapStyle": "2",
            "ScaledBorderAndShadow": "yes",
            "Kerning": "yes",
            "YCbCr Matrix": "None",
        }
    )
    file.styles = {"Default": _style(block.em, typeface.primary)}
    end_ms = 3_600_000 if seconds is None else 10 * round(100 * seconds)
    fade_in = min(FADE_IN_MS, end_ms // 4)
    fade = "" if seconds is None else rf"\fad({fade_in},{min(FADE_OUT_MS, end_ms // 3)})"
    rest = (len(block.lines) - 1) * block.leading / 2
    middle = look.middle * height * (1 if height > width else SQUAT)
    first = max(middle - rest, TOP * height + block.leading / 2)
    mark = _direction_mark(text)
    for layer, effect in enumerate(_layers(block.em)):
        for number, line in enumerate(block.lines):
            place = rf"\an5\pos({width / 2:g},{first + number * block.leading:.1f})"
            words = mark + _drawn(line, block.em, typeface)
            event = pysubs2.SSAEvent(start=0, end=end_ms, text=f"{{{place}{fade}{effect}}}{words}", layer=layer)
            file.events.append(event)
    file.save(str(path), encoding="utf-8", format_="ass", header_notice="Title by storygen")
    return block


def fitted(text: str, typeface: Typeface, *, width: int, height: int, look: Look) -> Block:
    """The title in the fewest lines that let it be about as large as it can."""
    pieces, unit = _pieces(text), look.side(width, height)
    solid = min(max(LEADING * line_height(typeface.primary), LEAST_LEADING), MOST_LEADING)
    best = Block((), 0.0, 0.0)
    for count in range(1, min(look.max_lines, len(pieces)) + 1):
        lines = balanced(pieces, count, typeface.width)
        widest = max(map(typeface.width, lines))
        em = min(look.max_em * unit, SAFE_WIDTH * width / widest, look.max_height * height / (count * solid))
        if em > best.em * (WORTH_A_LINE if best.em >= look.good_em * unit else 1.0):
            best = Block(lines, em, em * solid)
    return best


def balanced(pieces: Sequence[str], count: int, width: Callable[[str], float]) -> tuple[str, ...]:
    """The pieces in ``count`` lines, the longest as short as can be; of such ways the most even one."""
    blank = width(" ")
    sizes = [width(piece.strip()) + blank * piece.startswith(" ") for piece in pieces]
    ends = [0.0, *itertools.accumulate(sizes)]
    # best[stop] is (longest line, sum of squares, where its last line starts) of the first pieces up to stop
    rows = [[(0.0, 0.0, 0)] + [(math.inf, math.inf, 0)] * len(pieces)]
    for _ in range(count):
        row = [(math.inf, math.inf, 0)]
        for stop in range(1, len(pieces) + 1):
            ways = ((*rows[-1][start][:2], start, ends[stop] - ends[start]) for start in range(stop))
            row.append(min((max(longest, size), even + size * size, start) for longest, even, start, size in ways))
        rows.append(row)
    lines: list[str] = []
    stop = len(pieces)
    for row in reversed(rows[1:]):
        start = row[stop][2]
        lines.append("".join(pieces[start:stop]).strip())
        stop = start
    return tuple(reversed(lines))


def _pieces(text: str) -> list[str]:
    """What lines may be broken between; one that follows a blank begins with it. Lone marks stay with their word."""
    pieces: list[str] = []
    for word in filter(None, _BLANK.split(text)):
        found = _PIECE.findall(word)
        if pieces and not any(char.isalnum() for char in word):
            pieces[-1] += f" {word}"
        else:
            pieces += [f" {found[0]}" if pieces else found[0], *found[1:]]
    return pieces


def _layers(em: float) -> tuple[str, str]:
    """The halo's override tags and the letters' own."""
    halo = rf"\bord{0.24 * em:.1f}\blur{0.3 * em:.1f}\shad0\1c&H000000&\3c&H000000&\1a&H60&\3a&H60&"
    return halo, rf"\bord{0.03 * em:.1f}\shad{0.03 * em:.1f}"


def _style(em: float, face: Face) -> Any:
    import pysubs2

    return pysubs2.SSAStyle(
        fontname=face.family,
        fontsize=_size(em, face),
        bold=True,
        primarycolor=pysubs2.Color(255, 255, 255),
        outlinecolor=pysubs2.Color(0, 0, 0, 64),
        backcolor=pysubs2.Color(0, 0, 0, 112),
        borderstyle=1,
        alignment=pysubs2.Alignment.MIDDLE_CENTER,
        marginl=0,
        marginr=0,
        marginv=0,
        encoding=-1,  # libass then finds the direction of each line
    )


def _drawn(line: str, em: float, typeface: Typeface) -> str:
    drawn, current = "", typeface.primary
    for face, piece in typeface.runs(line):
        if face != current:
            drawn += rf"{{\fn{face.family}\fs{_size(em, face):g}\b{int(not face.emoji)}}}"
            current = face
        drawn += escape(piece)
    return drawn


def _size(em: float, face: Face) -> float:
    return round(em * line_height(face), 2)


def _direction_mark(text: str) -> str:
    """The direction of the whole title: a line's own first letter must not turn its order."""
    kinds = [unicodedata.bidirectional(char) for char in text]
    right, left = sum(kind in {"R", "AL"} for kind in kinds), kinds.count("L")
    return "" if not right else "\u200f" if right > left else "\u200e"
