"""Camera moves over stills, without a model: steady to a fifth of a pixel, eased at both ends.

Frames are drawn here (``_still``) along a path (``_camera``) and go through one pipe into one FFmpeg.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engines.video_generation._clip import ENCODING, encoded
from runtime.context import Context

if TYPE_CHECKING:
    from engines.video_generation._still import Draw


class Engine:
    """Clips of exactly the size, frame rate and number of frames asked, from one keyframe or several."""

    version = "2"
    requires: tuple[str, ...] = ("PIL", "numpy", "ffmpeg", "imageio_ffmpeg")
    key_env: str | None = None
    remote = False
    ops: tuple[str, ...] = ("animate", "sequence", "transition")
    # A seed is accepted because it is kept: nothing is random, so the same request gives the same clip.
    capabilities = frozenset({"image_to_video", "motion", "any_size", "seed"})
    models: Mapping[str, Mapping[str, Any]] = {}
    options_schema: Mapping[str, Any] = {
        "type": "object",
        "properties": ENCODING,
        "additionalProperties": False,
    }

    def load(self, model: Mapping[str, Any], options: Mapping[str, Any], context: Context) -> None:
        """Nothing to load."""

    def run(self, op: str, input: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
        """Animate a keyframe, show several in sequence, or change from one to another.

        Raises WorkerError ``input_not_found`` or ``input_unreadable`` for a keyframe, ``invalid_request`` for two
        scenes of one number, ``output_failed`` for the clip.
        """
        return {"animate": _animate, "sequence": _sequence, "transition": _transition}[op](input, context)

    def unload(self) -> None:
        """Nothing to give back."""


def _animate(input: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
    from engines.video_generation._camera import choose, unasked
    from engines.video_generation._still import load_still, moves

    hint = input["motion_hint"]
    motion = choose(input["motion"], hint)
    if motion is None:
        motion = unasked()
        if hint:
            context.warn("motion_hint_unknown", f"No camera move was found in {hint!r}; it is a gentle zoom in.")
    context.progress("prepare", 0, 1, "picture")
    still = load_still(Path(input["image"]), motion, input["width"], input["height"], context)
    context.progress("prepare", 1, 1, "picture")
    video = encoded(moves(still, motion, input["num_frames"]), input["num_frames"], input, context)
    return {"video": video, "motion": motion.as_json()}


def _sequence(input: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
    from engines.video_generation._sequence import ordered, sequence, told
    from engines.video_generation._still import load_still, moves
    from media.pictures import picture_facts

    scenes = ordered(input["scenes"], context)
    for count, scene in enumerate(scenes, 1):  # what is no picture is said now, not minutes later
        picture_facts(Path(scene.keyframe))
        context.progress("prepare", count, len(scenes), "pictures")

    def begin(place: int, num_frames: int) -> Iterator[Draw]:
        keyframe, motion = Path(scenes[place].keyframe), scenes[place].motion
        return moves(load_still(keyframe, motion, input["width"], input["height"], context), motion, num_frames)

    durations = [scene.num_frames for scene in scenes]
    frames = sequence(durations, input["transition_frames"], begin)
    video = encoded(frames, sum(durations), input, context)
    return {"video": video, "scenes": told((scene.number, scene.num_frames, scene.motion) for scene in scenes)}


def _transition(input: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
    from engines.video_generation._sequence import LEAN, transition
    from engines.video_generation._still import load_still

    stills = []
    for count, name in enumerate(("start_keyframe", "end_keyframe"), 1):
        stills.append(load_still(Path(input[name]), LEAN, input["width"], input["height"], context))
        context.progress("prepare", count, 2, "pictures")
    start, end = stills
    return {"video": encoded(transition(start, end, input["num_frames"]), input["num_frames"], input, context)}
