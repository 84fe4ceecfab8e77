"""The run folder: what is done stays done, what changed is redone, nothing is half-written.

``<run>/<stage>/<item>/`` holds an item's artifacts and, written last, ``result.json``: the only mark of done. An item
is reused when its key is the same and its artifacts are what result.json says.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout

from orchestrator.errors import StorygenError
from orchestrator.pool import Pool
from orchestrator.progress import Report

RESULT = "result.json"
MARK = "run.json"
"""What makes a folder a run's."""
RESULTS = ("final.mp4", "thumbnail.jpg", "captions.srt", "captions.vtt")
"""The files a person looks for, at the top of the folder."""
PARTIAL = ".partial."
INPUT_FILE = "urn:storygen:v1:common#/$defs/input_file"


@dataclass(frozen=True)
class Item:
    """A finished item: its output with every artifact's path absolute again."""

    stage: str
    name: str
    output: dict[str, Any]
    reused: bool
    seconds: float
    engine: str
    warnings: list[dict[str, str]] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)

    def path(self, name: str) -> Path:
        """The artifact under this name of the output."""
        return Path(self.output[name]["path"])

    def document(self) -> dict[str, Any]:
        """The JSON document that a rule-made item holds."""
        loaded: dict[str, Any] = json.loads(self.path("document").read_text(encoding="utf-8"))
        return loaded


class Run:
    """One run folder, held by one process at a time."""

    def __init__(self, folder: Path, pool: Pool, report: Report) -> None:
        self.folder, self.pool, self.report = folder.resolve(), pool, report
        self.items: list[Item] = []
        self._hashes: dict[tuple[str, int, int], str] = {}
        self._lock = FileLock(self.folder / ".lock")

    def __enter__(self) -> Run:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout:
            raise StorygenError(
                "output_failed", f"Another run is working in {self.folder}.", "Wait for it or choose another --out."
            ) from None
        except OSError as error:
            raise StorygenError(
                "output_failed", f"Cannot write to {self.folder}: {error.strerror}.", "Choose another --out."
            ) from error
        self._make_ours()
        self._events = open(self.folder / "events.ndjson", "a", encoding="utf-8")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._events.close()
        self._lock.release()

    def _make_ours(self) -> None:
        """Sweep what a killed run left. A folder that holds something else is never touched."""
        if not (self.folder / MARK).exists():
            foreign = [path.name for path in self.folder.iterdir() if path.name != ".lock"]
            if foreign:
                self._lock.release()
                raise StorygenError(
                    "output_failed",
                    f"{self.folder} is not a run's folder: it holds {', '.join(sorted(foreign)[:3])}.",
                    "Choose an empty or a new folder with --out.",
                )
        for level in ("", "*/", "*/*/"):
            for left_over in self.folder.glob(f"{level}.*{PARTIAL}*"):
                _remove(left_over)

    def event(self, stage: str, item: str, event: Mapping[str, Any]) -> None:
        """Keep one event and show it."""
        step = {"step": event["stage"]} if "stage" in event else {}  # a worker's own: run, encode, …
        line = {"time": round(time.time(), 3), **event, **step, "stage": stage, "item": item}
        self._events.write(json.dumps(line) + "\n")
        self._events.flush()
        self.report.event(stage, item, event)

    def work(
        self,
        stage: str,
        name: str,
        family: str,
        op: str,
        input: Mapping[str, Any],  # noqa: A002 - the wire's word
        *,
        settings: Mapping[str, Any],
        engine_options: Mapping[str, Any] | None = None,
    ) -> Item:
        """An item that a worker makes. Every ``Path`` in the input is a file: the key has its content, not its name.

        ``settings`` is the stage's part of the profile: engine, model, engine_options, options, python.
        """
        python = settings.get("python")
        engine = self.pool.engine(family, settings["engine"], op, python)
        request = {
            "v": 1,
            "op": op,
            "engine": engine.name,
            "model": dict(settings.get("model", {})),
            "input": with_files(dict(input), engine.input_schema),
            "engine_options": with_files(
                {**settings.get("engine_options", {}), **(engine_options or {})}, engine.options_schema
            ),
        }
        # The schemas hold the defaults of what the request leaves out.
        key = self._key({**request, "version": engine.version, "schemas": [engine.input_schema, engine.options_schema]})

        def make(folder: Path) -> dict[str, Any]:
            whole = {
                **_plain(request),
                "options": dict(settings.get("options", {})),
                "output_dir": str(folder),
                "output_name": name,
            }
            return self.pool.request(
                family,
                whole,
                lambda event: self.event(stage, name, event),
                where=f"{stage} {name}",
                python=python,
            )

        return self._item(stage, name, key, make)

    def rule(
        self, stage: str, name: str, version: str, inputs: Mapping[str, Any], make: Callable[[], dict[str, Any]]
    ) -> Item:
        """An item that rules of ours make: a JSON document that the user can read."""

        def made(folder: Path) -> dict[str, Any]:
            path = folder / f"{name}.json"
            write_json(path, make())
            content = path.read_bytes()
            artifact = {
                "path": str(path),
                "media_type": "application/json",
                "bytes": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
            }
            return {"engine": "rules", "output": {"document": artifact}, "warnings": [], "metrics": {}}

        return self._item(stage, name, self._key({"rules": version, "inputs": dict(inputs)}), made)

    def _item(self, stage: str, name: str, key: str, make: Callable[[Path], dict[str, Any]]) -> Item:
        folder = self.folder / stage / name
        started = time.monotonic()
        stored = self._stored(folder, key)
        self.report.item_started(stage, name, reused=stored is not None)
        reused = stored is not None
        if stored is None:
            self._set_results_aside()
            fresh = folder.with_name(f".{name}{PARTIAL}{os.getpid()}")
            fresh.mkdir(parents=True)
            fresh = fresh.resolve()
            result = make(fresh)
            stored = {
                "key": key,
                "engine": result["engine"],
                "output": _relative(result["output"], fresh),
                "warnings": result["warnings"],
                "metrics": result["metrics"],
                "seconds": round(time.monotonic() - started, 3),
            }
            write_json(fresh / RESULT, stored)
            self._keep_edits(folder, stage, name)
            _remove(folder)  # only now: a remake that fails costs nothing
            os.replace(fresh, folder)
        output = _absolute(stored["output"], folder)
        item = Item(
            stage,
            name,
            output,
            reused,
            stored["seconds"],
            stored["engine"],
            stored["warnings"],
            stored["metrics"],
        )
        self.items.append(item)
        self.report.item_done(item.stage, item.name, item.warnings)
        return item

    def _stored(self, folder: Path, key: str) -> dict[str, Any] | None:
        """A result that can be used again: same key, and every artifact is what it says."""
        try:
            stored: dict[str, Any] = json.loads((folder / RESULT).read_text(encoding="utf-8"))
            good = stored["key"] == key and all(
                self._hash(folder / artifact["path"]) == artifact["sha256"] for artifact in _artifacts(stored["output"])
            )
        except (OSError, ValueError, KeyError, TypeError, StorygenError):
            return None
        return stored if good else None

    def _set_results_aside(self) -> None:
        """Something is made anew, so the film at the top is not this run's: it keeps another name until the new one is
        there.
        """
        film, aside = self.folder / RESULTS[0], self.folder / "previous.mp4"
        if film.exists():
            os.replace(film, aside)
        for name in RESULTS[1:]:
            _remove(self.folder / name)

    def _keep_edits(self, folder: Path, stage: str, name: str) -> None:
        """What somebody changed by hand in an item that is made anew is kept beside it."""
        try:
            stored = json.loads((folder / RESULT).read_text(encoding="utf-8"))
            artifacts = [(folder / artifact["path"], artifact["sha256"]) for artifact in _artifacts(stored["output"])]
            edited = [path for path, digest in artifacts if path.is_file() and self._hash(path) != digest]
        except (OSError, ValueError, KeyError, TypeError):
            return
        for path in edited:
            kept = self.folder / "edited" / stage / name / path.name
            kept.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, kept)
            message = f"{path.name} was changed by hand; it was made anew, and your version is {kept}."
            self.event(stage, name, {"type": "warning", "code": "edit_kept", "message": message})
            self.report.item_done(stage, name, [{"code": "edit_kept", "message": message}])

    def _key(self, value: Any) -> str:
        """A hash of everything that shapes an item."""
        text = json.dumps(self._contents(value), sort_keys=True, ensure_ascii=True, allow_nan=False)
        return hashlib.sha256(text.encode("ascii")).hexdigest()

    def _contents(self, value: Any) -> Any:
        if isinstance(value, Path):
            return {"content": self._hash(value)}
        if isinstance(value, Mapping):
            return {key: self._contents(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._contents(item) for item in value]
        return value

    def _hash(self, path: Path) -> str:
        """SHA-256 of a file, or of a folder's names and contents."""
        if path.is_dir():
            files = [file for file in sorted(path.iterdir()) if file.is_file() and not file.name.startswith(".")]
            inside = [(file.name, self._hash(file)) for file in files]
            return hashlib.sha256(json.dumps(inside).encode()).hexdigest()
        try:
            facts = path.stat()
        except OSError as error:
            raise StorygenError(
                "input_not_found", f"Cannot read {path}: {error.strerror}.", "Check the path."
            ) from error
        place = (str(path), facts.st_size, facts.st_mtime_ns)
        if place not in self._hashes:
            with open(path, "rb") as file:
                self._hashes[place] = hashlib.file_digest(file, "sha256").hexdigest()
        return self._hashes[place]


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
    _remove(temporary)
    try:
        if not link:
            raise OSError
        os.link(source, temporary)
    except OSError:
        shutil.copyfile(source, temporary)
    os.replace(temporary, target)
    _remove(temporary)  # replacing a file by another link to itself leaves both names


def with_files(value: Any, schema: Mapping[str, Any]) -> Any:
    """A copy in which every input file that the schema names is an absolute Path: the key has its content."""
    options = [branch for branch in schema.get("anyOf", []) if branch.get("type") != "null"]
    schema = options[0] if options else schema
    if schema.get("$ref") == INPUT_FILE and isinstance(value, (str, Path)):
        return Path(value).absolute()
    if isinstance(value, Mapping):
        parts = schema.get("properties", {})
        return {key: with_files(item, parts.get(key, {})) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [with_files(item, schema.get("items", {})) for item in value]
    return value


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


def _plain(value: Any) -> Any:
    """The request as it goes over the wire: paths as text."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _artifacts(value: Any) -> list[dict[str, Any]]:
    """Every artifact in an output: nothing else has a member called ``path``."""
    if isinstance(value, Mapping):
        own = [dict(value)] if "path" in value and "sha256" in value else []
        return own + [found for item in value.values() for found in _artifacts(item)]
    return [found for item in value for found in _artifacts(item)] if isinstance(value, list) else []


def _with_paths(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, Mapping):
        return {key: change(item) if key == "path" else _with_paths(item, change) for key, item in value.items()}
    return [_with_paths(item, change) for item in value] if isinstance(value, list) else value


def _relative(output: dict[str, Any], folder: Path) -> Any:
    return _with_paths(output, lambda path: Path(path).relative_to(folder).as_posix())


def _absolute(output: dict[str, Any], folder: Path) -> Any:
    return _with_paths(output, lambda path: str(folder / path))
