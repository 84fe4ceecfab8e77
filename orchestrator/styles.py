"""The looks that ``film.style`` can name, from ``styles.toml``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from orchestrator.errors import StorygenError

STYLES = Path(__file__).with_name("styles.toml")


@dataclass(frozen=True)
class Style:
    """A look in words: what a picture's prompt begins and ends with, and what must not be seen."""

    description: str
    before: str
    after: str
    negative: str


def style(name: str | None) -> Style | None:
    """The preset of this name; None for none. Raises StorygenError ``invalid_request`` for a name that there is not."""
    if name is None:
        return None
    known, _ = _read()
    if name not in known:
        raise StorygenError(
            "invalid_request",
            f"film.style is {name!r}, which is no style preset.",
            f"Presets: {', '.join(known)}; or leave it out.",
        )
    return known[name]


def listed() -> dict[str, str]:
    """Name -> what the preset looks like, in a line each: for ``--help``."""
    return {name: preset.description for name, preset in _read()[0].items()}


def unwanted() -> str:
    """What no look should have, as the words of a negative prompt."""
    return _read()[1]


@cache
def _read() -> tuple[dict[str, Style], str]:
    content = tomllib.loads(STYLES.read_text(encoding="utf-8"))
    negative: str = content.pop("negative")
    return {name: Style(**fields) for name, fields in content.items()}, negative
