"""What of the table's models is on this machine already, by a look at their folders: without any library."""

from __future__ import annotations

import contextlib
from pathlib import Path

from weights import table


def present_gb(models: Path) -> dict[str, float]:
    """Id -> GB of 1e9 bytes that lie in the folder for models, begun files included; nothing of those that do not."""
    found = {row["id"]: _bytes(models, row["id"]) / 1e9 for row in table.rows()}
    return {model_id: size for model_id, size in found.items() if size}


def _bytes(models: Path, model_id: str) -> int:
    """In the Hugging Face cache, or in a folder that was put there by hand."""
    folders = models / f"models--{model_id.replace('/', '--')}", models / model_id
    files = (path for folder in folders for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(map(_size, files))


def _size(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError):  # a download has just given it another name
        return path.stat().st_size
    return 0
