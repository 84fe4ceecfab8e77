"""What of Stable Diffusion XL is in memory, and pipelines of it. Imports torch: itself imported only to load.

A request's LoRAs, ControlNets and refiner stay for the next one that names the same, and are gone for any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import AutoencoderKL, StableDiffusionXLPipeline, UNet2DConditionModel
from safetensors import SafetensorError
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from engines.image_generation import _sdxl_files as sdxl_files
from engines.image_generation import _sdxl_loras as loras
from engines.image_generation._sdxl_files import Pipeline
from engines.image_generation._sdxl_memory import OFFLOADS, TILED_ABOVE_PIXELS, choose_offload, free_bytes, size_of
from engines.image_generation._sdxl_plan import Plan
from engines.image_generation._sdxl_prompts import Prompts
from runtime.context import Context
from runtime.errors import WorkerError
from weights import files
from weights.placement import Placement
from weights.torch_errors import NO_ROOM

ENCODERS = {"text_encoder": CLIPTextModel, "text_encoder_2": CLIPTextModelWithProjection}
KINDS = {
    # from a picture, under ControlNets: diffusers' class, imported when it is first needed
    (False, False): StableDiffusionXLPipeline.__name__,
    (True, False): "StableDiffusionXLImg2ImgPipeline",
    (False, True): "StableDiffusionXLControlNetPipeline",
    (True, True): "StableDiffusionXLControlNetImg2ImgPipeline",
}


class Models:
    """The base model, read at the first request that can be done, and what requests add to it."""

    def __init__(self, base: Pipeline, placement: Placement, options: Mapping[str, Any]) -> None:
        self._base, self._placement, self._options = base, placement, options
        self._parts: dict[str, Any] = {}
        self._vae: str | None = None
        self._refiner: dict[str, Any] = {}
        self._refiner_folder: Path | None = None
        self._controls: dict[Path, Any] = {}
        self._loras = loras.Loras()
        self._offload = OFFLOADS[0]
        self._hooked: Any = None
        self._attention = ""

    @property
    def facts(self) -> dict[str, Any]:
        """What was chosen, for the result's ``model``."""
        vae = self._parts["vae"]
        upcast = vae.dtype == torch.float16 and vae.config.force_upcast
        return {
            **self._placement.facts,
            "vae_dtype": "float32" if upcast else str(vae.dtype).removeprefix("torch."),
            "attention": self._attention,
            "offload": self._offload,
            "compiled": self._compiled,
        }

    def ready(self, plan: Plan, context: Context) -> None:
        """Read what the request needs and is not here, let go what it does not name.

        Raises WorkerError ``model_not_found`` for files that are not what they should be.
        """
        if not self._parts or self._vae != plan.vae:
            self.read_base(plan.vae, context)
        folders = [control.folder for control in plan.controls]
        self._controls = {folder: model for folder, model in self._controls.items() if folder in folders}
        for number, (folder, control) in enumerate(zip(folders, plan.controls, strict=True)):
            if folder not in self._controls:
                context.progress("load", number, len(folders), "controls")
                self._controls[folder] = self._control(folder, control.name, control.pointer)
        if plan.refiner is None or plan.refiner.folder != self._refiner_folder:
            self._refiner, self._refiner_folder = {}, None
        if plan.refiner is not None and not self._refiner:
            context.progress("load", 0, 1, "refiner")
            self._refiner, self._refiner_folder = self._refiner_parts(plan.refiner), plan.refiner.folder
        self._arrange(plan)
        if plan.loras or self._loras.held:
            self._loras.use(plan.loras, self._made(KINDS[False, False], self._parts), context)

    def read_base(self, vae: str | None, context: Context) -> None:
        """Read the base model; ``vae`` names another decoder than its own."""
        self.drop()
        half, base, parts = self._placement.dtype == torch.float16, self._base, dict[str, Any]()
        encoders = [name for name in ENCODERS if base.has(name)]
        total = len(encoders) + 2
        for number, name in enumerate(encoders):
            context.progress("load", number, total, "parts")
            parts[name] = self._part(ENCODERS[name], base, name, half)
            parts[name.replace("text_encoder", "tokenizer")] = self._tokenizer(
                name.replace("text_encoder", "tokenizer")
            )
        context.progress("load", total - 2, total, "parts")
        parts["vae"] = self._own_vae(half) if vae is None else self._other_vae(vae, half)
        parts["vae"].enable_slicing()  # one picture is decoded at a time: as fast, and the rest needs no room
        context.progress("load", total - 1, total, "parts")
        parts["unet"] = self._part(UNet2DConditionModel, base, "unet", half, **self._compressed())
        if self._compiled:
            parts["unet"].compile_repeated_blocks(fullgraph=True)
        context.progress("load", total, total, "parts")
        processor = type(next(iter(parts["unet"].attn_processors.values()))).__name__
        self._attention = "scaled_dot_product" if processor == "AttnProcessor2_0" else processor
        self._parts, self._vae = parts, vae

    def drop(self) -> None:
        """Let go of everything."""
        self._parts, self._controls, self._offload, self._hooked = {}, {}, OFFLOADS[0], None
        self._refiner, self._refiner_folder = {}, None
        self._loras = loras.Loras()

    def prompts(self, refiner: bool = False) -> Prompts:
        """What reads prompts for the base or, with the second text encoder alone, for the refiner."""
        names = [name for name in ENCODERS if name in self._parts and not (refiner and name == "text_encoder")]
        config = self._refiner if refiner else self._base.index
        return Prompts(
            [self._parts[name.replace("text_encoder", "tokenizer")] for name in names],
            [self._parts[name] for name in names],
            zeros_for_nothing=bool(config.get("force_zeros_for_empty_prompt", True)),
        )

    def pipeline(self, plan: Plan, scheduler: Any) -> Any:
        """The pipeline for the base's part of a request."""
        more: dict[str, Any] = {}
        if plan.controls:
            more["controlnet"] = [self._controls[control.folder] for control in plan.controls]
        made = self._made(
            KINDS[plan.from_picture, bool(plan.controls)], {**self._parts, **more, "scheduler": scheduler}
        )
        return self._hooked_up(made)

    def refining(self, scheduler: Any) -> Any:
        """The pipeline for the refiner's part of it."""
        shared = {name: self._parts[name] for name in ("vae", "text_encoder_2", "tokenizer_2")}
        made = diffusers.StableDiffusionXLImg2ImgPipeline(
            **shared, **self._refiner, text_encoder=None, tokenizer=None, scheduler=scheduler, add_watermarker=False
        )
        made.set_progress_bar_config(disable=True)
        return self._hooked_up(made)

    @property
    def device(self) -> torch.device:
        """Where the work is done."""
        return torch.device(self._placement.device)

    @property
    def number_bytes(self) -> int:
        """Bytes of a number in the UNet."""
        return self._placement.dtype.itemsize

    def recover(self) -> None:
        """After a request that ended in the middle: the VAE may be in another precision, parts on another device."""
        if self._hooked is not None:
            self._hooked.maybe_free_model_hooks()
        if self._parts and self._parts["vae"].dtype != self._placement.dtype:
            self._parts["vae"].to(self._placement.dtype)

    @property
    def _compiled(self) -> bool:
        return bool(self._options["compile"]) and self._placement.device.startswith("cuda")

    def _part(self, kind: Any, pipeline: Pipeline, name: str, half: bool, **how: Any) -> Any:
        return self._read(
            kind,
            pipeline.folder,
            pipeline.name,
            pipeline.pointer,
            subfolder=name,
            variant=pipeline.variant(name, half),
            **how,
        )

    def _own_vae(self, half: bool) -> Any:
        return self._part(AutoencoderKL, self._base, "vae", half)

    def _other_vae(self, name: str, half: bool) -> Any:
        pointer = "/engine_options/vae"
        folder = files.folder(name, None, self._options, pointer)
        found = sdxl_files.variant(folder, name, half, pointer)
        return self._read(AutoencoderKL, folder, name, pointer, variant=found)

    def _control(self, folder: Path, name: str, pointer: str) -> Any:
        half = self._placement.dtype == torch.float16
        found = sdxl_files.variant(folder, name, half, pointer)
        return self._read(diffusers.ControlNetModel, folder, name, pointer, variant=found)

    def _refiner_parts(self, refiner: Pipeline) -> dict[str, Any]:
        """Its own are the UNet and how it was trained; text encoder and VAE are the base's, as in diffusers' guide."""
        half = self._placement.dtype == torch.float16
        unet = self._part(UNet2DConditionModel, refiner, "unet", half, **self._compressed())
        trained = {"requires_aesthetics_score": True, "force_zeros_for_empty_prompt": False}
        return {"unet": unet, **{name: bool(refiner.index.get(name, trained[name])) for name in trained}}

    def _tokenizer(self, name: str) -> Any:
        if not any((self._base.folder / name / file).is_file() for file in ("tokenizer.json", "vocab.json")):
            raise _damaged(f"{self._base.name}/{name}", self._base.pointer, "it has no words")  # the library goes on
        try:
            return CLIPTokenizer.from_pretrained(str(self._base.folder), subfolder=name, local_files_only=True)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise _damaged(f"{self._base.name}/{name}", self._base.pointer, error) from error

    def _read(self, kind: Any, folder: Path, name: str, pointer: str, **how: Any) -> Any:
        """A part with all of its weights. Raises WorkerError ``model_not_found``; the libraries would go on."""
        where = f"{name}/{how['subfolder']}" if "subfolder" in how else name
        try:
            found, info = kind.from_pretrained(
                str(folder),
                dtype=self._placement.dtype,
                use_safetensors=True,
                local_files_only=True,
                output_loading_info=True,
                **how,
            )
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise _damaged(where, pointer, error) from error
        except RuntimeError as error:  # weights of other sizes, or too little memory
            if any(words in str(error).lower() for words in NO_ROOM):
                raise
            raise _damaged(where, pointer, error) from error
        missing = sorted(info["missing_keys"])
        if missing:
            raise _damaged(where, pointer, f"{len(missing)} of its weights are missing, such as {missing[0]}")
        return found.eval()

    def _compressed(self) -> dict[str, Any]:
        """Arguments for a UNet in 8 or 4 bits."""
        if self._placement.quantization == "none":
            return {}
        four = self._placement.quantization == "int4"
        config = diffusers.BitsAndBytesConfig(
            load_in_4bit=four,
            load_in_8bit=not four,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_compute_dtype=self._placement.dtype,
        )
        return {"quantization_config": config}

    def _arrange(self, plan: Plan) -> None:
        """Decide, once there is something to weigh, what stays on the device, and put it there."""
        models = [part for part in self._parts.values() if isinstance(part, torch.nn.Module)]
        models += [*self._controls.values(), *([self._refiner["unet"]] if self._refiner else [])]
        pixels = plan.canvas[0] * plan.canvas[1]
        free = free_bytes(self._placement.device)
        there = sum(size_of(model) for model in models if next(model.parameters()).is_cuda)
        room = None if free is None else free + there
        needed = choose_offload(self._options["offload"], room, [size_of(model) for model in models], pixels)
        self._offload = max(self._offload, needed, key=OFFLOADS.index)  # more is not undone: hooks are on the parts
        for model in models if self._offload == "none" else ():
            # What has 8 bits is there already and cannot be moved.
            if next(model.parameters()).device.type != self.device.type and not getattr(model, "is_loaded_in_8bit", 0):
                model.to(self._placement.device)
        vae = self._parts["vae"]
        vae.enable_tiling() if pixels > TILED_ABOVE_PIXELS else vae.disable_tiling()

    def _made(self, kind: str, parts: Mapping[str, Any]) -> Any:
        how = {name: self._base.index[name] for name in ("force_zeros_for_empty_prompt",) if name in self._base.index}
        with_scheduler = {"scheduler": None, **parts}
        made = getattr(diffusers, kind)(**with_scheduler, **how, add_watermarker=False)
        made.set_progress_bar_config(disable=True)
        return made

    def _hooked_up(self, made: Any) -> Any:
        """With what brings its parts to the GPU and away again, where that is how it is done."""
        if self._offload == "model":
            made.enable_model_cpu_offload(device=self._placement.device)
        elif self._offload == "sequential":
            made.enable_sequential_cpu_offload(device=self._placement.device)
        self._hooked = made if self._offload != "none" else None
        return made


def make_scheduler(config: Mapping[str, Any], name: str | None, changes: Mapping[str, Any]) -> Any:
    """The model's own scheduler, or one by its name in diffusers, of the model's configuration with ``changes``."""
    own = getattr(diffusers, str(config["_class_name"]))
    if name in {None, own.__name__}:
        return own.from_config(dict(config), **changes)
    return getattr(diffusers, str(name)).from_config(own.from_config(dict(config)).config, **changes)


def _damaged(name: str, pointer: str, why: object) -> WorkerError:
    said: Sequence[str] = str(why).strip().splitlines() or [type(why).__name__]
    return WorkerError(
        "model_not_found",
        f"{name} cannot be opened: {said[0]}",
        pointer=pointer,
        hint="Download it again in whole, or name another.",
    )
