"""The profile local from an idea to a finished film: every stage by its real engine, with tiny models of real classes.

They know by heart what they say (``tiny_models.rigged``), so this is about everything but how good it is.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import local_run
import pytest
from support import ROOT, SMALL, accepted, family_tree, still_alive, storygen
from tiny_models import rigged

pytestmark = pytest.mark.models

IDEA = ("--idea", "A light at sea.")
ENGINES = {
    "idea": {"transformers", "rules"},
    "script": {"transformers", "rules"},
    "revision": {"transformers", "rules"},
    "voice": {"espeak", "ffmpeg", "rules"},
    "subtitles": {"faster_whisper", "ffmpeg", "rules"},
    "scenes": {"transformers", "rules"},
    "guidance": {"transformers", "rules"},
    "keyframes": {"sdxl", "transformers", "rules"},
    "video": {"ltx_video"},
    "post": {"ffmpeg"},
}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Threads gain nothing on models as small as these, and those of two processes disturb each other a lot."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="module")
def models(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    # In a process of its own: what transformers and torch set up is no business of the other tests.
    folder = tmp_path_factory.mktemp("models")
    command = [sys.executable, str(ROOT / "tests" / "local_run.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def made(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run; not to be changed."""
    folder = tmp_path_factory.mktemp("runs") / "local"
    done = storygen("run", *IDEA, "--out", folder, *local_run.options(models))
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def manifest(made: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((made / "manifest.json").read_text(encoding="utf-8"))
    return told


def test_an_idea_becomes_a_valid_film_by_the_real_engine_of_every_stage(made: Path, manifest: dict[str, Any]) -> None:
    done = storygen("check", made / "final.mp4", "--profile", "local", *SMALL)
    assert done.returncode == 0, done.stderr
    used: dict[str, set[str]] = {}
    for item in manifest["items"]:
        used.setdefault(item["stage"], set()).add(item["engine"])
    used.pop("collect")
    assert used == ENGINES
    codes = {warning["code"] for warning in manifest["warnings"]}
    assert not codes & {"engine_fallback", "asked_again", "length_missed", "shot_by_rules", "cuts_by_rules"}


def test_what_the_models_write_is_what_the_film_is_made_of(manifest: dict[str, Any]) -> None:
    assert manifest["title"] == rigged.IDEAS["ideas"][0]["titles"][0]
    assert " ".join(shot["text"] for shot in manifest["shots"]) == " ".join(rigged.SCRIPT["paragraphs"])
    for shot in manifest["shots"]:
        wanted = rigged.SHOTS["shots"][str(shot["number"])]["prompt"]
        assert all(wanted in picture["prompt"] for picture in shot["pictures"])
        assert all(rigged.BIBLE["style"] in picture["prompt"] for picture in shot["pictures"])
    assert manifest["consistency"]["analysis"] == [rigged.CONSISTENCY["analysis"]]


def test_pictures_that_fail_are_drawn_again_as_often_as_allowed_and_the_best_is_kept(manifest: dict[str, Any]) -> None:
    for shot in manifest["shots"]:
        assert [picture["roll"] for picture in shot["pictures"]] == [0, 0, *[1, 1] * local_run.REROLLS]
        assert {picture["score"] for picture in shot["pictures"]} == {rigged.PICTURE_SCORE / 100}
        assert [rigged.SUGGESTION in picture["prompt"] for picture in shot["pictures"]] == [False, False, True, True]
        assert [picture["kept"] for picture in shot["pictures"]].count(True) == 1
    below = [warning for warning in manifest["warnings"] if "below 0.6" in warning["message"]]
    assert len(below) == len(manifest["shots"])


def test_every_model_is_loaded_once(made: Path) -> None:
    # Recognition comes between two stages that write, and pictures are judged between two rounds of drawing.
    assert local_run.loads(made) == ["text", "recognition", "keyframes", "vision", "video"]


@pytest.mark.skipif(os.name != "posix", reason="a script in the place of NVIDIA's program")
def test_models_that_have_no_room_beside_one_another_change_over_once_a_round(
    made: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 1\n", encoding="utf-8")  # a card with 1 MiB free
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    folder = Path(shutil.copytree(made, tmp_path / "run", ignore=without_pictures))
    done = storygen("run", *IDEA, "--out", folder, *local_run.options(models))
    assert done.returncode == 0, done.stderr
    before, rounds = local_run.loads(made), ["keyframes", "vision"] * (1 + local_run.REROLLS)
    assert local_run.loads(folder)[len(before) :] == [*rounds, "video"]
    assert (folder / "final.mp4").read_bytes() == (made / "final.mp4").read_bytes()


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_killed_amid_the_keyframes_it_goes_on_where_it_was(made: Path, models: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(made, tmp_path / "run", ignore=without_pictures))
    command = ["run", *IDEA, "--out", str(folder), *local_run.options(models), "--json"]
    everyone = killed_in(command, "keyframes", after=2)
    finished = {path.parent.relative_to(folder).as_posix() for path in folder.glob("*/*/result.json")}
    assert still_alive(everyone) == []
    assert "keyframes/shot-001" in finished
    done = storygen(*command)
    assert done.returncode == 0, done.stderr
    again = {"/".join(item) for item in accepted(folder)}
    assert not again & finished
    everything = {path.parent.relative_to(folder).as_posix() for path in folder.glob("*/*/result.json")}
    assert {item for item in everything - finished if not item.endswith("/chosen")} == again
    assert not list(folder.rglob("*.partial.*"))
    assert (folder / "final.mp4").read_bytes() == (made / "final.mp4").read_bytes()


def without_pictures(folder: str, names: Iterable[str]) -> set[str]:
    """What a run that has not come to its pictures lacks."""
    return {"keyframes", "video", "post", "final.mp4", "manifest.json", "report.html"} & set(names)


def killed_in(command: list[str], stage: str, after: int) -> list[Any]:
    """Kill a run when the workers have taken so many items of a stage; returns all processes that it had."""
    pipe = subprocess.PIPE
    line = [sys.executable, "-m", "orchestrator", *command]
    with subprocess.Popen(line, stdout=pipe, stderr=subprocess.DEVNULL, text=True, cwd=ROOT) as running:
        assert running.stdout is not None
        for said in running.stdout:
            event = json.loads(said)
            after -= (event["type"], event.get("stage")) == ("accepted", stage)
            if not after:
                break
        everyone = family_tree(running.pid)
        assert any("image_generation" in " ".join(process.cmdline()) for process in everyone)
        running.kill()
    return everyone
