"""What the options of ``storygen run`` say: what the film is made from, its profile, its folder."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator import profile as profiles
from orchestrator import references, styles
from orchestrator.errors import StorygenError
from orchestrator.pool import Pool
from orchestrator.run_folder import MARK
from orchestrator.stages.collect import story_text
from orchestrator.subject import Subject, idea, of_mark


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
    return idea(story_text(brief, "brief") if brief is not None else str(idea_text))


def profile(
    name: str,
    film: Mapping[str, Any],
    captions: str | None,
    settings: Sequence[str],
    pictures: Path | None,
    music: Path | None,
) -> dict[str, Any]:
    """The profile with what the options say of the ``film``, and of the rest, laid over it; ``settings`` beat both.

    Raises StorygenError for what could be found wrong only after hours otherwise: a style preset that there is not, and
    reference pictures that nobody can read.
    """
    implied = [
        f"film.{key}={json.dumps(value, ensure_ascii=False)}" for key, value in film.items() if value is not None
    ]
    chosen = profiles.load(name, [*implied, *([captions] if captions else []), *settings])
    styles.style(chosen["film"]["style"])
    if chosen["film"]["references"] is not None:
        chosen["film"]["references"] = str(Path(chosen["film"]["references"]).absolute())
        references.check(chosen)
    if pictures is not None:
        chosen["keyframes"]["engine_options"]["pictures"] = str(_folder(pictures))
    if music is not None:
        chosen["post"]["input"]["music"] = str(_music(music))
    return chosen


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
