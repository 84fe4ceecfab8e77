"""What hosted language models have in common: one answer from one request, and checked documents."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from language import structured
from language.asked import Asked, Said
from language.stops import Stops
from runtime.context import Context
from runtime.errors import WorkerError

REASKS = 2
"""How often a document that breaks its schema is asked for again; each is a request that costs."""
FENCED = re.compile(r"\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*", re.DOTALL)
STRUCTURE = frozenset(
    ("type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "$ref", "$defs")
) | {"description", "title"}
BOUNDS = frozenset(
    ("pattern", "multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minItems", "maxItems")
)


@dataclass
class Reply:
    """What one request brought, filled in as its stream arrives."""

    finish_reason: str | None = None
    """stop, length or content_refused."""
    refusal: str = ""
    """The service's reason for refusing."""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    """None until the service says them."""
    pieces: int = 0
    model: str | None = None
    """The model that answered, in the service's words."""


Message = dict[str, Any]
"""{role, content}: a text, or parts in the words of the service; and name where one is given."""
Ask = Callable[[list[Message], Reply], Generator[str, None, None]]
"""Sends one request with these messages and yields the text as it arrives, filling in the reply."""


def answer(messages: list[Message], asked: Asked, context: Context, service: str, ask: Ask) -> Said:
    """One answer to these messages. ``service`` is its name in errors.

    Raises WorkerError ``content_refused`` for a refused answer, ``unsupported_capability`` where no answer satisfies
    json_schema, ``invalid_request`` where max_tokens cuts the document.
    """
    began = time.monotonic()
    if asked.json_schema is None:
        text, replies, document = *_free_text(messages, asked, context, service, ask), None
    else:
        text, replies, document = _document(messages, asked, asked.json_schema, context, service, ask)
    seconds = time.monotonic() - began
    usage = _usage(replies, context)
    context.usage = {**usage, "requests": len(replies)}
    context.chosen["device"] = "remote"
    if replies[-1].model:
        context.chosen["answered_by"] = replies[-1].model
    return Said(
        text=text,
        document=document,
        finish_reason=str(replies[-1].finish_reason),
        seed=asked.seed,
        prompt_tokens=usage["prompt"],
        tokens=usage["completion"],
        seconds=seconds,
    )


def _free_text(
    messages: list[Message], asked: Asked, context: Context, service: str, ask: Ask
) -> tuple[str, list[Reply]]:
    stops, reply, parts = Stops(asked.stop), Reply(), []
    with closing(ask(messages, reply)) as pieces:
        for piece in pieces:
            parts.append(stops.feed(piece))
            if parts[-1]:
                context.delta("text", parts[-1])
            if stops.found is not None:  # not every service takes or heeds stop texts: hang up, the rest costs too
                reply.finish_reason = "stop"
                break
    if rest := stops.rest():
        parts.append(rest)
        context.delta("text", rest)
    _refuse_refusals(reply, service)
    text = "".join(parts)
    if not text and reply.finish_reason == "length":
        context.warn("no_text", f"max_tokens {asked.max_tokens} were used up, by thinking, before any text came.")
    return text, [reply]


def _document(
    messages: list[Message],
    asked: Asked,
    schema: Mapping[str, Any],
    context: Context,
    service: str,
    ask: Ask,
) -> tuple[str, list[Reply], Any]:
    """As for free text, and the document. Its delta waits until it is known to be the answer."""
    replies: list[Reply] = []
    wrong = ""
    for _ in range(1 + REASKS):
        reply, text = Reply(), ""
        replies.append(reply)
        with closing(ask(messages, reply)) as pieces:
            for piece in pieces:
                text += piece
                context.progress("run", len(text), None, "characters")
        _refuse_refusals(reply, service)
        if reply.finish_reason == "length":
            raise structured.cut_off(text, asked.max_tokens)
        fenced = FENCED.fullmatch(text)
        text = fenced[1] if fenced else text.strip()
        try:
            document = structured.document(text, schema)
        except structured.NotTheDocument as error:
            wrong = str(error)
        else:
            if wrong:
                context.warn("asked_again", f"{len(replies)} requests were needed, and paid for; before: {wrong}")
            if asked.aloud:
                context.delta("text", text)
            return text, replies, document
        again = f"That is not it: {wrong}\nAnswer again, with the corrected JSON document and nothing else."
        said = {"role": "assistant", "content": text or "(nothing)"}
        messages = [*messages, said, {"role": "user", "content": again}]
    raise WorkerError(
        "unsupported_capability",
        f"{service} gave {len(replies)} answers, none of which is the document asked for. The last: {wrong}",
        pointer=asked.schema_pointer,
        hint="Use a model with structured output, or a simpler schema.",
    )


def _refuse_refusals(reply: Reply, service: str) -> None:
    if reply.finish_reason == "content_refused":
        raise WorkerError(
            "content_refused",
            f"{service} refused: {reply.refusal[:400] or 'its content filter ended the answer.'}",
            hint="Change the text; the service's content rules refuse it.",
        )


def _usage(replies: list[Reply], context: Context) -> dict[str, int]:
    if any(reply.completion_tokens is None for reply in replies):
        context.warn("usage_unknown", "The service did not say its tokens; the pieces of the stream were counted.")
    prompt = sum(reply.prompt_tokens or 0 for reply in replies)
    completion = sum(reply.pieces if reply.completion_tokens is None else reply.completion_tokens for reply in replies)
    return {"prompt": prompt, "completion": completion, "total": prompt + completion}


def instructed(messages: list[Message], schema: Mapping[str, Any]) -> list[Message]:
    """The messages with the schema in words, for a model that cannot be held to it."""
    words = "Answer with one JSON document that satisfies this JSON Schema, and nothing else:\n"
    words += json.dumps(schema, ensure_ascii=False)
    if messages[0]["role"] == "system":
        return [{**messages[0], "content": f"{messages[0]['content']}\n\n{words}"}, *messages[1:]]
    return [{"role": "system", "content": words}, *messages]


def expressible(schema: Any, keywords: frozenset[str], *, strict: bool) -> bool:
    """Whether a service's structured output takes this schema and means the same by it.

    Both services want an object on top and every object closed; OpenAI's ``strict`` wants every property required too.
    A schema of open objects would silently become one of empty ones, so it is not handed over.
    """
    return bool(schema.get("type") == "object") and _expressible(schema, keywords, strict)


def _expressible(schema: Any, keywords: frozenset[str], strict: bool) -> bool:
    if not isinstance(schema, dict) or not set(schema) <= keywords:
        return False
    kinds = schema.get("type")
    if not strict and not isinstance(kinds, str | None):
        return False  # anthropic.transform_schema knows no lists of types
    if kinds is None and not set(schema) & {"anyOf", "$ref", "enum", "const"}:
        return False
    properties = schema.get("properties", {})
    if kinds == "object" and not (
        properties
        and schema.get("additionalProperties", strict) is False
        and (not strict or set(schema.get("required", ())) == set(properties))
    ):
        return False
    if kinds == "array" and "items" not in schema:
        return False
    parts = [*properties.values(), *schema.get("$defs", {}).values(), *schema.get("anyOf", ())]
    parts += [schema["items"]] if "items" in schema else []
    return all(_expressible(part, keywords, strict) for part in parts)


def not_sent(context: Context, asked: Asked, model: str) -> None:
    """Warn of wishes about sampling that a model does not take."""
    if asked.wishes:
        context.warn("not_sent", f"{model} chooses its words by itself: {', '.join(asked.wishes)} was not sent.")
