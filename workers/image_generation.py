"""The image_generation worker. ``python workers/image_generation.py --help`` says how to call it."""

from collections.abc import Mapping
from typing import Any

from runtime.errors import WorkerError
from runtime.request import Family
from runtime.worker import main

OF_OPERATIONS = {
    "generate": set[str](),
    "read_scenes": set[str](),
    "transform": {"image_to_image"},
    "upscale": {"upscale"},
}


def needs(op: str, input: Mapping[str, Any]) -> set[str]:  # noqa: A002 - the wire's word
    """What a request asks of an engine beyond a picture of its size.

    Raises WorkerError ``invalid_request`` for what no field shows alone: no engine is chosen yet.
    """
    if op == "read_scenes":
        return OF_OPERATIONS[op]
    for number, lora in enumerate(input.get("loras", ())):
        if (lora["path"] is None) == (lora["id"] is None):
            found = "Neither path nor id is" if lora["path"] is None else "Both path and id are"
            raise WorkerError(
                "invalid_request", f"{found} given.", pointer=f"/input/loras/{number}", hint="Give one of the two."
            )
    asked = {"negative_prompt": bool(input["negative_prompt"]), "scheduler": input["scheduler"] is not None}
    asked |= {"seed": input["seed"] is not None, "safety_filter": input.get("safety_filter", False)}
    asked |= {"lora": bool(input.get("loras")), "controlnet": bool(input.get("control"))}
    asked |= {"refiner": input.get("refiner") is not None}
    return {capability for capability, wanted in asked.items() if wanted} | OF_OPERATIONS[op]


# A storyboard needs neither a model nor a GPU: whoever wants more names a model or what a storyboard cannot.
FAMILY = Family("image_generation", prefer=("storyboard", "sdxl"), needs=needs)

if __name__ == "__main__":
    main(FAMILY)
