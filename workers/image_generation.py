"""The image_generation worker. ``python workers/image_generation.py --help`` says how to call it."""

from collections.abc import Mapping
from typing import Any

from runtime.request import Family
from runtime.worker import main


def needs(op: str, input: Mapping[str, Any]) -> set[str]:  # noqa: A002 - the wire's word
    """What a request asks of an engine beyond a picture of its size."""
    asked = {"negative_prompt": bool(input["negative_prompt"]), "scheduler": input["scheduler"] is not None}
    asked |= {"seed": input["seed"] is not None, "safety_filter": input["safety_filter"]}
    return {capability for capability, wanted in asked.items() if wanted}


FAMILY = Family("image_generation", prefer=("storyboard",), needs=needs)

if __name__ == "__main__":
    main(FAMILY)
