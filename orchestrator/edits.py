"""Artifacts that somebody changed by hand: the user's edit if it still reads as what it should be, else damage."""

from __future__ import annotations

import json
import tempfile
import wave
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.errors import SCHEMAS, StorygenError
from orchestrator.item import Item
from orchestrator.pool import Pool
from orchestrator.settings import caption_format
from orchestrator.violations import sentences

FACTS = ("width", "height", "fps", "num_frames", "duration_s", "sample_rate", "channels")
"""What an artifact may say of itself beside its hash; an edit changes it."""
SUBTITLES = {"application/x-subrip": "-->", "text/vtt": "-->", "text/x-ass": "[Events]"}
"""Media type -> what no such file is without."""
LAST_LOOK_S = 0.1
"""How far before its end a film is decoded, to see that it is all there."""


def facts_of(path: Path, media_type: str, pool: Pool, like: Callable[[], Mapping[str, Any]] | None) -> dict[str, Any]:
    """Read an edited file as what it should be; returns those of FACTS that it has now.

    ``like`` makes the document anew, for a JSON file to be compared with. Raises StorygenError
    ``input_unreadable`` for a file that does not read.
    """
    kind = media_type.partition("/")[0]
    if media_type == "application/json":
        return _document(path, like)
    if media_type in SUBTITLES:
        return _subtitles(path, SUBTITLES[media_type])
    if kind == "audio":
        _whole_wave(path)
    if kind in {"image", "video", "audio"}:
        return _media(path, kind, pool)
    return {}


def _document(path: Path, like: Callable[[], Mapping[str, Any]] | None) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise StorygenError("input_unreadable", f"{path} is not JSON: {error}.") from error
    if like is not None and (odd := unlike(document, like())) is not None:
        raise StorygenError("input_unreadable", f"{path} has not the shape it should have: {odd}.")
    return {}


def unlike(value: Any, model: Any, where: str = "") -> str | None:
    """Where ``value`` has not the shape of ``model``: its members, and for each the same kind; None if it has.

    Lists may have any length; each element is held against the first of the model.

    >>> unlike({"lines": [{"text": 3}]}, {"lines": [{"text": "a", "paragraph": 0}]})
    '/lines/0/text must be a text'
    """
    if isinstance(model, Mapping):
        if not isinstance(value, Mapping):
            return f"{where or '/'} must be an object"
        for name, member in model.items():
            if name not in value:
                return f"{where}/{name} is missing"
            if odd := unlike(value[name], member, f"{where}/{name}"):
                return odd
        return None
    if isinstance(model, list):
        if not isinstance(value, list):
            return f"{where} must be a list"
        if model and not value:
            return f"{where} is empty"
        checks = (unlike(item, model[0], f"{where}/{number}") for number, item in enumerate(value) if model)
        return next(filter(None, checks), None)
    for kinds, name in ((bool, "true or false"), ((int, float), "a number"), (str, "a text")):
        if isinstance(model, kinds):
            fits = isinstance(value, kinds) and isinstance(value, bool) == (kinds is bool)
            return None if fits else f"{where} must be {name}"
    return None


def unreached(captions: Mapping[str, Any], post: Mapping[str, Any]) -> str | None:
    """What the edit of a caption file does not reach, in words; None where it reaches all.

    Each format is a file of its own. ``captions`` is format -> artifact, ``post`` the stage's input: the picture is
    drawn from ASS, a track made from SRT.
    """
    shown = {"srt": "captions.srt", "vtt": "captions.vtt"}
    if (used := caption_format(post)) is not None:
        shown[used] = "captions.srt and the film's track" if used == "srt" else "the captions in the picture"
    names = {kind: Path(artifact["path"]).name for kind, artifact in captions.items() if artifact}
    edited = [kind for kind in names if captions[kind].get("edited")]
    left = [kind for kind in shown if kind in names and kind not in edited]
    if not edited or not left:
        return None
    return (
        f"{' and '.join(names[kind] for kind in edited)} was changed by hand, but that does not reach "
        f"{' or '.join(shown[kind] for kind in left)}: make the same change in "
        f"{' and '.join(names[kind] for kind in left)}, in the same folder."
    )


def fields(family: str, op: str) -> dict[str, Any]:
    """Fields of an operation's input -> their schemas: what a document's parts that go there must be."""
    text = (SCHEMAS / family / f"{op}.schema.json").read_text(encoding="utf-8")
    properties: dict[str, Any] = json.loads(text)["$defs"]["input"]["properties"]
    return properties


def hold(item: Item, rules: Mapping[str, Any], more: Sequence[str] = ()) -> None:
    """See that a document which somebody edited can be used, before a worker refuses a part of it.

    ``rules`` is a JSON Schema, ``more`` what else is wrong with it. Raises StorygenError ``invalid_request`` that names
    the file, all that is wrong and what is allowed.
    """
    from jsonschema import Draft202012Validator

    path = item.path("document")
    document = json.loads(path.read_text(encoding="utf-8-sig"))
    found = sorted(Draft202012Validator(dict(rules)).iter_errors(document), key=lambda error: list(error.absolute_path))
    said = [line for error in found for line in sentences(error, "/".join(map(str, error.absolute_path)) or "it")]
    wrong = [line.rstrip(".") for line in dict.fromkeys(said)] or list(more)
    if wrong:
        file = f"{item.stage}/{item.name}/{path.name}"
        others = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise StorygenError(
            "invalid_request",
            f"{file} was changed by hand and cannot be used: {wrong[0]}{others}.",
            f"Correct {path}; or --force {item.stage}/{item.name} makes it anew.",
            wrong,
        )


def _subtitles(path: Path, mark: str) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise StorygenError("input_unreadable", f"{path} is not UTF-8 text.") from error
    if mark not in text:
        raise StorygenError("input_unreadable", f"{path} has no subtitles: there is no {mark!r} in it.")
    return {}


def _whole_wave(path: Path) -> None:
    """Players take a WAV file that was cut off; its header still says how long it should be."""
    try:
        with wave.open(str(path)) as file:
            promised = file.getnframes() * file.getnchannels() * file.getsampwidth()
    except (OSError, wave.Error, EOFError):
        return  # another format, or another kind of WAV: whoever decodes it will say
    if promised > path.stat().st_size:
        raise StorygenError("input_unreadable", f"{path} is cut off.")


def _media(path: Path, kind: str, pool: Pool) -> dict[str, Any]:
    """Facts of a picture, film or sound. A film's sound and last frame, and the whole of a picture, are decoded."""
    ask = {"v": 1, "engine": "ffmpeg"}
    heard = {"media": str(path), "loudness": kind != "image"}  # to measure it is to decode it
    said = pool.request("media_processing", {**ask, "op": "probe", "input": heard})["output"]
    wanted = {"image": "picture"}.get(kind, kind)
    if said["kind"] != wanted:
        raise StorygenError("input_unreadable", f"{path} is no {wanted} but {said['kind']}.")
    if kind != "audio":
        end = said["duration_s"] if kind == "video" else None
        with tempfile.TemporaryDirectory() as folder:
            look = {"media": str(path), "width": 16, "time_s": max(0.0, end - LAST_LOOK_S) if end else None}
            pool.request("media_processing", {**ask, "op": "thumbnail", "input": look, "output_dir": folder})
    said = {**said, **(said.get("audio" if kind == "audio" else "video") or {}), "duration_s": said["duration_s"]}
    return {name: said[name] for name in FACTS if said.get(name) is not None}
