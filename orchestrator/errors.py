"""What a run can end with; the codes and exit codes are those of ``schemas/v1/errors.json``."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]
SCHEMAS = CHECKOUT / "schemas" / "v1"
CRASH_EXIT_CODE = 70


@cache
def error_table() -> dict[str, dict[str, Any]]:
    """Error code -> {exit, retryable, meaning}."""
    table: dict[str, dict[str, Any]] = json.loads((SCHEMAS / "errors.json").read_text(encoding="utf-8"))
    return table


class StorygenError(Exception):
    """An end that the user can act on: what happened, and ``hint``, what to do."""

    def __init__(self, code: str, message: str, hint: str | None = None, details: list[str] | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.hint, self.details = code, message, hint, details or []

    @property
    def exit_code(self) -> int:
        """From the error table; ``worker_crashed``, which only a host can see, counts as an internal error."""
        return int(error_table()[self.code]["exit"]) if self.code in error_table() else CRASH_EXIT_CODE


def from_wire(line: dict[str, Any], where: str) -> StorygenError:
    """The error line of a worker as an exception; ``where`` names the stage and item."""
    error = line["error"]
    details = [f"{row['pointer']}: {row['message']}" for row in error.get("details") or []]
    return StorygenError(
        error["code"], f"{where}: {error['message']}" if where else error["message"], error.get("hint"), details
    )
