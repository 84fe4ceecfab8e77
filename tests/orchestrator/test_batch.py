"""Many stories in one go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support import SMALL, accepted, storygen


def batch_file(folder: Path, *entries: Any) -> Path:
    path = folder / "stories.jsonl"
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    return path


def told(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(f"language: en\n\n{text}\n", encoding="utf-8")
    return name


def events(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "events.ndjson").read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def stories(tmp_path: Path) -> Path:
    return batch_file(
        tmp_path,
        {"story": told(tmp_path, "sun.md", "The sun rose over the hill.")},
        {"story": "not there.md"},
        {"story": told(tmp_path, "moon.md", "The moon set behind the sea."), "out": "last one"},
        {"story": "sun.md", "out": "broken", "set": ["keyframes.engine=nope"]},
    )


def test_one_that_fails_does_not_stop_the_others_and_workers_are_shared(stories: Path, tmp_path: Path) -> None:
    out = tmp_path / "films"
    done = storygen("batch", stories, "--out", out, *SMALL)
    assert done.returncode == 66, done.stderr  # of the first that failed
    assert (out / "sun" / "final.mp4").exists()
    assert (out / "last one" / "final.mp4").exists()
    assert "2 of 4 stories are done" in done.stderr
    assert "There is no story file" in done.stderr
    assert "has no engine 'nope'" in done.stderr
    pids = [
        {event["pid"] for event in events(out / name) if event["type"] == "accepted" and event["stage"] == "voice"}
        for name in ("sun", "last one")
    ]
    assert pids[0] == pids[1]
    # stage by stage: the first story's pictures are drawn after the last story has its voice
    first_picture = min(event["time"] for event in events(out / "sun") if event["stage"] == "keyframes")
    last_line = max(event["time"] for event in events(out / "last one") if event["stage"] == "voice")
    assert last_line < first_picture
    states = [json.loads((out / name / "manifest.json").read_text("utf-8"))["state"] for name in ("sun", "broken")]
    assert states == ["done", "failed"]
    again = storygen("batch", stories, "--out", out, *SMALL, "--json")
    assert accepted(out / "sun") == []
    last = json.loads(again.stdout.splitlines()[-1])
    assert [story["state"] for story in last["stories"]] == ["done", "input_not_found", "done", "engine_unavailable"]


def test_every_line_that_is_wrong_is_named_and_nothing_is_begun(tmp_path: Path) -> None:
    path = batch_file(
        tmp_path, {"story": "a.md"}, {"storry": "b.md"}, {"story": "a.md"}, {"story": "b", "idea": "c"}, {"out": "d"}
    )
    with path.open("a", encoding="utf-8") as file:
        file.write("{not json\n")
    done = storygen("batch", path, "--out", tmp_path / "films")
    assert done.returncode == 65
    for said in (
        "line 2: it has no field storry. Did you mean story?",
        "line 3:",
        "another line's folder",
        "line 4: it must have a story or an idea",
        "line 5: it must have a story or an idea",
        "line 6: not JSON",
    ):
        assert said in done.stderr, done.stderr
    assert not (tmp_path / "films").exists()


def test_a_batch_that_is_not_there(tmp_path: Path) -> None:
    done = storygen("batch", tmp_path / "none.jsonl")
    assert (done.returncode, "There is no file" in done.stderr) == (66, True)
