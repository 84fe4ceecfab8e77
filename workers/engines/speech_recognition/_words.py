"""What a recogniser says, made into plain segments and words whose times only rise."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

_IDEOGRAPHS = "\u2e80-\u2fdf\u3000-\u30ff\u3100-\u312f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uff9f"
IDEOGRAPH = re.compile(f"[{_IDEOGRAPHS}\U00020000-\U0003ffff]")
"""Chinese and Japanese: each sign counts as a word."""
UNSPACED = re.compile(f"[{_IDEOGRAPHS}\U00020000-\U0003ffff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")
"""All scripts that write no blanks between words; Thai, Lao, Burmese and Khmer write some between phrases."""
DIGITS = 3
"""Whisper counts time in steps of 20 ms."""


@dataclass(frozen=True)
class SaidWord:
    """A word as faster-whisper gives it, for engines that hear with something else: with the blank before it."""

    word: str
    start: float
    end: float
    probability: float | None = None


@dataclass(frozen=True)
class Said:
    """A segment as faster-whisper gives it, for engines that hear with something else."""

    start: float
    end: float
    text: str
    avg_logprob: float | None = None
    words: Sequence[SaidWord] = field(default_factory=tuple)


class Transcript:
    """The segments of one recording, in order; nothing overlaps and nothing lies beyond the end.

    ``apart``: signs at which pieces of text that follow without a blank stay words of their own.
    """

    def __init__(self, *, timed_words: bool, apart: re.Pattern[str] = IDEOGRAPH) -> None:
        self.segments: list[dict[str, Any]] = []
        self._timed_words, self._apart = timed_words, apart
        self._now = 0.0
        self._text = ""

    @property
    def text(self) -> str:
        """All segments, with blanks between them where their language writes some."""
        return self._text.strip()

    @property
    def words(self) -> list[dict[str, Any]]:
        """The words of all segments."""
        return [word for segment in self.segments for word in segment["words"] or ()]

    def add(self, said: Any, *, offset_s: float, end_s: float) -> dict[str, Any] | None:
        """The next segment (``Said``, or faster-whisper's own), from a piece of sound between these times.

        None for one without text, or made up after the end: the model always hears 30 seconds.
        """
        start, end = (offset_s + float(seconds) for seconds in (said.start, said.end))
        if start >= end_s or not said.text.strip():
            return None
        start = self._moment(start, end_s)
        words = self._words(said.words or (), offset_s, end_s) if self._timed_words else None
        self._now = max(self._now, self._moment(end, end_s))
        segment = {
            "id": len(self.segments) + 1,
            "start_s": start,
            "end_s": self._now,
            "text": said.text.strip(),
            "confidence": None if said.avg_logprob is None else _share(math.exp(min(float(said.avg_logprob), 0.0))),
            "words": words,
        }
        self.segments.append(segment)
        blank = self._text[-1:].isspace() or said.text[0].isspace() or UNSPACED.match(said.text[0])
        self._text += said.text if blank else f" {said.text}"
        return segment

    def _moment(self, seconds: float, end_s: float) -> float:
        return round(max(self._now, min(seconds, end_s)), DIGITS)

    def _words(self, said: Sequence[Any], offset_s: float, end_s: float) -> list[dict[str, Any]]:
        words: list[dict[str, Any]] = []
        for piece in said:
            text, start, end = piece.word.strip(), offset_s + float(piece.start), offset_s + float(piece.end)
            if not text:
                continue
            start = self._moment(start, end_s)
            self._now = max(start, self._moment(end, end_s))
            sure = None if piece.probability is None else _share(float(piece.probability))
            if words and not piece.word[0].isspace() and self._belongs(words[-1]["word"], text):
                words[-1] |= {"word": words[-1]["word"] + text, "end_s": self._now}
                if sure is not None:
                    words[-1]["confidence"] = min(words[-1]["confidence"], sure)
            else:
                words.append({"word": text, "start_s": start, "end_s": self._now, "confidence": sure})
        return [word for word in words if _shows(word["word"])]

    def _belongs(self, before: str, text: str) -> bool:
        """Whether a piece without a blank before it goes on with the word: " 3" and ".5", " twenty" and "-one"."""
        if unicodedata.category(text[0])[0] == "M" or not any(map(str.isalnum, text)):
            return True
        return not (self._apart.match(before[-1]) or self._apart.match(text[0]))


def _share(value: float) -> float:
    return round(min(1.0, max(0.0, value)), 4) if math.isfinite(value) else 0.0


def _shows(text: str) -> bool:
    """Whether there is anything to see: a caption has no word without."""
    return any(unicodedata.category(char) not in {"Cc", "Cf", "Mn", "Me", "Zs"} for char in text)
