"""How a model of the table can be run, what that takes, and which way suits a machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engines.model_management._hardware import Hardware
from runtime import registry
from runtime.errors import WorkerError
from weights import table

HOSTED = "Take an engine of a hosted service, or a smaller model by its folder or id."


@dataclass(frozen=True)
class Way:
    """One way to run a model of the table; memory in GB, estimated."""

    row: Mapping[str, Any]
    dtype: str
    quantization: str
    offload: str
    device: str
    vram_gb: float
    ram_gb: float

    def lacking_gb(self, here: Mapping[str, float]) -> float:
        """What of the model is yet to come, in GB; ``here`` says what of which is on the machine."""
        return round(max(0.0, float(self.row["disk_gb"] - here.get(self.row["id"], 0.0))), 1)

    def fits(self, machine: Hardware, here: Mapping[str, float]) -> bool:
        disk = machine.disk_gb is None or self.lacking_gb(here) <= machine.disk_gb
        return disk and self.vram_gb <= machine.vram_gb and self.ram_gb <= machine.ram_gb

    @property
    def choice(self) -> dict[str, Any]:
        """What a request or profile says to run it so."""
        return {
            "model": {"id": self.row["id"], "dtype": self.dtype, "quantization": self.quantization},
            "options": {"device": self.device, "offload": self.offload},
        }

    @property
    def words(self) -> str:
        how = self.dtype if self.quantization == "none" else self.quantization
        if self.device == "cpu":
            return f"{self.row['id']} without a GPU, in {how}"
        return f"{self.row['id']} in {how}" + (f" with offload {self.offload}" if self.offload != "none" else "")


def gpu_ways(row: Mapping[str, Any]) -> list[Way]:
    """The ways on a GPU, the best first: whole, then compressed, then in parts."""
    at = {"row": row, "dtype": row["dtype"], "device": "auto", "ram_gb": row["ram_gb"]}
    whole = [
        Way(**at, quantization=quantization, offload="none", vram_gb=row["vram_gb"][quantization])
        for quantization in ("none", "int8", "int4")
        if quantization in row["vram_gb"]
    ]
    return whole + [
        Way(**at, quantization="none", offload=offload, vram_gb=row["offload_vram_gb"][offload])
        for offload in ("model", "sequential")
        if offload in row["offload_vram_gb"]
    ]


def cpu_ways(row: Mapping[str, Any]) -> list[Way]:
    """The way without a GPU, if there is one. CPUs compute in float16 slowly or not at all."""
    if row["cpu_ram_gb"] is None:
        return []
    dtype = "float32" if row["dtype"] == "float16" else row["dtype"]
    return [Way(row, dtype, row["cpu_quantization"], "none", "cpu", 0.0, row["cpu_ram_gb"])]


def best(family: str, machine: Hardware, here: Mapping[str, float]) -> Way | None:
    """The first model of the family that fits on the GPU; else the smallest that runs without, open ones first."""
    rows = [row for row in table.rows() if row["family"] == family and row["engine"] is not None]
    small = sorted(rows, key=lambda row: (row["gated"], row["disk_gb"]))
    ways = [way for row in rows for way in gpu_ways(row)] + [way for row in small for way in cpu_ways(row)]
    return next((way for way in ways if way.fits(machine, here)), None)


def least(family: str) -> Way:
    """The way on a GPU that takes the least memory: what to say where none fits."""
    rows = [row for row in table.rows() if row["family"] == family and row["engine"] is not None]
    return min((way for row in rows for way in gpu_ways(row)), key=lambda way: way.vram_gb)


def obstacle(family: str, engine: str) -> str | None:
    """Why an engine cannot be used here, or None. An unknown one is one that this checkout does not have."""
    try:
        return registry.obstacle(registry.engine_class(family, engine))
    except WorkerError as error:
        return error.message.rstrip(".")


def recommendation(family: str, machine: Hardware, here: Mapping[str, float]) -> dict[str, Any]:
    """One entry of the operation ``recommend``; ``here`` is GB that are on the machine already, by the model's id."""
    way = best(family, machine, here)
    found = way or least(family)
    row = found.row
    cost = {
        "vram_gb": found.vram_gb,
        "ram_gb": found.ram_gb,
        "disk_gb": row["disk_gb"],
        "lacking_gb": found.lacking_gb(here),
    }
    said = {"family": family, **cost, "license": row["license"], "gated": row["gated"]}
    if way is None:
        needs = f"{found.vram_gb:g} GB of GPU memory, {found.ram_gb:g} GB of memory, {cost['lacking_gb']:g} GB of disk"
        why = _sentences(f"No model of the table fits; the least is {found.words}: {needs}.", row["cpu_advice"], HOSTED)
        return {**said, "engine": None, "model": None, "options": None, "why": why}
    takes = f"about {way.vram_gb:g} of {machine.vram_gb:g} GB of GPU memory"
    if way.device == "cpu":
        takes = f"about {way.ram_gb:g} of {machine.ram_gb:g} GB of memory"
    reason = obstacle(family, row["engine"])
    why = _sentences(
        f"{way.words}: {takes}.",
        row["advice"],
        row["cpu_advice"] if way.device == "cpu" else None,
        f"Its engine {row['engine']} cannot be used here yet: {reason}." if reason else None,
    )
    return {**said, **way.choice, "engine": row["engine"], "why": why}


def not_together(advice: Sequence[Mapping[str, Any]], machine: Hardware) -> str | None:
    """What to say where each of the models has room on the disk and all of them have not."""
    lacking = [row["lacking_gb"] for row in advice if row["model"] is not None]
    if machine.disk_gb is None or sum(lacking) <= machine.disk_gb:
        return None
    return (
        f"Each of these models has room, all together have not: {sum(lacking):.3g} GB are to be downloaded, "
        f"{machine.disk_gb:g} GB are free."
    )


def _sentences(*parts: str | None) -> str:
    return " ".join(part for part in parts if part)
