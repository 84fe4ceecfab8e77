"""From a parsed request to one that an engine can run."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from runtime import registry, validation
from runtime.errors import WorkerError

Needs = Callable[[str, Mapping[str, Any]], set[str]]


def nothing(op: str, input: Mapping[str, Any]) -> set[str]:  # noqa: A002 - the wire's word
    """The default of ``Family.needs``: every engine can do every request."""
    return set()


@dataclass(frozen=True)
class Family:
    """What is true for every engine of a family."""

    name: str
    prefer: tuple[str, ...] = ()
    """Engines that ``auto`` tries first, in order; the others follow by name."""
    needs: Needs = nothing
    """(op, input) -> the capabilities that this request asks of an engine."""


@dataclass(frozen=True)
class Request:
    """A valid request, complete with defaults, for a known and usable engine."""

    id: str
    op: str
    engine: str
    model: Mapping[str, Any]
    input: dict[str, Any]
    engine_options: Mapping[str, Any]
    options: Mapping[str, Any]
    output_dir: Path
    output_name: str


def prepare(
    raw: dict[str, Any], family: Family, *, output_dir: Path | None, timeout_s: float | None, serving: bool
) -> Request:
    """Check and complete a request; nothing heavy is imported.

    ``output_dir`` and ``timeout_s`` come from the flags; ``serving`` refuses relative paths. Raises WorkerError.
    """
    named = raw.get("engine")
    known = isinstance(named, str) and named in registry.names(family.name)
    options_schema = registry.engine_class(family.name, str(named)).options_schema if known else None
    whole = validation.envelope(raw, family.name, options_schema)
    folder = _inside(whole["output_dir"], output_dir, serving)
    given = whole["input"]
    schema = validation.input_schema(family.name, whole["op"])
    complete = validation.filled(given, schema)
    needs = family.needs(whole["op"], complete) | _choices(whole)
    name = registry.choose(family.name, whole["engine"], whole["op"], needs, family.prefer)
    engine = registry.engine_class(family.name, name)
    if options_schema is None:
        validation.raise_for(validation.violations(whole["engine_options"], engine.options_schema, "/engine_options"))
    engine_options = validation.filled(whole["engine_options"], engine.options_schema)
    complete = validation.filled(given, schema, better=model_defaults(engine.models, whole["model"]["id"]))
    identity = whole["id"] or f"r-{uuid.uuid4().hex[:12]}"
    return Request(
        id=identity,
        op=whole["op"],
        engine=name,
        model=whole["model"],
        input=validation.with_found_files(complete, schema, "/input", absolute_only=serving),
        engine_options=validation.with_found_files(
            engine_options, engine.options_schema, "/engine_options", absolute_only=serving
        ),
        options={**whole["options"], "timeout_s": whole["options"]["timeout_s"] or timeout_s},
        output_dir=folder,
        output_name=whole["output_name"] or identity,
    )


def _choices(whole: Mapping[str, Any]) -> set[str]:
    """Choosing a model or a device asks for an engine that has some."""
    chosen = {"model": any(value is not None for value in whole["model"].values())}
    chosen["device"] = whole["options"]["device"] not in {"auto", "cpu"}
    return {capability for capability, wanted in chosen.items() if wanted}


def _inside(asked: str | None, allowed: Path | None, serving: bool) -> Path:
    """The folder to write to: never outside the folder that ``--output-dir`` names."""
    if serving and asked is not None and not Path(asked).is_absolute():
        raise WorkerError(
            "invalid_request",
            f"{asked} is a relative path.",
            pointer="/output_dir",
            hint="With --serve every path is absolute.",
        )
    folder = Path(asked or allowed or ".").resolve()
    if allowed is not None and not folder.is_relative_to(allowed.resolve()):
        raise WorkerError(
            "invalid_request",
            f"output_dir {asked} lies outside --output-dir {allowed}.",
            pointer="/output_dir",
            hint=f"Use a folder inside {allowed} or leave output_dir out.",
        )
    return folder


def model_facts(models: Mapping[str, Mapping[str, Any]], model_id: str | None) -> Mapping[str, Any] | None:
    """What an engine knows of a model by its id; a folder is known by its name, in any case of letters.

    No id is the engine's own choice, the first of its ``models``. A name there with a ``*`` stands for all models whose
    name fits and that have no name of their own.

    >>> models = {"me/slow": {"limit": 1}, "*fast*": {"limit": 2}}
    >>> model_facts(models, "/models/Slow"), model_facts(models, "you/very-fast"), model_facts(models, "you/other")
    ({'limit': 1}, {'limit': 2}, None)
    """
    if model_id is None:
        return next(iter(models.values()), None)
    last = Path(model_id).name.lower()
    named = {name.rpartition("/")[2].lower(): facts for name, facts in models.items()}
    patterns = (facts for name, facts in named.items() if "*" in name and fnmatchcase(last, name))
    return models.get(model_id) or named.get(last) or next(patterns, None)


def model_defaults(models: Mapping[str, Mapping[str, Any]], model_id: str | None) -> Mapping[str, Any]:
    """What an engine knows to be better for a model than the schema's defaults: input field -> value."""
    defaults: Mapping[str, Any] = (model_facts(models, model_id) or {}).get("defaults", {})
    return defaults
