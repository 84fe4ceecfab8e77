"""Stage 2: the lines that are spoken. Without a text model the user's text is the script, a sentence a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchestrator.making import Making

VERSION = "1"


def make(making: Making) -> None:
    """Cut the story's paragraphs into sentences."""
    source = making.source
    inputs = {"language": source["language"], "paragraphs": source["paragraphs"]}
    item = making.run.rule("script", "script", VERSION, inputs, lambda: {"lines": lines(**inputs)})
    making.lines = item.document()["lines"]


def lines(paragraphs: Sequence[str], language: str) -> list[dict[str, Any]]:
    """{text, paragraph} for every sentence; what has neither letter nor digit joins the sentence before it."""
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
    return found
