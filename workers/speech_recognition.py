"""The speech_recognition worker. ``python workers/speech_recognition.py --help`` says how to call it."""

from collections.abc import Mapping
from typing import Any

from runtime.request import Family
from runtime.worker import main


def needs(op: str, input: Mapping[str, Any]) -> set[str]:  # noqa: A002 - the wire's word
    """What a request asks of an engine beyond the words that are spoken."""
    asked = {"word_timestamps": op in {"align", "subtitle"} or bool(input.get("word_timestamps"))}
    asked |= {"translate": input.get("task") == "translate", "batch": input.get("batch_size", 1) > 1}
    asked |= {name: bool(input.get(name)) for name in ("initial_prompt", "hotwords")}
    return {capability for capability, wanted in asked.items() if wanted}


FAMILY = Family("speech_recognition", prefer=("faster_whisper",), needs=needs)

if __name__ == "__main__":
    main(FAMILY)
