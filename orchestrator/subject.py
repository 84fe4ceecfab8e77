"""What a film is made from: a story that somebody wrote, or an idea that a text model makes one of."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator import profile as profiles
from orchestrator import story_file
from orchestrator.asking import thinks
from orchestrator.errors import StorygenError

MAX_IDEA = 20_000
"""Characters; what is longer is a story."""
LONGEST_NAME = 48
"""Characters of a folder's name."""
NEEDED = ("idea", "script")
"""Stages that an idea cannot do without."""


@dataclass(frozen=True)
class Subject:
    """``story``, the user's file, or ``idea``, the user's words: one of the two."""

    story: Path | None = None
    idea: str | None = None

    @property
    def name(self) -> str:
        """What its folder is called where nobody says."""
        return self.story.stem if self.story is not None else slug(self.idea or "")

    @property
    def words(self) -> str:
        """How a person knows it: the file's path, or the idea."""
        return str(self.story) if self.story is not None else str(self.idea)

    def text(self, profile: Mapping[str, Any]) -> str:
        """The story's text; of an idea nothing, for its story is yet to be written.

        Raises StorygenError ``input_not_found`` or ``input_unreadable``, and ``unsupported_capability`` for an idea
        where the profile has no text model.
        """
        if self.story is not None:
            return story_file.read(self.story)
        if missing := [name for name in NEEDED if not thinks(profile[name])]:
            raise StorygenError(
                "unsupported_capability",
                f"The profile has no text model for {' and '.join(missing)}, so it cannot make a story from the idea "
                f"{_short(str(self.idea))!r}.",
                "Write the story into a text file and run: storygen run STORY.md; or take a profile that has one: "
                f"--profile {' or '.join(with_text_model())}.",
            )
        return ""

    def mark(self) -> dict[str, str]:
        """How the run's folder remembers it."""
        return {"idea": str(self.idea)} if self.story is None else {"story": str(self.story.resolve())}


def of_mark(mark: Mapping[str, Any]) -> Subject:
    """What a run's folder remembers. Raises KeyError or TypeError for a mark that says nothing."""
    return Subject(idea=mark["idea"]) if "idea" in mark else Subject(story=Path(mark["story"]))


def idea(text: str) -> Subject:
    """An idea, its blank ends cut. Raises StorygenError ``usage`` for one without words, or that is a whole story."""
    text = text.strip()
    if not any(map(str.isalnum, text)):
        raise StorygenError("usage", "The idea has no words.", 'Example: storygen run --idea "a crow learns to ask"')
    if len(text) > MAX_IDEA:
        raise StorygenError(
            "usage",
            f"The idea has {len(text)} characters; it may have {MAX_IDEA}.",
            "Shorten it; a text of that length is a story, which is told as it is written: storygen run STORY.md",
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise StorygenError("usage", f"The idea is not UTF-8 text: {error.reason}.", "Use --brief FILE.") from error
    return Subject(idea=text)


def slug(text: str) -> str:
    """A folder's name: the first words, in small letters.

    >>> slug("A crow's thirst — and Žofie!")
    'a-crow-s-thirst-and-žofie'
    """
    words = re.findall(r"[^\W_]+", unicodedata.normalize("NFC", text).lower())
    name = words[0][:LONGEST_NAME]
    for word in words[1:]:
        if len(name) + 1 + len(word) > LONGEST_NAME:
            break
        name += f"-{word}"
    return name


def with_text_model() -> list[str]:
    """The names of the profiles here that can make a film of an idea."""
    found = {name: profiles.load(name) for name in profiles.names()}
    return [name for name, profile in found.items() if all(thinks(profile[stage]) for stage in NEEDED)]


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:79]}…"
