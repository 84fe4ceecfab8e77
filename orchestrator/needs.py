"""What a profile takes: the engines of its parts, the keys that their services want, the models that they read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.errors import SCHEMAS
from orchestrator.profile import MODELLESS, TEXT_STAGES

MODELS = {
    **dict.fromkeys(TEXT_STAGES, ("text_generation", "chat")),
    "recognition": ("speech_recognition", "align"),
    "vision": ("vision_language", "validate_scene"),
}
"""Parts of a profile that may name a model -> the family and the operation it is asked for."""
FAMILIES = {
    **{part: family for part, (family, _) in MODELS.items()},
    "voice": "speech_synthesis",
    "subtitles": "media_processing",
    "keyframes": "image_generation",
    "video": "video_generation",
    "post": "media_processing",
}
"""Parts of a profile that name an engine -> its family."""


@dataclass(frozen=True)
class Taken:
    """An engine that a part of a profile takes."""

    part: str
    family: str
    engine: str
    settings: Mapping[str, Any]
    first: bool
    """Whether it is the part's own choice, not one that it falls back to."""

    @property
    def needed(self) -> bool:
        """Whether the part cannot be done without it."""
        return self.first and not self.settings["fallback"]


def taken(profile: Mapping[str, Any]) -> Iterator[Taken]:
    """Every engine that a complete profile names, in the order of its parts."""
    for part, settings in profile.items():
        if part in FAMILIES:
            for number, engine in enumerate([settings["engine"], *settings["fallback"]]):
                if engine not in MODELLESS:
                    yield Taken(part, FAMILIES[part], engine, settings, number == 0)


def missing_key(facts: Mapping[str, Any], engine_options: Mapping[str, Any]) -> str | None:
    """The environment variable that must hold a key for an engine used so and holds none; None where all is well.

    ``facts`` are what the engine's worker says of it: its one key, or those that its options ask for.
    """
    wanted = [facts.get("key_env")]
    for option, keys in facts.get("option_keys", {}).items():
        default = facts["options_schema"]["properties"][option]["default"]
        wanted.append(keys.get(engine_options.get(option, default)))
    return next((key for key in wanted if key and not os.environ.get(key)), None)


def models(one: Taken, engines: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Ids, or folders, of the models that must be on this machine for it; ``engines`` are its family's facts.

    Of an engine that is told none, the one it takes by itself, where the table of models has one.
    """
    if one.engine not in engines or engines[one.engine].get("remote"):
        return []
    own = one.settings["model"].get("id") if one.first else None
    return [*([own] if own else _defaults(one.family, one.engine)), *(named_in(one.settings["input"]))]


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
