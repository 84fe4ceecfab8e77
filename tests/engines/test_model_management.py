"""Models downloaded, verified, listed and removed over real HTTP, from a hub on this machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_server import Hub, Model
from model_asking import CONFIG, SMALL, TINY, WEIGHTS, Asked, content, serving, well
from support import result_of, worker

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
    compared = [event for event in ask.events if event["type"] == "progress" and event["stage"] == "run"]
    assert {(event["unit"], event["total"]) for event in compared} == {("bytes", total)}
    assert compared[-1]["current"] == total


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
    assert row["outdated_bytes"] == len(CONFIG)
    removed = ask("remove", id="somebody/tiny", revision="1" * 40)
    assert removed["freed_bytes"] == len(CONFIG)
    assert not Path(first["folder"]).exists()
    assert content(second["folder"], "model.safetensors") == WEIGHTS


def test_the_hubs_word_counts_of_whether_a_model_is_gated(ask: Asked) -> None:
    assert ask("download", id="somebody/tiny", dry_run=True)["gated"] is False
    ask.hub.models["somebody/tiny"].gated = True
    ask.hub.instead["auth-check"] = (200, b"{}", {})  # and its terms were accepted
    assert ask("download", id="somebody/tiny", dry_run=True)["gated"] is True


def test_an_engine_takes_the_short_name_of_a_model(tmp_path: Path) -> None:
    from weights import files

    lies = tmp_path / "Lightricks" / "LTX-Video"
    lies.mkdir(parents=True)
    assert files.folder("ltx-video", None, {"models_dir": str(tmp_path)}) == lies
    with pytest.raises(WorkerError, match=r"Lightricks/LTX-Video-0\.9\.5 is neither"):
        files.folder("ltx-video-0.9.5", None, {"models_dir": str(tmp_path)})


# Verifying


def test_a_damaged_file_is_found_removed_and_comes_again_alone(ask: Asked) -> None:
    folder = ask("download", id="somebody/tiny")["folder"]
    (Path(folder) / "model.safetensors").resolve().write_bytes(WEIGHTS[:-1] + b"?")
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
    half = ask("download", id="somebody/tiny", precision="fp16", dry_run=True)
    assert (half["precision"], half["total_bytes"]) == ("fp16", len(CONFIG) + len(SMALL))
    for precision in (None, "fp16"):
        done = ask("download", id="somebody/tiny", precision=precision)
        assert ask("verify", id="somebody/tiny")["whole"]
        assert ask("remove", id="somebody/tiny")["freed_bytes"] == done["total_bytes"]


def test_a_file_that_was_cut_short_here_comes_again_by_itself(ask: Asked) -> None:
    done = ask("download", id="somebody/tiny")
    with open(Path(done["folder"]) / "model.safetensors", "r+b") as file:
        file.truncate(1000)
    assert ask("download", id="somebody/tiny")["missing_bytes"] == len(WEIGHTS)
    assert content(done["folder"], "model.safetensors") == WEIGHTS


def test_a_folder_that_was_put_there_by_hand_is_verified_too(ask: Asked) -> None:
    by_hand = ask.folder / "somebody" / "tiny"
    by_hand.mkdir(parents=True)
    (by_hand / "config.json").write_bytes(CONFIG)
    (by_hand / "model.safetensors").write_bytes(WEIGHTS[:-1] + b"?")
    found = ask("verify", id="somebody/tiny")
    assert (found["folder"], found["commit"], found["checked"]) == (str(by_hand), "1" * 40, 2)
    assert [row["name"] for row in found["damaged"]] == ["model.safetensors"]
    error = ask.refusal("verify", id="somebody/tiny", remove_damaged=True)
    assert (error.code, str(by_hand) in error.message) == ("invalid_request", True)
    assert (by_hand / "model.safetensors").exists()
    (by_hand / "model.safetensors").write_bytes(WEIGHTS)
    assert ask("verify", id="somebody/tiny")["whole"]


def test_a_damaged_content_that_two_commits_share_comes_again_for_both(ask: Asked) -> None:
    ask("download", id="somebody/tiny")
    ask.hub.models["somebody/tiny"] = Model({**TINY, "config.json": b"{}"}, commit="2" * 40)
    folder = ask("download", id="somebody/tiny")["folder"]
    (Path(folder) / "model.safetensors").resolve().write_bytes(WEIGHTS[:-1] + b"?")
    assert ask("verify", id="somebody/tiny", remove_damaged=True)["removed"]
    assert content(ask("download", id="somebody/tiny")["folder"], "model.safetensors") == WEIGHTS
    assert ask("verify", id="somebody/tiny")["whole"]


def test_what_is_not_here_cannot_be_verified_or_removed(ask: Asked) -> None:
    for op in ("verify", "remove"):
        error = ask.refusal(op, id="somebody/tiny")
        assert error.code == "model_not_found"
        assert "somebody/tiny" in error.message
