"""Stage 0: the user's story becomes ``source.json``: title, language, paragraphs without marks; or the idea does."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

from orchestrator.errors import StorygenError
from orchestrator.making import Making

VERSION = "3"
KEYS = ("title", "language")
NAMES = {**{key: key for key in KEYS}, "lang": "language"}
"""What a head may call them -> the key."""
NOT_TOLD = frozenset(
    {"author", "categories", "cover", "date", "description", "draft", "keywords", "layout", "license", "slug", "source"}
    | {"subtitle", "summary", "tags"}
)
"""Keys of other programs' heads, which are left out."""
HEAD_LINE = re.compile(r"\s*(title|language|lang)\s*:\s*(.*?)\s*$", re.IGNORECASE)
KEY_LINE = re.compile(r"\s*([^\W\d_][\w-]{0,30})\s*:\s+\S")
YAML_KEY = re.compile(r"([\w-]+)\s*:(?:\s+(.*?))?\s*$")
YAML_MORE = re.compile(r"\s*$|\s*#|\s+\S|-\s")
UNSPOKEN_HTML = re.compile(r"<!--.*?-->|<(script|style)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
FOOTNOTE = re.compile(r"^ {0,3}\[\^[^\]\s]+\]:.*(?:\n(?:    |\t).*)*|\[\^[^\]\s]+\]", re.MULTILINE)
"""A note at the foot of a page, which a film has not, the lines indented under it, and the mark that points to it."""
TASK = re.compile(r"\[[ xX]\] +")
RAISED = re.compile(r"(?<=\w)([~^])(\w{1,4})\1")
"""``H~2~O``, ``x^2^``: small numbers are spoken like others."""
TIMES, STAR = re.compile(r"(?<=\d)\*(?=\d)"), "\ufdd0"
"""``2*3*4`` is no emphasis; a noncharacter, which no text has, stands for the star until the marks are gone."""
LINK_TARGET = re.compile(r"\S*[/#.:]\S")
MAX_TITLE = 200
INLINE_TAG = re.compile(
    r"</?(a|abbr|b|big|code|em|font|i|ins|kbd|mark|q|s|small|span|strong|sub|sup|u)\b", re.IGNORECASE
)
"""Tags that may stand within a word; any other parts words."""
DEEPEST = 100
"""Quotations and lists within one another; commonmark's own 20 would lose what lies deeper."""
LANGUAGE_TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
MAX_STORY_BYTES = 1_000_000
DEFAULT_LANGUAGE = "en"


def make(making: Making) -> None:
    """Read the story file, or note what is asked of an idea's film."""
    film = making.profile["film"]
    if making.story is None:
        asked = {"idea": making.idea, **{name: film[name] for name in ("language", "audience", "target_s")}}
        item = making.run.rule(
            "collect", "source", VERSION, asked, lambda: {**asked, "language_given": film["language"] is not None}
        )
        making.source = item.document()
        return
    inputs = {"text": making.story_text, "name": making.story.stem, "language": film["language"]}
    item = making.run.rule("collect", "source", VERSION, inputs, lambda: source(**inputs))
    making.source = item.document()
    if unknown := ignored(making.story_text):
        message = f"The story's head also says {', '.join(unknown)}: that is left out; title and language are read."
        item.warnings.append(making.run.warn("collect", "source", "head_ignored", message))
    if film["language"] not in {None, making.source["language"]} and not item.edited:
        message = (
            f"The story says language: {making.source['language']}, which counts; {film['language']} was asked for."
        )
        item.warnings.append(making.run.warn("collect", "source", "language_of_the_story", message))


def source(text: str, name: str, language: str | None = None) -> dict[str, Any]:
    """{title, language, language_given, paragraphs[]} of a story, as plain text.

    It may begin with ``title:`` and ``language:`` lines. Without a title the first heading is it, else the file's name;
    without a language it is ``language``, else English.
    Raises StorygenError ``invalid_request`` for a story without words or a language that is no language tag.
    """
    head, body = _head(text)
    title, paragraphs = _blocks(body, _in_line(head["title"]) if "title" in head else None)
    if not any(character.isalnum() for paragraph in paragraphs for character in paragraph):
        raise StorygenError(
            "invalid_request",
            f"The story {name} has no words to tell.",
            "Write the text below the title: and language: lines.",
        )
    given = head.get("language", language)
    if given is not None and not LANGUAGE_TAG.fullmatch(given):
        raise StorygenError(
            "invalid_request", f"The story's language is {given!r}.", "Write a language tag such as en, cs or pt-BR."
        )
    return {
        "title": short(title or name.replace("_", " ").replace("-", " ").title()),
        "language": given or DEFAULT_LANGUAGE,
        "language_given": given is not None,
        "paragraphs": paragraphs,
    }


def _head(text: str) -> tuple[dict[str, str], str]:
    """(title and language, as far as the story's head gives them; what follows the head)."""
    lines = text.splitlines()
    while lines and not lines[0].strip():
        del lines[0]
    matter = _front_matter(lines)
    head, rest = (_yaml(matter), lines[len(matter) + 2 :]) if matter else _key_lines(lines)
    return {key: value for key, value in head.items() if value}, "\n".join(rest)


def ignored(text: str) -> list[str]:
    """The keys of a story's head that are not read, such as author and tags."""
    lines = text.lstrip().splitlines()
    found = (YAML_KEY.match(line) for line in _front_matter(lines) or lines[: len(lines) - len(_key_lines(lines)[1])])
    return [key[1] for key in found if key and key[1].lower() not in NAMES]


def _front_matter(lines: list[str]) -> list[str]:
    """The lines between a leading ``---`` and the next one, if they are YAML; else none."""
    if not lines or lines[0].rstrip() != "---":
        return []
    end = next((place for place, line in enumerate(lines[1:], 1) if line.rstrip() in {"---", "..."}), 0)
    matter = lines[1:end]
    keys = [line for line in matter if YAML_KEY.match(line)]
    return matter if keys and all(YAML_KEY.match(line) or YAML_MORE.match(line) for line in matter) else []


def _yaml(matter: Iterable[str]) -> dict[str, str]:
    """The title and language of front matter; a value may go on in indented lines. Other keys are not ours."""
    head: dict[str, str] = {}
    key = ""
    for line in matter:
        found = YAML_KEY.match(line)
        if found:
            key, value = NAMES.get(found[1].lower(), ""), found[2] or ""
            quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
            value = "" if value in {">", "|", ">-", "|-"} else value[1:-1] if quoted else value
        else:
            value = line.strip()
        if key in KEYS:
            head[key] = f"{head.get(key, '')} {value}".strip()
    return head


def _key_lines(lines: list[str]) -> tuple[dict[str, str], list[str]]:
    """The leading ``title:`` and ``language:`` lines, in any order, and what follows them.

    A line ``Anna: Hello`` is a story's; beside a known key, or written much like one, it is an error.
    """
    head: dict[str, str] = {}
    unknown: list[str] = []
    blank = False
    place = 0
    for place, line in enumerate([*lines, ""]):  # noqa: B007 - where it ends is used
        known, other = HEAD_LINE.match(line), KEY_LINE.match(line)
        if known:
            head[NAMES[known[1].lower()]] = known[2]
        elif other and not (head and blank):
            unknown.append(other[1])
        elif line.strip() or unknown:
            break
        blank = not line.strip()
    unknown = [key for key in unknown if not (head and key.lower() in NOT_TOLD)]
    near = {key: difflib.get_close_matches(key.lower(), KEYS, n=1, cutoff=0.75) for key in unknown}
    if unknown and (head or any(near.values())):
        key = next((key for key in unknown if near[key]), unknown[0])
        guess = f"Did you mean {near[key][0]}:?" if near[key] else "It knows title: and language:."
        raise StorygenError(
            "invalid_request",
            f"The story's head has a line {key}:, which storygen does not know. {guess}",
            "Correct it or take it away; if it is a part of the story, leave an empty line above it.",
        )
    return ({}, lines) if unknown else (head, lines[place:])


def short(title: str) -> str:
    """A title that fits, cut after a word."""
    if len(title) <= MAX_TITLE:
        return title
    room = title[:MAX_TITLE]
    return (room[:-1].rpartition(" ")[0].rstrip() or room[:-1]) + "…"


class _Story(MarkdownIt):
    """CommonMark, GitHub's tables and strike-through; but nothing that is spoken can hide in a mark.

    An indented paragraph is no code, a tag no block.
    """

    def __init__(self) -> None:
        super().__init__("commonmark", {"maxNesting": DEEPEST})
        self.enable(["table", "strikethrough"]).disable(["code", "html_block"])

    def validateLink(self, url: str) -> bool:
        """``[Anna]: Hello`` is no reference to a page."""
        return bool(LINK_TARGET.match(url)) and super().validateLink(url)


def plain(markdown: str) -> list[tuple[bool, str]]:
    """(is a heading, text without marks) of each block of a text that somebody marked up; none is empty."""
    return [(is_heading, text) for is_heading, text in _texts(_Story(), _told(markdown)) if text]


def _told(markdown: str) -> str:
    """The text without what is in no mark that Markdown knows, and is not spoken."""
    return TIMES.sub(STAR, RAISED.sub(r"\2", FOOTNOTE.sub("", UNSPOKEN_HTML.sub(" ", markdown))))


def _in_line(text: str) -> str:
    """A single line, such as a title, without its marks; as it is where nothing would be left."""
    (line,) = _Story().parseInline(_told(text))
    return _words(line) or text


def _blocks(markdown: str, title: str | None) -> tuple[str | None, list[str]]:
    """(title, paragraphs) as plain text; pictures, HTML tags and rules are left out.

    A first heading is the title if there is none yet, and it is not spoken if it says the title; all else is spoken.
    """
    paragraphs: list[str] = []
    for is_heading, text in plain(markdown):
        if is_heading and not paragraphs and (title or text) == text and len(text) <= MAX_TITLE:
            title = text
        else:
            paragraphs.append(text)
    return title, paragraphs


def _texts(story: MarkdownIt, markdown: str) -> Iterator[tuple[bool, str]]:
    """(is a heading, text) of each block, the number of a list's item included."""
    heading, number = False, ""
    tokens = iter(story.parse(markdown))
    for token in tokens:
        if token.type == "heading_open":
            heading = token.markup != "-"  # a paragraph with a rule right below it is a paragraph
        elif token.type == "list_item_open" and token.info:
            number += f"{token.info}{token.markup} "
        elif token.type == "table_open":
            yield from ((False, row) for row in _rows(tokens))
        elif token.type == "inline":
            yield heading and not number and "\n" not in token.content, f"{number}{_words(token)}".strip()
            heading, number = False, ""
        elif token.type == "fence":
            told = token.info if token.markup[0] == "~" or " " in token.info.strip() else ""  # else code's language
            yield from _texts(_Story().disable("fence"), f"{number}{told}\n\n{token.content}")
            number = ""
        elif token.type == "list_item_close" and number:
            yield False, number.strip()
            number = ""


def _rows(tokens: Iterator[Token]) -> Iterator[str]:
    """A table's rows as they are told, up to its end: ``Name: Bob, Age: 42.`` Without rows its head is."""
    rows: list[list[str]] = []
    for token in tokens:
        if token.type == "table_close":
            break
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            rows[-1].append(_words(token))
    head, *body = rows
    for row in body or [head]:
        named = [f"{name}: {cell}" if body and name else cell for name, cell in zip(head, row, strict=False) if cell]
        if named:
            yield f"{', '.join(named)}."


def _words(inline: Token) -> str:
    """The text of one block, without what is struck through and without the box of a task."""
    struck, pieces = 0, []
    for token in inline.children or []:
        struck += {"s_open": 1, "s_close": -1}.get(token.type, 0)
        pieces.append("" if struck else _piece(token))
    text = re.sub(" +", " ", "".join(pieces)).strip().replace(STAR, "*")
    return text[found.end() :] if (found := TASK.match(text)) else text


def _piece(token: Token) -> str:
    if token.type in {"softbreak", "hardbreak"}:
        return " "
    if token.type == "html_inline":
        return "" if INLINE_TAG.match(token.content) else " "
    return str(token.content) if token.type in {"text", "code_inline", "text_special"} else ""
