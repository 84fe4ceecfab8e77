"""Answers from a file, for hosts: see ``runtime/scripted.py``."""

from __future__ import annotations

from runtime import scripted

Engine = scripted.engine(("download", "verify", "list", "remove", "recommend", "validate_config"))
