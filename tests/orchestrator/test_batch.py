"""Many stories in one go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support import SMALL, accepted, storygen, tone

from orchestrator import batch
from orchestrator.errors import StorygenError
from orchestrator.subject import Subject


def batch_file(folder: Path, *entries: Any) -> Path:
    path = folder / "stories.jsonl"
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    return path


def score(value: float) -> dict[str, Any]:
    """A judge's answer about one picture."""
    found: dict[str, Any] = {"matching": [], "mismatched": [], "suggestions": []}
    how = {"is_valid": value >= 0.6, "explanation": "", "tokens_generated": 1, "seed": None}
    return {"match_score": value, **found, **how}


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


def test_the_pictures_of_all_stories_are_drawn_before_the_first_is_judged(tmp_path: Path) -> None:
    told(tmp_path, "sun.md", "The sun rose over the hill.")
    told(tmp_path, "moon.md", "The moon set behind the sea.")
    stories = batch_file(tmp_path, {"story": "sun.md"}, {"story": "moon.md"})
    judge = tmp_path / "judge.jsonl"
    judge.write_text("".join(json.dumps({"output": score(value)}) + "\n" for value in (0.9, 0.2, 0.8)), "utf-8")
    settings = ["vision.engine=scripted", f"vision.engine_options.answers='{judge}'", "keyframes.at_once=1"]
    options = [*SMALL, *(word for setting in settings for word in ("--set", setting))]
    done = storygen("batch", stories, "--out", tmp_path / "films", "--to", "keyframes", *options)
    assert done.returncode == 0, done.stderr
    taken = sorted(
        (event["time"], name, event["item"])
        for name in ("sun", "moon")
        for event in events(tmp_path / "films" / name)
        if event["type"] == "accepted" and event["stage"] == "keyframes" and event["item"] != "scenes"
    )
    assert [each[1:] for each in taken] == [
        ("sun", "shot-001"),
        ("moon", "shot-001"),
        ("sun", "shot-001_001-score"),
        ("moon", "shot-001_001-score"),
        ("moon", "shot-001-again-1"),
        ("moon", "shot-001-again-1_001-score"),
    ]
    manifest = json.loads((tmp_path / "films" / "moon" / "manifest.json").read_text("utf-8"))
    assert [each["score"] for each in manifest["shots"][0]["pictures"]] == [0.2, 0.8]


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


def read(folder: Path, *entries: Any, settings: tuple[str, ...] = (), out: str = "runs") -> list[batch.Story]:
    return batch.read(batch_file(folder, *entries), "draft", settings, Path(out))


def test_a_line_says_what_the_options_of_a_run_say(tmp_path: Path) -> None:
    told(tmp_path, "sun.md", "The sun rose over the hill.")
    (tmp_path / "photos").mkdir()
    tone(tmp_path / "song.wav", seconds=1)
    line = {"story": "sun.md", "format": "16:9", "captions": "soft", "pictures": "photos", "music": "song.wav"}
    (story,) = read(tmp_path, {**line, "language": "en", "set": ["film.fps=25"]}, settings=("film.width=270",))
    film, post = story.profile["film"], story.profile["post"]["input"]
    assert (film["width"], film["height"], film["fps"], film["language"]) == (1920, 1080, 25, "en")  # beats the batch's
    assert (post["subtitles_mode"], post["music"]) == ("carry", str(tmp_path / "song.wav"))
    assert story.profile["keyframes"]["engine_options"]["pictures"] == str(tmp_path / "photos")
    idea = {"idea": "a crow", "profile": "local", "seconds": 45, "audience": "children", "style": "clay"}
    (story,) = read(tmp_path, idea)
    film = story.profile["film"]
    assert (film["target_s"], film["audience"], film["style"]) == (45, "children", "clay")


def test_what_a_line_sets_is_a_list_or_an_object(tmp_path: Path) -> None:
    asked = {"film.width": 270, "voice": {"input": {"speed": 1.5}}, "keyframes.engine": "none"}
    texts = ["film.width=270", "voice.input.speed=1.5", "keyframes.engine=none"]
    stories = read(tmp_path, {"story": "a.md", "set": asked}, {"story": "b.md", "set": texts})
    assert stories[0].profile == stories[1].profile
    assert stories[0].profile["film"]["width"] == 270
    with pytest.raises(StorygenError) as caught:
        read(tmp_path, {"story": "a.md", "set": 5}, {"story": "b.md", "set": {"film.widht": 1}})
    assert 'such as ["film.width=270"], {"film.width": 270}' in caught.value.details[0]
    assert "Did you mean width?" in caught.value.details[1]
    assert '"set": {"film.width": 270}' in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("out", "given", "folder"),
    [
        ("runs", "b1", "runs/b1"),
        ("runs", "runs/b1", "runs/b1"),
        ("./runs", "./runs/a/b", "runs/a/b"),
        ("films", "runs/b1", "films/runs/b1"),
        ("/films", "b1", "/films/b1"),
        ("runs", "/b1", "/b1"),
    ],
)
def test_a_lines_folder_lies_in_that_of_the_batch(tmp_path: Path, out: str, given: str, folder: str) -> None:
    (story,) = read(tmp_path, {"story": "a.md", "out": given}, out=out)
    assert story.folder == Path(folder)


def test_a_dry_run_says_what_would_be_made_and_makes_nothing(tmp_path: Path) -> None:
    told(tmp_path, "sun.md", "The sun rose over the hill.")
    (tmp_path / "mute.md").write_text("🦊\n", encoding="utf-8")
    path = batch_file(tmp_path, {"story": "sun.md"}, {"story": "mute.md"})
    done = storygen("batch", path, "--out", tmp_path / "films", "--dry-run")
    assert done.returncode == 65, done.stderr
    assert "The film: about 2 s (6 words at 150 a minute), about 1 shot" in done.stdout
    assert "voice      " in done.stdout
    assert "The story mute has no words to tell." in done.stdout
    assert not (tmp_path / "films").exists()
    done = storygen("batch", path, "--out", tmp_path / "films", "--dry-run", "--json")
    plans = [json.loads(line) for line in done.stdout.splitlines()]
    assert [plan["error"] and plan["error"]["code"] for plan in plans] == [None, "invalid_request"]
    assert {row["stage"] for row in plans[0]["plan"]} >= {"voice", "post"}


def test_a_story_that_cannot_be_told_leaves_no_folder(tmp_path: Path) -> None:
    (tmp_path / "mute.md").write_text("🦊\n", encoding="utf-8")
    done = storygen("batch", batch_file(tmp_path, {"story": "mute.md"}), "--out", tmp_path / "films")
    assert (done.returncode, (tmp_path / "films").exists()) == (65, False), done.stderr
    done = storygen("run", tmp_path / "mute.md", cwd=tmp_path)
    assert (done.returncode, (tmp_path / "runs").exists()) == (65, False), done.stderr


def test_the_columns_of_the_table_hold_every_code(tmp_path: Path) -> None:
    ends = ["input_not_found", "timeout"]
    stories = [
        batch.Story(number, Subject(story=Path(f"{'long' * number}.md")), tmp_path, error=StorygenError(code, "Ended."))
        for number, code in enumerate(ends, 1)
    ]
    rows = batch.table(stories)[:2]
    assert len({row.index(" s  Ended.") for row in rows}) == 1
    assert [row.split()[1] for row in rows] == ends


def test_a_batch_that_is_not_there(tmp_path: Path) -> None:
    done = storygen("batch", tmp_path / "none.jsonl")
    assert (done.returncode, "There is no file" in done.stderr) == (66, True)
