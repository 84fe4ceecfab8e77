"""Stage 1: from an idea to a premise. A story that was brought needs none."""

from __future__ import annotations

from orchestrator.making import Making


def make(making: Making) -> str:
    """The user's own story is the idea."""
    return "the story's own text is told"
