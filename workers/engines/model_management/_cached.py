"""``list`` and ``remove``: what lies in the cache, by huggingface_hub's own look at it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from huggingface_hub import CachedRepoInfo, HFCacheInfo, scan_cache_dir
from huggingface_hub.errors import CacheNotFound

from engines.model_management._place import Place, cache_folder, free_bytes
from runtime.context import Context
from runtime.errors import WorkerError
from weights import table

CONFIGURATIONS = ("model_index.json", "config.json")
FAMILIES = {
    "ForCausalLM": "text_generation",
    "ForConditionalGeneration": "vision_language",
    "LTX": "video_generation",
    "Video": "video_generation",
    "Diffusion": "image_generation",
    "Flux": "image_generation",
}
"""Part of the name of a model's class -> its family; the first that fits."""


def list_models(input: Mapping[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
    """The operation ``list``."""
    folder = cache_folder(context.options)
    found = _scanned(folder)
    rows = [_row(repo, found) for repo in found.repos if repo.repo_type == "model"] if found else []
    rows += _put_there(folder)
    if input["id"] is not None:
        rows = [row for row in rows if row["id"] == table.hub_id(input["id"])]
    return {
        "folder": str(folder),
        "models": sorted(rows, key=lambda row: (-row["bytes"], row["id"])),
        "total_bytes": sum(row["bytes"] + row["begun_bytes"] for row in rows),
        "free_bytes": free_bytes(folder),
    }


def remove(input: Mapping[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
    """The operation ``remove``. Raises WorkerError ``model_not_found`` for what is not in the cache."""
    folder = cache_folder(context.options)
    place = Place(folder, table.hub_id(input["id"]))
    found = _scanned(folder)
    repo = next((repo for repo in found.repos if repo.repo_id == place.model_id), None) if found else None
    begun = [file for file in found.incomplete_files if place.folder in file.file_path.parents] if found else []
    if found is None or (repo is None and not begun):
        raise _not_here(place)
    commits = _commits(repo, input["revision"], place) if repo else []
    strategy = found.delete_revisions(*commits)
    freed = strategy.expected_freed_size
    begun = [] if input["revision"] is not None else begun
    freed += sum(file.size_on_disk for file in begun)
    if not input["dry_run"]:
        for file in begun:
            file.file_path.unlink(missing_ok=True)
        strategy.execute()
    return {"id": place.model_id, "commits": commits, "freed_bytes": freed}


def _scanned(folder: Path) -> HFCacheInfo | None:
    with contextlib.suppress(CacheNotFound):
        return scan_cache_dir(folder)
    return None


def _row(repo: CachedRepoInfo, found: HFCacheInfo) -> dict[str, Any]:
    revisions = sorted(repo.revisions, key=lambda revision: revision.last_modified, reverse=True)
    begun = [file for file in found.incomplete_files if repo.repo_path in file.file_path.parents]
    newest = revisions[0].snapshot_path if revisions else repo.repo_path
    return {
        "id": repo.repo_id,
        "folder": str(newest),
        "family": _family(repo.repo_id, newest),
        "bytes": repo.size_on_disk,
        "begun_bytes": sum(file.size_on_disk for file in begun),
        "downloaded": _moment(repo.last_modified),
        "last_used": _moment(repo.last_accessed),
        "revisions": [
            {"commit": revision.commit_hash, "names": sorted(revision.refs), "bytes": revision.size_on_disk}
            for revision in revisions
        ],
    }


def _put_there(folder: Path) -> list[dict[str, Any]]:
    """Models that were copied to ``<models_dir>/<owner>/<name>``, where engines look too."""
    rows: list[dict[str, Any]] = []
    for path in folder.glob("[!.]*/*/"):
        if not any((path / name).is_file() for name in CONFIGURATIONS):
            continue
        facts = [file.stat() for file in path.rglob("*") if file.is_file()]
        identity = f"{path.parent.name}/{path.name}"
        rows.append(
            {
                "id": identity,
                "folder": str(path),
                "family": _family(identity, path),
                "bytes": sum(each.st_size for each in facts),
                "begun_bytes": 0,
                "downloaded": _moment(max(each.st_mtime for each in facts)),
                "last_used": _moment(max(each.st_atime for each in facts)),
                "revisions": [],
            }
        )
    return rows


def _family(model_id: str, folder: Path) -> str | None:
    """From the table, else from the class that the model's configuration names."""
    if known := table.row(model_id):
        return str(known["family"])
    for name in CONFIGURATIONS:
        with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
            content = json.loads((folder / name).read_text(encoding="utf-8"))
            classes = " ".join([content.get("_class_name") or "", *(content.get("architectures") or [])])
            if family := next((FAMILIES[part] for part in FAMILIES if part in classes), None):
                return family
    return None


def _commits(repo: CachedRepoInfo, revision: str | None, place: Place) -> list[str]:
    wanted = [each for each in repo.revisions if revision is None or revision in {each.commit_hash, *each.refs}]
    if not wanted and revision is not None:
        here = ", ".join(sorted({name for each in repo.revisions for name in (*each.refs, each.commit_hash)}))
        raise WorkerError(
            "model_not_found",
            f"The revision {revision} of {place.model_id} is not here.",
            pointer="/input/revision",
            hint=f"Here are: {here}.",
        )
    return sorted(each.commit_hash for each in wanted)


def _not_here(place: Place) -> WorkerError:
    by_hand = place.cache / place.model_id
    if by_hand.is_dir():
        return WorkerError(
            "model_not_found",
            f"{by_hand} was not downloaded by storygen, so it is not removed by it.",
            pointer="/input/id",
            hint="Remove the folder by hand.",
        )
    return WorkerError(
        "model_not_found",
        f"{place.model_id} is not in {place.cache}.",
        pointer="/input/id",
        hint="storygen models list names the models that are here.",
    )


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
