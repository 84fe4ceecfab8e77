"""Everything that is done with media and needs no model: FFmpeg, PyAV and Pillow."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from runtime.context import Context
from runtime.engine import NO_OPTIONS

ROOMS = {
    "probe": "probe",
    "join_audio": "join",
    "captions": "captions",
    "normalize_loudness": "loudness",
    "compose": "compose",
    "thumbnail": "thumbnail",
    "extract_audio": "extract_audio",
    "convert": "convert",
    "concat": "concat",
    "mux": "mux",
    "overlay": "overlay",
    "contact_sheet": "contact_sheet",
}
"""Operation -> module of ``media`` that holds the function of the same name."""


class Engine:
    """Media processing on this machine."""

    version = "5"
    requires = ("av", "imageio_ffmpeg", "ffmpeg", "numpy", "PIL")
    key_env: str | None = None
    remote = False
    ops = tuple(ROOMS)
    capabilities: frozenset[str] = frozenset()
    models: Mapping[str, Mapping[str, Any]] = {}
    options_schema = NO_OPTIONS

    def load(self, model: Mapping[str, Any], options: Mapping[str, Any], context: Context) -> None:
        """There is nothing to load."""

    def run(self, op: str, input: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
        """Do one operation; its schema describes input and output."""
        room = importlib.import_module(f"media.{ROOMS[op]}")
        output: dict[str, Any] = getattr(room, op)(input, context)
        return output

    def unload(self) -> None:
        """There is nothing to drop."""
