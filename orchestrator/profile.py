"""Profiles say which engine does each stage: TOML, checked and completed by ``schemas/v1/profile.schema.json``."""

from __future__ import annotations

import copy
import json
import math
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from orchestrator.errors import SCHEMAS, StorygenError
from orchestrator.violations import sentences

PROFILES = Path(__file__).parent / "profiles"
TEXT = "text"
"""Engine of a stage that does what the table ``[text]`` says."""
TEXT_STAGES = ("idea", "script", "revision", "scenes", "guidance")
MODELLESS = frozenset({"none", "rules"})
"""Engines of a stage that asks no model."""
ALLOWED_VALUES = "a value is a text, a finite number, true, false, a list or a table"


def load(name: str, settings: Iterable[str] = ()) -> dict[str, Any]:
    """A profile by its name or the path of a TOML file, with ``stage.key=value`` settings laid over it.

    A setting that names another engine takes nothing of the model and the engine_options that the profile gave the
    first. Raises StorygenError ``usage`` for an unknown profile and ``invalid_request`` for one that breaks the schema.
    """
    profile, settings = _read(name), list(settings)
    before = {part: table.get("engine") for part, table in profile.items() if isinstance(table, dict)}
    asked: dict[str, Any] = {}
    for setting in settings:
        _set(asked, setting)
    for part, engine in before.items():
        if engine is not None and asked.get(part, {}).get("engine", engine) != engine:
            for what in ("model", "engine_options"):  # they are the other engine's
                profile[part].pop(what, None)
    for setting in settings:
        _set(profile, setting)
    return complete(profile)


def complete(profile: Any) -> dict[str, Any]:
    """A profile with its defaults. Raises StorygenError ``invalid_request`` for one that breaks the schema."""
    schema = json.loads((SCHEMAS / "profile.schema.json").read_text(encoding="utf-8"))
    hint = "Correct the profile or the --set; orchestrator/profiles/draft.toml is one to look at."
    return _with_text(checked(profile, schema, "the profile", hint, "stage"))


def names() -> list[str]:
    """The profiles that come with storygen."""
    return sorted(path.stem for path in PROFILES.glob("*.toml"))


def _with_text(profile: dict[str, Any]) -> dict[str, Any]:
    """The profile in which stages with the engine ``text`` have that of the table ``[text]``, and all it says.

    What such a stage says itself counts more: its tables are laid over those of ``[text]``, member by member.
    """
    shared = profile[TEXT]
    asking = [name for name in TEXT_STAGES if profile[name]["engine"] == TEXT]
    if asking and shared["engine"] in MODELLESS | {TEXT}:
        raise StorygenError(
            "invalid_request",
            f"The profile is wrong: {', '.join(asking)} would use the text model of all stages, but text.engine is "
            f"{shared['engine']}.",
            "Name it once for all of them, such as --set text.engine=transformers, or --set text.engine=openai.",
        )
    return {**profile, **{name: _laid_over(shared, profile[name]) for name in asking}}


def _laid_over(shared: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    both = {
        name: {**shared[name], **value} if isinstance(value, Mapping) else value or shared[name]
        for name, value in own.items()
    }
    return {**both, "engine": shared["engine"]}


def _read(name: str) -> dict[str, Any]:
    own = Path(name)
    path = own if own.suffix == ".toml" else PROFILES / f"{name}.toml"
    if not path.is_file():
        raise StorygenError(
            "usage", f"There is no profile {name!r}.", f"Known: {', '.join(names())}; or give the path of a .toml file."
        )
    try:
        profile = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StorygenError("invalid_request", f"The profile {path} is not TOML: {error}.") from error
    except OSError as error:
        raise StorygenError("input_unreadable", f"Cannot read the profile {path}: {error.strerror}.") from error
    if (odd := _no_json(profile)) is not None:
        raise StorygenError("invalid_request", f"The profile {path} holds {odd}; {ALLOWED_VALUES}.")
    return profile


def _set(profile: dict[str, Any], setting: str) -> None:
    """Lay ``stage.key=value`` over a profile; the value is null, or read as TOML where it is TOML, else as text."""
    name, equals, text = setting.partition("=")
    parts = name.strip().split(".")
    if not equals or len(parts) < 2 or not all(parts):
        raise StorygenError("usage", f"--set {setting!r} is not stage.key=value.", "Example: --set film.width=1920")
    try:
        value: Any = None if text == "null" else tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    if (odd := _no_json(value)) is not None:
        raise StorygenError(
            "usage",
            f"--set {setting!r} gives {odd}; {ALLOWED_VALUES}.",
            f"Put quotes around a text: --set '{name}=\"{text}\"'",
        )
    place: dict[str, Any] = profile
    for part in parts[:-1]:
        place = place.setdefault(part, {})
        if not isinstance(place, dict):
            raise StorygenError("usage", f"--set {setting!r}: {part} is not a table.")
    place[parts[-1]] = value


def _no_json(value: Any) -> str | None:
    """The first thing in a value of TOML that JSON has not: a date, a time, nan or inf."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        return next((odd for item in value if (odd := _no_json(item)) is not None), None)
    good = value is None or isinstance(value, (str, bool, int)) or (isinstance(value, float) and math.isfinite(value))
    return (
        None if good else f"{value}, {'no finite number' if isinstance(value, float) else 'a ' + type(value).__name__}"
    )


def checked(value: Any, schema: Mapping[str, Any], what: str, hint: str, member: str = "field") -> dict[str, Any]:
    """The value with its defaults filled in. Raises StorygenError ``invalid_request`` that lists every fault.

    ``what`` names the value in errors, ``member`` its members.
    """
    from jsonschema import Draft202012Validator

    details = []
    for error in Draft202012Validator(schema).iter_errors(value):
        where = ".".join(map(str, error.absolute_path))
        details += sentences(error, where or what, "field" if where else member)
    if details:
        raise StorygenError("invalid_request", f"{what[0].upper()}{what[1:]} is wrong: {details[0]}", hint, details)
    return _filled(value, schema, schema)


def _filled(value: Mapping[str, Any], part: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    whole = dict(value)
    for name, inner in part.get("properties", {}).items():
        target = schema["$defs"]["stage"] if "$ref" in inner else inner
        given = whole.get(name, copy.deepcopy(inner.get("default")))
        if target["type"] == "integer":
            given = int(given)  # 1080.0 is one too, by the schema
        whole[name] = _filled(given, target, schema) if target.get("properties") else given
    return whole
