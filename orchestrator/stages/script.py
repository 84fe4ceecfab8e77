"""Stage 2: the lines that are spoken, a sentence each: the user's text as it is, or a script of the kept idea."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from orchestrator import drafts, length
from orchestrator.edits import fields, hold
from orchestrator.item import Item
from orchestrator.making import Making

VERSION = "3"
MAX_LINE = 2000
"""Characters of one voice request; only a text without full stops has longer sentences."""
PHRASE_END = re.compile(r"[,;:،；：，、–—][\"'”’»)\]」』]*\s*")
ABBREVIATIONS = {
    "ar": "د أ",
    "cs": "mudr judr mgr bc doc",
    "de": "hr fr dipl",
    "en": "approx fig capt lt",
    "fr": "m mm mme mmes mlle mlles dr pr me st ste",
    "pl": "dr ok np tj tzn im św ul prof",
}
"""Those that a name or a number follows, so that their full stop ends no sentence, and that sentencex does not know."""
OPENING = "\"'“‘„«»([¿¡—–-…\u00a0\u202f "
SHAPE = {"lines": [{"text": "", "paragraph": 0}]}
"""What every script has, an edited one too."""
LEFT_BEHIND = re.compile(r"[」』）]+\s*")
SAYS_WHO = re.compile(r"[^，。！？、：；“「『\s]{0,6}[说說问問道喊叫答][着著道]?[，。、]|と(?!こ)")
"""What follows a quotation and says whose it was: 青蛙说，… or とカラスは…"""


def make(making: Making) -> None:
    """Cut the story's paragraphs into sentences; those of an idea are written first."""
    source = making.source
    if making.idea is None:
        inputs = {"language": source["language"], "paragraphs": source["paragraphs"]}
        item = making.run.rule("script", "script", VERSION, inputs, lambda: {"lines": lines(**inputs)})
    else:
        item = making.as_stored("script", "script", SHAPE) or _written(making)
    hold_lines(item)
    document = item.document()
    take(making, document["lines"])
    making.script_edited = item.edited
    making.writing["script"] = {
        "words": length.of(making.source["paragraphs"], source["language"]),
        **{name: document.get(name) for name in ("target_words", "versions", "kept")},
        "edited": item.edited,
    }


def hold_lines(item: Item) -> None:
    """See that the lines of an edited script can be spoken. Raises StorygenError ``invalid_request``."""
    if item.edited:
        line = {
            "type": "object",
            "properties": {
                "text": fields("speech_synthesis", "synthesize")["text"],
                "paragraph": {"type": "integer", "minimum": 0},
            },
        }
        hold(item, {"type": "object", "properties": {"lines": {"type": "array", "items": line}}})


def take(making: Making, spoken: list[Mapping[str, Any]]) -> None:
    """Have these lines spoken."""
    making.lines = spoken
    if making.idea is not None:
        texts = [" ".join(line["text"] for line in own) for _, own in groupby(spoken, lambda line: line["paragraph"])]
        making.source = {**making.source, "paragraphs": texts}


def _written(making: Making) -> Item:
    """The item of the script that a text model writes of the kept idea."""
    versions = drafts.write(making, "script", "draft", "script", drafts.of_premise(making))
    wanted = drafts.wish(making)
    kept = drafts.nearest(versions, wanted)
    counted = {
        "target_words": wanted.words,
        "kept": kept.item,
        "versions": [{"item": draft.item, "words": draft.words} for draft in versions],
    }
    inputs: dict[str, Any] = {"paragraphs": kept.paragraphs, "language": wanted.language}
    item = making.run.rule(
        "script", "script", VERSION, {**inputs, **counted}, lambda: {"lines": lines(**inputs), **counted}
    )
    if not item.edited:
        drafts.warn_of(making, "script", item, kept.words, wanted)
    return item


def lines(paragraphs: Sequence[str], language: str) -> list[dict[str, Any]]:
    """{text, paragraph} for every sentence.

    A sentence too long to be spoken at once is cut after a comma, else at a blank.
    """
    primary = language.split("-")[0].lower()
    return [
        {"text": piece, "paragraph": number}
        for number, paragraph in enumerate(paragraphs)
        for sentence in sentences(paragraph, primary)
        for piece in _pieces(sentence)
    ]


def sentences(paragraph: str, language: str) -> list[str]:
    """The sentences of a paragraph; ``language`` is a primary tag. What has neither letter nor digit joins a neighbour.

    sentencex cuts; its cut is undone where the sentence plainly goes on: "28. října", "M. Dupont", "— Why? — she said".

    >>> sentences("„Kdo je tam?“ Dne 28. října přišel M. Malý.", "cs")
    ['„Kdo je tam?“', 'Dne 28. října přišel M. Malý.']
    """
    import sentencex

    has_capitals = paragraph != paragraph.lower()
    whole = [""]
    for piece in sentencex.segment(language, paragraph):
        found = LEFT_BEHIND.match(piece)
        closing = found[0] if found else ""
        whole[-1] += closing
        following = piece.removeprefix(closing)
        over = (
            _is_spoken(whole[-1]) and _is_spoken(following) and _is_over(whole[-1], following, language, has_capitals)
        )
        if over or len(whole[-1]) > MAX_LINE:
            whole.append(following)
        else:
            whole[-1] += following
    return [text.strip() for text in whole if _is_spoken(text)]


def _is_spoken(text: str) -> bool:
    return any(map(str.isalnum, text))


def _is_over(sentence: str, following: str, language: str, has_capitals: bool) -> bool:
    """Whether a sentence ends here; ``has_capitals`` if the writer begins sentences with them."""
    if (has_capitals and following.lstrip(OPENING)[:1].islower()) or re.match(r"-\w", following):
        return False
    last = sentence.split()[-1].lstrip(OPENING)
    if last.endswith(".") and last[:-1].lower() in ABBREVIATIONS.get(language, "").split():
        return False
    if re.fullmatch(r"\W*\d+\.\s*", sentence):  # the number of an item, or a date's
        return False
    return not (sentence.rstrip()[-1] in "”」』" and SAYS_WHO.match(following))


def _pieces(text: str) -> Iterator[str]:
    """The text in pieces that one voice request can take; those without letter or digit are not spoken."""
    while len(text) > MAX_LINE:
        phrases = [found.end() for found in PHRASE_END.finditer(text, MAX_LINE // 2, MAX_LINE)]
        end = phrases[-1] if phrases else text.rfind(" ", 0, MAX_LINE) + 1 or MAX_LINE
        piece, text = text[:end].strip(), text[end:].lstrip()
        if any(character.isalnum() for character in piece):
            yield piece
    if any(character.isalnum() for character in text):
        yield text
