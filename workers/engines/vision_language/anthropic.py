"""Claude, by Anthropic's messages API. It takes neither temperature nor a seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engines.vision_language import _pictures, _questions
from language import anthropic_messages
from providers import anthropic
from runtime.context import Context

LONGEST_SIDE = 1568
"""Pixels: larger pictures are scaled down to it there. https://platform.claude.com/docs/en/build-with-claude/vision"""


class Engine:
    """All operations."""

    version = "1"
    requires: tuple[str, ...] = ("anthropic", "PIL")
    key_env: str | None = anthropic.KEY_ENV
    remote = True
    ops: tuple[str, ...] = ("analyze_image", "check_consistency", "validate_scene")
    capabilities: frozenset[str] = frozenset({"json_schema", "model", "streaming"})
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
        """Send one request, and up to two more where the answer is not the document."""
        question = _questions.question(op, input, bounded=False)
        content: list[dict[str, Any]] = [
            {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": _pictures.jpeg(picture)}}
            for picture in _pictures.opened(op, input, LONGEST_SIDE, context)
        ]
        content.append({"type": "text", "text": question.text})
        said = self._chat.answer([{"role": "user", "content": content}], question.asked, context)
        return _questions.output(op, input, said)

    def unload(self) -> None:
        """Close the connection."""
        self._chat.close()
