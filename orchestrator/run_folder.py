"""A run's folder: one process at a time holds it, its events are kept, and its jobs run beside one another."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO, TypeVar

from filelock import FileLock, Timeout

from orchestrator.errors import StorygenError
from orchestrator.item import PARTIAL, remove
from orchestrator.pool import Pool
from orchestrator.progress import Report

MARK = "run.json"
"""What makes a folder a run's."""
EVENTS, LOCK = "events.ndjson", ".lock"
RESULTS = ("final.mp4", "thumbnail.jpg", "captions.srt", "captions.vtt")
"""The files a person looks for, at the top of the folder."""
PREVIOUS = "previous.mp4"
"""The film before this run, while a new one is not done."""
POLL_S = 0.1
"""How often a wait looks up, so that Ctrl+C is felt on Windows too."""

T = TypeVar("T")


class RunFolder:
    """One run folder, held by one process at a time. Leaving its ``with`` block ends the workers, then lets it go."""

    def __init__(self, folder: Path, pool: Pool, report: Report, *, ends_pool: bool = True) -> None:
        """With ``ends_pool`` the workers end with the run; others' are left to finish what they do for this one."""
        try:
            self.folder = folder.resolve()
        except RuntimeError as error:
            raise StorygenError("output_failed", f"{folder} is a loop of links.", "Choose another --out.") from error
        self.pool, self.report = pool, report
        self._ends_pool = ends_pool
        self.notes: list[dict[str, str]] = []
        """Warnings about no item: {stage, item, code, message} each."""
        self.began = time.monotonic()
        self._lock = FileLock(self.folder / LOCK)
        self._held: os.stat_result | None = None
        self._guard = threading.RLock()  # for what several items do at once: events, the list of items, the results
        self._threads: list[ThreadPoolExecutor] = []
        self._begun: dict[str, list[Future[Any]]] = {}

    def __enter__(self) -> Self:
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

    def set_results_aside(self) -> None:
        """Something is made anew, so the film at the top is not this run's: it keeps another name until the new one is
        there.
        """
        with self._guard:
            film, aside = self.folder / RESULTS[0], self.folder / PREVIOUS
            if film.exists():
                os.replace(film, aside)
            for name in RESULTS[1:]:
                remove(self.folder / name)

    # Several at once

    def begin(self, stage: str, jobs: Iterable[Callable[[], T]], at_once: int) -> list[Future[T]]:
        """Begin a stage's jobs in order, so many at once, and go on to the next; ``wait`` waits for them."""
        threads = ThreadPoolExecutor(at_once)
        self._threads.append(threads)
        self._begun[stage] = begun = [threads.submit(job) for job in jobs]
        threads.shutdown(wait=False)  # each thread ends with the last job
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


def _appending(path: Path) -> TextIO:
    """A file of lines opened to go on; a last line that a full disk or a dead machine has cut off is taken away."""
    with contextlib.suppress(FileNotFoundError):
        text = path.read_bytes()
        if (whole := text.rfind(b"\n") + 1) < len(text):
            os.truncate(path, whole)
    return open(path, "a", encoding="utf-8")
