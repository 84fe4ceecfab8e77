"""The engine anthropic through a real worker process, against a server here that replays what the API sends."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hosted_service import EVENTS, KEYS, Answer, Service, Worker, anthropic_error, event, message, serving
from support import PATIENCE_S, result_of, worker

HI = {"prompt": "Say hello."}
TITLE = {
    "type": "object",
    "properties": {"title": {"type": "string", "minLength": 1}, "scenes": {"type": "integer", "minimum": 1}},
    "required": ["title"],
    "additionalProperties": False,
}
GOOD = '{"title": "Two Lamps", "scenes": 2}'


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with serving() as found:
        yield found


@pytest.fixture(scope="module")
def host(service: Service) -> Iterator[Worker]:
    """A worker whose Anthropic is our service; when all is done, no key may have been written anywhere."""
    found = Worker(ANTHROPIC_BASE_URL=service.root, **KEYS)
    yield found
    said = found.close()
    assert not [key for key in KEYS.values() if key in said]


def ask(host: Worker, op: str = "generate", **fields: Any) -> tuple[dict[str, Any], list[str]]:
    return host.ask(op, **{"engine": "anthropic", "input": HI, **fields})


def test_text_comes_in_pieces_with_its_usage_by_one_request(service: Service, host: Worker) -> None:
    service.play(message("An old ", "man ", "lit a lamp."))
    result, deltas = ask(host, input={**HI, "max_tokens": 64, "stop": ["END", "\n"]})
    assert deltas == ["An old ", "man ", "lit a lamp."]
    output = result["output"]
    assert (output["text"], output["finish_reason"], output["seed"]) == ("An old man lit a lamp.", "stop", None)
    assert output["usage"] == {"prompt": 11, "completion": 5, "total": 16}
    (request,) = service.requests
    assert request.headers["authorization"] == f"Bearer {KEYS['ANTHROPIC_API_KEY']}"
    assert (request.body["max_tokens"], request.body["stop_sequences"]) == (64, ["END"])
    assert not {"temperature", "top_p", "system"} & set(request.body)
    assert result["warnings"] == []


def test_a_stop_text_that_the_api_refuses_is_cut_here(service: Service, host: Worker) -> None:
    service.play(message("One line.", "\nAnd more", finish=None, end="stall"))
    result, _ = ask(host, input={**HI, "stop": ["\n"]})
    assert (result["output"]["text"], result["output"]["finish_reason"]) == ("One line.", "stop")
    assert service.left.wait(PATIENCE_S)


def test_what_stands_above_a_conversation_goes_into_system(service: Service, host: Worker) -> None:
    service.play(message("Yes."))
    said = [
        {"role": "system", "content": "You are a miller."},
        {"role": "user", "content": "Is it late?", "name": "Ana"},
        {"role": "assistant", "content": "No."},
        {"role": "system", "content": "It is midnight."},
        {"role": "user", "content": "And now?"},
    ]
    ask(host, "chat", input={"system_prompt": "Be brief.", "messages": said})
    body = service.requests[0].body
    assert body["system"] == "Be brief.\n\nYou are a miller."
    assert [part["role"] for part in body["messages"]] == ["user", "assistant", "system", "user"]
    assert "name" not in body["messages"][0]


def test_wishes_about_sampling_are_not_sent_and_said_so(service: Service, host: Worker) -> None:
    service.play(message("Yes."))
    result, _ = ask(host, input={**HI, "temperature": 0.1})
    assert "temperature" not in service.requests[0].body
    assert [warning["code"] for warning in result["warnings"]] == ["not_sent"]


def test_a_seed_is_refused_before_anything_is_sent(service: Service, host: Worker) -> None:
    service.play(message("Yes."))
    line, _ = ask(host, input={**HI, "seed": 7})
    assert line["error"]["code"] == "unsupported_capability"
    assert "seed" in line["error"]["message"]
    assert service.requests == []


def stream(*events: str, end: str = "whole") -> Answer:
    return Answer(headers=EVENTS, body=list(events), end=end)


BEGUN = list(message("Once", finish=None).body)
FAULTS = {
    "wrong key": (
        anthropic_error(401, "authentication_error", f"invalid key {KEYS['ANTHROPIC_API_KEY']}"),
        "auth_rejected",
    ),
    "not permitted": (
        anthropic_error(403, "permission_error", "Your API key does not have permission"),
        "auth_rejected",
    ),
    "no money": (
        anthropic_error(400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API."),
        "provider_rejected",
    ),
    "billing": (anthropic_error(402, "billing_error", "Payment required"), "provider_rejected"),
    "no model": (anthropic_error(404, "not_found_error", "model: claude-sonnet-5-5"), "model_not_found"),
    "rate limit": (
        anthropic_error(429, "rate_limit_error", "This request would exceed your rate limit", retry_after="12"),
        "rate_limited",
    ),
    "fault": (anthropic_error(500, "api_error", "Internal server error"), "provider_unavailable"),
    "overloaded": (anthropic_error(529, "overloaded_error", "Overloaded"), "provider_unavailable"),
    "too long": (
        anthropic_error(400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
        "invalid_request",
    ),
    "too large": (anthropic_error(413, "request_too_large", "Request exceeds the maximum size"), "invalid_request"),
    "max_tokens": (
        anthropic_error(
            400,
            "invalid_request_error",
            "max_tokens: 1000000 > 64000, which is the maximum allowed number of output tokens",
        ),
        "invalid_request",
    ),
    "extra field": (
        anthropic_error(400, "invalid_request_error", "temperature: Extra inputs are not permitted"),
        "unsupported_capability",
    ),
    "deprecated field": (
        anthropic_error(400, "invalid_request_error", "`top_p` is deprecated for this model."),
        "unsupported_capability",
    ),
    "content filter": (
        anthropic_error(400, "invalid_request_error", "Output blocked by content filtering policy: content_filter"),
        "content_refused",
    ),
    "other": (
        anthropic_error(400, "invalid_request_error", "messages: at least one message is required"),
        "provider_rejected",
    ),
    "refusal": (
        message("Once", finish="refusal", details={"type": "refusal", "category": "cyber", "explanation": "Not that."}),
        "content_refused",
    ),
    "cut mid-chunk": (message("Once", finish=None, end="cut"), "network"),
    "no finish": (message("Once", finish=None), "provider_unavailable"),
    "invalid JSON": (stream(*BEGUN, 'event: content_block_delta\ndata: {"type": "con\n\n'), "provider_unavailable"),
    "not the shape": (stream(event("content_block_delta", index=0)), "provider_unavailable"),
    "a page": (Answer(200, {"content-type": "text/html"}, ["<html>Welcome</html>"]), "provider_unavailable"),
    "overloaded in the stream": (
        stream(
            *BEGUN,
            'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}\n\n',
        ),
        "provider_unavailable",
    ),
    "limit in the stream": (
        stream(
            *BEGUN,
            'event: error\ndata: {"type": "error", "error": {"type": "rate_limit_error", "message": "Slow"}}\n\n',
        ),
        "rate_limited",
    ),
    "odd finish": (message("Once", finish="pause_turn"), "provider_unavailable"),
}


@pytest.mark.parametrize(("answer", "code"), FAULTS.values(), ids=FAULTS)
def test_a_fault_of_the_service_is_one_clear_error_after_one_request(
    answer: Answer, code: str, service: Service, host: Worker
) -> None:
    service.play(answer)
    line, _ = ask(host)
    assert line["type"] == "error", line
    assert line["error"]["code"] == code, line
    assert "canary" not in json.dumps(line)
    assert len(service.requests) == 1


def test_the_pause_a_service_asks_for_is_passed_on(service: Service, host: Worker) -> None:
    service.play(FAULTS["rate limit"][0])
    assert ask(host)[0]["error"]["retry_after_s"] == 12


@pytest.mark.parametrize("silent", [True, False], ids=["before its headers", "within its stream"])
def test_a_service_that_stalls_is_left_at_the_deadline_or_when_cancelled(
    silent: bool, service: Service, host: Worker
) -> None:
    stalled = Answer(silent=True) if silent else message("Once", finish=None, end="stall")
    service.play(stalled)
    began = time.monotonic()
    assert ask(host, options={"timeout_s": 0.5})[0]["error"]["code"] == "timeout"
    assert service.left.wait(PATIENCE_S)
    service.play(stalled)

    def cancel() -> None:
        assert service.arrived.wait(PATIENCE_S)
        host.send({"type": "cancel", "id": "a"})

    assert ask(host, begin=cancel)[0]["error"]["code"] == "cancelled"
    assert service.left.wait(PATIENCE_S)
    assert time.monotonic() - began < 8


def test_a_document_is_asked_for_natively_and_checked(service: Service, host: Worker) -> None:
    service.play(message('{"title": ""}'), message(GOOD[:9], GOOD[9:]))
    result, deltas = ask(host, input={**HI, "json_schema": TITLE})
    assert result["output"]["json"] == {"title": "Two Lamps", "scenes": 2}
    assert "".join(deltas) == GOOD
    first, second = service.requests
    form = first.body["output_config"]["format"]
    assert (form["type"], form["schema"]["required"]) == ("json_schema", ["title"])
    assert "minLength" in form["schema"]["properties"]["title"]["description"]  # the API takes no such rule; it is told
    assert second.body["messages"][-2]["content"] == '{"title": ""}'


def test_an_open_schema_is_told_in_words(service: Service, host: Worker) -> None:
    service.play(message('{"a": 1}'))
    schema = {"type": "object", "additionalProperties": {"type": "integer"}}
    assert ask(host, input={**HI, "json_schema": schema})[0]["output"]["json"] == {"a": 1}
    body = service.requests[0].body
    assert "output_config" not in body  # it would only let an empty object through
    assert json.dumps(schema) in body["system"]


def test_wrong_and_cut_documents_are_errors(service: Service, host: Worker) -> None:
    service.play(message("Here you are."))
    line, deltas = ask(host, input={**HI, "json_schema": TITLE})
    assert (line["error"]["code"], deltas, len(service.requests)) == ("unsupported_capability", [], 3)
    service.play(message(GOOD[:9], finish="max_tokens"))
    line, _ = ask(host, input={**HI, "json_schema": TITLE})
    assert (line["error"]["pointer"], len(service.requests)) == ("/input/max_tokens", 1)


def test_a_missing_key_is_named_before_anything_is_loaded() -> None:
    request = {"v": 1, "op": "generate", "engine": "anthropic", "input": HI}
    done = worker("text_generation", request, env={"ANTHROPIC_API_KEY": "", "ANTHROPIC_AUTH_TOKEN": "canary-token"})
    assert done.returncode == 77
    error = result_of(done)["error"]
    assert error["code"] == "auth_missing"
    assert "ANTHROPIC_API_KEY" in error["message"]


def test_not_even_debug_logs_and_tracebacks_show_a_key(service: Service) -> None:
    service.play(FAULTS["wrong key"][0])
    env = {**KEYS, "ANTHROPIC_BASE_URL": service.root, "ANTHROPIC_LOG": "debug"}
    request = {"v": 1, "op": "generate", "engine": "anthropic", "input": HI}
    done = worker("text_generation", request, "--stream", "--debug", "--log-level", "debug", env=env)
    assert done.returncode == 77
    assert b"Traceback" in done.stderr
    assert b"canary" not in done.stdout + done.stderr
