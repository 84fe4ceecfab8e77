"""``download``: what is missing of a model is said, room is made sure of, and then it is fetched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from huggingface_hub import HfApi

from engines.model_management._choice import Choice, Entry, choose
from engines.model_management._fetching import check_size, fetch
from engines.model_management._hub_errors import hub_errors
from engines.model_management._listing import COMMIT, Listing, listing
from engines.model_management._offline import as_it_lies
from engines.model_management._place import FULL, Place, check_writable, free_bytes, has_size, offline, place_of
from runtime.context import Context
from runtime.errors import WorkerError
from weights import table


def download(input: Mapping[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
    """The operation ``download``. Raises WorkerError, among others ``gated_model``, ``output_failed``, ``network``."""
    place = place_of(input, context.options)
    if offline(context.options):
        return as_it_lies(place, input["revision"], context)
    with hub_errors(place.model_id, input["revision"]):
        context.progress("prepare", 0, 1, "model")
        found = listing(place.model_id, input["revision"])
        choice = choose(found.entries, found.model_index, input["precision"], input["allow_patterns"])
        lacking = [
            entry for entry in choice.entries if not has_size(place.snapshot(found.commit) / entry.name, entry.size)
        ]
        said = _plan(place, found, choice, lacking)
        if not lacking and _is_named(place, found):
            said["folder"] = str(place.snapshot(found.commit))
        else:
            check_size(lacking)
            check_writable(place.cache)
        if input["dry_run"] or said["folder"]:
            return said
        if said["missing_bytes"] > said["free_bytes"]:
            raise _no_room(place, said)
        have = said["total_bytes"] - sum(entry.size for entry in _to_fetch(place, lacking))
        try:
            fetch(place, found.commit, lacking, have, said["total_bytes"], context)
            _name(place, found)
        except OSError as error:
            if error.errno in FULL:
                raise _no_room(place, said) from error
            raise
    return {**said, "folder": str(place.snapshot(found.commit))}


def _to_fetch(place: Place, entries: list[Entry]) -> list[Entry]:
    """Those whose content is not in the cache yet, each content once."""
    absent = [entry for entry in entries if not has_size(place.blob(entry.blob), entry.size)]
    return list({entry.blob: entry for entry in absent}.values())


def _plan(place: Place, found: Listing, choice: Choice, lacking: list[Entry]) -> dict[str, Any]:
    missing = sum(entry.size - _begun_bytes(place, entry) for entry in _to_fetch(place, lacking))
    known = table.row(place.model_id) or {}
    return {
        "id": place.model_id,
        "revision": found.revision,
        "commit": found.commit,
        "folder": None,
        "precision": choice.precision,
        "files": [{"name": entry.name, "bytes": entry.size, "here": entry not in lacking} for entry in choice.entries],
        "total_bytes": sum(entry.size for entry in choice.entries),
        "missing_bytes": missing,
        "free_bytes": free_bytes(place.cache),
        "license": known.get("license"),
        "gated": known.get("gated") if found.gated is None else found.gated,
    }


def _begun_bytes(place: Place, entry: Entry) -> int:
    begun = place.begun(entry.blob)
    size = begun.stat().st_size if begun.is_file() else 0
    return size if size <= entry.size else 0


def _no_room(place: Place, said: Mapping[str, Any]) -> WorkerError:
    free = free_bytes(place.cache)
    return WorkerError(
        "output_failed",
        f"{place.model_id} needs {said['missing_bytes'] / 1e9:.3g} GB more, and {place.cache} has room for "
        f"{free / 1e9:.3g} GB.",
        hint="Make room (storygen models list and remove), or name a folder on another disk: options.models_dir, "
        "--models-dir or STORYGEN_MODELS_DIR. What has come is kept.",
    )


def _is_named(place: Place, found: Listing) -> bool:
    """Whether the branch or tag is known here to stand for this commit."""
    if COMMIT.fullmatch(found.revision):
        return True
    note = place.folder / "refs" / found.revision
    return note.is_file() and note.read_bytes() == found.commit.encode()


def _name(place: Place, found: Listing) -> None:
    """Note which commit the branch or tag stands for, last of all: before, no engine takes the model for whole."""
    if COMMIT.fullmatch(found.revision):
        return
    note = place.folder / "refs" / found.revision
    if note.is_file() and not note.read_bytes().isascii():
        note.unlink()  # the library would stumble over it
    now = HfApi().resolve_revision(place.model_id, revision=found.revision, cache_dir=place.cache)
    if now.resolved != found.commit:
        raise WorkerError(
            "network",
            f"{found.revision} of {place.model_id} changed while it was downloaded.",
            hint="Run it again: files that did not change are kept.",
        )
