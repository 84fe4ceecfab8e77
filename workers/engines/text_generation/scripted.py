"""Text that a file holds: for trying hosts and stages without a language model."""

from runtime import scripted

Engine = scripted.engine(
    ("generate", "chat"), frozenset({"json_schema", "prompt_file", "seed", "stop", "streaming", "system_prompt"})
)
