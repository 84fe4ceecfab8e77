"""How far a deep look has come: a turning mark on a terminal, a line a step elsewhere; always on stderr."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from orchestrator.doctor_deep import Say
from orchestrator.progress import write_line


@contextlib.contextmanager
def display() -> Iterator[Say]:
    """What to tell of each step."""
    if not sys.stderr.isatty():
        yield lambda step, detail: None if detail else write_line(sys.stderr, step)
        return
    from rich.console import Console

    with Console(stderr=True).status("") as status:

        def say(step: str, detail: str) -> None:
            status.update(f"{step}  {detail}")

        yield say
