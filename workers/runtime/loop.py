"""Reading requests while one runs: cancel, control lines, deadlines, signals and the end of the caller."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO, NoReturn

from runtime import registry, validation
from runtime.errors import Cancelled, WorkerError, classify
from runtime.session import Session
from runtime.streams import LineTooLong, read_line

GRACE_S = 5.0
"""How long a request may take to notice that it is cancelled or late before the worker ends anyway."""
LAST_WORD_S = 1.0
WATCH_INTERVAL_S = 0.25


class Loop:
    """Reads what the caller says in one thread, works in the main one, watches over both in a third."""

    def __init__(self, session: Session, requests: BinaryIO) -> None:
        self._session, self._requests = session, requests
        self._queue: queue.SimpleQueue[dict[str, Any] | WorkerError | None] = queue.SimpleQueue()
        self._flags: dict[str, threading.Event] = {}
        self._lock = threading.Lock()
        self._cancel_all = threading.Event()
        self._cancelled_at: float | None = None
        self._finishing = False
        self._reading = False
        self._count = 0
        for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
            if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) != signal.SIG_IGN:
                signal.signal(getattr(signal, name), self._on_signal)

    def once(self, source: str, *, watch: bool) -> int:
        """One request from a file or, with ``-``, from the requests pipe up to its end."""
        try:
            self._reading = True
            body = self._requests.read() if source == "-" else Path(source).read_bytes()
            self._reading = False
            raw = validation.parse(body)
        except OSError as error:
            missing = WorkerError("input_not_found", f"Cannot read the request file {source}: {error.strerror}.")
            return self._session.fail(missing, None)
        except (WorkerError, Cancelled) as error:
            return self._session.fail(error, None)
        if watch and source != "-":
            _lead_a_group(self._requests)
            threading.Thread(target=self._watch_for_end, daemon=True).start()
        threading.Thread(target=self._watch, daemon=True).start()
        return self._session.run(raw, self._cancel_all)

    def serve(self) -> int:
        """Requests line by line until the caller leaves or says shutdown. Returns the process's exit code."""
        _lead_a_group(self._requests)
        engines = {name: facts.get("version") for name, facts in registry.describe(self._session.family.name).items()}
        self._session.wire.send(
            {
                "type": "ready",
                "v": 1,
                "id": None,
                "worker": self._session.family.name,
                "version": 1,
                "pid": os.getpid(),
                "engines": engines,
            }
        )
        threading.Thread(target=self._read, daemon=True).start()
        threading.Thread(target=self._watch, daemon=True).start()
        try:
            while (item := self._queue.get()) is not None:
                self._answer(item)
        except Cancelled:
            _end_the_group()
            return WorkerError("cancelled", "").exit_code
        self._session.unload()
        _end_the_group()
        return WorkerError("cancelled", "").exit_code if self._cancel_all.is_set() else 0

    def _answer(self, item: dict[str, Any] | WorkerError) -> None:
        if isinstance(item, WorkerError):
            self._session.fail(item, None)
            return
        if item.get("type") == "unload":
            self._session.unload()
            self._session.pong(item["id"], self._waiting())
            return
        identity = item["id"]
        with self._lock:
            flag = self._flags[identity]

        def free() -> int:
            with self._lock:
                self._flags.pop(identity, None)
            return self._waiting()

        if item.get("type") == "load":
            self._session.load(item, flag, free)
        else:
            self._session.run(item, flag, free)

    def _read(self) -> None:
        """The reader's thread: control lines act at once, requests wait their turn."""
        while True:
            try:
                line = read_line(self._requests)
                if line is None:
                    break
                if line.strip():
                    self._take(validation.parse(line))
            except LineTooLong:
                self._refuse(
                    WorkerError(
                        "invalid_request", "A line of more than 16 MiB was refused.", hint="Pass files by path."
                    )
                )
            except OSError:
                break
            except Exception as error:  # noqa: BLE001 - whatever a line leads to, the next one is read
                self._refuse(classify(error))
        if not self._finishing:
            self._cancelled_at = self._cancelled_at or time.monotonic()  # from here on it leaves, whatever blocks it
            if self._flags:  # what runs and what waits; idle, there is nothing to cancel
                self._cancel_everything()
        self._queue.put(None)

    def _refuse(self, error: WorkerError) -> None:
        """Answer a line that is no request, in its turn; at once when nothing more will have a turn."""
        if self._finishing:
            self._session.fail(error, None)
        else:
            self._queue.put(error)

    def _take(self, message: dict[str, Any]) -> None:
        if self._finishing and message.get("type") not in {"cancel", "ping"}:
            raise WorkerError("invalid_request", "This came after shutdown.", hint="Start another worker.")
        if "type" in message:
            self._control(message)
            return
        self._enqueue(message)

    def _enqueue(self, message: dict[str, Any]) -> None:
        """Give a request, or a load, its turn; with an id, so that it can be cancelled."""
        identity = message.get("id")
        if identity is None:
            self._count += 1
            identity = message["id"] = f"r-{os.getpid()}-{self._count}"
        with self._lock:
            if not isinstance(identity, str) or identity in self._flags:
                wrong = "is already in use" if isinstance(identity, str) else "is not a text"
                raise WorkerError("invalid_request", f"The id {identity!r} {wrong}.", pointer="/id")
            self._flags[identity] = threading.Event()
        self._queue.put(message)

    def _control(self, message: dict[str, Any]) -> None:
        validation.raise_for(validation.violations(message, validation.document("control")))
        message = validation.filled(message, validation.document("control"))
        kind, identity = message["type"], message["id"]
        if kind == "cancel":
            with self._lock:
                flag = self._flags.get(identity or "")
            if flag:
                flag.set()
        elif kind == "ping":
            self._session.pong(identity, self._waiting())
        elif kind == "shutdown":
            self._finishing = True
            self._queue.put(None)
        elif kind == "load":
            self._enqueue(message)
        else:
            self._queue.put(message)

    def _waiting(self) -> int:
        """Requests that have not begun."""
        return max(0, len(self._flags) - (self._session.running is not None))

    def _watch_for_end(self) -> None:
        with contextlib.suppress(OSError):
            while self._requests.read(4096):
                pass
        self._cancel_everything()

    def _cancel_everything(self) -> None:
        self._cancelled_at = self._cancelled_at or time.monotonic()
        self._cancel_all.set()
        with self._lock:
            for flag in self._flags.values():
                flag.set()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        # No lock here: the main thread may hold it.
        self._cancelled_at = self._cancelled_at or time.monotonic()
        self._cancel_all.set()
        for flag in list(self._flags.values()):
            flag.set()
        self._queue.put(None)
        if self._session.running is not None or self._reading:
            raise Cancelled  # elsewhere the end comes by itself, and a line that is being written is written whole

    def _watch(self) -> None:
        """Heartbeats; and the end of a request that C code keeps from noticing its deadline or cancellation."""
        while True:
            threading.Event().wait(WATCH_INTERVAL_S)
            self._session.heartbeat()
            now, deadline = time.monotonic(), self._session.deadline
            if self._cancelled_at is not None and now > self._cancelled_at + GRACE_S:
                self._end(WorkerError("cancelled", "The request was cancelled and did not stop by itself."))
            if deadline is not None and now > deadline + GRACE_S:
                self._end(WorkerError("timeout", "The deadline passed and the request did not stop by itself."))

    def _end(self, error: WorkerError) -> NoReturn:
        self._session.abandon()
        # A host that no longer reads blocks whoever writes, so this waits for nobody.
        last_word = threading.Thread(target=self._session.fail, args=(error, self._session.running), daemon=True)
        last_word.start()
        last_word.join(LAST_WORD_S)
        _end_the_group()
        leave(error.exit_code)


def _lead_a_group(requests: BinaryIO) -> None:
    """Lead a process group of our own, so that the host can end this worker with all its children.

    Not on a terminal: a background group that reads from a terminal is stopped by it.
    """
    if hasattr(os, "setpgid") and not os.isatty(requests.fileno()) and os.getpgrp() != os.getpid():
        with contextlib.suppress(OSError):
            os.setpgid(0, 0)


def _end_the_group() -> None:
    """Take along what a child of ours has started; a host that was killed cannot do it any more."""
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        with contextlib.suppress(
            ValueError
        ):  # only the main thread can; another one leaves our handler, which is as good
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with contextlib.suppress(OSError):
            os.killpg(0, signal.SIGTERM)


def leave(code: int) -> NoReturn:
    """End at once: the interpreter's own way out costs a second after a model library was loaded."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
