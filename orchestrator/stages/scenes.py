"""Stage 6: shots. Rules group the sentences; every cut lies between two captions."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from orchestrator.making import Making

VERSION = "2"
MIN_SHOT_S, IDEAL_SHOT_S, MAX_SHOT_S = 2.0, 5.0, 10.0
INSIDE_SENTENCE_COST = 9.0
"""A cut after a comma costs as much as a shot that is three seconds off the ideal."""
INSIDE_PHRASE_COST = 30.0
"""A cut within a phrase costs more than the longest shot allowed."""
OUT_OF_BOUNDS_COST = 10_000.0
PHRASE_END = re.compile(r"[,;:،；：，、…–—-][\"'”’»)\]」』\s]*$")
UNSPACED = re.compile(
    "[\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]"
)
"""Chinese and Japanese characters: no blank is written between two of them."""
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
    costs = [_cut_cost(cue, words) for cue in cues]
    total = math.ceil(round(duration_s * fps, 6))
    found, begin, first = [], 0, 0
    for number, last in enumerate(cuts(ends, costs), 1):
        end = total if last == len(cues) - 1 else round(ends[last] * fps)
        spoken = words[cues[first]["words"][0] : cues[last]["words"][1]]
        text = joined([word["word"] for word in spoken])
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


def joined(words: Sequence[str]) -> str:
    """The words as they are written: a blank between two, but none where Chinese or Japanese meets its like.

    >>> joined(["说：", "“你", "好。”", "Bob", "left."])
    '说：“你好。” Bob left.'
    """
    text = ""
    for before, word in pairwise(["", *words]):
        text += word if not before or (_unspaced(before[::-1]) and _unspaced(word)) else f" {word}"
    return text


def _unspaced(word: str) -> bool:
    """Whether its first letter or digit, behind quotes and other marks, is Chinese or Japanese."""
    return bool(UNSPACED.match(next((character for character in word if character.isalnum()), "")))


def _cut_cost(cue: Cue, words: Sequence[Mapping[str, Any]]) -> float:
    """What a cut behind the cue costs: nothing at the end of a sentence, more within a phrase than after one."""
    after = cue["words"][1]
    if after >= len(words) or words[after]["line"] != words[after - 1]["line"]:
        return 0.0
    return INSIDE_SENTENCE_COST if PHRASE_END.search(words[after - 1]["word"]) else INSIDE_PHRASE_COST


def cuts(ends: Sequence[float], costs: Sequence[float]) -> list[int]:
    """The last cue of each shot, by the cheapest partition (dynamic programming over the cues, O(n²)).

    ``ends`` are the cues' ends, ``costs`` those of a cut there.
    """
    best: list[tuple[float, list[int]]] = [(0.0, [])]
    for last, end in enumerate(ends):
        options = []
        for first in range(last, -1, -1):
            length = end - (ends[first - 1] if first else 0.0)
            cost, before = best[first]
            options.append((cost + costs[last] + _length_cost(length), [*before, last]))
            if length > 2 * MAX_SHOT_S:
                break
        best.append(min(options, key=lambda option: option[0]))
    return best[-1][1]


def _length_cost(length: float) -> float:
    outside = max(0.0, MIN_SHOT_S - length, length - MAX_SHOT_S)
    return (length - IDEAL_SHOT_S) ** 2 + OUT_OF_BOUNDS_COST * outside
