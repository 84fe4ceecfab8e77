"""What a request asks of a language model and what came of it, whichever the family and the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runtime import validation


@dataclass(frozen=True)
class Asked:
    """How the model is to answer. What to is the engine's business: messages, or tokens."""

    max_tokens: int
    temperature: float
    """0 takes the likeliest token."""
    top_p: float | None = None
    """Tokens are chosen from the likeliest that make up this share; None is from all of them."""
    top_k: int | None = None
    """Tokens are chosen from so many likeliest ones; 0 is from all, None the model's own."""
    repetition_penalty: float | None = None
    """None is the model's own."""
    stop: tuple[str, ...] = ()
    seed: int | None = None
    json_schema: Mapping[str, Any] | None = None
    """What the answer must be a document of; None is free text."""
    schema_pointer: str = "/input/json_schema"
    """The field to blame where no document comes of it."""
    aloud: bool = True
    """Whether the text is the answer: then it is sent as deltas."""
    wishes: tuple[str, ...] = ()
    """Such as ``temperature 0.2``: what the request itself says of sampling, beside the defaults."""


@dataclass(frozen=True)
class Said:
    """One answer."""

    text: str
    document: Any
    """The document of json_schema, valid by it; None for free text."""
    finish_reason: str
    """stop or length."""
    seed: int | None
    """None where the service knows none."""
    prompt_tokens: int
    tokens: int
    """Tokens generated."""
    seconds: float


def wishes(family: str, op: str, input: Mapping[str, Any]) -> tuple[str, ...]:  # noqa: A002 - the wire's word
    """For ``Asked.wishes``: the schema's defaults are nobody's wish."""
    known = validation.input_schema(family, op)["properties"]
    names = [name for name in ("temperature", "top_p") if name in known]
    return tuple(f"{name} {input[name]}" for name in names if input[name] != known[name]["default"])
