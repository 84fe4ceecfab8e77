"""What a storyboard panel shows, read from words in any language: a mood, a place, a few things, some pictograms."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from engines.image_generation._cast import Cast, is_living, read_cast
from engines.image_generation._concepts import concept_of
from engines.image_generation._words import Named, lexicon_of, read_words
from runtime.errors import WorkerError

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

    def as_json(self) -> dict[str, Any]:
        """As ``read_scenes`` gives it and ``generate`` takes it."""
        return {**asdict(self), "things": sorted(self.things), "pictograms": list(self.pictograms)}


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
SEASONS = frozenset({"winter", "dry", "spring"})
"""Moods that last longer than a day."""
THINGS: Mapping[str, tuple[str, ...]] = {
    "rain": ("rain", "clouds"), "storm": ("rain", "clouds", "lightning", "wild"), "snow": ("snowfall",),
    "clouds": ("clouds",), "moon": ("moon",), "dry": ("drought",), "road": ("path",),
    "village": ("house", "many"), "well": ("well",),
    "lighthouse": ("lighthouse",), "flowers": ("flowers",), "garden": ("flowers",), "spring": ("flowers",),
    "🏠": ("house",), "🏡": ("house",), "🏘": ("house", "many"), "🏰": ("castle",), "🌳": ("trees",), "🌲": ("trees",),
    "🐦": ("flock",), "🌷": ("flowers",), "🌹": ("flowers",), "⛵": ("boat",),
}  # fmt: skip
"""Concept -> what the landscape has of it, where it is no pictogram."""
LANDMARKS = frozenset({"lighthouse", "well", "castle", "house", "many", "drought"})
"""What a story's own place keeps in every shot."""

OUTRIGHT = 3  # how many suggestions a plain word outweighs
MOST_PICTOGRAMS = 3

_FREE_MOODS = ("dawn", "day", "sunset", "spring", "mist", "dusk")
_FREE_PLACES = ("hills", "mountains", "fields", "lake", "forest")


def read_scene(
    prompt: str,
    language: str | None = None,
    setting: str | None = None,
    story: str | None = None,
    hour: str | None = None,
) -> Scene:
    """The scene of a prompt.

    Of several moods or places the one named most often, then first. Where the prompt names none, or only suggests one,
    it is the setting's; where the setting names none either, one drawn by lot, the same for the same setting. The hour
    is ``hour``, one of HOURS' moods, until a prompt names another. Where a prompt names nobody, the one is seen whom
    its *he* or *she* can mean, or the figure that the story, its title in the first line, names most; the setting does
    for a story.
    """
    language = lexicon_of(language, story or f"{setting or ''}\n{prompt}")
    cast = read_cast(story or setting or "", language)
    named = cast.of(prompt) + read_words(prompt, language)
    frame = read_words(setting, language) if setting else []
    chance = hashlib.sha256(" ".join((setting or prompt).casefold().split()).encode()).digest()
    place = _place(named, outright=bool(setting)) or _place(frame)
    lasting = [name for name in frame if name.denied or name.concept not in PASSING]
    mood = _mood(named, hour, _mood(lasting), outright=bool(setting))
    at_home = not _place(named, outright=True) or _place(named, outright=True) == _place(frame)
    place = place or _FREE_PLACES[chance[1] % len(_FREE_PLACES)]
    pictograms = _pictograms(named, cast, cast.meant(prompt, language), indoors=place == "room")
    things = _things(named) | (_things(frame) & LANDMARKS if at_home else set())
    shown = {thing for pictogram in pictograms for thing in THINGS.get(pictogram, ())} - {"trees", "flowers"}
    return Scene(mood or _FREE_MOODS[chance[0] % len(_FREE_MOODS)], place, frozenset(things - shown), pictograms)


def read_scenes(
    prompts: Sequence[str], language: str | None, setting: str, story: str, check: Callable[[], None] = lambda: None
) -> tuple[str, list[Scene]]:
    """(language, the scenes of a story's prompts): an hour that one names holds until another does.

    ``check`` is called before each and may raise.
    """
    language = lexicon_of(language, story or "\n".join([setting, *prompts]))
    hour, scenes = None, []
    for prompt in prompts:
        check()
        scenes.append(read_scene(prompt, language, setting or None, story or None, hour))
        hour = hour_named(prompt, language) or hour
    return language, scenes


def given_scene(given: Mapping[str, Any]) -> Scene:
    """A scene as JSON has it. Raises WorkerError ``invalid_request`` for what cannot be drawn."""
    for name, known in (("mood", MOODS), ("place", PLACES)):
        if given[name] not in known:
            raise _not_drawable(name, f"{given[name]!r}; allowed: {', '.join(known)}")
    if unknown := [each for each in given["pictograms"] if concept_of(each) is None]:
        raise _not_drawable("pictograms", f"{', '.join(map(repr, unknown))}, which is no emoji that can be drawn")
    return Scene(given["mood"], given["place"], frozenset(given["things"]), tuple(given["pictograms"]))


def _not_drawable(member: str, why: str) -> WorkerError:
    return WorkerError(
        "invalid_request", f"engine_options.scene.{member} is {why}.", pointer=f"/engine_options/scene/{member}"
    )


def _place(named: Iterable[Named], *, outright: bool = False) -> str | None:
    return _most_named(((PLACE_OF.get(name.concept), name) for name in named), outright)


def _mood(
    named: list[Named], held: str | None = None, setting: str | None = None, *, outright: bool = False
) -> str | None:
    """By the hour if it is night, else by the weather, else by the hour. What denies rain makes it dry.

    ``held`` is the hour so far, ``setting`` the mood where nothing else is told. A season stays by day.
    """
    hour = _most_named(((HOURS.get(name.concept), name) for name in named), outright)
    weather = _most_named(((WEATHER.get(name.concept), name) for name in named), outright)
    if weather in {None, "spring"} and any(name.denied and name.concept == "rain" for name in named):
        weather = "dry"
    if "night" in {hour, None if hour else held}:
        return "night"
    hour = hour or held
    if weather or not hour:
        return weather or setting
    return setting if hour in {"dawn", "day"} and setting in SEASONS else hour


def hour_named(text: str, language: str) -> str | None:
    """The last hour that a text names; what may pass at night, such as a star, is none."""
    hours = [
        HOURS[name.concept]
        for name in read_words(text, language)
        if name.concept in HOURS and name.concept not in PASSING and name.outright and not name.denied
    ]
    return hours[-1] if hours else None


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


def _pictograms(named: list[Named], cast: Cast, meant: str | None, *, indoors: bool) -> tuple[str, ...]:
    """At most three, the main one first: named often, alive, a figure of the story, named early.

    ``meant`` is who else is there where nobody is named.
    """
    denied = {name.concept for name in named if name.denied}
    scores: dict[str, float] = {}
    for number, name in enumerate(named):
        concept = concept_of(name.concept)
        hidden = concept is None or name.concept in denied or (concept.kind == "house" and indoors)
        if name.outright and not hidden:
            first = 1.0 + is_living(name.concept) + 0.5 * (name.concept in cast.figures) - 0.01 * number
            scores[name.concept] = scores.get(name.concept, first) + 0.4
    chosen = sorted(scores, key=lambda concept: -scores[concept])[:MOST_PICTOGRAMS]
    if not any(map(is_living, chosen)) and meant and meant not in denied:
        chosen = [*chosen[: MOST_PICTOGRAMS - 1], meant]  # the story's figure looks on
    return tuple(chosen)
