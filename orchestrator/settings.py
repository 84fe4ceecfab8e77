"""Settings of a profile that its workers would refuse, all of them found before the first stage.

A worker checks every request anyway; here the same schemas are held against what the profile says, so that a wrong
quality of the finished file is not told when all its pictures are drawn.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from orchestrator.errors import SCHEMAS, StorygenError
from orchestrator.keys import with_files
from orchestrator.needs import Taken
from orchestrator.pool import Pool
from orchestrator.violations import sentences

Fault = tuple[str, str]
"""(error code, what is the matter)."""


def error(taken: Iterable[Taken], pool: Pool) -> StorygenError | None:
    """The end of a run of these engines that has wrong settings; None where all are well."""
    parts = list(taken)
    faults = list(dict.fromkeys(fault for one in parts for fault in _faults(one, pool)))
    faults += _without_captions({one.part: one.settings["input"] for one in parts})
    if not faults:
        return None
    said = [sentence for _, sentence in faults]
    hint = "Correct it where it is said: in an option, a --set or the profile."
    if len(said) == 1:
        return StorygenError(faults[0][0], said[0], hint)
    return StorygenError(faults[0][0], f"{len(said)} settings are wrong: {' '.join(said)}", hint, said)


def _faults(one: Taken, pool: Pool) -> Iterator[Fault]:
    """What is wrong with the settings of a part; what its engine itself lacks is told elsewhere."""
    try:
        facts = pool.describe(one.family, one.settings["python"] if one.first else None)
    except StorygenError:
        return
    operation, engine = facts["ops"][one.op], facts["engines"].get(one.engine)
    schemas = {"input": {"$ref": f"{operation['$id']}#/$defs/input"}}
    fields = {"input": operation["$defs"]["input"]}
    if one.first:  # a fallback is told nothing else
        schemas |= {name: _request()[name] for name in ("model", "options")}
        if engine is not None:  # which one auto is follows from what is asked of it
            schemas["engine_options"] = fields["engine_options"] = engine["options_schema"]
    registry = _registry(operation, facts["common"])
    for name, schema in schemas.items():
        yield from _broken(f"{one.part}.{name}", one.settings[name], schema, registry)
    for name, schema in fields.items():
        for place, path in _files(with_files(one.settings[name], schema)):
            yield from _unreadable(f"{one.part}.{name}.{place}", path)
    pictures = one.settings["engine_options"].get("pictures") if one.part == "keyframes" else None
    if pictures and isinstance(pictures, str):
        yield from _without_pictures(Path(pictures))


def caption_format(post: Mapping[str, Any]) -> str | None:
    """What the film's captions are made from, by the stage's input: ASS is burned in, SRT a track; None where there are
    none, or they are the user's own.
    """
    if "subtitles" in post:
        return None
    return "srt" if post.get("subtitles_mode") == "carry" else "ass"


def _without_captions(inputs: Mapping[str, Mapping[str, Any]]) -> Iterator[Fault]:
    """Where the film's captions are made from a format that the settings leave out."""
    formats, wanted = (
        inputs.get("subtitles", {}).get("formats"),
        caption_format(inputs.get("post", {"subtitles": None})),
    )
    if isinstance(formats, list) and formats and wanted and wanted not in formats:
        said = f"subtitles.input.formats leaves out {wanted}, which the film's captions are made from"
        yield "invalid_request", f"{said}: add it to them, or run with --captions off."


def _broken(where: str, given: Any, schema: Mapping[str, Any], registry: Any) -> Iterator[Fault]:
    """Where settings break their schema. What they leave open, the stages say."""
    from jsonschema import Draft202012Validator

    for fault in Draft202012Validator(schema, registry=registry).iter_errors(given):
        place = ".".join([where, *map(str, fault.absolute_path)])
        if fault.validator != "required" or fault.absolute_path:
            yield from (("invalid_request", said) for said in sentences(fault, place))


def _registry(operation: Mapping[str, Any], common: Mapping[str, Any]) -> Any:
    from referencing import Registry, Resource

    files = [Resource.from_contents(each) for each in (operation, common)]
    return Registry().with_resources([(file.id() or "", file) for file in files])


@cache
def _request() -> dict[str, Any]:
    """The parts of every request -> their schemas."""
    loaded: dict[str, Any] = json.loads((SCHEMAS / "request.schema.json").read_text(encoding="utf-8"))["properties"]
    return loaded


def _files(value: Any, place: str = "") -> Iterator[tuple[str, Path]]:
    """(place, file) of every file that settings name."""
    if isinstance(value, Path):
        yield place, value
    members = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for name, member in members:
        yield from _files(member, f"{place}.{name}" if place else str(name))


def _unreadable(where: str, path: Path) -> Iterator[Fault]:
    if not path.exists():
        yield "input_not_found", f"{where} is {path}; there is no such file."
    elif not os.access(path, os.R_OK):
        yield "input_unreadable", f"{where} is {path}; it cannot be read: you have no leave to."


def _without_pictures(folder: Path) -> Iterator[Fault]:
    """Why a folder can hold no picture for the shots; whether its files are pictures, the worker sees."""
    try:
        if not any(file.is_file() and not file.name.startswith(".") for file in folder.iterdir()):
            yield "input_unreadable", f"The folder of pictures {folder} holds no file."
    except OSError as fault:
        code = "input_not_found" if isinstance(fault, FileNotFoundError) else "input_unreadable"
        yield code, f"The folder of pictures {folder} cannot be read: {fault.strerror}."
