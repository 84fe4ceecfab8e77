"""Warm workers: one per family, engine, model and interpreter, started when first needed, stopped together.

A request goes to a free session of its kind, and a new one is started where there is none: how many there are follows
from how many ask at once. Engines that load models onto this machine work one at a time; those whose models have room
beside one another stay, and where the next one has none, those that were not used for longest leave.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from tenacity import RetryCallState, Retrying, retry_if_exception, sleep_using_event, wait_exponential

from orchestrator import memory
from orchestrator.errors import StorygenError, error_table
from orchestrator.worker import OnEvent, Worker, describe

RETRIES = 6
"""What a whole run may try again: crashed workers and errors that the error table calls retryable."""
CRASHES = 2
"""How often one request may end its worker before it counts as the request's fault."""
BACKOFF = wait_exponential(multiplier=0.5, max=30)
"""Seconds before the next try, where the provider named none."""
REMOTE_AT_ONCE = 4
WITHOUT_ROOM = frozenset({"out_of_memory", "worker_crashed"})
"""Errors that a model can end with where others left it too little memory; a system that is short of it kills."""

Kind = tuple[str, str, str, str]
"""Family, engine, model, interpreter."""


@dataclass(frozen=True)
class Engine:
    """What shapes the results of an engine, beside the request."""

    name: str
    version: str
    input_schema: Mapping[str, Any]
    options_schema: Mapping[str, Any]
    remote: bool
    heavy: bool
    """Loads models onto this machine."""
    operation: Mapping[str, Any]
    """The operation's schema file; its ``$defs.output`` is what a result's ``output`` must be."""
    common: Mapping[str, Any]
    """The schema file that the others refer to."""
    capabilities: frozenset[str]
    """What requests may ask of it, such as negative_prompt."""
    models: Mapping[str, Mapping[str, Any]]
    """Known model id -> its facts; the first is the engine's own choice."""

    def facts_of(self, model_id: str | None) -> Mapping[str, Any]:
        """What the engine says of a model, found as ``runtime/request.py`` finds it: none is the engine's own choice, a
        folder is known by its name, a name with a * stands for all that fit. One that it does not know is taken to be
        like its own choice.
        """
        own = next(iter(self.models.values()), {})
        if model_id is None:
            return own
        last = Path(model_id).name.lower()
        named = {name.rpartition("/")[2].lower(): facts for name, facts in self.models.items()}
        patterns = (facts for name, facts in named.items() if "*" in name and fnmatchcase(last, name))
        return self.models.get(model_id) or named.get(last) or next(patterns, own)

    @property
    def at_once(self) -> int:
        """How many of its requests are worth running together where the profile does not say."""
        if self.remote:
            return REMOTE_AT_ONCE
        return 1 if self.heavy else max(1, (os.cpu_count() or 1) // 2)

    def violations(self, output: Any) -> list[str]:
        """Where an output is not what the operation promises; members that nobody knows are none."""
        from jsonschema import Draft202012Validator
        from referencing import Registry, Resource

        try:
            json.dumps(output, allow_nan=False)
        except ValueError:
            return ["output holds a number that JSON has not: NaN or Infinity"]
        files = [Resource.from_contents(each) for each in (self.operation, self.common)]
        registry = Registry().with_resources([(file.id() or "", file) for file in files])
        schema = {"$ref": f"{self.operation['$id']}#/$defs/output"}
        return [
            "/".join(["output", *map(str, error.absolute_path)]) + f": {error.message[:200]}"
            for error in Draft202012Validator(schema, registry=registry).iter_errors(output)
            if error.validator != "additionalProperties"
        ]


class Pool:
    """The workers of one run. Leaving its ``with`` block ends them all."""

    def __init__(self, *, retries: int = RETRIES, timeout_s: float | None = None) -> None:
        self.closing = False
        self._retries_left = retries
        self._ends_at = None if timeout_s is None else time.monotonic() + timeout_s
        self._timeout_s = timeout_s
        self._guard = threading.Lock()
        self._stop_waiting = threading.Event()
        self._free: dict[Kind, list[Worker]] = {}
        self._busy: dict[Worker, Kind] = {}
        self._heavy_turn = threading.Lock()
        self._took: dict[Kind, memory.Memory] = {}
        """The most that workers which load models were seen to take."""
        self._descriptions: dict[tuple[str, str], dict[str, Any]] = {}

    @property
    def overdue(self) -> bool:
        """Whether the run's time is up."""
        return self._ends_at is not None and time.monotonic() >= self._ends_at

    def request(
        self,
        family: str,
        request: Mapping[str, Any],
        on_event: OnEvent | None = None,
        *,
        where: str = "",
        python: str | None = None,
    ) -> dict[str, Any]:
        """Have a warm worker of the right kind do one request; returns the result.

        A worker that crashed is replaced, and what the error table calls retryable is tried again after a while, both
        within one budget per run. Raises StorygenError; ``timeout`` too when the run's time is up.
        """
        kind = (family, request.get("engine") or "", _model(request), python or sys.executable)
        trying = Retrying(
            retry=retry_if_exception(self._worth_trying_again),
            stop=self._enough,
            wait=_pause,
            sleep=sleep_using_event(self._stop_waiting),
            before_sleep=lambda state: self._note_retry(state, on_event),
            reraise=True,
        )

        def do() -> dict[str, Any]:
            return trying(self._once, kind, request, on_event, where)

        return self._in_turn(kind, request, do, on_event) if self._is_heavy(kind) else do()

    def _in_turn(
        self, kind: Kind, request: Mapping[str, Any], do: Callable[[], dict[str, Any]], on_event: OnEvent | None
    ) -> dict[str, Any]:
        """Do a request of an engine that loads models here, alone, with room for them."""
        with self._heavy_turn:
            expected = self._took.get(kind)  # to estimate takes a look at files and at NVIDIA's program
            if expected is None:
                expected = memory.estimate(self._descriptions[kind[0], kind[3]]["engines"][kind[1]]["models"], request)
            self._make_room(kind, expected)
            try:
                result = do()
            except StorygenError as error:
                if error.code not in WITHOUT_ROOM or self.closing or not self._end(self._others(kind)):
                    raise
                _tell(on_event, error, 0.0, 2)  # the models that left may have been what it lacked
                result = do()
            seen = _seen(result["metrics"], expected)
            self._took[kind] = seen.or_more(self._took.get(kind, seen))
            return result

    def _once(self, kind: Kind, request: Mapping[str, Any], on_event: OnEvent | None, where: str) -> dict[str, Any]:
        worker = self._take(kind)
        try:
            return worker.request(self._in_time(request), on_event, where)
        except StorygenError as error:
            if self.overdue and error.code == "timeout":
                raise self.time_is_up() from error
            raise
        finally:
            self._give_back(worker)

    def _take(self, kind: Kind) -> Worker:
        """A free session that lives, or a new one."""
        with self._guard:
            if self.closing:
                raise StorygenError("cancelled", "The run is ending.")
            free = self._free.setdefault(kind, [])
            while free:
                worker = free.pop()
                if worker.alive:  # one that ended itself, after a deadline say, is replaced
                    break
            else:
                worker = Worker(kind[0], kind[3])
            self._busy[worker] = kind
            return worker

    def _give_back(self, worker: Worker) -> None:
        with self._guard:
            kind = self._busy.pop(worker, None)
            if kind is not None and worker.alive:
                self._free[kind] = [*self._free.pop(kind, ()), worker]  # at the end: used last

    def _make_room(self, wanted: Kind, needed: memory.Memory) -> None:
        """End workers of other kinds that hold models on this machine until there is room for one of this kind.

        ``needed`` is what such a worker takes.
        """
        others = self._others(wanted)
        if not others:
            return
        with self._guard:
            warm = [worker.pid for worker in self._free.get(wanted, ()) if worker.alive]
        if warm:  # it has its weights; what it lacks is room to work, and torch keeps that of a card
            needed = memory.Memory(0.0, max(0.0, needed.main - sum(map(memory.held, warm))))
        for other in others:
            if needed.fits(memory.free(card=needed.card > 0)):
                return
            self._end([other])

    def _others(self, wanted: Kind) -> list[Kind]:
        """The other kinds that hold models on this machine, that which was not used for longest first."""
        with self._guard:
            return [kind for kind, free in self._free.items() if free and kind != wanted and self._is_heavy(kind)]

    def _is_heavy(self, kind: Kind) -> bool:
        facts = self._descriptions.get((kind[0], kind[3]), {}).get("engines", {}).get(kind[1])
        return facts is not None and _heavy(facts)

    def _end(self, kinds: Sequence[Kind]) -> bool:
        """End the free workers of these kinds; returns whether there was one."""
        with self._guard:
            leaving = [worker for kind in kinds for worker in self._free.pop(kind, ())]
        for worker in leaving:
            worker.stop()
        return bool(leaving)

    def _in_time(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The request with no more time than the run has left; time is no part of a key."""
        if self._ends_at is None:
            return dict(request)
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise self.time_is_up()
        options = dict(request.get("options") or {})
        own = options.get("timeout_s")
        return {**request, "options": {**options, "timeout_s": min(left, own) if own else left}}

    def time_is_up(self) -> StorygenError:
        """What to raise when the run is overdue."""
        return StorygenError(
            "timeout",
            f"The run did not end within the {self._timeout_s:g} s it was given.",
            "Raise --timeout, or leave it out.",
        )

    def _worth_trying_again(self, error: BaseException) -> bool:
        if not isinstance(error, StorygenError) or self.closing or self.overdue:
            return False
        return error.code == "worker_crashed" or bool(error_table().get(error.code, {}).get("retryable"))

    def _enough(self, state: RetryCallState) -> bool:
        """Whether a failed request is not tried again; taking from the run's budget if it is."""
        error = state.outcome.exception() if state.outcome else None
        crashed = isinstance(error, StorygenError) and error.code == "worker_crashed"
        if self._ends_at is not None and time.monotonic() + state.upcoming_sleep >= self._ends_at:
            return True
        with self._guard:
            if self._retries_left <= 0 or (crashed and state.attempt_number >= CRASHES):
                return True
            self._retries_left -= 1
            return False

    def _note_retry(self, state: RetryCallState, on_event: OnEvent | None) -> None:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, StorygenError):
            _tell(on_event, error, state.upcoming_sleep, state.attempt_number + 1)

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
        facts = engines[name]
        if not facts["usable"]:
            raise StorygenError(
                "engine_unavailable", f"The engine {name} of {family} cannot be used here: {facts['why_not']}."
            )
        operation = said["ops"][op]
        return Engine(
            name,
            facts["version"],
            operation["$defs"]["input"],
            facts["options_schema"],
            bool(facts["remote"]),
            _heavy(facts),
            operation,
            said["common"],
            frozenset(facts["capabilities"]),
            facts["models"],
        )

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

    def close(self) -> None:
        """End every worker, also those that are at work; what waits for them gets an error. Safe to call twice."""
        with self._guard:
            self.closing = True
            workers = [worker for free in self._free.values() for worker in free] + list(self._busy)
            self._free.clear()
            self._busy.clear()
        self._stop_waiting.set()
        if workers:
            with ThreadPoolExecutor(len(workers)) as threads:
                list(threads.map(Worker.stop, workers))

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _model(request: Mapping[str, Any]) -> str:
    return json.dumps(request.get("model") or {}, sort_keys=True)


def _heavy(facts: Mapping[str, Any]) -> bool:
    return bool(facts["models"]) and not facts["remote"]


def _seen(metrics: Mapping[str, Any], expected: memory.Memory) -> memory.Memory:
    """What a worker took, by a result of it; what that does not say is as expected."""
    card, main = metrics.get("peak_vram_mb"), metrics.get("peak_rss_mb")
    return memory.Memory(
        expected.card if card is None else card * memory.MB, expected.main if main is None else main * memory.MB
    )


def _tell(on_event: OnEvent | None, error: StorygenError, wait_s: float, attempt: int) -> None:
    """Say that a request is tried again, and why."""
    if on_event is not None:
        said = {"code": error.code, "message": error.message, "wait_s": round(wait_s, 1), "attempt": attempt}
        on_event({"type": "retry", **said})


def _pause(state: RetryCallState) -> float:
    """Seconds until the next try: what the provider asked for, else ever longer; none after a crash."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, StorygenError):
        if error.code == "worker_crashed":
            return 0.0
        if error.retry_after_s is not None:
            return error.retry_after_s
    return float(BACKOFF(state))
