"""The table of known models, ``schemas/v1/models.json``; ``models.schema.json`` beside it says what the columns are."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from runtime.errors import SCHEMAS


@cache
def rows() -> tuple[dict[str, Any], ...]:
    """Every row; of a family the one to try first stands first."""
    return tuple(json.loads((SCHEMAS / "models.json").read_text(encoding="utf-8")))


def row(name: str) -> dict[str, Any] | None:
    """The row of a model by its id or alias; None for a model that the table does not know."""
    return next((each for each in rows() if name in (each["id"], each["alias"])), None)


def hub_id(name: str) -> str:
    """The id of a model given by its alias; any other name as it is."""
    known = row(name)
    return str(known["id"]) if known else name
