"""``storygen models``, as a person at a terminal or a script uses it, against a hub on this machine."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_server import Hub, Model, hub
from support import PATIENCE_S, ROOT, storygen

from orchestrator import needs

hub_test = pytest.mark.models
WEIGHTS = random.Random(7).randbytes(3_000_000)
TINY = {"config.json": b"{}", "model.safetensors": WEIGHTS}
PROFILE = """
[script]
engine = "transformers"
model = { id = "somebody/tiny" }

[revision]
engine = "transformers"
model = { id = "somebody/tiny" }

[keyframes]
engine = "sdxl"
model = { id = "OWN" }
input = { refiner = { model = "somebody/refiner" }, loras = [{ id = "somebody/lora", scale = 1.0 }] }
"""


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub(tiny=dict(TINY)) as found:
        monkeypatch.setenv("HF_ENDPOINT", found.address)
        monkeypatch.setenv("STORYGEN_MODELS_DIR", str(tmp_path / "models"))
        yield found


def models(*arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = storygen("models", *arguments)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done


@hub_test
def test_a_model_comes_is_listed_checked_mended_and_goes(state: Hub, tmp_path: Path) -> None:
    said = models("download", "somebody/tiny", "--yes").stdout.strip()
    assert "3.0 MB to download; full, 2 files" in said
    folder = said.rpartition(": ")[2]
    assert Path(folder, "config.json").read_bytes() == b"{}"
    listed = models("list").stdout
    assert "3.0 MB" in listed
    assert folder in listed
    Path(folder, "model.safetensors").resolve().write_bytes(WEIGHTS[:-1] + b"?")
    bad = models("verify", "somebody/tiny", code=69)
    assert "somebody/tiny model.safetensors is damaged" in bad.stderr
    assert "--repair" in bad.stderr
    assert "all as the hub has them" in models("verify", "somebody/tiny", "--repair").stdout
    assert Path(folder, "model.safetensors").read_bytes() == WEIGHTS
    assert "is here" in models("download", "somebody/tiny").stdout  # nothing to ask
    assert "3.0 MB freed" in models("remove", "somebody/tiny", "--yes").stdout
    assert json.loads(models("list", "--json").stdout)["models"] == []


@hub_test
def test_programs_read_what_was_downloaded_and_removed(state: Hub, tmp_path: Path) -> None:
    (plan,) = json.loads(models("download", "somebody/tiny", "--dry-run", "--json").stdout)
    assert (plan["folder"], plan["missing_bytes"]) == (None, len(WEIGHTS) + 2)
    done = models("download", "somebody/tiny", "--yes", "--json")
    (row,) = json.loads(done.stdout)
    assert Path(row["folder"], "model.safetensors").read_bytes() == WEIGHTS
    assert "3.0 MB to download" in done.stderr
    (gone,) = json.loads(models("remove", "somebody/tiny", "--yes", "--json").stdout)
    assert (gone["id"], gone["freed_bytes"]) == ("somebody/tiny", len(WEIGHTS) + 2)


@hub_test
def test_offline_it_says_how_much_that_is_worth(state: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    models("download", "somebody/tiny", "--yes")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    done = models("download", "somebody/tiny")
    assert "is here, as far as can be told offline; 2 files" in done.stdout
    assert "The hub was not asked" in done.stderr


@hub_test
def test_the_list_says_what_an_update_left_and_what_was_lost(state: Hub, tmp_path: Path) -> None:
    models("download", "somebody/tiny", "--yes")
    state.models["somebody/tiny"] = Model({**TINY, "model.safetensors": WEIGHTS[::-1]}, commit="2" * 40)
    models("download", "somebody/tiny", "--yes")
    listed = models("list").stdout
    command = f"storygen models remove somebody/tiny --revision {'1' * 40}"
    assert "3.0 MB of somebody/tiny belong to commits" in listed
    assert command in listed
    assert "3.0 MB freed" in models(*command.split()[2:], "--yes").stdout
    assert "belong" not in models("list").stdout
    next((tmp_path / "models").rglob("model.safetensors")).resolve().unlink()
    assert "somebody/tiny is damaged: mend it with storygen models download somebody/tiny" in models("list").stdout


def test_comparing_a_download_with_its_checksums_is_not_silent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from orchestrator import download_progress

    monkeypatch.setattr(download_progress, "PLAIN_INTERVAL_S", -1.0)
    with download_progress.display("somebody/tiny") as on_event:
        on_event({"type": "progress", "stage": "run", "current": 2e6, "total": 3e6, "unit": "bytes"})
    assert capsys.readouterr().err == "somebody/tiny: 2 of 3 MB compared with the hub's checksums\n"


@hub_test
def test_everything_that_a_profile_names_is_said_in_one_sum(state: Hub, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    state.models["somebody/refiner"] = Model({"model.safetensors": bytes(1_000_000)})
    state.models["somebody/lora"] = Model({"lora.safetensors": bytes(500_000)})
    path = tmp_path / "mine.toml"
    path.write_text(PROFILE.replace("OWN", own.as_posix()), encoding="utf-8")
    lines = models("download", "--profile", path, "--dry-run").stdout.splitlines()
    assert not (tmp_path / "models").exists()
    assert [line.split()[0] for line in lines] == ["somebody/tiny", "somebody/refiner", "somebody/lora", "together"]
    assert "4.5 MB" in lines[-1]


def test_an_engine_that_names_no_model_stands_for_its_default(tmp_path: Path) -> None:
    from orchestrator.model_commands import _of_profile

    path = tmp_path / "mine.toml"
    path.write_text(
        '[recognition]\nengine = "faster_whisper"\n[script]\nengine = "rules"\nfallback = ["transformers"]\n'
        '[video]\nengine = "ltx_video"\nmodel = { id = "ltx-video", revision = "v1" }\n'
        'options = { models_dir = "/m" }\n'
    )
    assert _of_profile(str(path)) == [
        needs.Model("Systran/faster-whisper-large-v3", None, None),
        needs.Model("Qwen/Qwen2.5-14B-Instruct", None, None),
        needs.Model("Lightricks/LTX-Video", "v1", "/m"),
    ]


@hub_test
def test_a_profiles_revision_and_folder_are_where_its_models_come(state: Hub, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    settings = f'model = {{ id = "somebody/tiny", revision = "{"1" * 40}" }}\noptions = {{ models_dir = "OWN" }}\n'
    own = (tmp_path / "own").as_posix()
    path.write_text(f'[video]\nengine = "ltx_video"\n{settings.replace("OWN", own)}', encoding="utf-8")
    models("download", "--profile", path, "--yes")
    assert list((tmp_path / "own").rglob("1" * 40 + "/model.safetensors"))
    assert not (tmp_path / "models").exists()


@hub_test
def test_without_a_terminal_nothing_is_downloaded_unasked(state: Hub, tmp_path: Path) -> None:
    assert "--yes" in models("download", "somebody/tiny", code=2).stderr
    assert state.ranges("model.safetensors") == []
    assert not (tmp_path / "models").exists()


@hub_test
@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl+C is sent in another way there")
def test_ctrl_c_keeps_what_has_come_and_the_same_command_goes_on(state: Hub, tmp_path: Path) -> None:
    state.hold_after["model.safetensors"] = 2_000_000
    command = [sys.executable, "-m", "orchestrator", "models", "download", "somebody/tiny", "--yes"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert state.held.wait(PATIENCE_S)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "the same command goes on" in said
    (begun,) = (tmp_path / "models").rglob("*.incomplete")
    size = begun.stat().st_size
    assert size >= 1_000_000
    state.behave()
    models("download", "somebody/tiny", "--yes")
    assert state.ranges("model.safetensors") == [f"bytes={size}-"]


@hub_test
@pytest.mark.parametrize(
    ("arguments", "refuse", "code", "said"),
    [
        (("download", "somebody/tiny", "--yes"), (403, "GatedRepo"), 77, "HF_TOKEN"),
        (("download", "somebody/tiny", "--yes"), (404, "RepoNotFound"), 69, "spelling"),
        (("download", "somebody/tiny", "--revision", "v9"), None, 69, "no revision v9"),
        (("verify", "somebody/tiny"), None, 69, "storygen models download somebody/tiny"),
    ],
)
def test_faults_end_by_the_table(state: Hub, arguments: tuple[str, ...], refuse: Any, code: int, said: str) -> None:
    state.models["somebody/tiny"].refuse = refuse
    assert said in models(*arguments, code=code).stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("download",), "recommend"),
        (("download", "--profile", "draft"), "draft names no models"),
        (("download", "a/b", "c/d", "--revision", "v1"), "one by one"),
    ],
)
def test_a_command_that_is_not_clear_is_refused(arguments: tuple[str, ...], said: str) -> None:
    assert said in models(*arguments, code=2).stderr


def test_too_little_room_for_all_together_is_said_before(tmp_path: Path) -> None:
    from orchestrator.errors import StorygenError
    from orchestrator.model_commands import _check_room

    _check_room(10, 10)
    with pytest.raises(StorygenError, match=r"room for 5\.0 GB") as caught:
        _check_room(10 * 10**9, 5 * 10**9)
    assert caught.value.exit_code == 73


def test_advice_is_for_people_and_for_programs() -> None:
    found = json.loads(models("recommend", "speech_recognition", "--json").stdout)
    (row,) = found["recommendations"]
    assert row["family"] == "speech_recognition"
    text = models("recommend", "speech_recognition").stdout
    assert f"{found['hardware']['ram_gb']} GB of memory" in text
    assert row["why"] in text
