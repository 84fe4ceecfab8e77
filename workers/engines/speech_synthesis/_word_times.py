"""From a synthesizer's events and its sound to the words of the text, each with the time it is spoken.

Events are not words: ``$1,234.56`` gives nine, ``of the`` one, a lone dash none. So the words are those of the text, a
word starts at its first event, one without is interpolated over the sound between its neighbours, and it ends where the
next begins or, before a pause, where the sound stops.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

PAUSE_S = 0.06
"""A silence this long is a pause and belongs to no word; shorter ones are inside words, before a p, t or k."""
LOUD = 100
"""Sample value from which there is sound; the synthesizer's own silence is exactly 0, full scale is 32767."""
_FRAME_S = 0.005
_CLOSEST_S = 0.01  # two events nearer than this cannot both be the starts of words

# Scripts read character by character, for they are written without blanks: Chinese, Japanese. A mark that lengthens or
# modifies a sign stays with it.
_IDEOGRAPH = (
    "[\u3005-\u3007\u3041-\u3096\u30a1-\u30fa\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\uff66-\uff9d\U00020000-\U000323af]"
)
_MARKS = "[\u3099\u309a\u30fc\uff70\ufe00-\ufe0f\U000e0100-\U000e01ef]"
_CLOSING = "[\u3001-\u3003\u3009\u300b\u300d\u300f\u3011\uff01\uff09\uff0c\uff0e\uff1a\uff1b\uff1f]"
_PIECE = re.compile(rf"{_IDEOGRAPH}{_MARKS}*|{_CLOSING}+|(?:(?!{_IDEOGRAPH}|{_CLOSING})\S)+")
_READ_OUT = frozenset("@#&%*§/\\")  # punctuation that has a spoken name, as symbols have


@dataclass(frozen=True)
class Word:
    """``text`` as written; characters ``start`` to ``end`` are what is spoken of it, without punctuation around."""

    text: str
    start: int
    end: int

    @property
    def weight(self) -> int:
        """Share of the sound it gets where nothing better is known: its letters and digits."""
        return max(1, sum(map(str.isalnum, self.text)))


@dataclass(frozen=True)
class Anchor:
    """What stands at character ``position`` begins at ``time_s``; a ``weak`` one says only that a clause ended."""

    position: int
    time_s: float
    weak: bool


def split_words(text: str) -> list[Word]:
    """The words between blanks, in Chinese and Japanese the characters; every character is in exactly one word.

    What has neither letter nor digit joins a neighbour: an opening mark or a dash that begins a line the next word,
    anything else the previous one. So words joined by blanks are the text with its white space normalised, but for
    the blanks between characters of a script that writes none.

    >>> [word.text for word in split_words("Il dit : « oui »")]
    ['Il', 'dit :', '« oui »']
    """
    spans: list[tuple[int, int]] = []
    waiting: int | None = None
    for piece in _PIECE.finditer(text):
        start, end = piece.span()
        if any(map(str.isalnum, piece[0])):
            spans.append((start if waiting is None else waiting, end))
            waiting = None
        elif spans and waiting is None and not _belongs_to_next(text, start, end):
            spans[-1] = (spans[-1][0], end)
        elif waiting is None:
            waiting = start
    if waiting is not None:
        spans[-1:] = [(spans[-1][0] if spans else waiting, len(text.rstrip()))]
    return [_word(text, start, end) for start, end in spans]


def _belongs_to_next(text: str, start: int, end: int) -> bool:
    last = text[end - 1]
    if last == '"':
        return text.count('"', 0, end - 1) % 2 == 0
    begins_line = "\n" in text[len(text[:start].rstrip()) : start]
    return unicodedata.category(last) in {"Ps", "Pi"} or last in "¿¡" or begins_line


def _word(text: str, start: int, end: int) -> Word:
    spoken = [index for index in range(start, end) if _is_spoken(text[index])] or [start, end - 1]
    return Word(" ".join(text[start:end].split()), spoken[0], spoken[-1] + 1)


def _is_spoken(character: str) -> bool:
    return unicodedata.category(character)[0] in "LNSM" or character in _READ_OUT


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
