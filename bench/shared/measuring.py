"""For the programs that hold a worker against a plain script: their processes, and how figures are told."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

WORKERS = Path(__file__).resolve().parents[2] / "workers"
LAUNCHER = """\
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6)
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""Linux counts the starting process's peak for the one it starts: so the one measured is started by a small one."""


def measure(
    name: str,
    needed: Iterable[str],
    build: Callable[[Path], Sequence[Any]],
    parts: Iterable[Callable[..., Iterator[str]]],
) -> None:
    """Print what each part yields, under its docstring; ``build`` makes in a folder what all parts are given."""
    missing = [package for package in needed if importlib.util.find_spec(package) is None]
    if missing:
        print(f"\n{name}: skipped: {', '.join(missing)} is not installed (the models extra has it)")
        return
    with tempfile.TemporaryDirectory(prefix="storygen-bench-") as folder:
        given = build(Path(folder))
        for part in parts:
            print(f"\n{name}, {part.__name__}: {part.__doc__}", flush=True)
            for line in part(*given):
                print(f"  {line}", flush=True)


# Processes


def one_thread() -> None:
    """For all processes started here: threads gain nothing on a tiny model, and those of two disturb each other."""
    os.environ["OMP_NUM_THREADS"] = "1"


def environment() -> dict[str, str]:
    """As a user's: a Python that keeps no bytecode imports slowly."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def quiet(*libraries: str) -> None:
    """No progress bars, no advice, of transformers and diffusers."""
    for library in libraries:
        logging = importlib.import_module(f"{library}.utils.logging")
        logging.set_verbosity_error()
        logging.disable_progress_bar()


def worker(family: str) -> list[str]:
    """The command of a worker that reads one request."""
    return [sys.executable, str(WORKERS / f"{family}.py"), "--input", "-"]


def finished(command: Sequence[str], request: dict[str, Any] | None = None) -> bytes:
    """What a whole process writes."""
    body = b"" if request is None else json.dumps(request).encode()
    return subprocess.run(command, input=body, capture_output=True, env=environment(), check=True).stdout


class Plain:
    """A plain script that has loaded its model: it answers each line of JSON with one."""

    def __init__(self, command: Sequence[str]) -> None:
        pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=nowhere, env=environment())

    def __call__(self, asked: object) -> dict[str, Any]:
        """Its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps(asked)}\n".encode())
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def __enter__(self) -> Plain:
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.communicate()


# Figures


def seconds(action: Callable[[], object]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def in_turn(
    times: int, one: Callable[[], float], other: Callable[[], float], *, first: int = 1
) -> tuple[list[float], list[float]]:
    """Both, one after the other, so many times; after ``first`` times that do not count."""
    pairs = [(one(), other()) for _ in range(first + times)][first:]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def spread(found: Sequence[float]) -> str:
    """Median, least and most, in seconds, or in milliseconds where they are few."""
    unit, factor = ("s", 1) if statistics.median(found) >= 1 else ("ms", 1000)
    return (
        f"{factor * statistics.median(found):8.2f} {unit:2}  ({factor * min(found):.2f} to {factor * max(found):.2f})"
    )


def whole_processes(
    times: int, plain: Sequence[str], ours: Sequence[str], request: dict[str, Any], aim: float = 0.85
) -> Iterator[str]:
    """Lines on a plain script and a worker, from start to end."""
    theirs, mine = in_turn(
        times, lambda: seconds(lambda: finished(plain)), lambda: seconds(lambda: finished(ours, request))
    )
    yield f"plain script   {spread(theirs)}"
    yield f"worker         {spread(mine)}"
    yield f"worker / plain {statistics.median(mine) / statistics.median(theirs):8.2f}   (aim ≤ {aim:.2f})"


def more(theirs: Sequence[float], ours: Sequence[float], each: int = 1) -> str:
    """What a request to a worker takes longer than the library's own work, of ``each`` things made at once."""
    extra = 1000 * statistics.median(mine - other for mine, other in zip(ours, theirs, strict=True)) / each
    aim = 30 * statistics.median(theirs) / each + 20
    return f"{extra:+8.1f} ms  (aim ≤ {aim:.0f}: 3 % + 20 ms)"


def peaks(plain: Sequence[str], ours: Sequence[str], request: dict[str, Any]) -> str:
    """The most memory held by the plain script's largest process and by the worker's, in MB."""
    if sys.platform == "win32":
        return "not known on this system"
    theirs, mine = (
        float(finished([sys.executable, "-c", LAUNCHER, *command], body))
        for command, body in ((plain, None), (ours, request))
    )
    return f"plain script {theirs:.0f}, worker {mine:.0f} ({mine - theirs:+.0f})"
