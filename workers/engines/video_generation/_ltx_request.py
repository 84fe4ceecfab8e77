"""From a request to the clips that it takes, with everything said about them that is not made as it was asked.

Nothing is loaded here and no model library imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.video_generation import _ltx_plan as ltx_plan
from engines.video_generation._camera import Motion, choose
from engines.video_generation._ltx_facts import NEGATIVE_PROMPT
from engines.video_generation._ltx_files import CONDITION, Model
from engines.video_generation._ltx_plan import Clip, Shape, camera_words, sentences
from engines.video_generation._sequence import by_number, fades
from media.pictures import picture_facts
from runtime.context import Context
from runtime.errors import WorkerError

SEEDS = 1 << 32
FEWEST_STEPS = 2
"""The first models' schedule is stretched between its first and its last step: one alone divides by nothing."""


@dataclass(frozen=True)
class Asked:
    """A request and what it is asked of. ``tuning`` are the model's numbers, or the request's in their place."""

    input: Mapping[str, Any]
    seed: int
    model: Model
    tuning: Mapping[str, Any]
    context: Context

    @property
    def extend(self) -> str:
        """What a clip longer than the model makes does after that."""
        extend: str = self.context.engine_options["extend"]
        return extend

    def shape(self, num_frames: int) -> Shape:
        """What is made for a clip of so many frames."""
        most = {name: self.tuning[name] for name in ("max_pixels", "max_frames")}
        return ltx_plan.shape(self.input, num_frames, **most)

    def clip(self, shape: Shape, prompt: str, keyframes: tuple[tuple[str, int], ...], place: int = 0, *,
             extend: str | None = None) -> Clip:  # fmt: skip
        """A clip's plan. Raises WorkerError for too few steps, or for a keyframe that is no picture."""
        if self.model.pipeline != CONDITION and self.input["num_inference_steps"] < FEWEST_STEPS:
            raise WorkerError(
                "invalid_request",
                f"num_inference_steps is {self.input['num_inference_steps']}; {self.model.name} needs at least "
                f"{FEWEST_STEPS}.",
                pointer="/input/num_inference_steps",
            )
        for path, _ in keyframes:
            picture_facts(Path(path))
        negative, scale = self.input["negative_prompt"], self.input["guidance_scale"]
        return Clip(
            shape=shape,
            prompt=prompt,
            negative_prompt=NEGATIVE_PROMPT if negative is None else negative,
            keyframes=keyframes,
            steps=self.input["num_inference_steps"],
            guidance_scale=float(self.tuning["defaults"]["guidance_scale"] if scale is None else scale),
            seed=(self.seed + place) % SEEDS,
            extend=extend or self.extend,
        )


def generate(asked: Asked) -> Clip:
    """A clip from words."""
    shape = asked.shape(asked.input["num_frames"])
    _warn(asked, shape, asked.extend)
    return asked.clip(shape, sentences(asked.input["prompt"]), ())


def animate(asked: Asked) -> tuple[Clip, Motion | None]:
    """A clip from its first frame, and the camera's move that its prompt names; None where the model decides."""
    motion, hint = asked.input["motion"], asked.input["motion_hint"]
    shape = asked.shape(asked.input["num_frames"])
    _warn(asked, shape, asked.extend)
    prompt = sentences(asked.input["prompt"], camera_words(motion, hint))
    return asked.clip(shape, prompt, ((asked.input["image"], 0),)), choose(motion, hint)


def transition(asked: Asked) -> Clip:
    """A clip from its first frame and its last one, which a longer clip holds: else it would end with another."""
    shape = asked.shape(asked.input["num_frames"])
    _warn(asked, shape, "hold")
    if asked.model.pipeline != CONDITION:
        asked.context.warn(
            "transition_untrained",
            f"{asked.model.name} was trained for a first keyframe only; Lightricks/LTX-Video-0.9.5 and later know a "
            "last one.",
        )
    # The last frame asked, not the last one made: a single picture may stand at any frame, not only at 8k.
    last = min(shape.num_frames, shape.made_frames) - 1
    if last == 0:
        asked.context.warn(
            "keyframe_unused", "A clip of one frame shows the start keyframe; the end has no frame of its own."
        )
    ends = (asked.input["start_keyframe"], 0), (asked.input["end_keyframe"], last)
    return asked.clip(shape, sentences(asked.input["prompt"]), ends if last else ends[:1], extend="hold")


def scenes(asked: Asked) -> tuple[list[Clip], list[tuple[int, int, Motion | None]]]:
    """A clip for each scene with the frames of the fade after it, and (number, own frames, move) of each.

    Raises WorkerError ``invalid_request`` where two scenes have one number.
    """
    ordered = by_number(asked.input["scenes"])
    durations = [scene["duration_frames"] for scene in ordered]
    clips, told = [], []
    for place, (scene, fade) in enumerate(
        zip(ordered, fades(durations, asked.input["transition_frames"]), strict=True)
    ):
        number, hint, angle = scene["scene_number"], scene["motion_hint"], scene["camera_angle"]
        shape = asked.shape(durations[place] + fade)
        if place == 0:
            ltx_plan.warn_of_size(shape, asked.context)
        ltx_plan.warn_of_frames(shape, asked.extend, asked.context, f"scene {number}")
        prompt = sentences(scene["description"], angle, camera_words(None, hint))
        clips.append(asked.clip(shape, prompt, ((scene["keyframe"], 0),), place))
        told.append((number, durations[place], choose(None, hint, angle=angle)))
    return clips, told


def _warn(asked: Asked, shape: Shape, extend: str) -> None:
    ltx_plan.warn_of_size(shape, asked.context)
    ltx_plan.warn_of_frames(shape, extend, asked.context)
