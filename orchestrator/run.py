"""The run folder: what is done stays done, what changed is redone, nothing is half-written.

``<run>/<stage>/<item>/`` holds an item's artifacts and, written last, ``result.json``: the only mark of done. An item
is reused when its key is the same and its artifacts are what result.json says. An artifact that somebody changed by
hand is theirs: it is used as it is for as long as it reads as what it should be, and only ``--force`` redoes it.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO, TypeVar

from filelock import FileLock, Timeout

from orchestrator import edits
from orchestrator.errors import MAKE_ROOM, StorygenError
from orchestrator.item import (
    PARTIAL,
    RESULT,
    Item,
    absolute,
    artifacts,
    changed,
    copy_folder,
    false_claims,
    read_result,
    relative,
    remove,
    write_json,
)
from orchestrator.keys import Hashes, Key, plain, with_files
from orchestrator.needs import Lack
from orchestrator.pool import Pool
from orchestrator.progress import Report

MARK = "run.json"
"""What makes a folder a run's."""
EVENTS, LOCK = "events.ndjson", ".lock"
RESULTS = ("final.mp4", "thumbnail.jpg", "captions.srt", "captions.vtt")
"""The files a person looks for, at the top of the folder."""
POLL_S = 0.1
"""How often a wait looks up, so that Ctrl+C is felt on Windows too."""
TRY_NEXT = frozenset(
    {
        "engine_unavailable",
        "model_not_found",
        "device_unavailable",
        "out_of_memory",
        "rate_limited",
        "provider_unavailable",
        "network",
        "provider_rejected",
        "auth_missing",
        "auth_rejected",
        "gated_model",
        "unsupported_capability",
        "internal_error",
        "worker_crashed",
        "timeout",
    }
)
"""Errors of an engine after which the next of its stage's list is tried; the others would be the same with any."""

T = TypeVar("T")
InItsWords = Callable[[str], tuple[Mapping[str, Any], Mapping[str, Any]]]
"""Engine's name -> (fields of the input, engine_options) as that engine understands them."""


@dataclass(frozen=True)
class Wishes:
    """What the user wants of a run beyond "what is missing"."""

    as_stored: frozenset[str] = frozenset()
    """Stages taken as they lie in the folder, whatever has changed since."""
    force: tuple[str, ...] = ()
    """Stages, or items as ``stage/item``, to be made again."""
    reuse: Path | None = None
    """Another run's folder, whose items may be taken."""

    def forces(self, stage: str, name: str) -> bool:
        return stage in self.force or f"{stage}/{name}" in self.force


@dataclass(frozen=True)
class Look:
    """What lies in an item's folder: ``state`` is done, edited, stale, damaged or missing; ``why`` says it in words."""

    state: str
    why: str
    stored: dict[str, Any] | None = None


class Run:
    """One run folder, held by one process at a time. Leaving its ``with`` block ends the workers, then lets it go."""

    def __init__(
        self, folder: Path, pool: Pool, report: Report, wishes: Wishes | None = None, *, ends_pool: bool = True
    ) -> None:
        """With ``ends_pool`` the workers end with the run; others' are left to finish what they do for this one."""
        try:
            self.folder = folder.resolve()
        except RuntimeError as error:
            raise StorygenError("output_failed", f"{folder} is a loop of links.", "Choose another --out.") from error
        self.pool, self.report = pool, report
        self._ends_pool = ends_pool
        self.wishes = wishes or Wishes()
        self.items: list[Item] = []
        self.lacking: Sequence[Lack] = ()
        """What engines lack here, which is known beforehand: they are not asked to make anything."""
        self.told: set[str] = set()
        """Parts of the profile of which the run has said that another engine takes the place of theirs."""
        self.replaced: set[str] = set()
        """Parts of the profile of which items are another engine's, because their own one lacks something."""
        self.notes: list[dict[str, str]] = []
        """Warnings about no item: {stage, item, code, message} each."""
        self.hashes = Hashes()
        self.began = time.monotonic()
        self._lock = FileLock(self.folder / LOCK)
        self._held: os.stat_result | None = None
        self._guard = threading.RLock()  # for what several items do at once: events, the list of items, the results
        self._threads: list[ThreadPoolExecutor] = []
        self._begun: dict[str, list[Future[Any]]] = {}
        self._elsewhere: dict[str, Path] | None = None

    def __enter__(self) -> Run:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
            self._held = (self.folder / LOCK).stat()
        except Timeout:
            raise StorygenError(
                "output_failed", f"Another run is working in {self.folder}.", "Wait for it or choose another --out."
            ) from None
        except OSError as error:
            raise StorygenError(
                "output_failed", f"Cannot write to {self.folder}: {error.strerror}.", "Choose another --out."
            ) from error
        self._make_ours()
        self._events = _appending(self.folder / EVENTS)
        return self

    def stop(self) -> None:
        """End the threads and, if they are this run's own, the workers. Finished items stay; safe to call twice."""
        for threads in self._threads:
            threads.shutdown(wait=False, cancel_futures=True)
        if self._ends_pool:
            self.pool.close()  # ends what the threads wait for
        for threads in self._threads:
            threads.shutdown(wait=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        finally:
            with contextlib.suppress(OSError):  # what a full disk kept back
                self._events.close()
            self._lock.release()

    @property
    def holds_folder(self) -> bool:
        """Whether the folder is still the one that was locked: it may have been removed, and made again by others."""
        try:
            return self._held is not None and os.path.samestat(self._held, (self.folder / LOCK).stat())
        except OSError:
            return False

    def check_folder(self) -> None:
        """Raise StorygenError ``output_failed`` if the folder is no longer the one that was locked."""
        if not self.holds_folder:
            raise StorygenError(
                "output_failed",
                f"{self.folder} was removed, or its {LOCK} was, while the run was at work.",
                "Run the same command again; what was removed is made anew.",
            )

    def _make_ours(self) -> None:
        """Sweep what a killed run left. A folder that holds something else is never touched."""
        if not (self.folder / MARK).exists():
            foreign = [path.name for path in self.folder.iterdir() if path.name != LOCK]
            if foreign:
                self._lock.release()
                raise StorygenError(
                    "output_failed",
                    f"{self.folder} is not a run's folder: it holds {', '.join(sorted(foreign)[:3])}.",
                    "Choose an empty or a new folder with --out.",
                )
        for level in ("", "*/", "*/*/"):
            for left_over in self.folder.glob(f"{level}.*{PARTIAL}*"):
                remove(left_over)

    def event(self, stage: str, item: str, event: Mapping[str, Any]) -> None:
        """Keep one event and show it."""
        step = {"step": event["stage"]} if "stage" in event else {}  # a worker's own: run, encode, …
        line = {"time": round(time.time(), 3), **event, **step, "stage": stage, "item": item}
        with self._guard:
            try:
                self._events.write(json.dumps(line) + "\n")
                self._events.flush()
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(self.folder / EVENTS)) from error
            self.report.event(stage, item, event)

    def warn(self, stage: str, name: str, code: str, message: str) -> dict[str, str]:
        """Keep a warning of the host's own; returns it."""
        self.event(stage, name, {"type": "warning", "code": code, "message": message})
        return {"code": code, "message": message}

    def note(self, stage: str, code: str, message: str) -> None:
        """Keep a warning of the host's own that is about no single item, and show it."""
        warning = self.warn(stage, "", code, message)
        with self._guard:
            self.notes.append({"stage": stage, "item": "", **warning})
            self.report.item_done(stage, "", [warning])

    # Several at once

    def beside(
        self, stage: str, jobs: Iterable[Callable[[], T]], settings: Mapping[str, Any], family: str, op: str
    ) -> list[Future[T]]:
        """Begin a stage's jobs in order, as many at once as its profile or its engine says, and go on to the next.

        ``wait`` waits for them. With an engine that loads models here this does so itself: a stage beside it might have
        another model loaded, and the two would take turns for every item.
        """
        at_once, alone = settings.get("at_once"), False
        names = [settings["engine"], *settings.get("fallback", ())]
        name = next((name for name in names if not self._lacks(family, settings, name)), names[0])
        with contextlib.suppress(StorygenError):  # the items will say it, or a fallback make them
            engine = self.pool.engine(family, name, op, settings.get("python") if name == names[0] else None)
            at_once, alone = at_once or engine.at_once, engine.heavy
        threads = ThreadPoolExecutor(at_once or 1)
        self._threads.append(threads)
        self._begun[stage] = begun = [threads.submit(job) for job in jobs]
        threads.shutdown(wait=False)  # each thread ends with the last job
        if alone:
            self.wait(begun)
        return begun

    def begun(self, stage: str) -> list[Future[Any]]:
        """The jobs that a stage has begun."""
        return self._begun.get(stage, [])

    def wait(self, futures: Sequence[Future[T]]) -> list[T]:
        """The results of jobs begun before. The first job that fails, of whatever stage, ends the wait."""
        while True:
            ended = [job for jobs in self._begun.values() for job in jobs if job.done() and not job.cancelled()]
            for error in (job.exception() for job in ended):
                if error is not None:
                    self._let_end()
                    raise error
            left = [future for future in futures if not future.done()]
            if not left:
                return [future.result() for future in futures]
            if self.pool.overdue:
                raise self.pool.time_is_up()
            wait_for(left, timeout=POLL_S, return_when=FIRST_COMPLETED)

    def _let_end(self) -> None:
        """One job failed: begin no other, but keep what is under way, which may have been paid for."""
        jobs = [job for begun in self._begun.values() for job in begun if not job.cancel()]
        while not (self.pool.closing or self.pool.overdue) and wait_for(jobs, timeout=POLL_S).not_done:
            pass

    # Items

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
        where_able: Mapping[str, Any] | None = None,
        in_its_words: InItsWords | None = None,
    ) -> Item:
        """An item that a worker makes. Every ``Path`` in the input is a file: the key has its content, not its name.

        ``settings`` is the stage's part of the profile: engine, model, engine_options, options, python, fallback. When
        its engine fails, those of ``fallback`` are tried in order, and the item says so in a warning. ``where_able``
        are fields of the input, named as the capability that they ask for: only engines that have it are given them.
        ``in_its_words`` gives what is said otherwise to each engine.
        """
        own = {**settings.get("engine_options", {}), **(engine_options or {})}
        failures: list[tuple[str, StorygenError, Lack | None]] = []
        for engine in (settings["engine"], *settings.get("fallback", ())):
            # A fallback knows nothing of the first engine's model, options and environment.
            chosen = {**settings, "engine": engine, "model": {}, "python": None} if failures else settings
            lack = self._lacks(family, settings, engine)
            try:
                item = self._work_with(
                    stage,
                    name,
                    family,
                    op,
                    input,
                    chosen,
                    {} if failures else own,
                    where_able or {},
                    in_its_words,
                    lack,
                )
            except StorygenError as error:
                failures.append((engine, error, lack))
                if error.code not in TRY_NEXT or self.pool.closing or self.pool.overdue:
                    raise
                if not self._is_told(lack):
                    self.event(stage, name, {"type": "engine_failed", "engine": engine, "message": error.message})
                continue
            self.replaced |= {lack.of.part for _, _, lack in failures[:1] if lack is not None}
            news = [(failed, error) for failed, error, lack in failures if not self._is_told(lack)]
            if not news:
                return item
            message = f"Made by {item.engine}, because {news[0][0]} failed: {news[0][1].message}"
            return self.warned(item, {"code": "engine_fallback", "message": message})
        raise next((error for _, error, lack in failures if not self._is_told(lack)), failures[0][1])

    def _is_told(self, lack: Lack | None) -> bool:
        return lack is not None and lack.of.part in self.told

    def _lacks(self, family: str, settings: Mapping[str, Any], engine: str) -> Lack | None:
        """What an engine of a part of the profile is known to lack here."""
        known = (lack for lack in self.lacking if (lack.of.family, lack.of.engine) == (family, engine))
        return next((lack for lack in known if lack.of.settings == settings), None)

    def _work_with(
        self,
        stage: str,
        name: str,
        family: str,
        op: str,
        input: Mapping[str, Any],  # noqa: A002 - the wire's word
        settings: Mapping[str, Any],
        options: Mapping[str, Any],
        where_able: Mapping[str, Any],
        in_its_words: InItsWords | None,
        lack: Lack | None = None,
    ) -> Item:
        """``lack`` is what the engine is known to lack: what it made earlier is taken, but nothing more is asked."""
        python = settings.get("python")
        engine = self.pool.engine(family, settings["engine"], op, python)
        able = {field: value for field, value in where_able.items() if field in engine.capabilities}
        fields, more = in_its_words(engine.name) if in_its_words else ({}, {})
        request = {
            "v": 1,
            "op": op,
            "engine": engine.name,
            "model": dict(settings.get("model", {})),
            "input": with_files({**able, **input, **fields}, engine.input_schema),
            "engine_options": with_files({**more, **options}, engine.options_schema),
        }
        # The schemas hold the defaults of what the request leaves out.
        shaping = {**request, "version": engine.version, "schemas": [engine.input_schema, engine.options_schema]}

        def make(folder: Path) -> dict[str, Any]:
            whole = {
                **plain(request),
                "options": dict(settings.get("options", {})),
                "output_dir": str(folder),
                "output_name": name,
            }
            try:
                answer = self.pool.request(
                    family,
                    whole,
                    lambda event: self.event(stage, name, event),
                    where=f"{stage} {name}",
                    python=python,
                )
            except StorygenError as error:
                if error.code != "output_failed":
                    raise
                message = f"{error.message.rstrip('.')} ({self.folder})."  # the worker's hint is about its own flags
                raise StorygenError("output_failed", message, MAKE_ROOM, error.details) from error
            if faults := engine.violations(answer["output"]) or false_claims(answer["output"], folder, self.hashes):
                raise _wrong_result(f"{stage} {name}", engine.name, faults)
            return answer

        key = self.hashes.key(shaping)
        if lack is not None and not self._is_there(stage, name, key, engine.violations):
            raise lack.error
        return self._item(stage, name, key, make, violations=engine.violations)

    def _is_there(self, stage: str, name: str, key: Key, violations: Callable[[Any], list[str]]) -> bool:
        """Whether an item need not be made: it is done, edited by hand, or lies in the run given with ``--reuse``."""
        if stage in self.wishes.as_stored or self.look(stage, name, key, violations).state in {"done", "edited"}:
            return True
        return self._source_elsewhere(stage, name, key) is not None

    def rule(
        self, stage: str, name: str, version: str, inputs: Mapping[str, Any], make: Callable[[], dict[str, Any]]
    ) -> Item:
        """An item that rules of ours make: a JSON document that the user can read and edit."""

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

        key = self.hashes.key({"rules": version, "inputs": dict(inputs)})
        return self._item(stage, name, key, made, document=make)

    def _item(
        self,
        stage: str,
        name: str,
        key: Key,
        make: Callable[[Path], dict[str, Any]],
        *,
        document: Callable[[], dict[str, Any]] | None = None,
        violations: Callable[[Any], list[str]] | None = None,
    ) -> Item:
        began = time.monotonic()
        folder = self.folder / stage / name
        look = self.look(stage, name, key, violations)
        notes: list[dict[str, str]] = []
        stored = look.stored if look.state in {"done", "edited"} else None
        if stored is not None and look.state == "edited" and (notes := self._adopt(stage, name, stored, document)):
            stored = read_result(folder) if notes[-1]["code"] == "edit_adopted" else None
        if stored is None and stage in self.wishes.as_stored:
            raise StorygenError(
                "input_not_found",
                f"{stage}/{name} is to be taken as it is, but it is {look.state}: {look.why}.",
                f"Begin earlier: --from {stage}, or without --from.",
            )
        if stored is None:
            stored = self._taken_from_elsewhere(stage, name, key)
        with self._guard:
            self.report.item_started(stage, name, reused=stored is not None)
        reused = stored is not None
        if stored is None:
            stored = self._made(stage, name, key, make, notes)
        item = Item(
            stage,
            name,
            absolute(stored["output"], folder),
            reused,
            stored["seconds"],
            stored["engine"],
            [*stored["warnings"], *notes],
            stored["metrics"],
            edited=bool(stored.get("edited")),
            began_s=round(began - self.began, 3),
        )
        with self._guard:
            self.items.append(item)
            self.report.item_done(item.stage, item.name, item.warnings)
        return item

    def warned(self, item: Item, warning: dict[str, str]) -> Item:
        """The item with one more warning, in the list of items too."""
        told = replace(item, warnings=[*item.warnings, warning])
        with self._guard:
            self.items[self.items.index(item)] = told
            self.report.item_done(item.stage, "", [warning])
        return told

    def look(self, stage: str, name: str, key: Key, violations: Callable[[Any], list[str]] | None = None) -> Look:
        """What there is of an item, and why it cannot be used if it cannot.

        ``violations`` says where a stored output is not what its operation promises.
        """
        folder = self.folder / stage / name
        stored = read_result(folder)
        if stored is not None and violations is not None and violations(stored["output"]):
            stored = None
        if stored is None:
            return Look("missing", "its result.json is damaged" if (folder / RESULT).exists() else "it was never made")
        if self.wishes.forces(stage, name):
            return Look("stale", "it is to be made again", stored)
        other = changed(stored, folder, self.hashes)
        if lost := [artifact["path"] for artifact in other if not (folder / artifact["path"]).is_file()]:
            return Look("damaged", f"{', '.join(lost)} is gone", stored)
        if other:
            return Look("edited", f"{', '.join(each['path'] for each in other)} was changed by hand", stored)
        if stage in self.wishes.as_stored:
            return Look("done", "it is taken as it is", stored)
        if stored["key"] != key.whole:
            parts = key.differs_in(stored)
            why = f"{', '.join(parts)} changed" if parts else "what it is made from changed"
            return Look("edited" if stored.get("edited") else "stale", why, stored)
        return Look("done", "", stored)

    def _adopt(
        self, stage: str, name: str, stored: dict[str, Any], document: Callable[[], dict[str, Any]] | None
    ) -> list[dict[str, str]]:
        """Make what somebody changed the item's own. The last warning says whether that went: ``edit_adopted``."""
        folder, notes = self.folder / stage / name, []
        edited = changed(stored, folder, self.hashes)
        try:
            for artifact in edited:  # each is a part of ``stored``
                path = folder / artifact["path"]
                artifact.update(edits.facts_of(path, artifact["media_type"], self.pool, document))
                artifact.update(bytes=path.stat().st_size, sha256=self.hashes.of(path), edited=True)
        except (StorygenError, OSError) as error:
            if isinstance(error, StorygenError) and error.code not in {"input_unreadable", "internal_error"}:
                raise
            message = f"What there was is damaged and is made anew: {error}"
            return [self.warn(stage, name, "artifact_damaged", message)]
        if edited:
            files = ", ".join(Path(artifact["path"]).name for artifact in edited)
            message = f"{files} was changed by hand and is used as it is; --force {stage}/{name} makes it anew."
        else:
            message = (
                f"Its edited version is kept though what it was made from has changed; --force {stage}/{name} makes it "
                "anew."
            )
        notes.append(self.warn(stage, name, "edit_adopted", message))
        if edited:
            self._set_results_aside()
            write_json(folder / RESULT, {**stored, "edited": True})
        return notes

    def _made(
        self,
        stage: str,
        name: str,
        key: Key,
        make: Callable[[Path], dict[str, Any]],
        notes: list[dict[str, str]],
    ) -> dict[str, Any]:
        """Make an item beside its place and put it there once it is whole: a remake that fails costs nothing."""
        folder, started = self.folder / stage / name, time.monotonic()
        self.check_folder()
        self._set_results_aside()
        fresh = folder.with_name(f".{name}{PARTIAL}{os.getpid()}")
        remove(fresh)
        fresh.mkdir(parents=True)
        try:
            fresh = fresh.resolve()
            result = make(fresh)
            stored = {
                "key": key.whole,
                "parts": key.parts,
                "engine": result["engine"],
                "output": relative(result["output"], fresh),
                "warnings": result["warnings"],
                "metrics": result["metrics"],
                "seconds": round(time.monotonic() - started, 3),
            }
            write_json(fresh / RESULT, stored)
            if read_result(fresh) is None:
                raise StorygenError(
                    "internal_error", f"{stage} {name}: {stored['engine']} gave a result of wrong shape."
                )
            self.check_folder()
            notes += self._keep_edits(folder, stage, name)
            remove(folder)
            os.replace(fresh, folder)
        except BaseException:
            with contextlib.suppress(OSError):
                remove(fresh)  # a full disk needs its room
                if not self.holds_folder:  # and a removed one is not to come back
                    fresh.parent.rmdir()
                    self.folder.rmdir()
            raise
        return stored

    def _source_elsewhere(self, stage: str, name: str, key: Key) -> Path | None:
        """Where the run given with ``--reuse`` has an item of the same key, whole and not edited."""
        if self.wishes.reuse is None or self.wishes.forces(stage, name):
            return None
        with self._guard:
            if self._elsewhere is None:
                found = ((path.parent, read_result(path.parent)) for path in self.wishes.reuse.glob(f"*/*/{RESULT}"))
                self._elsewhere = {stored["key"]: folder for folder, stored in found if stored}
        source = self._elsewhere.get(key.whole)
        stored = read_result(source) if source else None
        if source is None or stored is None or stored.get("edited") or changed(stored, source, self.hashes):
            return None
        return source

    def _taken_from_elsewhere(self, stage: str, name: str, key: Key) -> dict[str, Any] | None:
        """An item of the other run, copied here."""
        source = self._source_elsewhere(stage, name, key)
        if source is None:
            return None
        self._set_results_aside()
        folder = self.folder / stage / name
        fresh = folder.with_name(f".{name}{PARTIAL}{os.getpid()}")
        remove(fresh)
        fresh.parent.mkdir(parents=True, exist_ok=True)
        copy_folder(source, fresh)
        self._keep_edits(folder, stage, name)
        remove(folder)
        os.replace(fresh, folder)
        return read_result(folder)

    def _set_results_aside(self) -> None:
        """Something is made anew, so the film at the top is not this run's: it keeps another name until the new one is
        there.
        """
        with self._guard:
            film, aside = self.folder / RESULTS[0], self.folder / "previous.mp4"
            if film.exists():
                os.replace(film, aside)
            for name in RESULTS[1:]:
                remove(self.folder / name)

    def _keep_edits(self, folder: Path, stage: str, name: str) -> list[dict[str, str]]:
        """What somebody changed by hand in an item that is made anew is kept beside it.

        Where ``result.json`` is damaged nobody can tell what was changed: all is kept.
        """
        stored, notes = read_result(folder), []
        if stored is not None:
            theirs = artifacts(stored["output"]) if stored.get("edited") else changed(stored, folder, self.hashes)
            paths, why = [folder / artifact["path"] for artifact in theirs], "was changed by hand"
        else:
            paths = [path for path in folder.iterdir() if path.name != RESULT] if (folder / RESULT).exists() else []
            why = f"may have been changed by hand, which its damaged {RESULT} does not tell"
        for path in filter(os.path.lexists, paths):
            kept = _free(self.folder / "edited" / stage / name / path.name)
            kept.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, kept)
            message = f"{path.name} {why}; it was made anew, and your version is {kept}."
            notes.append(self.warn(stage, name, "edit_kept", message))
        return notes


def _wrong_result(where: str, engine: str, faults: list[str]) -> StorygenError:
    return StorygenError(
        "internal_error",
        f"{where}: the engine {engine} gave a wrong result, which is not kept: {faults[0]}.",
        "That is the engine's fault; the profile can name another one.",
        faults,
    )


def _free(path: Path) -> Path:
    """The path, or where something lies there, the next that is free: ``shot-001_001-2.png``."""
    numbered = (path.with_stem(f"{path.stem}-{number}") for number in itertools.count(2))
    return next(each for each in itertools.chain([path], numbered) if not os.path.lexists(each))


def _appending(path: Path) -> TextIO:
    """A file of lines opened to go on; a last line that a full disk or a dead machine has cut off is taken away."""
    with contextlib.suppress(FileNotFoundError):
        text = path.read_bytes()
        if (whole := text.rfind(b"\n") + 1) < len(text):
            os.truncate(path, whole)
    return open(path, "a", encoding="utf-8")
