"""Advice from the table of models, without any library or network: what suits a machine, and what a choice takes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engines.model_management import _configuration
from engines.model_management._fitting import not_together, recommendation
from engines.model_management._hardware import hardware
from engines.model_management._present import present_gb
from runtime.context import Context
from runtime.engine import NO_OPTIONS
from weights import table

FOLDERS = (
    ("STORYGEN_MODELS_DIR", ""),
    ("HF_HUB_CACHE", ""),
    ("HF_HOME", "hub"),
    ("XDG_CACHE_HOME", "huggingface/hub"),
    ("HOME", ".cache/huggingface/hub"),
)
"""Environment variables that say where models lie, as huggingface_hub reads them, and the folder within."""


class Engine:
    """``recommend`` and ``validate_config``."""

    version = "2"
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
        models = _models_folder(context.options)
        machine = hardware(input["hardware"], models)
        here = present_gb(models) if input["hardware"] is None else {}
        if op == "validate_config":
            found = _configuration.check(_configuration.load(input), machine, here)
            good = not found["errors"]
            file = _configuration.save(found["config"], context) if good and input["save"] else None
            return {"valid": good, **found, "hardware": machine.facts, "file": file}
        families = dict.fromkeys(row["family"] for row in table.rows())
        wanted = [input["family"]] if input["family"] else list(families)
        advice = [recommendation(family, machine, here) for family in wanted]
        if words := not_together(advice, machine):
            context.warn("disk", words)
        return {"hardware": machine.facts, "recommendations": advice}

    def unload(self) -> None:
        """There is nothing to drop."""


def _models_folder(options: Mapping[str, Any]) -> Path:
    """As the engine that downloads finds it, without its library."""
    named = [(options.get("models_dir"), ""), *((os.environ.get(name), within) for name, within in FOLDERS)]
    first = next(((folder, within) for folder, within in named if folder), (str(Path.home()), FOLDERS[-1][1]))
    return Path(*first).expanduser().absolute()
