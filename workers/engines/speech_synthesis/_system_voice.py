"""What the two sides of the engine ``system`` share: macOS (``_say``) and Windows (``_sapi``)."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engines.speech_synthesis._word_times import Anchor
from runtime.context import Context
from runtime.errors import WorkerError

_PATIENCE_S = 0.2


@dataclass(frozen=True)
class Voice:
    """An installed voice; ``language`` is a BCP 47 tag."""

    name: str
    language: str
    gender: str | None


@dataclass(frozen=True)
class Spoken:
    """Where the sound is, and the beginnings of words as far as they are known."""

    wav: Path
    anchors: Sequence[Anchor]


def run_program(command: Sequence[str], context: Context) -> bytes:
    """Run a program of the system; returns what it wrote. It is killed when the request is cancelled or out of time.

    Raises WorkerError ``engine_unavailable`` when it cannot be started, ``internal_error`` with its own words when it
    fails.
    """
    context.check()
    name = Path(command[0]).name
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except OSError as error:
        raise WorkerError("engine_unavailable", f"{name} cannot be started: {error.strerror}.") from error
    context.children.append(process)
    with process:
        try:
            while True:
                try:
                    told, complaint = process.communicate(timeout=_PATIENCE_S)
                    break
                except subprocess.TimeoutExpired:
                    context.check()
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        words = complaint.decode("utf-8", "replace").strip()[-500:] or "it said nothing"
        raise WorkerError("internal_error", f"{name} ended with status {process.returncode}: {words}")
    return told
