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
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from orchestrator.errors import StorygenError
from orchestrator.keys import Hashes

RESULT = "result.json"
PARTIAL = ".partial."
STORED: dict[str, type | tuple[type, ...]] = {
    "key": str,
    "engine": str,
    "output": dict,
    "warnings": list,
    "metrics": dict,
    "seconds": (int, float),
}
"""What is read of every ``result.json``."""


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
    stands_in: bool = False
    """It is the last version of an item that a plan would make anew."""

    def path(self, name: str) -> Path:
        """The artifact under this name of the output."""
        return Path(self.output[name]["path"])

    def document(self) -> dict[str, Any]:
        """The JSON document that a rule-made item holds."""
        if self.planned is not None:
            return dict(self.planned)
        loaded: dict[str, Any] = json.loads(self.path("document").read_text(encoding="utf-8-sig"))
        return loaded


def read_result(folder: Path) -> dict[str, Any] | None:
    """What ``result.json`` says, if it is there and whole, and names files of this folder only."""
    try:
        stored: dict[str, Any] = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        whole = all(isinstance(stored[name], kind) for name, kind in STORED.items())
        told = all(isinstance(warning["code"] + warning["message"], str) for warning in stored["warnings"])
        inside = all(_stays_inside(artifact["path"]) for artifact in artifacts(stored["output"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return stored if whole and told and inside else None


def _stays_inside(path: str) -> bool:
    """Whether a path relative to a folder stays there on every system."""
    return not any(kind(path).anchor or ".." in kind(path).parts for kind in (PurePosixPath, PureWindowsPath))


def changed(stored: Mapping[str, Any], folder: Path, hashes: Hashes) -> list[dict[str, Any]]:
    """The artifacts of a stored result that are not what it says, missing ones included."""
    found = []
    for artifact in artifacts(stored["output"]):
        path = folder / artifact["path"]
        with contextlib.suppress(StorygenError):
            if path.is_file() and hashes.of(path) == artifact["sha256"]:
                continue
        found.append(artifact)
    return found


def false_claims(output: Any, folder: Path, hashes: Hashes) -> list[str]:
    """What an output says of its files that is not so; each must be a plain file in ``folder``, as it is described."""
    wrong = []
    for path, artifact in ((Path(str(each["path"])), each) for each in _with_path(output)):
        plain = path.is_relative_to(folder) and ".." not in path.parts and not path.is_symlink()
        if not plain or not path.resolve().is_relative_to(folder.resolve()):
            wrong.append(f"{path} lies outside of {folder}")
        elif not path.is_file() or path.name == RESULT:
            wrong.append(f"there is no file {path}")
        elif path.stat().st_size != artifact.get("bytes"):
            wrong.append(f"{path} has {path.stat().st_size} bytes, not {artifact.get('bytes')}")
        elif hashes.of(path) != artifact.get("sha256"):
            wrong.append(f"the SHA-256 of {path} is {hashes.of(path)}, not {artifact.get('sha256')}")
    return wrong


def artifacts(value: Any) -> list[dict[str, Any]]:
    """Every artifact in an output: nothing else has a member called ``path``. Changing one changes the output."""
    return [each for each in _with_path(value) if "sha256" in each]


def _with_path(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        own = [value] if "path" in value else []
        return own + [found for item in value.values() for found in _with_path(item)]
    return [found for item in value for found in _with_path(item)] if isinstance(value, list) else []


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
    try:
        with open(temporary, "w", encoding="utf-8", newline="\n") as file:
            json.dump(value, file, ensure_ascii=False, indent=1, allow_nan=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            remove(temporary)
        raise OSError(error.errno, error.strerror, str(path)) from error  # a full disk does not name the file


def place(source: Path, target: Path, *, link: bool) -> None:
    """Give a finished file a second name, at once and whole. A link saves the disk; a copy can be edited by itself.

    What is a symbolic link itself is copied: the second name must not hang on a file elsewhere.
    """
    temporary = target.with_name(f".{target.name}{PARTIAL}{os.getpid()}")
    remove(temporary)
    try:
        if not link or source.is_symlink():
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
