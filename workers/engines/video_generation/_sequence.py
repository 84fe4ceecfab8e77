"""Several stills in one clip: scenes that fade into each other, and the change from one keyframe to another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from engines.video_generation._camera import GENTLE, Motion, choose, eased, part, unasked
from engines.video_generation._still import Draw, Still
from runtime.context import Context
from runtime.errors import WorkerError

LEAN = Motion("zoom_in", GENTLE, "default")
"""A transition leans in this far, and back again."""


@dataclass(frozen=True)
class Scene:
    """A keyframe, its own frames of the clip (a fade into the next scene comes on top) and its move."""

    number: int
    keyframe: str
    num_frames: int
    motion: Motion


def ordered(scenes: Sequence[dict[str, Any]], context: Context) -> list[Scene]:
    """The scenes by their number, each with the move that its hint or camera angle names, else one unlike the last.

    Raises WorkerError ``invalid_request`` where two scenes have one number.
    """
    found: list[Scene] = []
    for scene in by_number(scenes):
        motion = choose(None, scene["motion_hint"], angle=scene["camera_angle"])
        if motion is None:
            motion = unasked(found[-1].motion if found else None)
            if scene["motion_hint"]:
                context.warn(
                    "motion_hint_unknown",
                    f"Scene {scene['scene_number']}: no camera move was found in {scene['motion_hint']!r}; it is a "
                    f"gentle {motion.kind}.",
                )
        found.append(Scene(scene["scene_number"], scene["keyframe"], scene["duration_frames"], motion))
    return found


def by_number(scenes: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A request's scenes in their order. Raises WorkerError ``invalid_request`` where two have one number."""
    seen: dict[int, int] = {}
    for place, scene in enumerate(scenes):
        number = scene["scene_number"]
        if number in seen:
            raise WorkerError(
                "invalid_request",
                f"scenes {seen[number]} and {place} both have the scene_number {number}.",
                pointer=f"/input/scenes/{place}/scene_number",
                hint="Give every scene a number of its own; they are shown in its order.",
            )
        seen[number] = place
    return sorted(scenes, key=lambda scene: int(scene["scene_number"]))


def fades(durations: Sequence[int], transition_frames: int) -> list[int]:
    """Frames that each scene goes on under the next one, never more than that one has; 0 for the last."""
    return [*(min(transition_frames, after) for after in durations[1:]), 0]


def sequence(
    durations: Sequence[int], transition_frames: int, begin: Callable[[int, int], Iterator[Draw]]
) -> Iterator[Draw]:
    """What draws every frame of scenes of so many frames in turn, Σ durations of them.

    ``begin(place, num_frames)`` is called when a scene begins. A fade lies in the first frames of the later scene,
    under which the earlier one goes on.
    """
    tail: Iterator[Draw] = iter(())
    fade = 0
    for place, (num_frames, after) in enumerate(zip(durations, fades(durations, transition_frames), strict=True)):
        frames = begin(place, num_frames + after)
        for position in range(num_frames):
            draw = next(frames)
            yield partial(_mixed, next(tail), draw, (position + 1) / (fade + 1)) if position < fade else draw
        tail, fade = frames, after


def told(scenes: Iterable[tuple[int, int, Motion | None]]) -> list[dict[str, Any]]:
    """The result's facts of scenes given as (number, frames, move; None where a model decided)."""
    facts, first = [], 0
    for number, num_frames, motion in scenes:
        scene = {"scene_number": number, "first_frame": first, "duration_frames": num_frames}
        facts.append({**scene, "motion": motion.as_json() if motion else None})
        first += num_frames
    return facts


def transition(start: Still, end: Still, num_frames: int) -> Iterator[Draw]:
    """What draws each frame of a change from one still to the other, both prepared for LEAN.

    The first frame is the whole start, the last the whole end. The camera leans in, the pictures change while it is
    closest, in the middle half of the time, and it leans back: one move, at rest at both ends and in the middle.
    """
    for number in range(num_frames):
        time = number / (num_frames - 1) if num_frames > 1 else 0.0
        seen = part(LEAN, eased(2 * time))
        share = eased(min(1.0, max(0.0, 2 * time - 0.5)))
        before, after = partial(start.frame, seen), partial(end.frame, seen)
        yield before if share == 0 else after if share == 1 else partial(_mixed, before, after, share)


def _mixed(before: Draw, after: Draw, share: float) -> bytes:
    import numpy as np

    from media.compose import mixed

    return mixed(np.frombuffer(before(), np.uint8), np.frombuffer(after(), np.uint8), share).tobytes()
