"""What the options of ``storygen run`` say: what the film is made from, its profile, its folder."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from orchestrator import languages, references, story_file, styles
from orchestrator import profile as profiles
from orchestrator.asking import thinks
from orchestrator.choices import FORMATS
from orchestrator.errors import StorygenError
from orchestrator.pool import Pool
from orchestrator.run_folder import MARK
from orchestrator.stages.collect import source
from orchestrator.subject import Subject, idea, of_mark

LOOKING = ("scenes", "guidance")
"""Stages of a story's film whose text model is told of the audience."""
DRAWN = "storyboard"
"""The engine that draws panels in a style of its own, or takes the user's pictures."""


def subject(story: Path | None, idea_text: str | None, brief: Path | None) -> Subject:
    """What the film is made from. Raises StorygenError ``usage`` unless it is given once."""
    named = {"a story": story, "an idea": idea_text, "a brief": brief}
    given = [what for what, value in named.items() if value is not None]
    if not given:
        raise StorygenError(
            "usage",
            "There is no story to tell.",
            'Give a text file: storygen run examples/crow.md; or --idea "…" with a profile that has a text model.',
        )
    if len(given) > 1:
        raise StorygenError(
            "usage", f"{' and '.join(given)} were given.".capitalize(), "Give one: the story's file, --idea or --brief."
        )
    if story is not None:
        return Subject(story=story)
    return idea(story_file.read(brief, "brief") if brief is not None else str(idea_text))


def size(shape: str | None) -> dict[str, int]:
    """{width, height} in pixels of a shape of the film such as ``16:9``; nothing where none was chosen."""
    return dict(zip(("width", "height"), FORMATS[shape], strict=True)) if shape else {}


def profile(
    name: str,
    film: Mapping[str, Any],
    captions: str | None,
    settings: Sequence[str],
    pictures: Path | None,
    music: Path | None,
    *,
    base: Sequence[str] = (),
) -> dict[str, Any]:
    """The profile with what the options say of the ``film``, and of the rest, laid over it; ``settings`` beat both.

    ``base`` are settings that all this is laid over.

    Raises StorygenError for what could be found wrong only after hours otherwise: a style preset that there is not, and
    reference pictures that nobody can read.
    """
    implied = [
        f"film.{key}={json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)}"
        for key, value in film.items()
        if value is not None
    ]
    chosen = profiles.load(name, [*base, *implied, *([captions] if captions else []), *settings])
    styles.style(chosen["film"]["style"])
    if chosen["film"]["references"] is not None:
        chosen["film"]["references"] = str(Path(chosen["film"]["references"]).absolute())
        references.check(chosen)
    if pictures is not None:
        chosen["keyframes"]["engine_options"]["pictures"] = str(_folder(pictures))
    if music is not None:
        chosen["post"]["input"]["music"] = str(_music(music))
    return chosen


def refuse_unused(told: Subject, profile: Mapping[str, Any], film: Mapping[str, Any]) -> None:
    """Raise StorygenError for what was asked of the ``film`` and nothing in the profile would heed.

    ``usage`` for the length of a story, ``unsupported_capability`` for an audience that no text model would be told of
    and for a style where every picture is a drawn panel or the user's own.
    """
    if told.story is not None and film["target_s"] is not None:
        raise StorygenError("usage", "--seconds is for an idea; a story is as long as it is.", "Leave --seconds out.")
    if told.story is not None and film["audience"] is not None and not any(thinks(profile[name]) for name in LOOKING):
        raise StorygenError(
            "unsupported_capability",
            f"--audience {film['audience']!r} would change nothing: the story is told as it is written, and the "
            "profile has no text model that plans its pictures.",
            "Leave it out, or take a profile with a text model: --profile local.",
        )
    if film["style"] is not None and profile["keyframes"]["engine"] == DRAWN:
        own = profile["keyframes"]["engine_options"].get("pictures")
        why = "your own pictures are taken as they are" if own else f"the engine {DRAWN} draws in one style only"
        raise StorygenError(
            "unsupported_capability",
            f"--style {film['style']} would change nothing: {why}.",
            "Leave it out, or take a profile whose pictures a model draws: --profile local.",
        )


def language_hint(told: Subject, profile: Mapping[str, Any]) -> str | None:
    """What to say of a story whose language nobody names and that does not look like English; None for others.

    Raises StorygenError for a story that cannot be read or has no words.
    """
    if told.story is None:
        return None
    found = source(told.text(profile), told.story.stem, profile["film"]["language"])
    if found["language_given"]:
        return None
    text = "\n".join(found["paragraphs"])
    tag, why_not = languages.looks_like(text), languages.not_in(text, found["language"])
    if tag == found["language"] or (tag is None and why_not is None):
        return None
    like = f"looks like {languages.named(tag)}" if tag else f"is not in English: {why_not}"
    return (
        f"{told.story} {like}, but names no language, so it is read aloud as English. Add a first line "
        f"'language: {tag or 'xx'}' to it, or give --language {tag or 'xx'}."
    )


def default_folder(told: Subject) -> Path:
    """``runs/<name of the story or idea>``. Raises StorygenError ``usage`` if it is another's."""
    folder = Path("runs") / told.name
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        other = of_mark(json.loads((folder / MARK).read_text(encoding="utf-8")))
        if other.mark() != told.mark():
            kind = "story" if other.story else "idea"
            raise StorygenError(
                "usage",
                f"The folder {folder} holds the film of another {kind}, {other.words}.",
                f"Name a folder: --out {folder}-2; or --out {folder} to replace that film.",
            )
    return folder


def _folder(pictures: Path) -> Path:
    if not pictures.is_dir():
        raise StorygenError(
            "input_not_found",
            f"There is no folder {pictures}.",
            "--pictures takes the folder that holds your pictures.",
        )
    return pictures.resolve()


@cache
def _music(file: Path) -> Path:
    """The absolute path of a file with sound. Raises StorygenError ``input_not_found`` or ``input_unreadable``."""
    hint = "--music takes a file with sound, such as mp3, m4a, ogg, flac, wav or mp4."
    if not file.is_file():
        message = f"{file} is a folder." if file.is_dir() else f"There is no file {file}."
        raise StorygenError("input_not_found", message, hint)
    request = {"v": 1, "op": "probe", "input": {"media": str(file.absolute())}}
    try:
        with Pool() as pool:
            facts = pool.request("media_processing", request)["output"]
    except StorygenError as error:
        if error.code == "input_unreadable":
            raise StorygenError(error.code, f"{file} is no music: it cannot be read as media.", hint) from error
        raise
    if facts["audio"] is None:
        raise StorygenError("input_unreadable", f"{file} carries no sound.", hint)
    return file.absolute()
