"""Getting the bytes of files: several at once, gone on with where they were cut off, cancelled between pieces."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import constants, hf_hub_download, hf_hub_url
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import WeakFileLock, build_hf_headers, silent_tqdm

from engines.model_management._choice import Entry
from engines.model_management._place import Place, has_size
from engines.model_management._waiting import all_of
from runtime.context import Context

AT_ONCE = 4
"""Files under way together: one connection to a hub seldom fills a fast line."""
PIECE_BYTES = 1 << 18
"""Written, counted and cancelled in such pieces. The library's own 10 MiB take minutes on a slow line."""


class _Stopped(Exception):
    """Ends a thread whose request is over."""


class _Count:
    """Bytes that have come, from several threads."""

    def __init__(self, start: int) -> None:
        self.bytes, self.over = start, threading.Event()
        self._guard = threading.Lock()

    def add(self, number: int) -> None:
        if self.over.is_set():
            raise _Stopped
        with self._guard:
            self.bytes += number


class _Bar(silent_tqdm):
    """What ``http_get`` tells of its pieces, told to a count."""

    def __init__(self, count: _Count, *, initial: int = 0, **appearance: Any) -> None:
        self._count = count
        count.add(initial)

    def update(self, n: float | None = 1) -> None:
        self._count.add(int(n or 0))


def fetch(place: Place, commit: str, entries: Sequence[Entry], have: int, total: int, context: Context) -> None:
    """Get these files of a commit; ``have`` and ``total`` are bytes for the progress.

    The library downloads each file under a fresh name and removes it when it is cut off, so 10 GB begin anew
    (https://github.com/huggingface/huggingface_hub/issues/4196). Its ``http_get`` can go on with a begun file; placed
    in the cache under the hash of its content, the file is then linked by ``hf_hub_download`` like one of its own.
    """
    constants.DOWNLOAD_CHUNK_SIZE = PIECE_BYTES
    count = _Count(have)

    def look() -> None:
        context.progress("download", min(count.bytes, total), total, "bytes")

    smallest_first = sorted(entries, key=lambda entry: entry.size)
    jobs: list[Callable[[], None]] = [
        functools.partial(_fetch_file, place, commit, entry, count) for entry in smallest_first
    ]
    try:
        look()
        all_of(jobs, AT_ONCE, look)
        context.progress("download", total, total, "bytes")  # some of it may be another process's work
    finally:
        count.over.set()


def _fetch_file(place: Place, commit: str, entry: Entry, count: _Count) -> None:
    blob, begun, lock = place.blob(entry.blob), place.begun(entry.blob), place.lock(entry.blob)
    linked = place.snapshot(commit) / entry.name
    for folder in (blob.parent, lock.parent):
        folder.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(lock):  # another process may be at the same file, or a thread of a request that was cancelled
        if not has_size(blob, entry.size):
            _go_on(begun, hf_hub_url(place.model_id, entry.name, revision=commit), entry, count)
            os.replace(begun, blob)
    if linked.exists() and not has_size(linked, entry.size):
        linked.unlink()  # spoiled: the library would take it for good
    hf_hub_download(place.model_id, entry.name, revision=commit, cache_dir=place.cache)
    if not linked.is_symlink():  # a system without links got a copy
        blob.unlink(missing_ok=True)


def _go_on(begun: Path, url: str, entry: Entry, count: _Count) -> None:
    with open(begun, "ab") as file:
        if file.tell() > entry.size:
            file.seek(0)
            file.truncate()
        bar = functools.partial(_Bar, count)
        http_get(
            url, file, resume_size=file.tell(), headers=build_hf_headers(), expected_size=entry.size, tqdm_class=bar
        )
        file.flush()
        os.fsync(file.fileno())
