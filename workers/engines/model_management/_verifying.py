"""``verify``: every file against the hub's checksums, by huggingface_hub's own comparison."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError

from engines.model_management._choice import choose
from engines.model_management._hub_errors import hub_errors
from engines.model_management._listing import Listing, listing
from engines.model_management._place import Place, offline, place_of
from engines.model_management._waiting import all_of
from runtime.context import Context
from runtime.errors import WorkerError


def verify(input: Mapping[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
    """The operation ``verify``: reads all files, about a second for each GB.

    Raises WorkerError ``model_not_found`` for a model that is not here, ``network`` and others: the hub's checksums
    are not kept on this machine.
    """
    place = place_of(input, context.options)
    if offline(context.options):
        raise WorkerError(
            "network",
            "The checksums are the hub's, and the network is not to be asked.",
            hint="Unset options.offline and HF_HUB_OFFLINE.",
        )
    if input["remove_damaged"] and place.by_hand.is_dir():
        raise WorkerError(
            "invalid_request",
            f"{place.by_hand} was not downloaded by storygen, so nothing in it is removed by it.",
            pointer="/input/remove_damaged",
            hint="Verify it without that, and replace by hand what is damaged.",
        )
    context.progress("run", 0, 1, "model")
    with hub_errors(place.model_id, input["revision"]):
        found = all_of([lambda: _compared(place, input["revision"])], 1, context.check)[0]
        listed = listing(place.model_id, found.revision)
        missing = _missing(listed, set(found.missing_paths), input["allow_patterns"])
    damaged = [
        {key: row[key] for key in ("algorithm", "expected", "actual")} | {"name": row["path"]}
        for row in found.mismatches
    ]
    if damaged and input["remove_damaged"]:
        _drop(place, listed.commit, {row["name"] for row in damaged})
    context.progress("run", 1, 1, "model")
    return {
        "id": place.model_id,
        "commit": listed.commit,
        "folder": str(found.verified_path),
        "whole": not damaged and not missing,
        "checked": found.checked_count,
        "damaged": damaged,
        "missing": missing,
        "removed": bool(damaged and input["remove_damaged"]),
    }


def _compared(place: Place, revision: str | None) -> Any:
    """Of a folder that was put there by hand the files are compared with the branch as it is now."""
    where = {"local_dir": place.by_hand} if place.by_hand.is_dir() else {"cache_dir": place.cache}
    try:
        return HfApi().verify_repo_checksums(place.model_id, revision=revision, **where)
    except HfHubHTTPError:
        raise
    except ValueError as error:  # the library's word for what is not in the cache
        lack = f"in revision {revision} " if revision else ""
        raise WorkerError(
            "model_not_found",
            f"{place.model_id} is not whole {lack}in {place.cache}.",
            pointer="/input/id",
            hint=f"Run: storygen models download {place.model_id}" + (f" --revision {revision}" if revision else ""),
        ) from error


def _missing(found: Listing, absent: set[str], patterns: Sequence[str] | None) -> list[str]:
    """What download would choose and is absent, in the precision of which the most is here."""
    lacks = []
    for precision in ("full", "fp16"):
        try:
            chosen = choose(found.entries, found.model_index, precision, patterns).entries
        except WorkerError as error:  # it has no such files, or several models in one
            if patterns is not None and error.code != "model_not_found":
                raise  # several in one: only the patterns say what was wanted of it
            continue
        lacks.append([entry for entry in chosen if entry.name in absent])
    return [entry.name for entry in min(lacks, key=lambda each: sum(entry.size for entry in each), default=[])]


def _drop(place: Place, commit: str, names: set[str]) -> None:
    """Remove these files so that ``download`` gets them again; their contents too, whatever other commit has them."""
    for name in names:
        linked = place.snapshot(commit) / name
        if linked.is_symlink():
            place.blob(Path(os.readlink(linked)).name).unlink(missing_ok=True)
        linked.unlink()
