"""HTML from parts. Whatever is not markup already is escaped, so no text of a story or a model can become markup."""

from __future__ import annotations

from html import escape
from urllib.parse import quote

VOID = frozenset({"img", "link", "meta"})
"""Elements without content or end tag, as far as they are used here."""


class Markup(str):
    """HTML as it stands. Only ``element`` and ``joined`` make it of anything that comes from outside."""

    __slots__ = ()


def element(name: str, /, *content: str | None, **attributes: str | float | bool | None) -> Markup:
    """One element. Content that is no Markup is text; None is left out, of contents and of attributes.

    An attribute that is True stands without a value; ``class_`` is class and ``aria_label`` aria-label.

    >>> element("p", "a < b", element("b", "!"), class_="x")
    '<p class="x">a &lt; b<b>!</b></p>'
    """
    given = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{escape(str(value))}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    return Markup(f"<{name}{given}>" if name in VOID else f"<{name}{given}>{joined(*content)}</{name}>")


def joined(*content: str | None) -> Markup:
    """Parts one behind the other, escaped where they are no Markup."""
    return Markup("".join(part if isinstance(part, Markup) else escape(part) for part in content if part is not None))


def link(path: str) -> str:
    """A path relative to the page as a URL: no name can end it, add a query to it, or be taken for a scheme.

    >>> link("a b/#1?.png")
    'a%20b/%231%3F.png'
    """
    return quote(path, errors="replace")
