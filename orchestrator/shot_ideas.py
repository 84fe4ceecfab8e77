"""What a text model thinks of a film's shots: after which captions to cut, and what each shot shows.

Nothing here decides: the cuts are made by the rules of the stage, and an idea is taken only if it can be drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, partial
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any

from orchestrator.asking import ask, schema
from orchestrator.errors import StorygenError
from orchestrator.item import Item
from orchestrator.making import Making
from orchestrator.motion import LONGEST_HOLD_S, REST_PACE, STRENGTH_PER_S
from orchestrator.visual_words import complaint, fault, fenced, plain

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

CUES_AT_ONCE = 80
"""Captions of one question: about four minutes, 2,000 tokens."""
SHOTS_AT_ONCE = 8
MOST_WORDS = {"description": 60, "prompt": 60, "mood": 6}
LEAST_COPY = 4
"""Words of narration that count as copied when they stand in a prompt; fewer may be the right words."""
STRENGTHS = {"slight": 0.4, "medium": 0.7, "strong": 1.0}
"""Shares of the farthest move that a shot's length allows."""
USUAL_ANGLE = "eye level"
"""Not worth a token: it is what models draw anyway."""

Shot = Mapping[str, Any]
Idea = Mapping[str, Any]


def document(item: Item) -> Any:
    """The JSON document of an answer; None where there is none, whatever its engine promised."""
    try:
        return item.output["json"]
    except KeyError:  # a plan's answer that is not there yet raises its own error
        return None


# Cuts


def cut_proposals(making: Making, texts: Sequence[str], ideal_s: float, bounds_s: tuple[float, float]) -> list[int]:
    """The cues, counted from 0, after which the model would change the picture; ``texts`` are the cues' words.

    Raises StorygenError, as any item does.
    """
    ends = [cue["end_s"] for cue in making.cues]
    blocks = [range(first, min(first + CUES_AT_ONCE, len(texts))) for first in range(0, len(texts), CUES_AT_ONCE)]
    found: list[int] = []
    for part, block in enumerate(blocks, 1):
        length = ends[block[-1]] - making.cues[block[0]]["start_s"]
        values = {
            "language": making.source["language"],
            "captions": _captions(making, texts, block),
            "ideal_s": f"{ideal_s:g}",
            "shortest_s": f"{bounds_s[0]:g}",
            "longest_s": f"{bounds_s[1]:g}",
            "length_s": round(length),
            "wanted": max(1, round(length / ideal_s)),
            "first": block[0] + 1,
            "last": block[-1] + 1,
        }
        numbers = {"type": "integer", "enum": [cue + 1 for cue in block]}
        item = ask(
            making,
            "scenes",
            f"cuts-{part}",
            "scenes-cuts",
            values,
            cut_after={"items": numbers, "maxItems": len(block)},
        )
        said = document(item)
        proposed = said.get("cut_after") if isinstance(said, Mapping) else None
        if not isinstance(proposed, list):
            message = "The model's answer names no captions to cut after; the rules alone cut this part."
            item.warnings.append(making.run.warn("scenes", item.name, "cuts_by_rules", message))
            continue
        found += [number - 1 for number in proposed if type(number) is int and number - 1 in block]
    return sorted(set(found))


def _captions(making: Making, texts: Sequence[str], block: range) -> str:
    """Number, end and words of each caption; an empty line parts paragraphs."""

    def paragraph(cue: int) -> Any:
        return making.lines[making.words[making.cues[cue]["words"][0]]["line"]]["paragraph"]

    rows = []
    for before, cue in pairwise([block[0], *block]):
        rows += [""] if paragraph(before) != paragraph(cue) else []
        rows.append(f"{cue + 1} | {making.cues[cue]['end_s']:.1f} | {fenced(texts[cue])}")
    return "\n".join(rows)


# Pictures


def picture_ideas(making: Making, shots: Sequence[Shot]) -> tuple[dict[int, Idea], list[str]]:
    """(what each shot shows, by its number; what is wrong with the one that is missing, if one is).

    Eight shots a question, all with the whole story. What cannot be drawn is asked for once more. Raises StorygenError
    ``unsupported_capability`` where more than one shot of a question still cannot be, and as any item does.
    """
    parts = [shots[first : first + SHOTS_AT_ONCE] for first in range(0, len(shots), SHOTS_AT_ONCE)]
    asked = {f"pictures-{number}": {shot["number"]: "" for shot in part} for number, part in enumerate(parts, 1)}
    ideas = _answers(making, shots, asked)
    wrong = faults(ideas, shots)
    again = {
        f"{name}-again": {number: wrong[number] for number in part if number in wrong} for name, part in asked.items()
    }
    ideas |= _answers(making, shots, {name: part for name, part in again.items() if part})
    wrong = faults(ideas, shots)
    for part in parts:
        bad = [f"Shot {shot['number']}: {wrong[shot['number']]}." for shot in part if shot["number"] in wrong]
        if len(bad) > 1:
            raise StorygenError(
                "unsupported_capability",
                f"The model of scenes, asked twice, described {len(bad)} of {len(part)} shots in a way that cannot be "
                f"drawn. {bad[0]}",
                "Use a larger model: --set scenes.model.id=…; or cut and describe by rules: --set scenes.engine=rules.",
                bad,
            )
    return (
        {number: idea for number, idea in ideas.items() if number not in wrong},
        [f"Shot {number}: {said}" for number, said in wrong.items()],
    )


def _answers(making: Making, shots: Sequence[Shot], asked: Mapping[str, Mapping[int, str]]) -> dict[int, Any]:
    """Item -> shots and what was wrong with each before: the answers of all, whatever they are, by shot."""
    if not asked:
        return {}
    jobs = [partial(_answer, making, shots, name, wanted) for name, wanted in asked.items()]
    settings = making.settings("scenes")
    answers = making.run.wait(making.run.beside("scenes", jobs, settings, "text_generation", "chat"))
    return {number: idea for answer in answers for number, idea in answer.items()}


def _answer(making: Making, shots: Sequence[Shot], name: str, wanted: Mapping[int, str]) -> dict[int, Any]:
    """What one question brings for each of its shots."""
    own = [shot for shot in shots if shot["number"] in wanted]
    numbers = [str(number) for number in wanted]
    values = {
        "title": fenced(making.source["title"]),
        "language": making.source["language"],
        "audience": making.profile["film"]["audience"],
        "story": _script(making),
        "shots": "\n".join(f"{shot['number']} | {fenced(shot['text'])}" for shot in own),
        "numbers": ", ".join(numbers),
        "complaints": complaint([f"{number}: {said}" for number, said in wanted.items() if said]),
    }
    item = ask(
        making,
        "scenes",
        name,
        "scenes-pictures",
        values,
        shots={"properties": {number: {"$ref": "#/$defs/shot"} for number in numbers}, "required": numbers},
    )
    said = document(item)
    found = said.get("shots") if isinstance(said, Mapping) else None
    return {int(number): found[number] for number in numbers if isinstance(found, Mapping) and number in found}


def _script(making: Making) -> str:
    """All that is spoken, a sentence a line, with an empty line between paragraphs."""
    blocks = groupby(making.lines, key=lambda line: line["paragraph"])
    return "\n\n".join("\n".join(fenced(line["text"]) for line in lines) for _, lines in blocks)


def faults(ideas: Mapping[int, Any], shots: Sequence[Shot]) -> dict[int, str]:
    """What is wrong with the idea of each shot that has none that can be drawn, by the shot's number."""
    found: dict[int, str] = {}
    known: dict[str, int] = {}
    for shot in shots:
        number = shot["number"]
        wrong = _fault(ideas.get(number), shot["text"])
        if wrong is None:
            twin = known.setdefault(plain(ideas[number]["prompt"]), number)
            wrong = f"its prompt is that of shot {twin} too" if twin != number else None
        if wrong is not None:
            found[number] = wrong
    return found


def _fault(idea: Any, text: str) -> str | None:
    if idea is None:
        return "it is not described"
    problem = next(_shot_schema().iter_errors(idea), None)
    if problem is not None:
        return f"{'/'.join(map(str, problem.absolute_path)) or 'it'}: {problem.message[:200]}"
    for name, most in MOST_WORDS.items():
        if said := fault(idea[name], most):
            return f"its {name} {said}"
    prompt, spoken = plain(idea["prompt"]), plain(text)
    if prompt in spoken or (spoken in prompt and len(spoken.split()) >= LEAST_COPY):
        return "its prompt repeats the spoken words instead of saying what is seen"
    return None


@cache
def _shot_schema() -> Draft202012Validator:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(schema("scenes-pictures", {})["$defs"]["shot"])


def with_idea(shot: Shot, idea: Idea) -> dict[str, Any]:
    """The shot as the model sees it; the move goes no farther than the shot's length allows."""
    seconds = shot["end_s"] - shot["start_s"]
    kind, share = idea["motion"], STRENGTHS[idea["strength"]]
    if kind == "hold" and seconds > LONGEST_HOLD_S:
        kind, share = "zoom_in", REST_PACE
    said = {name: " ".join(idea[name].split()) for name in MOST_WORDS}
    camera = ", ".join([idea["size"], *([idea["angle"]] if idea["angle"] != USUAL_ANGLE else [])])
    strength = round(share * min(1.0, seconds * STRENGTH_PER_S), 2)
    return {**shot, **said, "camera": camera, "motion": {"kind": kind, "strength": strength}}
