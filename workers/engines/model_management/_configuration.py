"""Configurations: which models do the work. Loaded, checked against their schema, the table and a machine, saved."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from engines.model_management._fitting import Way, cpu_ways, gpu_ways, obstacle
from engines.model_management._hardware import Hardware
from runtime import registry, validation
from runtime.context import Context
from runtime.errors import WorkerError
from weights import table

Remark = tuple[str, str, str]
"""errors, warnings or recommendations; JSON pointer; words."""


def load(input: Mapping[str, Any]) -> dict[str, Any]:  # noqa: A002 - the wire's word
    """The configuration given, or read from its file.

    Raises WorkerError ``invalid_request`` unless exactly one is given, ``input_unreadable`` for a file that is none.
    """
    given, file = input["config"], input["config_file"]
    if (given is None) == (file is None):
        raise WorkerError(
            "invalid_request", "Give either config or config_file.", pointer="/input/config", hint="One of the two."
        )
    if file is None:
        return dict(given)
    path = Path(file)
    try:
        body = path.read_bytes()
        if path.suffix.lower() == ".toml":
            return tomllib.loads(body.decode("utf-8-sig"))
        return validation.parse(body)
    except (OSError, ValueError, WorkerError) as error:
        raise WorkerError(
            "input_unreadable",
            f"{path} is no configuration: {error}",
            pointer="/input/config_file",
            hint="Give a JSON file, or a TOML file that ends in .toml.",
        ) from error


def save(config: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Write it as a JSON file; returns the artifact."""
    path = context.temporary("json")
    path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return context.publish(path, "application/json")


def check(config: Mapping[str, Any], machine: Hardware, here: Mapping[str, float]) -> dict[str, Any]:
    """Everything that is wrong or doubtful; ``config`` in the answer is complete, None where it breaks its schema.

    ``here`` is GB that are on the machine already, by the model's id.
    """
    schema = validation.document("model_management/validate_config")["$defs"]["config"]
    if rows := validation.violations(config, schema):
        return {"errors": rows, "warnings": [], "recommendations": [], "estimated_vram_gb": None, "config": None}
    whole = validation.filled(config, schema)
    remarks: list[Remark] = []
    estimates: list[float | None] = []
    whole["families"] = {family: whole["families"][family] for family in config["families"]}
    for family, part in whole["families"].items():
        found = _Family(family, part, machine, here)
        remarks += found.remarks()
        estimates.append(found.vram_gb)
        if part["model"]["id"]:
            part["model"]["id"] = table.hub_id(part["model"]["id"])  # engines know ids, not short names
    known = [estimate for estimate in estimates if estimate is not None]
    sorted_out = {
        kind: [{"pointer": pointer, "message": words} for each, pointer, words in remarks if each == kind]
        for kind in ("errors", "warnings", "recommendations")
    }
    return {
        **sorted_out,
        "estimated_vram_gb": max(known) if known and len(known) == len(estimates) else None,
        "config": whole,
    }


class _Family:
    """One family's part of a configuration."""

    def __init__(self, family: str, part: Mapping[str, Any], machine: Hardware, here: Mapping[str, float]) -> None:
        self._family, self._part, self._machine, self._here = family, part, machine, here
        self._where = f"/families/{family}"
        self._model, self._options = part["model"], part["options"]
        self._name: str | None = self._model["id"] or self._default()
        self._row = table.row(self._name) if self._name else None
        self._way = self._wanted(self._row) if self._row else None

    @property
    def vram_gb(self) -> float | None:
        """Estimated; None for a model that the table does not have or cannot run so."""
        return self._way.vram_gb if self._way else None

    def remarks(self) -> Iterator[Remark]:
        yield from self._about_the_engine()
        if self._row is None:
            words = f"The table does not know {self._name or 'the model'}: what it takes cannot be said."
            yield "warnings", f"{self._where}/model/id", words
            return
        yield from self._about_the_model(self._row)
        if self._way is not None and not self._way.fits(self._machine, self._here):
            yield from self._too_large(self._way)

    def _default(self) -> str | None:
        """The model that the engine takes by itself."""
        engine = self._part["engine"]
        rows = [row for row in table.rows() if row["family"] == self._family and row["default"]]
        return next((row["id"] for row in rows if engine in ("auto", row["engine"])), None)

    def _wanted(self, row: Mapping[str, Any]) -> Way | None:
        """The way of the table that the configuration asks for."""
        if self._options["device"] == "cpu":
            return next(iter(cpu_ways(row)), None)
        wanted = (self._model["quantization"] or "none", self._options["offload"] or "none")
        return next((way for way in gpu_ways(row) if (way.quantization, way.offload) == wanted), None)

    def _about_the_engine(self) -> Iterator[Remark]:
        engine, pointer = self._part["engine"], f"{self._where}/engine"
        if engine == "auto":
            return
        if engine not in registry.names(self._family):
            known = ", ".join(registry.names(self._family))
            yield "errors", pointer, f"{self._family} has no engine {engine!r}; it has {known}."
        elif reason := obstacle(self._family, engine):
            yield "warnings", pointer, f"The engine {engine} cannot be used here yet: {reason}."

    def _about_the_model(self, row: Mapping[str, Any]) -> Iterator[Remark]:
        pointer, quantization = f"{self._where}/model/id", self._model["quantization"]
        if row["family"] != self._family:
            yield "errors", pointer, f"{row['id']} does the work of {row['family']}, not of {self._family}."
        elif row["engine"] is None:
            yield "errors", pointer, f"No engine runs {row['id']}. {row['advice'] or ''}".strip()
        if row["gated"]:
            yield "warnings", pointer, f"{row['id']} is gated ({row['license']}). {row['advice'] or ''}".strip()
        if quantization is not None and quantization not in row["vram_gb"]:
            ways = ", ".join(row["vram_gb"])
            yield "errors", f"{self._where}/model/quantization", f"{row['id']} runs in {ways}, not in {quantization}."
        offload = self._options["offload"] or "none"
        if offload != "none" and offload not in row["offload_vram_gb"]:
            words = f"The engine {row['engine']} cannot offload parts of {row['id']}: {offload} changes nothing."
            yield "warnings", f"{self._where}/options/offload", words
        if row["cpu_ram_gb"] is None and (self._options["device"] == "cpu" or self._machine.vram_gb == 0):
            words = f"{row['id']} is not to be run without a GPU. {row['cpu_advice'] or ''}".strip()
            yield "errors", f"{self._where}/options/device", words

    def _too_large(self, way: Way) -> Iterator[Remark]:
        pointer, machine = f"{self._where}/model", self._machine
        if way.vram_gb > machine.vram_gb:
            words = f"{way.words} takes about {way.vram_gb:g} GB of GPU memory; there are {machine.vram_gb:g} GB."
            yield "warnings", pointer, words
        if way.ram_gb > machine.ram_gb:
            words = f"{way.words} takes about {way.ram_gb:g} GB of memory; there are {machine.ram_gb:g} GB."
            yield "warnings", pointer, words
        lacking_gb = way.lacking_gb(self._here)
        if machine.disk_gb is not None and lacking_gb > machine.disk_gb:
            words = f"{way.row['id']} takes {lacking_gb:g} GB more of disk; {machine.disk_gb:g} GB are free."
            yield "warnings", pointer, words
        better = next((each for each in gpu_ways(way.row) + cpu_ways(way.row) if each.fits(machine, self._here)), None)
        if better is not None:
            takes = f"{better.vram_gb:g} GB of GPU memory" if better.vram_gb else f"{better.ram_gb:g} GB of memory"
            yield "recommendations", pointer, f"Take {better.words}: about {takes}."
