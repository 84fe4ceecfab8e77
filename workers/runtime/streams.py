"""The private wire: claimed before any library can write into it."""

from __future__ import annotations

import json
import os
import re
import threading
import time
from typing import Any, BinaryIO

MAX_LINE_BYTES = 16 * 1024 * 1024
SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD)$", re.IGNORECASE)
SHORTEST_SECRET = 8
"""Shorter values are no keys, and hiding them would garble ordinary words."""


def without_secrets(text: str) -> str:
    """The text with the value of every environment variable that names a key or token replaced by its name."""
    for name, value in os.environ.items():
        if SECRET_NAME.search(name) and len(value) >= SHORTEST_SECRET:
            text = text.replace(value, f"<{name}>")
    return text


class Wire:
    """Writes one ASCII JSON object a line; safe from several threads."""

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()
        self.last_write = time.monotonic()

    def send(self, message: dict[str, Any]) -> None:
        """Write one line. A host that no longer reads is not an error: the work ends by its closed stdin."""
        self._write(encoded(message))

    def line(self, line: bytes) -> None:
        """Write one line that was ``encoded`` before."""
        self._write(line)

    def text(self, text: str) -> None:
        """Write text for a person, such as ``--help``, instead of any message."""
        self._write(text.encode())

    def _write(self, line: bytes) -> None:
        with self._lock:
            try:
                self._pipe.write(line)
                self._pipe.flush()
            except (BrokenPipeError, OSError):
                pass
            self.last_write = time.monotonic()


def encoded(message: dict[str, Any]) -> bytes:
    """A message as a line of the wire. Raises ValueError for a number that JSON has not."""
    return json.dumps(message, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"


def claim() -> tuple[BinaryIO, Wire]:
    """Take stdin and stdout for the wire; returns (requests, wire).

    From here on descriptor 1 is stderr and descriptor 0 is null, so neither a library, a child process nor C code can
    write into the protocol or eat its input.
    """
    requests = os.fdopen(os.dup(0), "rb")
    wire = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return requests, Wire(wire)


class LineTooLong(Exception):
    """A line of more than MAX_LINE_BYTES was skipped."""


def read_line(pipe: BinaryIO) -> bytes | None:
    """The next line, or None at the end. A longer line than allowed is skipped whole and raises LineTooLong."""
    line = pipe.readline(MAX_LINE_BYTES + 1)
    if not line:
        return None
    if len(line) <= MAX_LINE_BYTES or line.endswith(b"\n"):
        return line
    while line and not line.endswith(b"\n"):
        line = pipe.readline(MAX_LINE_BYTES)
    raise LineTooLong
