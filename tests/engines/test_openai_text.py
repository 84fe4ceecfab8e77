"""The engine openai through a real worker process, against a server on this machine that replays what services send."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import pytest
from hosted_service import (
    AMBIENT,
    EVENTS,
    KEYS,
    Answer,
    Service,
    Worker,
    chunk,
    completion,
    environment,
    openai_error,
    serving,
)
from support import PATIENCE_S, result_of, worker

from language.openai_chat import limits
from runtime.errors import error_table

HI = {"prompt": "Say hello."}
TITLE = {
    "type": "object",
    "properties": {"title": {"type": "string"}, "scenes": {"type": "integer", "minimum": 1}},
    "required": ["title", "scenes"],
    "additionalProperties": False,
}
GOOD = '{"title": "Two Lamps", "scenes": 2}'


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with serving() as found:
        yield found


@pytest.fixture(scope="module")
def host(service: Service) -> Iterator[Worker]:
    """A worker whose preset openai is our service; when all is done, no key may have been written anywhere."""
    found = Worker(OPENAI_BASE_URL=f"{service.root}/v1", **KEYS, **AMBIENT)
    yield found
    said = found.close()
    assert not [key for key in [*KEYS.values(), AMBIENT["OPENAI_ADMIN_KEY"]] if key in said]


def ask(host: Worker, op: str = "generate", **fields: Any) -> tuple[dict[str, Any], list[str]]:
    return host.ask(op, **{"engine": "openai", "input": HI, **fields})


def custom(service: Service, **options: Any) -> dict[str, Any]:
    return {"preset": "custom", "base_url": f"{service.root}/v1", **options}


def test_text_comes_in_pieces_with_its_usage_by_one_request(service: Service, host: Worker) -> None:
    service.play(completion("An old ", "man ", "lit a lamp."))
    result, deltas = ask(host, input={**HI, "max_tokens": 64, "seed": 7, "temperature": 0.2})
    assert deltas == ["An old ", "man ", "lit a lamp."]
    output = result["output"]
    assert (output["text"], output["finish_reason"], output["seed"]) == ("An old man lit a lamp.", "stop", 7)
    assert output["usage"] == {"prompt": 11, "completion": 5, "total": 16}
    assert result["metrics"]["usage"] == {"prompt": 11, "completion": 5, "total": 16, "requests": 1}
    assert result["model"]["answered_by"] == "served-model"
    (request,) = service.requests
    assert request.headers["authorization"] == f"Bearer {KEYS['OPENAI_API_KEY']}"
    assert request.body["messages"] == [{"role": "user", "content": "Say hello."}]
    assert (request.body["max_completion_tokens"], request.body["seed"]) == (64, 7)


def test_a_conversation_goes_out_as_it_is(service: Service, host: Worker) -> None:
    service.play(completion("Yes."))
    said = [{"role": "user", "content": "Is it late?", "name": "Ana"}, {"role": "assistant", "content": "No."}]
    asked = {
        "system_prompt": "Be brief.",
        "messages": [*said, {"role": "user", "content": "And now?"}],
        "stop": list("abcde"),
    }
    result, _ = ask(host, "chat", input=asked, model={"id": "gpt-4o-mini"})
    assert result["type"] == "result"
    body = service.requests[0].body
    assert body["messages"] == [{"role": "system", "content": "Be brief."}, *asked["messages"]]
    assert (body["temperature"], body["top_p"], body["stop"]) == (0.7, 0.9, list("abcd"))


def test_a_service_that_heeds_no_stop_text_is_hung_up_on(service: Service, host: Worker) -> None:
    endless = completion("one tw", "o EN", "D three", "four", finish=None, end="stall")
    service.play(endless)
    result, deltas = ask(host, input={**HI, "stop": ["END"]})
    assert (result["output"]["text"], result["output"]["finish_reason"]) == ("one two ", "stop")
    assert "".join(deltas) == "one two "
    assert service.left.wait(PATIENCE_S)
    assert [warning["code"] for warning in result["warnings"]] == ["usage_unknown"]


def test_an_answer_that_max_tokens_ended_says_so(service: Service, host: Worker) -> None:
    service.play(completion("An old", finish="length"))
    assert ask(host)[0]["output"]["finish_reason"] == "length"
    service.play(completion(finish="length"))
    result, _ = ask(host, model={"id": "o3"})
    assert [warning["code"] for warning in result["warnings"]] == ["no_text"]


def broken_stream(body: list[str]) -> Answer:
    return Answer(headers=EVENTS, body=body)


HELD = openai_error(429, "Rate limit reached for gpt", "rate_limit_exceeded", "requests", retry_after="20")
FAULTS = {
    "wrong key": (
        openai_error(401, f"Incorrect API key provided: {KEYS['OPENAI_API_KEY']}. You", "invalid_api_key"),
        "auth_rejected",
    ),
    "half a key": (
        openai_error(401, "Incorrect API key provided: sk-can***************6789.", "invalid_api_key"),
        "auth_rejected",
    ),
    "not permitted": (openai_error(403, "You have insufficient permissions for this operation."), "auth_rejected"),
    "no money": (
        openai_error(429, "You exceeded your current quota", "insufficient_quota", "insufficient_quota"),
        "provider_rejected",
    ),
    "payment": (openai_error(402, "Insufficient credits."), "provider_rejected"),
    "no model": (
        openai_error(
            404, "The model `gpt-5.4-mini` does not exist or you do not have access to it.", "model_not_found"
        ),
        "model_not_found",
    ),
    "no model, ollama": (
        Answer(
            404, body=['{"error":{"message":"model \\"x\\" not found, try pulling it first","type":"not_found_error"}}']
        ),
        "model_not_found",
    ),
    "wrong address": (Answer(404, {"content-type": "text/html"}, ["<html>nginx</html>"]), "provider_rejected"),
    "rate limit": (HELD, "rate_limited"),
    "fault": (openai_error(500, "The server had an error", None, "server_error"), "provider_unavailable"),
    "gateway": (Answer(502, {"content-type": "text/html"}, ["<html>Bad gateway</html>"]), "provider_unavailable"),
    "overloaded": (openai_error(503, "The engine is currently overloaded"), "provider_unavailable"),
    "too long": (
        openai_error(
            400,
            "This model's maximum context length is 4096 tokens. However, your messages resulted in 9000 tokens.",
            "context_length_exceeded",
        ),
        "invalid_request",
    ),
    "max_tokens": (
        openai_error(
            400, "max_tokens is too large: 99999. This model supports at most 16384 completion tokens", "invalid_value"
        ),
        "invalid_request",
    ),
    "temperature": (
        openai_error(
            400,
            "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) is.",
            "unsupported_value",
        ),
        "unsupported_capability",
    ),
    "unknown field": (openai_error(400, "Unrecognized request argument supplied: seed"), "unsupported_capability"),
    "extra field": (
        Answer(
            422,
            body=[
                '{"detail":[{"type":"extra_forbidden","msg":"Extra inputs are not permitted","loc":["body","seed"]}]}'
            ],
        ),
        "unsupported_capability",
    ),
    "content policy": (
        openai_error(400, "Your request was rejected as a result of our safety system.", "content_policy_violation"),
        "content_refused",
    ),
    "flagged": (
        Answer(
            403, body=['{"error":{"code":403,"message":"Your input was flagged","metadata":{"reasons":["violence"]}}}']
        ),
        "content_refused",
    ),
    "other": (openai_error(400, "Something else is wrong."), "provider_rejected"),
    "moved": (Answer(308, {"location": "https://elsewhere.example/v1"}), "provider_rejected"),
    "filtered": (completion("Once", finish="content_filter"), "content_refused"),
    "refusal": (
        broken_stream([chunk({"refusal": "I cannot help with that."}), chunk({}, "stop"), "data: [DONE]\n\n"]),
        "content_refused",
    ),
    "cut mid-chunk": (completion("Once", finish=None, end="cut"), "network"),
    "no finish": (completion("Once", finish=None), "provider_unavailable"),
    "invalid JSON": (broken_stream([chunk({"content": "On"}), 'data: {"choices": [{"del\n\n']), "provider_unavailable"),
    "not the shape": (broken_stream(['data: {"foo": 1}\n\n']), "provider_unavailable"),
    "not an object": (broken_stream(["data: 42\n\n"]), "provider_unavailable"),
    "a page": (Answer(200, {"content-type": "text/html"}, ["<html>Welcome</html>"]), "provider_unavailable"),
    "error in the stream": (
        broken_stream(
            [chunk({"content": "On"}), 'data: {"error":{"code":502,"message":"Provider returned error"}}\n\n']
        ),
        "provider_unavailable",
    ),
    "limit in the stream": (
        broken_stream(['data: {"error":{"type":"rate_limit_error","message":"Slow down"}}\n\n']),
        "rate_limited",
    ),
    "odd finish": (completion("Once", finish="tool_calls"), "provider_unavailable"),
}


@pytest.mark.parametrize(("answer", "code"), FAULTS.values(), ids=FAULTS)
def test_a_fault_of_the_service_is_one_clear_error_after_one_request(
    answer: Answer, code: str, service: Service, host: Worker
) -> None:
    service.play(answer)
    line, _ = ask(host)
    assert line["type"] == "error", line
    assert line["error"]["code"] == code, line
    assert line["error"]["retryable"] == error_table()[code]["retryable"]
    assert line["error"]["hint"] or code == "provider_rejected"
    assert "canary" not in json.dumps(line)
    assert "sk-can" not in json.dumps(line)
    assert len(service.requests) == 1


def test_what_a_service_says_is_shown(service: Service, host: Worker) -> None:
    service.play(FAULTS["temperature"][0])
    error = ask(host)[0]["error"]
    assert "'temperature' does not support 0.2" in error["message"]
    service.play(FAULTS["too long"][0])
    error = ask(host)[0]["error"]
    assert "4096 tokens" in error["message"]
    assert "Shorten the prompt" in error["hint"]


def test_the_pause_a_service_asks_for_is_passed_on(service: Service, host: Worker) -> None:
    service.play(HELD)
    assert ask(host)[0]["error"]["retry_after_s"] == 20
    until = formatdate(time.time() + 90, usegmt=True)
    service.play(openai_error(429, "Later.", retry_after=until))
    assert 80 < ask(host)[0]["error"]["retry_after_s"] <= 91
    service.play(openai_error(503, "Later.", retry_after="3"))
    assert ask(host)[0]["error"]["retry_after_s"] == 3


@pytest.mark.parametrize("silent", [True, False], ids=["before its headers", "within its stream"])
def test_a_service_that_stalls_is_left_at_the_deadline(silent: bool, service: Service, host: Worker) -> None:
    service.play(Answer(silent=True) if silent else completion("Once", finish=None, end="stall"))
    began = time.monotonic()
    line, _ = ask(host, options={"timeout_s": 0.5})
    assert line["error"]["code"] == "timeout"
    assert time.monotonic() - began < 4
    assert service.left.wait(PATIENCE_S)


@pytest.mark.parametrize("silent", [True, False], ids=["before its headers", "within its stream"])
def test_a_cancelled_request_hangs_up(silent: bool, service: Service, host: Worker) -> None:
    service.play(Answer(silent=True) if silent else completion("Once", finish=None, end="stall"))

    def cancel() -> None:
        assert service.arrived.wait(PATIENCE_S)
        host.send({"type": "cancel", "id": "a"})

    began = time.monotonic()
    line, _ = ask(host, begin=cancel)
    assert line["error"]["code"] == "cancelled"
    assert time.monotonic() - began < 4
    assert service.left.wait(PATIENCE_S)
    service.play(completion("Again."))
    assert ask(host)[0]["output"]["text"] == "Again."  # the same worker goes on


def test_a_service_that_is_not_there_is_the_networks_fault(host: Worker) -> None:
    address = "http://nowhere.invalid/v1"
    line, _ = ask(host, model={"id": "m"}, engine_options={"preset": "custom", "base_url": address})
    assert line["error"]["code"] == "network"
    assert address in line["error"]["message"]


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/v1", "http://localhost:9/v1"])
def test_a_server_of_this_machine_that_does_not_run_is_not_tried_again(address: str, host: Worker) -> None:
    line, _ = ask(host, model={"id": "m"}, engine_options={"preset": "custom", "base_url": address})
    error = line["error"]
    assert (error["code"], error["retryable"]) == ("engine_unavailable", False)
    assert f"nothing listens at {address}" in error["message"]
    assert "Start it" in error["hint"]


# Documents


def test_a_document_is_asked_for_natively_and_comes_out_valid(service: Service, host: Worker) -> None:
    service.play(completion(GOOD[:9], GOOD[9:]))
    result, deltas = ask(host, input={**HI, "json_schema": TITLE})
    assert result["output"]["json"] == {"title": "Two Lamps", "scenes": 2}
    assert "".join(deltas) == result["output"]["text"] == GOOD
    assert not result["warnings"]
    (request,) = service.requests
    assert request.body["response_format"]["json_schema"] == {"name": "answer", "schema": TITLE, "strict": True}
    assert request.body["messages"] == [{"role": "user", "content": "Say hello."}]


def test_an_open_schema_is_not_called_strict_and_is_told_in_words(service: Service, host: Worker) -> None:
    service.play(completion('{"a": 1}'))
    schema = {"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 1}
    result, _ = ask(host, input={**HI, "json_schema": schema})
    assert result["output"]["json"] == {"a": 1}
    body = service.requests[0].body
    assert body["response_format"]["json_schema"]["strict"] is False
    assert json.dumps(schema) in body["messages"][0]["content"]
    service.play(completion("[1]"))
    ask(host, input={**HI, "json_schema": {"type": "array"}})
    assert "response_format" not in service.requests[0].body


def test_a_server_that_ignores_the_schema_is_asked_again(service: Service, host: Worker) -> None:
    service.play(
        completion("Sure! Here it is."), completion('{"title": "Two Lamps"}'), completion(f"```json\n{GOOD}\n```")
    )
    result, deltas = ask(host, model={"id": "m"}, input={**HI, "json_schema": TITLE}, engine_options=custom(service))
    assert result["output"]["json"] == json.loads(GOOD)
    assert "".join(deltas) == result["output"]["text"] == GOOD
    assert [warning["code"] for warning in result["warnings"]] == ["asked_again"]
    assert result["metrics"]["usage"] == {"prompt": 33, "completion": 15, "total": 48, "requests": 3}
    last = service.requests[2].body["messages"]
    assert last[-2]["content"] == '{"title": "Two Lamps"}'
    assert "scenes" in last[-1]["content"]


def test_after_three_wrong_documents_there_is_an_error_and_none_of_them(service: Service, host: Worker) -> None:
    service.play(completion('{"title": "Two Lamps", "scenes": 0}'))
    line, deltas = ask(host, input={**HI, "json_schema": TITLE})
    assert line["error"]["code"] == "unsupported_capability"
    assert "scenes" in line["error"]["message"]
    assert deltas == []
    assert len(service.requests) == 3


def test_a_fault_while_asking_again_is_not_tried_again(service: Service, host: Worker) -> None:
    service.play(completion("no"), openai_error(500, "Oh."))
    assert ask(host, input={**HI, "json_schema": TITLE})[0]["error"]["code"] == "provider_unavailable"
    assert len(service.requests) == 2


def test_a_document_that_max_tokens_cuts_is_an_error_at_once(service: Service, host: Worker) -> None:
    service.play(completion(GOOD[:20], finish="length"))
    line, _ = ask(host, input={**HI, "json_schema": TITLE})
    assert (line["error"]["code"], line["error"]["pointer"]) == ("invalid_request", "/input/max_tokens")
    assert len(service.requests) == 1


def test_a_model_that_refuses_response_format_can_be_asked_in_words(service: Service, host: Worker) -> None:
    service.play(completion(GOOD))
    ask(host, input={**HI, "json_schema": TITLE}, engine_options={"structured_output": "prompted"})
    body = service.requests[0].body
    assert "response_format" not in body
    assert json.dumps(TITLE) in body["messages"][0]["content"]


# What models do not take


def test_a_reasoning_model_is_sent_neither_temperature_nor_stop(service: Service, host: Worker) -> None:
    service.play(completion("Fine. STOP here"))
    result, _ = ask(host, model={"id": "o3-mini"}, input={**HI, "temperature": 0, "stop": ["STOP"]})
    assert not {"temperature", "top_p", "stop", "max_tokens"} & set(service.requests[0].body)
    assert result["output"]["text"] == "Fine. "
    warnings = {warning["code"]: warning["message"] for warning in result["warnings"]}
    assert "temperature 0 was not sent" in warnings["not_sent"]


def test_a_model_without_a_system_role_gets_its_instructions_as_the_user(service: Service, host: Worker) -> None:
    service.play(completion("Yes."))
    ask(host, model={"id": "o1-mini"}, input={**HI, "system_prompt": "Be brief."})
    assert [message["role"] for message in service.requests[0].body["messages"]] == ["user", "user"]


@pytest.mark.parametrize(
    ("model", "sampling", "new_name"),
    [("gpt-4o-mini", True, False), ("openai/gpt-5-nano", False, True), ("gpt-5.3-chat-latest", True, True),
     ("gpt-6-sol", False, True), ("o4-mini-2025-04-16", False, True), ("meta-llama/Llama-3.1-8B", True, False),
     ("olmo-2", True, False)],
)  # fmt: skip
def test_limits_of_models_are_known_by_their_ids(model: str, sampling: bool, new_name: bool) -> None:
    assert (limits(model).sampling, limits(model).new_length_name) == (sampling, new_name)


# Keys and addresses


def test_another_address_gets_no_key_of_a_provider_nor_anything_of_the_account(service: Service, host: Worker) -> None:
    service.play(completion("Yes."))
    for preset, expected in (("custom", f"Bearer {KEYS['STORYGEN_CUSTOM_API_KEY']}"), ("ollama", None)):
        ask(host, model={"id": "m"}, engine_options={"preset": preset, "base_url": f"{service.root}/v1"})
        headers = service.requests[-1].headers
        assert headers.get("authorization") == expected
        assert "canary" not in json.dumps({name: value for name, value in headers.items() if name != "authorization"})


def test_a_provider_with_a_key_takes_no_address_from_a_request(service: Service, host: Worker) -> None:
    service.play(completion("Yes."))
    for preset in ("openai", "openrouter", "together"):
        line, _ = ask(host, model={"id": "m"}, engine_options={"preset": preset, "base_url": f"{service.root}/v1"})
        assert (line["error"]["code"], line["error"]["pointer"]) == ("invalid_request", "/engine_options/base_url")
    line, _ = ask(
        host, model={"id": "m"}, engine_options={"preset": "custom", "base_url": "http://me:secret@127.0.0.1/v1"}
    )
    assert line["error"]["code"] == "invalid_request"
    line, _ = ask(host, model={"id": "m"}, engine_options={"preset": "custom"})
    assert line["error"]["pointer"] == "/engine_options/base_url"
    assert service.requests == []


def test_a_service_that_moves_is_not_followed(service: Service, host: Worker) -> None:
    with serving(completion("Stolen.")) as elsewhere:
        service.play(Answer(307, {"location": f"{elsewhere.root}/v1/chat/completions"}))
        line, _ = ask(host)
        assert line["error"]["code"] == "provider_rejected"
        assert elsewhere.requests == []


@pytest.mark.parametrize(("fault", "code"), [("rate limit", 75), ("refusal", 76), ("too long", 65)])
def test_the_exit_code_is_that_of_the_error(fault: str, code: int, service: Service) -> None:
    service.play(FAULTS[fault][0])
    env = environment(OPENAI_BASE_URL=f"{service.root}/v1", **KEYS)
    done = worker("text_generation", {"v": 1, "op": "generate", "engine": "openai", "input": HI}, env=env)
    assert done.returncode == code
    assert result_of(done)["type"] == "error"


@pytest.mark.parametrize(
    ("preset", "variable"),
    [("openai", "OPENAI_API_KEY"), ("openrouter", "OPENROUTER_API_KEY"), ("together", "TOGETHER_API_KEY")],
)
def test_a_missing_key_is_named(preset: str, variable: str) -> None:
    request = {"v": 1, "op": "generate", "engine": "openai", "model": {"id": "m"}, "input": HI}
    # Empty is how a variable is taken away from what the test's own environment may hold.
    done = worker("text_generation", {**request, "engine_options": {"preset": preset}}, env=dict.fromkeys(KEYS, ""))
    assert done.returncode == 77
    error = result_of(done)["error"]
    assert error["code"] == "auth_missing"
    assert variable in error["message"]


def test_without_any_key_it_is_usable_and_says_which_one_each_service_needs(service: Service) -> None:
    service.play(completion("Yes."))
    alone = dict.fromkeys([*KEYS, "OPENAI_ADMIN_KEY"], "")
    request = {
        "v": 1,
        "op": "generate",
        "engine": "openai",
        "model": {"id": "m"},
        "input": HI,
        "engine_options": custom(service),
    }
    done = worker("text_generation", request, "--log-level", "debug", env=alone)
    assert result_of(done)["output"]["text"] == "Yes."
    assert "authorization" not in service.requests[0].headers
    done = worker("text_generation", b"", "--describe", env=alone)
    facts = json.loads(done.stdout)["engines"]["openai"]
    assert facts["usable"]
    assert all(
        name in facts["options_schema"]["properties"]["preset"]["description"]
        for name in KEYS
        if "ANTHROPIC" not in name
    )


def test_not_even_debug_logs_and_tracebacks_show_a_key(service: Service) -> None:
    service.play(FAULTS["wrong key"][0])
    env = environment(OPENAI_BASE_URL=f"{service.root}/v1", OPENAI_LOG="debug", **KEYS)
    request = {"v": 1, "op": "generate", "engine": "openai", "input": HI}
    done = worker("text_generation", request, "--stream", "--debug", "--log-level", "debug", env=env)
    assert done.returncode == 77
    assert b"Traceback" in done.stderr
    assert b"canary" not in done.stdout + done.stderr


def test_offline_means_this_machine_only(service: Service, host: Worker) -> None:
    service.play(completion("Yes."))
    here, _ = ask(host, model={"id": "m"}, engine_options=custom(service), options={"offline": True})
    assert here["type"] == "result"
    away = {"preset": "custom", "base_url": "https://service.example/v1"}
    line, _ = ask(host, model={"id": "m"}, engine_options=away, options={"offline": True})
    assert (line["error"]["code"], line["error"]["pointer"]) == ("unsupported_capability", "/options/offline")


def test_weights_of_ones_own_choice_are_refused(service: Service, host: Worker) -> None:
    service.play(completion("Yes."))
    line, _ = ask(host, model={"quantization": "int4"})
    assert (line["error"]["code"], line["error"]["pointer"]) == ("unsupported_capability", "/model/quantization")
    assert service.requests == []
