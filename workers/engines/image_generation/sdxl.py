"""Stable Diffusion XL by diffusers, on this machine: pictures from words, from pictures, and larger ones.

Models are taken by id, if downloaded, or by folder; as safetensors only, and never with code of their own.
"""

from __future__ import annotations

import contextlib
import gc
import inspect
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from engines.image_generation import _sdxl_files as sdxl_files
from runtime.context import Context
from runtime.errors import WorkerError
from weights.torch_errors import empty_cache, quiet, room

if TYPE_CHECKING:
    from PIL.Image import Image

    from engines.image_generation._sdxl_plan import Plan

DEFAULT_MODEL = "stabilityai/stable-diffusion-xl-base-1.0"
SCHEDULERS = tuple(
    f"{name}Scheduler"
    for name in (
        "DDIM", "DDPM", "DEISMultistep", "DPMSolverMultistep", "DPMSolverSDE", "DPMSolverSinglestep",
        "EulerAncestralDiscrete", "EulerDiscrete", "HeunDiscrete", "KDPM2AncestralDiscrete", "KDPM2Discrete", "LCM",
        "LMSDiscrete", "PNDM", "TCD", "UniPCMultistep",
    )
)  # fmt: skip
"""Those that work with SDXL's configuration; two of them need a package more."""
PNG_LEVEL = 1  # level 6 takes twice as long and saves a tenth


class Engine:
    """``generate``, ``transform`` (image-to-image) and ``upscale`` (image-to-image in tiles).

    Weights are read when the first request has been found possible, or at once when a host loads ahead.
    """

    version = "1"
    requires: tuple[str, ...] = ("torch", "diffusers", "transformers", "PIL")
    key_env: str | None = None
    remote = False
    ops: tuple[str, ...] = ("generate", "transform", "upscale")
    capabilities: frozenset[str] = frozenset(
        {"batch", "controlnet", "device", "image_to_image", "lora", "model", "negative_prompt", "quantization",
         "refiner", "scheduler", "seed", "upscale"}
    )  # fmt: skip
    # Defaults are those of the models' own cards; of Turbo's 1 to 4 steps the most, as strength takes a share of them.
    models: Mapping[str, Mapping[str, Any]] = {
        DEFAULT_MODEL: {
            "defaults": {},
            "native_side": 1024,
            "vram_gb": {"none": 12, "with_refiner": 16},
            "license": "OpenRAIL++-M",
        },
        "stabilityai/sdxl-turbo": {
            "defaults": {"num_inference_steps": 4, "guidance_scale": 0.0},
            "native_side": 512,
            "vram_gb": {"none": 12},
            "license": "Stability AI Non-Commercial Research Community License",
        },
        "Lykon/dreamshaper-xl-lightning": {
            "defaults": {
                "num_inference_steps": 4,
                "guidance_scale": 2.0,
                "scheduler": "DPMSolverMultistepScheduler",
            },
            "native_side": 1024,
            "vram_gb": {"none": 12},
            "license": "OpenRAIL++-M",
        },
    }
    options_schema: Mapping[str, Any] = {
        "type": "object",
        "properties": {
            "timestep_spacing": {
                "enum": ["leading", "linspace", "trailing", None],
                "default": None,
                "description": "How the scheduler spreads its steps; null is the model's own. SDXL-Lightning's LoRAs "
                "want trailing, with the EulerDiscreteScheduler and a guidance_scale of 0.",
            },
            "karras_sigmas": {
                "type": ["boolean", "null"],
                "default": None,
                "description": "Noise levels after Karras et al. (2022), where the scheduler can; null is the model's "
                "own.",
            },
            "vae": {
                "type": ["string", "null"],
                "minLength": 1,
                "maxLength": 4096,
                "default": None,
                "description": "Id or folder of another decoder, such as madebyollin/sdxl-vae-fp16-fix, which works in "
                "half precision where the model's own is computed in float32; null is the model's own.",
            },
        },
        "additionalProperties": False,
    }

    def load(self, model: Mapping[str, Any], options: Mapping[str, Any], context: Context) -> None:
        """Find the model and import the libraries; whatever can be refused without weights is refused before them."""
        self._id, self._options = model["id"] or DEFAULT_MODEL, options
        self._base = sdxl_files.pipeline(self._id, model["revision"], options)
        context.progress("load", 0, 1, "libraries")
        began = time.monotonic()
        with quiet():
            import diffusers
            import torch
            import transformers

            for library in (diffusers, transformers):  # before their modules are imported, which have advice too
                library.utils.logging.set_verbosity_error()
                library.utils.logging.disable_progress_bar()
            from engines.image_generation import _sdxl_models, _sdxl_painting
            from weights.placement import place

            self._library, self._painting = _sdxl_models, _sdxl_painting
            context.import_s = time.monotonic() - began
            context.check()
            self._placement = place(model, options["device"], torch.float16)
            self._models = _sdxl_models.Models(self._base, self._placement, options)
            if not context.engine_options:  # a request's options are complete: a host loads ahead of its first request
                with self._room():
                    self._models.read_base(None, context)

    def run(self, op: str, input: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
        """Check what was asked, read what it needs, then make it.

        Raises WorkerError ``model_not_found``, ``input_unreadable``, ``invalid_request``, ``unsupported_capability`` or
        ``out_of_memory``.
        """
        from engines.image_generation import _sdxl_plan

        context.chosen["id"] = self._id
        plan = _sdxl_plan.plan(op, input, self._base, self._options, context)
        with quiet(), self._room(plan, context.options.get("batch_size")), self._recovering():
            schedulers = self._schedulers(plan)
            self._warn_of_ignored(context)
            whole = plan
            if op == "upscale":
                plan, places = self._painting.tiled(plan, _sdxl_plan.native_side(self._base))
            self._models.ready(plan, context)
            painter = self._painting.Painter(self._models, plan, schedulers, context)
            context.chosen |= {
                **self._models.facts,
                "scheduler": type(schedulers[0]).__name__,
                "batch_size": painter.batch_size,
            }
            if op == "upscale":
                (job,) = whole.jobs
                picture = self._painting.joined(painter, places, whole.canvas, plan.canvas)
                return {"image": _published(picture, whole.size, context, prompt=job.prompt, seed=job.seed)}
            facts = {"used_refiner": plan.refiner is not None, "flagged": None}
            return {
                "images": [
                    _published(picture, plan.size, context, prompt=job.prompt, seed=job.seed, **facts)
                    for job, picture in painter.pictures()
                ]
            }

    def unload(self) -> None:
        """Give the memory back, the GPU's too."""
        self._models.drop()
        gc.collect()
        empty_cache()

    def _schedulers(self, plan: Plan) -> list[Any]:
        """One for the base and one for the refiner. Raises WorkerError for one that cannot be made or cannot do it."""
        if plan.scheduler is not None and plan.scheduler not in SCHEDULERS:
            raise WorkerError(
                "invalid_request",
                f"scheduler is {plan.scheduler!r}, which is none that this engine knows.",
                pointer="/input/scheduler",
                hint=f"Take one of {', '.join(SCHEDULERS)}.",
            )
        config = self._base.config("scheduler")
        changes = dict(plan.scheduler_changes or {})
        try:
            made = [
                self._library.make_scheduler(config, plan.scheduler, changes) for _ in range(2 if plan.refiner else 1)
            ]
            made[0].set_timesteps(plan.steps)
        except (ValueError, TypeError, ImportError, AttributeError, NotImplementedError, KeyError, IndexError) as error:
            said = " ".join(str(error).split())
            raise WorkerError(
                "unsupported_capability",
                f"The scheduler {plan.scheduler or config.get('_class_name')} cannot be used with {plan.steps} steps "
                f"here: {said}",
                pointer="/input/scheduler",
                hint="Take another scheduler, or leave it out for the model's own.",
            ) from error
        unknown = sorted(changes.keys() - inspect.signature(type(made[0]).__init__).parameters)
        if unknown:
            raise WorkerError(
                "unsupported_capability",
                f"The scheduler {type(made[0]).__name__} has no {', '.join(unknown)}.",
                pointer="/engine_options",
                hint="Leave that option out, or take another scheduler.",
            )
        return made

    def _warn_of_ignored(self, context: Context) -> None:
        if self._placement.device.startswith("cuda"):
            return
        for name in ("offload", "compile"):
            if self._options[name] not in {None, "none", False}:
                context.warn("option_ignored", f"options.{name} acts on an NVIDIA GPU only, not on this device.")

    @contextlib.contextmanager
    def _recovering(self) -> Iterator[None]:
        """A request that ends in the middle leaves the models as the next one wants them."""
        try:
            yield
        except BaseException:
            self._models.recover()
            raise

    def _room(self, plan: Plan | None = None, batch_size: int | None = None) -> contextlib.AbstractContextManager[None]:
        """An out-of-memory error names the settings that need less, those that are not at their least yet."""
        here, on_gpu = self._placement, self._placement.device.startswith("cuda")
        less = {
            "a smaller width and height": plan is not None,
            "options.batch_size 1": batch_size != 1 if on_gpu else (batch_size or 1) > 1,
            "options.offload model or sequential": on_gpu and self._options["offload"] != "sequential",
            "model.quantization int8 or int4": on_gpu and here.quantization == "none",
            "no refiner, fewer ControlNets": plan is not None and bool(plan.refiner or plan.controls),
            "model.dtype float16 or bfloat16": here.dtype.itemsize > 2,
        }
        hint = "; ".join(name for name, left in less.items() if left)
        return room(self._id, here.device, f"Ask for less: {hint or 'a smaller model'}.")


def _published(picture: Image, size: tuple[int, int], context: Context, **facts: Any) -> dict[str, Any]:
    """The middle of a picture, as large as asked, as a PNG file with nothing in it but pixels."""
    left, top = (picture.width - size[0]) // 2, (picture.height - size[1]) // 2
    if picture.size != size:
        picture = picture.crop((left, top, left + size[0], top + size[1]))
    file = context.temporary("png")
    picture.save(file, "PNG", compress_level=PNG_LEVEL)
    return context.publish(file, "image/png", width=size[0], height=size[1], **facts)
