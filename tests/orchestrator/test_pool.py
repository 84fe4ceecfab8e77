"""Warm workers: which session does what, what is tried again, what time allows. Real workers with scripted answers."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import psutil
import pytest
from support import SMALL, accepted, storygen

from orchestrator import memory
from orchestrator.errors import StorygenError
from orchestrator.memory import Memory
from orchestrator.pool import CRASHES, Pool

OUTPUT = {
    "text": "ok",
    "tokens_generated": 1,
    "generation_time_ms": 1,
    "tokens_per_second": 1,
    "finish_reason": "stop",
    "usage": {"prompt": 1, "completion": 1, "total": 2},
}


def asking(folder: Path, *answers: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A request that is answered so; the last answer repeats."""
    path = folder / f"answers-{len(list(folder.iterdir()))}.jsonl"
    path.write_text("".join(json.dumps(answer) + "\n" for answer in answers), encoding="utf-8")
    request = {"v": 1, "op": "generate", "engine": "scripted", "input": {"prompt": "hello"}}
    return {**request, "engine_options": {"answers": str(path)}, **more}


def failing(code: str, **more: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": "as the script says", **more}}


def test_a_passing_fault_is_tried_again_after_the_time_the_provider_named(tmp_path: Path) -> None:
    events: list[dict[str, Any]] = []
    with Pool() as pool:
        answers = [failing("rate_limited", retry_after_s=0.01), {"output": OUTPUT}]
        result = pool.request("text_generation", asking(tmp_path, *answers), events.append)
    assert result["output"]["text"] == "ok"
    retries = [event for event in events if event["type"] == "retry"]
    assert [(event["code"], event["wait_s"], event["attempt"]) for event in retries] == [("rate_limited", 0.0, 2)]


def test_the_budget_is_the_runs(tmp_path: Path) -> None:
    events: list[dict[str, Any]] = []
    with Pool(retries=3) as pool:
        for _ in range(2):
            request = asking(tmp_path, failing("rate_limited", retry_after_s=0.01))
            with pytest.raises(StorygenError, match="as the script says"):
                pool.request("text_generation", request, events.append)
    assert sum(event["type"] == "retry" for event in events) == 3


@pytest.mark.parametrize("code", ["invalid_request", "content_refused", "auth_rejected"])
def test_what_would_be_the_same_again_is_not_tried_again(code: str, tmp_path: Path) -> None:
    events: list[dict[str, Any]] = []
    with Pool() as pool, pytest.raises(StorygenError) as caught:
        pool.request("text_generation", asking(tmp_path, failing(code)), events.append)
    assert caught.value.code == code
    assert sum(event["type"] == "accepted" for event in events) == 1


def test_a_request_that_ends_every_worker_is_given_up(tmp_path: Path) -> None:
    events: list[dict[str, Any]] = []
    with Pool() as pool, pytest.raises(StorygenError) as caught:
        pool.request("text_generation", asking(tmp_path, {"exit": 9}), events.append)
    assert caught.value.code == "worker_crashed"
    pids = [event["pid"] for event in events if event["type"] == "accepted"]
    assert len(pids) == len(set(pids)) == CRASHES


def pid_of(pool: Pool, request: Mapping[str, Any], before: Barrier | None = None) -> int:
    found: list[int] = []

    def note(event: dict[str, Any]) -> None:
        if event["type"] == "accepted":
            found.append(event["pid"])
            if before is not None:
                before.wait(60)

    pool.request("text_generation", request, note)
    return found[0]


def test_a_session_is_warm_for_the_next_request_and_two_at_once_have_one_each(tmp_path: Path) -> None:
    answer = {"output": OUTPUT}
    with Pool() as pool:
        first = pid_of(pool, asking(tmp_path, answer))
        assert pid_of(pool, asking(tmp_path, answer)) == first
        both = Barrier(2)  # neither ends before the other has begun
        requests = [asking(tmp_path, answer), asking(tmp_path, answer)]
        with ThreadPoolExecutor(2) as threads:
            pids = set(threads.map(lambda request: pid_of(pool, request, both), requests))
    assert len(pids) == 2
    assert first in pids


PLENTY = Memory(0.0, 1e12)


def heavy_pool(monkeypatch: pytest.MonkeyPatch, free: Callable[[], Memory]) -> Pool:
    """A pool whose scripted engine counts as one that loads models, on a machine with so much memory."""

    def free_now(*, card: bool) -> Memory:
        return free() if card else replace(free(), card=0.0)

    monkeypatch.setattr(memory, "free", free_now)
    pool = Pool()
    pool.describe("text_generation")["engines"]["scripted"]["models"] = {"Qwen/Qwen2.5-14B-Instruct": {}}
    return pool


def of_model(folder: Path, number: int, *answers: Mapping[str, Any]) -> dict[str, Any]:
    """A request for one model of several, told apart by what they leave open; each has a worker of its own."""
    return asking(folder, *(answers or [{"output": OUTPUT}]), model={["id", "revision", "dtype"][number - 1]: None})


def test_models_that_have_room_beside_one_another_stay_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with heavy_pool(monkeypatch, lambda: PLENTY) as pool:
        pids = [pid_of(pool, of_model(tmp_path, number)) for number in (1, 2, 3)]
        assert [pid_of(pool, of_model(tmp_path, number)) for number in (1, 2, 3)] == pids


def test_where_the_next_model_has_no_room_the_one_longest_unused_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids: dict[int, int] = {}

    def free() -> Memory:  # room for two
        return PLENTY if sum(map(psutil.pid_exists, pids.values())) < 2 else Memory(0.0, 0.0)

    with heavy_pool(monkeypatch, free) as pool:
        for number in (1, 2, 1, 3):
            pids[number] = pid_of(pool, of_model(tmp_path, number))
        assert [psutil.pid_exists(pids[number]) for number in (1, 2, 3)] == [True, False, True]


def test_a_loaded_model_needs_no_more_room_than_its_work_took_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = [PLENTY]
    with heavy_pool(monkeypatch, lambda: room[0]) as pool:
        both = [pid_of(pool, of_model(tmp_path, number)) for number in (1, 2)]
        room[0] = Memory(0.0, 100e6)  # a scripted worker takes less in all; a model of the table would not fit
        assert [pid_of(pool, of_model(tmp_path, number)) for number in (1, 2)] == both


def test_what_a_model_takes_is_estimated_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    estimated: list[Any] = []
    estimate = memory.estimate

    def counted(known: Mapping[str, Any], request: Mapping[str, Any]) -> Memory:
        estimated.append(request)
        return estimate(known, request)

    monkeypatch.setattr(memory, "estimate", counted)
    with heavy_pool(monkeypatch, lambda: PLENTY) as pool:
        for number in (1, 2, 1, 1, 2):
            pid_of(pool, of_model(tmp_path, number))
    assert len(estimated) == 2


def test_what_ends_for_want_of_memory_is_done_once_more_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[dict[str, Any]] = []
    with heavy_pool(monkeypatch, lambda: PLENTY) as pool:
        other = pid_of(pool, of_model(tmp_path, 1))
        request = of_model(tmp_path, 2, failing("out_of_memory"), {"output": OUTPUT})
        assert pool.request("text_generation", request, events.append)["output"]["text"] == "ok"
        assert not psutil.pid_exists(other)
        assert [event["code"] for event in events if event["type"] == "retry"] == ["out_of_memory"]
        with pytest.raises(StorygenError) as caught:  # nobody else is there now
            pool.request("text_generation", of_model(tmp_path, 2, failing("out_of_memory")), events.append)
    assert caught.value.code == "out_of_memory"
    assert sum(event["type"] == "retry" for event in events) == 1


def test_the_runs_time_is_up(tmp_path: Path) -> None:
    with Pool(timeout_s=0.8) as pool, pytest.raises(StorygenError) as caught:
        pool.request("text_generation", asking(tmp_path, {"wait_s": 600}))
    assert caught.value.code == "timeout"
    assert "within the 0.8 s" in caught.value.message


def test_a_run_that_overruns_its_time_keeps_what_is_done(story: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    done = storygen("run", story, "--out", folder, *SMALL, "--timeout", "1.5")
    assert done.returncode == 124, done.stderr
    assert "same command continues" in done.stderr
    kept = len(list(folder.glob("*/*/result.json")))
    assert kept >= 2
    assert storygen("run", story, "--out", folder, *SMALL).returncode == 0
    assert len(accepted(folder)) < len(list(folder.glob("*/*/result.json")))


def test_an_engine_that_cannot_be_used_is_replaced_by_the_next_and_the_run_says_so(
    run_folder: Path, story: Path
) -> None:
    settings = ("--set", "keyframes.engine=nope", "--set", 'keyframes.fallback=["storyboard"]')
    done = storygen("run", story, "--out", run_folder, *SMALL, *settings)
    assert done.returncode == 0, done.stderr
    assert "image_generation has no engine 'nope'; storyboard takes its place" in done.stderr
    manifest = json.loads((run_folder / "manifest.json").read_text(encoding="utf-8"))
    assert {warning["code"] for warning in manifest["warnings"]} == {"engine_fallback"}


def test_without_a_fallback_the_first_engines_error_is_the_runs(run_folder: Path, story: Path) -> None:
    done = storygen("run", story, "--out", run_folder, *SMALL, "--set", "keyframes.engine=nope")
    assert (done.returncode, "no engine 'nope'" in done.stderr) == (69, True)


def test_an_interpreter_of_its_own_is_another_session(tmp_path: Path) -> None:
    alias = tmp_path / "python"
    alias.symlink_to(sys.executable)
    asked = asking(tmp_path, {"output": OUTPUT})
    found: list[int] = []
    with Pool() as pool:
        for python in (None, str(alias)):
            pool.request("text_generation", asked, lambda event: found.append(event.get("pid", 0)), python=python)
    assert len({pid for pid in found if pid}) == 2
