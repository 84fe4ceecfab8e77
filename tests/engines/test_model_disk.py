"""Models on the disk: listed and removed, there in part, or without room; from a hub on this machine."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_server import Hub, Model
from model_asking import CONFIG, SMALL, TINY, WEIGHTS, Asked, content, serving, well
from support import PATIENCE_S

from orchestrator.errors import StorygenError
from orchestrator.worker import Worker

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Worker, Hub]]:
    with serving() as both:
        yield both


@pytest.fixture
def ask(served: tuple[Worker, Hub], tmp_path: Path) -> Asked:
    return well(served, tmp_path)


# Listing and removing


def test_the_list_says_what_is_here_and_removing_makes_room(ask: Asked) -> None:
    assert ask("list")["models"] == []
    by_hand = ask.folder / "me" / "own"
    by_hand.mkdir(parents=True)
    (by_hand / "config.json").write_bytes(CONFIG)
    done = ask("download", id="somebody/tiny")
    found = ask("list")
    assert [row["id"] for row in found["models"]] == ["somebody/tiny", "me/own"]
    row = found["models"][0]
    assert (row["bytes"], row["folder"]) == (done["total_bytes"], done["folder"])
    assert (row["family"], row["state"], row["outdated_bytes"]) == ("text_generation", "here", 0)
    assert row["downloaded"].startswith("20")
    assert found["total_bytes"] == done["total_bytes"] + len(CONFIG)
    assert ask("remove", id="somebody/tiny", dry_run=True)["freed_bytes"] == done["total_bytes"]
    assert Path(done["folder"]).exists()
    assert ask("remove", id="somebody/tiny")["commits"] == ["1" * 40]
    assert not (ask.folder / "models--somebody--tiny").exists()
    assert "by hand" in str(ask.refusal("remove", id="me/own").hint)
    assert [row["id"] for row in ask("list", id="me/own")["models"]] == ["me/own"]


def removed_once_left(ask: Asked) -> dict[str, Any]:
    """A cancelled download's thread ends at the next piece that comes, and until then the model is not to be had."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return ask("remove", id="somebody/tiny")
        except StorygenError as error:
            if error.code != "output_failed" or time.monotonic() > deadline:
                raise


def test_removing_takes_along_what_was_begun(ask: Asked) -> None:
    ask.hub.hold_after["model.safetensors"] = 2_000_000
    ask.cancelled_after(1_000_000, "somebody/tiny")
    ask.hub.behave()
    assert removed_once_left(ask)["freed_bytes"] >= 1_000_000
    assert not list(ask.folder.rglob("*.incomplete"))


def test_removing_leaves_a_model_alone_that_shares_a_commit(ask: Asked) -> None:
    ask.hub.models["somebody/twin"] = Model(dict(TINY))
    ask("download", id="somebody/tiny")
    twin = ask("download", id="somebody/twin")["folder"]
    ask("remove", id="somebody/tiny")
    assert [row["id"] for row in ask("list")["models"]] == ["somebody/twin"]
    assert content(twin, "model.safetensors") == WEIGHTS


# Without room


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if sys.platform != "linux" or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small disk is not permitted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_disk_that_is_too_small_is_said_before(ask: Asked, small_disk: Path) -> None:
    ask.folder = small_disk / "models"
    error = ask.refusal("download", id="somebody/tiny")
    assert (error.code, error.exit_code) == ("output_failed", 73)
    assert "0.003 GB" in error.message
    assert ask.hub.ranges("model.safetensors") == []


def test_a_disk_that_fills_up_meanwhile_keeps_what_came(ask: Asked, small_disk: Path) -> None:
    ask.folder = small_disk / "models"
    ask.hub.models["somebody/tiny"] = Model({"config.json": CONFIG, "model.safetensors": SMALL})
    ask.hub.hold_after["model.safetensors"] = 65_536
    (small_disk / "ballast").touch()

    def on_event(event: dict[str, Any]) -> None:
        if event["type"] == "progress" and event["stage"] == "download" and ask.hub.held.is_set():
            with contextlib.suppress(OSError), open(small_disk / "ballast", "wb", buffering=0) as file:
                for _ in range(1 << 8):
                    file.write(bytes(4096))
            ask.hub.go_on.set()

    with pytest.raises(StorygenError) as caught:
        ask("download", id="somebody/tiny", on_event=on_event)
    assert caught.value.code == "output_failed"
    (small_disk / "ballast").unlink()
    ask.hub.behave()
    assert content(ask("download", id="somebody/tiny")["folder"], "model.safetensors") == SMALL


@pytest.mark.parametrize("op", ["download", "list", "verify", "remove"])
@pytest.mark.parametrize("under", ["", "models"])
def test_a_file_is_no_folder_for_models(ask: Asked, tmp_path: Path, op: str, under: str) -> None:
    (tmp_path / "file").touch()
    ask.folder = tmp_path / "file" / under
    error = ask.refusal(op, id="somebody/tiny")
    assert (error.code, error.exit_code) == ("invalid_request", 65)
    assert f"{tmp_path / 'file'} is no folder" in error.message
    assert "--models-dir" in str(error.hint)


@pytest.mark.skipif(sys.platform != "linux", reason="has /proc, where nobody can make a folder")
@pytest.mark.parametrize("dry_run", [True, False])
def test_a_folder_that_cannot_be_made_is_said_and_not_taken_for_a_full_disk(ask: Asked, dry_run: bool) -> None:
    ask.folder = Path("/proc/models")
    error = ask.refusal("download", id="somebody/tiny", dry_run=dry_run)
    assert (error.code, error.exit_code) == ("output_failed", 73)
    assert "/proc/models" in error.message
    assert "room" not in error.message


def test_a_name_that_is_too_long_is_not_taken_for_a_full_disk(ask: Asked) -> None:
    ask.hub.models["somebody/tiny"].files["x" * 300 + ".json"] = b"{}"
    error = ask.refusal("download", id="somebody/tiny")
    assert (error.code, error.exit_code) == ("output_failed", 73)
    assert "too long" in error.message
    assert "room" not in error.message


# There in part


def lies(ask: Asked) -> dict[str, Any]:
    """The only model in the list."""
    (row,) = ask("list")["models"]
    assert row["id"] == "somebody/tiny"
    return dict(row)


def test_a_model_whose_content_was_lost_is_listed_and_can_be_removed(ask: Asked) -> None:
    folder = Path(ask("download", id="somebody/tiny")["folder"])
    (folder / "config.json").resolve().unlink()
    row = lies(ask)
    assert row["state"] == "damaged"
    assert len(WEIGHTS) <= row["bytes"] < len(WEIGHTS) + 1000
    assert ask.refusal("remove", id="somebody/tiny", revision="main").code == "invalid_request"
    assert ask("remove", id="somebody/tiny")["freed_bytes"] == row["bytes"]
    assert ask("list")["models"] == []
    assert not (ask.folder / "models--somebody--tiny").exists()


def test_a_model_that_was_only_begun_is_listed_and_can_be_removed(ask: Asked) -> None:
    blobs = ask.folder / "models--somebody--tiny" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{'a' * 64}.incomplete").write_bytes(SMALL)
    row = lies(ask)
    assert (row["state"], row["bytes"], row["begun_bytes"]) == ("begun", 0, len(SMALL))
    assert ask("remove", id="somebody/tiny", dry_run=True)["freed_bytes"] == len(SMALL)
    assert ask("remove", id="somebody/tiny")["freed_bytes"] == len(SMALL)
    assert not blobs.exists()


@pytest.mark.parametrize("note", [b"\xff\xfe", b"9" * 40])
def test_a_branchs_note_that_leads_nowhere_harms_that_model_only_and_is_mended(ask: Asked, note: bytes) -> None:
    ask.hub.models["somebody/other"] = Model({"config.json": CONFIG, "model.safetensors": SMALL})
    for name in ("somebody/tiny", "somebody/other"):
        ask("download", id=name)
    (ask.folder / "models--somebody--tiny" / "refs" / "main").write_bytes(note)
    assert {row["id"]: row["state"] for row in ask("list")["models"]} == {
        "somebody/tiny": "damaged",
        "somebody/other": "here",
    }
    assert ask.refusal("verify", id="somebody/tiny").code == "model_not_found"
    assert ask("download", id="somebody/other")["missing_bytes"] == 0
    assert ask("download", id="somebody/tiny")["folder"]
    assert [row["state"] for row in ask("list")["models"]] == ["here", "here"]


@pytest.mark.skipif(os.name == "nt", reason="links need a right there")
def test_a_folder_that_is_only_a_link_makes_no_room(ask: Asked, tmp_path: Path) -> None:
    ask("download", id="somebody/tiny")
    folder = ask.folder / "models--somebody--tiny"
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    error = ask.refusal("remove", id="somebody/tiny")
    assert (error.code, str(tmp_path / "elsewhere") in error.message) == ("invalid_request", True)
    assert content(str(folder / "snapshots" / ("1" * 40)), "config.json") == CONFIG


def test_hints_are_our_own(ask: Asked) -> None:
    """The library's name commands and options of its own."""
    ask("download", id="somebody/tiny")
    for fields in ({"id": "somebody/else"}, {"id": "somebody/tiny", "revision": "v9"}):
        error = ask.refusal("verify", **fields)
        assert "hf download" not in f"{error.message} {error.hint}"
        assert "--revision explicitly" not in f"{error.message} {error.hint}"
        assert f"storygen models download {fields['id']}" in str(error.hint)
