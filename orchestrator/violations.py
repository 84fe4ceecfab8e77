"""What breaks a JSON Schema, in words for a person: the place, the value, what is allowed there."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsonschema import ValidationError

KINDS = {
    "object": "a table",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}
SHOWN = 80
"""Characters shown of a wrong value."""
NAME = "^[a-z0-9_]{1,64}$"
"""Pattern of names such as an engine's."""
LENGTHS = {
    "maxLength": "have at most {} characters",
    "minLength": "have at least {} characters",
    "maxItems": "have at most {} entries",
    "minItems": "have at least {} entries",
    "uniqueItems": "have no entry twice",
    "const": "be {}",
}


def sentences(error: ValidationError, where: str, member: str = "field") -> list[str]:
    """What is wrong, for each thing that is; ``where`` is the place of the value and ``member`` what its members are.

    >>> from jsonschema import Draft202012Validator
    >>> [error] = Draft202012Validator({"type": "number", "minimum": 0, "maximum": 51}).iter_errors(99)
    >>> sentences(error, "post.input.crf")
    ['post.input.crf is 99; it must be a number from 0 to 51.']
    """
    part: Any = error.schema
    given: Any = error.instance
    if error.validator == "required" or not isinstance(part, Mapping):
        return [f"{where}: {error.message}."]
    if error.validator == "additionalProperties":
        return _unknown(given, list(part.get("properties", {})), where, member)
    if error.validator in {"anyOf", "oneOf"} and error.context:
        branches = [inner for inner in error.context if inner.validator_value != "null"] or error.context
        inside = ".".join(map(str, branches[0].relative_path))
        return sentences(branches[0], f"{where}.{inside}" if inside else where)
    if error.validator in {"minLength", "pattern"} and not str(given).strip():
        allowed = "not be empty"
    elif error.validator in {"type", "enum", "minimum", "maximum", "exclusiveMinimum", "multipleOf", "pattern"}:
        allowed = f"be {_allowed(part)}"
    else:
        allowed = LENGTHS.get(str(error.validator), "be as its schema says: {}").format(error.validator_value)
    return [f"{where} is {json.dumps(given, ensure_ascii=False)[:SHOWN]}; it must {allowed}."]


def _unknown(given: Mapping[str, Any], known: Sequence[str], where: str, member: str) -> list[str]:
    lines = []
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            guess = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(known) or 'none'}."
            lines.append(f"{where} has no {member} {key}. {guess}")
    return lines


def _allowed(part: Mapping[str, Any]) -> str:
    """``a whole number from 128 to 4096, a multiple of 2``."""
    if "enum" in part:
        return f"one of {', '.join('null' if value is None else str(value) for value in part['enum'])}"
    kinds = part.get("type", "object")
    named = [kinds] if isinstance(kinds, str) else kinds
    text = " or ".join(KINDS[kind] for kind in named if kind != "null")
    least, most = part.get("minimum"), part.get("maximum")
    if "exclusiveMinimum" in part:
        text += f" above {part['exclusiveMinimum']}"
    if least is not None and most is not None:
        text += f" from {least} to {most}"
    elif least is not None or most is not None:
        text += f", at least {least}" if most is None else f", at most {most}"
    if "multipleOf" in part:
        text += f", a multiple of {part['multipleOf']}"
    if "null" in named:
        text += " or null"
    if "examples" in part:
        return f"{text} such as {', '.join(part['examples'])}"
    if part.get("pattern") == NAME:
        return f"{text} of small letters, digits and _"
    return f"{text} that fits {part['pattern']}" if "pattern" in part else text
