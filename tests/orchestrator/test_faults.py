"""A machine that fails a run: full disks, folders that cannot be written, damaged files. Nothing is lost by it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from failing import completes, drop, failed, posix, run, whole_items
from support import PATIENCE_S, Running, accepted, family_tree, still_alive, storygen

from orchestrator.pipeline import RESERVE_BYTES

KIB = 1024


# The disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 16 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(disk)]
    if sys.platform != "linux" or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small disk is not permitted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def fill(disk: Path, room: int) -> None:
    """Leave so many KiB free."""
    facts = os.statvfs(disk)
    with open(disk / "ballast", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, facts.f_bavail * facts.f_frsize - room * KIB)


@pytest.mark.parametrize(
    ("missing", "room", "said"),
    [
        ("voice", 1000, "voice "),
        ("keyframes", 150, "keyframes shot-00"),
        ("video", 300, "video shot-00"),
        ("post", 200, "post film"),
    ],
)
def test_a_disk_that_fills_up(missing: str, room: int, said: str, small_disk: Path, made: Path, story: Path) -> None:
    folder = Path(shutil.copytree(made, small_disk / "run"))
    drop(folder, missing)
    before = whole_items(folder)
    fill(small_disk, room + RESERVE_BYTES // KIB)
    done = run(story, folder)
    failed(done, 73, said, str(folder), "Make room", "same command then continues")
    assert before.items() <= whole_items(folder).items()
    assert (folder / "previous.mp4").read_bytes() == (made / "final.mp4").read_bytes()
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert (manifest["state"], manifest["error"]["code"]) == ("failed", "output_failed")
    (small_disk / "ballast").unlink()
    completes(story, folder, made)


def test_a_disk_without_room_for_our_own_files(small_disk: Path, made: Path, story: Path) -> None:
    """run.json, events.ndjson, result.json, manifest.json and report.html: each meets the last free page once."""
    folder = Path(shutil.copytree(made, small_disk / "run"))
    ends = []
    for room in (0, 4, 8, 16, 64, 64 + RESERVE_BYTES // KIB):
        drop(folder, "collect/source")
        fill(small_disk, room)
        done = run(story, folder)
        if done.returncode:
            failed(done, 73, "No space left on device", str(folder), "Make room")
        ends.append(done.returncode)
        whole_items(folder)
        json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        (small_disk / "ballast").unlink()
        completes(story, folder, made)
    assert (ends[0], ends[-1]) == (73, 0)


@posix
def test_a_quota_on_the_size_of_files(run_folder: Path, made: Path, story: Path) -> None:
    import resource

    def quota(size: int) -> Callable[[], None]:
        return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    for panel in (run_folder / "keyframes").glob("shot-*"):
        shutil.rmtree(panel)
    before = whole_items(run_folder)
    done = run(story, run_folder, preexec_fn=quota(100_000))
    assert done.returncode in {70, 73}, done.stderr
    assert "keyframes shot-00" in done.stderr
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert whole_items(run_folder) == before
    failed(run(story, run_folder, preexec_fn=quota(1000)), 73, "File too large", "events.ndjson", "Make room")
    completes(story, run_folder, made)


# The folder


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("a file", "File exists"),
        ("a file/run", "Not a directory"),
        ("n" * 300, "File name too long"),
        ("loop/run", "loop"),
    ],
)
@posix
def test_a_place_where_no_folder_can_be(place: str, said: str, story: Path, tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("mine")
    (tmp_path / "loop").symlink_to("loop")
    failed(run(story, tmp_path / place), 73, said, "Choose another --out")
    assert (tmp_path / "a file").read_text() == "mine"


def test_a_folder_that_may_only_be_read(run_folder: Path, story: Path) -> None:
    remount = ["mount", "-o", "remount,bind,ro", str(run_folder)]
    bind = ["mount", "--bind", str(run_folder), str(run_folder)]
    if sys.platform != "linux" or subprocess.run(bind, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting is not permitted here")
    try:
        subprocess.run(remount, check=True)
        failed(run(story, run_folder), 73, f"Cannot write to {run_folder}: Read-only file system.", "another --out")
        looked = storygen("status", run_folder)
    finally:
        subprocess.run(["umount", str(run_folder)], check=True)
    assert (looked.returncode, "to be made" in looked.stdout) == (0, False), looked.stderr


def test_a_folder_without_permission(story: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o555)
    root = hasattr(os, "geteuid") and os.geteuid() == 0  # whom permissions do not stop
    if os.name != "posix" or (
        root and subprocess.run(["chattr", "+i", str(folder)], capture_output=True, check=False).returncode != 0
    ):
        pytest.skip("a folder cannot be closed here")
    try:
        failed(run(story, folder), 73, f"Cannot write to {folder}: ", "not permitted" if root else "denied")
    finally:
        if root:
            subprocess.run(["chattr", "-i", str(folder)], check=True)


def test_a_dry_run_takes_an_empty_folder_and_no_file(story: Path, tmp_path: Path) -> None:
    done = run(story, tmp_path, "--dry-run")
    assert (done.returncode, list(tmp_path.iterdir())) == (0, []), done.stderr
    (tmp_path / "file").write_text("mine")
    failed(run(story, tmp_path / "file", "--dry-run"), 73, "is not a run's folder")
    failed(run(story, tmp_path, "--dry-run"), 73, "is not a run's folder")


@posix
def test_a_folder_removed_under_the_run(run_folder: Path, made: Path, story: Path) -> None:
    drop(run_folder, "keyframes", "video")
    with Running(story, run_folder) as running:
        running.until("keyframes", "accepted")
        everyone = family_tree(running.process.pid)
        while run_folder.exists():  # the run goes on writing
            shutil.rmtree(run_folder, ignore_errors=True)
        _, said = running.process.communicate(timeout=PATIENCE_S)
    assert running.process.returncode == 73, said
    assert f"{run_folder} was removed" in said
    assert "Traceback" not in said
    assert still_alive(everyone) == []
    assert not run_folder.exists()
    completes(story, run_folder, made)


# Damaged files


def flip(path: Path) -> None:
    """Other bits in the middle, the size the same."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 16] = bytes(byte ^ 0x5A for byte in content[middle : middle + 16])
    path.write_bytes(content)


def as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "notes.txt").write_text("mine")


def as_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def as_link_to(target: Path) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        path.unlink()
        path.symlink_to(target)

    return spoil


@posix
def test_files_that_do_not_read_are_made_again_and_what_lay_there_is_kept(
    run_folder: Path, made: Path, story: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    damage: dict[str, Callable[[Path], object]] = {
        "keyframes/shot-001/shot-001_001.png": flip,
        "keyframes/shot-002/shot-002_001.png": lambda path: path.write_text("A text."),
        "keyframes/shot-003/shot-003_001.png": as_folder,
        "video/shot-001/shot-001_001.mp4": lambda path: shutil.copy(run_folder / "thumbnail.jpg", path),
        "video/shot-002/shot-002_001.mp4": lambda path: path.write_bytes(b""),
        "video/shot-003/shot-003_001.mp4": as_link_to(secret),
        "voice/line-002/line-002_001.wav": as_pipe,
        "voice/narration/narration_001.wav": lambda path: path.write_bytes(path.read_bytes()[:10_000]),
        "subtitles/captions/captions_003.ass": lambda path: path.write_bytes(b"\xff\xfe\x00 no text"),
        "scenes/shots/shots.json": lambda path: path.write_bytes(path.read_bytes()[:-9]),
        "post/film/film_001.mp4": lambda path: path.write_bytes(path.read_bytes()[:200_000]),
    }
    for name, spoil in damage.items():
        spoil(run_folder / name)
    said = completes(story, run_folder, made)
    for name in damage:
        assert not (run_folder / name).is_symlink()
        assert (run_folder / name).read_bytes() == (made / name).read_bytes(), name
        assert os.path.lexists(run_folder / "edited" / name), name
        assert f"{Path(name).parts[0]} {Path(name).parts[1]}: warning" in said, name
    assert (run_folder / "edited/keyframes/shot-003/shot-003_001.png/notes.txt").read_text() == "mine"
    assert secret.read_text() == "secret"
    whole_items(run_folder)


@posix
def test_damage_that_still_reads_is_never_silent(run_folder: Path, story: Path) -> None:
    flip(run_folder / "post/thumbnail/thumbnail_001.jpg")
    done = run(story, run_folder)
    assert done.returncode == 0, done.stderr
    assert "thumbnail_001.jpg was changed by hand and is used as it is; --force post/thumbnail" in done.stderr


@posix
def test_an_artifact_moved_away_behind_a_link_is_used_and_the_film_does_not_hang_on_it(
    run_folder: Path, made: Path, story: Path, tmp_path: Path
) -> None:
    film = run_folder / "post/film/film_001.mp4"
    film.symlink_to(shutil.move(film, tmp_path / "film.mp4"))
    (run_folder / "final.mp4").unlink()
    completes(story, run_folder, made)
    assert accepted(run_folder) == []
    assert not (run_folder / "final.mp4").is_symlink()


@posix
def test_a_result_that_is_damaged_or_leads_out_of_its_folder_is_not_followed(
    run_folder: Path, made: Path, story: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.png"
    outside.write_bytes(b"precious")
    digest = hashlib.sha256(b"precious").hexdigest()

    def changed(item: str, change: Callable[[dict[str, Any]], object]) -> str:
        result: dict[str, Any] = json.loads((run_folder / item / "result.json").read_text(encoding="utf-8"))
        change(result)
        return json.dumps(result)

    def picture(**facts: Any) -> Callable[[dict[str, Any]], object]:
        return lambda result: result["output"]["images"][0].update(facts)

    mine = run_folder / "keyframes/shot-003/shot-003_001.png"
    shutil.copy(run_folder / "keyframes/shot-002/shot-002_001.png", mine)  # an edit that only result.json told of
    results = {
        "voice/line-001": "",
        "voice/line-002": "[" * 100_000,
        "voice/line-003": '{"v": 2, "result": {}}',
        "voice/line-004": changed("voice/line-004", lambda result: result.pop("engine")),
        "voice/joined": changed("voice/joined", lambda result: result["output"].pop("offsets_s")),
        "voice/narration": changed("voice/narration", lambda result: result.update(seconds="long")),
        "subtitles/captions": changed("subtitles/captions", lambda result: result.update(warnings=[7])),
        "scenes/shots": changed("scenes/shots", lambda result: result.update(output="shots")),
        "keyframes/shot-001": changed("keyframes/shot-001", picture(path="../../../outside.png")),
        "keyframes/shot-002": changed("keyframes/shot-002", picture(path=str(outside), sha256=digest, bytes=8)),
        "keyframes/shot-003": "\x00\xff",
        "video/shot-001": changed("video/shot-001", lambda result: result["output"].update(video=[])),
        "post/thumbnail": "null",
    }
    for item, text in results.items():
        (run_folder / item / "result.json").write_text(text, encoding="utf-8")
    looked = run(story, run_folder, "--dry-run")
    assert looked.returncode == 0, looked.stderr
    said = completes(story, run_folder, made)
    assert results.keys() <= whole_items(run_folder).keys()
    assert {f"{stage}/{item}" for stage, item in accepted(run_folder)} == set(results) - {"scenes/shots"}
    assert outside.read_bytes() == b"precious"
    kept = run_folder / "edited/keyframes/shot-003/shot-003_001.png"
    assert kept.read_bytes() == (made / "keyframes/shot-002/shot-002_001.png").read_bytes()
    assert f"your version is {kept}" in said


def test_a_second_edit_does_not_replace_the_first_that_was_kept(run_folder: Path, made: Path, story: Path) -> None:
    picture = run_folder / "keyframes/shot-001/shot-001_001.png"
    kept = run_folder / "edited/keyframes/shot-001"
    kept.mkdir(parents=True)
    (kept / picture.name).write_text("first")
    picture.write_text("second")
    completes(story, run_folder, made)
    assert {path.name: path.read_text() for path in kept.iterdir()} == {
        "shot-001_001.png": "first",
        "shot-001_001-2.png": "second",
    }


def test_a_folder_from_another_machine_whose_clock_is_ahead(made: Path, story: Path, tmp_path: Path) -> None:
    """Copied, its lock and a half-written event left by a dead process, its run.json cut off."""
    folder = Path(shutil.copytree(made, tmp_path / "another place"))
    (folder / ".lock").write_text("4711")
    (folder / "run.json").write_text('{"v": 1, "sto')
    with open(folder / "events.ndjson", "a", encoding="utf-8") as events:
        events.write('{"time": 17')
    for path in folder.rglob("*"):
        os.utime(path, (4e9, 4e9))
    completes(story, folder, made)
    assert accepted(folder) == []  # reads every event
    assert json.loads((folder / "run.json").read_text(encoding="utf-8"))["story"] == str(story)
