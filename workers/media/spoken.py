"""What can be compared of a word: its letters and digits, however it is written, and how long they take to say."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from media.clusters import clusters

DIGIT_WEIGHT, IDEOGRAPH_WEIGHT, KANA_WEIGHT = 4.0, 3.0, 2.0
"""Letters that take as long to say: a digit is a short word, an ideograph a syllable."""
TURKIC = frozenset({"tr", "az"})
"""Languages whose capital I is a dotless ı."""
_IDEOGRAPHS = "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_KANA = "\u3041-\u309a\u30a1-\u30ff\u31f0-\u31ff"
_IDEOGRAPH, _SYLLABLE = re.compile(f"[{_IDEOGRAPHS}]"), re.compile(f"[{_KANA}]")
# Written without blanks: these, Thai, Lao, Burmese, Khmer.
_UNSPACED = re.compile(f"[{_IDEOGRAPHS}{_KANA}\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")
_TATWEEL = "\u0640"  # stretches an Arabic word and is not said


@dataclass(frozen=True)
class Atom:
    """The smallest thing that is matched: a word, or a character of a script without blanks.

    ``key`` is what is compared, ``word`` the index of the word it is part of, ``weight`` its length in spoken letters.
    """

    key: str
    word: int
    weight: float

    @cached_property
    def is_number(self) -> bool:
        return any(map(str.isdigit, self.key))

    @cached_property
    def is_character(self) -> bool:
        """Stands for itself: it is neither split nor merged."""
        return bool(_UNSPACED.match(self.key))


def atoms(words: Sequence[str], language: str) -> list[Atom]:
    """The words' atoms in order; every word has at least one, with an empty key if nothing of it can be compared.

    >>> [atom.key for atom in atoms(["Être,", "“水A”"], "fr")]
    ['etre', '水', 'a']
    """
    found = []
    for number, word in enumerate(words):
        keys = [key for piece in pieces(word) if (key := folded(piece, language))] or [""]
        found += [Atom(key, number, weight(key)) for key in keys]
    return found


def pieces(word: str) -> list[str]:
    """The word itself, or in scripts without blanks its characters."""
    if not _UNSPACED.search(word):
        return [word]
    found: list[str] = []
    for cluster in clusters(word):
        if found and not _UNSPACED.search(cluster) and not _UNSPACED.search(found[-1]):
            found[-1] += cluster
        else:
            found.append(cluster)
    return found


def folded(text: str, language: str) -> str:
    """Letters and digits in one case and form, without diacritics; of what has neither, its symbols.

    >>> folded("Příliš", "cs"), folded("IŞIK", "tr"), folded("١٢", "ar"), folded("%", "en"), folded("…", "en")
    ('prilis', 'isik', '12', '%', '')
    """
    if language.partition("-")[0].lower() in TURKIC:
        text = text.replace("I", "ı")
    text = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", text).casefold()).replace("ı", "i")
    plain = [str(unicodedata.decimal(char, char)) for char in text if char.isalnum() and char != _TATWEEL]
    return "".join(plain) or "".join(char for char in text if unicodedata.category(char)[0] == "S" or char in "%&@#")


def weight(key: str) -> float:
    """Spoken letters, at least one."""
    return max(1.0, sum(map(_weight, key)))


def _weight(char: str) -> float:
    if char.isdigit():
        return DIGIT_WEIGHT
    return IDEOGRAPH_WEIGHT if _IDEOGRAPH.match(char) else KANA_WEIGHT if _SYLLABLE.match(char) else 1.0
