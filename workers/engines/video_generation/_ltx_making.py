"""From a clip's plan to its frames: denoising, decoding, and cutting them to size. Imports torch."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from diffusers.utils.torch_utils import randn_tensor

from engines.video_generation._ltx_files import CONDITION, IMAGE, TEXT
from engines.video_generation._ltx_models import Models
from engines.video_generation._ltx_plan import FRAME_STEP, PIXEL_STEP, Clip, Shape, extended
from engines.video_generation._still import Still
from media.color import yuv420_planes
from media.pictures import SHARP_UPSCALE, cover_box, cover_crop, open_picture, upscale_factor
from runtime.context import Context

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    from engines.video_generation._still import Draw

MOST_TOKENS = {TEXT: 128, IMAGE: 128, CONDITION: 256}
"""Of a prompt, in diffusers' pipelines; what is longer is cut off there."""


class Maker:
    """Makes the clips of one request. ``tuning`` are the model's own numbers, or the request's in their place."""

    def __init__(
        self, models: Models, own: str, tuning: Mapping[str, Any], clips: list[Clip], context: Context
    ) -> None:
        self._models, self._tuning, self._context = models, tuning, context
        self._clips, self._done = clips, 0
        self._kinds = [kind_for(own, clip, bool(tuning["timesteps"])) for clip in clips]

    @property
    def used(self) -> dict[str, Any]:
        """Numbers that act on these clips, for the result's ``model``: not every VAE and pipeline has all of them."""
        names = ["decode_timestep", "decode_noise_scale"] if self._models.vae.config.timestep_conditioning else []
        if any(kind == CONDITION and clip.keyframes for clip, kind in zip(self._clips, self._kinds, strict=True)):
            names.append("image_cond_noise_scale")
        return {name: self._tuning[name] for name in names}

    def warn(self) -> None:
        """Say which options do nothing here, and which prompts are longer than the model reads."""
        for name in ("decode_timestep", "decode_noise_scale", "image_cond_noise_scale"):
            if self._context.engine_options[name] is not None and name not in self.used:
                self._context.warn("option_ignored", f"engine_options.{name} does nothing in this model and request.")
        for kind, clip in zip(self._kinds, self._clips, strict=True):
            self._warn_of_length("prompt", clip.prompt, MOST_TOKENS[kind])
        self._warn_of_length("negative prompt", self._clips[0].negative_prompt, MOST_TOKENS[self._kinds[0]])

    def frames(self, place: int) -> Iterator[Draw]:
        """What draws each frame of a clip, all of those asked: made at once, decoded as they are asked for."""
        clip = self._clips[place]
        latents, timestep = self._latents(clip, self._kinds[place])
        return lengthened(self._made(latents, timestep, clip.shape), clip.shape, clip.extend)

    def _warn_of_length(self, what: str, text: str, most: int) -> None:
        count = len(self._models.tokenizer(text).input_ids)
        if count > most:
            self._context.warn(
                "prompt_truncated",
                f"LTX-Video reads the first {most} of the {count} tokens of the {what} {text[:60]!r}…",
            )

    def _latents(self, clip: Clip, kind: str) -> tuple[Any, Any]:
        """Denoised latents as the VAE decodes them, and the timestep that it is told, if it knows one."""
        generator = torch.Generator("cpu").manual_seed(clip.seed)  # the same noise on every device
        pipeline = self._models.pipeline(kind)
        self._context.progress("run", self._done, self._steps, "steps")
        found = pipeline(
            prompt=clip.prompt,
            negative_prompt=clip.negative_prompt,
            width=clip.shape.made_width,
            height=clip.shape.made_height,
            num_frames=clip.shape.made_frames,
            frame_rate=clip.shape.fps,
            num_inference_steps=clip.steps,
            guidance_scale=clip.guidance_scale,
            guidance_rescale=self._tuning["guidance_rescale"],
            generator=generator,
            output_type="latent",
            max_sequence_length=MOST_TOKENS[kind],
            callback_on_step_end=self._step,
            **self._conditions(clip, kind),
        ).frames
        return self._decodable(found, clip, kind, pipeline, generator)

    def _conditions(self, clip: Clip, kind: str) -> dict[str, Any]:
        """Arguments that only one kind of pipeline has: keyframes, and timesteps of distilled models."""
        pictures = [keyframe(Path(path), clip.shape, self._context) for path, _ in clip.keyframes]
        if kind == IMAGE:
            return {"image": pictures[0]}
        if kind == TEXT:
            return {}
        from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition

        numbers = [number for _, number in clip.keyframes]
        conditions = [
            LTXVideoCondition(image=picture, frame_index=number)
            for picture, number in zip(pictures, numbers, strict=True)
        ]
        own = self._tuning["timesteps"]
        return {
            "conditions": conditions or None,
            "image_cond_noise_scale": self._tuning["image_cond_noise_scale"],
            "timesteps": list(own) if own and len(own) == clip.steps else None,
        }

    def _decodable(self, found: Any, clip: Clip, kind: str, pipeline: Any, generator: Any) -> tuple[Any, Any]:
        """What diffusers' pipelines do between their last step and the VAE, which ``output_type`` latent leaves out."""
        shape, vae = clip.shape, self._models.vae
        if kind != CONDITION:
            latent_frames = (shape.made_frames - 1) // FRAME_STEP + 1
            size = shape.made_height // PIXEL_STEP, shape.made_width // PIXEL_STEP
            patches = pipeline.transformer_spatial_patch_size, pipeline.transformer_temporal_patch_size
            found = pipeline._unpack_latents(found, latent_frames, *size, *patches)
        found = pipeline._denormalize_latents(found, vae.latents_mean, vae.latents_std, vae.config.scaling_factor).to(
            self._models.dtype
        )
        if not vae.config.timestep_conditioning:
            return found, None
        noise = randn_tensor(found.shape, generator=generator, device=found.device, dtype=found.dtype)
        share = self._tuning["decode_noise_scale"]
        timestep = torch.tensor([self._tuning["decode_timestep"]], device=found.device, dtype=found.dtype)
        return (1 - share) * found + share * noise, timestep

    def _made(self, latents: Any, timestep: Any, shape: Shape) -> Iterator[Draw]:
        for piece in self._models.pieces(latents, timestep):
            self._context.check()
            for number in range(piece.shape[1]):
                yield partial(_drawn, _levels(piece[:, number]), shape)
            del piece  # or it would be there until the next one is

    @property
    def _steps(self) -> int:
        return sum(clip.steps for clip in self._clips)

    def _step(self, pipeline: Any, number: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        """After every step of denoising; raises Cancelled or WorkerError ``timeout``."""
        self._done += 1
        self._context.progress("run", self._done, self._steps, "steps")
        return {}


class Kept:
    """A frame that is shown several times and drawn once, by whichever thread comes first."""

    def __init__(self, draw: Draw) -> None:
        self._draw: Draw | None = draw
        self._frame = b""
        self._lock = threading.Lock()

    def __call__(self) -> bytes:
        with self._lock:
            if self._draw is not None:
                self._frame, self._draw = self._draw(), None
        return self._frame


def kind_for(own: str, clip: Clip, timesteps: bool) -> str:
    """The class of diffusers that makes it. ``own`` is the model's; one made for keyframes does everything.

    The others take no ``timesteps``, nor a last keyframe.
    """
    if own == CONDITION or timesteps or len(clip.keyframes) > 1:
        return CONDITION
    return IMAGE if clip.keyframes else TEXT


def lengthened(made: Iterator[Draw], shape: Shape, extend: str) -> Iterator[Draw]:
    """The first frames asked of those made; where more are asked than made, some of them again."""
    order = extended(shape.made_frames, shape.num_frames, extend)
    again = order[shape.made_frames :]
    shown_again = set(again)
    kept: dict[int, Kept] = {}
    for number, draw in enumerate(islice(made, shape.num_frames)):
        if number in shown_again:
            kept[number] = Kept(draw)
        yield kept.get(number, draw)
    for number in again:
        yield kept[number]


def ahead(frames: Iterator[Draw], own: int) -> Iterator[Draw]:
    """The frames after the first ``own`` are drawn before the last of those is given out.

    They fade under the next scene, which is made first: what they are decoded from need not wait so long in memory.
    """
    yield from islice(frames, own - 1)
    last, *rest = frames
    drawn = [draw() for draw in rest]
    yield last
    for frame in drawn:
        yield partial(bytes, frame)


def keyframe(path: Path, shape: Shape, context: Context) -> Image:
    """The picture's centre at the size made. Raises WorkerError ``input_unreadable``; a small one is warned of."""
    picture = open_picture(path)
    factor = upscale_factor(picture.size, shape.made_width, shape.made_height)
    if factor > SHARP_UPSCALE:
        context.warn(
            "low_resolution",
            f"{path} has {picture.width}×{picture.height} pixels and is enlarged {factor:.1f} times for a clip made "
            f"with {shape.made_width}×{shape.made_height}.",
        )
    return cover_crop(picture, shape.made_width, shape.made_height)


def _levels(frame: Any) -> NDArray[Any]:
    """A decoded frame (3, height, width), -1 to 1, as a picture (height, width, 3), 0 to 255."""
    levels = ((frame.float() / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
    picture: NDArray[Any] = levels.permute(1, 2, 0).cpu().numpy()
    return picture


def _drawn(rgb: NDArray[Any], shape: Shape) -> bytes:
    """The picture's yuv420p bytes, cropped to the size asked or enlarged first."""
    if shape.enlarged > 1:
        from PIL import Image as pillow

        wide, high = shape.made_width, shape.made_height
        left, top, right, bottom = cover_box((wide, high), shape.width, shape.height)
        part = left / wide, top / high, right / wide, bottom / high
        return Still(pillow.fromarray(rgb), shape.width, shape.height).frame(part)
    x, y = (shape.made_width - shape.width) // 2, (shape.made_height - shape.height) // 2
    rgb = rgb[y : y + shape.height, x : x + shape.width]
    return b"".join(plane.tobytes() for plane in yuv420_planes(rgb))
