"""The engine openai against a real server of the API: `transformers serve` with a tiny model of a real class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hosted_service import Worker
from real_server import Server, transformers_serve

pytestmark = pytest.mark.models

SCHEMA = {
    "type": "object",
    "properties": {"title": {"type": "string"}},
    "required": ["title"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with transformers_serve("llm.qwen2", tmp_path_factory.mktemp("qwen")) as found:
        yield found


@pytest.fixture(scope="module")
def host() -> Iterator[Worker]:
    found = Worker()
    yield found
    found.close()


def ask(host: Worker, server: Server, op: str = "chat", **fields: Any) -> tuple[dict[str, Any], list[str]]:
    options = {"preset": "custom", "base_url": server.root}
    return host.ask(op, engine="openai", model={"id": server.model}, engine_options=options, **fields)


def said(text: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **more}


def test_a_real_server_streams_and_counts(server: Server, host: Worker) -> None:
    # Without chance, or a model of noise may end its answer at once.
    result, deltas = ask(host, server, input=said("Say hello.", max_tokens=24, temperature=0))
    output = result["output"]
    assert "".join(deltas) == output["text"] != ""
    assert len(deltas) > 1
    assert output["finish_reason"] in {"stop", "length"}
    assert 0 < output["usage"]["completion"] <= 24
    assert output["usage"]["prompt"] > 0


def test_a_real_server_is_left_in_the_middle_and_answers_the_next_request(server: Server, host: Worker) -> None:
    host.send(
        {"v": 1, "id": "long", "op": "chat", "engine": "openai", "model": {"id": server.model},
         "engine_options": {"preset": "custom", "base_url": server.root}, "input": said("Tell all.", max_tokens=2000)}
    )  # fmt: skip
    while host.line()["type"] != "delta":
        pass
    host.send({"type": "cancel", "id": "long"})
    while (line := host.line())["type"] not in {"result", "error"}:
        pass
    assert line["error"]["code"] == "cancelled"
    assert ask(host, server, input=said("Again.", max_tokens=4))[0]["type"] == "result"


def test_a_real_server_that_ignores_the_schema_never_passes_for_one_that_keeps_it(server: Server, host: Worker) -> None:
    line, deltas = ask(host, server, input=said("A title, please.", max_tokens=16, json_schema=SCHEMA))
    assert line["type"] == "error", "a model of noise wrote valid JSON?"
    assert line["error"]["code"] in {"invalid_request", "unsupported_capability"}
    assert deltas == []


def test_a_model_that_a_real_server_has_not_is_named(server: Server, host: Worker) -> None:
    line, _ = ask(host, Server(server.root, "nobody/none"), input=said("Hello?"))
    assert line["error"]["code"] == "model_not_found"
    assert "nobody/none" in line["error"]["hint"]
