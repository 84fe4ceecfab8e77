"""Stage 7: the visual bible that every picture follows. It takes a text model to write one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator import styles
from orchestrator.asking import ask, schema, thinks
from orchestrator.errors import StorygenError
from orchestrator.item import Item
from orchestrator.making import Making
from orchestrator.profile import checked
from orchestrator.shot_ideas import document
from orchestrator.visual_words import complaint, fault, fenced, plain

VERSION = "1"
PROMPT = "guidance-bible"
WORLD = {"place": 24, "light": 16, "palette": 20, "style": 16}
"""What all pictures share, and the most words of it: twice what is asked for."""
MOST_ERA, MOST_NAME, MOST_APPEARANCE = 12, 8, 40  # words


def make(making: Making) -> str | None:
    """Have the bible written once for the whole film."""
    styles.style(making.profile["film"]["style"])  # an unknown one is said before anything is drawn
    if not thinks(making.settings("guidance")):
        return "this profile has no text or vision model; each picture follows its own words"
    answer = _answer(making)
    item = making.run.rule("guidance", "bible", VERSION, {"answer": answer}, lambda: dict(answer))
    making.bible = checked(
        item.document(),
        schema(PROMPT, {}),
        f"the bible {item.stage}/{item.name}/bible.json",
        f"Correct it; or --force {item.stage}/{item.name} writes the model's again.",
    )
    return None


def _answer(making: Making, seen: Sequence[str] = ()) -> Mapping[str, Any]:
    """The model's bible, asked for again if it cannot be used. ``seen`` is what reference pictures show, a line each.

    Raises StorygenError ``unsupported_capability`` where it still cannot be used, and as any item does.
    """
    wrong: list[str] = []
    for name in ("answer", "answer-again"):
        found = document(_asked(making, name, seen, wrong))
        wrong = faults(found, len(making.shots))
        if not wrong:
            answer: Mapping[str, Any] = found
            return answer
    raise StorygenError(
        "unsupported_capability",
        f"The model of guidance, asked twice, wrote a visual bible that cannot be used: {wrong[0]}.",
        "Use a larger model: --set guidance.model.id=…; or do without a bible: --set guidance.engine=none.",
        wrong,
    )


def _asked(making: Making, name: str, seen: Sequence[str], wrong: Sequence[str]) -> Item:
    numbers = [shot["number"] for shot in making.shots]
    one = schema(PROMPT, {})["properties"]["characters"]["items"]
    own = {**one["properties"]["shots"], "items": {"type": "integer", "enum": numbers}, "maxItems": len(numbers)}
    values = {
        "title": fenced(making.source["title"]),
        "language": making.source["language"],
        "audience": making.profile["film"]["audience"],
        "shots": "\n".join(f"{shot['number']} | {fenced(shot['text'])}" for shot in making.shots),
        "last": len(numbers),
        "seen": "\n".join(map(fenced, seen)) or "(no pictures)",
        "complaints": complaint(wrong),
    }
    return ask(
        making,
        "guidance",
        name,
        PROMPT,
        values,
        characters={"maxItems": 8, "items": {**one, "properties": {**one["properties"], "shots": own}}},
    )


def faults(bible: Any, shots: int) -> list[str]:
    """Why a bible cannot be used for a film of so many shots; nothing if it can."""
    from jsonschema import Draft202012Validator

    problems = list(Draft202012Validator(schema(PROMPT, {})).iter_errors(bible))
    if problems:
        return [f"{'/'.join(map(str, each.absolute_path)) or 'it'}: {each.message[:200]}" for each in problems]
    texts = [(name, bible[name], most) for name, most in WORLD.items()]
    texts += [("era", bible["era"], MOST_ERA)] if bible["era"].strip() else []
    found, names = [], set()
    for one in bible["characters"]:
        texts += [
            ("a name", one["name"], MOST_NAME),
            (f"{one['name']}'s appearance", one["appearance"], MOST_APPEARANCE),
        ]
        invented = [number for number in one["shots"] if not 1 <= number <= shots]
        found += [f"{one['name']} is in shot {number}, but there are 1 to {shots}" for number in invented]
        found += [f"there are two called {one['name']}"] if plain(one["name"]) in names else []
        names.add(plain(one["name"]))
    return found + [f"{what} {said}" for what, text, most in texts if (said := fault(text, most))]
