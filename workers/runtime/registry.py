"""Engines: the file system is the list. ``engines/<family>/<engine>.py`` holds one class ``Engine``."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import os
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.errors import WorkerError

if TYPE_CHECKING:
    from runtime.engine import Engine

ENGINES = Path(__file__).resolve().parents[1] / "engines"
FACTS = (
    "version",
    "requires",
    "key_env",
    "remote",
    "ops",
    "capabilities",
    "models",
    "options_schema",
    "load",
    "run",
    "unload",
)
"""What ``runtime.engine.Engine`` asks of a class."""
NAME = re.compile(r"[a-z0-9][a-z0-9_]*")


def names(family: str) -> list[str]:
    """Names of a family's engine files; one with a leading underscore is not an engine."""
    return sorted(path.stem for path in (ENGINES / family).glob("*.py") if NAME.fullmatch(path.stem))


@cache
def engine_class(family: str, name: str) -> type[Engine]:
    """The class of one engine. Raises WorkerError ``engine_unavailable`` for an unknown name or a broken file."""
    known = names(family)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        guess = f" Did you mean {near[0]}?" if near else ""
        raise WorkerError(
            "engine_unavailable",
            f"{family} has no engine {name!r}.{guess}",
            pointer="/engine",
            hint=f"Known: {', '.join(known)}.",
        )
    try:
        found: type[Engine] = importlib.import_module(f"engines.{family}.{name}").Engine
        missing = [fact for fact in FACTS if not hasattr(found, fact)]
        if missing:
            raise TypeError(f"its class Engine lacks {', '.join(missing)}")
    except Exception as error:  # whatever a broken file raises, the other engines go on
        raise WorkerError(
            "engine_unavailable",
            f"The engine file {family}/{name}.py is broken: {type(error).__name__}: {error}",
            pointer="/engine",
        ) from error
    return found


def obstacle(engine: type[Engine]) -> str | None:
    """Why this engine cannot be used here, or None when it can."""
    missing = [module for module in engine.requires if importlib.util.find_spec(module.split(".")[0]) is None]
    if missing:
        return f"the Python package {', '.join(missing)} is not installed"
    if engine.key_env and not os.environ.get(engine.key_env):
        return f"the environment variable {engine.key_env} is not set"
    own: Callable[[], str | None] | None = getattr(engine, "obstacle", None)
    return own() if own else None


def _auto_obstacle(engine: type[Engine]) -> str | None:
    """Why ``auto`` passes this engine by, or None.

    An engine whose options choose among services, some without a key, is usable without one, but not without options:
    then it needs the key of its default service.
    """
    for option, keys in _option_keys(engine).items():
        key = keys.get(engine.options_schema["properties"][option]["default"])
        if key and not os.environ.get(key):
            return obstacle(engine) or f"the environment variable {key} is not set, and no other service is chosen"
    return obstacle(engine)


def _option_keys(engine: type[Engine]) -> Mapping[str, Mapping[str, str]]:
    """Option -> its value -> environment variable with the key that is needed then; most engines have none."""
    keys: Mapping[str, Mapping[str, str]] = getattr(engine, "option_keys", {})
    return keys


def choose(family: str, wanted: str, op: str | None, needs: Iterable[str], prefer: Iterable[str]) -> str:
    """The name of the engine for a request; ``auto`` is the first usable one that can, the preferred ones first.

    Without an ``op`` any engine will do.

    Raises WorkerError ``engine_unavailable``, ``auth_missing`` or ``unsupported_capability``, naming engines that can.
    """
    needs = set(needs)
    if wanted == "auto":
        order = [*prefer, *(name for name in names(family) if name not in prefer)]
        # An engine that cannot run without options of its own, such as scripted, is only taken by name.
        able = [
            name
            for name in _able(family, order, op, needs)
            if not engine_class(family, name).options_schema.get("required")
        ]
        usable = [name for name in able if _auto_obstacle(engine_class(family, name)) is None]
        if usable:
            return usable[0]
        if able:
            why = "; ".join(f"{name}: {_auto_obstacle(engine_class(family, name))}" for name in able)
            raise WorkerError("engine_unavailable", f"No engine for {op} is usable here. {why}.", pointer="/engine")
        raise WorkerError(
            "unsupported_capability",
            f"No engine of {family} can do {op} with {', '.join(sorted(needs)) or 'these fields'}.",
            pointer="/engine",
        )
    engine = engine_class(family, wanted)
    lacking = [op] if op is not None and op not in engine.ops else sorted(needs - engine.capabilities)
    if lacking:
        able = _able(family, names(family), op, needs)
        raise WorkerError(
            "unsupported_capability",
            f"The engine {wanted} cannot do {', '.join(lacking)}.",
            pointer="/engine",
            hint=f"Engines that can: {', '.join(able) or 'none'}.",
        )
    why_not = obstacle(engine)
    if why_not:
        code = "auth_missing" if engine.key_env and engine.key_env in why_not else "engine_unavailable"
        raise WorkerError(code, f"The engine {wanted} cannot be used here: {why_not}.", pointer="/engine")
    return wanted


def _able(family: str, order: Iterable[str], op: str | None, needs: set[str]) -> list[str]:
    found = []
    for name in order:
        try:
            engine = engine_class(family, name)
        except WorkerError:  # a broken file is listed by --describe; here it is simply no candidate
            continue
        if (op is None or op in engine.ops) and needs <= engine.capabilities:
            found.append(name)
    return found


def describe(family: str) -> dict[str, Any]:
    """Facts of every engine of a family, for ``--describe``; a broken file says why."""
    facts: dict[str, Any] = {}
    for name in names(family):
        try:
            engine = engine_class(family, name)
        except WorkerError as error:
            facts[name] = {"usable": False, "why_not": error.message}
            continue
        why_not = obstacle(engine)
        facts[name] = {
            "version": engine.version,
            "usable": why_not is None,
            "why_not": why_not,
            "remote": engine.remote,
            "ops": list(engine.ops),
            "capabilities": sorted(engine.capabilities),
            "models": dict(engine.models),
            "key_env": engine.key_env,
            "option_keys": {option: dict(keys) for option, keys in _option_keys(engine).items()},
            "options_schema": dict(engine.options_schema),
        }
    return facts
