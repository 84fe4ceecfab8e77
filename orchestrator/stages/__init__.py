"""The stages of a film, one module each; their order is this tuple."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from orchestrator.making import Making
from orchestrator.stages import (
    collect,
    guidance,
    idea,
    keyframes,
    post,
    revision,
    scenes,
    script,
    subtitles,
    video,
    voice,
)
from orchestrator.stages.judging import Turns

Stage = Callable[[Making], str | None]
"""Does its part; returns why it was skipped, if it was."""

STAGES: tuple[tuple[str, Stage], ...] = (
    ("collect", collect.make),
    ("idea", idea.make),
    ("script", script.make),
    ("revision", revision.make),
    ("voice", voice.make),
    ("subtitles", subtitles.make),
    ("scenes", scenes.make),
    ("guidance", guidance.make),
    ("keyframes", keyframes.make),
    ("video", video.make),
    ("post", post.make),
)

TAKING_TURNS: Mapping[str, Callable[[Making], Turns[None]]] = {"keyframes": keyframes.turns}
"""Stages with several models that do not fit into one card: the same work, with a pause before each change."""
