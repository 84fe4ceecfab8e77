"""A question to a language model: a prompt from its template file, an answer that keeps the prompt's schema.

``prompts/<name>.md`` holds the words, what the model is under ``# system`` and the question under ``# user``, with
``$names`` for what a story fills in (``$$`` is a dollar). ``prompts/<name>.schema.json`` says what the answer must be.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

from orchestrator.item import Item
from orchestrator.making import Making

PROMPTS = Path(__file__).parent / "prompts"
MAX_TOKENS = 8192
"""Room for the longest answer, a script of ten minutes, and for models that think before they write."""
PARTS = re.compile(r"^# (system|user)$", re.MULTILINE)


def ask(
    making: Making, stage: str, name: str, prompt: str, values: Mapping[str, object], **bounds: Mapping[str, Any]
) -> Item:
    """The item ``<stage>/<name>``: what the stage's text model answers; the document is ``output["json"]``.

    ``values`` fill the template. ``bounds`` are members laid over those of the schema's ``properties`` that they name,
    such as ``shots={"minItems": 7, "maxItems": 7}``. Raises StorygenError, as any item does.
    """
    settings = making.settings(stage)
    question = {"messages": messages(prompt, values), "json_schema": schema(prompt, bounds)}
    return making.run.work(
        stage,
        name,
        "text_generation",
        "chat",
        {"max_tokens": MAX_TOKENS, **settings["input"], **question},
        settings=settings,
    )


def messages(prompt: str, values: Mapping[str, object]) -> list[dict[str, str]]:
    """The messages of a prompt: the system's, then the user's.

    Raises KeyError for a name in the template that has no value: a mistake of ours, not of the user.
    """
    template = (PROMPTS / f"{prompt}.md").read_text(encoding="utf-8")
    _, *parts = PARTS.split(template)
    return [
        {"role": role, "content": Template(text.strip()).substitute(values)}
        for role, text in zip(parts[::2], parts[1::2], strict=True)
    ]


def schema(prompt: str, bounds: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What an answer must be, with ``bounds`` laid over the properties they name."""
    whole: dict[str, Any] = json.loads((PROMPTS / f"{prompt}.schema.json").read_text(encoding="utf-8"))
    for name, bound in bounds.items():
        whole["properties"][name] = {**whole["properties"][name], **bound}
    return whole


def thinks(settings: Mapping[str, Any]) -> bool:
    """Whether a stage's part of the profile names a model to ask: neither ``none`` nor ``rules``."""
    return settings["engine"] not in {"none", "rules"}
