"""What a storyboard panel shows, read from words in any language: a mood, a place, a few things, some pictograms."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from engines.image_generation._concepts import concepts
from engines.image_generation._words import Named, lexicon_of, read_words

Rgb = tuple[float, float, float]


@dataclass(frozen=True)
class Palette:
    """Colours of a mood: the sky from the top down, the light in it, the farthest and the nearest ground, an accent."""

    sky: tuple[Rgb, Rgb, Rgb]
    light: Rgb
    far: Rgb
    near: Rgb
    accent: Rgb


@dataclass(frozen=True)
class Scene:
    """One of MOODS, one of PLACES, names of things in the landscape, and the pictograms before it, main one first."""

    mood: str
    place: str
    things: frozenset[str] = frozenset()
    pictograms: tuple[str, ...] = ()


def rgb(color: str) -> Rgb:
    """Six hexadecimal digits as a colour."""
    return int(color[0:2], 16), int(color[2:4], 16), int(color[4:6], 16)


def _palette(*colors: str) -> Palette:
    values = [rgb(color) for color in colors]
    return Palette((values[0], values[1], values[2]), *values[3:])


MOODS: dict[str, Palette] = {
    #                   sky: top, middle, horizon     light     far       near      accent
    "dawn": _palette("6f86b8", "e9b3ac", "fde0b8", "fff3d6", "c39cae", "3f3a5c", "f0a08a"),
    "day": _palette("4d9cd3", "9ed3e8", "eef5e3", "fffbe3", "a5cdbb", "2b6650", "f2b544"),
    "dry": _palette("e3a35c", "f3c988", "fdebc4", "fffaf0", "dcae74", "6f3f22", "b5562f"),
    "sunset": _palette("3d2f63", "cc5a6c", "ffbd78", "ffedc2", "96557a", "26193a", "ff8a5b"),
    "dusk": _palette("27345f", "77699b", "eab39b", "ffe9cf", "71688f", "1c2140", "f3c47a"),
    "night": _palette("0a1433", "1b2f5e", "48689a", "f6f2dc", "35507f", "070d20", "ffd27a"),
    "storm": _palette("26344a", "506a7c", "b0bcb4", "f1f0dc", "5f7783", "14202b", "f0c987"),
    "winter": _palette("86aeca", "c5dae6", "f3f1ec", "fffdf4", "b4c6d6", "eef4f8", "d9704a"),
    "spring": _palette("58b3da", "b4e0e2", "fbf6dc", "fffbe3", "b5d9a3", "357d46", "f07fa0"),
    "mist": _palette("8fb3ab", "c3d8cb", "eef2df", "fffdf0", "a4c3b4", "1c4438", "e8c05a"),
}

PLACES = ("sea", "room", "desert", "city", "forest", "mountains", "garden", "fields", "river", "lake", "hills")
PLACE_OF: Mapping[str, str] = {
    **{place: place for place in PLACES},
}
"""Concept -> place."""
HOURS: Mapping[str, str] = {"night": "night", "moon": "night", "⭐": "night", "dawn": "dawn", "day": "day",
                            "sunset": "sunset", "dusk": "dusk"}  # fmt: skip
"""Concept -> mood, by the time of day; at night no other mood is seen."""
PASSING = frozenset({"rain", "storm", "moon", "⭐"})
"""What the opening of a story may name without all of it being so."""
WEATHER: Mapping[str, str] = {"storm": "storm", "rain": "storm", "snow": "winter", "winter": "winter", "dry": "dry",
                              "spring": "spring", "mist": "mist"}  # fmt: skip
"""Concept -> mood, by weather and season."""
THINGS: Mapping[str, tuple[str, ...]] = {
    "rain": ("rain", "clouds"), "storm": ("rain", "clouds", "lightning", "wild"), "snow": ("snowfall",),
    "clouds": ("clouds",), "road": ("path",), "village": ("house", "many"), "well": ("well",),
    "lighthouse": ("lighthouse",), "flowers": ("flowers",), "garden": ("flowers",), "spring": ("flowers",),
    "🏠": ("house",), "🏡": ("house",), "🏘": ("house", "many"), "🏰": ("castle",), "🌳": ("trees",), "🌲": ("trees",),
    "🐦": ("flock",), "🌷": ("flowers",), "🌹": ("flowers",), "⛵": ("boat",),
}  # fmt: skip
"""Concept -> what the landscape has of it, where it is no pictogram."""
LANDMARKS = frozenset({"lighthouse", "well", "castle", "house", "many"})
"""What a story's own place keeps in every shot."""

OUTRIGHT = 3  # how many suggestions a plain word outweighs
MOST_PICTOGRAMS = 3
LIVING = frozenset({"person", "head", "beast", "flyer", "swimmer"})
"""Kinds that a sentence is more likely about than about others."""

_FREE_MOODS = ("dawn", "day", "sunset", "spring", "mist", "dusk")
_FREE_PLACES = ("hills", "mountains", "fields", "lake", "forest")


def read_scene(prompt: str, language: str | None = None, setting: str | None = None) -> Scene:
    """The scene of a prompt.

    Of several moods or places the one named most often, then first. Where the prompt names none, or only suggests one,
    it is the setting's; where the setting names none either, one drawn by lot, the same for the same setting. Where a
    prompt names nobody, the setting's first figure is seen.
    """
    language = lexicon_of(language, f"{setting or ''}\n{prompt}")
    named = read_words(prompt, language)
    frame = read_words(setting, language) if setting else []
    chance = hashlib.sha256(" ".join((setting or prompt).casefold().split()).encode()).digest()
    place = _place(named, outright=bool(setting)) or _place(frame)
    lasting = [name for name in frame if name.denied or name.concept not in PASSING]
    mood = _mood(named, outright=bool(setting)) or _mood(lasting)
    at_home = not _place(named, outright=True) or _place(named, outright=True) == _place(frame)
    place = place or _FREE_PLACES[chance[1] % len(_FREE_PLACES)]
    pictograms = _pictograms(named, frame, indoors=place == "room")
    things = _things(named) | (_things(frame) & LANDMARKS if at_home else set())
    shown = {thing for pictogram in pictograms for thing in THINGS.get(pictogram, ())} - {"trees", "flowers"}
    return Scene(mood or _FREE_MOODS[chance[0] % len(_FREE_MOODS)], place, frozenset(things - shown), pictograms)


def _place(named: Iterable[Named], *, outright: bool = False) -> str | None:
    return _most_named(((PLACE_OF.get(name.concept), name) for name in named), outright)


def _mood(named: list[Named], *, outright: bool = False) -> str | None:
    """By the hour if it is night, else by the weather, else by the hour. What denies rain makes it dry."""
    hour = _most_named(((HOURS.get(name.concept), name) for name in named), outright)
    weather = _most_named(((WEATHER.get(name.concept), name) for name in named), outright)
    if weather in {None, "spring"} and any(name.denied and name.concept == "rain" for name in named):
        weather = "dry"
    return hour if hour == "night" else weather or hour


def _most_named(votes: Iterable[tuple[str | None, Named]], outright: bool) -> str | None:
    """The choice with most votes, the first of equals; with ``outright`` only plain words count."""
    counts: dict[str, int] = {}
    for choice, name in votes:
        if choice and not name.denied and (name.outright or not outright):
            counts[choice] = counts.get(choice, 0) + (OUTRIGHT if name.outright else 1)
    return max(counts, key=lambda choice: counts[choice], default=None)


def _things(named: Iterable[Named]) -> set[str]:
    return {thing for name in named if name.outright and not name.denied for thing in THINGS.get(name.concept, ())} - {
        thing for name in named if name.denied for thing in THINGS.get(name.concept, ())
    }


def _pictograms(named: list[Named], frame: list[Named], *, indoors: bool) -> tuple[str, ...]:
    """At most three, the main one first: named often, alive, a figure of the story, named early."""
    known, denied = concepts(), {name.concept for name in named if name.denied}
    familiar = {name.concept for name in frame if name.outright}
    scores: dict[str, float] = {}
    for number, name in enumerate(named):
        house = name.concept in known and known[name.concept].kind == "house"
        if name.concept in known and name.outright and name.concept not in denied and not (house and indoors):
            first = 1.0 + (known[name.concept].kind in LIVING) + 0.5 * (name.concept in familiar) - 0.01 * number
            scores[name.concept] = scores.get(name.concept, first) + 0.4
    chosen = sorted(scores, key=lambda concept: -scores[concept])[:MOST_PICTOGRAMS]
    hinted = [name.concept for name in named if name.concept in known and not name.denied]
    alive = [concept for concept in (name.concept for name in frame if name.outright) if
             concept in known and known[concept].kind in LIVING and concept not in denied]  # fmt: skip
    if not chosen:
        return tuple((alive or hinted)[:1])
    if not any(known[concept].kind in LIVING for concept in chosen):
        chosen += alive[:1]  # the story's figure looks on
    return tuple(chosen[:MOST_PICTOGRAMS])
