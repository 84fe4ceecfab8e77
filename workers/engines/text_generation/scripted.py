"""Text that a file holds: for trying hosts and stages without a language model."""

from runtime import scripted

Engine = scripted.engine(("generate",), frozenset({"json_schema", "seed", "stop", "streaming", "system_prompt"}))
