"""How far a download has come: a bar on a terminal, a line every few seconds elsewhere; and that others are at work."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from orchestrator.progress import PLAIN_INTERVAL_S, in_words, write_line

STAGES = {"download": "", "run": " compared with the hub's checksums"}
"""Stage of a download's progress -> what is said of its bytes."""
OnEvent = Callable[[Mapping[str, Any]], None]


@contextlib.contextmanager
def display(name: str) -> Iterator[OnEvent]:
    """What to tell the worker's events of one model's download."""
    with _bar(name) if sys.stderr.isatty() else contextlib.nullcontext(_lines(name)) as on_event:
        yield on_event


@contextlib.contextmanager
def at_work(words: str) -> Iterator[None]:
    """Show on a terminal that something goes on which cannot say how far it has come."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(words):
        yield


def _lines(name: str) -> OnEvent:
    spoke = time.monotonic()

    def on_event(event: Mapping[str, Any]) -> None:
        nonlocal spoke
        late = time.monotonic() - spoke > PLAIN_INTERVAL_S
        said = in_words(event)
        if said is None and late and event["type"] == "progress" and event["stage"] in STAGES:
            said = f"{event['current'] / 1e6:.0f} of {event['total'] / 1e6:.0f} MB{STAGES[event['stage']]}"
        if said is not None:
            write_line(sys.stderr, f"{name}: {said}")
            spoke = time.monotonic()

    return on_event


@contextlib.contextmanager
def _bar(name: str) -> Iterator[OnEvent]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(compact=True), console=Console(stderr=True)) as bars:
        task = bars.add_task(name, total=None)

        def on_event(event: Mapping[str, Any]) -> None:
            if said := in_words(event):
                bars.console.print(f"{name}: {said}", style="yellow", markup=False)
            elif event["type"] == "progress" and event["stage"] in STAGES:
                description = f"{name}{STAGES[event['stage']]}"
                bars.update(task, description=description, completed=event["current"], total=event["total"])

        yield on_event
