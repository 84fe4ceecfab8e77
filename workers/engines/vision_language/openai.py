"""Models that see behind OpenAI's chat API: OpenAI, OpenRouter, Together, Ollama, any server that speaks it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engines.vision_language import _pictures, _questions
from language import openai_chat
from providers import openai as services
from runtime.context import Context

LONGEST_SIDE = 2048
"""Pixels: with ``detail`` high, larger pictures are scaled down to it. https://developers.openai.com/api/docs/guides/images-vision"""


class Engine:
    """All operations. Which key is needed depends on the preset, so it is asked for when a request comes."""

    version = "1"
    requires: tuple[str, ...] = ("openai", "PIL")
    key_env: str | None = None
    option_keys = services.OPTION_KEYS
    remote = True
    ops: tuple[str, ...] = ("analyze_image", "check_consistency", "validate_scene")
    capabilities: frozenset[str] = frozenset({"json_schema", "model", "seed", "streaming"})
    models: Mapping[str, Mapping[str, Any]] = {
        name: {"sampling": openai_chat.limits(name).sampling}
        for name in (openai_chat.DEFAULT_MODEL, "gpt-5.5", "gpt-6-sol", "gpt-4o-mini")
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
        """Send one request, and up to two more where the answer is not the document."""
        question = _questions.question(op, input, bounded=False)
        content: list[dict[str, Any]] = [
            {
                "type": "image_url",
                "image_url": {"url": f"data:image/jpeg;base64,{_pictures.jpeg(picture)}", "detail": "high"},
            }
            for picture in _pictures.opened(op, input, LONGEST_SIDE, context)
        ]
        content.append({"type": "text", "text": question.text})
        said = self._chat.answer([{"role": "user", "content": content}], question.asked, context)
        return _questions.output(op, input, said)

    def unload(self) -> None:
        """Close the connections."""
        self._chat.close()
