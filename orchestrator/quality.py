"""The quality check of a finished film: what SPEC promises, held against what ``media_processing probe`` reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

MAX_AV_DIFFERENCE_S = 0.033
LOUDNESS_LUFS, LOUDNESS_TOLERANCE_LU = -14.0, 0.5
MAX_TRUE_PEAK_DBTP = -1.0

Facts = Mapping[str, Any]


def faults(facts: Facts, film: Mapping[str, Any]) -> list[str]:
    """Everything about the film that breaks a promise, one sentence each; empty when it is good.

    ``facts`` is the output of ``probe`` with loudness, ``film`` the profile's table of that name.
    """
    if facts["video"] is None:
        return ["The file has no picture."]
    if facts["audio"] is None:
        return ["The file has no sound."]
    return [fault for rule in RULES for fault in rule(facts, film)]


def _size(facts: Facts, film: Mapping[str, Any]) -> list[str]:
    wanted, found = (film["width"], film["height"]), (facts["video"]["width"], facts["video"]["height"])
    return [] if found == wanted else [f"The picture is {found[0]}×{found[1]}; it must be {wanted[0]}×{wanted[1]}."]


def _rate(facts: Facts, film: Mapping[str, Any]) -> list[str]:
    found = facts["video"]["fps"]
    return [] if found == film["fps"] else [f"The film has {found} frames a second; it must have {film['fps']}."]


def _video_coding(facts: Facts, film: Mapping[str, Any]) -> list[str]:
    wanted = {
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
        for name, value in wanted.items()
        if found[name] != value
    ]


def _audio_coding(facts: Facts, film: Mapping[str, Any]) -> list[str]:
    wanted = {"codec": "aac", "sample_rate": 48000, "channels": 2}
    found = facts["audio"]
    return [
        f"The audio's {name} is {found[name]}; it must be {value}."
        for name, value in wanted.items()
        if found[name] != value
    ]


def _lengths(facts: Facts, film: Mapping[str, Any]) -> list[str]:
    video, audio = facts["video"]["duration_s"], facts["audio"]["duration_s"]
    if abs(video - audio) <= MAX_AV_DIFFERENCE_S:
        return []
    return [f"The picture lasts {video:.3f} s, the sound {audio:.3f} s; they must end within 33 ms."]


def _loudness(facts: Facts, film: Mapping[str, Any]) -> list[str]:
    found = facts["loudness"]["integrated_lufs"]
    if found is None:
        return ["The sound is silent."]
    if abs(found - LOUDNESS_LUFS) > LOUDNESS_TOLERANCE_LU:
        return [f"The loudness is {found:.1f} LUFS; it must be {LOUDNESS_LUFS:g} ± {LOUDNESS_TOLERANCE_LU:g}."]
    return []


def _peak(facts: Facts, film: Mapping[str, Any]) -> list[str]:
    found = facts["loudness"]["true_peak_dbtp"]
    if found is not None and found > MAX_TRUE_PEAK_DBTP:
        return [f"The true peak is {found:.1f} dBTP; it must be at most {MAX_TRUE_PEAK_DBTP:g}."]
    return []


def _start(facts: Facts, film: Mapping[str, Any]) -> list[str]:
    return [] if facts["faststart"] else ["The index lies behind the media, so players must load the whole file first."]


RULES: tuple[Callable[[Facts, Mapping[str, Any]], list[str]], ...] = (
    _size,
    _rate,
    _video_coding,
    _audio_coding,
    _lengths,
    _loudness,
    _peak,
    _start,
)
