"""Stage 3: an idea's script is scored and rewritten as long as that helps. A user's own text is told as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator import asking, drafts, length, scoring
from orchestrator.item import Item
from orchestrator.making import Making
from orchestrator.stages.script import SHAPE, hold_lines, lines, take

VERSION = "1"
ROUNDS = 3
ENOUGH = 80.0
"""A weighted score that needs no further round."""
LONGEST_NOTES = 5
TOLD = ("item", "words", "fits", "score", "scores", "notes")
LIKE = {**SHAPE, "kept": "", "score": 0.0, "versions": [dict.fromkeys(TOLD)]}
"""What every revision has, an edited one too."""


def make(making: Making) -> str | None:
    """Score the script, rewrite it up to three times, keep the best."""
    if making.idea is None:
        return "the user's text is told as it is written"
    if not asking.thinks(making.settings("revision")):
        return "revision.engine names no text model; the script is told as it was written"
    if making.script_edited:
        return "the script was edited by hand and is told as it is"
    item = making.as_stored("revision", "revision", LIKE) or _revised(making)
    hold_lines(item)
    document = item.document()
    take(making, document["lines"])
    making.writing["script"]["words"] = length.of(making.source["paragraphs"], making.source["language"])
    versions = [{name: version[name] for name in TOLD} for version in document["versions"]]
    making.writing["revision"] = {**{name: document[name] for name in ("kept", "score")}, "versions": versions}
    making.writing["revision"]["edited"] = item.edited
    return None


def _revised(making: Making) -> Item:
    """The item of the best version."""
    wanted = drafts.wish(making)
    paragraphs = list(making.source["paragraphs"])
    first = drafts.Draft("script", paragraphs, length.of(paragraphs, wanted.language))
    versions = [_scored(making, 0, first)]
    while versions[-1]["score"] < ENOUGH and len(versions) <= ROUNDS:
        number, before = len(versions), versions[-1]
        values = {
            **drafts.of_premise(making),
            "script": asking.material("script", "\n\n".join(before["paragraphs"])),
            "scores": ", ".join(f"{name} {score:g}" for name, score in before["scores"].items()),
            "notes": asking.material("notes", "\n".join(f"- {note}" for note in before["notes"])),
        }
        written = drafts.write(making, "revision", f"rewrite-{number}", "script_rewrite", values)
        versions.append(_scored(making, number, drafts.nearest(written, wanted)))
        if not gains(before, versions[-1]):
            break
    inputs: dict[str, Any] = {"versions": versions, "language": wanted.language}
    item = making.run.rule("revision", "revision", VERSION, inputs, lambda: best(**inputs))
    document = item.document()
    if document["kept"] != first.item and not item.edited:
        kept = next(version for version in versions if version["item"] == document["kept"])
        drafts.warn_of(making, "revision", item, kept["words"], wanted)
    return item


def _scored(making: Making, number: int, draft: drafts.Draft) -> dict[str, Any]:
    """A version with its scores: {item, paragraphs, words, fits, score, scores, notes}."""
    script = asking.material("script", "\n\n".join(draft.paragraphs))
    answer = asking.ask(
        making,
        "revision",
        f"scores-{number}",
        "script_scores",
        {**drafts.of_premise(making), "script": script},
        check=score_faults,
    ).output["json"]
    scores = {name: answer[name] for name in scoring.SCRIPT}
    return {
        "item": draft.item,
        "paragraphs": draft.paragraphs,
        "words": draft.words,
        "fits": drafts.wish(making).fits(draft.words),
        "score": scoring.weighted(scores, scoring.SCRIPT),
        "scores": scores,
        "notes": [note.strip() for note in answer["notes"] if note.strip()][:LONGEST_NOTES],
    }


def gains(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether a version is the better one: by its score, but not at the cost of its length."""
    return bool(after["score"] > before["score"] and (after["fits"] or not before["fits"]))


def best(versions: Sequence[Mapping[str, Any]], language: str) -> dict[str, Any]:
    """The document of the kept version: each one gained but the last, which did or did not."""
    kept = versions[0]
    for version in versions[1:]:
        kept = version if gains(kept, version) else kept
    return {
        "lines": lines(kept["paragraphs"], language),
        "kept": kept["item"],
        "score": kept["score"],
        "versions": list(versions),
    }


def score_faults(answer: Mapping[str, Any]) -> list[str]:
    """What makes scores useless though they keep their schema."""
    faults = scoring.wrong_scale([answer], scoring.SCRIPT)
    if not any(note.strip() for note in answer["notes"]) and scoring.weighted(answer, scoring.SCRIPT) < ENOUGH:
        faults.append("notes is empty; it must say what would make the script better")
    return faults
