"""How a title is broken into lines, how large it is and where it stands: off what the picture shows.

The lines are balanced: of all ways to break the title the one whose longest line is shortest. How many they are, how
large and where is weighed for the picture: a title is as large as it can be where it hides nothing.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from media.calm import Box, Ground
from media.faces import line_height
from media.typeface import Typeface

SAFE_WIDTH = 0.84
"""Share of the picture's width that lines may fill."""
LEADING, LEAST_LEADING, MOST_LEADING = 0.8, 1.1, 1.45
"""Distance of two lines as a share of what the face asks for, and its bounds in ems: headings are set close."""
SIZES, STEPS = 9, 24
"""How many sizes, each a tenth below the one before, and how many heights are tried."""
SIZE_WORTH, BELOW_GOOD_WORTH = 0.5, 1.0
"""What letters twice as large are worth, and what more so below the size from which on they read well."""
LINE_COST = SIZE_WORTH * math.log2(1.25)
"""Another line is begun only where the letters grow by a quarter."""
USUAL_LINES, MORE_LINES_COST = 3, 3 * LINE_COST
"""Beyond so many a line costs as much more: only a title of twenty words has them."""
HIDING_COST = 6.0
"""Of a title all over edges; a tenth of it weighs a little more than twice the size."""
PLACE_COST, SIDE_COST = 0.35, 0.24
"""Of standing a picture's height off the usual place, and a picture's width off the middle."""
SQUAT = 0.6
"""Square and wide pictures have no apps' buttons at the top, and their subjects stand higher."""
WIDE = 1.2
"""From this width for a height on a title may stand beside what is shown."""
ROOM = 0.3
"""Ems around the letters that are to be calm, too."""
TOP = 0.06
"""Share of the height that stays free above."""
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
    lowest: float
    """How far down it may reach, of the height."""


@dataclass(frozen=True)
class Block:
    """A title in lines; sizes and places in pixels, of the middle of the block."""

    lines: tuple[str, ...]
    em: float
    leading: float
    x: float = 0.0
    y: float = 0.0
    worth: float = -math.inf
    """How well it stands there: 0 at best, without unit."""


def _unit(width: int, height: int) -> int:
    return min(width, round(1.25 * height))


FILM = Look(max_em=0.11, good_em=0.07, side=_unit, max_lines=5, middle=0.27, max_height=0.36, lowest=0.58)
"""Over the film's beginning: in the upper half, clear of captions at the bottom and of apps' buttons at the top."""
POSTER = Look(max_em=1 / 8, good_em=1 / 11, side=_unit, max_lines=5, middle=0.22, max_height=0.45, lowest=0.94)
"""On a thumbnail, which is looked at 320 pixels wide: larger, and without captions."""


def fitted(text: str, typeface: Typeface, *, width: int, height: int, look: Look, ground: Ground) -> Block:
    """The title as it stands best on a picture of ``width`` × ``height`` pixels: large, in few lines, hiding little."""
    pieces = _pieces(text)
    solid = min(max(LEADING * line_height(typeface.primary), LEAST_LEADING), MOST_LEADING)
    good, largest = (share * look.side(width, height) for share in (look.good_em, look.max_em))
    best = Block((), 0.0, 0.0)
    for count in range(1, min(look.max_lines, len(pieces)) + 1):
        lines = balanced(pieces, count, typeface.width)
        widths = list(map(typeface.width, lines))
        most = min(largest, SAFE_WIDTH * width / max(widths), look.max_height * height / (count * solid))
        for step in range(SIZES):
            em = most * 0.9**step
            worth = SIZE_WORTH * math.log2(em / largest) - LINE_COST * (count - 1)
            worth -= MORE_LINES_COST * max(0, count - USUAL_LINES)
            worth += BELOW_GOOD_WORTH * min(0.0, math.log2(em / good))
            block = Block(lines, em, em * solid)
            for x, y, cost in _places(block, max(widths), (width, height), look):
                if worth - cost > best.worth:  # else there is no need to look
                    placed = replace(block, x=x, y=y)
                    hides = HIDING_COST * hidden(placed, widths, (width, height), ground)
                    best = max(best, replace(placed, worth=worth - cost - hides), key=lambda one: one.worth)
    return best


def _places(block: Block, widest: float, size: tuple[int, int], look: Look) -> Iterator[tuple[float, float, float]]:
    """(x, y, what it costs to stand there) of the block's middle, the cheapest first."""
    width, height = size
    rest = len(block.lines) * block.leading / 2
    highest, lowest = TOP * height + rest, max(TOP, look.lowest) * height - rest
    usual = max(highest, look.middle * height * (1 if height > width else SQUAT))
    aside = SAFE_WIDTH * width / 2 - widest * block.em / 2 if width >= WIDE * height else 0.0
    ways = [
        (width / 2 + side * aside, y, PLACE_COST * abs(y - usual) / height + SIDE_COST * abs(side) * aside / width)
        for y in [usual, *(highest + (lowest - highest) * step / STEPS for step in range(STEPS + 1))]
        for side in ((0.0, -0.5, 0.5, -1.0, 1.0) if aside else (0.0,))
    ]
    yield from sorted(ways, key=lambda way: way[2])


def hidden(block: Block, widths: Sequence[float], size: tuple[int, int], ground: Ground) -> float:
    """How much a block hides, 0 to 1: half of it the mean, half the worst piece of a line, for one ear is too much.

    ``widths`` of its lines in ems.
    """
    found = [ground.busyness(box) for box in _boxes(block, widths, size)]
    return (sum(found) / len(found) + max(found)) / 2


def _boxes(block: Block, widths: Sequence[float], size: tuple[int, int]) -> Iterator[Box]:
    """What the lines of a block take in pieces of about two ems, with some room around."""
    width, height = size
    first = block.y - (len(block.lines) - 1) * block.leading / 2
    for number, ems in enumerate(widths):
        pieces = max(1, round((ems + 2 * ROOM) / 2))
        whole, down = (ems + 2 * ROOM) * block.em, (0.5 + ROOM) * block.em
        left, y = block.x - whole / 2, first + number * block.leading
        for piece in range(pieces):
            start, end = left + whole * piece / pieces, left + whole * (piece + 1) / pieces
            yield start / width, (y - down) / height, end / width, (y + down) / height


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
