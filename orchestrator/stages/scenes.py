"""Stage 6: shots. Rules group the sentences; every cut lies between two captions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from orchestrator.making import Making

VERSION = "1"
MIN_SHOT_S, IDEAL_SHOT_S, MAX_SHOT_S = 2.0, 5.0, 10.0
INSIDE_SENTENCE_COST = 9.0
"""A cut inside a sentence costs as much as a shot that is three seconds off the ideal."""
OUT_OF_BOUNDS_COST = 1000.0
MOTIONS = ("zoom_in", "pan_right", "zoom_out", "pan_left", "zoom_in", "pan_up", "zoom_out", "pan_down")
"""Taken in turn, so that no two neighbours move alike."""
STRENGTH = 0.6

Cue = Mapping[str, Any]


def make(making: Making) -> None:
    """Cut the film into shots."""
    inputs: dict[str, Any] = {
        "cues": making.cues,
        "words": making.words,
        "duration_s": making.duration_s,
        "fps": making.size["fps"],
    }
    item = making.run.rule("scenes", "shots", VERSION, inputs, lambda: {"shots": shots(**inputs)})
    making.shots = item.document()["shots"]


def shots(cues: Sequence[Cue], words: Sequence[Mapping[str, Any]], duration_s: float, fps: int) -> list[dict[str, Any]]:
    """The shots of a film; their frames add up to the narration's length, rounded up to a whole frame.

    A cue names its words as ``words: [first, last + 1]``. Every shot has 2 to 10 s where the cues allow it.
    """
    ends = [(before["end_s"] + after["start_s"]) / 2 for before, after in pairwise(cues)] + [duration_s]
    sentence_ends = [_ends_sentence(cue, words) for cue in cues]
    total = math.ceil(round(duration_s * fps, 6))
    found, begin, first = [], 0, 0
    for number, last in enumerate(cuts(ends, sentence_ends), 1):
        end = total if last == len(cues) - 1 else round(ends[last] * fps)
        spoken = words[cues[first]["words"][0] : cues[last]["words"][1]]
        text = " ".join(word["word"] for word in spoken)
        found.append(
            {
                "number": number,
                "start_s": round(begin / fps, 4),
                "end_s": round(end / fps, 4),
                "num_frames": end - begin,
                "text": text,
                "prompt": text,
                "motion": {"kind": MOTIONS[(number - 1) % len(MOTIONS)], "strength": STRENGTH},
            }
        )
        begin, first = end, last + 1
    return found


def _ends_sentence(cue: Cue, words: Sequence[Mapping[str, Any]]) -> bool:
    after = cue["words"][1]
    return after >= len(words) or words[after]["line"] != words[after - 1]["line"]


def cuts(ends: Sequence[float], sentence_ends: Sequence[bool]) -> list[int]:
    """The last cue of each shot, by the cheapest partition (dynamic programming over the cues, O(n²))."""
    best: list[tuple[float, list[int]]] = [(0.0, [])]
    for last, end in enumerate(ends):
        options = []
        for first in range(last, -1, -1):
            length = end - (ends[first - 1] if first else 0.0)
            cost, before = best[first]
            options.append((cost + _cost(length, sentence_ends[last]), [*before, last]))
            if length > 2 * MAX_SHOT_S:
                break
        best.append(min(options, key=lambda option: option[0]))
    return best[-1][1]


def _cost(length: float, at_sentence_end: bool) -> float:
    outside = max(0.0, MIN_SHOT_S - length, length - MAX_SHOT_S)
    return (
        (length - IDEAL_SHOT_S) ** 2 + (0.0 if at_sentence_end else INSIDE_SENTENCE_COST) + OUT_OF_BOUNDS_COST * outside
    )
