"""What makes an item what it is: its key, and in which parts two keys differ."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.errors import StorygenError

INPUT_FILE = "urn:storygen:v1:common#/$defs/input_file"
PART_DIGITS = 12
"""Hexadecimal digits kept of a part's hash: parts are compared one by one, so chance needs few."""
SPELLED_OUT = ("input", "inputs", "engine_options", "model")
"""Members of a request whose own members are named when they change."""


@dataclass(frozen=True)
class Key:
    """``whole`` is the SHA-256 over everything; ``parts`` maps names such as ``input.text`` to short hashes."""

    whole: str
    parts: Mapping[str, str]

    def differs_in(self, stored: Mapping[str, Any]) -> list[str]:
        """Names of the parts that are not what they were in the result ``stored``, in words for a person."""
        before = stored.get("parts") or {}
        names = [name for name in {**before, **self.parts} if before.get(name) != self.parts.get(name)]
        return [PART_WORDS.get(name, name) for name in sorted(names)]


PART_WORDS = {"version": "the engine's version", "rules": "the rules", "schemas": "the schemas"}


class Hashes:
    """SHA-256 of files, each read once as long as its size and time stay; may be used from several threads."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, int], str] = {}
        self._guard = threading.Lock()

    def of(self, path: Path) -> str:
        """Hash of a file, or of a folder's names and contents. Raises StorygenError ``input_not_found``."""
        if path.is_dir():
            files = [file for file in sorted(path.iterdir()) if file.is_file() and not file.name.startswith(".")]
            inside = [(file.name, self.of(file)) for file in files]
            return hashlib.sha256(json.dumps(inside).encode()).hexdigest()
        try:
            facts = path.stat()
            place = (str(path), facts.st_size, facts.st_mtime_ns)
            with self._guard:
                known = self._known.get(place)
            if known is None:
                with open(path, "rb") as file:
                    known = hashlib.file_digest(file, "sha256").hexdigest()
                with self._guard:
                    self._known[place] = known
        except OSError as error:
            raise StorygenError(
                "input_not_found", f"Cannot read {path}: {error.strerror}.", "Check the path."
            ) from error
        return known

    def key(self, value: Mapping[str, Any]) -> Key:
        """The key of everything that shapes an item; every Path in it counts by its content."""
        contents = self._contents(value)
        parts: dict[str, str] = {}
        for name, member in contents.items():
            if name in SPELLED_OUT and isinstance(member, Mapping):
                parts |= {f"{name}.{inner}": _digest(item)[:PART_DIGITS] for inner, item in member.items()}
            else:
                parts[name] = _digest(member)[:PART_DIGITS]
        return Key(_digest(contents), parts)

    def _contents(self, value: Any) -> Any:
        if isinstance(value, Path):
            return {"content": self.of(value)}
        if isinstance(value, Mapping):
            return {key: self._contents(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._contents(item) for item in value]
        return value


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def with_files(value: Any, schema: Mapping[str, Any]) -> Any:
    """A copy in which every input file that the schema names is an absolute Path: the key has its content."""
    options = [branch for branch in schema.get("anyOf", []) if branch.get("type") != "null"]
    if len(options) > 1:  # one file or a list of them
        wanted = "array" if isinstance(value, (list, tuple)) else None
        options = [branch for branch in options if (branch.get("type") == "array") == (wanted == "array")] or options
    schema = options[0] if options else schema
    if schema.get("$ref") == INPUT_FILE and isinstance(value, (str, Path)):
        return Path(value).absolute()
    if isinstance(value, Mapping):
        parts = schema.get("properties", {})
        return {key: with_files(item, parts.get(key, {})) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [with_files(item, schema.get("items", {})) for item in value]
    return value


def plain(value: Any) -> Any:
    """The request as it goes over the wire: paths as text."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value
