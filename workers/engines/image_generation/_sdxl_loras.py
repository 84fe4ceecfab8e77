"""LoRAs in the UNet and the text encoders, checked for fitting: diffusers passes over what does not.

Nothing heavy is imported until one is used.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.context import Context
from runtime.errors import WorkerError
from weights.torch_errors import NO_ROOM

DOWN = re.compile(r"\.(lora_A|lora_down|lora\.down|lora_linear_layer\.down)(\.default)?\.weight$|_lora\.down\.weight$")
"""The first of a layer's two matrices, as peft, kohya's trainer and older versions of diffusers name it."""
HINT = "Take a LoRA that was trained for Stable Diffusion XL, saved as by diffusers, peft or kohya's trainer."


@dataclass(frozen=True)
class Lora:
    """A file and how strongly it acts."""

    file: Path
    scale: float
    pointer: str

    @property
    def identity(self) -> tuple[Path, int, int]:
        """The file, and when it would be another one."""
        facts = self.file.stat()
        return self.file, facts.st_size, facts.st_mtime_ns


class Loras:
    """What is in the model now, in the order asked for."""

    def __init__(self) -> None:
        self.held: list[tuple[Path, int, int]] = []

    def use(self, wanted: Sequence[Lora], pipeline: Any, context: Context) -> None:
        """Make the model have these and no others, at their scales.

        Raises WorkerError ``model_not_found`` for a damaged one and for one of another architecture.
        """
        if wanted and importlib.util.find_spec("peft") is None:
            raise WorkerError(
                "engine_unavailable",
                "loras need the Python package peft.",
                pointer="/input/loras",
                hint="pip install peft; it is part of the extra models.",
            )
        asked = [lora.identity for lora in wanted]
        if asked != self.held:
            if self.held:
                pipeline.unload_lora_weights()
            self.held = []
            try:
                for number, lora in enumerate(wanted):
                    context.progress("load", number, len(wanted), "loras")
                    _load(lora, _name(number), pipeline)
            except BaseException:
                pipeline.unload_lora_weights()
                raise
            self.held = asked
        if wanted:
            names = [_name(number) for number in range(len(wanted))]
            pipeline.set_adapters(names, [lora.scale for lora in wanted])


def _name(number: int) -> str:
    return f"lora_{number}"


def _load(lora: Lora, name: str, pipeline: Any) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        weights = load_file(lora.file)
    except SafetensorError as error:
        raise _unfit(lora, f"is damaged: {error}") from error
    layers = _layers(weights)
    if not layers:
        raise _unfit(lora, "has nothing of a LoRA in it")
    try:
        pipeline.load_lora_weights(weights, adapter_name=name)
    except (ValueError, KeyError, RuntimeError, IndexError, AttributeError) as error:
        if any(words in str(error).lower() for words in NO_ROOM):
            raise
        raise _unfit(lora, f"does not fit this model: {str(error).strip().splitlines()[0]}") from error
    found = sum(_count(getattr(pipeline, part), name) for part in pipeline.get_list_adapters())
    if found != layers:
        raise _unfit(lora, f"is for another model: {found} of its {layers} layers are in this one")


def _layers(weights: Mapping[str, Any]) -> int:
    """Layers that a LoRA's file changes."""
    return sum(1 for key in weights if DOWN.search(key))


def _count(model: Any, name: str) -> int:
    """Layers of the model that carry the adapter ``name``."""
    modules: Iterable[Any] = model.modules()
    return sum(1 for module in modules if name in getattr(module, "lora_A", ()))


def _unfit(lora: Lora, what: str) -> WorkerError:
    return WorkerError("model_not_found", f"The LoRA {lora.file} {what}.", pointer=lora.pointer, hint=HINT)
