"""From a request to messages, and from an answer to the output; the same for every engine of the family."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from language.asked import Asked, Said, wishes
from runtime.errors import WorkerError

MAX_FILE_BYTES = 4_000_000


def messages(op: str, input: Mapping[str, Any]) -> list[dict[str, str]]:  # noqa: A002 - the wire's word
    """The messages {role, content} of a request, and name where one is given; a system prompt comes first.

    Raises WorkerError ``input_unreadable`` for a prompt_file that is no text.
    """
    if op == "generate":
        asked = [{"role": "user", "content": prompt(input)}]
    else:
        asked = [{key: value for key, value in message.items() if value is not None} for message in input["messages"]]
    if not input["system_prompt"]:
        return asked
    return [{"role": "system", "content": input["system_prompt"]}, *asked]


def asked(op: str, input: Mapping[str, Any]) -> Asked:  # noqa: A002 - the wire's word
    """How the model is to answer."""
    return Asked(
        max_tokens=input["max_tokens"],
        temperature=input["temperature"],
        top_p=input["top_p"],
        stop=tuple(input["stop"]),
        seed=input["seed"],
        json_schema=input["json_schema"],
        wishes=wishes("text_generation", op, input),
    )


def output(said: Said) -> dict[str, Any]:
    """The output of ``generate`` and ``chat``."""
    return {
        "text": said.text,
        "json": said.document,
        "tokens_generated": said.tokens,
        "generation_time_ms": round(said.seconds * 1000, 3),
        "tokens_per_second": round(said.tokens / said.seconds, 3) if said.seconds else 0.0,
        "finish_reason": said.finish_reason,
        "seed": said.seed,
        "usage": {
            "prompt": said.prompt_tokens,
            "completion": said.tokens,
            "total": said.prompt_tokens + said.tokens,
        },
    }


def prompt(input: Mapping[str, Any]) -> str:  # noqa: A002 - the wire's word
    """The prompt of ``generate``, wherever it stands. Raises WorkerError ``input_unreadable``."""
    if input["prompt_file"] is None:
        return str(input["prompt"])
    path = Path(input["prompt_file"])
    try:
        with open(path, "rb") as file:
            body = file.read(MAX_FILE_BYTES + 1)
        if len(body) > MAX_FILE_BYTES:
            raise _unreadable(path, f"has more than {MAX_FILE_BYTES} bytes")
        text = body.decode("utf-8-sig")
    except OSError as error:
        raise _unreadable(path, f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise _unreadable(path, f"is no UTF-8 text: byte {error.start} is wrong") from error
    if not text.strip() or "\0" in text:
        raise _unreadable(path, "holds no text")
    return text


def _unreadable(path: Path, why: str) -> WorkerError:
    return WorkerError(
        "input_unreadable",
        f"prompt_file {path} {why}.",
        pointer="/input/prompt_file",
        hint="Name a text file in UTF-8.",
    )
