"""From a plan and models to pictures, batch by batch. Imports torch: itself imported only to load."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, cast

import torch

from engines.image_generation._sdxl_memory import at_once, free_bytes
from engines.image_generation._sdxl_models import Models
from engines.image_generation._sdxl_plan import Job, Plan
from engines.image_generation._sdxl_tiles import Blend, corners
from runtime.context import Context

if TYPE_CHECKING:
    from PIL.Image import Image


class Painter:
    """Makes the pictures of one plan, in its order.

    Each has a random generator of its own on the CPU, and decoding is done one by one: so a picture is the same alone
    and among others, and nearly the same on any device.
    """

    def __init__(self, models: Models, plan: Plan, schedulers: Sequence[Any], context: Context) -> None:
        self._models, self._plan, self._context = models, plan, context
        self._done, self._total = 0, len(plan.jobs) * plan.steps_done
        self._pipeline = models.pipeline(plan, schedulers[0])
        self._prompts = models.prompts()
        self._refining_scheduler = schedulers[-1]
        self._refining_prompts = None if plan.refiner is None else models.prompts(refiner=True)
        pixels = plan.canvas[0] * plan.canvas[1]
        free = free_bytes(str(models.device))
        self.batch_size = at_once(context.options.get("batch_size"), free, pixels, models.number_bytes)

    def pictures(self) -> Iterator[tuple[Job, Image]]:
        """Each job with its picture, ``canvas`` large, as soon as it is made."""
        self._context.progress("run", 0, self._total, "steps")
        self._read_prompts()
        # Only texts of the same length go together: filled up with nothing a short one would be another one.
        for pieces, group in groupby(self._plan.jobs, key=self._pieces):
            jobs = list(group)
            for first in range(0, len(jobs), self.batch_size):
                batch = jobs[first : first + self.batch_size]
                yield from zip(batch, self._batch(batch, pieces), strict=True)

    def _batch(self, jobs: Sequence[Job], pieces: int) -> Any:
        """The pictures of jobs that go together."""
        plan = self._plan
        how: dict[str, Any] = {
            "generator": [torch.Generator("cpu").manual_seed(job.seed) for job in jobs],
            "guidance_scale": plan.guidance_scale,
            "num_inference_steps": plan.steps,
        }
        base = {**how, **self._embeddings(self._prompts, jobs, pieces), **self._conditions(jobs)}
        if self._refining_prompts is None:
            return self._run(self._pipeline, plan.steps_done, jobs, base)
        share, handover = plan.steps_done - plan.refiner_steps, self._handover()
        latent = self._run(self._pipeline, share, jobs, {**base, "denoising_end": handover, "output_type": "latent"})
        refining = {
            **how,
            **self._embeddings(self._refining_prompts, jobs, pieces),
            "image": latent,
            "denoising_start": handover,
        }
        return self._run(self._models.refining(self._refining_scheduler), plan.refiner_steps, jobs, refining)

    def _handover(self) -> float:
        """Where on the way from noise, 0, to the picture, 1, the refiner takes over: between two steps."""
        scheduler = self._refining_scheduler
        scheduler.set_timesteps(self._plan.steps)
        times = sorted({float(time) for time in scheduler.timesteps}, reverse=True)  # some do a step in two halves
        last = max(1, len(times) * (self._plan.steps - self._plan.refiner_steps) // self._plan.steps)
        return 1 - (times[last - 1] + times[last]) / 2 / float(scheduler.config.num_train_timesteps)

    def _conditions(self, jobs: Sequence[Job]) -> dict[str, Any]:
        """What the pictures begin with, and what they follow; else only their size."""
        plan = self._plan
        size = {"width": plan.canvas[0], "height": plan.canvas[1]}
        follow = [control.image for control in plan.controls]
        scales = {"controlnet_conditioning_scale": [control.scale for control in plan.controls]} if follow else {}
        if not plan.from_picture:
            return {**size, **({"image": follow} if follow else {}), **scales}
        begin = {"image": [job.begin for job in jobs], "strength": plan.strength}
        return {**begin, **size, "control_image": follow, **scales} if follow else begin

    def _run(self, pipeline: Any, share: int, jobs: Sequence[Job], how: dict[str, Any]) -> Any:
        """Call a pipeline that does ``share`` steps of each picture. A scheduler may do some of them in two halves."""
        before = self._done

        def after_a_step(made: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            self._done = before + len(jobs) * min(share, share * (step + 1) // max(1, made.num_timesteps))
            self._context.progress("run", self._done, self._total, "steps")
            return tensors

        images = pipeline(**how, callback_on_step_end=after_a_step).images
        self._done = before + len(jobs) * share
        return images

    def _pieces(self, job: Job) -> int:
        texts = (job.prompt, self._plan.negative_prompt)
        return max(self._prompts.pieces(text) for text in texts)

    def _read_prompts(self) -> None:
        """Before the first picture, so that text encoders come to the device once and leave it again."""
        for prompts in (self._prompts, self._refining_prompts):
            for job in self._plan.jobs if prompts else ():
                self._context.check()
                self._embeddings(prompts, [job], self._pieces(job))

    def _embeddings(self, prompts: Any, jobs: Sequence[Job], pieces: int) -> dict[str, torch.Tensor]:
        """The texts as the pipelines take them; without the negative one where it does not act."""
        device, negative = self._models.device, self._plan.negative_prompt
        texts = [prompts.read(job.prompt, pieces, device) for job in jobs]
        found = {
            "prompt_embeds": torch.cat([text.tokens for text in texts]),
            "pooled_prompt_embeds": torch.cat([text.pooled for text in texts]),
        }
        if self._plan.guidance_scale > 1:
            avoided = prompts.avoided(negative, pieces, device, texts[0])
            found["negative_prompt_embeds"] = avoided.tokens.repeat(len(jobs), 1, 1)
            found["negative_pooled_prompt_embeds"] = avoided.pooled.repeat(len(jobs), 1)
        return found


def tiled(plan: Plan, native: int) -> tuple[Plan, list[tuple[int, int]]]:
    """The plan of a large picture as one of tiles of native size, and where they lie.

    Each tile has a seed of its own, counted up: the same noise in each would show as a pattern.
    """
    (job,) = plan.jobs
    begin = cast("Image", job.begin)
    tile = min(native, plan.canvas[0]), min(native, plan.canvas[1])
    places = corners(plan.canvas, tile)
    jobs = [
        Job(job.prompt, (job.seed + number) % 2**32, begin.crop((left, top, left + tile[0], top + tile[1])))
        for number, (left, top) in enumerate(places)
    ]
    return replace(plan, jobs=jobs, canvas=tile), places


def joined(
    painter: Painter, places: Sequence[tuple[int, int]], canvas: tuple[int, int], tile: tuple[int, int]
) -> Image:
    """The large picture out of its tiles."""
    blend = Blend(canvas, tile)
    for place, (_, picture) in zip(places, painter.pictures(), strict=True):
        blend.add([(place, picture)])
    return blend.picture()
