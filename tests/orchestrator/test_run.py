"""What is done stays done, what changed is redone, and nothing that dies leaves anything behind."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from filelock import FileLock
from support import PATIENCE_S, SMALL, Running, accepted, family_tree, still_alive, storygen, tone


def test_a_second_run_does_nothing(run_folder: Path, story: Path) -> None:
    assert accepted(run_folder)
    before = {path: path.stat().st_mtime_ns for path in run_folder.rglob("*_001.*")}
    done = storygen("run", story, "--out", run_folder, *SMALL)
    assert done.returncode == 0, done.stderr
    assert "nothing was done" in done.stderr
    assert accepted(run_folder) == []
    assert {path: path.stat().st_mtime_ns for path in run_folder.rglob("*_001.*")} == before


def test_one_shot_lost_redoes_that_shot_and_the_film(run_folder: Path, story: Path) -> None:
    film = (run_folder / "final.mp4").read_bytes()
    shutil.rmtree(run_folder / "video" / "shot-002")
    assert storygen("run", story, "--out", run_folder, *SMALL).returncode == 0
    assert ("video", "shot-002") in accepted(run_folder)
    # The same clip comes out bit for bit, so the film that was made of it still stands.
    assert accepted(run_folder) == [("video", "shot-002")]
    assert (run_folder / "final.mp4").read_bytes() == film


def test_one_shot_and_the_film_lost_redoes_those(run_folder: Path, story: Path) -> None:
    film = (run_folder / "final.mp4").read_bytes()
    shutil.rmtree(run_folder / "video" / "shot-002")
    shutil.rmtree(run_folder / "post" / "film")
    assert storygen("run", story, "--out", run_folder, *SMALL).returncode == 0
    assert accepted(run_folder) == [("video", "shot-002"), ("post", "film")]
    assert (run_folder / "final.mp4").read_bytes() == film


def test_a_lost_artifact_is_made_again(run_folder: Path, story: Path) -> None:
    picture = run_folder / "keyframes" / "shot-001" / "shot-001_001.png"
    whole = picture.read_bytes()
    picture.unlink()
    assert storygen("run", story, "--out", run_folder, *SMALL).returncode == 0
    assert accepted(run_folder) == [("keyframes", "shot-001")]
    assert picture.read_bytes() == whole


def test_a_broken_result_file_is_no_result(run_folder: Path, story: Path) -> None:
    (run_folder / "subtitles" / "captions" / "result.json").write_text('{"key": "')
    assert storygen("run", story, "--out", run_folder, *SMALL).returncode == 0
    assert ("subtitles", "captions") in accepted(run_folder)


def test_a_changed_sentence_redoes_what_depends_on_it_and_nothing_else(
    run_folder: Path, story: Path, tmp_path: Path
) -> None:
    changed = tmp_path / "changed.md"
    changed.write_text(
        story.read_text(encoding="utf-8").replace("He lit it again.", "He lit it twice."), encoding="utf-8"
    )
    assert storygen("run", changed, "--out", run_folder, *SMALL).returncode == 0
    redone = accepted(run_folder)
    assert [item for stage, item in redone if stage == "voice"] == ["line-003", "joined", "narration"]
    assert ("keyframes", "shot-001") not in redone
    assert ("video", "shot-001") not in redone
    assert ("video", "shot-003") not in redone  # it begins whole frames later, and is as long as before
    assert ("post", "film") in redone


def test_a_run_folder_can_be_moved(run_folder: Path, story: Path, tmp_path: Path) -> None:
    moved = run_folder.rename(tmp_path / "elsewhere")
    assert storygen("run", story, "--out", moved, *SMALL).returncode == 0
    assert accepted(moved) == []


def test_two_runs_cannot_share_a_folder(run_folder: Path, story: Path) -> None:
    with FileLock(run_folder / ".lock"):
        done = storygen("run", story, "--out", run_folder, *SMALL)
    assert done.returncode == 73
    assert "Another run" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_users_own_pictures_are_shown(run_folder: Path, story: Path, tmp_path: Path) -> None:
    from PIL import Image

    folder = tmp_path / "my pictures ü"
    folder.mkdir()
    for name, color in (("1.png", (200, 30, 30)), ("2.jpg", (30, 30, 200))):
        Image.new("RGB", (600, 900), color).save(folder / name)
    assert storygen("run", story, "--out", run_folder, *SMALL, "--pictures", folder).returncode == 0
    for number, color in ((1, (200, 30, 30)), (2, (30, 30, 200))):
        with Image.open(run_folder / "keyframes" / f"shot-00{number}" / f"shot-00{number}_001.png") as picture:
            assert all(abs(a - b) < 4 for a, b in zip(picture.convert("RGB").getpixel((50, 50)), color, strict=True))  # type: ignore[arg-type]
    Image.new("RGB", (600, 900), (1, 99, 1)).save(folder / "1.png")
    assert storygen("run", story, "--out", run_folder, *SMALL, "--pictures", folder).returncode == 0
    assert ("keyframes", "shot-001") in accepted(run_folder)


# What dies


def half_written(folder: Path) -> list[Path]:
    """Files under a final name that are not whole."""
    found = []
    for result in folder.glob("*/*/result.json"):
        json.loads(result.read_text(encoding="utf-8"))
    for path in folder.glob("*/*/*.*"):
        if path.name.startswith("."):
            continue
        if path.suffix == ".mp4" and b"moov" not in path.read_bytes():
            found.append(path)
    return found


def lose_the_film(folder: Path) -> None:
    shutil.rmtree(folder / "post")
    (folder / "final.mp4").unlink()


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("death", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_when_the_host_dies_in_compose_nothing_lives_on_and_the_next_run_completes(
    death: signal.Signals, run_folder: Path, story: Path
) -> None:
    lose_the_film(run_folder)
    with Running(story, run_folder) as running:
        running.until("post", "progress")
        everyone = family_tree(running.process.pid)
        assert any("ffmpeg" in process.name() for process in everyone)
        os.kill(running.process.pid, death)
        assert running.process.wait(PATIENCE_S) == (-9 if death == signal.SIGKILL else 130)
    assert still_alive(everyone) == []
    assert half_written(run_folder) == []
    assert not (run_folder / "final.mp4").exists()
    assert storygen("run", story, "--out", run_folder, *SMALL).returncode == 0
    assert accepted(run_folder) == [("post", "film"), ("post", "check"), ("post", "thumbnail")]
    assert not list(run_folder.rglob("*.partial.*"))


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_worker_that_dies_in_compose_is_replaced_and_the_run_completes(run_folder: Path, story: Path) -> None:
    lose_the_film(run_folder)
    with Running(story, run_folder) as running:
        first = running.until("post", "accepted")["pid"]
        running.until("post", "progress")
        everyone = family_tree(running.process.pid)
        os.kill(first, signal.SIGKILL)
        retry = running.until("post", "retry")
        assert "media_processing worker ended without an answer (exit code -9)" in retry["message"]
        assert running.until("post", "accepted")["pid"] != first
        running.process.communicate(timeout=PATIENCE_S)
    assert running.process.returncode == 0
    assert still_alive(everyone) == []
    assert half_written(run_folder) == []


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_when_the_worker_dies_again_and_again_the_run_says_so_and_the_next_completes(
    run_folder: Path, story: Path
) -> None:
    lose_the_film(run_folder)
    with Running(story, run_folder) as running:
        for _ in range(2):
            pid = running.until("post", "accepted")["pid"]
            running.until("post", "progress")
            os.kill(pid, signal.SIGKILL)
        _, said = running.process.communicate(timeout=PATIENCE_S)
    assert running.process.returncode == 70
    assert "media_processing worker ended without an answer (exit code -9)" in said
    assert "Traceback" not in said
    assert half_written(run_folder) == []
    assert storygen("run", story, "--out", run_folder, *SMALL).returncode == 0
    assert not list(run_folder.rglob("*.partial.*"))


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_second_ctrl_c_ends_it_at_once(run_folder: Path, story: Path) -> None:
    lose_the_film(run_folder)
    with Running(story, run_folder) as running:
        worker = running.until("post", "accepted")["pid"]
        running.until("post", "progress")
        os.kill(worker, signal.SIGSTOP)  # so that the orderly end would take seconds
        everyone = family_tree(running.process.pid)
        begun = time.monotonic()
        while running.process.poll() is None and time.monotonic() - begun < PATIENCE_S:
            running.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.process.wait(0.1)
        assert running.process.returncode == 130
    assert still_alive(everyone) == []
    assert storygen("run", story, "--out", run_folder, *SMALL).returncode == 0


def test_a_folder_that_is_no_runs_is_never_touched(story: Path, tmp_path: Path) -> None:
    own = tmp_path / "video" / "shot-001" / "raw.mov"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"mine")
    (tmp_path / ".notes.partial.txt").write_text("mine too")
    done = storygen("run", story, "--out", tmp_path, *SMALL)
    assert (done.returncode, "is not a run's folder" in done.stderr) == (73, True)
    assert own.read_bytes() == b"mine"
    assert (tmp_path / ".notes.partial.txt").exists()


def test_a_run_that_fails_leaves_no_film_of_another_story_under_its_name(
    run_folder: Path, story: Path, tmp_path: Path
) -> None:
    before = (run_folder / "final.mp4").read_bytes()
    changed = tmp_path / "changed.md"
    changed.write_text(story.read_text(encoding="utf-8").replace("second", "third"), encoding="utf-8")
    music = tmp_path / "music.mp3"
    music.write_text("no music at all")  # that there is a file is all that is looked at before the first stage
    wrong = ("--set", f"post.input.music={music}")
    done = storygen("run", changed, "--out", run_folder, *SMALL, *wrong)
    assert done.returncode == 66, done.stderr
    assert f"The film made before is {run_folder.resolve() / 'previous.mp4'}" in done.stderr
    assert not (run_folder / "final.mp4").exists()
    assert not (run_folder / "captions.srt").exists()
    assert (run_folder / "previous.mp4").read_bytes() == before
    assert json.loads((run_folder / "manifest.json").read_text(encoding="utf-8"))["state"] == "failed"
    assert storygen("run", changed, "--out", run_folder, *SMALL).returncode == 0
    assert not (run_folder / "previous.mp4").exists()


def test_a_file_named_in_the_profile_counts_by_its_content(run_folder: Path, story: Path, tmp_path: Path) -> None:
    music = tone(tmp_path / "music.wav", seconds=1)
    setting = ("--set", f"post.input.music={music}")
    assert storygen("run", story, "--out", run_folder, *SMALL, *setting).returncode == 0
    tone(music, seconds=1, volume=0.4)
    assert storygen("run", story, "--out", run_folder, *SMALL, *setting).returncode == 0
    assert ("post", "film") in accepted(run_folder)


def test_a_remake_that_fails_keeps_what_there_was(run_folder: Path, story: Path, tmp_path: Path) -> None:
    (tmp_path / "music.mp3").write_text("no music at all")
    wrong = ("--set", f"post.input.music={tmp_path / 'music.mp3'}")
    assert storygen("run", story, "--out", run_folder, *SMALL, *wrong).returncode == 66
    assert storygen("run", story, "--out", run_folder, *SMALL).returncode == 0
    assert accepted(run_folder) == []


def test_an_edited_caption_file_at_the_top_is_not_the_items(run_folder: Path, story: Path) -> None:
    (run_folder / "captions.srt").write_text("mine")
    assert storygen("run", story, "--out", run_folder, *SMALL).returncode == 0
    assert accepted(run_folder) == []


def test_hidden_files_beside_the_users_pictures_do_not_count(run_folder: Path, story: Path, tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (600, 900), (200, 30, 30)).save(tmp_path / "1.png")
    assert storygen("run", story, "--out", run_folder, *SMALL, "--pictures", tmp_path).returncode == 0
    (tmp_path / ".DS_Store").write_bytes(b"x")
    assert storygen("run", story, "--out", run_folder, *SMALL, "--pictures", tmp_path).returncode == 0
    assert accepted(run_folder) == []


def test_the_events_name_the_stage_and_the_workers_step(run_folder: Path) -> None:
    events = [json.loads(line) for line in (run_folder / "events.ndjson").read_text().splitlines()]
    encoding = [event for event in events if event["type"] == "progress" and event["stage"] == "post"]
    assert {event["step"] for event in encoding if event["item"] == "film"} == {"encode"}


def test_a_sheet_shows_the_middle_of_every_shot(run_folder: Path) -> None:
    from PIL import Image

    done = storygen("sheet", run_folder, "--columns", "2", "--cell-width", "90")
    assert done.returncode == 0, done.stderr
    shots = json.loads((run_folder / "manifest.json").read_text(encoding="utf-8"))["shots"]
    with Image.open(run_folder / "contact_sheet.jpg") as sheet, Image.open(run_folder / shots[1]["keyframe"]) as panel:
        assert sheet.width // 90 == 2
        cell = sheet.crop((sheet.width // 2, 20, sheet.width - 20, 60)).resize((1, 1)).getpixel((0, 0))
        sky = panel.convert("RGB").crop((0, 0, panel.width, panel.height // 4)).resize((1, 1)).getpixel((0, 0))
    assert all(abs(a - b) < 40 for a, b in zip(cell, sky, strict=True))  # type: ignore[arg-type]


def test_a_sheet_needs_a_film(run_folder: Path) -> None:
    (run_folder / "final.mp4").unlink()
    done = storygen("sheet", run_folder)
    assert (done.returncode, "no finished film" in done.stderr) == (66, True)
