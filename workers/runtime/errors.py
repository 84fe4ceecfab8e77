"""The errors a worker can end with, and the one place where foreign exceptions become them.

Codes, exit codes and their meaning live in ``schemas/v1/errors.json``, which C#, the README and the tests read too.
"""

from __future__ import annotations

import errno
import json
from functools import cache
from pathlib import Path
from typing import Any

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas" / "v1"


@cache
def error_table() -> dict[str, dict[str, Any]]:
    """Error code -> {exit, retryable, meaning}."""
    table: dict[str, dict[str, Any]] = json.loads((SCHEMAS / "errors.json").read_text(encoding="utf-8"))
    return table


class WorkerError(Exception):
    """An end that the caller can act on.

    ``code`` is a name of the error table; ``message`` says what happened, with the value; ``hint`` what to do;
    ``pointer`` the JSON pointer of the request's field at fault; ``details`` one ``{pointer, message}`` per violation.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        hint: str | None = None,
        pointer: str | None = None,
        retry_after_s: float | None = None,
        details: list[dict[str, str]] | None = None,
    ) -> None:
        super().__init__(message)
        if code not in error_table():
            raise KeyError(f"{code!r} is not in errors.json")
        self.code, self.message, self.hint, self.pointer = code, message, hint, pointer
        self.retry_after_s, self.details = retry_after_s, details or []

    @property
    def exit_code(self) -> int:
        return int(error_table()[self.code]["exit"])

    def as_json(self) -> dict[str, Any]:
        """The ``error`` member of an error line."""
        return {
            "code": self.code,
            "message": self.message,
            "pointer": self.pointer,
            "hint": self.hint,
            "retryable": bool(error_table()[self.code]["retryable"]),
            "retry_after_s": self.retry_after_s,
            "details": self.details,
        }


class Cancelled(BaseException):
    """The caller took the request back. A BaseException, so that no ``except Exception`` on the way swallows it."""


def classify(error: BaseException) -> WorkerError:
    """Turn any exception that ended a request into the most specific WorkerError.

    >>> classify(MemoryError()).code
    'out_of_memory'
    """
    if isinstance(error, WorkerError):
        return error
    if isinstance(error, (Cancelled, KeyboardInterrupt)):
        return WorkerError("cancelled", "The request was cancelled.")
    if isinstance(error, MemoryError):
        return WorkerError(
            "out_of_memory", "The machine ran out of memory.", hint="Ask for a smaller size or fewer at once."
        )
    if isinstance(error, ModuleNotFoundError):
        return WorkerError(
            "engine_unavailable",
            f"The Python package {error.name!r} is not installed.",
            hint="Install the extra that carries it.",
        )
    if isinstance(error, OSError) and error.errno in {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EROFS,
        errno.EACCES,
        errno.EPERM,
    }:
        return WorkerError(
            "output_failed",
            f"{error.strerror}: {error.filename or 'the output folder'}",
            hint="Free space or choose another --output-dir.",
        )
    return WorkerError(
        "internal_error",
        f"{type(error).__name__}: {error}",
        hint="Run again with --debug for the traceback and report it.",
    )
