"""The text_generation worker. ``python workers/text_generation.py --help`` says how to call it."""

from collections.abc import Mapping
from typing import Any

from runtime.request import Family
from runtime.worker import main


def needs(op: str, input: Mapping[str, Any]) -> set[str]:  # noqa: A002 - the wire's word
    """What a request asks of an engine beyond plain text."""
    asked = {"json_schema": input["json_schema"] is not None, "seed": input["seed"] is not None}
    asked |= {"stop": bool(input["stop"]), "system_prompt": bool(input["system_prompt"])}
    return {capability for capability, wanted in asked.items() if wanted}


FAMILY = Family("text_generation", needs=needs)

if __name__ == "__main__":
    main(FAMILY)
