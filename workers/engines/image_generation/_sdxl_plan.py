"""What a request comes to: which pictures, of which size, with what added. Nothing of a model has been read for it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engines.image_generation import _sdxl_files as sdxl_files
from engines.image_generation import _sdxl_sizes as sizes
from engines.image_generation._sdxl_files import Pipeline
from engines.image_generation._sdxl_loras import Lora
from media.pictures import cover_crop, open_picture
from runtime.context import Context
from runtime.errors import WorkerError

if TYPE_CHECKING:
    from PIL.Image import Image

SEEDS = 2**32
SIDES = (64, 4096)
"""Shortest and longest side of a picture made in one piece, in pixels."""
LONGEST_UPSCALED = 8192


@dataclass(frozen=True)
class Control:
    """A ControlNet and the picture it follows, ``canvas`` large."""

    name: str
    folder: Path
    image: Image
    scale: float
    pointer: str


@dataclass(frozen=True)
class Job:
    """One picture to make; ``begin`` is the one to begin with, ``canvas`` large."""

    prompt: str
    seed: int
    begin: Image | None = None


@dataclass(frozen=True)
class Plan:
    """``size`` (width, height) is delivered, ``canvas`` made."""

    jobs: Sequence[Job]
    negative_prompt: str
    size: tuple[int, int]
    canvas: tuple[int, int]
    steps: int
    guidance_scale: float
    strength: float | None = None
    scheduler: str | None = None
    scheduler_changes: Mapping[str, Any] | None = None
    loras: Sequence[Lora] = ()
    controls: Sequence[Control] = ()
    refiner: Pipeline | None = None
    refiner_steps: int = 0
    vae: str | None = None

    @property
    def from_picture(self) -> bool:
        """Whether pictures begin with one, not with noise."""
        return self.strength is not None

    @property
    def steps_done(self) -> int:
        """Denoising steps of one picture, base and refiner together."""
        return self.steps if self.strength is None else int(self.steps * self.strength)


def plan(op: str, input: Mapping[str, Any], base: Pipeline, options: Mapping[str, Any], context: Context) -> Plan:  # noqa: A002
    """The plan of a request. Raises WorkerError for what cannot be; warns of what will not be as good as it could."""
    begin = open_picture(Path(input["image"])) if "image" in input else None
    size = _upscaled(begin, input) if op == "upscale" and begin else _size(begin, input)
    canvas = sizes.canvas(*size)
    refined = input.get("refiner")
    made = Plan(
        jobs=_jobs(input, cover_crop(begin, *canvas) if begin else None),
        negative_prompt=input["negative_prompt"],
        size=size,
        canvas=canvas,
        steps=refined["base_steps"] + refined["refiner_steps"] if refined else input["num_inference_steps"],
        guidance_scale=float(input["guidance_scale"]),
        strength=input.get("strength"),
        scheduler=input["scheduler"],
        scheduler_changes=_scheduler_changes(context.engine_options),
        loras=_loras(input.get("loras", ()), options),
        refiner=sdxl_files.refiner(refined["model"], base, options) if refined else None,
        refiner_steps=refined["refiner_steps"] if refined else 0,
        vae=context.engine_options.get("vae"),
    )
    _check_strength(made)
    made = replace(made, controls=_controls(input.get("control", ()), base, canvas, options, context))
    _check_refiner(made)
    if op != "upscale":
        _warn_of_size(made, native_side(base), context)
    if made.negative_prompt and made.guidance_scale <= 1:
        context.warn(
            "negative_prompt_ignored",
            f"guidance_scale is {made.guidance_scale:g}; a negative prompt acts only above 1.",
        )
    return made


def native_side(base: Pipeline) -> int:
    """Side in pixels of the square pictures a model was trained on: 1024, of SDXL Turbo 512."""
    return int(base.config("unet").get("sample_size") or sizes.NATIVE // sizes.STEP) * sizes.STEP


def _jobs(input: Mapping[str, Any], begin: Image | None) -> list[Job]:  # noqa: A002 - the wire's word
    prompts = input["prompts"] if "prompts" in input else [input["prompt"]]
    jobs = []
    for prompt in prompts:
        first = secrets.randbelow(SEEDS) if input["seed"] is None else input["seed"]
        jobs += [
            Job(prompt, (first + number) % SEEDS, begin) for number in range(input.get("num_images_per_prompt", 1))
        ]
    return jobs


def _size(begin: Image | None, input: Mapping[str, Any]) -> tuple[int, int]:  # noqa: A002 - the wire's word
    """Asked, or the picture's own; one side alone gives the other by the picture's shape."""
    width, height = input["width"], input["height"]
    if begin is not None:
        shape = begin.width / begin.height
        width, height = (
            width or (begin.width if height is None else round(height * shape)),
            height or (begin.height if width is None else round(width / shape)),
        )
    if not all(SIDES[0] <= side <= SIDES[1] for side in (width, height)):
        raise WorkerError(
            "invalid_request",
            f"The picture would have {width}×{height} pixels; a side must have {SIDES[0]} to {SIDES[1]}.",
            pointer="/input/image",
            hint="Give width and height.",
        )
    return width, height


def _upscaled(begin: Image, input: Mapping[str, Any]) -> tuple[int, int]:  # noqa: A002 - the wire's word
    width, height = input["width"], input["height"]
    if (width is None) != (height is None):
        lacking = "width" if width is None else "height"
        raise WorkerError(
            "invalid_request",
            f"{lacking} is not given, but the other side is.",
            pointer=f"/input/{lacking}",
            hint="Give both, or factor alone.",
        )
    if width is None:
        width, height = round(begin.width * input["factor"]), round(begin.height * input["factor"])
    longest = max(width, height)
    if longest > LONGEST_UPSCALED:
        raise WorkerError(
            "invalid_request",
            f"The picture would have {width}×{height} pixels; a side must have at most {LONGEST_UPSCALED}.",
            pointer="/input/factor",
            hint=f"Take a factor of at most {LONGEST_UPSCALED / max(begin.size):.2f}.",
        )
    return width, height


def _scheduler_changes(options: Mapping[str, Any]) -> dict[str, Any]:
    names = {"timestep_spacing": "timestep_spacing", "karras_sigmas": "use_karras_sigmas"}
    return {theirs: options[ours] for ours, theirs in names.items() if options.get(ours) is not None}


def _loras(asked: Sequence[Mapping[str, Any]], options: Mapping[str, Any]) -> list[Lora]:
    found = []
    for number, lora in enumerate(asked):
        pointer = f"/input/loras/{number}"
        found.append(Lora(sdxl_files.lora_file(lora, options, pointer), float(lora["scale"]), pointer))
    return found


def _controls(
    asked: Sequence[Mapping[str, Any]],
    base: Pipeline,
    canvas: tuple[int, int],
    options: Mapping[str, Any],
    context: Context,
) -> list[Control]:
    text_width = int(base.config("unet").get("cross_attention_dim", 0)) if asked else 0
    found = []
    for number, control in enumerate(asked):
        pointer, image = f"/input/control/{number}", open_picture(Path(control["image"]))
        folder = sdxl_files.control_folder(control["model"], text_width, options, f"{pointer}/model")
        if abs(image.width / image.height / (canvas[0] / canvas[1]) - 1) > 0.02:
            context.warn(
                "control_cropped",
                f"{control['image']} has {image.width}×{image.height} pixels and is cropped to the shape of "
                f"{canvas[0]}×{canvas[1]}.",
            )
        scale = float(control["scale"])
        found.append(Control(control["model"], folder, cover_crop(image, *canvas), scale, f"{pointer}/model"))
    return found


def _check_strength(made: Plan) -> None:
    if made.strength is not None and made.steps_done < 1:
        raise WorkerError(
            "invalid_request",
            f"strength {made.strength:g} of {made.steps} steps is not one step.",
            pointer="/input/strength",
            hint=f"Take a strength of at least {1 / made.steps:.2f}, or at least {-int(-1 // made.strength)} steps.",
        )


def _check_refiner(made: Plan) -> None:
    if made.refiner is None or made.strength is None:
        return
    if made.controls:
        raise WorkerError(
            "unsupported_capability",
            "A refiner cannot take over from image-to-image with ControlNets.",
            pointer="/input/refiner",
            hint="Leave refiner or control out.",
        )
    if made.steps_done <= made.refiner_steps:
        raise WorkerError(
            "invalid_request",
            f"strength {made.strength:g} of {made.steps} steps leaves {made.steps_done}, all of them the refiner's.",
            pointer="/input/strength",
            hint="Take a higher strength, or fewer refiner_steps.",
        )


def _warn_of_size(made: Plan, native: int, context: Context) -> None:
    if made.size != made.canvas:
        context.warn(
            "size_snapped",
            f"{made.size[0]}×{made.size[1]} is cut out of {made.canvas[0]}×{made.canvas[1]}: sides are made in "
            f"multiples of {sizes.STEP}.",
        )
    if made.canvas not in sizes.buckets(native):
        near = sizes.nearest_bucket(*made.canvas, native)
        context.warn(
            "off_bucket",
            f"The model was not trained at {made.canvas[0]}×{made.canvas[1]}; the nearest size it knows is "
            f"{near[0]}×{near[1]}: ask for that and scale it.",
        )
