"""Versions of a script: written by a model, cleaned, counted, and corrected until their length is right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator import asking, length
from orchestrator.item import Item
from orchestrator.languages import named, not_in
from orchestrator.making import Making
from orchestrator.spoken import spoken

CORRECTIONS = 3
"""How often a script of the wrong length is asked for again."""
REPEATED_WORDS = 5
"""A paragraph of more words that comes twice is a model running in circles, not a refrain."""


@dataclass(frozen=True)
class Draft:
    """One version of a script, as it would be spoken."""

    item: str
    paragraphs: list[str]
    words: int


def wish(making: Making) -> length.Wish:
    """The length that the script of this film should have."""
    return length.wish(making.profile["film"], making.source["language"])


def of_premise(making: Making) -> dict[str, str]:
    """What every prompt about the script says of the film."""
    names = ("title", "premise", "tone", "theme", "hook")
    idea = "\n".join(f"{name}: {making.premise[name]}" for name in names)
    return {
        "idea": asking.material("idea", idea),
        "audience": asking.material("audience", making.profile["film"]["audience"]),
        "language": named(making.source["language"]),
        "seconds": f"{making.profile['film']['target_s']:g}",
        **wish(making).in_words(),
    }


def write(making: Making, stage: str, name: str, prompt: str, values: Mapping[str, object]) -> list[Draft]:
    """The versions ``<name>-1``, ``<name>-2`` …: the first as ``prompt`` asks, then with its length corrected.

    The last one has the right length, or all corrections are used up.
    """
    wanted = wish(making)
    versions = [_draft(making, stage, f"{name}-1", prompt, values)]
    while len(versions) <= CORRECTIONS and not wanted.fits(versions[-1].words):
        last = versions[-1]
        correcting = {
            **of_premise(making),
            "script": asking.material("script", "\n\n".join(last.paragraphs)),
            "now": length.said(last.words, wanted.language),
            "now_each": length.per_paragraph(last.paragraphs, wanted.language),
            "correction": length.correction(last.words, wanted),
        }
        versions.append(_draft(making, stage, f"{name}-{len(versions) + 1}", "script_length", correcting))
    return versions


def _draft(making: Making, stage: str, name: str, prompt: str, values: Mapping[str, object]) -> Draft:
    language = making.source["language"]
    item = asking.ask(making, stage, name, prompt, values, check=lambda answer: faults(answer, language), like="script")
    paragraphs, removed = spoken(item.output["json"]["paragraphs"])
    if removed:
        message = f"Not spoken, and taken out of {stage}/{name}: {', '.join(removed)}."
        item.warnings.append(making.run.warn(stage, item.name, "additions_removed", message))
    return Draft(item.name, paragraphs, length.of(paragraphs, language))


def faults(answer: Mapping[str, Any], language: str) -> list[str]:
    """What makes a script useless though it keeps its schema."""
    paragraphs, _ = spoken(answer["paragraphs"])
    if not paragraphs:
        return ["there is no text to be spoken in it"]
    found = []
    if why := not_in("\n".join(paragraphs), language):
        found.append(f"the script is in the wrong language: {why}")
    long = [each.casefold() for each in paragraphs if length.count(each, language) > REPEATED_WORDS]
    if len(set(long)) < len(long):
        found.append("a paragraph occurs twice")
    return found


def nearest(versions: Sequence[Draft], wanted: length.Wish) -> Draft:
    """The version nearest to its length, the first of equals."""
    return min(versions, key=lambda draft: abs(draft.words - wanted.words))


def warn_of(making: Making, stage: str, item: Item, words: int, wanted: length.Wish) -> None:
    """Say so where even the nearest version has not the length that was asked for."""
    if wanted.fits(words):
        return
    film = making.profile["film"]
    message = (
        f"The script has {length.said(words, wanted.language)} where "
        f"{length.said(wanted.words, wanted.language)} ±{length.TOLERANCE:.0%} were asked for, after {CORRECTIONS} "
        f"corrections: about {words * 60 / film['words_per_minute']:.0f} s instead of {film['target_s']:g} s. "
        f"Shorten or lengthen {stage}/{item.name}/{item.name}.json by hand, or take a larger model."
    )
    item.warnings.append(making.run.warn(stage, item.name, "length_missed", message))
