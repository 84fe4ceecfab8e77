"""What several tests need: real media made by the real FFmpeg, real worker processes, and waiting without sleeping."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import psutil

ROOT = Path(__file__).resolve().parents[1]
WORKERS = ROOT / "workers"
SCHEMAS = ROOT / "schemas" / "v1"
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
SMALL = ("--set", "film.width=270", "--set", "film.height=480")
"""A film that is made in seconds."""
STORY = """title: Two Lamps
language: en

An old man lit a lamp beside the sea. The wind put it out, and the night came back at once.

He lit it again. Far away, on the black water, a second lamp answered.

In the morning both lamps were cold, and the sea lay still.
"""
PATIENCE_S = 60
"""Longest wait for something that takes a second; only a failing test ever waits so long."""


def ffmpeg(*arguments: str | Path) -> None:
    """Run the packaged FFmpeg; a failure shows its own words."""
    subprocess.run([FFMPEG, "-v", "error", "-y", *map(str, arguments)], check=True, stdin=subprocess.DEVNULL)


def tone(path: Path, *, seconds: float, volume: float = 0.2, before_s: float = 0.0, after_s: float = 0.0) -> Path:
    """A 440 Hz tone, with true silence around it if asked for."""
    chain = f"volume={volume},adelay={round(before_s * 1000)}:all=1,apad=pad_dur={after_s}"
    ffmpeg("-f", "lavfi", "-i", f"sine=440:r=48000:d={seconds}", "-af", chain, path)
    return path


def noise(path: Path, *, seconds: float, volume: float = 0.3) -> Path:
    """Pink noise that swells and fades like speech, always the same."""
    ffmpeg(
        "-f",
        "lavfi",
        "-i",
        f"anoisesrc=r=48000:d={seconds}:c=pink:s=7,volume='{volume}*(0.55+0.45*sin(5*t))':eval=frame",
        path,
    )
    return path


def clip(path: Path, *, frames: int, color: str = "gray", size: str = "270x480", fps: int = 30) -> Path:
    """A film of one colour, exactly so many frames."""
    ffmpeg(
        "-f", "lavfi", "-i", f"color={color}:s={size}:r={fps}", "-frames:v", str(frames),
        "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-colorspace", "bt709", path,
    )  # fmt: skip
    return path


def seconds(stream: Any) -> float:
    """Length of a PyAV stream."""
    return float(stream.duration * stream.time_base)


def worker(
    family: str,
    request: Mapping[str, Any] | bytes,
    *flags: str,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run a worker script on one request given on its standard input."""
    body = request if isinstance(request, bytes) else json.dumps(request).encode()
    return subprocess.run(
        [sys.executable, str(WORKERS / f"{family}.py"), "--input", "-", *flags],
        input=body,
        capture_output=True,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        timeout=PATIENCE_S * 3,
        check=False,
    )


def result_of(done: subprocess.CompletedProcess[bytes]) -> dict[str, Any]:
    """The one line that a worker wrote; a failure shows what it said on stderr."""
    lines = done.stdout.splitlines()
    assert len(lines) == 1, (done.stdout, done.stderr)
    answer: dict[str, Any] = json.loads(lines[0])
    return answer


def output_of(family: str, op: str, input: Mapping[str, Any], output_dir: Path) -> dict[str, Any]:  # noqa: A002
    """The output of one successful request."""
    request = {"v": 1, "op": op, "input": input}
    answer = result_of(worker(family, request, "--output-dir", str(output_dir)))
    assert answer["type"] == "result", answer
    output: dict[str, Any] = answer["output"]
    return output


def storygen(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", *map(str, arguments)],
        capture_output=True, text=True, encoding="utf-8", cwd=cwd or ROOT, timeout=PATIENCE_S * 5, check=False,
    )  # fmt: skip


def family_tree(pid: int) -> list[psutil.Process]:
    """A process's descendants, as they are now."""
    return psutil.Process(pid).children(recursive=True)


def still_alive(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Those of the processes that do not end within the patience; a zombie has ended."""
    _, alive = psutil.wait_procs(list(processes), timeout=20)
    return [process for process in alive if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def accepted(folder: Path) -> list[tuple[str, str]]:
    """(stage, item) of every request that a worker took in the last run."""
    events = [json.loads(line) for line in (folder / "events.ndjson").read_text().splitlines()]
    last = max(number for number, event in enumerate(events) if event["type"] == "run_started")
    return [(event["stage"], event["item"]) for event in events[last:] if event["type"] == "accepted"]


class Running:
    """A run in its own process, followed by its events."""

    def __init__(self, story: Path, folder: Path, *more: str, cwd: Path = ROOT) -> None:
        command = [sys.executable, "-m", "orchestrator", "run", str(story), "--out", str(folder), "--json", *SMALL]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([*command, *more], stdout=pipe, stderr=pipe, text=True, cwd=cwd)

    def until(self, stage: str, kind: str) -> dict[str, Any]:
        """The first event of this kind in this stage."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event: dict[str, Any] = json.loads(line)
            if (event.get("stage"), event["type"]) == (stage, kind):
                return event
        raise AssertionError(f"no {kind} in {stage}: {self.process.stderr.read() if self.process.stderr else ''}")

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.kill()
        self.process.communicate()
