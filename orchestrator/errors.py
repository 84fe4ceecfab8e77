"""What a run can end with; the codes and exit codes are those of ``schemas/v1/errors.json``."""

from __future__ import annotations

import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]
SCHEMAS = CHECKOUT / "schemas" / "v1"
CRASH_EXIT_CODE = 70
RERUN = "Run it again with STORYGEN_DEBUG=1 in the environment to see where, and report that."
MAKE_ROOM = "Make room or give leave to write there, or choose another --out; the same command then continues."
LONGEST_PAUSE_S = 24 * 3600.0
"""A provider that names a longer one, or nonsense, is not believed."""
SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD)$", re.IGNORECASE)
SHORTEST_SECRET = 8
"""Shorter values are no keys, and hiding them would garble ordinary words."""


@cache
def error_table() -> dict[str, dict[str, Any]]:
    """Error code -> {exit, retryable, meaning}."""
    table: dict[str, dict[str, Any]] = json.loads((SCHEMAS / "errors.json").read_text(encoding="utf-8"))
    return table


def without_secrets(text: str) -> str:
    """The text with the value of every environment variable that names a key or token replaced by its name.

    A worker does the same with what it says; this is for what it could not: the traceback of one that crashed.
    """
    for name, value in os.environ.items():
        if SECRET_NAME.search(name) and len(value) >= SHORTEST_SECRET:
            text = text.replace(value, f"<{name}>")
    return text


class StorygenError(Exception):
    """An end that the user can act on: what happened, and ``hint``, what to do."""

    def __init__(
        self,
        code: str,
        message: str,
        hint: str | None = None,
        details: list[str] | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        message = without_secrets(message)
        super().__init__(message)
        self.code, self.message, self.hint, self.retry_after_s = code, message, hint, retry_after_s
        self.details = [without_secrets(detail) for detail in details or []]

    @property
    def exit_code(self) -> int:
        """From the error table; ``worker_crashed``, which only a host can see, counts as an internal error."""
        return int(error_table()[self.code]["exit"]) if self.code in error_table() else CRASH_EXIT_CODE


def from_wire(line: dict[str, Any], where: str) -> StorygenError:
    """The error line of a worker as an exception; ``where`` names the stage and item."""
    error = line["error"]
    details = [": ".join(filter(None, (row["pointer"], row["message"]))) for row in error.get("details") or []]
    message = f"{where}: {error['message']}" if where else error["message"]
    pause = error.get("retry_after_s")
    named = isinstance(pause, (int, float)) and 0 <= pause <= LONGEST_PAUSE_S
    return StorygenError(error["code"], message, error.get("hint"), details, pause if named else None)


def as_ours(error: Exception) -> StorygenError:
    """Any exception as an end of the error table."""
    if isinstance(error, StorygenError):
        return error
    if isinstance(error, OSError):
        where = f" ({error.filename})" if error.filename else ""
        message = f"A file could not be read or written: {error.strerror or error}{where}."
        return StorygenError("output_failed", message, MAKE_ROOM)
    return StorygenError("internal_error", f"storygen itself failed: {type(error).__name__}: {error}", RERUN)
