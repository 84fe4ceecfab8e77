"""Models of the Hugging Face hub on this machine, through huggingface_hub: its cache, its checksums, its retries."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from runtime.context import Context
from runtime.engine import NO_OPTIONS

ROOMS = {
    "download": ("_downloading", "download"),
    "verify": ("_verifying", "verify"),
    "list": ("_cached", "list_models"),
    "remove": ("_removing", "remove"),
}
"""Operation -> module of this folder, and its function."""


class Engine:
    """``download``, ``verify``, ``list`` and ``remove``; the only engine that fetches models from the network."""

    version = "2"
    requires: tuple[str, ...] = ("huggingface_hub",)
    key_env: str | None = None
    remote = False
    ops: tuple[str, ...] = tuple(ROOMS)
    capabilities: frozenset[str] = frozenset()
    models: Mapping[str, Mapping[str, Any]] = {}
    options_schema: Mapping[str, Any] = NO_OPTIONS

    def load(self, model: Mapping[str, Any], options: Mapping[str, Any], context: Context) -> None:
        """Silence the library's bars: progress goes by events."""
        from huggingface_hub.utils import disable_progress_bars

        disable_progress_bars()

    def run(self, op: str, input: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
        """Do one operation; its schema describes input and output."""
        module, function = ROOMS[op]
        room = importlib.import_module(f"engines.model_management.{module}")
        output: dict[str, Any] = getattr(room, function)(input, context)
        return output

    def unload(self) -> None:
        """There is nothing to drop."""
