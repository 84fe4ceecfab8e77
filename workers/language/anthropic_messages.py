"""Anthropic's messages API: one answer to messages.

The SDK speaks version 2026-10-21 of the API, which takes neither temperature nor top_p nor a seed:
https://platform.claude.com/docs/en/api/migration-2026-10-21
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping
from typing import Any

from language import hosted
from language.asked import Asked, Said
from language.hosted import Message, Reply
from providers import anthropic as service
from providers import faults, wishes
from runtime.context import Context
from runtime.errors import WorkerError

DEFAULT_MODEL = "claude-sonnet-5-5"
KEYWORDS = hosted.STRUCTURE | hosted.BOUNDS | {"minLength", "maxLength", "format", "uniqueItems", "default", "examples"}
"""What anthropic.transform_schema sends on, as schema or in words."""
OPTIONS: Mapping[str, Any] = {
    "structured_output": {
        "enum": ["native", "prompted"],
        "default": "native",
        "description": "How JSON documents are asked for: by the API's output_config, or in words only, for models "
        "that refuse it. The answer is checked either way.",
    },
}
"""Members of ``engine_options`` that every engine for this service has."""
FINISHES = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_refused",
}


class Chat:
    """The service for one engine: its client, and the model that was named."""

    def __init__(self) -> None:
        self._client: service.Client | None = None
        self._model = DEFAULT_MODEL

    def load(self, model: Mapping[str, Any], options: Mapping[str, Any], context: Context) -> None:
        """Import the SDK and make a client; nothing is sent."""
        wishes.refuse_local(model)
        if options.get("offline"):
            raise WorkerError(
                "unsupported_capability",
                "options.offline is set, and Anthropic is not on this machine.",
                pointer="/options/offline",
                hint="Use another engine.",
            )
        self._model = model.get("id") or DEFAULT_MODEL
        began = time.monotonic()
        import anthropic  # noqa: F401 - the import is what takes time

        context.import_s = time.monotonic() - began
        self._client = service.client()

    def answer(self, messages: list[Message], asked: Asked, context: Context) -> Said:
        """Send one request, and up to two more where the document breaks json_schema. Raises WorkerError."""
        client, model = self._client, self._model
        assert client is not None  # noqa: S101 - load was called
        hosted.not_sent(context, asked, model)
        context.chosen["id"] = model

        def ask(messages: list[Message], reply: Reply) -> Generator[str, None, None]:
            body = request_body(model, messages, asked, context.engine_options)
            with faults.of(client.service(model)), client.connection.during(context):
                yield from _pieces(client.sdk.messages.create(**body), reply)

        return hosted.answer(messages, asked, context, service.NAME, ask)

    def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            self._client.sdk.close()
            self._client = None


def request_body(
    model: str,
    messages: list[Message],
    asked: Asked,
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """The fields of a message request. What stands above the conversation goes into ``system``; names are not known."""
    from anthropic import transform_schema

    body: dict[str, Any] = {"model": model, "stream": True, "max_tokens": asked.max_tokens}
    schema = asked.json_schema
    if schema is not None:
        if options["structured_output"] == "native" and hosted.expressible(schema, KEYWORDS, strict=False):
            body["output_config"] = {"format": {"type": "json_schema", "schema": transform_schema(schema)}}
        else:
            messages = hosted.instructed(messages, schema)
    first = next((place for place, message in enumerate(messages) if message["role"] != "system"), len(messages))
    if first:
        body["system"] = "\n\n".join(message["content"] for message in messages[:first])
    body["messages"] = [{key: message[key] for key in ("role", "content")} for message in messages[first:]]
    stops = [stop for stop in asked.stop if stop.strip()]  # the API refuses blank ones; those are cut on arrival
    if stops:
        body["stop_sequences"] = stops
    return body


def _pieces(stream: Any, reply: Reply) -> Iterator[str]:
    """The text of a stream of events: message_start, content_block_delta …, message_delta, message_stop."""
    length = 0
    with stream:
        for event in stream:
            piece = _taken(event, reply)
            if piece:
                reply.pieces += 1
                length += len(piece)
                yield piece
    if reply.finish_reason is None:
        raise faults.Broken(f"the stream ended after {length} characters, before the answer did")


def _taken(event: Any, reply: Reply) -> str:
    try:
        if event.type == "message_start":
            used = event.message.usage
            cached = (used.cache_creation_input_tokens or 0) + (used.cache_read_input_tokens or 0)
            reply.model, reply.prompt_tokens = event.message.model, int(used.input_tokens) + cached
        elif event.type == "content_block_delta" and event.delta.type == "text_delta":
            return str(event.delta.text)
        elif event.type == "message_delta":
            if event.usage is not None:
                reply.completion_tokens = int(event.usage.output_tokens)
            if event.delta.stop_reason is not None:
                reply.finish_reason = FINISHES.get(event.delta.stop_reason)
                if reply.finish_reason is None:
                    raise faults.Broken(f"stop_reason is {event.delta.stop_reason!r}")
                details = event.delta.stop_details
                reply.refusal = (details and details.explanation) or ""
    except (AttributeError, TypeError) as error:
        raise faults.Broken(f"an event has not the shape of the API: {error}") from error
    return ""
