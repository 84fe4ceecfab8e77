"""Stage 1: from an idea to a premise: three are proposed, scored, and the best is kept. A story needs none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator import asking, length, scoring
from orchestrator.errors import StorygenError
from orchestrator.item import Item
from orchestrator.languages import named, not_in
from orchestrator.making import Making
from orchestrator.stages.collect import LANGUAGE_TAG, short

VERSION = "1"
PROPOSALS = 3
TEXTS = ("premise", "tone", "theme", "hook")
SHAPE = {"title": "", "language": "", **dict.fromkeys(TEXTS, ""), "score": 0.0}
SHAPE |= {"proposals": [{"titles": [""], "premise": "", "score": 0.0}]}
"""What every idea has, an edited one too."""
UNKNOWN_LANGUAGE = "the language that the idea itself is written in, unless it asks for another"


def make(making: Making) -> str | None:
    """Keep the best of three ideas; title and language of the film are its."""
    if making.idea is None:
        return "the story's own text is told"
    item = making.as_stored("idea", "idea", SHAPE) or _thought_of(making)
    making.premise = item.document()
    known = {"title": making.premise["title"], "language": _language(making.premise), "language_given": True}
    making.source = {**making.source, **known}
    proposals = [
        {"title": each["titles"][0], "premise": each["premise"], "score": each["score"]}
        for each in making.premise["proposals"]
    ]
    told = {name: making.premise[name] for name in ("title", *TEXTS, "language", "score")}
    making.writing["idea"] = {**told, "proposals": proposals, "edited": item.edited}
    return None


def _thought_of(making: Making) -> Item:
    """The item of the best idea: two questions to the model, and the arithmetic."""
    film, given = making.profile["film"], making.source["language"]
    making.run.report.stage_items("idea", 3)
    wanted = {
        "idea": asking.material("idea", str(making.idea)),
        "audience": asking.material("audience", film["audience"]),
        "seconds": f"{film['target_s']:g}",
        "length": length.wish(film, given or "en").in_words()["length"],
        "language": named(given) if given else UNKNOWN_LANGUAGE,
    }
    proposed = asking.ask(
        making, "idea", "ideas", "idea", wanted, check=lambda answer: proposal_faults(answer, given)
    ).output["json"]
    ideas, language = proposed["ideas"], given or proposed["language"]
    scored = asking.ask(
        making,
        "idea",
        "scores",
        "idea_scores",
        {**wanted, "ideas": asking.material("ideas", _listed(ideas)), "language": named(language)},
        check=score_faults,
    ).output["json"]
    inputs: dict[str, Any] = {"ideas": ideas, "scores": scored["scores"], "language": language}
    return making.run.rule("idea", "idea", VERSION, inputs, lambda: best(**inputs))


def best(ideas: Sequence[Mapping[str, Any]], scores: Sequence[Mapping[str, Any]], language: str) -> dict[str, Any]:
    """The idea with the highest weighted score, the first of equals, and all of them with their scores."""
    by_number = {score["idea"]: {name: score[name] for name in scoring.IDEA} for score in scores}
    proposals = [
        {**idea, "scores": by_number[number], "score": scoring.weighted(by_number[number], scoring.IDEA)}
        for number, idea in enumerate(ideas, 1)
    ]
    kept = max(proposals, key=lambda each: each["score"])
    return {
        "title": short(kept["titles"][0].strip()),
        "language": language,
        **{name: kept[name].strip() for name in TEXTS},
        "titles": kept["titles"],
        "score": kept["score"],
        "proposals": proposals,
    }


def proposal_faults(answer: Mapping[str, Any], language: str | None) -> list[str]:
    """What makes proposals useless though they keep their schema; ``language`` is the one that was given."""
    faults = []
    ideas = answer["ideas"]
    if language is None and not LANGUAGE_TAG.fullmatch(answer["language"]):
        faults.append(f"language is {answer['language']!r}; it must be a tag such as en or cs")
    for number, idea in enumerate(ideas, 1):
        texts = {**{name: idea[name] for name in TEXTS}, "titles": idea["titles"][0]}
        faults += [f"{name} of idea {number} is empty" for name, text in texts.items() if not _has_words(text)]
        if why := not_in(f"{idea['premise']} {idea['hook']}", language or answer["language"]):
            faults.append(f"idea {number} is in the wrong language: {why}")
    for what, texts_of in (
        ("title", [idea["titles"][0] for idea in ideas]),
        ("premise", [i["premise"] for i in ideas]),
    ):
        if len({text.strip().casefold() for text in texts_of}) < len(ideas):
            faults.append(f"two ideas have the same {what}; they must differ")
    return faults


def score_faults(answer: Mapping[str, Any]) -> list[str]:
    """What makes scores useless though they keep their schema."""
    numbers = sorted(score["idea"] for score in answer["scores"])
    if numbers != list(range(1, PROPOSALS + 1)):
        return [f"the scores are for the ideas {numbers}; each of 1 to {PROPOSALS} must be scored once"]
    return scoring.wrong_scale(answer["scores"], scoring.IDEA)


def _has_words(text: str) -> bool:
    return any(map(str.isalnum, text))


def _listed(ideas: Sequence[Mapping[str, Any]]) -> str:
    return "\n\n".join(
        f"Idea {number}: {idea['titles'][0]}\n" + "\n".join(f"{name}: {idea[name]}" for name in TEXTS)
        for number, idea in enumerate(ideas, 1)
    )


def _language(premise: Mapping[str, Any]) -> str:
    """The film's language. Raises StorygenError ``invalid_request`` for a premise edited to something else."""
    language = str(premise["language"])
    if not LANGUAGE_TAG.fullmatch(language):
        raise StorygenError(
            "invalid_request",
            f"idea/idea.json says language {language!r}.",
            "Write a language tag such as en, cs or pt-BR.",
        )
    return language
