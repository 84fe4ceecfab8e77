"""``download``: what is missing of a model is said, room is made sure of, and then it is fetched."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, constants, snapshot_download
from huggingface_hub.errors import IncompleteSnapshotError, LocalEntryNotFoundError

from engines.model_management._choice import Choice, Entry, choose
from engines.model_management._fetching import fetch
from engines.model_management._hub_errors import hub_errors
from engines.model_management._listing import COMMIT, Listing, listing
from engines.model_management._place import Place, cache_folder, free_bytes, has_size, offline
from runtime.context import Context
from runtime.errors import FULL, WorkerError
from weights import table


def download(input: Mapping[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
    """The operation ``download``. Raises WorkerError, among others ``gated_model``, ``output_failed``, ``network``."""
    place = Place(cache_folder(context.options), table.hub_id(input["id"]))
    if offline(context.options):
        return _as_it_lies(place, input["revision"], context)
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
        **_terms(place.model_id),
    }


def _terms(model_id: str) -> dict[str, Any]:
    known = table.row(model_id) or {}
    return {"license": known.get("license"), "gated": known.get("gated")}


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
    return note.is_file() and note.read_text(encoding="utf-8") == found.commit


def _name(place: Place, found: Listing) -> None:
    """Note which commit the branch or tag stands for, last of all: before, no engine takes the model for whole."""
    if COMMIT.fullmatch(found.revision):
        return
    now = HfApi().resolve_revision(place.model_id, revision=found.revision, cache_dir=place.cache)
    if now.resolved != found.commit:
        raise WorkerError(
            "network",
            f"{found.revision} of {place.model_id} changed while it was downloaded.",
            hint="Run it again: files that did not change are kept.",
        )


def _as_it_lies(place: Place, revision: str | None, context: Context) -> dict[str, Any]:
    """A downloaded model, without asking the hub whether it is whole."""
    try:
        folder = snapshot_download(place.model_id, revision=revision, cache_dir=place.cache, local_files_only=True)
    except IncompleteSnapshotError as error:  # files that were not chosen count as missing there
        folder = error.snapshot_path
    except (LocalEntryNotFoundError, ValueError) as error:
        raise WorkerError(
            "model_not_found",
            f"{place.model_id} is not in {place.cache}, and the network is not to be asked.",
            pointer="/input/id",
            hint="Unset options.offline and HF_HUB_OFFLINE, or copy the folder of another machine's cache.",
        ) from error
    context.warn("offline", "The hub was not asked: whether all files are here, and the newest, is not known.")
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    rows = [{"name": path.relative_to(folder).as_posix(), "bytes": path.stat().st_size, "here": True} for path in files]
    return {
        "id": place.model_id,
        "revision": revision or constants.DEFAULT_REVISION,
        "commit": Path(folder).name,
        "folder": folder,
        "precision": None,
        "files": rows,
        "total_bytes": sum(row["bytes"] for row in rows),
        "missing_bytes": 0,
        "free_bytes": free_bytes(place.cache),
        **_terms(place.model_id),
    }
