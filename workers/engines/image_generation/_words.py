"""The things a text names, in any language there is a lexicon for.

A lexicon is two files: ``_lexicon/cldr`` (Unicode's own words for emoji, made by ``_lexicon/make.py``) and above it
``_lexicon/story``, what stories are made of and CLDR lacks or gets wrong; a line ``-`` there names words to leave
alone. Both have lines of a concept, the words that name it and the words that only suggest it.
"""

from __future__ import annotations

import functools
import itertools
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.image_generation._concepts import STANDS_FOR

FOLDER = Path(__file__).parent / "_lexicon"

STEMMERS = {
    "ar": "arabic", "ca": "catalan", "cs": "czech", "da": "danish", "de": "german", "el": "greek", "en": "english",
    "es": "spanish", "fa": "persian", "fi": "finnish", "fr": "french", "hi": "hindi", "hr": "serbian",
    "hu": "hungarian", "id": "indonesian", "it": "italian", "nl": "dutch", "no": "norwegian", "pl": "polish",
    "pt": "portuguese", "ro": "romanian", "ru": "russian", "sk": "czech", "sv": "swedish", "tr": "turkish",
}  # fmt: skip
"""Slovak endings are near enough to Czech ones. Ukrainian, Bulgarian and the rest lose their last vowels."""
ALIASES = {"nb": "no", "nn": "no", "iw": "he", "in": "id", "sr": "hr", "bs": "hr"}
UNSPACED = frozenset({"zh", "zh-Hant", "ja", "th"})
SHORTEST_STEM = 3

NOT = {
    "en": "no not never without nor neither cannot", "de": "kein keine keinen keinem keiner nicht ohne nie niemals",
    "fr": "pas sans jamais aucun aucune ni", "es": "no sin nunca ni ningún ninguna",
    "it": "non senza mai né nessun nessuna",
    "pt": "não sem nunca nem nenhum nenhuma", "ca": "no sense mai", "ro": "nu fără niciun nicio",
    "cs": "bez není nebyl nebyla nebylo nebyly nebyli neměl neměla nemá nemají žádný žádná žádné ani nikdy",
    "sk": "bez nie nebol nebola nebolo nemal nemala nemá žiadny žiadna žiadne ani nikdy",
    "pl": "nie bez ani nigdy żaden żadna żadne", "ru": "не нет без ни никогда", "uk": "не нема немає без ні ніколи",
    "bg": "не няма без ни никога", "hr": "ne nije nema bez nikad", "nl": "geen niet zonder nooit",
    "sv": "inte ingen inget inga utan aldrig", "da": "ikke ingen intet uden aldrig", "no": "ikke ingen uten aldri",
    "fi": "ei en eivät ilman eikä", "hu": "nem nincs sem sosem", "tr": "ne", "el": "δεν μην χωρίς ούτε",
    "ar": "لا لم لن ليس ليست بدون بلا غير دون", "he": "לא אין בלי אף", "fa": "نه بدون بی هیچ نیست",
    "hi": "नहीं न बिना", "id": "tidak bukan tanpa", "vi": "không chưa chẳng", "ko": "안",
}  # fmt: skip
"""Words that deny what follows within REACH words …"""
NOT_AFTER = {
    "de": "nicht", "nl": "niet", "tr": "yok yoktu değil değildi yağmadı", "hi": "नहीं", "ko": "없 않",
    "hu": "nélkül nem",
    "fa": "نبود نیست نداشت", "sv": "inte", "da": "ikke", "no": "ikke", "ja": "な ず",
}  # fmt: skip
"""… and what comes just before them."""
NOT_CHARACTERS = {"zh": "不没沒无無未", "zh-Hant": "不没沒无無未", "th": ""}
NOT_PREFIXES = {"cs": "ne", "sk": "ne"}
REACH = 3

KOREAN_ENDINGS = re.compile(
    "은|는|이|가|을|를|에|의|도|로|와|과|만|들|께|야|아|에서|에게|으로|처럼|까지|부터|보다|하고|들이|들은|들을|들의|께서|한테|라고|이라는|이라|라는|에는|에도|이나|"
)
WORD = re.compile(
    r"(?:[^\W\d_]|[\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0670\u0900-\u0903\u093a-\u094f\u0e31-\u0e4e\u200c])+"
    r"|[.!?…;:,。！？；：，、؟؛،—–()«»“”„\"]"
)
MARKS = re.compile("[\u0591-\u05c7\u064b-\u065f\u0640\u0670]")  # vowel signs and stretching, written or not
ARABIC_PREFIXES, HEBREW_PREFIXES = "وفبلك", "והבלמכש"


@dataclass(frozen=True)
class Named:
    """A concept that a text names (or only suggests, or says is not there), in the text's order."""

    concept: str
    outright: bool = True
    denied: bool = False


Entry = tuple[tuple[str, bool], ...]
"""The concepts of a word and whether it names them outright."""


class Lexicon:
    """The words of one language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.exact: dict[str, Entry] = {}
        self.dropped: set[str] = set()
        self.capitals: set[str] = set()
        story = _read(FOLDER / "story" / f"{language}.tsv")
        self.dropped = {normal(word) for _, words, _ in story[:1] if story[0][0] == "-" for word in words}
        for concept, naming, suggesting in story:
            if concept != "-":
                self._add(concept, naming, True)
                self._add(concept, suggesting, False)
        known = set(self.exact)
        for concept, naming, suggesting in _read(FOLDER / "cldr" / f"{language}.tsv"):
            for words, outright in ((naming, True), (suggesting, False)):
                fresh = [word for word in words if not set(_forms(normal(word), language)[:2]) & (known | self.dropped)]
                self._add(STANDS_FOR.get(concept, concept), fresh, outright)
        self.longest = max((len(word) for word in self.exact), default=0)

    def _add(self, concept: str, words: Iterable[str], outright: bool) -> None:
        for word in words:
            key = _bare(normal(word), self.language)
            if self.language in UNSPACED and len(key) == 1 and not outright:
                continue
            entry = self.exact.get(key, ())
            if concept not in (known for known, _ in entry):
                self.exact[key] = (*entry, (concept, outright))
            if word[0].isupper():
                self.capitals.add(key)

    @functools.cached_property
    def stems(self) -> dict[str, Entry]:
        """The same by the words' stems."""
        found: dict[str, Entry] = {}
        for (word, entry), stem in zip(self.exact.items(), self._stemmed(self.exact), strict=True):
            if stem and (stem not in found or not found[stem][0][1]):
                found[stem] = entry
                if word in self.capitals:
                    self.capitals.add(stem)
        return found

    @functools.cached_property
    def dropped_stems(self) -> set[str]:
        """Stems of words to leave alone in any form."""
        return set(self._stemmed(self.dropped)) - {""}

    def _stemmed(self, words: Iterable[str]) -> list[str]:
        stems = ([self.stem(part) for part in word.split()] for word in words)
        return [" ".join(parts) if all(parts) else "" for parts in stems]

    def stem(self, word: str) -> str:
        """The stem of a normal word; empty where too little is left to tell words apart."""
        stemmer = _stemmer(self.language)
        stem = (
            stemmer.stemWord(word)
            if stemmer
            else re.sub("[аеиіїоуюяийьмхעםןיתה]{1,2}$", "", word)
            if len(word) > 4
            else word
        )
        return stem if len(stem) >= SHORTEST_STEM else ""

    def find(self, words: list[str]) -> Entry:
        """What the words mean together, by themselves or by their stems."""
        key = " ".join(normal(word) for word in words)
        if key in self.dropped:
            return ()
        capital = self.language != "de" or words[0][0].isupper()
        forms = _forms(key, self.language)
        for form in forms:
            if form in self.exact and (capital or form not in self.capitals):
                return self.exact[form]
        for form in forms:
            stem = self._stemmed([form])[0]
            if stem in self.stems and stem not in self.dropped_stems and (capital or stem not in self.capitals):
                return self.stems[stem]
        return ()


def read_words(text: str, language: str | None) -> list[Named]:
    """The concepts a text names. ``language`` is a BCP 47 tag; unknown or null, the language is told from the words."""
    lexicon = _lexicon(lexicon_of(language, text))
    if lexicon.language in UNSPACED:
        return _read_unspaced(text, lexicon)
    return _read_spaced(text, lexicon)


def lexicon_of(language: str | None, text: str) -> str:
    """The name of the lexicon to read a text with."""
    return _known(language) or guess(text)


def guess(text: str) -> str:
    """The language whose lexicon knows most of the words; English first."""
    words = {normal(word) for word in WORD.findall(text)}

    def known(language: str) -> int:
        lexicon = _lexicon(language)
        if language in UNSPACED:
            return len(_read_unspaced(text, lexicon))
        if language == "ko":
            return sum(bool(_korean(word, lexicon)) for word in words)
        denials = NOT.get(language, "").split()
        return sum(word in denials or any(form in lexicon.exact for form in _forms(word, language)) for word in words)

    return max(sorted(_languages(), key=lambda language: language != "en"), key=known)


def normal(word: str) -> str:
    """A word as it is compared: composed, without case, vowel signs or variants of one letter."""
    word = MARKS.sub("", unicodedata.normalize("NFC", word)).casefold().replace("i\u0307", "i").replace("ё", "е")
    return word.translate(_ONE_LETTER)


_ONE_LETTER = str.maketrans("أإآٱىی", "اااايي")


def _read_spaced(text: str, lexicon: Lexicon) -> list[Named]:
    if lexicon.language == "en":
        text = re.sub(r"n['’]t\b", " not", text)
    tokens, found, at = WORD.findall(text), [], 0
    while at < len(tokens):
        step = 1
        for length in (3, 2, 1):
            words = tokens[at : at + length]
            entry, denied = _entry(words, lexicon)
            if entry and len(words) == length:
                denied = denied or _denied(tokens, at, length, lexicon.language)
                found += [Named(concept, outright, denied) for concept, outright in entry]
                step = length
                break
        at += step
    return found


def _entry(words: list[str], lexicon: Lexicon) -> tuple[Entry, bool]:
    """What the words mean, and whether they themselves deny it (Czech *nepršelo*)."""
    if not all(word[0].isalpha() for word in words):
        return (), False
    if lexicon.language == "ko":
        return _korean(words[0], lexicon) if len(words) == 1 else (), False
    entry, prefix = lexicon.find(words), NOT_PREFIXES.get(lexicon.language)
    if not entry and prefix and len(words) == 1 and normal(words[0]).startswith(prefix):
        return lexicon.find([words[0][len(prefix) :]]) if len(words[0]) > 5 else (), True
    return entry, False


def _korean(word: str, lexicon: Lexicon) -> Entry:
    for end in range(len(word), 0, -1):
        if KOREAN_ENDINGS.fullmatch(word[end:]) and word[:end] in lexicon.exact:
            return lexicon.exact[word[:end]]
    return ()


def _denied(tokens: list[str], at: int, length: int, language: str) -> bool:
    before = itertools.takewhile(lambda token: token[0].isalpha(), reversed(tokens[max(0, at - REACH) : at]))
    after = itertools.takewhile(lambda token: token[0].isalpha(), tokens[at + length : at + length + 1])
    denials, later = NOT.get(language, "").split(), NOT_AFTER.get(language, "").split()
    return any(normal(token) in denials for token in before) or any(
        normal(token).startswith(tuple(later)) if language == "ko" else normal(token) in later
        for token in after
        if later
    )


def _read_unspaced(text: str, lexicon: Lexicon) -> list[Named]:
    """Longest known piece first, from the left."""
    text, found, at = normal(text), [], 0
    while at < len(text):
        for length in range(min(lexicon.longest, len(text) - at), 0, -1):
            piece = text[at : at + length]
            if piece in lexicon.dropped or piece in lexicon.exact:
                clause = re.split(r"[。！？；：，、.!?,;:“”「」]", text[max(0, at - REACH) : at])[-1]
                rest = re.split(r"[。！？；：，、.!?,;:“”「」]", text[at + length : at + length + 6])[0]
                denied = any(character in NOT_CHARACTERS.get(lexicon.language, "") for character in clause) or (
                    lexicon.language == "ja" and re.search("ない|なか|なく|ません|ずに", rest) is not None
                )
                found += [Named(concept, outright, denied) for concept, outright in lexicon.exact.get(piece, ())]
                break
        else:
            length = 1
        at += length
    return found


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


def _known(language: str | None) -> str | None:
    """The lexicon of a BCP 47 tag."""
    if language is None:
        return None
    first, *rest = language.replace("_", "-").split("-")
    name = ALIASES.get(first.lower(), first.lower())
    if name == "zh" and {"hant", "tw", "hk", "mo"} & {part.lower() for part in rest}:
        name = "zh-Hant"
    return name if name in _languages() else None


@functools.cache
def _languages() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in (FOLDER / "cldr").glob("*.tsv")))


@functools.cache
def _lexicon(language: str) -> Lexicon:
    return Lexicon(language)


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
