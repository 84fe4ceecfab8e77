"""The main function of every worker script: flags, modes, signals and the way out."""

from __future__ import annotations

import argparse
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
from runtime.errors import Cancelled, WorkerError
from runtime.request import Family
from runtime.session import Session
from runtime.streams import LineTooLong, Wire, claim, read_line

GRACE_S = 5.0
"""How long a request may take to notice that it is cancelled or late before the worker ends anyway."""
WATCH_INTERVAL_S = 0.25
MAX_TIMEOUT_S = 604800


class Arguments(argparse.ArgumentParser):
    """A parser whose errors are WorkerErrors, so that a wrong flag ends in a line on the wire too."""

    wire: Wire

    def error(self, message: str) -> NoReturn:
        raise WorkerError("usage", message, hint="See --help.")

    def print_help(self, file: Any = None) -> None:
        """Help is what a person asked for on stdout, which the wire holds."""
        self.wire.text(self.format_help())


def parser(family: Family) -> Arguments:
    """The flags that every worker has."""
    script = f"{family.name}.py"
    flags = Arguments(
        prog=script,
        description=f"The {family.name} worker: one JSON request in, one JSON result on stdout.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"operations: {', '.join(validation.operations(family.name))}\n"
        f"engines: {', '.join(registry.names(family.name))}\n\n"
        f"examples:\n  python workers/{script} --input request.json --output-dir out\n"
        f"  python workers/{script} --input - < request.json\n"
        f"  python workers/{script} --describe\n",
    )
    flags.add_argument("--input", metavar="FILE", help="file with one request; - reads it from standard input")
    flags.add_argument(
        "--output-dir", type=Path, metavar="DIR", help="folder for files; no request can write outside it"
    )
    flags.add_argument("--stream", action="store_true", help="write events before the result")
    flags.add_argument("--serve", action="store_true", help="read one request a line and keep the model loaded")
    flags.add_argument("--describe", action="store_true", help="print operations, schemas and engines, then leave")
    flags.add_argument("--timeout", type=float, metavar="S", help="deadline in seconds for requests that name none")
    flags.add_argument("--watch-stdin", action="store_true", help="cancel when standard input closes")
    flags.add_argument(
        "--log-level", choices=("error", "warning", "info", "debug"), default="error", help="what goes to stderr"
    )
    flags.add_argument("--debug", action="store_true", help="print tracebacks to stderr")
    return flags


def main(family: Family) -> NoReturn:
    """Run the worker and leave the process with the exit code of the error table."""
    requests, wire = claim()
    family_flags = parser(family)
    family_flags.wire = wire
    try:
        flags = family_flags.parse_args()
        if flags.timeout is not None and not 0 < flags.timeout <= MAX_TIMEOUT_S:
            raise WorkerError(
                "usage", f"--timeout is {flags.timeout}; it must be more than 0 and at most {MAX_TIMEOUT_S}."
            )
    except WorkerError as error:
        _leave(
            Session(family, wire, output_dir=None, timeout_s=None, events=False, serving=False, debug=False).fail(
                error, None
            )
        )
    except SystemExit:  # --help
        _leave(0)
    import logging

    logging.basicConfig(level=flags.log_level.upper(), stream=sys.stderr)
    if flags.describe:
        wire.send(description(family))
        _leave(0)
    if flags.input is None and not flags.serve and os.isatty(requests.fileno()):
        family_flags.print_help()
        _leave(2)
    session = Session(
        family,
        wire,
        output_dir=flags.output_dir,
        timeout_s=flags.timeout,
        events=flags.stream or flags.serve,
        serving=flags.serve,
        debug=flags.debug,
    )
    loop = Loop(session, requests)
    _leave(loop.serve() if flags.serve else loop.once(flags.input or "-", watch=flags.watch_stdin))


def description(family: Family) -> dict[str, Any]:
    """What ``--describe`` prints."""
    return {
        "type": "description",
        "v": 1,
        "worker": family.name,
        "ops": {op: validation.document(f"{family.name}/{op}") for op in validation.operations(family.name)},
        "engines": registry.describe(family.name),
    }


def _leave(code: int) -> NoReturn:
    """End at once: the interpreter's own way out costs a second after a model library was loaded."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


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
        self._count = 0
        for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), self._on_signal)

    def once(self, source: str, *, watch: bool) -> int:
        """One request from a file or, with ``-``, from the requests pipe up to its end."""
        try:
            body = self._requests.read() if source == "-" else Path(source).read_bytes()
            raw = validation.parse(body)
        except OSError as error:
            missing = WorkerError("input_not_found", f"Cannot read the request file {source}: {error.strerror}.")
            return self._session.fail(missing, None)
        except WorkerError as error:
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
            return WorkerError("cancelled", "").exit_code
        self._session.unload()
        return 0 if self._finishing or not self._cancel_all.is_set() else WorkerError("cancelled", "").exit_code

    def _answer(self, item: dict[str, Any] | WorkerError) -> None:
        if isinstance(item, WorkerError):
            self._session.fail(item, None)
            return
        if item.get("type") == "unload":
            self._session.unload()
            return
        identity = item["id"]
        with self._lock:
            flag = self._flags[identity]
        try:
            self._session.run(item, flag)
        finally:
            with self._lock:
                del self._flags[identity]

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
                self._queue.put(
                    WorkerError(
                        "invalid_request", "A line of more than 16 MiB was refused.", hint="Pass files by path."
                    )
                )
            except WorkerError as error:
                self._queue.put(error)
            except OSError:
                break
        if not self._finishing:
            self._cancel_everything()
        self._queue.put(None)

    def _take(self, message: dict[str, Any]) -> None:
        if "type" in message:
            self._control(message)
            return
        identity = message.get("id")
        if identity is None:
            self._count += 1
            identity = message["id"] = f"r-{os.getpid()}-{self._count}"
        with self._lock:
            if not isinstance(identity, str) or identity in self._flags:
                wrong = "is already in use" if isinstance(identity, str) else "is not a text"
                self._queue.put(WorkerError("invalid_request", f"The id {identity!r} {wrong}.", pointer="/id"))
                return
            self._flags[identity] = threading.Event()
        self._queue.put(message)

    def _control(self, message: dict[str, Any]) -> None:
        validation.raise_for(validation.violations(message, validation.document("control")))
        kind, identity = message["type"], message.get("id")
        if kind == "cancel":
            with self._lock:
                flag = self._flags.get(identity or "")
            if flag:
                flag.set()
        elif kind == "ping":
            waiting = max(0, len(self._flags) - (self._session.running is not None))
            self._session.wire.send(
                {"type": "pong", "v": 1, "id": identity, "loaded": self._session.loaded, "waiting": waiting}
            )
        elif kind == "shutdown":
            self._finishing = True
            self._queue.put(None)
        else:
            self._queue.put(message)

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
        raise Cancelled

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
        code = self._session.fail(error, self._session.running)
        _leave(code)  # children read from our pipes and end with us


def _lead_a_group(requests: BinaryIO) -> None:
    """Lead a process group of our own, so that the host can end this worker with all its children.

    Not on a terminal: a background group that reads from a terminal is stopped by it.
    """
    if hasattr(os, "setpgid") and not os.isatty(requests.fileno()) and os.getpgrp() != os.getpid():
        with contextlib.suppress(OSError):
            os.setpgid(0, 0)
