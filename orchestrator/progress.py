"""What a person or a program sees of a run: a live display, plain lines, or JSON lines."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from typing import Any, Protocol, TextIO

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
        """A worker's event."""

    def close(self) -> None:
        """The run is over."""


class JsonReport:
    """One JSON object a line on stdout, flushed at once."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout

    def _say(self, kind: str, **fields: Any) -> None:
        print(json.dumps({"type": kind, **fields}, ensure_ascii=True), file=self._out, flush=True)

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
        print(
            json.dumps({**event, "stage": stage, "item": item, "step": event.get("stage")}), file=self._out, flush=True
        )

    def close(self) -> None:
        self._out.flush()


class PlainReport:
    """Lines for logs and pipes: one a stage, and one every few seconds while an item is long."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stderr
        self._spoke = time.monotonic()

    def _say(self, text: str) -> None:
        self._spoke = time.monotonic()
        print(text, file=self._out, flush=True)

    def stage_started(self, stage: str, items: int | None) -> None:
        self._spoke = time.monotonic()

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
            self._say(f"{stage} {item}: warning, {warning['message']}")

    def event(self, stage: str, item: str, event: Mapping[str, Any]) -> None:
        if event["type"] == "progress" and event.get("total") and time.monotonic() - self._spoke > PLAIN_INTERVAL_S:
            self._say(f"{stage} {item}: {event['current']:g} of {event['total']:g} {event['unit']}")

    def close(self) -> None:
        self._out.flush()


class LiveReport:
    """A bar a stage on a terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description:<10}"),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(compact=True),
            console=Console(stderr=True),
        )
        self._progress.start()
        self._tasks: dict[str, Any] = {}
        self._done: dict[str, int] = {}

    def stage_started(self, stage: str, items: int | None) -> None:
        self._tasks[stage] = self._progress.add_task(stage, total=items, note="")
        self._done[stage] = 0

    def stage_items(self, stage: str, items: int) -> None:
        self._progress.update(self._tasks[stage], total=items)

    def stage_done(self, stage: str, seconds: float, reused: int, made: int, skipped: str | None) -> None:
        total = max(1, made + reused)
        note = f"skipped: {skipped}" if skipped else f"{made} made, {reused} reused"
        self._progress.update(self._tasks[stage], total=total, completed=total, note=note)

    def item_started(self, stage: str, item: str, *, reused: bool) -> None:
        self._progress.update(self._tasks[stage], note=item)

    def item_done(self, stage: str, item: str, warnings: list[dict[str, str]]) -> None:
        self._done[stage] += 1
        self._progress.update(self._tasks[stage], completed=self._done[stage])
        for warning in warnings:
            self._progress.console.print(f"{stage} {item}: {warning['message']}", style="yellow", markup=False)

    def event(self, stage: str, item: str, event: Mapping[str, Any]) -> None:
        if event["type"] == "progress" and event.get("total"):
            part = min(1.0, event["current"] / event["total"])
            note = f"{item} {event['current']:g}/{event['total']:g} {event['unit']}"
            self._progress.update(self._tasks[stage], completed=self._done[stage] + part, note=note)

    def close(self) -> None:
        self._progress.stop()


def report_for(*, as_json: bool) -> Report:
    """The display that suits where the output goes."""
    if as_json:
        return JsonReport()
    return LiveReport() if sys.stderr.isatty() else PlainReport()
