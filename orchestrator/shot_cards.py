"""The shots of a run as cards: picture, clip, words and times, and how each was made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from orchestrator.item import artifacts, read_result
from orchestrator.markup import Markup, element, joined, link
from orchestrator.picture_history import history
from orchestrator.previews import NONE
from orchestrator.waterfall import took

KINDS = ("keyframe", "clip")
NOTES = {"engine_fallback": "fallback", "edit_adopted": None}
"""Warnings that are told as something else: the second by the item itself."""

Entry = Mapping[str, Any]
Place = tuple[str, str]
"""Stage and item."""


def shot_cards(folder: Path, manifest: Mapping[str, Any], small: Mapping[str, str] = NONE) -> Markup:
    """One card a shot, in order. With a film, each picture is a button that plays it from there.

    ``small`` names the previews of pictures.
    """
    items = {(item["stage"], item["item"]): item for item in manifest["items"]}
    codes: dict[Place, list[str]] = defaultdict(list)
    for warning in manifest["warnings"]:
        codes[warning["stage"], warning["item"]].append(warning["code"])
    cards = []
    for shot in manifest["shots"]:
        places = [place_of(shot[kind]) for kind in KINDS]
        own = [items.get(place) if place else None for place in places]
        warned = [code for place in places if place for code in codes[place]]
        results = [_result_of(folder, shot[kind]) for kind in KINDS]
        seekable = manifest["film"] is not None
        cards.append(_card(shot, own, warned, results, manifest["language"], small, seekable=seekable))
    return element("ol", *cards, class_="shots")


def place_of(path: str | None) -> Place | None:
    """Whose file it is: they lie in ``<stage>/<item>/``."""
    if path is None:
        return None
    stage, name = PurePosixPath(path).parts[:2]
    return stage, name


def clock(seconds: float) -> str:
    """A time in the film, as players write it.

    >>> clock(7.9), clock(83), clock(3605)
    ('0:07', '1:23', '1:00:05')
    """
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"


def _result_of(folder: Path, path: str | None) -> dict[str, Any]:
    """What was stored with a shot's file: the artifact's own fields and those beside it as one."""
    stored = read_result((folder / path).parent) if path else None
    if stored is None or path is None:
        return {}
    output: dict[str, Any] = stored["output"]
    own = next((each for each in artifacts(output) if each["path"] == PurePosixPath(path).name), {})
    return {**output, **own}


def _card(
    shot: Entry,
    items: Sequence[Entry | None],
    warned: Sequence[str],
    results: Sequence[Entry],
    language: str | None,
    small: Mapping[str, str],
    *,
    seekable: bool,
) -> Markup:
    own = [item for item in items if item]
    number, times = shot["number"], f"{clock(shot['start_s'])}–{clock(shot['end_s'])}"
    heading = element(
        "h3",
        element("span", f"Shot {number}", class_="number"),
        " ",
        element("span", times, class_="times"),
        " ",
        element("span", f"{shot['end_s'] - shot['start_s']:.1f} s", class_="times soft"),
    )
    said = [_motion(shot["motion"]), *(item["engine"] for item in own)]
    about = element(
        "div",
        heading,
        element("p", shot["text"], dir="auto", lang=language, class_="text"),
        element("p", element("span", " · ".join(filter(None, said))), *_badges(own, warned), class_="soft short"),
        _details(shot, items, results, small),
        class_="about",
    )
    return element(
        "li",
        _picture(shot, results[0], small, seekable=seekable),
        about,
        id=f"shot-{number}",
        class_="shot",
        data_start=shot["start_s"],
        data_end=shot["end_s"],
    )


def _picture(shot: Entry, stored: Entry, small: Mapping[str, str], *, seekable: bool) -> Markup:
    number = shot["number"]
    image = (
        element(
            "img",
            src=link(small.get(shot["keyframe"], shot["keyframe"])),
            alt=f"Picture of shot {number}",
            loading="lazy",
            decoding="async",
            width=stored.get("width"),
            height=stored.get("height"),
        )
        if shot["keyframe"]
        else element("span", "No picture yet", class_="empty")
    )
    if seekable:
        label = f"Play the film from shot {number}, {clock(shot['start_s'])}"
        image = element("button", image, type="button", class_="seek", aria_label=label)
    clip = None
    if shot["clip"]:
        label = f"Play the clip of shot {number} by itself"
        clip = element(
            "button", type="button", class_="clip", aria_pressed="false", aria_label=label, title=label,
            data_clip=link(shot["clip"]),
        )  # fmt: skip
    return element("div", image, clip, class_="picture")


def _badges(items: Sequence[Entry], warned: Sequence[str]) -> list[Markup]:
    """What happened to a shot's picture and clip in this run."""
    if not items:
        return []
    found = ["reused" if all(item["reused"] for item in items) else "made"]
    found += ["edited by hand"] if any(item["edited"] for item in items) else []
    found += sorted({NOTES.get(code, "warning") or "" for code in warned} - {""})
    return [joined(" ", element("span", name, class_=f"badge {name.split()[0]}")) for name in found]


def _details(shot: Entry, items: Sequence[Entry | None], results: Sequence[Entry], small: Mapping[str, str]) -> Markup:
    picture, clip = results
    prompt = picture.get("prompt") or shot["prompt"]
    rows: list[tuple[str, str | Markup | None]] = [
        ("Seen", shot["description"] if shot["description"] != shot["text"] else None),
        ("Mood", shot["mood"]),
        ("Camera", shot["camera"]),
        ("Prompt", prompt if prompt and prompt != shot["text"] else None),
        ("Motion", _motion(clip.get("motion") or shot["motion"])),
        ("Picture", _making(items[0], picture, shot["keyframe"])),
        ("Clip", _making(items[1], clip, shot["clip"])),
        ("Scores", _scores(picture, clip)),
        ("Tried", history(shot["pictures"], small) if shot.get("pictures") else None),
        ("Frames", str(shot["num_frames"])),
    ]
    listed = [joined(element("dt", name), element("dd", value, dir="auto")) for name, value in rows if value]
    return element("details", element("summary", "How it was made"), element("dl", *listed))


def _motion(motion: Any) -> str | None:
    if not isinstance(motion, Mapping) or not motion.get("kind"):
        return None
    return str(motion["kind"]).replace("_", " ")


def _making(item: Entry | None, result: Entry, path: str | None) -> Markup | None:
    """Engine, seed, size, time and the file itself."""
    if path is None:
        return None
    said = [item["engine"]] if item else []
    if result.get("seed") is not None:
        said.append(f"seed {result['seed']}")
    if result.get("width"):
        said.append(f"{result['width']}×{result['height']}")
    if item:
        said.append("reused" if item["reused"] else f"made in {took(item['seconds'])}")
    if result.get("flagged"):
        said.append("flagged by its safety check")
    return joined(", ".join([*said, ""]), element("a", PurePosixPath(path).name, href=link(path)))


def _scores(*results: Entry) -> str | None:
    """Every number that a result calls a score."""
    found = {
        name.replace("_", " "): value
        for result in results
        for name, value in result.items()
        if name.endswith("score") and isinstance(value, int | float)
    }
    return ", ".join(f"{name} {value:g}" for name, value in found.items()) or None
