"""How services ask for a pause, and documents from a model that does its worst."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.text_generation import _conversation
from language import hosted
from language.hosted import Message, Reply
from providers.connection import is_loopback
from providers.faults import retry_after_s
from runtime import validation
from runtime.context import Context
from runtime.errors import WorkerError

NOON = 1763726400.0  # 2025-11-21T12:00:00Z


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 0.5 "}, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"retry-after": "Fri, 21 Nov 2025 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Fri, 21 Nov 2025 12:00:30 GMT", "date": "Fri, 21 Nov 2025 12:00:10 GMT"}, 20.0),
        ({"retry-after": "Fri, 21 Nov 2025 11:00:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1e12"}, 86400.0),
        ({}, None),
        (
            {
                "anthropic-ratelimit-requests-remaining": "3",
                "anthropic-ratelimit-requests-reset": "2025-11-21T12:30:00Z",
                "anthropic-ratelimit-tokens-remaining": "0",
                "anthropic-ratelimit-tokens-reset": "2025-11-21T12:00:45Z",
            },
            45.0,
        ),
    ],
)
def test_the_pause_is_read_from_every_form_in_use(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers, NOON) == seconds


@pytest.mark.parametrize(
    ("address", "here"),
    [("http://127.0.0.1:1/v1", True), ("http://localhost/v1", True), ("http://[::1]:8/v1", True),
     ("https://127.0.0.1.example/v1", False), ("https://api.openai.com/v1", False), ("http://10.0.0.1/", False)],
)  # fmt: skip
def test_this_machine_is_told_from_others(address: str, here: bool) -> None:
    assert is_loopback(address) is here


SCHEMA = {
    "type": "object",
    "properties": {"title": {"type": "string", "minLength": 1}, "scenes": {"type": "integer", "minimum": 1}},
    "required": ["title", "scenes"],
    "additionalProperties": False,
}
LEAF = st.none() | st.booleans() | st.integers(-2, 2) | st.floats() | st.text(max_size=3)
NEAR = st.fixed_dictionaries({"title": st.text(max_size=3) | LEAF}, optional={"scenes": LEAF, "more": LEAF})
TEXTS = st.one_of(
    NEAR.map(json.dumps),
    NEAR.map(lambda value: f"```json\n{json.dumps(value)}\n```"),
    NEAR.map(lambda value: f"Here: {json.dumps(value)}"),
    NEAR.map(lambda value: json.dumps(value)[:-1]),
    st.text(max_size=12),
    st.just('{"title": "\\ud800", "scenes": 1}'),
    st.just("[" * 5000),
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    texts=st.lists(TEXTS, min_size=3, max_size=3), finish=st.sampled_from(["stop", "stop", "length", "content_refused"])
)
def test_a_document_is_valid_or_there_is_an_error(texts: list[str], finish: str, tmp_path_factory: Any) -> None:
    asked: list[list[Message]] = []

    def ask(messages: list[Message], reply: Reply) -> Generator[str, None, None]:
        yield from texts[len(asked)]
        asked.append(messages)
        reply.finish_reason, reply.completion_tokens = finish, 1

    said: list[str] = []
    context = Context(
        output_dir=tmp_path_factory.getbasetemp(),
        output_name="x",
        emit=lambda kind, fields: said.append(fields["data"]) if kind == "delta" else None,
    )
    given_ = {"prompt": "Go.", "json_schema": SCHEMA}
    whole = validation.filled(given_, validation.input_schema("text_generation", "generate"))
    output, code = None, ""
    try:
        messages, how = _conversation.messages("generate", whole), _conversation.asked("generate", whole)
        output = _conversation.output(hosted.answer(messages, how, context, "It", ask))
    except WorkerError as error:
        code = error.code
    if output is None:
        assert code in {"unsupported_capability", "invalid_request", "content_refused"}
        assert said == []
        assert len(asked) == (3 if code == "unsupported_capability" else 1)
    else:
        assert validation.violations(output["json"], SCHEMA) == []
        assert json.loads(output["text"]) == output["json"]
        assert "".join(said) == output["text"]
        assert validation.violations(output, validation.document("text_generation/generate")["$defs"]["output"]) == []
