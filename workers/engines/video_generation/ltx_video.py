"""LTX-Video by diffusers, on this machine: clips from words, from a keyframe, and from one keyframe to another.

Models are taken by id, if downloaded, or by folder; as safetensors only, and never with code of their own.
"""

from __future__ import annotations

import contextlib
import gc
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from engines.video_generation import _ltx_facts as ltx_facts
from engines.video_generation import _ltx_files as ltx_files
from engines.video_generation._clip import encoded
from runtime.context import Context
from runtime.errors import WorkerError
from weights.torch_errors import empty_cache, quiet, room

if TYPE_CHECKING:
    from engines.video_generation._ltx_making import Maker
    from engines.video_generation._ltx_plan import Clip
    from engines.video_generation._ltx_request import Asked
    from engines.video_generation._still import Draw


class Engine:
    """``generate``, ``animate``, ``transition`` and ``sequence``: clips of exactly the size and frames asked.

    Weights are read when the first request has been found possible, or at once when a host loads ahead.
    """

    version = "2"
    requires: tuple[str, ...] = (
        "torch", "diffusers", "transformers", "accelerate", "sentencepiece", "google.protobuf", "PIL", "numpy",
        "ffmpeg", "imageio_ffmpeg", "psutil",
    )  # fmt: skip
    key_env: str | None = None
    remote = False
    ops: tuple[str, ...] = ("generate", "animate", "transition", "sequence")
    capabilities = frozenset({"any_size", "device", "image_to_video", "model", "motion", "seed", "text_to_video"})
    models: Mapping[str, Mapping[str, Any]] = ltx_facts.MODELS
    options_schema: Mapping[str, Any] = ltx_facts.OPTIONS

    def load(self, model: Mapping[str, Any], options: Mapping[str, Any], context: Context) -> None:
        """Find the model and import the libraries; whatever can be refused without weights is refused before them."""
        self._options = options
        if model["quantization"] not in {None, "none"}:
            raise WorkerError(
                "unsupported_capability",
                f"model.quantization is {model['quantization']}, which this engine cannot.",
                pointer="/model/quantization",
                hint="Leave it out; options.offload model or sequential needs less of a GPU's memory too.",
            )
        self._model = ltx_files.find(model["id"] or ltx_facts.DEFAULT_MODEL, model["revision"], options)
        context.progress("load", 0, 1, "libraries")
        began = time.monotonic()
        with quiet():
            import diffusers
            import torch
            import transformers

            from engines.video_generation import _ltx_making, _ltx_models
            from weights.placement import place

            for library in (diffusers, transformers):
                library.utils.logging.set_verbosity_error()
                library.utils.logging.disable_progress_bar()
            self._making = _ltx_making
            context.import_s = time.monotonic() - began
            context.check()
            placement = place(model, options["device"], torch.bfloat16)
            if placement.device == "cpu" and not model["dtype"]:
                placement = replace(placement, dtype=torch.float32)  # few CPUs compute in bfloat16
            self._placement = placement
            self._models = _ltx_models.Models(self._model, placement, options)
            if not context.engine_options:  # a request's options are complete: a host loads ahead of its first request
                with self._room():
                    self._models.read_weights(context)

    def run(self, op: str, input: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
        """Check what was asked, read the model if need be, then make it.

        Raises WorkerError ``model_not_found``, ``input_unreadable``, ``invalid_request``, ``output_failed`` or
        ``out_of_memory``.
        """
        from engines.video_generation import _ltx_request as request

        context.chosen["id"] = self._model.name
        seed = secrets.randbelow(request.SEEDS) if input["seed"] is None else input["seed"]
        own = ltx_facts.known(self._model.name)
        given = {name: value for name, value in context.engine_options.items() if name in own and value is not None}
        asked = request.Asked(input, seed, self._model, {**own, **given}, context)
        if op == "sequence":
            return self._sequence(asked)
        if op == "animate":
            clip, motion = request.animate(asked)
            return {"video": self._one(clip, asked), "motion": motion.as_json() if motion else None}
        return {"video": self._one(request.generate(asked) if op == "generate" else request.transition(asked), asked)}

    def unload(self) -> None:
        """Give the memory back, the GPU's too."""
        self._models.drop()
        gc.collect()
        empty_cache()

    def _one(self, clip: Clip, asked: Asked) -> dict[str, Any]:
        """One clip, published."""
        with self._maker([clip], asked) as maker:
            return encoded(maker.frames(0), clip.shape.num_frames, asked.input, asked.context, seed=clip.seed)

    def _sequence(self, asked: Asked) -> dict[str, Any]:
        """One scene after the other, each fading into the next, as one clip."""
        from engines.video_generation import _ltx_request as request
        from engines.video_generation._sequence import sequence, told

        clips, facts = request.scenes(asked)
        durations = [num_frames for _, num_frames, _ in facts]
        with self._maker(clips, asked) as maker:

            def begin(place: int, _: int) -> Iterator[Draw]:
                return self._making.ahead(maker.frames(place), durations[place])

            frames = sequence(durations, asked.input["transition_frames"], begin)
            video = encoded(frames, sum(durations), asked.input, asked.context, seed=asked.seed)
        return {"video": video, "scenes": told(facts)}

    @contextlib.contextmanager
    def _maker(self, clips: list[Clip], asked: Asked) -> Iterator[Maker]:
        """What makes the clips, with the weights in memory; a request that ends in the middle leaves them usable."""
        context = asked.context
        with quiet(), self._room(clips):
            if not self._models.read:
                self._models.read_weights(context)
            self._models.arrange([clip.shape for clip in clips])
            maker = self._making.Maker(self._models, self._model.pipeline, asked.tuning, clips, context)
            context.chosen |= {**self._models.facts, "guidance_scale": clips[0].guidance_scale, **maker.used}
            self._warn(clips[0], asked)
            maker.warn()
            try:
                yield maker
            finally:
                self._models.recover()

    def _warn(self, clip: Clip, asked: Asked) -> None:
        """Of steps that the model was not made for, of words that it does not read, of options that do nothing here."""
        own = asked.tuning["timesteps"]
        if own and len(own) != clip.steps:
            asked.context.warn(
                "steps_unusual",
                f"{self._model.name} was distilled for {len(own)} steps; num_inference_steps is {clip.steps}.",
            )
        if asked.input["negative_prompt"] and clip.guidance_scale <= 1:
            asked.context.warn(
                "negative_prompt_ignored",
                f"With a guidance_scale of {clip.guidance_scale:g}, at most 1, the negative prompt is not read.",
            )
        if not self._placement.device.startswith("cuda"):
            for name in ("offload", "compile"):
                if self._options[name] not in {None, "none", False}:
                    asked.context.warn("option_ignored", f"options.{name} acts on an NVIDIA GPU only.")

    def _room(self, clips: list[Clip] | None = None) -> contextlib.AbstractContextManager[None]:
        """An out-of-memory error names the settings that need less, those that are not at their least yet."""
        less = []
        if clips:
            pixels = max(clip.shape.made_width * clip.shape.made_height for clip in clips)
            frames = max(clip.shape.made_frames for clip in clips)
            less = [f"engine_options.max_pixels below {pixels}", f"engine_options.max_frames below {frames}"]
        if self._placement.device.startswith("cuda") and self._options["offload"] != "sequential":
            less.append("options.offload sequential")
        if self._placement.dtype.itemsize > 2:
            less.append("model.dtype bfloat16")
        return room(self._model.name, self._placement.device, f"Ask for less: {'; '.join(less) or 'a smaller model'}.")
