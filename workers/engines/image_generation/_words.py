"""The things a text names, in any language there is a lexicon for, and the emoji it is written with."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from engines.image_generation._concepts import STANDS_FOR, WEATHER, concepts, plain
from engines.image_generation._denials import NOT_CHARACTERS, NOT_PREFIXES, REACH, denied
from engines.image_generation._glyphs import drawable
from engines.image_generation._lexicons import (
    UNSPACED,
    Entry,
    Lexicon,
    known,
    languages,
    lexicon,
    normal,
    stop_words,
)

KOREAN_ENDINGS = re.compile(
    "은|는|이|가|을|를|에|의|도|로|와|과|만|들|께|야|아|에서|에게|으로|처럼|까지|부터|보다|하고|들이|들은|들을|들의|께서|한테|라고|이라는|이라|라는|에는|에도|이나|"
)
LETTERS = r"(?:[^\W\d_]|[\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0670\u0900-\u0903\u093a-\u094f\u0e31-\u0e4e\u200c])+"
STOPS = r"[.!?…;:,。！？；：，、؟؛،—–()«»“”„\"]"
KANA = re.compile("[\u3040-\u30fa]")
"""What Japanese is written with and Chinese is not."""
CLAUSE_END = re.compile(r"[。！？；：，、.!?,;:“”「」]")
STOP_WEIGHT = 2
"""How many named things a stop word outweighs when a language is guessed: many languages share their nouns."""


@dataclass(frozen=True)
class Named:
    """A concept that a text names (or only suggests, or says is not there), in the text's order."""

    concept: str
    outright: bool = True
    denied: bool = False


def read_words(text: str, language: str | None) -> list[Named]:
    """The concepts a text names. ``language`` is a BCP 47 tag; unknown or null, the language is told from the words."""
    words = lexicon(lexicon_of(language, text))
    if words.language in UNSPACED:
        return _read_unspaced(text, words)
    return _read_spaced(text, words)


def lexicon_of(language: str | None, text: str) -> str:
    """The name of the lexicon to read a text with."""
    return known(language) or guess(text)


@functools.lru_cache(maxsize=64)
def guess(text: str) -> str:
    """The language whose stop words and lexicon know most of a text's words; English first."""
    text = _emoji().sub(" ", text)
    words = {normal(word) for word in tokens(text) if word[0].isalpha()}
    kana = KANA.search(text) is not None

    def knows(language: str) -> int:
        these = lexicon(language)
        if language in UNSPACED:
            return len(_read_unspaced(text, these)) if kana == (language == "ja") or language == "th" else 0
        if language == "ko":
            return sum(bool(_korean(word, these)) for word in words)
        stop = stop_words(language)
        return sum(STOP_WEIGHT if word in stop else bool(these.find([word])) for word in words)

    return max(sorted(languages(), key=lambda language: language != "en"), key=knows)


def tokens(text: str) -> list[str]:
    """The words, emoji and stops of a text."""
    return _token().findall(text)


@functools.cache
def _token() -> re.Pattern[str]:
    return re.compile(f"{_emoji().pattern}|{LETTERS}|{STOPS}")


@functools.cache
def _emoji() -> re.Pattern[str]:
    """Any emoji that there is a drawing for, of any skin, as a man, a woman or a person."""
    drawn = {plain(emoji) for emoji in [*concepts(), *STANDS_FOR, *WEATHER.split(), *drawable()]} - {"well"}
    parts = []
    for emoji in sorted(drawn, key=len, reverse=True):
        first = "[🧑👨👩]" if emoji.startswith("🧑\u200d") else re.escape(emoji[0])
        parts.append("[\ufe0f\U0001f3fb-\U0001f3ff]?".join([first, *map(re.escape, emoji[1:]), ""]))
    return re.compile("|".join(parts))


def _written(emoji: str) -> Entry:
    """What an emoji of the text is."""
    bare = re.sub("[\ufe0f\U0001f3fb-\U0001f3ff]", "", emoji)
    bare = bare if bare in concepts() else re.sub("^[👨👩]", "🧑", bare)
    return ((STANDS_FOR.get(bare, bare), True),)


def _read_spaced(text: str, words: Lexicon) -> list[Named]:
    if words.language == "en":
        text = re.sub(r"n['’]t\b", " not", text)
    texts, found, at = tokens(text), [], 0
    while at < len(texts):
        step = 1
        for length in (3, 2, 1):
            part = texts[at : at + length]
            entry, negative = _entry(part, words)
            if entry and len(part) == length:
                negative = negative or denied(texts, at, length, words.language)
                found += [Named(concept, outright, negative) for concept, outright in entry]
                step = length
                break
        at += step
    return found


def _entry(part: list[str], words: Lexicon) -> tuple[Entry, bool]:
    """What the words mean, and whether they themselves deny it (Czech *nepršelo*)."""
    if len(part) == 1 and _emoji().fullmatch(part[0]):
        return _written(part[0]), False
    if not all(word[0].isalpha() for word in part):
        return (), False
    if words.language == "ko":
        return _korean(part[0], words) if len(part) == 1 else (), False
    entry, prefix = words.find(part), NOT_PREFIXES.get(words.language)
    if not entry and prefix and len(part) == 1 and normal(part[0]).startswith(prefix):
        return words.find([part[0][len(prefix) :]]) if len(part[0]) > 5 else (), True
    return entry, False


def _korean(word: str, words: Lexicon) -> Entry:
    for end in range(len(word), 0, -1):
        if KOREAN_ENDINGS.fullmatch(word[end:]) and word[:end] in words.exact:
            return words.exact[word[:end]]
    return ()


def _read_unspaced(text: str, words: Lexicon) -> list[Named]:
    """Longest known piece first, from the left."""
    text, found, at = normal(text), [], 0
    while at < len(text):
        if emoji := _emoji().match(text, at):
            found += [Named(concept, outright) for concept, outright in _written(emoji[0])]
            at = emoji.end()
            continue
        for length in range(min(words.longest, len(text) - at), 0, -1):
            piece = text[at : at + length]
            if piece in words.dropped or piece in words.exact:
                negative = _denied_unspaced(text, at, length, words.language)
                found += [Named(concept, outright, negative) for concept, outright in words.exact.get(piece, ())]
                break
        else:
            length = 1
        at += length
    return found


def _denied_unspaced(text: str, at: int, length: int, language: str) -> bool:
    clause = CLAUSE_END.split(text[max(0, at - REACH) : at])[-1]
    rest = CLAUSE_END.split(text[at + length : at + length + 6])[0]
    if language == "ja" and re.search("ない|なか|なく|ません|ずに", rest):
        return True
    return any(character in NOT_CHARACTERS.get(language, "") for character in clause)
