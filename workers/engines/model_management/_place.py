"""Where a model lies on this machine, in the layout of the Hugging Face cache."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import constants
from huggingface_hub.file_download import repo_folder_name

from runtime.errors import WorkerError


@dataclass(frozen=True)
class Place:
    """A model's part of the cache: contents under ``blobs`` by their hash, and a ``snapshots`` folder a commit."""

    cache: Path
    model_id: str

    @property
    def folder(self) -> Path:
        return self.cache / repo_folder_name(repo_id=self.model_id, repo_type="model")

    def blob(self, content: str) -> Path:
        return self.folder / "blobs" / content

    def begun(self, content: str) -> Path:
        """A file that is not whole yet; the library's own ``scan_cache_dir`` counts and removes files of this name."""
        return self.folder / "blobs" / f"{content}.incomplete"

    def lock(self, content: str) -> Path:
        """The lock that the library takes for the same file."""
        return self.cache / ".locks" / self.folder.name / f"{content}.lock"

    def snapshot(self, commit: str) -> Path:
        return self.folder / "snapshots" / commit


def has_size(path: Path, size: int) -> bool:
    """Whether there is a file of so many bytes."""
    return path.is_file() and path.stat().st_size == size


def cache_folder(options: Mapping[str, Any]) -> Path:
    """``options.models_dir``, else STORYGEN_MODELS_DIR, else the Hugging Face cache."""
    named = options.get("models_dir") or os.environ.get("STORYGEN_MODELS_DIR")
    return Path(named or constants.HF_HUB_CACHE).expanduser().absolute()


def free_bytes(folder: Path) -> int:
    """Room on the disk where the folder is, or will be. Raises WorkerError ``output_failed`` where that is a file."""
    existing = next(each for each in (folder, *folder.parents) if each.exists())
    if not existing.is_dir():
        raise WorkerError("output_failed", f"{existing} is no folder.", hint="Name another models_dir.")
    return shutil.disk_usage(existing).free


def offline(options: Mapping[str, Any]) -> bool:
    """Whether the network is not to be asked."""
    return bool(options.get("offline")) or bool(constants.HF_HUB_OFFLINE)
