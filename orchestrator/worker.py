"""One worker process: spawn it, talk to it, end it and everything it started.

Four threads serve a worker: one writes what we say, two drain what it says, one waits for its end. So no full pipe can
hold either side, and a request waits on a queue only, in steps that see deadlines and Ctrl+C.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from orchestrator.errors import CHECKOUT, StorygenError, from_wire

WORKERS = CHECKOUT / "workers"
MAX_LINE_BYTES = 16 * 1024 * 1024
STDERR_LINES, STDERR_LINE_BYTES = 20, 2000
SKIP_BYTES = 64 * 1024
POLL_S = 0.1
"""How often a wait looks up: for its limit, and so that Ctrl+C is felt on Windows too."""
DRAIN_S = 2.0
"""How long the pipes of an ended worker may stay open: only a process that left its group can hold them."""
ANSWERS = {"result", "error"}
NEEDED = {"engine": str, "output": dict, "warnings": list, "metrics": dict}
"""What a host reads of every result."""
TYPE, ID = re.compile(rb'"type"\s*:\s*"([^"]*)"'), re.compile(rb'"id"\s*:\s*"([^"\\]*)"')
HEAD_BYTES = 1000
"""What is looked at of a line too long to be read: whether it was an answer, and to which request."""

OnEvent = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Patience:
    """Seconds that each wait may take; the last three are the stop ladder."""

    start_s: float = 120.0  # to the first word: a first start compiles, perhaps from a cold disk
    grace_s: float = 10.0  # beyond a request's timeout_s; the worker's own deadline may take 5 of them
    cancel_s: float = 5.0  # cancel or closed stdin,
    terminate_s: float = 2.0  # then SIGTERM,
    kill_s: float = 5.0  # then kill


PATIENCE = Patience()


@dataclass
class _Asked:
    """The running request; ``name`` says in errors who was asked, and where in a run."""

    id: str
    name: str
    timeout_s: float | None
    begun_at: float
    cancelled_at: float | None = None


def environment() -> dict[str, str]:
    """What a worker inherits: everything, except a switch that would make every start compile Python again."""
    return {**{k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}, "PYTHONUTF8": "1"}


def script(family: str) -> Path:
    """The worker script of a family. Raises StorygenError ``usage`` for an unknown one."""
    known = sorted(path.stem for path in WORKERS.glob("*.py"))
    if family not in known:
        raise StorygenError("usage", f"There is no worker {family!r}.", f"Known: {', '.join(known)}.")
    return WORKERS / f"{family}.py"


def describe(family: str, python: str = sys.executable) -> dict[str, Any]:
    """What ``--describe`` says of a family: operations, schemas and engines."""
    command, said = [python, str(script(family)), "--describe"], b""
    with contextlib.suppress(subprocess.TimeoutExpired, OSError, ValueError):
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment(),
            timeout=PATIENCE.start_s,
            check=False,
        )
        said = done.stderr
        if done.returncode == 0:
            answer: dict[str, Any] = json.loads(done.stdout)
            return answer
    details = said.decode("utf-8", "replace").splitlines()[-5:]
    raise StorygenError("worker_crashed", f"{family} --describe failed.", details=details)


class Worker:
    """A serving worker. One request at a time; its engine stays loaded in between.

    ``command`` starts another program in its place, one that speaks the same wire.

    >>> with Worker("media_processing") as worker:  # doctest: +SKIP
    ...     worker.request({"v": 1, "op": "probe", "input": {"media": "/film.mp4"}})
    """

    def __init__(
        self,
        family: str,
        python: str = sys.executable,
        *,
        command: Sequence[str] | None = None,
        patience: Patience = PATIENCE,
    ) -> None:
        self.family, self._patience = family, patience
        self._stderr: deque[str] = deque(maxlen=STDERR_LINES)
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._inbox: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._turn = threading.Lock()
        self._count = 0
        self._asked: _Asked | None = None
        self._heard_at: float | None = None  # when it said its first word
        self._gone = threading.Event()  # the process has ended, and its group with it
        self._mute = threading.Event()  # nothing more can come from it
        self._started_at = time.monotonic()
        self._process = _start(family, command or [python, str(script(family)), "--serve"])
        LIVING.add(self)
        pipes = (self._process.stdin, self._process.stdout, self._process.stderr)
        pumps = (self._pump_stdin, self._pump_stdout, self._pump_stderr)
        self._pumps = [
            threading.Thread(target=pump, args=(pipe,), daemon=True) for pump, pipe in zip(pumps, pipes, strict=True)
        ]
        self._born = time.time()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        for thread in (*self._pumps, self._watcher):
            thread.start()

    @property
    def pid(self) -> int:
        """Process id; on POSIX also the id of its process group."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it can be asked; a worker that has ended never comes back."""
        return not self._mute.is_set()

    def request(self, request: Mapping[str, Any], on_event: OnEvent | None = None, where: str = "") -> dict[str, Any]:
        """Send one request and wait for its result line; every event goes to ``on_event``.

        Raises StorygenError: the worker's own error; ``worker_crashed`` when it ends without a word; ``timeout`` when
        it overruns ``options.timeout_s`` and the grace, ``cancelled`` when it does not heed ``cancel``, both of which
        end it; ``internal_error`` for an answer that cannot be read. Ctrl+C, or an exception of ``on_event``, takes
        the request back on its way.
        """
        name = f"{where}: the {self.family} worker" if where else f"the {self.family} worker"
        with self._turn:
            if not self.alive:
                raise self._crashed(f"{name} had ended before it was asked")
            self._count += 1
            whole = {"id": f"r-{self._count}", **request}
            timeout_s = (request.get("options") or {}).get("timeout_s")
            self._asked = asked = _Asked(whole["id"], name, timeout_s, time.monotonic())
            try:
                self._outbox.put(_line(whole))
                answer = self._answer(asked, on_event)
            except BaseException:
                if self.alive:
                    self.cancel()
                    with contextlib.suppress(StorygenError):
                        self._answer(asked, None)
                raise
            finally:
                self._asked = None
        return _result(answer, name, where)

    def cancel(self) -> None:
        """Take the running request back, from any thread; what waits for it gets the error ``cancelled`` soon."""
        if (asked := self._asked) is not None:
            asked.cancelled_at = time.monotonic()
            self._outbox.put(_line({"type": "cancel", "id": asked.id}))

    def stop(self, *, first_wait_s: float | None = None) -> None:
        """End the worker and everything it started; every wait is bounded. Safe to call twice."""
        self._outbox.put(None)
        try:
            if not self._gone.wait(self._patience.cancel_s if first_wait_s is None else first_wait_s):
                self._process.terminate()
                self._gone.wait(self._patience.terminate_s)
        finally:
            if not self._gone.is_set():
                self._process.kill()  # and the watch its group
            self._gone.wait(self._patience.kill_s)
            self._watcher.join(DRAIN_S)

    def kill(self) -> None:
        """End the worker and its group at once; nothing is waited for."""
        if not self._gone.is_set():
            self._process.kill()
            kill_group(self.pid, self._born)

    def _answer(self, asked: _Asked, on_event: OnEvent | None) -> dict[str, Any]:
        """The result or error of a request. Raises StorygenError, with the worker ended, where none can come."""
        while True:
            if late := self._late(asked):
                self.stop(first_wait_s=0)
                raise StorygenError(*late, details=list(self._stderr))
            try:
                message = self._inbox.get(timeout=POLL_S)
            except queue.Empty:
                continue
            if message is None:
                raise self._crashed(f"{asked.name} ended without an answer")
            about_our_line = message["type"] == "error" and message.get("id") is None
            if message.get("id") != asked.id and not about_our_line:
                continue
            if message["type"] in ANSWERS:
                return message
            if message["type"] == "accepted":
                asked.begun_at = time.monotonic()  # the worker's own deadline counts from here
            if on_event:
                on_event(message)

    def _late(self, asked: _Asked) -> tuple[str, str, str | None] | None:
        """Code, message and hint for a request that has gone on for too long."""
        now, patience, heard_at = time.monotonic(), self._patience, self._heard_at
        if asked.cancelled_at is not None and now > asked.cancelled_at + patience.cancel_s:
            return "cancelled", f"{asked.name} did not heed the cancellation and was stopped.", None
        if heard_at is None:
            silent = now > self._started_at + patience.start_s
            message = f"{asked.name} said nothing within {patience.start_s:g} s and was stopped."
            return ("worker_crashed", message, None) if silent else None
        if asked.timeout_s and now > max(asked.begun_at, heard_at) + asked.timeout_s + patience.grace_s:
            message = f"{asked.name} overran its deadline of {asked.timeout_s:g} s and was stopped."
            return "timeout", message, "Raise options.timeout_s, or ask for less."
        return None

    def _crashed(self, what: str) -> StorygenError:
        self.stop()
        hint = "Run the same command again: finished work is kept."
        return StorygenError("worker_crashed", f"{what} {_ending(self._process.returncode)}.", hint, list(self._stderr))

    def _pump_stdin(self, pipe: IO[bytes]) -> None:
        with contextlib.suppress(OSError), pipe:  # an ended worker is the watch's business
            while (line := self._outbox.get()) is not None:
                pipe.write(line)
                pipe.flush()

    def _pump_stdout(self, pipe: IO[bytes]) -> None:
        with pipe:
            for line, whole in _lines(pipe, MAX_LINE_BYTES):
                message = _message(line) if whole else _refused(line)
                if message is not None:
                    self._heard_at = self._heard_at or time.monotonic()
                    if self._asked is not None:
                        self._inbox.put(message)
        self._fall_silent()

    def _pump_stderr(self, pipe: IO[bytes]) -> None:
        with pipe:
            for line, _ in _lines(pipe, STDERR_LINE_BYTES):
                self._stderr.append(line.decode("utf-8", "replace").rstrip())

    def _watch(self) -> None:
        self._process.wait()
        kill_group(self.pid, self._born)  # at once, while nobody else can have been given the number
        self._gone.set()
        self._outbox.put(None)
        end = time.monotonic() + DRAIN_S
        for pump in self._pumps:
            pump.join(max(0, end - time.monotonic()))
        self._fall_silent()

    def _fall_silent(self) -> None:
        self._mute.set()
        self._inbox.put(None)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()


LIVING: weakref.WeakSet[Worker] = weakref.WeakSet()
"""Every worker that was started and not yet forgotten."""


def kill_all() -> None:
    """End every worker and its group now, without asking: for the second Ctrl+C."""
    for worker in list(LIVING):
        worker.kill()


def kill_group(pid: int, born: float) -> None:
    """Kill what an ended worker has left: its process group, or on Windows its children, if younger than ``born``."""
    if sys.platform == "win32":
        import psutil

        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.ppid() == pid and process.create_time() >= born:
                    for each in [*process.children(recursive=True), process]:
                        each.kill()
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


def _start(family: str, command: Sequence[str]) -> subprocess.Popen[bytes]:
    """The process, as leader of a group of its own: Ctrl+C reaches us alone, and we end it in order."""
    apart: dict[str, Any] = {"process_group": 0}
    if sys.platform == "win32":
        apart = {"creationflags": subprocess.CREATE_NO_WINDOW}
    pipe = subprocess.PIPE
    try:
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment(), **apart)
    except OSError as error:
        what = f"The {family} worker cannot be started: {command[0]}: {error.strerror}."
        raise StorygenError("engine_unavailable", what) from error


def _lines(pipe: IO[bytes], limit: int) -> Iterator[tuple[bytes, bool]]:
    """Each line and whether it is whole: of one longer than ``limit`` only the beginning is ever held."""
    while line := pipe.readline(limit + 1):
        whole = len(line) <= limit or line.endswith(b"\n")
        yield line, whole
        while not whole and line and not line.endswith(b"\n"):
            line = pipe.readline(SKIP_BYTES)


def _line(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message).encode("ascii") + b"\n"


def _message(line: bytes) -> dict[str, Any] | None:
    """What the line says, if it is a message."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) and isinstance(message.get("type"), str) else None


def _refused(beginning: bytes) -> dict[str, Any] | None:
    """Stands for a line too long to be read, so that nobody waits for what may have been the answer."""
    kind, identity = TYPE.search(beginning, 0, HEAD_BYTES), ID.search(beginning, 0, HEAD_BYTES)
    if kind and kind[1].decode("ascii", "replace") not in ANSWERS:
        return None
    error = {"code": "internal_error", "message": "The worker wrote a line of more than 16 MiB; it was skipped."}
    return {"type": "error", "id": identity and identity[1].decode("ascii", "replace"), "error": error}


def _result(answer: dict[str, Any], name: str, where: str) -> dict[str, Any]:
    """The answer, if it is a result. Raises the worker's error, or ``internal_error`` for what cannot be read."""
    wrong = "code or message"
    if answer["type"] == "result":
        wrong = ", ".join(member for member, kind in NEEDED.items() if not isinstance(answer.get(member), kind))
        if not wrong:
            return answer
    else:
        with contextlib.suppress(KeyError, TypeError, AttributeError):
            raise from_wire(answer, where)
    raise StorygenError("internal_error", f"{name} wrote a broken {answer['type']}: {wrong} missing or wrong.")


def _ending(code: int | None) -> str:
    """An exit code in words: ``(exit code -9): killed by SIGKILL``."""
    if code is None or code >= 0:
        return f"(exit code {code})"
    name = next((each.name for each in signal.Signals if each == -code), f"signal {-code}")
    return f"(exit code {code}): killed by {name}"
