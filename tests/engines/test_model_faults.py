"""What can go wrong with models, on the hub, on the way and on the disk: over real HTTP, from a hub on this machine."""

from __future__ import annotations

import json
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_server import Hub, Model
from model_asking import CONFIG, SMALL, WEIGHTS, Asked, content, serving, well
from support import PATIENCE_S, result_of, worker

from orchestrator.errors import StorygenError
from orchestrator.worker import Worker
from runtime.errors import WorkerError

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Worker, Hub]]:
    with serving() as both:
        yield both


@pytest.fixture
def ask(served: tuple[Worker, Hub], tmp_path: Path) -> Asked:
    return well(served, tmp_path)


@pytest.mark.parametrize(
    ("status", "header", "code", "exit_code"),
    [
        (401, "GatedRepo", "gated_model", 77),
        (403, "GatedRepo", "gated_model", 77),
        (403, "", "gated_model", 77),
        (401, "", "auth_rejected", 77),
        (404, "RepoNotFound", "model_not_found", 69),
        (410, "", "provider_rejected", 76),
        (429, "", "rate_limited", 75),
        (503, "", "provider_unavailable", 75),
    ],
)
def test_a_hub_that_refuses(ask: Asked, status: int, header: str, code: str, exit_code: int) -> None:
    ask.hub.models["somebody/tiny"].refuse = (status, header)
    error = ask.refusal("download", id="somebody/tiny")
    assert (error.code, error.exit_code) == (code, exit_code)
    assert "somebody/tiny" in error.message
    assert "hf_not_a_real_token" not in error.message
    if header == "GatedRepo":
        assert "HF_TOKEN" in str(error.hint)
        assert f"{ask.hub.address}/somebody/tiny" in str(error.hint)


@pytest.mark.parametrize(
    ("fields", "code", "said"),
    [
        ({"id": "somebody/else"}, "model_not_found", "somebody/else"),
        ({"id": "somebody/tiny", "revision": "v9"}, "model_not_found", "v9"),
        ({"id": "no id at all"}, "invalid_request", "no id at all"),
        ({"id": "somebody/tiny", "precision": "fp16"}, "model_not_found", "fp16"),
        ({"id": "somebody/tiny", "allow_patterns": ["vae/*"]}, "invalid_request", "vae/*"),
        ({"id": "somebody/tiny", "allow_patterns": ["*.bin"]}, "model_not_found", "pytorch_model.bin"),
    ],
)
def test_a_wish_that_cannot_be_met(ask: Asked, fields: dict[str, Any], code: str, said: str) -> None:
    error = ask.refusal("download", **fields)
    assert error.code == code
    assert said in error.message
    assert error.hint
    assert not ask.folder.exists()


def test_a_listed_file_that_is_not_there_is_said(ask: Asked) -> None:
    ask.hub.lost.add("model.safetensors")
    error = ask.refusal("download", id="somebody/tiny")
    assert (error.code, error.exit_code) == ("model_not_found", 69)
    assert "model.safetensors" in error.message


def test_a_gated_model_is_refused_before_anything_is_downloaded(ask: Asked) -> None:
    ask.hub.models["somebody/tiny"].gated = True
    assert ask.refusal("download", id="somebody/tiny", dry_run=True).code == "gated_model"
    assert ask.refusal("download", id="somebody/tiny", revision="1" * 40, dry_run=True).code == "gated_model"


@pytest.mark.parametrize("evil", ["content", "name"])
def test_a_name_that_would_leave_the_folder_is_refused(ask: Asked, evil: str) -> None:
    model = ask.hub.models["somebody/tiny"]
    if evil == "name":
        model.files["../../../evil.json"] = b"{}"
    else:
        model.hashes["config.json"] = "../../../evil"
    error = ask.refusal("download", id="somebody/tiny")
    assert error.code == "provider_rejected"
    assert not ask.folder.exists()


@pytest.mark.parametrize("lie", ["../../../victim", "..", None, "main"])
def test_a_commit_that_is_none_is_refused(ask: Asked, lie: str | None) -> None:
    """It becomes the name of a folder, in which files are replaced."""
    victim = ask.folder / "victim" / "model.safetensors"
    victim.parent.mkdir(parents=True)
    victim.write_bytes(b"precious")
    ask.hub.instead["revision"] = said({"id": "somebody/tiny", "sha": lie, "siblings": [], "gated": False})
    error = ask.refusal("download", id="somebody/tiny")
    assert (error.code, repr(str(lie)) in error.message) == ("provider_rejected", True)
    assert victim.read_bytes() == b"precious"
    assert not (ask.folder / "models--somebody--tiny").exists()


def test_a_commit_that_was_asked_for_is_not_exchanged_for_another(ask: Asked) -> None:
    ask.hub.instead["revision"] = said({"id": "somebody/tiny", "sha": "2" * 40, "siblings": [], "gated": False})
    assert ask("download", id="somebody/tiny", revision="1" * 40)["commit"] == "1" * 40


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_a_link_in_the_cache_that_leads_out_of_it_is_left_alone(ask: Asked, tmp_path: Path) -> None:
    ask.hub.models["somebody/tiny"].files["sub/vocab.json"] = b"{}"
    (tmp_path / "vocab.json").write_bytes(b"precious")
    snapshot = ask.folder / "models--somebody--tiny" / "snapshots" / ("1" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "sub").symlink_to(tmp_path)
    assert ask.refusal("download", id="somebody/tiny").code == "provider_rejected"
    assert (tmp_path / "vocab.json").read_bytes() == b"precious"


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc", "a/b/c", "http://x/y", "..", "a--b", "no id at all"])
@pytest.mark.parametrize("op", ["download", "verify", "remove"])
def test_what_is_no_id_is_refused(ask: Asked, op: str, name: str) -> None:
    error = ask.refusal(op, id=name)
    assert (error.code, error.exit_code, repr(name) in error.message) == ("invalid_request", 65, True)
    assert ask.refusal(op, id="somebody/tiny", revision="../../main").code == "invalid_request"
    assert ask.hub.asked == []


PORTAL = (200, b"<html>Please log in</html>", {"Content-Type": "text/html"})


def said(value: Any) -> tuple[int, bytes, dict[str, str]]:
    return 200, json.dumps(value).encode(), {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    "instead",
    [
        {"revision": PORTAL},
        {"tree": PORTAL},
        {"revision": (302, b"", {"Location": "/api/models/somebody/tiny/revision/main"})},
        {"revision": said([1])},
        {"revision": said({"hello": "you"})},
        {"tree": said({"error": "none"})},
        {"tree": said([{"type": "file"}])},
    ],
)
def test_what_answers_and_is_no_hub_is_told_from_one(ask: Asked, instead: dict[str, Any]) -> None:
    ask.hub.instead |= instead
    error = ask.refusal("download", id="somebody/tiny")
    assert (error.code, error.exit_code) == ("provider_unavailable", 75)
    assert "login page" in error.message


# On the way


def test_a_file_that_came_wrong_comes_again_by_itself(ask: Asked) -> None:
    """Of the right size, so that only its checksum tells."""
    ask.hub.spoiled["model.safetensors"] = WEIGHTS[:-1] + b"?"
    ask.hub.hold_after["model.safetensors"] = 2_900_000

    def mend() -> None:
        """As soon as the wrong file is under way, what comes after it is right."""
        ask.hub.held.wait(PATIENCE_S)
        ask.hub.hold_after.clear()
        ask.hub.spoiled.clear()
        ask.hub.go_on.set()

    threading.Thread(target=mend, daemon=True).start()
    done = ask("download", id="somebody/tiny")
    assert content(done["folder"], "model.safetensors") == WEIGHTS
    assert ask.hub.ranges("model.safetensors") == [None, None]


def test_a_file_that_comes_wrong_every_time_is_named_and_not_kept(ask: Asked) -> None:
    ask.hub.spoiled["model.safetensors"] = WEIGHTS[:-1] + b"?"
    error = ask.refusal("download", id="somebody/tiny")
    assert (error.code, "model.safetensors" in error.message) == ("provider_rejected", True)
    assert len(ask.hub.ranges("model.safetensors")) == 2
    ask.hub.behave()
    done = ask("download", id="somebody/tiny")
    assert done["missing_bytes"] >= len(WEIGHTS)
    assert content(done["folder"], "model.safetensors") == WEIGHTS


def test_a_begun_file_that_was_damaged_does_not_stay_so(ask: Asked) -> None:
    ask.hub.hold_after["model.safetensors"] = 2_000_000
    ask.cancelled_after(1_000_000, "somebody/tiny")
    ask.hub.behave()
    (begun,) = ask.folder.rglob("*.incomplete")
    with open(begun, "r+b") as file:
        file.write(b"damage")
    done = ask("download", id="somebody/tiny")
    assert content(done["folder"], "model.safetensors") == WEIGHTS
    first, second = ask.hub.ranges("model.safetensors")
    assert (str(first).startswith("bytes="), second) == (True, None)


def test_a_model_is_not_removed_while_it_is_downloaded(ask: Asked) -> None:
    ask.hub.hold_after["model.safetensors"] = 1_000_000
    outcome: list[dict[str, Any]] = []
    with Worker("model_management") as other:
        beside = Asked(other, ask.folder, ask.hub)
        thread = threading.Thread(target=lambda: outcome.append(beside("download", id="somebody/tiny")))
        thread.start()
        assert ask.hub.held.wait(PATIENCE_S)
        for dry_run in (True, False):
            error = ask.refusal("remove", id="somebody/tiny", dry_run=dry_run)
            assert (error.code, "is being downloaded" in error.message) == ("output_failed", True)
        ask.hub.go_on.set()
        thread.join(PATIENCE_S)
    assert content(outcome[0]["folder"], "model.safetensors") == WEIGHTS


@pytest.mark.skipif(sys.platform == "win32", reason="an open file stays there")
def test_a_begun_file_that_vanishes_is_an_error_to_try_again(ask: Asked) -> None:
    ask.hub.hold_after["model.safetensors"] = 1_000_000

    def on_event(event: dict[str, Any]) -> None:
        if event["type"] == "progress" and ask.hub.held.is_set() and not ask.hub.go_on.is_set():
            shutil.rmtree(ask.folder / "models--somebody--tiny")
            ask.hub.go_on.set()

    with pytest.raises(StorygenError) as caught:
        ask("download", id="somebody/tiny", on_event=on_event)
    assert (caught.value.code, caught.value.exit_code) == ("network", 75)
    assert "model.safetensors" in caught.value.message


def test_a_file_too_large_for_the_plain_way_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from engines.model_management._choice import Entry
    from engines.model_management._fetching import check_size

    large = Entry("model.safetensors", 60_000_000_000, "a" * 64)
    check_size([large])
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    check_size([Entry("model.safetensors", 50_000_000_000, "a" * 64)])
    with pytest.raises(WorkerError, match="60 GB") as caught:
        check_size([large])
    assert "pip install hf_xet" in str(caught.value.hint)


# Offline


def test_offline_is_honest(ask: Asked) -> None:
    error = ask.refusal("download", id="somebody/tiny", offline=True)
    assert error.code == "model_not_found"
    assert ask.hub.asked == []
    done = ask("download", id="somebody/tiny")
    ask.hub.asked.clear()
    again = ask("download", id="somebody/tiny", offline=True)
    assert again["folder"] == done["folder"]
    assert [file["name"] for file in again["files"]] == ["config.json", "model.safetensors"]
    assert [warning["code"] for warning in ask.warnings] == ["offline"]
    assert ask.hub.asked == []
    assert ask.refusal("verify", id="somebody/tiny", offline=True).code == "network"


def test_offline_a_file_that_is_lost_is_named(ask: Asked) -> None:
    folder = Path(ask("download", id="somebody/tiny")["folder"])
    (folder / "model.safetensors").resolve().unlink()
    error = ask.refusal("download", id="somebody/tiny", offline=True)
    assert (error.code, "model.safetensors" in error.message) == ("model_not_found", True)
    assert content(ask("download", id="somebody/tiny")["folder"], "model.safetensors") == WEIGHTS


def test_offline_a_part_of_the_weights_that_was_never_here_is_named(ask: Asked) -> None:
    parts = {f"model-0000{number}-of-00002.safetensors": SMALL for number in (1, 2)}
    index = json.dumps({"weight_map": {str(number): name for number, name in enumerate(parts)}}).encode()
    ask.hub.models["somebody/tiny"] = Model({"config.json": CONFIG, "model.safetensors.index.json": index, **parts})
    folder = Path(ask("download", id="somebody/tiny")["folder"])
    assert ask("download", id="somebody/tiny", offline=True)["folder"] == str(folder)
    (folder / "model-00002-of-00002.safetensors").unlink()
    assert "model-00002-of-00002" in ask.refusal("download", id="somebody/tiny", offline=True).message


def test_a_hub_that_cannot_be_reached(tmp_path: Path) -> None:
    request = {"v": 1, "op": "download", "input": {"id": "somebody/tiny"}, "options": {"models_dir": str(tmp_path)}}
    done = worker("model_management", request, env={"HF_ENDPOINT": "http://127.0.0.1:9"})
    assert result_of(done)["error"]["code"] == "network"
    assert "http://127.0.0.1:9" in result_of(done)["error"]["message"]
    assert done.returncode == 75
