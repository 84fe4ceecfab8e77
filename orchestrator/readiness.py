"""What the coming stages of a run lack on this machine, all of it before the first one: keys, engines, models.

An engine with another to fall back to does not keep a run from beginning: the other one takes its place from the start,
and the run says so once. What only a service itself knows, such as a wrong key, is said when it is first asked.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from orchestrator import needs
from orchestrator.asking import thinks
from orchestrator.errors import StorygenError
from orchestrator.needs import Lack, Model, Taken
from orchestrator.pool import Pool
from orchestrator.stages.keyframes import is_judged
from orchestrator.subject import NEEDED

FAMILIES = ("speech_synthesis", "image_generation", "video_generation", "media_processing")
"""Worker families of every film."""
LISTING_S = 30.0
"""Longest wait for what models are here; then nobody knows, and the run begins."""
IDEAS_ONLY = frozenset({*NEEDED, "revision"})
"""Parts that ask no model where there is a story."""
STAGE_OF = {"recognition": "subtitles", "vision": "keyframes"}
"""Parts of a profile that are no stage of their own -> the stage that uses them for every film."""
HUB_ID = re.compile(r"\w[\w.-]*(/[\w.-]+)?")

Here = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Place of models -> id -> what the worker for models lists of it; a place that it cannot list is left out."""


@dataclass(frozen=True)
class Gap:
    """A part of the profile whose own engine cannot be used here."""

    part: str
    lacks: Sequence[Lack]
    """What its own engine lacks, at least one thing."""
    instead: str | None
    """The first engine that it may fall back to and that can be used; None where there is none."""


def stage_of(part: str) -> str:
    """The stage that a part of the profile is told with."""
    return STAGE_OF.get(part, part)


def stages_of(part: str, profile: Mapping[str, Any], *, from_idea: bool) -> set[str]:
    """The stages of a film that ask a part of the profile."""
    if part == "vision":
        scoring = {stage_of(part)} if is_judged(profile) else set()
        return scoring | ({"guidance"} if profile["film"]["references"] is not None else set())
    if part in IDEAS_ONLY and not from_idea:
        return set()
    return {stage_of(part)}


def coming(profile: Mapping[str, Any], stages: Collection[str], *, from_idea: bool) -> list[Taken]:
    """The engines that a run of these stages may ask."""
    return [one for one in needs.taken(profile) if stages_of(one.part, profile, from_idea=from_idea) & set(stages)]


def families(profile: Mapping[str, Any]) -> list[str]:
    """The worker families that a film of this profile takes."""
    named = {family: None for part, (family, _) in needs.MODELS.items() if thinks(profile[part])}
    return [*FAMILIES, *named]


def look(pool: Pool, profiles: Iterable[Mapping[str, Any]], taken: Iterable[Taken]) -> Here:
    """Have the families of these profiles say what they can, and the worker for models what is here, if that matters.

    All at the same time: each takes a second or so to start.
    """
    wanted = list(dict.fromkeys(family for profile in profiles for family in families(profile)))
    places = {repr(place): place for one in taken if _reads_models(one) for place in [_place(one)]}
    with ThreadPoolExecutor(1) as threads:
        listing = threads.submit(_listed, places) if places else None
        pool.describe_all(wanted)
        return listing.result() if listing else {}


def lacks_of(taken: Iterable[Taken], pool: Pool, here: Here) -> list[Lack]:
    """Whatever any of the engines lacks, those of fallbacks too, in the order of the profile."""
    return [lack for one in taken for lack in _lacks(one, pool, here)]


def gaps(taken: Iterable[Taken], lacks: Sequence[Lack]) -> list[Gap]:
    """The parts whose own engine lacks something."""
    parts: dict[str, dict[str, list[Lack]]] = {}
    for one in taken:
        parts.setdefault(one.part, {})[one.engine] = [lack for lack in lacks if lack.of == one]
    found = []
    for part, engines in parts.items():
        own = next(iter(engines.values()))
        if own:
            found.append(Gap(part, own, next((name for name, lacking in engines.items() if not lacking), None)))
    return found


def faults(found: Sequence[Gap]) -> list[tuple[str, str]]:
    """(part, what is the matter) of parts for which no engine can be used; of those that lack the same, once."""
    lacks = [lack for gap in found if gap.instead is None for lack in gap.lacks]
    return [(parts[0], _sentence(lack, parts)) for lack, parts in _by_cause(lacks)]


def error(found: Sequence[Gap]) -> StorygenError | None:
    """The end of a run whose parts have no engine that can be used; None where each has one."""
    said = [sentence for _, sentence in faults(found)]
    if not said:
        return None
    lacks = [lack for gap in found if gap.instead is None for lack in gap.lacks]
    message = f"{said[0]}." if len(said) == 1 else f"The run lacks {len(said)} things: {'; '.join(said)}."
    return StorygenError(lacks[0].code, message, _advice(lacks), said)


def replacements(found: Sequence[Gap]) -> list[tuple[str, str]]:
    """(part, what to say) of engines whose place another one takes; of parts that lack the same, once."""
    causes: dict[tuple[str, str, str | None], list[Gap]] = {}
    for gap in found:
        if gap.instead is not None:
            causes.setdefault((gap.lacks[0].of.engine, gap.lacks[0].why, gap.instead), []).append(gap)
    said = []
    for (_, _, instead), alike in causes.items():
        lacks = [lack for gap in alike for lack in gap.lacks]
        what = "; ".join(_fault(lack) for lack, _ in _by_cause(lacks))
        places = f" of {', '.join(gap.part for gap in alike)}" if len(alike) > 1 else ""
        message = f"{what[0].upper()}{what[1:]}; {instead} takes its place{places}. {_advice(lacks)}"
        said.append((alike[0].part, message))
    return said


# What is lacking


def _lacks(one: Taken, pool: Pool, here: Here) -> Iterator[Lack]:
    python = one.settings["python"] if one.first else None  # a fallback knows nothing of the first one's environment
    try:
        engines = pool.describe(one.family, python)["engines"]
        name = pool.engine(one.family, one.engine, one.op, python).name if one.engine == "auto" else one.engine
    except StorygenError as fault:
        yield Lack(one, fault.code, fault.message.rstrip("."), fault.hint or f"See storygen describe {one.family}.")
        return
    chosen = replace(one, engine=name)
    for lack in [*needs.obstacles(chosen, engines), *_models(chosen, engines, here)]:
        yield replace(lack, of=one)


def _models(one: Taken, engines: Mapping[str, Mapping[str, Any]], here: Here) -> Iterator[Lack]:
    """The models of an engine that are not here, as far as that can be known."""
    if not _reads_models(one):
        return
    listed = here.get(repr(_place(one)))
    for model in needs.wanted(one, engines):
        if needs.is_folder(model.id):
            continue
        if not HUB_ID.fullmatch(model.id):
            advice = f"Correct --set {one.part}.model.id=…: a folder that is there, or the id of a model on the hub."
            yield Lack(one, "model_not_found", f"there is no model {model.id}", advice)
        elif listed is not None and (size := _to_come(model, listed.get(model.id))) is not None:
            at = f" at revision {model.revision}" if model.revision else ""
            why = f"its model {model.id}{at} is not here{f', {size}' if size else ''}"
            yield Lack(one, "model_not_found", why, _download([model]), model=model)


def _to_come(model: Model, listed: Mapping[str, Any] | None) -> str | None:
    """How much of a model is to be downloaded, in words where that is known; None where it is here.

    What was begun but is as large as the table says is whole: a second variant of it may have been cut off.
    """
    size_gb = (needs.row(model.id) or {}).get("disk_gb")
    found = None if listed is None else model.bytes_here(listed)
    if listed is None or found is None:
        return f"{size_gb:g} GB to download" if size_gb else ""
    has_gb = found / 1e9
    if listed.get("state") == "damaged":
        return "files that were here are gone"
    if not listed["begun_bytes"] or size_gb is None or has_gb >= needs.WHOLE * size_gb:
        return None
    return f"{max(0.0, size_gb - has_gb - listed['begun_bytes'] / 1e9):.1f} of {size_gb:g} GB still to download"


def _reads_models(one: Taken) -> bool:
    """Whether the engine reads models of the hub's cache, as those in the table do."""
    return any(row["family"] == one.family and one.engine in {row["engine"], "auto"} for row in needs.table())


def _place(one: Taken) -> dict[str, Any]:
    return needs.place(one.settings["options"])


def _listed(places: Mapping[str, Mapping[str, Any]]) -> Here:
    """What lies in each place; of one that cannot be looked into, such as without huggingface_hub, nothing."""
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    with Pool(retries=0) as pool:
        for name, place in places.items():
            request = {"v": 1, "op": "list", "input": {}, "options": {**place, "timeout_s": LISTING_S}}
            try:
                rows = pool.request("model_management", request)["output"]["models"]
            except StorygenError:
                continue
            found[name] = {row["id"]: row for row in rows}
    return found


# Words


def _by_cause(lacks: Iterable[Lack]) -> list[tuple[Lack, list[str]]]:
    """Each thing that is lacking once, with the parts that lack it."""
    found: dict[tuple[str, str], tuple[Lack, list[str]]] = {}
    for lack in lacks:
        parts = found.setdefault((lack.of.engine, lack.why), (lack, []))[1]
        if lack.of.part not in parts:
            parts.append(lack.of.part)
    return list(found.values())


def _fault(lack: Lack) -> str:
    if lack.key:
        return lack.why
    if lack.model:
        return f"the model {lack.model.id} of {lack.of.engine}{lack.why.removeprefix(f'its model {lack.model.id}')}"
    return f"the engine {lack.of.engine} cannot be used here: {lack.why}"


def _sentence(lack: Lack, parts: Sequence[str]) -> str:
    if lack.key:
        return (
            f"The environment variable {lack.key} is not set: {', '.join(parts)} would ask the engine {lack.of.engine}"
        )
    return f"{', '.join(parts)}: {_fault(lack)}"


def _advice(lacks: Sequence[Lack]) -> str:
    """What to do about all of it: the keys to set, one command for all the models, the rest as each says."""
    said = []
    if keys := list(dict.fromkeys(lack.key for lack in lacks if lack.key)):
        said.append(
            f"Set {' and '.join(keys)} to the key of {'that service' if len(keys) == 1 else 'its service'}: "
            f"export {' '.join(f'{key}=…' for key in keys)}; or take models without a key: --profile local, or a "
            "server of your own, as orchestrator/profiles/hosted.toml shows."
        )
    said += dict.fromkeys(lack.advice for lack in lacks if not lack.key and not lack.model)
    together: dict[str, list[Model]] = {}
    for lack in lacks:
        if lack.model:
            models = together.setdefault(lack.model.flags, [])
            models += [lack.model] if lack.model not in models else []
    said += [_download(models) for models in together.values()]
    words = "; ".join(each.rstrip(".") for each in said)
    return words if words.endswith('"') else f"{words}."  # a command to copy


def _download(models: Sequence[Model]) -> str:
    """The command that gets these models, with its size, and first what must be done for gated ones."""
    rows = [needs.row(model.id) or {} for model in models]
    names = " ".join(row.get("alias", model.id) for row, model in zip(rows, models, strict=True))
    gated = "".join(f"{row['advice']} Then: " for row in rows if row.get("gated"))
    size_gb = sum(row.get("disk_gb", 0.0) for row in rows)
    size = f" ({round(size_gb, 1):g} GB{'' if all(rows) else ' and more'})" if size_gb else ""
    return (
        f"{gated}storygen models download {names}{models[0].flags} gets {'it' if len(models) == 1 else 'them'}{size}."
    )
