"""What is true for every engine of text_generation: stop texts, schemas for documents, prompts. No model is needed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import WORKERS, result_of, worker

from language import structured
from language.stops import Stops
from runtime.errors import WorkerError
from weights.files import transformers_folder as folder

LETTERS = st.text(alphabet="ab€", max_size=30)


def until_a_stop(text: str, stops: list[str]) -> str:
    """Reference: read letter by letter, until what was read ends with a stop text."""
    for end in range(1, len(text) + 1):
        found = [stop for stop in stops if text[:end].endswith(stop)]
        if found:
            return text[: end - max(map(len, found))]
    return text


@given(LETTERS, st.lists(st.text(alphabet="ab€", min_size=1, max_size=4), max_size=3), st.data())
def test_a_stop_text_is_found_wherever_the_pieces_are_cut(text: str, stops: list[str], data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    scanner = Stops(stops)
    sent = [scanner.feed(text[start:end]) for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    sent.append(scanner.rest())
    assert "".join(sent) == until_a_stop(text, stops)
    assert (scanner.found is None) == ("".join(sent) == text)


def test_text_is_held_back_only_while_it_may_become_a_stop_text() -> None:
    scanner = Stops(["END"])
    assert [scanner.feed(piece) for piece in ("one E", "N", "s", "EN", "D more", "x")] == [
        "one ",
        "",
        "ENs",
        "",
        "",
        "",
    ]
    assert scanner.found == "END"


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"type": "objekt"}, "is no JSON Schema"),
        ({"properties": {"a": {"minimum": "1"}}}, "is no JSON Schema"),
        ({"$ref": "https://example.org/other.json"}, "lies outside it"),
        ({"items": {"$ref": "#/$defs/absent"}}, "which it does not hold"),
    ],
)
def test_a_schema_that_cannot_be_kept_is_refused(schema: dict[str, Any], says: str) -> None:
    with pytest.raises(WorkerError, match=says) as caught:
        structured.check(schema)
    assert caught.value.code == "invalid_request"
    assert (caught.value.pointer or "").startswith("/input/json_schema")


def test_a_schema_may_refer_to_itself_and_hold_words_like_ref_as_data() -> None:
    structured.check({"$defs": {"n": {"items": {"$ref": "#/$defs/n"}}}, "$ref": "#/$defs/n"})
    structured.check({"const": {"$ref": "https://example.org/only-data"}})


@pytest.mark.parametrize(
    "text", ["", '{"a": 1', '{"a": "x"}', '{"a": NaN}', '{"a": 1e999}', '{"a": 1, "b": "\\ud800"}', "[" * 100_000]
)
def test_a_text_that_is_not_the_document_is_never_taken_for_it(text: str) -> None:
    with pytest.raises(structured.NotTheDocument):
        structured.document(text, {"properties": {"a": {"type": "number"}}, "required": ["a"]})


def asked(op: str = "generate", **fields: Any) -> dict[str, Any]:
    return {"v": 1, "op": op, "engine": "scripted", "input": fields, "engine_options": {"answers": __file__}}


@pytest.mark.parametrize(
    ("request_", "pointer"),
    [
        (asked(), "/input/prompt"),
        (asked(prompt="x", prompt_file=__file__), "/input/prompt"),
        (asked(prompt="x", json_schema={}, stop=["END"]), "/input/stop"),
        (asked(prompt="x", json_schema={"type": "objekt"}), "/input/json_schema/type"),
        (asked("chat", messages=[]), "/input/messages"),
        (asked("chat", messages=[{"role": "user", "content": ""}]), "/input/messages/0/content"),
        (asked("chat", messages=[{"role": "assistant", "content": "x"}]), "/input/messages/0/role"),
        (asked("chat", messages=[{"role": "tool", "content": "x"}]), "/input/messages/0/role"),
    ],
)
def test_a_wrong_request_is_refused_with_its_field(request_: dict[str, Any], pointer: str) -> None:
    error = result_of(worker("text_generation", request_))["error"]
    assert (error["code"], error["pointer"]) == ("invalid_request", pointer)


def test_describing_the_engines_imports_no_model_library() -> None:
    code = "import sys; from runtime import registry; facts = registry.describe('text_generation')['transformers']\n"
    code += "assert not {'torch', 'transformers', 'llguidance', 'openai', 'anthropic'} & set(sys.modules)\n"
    code += "import json; print(json.dumps(facts))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=WORKERS, check=True)
    facts = json.loads(done.stdout)
    assert set(facts["ops"]) == {"generate", "chat"}
    assert {"json_schema", "seed", "stop", "streaming", "system_prompt", "quantization"} <= set(facts["capabilities"])
    assert facts["models"]["Qwen/Qwen2.5-14B-Instruct"]["context_window"] == 32768
    assert facts["models"]["meta-llama/Llama-3.1-8B-Instruct"]["vram_gb"]["int4"] == 4


def model_folder(path: Path, *files: str) -> Path:
    path.mkdir()
    for name in files:
        (path / name).write_text('{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}')
    return path


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ((), "lacks config.json"),
        (("config.json",), r"lacks model\.safetensors\."),
        (("config.json", "pytorch_model.bin"), r"it has pytorch_model\.bin, which is not loaded"),
        (
            ("config.json", "model.safetensors.index.json", "model-1.safetensors"),
            r"1 of 2 files of its weights, such as model-2\.safetensors",
        ),
    ],
)
def test_a_folder_without_whole_safetensors_is_no_model(tmp_path: Path, files: tuple[str, ...], says: str) -> None:
    with pytest.raises(WorkerError, match=says) as caught:
        folder(str(model_folder(tmp_path / "model", *files)), None, {})
    assert caught.value.code == "model_not_found"


def test_models_are_found_in_the_users_own_folder_by_their_id(tmp_path: Path) -> None:
    (tmp_path / "me").mkdir()
    there = model_folder(tmp_path / "me" / "mine", "config.json", "model.safetensors")
    assert folder("me/mine", None, {"models_dir": str(tmp_path)}) == there


def test_a_path_that_is_not_there_is_not_looked_for_on_the_hub(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="There is no folder") as caught:
        folder(str(tmp_path / "absent"), None, {})
    assert caught.value.code == "model_not_found"
