"""Scores that a model gives, from 0 to 100 for each criterion, and what they come to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

IDEA = {"originality": 0.20, "emotion": 0.25, "clarity": 0.20, "audience": 0.20, "pictures": 0.15}
"""Criterion -> its weight, for ideas. What each asks stands in ``prompts/idea_scores.md``."""
SCRIPT = {"engagement": 0.25, "hook": 0.10, "clarity": 0.15, "pacing": 0.15, "audience": 0.15, "storytelling": 0.20}
"""For scripts, with ``prompts/script_scores.md``."""
OTHER_SCALE = 10
"""Where no score is above it, the model took another scale: even a bad text has one criterion above 10 of 100."""

Scores = Mapping[str, float]


def weighted(scores: Scores, weights: Mapping[str, float]) -> float:
    """The sum of the scores by their weights, from 0 to 100.

    >>> weighted({"hook": 50, "clarity": 100}, {"hook": 0.5, "clarity": 0.5})
    75.0
    """
    return round(sum(weight * scores[name] for name, weight in weights.items()), 2)


def wrong_scale(all_scores: Iterable[Scores], weights: Mapping[str, float]) -> list[str]:
    """What is wrong with the scores of one answer: that they were given on a scale to 10 or to 1."""
    best = max((scores[name] for scores in all_scores for name in weights), default=0.0)
    return [] if best > OTHER_SCALE else [f"the highest score is {best:g}; the scale goes from 0 to 100"]
