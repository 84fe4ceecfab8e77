"""What readers see as one character, however many code points it has: it must never be cut apart.

Extended grapheme clusters (Unicode Standard Annex 29) as far as Python's own tables tell them, and what belongs
together in Thai, Lao and the scripts of India besides.
"""

from __future__ import annotations

import unicodedata

_JOINER = "\u200d"
_VIRAMA = 9
"""Canonical combining class of the sign that joins two consonants into one."""


def clusters(text: str) -> list[str]:
    """The text cut into clusters, nothing lost.

    >>> clusters("e\\u0301a") == ["e\\u0301", "a"]
    True
    """
    found: list[str] = []
    for char in text:
        if found and _joins(found[-1], char):
            found[-1] += char
        else:
            found.append(char)
    return found


def _joins(cluster: str, char: str) -> bool:
    if unicodedata.category(char) in {"Mn", "Mc", "Me", "Cf"} or is_skin_tone(char) or char in "\u0e33\u0eb3":
        return True  # marks, joiners, selectors, tags; AM of Thai and Lao
    if char.isspace():
        return False
    before = cluster[-1]
    if before == _JOINER:
        return True
    if _is_flag_letter(char):
        return _is_flag_letter(cluster[0]) and sum(map(_is_flag_letter, cluster)) == 1
    if unicodedata.combining(before) == _VIRAMA or "\u0e40" <= before <= "\u0e44" or "\u0ec0" <= before <= "\u0ec4":
        return unicodedata.category(char) == "Lo"  # the vowels are written before the consonant they follow
    return "\u1160" <= char <= "\u11ff" and "\u1100" <= before <= "\u11ff"  # Hangul written letter by letter


def is_skin_tone(char: str) -> bool:
    return "\U0001f3fb" <= char <= "\U0001f3ff"


def _is_flag_letter(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def is_emoji(cluster: str) -> bool:
    """Whether a cluster asks to be drawn as a picture: by its nature, or by what follows its first character."""
    if "\ufe0e" in cluster:  # asks for text
        return False
    first = cluster[0]
    pictured = unicodedata.category(first) == "So" and unicodedata.east_asian_width(first) == "W"
    return pictured or _is_flag_letter(first) or any(c in "\ufe0f\u20e3" or is_skin_tone(c) for c in cluster)
