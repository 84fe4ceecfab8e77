"""What LTX-Video is asked for so that a request can be cut from it: size, frames, and words for a camera's move.

It makes sizes in steps of 32 pixels and 8k+1 frames, and makes them well up to a size and a length. Imports no torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engines.video_generation._camera import FAST, SLOW
from runtime.context import Context

PIXEL_STEP, FRAME_STEP = 32, 8
"""Factors of the video VAE, in space and in time."""

MOVES = {
    "zoom_in": "The camera{how} pushes in towards the subject.",
    "zoom_out": "The camera{how} pulls back.",
    "pan_left": "The camera{how} pans to the left.",
    "pan_right": "The camera{how} pans to the right.",
    "pan_up": "The camera{how} tilts up.",
    "pan_down": "The camera{how} tilts down.",
    "orbit": "The camera{how} circles around the subject from left to right.",
}
STILL = "The camera does not move."


@dataclass(frozen=True)
class Shape:
    """A clip's size in pixels as asked and as made, its frames asked and made, and its frames a second."""

    width: int
    height: int
    made_width: int
    made_height: int
    num_frames: int
    made_frames: int
    fps: int

    @property
    def enlarged(self) -> float:
        """How many times a frame is enlarged to cover the size asked; 1 where it is only cropped."""
        return max(1.0, self.width / self.made_width, self.height / self.made_height)


@dataclass(frozen=True)
class Clip:
    """One clip to make. ``keyframes`` are (path, number of the frame that shows it, counted from 0); ``extend`` is what
    a clip does that is longer than what is made: hold or loop.
    """

    shape: Shape
    prompt: str
    negative_prompt: str
    keyframes: tuple[tuple[str, int], ...]
    steps: int
    guidance_scale: float
    seed: int
    extend: str


def shape(asked: Mapping[str, Any], num_frames: int, *, max_pixels: int, max_frames: int) -> Shape:
    """What to make for a clip of ``num_frames``, of the width, height and fps of ``asked``."""
    width, height = asked["width"], asked["height"]
    wide, high = (math.ceil(side / PIXEL_STEP) for side in (width, height))
    most = max_pixels // PIXEL_STEP**2
    if wide * high > most:
        scale = min(1.0, math.sqrt(max_pixels / (width * height))) / PIXEL_STEP
        wide, high = (max(1, math.floor(side * scale)) for side in (width, height))
        high = min(high, most)  # where the other side is a single step
        wide = min(wide, most // high)
    longest = (max_frames - 1) // FRAME_STEP
    frames = min(longest, math.ceil((num_frames - 1) / FRAME_STEP)) * FRAME_STEP + 1
    return Shape(width, height, wide * PIXEL_STEP, high * PIXEL_STEP, num_frames, frames, asked["fps"])


def warn_of_size(found: Shape, context: Context) -> None:
    """Say that another size is made than was asked; the clip has the size asked all the same."""
    if (found.made_width, found.made_height) == (found.width, found.height):
        return
    how = f"enlarged {found.enlarged:.2f} times and cropped" if found.enlarged > 1 else "cropped"
    context.warn(
        "size_snapped",
        f"LTX-Video makes sizes in steps of {PIXEL_STEP} pixels, up to the model's largest: the clip of "
        f"{found.width}×{found.height} is made with {found.made_width}×{found.made_height} and {how}.",
    )


def warn_of_frames(found: Shape, extend: str, context: Context, what: str = "the clip") -> None:
    """Say that more or fewer frames are made than were asked; ``what`` has the frames asked all the same."""
    asked, made = found.num_frames, found.made_frames
    if made > asked:
        context.warn(
            "frames_snapped",
            f"LTX-Video makes {FRAME_STEP}k+1 frames: of {made} made, {what} keeps the first {asked}.",
        )
    elif made < asked:
        how = "holds the last one" if extend == "hold" else "goes back and forth through them"
        context.warn(
            "clip_extended",
            f"{asked} frames were asked and {made} made, the most at once: {what} {how} for {asked - made} more.",
        )


def extended(made: int, total: int, extend: str) -> list[int]:
    """Which of ``made`` frames each of ``total`` shows: ``hold`` keeps the last one, ``loop`` goes back and forth.

    At the end of a plain loop the picture would jump.
    """
    if extend == "hold" or made == 1:
        return [min(number, made - 1) for number in range(total)]
    there_and_back = 2 * (made - 1)
    return [made - 1 - abs(made - 1 - number % there_and_back) for number in range(total)]


def sentences(*texts: str | None) -> str:
    """The texts that say something, one after the other, each with an end; one alone stays as it is."""
    said = [text.strip() for text in texts if text and text.strip()]
    if len(said) == 1:
        return said[0]
    return " ".join(text if text.endswith((".", "!", "?", "。", "…")) else f"{text}." for text in said)


def camera_words(motion: Mapping[str, Any] | None, hint: str | None) -> str:
    """The move as a prompt says it; a hint keeps its own words, ``motion`` goes before it."""
    if motion is None:
        return f"Camera: {hint.strip()}" if hint and hint.strip() else ""
    strength = motion["strength"]
    if motion["kind"] == "hold" or strength == 0:
        return STILL
    how = " slowly" if strength <= SLOW else " quickly" if strength >= FAST else ""
    return MOVES[motion["kind"]].format(how=how)
