"""One worker process: spawn it, talk to it, end it and everything it started."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from orchestrator.errors import CHECKOUT, StorygenError, from_wire

WORKERS = CHECKOUT / "workers"
MAX_LINE_BYTES = 16 * 1024 * 1024
STDERR_LINES = 20
CANCEL_S, TERMINATE_S, KILL_S = 5.0, 2.0, 5.0
"""The stop ladder: closed stdin, then SIGTERM, then kill; seconds each rung may take."""
POLL_S = 0.5
"""How often a wait looks up, so that Ctrl+C is felt on Windows too."""

OnEvent = Callable[[dict[str, Any]], None]


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
    done = subprocess.run(
        [python, str(script(family)), "--describe"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=environment(),
        check=False,
    )
    if done.returncode != 0:
        raise StorygenError(
            "worker_crashed",
            f"{family} --describe failed.",
            details=done.stderr.decode("utf-8", "replace").splitlines()[-5:],
        )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


class Worker:
    """A serving worker. One request at a time; its engine stays loaded in between.

    >>> with Worker("media_processing") as worker:  # doctest: +SKIP
    ...     worker.request({"v": 1, "op": "probe", "input": {"media": "/film.mp4"}})
    """

    def __init__(self, family: str, python: str = sys.executable) -> None:
        self.family = family
        self._stderr: deque[str] = deque(maxlen=STDERR_LINES)
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._count = 0
        self._process = subprocess.Popen(
            [python, str(script(family)), "--serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
            **_own_group(),
        )
        assert self._process.stdin is not None  # noqa: S101 - three pipes, said for mypy
        assert self._process.stdout is not None  # noqa: S101
        assert self._process.stderr is not None  # noqa: S101
        self._stdin = self._process.stdin
        for target, pipe in ((self._pump_stdout, self._process.stdout), (self._pump_stderr, self._process.stderr)):
            threading.Thread(target=target, args=(pipe,), daemon=True).start()

    @property
    def pid(self) -> int:
        """Process id; on POSIX also the id of its process group."""
        return self._process.pid

    def request(self, request: Mapping[str, Any], on_event: OnEvent | None = None, where: str = "") -> dict[str, Any]:
        """Send one request and wait for its result line; every event goes to ``on_event``.

        Raises StorygenError: the worker's own error, or ``worker_crashed`` when it ends without a word.
        """
        self._count += 1
        whole = {"id": f"r-{self._count}", **request}
        try:
            self._stdin.write(json.dumps(whole).encode("ascii") + b"\n")
            self._stdin.flush()
        except OSError:
            raise self._crashed(where) from None
        for message in self._messages():
            if message.get("id") != whole["id"]:
                continue
            if message["type"] == "result":
                return message
            if message["type"] == "error":
                raise from_wire(message, where)
            if on_event:
                on_event(message)
        raise self._crashed(where)

    def _messages(self) -> Iterator[dict[str, Any]]:
        """What the worker says, until it ends; what is not a message is not for us."""
        while True:
            try:
                line = self._lines.get(timeout=POLL_S)
            except queue.Empty:
                continue
            if line is None:
                return
            with contextlib.suppress(ValueError):
                message = json.loads(line)
                if isinstance(message, dict) and "type" in message:
                    yield message

    def _crashed(self, where: str) -> StorygenError:
        self.stop()
        code = self._process.returncode
        prefix = f"{where}: " if where else ""
        return StorygenError(
            "worker_crashed",
            f"{prefix}the {self.family} worker ended without an answer (exit code {code}).",
            "Run the same command again: finished work is kept.",
            list(self._stderr),
        )

    def stop(self) -> None:
        """End the worker and everything it started; every wait is bounded. Safe to call twice."""
        with contextlib.suppress(OSError):
            self._stdin.close()
        try:
            if not self._ended(CANCEL_S):
                self._process.terminate()
                self._ended(TERMINATE_S)
        finally:
            kill_group(self.pid)
            with contextlib.suppress(OSError):
                self._process.kill()
            self._ended(KILL_S)

    def _ended(self, seconds: float) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _pump_stdout(self, pipe: IO[bytes]) -> None:
        with pipe:
            while line := pipe.readline(MAX_LINE_BYTES + 1):
                self._lines.put(line)
        self._lines.put(None)

    def _pump_stderr(self, pipe: IO[bytes]) -> None:
        with pipe:
            for line in pipe:
                self._stderr.append(line.decode("utf-8", "replace").rstrip()[:2000])

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()


def _own_group() -> dict[str, Any]:
    """What makes a worker lead a process group of its own: then Ctrl+C reaches us alone, and we end it in order."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NO_WINDOW}
    return {"process_group": 0}


def kill_group(pid: int) -> None:
    """Kill what a worker started: its process group, or on Windows its children."""
    if sys.platform == "win32":
        import psutil

        with contextlib.suppress(psutil.Error):
            for child in psutil.Process(pid).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    child.kill()
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
