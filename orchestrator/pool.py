"""Warm workers: one per family and interpreter, started when first needed, stopped together."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import StorygenError
from orchestrator.worker import OnEvent, Worker, describe


@dataclass(frozen=True)
class Engine:
    """What shapes the results of an engine, beside the request."""

    name: str
    version: str
    input_schema: Mapping[str, Any]
    options_schema: Mapping[str, Any]


class Pool:
    """The workers of one run. Leaving its ``with`` block ends them all."""

    def __init__(self) -> None:
        self._workers: dict[tuple[str, str], Worker] = {}
        self._descriptions: dict[tuple[str, str], dict[str, Any]] = {}

    def request(
        self,
        family: str,
        request: Mapping[str, Any],
        on_event: OnEvent | None = None,
        *,
        where: str = "",
        python: str | None = None,
    ) -> dict[str, Any]:
        """Have the family's warm worker do one request; returns the result. A crashed worker is replaced next time."""
        key = (family, python or sys.executable)
        worker = self._workers.get(key)
        if worker is None or not worker.alive:  # one that ended itself, after a deadline say, is replaced
            worker = self._workers[key] = Worker(*key)
        try:
            return worker.request(request, on_event, where)
        except StorygenError as error:
            if error.code == "worker_crashed":
                del self._workers[key]
            raise

    def engine(self, family: str, name: str, op: str, python: str | None = None) -> Engine:
        """The facts of an engine; ``auto`` is the first that is usable there and can do the operation.

        Raises StorygenError ``engine_unavailable``.
        """
        said = self.describe(family, python)
        engines = said["engines"]
        if name == "auto":
            able = [one for one, facts in engines.items() if facts["usable"] and op in facts["ops"]]
            if not able:
                raise StorygenError("engine_unavailable", f"No engine of {family} can do {op} here.")
            name = able[0]
        if name not in engines:
            raise StorygenError(
                "engine_unavailable", f"{family} has no engine {name!r}.", f"Known: {', '.join(engines)}."
            )
        if not engines[name]["usable"]:
            raise StorygenError(
                "engine_unavailable", f"The engine {name} of {family} cannot be used here: {engines[name]['why_not']}."
            )
        input_schema = said["ops"][op]["$defs"]["input"]
        return Engine(name, engines[name]["version"], input_schema, engines[name]["options_schema"])

    def describe(self, family: str, python: str | None = None) -> dict[str, Any]:
        """What the family's worker says of itself, run by that interpreter; asked once."""
        key = (family, python or sys.executable)
        if key not in self._descriptions:
            self._descriptions[key] = describe(*key)
        return self._descriptions[key]

    def describe_all(self, families: list[str]) -> None:
        """Ask several families at once, to have their answers when they are needed."""
        with ThreadPoolExecutor(len(families)) as threads:
            list(threads.map(self.describe, families))

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *exception: object) -> None:
        workers, self._workers = list(self._workers.values()), {}
        if workers:
            with ThreadPoolExecutor(len(workers)) as threads:
                list(threads.map(Worker.stop, workers))
