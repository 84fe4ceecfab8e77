"""A run that is killed again and again, without warning, at moments that a seed chooses."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
from support import ROOT, SMALL, family_tree, still_alive


@dataclass
class Outcome:
    """What became of a run that was killed ``kills`` times and then let finish."""

    kills: int = 0
    survivors: list[str] = field(default_factory=list)
    """Processes that outlived their host."""
    twice: list[str] = field(default_factory=list)
    """Items that were finished before a kill and made again after it."""
    film: str = ""


def contents(film: Path) -> str:
    """A hash over the decoded frames and samples of a film."""
    digest = hashlib.sha256()
    for kind in ("video", "audio"):
        with av.open(str(film)) as container:
            stream = container.streams.video[0] if kind == "video" else container.streams.audio[0]
            for frame in container.decode(stream):
                assert isinstance(frame, (av.VideoFrame, av.AudioFrame))
                digest.update(frame.to_ndarray().tobytes())
    return digest.hexdigest()


def killed_again_and_again(story: Path, folder: Path, seed: int, kills: int, lines: int) -> Outcome:
    """Run, kill -9 the host after a random line of the ``lines`` it is expected to say, and so on; then let it finish.

    Raises AssertionError if it does not.
    """
    chance, outcome = random.Random(seed), Outcome()
    for _ in range(kills):
        outcome.kills += _killed(story, folder, chance.randrange(lines), outcome)
    done = _start(story, folder)
    said = [json.loads(line) for line in done.communicate(timeout=600)[0].splitlines()]
    assert done.returncode == 0, said[-1]
    outcome.film = contents(folder / "final.mp4")
    return outcome


def _start(story: Path, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "orchestrator", "run", str(story), "--out", str(folder), "--json", *SMALL]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT)


def _killed(story: Path, folder: Path, after: int, outcome: Outcome) -> bool:
    """Whether the run was still going when it was killed ``after`` so many lines."""
    finished = {path.parent.relative_to(folder).as_posix() for path in folder.glob("*/*/result.json")}
    running = _start(story, folder)
    with running:
        events: list[dict[str, Any]] = []
        assert running.stdout is not None
        for line in running.stdout:
            with contextlib.suppress(ValueError):
                events.append(json.loads(line))
            if len(events) > after:
                break
        everyone = family_tree(running.pid) if running.poll() is None else []
        alive = running.poll() is None
        with contextlib.suppress(ProcessLookupError):
            os.kill(running.pid, signal.SIGKILL)
    outcome.survivors += [process.name() for process in still_alive(everyone)]
    taken = {f"{event['stage']}/{event['item']}" for event in events if event["type"] == "accepted"}
    outcome.twice += sorted(taken & finished)
    return alive
