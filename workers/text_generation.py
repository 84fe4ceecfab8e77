"""The text_generation worker. ``python workers/text_generation.py --help`` says how to call it."""

from collections.abc import Mapping
from typing import Any

from language import structured
from runtime.errors import WorkerError
from runtime.request import Family
from runtime.worker import main


def needs(op: str, input: Mapping[str, Any]) -> set[str]:  # noqa: A002 - the wire's word
    """What a request asks of an engine beyond plain text.

    Raises WorkerError ``invalid_request`` for what no field shows alone: no engine is chosen yet.
    """
    if op == "generate" and (input["prompt"] is None) == (input["prompt_file"] is None):
        found = "Neither prompt nor prompt_file is" if input["prompt"] is None else "Both prompt and prompt_file are"
        raise WorkerError("invalid_request", f"{found} given.", pointer="/input/prompt", hint="Give one of the two.")
    if op == "chat" and input["messages"][-1]["role"] != "user":
        last = len(input["messages"]) - 1
        raise WorkerError(
            "invalid_request",
            f"The last message is the {input['messages'][last]['role']}'s; it must be the user's.",
            pointer=f"/input/messages/{last}/role",
        )
    if input["json_schema"] is not None:
        structured.check(input["json_schema"])
        if input["stop"]:
            raise WorkerError(
                "invalid_request",
                "stop is given together with json_schema: a stop text would cut the document.",
                pointer="/input/stop",
                hint="Leave stop out: the text ends with the document.",
            )
    system = input["system_prompt"] or any(message["role"] == "system" for message in input.get("messages", ()))
    asked = {"json_schema": input["json_schema"] is not None, "seed": input["seed"] is not None}
    asked |= {"stop": bool(input["stop"]), "system_prompt": bool(system), "prompt_file": bool(input.get("prompt_file"))}
    return {capability for capability, wanted in asked.items() if wanted}


FAMILY = Family("text_generation", prefer=("transformers",), needs=needs)

if __name__ == "__main__":
    main(FAMILY)
