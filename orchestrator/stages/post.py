"""Stage 10: the finished film, its thumbnail, and the check that it is what was promised."""

from __future__ import annotations

from pathlib import Path

from orchestrator import quality
from orchestrator.errors import StorygenError
from orchestrator.making import Making


def make(making: Making) -> None:
    """Compose, look at the result, take a thumbnail. Raises ``output_failed`` for a film below standard."""
    settings, run = making.settings("post"), making.run
    making.gather()
    run.report.stage_items("post", 3)
    shots = [
        {"clip": clip, "num_frames": shot["num_frames"]} for clip, shot in zip(making.clips, making.shots, strict=True)
    ]
    making.film = run.work(
        "post",
        "film",
        "media_processing",
        "compose",
        {
            **making.size,
            "transition_frames": making.profile["film"]["transition_frames"],
            "title": making.source["title"],
            **settings["input"],
            "shots": shots,
            "narration": making.narration,
            "subtitles": Path(making.captions["ass"]["path"]),
        },
        settings=settings,
    )
    film = making.film.path("video")
    checked = run.work(
        "post", "check", "media_processing", "probe", {"media": film, "loudness": True}, settings=settings
    )
    making.facts = checked.output
    faults = quality.faults(making.facts, making.profile)
    if faults:
        raise StorygenError(
            "output_failed",
            f"The film at {film} failed the quality check: {' '.join(faults)}",
            "Take away settings under post.input that contradict those under film, such as width, height or fps.",
            faults,
        )
    picture = run.work(
        "post",
        "thumbnail",
        "media_processing",
        "thumbnail",
        {"media": making.clips[0], "time_s": _middle(making)},
        settings=settings,
    )
    making.thumbnail = picture.path("image")


def _middle(making: Making) -> float:
    """The middle of the first shot: what the story opens with. Its clip bears no captions yet."""
    return round(making.shots[0]["num_frames"] / making.size["fps"] / 2, 3)
