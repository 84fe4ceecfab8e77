"""Which atom of a script is which of the atoms a recogniser heard.

Where rows of words agree there is nothing to find out: these are anchors. Between two of them dynamic programming takes
the cheapest of all ways to leave out, add, change, split and merge; the unit of cost is a letter. What reads alike is
told apart by when it should sound, which follows from the anchors around. Cells too far from that moment are not looked
at, so that time and memory grow with the length, not with its square.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from media.spoken import Atom

if TYPE_CHECKING:
    from rapidfuzz.distance import Opcodes

UNMATCHED_COST = 0.75
"""A letter that was left out or added. Two such cost more than a letter changed."""
MERGE_COST = 0.3
NUMBER_COST, NUMBER_SLACK = 2.0, 0.4
"""Digits against words, which may be longer or shorter by this share than digits usually are; letters beyond are
unmatched ones."""
LATE_COST, LATE_MOST = 0.15, 2.5
"""For each letter, when it is heard as far from its moment as the moment is unsure; and where that ends to count."""
UNSURE_S, UNSURE_SHARE = 0.25, 0.1
"""How unsure a moment is: this, and this share of the time between its anchors."""
BAND_S, WIDEST_BAND_S = 3.0, 15.0
"""A cell is looked at when it is less far from its moment: at least, at most; between them a fifth of the stretch."""
MOST_MERGED, MOST_FOR_NUMBER = 4, 9
ANCHOR, CHARACTER_ANCHOR = 3, 4
"""Atoms in a row that must agree for an anchor; a character says less than a word."""
NEAR = 60
"""What recurs within so many atoms is no anchor: it may be the other one."""


@dataclass(frozen=True)
class Match:
    """Script atoms ``script`` are heard atoms ``heard``; ``likeness`` of their letters, 0 to 1."""

    script: range
    heard: range
    likeness: float


def matched(
    script: Sequence[Atom],
    heard: Sequence[Atom],
    times: Sequence[float],
    total_s: float,
    check: Callable[[], None] = lambda: None,
) -> list[Match]:
    """Matches in order, none overlapping. ``times`` are the starts of ``heard``, not falling, in seconds of sound.

    ``check`` is called again and again and may raise.
    """
    fixed = _anchors(script, heard)
    expected = _expected(script, fixed, times, total_s)
    found: list[Match] = []
    for (i, j), (next_i, next_j) in pairwise([(-1, -1), *fixed, (len(script), len(heard))]):
        if i >= 0:
            found.append(Match(range(i, i + 1), range(j, j + 1), 1.0))
        if next_i > i + 1 and next_j > j + 1:
            gap = _Gap(script, heard, times, expected, range(i + 1, next_i), range(j + 1, next_j))
            found += gap.matches(check)
    return found


def _anchors(script: Sequence[Atom], heard: Sequence[Atom]) -> list[tuple[int, int]]:
    """Pairs that are certain: part of a row that agrees and that does not recur near by on either side.

    Beside something left out or added, the last of a row might as well be what was left out ("Come! Come!"), so they
    are no anchors there.
    """
    from rapidfuzz.distance import Levenshtein

    own, theirs = [atom.key for atom in script], [atom.key for atom in heard]
    recurs = {length: (_recurring(own, length), _recurring(theirs, length)) for length in (ANCHOR, CHARACTER_ANCHOR)}
    certain: set[tuple[int, int]] = set()
    for (i, j, count), slides_before, slides_after in _agreeing(Levenshtein.opcodes(own, theirs)):
        length = CHARACTER_ANCHOR if script[i].is_character else ANCHOR
        first, last = (length - 1 if slides_before else 0), count - (length - 1 if slides_after else 0)
        for k in range(first, last - length + 1):
            if not recurs[length][0][i + k] and not recurs[length][1][j + k]:
                certain.update((i + n, j + n) for n in range(k, k + length) if own[i + n])
    return sorted(certain)


def _agreeing(codes: Opcodes) -> Iterator[tuple[tuple[int, int, int], bool, bool]]:
    """Rows that agree, (first in script, first heard, length); whether one side has more before, and after them."""
    blocks = [(code.src_start, code.dest_start, code.src_end - code.src_start) for code in codes if code.tag == "equal"]
    ends = [(0, 0), *((i + count, j + count) for i, j, count in blocks)]
    begins = [*((i, j) for i, j, _ in blocks), (codes.src_len, codes.dest_len)]
    slides = [i - end_i != j - end_j for (end_i, end_j), (i, j) in zip(ends, begins, strict=True)]
    yield from zip(blocks, slides[:-1], slides[1:], strict=True)


def _recurring(keys: Sequence[str], length: int) -> list[bool]:
    """For each place whether the row of ``length`` keys that begins there stands near by, too."""
    last: dict[tuple[str, ...], int] = {}
    found = [False] * len(keys)
    for place in range(len(keys) - length + 1):
        row = tuple(keys[place : place + length])
        before = last.get(row)
        if before is not None and place - before < NEAR:
            found[place] = found[before] = True
        last[row] = place
    return found


def _expected(
    script: Sequence[Atom], fixed: Sequence[tuple[int, int]], times: Sequence[float], total_s: float
) -> list[float]:
    """When each script atom should begin, in seconds of sound: between anchors by its share of the letters."""
    shares = [0.0, *accumulate(atom.weight for atom in script)]
    knots = [(shares[i], times[j]) for i, j in fixed] or [(0.0, 0.0), (shares[-1], total_s)]
    (first, first_s), (last, last_s) = knots[0], knots[-1]
    pace = (last_s - first_s) / (last - first) if last > first else total_s / shares[-1]
    knots = [(0.0, max(0.0, first_s - first * pace)), *knots]
    knots.append((shares[-1], max(last_s, min(total_s, last_s + (shares[-1] - last) * pace))))
    found, number = [], 0
    for share in shares[:-1]:
        while number < len(knots) - 2 and knots[number + 1][0] <= share:
            number += 1
        (begin, begin_s), (end, end_s) = knots[number], knots[number + 1]
        part = (share - begin) / (end - begin) if end > begin else 0.0
        found.append(begin_s + part * (end_s - begin_s))
    return found


@lru_cache(1 << 16)
def _likeness(one: str, two: str) -> float:
    from rapidfuzz.distance import Levenshtein

    return Levenshtein.normalized_similarity(one, two)


class _Gap:
    """Dynamic programming over what lies between two anchors."""

    def __init__(
        self,
        script: Sequence[Atom],
        heard: Sequence[Atom],
        times: Sequence[float],
        expected: Sequence[float],
        own: range,
        theirs: range,
    ) -> None:
        self.script, self.heard = script[own.start : own.stop], heard[theirs.start : theirs.stop]
        self.times, self.expected = times[theirs.start : theirs.stop], expected[own.start : own.stop]
        self.own, self.theirs = own, theirs
        length = max(self.times[-1], self.expected[-1]) - min(self.times[0], self.expected[0])
        self.unsure_s = UNSURE_S + UNSURE_SHARE * length
        self.low, self.high = self._band(min(WIDEST_BAND_S, BAND_S + 0.2 * length))

    def _band(self, reach_s: float) -> tuple[list[int], list[int]]:
        """For each number of script atoms done, the fewest and the most heard ones that may be done."""
        low = [0, *(bisect_left(self.times, moment - reach_s) for moment in self.expected)]
        high = [*(bisect_right(self.times, moment + reach_s) for moment in self.expected), len(self.times)]
        return low, [max(most, least) for most, least in zip(high, [*low[1:], 0], strict=True)]

    def matches(self, check: Callable[[], None]) -> Iterator[Match]:
        """The cheapest way through."""
        steps = self._steps(check)
        i, j, found = len(self.script), len(self.heard), []
        while i or j:
            own, theirs = divmod(steps[i][j - self.low[i]], 16)
            if own and theirs:
                likeness = self._likeness(i - own, own, j - theirs, theirs)
                script, heard = self.own.start + i, self.theirs.start + j
                found.append(Match(range(script - own, script), range(heard - theirs, heard), likeness))
            i, j = i - own, j - theirs
        return reversed(found)

    def _steps(self, check: Callable[[], None]) -> list[bytearray]:
        """For each cell of the band how it is reached best: script atoms done × 16 + heard ones."""
        rows: list[list[float]] = []
        steps: list[bytearray] = []
        for i in range(len(self.script) + 1):
            check()
            low, high = self.low[i], self.high[i]
            rows.append([])
            steps.append(bytearray(high - low + 1))
            if i > MOST_FOR_NUMBER:
                rows[i - MOST_FOR_NUMBER - 1] = []
            for j in range(low, high + 1):
                cost, step = 0.0 if i == j == 0 else float("inf"), 0
                for own, theirs, extra in self._options(i, j):
                    before = j - theirs - self.low[i - own]
                    if 0 <= before < len(rows[i - own]) and rows[i - own][before] + extra < cost:
                        cost, step = rows[i - own][before] + extra, own * 16 + theirs
                rows[i].append(cost)
                steps[i][j - low] = step
        return steps

    def _options(self, i: int, j: int) -> Iterator[tuple[int, int, float]]:
        """The ways to come to a cell: (script atoms, heard atoms, cost)."""
        own, theirs = self.script[i - 1] if i else None, self.heard[j - 1] if j else None
        if own is not None and theirs is not None:
            yield 1, 1, self._cost(i - 1, 1, j - 1, 1)
            for count in range(2, min(_most(own), j) + 1):
                yield 1, count, self._cost(i - 1, 1, j - count, count)
            for count in range(2, min(_most(theirs), i) + 1):
                yield count, 1, self._cost(i - count, count, j - 1, 1)
        if own is not None:
            yield 1, 0, UNMATCHED_COST * _letters(own)
        if theirs is not None:
            yield 0, 1, UNMATCHED_COST * _letters(theirs)

    def _cost(self, i: int, own: int, j: int, theirs: int) -> float:
        script, heard = self.script[i : i + own], self.heard[j : j + theirs]
        one, two = "".join(atom.key for atom in script), "".join(atom.key for atom in heard)
        if not all(atom.key for atom in script):
            return float("inf")
        length = max(len(one), len(two))
        late = (
            min(LATE_MOST, abs(self.times[j] - self.expected[i]) / self.unsure_s) * LATE_COST * min(len(one), len(two))
        )
        merging = MERGE_COST * (own + theirs - 2)
        if _is_spelt_out(script, heard):
            usual, other = (sum(atom.weight for atom in side) for side in (script, heard))
            beyond = max(0.0, abs(usual - other) - NUMBER_SLACK * min(usual, other))
            return min(NUMBER_COST + UNMATCHED_COST * beyond, length * (1 - _likeness(one, two)) + merging) + late
        if merging and (2 * min(len(one), len(two)) < length or not _mergeable(script, heard)):
            return float("inf")
        return length * (1 - _likeness(one, two)) + merging + late

    def _likeness(self, i: int, own: int, j: int, theirs: int) -> float:
        script, heard = self.script[i : i + own], self.heard[j : j + theirs]
        if _is_spelt_out(script, heard):
            return 1.0
        return _likeness("".join(atom.key for atom in script), "".join(atom.key for atom in heard))


def _letters(atom: Atom) -> float:
    return atom.weight if atom.is_number else max(1, len(atom.key))


def _most(atom: Atom) -> int:
    """Of how many atoms of the other side one may be made."""
    return MOST_FOR_NUMBER if atom.is_number else 1 if atom.is_character else MOST_MERGED


def _mergeable(script: Sequence[Atom], heard: Sequence[Atom]) -> bool:
    """Whether one side may be the other written together: no lone characters, and digits only for digits."""
    numbers = [any(atom.is_number for atom in side) for side in (script, heard)]
    return numbers[0] == numbers[1] and not any(atom.is_character for atom in (*script, *heard))


def _is_spelt_out(script: Sequence[Atom], heard: Sequence[Atom]) -> bool:
    """Whether one side has digits where the other has words."""
    own, theirs = ([atom.is_number for atom in side] for side in (script, heard))
    return (all(own) and not any(theirs)) or (all(theirs) and not any(own))
