"""A film in the making: what the stages hand to one another."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.item import Item
from orchestrator.run import Run


@dataclass
class Making:
    """Each stage fills in its part and reads those of the stages before it. Times are seconds of the finished film."""

    run: Run
    profile: Mapping[str, Any]
    story: Path | None
    """The user's story file; None where the film is made of an idea."""
    story_text: str
    idea: str | None = None
    """The user's idea; None where there is a story."""
    source: Mapping[str, Any] = field(default_factory=dict)
    """{title, language, language_given, paragraphs[]}; of an idea the title, the language and the paragraphs come from
    the stages idea and script."""
    premise: Mapping[str, Any] = field(default_factory=dict)
    """What the idea stage kept: {title, premise, tone, theme, hook, …}; nothing where there is a story."""
    script_edited: bool = False
    """Whether somebody edited the script by hand: then it is told as it is."""
    writing: dict[str, Any] = field(default_factory=dict)
    """What the manifest tells of the stages idea, script and revision, by their names."""
    lines: list[Mapping[str, Any]] = field(default_factory=list)
    """What is spoken: {text, paragraph} each, one voice request a line."""
    narration: Path | None = None
    duration_s: float = 0.0
    words: list[Mapping[str, Any]] = field(default_factory=list)
    """{word, start_s, end_s, line} each."""
    cues: list[Mapping[str, Any]] = field(default_factory=list)
    """{start_s, end_s, lines[]} each, with the words it covers."""
    captions: Mapping[str, Any] = field(default_factory=dict)
    """Format -> artifact."""
    shots: list[Mapping[str, Any]] = field(default_factory=list)
    """{number, start_s, end_s, num_frames, text, description, prompt, mood, camera, motion} each."""
    bible: Mapping[str, Any] = field(default_factory=dict)
    """What all pictures share: {characters[{name, appearance, shots[]}], place, era, light, palette, style}."""
    attempts: dict[int, list[Mapping[str, Any]]] = field(default_factory=dict)
    """Shot's number -> the pictures that were drawn for it, where a vision model judged them: {picture, roll, seed,
    prompt, score, explanation, suggestions, kept} each."""
    judges: set[str] = field(default_factory=set)
    """Engines that scored the pictures."""
    consistency: Mapping[str, Any] | None = None
    """{score, analysis[]} of the kept pictures together."""
    keyframe_jobs: list[Future[Path]] = field(default_factory=list)
    """The picture of each shot, on its way: clips are made of the first ones while the last are drawn."""
    clip_jobs: list[Future[Path]] = field(default_factory=list)
    keyframes: list[Path] = field(default_factory=list)
    clips: list[Path] = field(default_factory=list)
    film: Item | None = None
    thumbnail: Path | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What ``probe`` read from the finished film."""

    def gather(self) -> None:
        """Wait for all pictures and clips. The first that failed raises its error."""
        self.keyframes = self.run.wait(self.keyframe_jobs)
        self.clips = self.run.wait(self.clip_jobs)

    def as_stored(self, stage: str, name: str, like: Mapping[str, Any]) -> Item | None:
        """A stage's own document where the run takes the stage as it lies in its folder; else None.

        What it was made from need not be looked at then. An edited one must have the members of ``like``. Raises
        StorygenError ``input_not_found`` if it is not there or no longer reads.
        """
        return self.run.rule(stage, name, "", {}, lambda: dict(like)) if stage in self.run.wishes.as_stored else None

    def settings(self, stage: str) -> Mapping[str, Any]:
        """The stage's part of the profile, with what it takes from ``[text]``."""
        part: Mapping[str, Any] = self.profile[stage]
        return part

    @property
    def size(self) -> dict[str, int]:
        """{width, height, fps} of the film."""
        return {name: self.profile["film"][name] for name in ("width", "height", "fps")}


def item_name(kind: str, number: int) -> str:
    """``shot-003``: sorts as it counts."""
    return f"{kind}-{number:03d}"
