"""Whatever a worker does, the host says what happened, in bounded time, and leaves nothing running."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from support import FFMPEG, PATIENCE_S, ROOT, clip, tone

from orchestrator.errors import StorygenError
from orchestrator.worker import Patience, Worker

PROGRAMS = ROOT / "tests" / "programs"
MIB = 1 << 20
QUICK = Patience(start_s=30, grace_s=0.3, cancel_s=1, terminate_s=0.5, kill_s=5)
posix = pytest.mark.skipif(os.name != "posix", reason="signals and process groups")


def within(seconds: float, call: Callable[..., Any], *arguments: Any) -> Any:
    """What the call returns or raises; fails if that takes longer. The thread of a failure is left behind."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.extend([call(*arguments), None])
        except BaseException as error:  # noqa: BLE001 - raised again below
            outcome.extend([None, error])

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    assert outcome, f"{call} has not ended within {seconds} s"
    if outcome[1] is not None:
        raise outcome[1]
    return outcome[0]


def living(group: int) -> list[psutil.Process]:
    """The members of a process group, those that have ended and wait to be reaped left out."""
    found = []
    for process in psutil.process_iter():
        with suppress(ProcessLookupError, psutil.NoSuchProcess):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def left_running(group: int, seconds: float) -> list[psutil.Process]:
    """Those of a group that have not ended after so many seconds; found again each time, for some may be newborn."""
    end = time.monotonic() + seconds
    while (alive := living(group)) and time.monotonic() < end:
        psutil.wait_procs(alive[:1], timeout=0.2)
    return alive


@contextmanager
def misbehaving(at_start: str = "well", patience: Patience = QUICK) -> Iterator[Worker]:
    """The stand-in, and in the end the proof that it and all of its group are gone."""
    command = [sys.executable, "-S", str(PROGRAMS / "misbehaving.py"), "--serve", at_start]
    worker = Worker("misbehaving", command=command, patience=patience)
    try:
        yield worker
    finally:
        within(10, worker.stop)
        if os.name == "posix":
            assert left_running(worker.pid, 5) == []


def ask(worker: Worker, do: str, on_event: Any = None, *, bound_s: float = 20, **fields: Any) -> dict[str, Any]:
    """One request for a misbehaviour; ``timeout_s`` is its deadline, the other fields are its input."""
    options = {"timeout_s": fields.pop("timeout_s")} if "timeout_s" in fields else {}
    request = {"v": 1, "op": "misbehave", "input": {"do": do, **fields}, "options": options}
    result: dict[str, Any] = within(bound_s, worker.request, request, on_event, "test")
    return result


@dataclass(frozen=True)
class Case:
    """A misbehaviour and what the host makes of it; no code means the result arrives."""

    do: str
    code: str | None = None
    text: str = ""
    survives: bool = True
    seconds: float = 10
    at_start: str = "well"
    input: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return "-".join(
            [self.do, *([self.at_start] if self.at_start != "well" else []), *map(str, self.input.values())]
        )


CRASH, NO_ANSWER = "worker_crashed", "test: the misbehaving worker ended without an answer"
CASES = [
    Case("good"),
    Case("good", at_start="noise"),
    Case("good", at_start="one_long_line_of_noise"),
    Case("good", at_start="no_ready"),
    Case("chatter"),
    Case("drip"),
    Case("long_result", input={"mib": 15}),
    Case("long_result", "internal_error", "a line of more than 16 MiB", input={"mib": 17}),
    Case("long_garbage", "internal_error", "a line of more than 16 MiB", input={"mib": 17}),
    Case("long_event", input={"mib": 17}),
    Case("garbage"),
    Case("invalid_utf8"),
    Case("exit_now", CRASH, f"{NO_ANSWER} (exit code 0).", survives=False, input={"code": 0}),
    Case("exit_now", CRASH, f"{NO_ANSWER} (exit code 3).", survives=False, input={"code": 3}),
    Case("good", CRASH, "(exit code 1).", survives=False, at_start="death"),
    Case("half_a_result", CRASH, f"{NO_ANSWER} (exit code 0).", survives=False),
    Case("answer_then_abort", survives=False),
    Case("late"),
    Case("later", input={"old": "r-0"}),
    Case("wrong_id", "timeout", "overran its deadline of 0.2 s", survives=False, input={"timeout_s": 0.2}),
    Case("silent", "timeout", "overran its deadline of 0.2 s", survives=False, input={"timeout_s": 0.2}),
    Case("stubborn", "timeout", "overran its deadline of 0.2 s", survives=False, input={"timeout_s": 0.2}),
    Case("flood", "timeout", "overran its deadline of 0.2 s", survives=False, input={"timeout_s": 0.2}),
    Case("closed_stdout", CRASH, NO_ANSWER, survives=False),
    Case("leave_a_grandchild", CRASH, f"{NO_ANSWER} (exit code 3).", survives=False),
    Case("leave_a_grandchild", survives=False, input={"answers": True}),
    Case("incomplete", "internal_error", "a broken result: engine, warnings, metrics missing or wrong"),
    Case("incomplete_error", "internal_error", "a broken error: code or message missing"),
    Case("error_without_id", "invalid_request", "test: unreadable"),
]
if os.name == "posix":
    CASES += [
        Case("die", CRASH, f"(exit code {-number}): killed by {name}.", survives=False, input={"signal": number})
        for name, number in (("SIGKILL", 9), ("SIGSEGV", 11), ("SIGTERM", 15), (f"signal {signal.SIGRTMIN + 2}", 36))
    ]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_whatever_a_worker_does_the_host_says_what_happened(case: Case) -> None:
    with misbehaving(case.at_start) as worker:
        begun = time.monotonic()
        if case.code is None:
            output = ask(worker, case.do, **case.input)["output"]
            assert output == {"said": "good"} or len(output["text"]) == 15 * MIB
            reported = "result"
        else:
            with pytest.raises(StorygenError) as raised:
                ask(worker, case.do, **case.input)
            assert raised.value.code == case.code
            assert case.text in raised.value.message
            reported = f"{raised.value.code}: {raised.value.message}"
        took = time.monotonic() - begun
        print(f"{case} | {reported} | {took:.2f} s")  # the table: pytest -rP
        assert took < case.seconds
        if case.survives:
            assert ask(worker, "good")["output"] == {"said": "good"}
        else:
            with pytest.raises(StorygenError, match=r"had ended before it was asked|ended without an answer") as caught:
                ask(worker, "good")
            assert caught.value.code == CRASH
            assert not worker.alive


def test_the_last_twenty_lines_of_stderr_come_with_a_crash() -> None:
    with misbehaving() as worker:
        with pytest.raises(StorygenError) as caught:
            ask(worker, "exit_now", code=3)
        assert caught.value.details == [f"last words {number}" for number in range(10, 30)]


def test_a_worker_that_never_speaks_is_given_up() -> None:
    with misbehaving("nothing_ever", Patience(start_s=0.5, cancel_s=1, terminate_s=1)) as worker:
        with pytest.raises(StorygenError, match=r"said nothing within 0.5 s and was stopped") as caught:
            ask(worker, "good", bound_s=5)
        assert caught.value.code == CRASH


def test_a_request_that_a_worker_does_not_even_read_holds_nobody() -> None:
    with misbehaving("deaf") as worker, pytest.raises(StorygenError) as caught:
        ask(worker, "good", timeout_s=0.2, padding="x" * MIB)
    assert caught.value.code == "timeout"


def test_lines_too_long_are_never_held_in_memory() -> None:
    with misbehaving() as worker:
        ask(worker, "good")
        tracemalloc.start()
        try:
            for mib in (17, 17, 17, 17, 17, 17, 256):
                assert ask(worker, "long_event", mib=mib)["output"] == {"said": "good"}
            now, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 50 * MIB
    assert now < 2 * MIB


@posix
def test_what_a_worker_says_while_nobody_asks_is_not_kept(tmp_path: Path) -> None:
    done = tmp_path / "done"
    os.mkfifo(done)
    with misbehaving() as worker:
        tracemalloc.start()
        try:
            ask(worker, "late_flood", mib=64, done=str(done))
            assert within(20, done.read_text) == "all is written"
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert ask(worker, "good")["output"] == {"said": "good"}
    assert peak < 16 * MIB


def test_what_a_worker_says_of_an_older_request_is_not_heard() -> None:
    with misbehaving() as worker:
        for number in range(1, 4):
            heard: list[dict[str, Any]] = []
            assert ask(worker, "late", heard.append)["id"] == f"r-{number}"
            assert [event["type"] for event in heard] == ["accepted"]
        heard = []
        assert ask(worker, "later", heard.append, old="r-3")["output"] == {"said": "good"}
        assert [event["id"] for event in heard] == ["r-4"]


@posix
def test_a_worker_that_dies_between_requests_is_noticed() -> None:
    with misbehaving() as worker:
        ask(worker, "good")
        psutil.Process(worker.pid).kill()
        with pytest.raises(StorygenError, match=r"exit code -9\): killed by SIGKILL"):  # in the act, or just before
            ask(worker, "good", bound_s=5)
        with pytest.raises(StorygenError, match=r"had ended before it was asked \(exit code -9\)") as caught:
            ask(worker, "good", bound_s=5)
        assert caught.value.code == CRASH


def test_a_program_that_cannot_be_started_is_an_error_with_a_name() -> None:
    with pytest.raises(StorygenError, match="no-such-program") as caught:
        Worker("misbehaving", command=["/no-such-program"])
    assert caught.value.code == "engine_unavailable"


# Taking a request back


def cancelling(worker: Worker) -> Callable[[dict[str, Any]], None]:
    """Cancels from another thread as soon as the worker is at work."""

    def on_event(event: dict[str, Any]) -> None:
        threading.Thread(target=worker.cancel, daemon=True).start()

    return on_event


def test_a_request_is_cancelled_from_another_thread_and_the_worker_goes_on() -> None:
    with misbehaving() as worker:
        with pytest.raises(StorygenError, match="as you wish") as caught:
            ask(worker, "patient", cancelling(worker))
        assert caught.value.code == "cancelled"
        assert ask(worker, "good")["output"] == {"said": "good"}
        worker.cancel()  # nothing runs: nothing happens
        assert ask(worker, "good")["output"] == {"said": "good"}


def test_a_worker_that_does_not_heed_a_cancellation_is_stopped() -> None:
    with misbehaving() as worker:
        with pytest.raises(StorygenError, match="did not heed the cancellation") as caught:
            ask(worker, "stubborn", cancelling(worker), bound_s=6)
        assert caught.value.code == "cancelled"
        assert not worker.alive


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, ZeroDivisionError])
@pytest.mark.parametrize(("do", "survives"), [("patient", True), ("stubborn", False)])
def test_what_interrupts_the_host_takes_the_request_back(
    do: str, survives: bool, interruption: type[BaseException]
) -> None:
    def interrupt(event: dict[str, Any]) -> None:
        raise interruption

    with misbehaving() as worker:
        with pytest.raises(interruption):
            ask(worker, do, interrupt, bound_s=6)
        assert worker.alive == survives
        if survives:
            assert ask(worker, "good")["output"] == {"said": "good"}


@pytest.mark.parametrize("do", ["silent", "stubborn", "flood"])
def test_a_worker_is_stopped_in_the_midst_of_a_request(do: str) -> None:
    with misbehaving() as worker:
        at_work = threading.Event()
        caught: list[StorygenError] = []

        def run() -> None:
            try:
                ask(worker, do, lambda event: at_work.set(), bound_s=15)
            except StorygenError as error:
                caught.append(error)

        asking = threading.Thread(target=run)
        asking.start()
        assert at_work.wait(10)
        within(5, worker.stop)
        asking.join(10)
        assert [error.code for error in caught] == [CRASH]


@posix
def test_a_grandchild_that_left_the_group_and_holds_the_pipes_holds_nobody() -> None:
    with misbehaving() as worker:
        escaped: list[int] = []
        try:
            with pytest.raises(StorygenError, match=r"exit code 3") as caught:
                ask(worker, "leave_a_grandchild", lambda event: escaped.append(event["grandchild"]), escapes=True)
            assert caught.value.code == CRASH
            within(5, worker.stop)
        finally:
            for pid in escaped:
                os.kill(pid, signal.SIGKILL)
        assert escaped


# The host dies


@dataclass(frozen=True)
class Moment:
    """When the host is killed: after so many signs of progress, and a little later."""

    progress: int
    later_s: float


def killed_at(moment: Moment, request: dict[str, Any], environment: dict[str, str]) -> tuple[list[str], list[str]]:
    """Kill a host in the midst of a job; the names of those who worked then, and of those who are left."""
    command = [sys.executable, str(PROGRAMS / "host.py"), "media_processing", json.dumps(request)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, env=environment) as host:
        assert host.stdout is not None
        group = json.loads(host.stdout.readline())["pid"]
        for kind in ["progress"] * moment.progress or ["accepted"]:
            while json.loads(host.stdout.readline())["type"] != kind:
                pass
        threading.Event().wait(moment.later_s)
        working = [process.name() for process in living(group)]
        host.kill()
        host.wait(PATIENCE_S)
    return working, [str(process) for process in left_running(group, 15)]


@posix
def test_a_host_killed_at_any_moment_leaves_nothing_running(tmp_path: Path) -> None:
    shell = tmp_path / "ffmpeg"  # makes FFmpeg a grandchild of the worker
    shell.write_text(f'#!/bin/sh\n"{FFMPEG}" "$@"\nexit $?\n')
    shell.chmod(0o755)
    film = str(clip(tmp_path / "clip.mp4", frames=2, size="64x64"))
    composing: dict[str, Any] = {
        "width": 270,
        "height": 480,
        "loudness": None,
        "shots": [{"clip": film, "num_frames": 3000}],
    }
    composing["narration"] = str(tone(tmp_path / "tone.wav", seconds=1))
    request = {"v": 1, "op": "compose", "input": composing, "output_dir": str(tmp_path / "out")}
    environment = {**os.environ, "IMAGEIO_FFMPEG_EXE": str(shell), "PYTHONPATH": str(ROOT)}
    chance = random.Random(3)
    moments = [Moment(number % 4, chance.uniform(0, 0.4)) for number in range(20)]
    with ThreadPoolExecutor(4) as threads:
        killed = list(threads.map(lambda moment: killed_at(moment, request, environment), moments))
    assert [left for _, left in killed] == [[]] * 20
    assert sum(len(working) >= 3 for working, _ in killed) >= 15, "worker, shell and FFmpeg were to be at work"
    assert not list((tmp_path / "out").glob("*.mp4"))


def test_a_crashed_workers_last_words_show_no_secret(monkeypatch):
    secret = "sk-very-secret-0123456789"
    monkeypatch.setenv("OPENAI_API_KEY", secret)
    program = "import os, sys; sys.stderr.write('401 for ' + os.environ['OPENAI_API_KEY']); sys.exit(3)"
    with Worker("dying", command=[sys.executable, "-c", program]) as worker, pytest.raises(StorygenError) as caught:
        worker.request({"v": 1, "op": "x", "input": {}})
    assert caught.value.details == ["401 for <OPENAI_API_KEY>"]
