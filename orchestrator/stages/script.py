"""Stage 2: the lines that are spoken. Without a text model the user's text is the script, a sentence a line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from orchestrator.making import Making

VERSION = "2"
MAX_LINE = 2000
"""Characters of one voice request; only a text without full stops has longer sentences."""
PHRASE_END = re.compile(r"[,;:،；：，、–—][\"'”’»)\]」』]*\s*")


def make(making: Making) -> None:
    """Cut the story's paragraphs into sentences."""
    source = making.source
    inputs = {"language": source["language"], "paragraphs": source["paragraphs"]}
    item = making.run.rule("script", "script", VERSION, inputs, lambda: {"lines": lines(**inputs)})
    making.lines = item.document()["lines"]


def lines(paragraphs: Sequence[str], language: str) -> list[dict[str, Any]]:
    """{text, paragraph} for every sentence; what has neither letter nor digit joins the sentence before it.

    A sentence too long to be spoken at once is cut after a comma, else at a blank.
    """
    import sentencex

    found: list[dict[str, Any]] = []
    for number, paragraph in enumerate(paragraphs):
        for sentence in sentencex.segment(language.split("-")[0].lower(), paragraph):
            text = sentence.strip()
            spoken = any(character.isalnum() for character in text)
            if spoken:
                found.append({"text": text, "paragraph": number})
            elif text and found and found[-1]["paragraph"] == number:
                found[-1]["text"] += f" {text}"
    return [{**line, "text": piece} for line in found for piece in _pieces(line["text"])]


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
