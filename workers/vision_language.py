"""The vision_language worker. ``python workers/vision_language.py --help`` says how to call it."""

from collections.abc import Mapping
from typing import Any

from language import structured
from runtime.request import Family
from runtime.worker import main


def needs(op: str, input: Mapping[str, Any]) -> set[str]:  # noqa: A002 - the wire's word
    """What a request asks of an engine beyond looking. Raises WorkerError ``invalid_request`` for a wrong schema."""
    asked = {"json_schema": input.get("json_schema") is not None, "seed": input["seed"] is not None}
    if asked["json_schema"]:
        structured.check(input["json_schema"])
    return {capability for capability, wanted in asked.items() if wanted}


FAMILY = Family("vision_language", prefer=("transformers",), needs=needs)

if __name__ == "__main__":
    main(FAMILY)
