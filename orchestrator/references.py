"""Reference pictures: the user's own pictures of figures, things, places and looks, as facts for the visual bible."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.asking import messages, schema, thinks
from orchestrator.errors import StorygenError
from orchestrator.item import Item
from orchestrator.making import Making, item_name
from orchestrator.pool import Pool
from orchestrator.shot_ideas import document
from orchestrator.visual_words import complaint, fault, fenced

VERSION = "1"
PROMPT = "guidance-reference"
MAX_PICTURES = 16
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
FORMATS = "PNG, JPEG, WebP, BMP, GIF or TIFF"
MAX_TOKENS = 1024
"""Five short texts, and room for models that think before they write."""
MOST = {"name": 8, "appearance": 40, "palette": 20, "style": 16}
"""The most words of each text: twice what is asked for."""

Fact = Mapping[str, Any]
"""{file, kind, name, appearance, palette, style} of a picture; ``file`` is its name, ``kind`` one of the schema's."""


def pictures(profile: Mapping[str, Any]) -> list[Path]:
    """The pictures of the folder ``film.references`` in natural order of their names; none where no folder is named.

    Raises StorygenError ``unsupported_capability`` where the profile has no vision model, ``input_not_found`` for a
    folder that is not there or holds no picture, and ``invalid_request`` for one that holds too many.
    """
    if profile["film"]["references"] is None:
        return []
    folder = Path(profile["film"]["references"]).absolute()
    if not thinks(profile["vision"]):
        raise StorygenError(
            "unsupported_capability",
            f"The profile has no vision model, so nobody can read the reference pictures in {folder}.",
            "Take a profile that has one: --profile local; or name one: --set vision.engine=transformers, openai or "
            "anthropic.",
        )
    if not folder.is_dir():
        raise StorygenError(
            "input_not_found", f"There is no folder {folder}.", "--references takes the folder that holds the pictures."
        )
    files = (file for file in folder.iterdir() if not file.name.startswith(".") and file.is_file())
    found = sorted((file for file in files if file.suffix.lower() in SUFFIXES), key=natural)
    if not found:
        raise StorygenError(
            "input_not_found", f"There is no picture in the folder {folder}.", f"Put {FORMATS} files there."
        )
    if len(found) > MAX_PICTURES:
        raise StorygenError(
            "invalid_request",
            f"The folder {folder} holds {len(found)} pictures; at most {MAX_PICTURES} are read.",
            "Leave those that matter most: one of each character, one of the place, one of the style.",
        )
    return found


def natural(file: Path) -> tuple[list[tuple[int, int, str]], str]:
    """Sorts ``2.png`` before ``10.png``; case does not matter."""
    pieces = re.findall(r"[0-9]+|[^0-9]+", file.name.casefold())
    return [(0, int(piece), "") if piece.isdigit() else (1, 0, piece) for piece in pieces], file.name


def check(profile: Mapping[str, Any]) -> None:
    """Look whether every reference picture can be read, before anything is made.

    Raises StorygenError as ``pictures`` does, and ``input_unreadable`` naming the file.
    """
    files = pictures(profile)
    with Pool() as pool:
        for file in files:
            try:
                facts = pool.request("media_processing", {"v": 1, "op": "probe", "input": {"media": str(file)}})[
                    "output"
                ]
                readable = facts["kind"] == "picture" or facts["container"] == "gif"  # a GIF's first picture counts
            except StorygenError as error:
                if error.code != "input_unreadable":
                    raise
                readable = False
            if not readable:
                raise StorygenError(
                    "input_unreadable",
                    f"The reference picture {file} cannot be read as a picture.",
                    f"Save it again as {FORMATS}, or take it out of the folder.",
                )


def read(making: Making) -> list[Fact]:
    """What each reference picture shows, as the vision model says, or the user in ``references.json``.

    Raises StorygenError as ``pictures`` does, ``unsupported_capability`` where the model says nothing that can be used,
    ``invalid_request`` where the user does, and as any item does.
    """
    files = pictures(making.profile)
    if not files:
        return []
    run, vision = making.run, making.settings("vision")
    jobs = [partial(_asked, making, item_name("reference", number), file) for number, file in enumerate(files, 1)]
    items = run.wait(run.beside("guidance", jobs, vision, "vision_language", "analyze_image"))
    found = [{"file": file.name, **_said(making, item, file)} for file, item in zip(files, items, strict=True)]
    kept = run.rule("guidance", "references", VERSION, {"pictures": found}, lambda: {"pictures": found})
    facts: list[Fact] = kept.document()["pictures"]
    for fact in facts:
        if wrong := faults({name: value for name, value in fact.items() if name != "file"}):
            raise StorygenError(
                "invalid_request",
                f"guidance/references/references.json cannot be used: of {fact['file']}, {wrong[0]}.",
                "Correct it; or --force guidance/references takes the model's words again.",
                wrong,
            )
    making.writing["references"] = {"pictures": facts, "edited": kept.edited}
    return facts


def _asked(making: Making, name: str, file: Path, wrong: Sequence[str] = ()) -> Item:
    vision = making.settings("vision")
    words = " ".join(file.stem.replace("_", " ").replace("-", " ").split())
    said = messages(PROMPT, {"name": fenced(words), "complaints": complaint(wrong)})
    question = {
        "images": [file],
        "prompt": "\n\n".join(message["content"] for message in said),  # the operation knows no system prompt
        "json_schema": schema(PROMPT, {}),
    }
    return making.run.work(
        "guidance",
        name,
        "vision_language",
        "analyze_image",
        {"max_tokens": MAX_TOKENS, **vision["input"], **question},
        settings=vision,
        where_able={"seed": making.profile["film"]["seed"]},
    )


def _said(making: Making, item: Item, file: Path) -> dict[str, str]:
    """The facts of an answer; one that cannot be used is asked for once more."""
    if wrong := faults(document(item)):
        item = _asked(making, f"{item.name}-again", file, wrong)
        if wrong := faults(document(item)):
            raise StorygenError(
                "unsupported_capability",
                f"The vision model, asked twice, said nothing of {file} that can be used: {wrong[0]}.",
                f"Use a larger model: --set vision.model.id=…; or ask it again: --force guidance/{item.name}.",
                wrong,
            )
    said: dict[str, str] = document(item)
    return said


def faults(fact: Any) -> list[str]:
    """Why what was said of a picture cannot be used; nothing if it can."""
    if wrong := violations(fact, PROMPT):
        return wrong
    texts = {name: fact[name] for name in MOST if name != "name" or fact[name].strip()}
    return [f"{name} {said}" for name, text in texts.items() if (said := fault(text, MOST[name]))]


def violations(answer: Any, prompt: str) -> list[str]:
    """Where an answer breaks the schema of its prompt."""
    from jsonschema import Draft202012Validator

    problems = Draft202012Validator(schema(prompt, {})).iter_errors(answer)
    return [f"{'/'.join(map(str, each.absolute_path)) or 'it'}: {each.message[:200]}" for each in problems]


def line(fact: Fact) -> str:
    """A picture as one line of a question: file | what it is | name | looks | colours | kind of picture."""
    return " | ".join(str(fact[name]) for name in ("file", "kind", "name", "appearance", "palette", "style"))
