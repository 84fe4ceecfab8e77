"""From a synthesizer's events and its sound to the words of the text, each with the time it is spoken.

Events are not words: ``$1,234.56`` gives nine, ``of the`` one, a lone dash none. So the words are those of the text, a
word starts at its first event, one without is interpolated over the sound between its neighbours, and it ends where the
next begins or, before a pause, where the sound stops.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from media.words import Word

PAUSE_S = 0.06
"""A silence this long is a pause and belongs to no word; shorter ones are inside words, before a p, t or k."""
LOUD = 100
"""Sample value from which there is sound; the synthesizer's own silence is exactly 0, full scale is 32767."""
_FRAME_S = 0.005
_CLOSEST_S = 0.01  # two events nearer than this cannot both be the starts of words


@dataclass(frozen=True)
class Anchor:
    """What stands at character ``position`` begins at ``time_s``; a ``weak`` one says only that a clause ended."""

    position: int
    time_s: float
    weak: bool


def sounding(pcm: bytes, sample_rate: int) -> list[tuple[float, float]]:
    """Stretches of sound in 16-bit mono ``pcm``: start and end in seconds, at least ``PAUSE_S`` of silence between."""
    samples, frame = array("h", pcm), max(1, round(_FRAME_S * sample_rate))
    runs: list[tuple[float, float]] = []
    for first in range(0, len(samples), frame):
        part = samples[first : first + frame]
        if max(part) < LOUD and min(part) > -LOUD:
            continue
        loud = [index for index, value in enumerate(part) if not -LOUD < value < LOUD]
        start, end = (first + loud[0]) / sample_rate, (first + loud[-1] + 1) / sample_rate
        if runs and start - runs[-1][1] < PAUSE_S:
            runs[-1] = (runs[-1][0], end)
        else:
            runs.append((start, end))
    return runs


def timed(
    words: Sequence[Word], anchors: Iterable[Anchor], runs: Sequence[tuple[float, float]]
) -> list[tuple[float, float]]:
    """Start and end of each word in seconds: starts rise strictly, and every word ends after its start.

    ``runs`` are the stretches of sound, at least one.
    """
    known = _rising(_anchored(words, anchors), runs)
    sound = _Sound(runs)
    starts: list[float] = []
    stops = [*(index for index in known if index), len(words)]
    for first, last in pairwise([0, *stops]):
        begin = known[first]
        limit = known.get(last, runs[-1][1])
        shares = [0, *accumulate(word.weight for word in words[first:last])]
        starts += [begin, *(sound.between(begin, limit, share / shares[-1]) for share in shares[1:-1])]
    ends = [sound.last_before(start, following) for start, following in pairwise([*starts, runs[-1][1]])]
    return list(zip(starts, ends, strict=True))


def _anchored(words: Sequence[Word], anchors: Iterable[Anchor]) -> dict[int, float]:
    """Word index -> start. An anchor between words (a dash, a blank) is the next one's, if that has none of its own."""
    borders = [word.end for word in words]
    firm: dict[int, float] = {}
    weak: dict[int, float] = {}
    for anchor in anchors:
        index = bisect_right(borders, anchor.position)
        if index == len(words):
            continue
        if anchor.weak or anchor.position < words[index].start:
            weak[index] = anchor.time_s  # the last: what came before it was the dash's or the emoji's own sound
        else:
            firm.setdefault(index, anchor.time_s)
    return weak | firm


def _rising(found: dict[int, float], runs: Sequence[tuple[float, float]]) -> dict[int, float]:
    """Only starts that leave every word room before the sound ends; the first word starts with the sound."""
    kept = {0: max(0.0, min(found.get(0, runs[0][0]), runs[-1][1] - _CLOSEST_S))}
    previous = 0
    for index in sorted(found):
        if index and kept[previous] + _CLOSEST_S * (index - previous) <= found[index] <= runs[-1][1] - _CLOSEST_S:
            kept[index] = found[index]
            previous = index
    return kept


class _Sound:
    """Arithmetic on the time that is not silent."""

    def __init__(self, runs: Sequence[tuple[float, float]]) -> None:
        self.runs = runs
        self.begins = [start for start, _ in runs]

    def between(self, begin: float, limit: float, share: float) -> float:
        """The moment at which ``share`` (0 to 1) of the sound from ``begin`` to ``limit`` is over."""
        parts = [(max(start, begin), min(end, limit)) for start, end in self.runs if start < limit and end > begin]
        left = share * sum(end - start for start, end in parts)
        for start, end in parts:
            if left < end - start:
                return start + left
            left -= end - start
        return begin + share * (limit - begin)  # nothing sounds here, or rounding ate the rest

    def last_before(self, start: float, following: float) -> float:
        """Where a word that starts at ``start`` ends: at ``following``, or earlier where a pause begins before it."""
        run = bisect_right(self.begins, following) - 1
        while run >= 0 and self.begins[run] >= following:
            run -= 1
        silent_from = self.runs[run][1] if run >= 0 else following
        return silent_from if start < silent_from <= following - PAUSE_S else following
