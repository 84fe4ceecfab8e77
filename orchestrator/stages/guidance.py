"""Stage 7: the visual bible that every picture follows, written by a text model that knows the reference pictures.

Without a text model it is made of the reference pictures alone, by rules; without those too there is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator import references, styles
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
FIGURES = frozenset({"character", "thing"})
"""Kinds of reference pictures whose subject is in some shots and not in others."""
MOST_ERA, MOST_NAME, MOST_APPEARANCE = 12, 8, 40  # words


def make(making: Making) -> str | None:
    """Have the bible written once for the whole film."""
    styles.style(making.profile["film"]["style"])  # an unknown one is said before anything is drawn
    if (making.run.folder / "guidance" / "bible").is_dir():
        stored = making.as_stored("guidance", "bible", {"characters": []})
        if stored is not None:
            making.bible = _checked(stored)
            return None
    able = thinks(making.settings("guidance"))
    seen = references.read(making)
    if not able and not seen:
        return "no text model for guidance and no reference pictures; each picture follows its own words"
    answer = _answer(making, [references.line(fact) for fact in seen]) if able else of_pictures(seen, making.shots)
    item = making.run.rule("guidance", "bible", VERSION, {"answer": answer}, lambda: dict(answer))
    making.bible = _checked(item)
    if not able and not item.edited:
        _warn_of_unseen(making, item, seen)
    return None


def _checked(item: Item) -> dict[str, Any]:
    """The bible of an item, which may have been edited. Raises StorygenError ``invalid_request``."""
    return checked(
        item.document(),
        schema(PROMPT, {}),
        f"the bible {item.stage}/{item.name}/bible.json",
        f"Correct it; or --force {item.stage}/{item.name} makes it anew.",
    )


def of_pictures(seen: Sequence[references.Fact], shots: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The bible that rules make of what reference pictures show.

    A character or thing is in the shots whose words name it as its picture is named; a shot that says "he" is not one.
    Of several pictures of one name, or of the place, the first counts. Era and light no picture tells.
    """
    figures: dict[str, references.Fact] = {}
    for fact in seen:
        if fact["kind"] in FIGURES and fact["name"].strip():
            figures.setdefault(plain(fact["name"]), fact)
    named = {name: [shot["number"] for shot in shots if name in plain(shot["text"])] for name in figures}
    characters = [
        {"name": fact["name"], "appearance": fact["appearance"], "shots": named[name]}
        for name, fact in figures.items()
        if named[name]
    ]
    place = next((fact["appearance"] for fact in seen if fact["kind"] == "place"), "")
    look = next((fact for fact in seen if fact["kind"] == "style"), seen[0])
    world = {"place": place, "era": "", "light": "", "palette": look["palette"], "style": look["style"]}
    return {"characters": characters, **world}


def _warn_of_unseen(making: Making, item: Item, seen: Sequence[references.Fact]) -> None:
    """Say which figures of the pictures rules could place in no shot."""
    placed = {plain(one["name"]) for one in making.bible["characters"]}
    for fact in seen:
        if fact["kind"] in FIGURES and plain(fact["name"]) not in placed:
            why = f"no shot's words name {fact['name']!r}" if fact["name"].strip() else "its file name names nobody"
            message = (
                f"{fact['file']} is followed in no shot: {why}. Name the file as the story names its subject, "
                "write its shots into guidance/bible/bible.json, or take a text model for guidance, which finds them."
            )
            item.warnings.append(making.run.warn("guidance", item.name, "reference_not_used", message))


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
        "Ask again: --force guidance/answer-again; use a larger model: --set guidance.model.id=…; or do without a "
        "bible: --set guidance.engine=none.",
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
    if wrong := references.violations(bible, PROMPT):
        return wrong
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
