"""Structured output: schemas that a request brings, and texts that must satisfy them. For every engine."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from runtime.errors import WorkerError
from runtime.validation import finite, refuse_constant

POINTER = "/input/json_schema"
SHOWN = 200
"""Characters of a wrong text that an error shows."""


class NotTheDocument(ValueError):
    """A text is no JSON, or its document breaks the schema; the message says where."""


def check(schema: Mapping[str, Any]) -> None:
    """Whether this is a JSON Schema that stands by itself. Raises WorkerError ``invalid_request`` otherwise."""
    from jsonschema import Draft202012Validator, SchemaError
    from referencing import Registry
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    try:
        Draft202012Validator.check_schema(dict(schema))
    except SchemaError as error:
        where = "".join(f"/{part}" for part in error.absolute_path)
        raise WorkerError(
            "invalid_request", f"json_schema is no JSON Schema: {error.message}", pointer=POINTER + where
        ) from error
    resolver = Registry().resolver_with_root(DRAFT202012.create_resource(dict(schema)))
    for reference in _references(schema):
        try:
            if not reference.startswith("#"):
                raise WorkerError(
                    "invalid_request",
                    f"json_schema refers to {reference}, which lies outside it.",
                    pointer=POINTER,
                    hint="Put it under $defs and refer to it by #/$defs/<name>.",
                )
            resolver.lookup(reference)
        except Unresolvable as error:
            raise WorkerError(
                "invalid_request", f"json_schema refers to {reference}, which it does not hold.", pointer=POINTER
            ) from error


def document(text: str, schema: Mapping[str, Any]) -> Any:
    """The JSON document of a text, valid by the schema. Raises NotTheDocument.

    >>> document('{"title": "Two Lamps"}', {"required": ["title"]})
    {'title': 'Two Lamps'}
    """
    from jsonschema import Draft202012Validator

    try:
        found = json.loads(text, parse_constant=refuse_constant, parse_float=finite)
        json.dumps(found, ensure_ascii=False).encode()  # half of a surrogate pair is JSON, but no text
    except (ValueError, RecursionError) as error:
        raise NotTheDocument(f"the text is no JSON document: {error}; it is {_shown(text)}") from error
    violation = next(Draft202012Validator(dict(schema)).iter_errors(found), None)
    if violation is not None:
        where = "".join(f"/{part}" for part in violation.absolute_path) or "the document"
        raise NotTheDocument(f"{where}: {violation.message[:SHOWN]}")
    return found


def cut_off(text: str, max_tokens: int) -> WorkerError:
    """The error of a document that max_tokens ended too early."""
    return WorkerError(
        "invalid_request",
        f"The JSON document was not complete after max_tokens {max_tokens}; it begins {_shown(text)}",
        pointer="/input/max_tokens",
        hint="Raise max_tokens; a json_schema of your own can bound its texts and lists by maxLength and maxItems.",
    )


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for key, value in part.items():
            if key not in {"const", "enum", "default", "examples"}:  # data, not schemas
                yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)


def _shown(text: str) -> str:
    return json.dumps(text if len(text) <= SHOWN else text[:SHOWN] + "…", ensure_ascii=False)
