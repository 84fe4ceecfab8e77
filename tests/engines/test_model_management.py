"""Models downloaded, verified, listed and removed over real HTTP, from a hub on this machine."""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_server import Hub, Model, hub
from support import result_of, worker

from orchestrator.errors import StorygenError
from orchestrator.worker import Worker
from runtime.errors import WorkerError

pytestmark = pytest.mark.models
WEIGHTS = random.Random(7).randbytes(3_000_000)
SMALL = random.Random(8).randbytes(300_000)
CONFIG = b'{"architectures": ["LlamaForCausalLM"]}'
TINY = {"config.json": CONFIG, "model.safetensors": WEIGHTS, "pytorch_model.bin": WEIGHTS, "README.md": b"# Tiny"}


class Asked:
    """A warm worker whose models live in a folder of its own."""

    def __init__(self, server: Worker, folder: Path, state: Hub) -> None:
        self.server, self.folder, self.hub = server, folder, state
        self.events: list[dict[str, Any]] = []
        self.warnings: list[dict[str, str]] = []

    def __call__(self, op: str, *, on_event: Any = None, offline: bool = False, **fields: Any) -> dict[str, Any]:
        options = {"models_dir": str(self.folder), "offline": offline}
        self.events.clear()
        request = {"v": 1, "op": op, "input": fields, "options": options}
        result = self.server.request(request, on_event or self.events.append)
        self.warnings = result["warnings"]
        output: dict[str, Any] = result["output"]
        return output

    def refusal(self, op: str, **fields: Any) -> StorygenError:
        with pytest.raises(StorygenError) as caught:
            self(op, **fields)
        return caught.value

    def cancelled_after(self, number: int, name: str) -> None:
        """Download, and take it back once so many bytes have come."""

        def on_event(event: dict[str, Any]) -> None:
            if event["type"] == "progress" and event["stage"] == "download" and event["current"] >= number:
                self.server.cancel()

        with pytest.raises(StorygenError) as caught:
            self("download", id=name, on_event=on_event)
        assert caught.value.code == "cancelled"


@pytest.fixture(scope="module")
def serving() -> Iterator[tuple[Worker, Hub]]:
    with hub() as state, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_ENDPOINT", state.address)
        patch.setenv("HF_TOKEN", "hf_not_a_real_token")
        patch.delenv("STORYGEN_MODELS_DIR", raising=False)
        with Worker("model_management") as server:
            yield server, state


@pytest.fixture
def ask(serving: tuple[Worker, Hub], tmp_path: Path) -> Asked:
    server, state = serving
    state.behave()
    state.models = {"somebody/tiny": Model(dict(TINY))}
    return Asked(server, tmp_path / "models ž", state)


def content(folder: str, name: str) -> bytes:
    return (Path(folder) / name).read_bytes()


# Downloading


def test_what_is_needed_comes_once_and_no_pickle(ask: Asked) -> None:
    planned = ask("download", id="somebody/tiny", dry_run=True)
    assert not ask.folder.exists()
    done = ask("download", id="somebody/tiny")
    assert [file["name"] for file in done["files"]] == ["config.json", "model.safetensors"]
    assert planned["missing_bytes"] == planned["total_bytes"] == done["total_bytes"] == len(CONFIG) + len(WEIGHTS)
    assert planned["folder"] is None
    assert content(done["folder"], "model.safetensors") == WEIGHTS
    assert not any(path.endswith(("pytorch_model.bin", "README.md")) for _, path, _ in ask.hub.asked)
    assert "Bearer hf_not_a_real_token" in ask.hub.tokens


def test_progress_is_in_bytes_and_ends_at_the_sum(ask: Asked) -> None:
    total = ask("download", id="somebody/tiny")["total_bytes"]
    steps = [event for event in ask.events if event["type"] == "progress" and event["stage"] == "download"]
    assert {(event["unit"], event["total"]) for event in steps} == {("bytes", total)}
    counts = [event["current"] for event in steps]
    assert counts == sorted(counts)
    assert counts[-1] == total


def test_a_second_download_asks_for_no_file(ask: Asked) -> None:
    first = ask("download", id="somebody/tiny")
    ask.hub.asked.clear()
    again = ask("download", id="somebody/tiny")
    assert again["missing_bytes"] == 0
    assert again["folder"] == first["folder"]
    assert ask.hub.ranges("model.safetensors") == []


def test_the_engines_find_what_was_downloaded_and_not_what_was_begun(ask: Asked) -> None:
    from weights import files

    ask.hub.hold_after["model.safetensors"] = 2_000_000
    ask.cancelled_after(1_000_000, "somebody/tiny")
    with pytest.raises(WorkerError) as caught:
        files.transformers_folder("somebody/tiny", None, {"models_dir": str(ask.folder)})
    assert caught.value.code == "model_not_found"
    ask.hub.behave()
    done = ask("download", id="somebody/tiny")
    found = files.transformers_folder("somebody/tiny", None, {"models_dir": str(ask.folder)})
    assert found == Path(done["folder"])


def test_a_connection_that_is_cut_is_gone_on_with(ask: Asked) -> None:
    ask.hub.cut_after["model.safetensors"] = [1_000_000]
    done = ask("download", id="somebody/tiny")
    first, second = ask.hub.ranges("model.safetensors")
    assert first is None
    assert second is not None
    assert 0 < int(second.removeprefix("bytes=").rstrip("-")) <= 1_000_000
    assert content(done["folder"], "model.safetensors") == WEIGHTS


@pytest.mark.parametrize("ranges", [True, False])
def test_a_cancelled_download_is_gone_on_with_where_the_hub_can(ask: Asked, ranges: bool) -> None:
    ask.hub.hold_after["model.safetensors"] = 2_000_000
    ask.cancelled_after(1_000_000, "somebody/tiny")
    begun = ask("list")["models"][0]["begun_bytes"]
    assert 1_000_000 <= begun <= 2_000_000
    ask.hub.behave()
    ask.hub.no_ranges = not ranges
    assert ask("download", id="somebody/tiny", dry_run=True)["missing_bytes"] <= len(WEIGHTS) - 1_000_000
    done = ask("download", id="somebody/tiny")
    (asked,) = ask.hub.ranges("model.safetensors")
    assert asked is not None
    assert int(asked.removeprefix("bytes=").rstrip("-")) >= begun
    assert content(done["folder"], "model.safetensors") == WEIGHTS
    assert ask("list")["models"][0]["begun_bytes"] == 0


def test_a_hub_that_falls_silent_is_asked_again(ask: Asked) -> None:
    ask.hub.hold_after["model.safetensors"] = 2_000_000
    options = {"models_dir": str(ask.folder)}
    request = {"v": 1, "op": "download", "input": {"id": "somebody/tiny"}, "options": options}
    answer = result_of(worker("model_management", request, env={"HF_HUB_DOWNLOAD_TIMEOUT": "1"}))
    assert content(answer["output"]["folder"], "model.safetensors") == WEIGHTS
    first, second = ask.hub.ranges("model.safetensors")
    assert (first, str(second).startswith("bytes=")) == (None, True)


def test_two_processes_download_a_file_once(ask: Asked) -> None:
    ask.hub.hold_after["model.safetensors"] = 1_000_000
    outcomes: list[dict[str, Any]] = []
    with Worker("model_management") as other:
        both = [ask, Asked(other, ask.folder, ask.hub)]
        threads = [
            threading.Thread(target=lambda each=each: outcomes.append(each("download", id="somebody/tiny")))
            for each in both
        ]
        threads[0].start()
        assert ask.hub.held.wait(20)
        trees = sum("/tree/" in path for _, path, _ in ask.hub.asked)
        threads[1].start()
        while sum("/tree/" in path for _, path, _ in ask.hub.asked) == trees:
            assert threads[1].is_alive()
        ask.hub.go_on.set()
        for thread in threads:
            thread.join(30)
    assert len(outcomes) == 2
    assert content(outcomes[1]["folder"], "model.safetensors") == WEIGHTS
    assert len(ask.hub.ranges("model.safetensors")) == 1


def test_where_files_cannot_be_linked_each_lies_there_once(ask: Asked) -> None:
    options = {"models_dir": str(ask.folder)}
    request = {"v": 1, "op": "download", "input": {"id": "somebody/tiny"}, "options": options}
    answer = result_of(worker("model_management", request, env={"HF_HUB_DISABLE_SYMLINKS": "1"}))
    assert content(answer["output"]["folder"], "model.safetensors") == WEIGHTS
    assert [path.name for path in ask.folder.rglob("*") if path.is_file() and path.stat().st_size == len(WEIGHTS)] == [
        "model.safetensors"
    ]
    assert ask("download", id="somebody/tiny")["missing_bytes"] == 0
    assert ask("verify", id="somebody/tiny")["whole"]


def test_another_commit_costs_only_what_changed(ask: Asked) -> None:
    first = ask("download", id="somebody/tiny")
    ask.hub.models["somebody/tiny"] = Model({**TINY, "config.json": b"{}"}, commit="2" * 40)
    second = ask("download", id="somebody/tiny")
    assert second["missing_bytes"] == 2
    assert len(ask.hub.ranges("model.safetensors")) == 1
    (row,) = ask("list")["models"]
    assert {revision["commit"]: revision["names"] for revision in row["revisions"]} == {
        "1" * 40: [],
        "2" * 40: ["main"],
    }
    removed = ask("remove", id="somebody/tiny", revision="1" * 40)
    assert removed["freed_bytes"] == len(CONFIG)
    assert not Path(first["folder"]).exists()
    assert content(second["folder"], "model.safetensors") == WEIGHTS


# Faults


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
    assert ask.refusal("download", id="somebody/tiny", revision="1" * 40).code == "gated_model"


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


def test_a_hub_that_cannot_be_reached(tmp_path: Path) -> None:
    request = {"v": 1, "op": "download", "input": {"id": "somebody/tiny"}, "options": {"models_dir": str(tmp_path)}}
    done = worker("model_management", request, env={"HF_ENDPOINT": "http://127.0.0.1:9"})
    assert result_of(done)["error"]["code"] == "network"
    assert "http://127.0.0.1:9" in result_of(done)["error"]["message"]
    assert done.returncode == 75


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


# Verifying


def test_a_damaged_file_is_found_removed_and_comes_again_alone(ask: Asked) -> None:
    ask.hub.spoiled["model.safetensors"] = WEIGHTS[:-1] + b"?"
    ask("download", id="somebody/tiny")
    found = ask("verify", id="somebody/tiny", remove_damaged=True)
    assert not found["whole"]
    assert [(row["name"], row["algorithm"]) for row in found["damaged"]] == [("model.safetensors", "sha256")]
    assert found["removed"]
    ask.hub.behave()
    done = ask("download", id="somebody/tiny")
    assert done["missing_bytes"] == len(WEIGHTS)
    assert ask.hub.ranges("config.json") == []
    after = ask("verify", id="somebody/tiny")
    assert (after["whole"], after["checked"], after["damaged"]) == (True, 2, [])


def test_a_missing_file_is_found_and_what_was_not_chosen_is_not_missed(ask: Asked) -> None:
    done = ask("download", id="somebody/tiny")
    assert ask("verify", id="somebody/tiny")["whole"]
    (Path(done["folder"]) / "config.json").unlink()
    found = ask("verify", id="somebody/tiny")
    assert (found["whole"], found["missing"]) == (False, ["config.json"])
    assert ask("download", id="somebody/tiny")["missing_bytes"] == 0
    assert ask("verify", id="somebody/tiny")["whole"]


def test_of_several_models_in_one_repository_only_the_patterns_say_what_is_missing(ask: Asked) -> None:
    both = {"a.safetensors": SMALL, "b.safetensors": SMALL[:-1]}
    ask.hub.models["somebody/tiny"] = Model(both)
    assert ask.refusal("download", id="somebody/tiny").code == "invalid_request"
    done = ask("download", id="somebody/tiny", allow_patterns=["a.*"])
    assert [file["name"] for file in done["files"]] == ["a.safetensors"]
    assert ask("verify", id="somebody/tiny")["whole"]
    assert ask("verify", id="somebody/tiny", allow_patterns=["b.*"])["missing"] == ["b.safetensors"]


def test_a_full_precision_is_verified_as_such(ask: Asked) -> None:
    weights = {"model.safetensors": WEIGHTS, "model.fp16.safetensors": SMALL}
    ask.hub.models["somebody/tiny"] = Model({"config.json": CONFIG, **weights})
    half = ask("download", id="somebody/tiny", dry_run=True)
    assert (half["precision"], half["total_bytes"]) == ("fp16", len(CONFIG) + len(SMALL))
    ask("download", id="somebody/tiny", precision="full")
    assert ask("verify", id="somebody/tiny")["whole"]


def test_a_file_that_was_cut_short_here_comes_again_by_itself(ask: Asked) -> None:
    done = ask("download", id="somebody/tiny")
    with open(Path(done["folder"]) / "model.safetensors", "r+b") as file:
        file.truncate(1000)
    assert ask("download", id="somebody/tiny")["missing_bytes"] == len(WEIGHTS)
    assert content(done["folder"], "model.safetensors") == WEIGHTS


def test_what_is_not_here_cannot_be_verified_or_removed(ask: Asked) -> None:
    for op in ("verify", "remove"):
        error = ask.refusal(op, id="somebody/tiny")
        assert error.code == "model_not_found"
        assert "somebody/tiny" in error.message


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
    assert row["family"] == "text_generation"
    assert row["downloaded"].startswith("20")
    assert found["total_bytes"] == done["total_bytes"] + len(CONFIG)
    assert ask("remove", id="somebody/tiny", dry_run=True)["freed_bytes"] == done["total_bytes"]
    assert Path(done["folder"]).exists()
    assert ask("remove", id="somebody/tiny")["commits"] == ["1" * 40]
    assert not (ask.folder / "models--somebody--tiny").exists()
    assert "by hand" in str(ask.refusal("remove", id="me/own").hint)
    assert [row["id"] for row in ask("list", id="me/own")["models"]] == ["me/own"]


def test_removing_takes_along_what_was_begun(ask: Asked) -> None:
    ask.hub.hold_after["model.safetensors"] = 2_000_000
    ask.cancelled_after(1_000_000, "somebody/tiny")
    assert ask("remove", id="somebody/tiny")["freed_bytes"] >= 1_000_000
    assert not list(ask.folder.rglob("*.incomplete"))


# Choosing


def entries(*names: str) -> list[Any]:
    from engines.model_management._choice import Entry

    return [Entry(name, 1, "a" * 40) for name in names]


SDXL = (
    "model_index.json", "sd_xl_base_1.0.safetensors", "LICENSE.md", "README.md", "scheduler/scheduler_config.json",
    "unet/config.json", "unet/diffusion_pytorch_model.safetensors", "unet/diffusion_pytorch_model.fp16.safetensors",
    "unet/model.onnx", "vae/config.json", "vae/diffusion_pytorch_model.safetensors",
    "vae_1_0/diffusion_pytorch_model.fp16.safetensors", "tokenizer/merges.txt",
    "text_encoder/model.safetensors", "text_encoder/model.fp16.safetensors", "text_encoder/pytorch_model.bin",
)  # fmt: skip
INDEX = {
    "_class_name": "StableDiffusionXLPipeline", "unet": ["diffusers", "X"], "vae": ["diffusers", "X"],
    "tokenizer": ["t", "X"], "text_encoder": ["t", "X"], "scheduler": ["d", "X"], "image_encoder": [None, None],
}  # fmt: skip
COMMON = {
    "model_index.json", "LICENSE.md", "scheduler/scheduler_config.json", "unet/config.json", "vae/config.json",
    "tokenizer/merges.txt", "vae/diffusion_pytorch_model.safetensors",
}  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "variant", "said"), [(None, ".fp16", "fp16"), ("fp16", ".fp16", "fp16"), ("full", "", "full")]
)
def test_of_a_pipeline_one_precision_of_the_parts_that_it_names(wanted: str | None, variant: str, said: str) -> None:
    from engines.model_management._choice import choose

    found = choose(entries(*SDXL), INDEX, wanted, None)
    weights = {f"unet/diffusion_pytorch_model{variant}.safetensors", f"text_encoder/model{variant}.safetensors"}
    assert {entry.name for entry in found.entries} == COMMON | weights
    assert found.precision == said


SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json")
FP16 = ("model.fp16-00001-of-00002.safetensors", "model.fp16-00002-of-00002.safetensors")


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        ((*SHARDS, "consolidated.safetensors", "original/consolidated.00.pth"), SHARDS),
        ((*SHARDS, "model.safetensors"), ("model.safetensors",)),
        ((*SHARDS, *FP16, "model.safetensors.index.fp16.json"), (*FP16, "model.safetensors.index.fp16.json")),
        (("model.bin", "vocabulary.json", "config.json"), ("model.bin", "vocabulary.json", "config.json")),
        (("my_lora.safetensors", "preview.png"), ("my_lora.safetensors",)),
        (("model.non_ema.safetensors", "model.safetensors"), ("model.safetensors",)),
    ],
)
def test_the_same_weights_come_once(names: tuple[str, ...], chosen: tuple[str, ...]) -> None:
    from engines.model_management._choice import choose

    assert {entry.name for entry in choose(entries(*names), None, None, None).entries} == set(chosen)


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (("pytorch_model.bin", "config.json"), "model_not_found"),
        (("model.bin", "config.json"), "model_not_found"),
        (("sd.ckpt",), "model_not_found"),
        (("q4.gguf", "config.json"), "model_not_found"),
        (("a.safetensors", "b.safetensors"), "invalid_request"),
    ],
)
def test_what_cannot_be_chosen_is_named(names: tuple[str, ...], code: str) -> None:
    from engines.model_management._choice import choose

    with pytest.raises(WorkerError, match=names[0]) as caught:
        choose(entries(*names), None, None, None)
    assert caught.value.code == code


def test_patterns_say_which_of_several_weights_are_meant() -> None:
    from engines.model_management._choice import choose

    found = choose(entries("a.safetensors", "b.safetensors", "c.bin"), None, None, ["b.*", "c.*"])
    assert [entry.name for entry in found.entries] == ["b.safetensors"]
