"""What a request may wish of a model that a service runs, and what is said where a wish stays one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from runtime import validation
from runtime.errors import WorkerError


def refuse_local(model: Mapping[str, Any]) -> None:
    """A hosted model has no revision, dtype or quantization of our choosing. Raises ``unsupported_capability``."""
    for name in ("revision", "dtype", "quantization"):
        if model.get(name) is not None:
            raise WorkerError(
                "unsupported_capability",
                f"model.{name} is {model[name]}; a hosted model is as the service runs it.",
                pointer=f"/model/{name}",
                hint="Leave it out, or put it into the model's id where the service names it so.",
            )


def differing(family: str, op: str, wanted: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """The wishes among these fields, as "name value": a schema's defaults are nobody's wish."""
    known = validation.input_schema(family, op)["properties"]
    return [f"{name} {wanted[name]}" for name in names if name in known and wanted[name] != known[name]["default"]]
