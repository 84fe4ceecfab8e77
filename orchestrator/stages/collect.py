"""Stage 0: the user's story becomes ``source.json``: title, language, paragraphs without marks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from orchestrator.errors import StorygenError
from orchestrator.making import Making

VERSION = "1"
HEAD_LINE = re.compile(r"\s*(title|language)\s*:\s*(.+?)\s*$", re.IGNORECASE)
LANGUAGE_TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
MAX_STORY_BYTES = 1_000_000
DEFAULT_LANGUAGE = "en"


def make(making: Making) -> None:
    """Read the story file."""
    inputs = {"text": making.story_text, "name": making.story.stem}
    item = making.run.rule("collect", "source", VERSION, inputs, lambda: source(**inputs))
    making.source = item.document()


def source(text: str, name: str) -> dict[str, Any]:
    """{title, language, language_given, paragraphs[]} of a story, as plain text.

    It may begin with ``title:`` and ``language:`` lines. Without a title the first heading is it, else the file's name.
    Raises StorygenError ``invalid_request`` for a story without words or a language that is no language tag.
    """
    head, body = _head(text)
    title, paragraphs = _blocks(body)
    if not any(character.isalnum() for paragraph in paragraphs for character in paragraph):
        raise StorygenError(
            "invalid_request",
            f"The story {name} has no words to tell.",
            "Write the text below the title: and language: lines.",
        )
    language = head.get("language", DEFAULT_LANGUAGE)
    if not LANGUAGE_TAG.fullmatch(language):
        raise StorygenError(
            "invalid_request", f"The story's language is {language!r}.", "Write a language tag such as en, cs or pt-BR."
        )
    return {
        "title": head.get("title") or title or name.replace("_", " ").replace("-", " ").title(),
        "language": language,
        "language_given": "language" in head,
        "paragraphs": paragraphs,
    }


def story_text(path: Path) -> str:
    """The text of a story file. Raises StorygenError ``input_not_found`` or ``input_unreadable``."""
    if not path.is_file():
        raise StorygenError(
            "input_not_found",
            f"There is no story file {path}.",
            "Give the path of a .txt or .md file with the story's text.",
        )
    if path.stat().st_size > MAX_STORY_BYTES:
        raise StorygenError(
            "input_unreadable",
            f"{path} is larger than {MAX_STORY_BYTES // 1_000_000} MB; that is no story for a short video.",
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise StorygenError(
            "input_unreadable", f"{path} is not UTF-8 text: byte {error.start} is wrong.", "Save it as UTF-8."
        ) from error
    if "\0" in text:
        raise StorygenError("input_unreadable", f"{path} is not a text file.")
    return text


def _head(text: str) -> tuple[dict[str, str], str]:
    """The leading ``title:`` and ``language:`` lines, in any order, and what follows them."""
    lines = text.splitlines()
    head: dict[str, str] = {}
    while lines and (not lines[0].strip() or HEAD_LINE.match(lines[0])):
        found = HEAD_LINE.match(lines.pop(0))
        if found:
            head[found[1].lower()] = found[2]
    return head, "\n".join(lines)


def _blocks(markdown: str) -> tuple[str | None, list[str]]:
    """(first heading, paragraphs) as plain text; pictures, HTML and rules are left out."""
    from markdown_it import MarkdownIt

    title: str | None = None
    paragraphs: list[str] = []
    heading = False
    for token in MarkdownIt("commonmark").parse(markdown):
        if token.type == "heading_open":
            heading = True
        elif token.type == "inline":
            text = " ".join("".join(_piece(child) for child in token.children or []).split(" ")).strip()
            if heading and title is None and not paragraphs:
                title = text
            elif text:
                paragraphs.append(text)
            heading = False
    return title, paragraphs


def _piece(token: Any) -> str:
    if token.type in {"softbreak", "hardbreak"}:
        return " "
    return str(token.content) if token.type in {"text", "code_inline", "text_special"} else ""
