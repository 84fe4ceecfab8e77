"""How long the pauses within a line are: those that the synthesizer makes, made shorter or longer by a factor."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from engines.speech_synthesis import _word_times

if TYPE_CHECKING:
    from engines.speech_synthesis._espeak_library import Speech

SPOKEN_ON = 0.37
"""Of a question's pause where who asked it follows: "Is he hurt?" asked the doctor. It is then a comma's, 0.22 s where
the synthesizer makes 0.59 of it; between two sentences a narration has 0.38."""
SLOWER = {"cmn": 2.4}
"""Factor for the voices that are sped up, which shortens their pauses even more: a comma had 0.10 s, and has 0.21 s as
in English."""
_GOES_ON = re.compile(r"([?!？！][\"'”’»“‘›)\s]*|[.…][\"'”’»“‘›]+),?[\s—–-]*$")
"""A question or a call, or anything in quotation marks; not the dots of: Wait ... what?"""
_BEFORE = 0.25
"""Share of a pause that stays before the cut; a word's event lies up to 60 ms before its sound."""


def factor(text: str, place: int, language: str) -> float:
    """What the pause before the word at ``place`` is to be multiplied by; ``language`` is the voice's primary tag."""
    usual = SLOWER.get(language, 1.0)
    if text == text.lower() or not text[place : place + 1].islower():
        return usual
    return SPOKEN_ON * usual if _GOES_ON.search(text[:place]) else usual


def paced(speech: Speech, times: Callable[[int], float]) -> Speech:
    """The speech with every pause ``times(position)`` as long; ``position`` is where the next word stands."""
    rate, pcm = speech.sample_rate, bytearray()
    runs = [(round(start * rate), round(end * rate)) for start, end in _word_times.sounding(speech.pcm, rate)]
    cuts: list[tuple[int, int]] = []  # sample, how many are put in there, or taken away from there on
    for (_, start), (end, _) in pairwise(runs):
        following = next((event for event in speech.events if event.sample > start and not event.is_end), None)
        wanted = round((end - start) * (times(following.position) if following else 1.0))
        if wanted != end - start:
            cuts.append((start + round(_BEFORE * min(wanted, end - start)), wanted - (end - start)))
    done = 0
    for at, more in cuts:
        pcm += speech.pcm[2 * done : 2 * at] + bytes(2 * max(0, more))
        done = at + max(0, -more)
    pcm += speech.pcm[2 * done :]
    events = [replace(event, sample=_moved(event.sample, cuts)) for event in speech.events]
    return replace(speech, pcm=bytes(pcm), events=events)


def _moved(sample: int, cuts: list[tuple[int, int]]) -> int:
    """Where a sample lies when all cuts are made; one that was taken away, where it was."""
    return sample + sum(more if more > 0 else -min(-more, sample - at) for at, more in cuts if sample > at)
