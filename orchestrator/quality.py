"""The quality check of a finished film: what SPEC promises, held against what ``media_processing probe`` reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.errors import StorygenError

MAX_AV_DIFFERENCE_S = 0.033
MAX_LENGTH_DIFFERENCE_S = 0.001
"""Frames are counted, so only what a file's clock rounds is left."""
LOUDNESS_TOLERANCE_LU = 0.5
LOUDNESS = {"short_video": (-14.0, -1.0), "podcast": (-16.0, -1.5), "broadcast": (-23.0, -2.0)}
"""Preset of ``compose`` -> (LUFS, highest dBTP)."""
USUAL_LOUDNESS = "short_video"

Facts = Mapping[str, Any]
Promise = Mapping[str, Any]


def promise(profile: Mapping[str, Any]) -> Promise:
    """What a film of this profile must be: {width, height, fps, lufs, peak_dbtp}; null is not checked.

    Raises StorygenError ``invalid_request`` for a loudness preset that there is not.
    """
    preset = profile["post"]["input"].get("loudness", USUAL_LOUDNESS)
    if preset is not None and preset not in LOUDNESS:
        raise StorygenError(
            "invalid_request",
            f"post.input.loudness is {preset!r}; it must be {', '.join(LOUDNESS)} or null.",
            f"Example: --set post.input.loudness={USUAL_LOUDNESS}",
        )
    lufs, peak = LOUDNESS[preset] if preset else (None, None)
    return {**profile["film"], "lufs": lufs, "peak_dbtp": peak}


def faults(facts: Facts, profile: Mapping[str, Any], duration_s: float | None = None) -> list[str]:
    """Everything about the film that breaks a promise, one sentence each; empty when it is good.

    ``facts`` is the output of ``probe`` with loudness, ``profile`` what the film was made by, ``duration_s`` how long
    it must be, or None where nobody knows.
    """
    if facts["kind"] != "video" or facts["video"] is None:
        return [f"The file is no film but {'a picture' if facts['kind'] == 'picture' else 'sound alone'}."]
    if facts["audio"] is None:
        return ["The file has no sound."]
    wanted = {**promise(profile), "duration_s": duration_s}
    return [fault for rule in RULES for fault in rule(facts, wanted)]


def _size(facts: Facts, wanted: Promise) -> list[str]:
    right, found = (wanted["width"], wanted["height"]), (facts["video"]["width"], facts["video"]["height"])
    return [] if found == right else [f"The picture is {found[0]}×{found[1]}; it must be {right[0]}×{right[1]}."]


def _rate(facts: Facts, wanted: Promise) -> list[str]:
    found, right = facts["video"]["fps"], wanted["fps"]
    return [] if found == right else [f"The film has {found} frames a second; it must have {right}."]


def _video_coding(facts: Facts, wanted: Promise) -> list[str]:
    right = {
        "codec": "h264",
        "profile": "High",
        "pixel_format": "yuv420p",
        "color_space": "bt709",
        "color_primaries": "bt709",
        "color_transfer": "bt709",
        "color_range": "tv",
    }
    found = facts["video"]
    return [
        f"The video's {name} is {found[name]}; it must be {value}."
        for name, value in right.items()
        if found[name] != value
    ]


def _audio_coding(facts: Facts, wanted: Promise) -> list[str]:
    right = {"codec": "aac", "sample_rate": 48000, "channels": 2}
    found = facts["audio"]
    return [
        f"The audio's {name} is {found[name]}; it must be {value}."
        for name, value in right.items()
        if found[name] != value
    ]


def _lengths(facts: Facts, wanted: Promise) -> list[str]:
    lengths = {name: facts[name]["duration_s"] or facts["duration_s"] for name in ("video", "audio")}
    if None in lengths.values():
        return ["The file does not say how long it is."]
    found, right = [], wanted.get("duration_s")
    if right is not None and abs(lengths["video"] - right) > MAX_LENGTH_DIFFERENCE_S:
        found += [f"The picture lasts {lengths['video']:.3f} s; its shots and the end hold make {right:.3f} s."]
    if abs(lengths["video"] - lengths["audio"]) > MAX_AV_DIFFERENCE_S:
        both = f"The picture lasts {lengths['video']:.3f} s, the sound {lengths['audio']:.3f} s"
        found += [f"{both}; they must end within 33 ms."]
    return found


def _loudness(facts: Facts, wanted: Promise) -> list[str]:
    found, right = _measured(facts, "integrated_lufs"), wanted["lufs"]
    if right is None:
        return []
    if found is None:
        return ["The sound is silent."]
    if abs(found - right) > LOUDNESS_TOLERANCE_LU:
        return [f"The loudness is {found:.1f} LUFS; it must be {right:g} ± {LOUDNESS_TOLERANCE_LU:g}."]
    return []


def _peak(facts: Facts, wanted: Promise) -> list[str]:
    found, highest = _measured(facts, "true_peak_dbtp"), wanted["peak_dbtp"]
    if found is not None and highest is not None and found > highest:
        return [f"The true peak is {found:.2f} dBTP; it must be at most {highest:g}."]
    return []


def _measured(facts: Facts, name: str) -> float | None:
    return facts["loudness"][name] if facts["loudness"] else None


def _start(facts: Facts, wanted: Promise) -> list[str]:
    if facts["faststart"] is None:
        return [f"The file's format is {facts['container']}; it must be MP4."]
    return [] if facts["faststart"] else ["The index lies behind the media, so players must load the whole file first."]


RULES: tuple[Callable[[Facts, Promise], list[str]], ...] = (
    _size,
    _rate,
    _video_coding,
    _audio_coding,
    _lengths,
    _loudness,
    _peak,
    _start,
)
