"""``verify``: every file against the hub's checksums, by huggingface_hub's own comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from huggingface_hub import HfApi, scan_cache_dir
from huggingface_hub.errors import HFValidationError

from engines.model_management._choice import choose
from engines.model_management._hub_errors import hub_errors
from engines.model_management._listing import listing
from engines.model_management._place import Place, cache_folder, offline
from engines.model_management._waiting import all_of
from runtime.context import Context
from runtime.errors import WorkerError
from weights import table


def verify(input: Mapping[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
    """The operation ``verify``: reads all files, about a second for each GB.

    Raises WorkerError ``model_not_found`` for a model that is not here, ``network`` and others: the hub's checksums
    are not kept on this machine.
    """
    place = Place(cache_folder(context.options), table.hub_id(input["id"]))
    if offline(context.options):
        raise WorkerError(
            "network",
            "The checksums are the hub's, and the network is not to be asked.",
            hint="Unset options.offline and HF_HUB_OFFLINE.",
        )
    context.progress("run", 0, 1, "model")
    with hub_errors(place.model_id, input["revision"]):
        found = all_of([lambda: _compared(place, input["revision"])], 1, context.check)[0]
        missing = _missing(place, found.revision, set(found.missing_paths), input["allow_patterns"])
    damaged = [
        {key: row[key] for key in ("algorithm", "expected", "actual")} | {"name": row["path"]}
        for row in found.mismatches
    ]
    if damaged and input["remove_damaged"]:
        _drop(place, found.revision, {row["name"] for row in damaged})
    context.progress("run", 1, 1, "model")
    return {
        "id": place.model_id,
        "commit": found.revision,
        "folder": str(found.verified_path),
        "whole": not damaged and not missing,
        "checked": found.checked_count,
        "damaged": damaged,
        "missing": missing,
        "removed": bool(damaged and input["remove_damaged"]),
    }


def _compared(place: Place, revision: str | None) -> Any:
    try:
        return HfApi().verify_repo_checksums(place.model_id, revision=revision, cache_dir=place.cache)
    except HFValidationError:
        raise
    except ValueError as error:  # the library's word for what is not in the cache
        raise WorkerError(
            "model_not_found",
            f"{place.model_id} is not whole in {place.cache}: {error}",
            pointer="/input/id",
            hint=f"Run: storygen models download {place.model_id}",
        ) from error


def _missing(place: Place, commit: str, absent: set[str], patterns: Sequence[str] | None) -> list[str]:
    """What download would choose and is absent, in the precision of which the most is here."""
    found = listing(place.model_id, commit)
    try:
        choices = [
            choose(found.entries, found.model_index, precision, patterns).entries for precision in (None, "full")
        ]
    except WorkerError:  # several models in one: only the patterns say what was wanted of it
        if patterns is not None:
            raise
        return []
    lacks = [[entry for entry in entries if entry.name in absent] for entries in choices]
    least = min(lacks, key=lambda entries: sum(entry.size for entry in entries))
    return [entry.name for entry in least]


def _drop(place: Place, commit: str, names: set[str]) -> None:
    """Remove these files, with their content, so that ``download`` gets them again."""
    found = scan_cache_dir(place.cache)
    files = [
        file
        for repo in found.repos
        if repo.repo_id == place.model_id
        for revision in repo.revisions
        if revision.commit_hash == commit
        for file in revision.files
        if file.file_path.relative_to(revision.snapshot_path).as_posix() in names
    ]
    found.delete_files(*files).execute()
