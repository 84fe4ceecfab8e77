"""Which writing a voice of espeak reads: a foreign letter is only named by it ("Chinese letter")."""

from __future__ import annotations

import unicodedata
from collections.abc import Set

READERS: dict[str, Set[str]] = {
    "ARABIC": {"ar", "fa", "sd", "ug", "ur"},
    "ARMENIAN": {"hy", "hyw"},
    "BENGALI": {"as", "bn", "bpy"},
    "CHEROKEE": {"chr"},
    "CJK": {"cmn", "yue"},
    "CYRILLIC": {"ba", "be", "bg", "cv", "kk", "ky", "mk", "nog", "ru", "sr", "tt", "uk", "uz"},
    "DEVANAGARI": {"hi", "kok", "mr", "ne"},
    "ETHIOPIC": {"am", "ti"},
    "GEORGIAN": {"ka"},
    "GREEK": {"el", "grc"},
    "GUJARATI": {"gu"},
    "GURMUKHI": {"pa"},
    "HANGUL": {"ko"},
    "HEBREW": {"he"},
    "HIRAGANA": {"ja"},
    "KANNADA": {"kn"},
    "KATAKANA": {"ja"},
    "MALAYALAM": {"ml"},
    "MYANMAR": {"my", "shn"},
    "ORIYA": {"or"},
    "SINHALA": {"si"},
    "TAMIL": {"ta"},
    "TELUGU": {"te"},
    "THAI": {"th"},
}
"""Script, as the Unicode names of its letters begin -> primary language tags of the voices that read it. All read Latin
letters. The Japanese voice reads the two syllabaries but names every kanji."""


def unread(text: str, language: str) -> str:
    """The letters that a voice of this language names instead of reading them; ``language`` is its primary tag.

    >>> unread("The sign said 水.", "en")
    '水'
    """
    return "".join(letter for letter in text if letter.isalpha() and _foreign(letter, language))


def _foreign(letter: str, language: str) -> bool:
    script = unicodedata.name(letter, "?").partition(" ")[0]
    return script in READERS and language not in READERS[script]
