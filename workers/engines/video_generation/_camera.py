"""Camera moves over a still: what part of it a frame shows, and which move a text asks for.

Parts are (left, top, right, bottom) relative to the still, 0..1, and never leave it. A camera that pans left moves to
the left, so that the picture moves to the right.
"""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass
from typing import Any

FULL_ZOOM = 1.2  # at strength 1: a sixth of the still lies outside the closest frame; more looks hurried in 3 to 5 s
GENTLE, SLOW, FAST = 0.5, 0.3, 0.9

Part = tuple[float, float, float, float]


@dataclass(frozen=True)
class Motion:
    """A move, its strength 0..1 and where it came from: motion, hint or default."""

    kind: str
    strength: float
    chosen_by: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def zoom(self) -> float:
        """The closest view's magnification, 1 or more."""
        return 1.0 if self.kind == "hold" else 1 + (FULL_ZOOM - 1) * self.strength


def eased(t: float) -> float:
    """Progress 0..1 of a move at time 0..1: half a cosine wave, at rest at both ends.

    Smootherstep rests longer: it would stand nearly still for a tenth of a clip on either side of every cut.
    """
    return (1 - math.cos(math.pi * t)) / 2


def part_at(motion: Motion, frame: int, num_frames: int) -> Part:
    """What frame ``frame`` (0-based) of ``num_frames`` shows; a single frame shows the start."""
    progress = eased(frame / (num_frames - 1)) if num_frames > 1 else 0.0
    size, x, y = _view(motion, progress)
    left, top = (1 - size) * x, (1 - size) * y
    return max(0.0, left), max(0.0, top), min(1.0, left + size), min(1.0, top + size)


def _view(motion: Motion, progress: float) -> tuple[float, float, float]:
    """Size of the part, 0..1, and where it lies in the room left, 0 (left, top) to 1 (right, bottom)."""
    closest = 1 / motion.zoom
    if motion.kind == "zoom_in":
        return closest**progress, 0.5, 0.5  # a power, so that the picture grows by the same share in every step
    if motion.kind == "zoom_out":
        return closest ** (1 - progress), 0.5, 0.5
    if motion.kind == "orbit":
        # From left to right along the lower half of an ellipse, closing in. Sizes run from half the zoom to all of it,
        # and the room counted is that of the first, widest view, so that the ellipse stays one while the view narrows.
        size = closest ** ((1 + progress) / 2)
        room = (1 - closest**0.5) / (1 - size) if size < 1 else 0.0
        angle = math.pi * (1 - progress)
        return size, 0.5 + 0.45 * room * math.cos(angle), 0.5 + 0.25 * room * math.sin(angle)
    ahead, back = progress, 1 - progress
    x, y = {"pan_left": (back, 0.5), "pan_right": (ahead, 0.5), "pan_up": (0.5, back), "pan_down": (0.5, ahead)}.get(
        motion.kind, (0.5, 0.5)
    )
    return closest, x, y


def choose(motion: dict[str, Any] | None, hint: str | None) -> Motion:
    """The move to make: ``motion`` before ``hint`` before a gentle zoom in (also for a hint that names no move)."""
    if motion is not None:
        return Motion(motion["kind"], float(motion["strength"]), "motion")
    kind = kind_in(hint or "")
    if kind is None:
        return Motion("zoom_in", GENTLE, "default")
    return Motion(kind, _strength_in(hint or ""), "hint")


_SLOWLY = r"(slowly |gently |slightly )?"
_TOWARDS = r"(to the |to |towards? the |(pan|track|mov|truck|slid)\w* )"
_LIFT = r"(pan|tilt|mov|crane|boom|pedestal|look)\w* "

# Looked for in this order: "pan from left to right" goes right, "zoom out to the left" zooms, "hold on her" holds.
HINTS: tuple[tuple[str, str], ...] = (
    ("orbit", rf"orbit\w*|arc(s|ing)?|circl\w+|revolv\w+|(turn|mov)\w* {_SLOWLY}around"),
    ("zoom_out", rf"zoom\w* {_SLOWLY}(back|out)|pull\w*([ -](back|out|away))?|widen\w*|reveal\w*"),
    ("zoom_out", rf"(dolly|dollies|track\w*|mov\w+|crane\w*) {_SLOWLY}(back|out|away)\w*"),
    ("zoom_in", r"zoom\w*|push\w*([ -]in)?|close[ -]?in|closing in|dolly|dollies|approach\w*"),
    ("zoom_in", rf"(track|mov|creep)\w* {_SLOWLY}(in|into|forwards?|closer|towards?(?! the (left|right)))"),
    ("pan_right", rf"left to right|from (the )?left|{_TOWARDS}{_SLOWLY}right(wards?)?|rightwards?"),
    ("pan_left", rf"right to left|from (the )?right|{_TOWARDS}{_SLOWLY}left(wards?)?|leftwards?"),
    ("pan_up", rf"{_LIFT}{_SLOWLY}up(wards?)?|upwards?|bottom to top|ris(es?|ing)|ascend\w*"),
    ("pan_down", rf"{_LIFT}{_SLOWLY}down(wards?)?|downwards?|top to bottom|descend\w*|lower(s|ing)"),
    ("hold", r"hold\w*|static|still|fixed|locked([ -](off|down))?|motionless|tripod|stationary"),
    ("hold", r"no (camera )?(move\w*|motion)"),
    ("pan_right", r"pan(s|ning)?|track(s|ing)?|slid(es?|ing)|sweep\w*|right"),
    ("pan_left", r"left"),
    ("pan_up", r"tilt\w*|up"),
    ("pan_down", r"down"),
)


def kind_in(hint: str) -> str | None:
    """The move that free English text names, or None."""
    text = re.sub(r"[_\s]+", " ", hint.lower())
    return next((kind for kind, pattern in HINTS if re.search(rf"\b(?:{pattern})\b", text)), None)


def _strength_in(hint: str) -> float:
    text = hint.lower()
    if re.search(r"\b(slow|gentl|subtl|slight|soft|calm)\w*", text):
        return SLOW
    return FAST if re.search(r"\b(fast|quick|rapid|strong|dramatic|sudden|dynamic)\w*", text) else GENTLE
