"""Getting the bytes of files: several at once, gone on with where they were cut off, cancelled between pieces."""

from __future__ import annotations

import functools
import io
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import constants, hf_hub_download, hf_hub_url
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import WeakFileLock, build_hf_headers, silent_tqdm
from huggingface_hub.utils._runtime import is_xet_available  # as hf_hub_download asks it
from huggingface_hub.utils.sha import git_hash, sha_fileobj

from engines.model_management._choice import Entry
from engines.model_management._place import Place, has_size
from engines.model_management._waiting import all_of
from runtime.context import Context
from runtime.errors import WorkerError

AT_ONCE = 4
"""Files under way together: one connection to a hub seldom fills a fast line."""
PIECE_BYTES = 1 << 18
"""Written, counted and cancelled in such pieces. The library's own 10 MiB take minutes on a slow line."""
SHA256_LENGTH = 64
"""Hexadecimal digits by which the hub names a large file's content; git's 40 name the others'."""


class _Stopped(Exception):
    """Ends a thread whose request is over."""


class _Count:
    """Bytes that have come, and bytes of them that were compared with the hub's checksums; from several threads."""

    def __init__(self, start: int) -> None:
        self.bytes, self.compared, self.over = start, 0, threading.Event()
        self._guard = threading.Lock()

    def add(self, number: int) -> None:
        self._check()
        with self._guard:
            self.bytes += number

    def add_compared(self, number: int) -> None:
        self._check()
        with self._guard:
            self.compared += number

    def _check(self) -> None:
        if self.over.is_set():
            raise _Stopped


class _Bar(silent_tqdm):
    """What ``http_get`` tells of its pieces, told to a count."""

    def __init__(self, count: _Count, *, initial: int = 0, **appearance: Any) -> None:
        self._count = count
        count.add(initial)

    def update(self, n: float | None = 1) -> None:
        self._count.add(int(n or 0))


class _Reading(io.FileIO):
    """A file whose reading is counted."""

    def __init__(self, path: Path, count: _Count) -> None:
        super().__init__(path)
        self._count = count

    def read(self, size: int | None = -1) -> bytes:
        piece = super().read(size) or b""
        self._count.add_compared(len(piece))
        return piece


def check_size(entries: Sequence[Entry]) -> None:
    """Raises WorkerError ``engine_unavailable`` for a file that the hub gives to hf_xet only, where that is lacking."""
    large = next((entry for entry in entries if _by_xet(entry)), None)
    if large is not None and not is_xet_available():
        raise _too_large(large)


def fetch(place: Place, commit: str, entries: Sequence[Entry], have: int, total: int, context: Context) -> None:
    """Get these files of a commit; ``have`` and ``total`` are bytes for the progress.

    The library downloads each file under a fresh name and removes it when it is cut off, so 10 GB begin anew
    (https://github.com/huggingface/huggingface_hub/issues/4196). Its ``http_get`` can go on with a begun file; placed
    in the cache under the hash of its content, the file is then linked by ``hf_hub_download`` like one of its own.
    Raises WorkerError ``provider_rejected`` for a file whose content is not what the hub says, ``network``.
    """
    constants.DOWNLOAD_CHUNK_SIZE = PIECE_BYTES
    count, to_compare = _Count(have), total - have

    def look() -> None:
        come = min(count.bytes, total)
        context.progress("download", come, total, "bytes")
        if come == total and count.compared:  # what is left is reading, about a second for each GB
            context.progress("run", min(count.compared, to_compare), to_compare, "bytes")

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


def _by_xet(entry: Entry) -> bool:
    return entry.size > constants.MAX_HTTP_DOWNLOAD_SIZE


def _too_large(entry: Entry) -> WorkerError:
    return WorkerError(
        "engine_unavailable",
        f"{entry.name} has {entry.size / 1e9:.3g} GB; files of more than "
        f"{constants.MAX_HTTP_DOWNLOAD_SIZE / 1e9:g} GB come through the Python package hf_xet only.",
        hint="pip install hf_xet, with HF_HUB_DISABLE_XET not set, or name the files that you want by allow_patterns.",
    )


def _fetch_file(place: Place, commit: str, entry: Entry, count: _Count) -> None:
    blob, lock, linked = place.blob(entry.blob), place.lock(entry.blob), place.snapshot(commit) / entry.name
    for folder in (blob.parent, lock.parent):
        folder.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(lock):  # another process may be at the same file, or a thread of a request that was cancelled
        if not has_size(blob, entry.size) and not _by_xet(entry):
            _fetch_blob(place, commit, entry, count)
    if linked.exists() and not has_size(linked, entry.size):
        _check_inside(linked, place.snapshot(commit))
        linked.unlink()  # spoiled: the library would take it for good
    try:
        hf_hub_download(place.model_id, entry.name, revision=commit, cache_dir=place.cache)
    except ValueError as error:  # the library's word where a hub has no other way for it
        if _by_xet(entry):
            raise _too_large(entry) from error
        raise
    if not linked.is_symlink():  # a system without links got a copy
        blob.unlink(missing_ok=True)


def _fetch_blob(place: Place, commit: str, entry: Entry, count: _Count) -> None:
    """Get a content, whole and as the hub says that it is, under its name in the cache."""
    begun, url = place.begun(entry.blob), hf_hub_url(place.model_id, entry.name, revision=commit)
    try:
        for _ in range(2):  # a begun file may have been damaged, or the way: once more, from the start
            _go_on(begun, url, entry, count)
            if _content(begun, entry, count) == entry.blob:
                os.replace(begun, place.blob(entry.blob))
                return
            begun.unlink()
            count.add(-entry.size)
            count.add_compared(-entry.size)
    except FileNotFoundError as error:
        raise WorkerError(
            "network",
            f"{entry.name} of {place.model_id} vanished while it was downloaded: was the model removed meanwhile?",
            hint="Run it again.",
        ) from error
    raise WorkerError(
        "provider_rejected",
        f"{entry.name} of {place.model_id} came twice with another content than the hub's checksum says; "
        "it was dropped.",
        hint="Try again later, or on another line: a proxy may change what it passes on.",
    )


def _content(path: Path, entry: Entry, count: _Count) -> str:
    """What the hub calls the content of this file, by the library's own hashing."""
    with _Reading(path, count) as file:
        return sha_fileobj(file).hex() if len(entry.blob) == SHA256_LENGTH else git_hash(file.read())


def _check_inside(linked: Path, snapshot: Path) -> None:
    """Raises WorkerError ``provider_rejected`` where a name, or a link in the cache, leads out of the folder."""
    if snapshot.resolve() not in (linked.parent.resolve() / linked.name).parents:
        raise WorkerError("provider_rejected", f"{linked} leads out of {snapshot}: not safe, so it was left alone.")


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
