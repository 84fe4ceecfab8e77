"""What the doctor says of a profile: its engines, keys and models, and whether they fit this machine."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.filesize import decimal

from orchestrator import memory, needs
from orchestrator import profile as profiles
from orchestrator.doctor_findings import Finding, State, in_words, install
from orchestrator.errors import StorygenError
from orchestrator.memory import Memory
from orchestrator.needs import Model, Taken
from orchestrator.worker import describe

FAMILY = "model_management"
DRAFT = "draft"
LOOKING = "models"
"""The finding that models cannot be looked for."""

Ask = Callable[[str, Mapping[str, Any], Mapping[str, Any]], dict[str, Any]]
"""(operation, input, options) -> output of the worker for models."""
Described = Mapping[str, Mapping[str, Any]]
"""Family -> what its worker says of itself; those that do not answer are left out."""


@dataclass(frozen=True)
class _Wanted:
    """A model, and what it is for."""

    model: Model
    parts: tuple[str, ...]
    state: State
    """What it is when it is not here."""


def of_profile(name: str, profile: Mapping[str, Any], known: Described, ask: Ask) -> list[Finding]:
    """What the profile needs, and whether it is here; a fault is what a run of it would end with."""
    taken = [one for one in needs.taken(profile) if one.family in known]
    models = _models(list(_wanted(taken, known)), f"storygen models download --profile {name}", ask)
    return [*_engines(taken, known), *models, *_fit(taken, known, ask)]


def of_all(known: Described, ask: Ask) -> list[Finding]:
    """What the draft needs, and the models of the profiles that come with storygen: being without one is no fault."""
    draft = [one for one in needs.taken(profiles.load(DRAFT)) if one.family in known]
    taken = [one for name in profiles.names() for one in needs.taken(profiles.load(name)) if one.family in known]
    models = _models(list(_wanted(taken, known)), None, ask)
    return [*_engines(draft, known), *map(_calmer, models)]


def _calmer(one: Finding) -> Finding:
    """What a finding about models is to somebody who may want none: a warning where they cannot even be looked for."""
    return replace(one, state="warning" if one.name == LOOKING and one.advice != install("models") else "ok")


def _engines(taken: Sequence[Taken], known: Described) -> Iterator[Finding]:
    """One finding for each engine, with the parts it is for: a fault where a part has no other that would do."""
    groups: dict[str, list[tuple[Taken, str | None, str | None]]] = {}
    usable: set[tuple[str, str]] = set()
    for one in taken:
        trouble, advice = _trouble(one, known[one.family]["engines"])
        groups.setdefault(f"{one.family} {one.engine}", []).append((one, trouble, advice))
        if trouble is None:
            usable.add((one.part, one.engine))
    for name, uses in groups.items():
        bad = [use for use in uses if use[1]]
        parts = ", ".join(one.part for one, _, _ in bad or uses)
        if not bad:
            yield Finding(f"for {parts}", "ok", f"{name} is usable")
            continue
        spare = [next((e for e in one.settings["fallback"] if (one.part, e) in usable), None) for one, _, _ in bad]
        needed = any(one.first and other is None for (one, _, _), other in zip(bad, spare, strict=True))
        instead = f"; {spare[0]} would do it" if spare[0] and bad[0][0].first else ""
        yield Finding(f"for {parts}", "fault" if needed else "warning", f"{name}: {bad[0][1]}{instead}", bad[0][2])


def _trouble(one: Taken, engines: Mapping[str, Mapping[str, Any]]) -> tuple[str | None, str | None]:
    """Why an engine cannot do what the profile wants of it, and what to do; (None, None) where it can."""
    if one.engine == "auto":
        return None, None
    if one.first and one.settings["python"] is not None:  # an engine with an environment of its own
        engines = describe(one.family, one.settings["python"])["engines"]
    lack = next(needs.obstacles(one, engines), None)
    return (lack.why, lack.advice) if lack else (None, None)


def _wanted(taken: Sequence[Taken], known: Described) -> Iterator[_Wanted]:
    """Every model once."""
    uses: dict[Model, list[Taken]] = {}
    for one in taken:
        for model in needs.wanted(one, known[one.family]["engines"]):
            uses.setdefault(model, []).append(one)
    for model, users in uses.items():
        state: State = "fault" if any(one.needed for one in users) else "warning"
        parts = tuple(dict.fromkeys(one.part for one in users))
        yield _Wanted(model, parts, state)


def _models(wanted: Sequence[_Wanted], get: str | None, ask: Ask) -> Iterator[Finding]:
    """Whether each model is here, by its folder or by what the worker lists; then whether the rest has room.

    ``get`` is the command that downloads all of them; None: each has its own.
    """
    here: dict[tuple[str | None, str], Mapping[str, Any]] = {}
    rooms: dict[str | None, tuple[str, int]] = {}
    missing_gb: dict[str | None, float] = {}
    try:
        for models_dir, place in {one.model.models_dir: one.model.place for one in wanted}.items():
            listed = ask("list", {}, place)
            here |= {(models_dir, row["id"]): row for row in listed["models"]}
            rooms[models_dir] = listed["folder"], listed["free_bytes"]
    except StorygenError as error:
        advice = install("models") if error.code == "engine_unavailable" else error.hint
        yield Finding(LOOKING, _worst(wanted), f"cannot be looked for: {in_words(error)}", advice)
    for one in wanted:
        model = one.model
        command = get or f"storygen models download {shlex.quote(model.id)}{model.flags}"
        finding, lacking_gb = _model(one, here.get((model.models_dir, model.id)), command, looked=bool(rooms))
        missing_gb[model.models_dir] = missing_gb.get(model.models_dir, 0.0) + lacking_gb
        yield finding
    for models_dir, (folder, free) in rooms.items():
        if missing_gb[models_dir] * 1e9 > free:
            found = f"{decimal(free)} free in {folder}, {missing_gb[models_dir]:.1f} GB to download"
            advice = "Make room, or let STORYGEN_MODELS_DIR name a folder on another disk."
            yield Finding("room for models", _worst(wanted), found, advice)


def _worst(wanted: Sequence[_Wanted]) -> State:
    return "fault" if any(one.state == "fault" for one in wanted) else "warning"


def _model(one: _Wanted, here: Mapping[str, Any] | None, get: str, *, looked: bool) -> tuple[Finding, float]:
    """What to say of a model, and how much of it in GB is yet to come; ``looked`` whether it could be looked for."""
    model = one.model
    row = needs.row(model.id) or {}
    size_gb: float | None = row.get("disk_gb")
    name, parts = f"model {row.get('alias', model.id)}", f"for {', '.join(one.parts)}"
    if needs.is_folder(model.id):
        return Finding(name, "ok", f"a folder of this machine; {parts}"), 0.0
    if here and model.bytes_here(here) is None:
        others = ", ".join(names for each in here["revisions"] for names in each["names"] or [each["commit"][:8]])
        found = f"{model.id} is here in revision {others}, not in {model.revision or 'main'}; {parts}"
        return Finding(name, one.state, found, get), size_gb or 0.0
    has_gb = (model.bytes_here(here) or 0) / 1e9 if here else 0.0
    left_gb = max(0.0, (size_gb or 0.0) - has_gb)
    if here and here.get("state") == "damaged":
        found = f"{model.id} is damaged: files that were here are gone; {parts}"
        return Finding(name, one.state, found, f"storygen models verify {model.id}{model.flags} --repair"), left_gb
    if here and not here["begun_bytes"] and (size_gb is None or has_gb >= needs.WHOLE * size_gb):
        return Finding(name, "ok", f"is here, {has_gb:.1f} GB; {parts}"), 0.0
    if here and not here["begun_bytes"]:
        found = f"is here with {has_gb:.1f} of about {size_gb:g} GB, so files may be missing; {parts}"
        return Finding(name, "warning", found, f"storygen models verify {model.id}{model.flags} --repair"), left_gb
    size = f"{size_gb:g} GB to download" if size_gb else "its size is said before it is downloaded"
    come = f", {(here['begun_bytes'] / 1e9) + has_gb:.1f} GB of it have come" if here else ""
    absent = "is not here" if looked else "may not be here"
    gated = f"{row['advice']} Then: " if row.get("gated") else ""
    return Finding(name, one.state, f"{model.id} {absent}: {size}{come}; {parts}", gated + get), left_gb


def _fit(taken: Sequence[Taken], known: Described, ask: Ask) -> Iterator[Finding]:
    """Whether the models fit this machine's memory, as ``validate_config`` reckons; one engine a family."""
    families: dict[str, dict[str, Any]] = {}
    needed: dict[str, bool] = {}
    for one in taken:
        named = needs.models(one, known[one.family]["engines"])
        if one.first and named and not needs.is_folder(named[0]) and one.family not in families:
            options = {name: value for name, value in one.settings["options"].items() if name in ("device", "offload")}
            families[one.family] = {"engine": one.engine, "model": one.settings["model"], "options": options}
            needed[one.family] = one.needed
    if not families:
        return
    config = {"config": {"v": 1, "families": families}}
    machine = ask("validate_config", config, {})["hardware"]
    # Models that are here take no more room, and whether the others have it is said above: the disk is not asked.
    said = ask("validate_config", {**config, "hardware": {**machine, "disk_gb": None}}, {})
    better = {row["pointer"].split("/")[2]: row["message"] for row in said["recommendations"]}
    for kind, rows in (("errors", said["errors"]), ("warnings", said["warnings"])):
        for row in rows:
            parts = row["pointer"].split("/")
            if len(parts) < 4 or parts[3] == "engine":
                continue  # whether it is usable has been said
            advice = better.get(parts[2], "storygen models recommend says what suits this machine.")
            state: State = "fault" if kind == "errors" and needed[parts[2]] else "warning"
            yield Finding(f"fit of {parts[2]}", state, row["message"], advice)
    yield from _fit_together(taken, known, machine)


def _fit_together(taken: Sequence[Taken], known: Described, machine: Mapping[str, Any]) -> Iterator[Finding]:
    """A warning where models that each fit this machine have no room in it at the same time."""
    largest: dict[str, Memory] = {}
    for one in taken:
        engines = known[one.family]["engines"]
        if one.first and needs.models(one, engines):
            takes = memory.estimate(engines[one.engine].get("models") or {}, one.settings)
            if takes.card < memory.UNKNOWN and takes.main < memory.UNKNOWN:
                largest[one.family] = max(
                    takes, largest.get(one.family, takes), key=lambda each: (each.card, each.main)
                )
    for what, key, sizes in (
        ("GPU memory", "vram_gb", {family: takes.card / memory.GB for family, takes in largest.items()}),
        ("memory", "ram_gb", {family: takes.main / memory.GB for family, takes in largest.items()}),
    ):
        fitting = {family: size for family, size in sizes.items() if 0 < size <= machine[key]}
        if sum(fitting.values()) > machine[key]:
            listed = ", ".join(f"{family} {size:g}" for family, size in fitting.items())
            found = (
                f"together they take {sum(fitting.values()):g} GB of {what} ({listed}); there are {machine[key]:g} GB"
            )
            advice = (
                "They take turns, and each change loads a model again. What is proposed here is for each by itself."
            )
            yield Finding("fit together", "warning", found, advice)
