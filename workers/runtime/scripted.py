"""The engine that answers from a file: for trying hosts and stages of a family without any model.

A family ships it as ``engines/<family>/scripted.py`` with ``Engine = scripted.engine(ops)``. The file is JSON lines,
one answer a request, in order; the last one repeats. An answer has any of

- ``deltas``: texts sent as ``delta`` events, first
- ``wait_s``: seconds until it goes on; it can be cancelled and its deadline counts
- ``output``: the result's output; anything, right or wrong
- ``error``: {code, message}: ends the request with that error
- ``raise``: a text: ends it with an exception that nobody expected
- ``exit``: a number: the process ends there and then, without a word
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runtime.context import Context
from runtime.errors import WorkerError

STEP_S = 0.02
OPTIONS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "answers": {
            "$ref": "urn:storygen:v1:common#/$defs/input_file",
            "description": "JSON lines file with the answers, one a request in order; the last one repeats.",
        }
    },
    "required": ["answers"],
    "additionalProperties": False,
}


def engine(operations: tuple[str, ...], able: frozenset[str] = frozenset()) -> type:
    """An ``Engine`` class that plays answers for these operations and claims these capabilities."""

    class Engine:
        """Plays the answers of a file; never chosen by ``auto``, because it needs one."""

        version = "1"
        requires: tuple[str, ...] = ()
        key_env: str | None = None
        remote = False
        ops = operations
        capabilities = able
        models: Mapping[str, Mapping[str, Any]] = {}
        options_schema: Mapping[str, Any] = OPTIONS

        def load(self, model: Mapping[str, Any], options: Mapping[str, Any], context: Context) -> None:
            """Start at the first answer again."""
            self._played = 0

        def run(self, op: str, input: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
            """Play the next answer."""
            answers = _answers(Path(context.engine_options["answers"]))
            answer = answers[min(self._played, len(answers) - 1)]
            self._played += 1
            return _play(answer, context)

        def unload(self) -> None:
            """Nothing to drop."""

    return Engine


def _answers(path: Path) -> list[dict[str, Any]]:
    try:
        found = [json.loads(line) for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise WorkerError("input_unreadable", f"{path} is not a file of JSON lines: {error}") from error
    if not found or not all(isinstance(answer, dict) for answer in found):
        raise WorkerError("input_unreadable", f"{path} holds no answers.", hint='Write lines such as {"output": {}}.')
    return found


def _play(answer: Mapping[str, Any], context: Context) -> dict[str, Any]:
    for text in answer.get("deltas", []):
        context.delta("text", text)
    end = time.monotonic() + answer.get("wait_s", 0)
    while time.monotonic() < end:
        context.check()
        time.sleep(STEP_S)
    if "exit" in answer:
        os._exit(answer["exit"])
    if "raise" in answer:
        raise RuntimeError(answer["raise"])
    if "error" in answer:
        raise WorkerError(**answer["error"])
    output: dict[str, Any] = answer.get("output", {})
    return output
