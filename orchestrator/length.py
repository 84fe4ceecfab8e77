"""How long a script is, and how long it should be: in words, whatever the script of its language."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.languages import primary

TOLERANCE = 0.10
"""A script may be off its target by this share."""
CHARACTERS_A_WORD = {"zh": 255 / 158, "yue": 255 / 158, "ja": 357 / 193}
"""Characters that take as long to say as a word: Chinese is read aloud at 255 characters and 158 words a minute,
Japanese at 357 and 193. Trauzettel-Klosinski and Dietz, Standardized Assessment of Reading Performance (IReST), Invest.
Ophthalmol. Vis. Sci. 53 (2012) 5452-5461, table 2."""
LETTERS_A_WORD = 60 / 0.068 / 184
"""The same for languages that part no words and are written with letters (Thai, Lao, Khmer, Burmese), which that study
has not: its alphabets are read at 68 ms a character, its languages at 184 words a minute."""
IDEOGRAPHS = frozenset({"Hani", "Hira", "Kana", "Bopo"})
UNSPACED_LETTERS = frozenset({"Thai", "Laoo", "Khmr", "Mymr"})
UNSPACED_LANGUAGES = frozenset({"zh", "yue", "ja", "th", "lo", "km", "my"})
WORDS_A_PARAGRAPH = 40
"""About three sentences, a breath."""


def count(text: str, language: str) -> int:
    """Words of a text; where no blank parts them, so many as its characters take the time of.

    >>> count("He lit it — again.", "en"), count("乌鸦口渴了。", "zh"), count("BBC の乌鸦", "ja")
    (4, 3, 3)
    """
    spaced, found = "", 0.0
    for character in text:
        rate = None if character.isascii() else _characters_a_word(character, language)
        spaced += character if rate is None else " "
        found += 1 / rate if rate else 0.0
    return round(found + sum(any(map(str.isalnum, token)) for token in spaced.split()))


def _characters_a_word(character: str, language: str) -> float | None:
    """How many such characters make a word; 0 for a mark that is none, None where blanks part the words."""
    from fontTools import unicodedata

    scripts = unicodedata.script_extension(character)
    if not scripts & (IDEOGRAPHS | UNSPACED_LETTERS):
        return None
    if unicodedata.category(character)[0] not in "LM":
        return 0.0
    return CHARACTERS_A_WORD.get(primary(language), 255 / 158) if scripts & IDEOGRAPHS else LETTERS_A_WORD


def said(words: float, language: str) -> str:
    """A length as a writer of that language counts it.

    >>> said(150, "cs"), said(150, "zh")
    ('150 words', '242 characters')
    """
    if (tag := primary(language)) not in UNSPACED_LANGUAGES:
        return f"{round(words)} words"
    return f"{round(words * CHARACTERS_A_WORD.get(tag, LETTERS_A_WORD))} characters"


@dataclass(frozen=True)
class Wish:
    """The length that a script should have: ``words``, and what may be off."""

    words: int
    language: str

    @property
    def shortest(self) -> float:
        return self.words * (1 - TOLERANCE)

    @property
    def longest(self) -> float:
        return self.words * (1 + TOLERANCE)

    def fits(self, words: int) -> bool:
        """Whether so many words are near enough."""
        return self.shortest <= words <= self.longest

    def in_words(self) -> dict[str, str]:
        """What a prompt says of it: length, shortest, longest, paragraphs, each."""
        paragraphs = max(2, round(self.words / WORDS_A_PARAGRAPH))
        shortest = math.ceil(self.shortest)
        sizes = {"length": self.words, "shortest": shortest, "longest": max(shortest, math.floor(self.longest))}
        told = {name: said(words, self.language) for name, words in sizes.items()}  # what it promises must fit
        return {**told, "paragraphs": str(paragraphs), "each": said(self.words / paragraphs, self.language)}


def wish(film: Mapping[str, Any], language: str) -> Wish:
    """What the profile's film asks for: its seconds at its pace."""
    return Wish(max(1, round(film["target_s"] * film["words_per_minute"] / 60)), language)


def of(paragraphs: Iterable[str], language: str) -> int:
    """Words of a script."""
    return count("\n".join(paragraphs), language)


def per_paragraph(paragraphs: Iterable[str], language: str) -> str:
    """The length of each, for a model that cannot count: ``paragraph 1: 40 words, …``."""
    return ", ".join(
        f"paragraph {number}: {said(count(paragraph, language), language)}"
        for number, paragraph in enumerate(paragraphs, 1)
    )


def correction(words: int, wanted: Wish) -> str:
    """What to do about it, in words for a prompt.

    >>> correction(190, Wish(150, "en"))
    'Cut it by about 40 words.'
    """
    verb = "Cut" if words > wanted.words else "Lengthen"
    return f"{verb} it by about {said(abs(words - wanted.words), wanted.language)}."
