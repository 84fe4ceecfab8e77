"""Who a story is about: the figures it names most, its people's names, and whom *he* and *she* can mean."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from engines.image_generation._concepts import concepts
from engines.image_generation._lexicons import UNSPACED, lexicon, normal
from engines.image_generation._words import Named, read_words, tokens

LIVING = frozenset({"person", "head", "beast", "flyer", "swimmer"})
"""Kinds that a sentence is more likely about than about others."""
TITLE_WEIGHT, OPENING_WEIGHT = 3, 2
"""How many mentions one in the title and one in the first paragraph count: who opens a story is whom it is about."""
BESIDE = 4
"""Words before a name that may say who it is: a cat whose name is Pepe."""
MOST_READ = 64  # sentences' and stories' casts kept by a warm worker

HE, SHE, CHILD_OF = "👨", "👩", {"👨": "👦", "👩": "👧"}
SOMEBODY = "🧑"
MALE = frozenset(["🫅", "👨", "👦", "👴", "🤴", "🧔", "🎅"])
FEMALE = frozenset(["👩", "👧", "👵", "👸", "👰", "🧕"])
PRONOUNS: Mapping[str, tuple[str, str]] = {
    "en": ("he him his", "she her hers"), "de": ("er ihm ihn", "sie ihr"), "fr": ("il lui", "elle"),
    "es": ("él", "ella"), "it": ("lui egli", "lei ella"), "pt": ("ele", "ela"), "ca": ("ell", "ella"),
    "ro": ("el lui", "ea ei"), "cs": ("on jeho jemu", "ona její jí"), "sk": ("on jeho jemu", "ona jej"),
    "pl": ("on jego jemu", "ona jej"), "ru": ("он его ему", "она её ей"), "uk": ("він його йому", "вона її їй"),
    "bg": ("той него", "тя нея"), "hr": ("on njega njegov", "ona nju njezin"), "nl": ("hij hem", "zij ze haar"),
    "sv": ("han honom hans", "hon henne hennes"), "da": ("han ham hans", "hun hende hendes"),
    "no": ("han ham hans", "hun henne hennes"), "el": ("αυτός", "αυτή"), "ar": ("هو", "هي"), "he": ("הוא", "היא"),
    "vi": ("anh", "cô"), "zh": ("他", "她"), "zh-Hant": ("他", "她"), "ja": ("彼", "彼女"), "ko": ("그는", "그녀는"),
    "th": ("เขา", "เธอ"),
}  # fmt: skip
"""Words for a man and for a woman, where a language tells them apart."""
FEMININE_IN_A = frozenset(
    ["en", "es", "it", "pt", "ca", "ro", "fr", "cs", "sk", "pl", "ru", "uk", "bg", "hr", "nl", "sv", "da", "no"]
)
ENDING_WEIGHT = 2
"""In these languages a name that ends in *a* is a woman's, as a rule: it outweighs one pronoun that follows it."""
SENTENCE_END = frozenset(".!?…。！？؟")
AMID = re.compile(r"(?<=[^\W\d_] )[^\W\d_]{2,}")
"""A word after another one, with nothing between them."""
NAMED = frozenset({
    "named", "called", "nome", "chiamato", "chiamata", "nommé", "nommée", "appelé", "appelée", "nombre",
    "llamado", "llamada", "chamado", "chamada", "nom", "numit", "numită", "namens", "genaamd", "jménem",
    "menom", "imieniem", "имени", "імені", "име", "imenom", "navn", "namn", "nimeltä", "nevű", "adlı",
    "bernama", "tên",
})  # fmt: skip
"""Words between a figure and its name."""
NO_NAMES = frozenset({"de"})
"""Languages that write every noun with a capital."""


@dataclass(frozen=True)
class Cast:
    """``figures``: the living concepts of a story, the most named first; ``names``: whom each name is drawn as."""

    figures: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)

    def of(self, prompt: str) -> list[Named]:
        """The people whom a sentence has by name."""
        called = (self.names.get(normal(word)) for word in tokens(prompt) if word[0].isupper())
        return [Named(concept) for concept in dict.fromkeys(filter(None, called))]

    def meant(self, prompt: str, language: str) -> str | None:
        """Who a sentence without a figure is about: whom its *he* or *she* can mean, else the main figure."""
        gender = next(_genders(prompt, language), None)
        if gender is None:
            return next(iter(self.figures), None)
        others = FEMALE if gender == HE else MALE
        return next((figure for figure in self.figures if figure not in others), gender)


@functools.lru_cache(maxsize=MOST_READ)
def read_cast(story: str, language: str) -> Cast:
    """The cast of a story, its title the first line."""
    title, _, text = story.partition("\n")
    counts: Counter[str] = Counter()
    opening, _, rest = text.partition("\n")
    for part, weight in ((title, TITLE_WEIGHT), (opening, OPENING_WEIGHT), (rest, 1)):
        for name in read_words(part, language):
            if name.outright and not name.denied and is_living(name.concept):
                counts[name.concept] += weight
    calls = Counter(normal(word) for word in tokens(story) if word[0].isupper())
    names: dict[str, str] = {}
    for parts in _names(text or title, language):
        fresh = [word for word in parts if word not in names]
        if fresh:
            names |= dict.fromkeys(fresh, _drawn_as(parts, text or title, language, counts))
            counts[names[fresh[-1]]] += calls[fresh[-1]]
    return Cast(tuple(concept for concept, _ in counts.most_common()), names)


def is_living(concept: str) -> bool:
    """Whether a concept can be who a story is about."""
    return concept in concepts() and concepts()[concept].kind in LIVING


def _sentences(text: str) -> Iterator[list[str]]:
    """The words of each sentence, commas and quotation marks among them."""
    sentence: list[str] = []
    for word in tokens(text):
        if word in SENTENCE_END:
            yield sentence
            sentence = []
        else:
            sentence.append(word)
    yield sentence


def _names(text: str, language: str) -> list[tuple[str, ...]]:
    """Words, or neighbouring ones, that have a capital amid a sentence, are never without one, and name nothing else.

    The longest first, so that *Tom Sawyer* says who *Tom* is.
    """
    if language in NO_NAMES:
        return []
    every, words = set(tokens(text)), lexicon(language)
    names: list[tuple[str, ...]] = []
    end = -1
    for match in AMID.finditer(text):
        word = normal(match[0])
        own = match[0][0].isupper() and match[0][1:].islower() and match[0].casefold() not in every
        if own and word not in words.stop and not words.find([match[0]]):
            names.append((*names.pop(), word) if match.start() == end + 1 else (word,))
            end = match.end()
    return sorted(dict.fromkeys(names), key=len, reverse=True)


def _drawn_as(name: tuple[str, ...], text: str, language: str, counts: Mapping[str, int]) -> str:
    """The figure that a name stands beside (*a cat named Pepe*), or a man, a woman, a child, a person."""
    votes = ENDING_WEIGHT * (name[0].endswith("a") and language in FEMININE_IN_A)
    for sentence in _sentences(text):
        words = [normal(word) for word in sentence]
        at = next((number for number, word in enumerate(words) if word in name), None)
        if at is None:
            continue
        if beside := _beside(sentence, at, language):
            return beside
        if not any(word[0].isupper() and normal(word) not in name for word in sentence[1:]):
            gender = next(_genders(" ".join(words[at:]), language), None)
            votes += (gender == SHE) - (gender == HE)
    grown = SHE if votes > 0 else HE if votes < 0 else SOMEBODY
    child = CHILD_OF.get(grown, "🧒")
    return child if counts.get(child, 0) > counts.get(grown, 0) else grown


def _beside(sentence: list[str], at: int, language: str) -> str | None:
    """The living figure of a name: *the doctor Novak*, *a cat named Pepe*; in *the cat saw Anna* there is none."""
    before = sentence[max(0, at - BESIDE) : at]
    named = any(normal(word) in NAMED for word in before)
    found = read_words(" ".join(before if named else before[-1:]), language)
    living = (name.concept for name in found if name.outright and not name.denied and is_living(name.concept))
    return next(living, None)


def _genders(text: str, language: str) -> Iterator[str]:
    """HE or SHE for every pronoun of a text."""
    if language not in PRONOUNS:
        return
    he, she = (frozenset(map(normal, words.split())) for words in PRONOUNS[language])
    for word in _pieces(text, language, he | she):
        if word in he or word in she:
            yield HE if word in he else SHE


def _pieces(text: str, language: str, pronouns: Iterable[str]) -> Iterator[str]:
    """The words of a text; where none are spaced, its pronouns, the longest first."""
    if language not in UNSPACED:
        yield from (normal(word) for word in tokens(text))
        return
    at = 0
    longest = sorted(pronouns, key=len, reverse=True)
    while at < len(text):
        piece = next((word for word in longest if text.startswith(word, at)), text[at])
        yield piece
        at += len(piece)
