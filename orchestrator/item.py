"""A finished item on disk: ``<run>/<stage>/<item>/`` holds its artifacts and, written last, ``result.json``.

Paths in ``result.json`` are relative to the item's folder, so that a run can be moved.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.errors import StorygenError
from orchestrator.keys import Hashes

RESULT = "result.json"
PARTIAL = ".partial."


@dataclass(frozen=True)
class Item:
    """A finished item: its output with every artifact's path absolute."""

    stage: str
    name: str
    output: dict[str, Any]
    reused: bool
    seconds: float
    engine: str
    warnings: list[dict[str, str]] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)
    edited: bool = False
    """Somebody changed an artifact by hand; it is used as it is."""
    began_s: float = 0.0
    """When this run turned to it, in seconds from the run's beginning."""
    planned: Mapping[str, Any] | None = None
    """The document of a rule that was tried only; nothing was written."""

    def path(self, name: str) -> Path:
        """The artifact under this name of the output."""
        return Path(self.output[name]["path"])

    def document(self) -> dict[str, Any]:
        """The JSON document that a rule-made item holds."""
        if self.planned is not None:
            return dict(self.planned)
        loaded: dict[str, Any] = json.loads(self.path("document").read_text(encoding="utf-8"))
        return loaded


def read_result(folder: Path) -> dict[str, Any] | None:
    """What ``result.json`` says, if it is there and whole."""
    try:
        stored: dict[str, Any] = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        stored["key"], artifacts(stored["output"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return stored


def changed(stored: Mapping[str, Any], folder: Path, hashes: Hashes) -> list[dict[str, Any]]:
    """The artifacts of a stored result that are not what it says, missing ones included."""
    found = []
    for artifact in artifacts(stored["output"]):
        with contextlib.suppress(StorygenError):
            if hashes.of(folder / artifact["path"]) == artifact["sha256"]:
                continue
        found.append(artifact)
    return found


def artifacts(value: Any) -> list[dict[str, Any]]:
    """Every artifact in an output: nothing else has a member called ``path``. Changing one changes the output."""
    if isinstance(value, dict):
        own = [value] if "path" in value and "sha256" in value else []
        return own + [found for item in value.values() for found in artifacts(item)]
    return [found for item in value for found in artifacts(item)] if isinstance(value, list) else []


def relative(output: dict[str, Any], folder: Path) -> Any:
    """The output with its paths relative to the item's folder."""
    return _with_paths(output, lambda path: Path(path).relative_to(folder).as_posix())


def absolute(output: dict[str, Any], folder: Path) -> Any:
    """The output with its paths absolute again."""
    return _with_paths(output, lambda path: str(folder / path))


def _with_paths(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, Mapping):
        return {key: change(item) if key == "path" else _with_paths(item, change) for key, item in value.items()}
    return [_with_paths(item, change) for item in value] if isinstance(value, list) else value


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON file that appears whole or not at all."""
    temporary = path.with_name(f".{path.name}{PARTIAL}{os.getpid()}")
    with open(temporary, "w", encoding="utf-8", newline="\n") as file:
        json.dump(value, file, ensure_ascii=False, indent=1, allow_nan=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def place(source: Path, target: Path, *, link: bool) -> None:
    """Give a finished file a second name, at once and whole. A link saves the disk; a copy can be edited by itself."""
    temporary = target.with_name(f".{target.name}{PARTIAL}{os.getpid()}")
    remove(temporary)
    try:
        if not link:
            raise OSError
        os.link(source, temporary)
    except OSError:
        shutil.copyfile(source, temporary)
    os.replace(temporary, target)
    remove(temporary)  # replacing a file by another link to itself leaves both names


def copy_folder(source: Path, target: Path) -> None:
    """Copy an item's files. Not linked: an edit here must not reach the other run."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(".*"))


def remove(path: Path) -> None:
    """Remove a file or a whole folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
