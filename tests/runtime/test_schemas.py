"""The dialect of ``schemas/``: what hosts in other languages may rely on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import SCHEMAS, WORKERS

from runtime import registry, validation
from runtime.errors import error_table

FILES = sorted(SCHEMAS.rglob("*.schema.json"))
OPERATIONS = [path for path in FILES if path.parent != SCHEMAS]


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    """Every schema in a document that lists properties."""
    if isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict):
            yield schema
        for value in schema.values():
            yield from objects(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from objects(value)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_schema_keeps_to_the_dialect(path: Path) -> None:
    from jsonschema import Draft202012Validator

    document = json.loads(path.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(document)
    text = path.read_text(encoding="utf-8")
    assert not any(f'"{word}"' in text for word in ("if", "then", "else", "patternProperties", "not", "allOf"))
    for found in objects(document):
        for name, part in found["properties"].items():
            assert validation.resolve(part).get("description"), f"{path.name}: {name} has no description"


@pytest.mark.parametrize("path", OPERATIONS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_inputs_are_closed_and_every_optional_field_has_a_valid_default(path: Path) -> None:
    assert {"input", "output"} <= set(json.loads(path.read_text(encoding="utf-8"))["$defs"])
    whole = validation.input_schema(path.parent.name, path.name.removesuffix(".schema.json"))
    for found in objects(whole):
        assert found.get("additionalProperties") is False
        for name, part in found["properties"].items():
            optional = name not in found.get("required", [])
            assert ("default" in part) == optional, f"{path}: {name}"
            if optional:
                filled = validation.filled(part["default"], part)
                assert validation.violations(filled, part) == [], f"{path}: {name}"


def test_the_envelope_is_closed_and_complete_when_filled() -> None:
    request = validation.envelope({"v": 1, "op": "probe", "input": {"media": "x"}}, "media_processing")
    assert request["engine"] == "auto"
    assert request["model"] == {"id": None, "revision": None, "dtype": None, "quantization": None}
    assert request["options"]["device"] == "auto"


@pytest.mark.parametrize("path", sorted(SCHEMAS.glob("*/examples/*.json")), ids=lambda path: path.name)
def test_every_example_is_a_valid_request(path: Path) -> None:
    whole = validation.envelope(json.loads(path.read_text(encoding="utf-8")), path.parent.parent.name)
    family = path.parent.parent.name
    names = registry.names(family) if whole["engine"] == "auto" else [whole["engine"]]
    engines = [registry.engine_class(family, name) for name in names]  # whether usable here or not
    able = [engine for engine in engines if whole["op"] in engine.ops]
    assert any(validation.violations(whole["engine_options"], engine.options_schema) == [] for engine in able)


def test_every_family_has_a_worker_and_an_example_of_every_operation() -> None:
    for path in OPERATIONS:
        family, op = path.parent.name, path.name.removesuffix(".schema.json")
        assert (WORKERS / f"{family}.py").is_file()
        examples = [
            json.loads(example.read_text(encoding="utf-8")) for example in (path.parent / "examples").glob("*.json")
        ]
        assert any(example["op"] == op for example in examples), f"no example of {family} {op}"


def test_the_error_table_has_only_known_classes() -> None:
    assert {row["exit"] for row in error_table().values()} == {2, 65, 66, 69, 70, 71, 73, 75, 76, 77, 124, 130}
    assert {code for code, row in error_table().items() if row["retryable"]} == {
        "rate_limited",
        "provider_unavailable",
        "network",
    }


def test_given_values_beat_the_models_defaults_which_beat_the_schemas() -> None:
    schema = {
        "properties": {"steps": {"default": 30, "description": "x"}, "scale": {"default": 7.5, "description": "x"}}
    }
    assert validation.filled({"scale": 1}, schema, better={"steps": 4, "scale": 2}) == {"steps": 4, "scale": 1}
    assert validation.filled({}, schema) == {"steps": 30, "scale": 7.5}
