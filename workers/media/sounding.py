"""Where a recording sounds and where it pauses, and arithmetic on the time that is not silent."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from media.source import pcm_blocks

if TYPE_CHECKING:
    import numpy as np

PAUSE_S = 0.1
"""A silence this long is a pause between words; shorter ones are inside them, before a p, t or k."""
SILENT_DB = -45.0
"""Quieter than this below full scale is silence."""
ABOVE_NOISE_DB, BELOW_SPEECH_DB = 6.0, 20.0
"""In a noisy recording silence is what is this close to its quietest tenth and this far below its loudest."""
WINDOW_S = 0.01
SAMPLE_RATE = 16000
CLOSE_BY_S = 0.3
_QUIETEST_DB = -120.0

Stretch = tuple[float, float]
"""(start, end) in seconds."""


def stretches(media: str | Path) -> list[Stretch]:
    """The stretches of sound in any file that carries audio, parted by its pauses.

    Raises WorkerError ``input_not_found`` or ``input_unreadable``.
    """
    import numpy as np

    size = round(WINDOW_S * SAMPLE_RATE)
    levels, left = [], np.zeros(0, np.float32)
    for block in pcm_blocks(media, sample_rate=SAMPLE_RATE, channels=1):
        samples = np.concatenate([left, np.frombuffer(block, np.float32)])
        whole = len(samples) // size * size
        levels.append(_decibels(samples[:whole].reshape(-1, size)))
        left = samples[whole:]
    if len(left):
        levels.append(_decibels(left.reshape(1, -1)))
    return _loud(np.concatenate(levels)) if levels else []


def _decibels(windows: np.ndarray) -> np.ndarray:
    import numpy as np

    power = np.mean(windows.astype(np.float64) ** 2, axis=1)
    return 10 * np.log10(np.maximum(power, 10 ** (_QUIETEST_DB / 10)))


def _loud(levels: np.ndarray) -> list[Stretch]:
    import numpy as np

    if not len(levels):
        return []
    quiet, speech = np.percentile(levels, [10, 90])
    limit = max(SILENT_DB, min(quiet + ABOVE_NOISE_DB, speech - BELOW_SPEECH_DB))
    loud = np.flatnonzero(levels > limit)
    if not len(loud):
        return []
    breaks = np.flatnonzero(np.diff(loud) * WINDOW_S > PAUSE_S)
    begins, ends = [loud[0], *loud[breaks + 1]], [*loud[breaks], loud[-1]]
    return [
        (round(float(begin) * WINDOW_S, 4), round(float(end + 1) * WINDOW_S, 4))
        for begin, end in zip(begins, ends, strict=True)
    ]


class Sound:
    """Stretches of sound up to ``duration_s``; without any, all of it counts as sound."""

    def __init__(self, given: Sequence[Sequence[float]], duration_s: float) -> None:
        kept: list[Stretch] = []
        for start, end in sorted((min(max(a, 0.0), duration_s), min(max(b, 0.0), duration_s)) for a, b in given):
            if kept and start <= kept[-1][1]:
                kept[-1] = (kept[-1][0], max(end, kept[-1][1]))
            elif end > start:
                kept.append((start, end))
        self.stretches = kept or [(0.0, duration_s)]
        self._begins = [start for start, _ in self.stretches]
        self._before = [0.0, *accumulate(end - start for start, end in self.stretches)]

    @property
    def total_s(self) -> float:
        """All sound together, in seconds."""
        return self._before[-1]

    def until(self, time_s: float) -> float:
        """Seconds of sound before a moment."""
        number = bisect_right(self._begins, time_s) - 1
        if number < 0:
            return 0.0
        start, end = self.stretches[number]
        return self._before[number] + min(time_s, end) - start

    def within(self, start_s: float, end_s: float) -> list[Stretch]:
        """The sound between two moments."""
        first = max(0, bisect_right(self._begins, start_s) - 1)
        found = []
        for start, end in self.stretches[first:]:
            if start >= end_s:
                break
            if min(end, end_s) > max(start, start_s):
                found.append((max(start, start_s), min(end, end_s)))
        return found

    def snapped(self, start_s: float, end_s: float) -> Stretch:
        """A span without the pauses at its ends; one that lies in a pause is moved into sound close by."""
        inside = self.within(start_s, end_s)
        if inside:
            return inside[0][0], inside[-1][1]
        number, length = bisect_right(self._begins, start_s), end_s - start_s
        later = self.stretches[number] if number < len(self.stretches) else None
        earlier = self.stretches[number - 1] if number else None
        wait = later[0] - end_s if later else math.inf
        past = start_s - earlier[1] if earlier else math.inf
        if min(wait, past) > CLOSE_BY_S:
            return start_s, end_s
        if later and wait <= past:
            return later[0], min(later[1], later[0] + length)
        return (max(earlier[0], earlier[1] - length), earlier[1]) if earlier else (start_s, end_s)
