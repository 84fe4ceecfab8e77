"""The words of a text that is or was spoken: what captions show, and what gets a time each."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

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
