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
ORBIT_CLOSES_IN = 0.25  # share of the zoom; the rest is room for the bow
ORBIT_DIP = 0.2  # depth of the bow, of the room up and down

Part = tuple[float, float, float, float]


@dataclass(frozen=True)
class Motion:
    """A move, its strength 0..1 and where it came from: motion, hint, camera_angle or default."""

    kind: str
    strength: float
    chosen_by: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def zoom(self) -> float:
        """The closest view's magnification, 1 or more."""
        return 1.0 if self.kind == "hold" else 1 + (FULL_ZOOM - 1) * self.strength

    @property
    def extent(self) -> tuple[float, float]:
        """Width and height of the still in those of the closest view: a pan needs room only along its way."""
        if self.kind in {"pan_left", "pan_right"}:
            return self.zoom, 1.0
        return (1.0, self.zoom) if self.kind in {"pan_up", "pan_down"} else (self.zoom, self.zoom)


def eased(t: float) -> float:
    """Progress 0..1 of a move at time 0..1: half a cosine wave, at rest at both ends.

    Smootherstep rests longer: it would stand nearly still for a tenth of a clip on either side of every cut.
    """
    return (1 - math.cos(math.pi * t)) / 2


def part_at(motion: Motion, frame: int, num_frames: int) -> Part:
    """What frame ``frame`` (0-based) of ``num_frames`` shows; a single frame shows the start."""
    return part(motion, eased(frame / (num_frames - 1)) if num_frames > 1 else 0.0)


def part(motion: Motion, progress: float) -> Part:
    """What is seen after ``progress`` (0..1) of the way."""
    size, x, y = _view(motion, progress)
    wide, high = motion.extent
    width, height = size / wide, size / high
    left, top = (1 - width) * x, (1 - height) * y
    return max(0.0, left), max(0.0, top), min(1.0, left + width), min(1.0, top + height)


def _view(motion: Motion, progress: float) -> tuple[float, float, float]:
    """Size of the view, 1 (closest) or more, and where it lies in the room left, 0 (left, top) to 1 (right, bottom)."""
    ahead, back = progress, 1 - progress
    if motion.kind == "zoom_in":
        return motion.zoom**back, 0.5, 0.5  # a power, so that the picture grows by the same share in every step
    if motion.kind == "zoom_out":
        return motion.zoom**ahead, 0.5, 0.5
    if motion.kind == "orbit":
        # A bow from left to right that dips halfway, closing in a little all along. The room counted is that of the
        # first, widest view, so that the bow keeps its shape while the view narrows.
        size = motion.zoom ** (ORBIT_CLOSES_IN * back)
        room = (motion.zoom - motion.zoom**ORBIT_CLOSES_IN) / (motion.zoom - size) if size < motion.zoom else 0.0
        across = 2 * progress - 1
        return size, 0.5 + 0.5 * room * across, 0.5 + ORBIT_DIP * room * (1 - across**2)
    x, y = {"pan_left": (back, 0.5), "pan_right": (ahead, 0.5), "pan_up": (0.5, back), "pan_down": (0.5, ahead)}.get(
        motion.kind, (0.5, 0.5)
    )
    return 1.0, x, y


def choose(motion: dict[str, Any] | None, hint: str | None, *, angle: str | None = None) -> Motion | None:
    """The move to make: ``motion`` before ``hint`` before ``angle``; None where none of them names one."""
    if motion is not None:
        return Motion(motion["kind"], float(motion["strength"]), "motion")
    for text, chosen_by in ((hint or "", "hint"), (angle or "", "camera_angle")):
        kind = kind_in(text)
        if kind is not None:
            return Motion(kind, _strength_in(text), chosen_by)
    return None


def unasked(before: Motion | None = None) -> Motion:
    """A gentle move where none was asked for: a zoom in; behind another move one that differs from it."""
    kinds = ("zoom_in", "zoom_out", "pan_right", "pan_left")
    kind = "zoom_in" if before is None or before.kind not in kinds else kinds[(kinds.index(before.kind) + 1) % 4]
    return Motion(kind, GENTLE, "default")


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


FRAMINGS = re.compile(r"\b(close[ -]?ups?|up close|dutch[ -]tilts?)\b")
"""They name what is seen, not a move, whatever words of moves are in them."""


def kind_in(hint: str) -> str | None:
    """The move that free English text names, or None."""
    text = FRAMINGS.sub(" ", re.sub(r"[_\s]+", " ", hint.lower()))
    return next((kind for kind, pattern in HINTS if re.search(rf"\b(?:{pattern})\b", text)), None)


def _strength_in(hint: str) -> float:
    text = hint.lower()
    if re.search(r"\b(slow|gentl|subtl|slight|soft|calm)\w*", text):
        return SLOW
    return FAST if re.search(r"\b(fast|quick|rapid|strong|dramatic|sudden|dynamic)\w*", text) else GENTLE
