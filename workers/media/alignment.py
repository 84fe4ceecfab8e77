"""A known script on the times of a recogniser: the script's own words, each with the moment it is spoken.

Captions made of what a recogniser heard show its mistakes. Here it only says when: its words are matched with those of
the script, and what it did not hear is put into the time that is left.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from media.matching import Match, matched
from media.placing import phrase_ends, placed, rising, spread
from media.sounding import Sound
from media.spoken import Atom, atoms, folded, pieces, weight
from runtime.context import Context

MISMATCH_WARNING = 0.3
"""Above this the recording hardly speaks this script."""


@dataclass(frozen=True)
class AlignedWord:
    """A word of the script. ``heard`` says whether the recogniser's words had one for it."""

    word: str
    start_s: float
    end_s: float
    heard: bool


@dataclass(frozen=True)
class Alignment:
    """Every word of the script in order, none overlapping the next, all within the recording.

    ``mismatch`` is the share of the script that was not recognised, 0 to 1: over all words, weighted by their spoken
    length, one less the likeness of the letters to what was heard for them (0 where nothing was). Digits against words
    count as alike. ``sources`` holds for each word the indices of the recogniser's words that it got its time from.
    """

    words: list[AlignedWord]
    mismatch: float
    sources: list[range | None]


def aligned(
    script_words: Sequence[str],
    heard: Sequence[Mapping[str, Any]],
    *,
    language: str,
    duration_s: float,
    sounding: Sequence[Sequence[float]] = (),
    check: Callable[[], None] = lambda: None,
) -> Alignment:
    """Put the words of a script on the times of the words ``heard`` ({word, start_s, end_s}) in a recording.

    ``sounding`` are the stretches of sound in it, (start, end) in seconds, as ``media.sounding.stretches`` finds them:
    with them, no word that was not heard lies in a pause between its neighbours. ``check`` is called again and again
    and may raise, to stop.
    """
    sound = Sound(sounding, duration_s)
    own = atoms(script_words, language)
    theirs = list(_heard_atoms(heard, language, sound, duration_s))
    credible = set(rising([piece.start_s for piece in theirs]))
    starts = accumulate((piece.start_s if n in credible else 0.0 for n, piece in enumerate(theirs)), max)
    times = [sound.until(start) for start in starts]
    borders = phrase_ends(own, script_words)
    matches = matched(own, [piece.atom for piece in theirs], times, sound.total_s, check) if own and theirs else []
    spans: list[tuple[float, float] | None] = [None] * len(own)
    for match in matches:
        if match.heard.start in credible:
            spans[match.script.start : match.script.stop] = _shared(match, own, theirs, borders, sound)
    bounds = placed(own, borders, spans, sound, duration_s)
    sources = _sources(script_words, own, matches, theirs)
    begins, ends = _word_bounds(own, bounds)
    return Alignment(
        [
            AlignedWord(word, begins[number], ends[number], sources[number] is not None)
            for number, word in enumerate(script_words)
        ],
        _mismatch(own, matches),
        sources,
    )


def described(alignment: Alignment, context: Context) -> dict[str, Any]:
    """The words and the mismatch as the align schema has them. Warns ``script_mismatch``."""
    if alignment.mismatch > MISMATCH_WARNING:
        context.warn(
            "script_mismatch",
            f"{alignment.mismatch:.0%} of the script was not recognised in the recording: it may speak other words or "
            "another language, and the times are guesses there.",
        )
    return {
        "words": [
            {"word": word.word, "start_s": word.start_s, "end_s": word.end_s, "heard": word.heard}
            for word in alignment.words
        ],
        "mismatch": alignment.mismatch,
    }


@dataclass(frozen=True)
class _Piece:
    """An atom that was heard, and when. Its ``word`` is the index of the recogniser's word."""

    atom: Atom
    start_s: float
    end_s: float


def _heard_atoms(
    heard: Sequence[Mapping[str, Any]], language: str, sound: Sound, duration_s: float
) -> Iterator[_Piece]:
    """The atoms of the recogniser's words with their share of the word's time.

    Recognisers let words begin in the pause before them, so the pauses at a word's ends are cut off.
    """
    for number, word in enumerate(heard):
        if not (math.isfinite(word["start_s"]) and math.isfinite(word["end_s"])):
            continue
        start, end = (min(max(float(word[name]), 0.0), duration_s) for name in ("start_s", "end_s"))
        start, end = sound.snapped(start, max(start, end))
        keys = [key for piece in pieces(word["word"].strip()) if (key := folded(piece, language))]
        whole, done = sum(map(weight, keys)), 0.0
        for key in keys:
            begin = start + done / whole * (end - start)
            done += weight(key)
            yield _Piece(Atom(key, number, weight(key)), begin, start + done / whole * (end - start))


def _shared(
    match: Match, own: Sequence[Atom], theirs: Sequence[_Piece], borders: Sequence[bool], sound: Sound
) -> list[tuple[float, float]]:
    """The time of the heard atoms of a match, shared out among its script atoms."""
    start, end = theirs[match.heard.start].start_s, theirs[match.heard.stop - 1].end_s
    if len(match.script) == 1 or end <= start:
        return [(start, max(start, end))] * len(match.script)
    room = sound.within(start, end) or [(start, end)]
    weights = [own[place].weight for place in match.script]
    return spread(weights, borders[match.script.start : match.script.stop], room)


def _sources(
    words: Sequence[str], own: Sequence[Atom], matches: Sequence[Match], theirs: Sequence[_Piece]
) -> list[range | None]:
    found: list[range | None] = [None] * len(words)
    for match in matches:
        first, last = theirs[match.heard.start].atom.word, theirs[match.heard.stop - 1].atom.word
        for place in match.script:
            before = found[own[place].word]
            found[own[place].word] = range(before.start if before else first, last + 1)
    return found


def _mismatch(own: Sequence[Atom], matches: Sequence[Match]) -> float:
    whole = sum(atom.weight for atom in own if atom.key)
    alike = sum(match.likeness * sum(own[place].weight for place in match.script) for match in matches)
    return round(1 - alike / whole, 4) if whole else 0.0


def _word_bounds(
    own: Sequence[Atom], bounds: Sequence[tuple[float, float]]
) -> tuple[dict[int, float], dict[int, float]]:
    """When each word begins, with its first atom, and ends, with its last."""
    begins: dict[int, float] = {}
    ends: dict[int, float] = {}
    for atom, (start, end) in zip(own, bounds, strict=True):
        begins.setdefault(atom.word, start)
        ends[atom.word] = end
    return begins, ends
