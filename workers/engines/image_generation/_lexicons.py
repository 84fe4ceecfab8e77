"""The words of one language and the concepts they name.

A lexicon is three files: ``_lexicon/cldr`` (Unicode's own words for emoji, made by ``_lexicon/make.py``), above it
``_lexicon/story``, what stories are made of and CLDR lacks or gets wrong, and ``_lexicon/stop`` (made by
``_lexicon/make_stop.py``), words such as *and*, which name nothing unless the story file says so. Both of the first
have lines of a concept and the words that name it; a line of the story file may add words that only suggest the
concept, and its line ``-`` names words to leave alone.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from engines.image_generation._concepts import STANDS_FOR, concepts

FOLDER = Path(__file__).parent / "_lexicon"

STEMMERS = {
    "ar": "arabic", "cs": "czech", "da": "danish", "de": "german", "el": "greek", "fa": "persian", "fi": "finnish",
    "hi": "hindi", "hr": "serbian", "hu": "hungarian", "id": "indonesian", "nl": "dutch", "no": "norwegian",
    "pl": "polish", "ro": "romanian", "ru": "russian", "sk": "czech", "sv": "swedish", "tr": "turkish",
}  # fmt: skip
"""Slovak endings are near enough to Czech ones. Ukrainian, Bulgarian and the rest lose their last vowels."""
PLURALS = {
    "en": "ies>y ves>f ves>fe es> s>",
    "fr": "eaux>eau aux>al aux>au x> s>",
    "es": "ones>ón anes>án ines>ín eses>és ces>z es> s>",
    "pt": "ões>ão ães>ão ais>al éis>el óis>ol ns>m es> s>",
    "ca": "ons>ó ans>à ins>í es>a es> s>",
    "it": "chi>co ghi>go che>ca ghe>ga i>o i>e i>io e>a",
}
"""Where nouns have no cases, the plural's ending and the singular's: a stemmer would take verbs for nouns there
(Italian *salì*, went up, for *sale*, salt).
"""
HEAD_LAST = frozenset({"en"})
"""In these the last word of a name takes the plural (clay pots), in the others of PLURALS the first."""
ALIASES = {"nb": "no", "nn": "no", "iw": "he", "in": "id", "sr": "hr", "bs": "hr"}
UNSPACED = frozenset({"zh", "zh-Hant", "ja", "th"})
SHORTEST_STEM = 3
SURE_STEM, SHORT_ENDING = 4, 1
"""A shorter stem tells words apart only where the lexicon's word has hardly another ending (Russian *кот*, *утро*)."""
LAST_VOWELS = re.compile("[аеиіїоуюяийьмхעםןיתה]{1,2}$")
MARKS = re.compile("[\u0591-\u05c7\u064b-\u065f\u0640\u0670]")  # vowel signs and stretching, written or not
ARABIC_PREFIXES, HEBREW_PREFIXES = "وفبلك", "והבלמכש"

Entry = tuple[tuple[str, bool], ...]
"""The concepts of a word and whether it names them outright."""


class Lexicon:
    """The words of one language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.exact: dict[str, Entry] = {}
        self.capitals: set[str] = set()
        story = _read(FOLDER / "story" / f"{language}.tsv")
        self.dropped = {normal(word) for _, words, _ in story[:1] if story[0][0] == "-" for word in words}
        self.stop = stop_words(language)
        for concept, naming, suggesting in story:
            if concept != "-":
                self._add(concept, naming, True)
                self._add(concept, suggesting, False)
        taken = {word for word, entry in self.exact.items() if any(outright for _, outright in entry)}
        taken |= self.dropped | self.stop
        for emoji, naming, _ in _read(FOLDER / "cldr" / f"{language}.tsv"):
            concept = STANDS_FOR.get(emoji, emoji)
            if concept.isascii() or concept in concepts():  # else a sign of the weather, such as an umbrella in rain
                fresh = [word for word in naming if not set(_forms(normal(word), language)[:2]) & taken]
                self._add(concept, fresh, True)
        self.longest = max((len(word) for word in self.exact), default=0)

    def _add(self, concept: str, words: Iterable[str], outright: bool) -> None:
        for word in words:
            key = _bare(normal(word), self.language)
            if self.language in UNSPACED and len(key) == 1 and not outright:
                continue
            entry = self.exact.get(key, ())
            if (concept, True) not in entry and (concept, outright) not in entry:
                self.exact[key] = (*entry, (concept, outright))
            if word[0].isupper():
                self.capitals.add(key)

    @functools.cached_property
    def stems(self) -> dict[str, Entry]:
        """The same by the words' stems."""
        found: dict[str, Entry] = {}
        for (word, entry), short in zip(self.exact.items(), self._stemmed(self.exact), strict=True):
            if len(short) < SURE_STEM and len(word) - len(short) > SHORT_ENDING:
                continue
            names = any(outright for _, outright in entry)
            if short and (short not in found or (names and not any(outright for _, outright in found[short]))):
                found[short] = entry
                if word in self.capitals:
                    self.capitals.add(short)
        return found

    @functools.cached_property
    def dropped_stems(self) -> set[str]:
        """Stems of words to leave alone in any form."""
        return set(self._stemmed(self.dropped)) - {""}

    def _stemmed(self, words: Iterable[str]) -> list[str]:
        stems = ([stem(part, self.language) for part in word.split()] for word in words)
        return [" ".join(parts) if all(parts) else "" for parts in stems]

    def find(self, words: list[str]) -> Entry:
        """What the words mean together, by themselves, as a plural, or by their stems."""
        key = " ".join(normal(word) for word in words)
        if key in self.dropped:
            return ()
        capital = self.language != "de" or words[0][0].isupper()
        forms = _forms(key, self.language)
        for form in forms:
            if form in self.exact and (capital or form not in self.capitals):
                return self.exact[form]
        if key in self.stop:
            return ()
        if self.language in PLURALS:
            return next((self.exact[form] for form in _singulars(key, self.language) if form in self.exact), ())
        for form in forms:
            short = self._stemmed([form])[0]
            if short in self.stems and short not in self.dropped_stems and (capital or short not in self.capitals):
                return self.stems[short]
        return ()


@functools.cache
def lexicon(language: str) -> Lexicon:
    """The lexicon of one of languages()."""
    return Lexicon(language)


@functools.cache
def languages() -> tuple[str, ...]:
    """The languages there is a lexicon for."""
    return tuple(sorted(path.stem for path in (FOLDER / "cldr").glob("*.tsv")))


@functools.cache
def stop_words(language: str) -> frozenset[str]:
    """Words of a language that only hold sentences together; none where it is not written in words."""
    file = FOLDER / "stop" / f"{language}.txt"
    return frozenset(map(normal, file.read_text(encoding="utf-8").split())) if file.exists() else frozenset()


def known(language: str | None) -> str | None:
    """The lexicon of a BCP 47 tag."""
    if language is None:
        return None
    first, *rest = language.replace("_", "-").split("-")
    name = ALIASES.get(first.lower(), first.lower())
    if name == "zh" and {"hant", "tw", "hk", "mo"} & {part.lower() for part in rest}:
        name = "zh-Hant"
    return name if name in languages() else None


def normal(word: str) -> str:
    """A word as it is compared: composed, without case, vowel signs or variants of one letter."""
    word = MARKS.sub("", unicodedata.normalize("NFC", word)).casefold().replace("i\u0307", "i").replace("ё", "е")
    return word.translate(_ONE_LETTER)


_ONE_LETTER = str.maketrans("أإآٱىی", "اااايي")


@functools.lru_cache(maxsize=50_000)
def stem(word: str, language: str) -> str:
    """The stem of a normal word; empty where too little is left to tell words apart."""
    if stemmer := _stemmer(language):
        short = str(stemmer.stemWord(word))
    else:
        short = LAST_VOWELS.sub("", word) if len(word) > SURE_STEM else word
    return short if len(short) >= SHORTEST_STEM else ""


def _singulars(key: str, language: str) -> Iterator[str]:
    """What the singular may be of a plural."""
    first, _, last = key.rpartition(" ") if language in HEAD_LAST else key.partition(" ")
    head, rest = (last, first) if language in HEAD_LAST else (first, last)
    for rule in PLURALS[language].split():
        plural, _, singular = rule.partition(">")
        if head.endswith(plural) and len(head) - len(plural) + len(singular) >= SHORTEST_STEM:
            one = head.removesuffix(plural) + singular
            yield " ".join(filter(None, (rest, one) if language in HEAD_LAST else (one, rest)))


def _forms(key: str, language: str) -> list[str]:
    """A word as it is and without what is written together with it; the first that is known counts."""
    forms = [key]
    if language == "ar":
        stripped = [key[1:]] if key[0] in ARABIC_PREFIXES and len(key) > 4 else []
        forms += [_bare(form, language) for form in [key, *stripped] if _bare(form, language) != form]
        forms += [key[2:]] if key.startswith("لل") else []
        forms += stripped if len(key) > 4 else []
    if language == "he":
        for cut in (1, 2):
            if len(key) > cut + 1 and set(key[:cut]) <= set(HEBREW_PREFIXES):
                forms.append(key[cut:])
    return forms


def _bare(word: str, language: str) -> str:
    """An Arabic word without its article."""
    return word[2:] if language == "ar" and word.startswith("ال") and len(word) > 4 else word


@functools.cache
def _stemmer(language: str) -> Any:
    import snowballstemmer  # type: ignore[import-untyped]

    return snowballstemmer.stemmer(STEMMERS[language]) if language in STEMMERS else None


def _read(file: Path) -> list[tuple[str, list[str], list[str]]]:
    """The lines of a lexicon; none where the language has no such file."""
    if not file.exists():
        return []
    rows = []
    for line in file.read_text(encoding="utf-8").splitlines():
        concept, naming, suggesting = (*line.split("\t"), "", "")[:3]
        words = [[word.strip() for word in part.split(",") if word.strip()] for part in (naming, suggesting)]
        rows.append((concept.strip(), words[0], words[1]))
    return rows
