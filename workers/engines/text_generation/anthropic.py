"""Claude, by Anthropic's messages API. It takes neither temperature nor top_p nor a seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engines.text_generation import _conversation
from language import anthropic_messages
from providers import anthropic
from runtime.context import Context


class Engine:
    """``generate`` and ``chat``."""

    version = "1"
    requires: tuple[str, ...] = ("anthropic",)
    key_env: str | None = anthropic.KEY_ENV
    remote = True
    ops: tuple[str, ...] = ("generate", "chat")
    capabilities: frozenset[str] = frozenset(
        {"json_schema", "model", "prompt_file", "stop", "streaming", "system_prompt"}
    )
    models: Mapping[str, Mapping[str, Any]] = {
        name: {"sampling": False} for name in (anthropic_messages.DEFAULT_MODEL, "claude-opus-5-5", "claude-haiku-5-5")
    }
    options_schema: Mapping[str, Any] = {
        "type": "object",
        "properties": anthropic_messages.OPTIONS,
        "additionalProperties": False,
    }

    def __init__(self) -> None:
        self._chat = anthropic_messages.Chat()

    def load(self, model: Mapping[str, Any], options: Mapping[str, Any], context: Context) -> None:
        """Import the SDK and make a client; nothing is sent."""
        self._chat.load(model, options, context)

    def run(self, op: str, input: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
        """Send one request, and up to two more where the document breaks json_schema."""
        messages, asked = _conversation.messages(op, input), _conversation.asked(op, input)
        return _conversation.output(self._chat.answer(messages, asked, context))

    def unload(self) -> None:
        """Close the connection."""
        self._chat.close()
