"""Advice from the table of models, without any library or network: what suits a machine, and what a choice takes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engines.model_management import _configuration
from engines.model_management._fitting import recommendation
from engines.model_management._hardware import hardware
from runtime.context import Context
from runtime.engine import NO_OPTIONS
from weights import table

FOLDERS = ("STORYGEN_MODELS_DIR", "HF_HUB_CACHE", "HF_HOME")
"""Environment variables that say on which disk models lie; without them it is the home's."""


class Engine:
    """``recommend`` and ``validate_config``."""

    version = "1"
    requires: tuple[str, ...] = ("psutil",)
    key_env: str | None = None
    remote = False
    ops: tuple[str, ...] = ("recommend", "validate_config")
    capabilities: frozenset[str] = frozenset()
    models: Mapping[str, Mapping[str, Any]] = {}
    options_schema: Mapping[str, Any] = NO_OPTIONS

    def load(self, model: Mapping[str, Any], options: Mapping[str, Any], context: Context) -> None:
        """There is nothing to load."""

    def run(self, op: str, input: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
        """Do one operation; its schema describes input and output."""
        machine = hardware(input["hardware"], _models_folder(context.options))
        if op == "validate_config":
            found = _configuration.check(_configuration.load(input), machine)
            good = not found["errors"]
            file = _configuration.save(found["config"], context) if good and input["save"] else None
            return {"valid": good, **found, "hardware": machine.facts, "file": file}
        families = dict.fromkeys(row["family"] for row in table.rows())
        wanted = [input["family"]] if input["family"] else list(families)
        return {
            "hardware": machine.facts,
            "recommendations": [recommendation(family, machine) for family in wanted],
        }

    def unload(self) -> None:
        """There is nothing to drop."""


def _models_folder(options: Mapping[str, Any]) -> Path:
    named = [options.get("models_dir"), *(os.environ.get(name) for name in FOLDERS), str(Path.home())]
    return Path(next(folder for folder in named if folder)).expanduser().absolute()
