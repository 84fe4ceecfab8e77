"""What of LTX-Video is in memory, and pipelines of it. Imports torch: itself imported only to load."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import diffusers
import torch
from diffusers import AutoencoderKLLTXVideo, FlowMatchEulerDiscreteScheduler, LTXVideoTransformer3DModel
from safetensors import SafetensorError
from transformers import T5EncoderModel, T5TokenizerFast

from engines.video_generation import _ltx_memory as memory
from engines.video_generation._ltx_files import CONDITION, Model
from engines.video_generation._ltx_plan import FRAME_STEP, Shape
from runtime.context import Context
from runtime.errors import WorkerError
from weights.placement import Placement

KINDS = {"text_encoder": T5EncoderModel, "transformer": LTXVideoTransformer3DModel, "vae": AutoencoderKLLTXVideo}
OVERLAP = 2
"""Latent frames that two pieces of a clip share. A piece's first one has no past and gives one frame instead of eight,
which is left out; over the others' frames the pieces fade into each other."""


class Models:
    """The parts of one model, read once; pipelines are made of them for each request."""

    def __init__(self, model: Model, placement: Placement, options: Mapping[str, Any]) -> None:
        self._model, self._placement, self._options = model, placement, options
        self._parts: dict[str, Any] = {}
        self._hooked: Any = None
        self._offload = memory.OFFLOADS[0]
        self._decoding = memory.Decoding(False, 1)

    @property
    def read(self) -> bool:
        """Whether the weights are in memory."""
        return bool(self._parts)

    @property
    def facts(self) -> dict[str, Any]:
        """What was chosen, for the result's ``model``."""
        compiled = {"compiled": self._compiled}
        return {**self._placement.facts, "offload": self._offload, **self._decoding.facts, **compiled}

    @property
    def tokenizer(self) -> Any:
        """T5's."""
        return self._parts["tokenizer"]

    @property
    def vae(self) -> Any:
        """The video VAE."""
        return self._parts["vae"]

    @property
    def dtype(self) -> torch.dtype:
        """The number format of the weights."""
        return self._placement.dtype

    def read_weights(self, context: Context) -> None:
        """Read every part. Raises WorkerError ``model_not_found`` for files that are not what they should be."""
        parts: dict[str, Any] = {}
        for number, (name, kind) in enumerate(KINDS.items()):
            context.progress("load", number, len(KINDS), "parts")
            parts[name] = self._opened(name, kind)
        parts["tokenizer"] = self._from_folder("tokenizer", T5TokenizerFast)
        parts["scheduler"] = self._from_folder("scheduler", FlowMatchEulerDiscreteScheduler)
        if self._compiled:
            parts["transformer"].compile_repeated_blocks(fullgraph=True)
        context.progress("load", len(KINDS), len(KINDS), "parts")
        self._parts = parts

    def drop(self) -> None:
        """Let go of everything."""
        self._parts, self._hooked = {}, None

    def arrange(self, shapes: Sequence[Shape]) -> None:
        """Decide, once there is something to weigh, what stays on the device, and put it there."""
        device, number_bytes = self._placement.device, self._placement.dtype.itemsize
        models = [self._parts[name] for name in KINDS]
        largest = max(shapes, key=lambda shape: shape.made_width * shape.made_height * shape.made_frames)
        least = memory.choose_decoding(largest, 0, number_bytes)
        frames = (least.latents - 1) * FRAME_STEP + 1
        work = memory.DECODE_NUMBERS_PER_PIXEL * largest.made_width * largest.made_height * frames * number_bytes
        needed = memory.choose_offload(self._options["offload"], device, models, work)
        self._offload = max(self._offload, needed, key=memory.OFFLOADS.index)  # never undone: hooks are on the parts
        if self._offload == "none":
            for model in models:
                model.to(device)
        free = memory.free_bytes(device) - (0 if self._offload == "none" else memory.size_of(self.vae))
        self._decoding = memory.choose_decoding(largest, free, number_bytes)
        self.vae.enable_tiling() if self._decoding.tiled else self.vae.disable_tiling()

    def pipeline(self, kind: str) -> Any:
        """A pipeline of one of diffusers' classes, with what brings its parts to the GPU and away again."""
        scheduler = self._parts["scheduler"]
        fixed = {"use_dynamic_shifting": False, "shift_terminal": None}  # LTXConditionPipeline gives its own timesteps
        changes = fixed if kind == CONDITION and scheduler.config.use_dynamic_shifting else {}
        made = getattr(diffusers, kind)(
            **{**self._parts, "scheduler": FlowMatchEulerDiscreteScheduler.from_config(scheduler.config, **changes)}
        )
        made.set_progress_bar_config(disable=True)
        if self._offload == "model":
            made.enable_model_cpu_offload(device=self._placement.device)
        elif self._offload == "sequential":
            made.enable_sequential_cpu_offload(device=self._placement.device)
        self._hooked = made if self._offload != "none" else None
        return made

    def pieces(self, latents: Any, timestep: Any) -> Iterator[Any]:
        """The frames, decoded a piece at a time: (3, frames, height, width), -1 to 1.

        ``latents`` (1, channels, latent frames, height/32, width/32) are no longer normalised; ``timestep`` (1,) is the
        VAE's, if it knows one.
        """
        total, start, tail = latents.shape[2], 0, None
        while True:
            end = min(total, start + self._decoding.latents)
            piece = self._decoded(latents[:, :, start:end], timestep)
            if start:
                piece = piece[:, 1:]
            if tail is not None:
                share = torch.arange(1, tail.shape[1] + 1, device=piece.device, dtype=piece.dtype)
                share = share[None, :, None, None] / (tail.shape[1] + 1)
                piece[:, : tail.shape[1]] = torch.lerp(tail, piece[:, : tail.shape[1]], share)
            if end == total:
                yield piece
                return
            kept = piece.shape[1] - FRAME_STEP * (OVERLAP - 1)
            tail = piece[:, kept:].clone()
            yield piece[:, :kept]
            del piece  # before the next one is decoded: there is never more than one
            start = end - OVERLAP

    def recover(self) -> None:
        """After a request, however it ended: what is on the GPU only while it is needed leaves it."""
        if self._hooked is not None:
            self._hooked.maybe_free_model_hooks()
            self._hooked = None

    @property
    def _compiled(self) -> bool:
        return bool(self._options["compile"]) and self._placement.device.startswith("cuda")

    def _decoded(self, latents: Any, timestep: Any) -> Any:
        with torch.no_grad():
            return self.vae.decode(latents, timestep, return_dict=False)[0][0]

    def _opened(self, name: str, kind: Any) -> Any:
        """A part with all of its weights; the libraries would fill in noise and go on."""
        found, info = self._from_folder(
            name, kind, dtype=self._placement.dtype, use_safetensors=True, output_loading_info=True
        )
        missing = sorted(info["missing_keys"])
        if missing:
            raise self._damaged(name, f"{len(missing)} of its weights are missing, such as {missing[0]}")
        return found.eval()

    def _from_folder(self, name: str, kind: Any, **how: Any) -> Any:
        try:
            return kind.from_pretrained(str(self._model.folder), subfolder=name, local_files_only=True, **how)
        except (OSError, ValueError, KeyError, TypeError, ImportError, RuntimeError, SafetensorError) as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            raise self._damaged(name, error) from error

    def _damaged(self, part: str, why: object) -> WorkerError:
        said = str(why).strip().splitlines() or [type(why).__name__]
        return WorkerError(
            "model_not_found",
            f"{self._model.name}/{part} cannot be opened: {said[0]}",
            pointer="/model/id",
            hint="Download it again in whole, or name another.",
        )
