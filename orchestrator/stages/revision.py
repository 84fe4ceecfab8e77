"""Stage 3: scoring and rewriting the script. A user's own text is told as it is written."""

from __future__ import annotations

from orchestrator.making import Making


def make(making: Making) -> str:
    """Nothing is rewritten."""
    return "the user's text is told as it is written; this profile has no text model"
