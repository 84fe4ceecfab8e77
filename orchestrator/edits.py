"""Artifacts that somebody changed by hand: the user's edit if it still reads as what it should be, else damage."""

from __future__ import annotations

import json
import tempfile
import wave
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from orchestrator.errors import StorygenError
from orchestrator.pool import Pool

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
