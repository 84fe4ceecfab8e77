"""What a storyboard panel shows, read from the words of its prompt: a mood, a place and a few things.

English words are known; a text that names none gets a mood and a place by its hash, always the same ones.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

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
    """One of MOODS, one of PLACES and the names of THINGS to add."""

    mood: str
    place: str
    things: frozenset[str]


def _palette(*colors: str) -> Palette:
    rgb: list[Rgb] = [(int(c[0:2], 16), int(c[2:4], 16), int(c[4:6], 16)) for c in colors]
    return Palette((rgb[0], rgb[1], rgb[2]), *rgb[3:])


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

MOOD_WORDS: dict[str, str] = {  # before the bar what says it outright, after it what only suggests it
    "storm": (
        "storm stormy thunder lightning tempest rain rainy rained | wild rage furious angry grey gray battle war fear "
        "afraid danger"
    ),
    "night": "night midnight moonlit starry | dark darkness moonlight moon stars star sleep asleep dream owl lantern",
    "sunset": "sunset evening | farewell goodbye end ended ending dragon fire burning",
    "dusk": "dusk twilight | lonely alone sad sorrow tears wept cried lost quiet silence shadow",
    "dawn": "dawn morning sunrise | early awoke woke wake begin began hope hopeful new tomorrow",
    "winter": "winter snow snowy snowed blizzard christmas | ice icy frost frozen cold arctic",
    "dry": (
        "dry drought desert parched | thirst thirsty dust dusty hot heat scorching sand sandy savanna autumn harvest "
        "barren"
    ),
    "spring": "spring | garden flower flowers blossom bloom meadow green grass butterfly happy joy laughed smiled",
    "mist": "mist misty fog foggy | forest woods jungle swamp mystery secret ancient old magic",
    "day": "day noon summer | sun sunny bright blue sky sea ocean river island",
}
OUTRIGHT = 3  # how many suggestions a plain word outweighs

PLACE_WORDS: dict[str, str] = {
    "sea": (
        "sea ocean wave waves ship boat sail sailed sailor lighthouse coast shore harbour harbor island whale "
        "fisherman beach captain"
    ),
    "room": (
        "room kitchen bedroom bed inside indoors table desk window classroom school library office shop fireplace "
        "hall attic stove"
    ),
    "desert": "desert dune dunes sand sandy camel oasis pyramid sahara",
    "city": (
        "city town street streets building buildings skyscraper market crowd traffic apartment factory metropolis "
        "downtown"
    ),
    "forest": "forest forests wood woods jungle trees wolf deer bear fox thicket grove owl",
    "mountains": "mountain mountains peak summit cliff cliffs valley climb climbed canyon eagle dragon glacier volcano",
    "garden": "garden gardens flower flowers blossom orchard roses hedge bee butterfly park",
    "fields": (
        "field fields farm farmer harvest wheat corn barley crop crops plough plow village countryside meadow "
        "pasture sheep cow"
    ),
    "lake": "lake pond river stream brook water swamp frog duck swan bridge fish waterfall",
    "hills": "hill hills grass road path journey travel walked horse shepherd kingdom land plain plains",
}

THING_WORDS: dict[str, str] = {
    "flock": "birds crows gulls seagulls geese flock swallows pigeons doves ravens",
    "bird": "bird crow raven eagle hawk owl swan dove sparrow gull seagull falcon goose flew flies flying wings",
    "lighthouse": "lighthouse beacon",
    "boat": "boat ship sail sailed sailor captain fisherman harbour harbor voyage raft",
    "house": "house home cottage hut cabin farm barn farmer village town inn mill grandmother family",
    "castle": "castle palace tower king queen prince princess kingdom knight fortress",
    "trees": "tree trees oak pine orchard forest woods branch apple leaf leaves",
    "rain": "rain rainy rained storm stormy thunder downpour drizzle wet tempest",
    "lightning": "lightning thunder",
    "snowfall": "snow snowy snowed blizzard snowflake snowflakes christmas",
    "flowers": "flower flowers blossom bloom roses tulip garden meadow spring",
    "clouds": "cloud clouds cloudy sky wind windy storm rain heaven",
    "path": "path road way journey travel walk walked walking traveller traveler street trail",
    "well": "well",
    "many": "village town villagers neighbours neighbors",
    "wild": "wild storm stormy tempest rage raging rough furious angry",
    "unlit": "dark unlit blind extinguished",
}

_FREE_MOODS = ("dawn", "day", "sunset", "spring", "mist", "dusk")
_FREE_PLACES = ("hills", "mountains", "fields", "lake", "forest")


def read_scene(prompt: str) -> Scene:
    """The scene that a prompt's words name; of several moods or places the one named most often, then first."""
    words = re.findall(r"[^\W\d_]+", prompt.casefold())
    chance = hashlib.sha256(" ".join(words).encode()).digest()
    mood = _most_named(words, MOOD_WORDS) or _FREE_MOODS[chance[0] % len(_FREE_MOODS)]
    place = _most_named(words, PLACE_WORDS) or _FREE_PLACES[chance[1] % len(_FREE_PLACES)]
    if "night" in words or "midnight" in words:
        mood = "night"  # whatever else goes on, it is dark
    return Scene(mood, place, frozenset(name for name, known in THING_WORDS.items() if set(known.split()) & set(words)))


def _most_named(words: list[str], table: dict[str, str]) -> str | None:
    counts: dict[str, int] = {}
    for word in words:  # in their order, so that of equals the first named wins
        for name, known in table.items():
            outright, bar, suggesting = known.partition("|")
            if word in outright.split():
                counts[name] = counts.get(name, 0) + (OUTRIGHT if bar else 1)
            elif word in suggesting.split():
                counts[name] = counts.get(name, 0) + 1
    return max(counts, key=lambda name: counts[name], default=None)
