"""What a profile takes: the engines of its parts, the keys that their services want, the models that they read."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.doctor_findings import install
from orchestrator.errors import SCHEMAS, StorygenError
from orchestrator.profile import MODELLESS, TEXT_STAGES

MODELS = {
    **dict.fromkeys(TEXT_STAGES, ("text_generation", "chat")),
    "recognition": ("speech_recognition", "align"),
    "vision": ("vision_language", "validate_scene"),
}
"""Parts of a profile that may name a model -> the family and the operation it is asked for."""
OPERATIONS = {
    **MODELS,
    "voice": ("speech_synthesis", "synthesize"),
    "subtitles": ("media_processing", "captions"),
    "keyframes": ("image_generation", "generate"),
    "video": ("video_generation", "animate"),
    "post": ("media_processing", "compose"),
}
"""Parts of a profile that name an engine -> its family and the operation it is asked for."""
WHOLE = 0.9
"""A model of less than this share of the size in the table lacks files; the table's sizes are rounded."""


@dataclass(frozen=True)
class Taken:
    """An engine that a part of a profile takes."""

    part: str
    family: str
    op: str
    engine: str
    settings: Mapping[str, Any]
    first: bool
    """Whether it is the part's own choice, not one that it falls back to."""

    @property
    def needed(self) -> bool:
        """Whether the part cannot be done without it."""
        return self.first and not self.settings["fallback"]


@dataclass(frozen=True)
class Lack:
    """Something that an engine of a profile needs and that is not on this machine."""

    of: Taken
    code: str
    why: str
    """What is the matter, such as ``the environment variable OPENAI_API_KEY is not set``; no full stop."""
    advice: str
    key: str | None = None
    """The environment variable that is to be set, where that is it."""
    model: Model | None = None
    """The model that is to be downloaded, where that is it."""

    @property
    def error(self) -> StorygenError:
        """What an item ends with that needs it."""
        message = f"The engine {self.of.engine} of {self.of.family} cannot be used here: {self.why}."
        return StorygenError(self.code, message, self.advice)


@dataclass(frozen=True)
class Model:
    """A model that must be on this machine."""

    id: str
    """Id on the hub, or a folder."""
    revision: str | None
    """Branch, tag or commit that is asked for; None: the main branch."""
    models_dir: str | None
    """Folder where its profile has models live; None: the usual place."""

    @property
    def place(self) -> dict[str, str]:
        """The options that say where it lies."""
        return {"models_dir": self.models_dir} if self.models_dir else {}

    @property
    def flags(self) -> str:
        """What the commands of ``storygen models`` must be told of it, with a blank before each."""
        named = {"--revision": self.revision, "--models-dir": self.models_dir}
        return "".join(f" {flag} {shlex.quote(value)}" for flag, value in named.items() if value)

    def bytes_here(self, listed: Mapping[str, Any]) -> int | None:
        """Bytes of it, of what the worker for models lists of its id; None where that is another revision.

        A folder that was put there by hand has no revisions, and is taken for what is asked.
        """
        revisions = listed.get("revisions") or []
        wanted = self.revision or "main"
        found = [row for row in revisions if wanted in row["names"] or row["commit"] == wanted]
        if revisions and not found:
            return None
        return int(found[0]["bytes"] if found else listed["bytes"])


def taken(profile: Mapping[str, Any]) -> Iterator[Taken]:
    """Every engine that a complete profile names, in the order of its parts."""
    for part, settings in profile.items():
        if part in OPERATIONS:
            for number, engine in enumerate([settings["engine"], *settings["fallback"]]):
                if engine not in MODELLESS:
                    yield Taken(part, *OPERATIONS[part], engine, settings, number == 0)


def missing_key(facts: Mapping[str, Any], engine_options: Mapping[str, Any]) -> str | None:
    """The environment variable that must hold a key for an engine used so and holds none; None where all is well.

    ``facts`` are what the engine's worker says of it: its one key, or those that its options ask for.
    """
    wanted = [facts.get("key_env")]
    for option, keys in facts.get("option_keys", {}).items():
        default = facts["options_schema"]["properties"][option]["default"]
        wanted.append(keys.get(engine_options.get(option, default)))
    return next((key for key in wanted if key and not os.environ.get(key)), None)


def obstacles(one: Taken, engines: Mapping[str, Mapping[str, Any]]) -> Iterator[Lack]:
    """Why an engine cannot do what a profile wants of it, models apart; ``engines`` are its family's facts."""
    facts = engines.get(one.engine)
    if facts is None:
        why = f"{one.family} has no engine {one.engine!r}"
        yield Lack(one, "engine_unavailable", why, f"Engines of {one.family}: {', '.join(engines)}.")
        return
    key = missing_key(facts, one.settings["engine_options"] if one.first else {})
    if key:
        why, advice = f"the environment variable {key} is not set", f"Set it to the key of that service: export {key}=…"
        yield Lack(one, "auth_missing", why, advice, key=key)
    if not facts["usable"] and (key is None or key not in facts["why_not"]):
        package = "Python package" in facts["why_not"]
        other = f"Name another engine: --set {one.part}.engine=…"
        advice = install("hosted" if facts.get("remote") else "models") if package else other
        yield Lack(one, "engine_unavailable", facts["why_not"], advice)


def models(one: Taken, engines: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Ids, or folders, of the models that must be on this machine for it; ``engines`` are its family's facts.

    Of an engine that is told none, the one it takes by itself, where the table of models has one.
    """
    if one.engine not in engines or engines[one.engine].get("remote"):
        return []
    own = one.settings["model"].get("id") if one.first else None
    return [*([own] if own else _defaults(one.family, one.engine)), *(named_in(one.settings["input"]))]


def wanted(one: Taken, engines: Mapping[str, Mapping[str, Any]]) -> list[Model]:
    """The same with the revision and the folder that the profile names; of models beside its own, the main branch."""
    own = one.settings["model"] if one.first else {}
    models_dir = place(one.settings["options"]).get("models_dir")
    return [
        Model(hub_id(model), own.get("revision") if model == own.get("id") else None, models_dir)
        for model in models(one, engines)
    ]


def row(model: str) -> Mapping[str, Any] | None:
    """What the table says of a model, named by its id or its short name."""
    return next((row for row in table() if model in (row["id"], row["alias"])), None)


def hub_id(model: str) -> str:
    """The id on the hub of a model that is named by its short name; a folder stays what it is."""
    known = None if is_folder(model) else row(model)
    return str(known["id"]) if known else model


def place(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that say where models lie."""
    return {name: options[name] for name in ("models_dir",) if options.get(name)}


def table() -> list[dict[str, Any]]:
    """The models that are known, with what they take: ``schemas/v1/models.json``."""
    rows: list[dict[str, Any]] = json.loads((SCHEMAS / "models.json").read_text(encoding="utf-8"))
    return rows


def _defaults(family: str, engine: str) -> list[str]:
    return [row["id"] for row in table() if row["default"] and (row["engine"], row["family"]) == (engine, family)]


def named_in(input: Mapping[str, Any]) -> Iterator[str]:  # noqa: A002 - the wire's word
    """Models that an operation's input names beside its own: the refiner, LoRAs, control models."""
    parts = [input.get("refiner"), *(input.get("loras") or []), *(input.get("control") or [])]
    for part in parts:
        named = (part.get("model") or part.get("id")) if isinstance(part, Mapping) else None
        if isinstance(named, str):
            yield named


def is_folder(model: str) -> bool:
    """Whether a model is named by its place on this machine."""
    return Path(model).exists()
