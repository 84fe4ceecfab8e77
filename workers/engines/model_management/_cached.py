"""``list``: what lies in the cache, by huggingface_hub's own look at it; and what it has no eye for."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from huggingface_hub import CachedRepoInfo, HFCacheInfo
from huggingface_hub.errors import CorruptedCacheException

# The public scan_cache_dir takes all folders or none: one unreadable name of a branch, and no model could be listed.
from huggingface_hub.utils._cache_manager import _scan_cached_repo

from engines.model_management._place import cache_folder, free_bytes
from runtime.context import Context
from weights import table

PREFIX = "models--"
"""How the folder of a model begins in the cache; its id follows, with -- for the slash."""

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


@dataclass(frozen=True)
class Kept:
    """A model's folder in the cache."""

    folder: Path
    repo: CachedRepoInfo | None
    """What the library finds in it; None where it cannot make sense of it."""
    begun: Mapping[Path, int]
    """Files whose download was cut off -> their bytes."""
    fault: str | None
    """What the library says against it."""

    @property
    def model_id(self) -> str:
        return self.folder.name.removeprefix(PREFIX).replace("--", "/")

    @property
    def begun_bytes(self) -> int:
        return sum(self.begun.values())

    @property
    def state(self) -> str:
        """here, begun: ``download`` goes on with it, or damaged: ``download`` mends it where that can be done."""
        if self.begun or (self.repo is None and not (self.folder / "snapshots").exists()):
            return "begun"
        return "damaged" if self.repo is None else "here"

    def strategy(self, *commits: str) -> Any:
        """How the library would remove these commits of a model that it makes sense of, and of no other."""
        repos = frozenset({self.repo} if self.repo else ())
        cache = HFCacheInfo(0, repos, frozenset(), [], self.folder.parent)
        return cache.delete_revisions(*commits)

    def outdated(self) -> list[str]:
        """Commits that no branch or tag names, of a model of which another is named: an update left them."""
        revisions = self.repo.revisions if self.repo else frozenset()
        unnamed = sorted(revision.commit_hash for revision in revisions if not revision.refs)
        return unnamed if len(unnamed) < len(revisions) else []


def kept(folder: Path) -> Iterator[Kept]:
    """Every model of the cache, those too that are begun or damaged; data sets lie there too."""
    return (kept_in(each) for each in sorted(folder.glob(f"{PREFIX}*")) if each.is_dir())


def kept_in(folder: Path) -> Kept:
    """What one folder holds."""
    begun: dict[Path, int] = {}
    for path in folder.glob("blobs/*.incomplete"):
        with contextlib.suppress(FileNotFoundError):  # it has just become whole
            begun[path] = path.stat().st_size
    try:
        return Kept(folder, _scan_cached_repo(folder), begun, None)
    except (CorruptedCacheException, ValueError, OSError) as error:
        return Kept(folder, None, begun, str(error))


def list_models(input: Mapping[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
    """The operation ``list``."""
    folder = cache_folder(context.options)
    rows = [_row(each) for each in kept(folder)] + _put_there(folder)
    if input["id"] is not None:
        rows = [row for row in rows if row["id"] == table.hub_id(input["id"])]
    return {
        "folder": str(folder),
        "models": sorted(rows, key=lambda row: (-row["bytes"], row["id"])),
        "total_bytes": sum(row["bytes"] + row["begun_bytes"] for row in rows),
        "free_bytes": free_bytes(folder),
    }


def _row(each: Kept) -> dict[str, Any]:
    repo, outdated = each.repo, each.outdated()
    revisions = sorted(repo.revisions if repo else (), key=lambda revision: revision.last_modified, reverse=True)
    newest = revisions[0].snapshot_path if revisions else each.folder
    lies = {} if repo else files_of(each)
    modified, accessed = (repo.last_modified, repo.last_accessed) if repo else _times(each.folder, lies)
    return {
        "id": each.model_id,
        "folder": str(newest),
        "family": _family(each.model_id, newest),
        "state": each.state,
        "bytes": repo.size_on_disk if repo else sum(lies.values()),
        "begun_bytes": each.begun_bytes,
        "outdated_bytes": each.strategy(*outdated).expected_freed_size if outdated else 0,
        "downloaded": _moment(modified),
        "last_used": _moment(accessed),
        "revisions": [
            {"commit": revision.commit_hash, "names": sorted(revision.refs), "bytes": revision.size_on_disk}
            for revision in revisions
        ],
    }


def files_of(each: Kept) -> dict[Path, int]:
    """Files of a folder, without links and begun ones -> their bytes."""
    found = {path: path.lstat().st_size for path in each.folder.rglob("*") if path.is_file() and not path.is_symlink()}
    return {path: size for path, size in found.items() if path not in each.begun}


def _times(folder: Path, files: Mapping[Path, int]) -> tuple[float, float]:
    """When the last of these came, and when the last was read."""
    facts = [path.stat() for path in files or (folder,)]
    return max(each.st_mtime for each in facts), max(each.st_atime for each in facts)


def _put_there(folder: Path) -> list[dict[str, Any]]:
    """Models that were copied to ``<models_dir>/<owner>/<name>``, where engines look too."""
    rows: list[dict[str, Any]] = []
    for path in folder.glob("[!.]*/*/"):
        if not any((path / name).is_file() for name in CONFIGURATIONS):
            continue
        files = {file: file.stat().st_size for file in path.rglob("*") if file.is_file()}
        modified, accessed = _times(path, files)
        identity = f"{path.parent.name}/{path.name}"
        rows.append(
            {
                "id": identity,
                "folder": str(path),
                "family": _family(identity, path),
                "state": "here",
                "bytes": sum(files.values()),
                "begun_bytes": 0,
                "outdated_bytes": 0,
                "downloaded": _moment(modified),
                "last_used": _moment(accessed),
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


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
