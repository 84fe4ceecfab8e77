"""Stop texts in a text that arrives in pieces."""

from __future__ import annotations

from collections.abc import Sequence


class Stops:
    """Passes a text on up to the first stop text; what may be the beginning of one waits for more.

    The stop text whose last character comes first counts; of two that end together, the longer one. So the outcome does
    not depend on where the pieces are cut.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._waiting = ""
        self.found: str | None = None
        """The stop text that ended it."""

    def feed(self, piece: str) -> str:
        """What is safe to pass on now. Nothing more, once a stop text was found."""
        if self.found is not None:
            return ""
        text = self._waiting + piece
        ends = [(start + len(stop), start, stop) for stop in self._stops if (start := text.find(stop)) >= 0]
        if ends:
            _, start, self.found = min(ends)
            self._waiting = ""
            return text[:start]
        keep = max((_overlap(text, stop) for stop in self._stops), default=0)
        self._waiting = text[len(text) - keep :]
        return text[: len(text) - keep]

    def rest(self) -> str:
        """At the end of the text: what still waited, for no stop text came of it."""
        rest, self._waiting = self._waiting, ""
        return rest


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of ``text`` that ``stop`` begins with, short of all of it."""
    longest = min(len(stop) - 1, len(text))
    return next((size for size in range(longest, 0, -1) if text.endswith(stop[:size])), 0)
