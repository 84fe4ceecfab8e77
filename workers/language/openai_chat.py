"""OpenAI's chat API, which OpenRouter, Together, Ollama and many servers speak too: one answer to messages."""

from __future__ import annotations

import re
import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from language import hosted
from language.asked import Asked, Said
from language.hosted import Message, Reply
from providers import faults, wishes
from providers import openai as services
from runtime.context import Context

DEFAULT_MODEL = "gpt-5.4-mini"
MOST_STOPS = 4
"""The API takes no more; what goes beyond is cut on arrival."""
STRICT = hosted.STRUCTURE | hosted.BOUNDS
FINISHES = {
    "stop": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "length": "length",
    "max_tokens": "length",
    "content_filter": "content_refused",
}
OPTIONS: Mapping[str, Any] = {
    **services.OPTIONS,
    "structured_output": {
        "enum": ["native", "prompted"],
        "default": "native",
        "description": "How JSON documents are asked for: by the API's response_format, or in words only, for models "
        "that refuse response_format. The answer is checked either way.",
    },
}
"""Members of ``engine_options`` that every engine for these services has."""


@dataclass(frozen=True)
class Limits:
    """What a model does not take."""

    sampling: bool = True
    """temperature and top_p."""
    stop: bool = True
    system: bool = True
    """Instructions of a role of their own."""
    new_length_name: bool = False
    """max_completion_tokens in place of max_tokens."""


LIMITS: tuple[tuple[str, Limits], ...] = (
    (r"o1-(mini|preview)", Limits(sampling=False, stop=False, system=False, new_length_name=True)),
    (r"(gpt-[5-9][\w.]*-chat|chatgpt-)", Limits(new_length_name=True)),
    (r"(o\d|gpt-[5-9]|gpt-\d\d)", Limits(sampling=False, stop=False, new_length_name=True)),
)
"""Beginnings of model ids, behind a vendor such as ``openai/``; the first that fits counts.

https://developers.openai.com/api/docs/guides/reasoning and the ``stop`` of the API reference.
"""


def limits(model: str) -> Limits:
    """What is known of a model by its id.

    >>> limits("openai/o3-mini").sampling
    False
    """
    name = model.rsplit("/", 1)[-1].lower()
    return next((found for pattern, found in LIMITS if re.match(pattern, name)), Limits())


class Chat:
    """The service for one engine: its clients, one for each address, and the model that was named."""

    def __init__(self) -> None:
        self._clients = services.Clients()
        self._model: str | None = None

    def load(self, model: Mapping[str, Any], context: Context) -> None:
        """Import the SDK; the service is known when a request comes."""
        wishes.refuse_local(model)
        self._model = model.get("id")
        began = time.monotonic()
        import openai  # noqa: F401 - the import is what takes time

        context.import_s = time.monotonic() - began

    def answer(self, messages: list[Message], asked: Asked, context: Context) -> Said:
        """Send one request, and up to two more where the document breaks json_schema. Raises WorkerError."""
        client = self._clients.of(context)
        model = services.named(self._model, context.engine_options["preset"], DEFAULT_MODEL)
        known = limits(model)
        if not known.sampling:
            hosted.not_sent(context, asked, model)
        context.chosen |= {"id": model, "preset": context.engine_options["preset"]}

        def ask(messages: list[Message], reply: Reply) -> Generator[str, None, None]:
            body = request_body(model, messages, asked, context.engine_options)
            with faults.of(client.service(model)), client.connection.during(context):
                yield from _pieces(client.sdk.chat.completions.create(**body), reply)

        return hosted.answer(messages, asked, context, client.preset.name, ask)

    def close(self) -> None:
        """Close the connections."""
        self._clients.close()


def request_body(
    model: str,
    messages: list[Message],
    asked: Asked,
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """The fields of a chat completion, as far as this model takes them."""
    known, schema = limits(model), asked.json_schema
    body: dict[str, Any] = {"model": model, "stream": True, "stream_options": {"include_usage": True}}
    new_name = known.new_length_name or options["preset"] == "openai"
    body["max_completion_tokens" if new_name else "max_tokens"] = asked.max_tokens
    if known.sampling:
        body |= {"temperature": asked.temperature} | ({} if asked.top_p is None else {"top_p": asked.top_p})
    if known.stop and asked.stop:
        body["stop"] = list(asked.stop[:MOST_STOPS])
    if asked.seed is not None:
        body["seed"] = asked.seed
    if schema is not None:
        strict = options["structured_output"] == "native" and hosted.expressible(schema, STRICT, strict=True)
        if options["structured_output"] == "native" and schema.get("type") == "object":
            form = {"name": "answer", "schema": schema, "strict": strict}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        if not (strict and options["preset"] == "openai"):
            messages = hosted.instructed(messages, schema)
    body["messages"] = messages if known.system else _without_system(messages)
    return body


def _without_system(messages: list[Message]) -> list[Message]:
    return [{**message, "role": "user"} if message["role"] == "system" else message for message in messages]


def _pieces(stream: Any, reply: Reply) -> Iterator[str]:
    """The text of a stream of chunks, each {choices: [{delta: {content, refusal}, finish_reason}], usage, model}."""
    length = 0
    with stream:
        for chunk in stream:
            for piece in _taken(chunk, reply):
                length += len(piece)
                yield piece
    if reply.finish_reason is None:
        raise faults.Broken(f"the stream ended after {length} characters, before the answer did")


def _taken(chunk: Any, reply: Reply) -> list[str]:
    try:
        reply.model = chunk.model or reply.model
        if chunk.usage is not None:
            reply.prompt_tokens, reply.completion_tokens = (
                int(chunk.usage.prompt_tokens),
                int(chunk.usage.completion_tokens),
            )
        pieces = []
        for choice in chunk.choices:
            if choice.finish_reason is not None:
                reply.finish_reason = FINISHES.get(choice.finish_reason)
                if reply.finish_reason is None:
                    raise faults.Broken(f"finish_reason is {choice.finish_reason!r}")
            if choice.delta.refusal:
                reply.refusal += choice.delta.refusal
            if choice.delta.content:
                pieces.append(str(choice.delta.content))
    except (AttributeError, TypeError) as error:
        raise faults.Broken(f"a chunk has not the shape of the API: {error}") from error
    if reply.refusal:
        reply.finish_reason = reply.finish_reason and "content_refused"
    reply.pieces += len(pieces)
    return pieces
