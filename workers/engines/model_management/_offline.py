"""``download`` where the network is not to be asked: what lies here, as far as can be told without the hub."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import IncompleteSnapshotError, LocalEntryNotFoundError

from engines.model_management._choice import INDEX
from engines.model_management._place import Place, free_bytes
from runtime.context import Context
from runtime.errors import WorkerError
from weights import table


def as_it_lies(place: Place, revision: str | None, context: Context) -> dict[str, Any]:
    """A downloaded model. Raises WorkerError ``model_not_found`` where it, or a file that must be here, is not."""
    try:
        folder = Path(
            snapshot_download(place.model_id, revision=revision, cache_dir=place.cache, local_files_only=True)
        )
    except IncompleteSnapshotError as error:  # files that were not chosen count as missing there
        folder = Path(error.snapshot_path)
    except (LocalEntryNotFoundError, ValueError) as error:
        raise WorkerError(
            "model_not_found",
            f"{place.model_id} is not in {place.cache}, and the network is not to be asked.",
            pointer="/input/id",
            hint="Unset options.offline and HF_HUB_OFFLINE, or copy the folder of another machine's cache.",
        ) from error
    if absent := sorted({*_dangling(folder), *_shards(folder)}):
        raise WorkerError(
            "model_not_found",
            f"{place.model_id} is not whole in {place.cache}: {', '.join(absent)} not here, and the network is not to "
            "be asked.",
            pointer="/input/id",
            hint=f"Unset options.offline and HF_HUB_OFFLINE, then: storygen models download {place.model_id}",
        )
    context.warn("offline", "The hub was not asked: whether all files are here, and the newest, is not known.")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    rows = [{"name": path.relative_to(folder).as_posix(), "bytes": path.stat().st_size, "here": True} for path in files]
    known = table.row(place.model_id) or {}
    return {
        "id": place.model_id,
        "revision": revision or constants.DEFAULT_REVISION,
        "commit": folder.name,
        "folder": str(folder),
        "precision": None,
        "files": rows,
        "total_bytes": sum(row["bytes"] for row in rows),
        "missing_bytes": 0,
        "free_bytes": free_bytes(place.cache),
        "license": known.get("license"),
        "gated": known.get("gated"),
    }


def _dangling(folder: Path) -> Iterator[str]:
    """Files that were here: their links are, their contents are not."""
    return (path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.exists())


def _shards(folder: Path) -> Iterator[str]:
    """Parts of weights that an index names and that are not here."""
    for index in folder.rglob("*.json"):
        if INDEX.fullmatch(index.name) and index.is_file():
            try:
                names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
            except (ValueError, LookupError, AttributeError, TypeError):
                yield index.relative_to(folder).as_posix()
                continue
            yield from (
                (index.parent / str(name)).relative_to(folder).as_posix()
                for name in names
                if not (index.parent / str(name)).is_file()
            )
