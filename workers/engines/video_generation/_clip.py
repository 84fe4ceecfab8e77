"""From frames to a clip: how every engine that draws frames here has them encoded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

from runtime.context import Context

if TYPE_CHECKING:
    from engines.video_generation._still import Draw

ENCODING: Mapping[str, Any] = {
    "crf": {
        "type": "number",
        "minimum": 0,
        "maximum": 51,
        "default": 16,
        "description": "x264's constant rate factor: lower is better and larger.",
    },
    "preset": {
        "enum": ["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower"],
        "default": "ultrafast",
        "description": "x264's speed against size; ultrafast keeps most texture, so moves stay steadiest.",
    },
}
"""Properties of an engine's ``options_schema``."""


def encoded(
    frames: Iterable[Draw],
    total: int,
    input: Mapping[str, Any],  # noqa: A002 - the wire's word
    context: Context,
    *,
    seed: int | None = None,
) -> dict[str, Any]:
    """The clip of these ``total`` frames, published; without a ``seed`` the request's is reported.

    Raises WorkerError ``output_failed``.
    """
    from engines.video_generation._still import drawn
    from media.ffmpeg import encode_frames

    width, height, fps = input["width"], input["height"], input["fps"]
    clip = context.temporary("mp4")
    with closing(drawn(frames)) as blocks:  # so that no thread draws on when the encoder fails
        encode_frames(
            blocks,
            width=width,
            height=height,
            fps=fps,
            output=clip,
            crf=context.engine_options["crf"],
            preset=context.engine_options["preset"],
            context=context,
            total=total,
        )
    facts = {"fps": fps, "width": width, "height": height, "num_frames": total, "duration_s": total / fps}
    return context.publish(clip, "video/mp4", **facts, seed=input["seed"] if seed is None else seed)
