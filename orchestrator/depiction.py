"""What an engine is told to draw: one function puts a shot, the visual bible and the style into one prompt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator import styles


def depiction(shot: Mapping[str, Any], bible: Mapping[str, Any], style: styles.Style | None) -> str:
    """The prompt of a shot's picture and clip.

    CLIP, which reads SDXL's prompts, takes 77 tokens and no more (https://arxiv.org/abs/2103.00020), so what makes the
    picture comes first: the style's opening words, the camera, the shot's own prompt, the looks of the characters that
    are in the shot; then what gives all pictures one world: place, era, light, palette; last the shot's mood and the
    style's closing words.
    Without a style preset the bible's own style words open it. What there is not is left out: a shot that rules made,
    without a bible and a style, is its prompt alone.
    """
    seen = [one for one in bible.get("characters", ()) if shot["number"] in one["shots"]]
    parts = [
        style.before if style else bible.get("style"),
        shot["camera"],
        shot["prompt"],
        *(f"{one['name']}: {one['appearance']}" for one in seen),
        *(bible.get(name) for name in ("place", "era", "light")),
        f"palette of {bible['palette']}" if bible.get("palette") else None,
        f"{shot['mood']} mood" if shot["mood"] else None,
        style.after if style else None,
    ]
    told = [part for part in parts if part]
    return ", ".join(str(part).strip().rstrip(".,;:") for part in told) if len(told) > 1 else str(shot["prompt"])


def unwanted(style: styles.Style | None) -> str:
    """The negative prompt: what no picture should show, and what the style must not be."""
    return f"{style.negative}, {styles.unwanted()}" if style else styles.unwanted()
