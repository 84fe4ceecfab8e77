"""Stage 10: the finished film, its thumbnail, and the check that it is what was promised."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from orchestrator import quality
from orchestrator.errors import StorygenError
from orchestrator.making import Making

WORD = re.compile(r"[^\W\d_]+")


def make(making: Making) -> None:
    """Compose, look at the result, take a thumbnail. Raises ``output_failed`` for a film below standard."""
    settings, run, film_settings = making.settings("post"), making.run, making.profile["film"]
    film_title = making.source["title"]
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
            "transition_frames": film_settings["transition_frames"],
            "title": film_title,
            "title_s": min(film_settings["title_s"], _seconds(making, shots[:1])),
            "language": making.source["language"],
            "end_hold_s": film_settings["end_hold_s"],
            "subtitles": _subtitles(making),
            **settings["input"],
            "shots": shots,
            "narration": making.narration,
        },
        settings=settings,
    )
    film = making.film.path("video")
    checked = run.work(
        "post", "check", "media_processing", "probe", {"media": film, "loudness": True}, settings=settings
    )
    making.facts = checked.output
    length = _seconds(making, shots, round(film_settings["end_hold_s"] * making.size["fps"]))
    faults = quality.faults(making.facts, making.profile, length)
    if faults and not checked.stands_in:  # what is to be made anyway may be wrong
        raise StorygenError(
            "output_failed",
            f"The film at {film} failed the quality check: {' '.join(faults)}",
            "Take away settings under post.input that contradict those under film, such as width, height or fps.",
            faults,
        )
    # Not the clips: keyframes are whole, without a camera move and without a codec's blocks.
    keyframes = [making.keyframes[number] for number in telling([shot["text"] for shot in making.shots], film_title)]
    picture = run.work(
        "post",
        "thumbnail",
        "media_processing",
        "thumbnail",
        {
            "media": keyframes[0],
            "candidates": keyframes[1:],
            "width": making.size["width"],
            "height": making.size["height"],
            "title": film_title,
            "language": making.source["language"],
        },
        settings=settings,
    )
    making.thumbnail = picture.path("image")


def telling(texts: list[str], title: str) -> list[int]:
    """The places of the shots whose words name the most of the title's: a crow's film shows a crow. All where none do.

    Words of four letters and more count, in any form that begins alike.
    """
    stems = {word[: max(3, len(word) - 2)] for word in WORD.findall(title.casefold()) if len(word) > 3}
    named = [
        len({stem for stem in stems for word in WORD.findall(text.casefold()) if word.startswith(stem)})
        for text in texts
    ]
    return [number for number, count in enumerate(named) if count == max(named)]


def _seconds(making: Making, shots: list[dict[str, Any]], more_frames: int = 0) -> float:
    frames = sum(shot["num_frames"] for shot in shots) + more_frames
    return round(frames / making.size["fps"], 6)


def _subtitles(making: Making) -> Path | None:
    """The captions as they go into the film: ASS to burn, SRT for a track; players read no style of ours."""
    chosen = making.settings("post")["input"]
    if "subtitles" in chosen:  # none, or the user's own
        return None
    kind = "srt" if chosen.get("subtitles_mode") == "carry" else "ass"
    if not making.captions.get(kind):
        raise StorygenError(
            "invalid_request",
            f"subtitles.input.formats leaves out {kind}, which the film's captions are made from.",
            f"Add {kind} to it, or run with --captions off.",
        )
    return Path(making.captions[kind]["path"])
