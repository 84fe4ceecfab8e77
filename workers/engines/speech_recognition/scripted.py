"""Transcripts that a file holds: for trying hosts and stages without a recogniser."""

from runtime import scripted

Engine = scripted.engine(
    ("align", "detect_language", "subtitle", "transcribe"),
    frozenset({"batch", "hotwords", "initial_prompt", "translate", "word_timestamps"}),
)
