"""Profiles say which engine does each stage: TOML, checked and completed by ``schemas/v1/profile.schema.json``."""

from __future__ import annotations

import copy
import difflib
import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from orchestrator.errors import SCHEMAS, StorygenError

PROFILES = Path(__file__).parent / "profiles"


def load(name: str, settings: Iterable[str] = ()) -> dict[str, Any]:
    """A profile by its name or the path of a TOML file, with ``stage.key=value`` settings laid over it.

    Raises StorygenError ``usage`` for an unknown profile and ``invalid_request`` for one that breaks the schema.
    """
    profile = _read(name)
    for setting in settings:
        _set(profile, setting)
    schema = json.loads((SCHEMAS / "profile.schema.json").read_text(encoding="utf-8"))
    _check(profile, schema)
    return _filled(profile, schema, schema)


def _read(name: str) -> dict[str, Any]:
    own = Path(name)
    path = own if own.suffix == ".toml" else PROFILES / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(found.stem for found in PROFILES.glob("*.toml")))
        raise StorygenError(
            "usage", f"There is no profile {name!r}.", f"Known: {known}; or give the path of a .toml file."
        )
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StorygenError("invalid_request", f"The profile {path} is not TOML: {error}.") from error


def _set(profile: dict[str, Any], setting: str) -> None:
    """Lay ``stage.key=value`` over a profile; the value is read as TOML where it is TOML, else as text."""
    name, equals, text = setting.partition("=")
    parts = name.strip().split(".")
    if not equals or len(parts) < 2 or not all(parts):
        raise StorygenError("usage", f"--set {setting!r} is not stage.key=value.", "Example: --set film.width=1920")
    try:
        value: Any = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    place: dict[str, Any] = profile
    for part in parts[:-1]:
        place = place.setdefault(part, {})
        if not isinstance(place, dict):
            raise StorygenError("usage", f"--set {setting!r}: {part} is not a table.")
    place[parts[-1]] = value


def _check(profile: dict[str, Any], schema: dict[str, Any]) -> None:
    from jsonschema import Draft202012Validator

    details = []
    for error in Draft202012Validator(schema).iter_errors(profile):
        where = ".".join(str(part) for part in error.absolute_path)
        guess = ""
        if error.validator == "additionalProperties":
            known = list(error.schema["properties"])
            near = [
                match
                for key in error.instance
                if key not in known
                for match in difflib.get_close_matches(key, known, n=1)
            ]
            guess = f" Did you mean {near[0]}?" if near else f" Known: {', '.join(known)}."
        details.append(f"{where or 'the profile'}: {error.message}.{guess}")
    if details:
        raise StorygenError("invalid_request", f"The profile is wrong: {details[0]}", details=details)


def _filled(value: Mapping[str, Any], part: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    whole = dict(value)
    for name, inner in part.get("properties", {}).items():
        target = schema["$defs"]["stage"] if "$ref" in inner else inner
        given = whole.get(name, copy.deepcopy(inner.get("default")))
        whole[name] = _filled(given, target, schema) if target.get("properties") else given
    return whole
