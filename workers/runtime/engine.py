"""What an engine is: one file ``engines/<family>/<engine>.py`` with a class ``Engine`` that fits this protocol.

Importing that file must be cheap: libraries are imported inside ``load`` or ``run``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from runtime.context import Context

NO_OPTIONS: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}


class Engine(Protocol):
    """Facts first, then load once, run many, unload."""

    version: str
    """Part of every reuse key: raise it when the same request would give another result."""
    requires: tuple[str, ...]
    """Importable modules without which the engine is not usable."""
    key_env: str | None
    """Environment variable that carries the provider's key; None where no key is needed."""
    remote: bool
    ops: tuple[str, ...]
    capabilities: frozenset[str]
    models: Mapping[str, Mapping[str, Any]]
    """Model id -> {"defaults": {input field: value}, …limits}."""
    options_schema: Mapping[str, Any]
    """JSON Schema of ``engine_options``, in the dialect of ``schemas/``."""

    def load(self, model: Mapping[str, Any], options: Mapping[str, Any], context: Context) -> None:
        """Get ready for requests that name this model; called once for many runs."""

    def run(self, op: str, input: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
        """Do one request. ``input`` is valid and complete; what returns is the result's ``output``."""

    def unload(self) -> None:
        """Give back what load took."""
