"""Stage 7: the visual bible that every picture follows. It takes a text or vision model to write one."""

from __future__ import annotations

from orchestrator.making import Making


def make(making: Making) -> str:
    """No bible: each picture follows its own sentence."""
    return "this profile has no text or vision model; each picture follows its own words"
