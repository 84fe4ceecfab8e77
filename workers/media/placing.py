"""Times for everything in a row of which only some have one: in order, within the time, and not in the pauses."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from statistics import median

from media.sounding import Sound, Stretch
from media.spoken import Atom

CLOSEST_S = 0.02
"""Every atom has so much time at least, where the recording is long enough."""
SQUEEZED, ENOUGH, STRETCHED = 0.4, 0.8, 1.6
"""Shares of the time that something usually takes. Less than the first is too little for it, less than the second if
the one before takes more than the third. Beyond the third is a pause that nobody named."""
UNMARKED_COST_S = 0.4
"""A pause rather belongs to a comma so far away than to the nearest two words without a mark between them."""
USUAL_PACE_S = 0.07
"""Seconds for a letter where nothing was heard that would say."""
_PHRASE_END = re.compile(r"[^\w\s][\"'”’»)\]」』\s]*$")


def placed(
    own: Sequence[Atom],
    borders: Sequence[bool],
    spans: Sequence[Stretch | None],
    sound: Sound,
    duration_s: float,
) -> list[Stretch]:
    """Start and end of every atom, of which ``spans`` are the known ones; ``borders`` are those of ``phrase_ends``.

    A known start stays unless it contradicts the order. What is unknown lies in the sound between its neighbours if
    there is any. Starts do not fall, ends do not pass the next start.
    """
    if not own:
        return []
    known = _ordered(spans, duration_s)
    fitting = _Fitting([atom.weight for atom in own], borders, sound, duration_s, known, _pace(own, known))
    for before, after in pairwise([-1, *known, len(own)]):
        if after > before + 1:
            fitting.fill(before, after)
    return _rounded([fitting.spans[place] for place in range(len(own))], duration_s)


def _ordered(spans: Sequence[Stretch | None], duration_s: float) -> dict[int, Stretch]:
    """The known spans by place, without those that contradict the order, and moved so far apart that all have room."""
    step = min(CLOSEST_S, duration_s / (2 * len(spans)))
    places = [place for place, span in enumerate(spans) if span is not None]
    known = [(place, *span) for place in places if (span := spans[place]) is not None]
    known = [known[number] for number in rising([start for _, start, _ in known])]
    starts: list[float] = []
    for number, (place, start, _) in enumerate(known):
        least = starts[-1] + step * (place - known[number - 1][0]) if starts else step * place
        starts.append(max(start, least))
    latest = duration_s
    for number in range(len(known) - 1, -1, -1):
        after = known[number + 1][0] if number + 1 < len(known) else len(spans)
        starts[number] = latest = min(starts[number], latest - step * (after - known[number][0]))
    return {place: (start, max(start, end)) for (place, _, end), start in zip(known, starts, strict=True)}


def spread(weights: Sequence[float], borders: Sequence[bool], room: Sequence[Stretch]) -> list[Stretch]:
    """Something of these weights in the room, each its share, none across a pause of it.

    Pauses are put where ``borders`` says that a phrase ends, if there is such a place near by.
    """
    room = sorted(sorted(room, key=lambda part: part[0] - part[1])[: len(weights)])
    found: list[Stretch] = []
    for (start, end), (begin, stop) in zip(room, pairwise(_cuts(weights, borders, room)), strict=True):
        shares = [0.0, *accumulate(weights[begin:stop])]
        found += pairwise([start + (end - start) * share / shares[-1] for share in shares])
    return found


def _cuts(weights: Sequence[float], borders: Sequence[bool], room: Sequence[Stretch]) -> list[int]:
    """Where to part them among the stretches, none left empty."""
    spoken = [0.0, *accumulate(end - start for start, end in room)]
    shares = [0.0, *accumulate(weights)]
    cuts = [0]
    for number, over_s in enumerate(spoken[1:-1], 1):

        def cost(place: int, over_s: float = over_s) -> float:
            unmarked = 0.0 if borders[place - 1] else UNMARKED_COST_S
            return abs(shares[place] / shares[-1] * spoken[-1] - over_s) + unmarked

        cuts.append(min(range(cuts[-1] + 1, len(weights) - len(room) + number + 1), key=cost))
    return [*cuts, len(weights)]


def phrase_ends(own: Sequence[Atom], words: Sequence[str]) -> list[bool]:
    """For each atom whether a pause is likely behind it: a mark stands there."""
    lasts = {atom.word: place for place, atom in enumerate(own)}
    return [lasts[atom.word] == place and bool(_PHRASE_END.search(words[atom.word])) for place, atom in enumerate(own)]


def rising(values: Sequence[float]) -> list[int]:
    """The places of the longest row of values that does not fall (patience sorting, O(n log n)).

    >>> rising([1, 9, 2, 2, 3])
    [0, 2, 3, 4]
    """
    tops: list[float] = []
    places: list[int] = []
    before: list[int] = []
    for place, value in enumerate(values):
        pile = bisect_right(tops, value)
        before.append(places[pile - 1] if pile else -1)
        tops[pile : pile + 1] = [value]
        places[pile : pile + 1] = [place]
    row, place = [], places[-1] if places else -1
    while place >= 0:
        row.append(place)
        place = before[place]
    return row[::-1]


def _pace(own: Sequence[Atom], known: dict[int, Stretch]) -> float:
    """Seconds that a letter usually takes."""
    paces = [(span[1] - span[0]) / own[place].weight for place, span in known.items() if span[1] > span[0]]
    return median(paces) if paces else USUAL_PACE_S


class _Fitting:
    """Puts what has no time into the time between two that have. ``spans`` by place are complete in the end."""

    def __init__(
        self,
        weights: Sequence[float],
        borders: Sequence[bool],
        sound: Sound,
        duration_s: float,
        known: Mapping[int, Stretch],
        pace_s: float,
    ) -> None:
        self.weights, self.borders, self.sound, self.duration_s = weights, borders, sound, duration_s
        self.spans, self.pace_s = dict(known), pace_s
        self._following = dict(pairwise([*known, len(weights)]))

    def fill(self, before: int, after: int) -> None:
        """Give spans to the places between two known ones; -1 is the beginning, the number of places the end.

        Where the time is too short, a neighbour shares its own: one that takes longer than it should, else the one of
        the same phrase. A word that was not heard is often counted to the one beside it.
        """
        first = before + 1
        left = min(self.spans[before][1], self._start(after)) if before >= 0 else 0.0
        need = self._usual_s(first, after)
        sliver_s = SQUEEZED * need / (after - first)  # what an inexact time left of a neighbour
        room = [part for part in self.sound.within(left, self._start(after)) if part[1] - part[0] > sliver_s]
        given = sum(end - start for start, end in room)
        swallowed = before >= 0 and self._sounding_s(*self.spans[before]) > STRETCHED * self._usual_s(before, first)
        if given > 0 and given >= (ENOUGH if swallowed else SQUEEZED) * need:
            room = self._trimmed(room, before, after, need)
        elif after in self.spans and not swallowed and (before < 0 or self.borders[before] > self.borders[after - 1]):
            left, right = self._start(after), min(self.spans[after][1], self._start(self._following[after]))
            after, room = after + 1, self._sound_from(left, right)
        elif before >= 0:
            first, room = before, self._sound_from(self.spans[before][0], self._start(after))
        else:
            room = [(left, self._start(after))]
        own = spread(self.weights[first:after], self.borders[first:after], room)
        self.spans.update(zip(range(first, after), own, strict=True))

    def _usual_s(self, first: int, after: int) -> float:
        return self.pace_s * sum(self.weights[first:after])

    def _sounding_s(self, start: float, end: float) -> float:
        return sum(stop - begin for begin, stop in self.sound.within(start, end))

    def _sound_from(self, start: float, end: float) -> list[Stretch]:
        """The sound between two moments, and the first in any case: what starts there is known."""
        room = self.sound.within(start, end)
        return [(start, room[0][1]), *room[1:]] if room else [(start, end)]

    def _start(self, place: int) -> float:
        return self.spans[place][0] if place < len(self.weights) else self.duration_s

    def _trimmed(self, room: list[Stretch], before: int, after: int, need: float) -> list[Stretch]:
        """The room without the pause that must be in it, where nobody said where the pauses are."""
        (start, end), spare = room[0], room[0][1] - room[0][0] - STRETCHED * need
        if len(self.sound.stretches) > 1 or spare <= 0:
            return room
        ends_phrase = before < 0 or self.borders[before]
        pause_first = ends_phrase and after < len(self.weights) and not self.borders[after - 1]
        return [(start + spare, end)] if pause_first else [(start, end - spare)]


def _rounded(found: Sequence[Stretch], duration_s: float) -> list[Stretch]:
    """Rounded to a tenth of a millisecond, and whatever rounding did, in order and within the recording."""
    last = int(duration_s * 1e4) / 1e4
    starts = [min(max(round(start, 4), 0.0), last) for start, _ in found]
    starts = [*accumulate(starts, max), last]
    return [
        (start, max(start, min(round(end, 4), following)))
        for (_, end), (start, following) in zip(found, pairwise(starts), strict=True)
    ]
