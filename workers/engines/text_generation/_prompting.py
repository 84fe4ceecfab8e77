"""From a request to the tokens that a model of transformers reads: its chat template, or plain text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engines.text_generation import _conversation
from runtime.context import Context
from runtime.errors import WorkerError

Messages = list[dict[str, str]]


def tokens(tokenizer: Any, op: str, input: Mapping[str, Any], context: Context) -> list[int]:  # noqa: A002
    """The prompt's tokens.

    A model without a chat template goes on with ``generate``'s prompt as it stands, with a warning; ``chat`` is
    refused. Raises WorkerError ``unsupported_capability`` for that, ``invalid_request`` for what the template refuses.
    """
    said = _conversation.messages(op, input)
    if tokenizer.chat_template is None:
        if op == "chat":
            raise WorkerError(
                "unsupported_capability",
                "The model has no chat template: it continues texts and holds no conversations.",
                pointer="/model/id",
                hint="Take an instruction-tuned model (…-Instruct, …-Chat), or the operation generate.",
            )
        context.warn("no_chat_template", "The model has no chat template; it goes on with the prompt as it stands.")
        plain: list[int] = tokenizer("\n\n".join(message["content"] for message in said))["input_ids"]
        return plain
    found: list[int] = tokenizer(_rendered(tokenizer, said, context), add_special_tokens=False)["input_ids"]
    return found


def _rendered(tokenizer: Any, said: Messages, context: Context) -> str:
    from jinja2 import TemplateError

    def render(messages: Messages) -> str:
        text: str = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        return text

    system = [message["content"] for message in said if message["role"] == "system"]
    try:
        text = render(said)
        heard = all(content.strip() in text for content in system)
    except TemplateError as error:
        if not system:
            raise _refused(error) from error
        heard = False
    if not heard:
        said = _merged(said, "\n\n".join(system))
        try:
            text = render(said)
        except TemplateError as error:
            raise _refused(error) from error
        context.warn("system_merged", "The model knows no system messages; they stand before the first message.")
    if any("name" in message for message in said):
        nameless = [{key: value for key, value in message.items() if key != "name"} for message in said]
        if render(nameless) == text:
            context.warn("name_ignored", "The model's chat template knows no names; they are left out.")
    return text


def _merged(said: Messages, system: str) -> Messages:
    first, *rest = [message for message in said if message["role"] != "system"]
    return [{**first, "content": f"{system}\n\n{first['content']}"}, *rest]


def _refused(error: Exception) -> WorkerError:
    return WorkerError(
        "invalid_request",
        f"The model's chat template refuses the conversation: {error}",
        pointer="/input/messages",
        hint="Most models want user and assistant in turn, the user first.",
    )
