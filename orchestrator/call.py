"""``storygen call``: one worker, one operation, in the caller's own folder."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from orchestrator.errors import StorygenError, error_table
from orchestrator.worker import environment, kill_group, script

STDERR_LINES = 20
TERMINATE_S, DRAIN_S, POLL_S = 5.0, 5.0, 0.5
CLEAR_LINE = "\r\x1b[K"


def read(source: str) -> dict[str, Any]:
    """The JSON object in a file, or with ``-`` on standard input. Raises ``input_not_found``, ``invalid_request``."""
    name = "standard input" if source == "-" else source
    try:
        body = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
        value = json.loads(body.decode("utf-8-sig"))
    except OSError as error:
        raise StorygenError(
            "input_not_found", f"Cannot read {source}: {error.strerror}.", "--input takes a JSON file, or - for stdin."
        ) from error
    except (ValueError, RecursionError) as error:
        raise StorygenError(
            "invalid_request", f"{name} is not JSON: {error}.", 'Write an object such as {"text": "Hello."}.'
        ) from error
    if not isinstance(value, dict):
        raise StorygenError(
            "invalid_request", f"{name} holds a JSON {type(value).__name__}; it must be an object.", "Write {…}."
        )
    return value


def whole_request(given: dict[str, Any], op: str, engine: str | None) -> dict[str, Any]:
    """The request for an operation's input; what has ``v`` is a request already. Raises ``usage`` for another op."""
    chosen = {} if engine is None else {"engine": engine}
    if "v" not in given:
        return {"v": 1, "op": op, "input": given, "output_name": op, **chosen}
    if given.get("op", op) != op:
        raise StorygenError(
            "usage",
            f"The request's op is {given['op']!r}, the command line's {op!r}; they must be the same.",
            "Change one of them, or give the operation's input alone.",
        )
    return {"op": op, **given, **chosen}


def call(family: str, request: dict[str, Any], output_dir: Path | None) -> tuple[bytes, int]:
    """Run the worker's script on one request; returns (its last line as it wrote it, exit code).

    Its stderr goes through, its progress to a terminal. Ctrl+C stops it; the exit code then is that of ``cancelled``.
    Raises StorygenError ``worker_crashed``, or ``cancelled``, for a worker that ends without an answer.
    """
    flags = ["--output-dir", str(output_dir)] if output_dir else []
    command = [sys.executable, str(script(family)), "--input", "-", "--stream", *flags]
    # Apart, so that Ctrl+C reaches us alone and we end it in order.
    apart: dict[str, Any] = {"process_group": 0}
    if sys.platform == "win32":
        apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    pipe = subprocess.PIPE
    born = time.time()
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment(), **apart)
    talk = _Talk(process, json.dumps(request).encode("ascii"))
    code = error_table()["cancelled"]["exit"]
    try:
        talk.begin()  # not before: a worker without a request ends by itself
        while process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(POLL_S)
        code = process.returncode
    except KeyboardInterrupt:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(TERMINATE_S)
    finally:
        if process.poll() is None:
            process.kill()
        kill_group(process.pid, born)
        process.wait(TERMINATE_S)
        talk.end()
    if talk.answer:
        return talk.answer, code if code >= 0 else error_table()["internal_error"]["exit"]
    if code == error_table()["cancelled"]["exit"]:
        raise StorygenError("cancelled", f"The {family} worker was stopped.")
    raise StorygenError(
        "worker_crashed",
        f"The {family} worker ended without an answer (exit code {code}).",
        f"To see more: python workers/{family}.py --input FILE --debug",
        list(talk.last_words),
    )


def error_line(error: StorygenError) -> bytes:
    """An error of ours in the shape of the wire's error line."""
    row = error_table().get(error.code, {})
    body = {
        "code": error.code,
        "message": error.message,
        "pointer": None,
        "hint": error.hint,
        "retryable": row.get("retryable", False),
        "retry_after_s": None,
        "details": [{"pointer": "", "message": detail} for detail in error.details],
    }
    line = {"type": "error", "v": 1, "id": None, "success": False, "error": body}
    return json.dumps(line, separators=(",", ":")).encode("ascii")


class _Talk:
    """Both pipes of a worker drained and its request fed, each in a thread, so that none can wait for another."""

    def __init__(self, process: subprocess.Popen[bytes], body: bytes) -> None:
        self.answer = b""
        self.last_words: deque[str] = deque(maxlen=STDERR_LINES)
        self._shows = sys.stderr.isatty()
        jobs = ((self._feed, (process.stdin, body)), (self._hear, (process.stdout,)), (self._relay, (process.stderr,)))
        self._threads = [threading.Thread(target=job, args=arguments, daemon=True) for job, arguments in jobs]

    def begin(self) -> None:
        """Feed and listen."""
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Wait for what is still in the pipes; not for ever, as a runaway child may hold them open."""
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(DRAIN_S)
        self._show("")

    def _feed(self, pipe: IO[bytes], body: bytes) -> None:
        with contextlib.suppress(OSError), pipe:  # a worker that ends early says why by itself
            pipe.write(body)

    def _hear(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            with contextlib.suppress(ValueError, RecursionError):
                message = json.loads(line)
                kind = message.get("type") if isinstance(message, dict) else None
                if kind in {"result", "error"}:
                    self.answer = line.rstrip(b"\r\n")
                elif kind == "progress":
                    of = f" of {message['total']:g}" if message.get("total") else ""
                    self._show(f"{message['stage']}: {message['current']:g}{of} {message['unit']}")

    def _relay(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            text = line.decode("utf-8", "replace").rstrip()
            self.last_words.append(text[:2000])
            self._show("")
            with contextlib.suppress(OSError):
                sys.stderr.write(text + "\n")
                sys.stderr.flush()

    def _show(self, text: str) -> None:
        if self._shows:
            with contextlib.suppress(OSError):
                sys.stderr.write(CLEAR_LINE + text)
                sys.stderr.flush()
