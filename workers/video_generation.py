"""The video_generation worker. ``python workers/video_generation.py --help`` says how to call it."""

from collections.abc import Mapping
from typing import Any

from runtime.request import Family
from runtime.worker import main


def needs(op: str, input: Mapping[str, Any]) -> set[str]:  # noqa: A002 - the wire's word
    """What a request asks of an engine beyond a clip of its size; words of prompts may be ignored, as schemas say."""
    asked = {"text_to_video": op == "generate", "image_to_video": op != "generate"}
    asked |= {"seed": input["seed"] is not None, "motion": input.get("motion") is not None}
    return {capability for capability, wanted in asked.items() if wanted}


FAMILY = Family("video_generation", prefer=("ken_burns",), needs=needs)

if __name__ == "__main__":
    main(FAMILY)
