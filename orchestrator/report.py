"""``report.html``: a run as one page beside its media. Style and script stand in it, and it asks nothing of a network.

The browser holds it to that: its content security policy allows this style, this script, and files beside the page.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shlex
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from orchestrator.item import PARTIAL
from orchestrator.markup import Markup, element, joined, link
from orchestrator.previews import NONE, previews
from orchestrator.run_folder import MARK, PREVIOUS
from orchestrator.shot_cards import KINDS, clock, place_of, shot_cards
from orchestrator.subject import of_mark
from orchestrator.thinking import look, writing
from orchestrator.waterfall import took, waterfall
from orchestrator.wording import counted

PAGE = "report.html"
STYLE = Path(__file__).with_name("report.css")
SCRIPT = Path(__file__).with_name("report.js")
ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' height='16' "
    "rx='4' fill='%23b4471a'/%3E%3Cpath d='M6 4.5v7l6-3.5z' fill='white'/%3E%3C/svg%3E"
)
"""Without one, browsers ask a server for /favicon.ico."""
STATES = {
    "done": "Finished",
    "partial": "Part of the way",
    "failed": "Failed",
    "stopped": "Stopped",
    "running": "Under way",
}
FILES = {"captions.srt": "Captions, SRT", "captions.vtt": "Captions, WebVTT", "manifest.json": "Manifest"}

Entry = Mapping[str, Any]


def write_page(folder: Path, manifest: Mapping[str, Any]) -> Path:
    """Write the page of the run in ``folder``; returns its path. It appears whole or not at all."""
    target = folder / PAGE
    temporary = target.with_name(f".{PAGE}{PARTIAL}{os.getpid()}")
    shots = manifest["shots"]
    shown = [shot["keyframe"] for shot in shots if shot["keyframe"]]
    shown += [attempt["picture"] for shot in shots for attempt in shot.get("pictures", ())]
    small = previews(folder, dict.fromkeys(shown))
    temporary.write_text(page(folder, manifest, small), encoding="utf-8", errors="replace", newline="\n")
    os.replace(temporary, target)
    return target


def page(folder: Path, manifest: Mapping[str, Any], small: Mapping[str, str] = NONE) -> str:
    """The page, from the manifest and what lies in the run's folder; ``small`` are pictures' previews, see there."""
    style, script = (Markup(path.read_text(encoding="utf-8")) for path in (STYLE, SCRIPT))
    title = manifest["title"] or folder.name
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy(style, script)),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", f"{title} – storygen"),
        element("link", rel="icon", href=ICON),
        element("style", style),
    )
    now = datetime.now().astimezone()
    written = element("time", f"{now:%Y-%m-%d %H:%M}", datetime=now.isoformat(timespec="seconds"))
    body = element(
        "body",
        element("a", "Skip to the shots", href="#shots", class_="skip"),
        _header(folder, manifest, title),
        element(
            "main",
            _ending(folder, manifest),
            _story(folder, manifest, small),
            writing(manifest),
            look(manifest),
            _warnings(manifest),
            _times(manifest),
        ),
        element("footer", element("p", "Written by storygen, ", written, ". It needs the files beside it.")),
        element("script", script),
    )
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def _policy(style: str, script: str) -> str:
    def digest(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    # 'self' is the origin of a web server; opened from the disk, a page has none and needs file:.
    return (
        f"default-src 'none'; style-src {digest(style)}; script-src {digest(script)}; img-src 'self' file: data:; "
        "media-src 'self' file:; base-uri 'none'; form-action 'none'"
    )


# The top


def _header(folder: Path, manifest: Mapping[str, Any], title: str) -> Markup:
    facts, film = manifest["facts"], manifest["film"]
    pairs: list[tuple[str, str | None]] = []
    if film and facts:
        video, loudness = facts["video"], facts["loudness"]
        pairs += [
            ("Length", clock(video["duration_s"])),
            ("Picture", f"{video['width']}×{video['height']}, {video['fps']:g} fps"),
            ("Loudness", _loudness(loudness) if loudness else None),
            ("Size", _size(folder / film)),
        ]
    idle = manifest["state"] == "done" and all(item["reused"] for item in manifest["items"])
    this_run = "nothing to do" if idle else took(manifest["seconds"])
    pairs += [
        ("Shots", str(len(manifest["shots"])) if manifest["shots"] else None),
        ("Language", manifest["language"]),
        ("This run", None if manifest["state"] == "running" else this_run),
    ]
    listed = [element("div", element("dt", name), element("dd", value, dir="auto")) for name, value in pairs if value]
    warnings = len(manifest["warnings"])
    return element(
        "header",
        element(
            "p",
            element("span", STATES[manifest["state"]], class_=f"state {manifest['state']}"),
            element("a", counted(warnings, "warning"), href="#warnings", class_="state warned") if warnings else None,
        ),
        element("h1", title, dir="auto", lang=manifest["language"]),
        element("dl", *listed, class_="facts"),
    )


def _loudness(loudness: Entry) -> str | None:
    lufs = loudness["integrated_lufs"]
    return None if lufs is None else f"{lufs:.1f} LUFS".replace("-", "−")


def _size(path: Path) -> str | None:
    return f"{path.stat().st_size / 1e6:.1f} MB" if path.is_file() else None


def _ending(folder: Path, manifest: Mapping[str, Any]) -> Markup | None:
    """Why there is no finished film, what is kept, and how to go on; nothing where there is one."""
    state, error = manifest["state"], manifest["error"]
    if state == "done":
        return None
    if error:
        details = [element("li", detail, dir="auto") for detail in error["details"]]
        said = [
            element("h2", "What went wrong"),
            element("p", error["message"], dir="auto", class_="message"),
            element("ul", *details) if details else None,
            element("p", error["hint"], dir="auto") if error["hint"] else None,
            element("p", "Error code ", element("code", error["code"]), class_="soft"),
        ]
    else:
        last = next(reversed(manifest["stages"]), "nothing")
        heading, sentence = {
            "partial": (f"Made up to {last}", "This run was asked to end there."),
            "stopped": ("Stopped", "This run was stopped before its film was finished."),
        }.get(state, ("Under way", "The film is being made, or its run was killed. At its end this page is made anew."))
        said = [element("h2", heading), element("p", sentence)]
    return element("section", *said, *_going_on(folder, manifest), class_=f"ending {state}")


def _going_on(folder: Path, manifest: Mapping[str, Any]) -> list[Markup]:
    counts: dict[str, int] = {}
    for item in manifest["items"]:
        counts[item["stage"]] = counts.get(item["stage"], 0) + 1
    parts = [
        element("p", "Finished and kept: ", ", ".join(f"{stage} {number}" for stage, number in counts.items()), ".")
        if counts
        else element("p", "Whatever earlier runs finished is kept.")
    ]
    try:
        told = of_mark(json.loads((folder / MARK).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return parts
    source = ["--idea", told.words] if told.story is None else [told.words]
    command = shlex.join(["storygen", "run", *source, "--out", str(folder)])
    return [
        *parts,
        element("p", "To go on, give the same command again, with the options it had:"),
        element("pre", element("code", command), tabindex="0", role="region", aria_label="Command"),
    ]


# The film and its shots


def _story(folder: Path, manifest: Mapping[str, Any], small: Mapping[str, str]) -> Markup:
    video = manifest["facts"]["video"] if manifest["film"] and manifest["facts"] else None
    player = _film(folder, manifest["film"], video) if video else _older_film(folder)
    if not manifest["shots"]:
        shots = element("p", "No shots yet: they are cut once the narration is spoken.", class_="empty")
    elif video:
        shots = joined(_hint("Choose a picture to play the film from there."), shot_cards(folder, manifest, small))
    elif player:
        shots = shot_cards(folder, manifest, small)
    else:
        hint = _hint("No film yet: it is put together once every shot has its clip.")
        shots = joined(hint, shot_cards(folder, manifest, small))
    shape = "wide" if video and video["width"] > video["height"] else "tall"
    return element(
        "div",
        element("section", player, class_="film", aria_label="Film") if player else None,
        element("section", element("h2", "Shots"), shots, id="shots", tabindex="-1"),
        class_=f"story {shape}{'' if player else ' alone'}",
    )


def _hint(text: str) -> Markup:
    return element("p", text, class_="soft")


def _film(folder: Path, name: str, video: Entry) -> Markup:
    poster = "thumbnail.jpg" if (folder / "thumbnail.jpg").is_file() else None
    links = [
        element("li", element("a", said, href=link(file)))
        for file, said in {name: "Film, MP4", **FILES}.items()
        if (folder / file).is_file()
    ]
    keys = [
        element("kbd", "Space"), " plays, ", element("kbd", "←"), " ", element("kbd", "→"), " go from shot to shot.",
    ]  # fmt: skip
    return joined(
        _player(name, id="film", poster=poster, width=video["width"], height=video["height"]),
        element("div", class_="strip", aria_hidden="true"),
        element("p", id="now", class_="now"),
        element("p", *keys, class_="keys"),
        element("ul", *links, class_="files"),
    )


def _older_film(folder: Path) -> Markup | None:
    """A run that did not end well leaves the film before it as it was, under this or that name."""
    name = next((name for name in ("final.mp4", PREVIOUS) if (folder / name).is_file()), None)
    if name is None:
        return None
    note = "This is the film of an earlier run: it does not show what has changed since."
    return joined(_player(name), element("p", note, class_="soft older"))


def _player(name: str, **attributes: str | int | None) -> Markup:
    return element(
        "video",
        src=link(name),
        controls=True,
        playsinline=True,
        preload="metadata",
        aria_label="The film",
        **attributes,
    )


# The rest


def _warnings(manifest: Mapping[str, Any]) -> Markup | None:
    """Each warning once, with all the items that it was given for."""
    if not manifest["warnings"]:
        return None
    same: dict[tuple[str, str, str], list[str]] = {}
    for warning in manifest["warnings"]:
        same.setdefault((warning["stage"], warning["code"], warning["message"]), []).append(warning["item"])
    shots = {place_of(shot[kind]): shot["number"] for shot in manifest["shots"] for kind in KINDS}
    rows = []
    for (stage, code, message), items in same.items():
        where = [_to_shot(name, shots.get((stage, name))) for name in items]
        said = element("p", element("b", stage), *where, " ", element("code", code), class_="soft")
        rows.append(element("li", said, element("p", message, dir="auto")))
    return element("section", element("h2", "Warnings"), element("ul", *rows), id="warnings", class_="warnings")


def _to_shot(name: str, number: int | None) -> Markup:
    return joined(" ", element("a", name, href=f"#shot-{number}") if number else name)


def _times(manifest: Mapping[str, Any]) -> Markup | None:
    if not manifest["stages"]:
        return None
    return element("section", element("h2", "Where the time went"), waterfall(manifest), id="times", class_="times")
