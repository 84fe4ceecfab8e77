"""Whether captions can be drawn in what people write stories in: words are set, in the fonts that are here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from orchestrator.doctor_findings import Finding, State
from orchestrator.errors import StorygenError

if TYPE_CHECKING:
    from orchestrator.doctor_letters import Telling

SCRIPTS = {
    "Latin": ("en", "The crow, Wrona, Krähe."),
    "Greek and Cyrillic": ("el", "κόρακας ворона"),
    "Arabic": ("ar", "غراب"),
    "Chinese": ("zh", "乌鸦喝水"),
    "Japanese": ("ja", "カラスと水差し"),
    "Hindi": ("hi", "कौआ"),
    "emoji": ("en", "😀 🦊"),
}
"""What people write stories in -> language and a few of its letters."""
CJK = frozenset({"Chinese", "Japanese"})
"""Those whose fonts are no part of a draft's packages: they are looked at apart from the others."""
NEEDED_SCRIPT = "Latin"
"""The one whose absence is a fault: the demo is written in it."""

Request = Callable[[str, Mapping[str, Any]], dict[str, Any]]
"""(operation, input) -> output of the worker for media."""


def check(request: Request, telling: Telling | None = None) -> Iterator[Finding]:
    """Findings of the scripts, and of what is to be told.

    Words of several scripts are drawn at once, which is much cheaper; where one cannot be, each by itself.
    """
    groups = {
        "captions": {name: told for name, told in SCRIPTS.items() if name not in CJK},
        "captions CJK": {name: told for name, told in SCRIPTS.items() if name in CJK},
    }
    for label, scripts in groups.items():
        if scripts:
            yield from _of_group(request, label, scripts)
    if telling is not None:
        yield _of_text(request, telling.what, telling.language, telling.text, "fault")


def _of_group(request: Request, label: str, scripts: Mapping[str, tuple[str, str]]) -> list[Finding]:
    """One finding where captions in all of the scripts can be drawn, else one for each."""
    language = next(iter(scripts.values()))[0]
    drawn = _drawn(request, language, " ".join(text for _, text in scripts.values()))
    if isinstance(drawn, str):
        return [Finding(label, "ok", f"{', '.join(scripts)}: {drawn}")]
    return [
        _of_text(request, name, language, text, "fault" if name == NEEDED_SCRIPT else "warning")
        for name, (language, text) in scripts.items()
    ]


def _of_text(request: Request, name: str, language: str, text: str, lacking: State) -> Finding:
    """Whether captions of a text can be drawn; ``lacking`` is what it is if not."""
    drawn = _drawn(request, language, text)
    if isinstance(drawn, str):
        return Finding(f"captions {name}", "ok", drawn)
    return Finding(f"captions {name}", lacking, "cannot be drawn: no font here has all its letters", drawn.hint)


def _drawn(request: Request, language: str, text: str) -> str | StorygenError:
    """The fonts that draw a text, which is tried by making captions of it; the error where a letter has none."""
    words = [{"word": word, "start_s": at, "end_s": at + 0.9} for at, word in enumerate(text.split())]
    try:
        output = request("captions", {"words": words, "language": language, "formats": ["ass"]})
    except StorygenError as error:
        if error.code != "font_not_found":
            raise
        return error
    fonts = ", ".join(f"{font['family']} ({font['origin']})" for font in output["fonts"])
    return f"drawn with {fonts}"
