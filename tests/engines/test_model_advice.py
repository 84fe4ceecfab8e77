"""The table of models, what is recommended from it, and configurations: without any library or network."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from support import SCHEMAS, output_of, result_of, worker

from runtime import registry, validation
from runtime.errors import WorkerError
from weights import table


def test_without_its_library_it_is_listed_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_spec(name: str) -> object | None:
        return None if name == "huggingface_hub" else object()

    monkeypatch.setattr("importlib.util.find_spec", find_spec)
    facts = registry.describe("model_management")
    assert not facts["huggingface"]["usable"]
    assert "huggingface_hub" in facts["huggingface"]["why_not"]
    assert registry.choose("model_management", "auto", "recommend", (), ("huggingface", "catalogue")) == "catalogue"
    with pytest.raises(WorkerError, match="huggingface_hub") as caught:
        registry.choose("model_management", "auto", "download", (), ("huggingface", "catalogue"))
    assert caught.value.code == "engine_unavailable"


# The table and its advice


def test_the_table_keeps_its_schema_and_names_nothing_twice() -> None:
    assert validation.violations(list(table.rows()), validation.document("models")) == []
    names = [name for row in table.rows() for name in (row["id"], row["alias"])]
    assert len(names) == len(set(names))
    defaults = [(row["family"], row["engine"]) for row in table.rows() if row["default"]]
    assert len(defaults) == len(set(defaults))


def test_the_table_says_what_the_specification_says() -> None:
    said = {row["alias"]: row["vram_gb"] for row in table.rows()}
    assert said["whisper-large-v3"]["none"] == 5
    assert said["qwen2.5-14b"] == {"none": 28, "int8": 14, "int4": 7}
    assert said["llama-3.1-8b"] == {"none": 16, "int8": 8, "int4": 4}
    assert said["llava-onevision-7b"]["none"] == 14
    assert said["phi-3.5-vision"] == {"none": 8, "int4": 4}
    assert (said["sdxl"]["none"], said["sdxl-refiner"]["none"], said["ltx-video"]["none"]) == (12, 16, 24)


def machine(vram_gb: float, ram_gb: float = 64, disk_gb: float | None = None) -> dict[str, Any]:
    return {"gpu": "a card" if vram_gb else None, "vram_gb": vram_gb, "ram_gb": ram_gb, "disk_gb": disk_gb}


@pytest.mark.parametrize(
    ("family", "hardware", "alias", "quantization", "offload", "device"),
    [
        ("text_generation", machine(48), "qwen2.5-14b", "none", "none", "auto"),
        ("text_generation", machine(16), "qwen2.5-14b", "int8", "none", "auto"),
        ("text_generation", machine(8), "qwen2.5-14b", "int4", "none", "auto"),
        ("text_generation", machine(6), "llama-3.1-8b", "int4", "none", "auto"),
        ("text_generation", machine(48, disk_gb=20), "llama-3.1-8b", "none", "none", "auto"),
        ("image_generation", machine(12), "sdxl", "none", "none", "auto"),
        ("image_generation", machine(8), "sdxl", "none", "sequential", "auto"),
        ("video_generation", machine(20), "ltx-video", "none", "model", "auto"),
        ("vision_language", machine(24), "llava-onevision-7b", "none", "none", "auto"),
        ("speech_recognition", machine(0, 16), "whisper-small", "int8", "none", "cpu"),
        ("speech_recognition", machine(4), "whisper-large-v3", "int8", "none", "auto"),
    ],
)
def test_the_best_way_that_fits_is_recommended(
    family: str, hardware: dict[str, Any], alias: str, quantization: str, offload: str, device: str, tmp_path: Path
) -> None:
    from engines.model_management._fitting import recommendation
    from engines.model_management._hardware import Hardware

    found = recommendation(family, Hardware(**hardware), {})
    assert found["model"]["id"] == table.hub_id(alias)
    assert (found["model"]["quantization"], found["options"]) == (quantization, {"device": device, "offload": offload})
    assert found["vram_gb"] <= hardware["vram_gb"]
    assert found["model"]["id"] in found["why"]


def test_where_nothing_fits_it_says_what_the_least_takes(tmp_path: Path) -> None:
    fields = {"family": "video_generation", "hardware": machine(6, 16)}
    (found,) = output_of("model_management", "recommend", fields, tmp_path)["recommendations"]
    assert (found["engine"], found["model"], found["options"]) == (None, None, None)
    assert "9 GB of GPU memory" in found["why"]
    assert "ken_burns" in found["why"]


def test_what_is_here_already_needs_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from engines.model_management._fitting import recommendation
    from engines.model_management._hardware import Hardware
    from engines.model_management._present import present_gb

    blobs = tmp_path / "models--Lightricks--LTX-Video" / "blobs"
    blobs.mkdir(parents=True)
    with open(blobs / "weights", "wb") as file:
        file.truncate(28_400_000_000)  # takes no room: nothing is written
    full = Hardware("a card", 48, 64, 2.0)
    assert recommendation("video_generation", full, {})["model"] is None
    here = present_gb(tmp_path)
    assert here == {"Lightricks/LTX-Video": 28.4}
    found = recommendation("video_generation", full, here)
    assert (found["model"]["id"], found["disk_gb"], found["lacking_gb"]) == ("Lightricks/LTX-Video", 28.4, 0)


def test_models_that_have_no_room_together_are_said_with_the_sum(tmp_path: Path) -> None:
    fields = {"family": None, "hardware": machine(48, disk_gb=40)}
    request = {"v": 1, "op": "recommend", "input": fields, "options": {}}
    result = result_of(worker("model_management", request, "--output-dir", str(tmp_path)))
    (warning,) = result["warnings"]
    total = sum(row["lacking_gb"] for row in result["output"]["recommendations"])
    assert f"{total:.3g} GB" in warning["message"]
    assert "40 GB" in warning["message"]
    fields["hardware"] = machine(48, disk_gb=400)
    assert result_of(worker("model_management", request, "--output-dir", str(tmp_path)))["warnings"] == []


@pytest.mark.parametrize(
    ("name", "value", "within"),
    [("HF_HUB_CACHE", "cache", "cache"), ("HF_HOME", "home", "home/hub"), ("HOME", "me", "me/.cache/huggingface/hub")],
)
def test_models_are_looked_for_where_they_are_downloaded_to(
    name: str, value: str, within: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engines.model_management.catalogue import FOLDERS, _models_folder

    for each, _ in FOLDERS:
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv(name, str(tmp_path / value))
    assert _models_folder({}) == tmp_path / within


def test_every_model_that_an_engine_knows_is_in_the_table() -> None:
    from engines.video_generation._ltx_facts import MODELS

    known = {row["id"] for row in table.rows() if row["engine"] == "ltx_video"}
    assert known == {name for name in MODELS if "*" not in name}


def test_this_machine_is_looked_at_with_nvidias_own_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil

    from engines.model_management import _hardware

    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'Small Card, 8192'\necho 'NVIDIA GeForce RTX 4090, 24564'\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setattr("shutil.which", lambda name: str(program))
    found = _hardware.here(tmp_path / "not there yet")
    if os.name == "posix":
        assert (found.gpu, found.vram_gb) == ("NVIDIA GeForce RTX 4090", 24)
    assert 0 <= found.ram_gb - psutil.virtual_memory().total / 2**30 < 1
    assert found.disk_gb is not None


# Configurations


def validated(tmp_path: Path, config: Any = None, **fields: Any) -> dict[str, Any]:
    given = {"config": config, "hardware": machine(8, 64), **fields}
    return output_of("model_management", "validate_config", given, tmp_path)


def test_a_good_configuration_is_completed_saved_and_read_again(tmp_path: Path) -> None:
    config = {"v": 1, "families": {"text_generation": {"engine": "scripted", "model": {"id": "qwen2.5-14b"}}}}
    config["families"]["text_generation"]["model"]["quantization"] = "int4"  # type: ignore[index]
    found = validated(tmp_path, config, save=True)
    assert (found["valid"], found["errors"], found["warnings"], found["estimated_vram_gb"]) == (True, [], [], 7)
    part = found["config"]["families"]["text_generation"]
    assert part["model"]["id"] == "Qwen/Qwen2.5-14B-Instruct"
    assert part["options"] == {"device": "auto", "offload": None}
    saved = Path(found["file"]["path"])
    assert json.loads(saved.read_text(encoding="utf-8")) == found["config"]
    assert validated(tmp_path, config_file=str(saved))["config"] == found["config"]


def test_a_configuration_may_be_toml(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text('v = 1\n[families.video_generation.model]\nid = "ltx-video"\n', encoding="utf-8")
    found = validated(tmp_path, config_file=str(path))
    assert found["estimated_vram_gb"] == 24
    assert "24 GB" in found["warnings"][0]["message"]
    assert found["recommendations"] == []


@pytest.mark.parametrize(
    ("families", "kind", "pointer", "said"),
    [
        ({"text_generation": {"engine": "nobodys"}}, "errors", "/engine", "scripted"),
        ({"text_generation": {"model": {"id": "sdxl"}}}, "errors", "/model/id", "image_generation"),
        ({"vision_language": {"model": {"id": "phi-3.5-vision"}}}, "errors", "/model/id", "code of its own"),
        ({"image_generation": {"model": {"id": "sdxl", "quantization": "int4"}}}, "errors", "/quantization", "int4"),
        ({"video_generation": {"options": {"device": "cpu"}}}, "errors", "/device", "ken_burns"),
        ({"text_generation": {"model": {"id": "llama-3.1-8b"}}}, "warnings", "/model/id", "gated"),
        ({"text_generation": {"model": {"id": "me/own"}}}, "warnings", "/model/id", "me/own"),
        ({"text_generation": {"options": {"offload": "model"}}}, "warnings", "/offload", "cannot offload"),
        ({"video_generation": {"model": {"id": "ltx-video-0.9.5"}}}, "warnings", "/model", "24 GB of GPU memory"),
        ({"text_generation": {}}, "recommendations", "/model", "int4: about 7 GB"),
        ({"text_generaton": {}}, "errors", "/families/text_generaton", "text_generation"),
    ],
)
def test_what_is_wrong_with_a_configuration_is_pointed_at(
    families: dict[str, Any], kind: str, pointer: str, said: str
) -> None:
    from engines.model_management._configuration import check
    from engines.model_management._hardware import Hardware

    found = check({"v": 1, "families": families}, Hardware("a card", 8, 64, None), {})
    assert any(row["pointer"].endswith(pointer) and said in row["message"] for row in found[kind]), found


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, "invalid_request"),
        ({"config": {}, "config_file": "ok.json"}, "invalid_request"),
        ({"config_file": "broken.json"}, "input_unreadable"),
        ({"config_file": "broken.toml"}, "input_unreadable"),
    ],
)
def test_a_configuration_that_cannot_be_read(tmp_path: Path, fields: dict[str, Any], code: str) -> None:
    from engines.model_management._configuration import load

    for name, text in (("ok.json", "{}"), ("broken.json", "{"), ("broken.toml", "v = ")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    if "config_file" in fields:
        fields = {**fields, "config_file": str(tmp_path / fields["config_file"])}
    with pytest.raises(WorkerError) as caught:
        load({"config": None, "config_file": None, **fields})
    assert caught.value.code == code


def test_every_operation_has_an_engine_that_hosts_can_try_without_a_network() -> None:
    operations = sorted(
        path.name.removesuffix(".schema.json") for path in (SCHEMAS / "model_management").glob("*.json")
    )
    assert sorted(registry.engine_class("model_management", "scripted").ops) == operations
