"""One worker's life: its engine stays loaded, requests run one at a time, the caller can cancel at any moment."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime import memory, registry, validation
from runtime.context import Context
from runtime.errors import Cancelled, classify
from runtime.request import Family, Request, prepare
from runtime.streams import encoded, without_secrets

if TYPE_CHECKING:
    from runtime.engine import Engine
    from runtime.streams import Wire

HEARTBEAT_S = 10.0
PROGRESS_INTERVAL_S = 0.1


class Session:
    """Runs requests and says on the wire how they go."""

    def __init__(
        self,
        family: Family,
        wire: Wire,
        *,
        output_dir: Path | None,
        timeout_s: float | None,
        events: bool,
        serving: bool,
        debug: bool,
    ) -> None:
        self.family, self.wire = family, wire
        self._output_dir, self._timeout_s = output_dir, timeout_s
        self._events, self._serving, self._debug = events, serving, debug
        self._engine: Engine | None = None
        self._loaded: tuple[str, ...] | None = None
        self._last_progress = 0.0
        self._context: Context | None = None
        self.deadline: float | None = None
        """When the running request must have ended (time.monotonic), if it must."""
        self.running: str | None = None

    def run(self, raw: dict[str, Any], cancelled: threading.Event, free: Callable[[], int] = int) -> int:
        """Do one request to its end: exactly one result or error line. Returns its exit code.

        ``free`` is called just before that line: who reads it may use the id again or close the input at once.
        """
        identity: str | None = raw["id"] if isinstance(raw.get("id"), str) else None
        sequence, started = iter(range(1 << 62)), time.monotonic()

        def event(kind: str, fields: dict[str, Any]) -> None:
            if self._events and not self._too_soon(kind, fields):
                seconds = round(time.monotonic() - started, 3)
                head = {"type": kind, "v": 1, "id": identity, "seq": next(sequence), "t_s": seconds}
                self.wire.send({**head, **fields})

        try:
            if cancelled.is_set():
                raise Cancelled
            request = prepare(
                raw, self.family, output_dir=self._output_dir, timeout_s=self._timeout_s, serving=self._serving
            )
            identity = request.id
            self._begin(identity, request.options)
            event("accepted", {"engine": request.engine, "model": dict(request.model), "pid": os.getpid()})
            context = self._context = Context(
                output_dir=request.output_dir,
                output_name=request.output_name,
                engine_options=request.engine_options,
                options=request.options,
                cancelled=cancelled,
                deadline=self.deadline,
                emit=event,
            )
            line = encoded(self._result(request, context))  # what JSON has not, such as NaN, is an error of the request
        except BaseException as error:  # noqa: BLE001 - whatever it is, the host gets exactly one line for it
            self._end(free)
            return self.fail(error, identity)
        self._end(free)
        self.wire.line(line)
        return 0

    def _begin(self, identity: str, options: Mapping[str, Any]) -> None:
        timeout = options["timeout_s"] or self._timeout_s
        self.running, self.deadline = identity, time.monotonic() + timeout if timeout else None

    def _end(self, free: Callable[[], int]) -> None:
        self.running = self.deadline = self._context = None
        free()

    def abandon(self) -> None:
        """Called from another thread when the process must leave: end the request's children, remove its files."""
        context = self._context
        if context is not None:
            context.clean_up()

    def fail(self, error: BaseException, identity: str | None) -> int:
        """Say how a request failed, on the wire and in one short text on stderr. Returns the exit code."""
        if self._debug:
            import traceback

            print(without_secrets("".join(traceback.format_exception(error))), file=sys.stderr)  # noqa: T201
        known = classify(error)
        known.message = without_secrets(known.message)
        self.wire.send({"type": "error", "v": 1, "id": identity, "success": False, "error": known.as_json()})
        hint = f" {known.hint}" if known.hint else ""
        print(f"{known.code}: {known.message}{hint}"[:2000], file=sys.stderr, flush=True)  # noqa: T201
        return known.exit_code

    def _result(self, request: Request, context: Context) -> dict[str, Any]:
        try:
            memory.reset_peak_vram()
            begin = time.monotonic()
            context.check()
            engine = self._ready(request.engine, request.model, request.options, context)
            loaded = time.monotonic()
            context.check()
            output = engine.run(request.op, request.input, context)
            context.check()
            done = time.monotonic()
        finally:
            context.clean_up()
        return {
            "type": "result",
            "v": 1,
            "id": request.id,
            "op": request.op,
            "success": True,
            "engine": request.engine,
            "model": {**request.model, **context.chosen},
            "output": output,
            "warnings": context.warnings,
            "metrics": {
                "import_s": round(context.import_s, 3),
                "load_s": round(loaded - begin, 3),
                "run_s": round(done - loaded, 3),
                **memory.peaks(),
                "usage": context.usage,
            },
        }

    def _ready(self, name: str, model: Mapping[str, Any], options: Mapping[str, Any], context: Context) -> Engine:
        """The loaded engine; another one is unloaded first."""
        how = {key: value for key, value in options.items() if key not in {"timeout_s", "batch_size"}}
        key = (name, json.dumps([dict(model), how], sort_keys=True))
        if self._engine is None or self._loaded != key:
            self.unload()
            engine = registry.engine_class(self.family.name, name)()
            with _without_collector():
                engine.load(model, options, context)
            self._engine, self._loaded = engine, key
        return self._engine

    def load(self, message: Mapping[str, Any], cancelled: threading.Event, free: Callable[[], int]) -> None:
        """The control line ``load``: have an engine ready before its first request. A pong answers, or an error.

        ``free`` gives up the id and says how many requests wait.
        """
        envelope = validation.document("request")["properties"]
        model = validation.filled(message["model"], envelope["model"])
        options = validation.filled(message["options"], envelope["options"])
        try:
            rows = validation.violations(message["model"], envelope["model"], "/model")
            validation.raise_for(rows + validation.violations(message["options"], envelope["options"], "/options"))
            self._begin(message["id"], options)
            context = self._context = Context(
                output_dir=Path(), output_name="load", options=options, cancelled=cancelled, deadline=self.deadline
            )
            context.check()
            name = registry.choose(self.family.name, message["engine"], None, (), self.family.prefer)
            self._ready(name, model, options, context)
            context.check()
        except BaseException as error:  # noqa: BLE001 - as for a request
            self._end(free)
            self.fail(error, message["id"])
        else:
            waiting = free()
            self._end(int)
            self.pong(message["id"], waiting)

    def pong(self, identity: str | None, waiting: int) -> None:
        """A sign of life: what is loaded, how many requests wait, how much memory was held at most."""
        self.wire.send(
            {
                "type": "pong",
                "v": 1,
                "id": identity,
                "loaded": self.loaded,
                "waiting": waiting,
                "memory": memory.peaks(),
            }
        )

    def unload(self) -> None:
        """Drop the loaded engine."""
        engine, self._engine, self._loaded = self._engine, None, None
        if engine is not None:
            engine.unload()

    @property
    def loaded(self) -> str | None:
        """Name of the loaded engine."""
        loaded = self._loaded  # read once: the main thread may unload meanwhile
        return loaded[0] if loaded else None

    def heartbeat(self) -> None:
        """Break a long silence while a request runs."""
        running = self.running
        if self._events and running and time.monotonic() - self.wire.last_write > HEARTBEAT_S:
            self.wire.send({"type": "heartbeat", "v": 1, "id": running})

    def _too_soon(self, kind: str, fields: dict[str, Any]) -> bool:
        """Progress more often than a person can see is dropped, the last step never."""
        if kind != "progress" or fields["current"] == fields["total"]:
            return False
        now = time.monotonic()
        if now - self._last_progress < PROGRESS_INTERVAL_S:
            return True
        self._last_progress = now
        return False


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    """Importing a model library makes millions of objects that all stay: looking through them again and again costs
    half a second, so the collector waits and then leaves them alone for good.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
