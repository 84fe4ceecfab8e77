"""What a person or a program sees of a run: a live display, plain lines, JSON lines, or nothing.

Several items may be under way at once, and every report is told of them from several threads.
"""

from __future__ import annotations

import contextlib
import errno
import json
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TextIO

from orchestrator.errors import StorygenError

PLAIN_INTERVAL_S = 5.0
"""How often plain lines say how far a long item is."""


class Report(Protocol):
    """Told about a run as it goes."""

    def stage_started(self, stage: str, items: int | None) -> None:
        """A stage begins; ``items`` is how many it will make, where that is known."""

    def stage_items(self, stage: str, items: int) -> None:
        """The number of the stage's items is known now."""

    def stage_done(self, stage: str, seconds: float, reused: int, made: int, skipped: str | None) -> None:
        """A stage ended; ``skipped`` says why, if it was."""

    def item_started(self, stage: str, item: str, *, reused: bool) -> None:
        """An item begins, or was done already."""

    def item_done(self, stage: str, item: str, warnings: list[dict[str, str]]) -> None:
        """An item is done."""

    def event(self, stage: str, item: str, event: Mapping[str, Any]) -> None:
        """A worker's event, or one of the host's: warning, retry, engine_failed."""

    def close(self) -> None:
        """The run is over."""


def _where(stage: str, item: str) -> str:
    """What a warning is about; one of a whole stage, or of a part of the profile, names no item."""
    return f"{stage} {item}" if item else stage


def in_words(event: Mapping[str, Any]) -> str | None:
    """What an event of the host's own says to a person; None for a worker's."""
    if event["type"] == "retry":
        wait = f" in {event['wait_s']:g} s" if event["wait_s"] else ""
        return f"trying again{wait} (try {event['attempt']}): {event['message']}"
    if event["type"] == "engine_failed":
        return f"{event['engine']} failed: {event['message']}"
    return None


def write_line(out: TextIO, line: str) -> None:
    """Write in one piece, for threads take turns, and at once. Raises StorygenError where nobody reads it any more."""
    try:
        out.write(f"{line}\n")
        out.flush()
    except OSError as error:
        if error.errno in {errno.EPIPE, errno.EIO, errno.EINVAL}:  # a closed pipe, a closed terminal, Windows' pipe
            raise StorygenError(
                "cancelled",
                "Nobody reads what the run says any more, so it was stopped.",
                "Finished work is kept: the same command continues.",
            ) from error
        raise StorygenError(
            "output_failed", f"What the run says cannot be written: {error.strerror}.", "Send it elsewhere."
        ) from error


class NoReport:
    """Says nothing."""

    def stage_started(self, stage: str, items: int | None) -> None:
        """Nothing."""

    def stage_items(self, stage: str, items: int) -> None:
        """Nothing."""

    def stage_done(self, stage: str, seconds: float, reused: int, made: int, skipped: str | None) -> None:
        """Nothing."""

    def item_started(self, stage: str, item: str, *, reused: bool) -> None:
        """Nothing."""

    def item_done(self, stage: str, item: str, warnings: list[dict[str, str]]) -> None:
        """Nothing."""

    def event(self, stage: str, item: str, event: Mapping[str, Any]) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class JsonReport:
    """One JSON object a line on stdout, flushed at once; of several stories each has its ``run``."""

    def __init__(self, out: TextIO | None = None, name: str = "") -> None:
        self._out, self._own = out or sys.stdout, {"run": name} if name else {}

    def _say(self, kind: str, **fields: Any) -> None:
        self._line({"type": kind, **fields})

    def _line(self, message: Mapping[str, Any]) -> None:
        write_line(self._out, json.dumps({**message, **self._own}, ensure_ascii=True))

    def stage_started(self, stage: str, items: int | None) -> None:
        self._say("stage_started", stage=stage, items=items)

    def stage_items(self, stage: str, items: int) -> None:
        self._say("stage_items", stage=stage, items=items)

    def stage_done(self, stage: str, seconds: float, reused: int, made: int, skipped: str | None) -> None:
        self._say("stage_done", stage=stage, seconds=round(seconds, 3), reused=reused, made=made, skipped=skipped)

    def item_started(self, stage: str, item: str, *, reused: bool) -> None:
        self._say("item_started", stage=stage, item=item, reused=reused)

    def item_done(self, stage: str, item: str, warnings: list[dict[str, str]]) -> None:
        self._say("item_done", stage=stage, item=item, warnings=warnings)

    def event(self, stage: str, item: str, event: Mapping[str, Any]) -> None:
        self._line({**event, "stage": stage, "item": item, "step": event.get("stage")})

    def close(self) -> None:
        """Nothing: every line was flushed."""


class PlainReport:
    """Lines for logs and pipes: one a stage, and one every few seconds while an item is long."""

    def __init__(self, out: TextIO | None = None, name: str = "") -> None:
        self._out, self._name = out or sys.stderr, f"{name} " if name else ""
        self._spoke = time.monotonic()

    def _say(self, text: str) -> None:
        write_line(self._out, f"{self._name}{text}")
        self._spoke = time.monotonic()

    def stage_started(self, stage: str, items: int | None) -> None:
        """Nothing yet: most stages are over before it could be read."""

    def stage_items(self, stage: str, items: int) -> None:
        self._say(f"{stage}: {items} items")

    def stage_done(self, stage: str, seconds: float, reused: int, made: int, skipped: str | None) -> None:
        self._say(
            f"{stage}: skipped, {skipped}"
            if skipped
            else f"{stage}: done in {seconds:.1f} s ({made} made, {reused} reused)"
        )

    def item_started(self, stage: str, item: str, *, reused: bool) -> None:
        """Nothing: the stage's line counts them."""

    def item_done(self, stage: str, item: str, warnings: list[dict[str, str]]) -> None:
        for warning in warnings:
            self._say(f"{_where(stage, item)}: warning, {warning['message']}")

    def event(self, stage: str, item: str, event: Mapping[str, Any]) -> None:
        if said := in_words(event):
            self._say(f"{stage} {item}: {said}")
        late = time.monotonic() - self._spoke > PLAIN_INTERVAL_S
        if late and event["type"] == "progress" and event.get("total"):
            self._say(f"{stage} {item}: {event['current']:g} of {event['total']:g} {event['unit']}")
        elif late and event["type"] == "heartbeat":
            self._say(f"{stage} {item}: still at work")

    def close(self) -> None:
        """Nothing: every line was flushed."""


class LiveReport:
    """A bar a stage on a terminal; a part of an item counts as far as its worker says it has come."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.table import Column

        self._progress = Progress(
            TextColumn("{task.description:<10}", table_column=Column(no_wrap=True, min_width=10)),
            BarColumn(bar_width=16),
            TextColumn("{task.percentage:>3.0f} %", table_column=Column(no_wrap=True, min_width=5)),
            TextColumn("{task.fields[note]}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
            TimeElapsedColumn(),
            TimeRemainingColumn(compact=True),
            console=Console(stderr=True),
            expand=True,
        )
        self._progress.start()
        self._tasks: dict[str, Any] = {}
        self._done: dict[str, int] = {}
        self._parts: dict[str, dict[str, float]] = {}
        self._where: dict[str, str] = {}
        self._warm: set[int] = set()

    def stage_started(self, stage: str, items: int | None) -> None:
        self._tasks[stage] = self._progress.add_task(stage, total=items, note="")
        self._done[stage], self._parts[stage] = 0, {}

    def stage_items(self, stage: str, items: int) -> None:
        self._progress.update(self._tasks[stage], total=items)

    def stage_done(self, stage: str, seconds: float, reused: int, made: int, skipped: str | None) -> None:
        total = max(1, made + reused)
        note = f"skipped: {skipped}" if skipped else f"{made} made, {reused} reused"
        self._progress.update(self._tasks[stage], total=total, completed=total, note=note)
        self._progress.stop_task(self._tasks[stage])

    def item_started(self, stage: str, item: str, *, reused: bool) -> None:
        self._progress.update(self._tasks[stage], note=item)

    def item_done(self, stage: str, item: str, warnings: list[dict[str, str]]) -> None:
        if item:
            self._done[stage] += 1
            self._parts[stage].pop(item, None)
            self._move(stage)
        for warning in warnings:
            self._say(f"{_where(stage, item)}: {warning['message']}")

    def event(self, stage: str, item: str, event: Mapping[str, Any]) -> None:
        if stage not in self._tasks:
            return
        if said := in_words(event):
            self._say(f"{stage} {item}: {said}")
        elif event["type"] == "accepted":
            cold = event["pid"] not in self._warm
            self._warm.add(event["pid"])
            self._where[stage] = f"{event['engine']}{', cold start' if cold else ''}"
            self._move(stage, note=f"{item} ({self._where[stage]})")
        elif event["type"] == "progress" and event.get("total"):
            self._parts[stage][item] = min(1.0, event["current"] / event["total"])
            done = f"{event['current']:g}/{event['total']:g} {event['unit']}"
            self._move(stage, note=f"{item} {done} ({self._where.get(stage, '')})")
        elif event["type"] == "heartbeat":
            self._move(stage, note=f"{item}: still at work ({self._where.get(stage, '')})")

    def _move(self, stage: str, note: str | None = None) -> None:
        completed = self._done[stage] + sum(self._parts[stage].values())
        task = self._progress.tasks[self._tasks[stage]]
        limit = completed if task.total is None else min(completed, task.total)
        fields = {} if note is None else {"note": note}
        self._progress.update(self._tasks[stage], completed=limit, **fields)  # type: ignore[arg-type]

    def _say(self, text: str) -> None:
        self._progress.console.print(text, style="yellow", markup=False)

    def close(self) -> None:
        with contextlib.suppress(OSError):  # the terminal is closed
            self._progress.stop()


def report_for(*, as_json: bool, quiet: bool = False) -> Report:
    """The display that suits where the output goes."""
    if quiet:
        return NoReport()
    if as_json:
        return JsonReport()
    return LiveReport() if sys.stderr.isatty() else PlainReport()


def reports_for(names: Sequence[str], *, as_json: bool) -> list[Report]:
    """A display for each of several stories: lines that bear its name."""
    return [JsonReport(name=name) if as_json else PlainReport(name=name) for name in names]
