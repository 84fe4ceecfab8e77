"""Language models behind OpenAI's chat API: OpenAI, OpenRouter, Together, Ollama, any server that speaks it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engines.text_generation import _conversation
from language import openai_chat
from providers import openai as services
from runtime.context import Context


class Engine:
    """``generate`` and ``chat``. Which key is needed depends on the preset, so it is asked for when a request comes."""

    version = "1"
    requires: tuple[str, ...] = ("openai",)
    key_env: str | None = None
    option_keys = services.OPTION_KEYS
    remote = True
    ops: tuple[str, ...] = ("generate", "chat")
    capabilities: frozenset[str] = frozenset(
        {"json_schema", "model", "prompt_file", "seed", "stop", "streaming", "system_prompt"}
    )
    models: Mapping[str, Mapping[str, Any]] = {
        name: {"sampling": openai_chat.limits(name).sampling, "system_prompt": openai_chat.limits(name).system}
        for name in (openai_chat.DEFAULT_MODEL, "gpt-5.5", "gpt-6-sol", "gpt-4o-mini", "o3")
    }
    options_schema: Mapping[str, Any] = {
        "type": "object",
        "properties": openai_chat.OPTIONS,
        "additionalProperties": False,
    }

    def __init__(self) -> None:
        self._chat = openai_chat.Chat()

    def load(self, model: Mapping[str, Any], options: Mapping[str, Any], context: Context) -> None:
        """Import the SDK; the service is known when a request comes."""
        self._chat.load(model, context)

    def run(self, op: str, input: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
        """Send one request, and up to two more where the document breaks json_schema."""
        messages, asked = _conversation.messages(op, input), _conversation.asked(op, input)
        return _conversation.output(self._chat.answer(messages, asked, context))

    def unload(self) -> None:
        """Close the connections."""
        self._chat.close()
