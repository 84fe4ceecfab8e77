"""Where a model of torch goes: device, number format, compression. Imports torch: itself imported only to load."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from runtime.errors import WorkerError


@dataclass(frozen=True)
class Placement:
    """Arguments of ``from_pretrained``, and what the result says of them."""

    device: str
    dtype: torch.dtype
    quantization: str

    @property
    def facts(self) -> dict[str, str]:
        """For the result's ``model``."""
        return {
            "device": self.device,
            "dtype": str(self.dtype).removeprefix("torch."),
            "quantization": self.quantization,
        }


def place(model: Mapping[str, Any], device: str, own: torch.dtype | None) -> Placement:
    """Where a model goes whose files are in the format ``own``.

    Raises WorkerError ``device_unavailable``, ``unsupported_capability`` or ``engine_unavailable``, all before any
    weight is read.
    """
    chosen = _device(device)
    dtype = getattr(torch, model["dtype"]) if model["dtype"] else _dtype(chosen, own)
    quantization = model["quantization"] or "none"
    if quantization != "none":
        _check_quantization(quantization, chosen)
    return Placement(chosen, dtype, quantization)


def _device(wanted: str) -> str:
    counts = {
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
        "xpu": torch.xpu.device_count() if hasattr(torch, "xpu") and torch.xpu.is_available() else 0,
        "cpu": 1,
    }
    if wanted == "auto":
        return next(name for name, count in counts.items() if count)
    name, _, index = wanted.partition(":")
    if int(index or 0) < counts[name]:
        return wanted
    here = ", ".join(
        f"{name}:{number}" if name == "cuda" else name for name in counts for number in range(counts[name])
    )
    raise WorkerError(
        "device_unavailable",
        f"options.device is {wanted}; this machine, with this build of torch, has {here}.",
        pointer="/options/device",
        hint="Leave it at auto, or install the build of torch for your GPU.",
    )


def _dtype(device: str, own: torch.dtype | None) -> torch.dtype:
    """The files' own format where the device computes well in it; float32 where they say none."""
    if own is None or own == torch.float32:
        return torch.float32
    if device.startswith("cuda") and own == torch.bfloat16 and not torch.cuda.is_bf16_supported():
        return torch.float16  # before Ampere
    if device == "cpu" and own == torch.float16:
        return torch.float32  # CPUs compute in half precision slowly, and some of their kernels not at all
    return own


def _check_quantization(wanted: str, device: str) -> None:
    if not device.startswith("cuda"):
        raise WorkerError(
            "unsupported_capability",
            f"model.quantization is {wanted}, which this engine can on an NVIDIA GPU only; the device is {device}.",
            pointer="/model/quantization",
            hint="Leave quantization out and take a smaller model, or serve a compressed one with Ollama and use the "
            "engine openai.",
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise WorkerError(
            "engine_unavailable",
            f"model.quantization is {wanted}, which needs the Python package bitsandbytes.",
            pointer="/model/quantization",
            hint="pip install bitsandbytes, or leave quantization out.",
        )
