"""Warm workers: one per family and interpreter, started when first needed, stopped together."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from orchestrator.errors import StorygenError
from orchestrator.worker import OnEvent, Worker, describe


class Pool:
    """The workers of one run. Leaving its ``with`` block ends them all."""

    def __init__(self) -> None:
        self._workers: dict[tuple[str, str], Worker] = {}
        self._descriptions: dict[str, dict[str, Any]] = {}

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
        if worker is None:
            worker = self._workers[key] = Worker(*key)
        try:
            return worker.request(request, on_event, where)
        except StorygenError as error:
            if error.code == "worker_crashed":
                del self._workers[key]
            raise

    def engine_version(self, family: str, engine: str) -> str:
        """The version of an engine, part of every reuse key. Raises StorygenError ``engine_unavailable``."""
        engines = self.describe(family)["engines"]
        if engine not in engines:
            raise StorygenError(
                "engine_unavailable", f"{family} has no engine {engine!r}.", f"Known: {', '.join(engines)}."
            )
        if not engines[engine]["usable"]:
            raise StorygenError(
                "engine_unavailable",
                f"The engine {engine} of {family} cannot be used here: {engines[engine]['why_not']}.",
            )
        return str(engines[engine]["version"])

    def describe(self, family: str) -> dict[str, Any]:
        """What the family's worker says of itself; asked once."""
        if family not in self._descriptions:
            self._descriptions[family] = describe(family)
        return self._descriptions[family]

    def describe_all(self, families: list[str]) -> None:
        """Ask several families at once, to have their answers when they are needed."""
        with ThreadPoolExecutor(len(families)) as threads:
            self._descriptions.update(zip(families, threads.map(describe, families), strict=True))

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *exception: object) -> None:
        workers, self._workers = list(self._workers.values()), {}
        if workers:
            with ThreadPoolExecutor(len(workers)) as threads:
                list(threads.map(Worker.stop, workers))
