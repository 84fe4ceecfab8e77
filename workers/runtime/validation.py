"""Requests against their schemas: every violation with its pointer, defaults filled in, files looked for.

Runs before any model library is imported. Defaults live in the schemas only.
"""

from __future__ import annotations

import copy
import difflib
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from runtime.errors import SCHEMAS, WorkerError

INPUT_FILE = "urn:storygen:v1:common#/$defs/input_file"
SUPPORTED_VERSION = 1
GUESS = "; did you mean "
ODD = re.compile("[\0\ud800-\udfff]")


def operations(family: str) -> list[str]:
    """Every operation of a family: its schema files are the list."""
    return sorted(path.name.removesuffix(".schema.json") for path in (SCHEMAS / family).glob("*.schema.json"))


@cache
def document(name: str) -> dict[str, Any]:
    """A schema file of ``schemas/v1`` by its name without the ending, such as ``media_processing/probe``."""
    loaded: dict[str, Any] = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
    return loaded


@cache
def _registry() -> Any:
    from referencing import Registry, Resource

    return Registry().with_resource("urn:storygen:v1:common", Resource.from_contents(document("common")))


def resolve(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow a ``$ref`` into the common schema; what stands beside the reference (default, description) stays."""
    reference = schema.get("$ref", "")
    if not reference.startswith("urn:storygen:v1:common#/$defs/"):
        return schema
    target = document("common")["$defs"][reference.rsplit("/", 1)[1]]
    return {**target, **{key: value for key, value in schema.items() if key != "$ref"}}


def violations(value: Any, schema: Mapping[str, Any], pointer: str = "") -> list[dict[str, str]]:
    """Everything wrong with ``value``, as {pointer, message}, in the order of the document."""
    validator = _validator_class()(dict(schema), registry=_registry())
    found = [row for error in validator.iter_errors(value) for row in _rows(error, pointer)]
    return sorted(found, key=lambda row: row["pointer"])


@cache
def _validator_class() -> Any:
    """Draft 2020-12, except that ``$`` ends the text as in JavaScript: Python lets a newline follow."""
    from jsonschema import Draft202012Validator, ValidationError
    from jsonschema.validators import extend

    def pattern(validator: Any, wanted: str, value: Any, schema: Any) -> Iterator[Any]:
        if isinstance(value, str) and not re.search(re.sub(r"\$$", r"\\Z", wanted), value):
            yield ValidationError(f"{value!r} does not match {wanted}")

    return extend(Draft202012Validator, {"pattern": pattern})


def _rows(error: Any, pointer: str) -> Iterator[dict[str, str]]:
    where = pointer + "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in error.absolute_path)
    name = where.rsplit("/", 1)[-1] or "the request"
    value, limit = error.instance, error.validator_value
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        for unknown in [key for key in value if key not in known]:
            yield {
                "pointer": f"{where}/{unknown}",
                "message": f"{unknown} is not a field here{_nearest(unknown, known)}",
            }
    elif error.validator == "required":
        for missing in [key for key in limit if key not in value and repr(key) in error.message]:
            only = error.schema.get("properties", {}).get(missing, {}).get("const")
            value_wanted = f"; it must be {json.dumps(only)}" if only is not None else ""
            yield {"pointer": f"{where}/{missing}", "message": f"{missing} is required{value_wanted}."}
    elif error.validator in {"anyOf", "oneOf"} and error.context:
        branches = [
            inner for inner in error.context if not (inner.validator == "type" and inner.validator_value == "null")
        ]
        for inner in branches or error.context[:1]:
            inner_where = "".join(f"/{part}" for part in inner.relative_path)
            yield {
                "pointer": where + inner_where,
                "message": _sentence(name, inner.instance, inner.validator, inner.validator_value, inner.message),
            }
    else:
        yield {"pointer": where, "message": _sentence(name, value, error.validator, limit, error.message)}


def _sentence(name: str, value: Any, rule: str, limit: Any, fallback: str) -> str:
    shown = json.dumps(value, ensure_ascii=False)
    shown = shown if len(shown) <= 80 else shown[:77] + "…"
    says = RULES.get(rule)
    return f"{name} is {shown}; it {says(limit, value)}" if says else f"{name}: {fallback}"


def _neighbours(value: Any, step: Any) -> str:
    if not isinstance(value, int) or not isinstance(step, int):
        return ""
    lower = value // step * step
    return f": use {lower} or {lower + step}"


RULES: dict[str, Callable[[Any, Any], str]] = {
    "minimum": lambda limit, value: f"must be at least {limit}.",
    "maximum": lambda limit, value: f"must be at most {limit}.",
    "exclusiveMinimum": lambda limit, value: f"must be more than {limit}.",
    "multipleOf": lambda limit, value: f"must be a multiple of {limit}{_neighbours(value, limit)}.",
    "type": lambda limit, value: f"must be of type {limit if isinstance(limit, str) else ' or '.join(limit)}.",
    "enum": lambda limit, value: f"must be one of {', '.join(json.dumps(option) for option in limit)}.",
    "const": lambda limit, value: f"must be {json.dumps(limit)}.",
    "pattern": lambda limit, value: "must not be blank." if limit == r"\S" else f"must match {limit}.",
    "minLength": lambda limit, value: "must not be empty." if limit == 1 else f"must have at least {limit} characters.",
    "maxLength": lambda limit, value: f"must have at most {limit} characters.",
    "minItems": lambda limit, value: f"must have at least {limit} item{'s' if limit > 1 else ''}.",
    "maxItems": lambda limit, value: f"must have at most {limit} items.",
}


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"{GUESS}{near[0]}?" if near else f"; known are {', '.join(known) or 'none'}."


def filled(value: Any, schema: Mapping[str, Any], better: Mapping[str, Any] | None = None) -> Any:
    """A copy of a valid value, every missing optional field set; ``better`` (a model's defaults) beats the schema's."""
    schema = resolve(schema)
    if "anyOf" in schema and value is not None:
        schema = next((resolve(branch) for branch in schema["anyOf"] if branch.get("type") != "null"), schema)
    if isinstance(value, dict) and "properties" in schema:
        parts = {name: resolve(part) for name, part in schema["properties"].items()}
        defaults = {name: part["default"] for name, part in parts.items() if "default" in part}
        whole = {**copy.deepcopy({**defaults, **(better or {})}), **value}
        return {name: filled(item, parts.get(name, {})) for name, item in whole.items()}
    if isinstance(value, list) and "items" in schema:
        return [filled(item, schema["items"]) for item in value]
    if isinstance(value, float) and value.is_integer() and "integer" in _types(schema):
        return int(value)  # JSON has one kind of number: 5.0 is an integer there
    return value


def _types(schema: Mapping[str, Any]) -> list[str]:
    """The types a schema allows; a number may stay a float."""
    kinds = schema.get("type", [])
    found = [kinds] if isinstance(kinds, str) else list(kinds)
    return [] if "number" in found else found


def with_found_files(value: Any, schema: Mapping[str, Any], pointer: str, *, absolute_only: bool) -> Any:
    """A copy of a filled value in which every input file is absolute and exists.

    Raises WorkerError ``input_not_found``, or ``invalid_request`` for a relative path where only absolute ones go.
    """
    if "anyOf" in schema and value is not None:
        schema = next((branch for branch in schema["anyOf"] if branch.get("type") != "null"), schema)
    if schema.get("$ref") == INPUT_FILE and value is not None:
        return _found(value, pointer, absolute_only)
    schema = resolve(schema)
    if isinstance(value, dict):
        parts = schema.get("properties", {})
        return {
            key: with_found_files(item, parts.get(key, {}), f"{pointer}/{key}", absolute_only=absolute_only)
            for key, item in value.items()
        }
    if isinstance(value, list):
        part = schema.get("items", {})
        return [
            with_found_files(item, part, f"{pointer}/{n}", absolute_only=absolute_only) for n, item in enumerate(value)
        ]
    return value


def _found(name: str, pointer: str, absolute_only: bool) -> str:
    path = Path(name)
    if absolute_only and not path.is_absolute():
        raise WorkerError(
            "invalid_request",
            f"{name} is a relative path.",
            pointer=pointer,
            hint="With --serve every path is absolute.",
        )
    if not _is_there(path):
        raise WorkerError(
            "input_not_found",
            f"There is no file {name!r}.",
            pointer=pointer,
            hint="Check the path; relative ones start at the working directory.",
        )
    return str(path.absolute())


def _is_there(path: Path) -> bool:
    """A file or a folder; a pipe or a device would be read for ever."""
    try:
        return path.is_file() or path.is_dir()
    except (OSError, ValueError):
        return False


def parse(line: bytes) -> dict[str, Any]:
    """One JSON object from bytes (UTF-8, a byte order mark is allowed). Raises WorkerError ``invalid_request``."""
    if not line.strip():
        raise WorkerError(
            "invalid_request", "The request is empty.", hint="Give a file by --input, or a request on standard input."
        )
    try:
        value = json.loads(line.decode("utf-8-sig"), parse_constant=refuse_constant, parse_float=finite)
        _refuse_odd_text(value)
    except UnicodeDecodeError as error:
        raise WorkerError("invalid_request", f"The request is not UTF-8: byte {error.start} is wrong.") from error
    except (ValueError, RecursionError) as error:
        raise WorkerError("invalid_request", f"The request is not JSON: {error}.") from error
    if not isinstance(value, dict):
        raise WorkerError("invalid_request", f"The request is a JSON {type(value).__name__}; it must be an object.")
    return value


def refuse_constant(name: str) -> None:
    """``parse_constant`` of a strict reader. Raises ValueError: NaN and Infinity are not JSON."""
    raise ValueError(f"{name} is not a JSON number")


def finite(digits: str) -> float:
    """``parse_float`` of a strict reader. Raises ValueError for a number too large for a float."""
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits} is too large a number")
    return number


def _refuse_odd_text(value: Any) -> None:
    """No file name, font or library takes half of a surrogate pair or a NUL, so no text of a request has one."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str) and ODD.search(part):
            raise ValueError("a text holds a NUL character or half of a surrogate pair")
        if isinstance(part, (dict, list)):
            waiting.extend([*part, *part.values()] if isinstance(part, dict) else part)


def raise_for(rows: list[dict[str, str]]) -> None:
    """Raise ``invalid_request`` that lists all violations; nothing when there are none."""
    if rows:
        more = f" (and {len(rows) - 1} more)" if len(rows) > 1 else ""
        first = next((row for row in rows if GUESS in row["message"]), rows[0])  # it explains what else is missing
        raise WorkerError("invalid_request", first["message"] + more, pointer=first["pointer"], details=rows)


def envelope(request: dict[str, Any], family: str, options_schema: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The request with its defaults; raises for every violation at once, of its input and engine_options too.

    Raises WorkerError ``unsupported_version`` or ``invalid_request``.
    """
    version = request.get("v")
    if isinstance(version, int) and not isinstance(version, bool) and version != SUPPORTED_VERSION:
        raise WorkerError(
            "unsupported_version", f"v is {version}; this worker speaks {SUPPORTED_VERSION}.", pointer="/v"
        )
    rows = violations(request, document("request"))
    op, known = request.get("op"), operations(family)
    if isinstance(op, str) and op not in known and not any(row["pointer"] == "/op" for row in rows):
        rows.append({"pointer": "/op", "message": f"{op} is not an operation of {family}{_nearest(op, known)}"})
    elif op in known and isinstance(request.get("input"), dict):
        rows += violations(request["input"], input_schema(family, op), "/input")
    if options_schema is not None and isinstance(request.get("engine_options", {}), dict):
        rows += violations(request.get("engine_options", {}), options_schema, "/engine_options")
    raise_for(rows)
    whole: dict[str, Any] = filled(request, document("request"))
    return whole


@cache
def input_schema(family: str, op: str) -> dict[str, Any]:
    """The schema of an operation's input; definitions of the same file stand where they are referred to."""
    definitions = document(f"{family}/{op}")["$defs"]

    def inlined(part: Any) -> Any:
        if isinstance(part, dict):
            reference = part.get("$ref", "")
            if isinstance(reference, str) and reference.startswith("#/$defs/"):
                target = definitions[reference.rsplit("/", 1)[1]]
                return inlined({**target, **{key: value for key, value in part.items() if key != "$ref"}})
            return {key: inlined(value) for key, value in part.items()}
        return [inlined(value) for value in part] if isinstance(part, list) else part

    schema: dict[str, Any] = inlined(definitions["input"])
    return schema
