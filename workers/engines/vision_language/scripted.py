"""Judgements that a file holds: for trying hosts and stages without a vision model."""

from runtime import scripted

Engine = scripted.engine(
    ("analyze_image", "check_consistency", "validate_scene"), frozenset({"json_schema", "seed", "streaming"})
)
