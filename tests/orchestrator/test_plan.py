"""Parts of a run, other runs' items, and what a run would do."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from filelock import FileLock
from support import SMALL, accepted, storygen


def plan(folder: Path, story: Path, *more: str) -> dict[str, str]:
    """``stage/item`` -> state."""
    done = storygen("run", story, "--out", folder, *SMALL, "--dry-run", "--json", *more)
    assert done.returncode == 0, done.stderr
    return {f"{row['stage']}/{row['item']}": row["state"] for row in json.loads(done.stdout)}


def changed(story: Path, tmp_path: Path) -> Path:
    other = tmp_path / "changed.md"
    other.write_text(story.read_text(encoding="utf-8").replace("He lit it again.", "He lit it twice."), "utf-8")
    return other


def test_a_dry_run_of_nothing_makes_nothing_and_names_what_it_can_know(story: Path, tmp_path: Path) -> None:
    states = plan(tmp_path / "new", story)
    assert not (tmp_path / "new").exists()
    assert [states[f"voice/line-00{number}"] for number in (1, 2, 3, 4, 5)] == ["missing"] * 5
    assert states["keyframes/"] == "unknown"


def test_a_dry_run_of_a_finished_run_finds_all_done(run_folder: Path, story: Path) -> None:
    assert set(plan(run_folder, story).values()) == {"done"}


def test_a_dry_run_foresees_what_a_changed_sentence_redoes(run_folder: Path, story: Path, tmp_path: Path) -> None:
    other = changed(story, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in run_folder.rglob("*") if path.name != ".lock"}
    states = plan(run_folder, other)
    assert {path: path.stat().st_mtime_ns for path in run_folder.rglob("*") if path.name != ".lock"} == before
    assert states["voice/line-001"] == "done"
    assert {states[name] for name in ("script/script", "voice/line-003", "voice/joined", "post/film")} == {"stale"}
    assert states["keyframes/shot-001"] == "perhaps"
    assert storygen("run", other, "--out", run_folder, *SMALL).returncode == 0
    redone = {f"{stage}/{item}" for stage, item in accepted(run_folder)}
    assert {name for name, state in states.items() if state == "stale"} - redone <= {"collect/source", "script/script"}
    assert not {name for name, state in states.items() if state == "done"} & redone


def test_status_says_why(run_folder: Path, story: Path) -> None:
    shutil.rmtree(run_folder / "keyframes" / "shot-002")
    next((run_folder / "video" / "shot-001").glob("*.mp4")).unlink()
    done = storygen("status", run_folder)
    assert done.returncode == 0, done.stderr
    assert "shot-002: to be made (it was never made)" in done.stdout
    assert "shot-001: to be made again (shot-001_001.mp4 is gone)" in done.stdout
    assert "subtitles  1 done" in done.stdout


def test_a_film_that_is_to_be_made_again_need_not_pass_the_check(run_folder: Path, story: Path) -> None:
    other = (*SMALL, "--set", "film.fps=15")
    done = storygen("run", story, "--out", run_folder, *other, "--to", "scenes")
    assert done.returncode == 0, done.stderr
    said = storygen("status", run_folder)
    assert said.returncode == 0, said.stderr
    assert re.search(r"film: to be made again \(.*input.fps", said.stdout), said.stdout
    assert "check: to be made again" in said.stdout
    planned = storygen("run", story, "--out", run_folder, *other, "--dry-run")
    assert planned.returncode == 0, planned.stderr


def test_status_of_what_is_no_run(tmp_path: Path) -> None:
    done = storygen("status", tmp_path)
    assert (done.returncode, "no run's folder" in done.stderr) == (66, True)


def test_status_of_a_run_at_work(run_folder: Path) -> None:
    with FileLock(run_folder / ".lock"):
        done = storygen("status", run_folder)
    assert (done.returncode, "right now" in done.stderr) == (73, True)


def test_to_ends_after_a_stage_and_the_same_command_without_it_goes_on(story: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    done = storygen("run", story, "--out", folder, *SMALL, "--to", "scenes")
    assert done.returncode == 0, done.stderr
    assert "done up to scenes" in done.stderr
    assert not (folder / "keyframes").exists()
    assert json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["state"] == "partial"
    assert storygen("run", story, "--out", folder, *SMALL).returncode == 0
    assert {stage for stage, _ in accepted(folder)} == {"keyframes", "video", "post"}
    assert (folder / "final.mp4").exists()


def test_from_takes_what_lies_before_as_it_is(run_folder: Path, story: Path, tmp_path: Path) -> None:
    shutil.rmtree(run_folder / "video" / "shot-002")
    done = storygen("run", changed(story, tmp_path), "--out", run_folder, *SMALL, "--from", "video")
    assert done.returncode == 0, done.stderr
    assert accepted(run_folder) == [("video", "shot-002")]


def test_from_needs_what_lies_before(run_folder: Path, story: Path) -> None:
    shutil.rmtree(run_folder / "keyframes" / "shot-002")
    done = storygen("run", story, "--out", run_folder, *SMALL, "--only", "video")
    assert done.returncode == 66
    assert "keyframes/shot-002 is to be taken as it is, but it is missing" in done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--from", "vidio"), "no stage 'vidio'"),
        (("--force", "pictures/shot-001"), "no stage 'pictures'"),
        (("--from", "video", "--to", "voice"), "comes after"),
    ],
)
def test_a_stage_that_there_is_not(options: tuple[str, ...], said: str, story: Path, tmp_path: Path) -> None:
    done = storygen("run", story, "--out", tmp_path / "run", *options)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


def test_force_redoes_one_item_and_what_comes_out_otherwise(run_folder: Path, story: Path) -> None:
    done = storygen("run", story, "--out", run_folder, *SMALL, "--force", "keyframes/shot-001")
    assert done.returncode == 0, done.stderr
    # The same picture comes out, so nothing that is made of it changes.
    assert accepted(run_folder) == [("keyframes", "shot-001")]


def test_items_of_another_run_are_taken_where_they_fit(
    made: Path, run_folder: Path, story: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "second"
    done = storygen("run", changed(story, tmp_path), "--out", folder, *SMALL, "--reuse", run_folder)
    assert done.returncode == 0, done.stderr
    taken = accepted(folder)
    assert ("voice", "line-001") not in taken
    assert ("voice", "line-003") in taken
    picture = Path("keyframes", "shot-001", "shot-001_001.png")
    assert ("keyframes", "shot-001") not in taken
    (folder / picture).write_bytes(b"spoilt here")
    assert (run_folder / picture).read_bytes() == (made / picture).read_bytes()


def test_reuse_takes_no_edits(run_folder: Path, story: Path, tmp_path: Path) -> None:
    picture = Path("keyframes", "shot-001", "shot-001_001.png")
    (run_folder / picture).write_bytes((run_folder / picture).read_bytes() + b"x")
    folder = tmp_path / "second"
    assert storygen("run", story, "--out", folder, *SMALL, "--reuse", run_folder).returncode == 0
    assert accepted(folder) == [("keyframes", "shot-001")]
