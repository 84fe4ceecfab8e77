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


FOREIGN = {
    "builtins.MemoryError": ("out_of_memory", "Ask for a smaller size or for fewer at once."),
    "torch.OutOfMemoryError": ("out_of_memory", "Ask for a smaller size, fewer at once, or options.offload."),
    "builtins.ModuleNotFoundError": ("engine_unavailable", "Install the extra that carries it."),
    "huggingface_hub.errors.GatedRepoError": ("gated_model", "Accept its licence on its page, then set HF_TOKEN."),
    "huggingface_hub.errors.RepositoryNotFoundError": ("model_not_found", "Check the model's id."),
    "huggingface_hub.errors.RevisionNotFoundError": ("model_not_found", "Check model.revision."),
    "huggingface_hub.errors.EntryNotFoundError": (
        "model_not_found",
        "The model lacks a file; check its id and revision.",
    ),
    "huggingface_hub.errors.LocalEntryNotFoundError": ("model_not_found", "Download the model first."),
    "huggingface_hub.errors.OfflineModeIsEnabled": ("model_not_found", "Download the model first, or go online."),
    "safetensors.SafetensorError": ("model_not_found", "A file of the model is damaged: download it again."),
    "httpx2.TransportError": ("network", "Check the connection; the request can be tried again."),
    "httpx.TransportError": ("network", "Check the connection; the request can be tried again."),
    "requests.exceptions.ConnectionError": ("network", "Check the connection; the request can be tried again."),
    "builtins.ConnectionError": ("network", "Check the connection; the request can be tried again."),
    "socket.gaierror": ("network", "Check the connection; the request can be tried again."),
}
"""Exceptions of libraries, by name, so that none of them is imported; the nearest class in the family tree counts."""
FULL = {errno.ENOSPC, errno.EROFS, errno.EFBIG, errno.ENAMETOOLONG, getattr(errno, "EDQUOT", errno.ENOSPC)}
FORBIDDEN = {errno.EACCES, errno.EPERM}


def classify(error: BaseException) -> WorkerError:
    """Turn any exception that ended a request into the most specific WorkerError.

    >>> classify(MemoryError("no room")).code
    'out_of_memory'
    """
    if isinstance(error, WorkerError):
        return error
    if isinstance(error, (Cancelled, KeyboardInterrupt)):
        return WorkerError("cancelled", "The request was cancelled.")
    for ancestor in type(error).__mro__:
        module, name = ancestor.__module__, ancestor.__qualname__
        known = FOREIGN.get(f"{module}.{name}") or FOREIGN.get(f"{module.split('.')[0]}.{name}")
        if known:
            return WorkerError(known[0], f"{type(error).__name__}: {error}", hint=known[1])
    if isinstance(error, OSError) and error.errno in FULL | FORBIDDEN:
        return _about_a_file(error)
    return WorkerError(
        "internal_error",
        f"{type(error).__name__}: {error}",
        hint="Run again with --debug for the traceback and report it.",
    )


def _about_a_file(error: OSError) -> WorkerError:
    """A file that may not be read is the caller's input; a full disk, and what happens to a file of ours, is output."""
    name = str(error.filename or "the output folder")
    if error.errno in FORBIDDEN and ".partial." not in name:
        return WorkerError(
            "input_unreadable", f"{name}: {error.strerror}.", hint="Give this user the right to read it."
        )
    return WorkerError(
        "output_failed", f"{name}: {error.strerror}.", hint="Free space, or choose another --output-dir."
    )
