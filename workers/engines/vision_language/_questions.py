"""What each operation asks of a model and what becomes of its answer; the same for every engine of the family.

Scores come from structured output: the model gives whole numbers from 0 to 100 on a scale whose steps are said in
words, after it has said what it sees, and a number is taken from nowhere else. A score is that number divided by 100.
``check_consistency`` asks for all pairs of pictures in one question, so that its cost is one request and the model
judges every pair by the same measure; a film is as consistent as the picture that fits the others least.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from language.asked import Asked, Said, wishes

TOP_P = 0.9
"""As text_generation's default: the unlikeliest tenth of what a model could say is mostly noise."""
TOP_K = 0
"""From all tokens: some models choose from one only by default, and no temperature would change that."""
LONGEST_TEXT, LONGEST_ITEM, MOST_ITEMS = 400, 120, 5
"""Characters and items of an answer, where the model's tokens can be held to it: one that repeats itself must end."""
BEST = 100
SCENE = """\
Judge whether the picture shows what this description says. Judge only what can be seen.

<description>
{description}
</description>

First list what the description names and the picture shows (matching), then what is missing, wrong or too much \
(mismatched), and explain your judgement in one or two sentences (explanation). Then give a score, a whole number \
from 0 to 100:
0: nothing of the description is there.
25: the subject alone, or something like it.
50: the subject, but not what it does or where it is.
75: all but details.
100: everything.
Use the numbers in between too. Last, suggest short phrases to add to the prompt of an image generator so that its \
next picture matches better (suggestions); none if nothing is missing.

Answer with a JSON object of the members matching, mismatched, explanation, score and suggestions, in the language of \
the description."""
CONSISTENCY = """\
These {count} pictures are to be shots of one film: Picture 1 is the first, Picture {count} the last. Judge whether \
they belong together: the same characters with the same looks and clothes, the same world, style, palette and light. \
That they show different moments and angles is no fault.

First list what is the same in all (consistent), then what changes and in which picture (inconsistent), and sum it up \
in one or two sentences (analysis). Then give every pair of pictures a score, a whole number from 0 to 100:
0: nothing in common.
25: one thing in common.
50: the same kind of picture, but other characters, another place or another style.
75: the same but for details.
100: the same hand, characters and world.
Use the numbers in between too.

Answer with a JSON object of the members consistent, inconsistent, analysis and pairs; the name of a pair is the \
numbers of its pictures, such as 1-2."""
SCORE = {"type": "integer", "minimum": 0, "maximum": BEST}


@dataclass(frozen=True)
class Question:
    """For a model that sees the pictures."""

    text: str
    asked: Asked


def pictures(op: str, input: Mapping[str, Any]) -> list[tuple[str, str]]:  # noqa: A002 - the wire's word
    """(path, JSON pointer) of every picture, in the model's order."""
    if op == "validate_scene":
        return [(input["image"], "/input/image")]
    return [(path, f"/input/images/{number}") for number, path in enumerate(input["images"])]


def question(op: str, input: Mapping[str, Any], *, bounded: bool) -> Question:  # noqa: A002 - the wire's word
    """What to ask. ``bounded`` limits texts and lists in our own schemas: for a model that can be held to that."""
    if op == "analyze_image":
        return Question(input["prompt"], _asked(op, input, input["json_schema"]))
    if op == "validate_scene":
        properties = {
            "matching": _items(bounded),
            "mismatched": _items(bounded),
            "explanation": _text(LONGEST_TEXT if bounded else None),
            "score": SCORE,
            "suggestions": _items(bounded),
        }
        words = SCENE.format(description=input["description"].replace("</", "< /"))
    else:
        count = len(input["images"])
        properties = {
            "consistent": _items(bounded),
            "inconsistent": _items(bounded),
            "analysis": _text(LONGEST_TEXT if bounded else None),
            "pairs": _object({_pair(first, second): SCORE for first, second in combinations(range(count), 2)}),
        }
        words = CONSISTENCY.format(count=count)
    return Question(words, _asked(op, input, _object(properties), own_schema=True))


def output(op: str, input: Mapping[str, Any], said: Said) -> dict[str, Any]:  # noqa: A002 - the wire's word
    """The operation's output, from an answer whose document is valid by the question's schema."""
    if op == "analyze_image":
        return {
            "text": said.text,
            "json": said.document,
            "tokens_generated": said.tokens,
            "image_count": len(input["images"]),
            "finish_reason": said.finish_reason,
            "seed": said.seed,
        }
    made = _scene(input, said.document) if op == "validate_scene" else _consistency(input, said.document)
    return {**made, "tokens_generated": said.tokens, "seed": said.seed}


def _scene(input: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:  # noqa: A002 - the wire's word
    score = found["score"] / BEST
    return {
        "is_valid": score >= input["threshold"],
        "match_score": score,
        "explanation": found["explanation"].strip(),
        "matching": _said(found["matching"]),
        "mismatched": _said(found["mismatched"]),
        "suggestions": _said(found["suggestions"]),
    }


def _consistency(input: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:  # noqa: A002 - the wire's word
    count = len(input["images"])
    pairs = [
        {"first": first, "second": second, "score": found["pairs"][_pair(first, second)] / BEST}
        for first, second in combinations(range(count), 2)
    ]
    scores = [
        round(sum(pair["score"] for pair in pairs if place in {pair["first"], pair["second"]}) / (count - 1), 4)
        for place in range(count)
    ]
    return {
        "is_consistent": min(scores) >= input["threshold"],
        "consistency_score": min(scores),
        "image_scores": scores,
        "pairwise_scores": pairs,
        "analysis": found["analysis"].strip(),
        "consistent": _said(found["consistent"]),
        "inconsistent": _said(found["inconsistent"]),
    }


def _asked(
    op: str,
    input: Mapping[str, Any],  # noqa: A002 - the wire's word
    schema: Mapping[str, Any] | None,
    *,
    own_schema: bool = False,
) -> Asked:
    return Asked(
        max_tokens=input["max_tokens"],
        temperature=input["temperature"],
        top_p=TOP_P,
        top_k=TOP_K,
        seed=input["seed"],
        json_schema=schema,
        schema_pointer="/model/id" if own_schema else "/input/json_schema",
        aloud=not own_schema,
        wishes=wishes("vision_language", op, input),
    )


def _pair(first: int, second: int) -> str:
    return f"{first + 1}-{second + 1}"


def _said(items: list[str]) -> list[str]:
    return [item.strip() for item in items if item.strip()]


def _items(bounded: bool) -> dict[str, Any]:
    plain = {"type": "array", "items": _text(LONGEST_ITEM if bounded else None)}
    return plain | ({"maxItems": MOST_ITEMS} if bounded else {})


def _text(longest: int | None) -> dict[str, Any]:
    return {"type": "string"} | ({} if longest is None else {"maxLength": longest})


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }
