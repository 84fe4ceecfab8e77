"""Where a model lies on this machine, in the layout of the Hugging Face cache."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import constants
from huggingface_hub.errors import HFValidationError
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.utils import validate_repo_id

from runtime.errors import WorkerError
from weights import table

FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
"""A full disk, a used-up quota. What else can go wrong with a file is told in the system's own words."""


@dataclass(frozen=True)
class Place:
    """A model's part of the cache: contents under ``blobs`` by their hash, and a ``snapshots`` folder a commit."""

    cache: Path
    model_id: str

    @property
    def by_hand(self) -> Path:
        """Where a folder lies that somebody put there; engines look there first."""
        return self.cache / self.model_id

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


def place_of(input: Mapping[str, Any], options: Mapping[str, Any]) -> Place:  # noqa: A002 - the wire's word
    """Where the model of a request lies, or would lie: both ``id`` and ``revision`` become parts of paths.

    Raises WorkerError ``invalid_request`` for what is no id or no name of a revision.
    """
    model_id, revision = table.hub_id(input["id"]), input["revision"]
    try:
        validate_repo_id(model_id)
    except HFValidationError as error:
        raise WorkerError(
            "invalid_request",
            f"{model_id!r} is no model's id: {error}",
            pointer="/input/id",
            hint="An id is such as Lightricks/LTX-Video; storygen models list names those that are here.",
        ) from error
    if revision is not None and not {"", ".", ".."}.isdisjoint(revision.replace("\\", "/").split("/")):
        raise WorkerError(
            "invalid_request",
            f"{revision!r} is no name of a revision.",
            pointer="/input/revision",
            hint="Give a branch, a tag or a commit, such as main.",
        )
    return Place(cache_folder(options), model_id)


def has_size(path: Path, size: int) -> bool:
    """Whether there is a file of so many bytes."""
    return path.is_file() and path.stat().st_size == size


def cache_folder(options: Mapping[str, Any]) -> Path:
    """``options.models_dir``, else STORYGEN_MODELS_DIR, else the Hugging Face cache.

    Raises WorkerError ``invalid_request`` where a file, or a link to nothing, has the name of a folder on the way.
    """
    named = options.get("models_dir") or os.environ.get("STORYGEN_MODELS_DIR")
    folder = Path(named or constants.HF_HUB_CACHE).expanduser().absolute()
    existing = _existing(folder)
    if not existing.is_dir():
        raise WorkerError(
            "invalid_request",
            f"Models cannot live in {folder}: {existing} is no folder.",
            pointer="/options/models_dir",
            hint="Name another folder: options.models_dir, --models-dir or STORYGEN_MODELS_DIR.",
        )
    return folder


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that there is; a link counts, wherever it leads."""
    return next(each for each in (folder, *folder.parents) if os.path.lexists(each))


def free_bytes(folder: Path) -> int:
    """Room on the disk where the folder is, or will be."""
    return shutil.disk_usage(_existing(folder)).free


def check_writable(folder: Path) -> None:
    """Try whether files can be made there, leaving none. Raises WorkerError ``output_failed``."""
    try:
        with tempfile.TemporaryFile(dir=_existing(folder)):
            pass
    except OSError as error:
        if error.errno not in FULL:  # that is told with the sizes
            raise WorkerError(
                "output_failed",
                f"Models cannot be put into {folder}: {error.strerror}.",
                pointer="/options/models_dir",
                hint="Get the right to write there, or name another folder: options.models_dir, --models-dir or "
                "STORYGEN_MODELS_DIR.",
            ) from error


def offline(options: Mapping[str, Any]) -> bool:
    """Whether the network is not to be asked."""
    return bool(options.get("offline")) or bool(constants.HF_HUB_OFFLINE)
