"""What a model is expected to take of this machine's memory, and what is free of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from orchestrator import memory
from orchestrator.memory import GB, LIBRARIES, UNKNOWN, Memory

QWEN, SDXL, LTX = "Qwen/Qwen2.5-14B-Instruct", "stabilityai/stable-diffusion-xl-base-1.0", "Lightricks/LTX-Video"
GIB = 1 << 30


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose two NVIDIA cards have 20 and 7 GiB free."""
    if sys.platform == "win32":
        pytest.skip("a script in the place of nvidia-smi")
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\n[ "$1" = --query-gpu=memory.free ] && printf "20480\\n7168\\n"\n', encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")


@pytest.fixture
def no_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("platform.system", lambda: "Linux")


def request(name: str | None = None, *, quantization: str | None = None, **more: Any) -> dict[str, Any]:
    options = {key: more.pop(key) for key in ("device", "offload") if key in more}
    return {"model": {"id": name, "quantization": quantization}, "options": options, "input": more}


@pytest.mark.usefixtures("card")
def test_of_several_cards_the_fullest_counts() -> None:
    assert memory.free().card == 7 * GIB
    assert memory.free(card=False).card == 0


@pytest.mark.usefixtures("no_card")
def test_a_part_of_the_main_memory_is_left_to_others() -> None:
    free, state = memory.free(), psutil.virtual_memory()
    assert free.card == 0
    assert 0 < free.main < state.available + 0.1 * GB


@pytest.mark.usefixtures("no_card")
def test_of_a_container_no_more_than_its_limit_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = {"memory.max": "1000000", "memory.current": "700000", "memory.stat": "anon 1\nactive_file 50000\nfile 9"}
    for name, text in facts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(memory, "CONTAINER", tmp_path)
    assert memory.free().main == 900_000 - 700_000 + 50_000
    (tmp_path / "memory.max").write_text("max", encoding="utf-8")
    assert memory.free().main > 1_000_000


@pytest.mark.usefixtures("card")
@pytest.mark.parametrize(
    ("asked", "card_gb"),
    [
        (request(QWEN), 28),
        (request("/models/Qwen2.5-14B-Instruct"), 28),
        (request("qwen2.5-14b", quantization="int4"), 7),
        (request(None), 28),
        (request("somebody/unheard-of"), 28),
        (request(SDXL), 12),
        (request(SDXL, offload="sequential"), 6),
        (request(SDXL, refiner={"model": "stabilityai/stable-diffusion-xl-refiner-1.0"}), 16),
    ],
)
def test_on_a_card_a_model_takes_what_the_table_says(asked: dict[str, Any], card_gb: float) -> None:
    assert memory.estimate({QWEN: {}}, asked).card == card_gb * GB


@pytest.mark.usefixtures("card")
def test_with_device_cpu_it_takes_none_of_the_card() -> None:
    assert memory.estimate({}, request(QWEN, device="cpu")) == Memory(0.0, 36 * GB)


@pytest.mark.usefixtures("no_card")
def test_without_a_card_a_model_takes_main_memory_and_one_that_is_not_for_it_all_there_is() -> None:
    assert memory.estimate({}, request(QWEN)) == Memory(0.0, 36 * GB)
    assert memory.estimate({LTX: {}}, request()) == Memory(0.0, UNKNOWN)
    assert memory.estimate({}, request("somebody/unheard-of")) == Memory(UNKNOWN, UNKNOWN)


@pytest.mark.usefixtures("no_card")
def test_a_folder_that_the_table_does_not_know_takes_twice_its_weights(tmp_path: Path) -> None:
    folder = tmp_path / "mine" / "transformer"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(bytes(1000))
    (folder / "readme.md").write_bytes(bytes(5000))
    assert memory.estimate({QWEN: {}}, request(str(folder.parent))) == Memory(0.0, 2000 + LIBRARIES)
