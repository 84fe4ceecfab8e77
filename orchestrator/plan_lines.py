"""What a run would do, in words: how long the film comes out, and a line a stage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestrator import length
from orchestrator.pipeline import STAGE_NAMES
from orchestrator.plan import LACKING, NOTHING_TO_DO, WORDS, Row
from orchestrator.stages.collect import source
from orchestrator.stages.scenes import IDEAL_SHOT_S
from orchestrator.subject import Subject
from orchestrator.wording import counted

MOST_NEW = 8
"""Items that were never made are named up to so many of a stage: of more, their number says as much."""
UNNAMED = frozenset({"done", "perhaps"})
"""States whose items are only counted."""


def lines(rows: Sequence[Row]) -> list[str]:
    """The plan: a line a stage, and one for each item that is not done; stages that nothing is known of in one line."""
    said, unknown, why = [], list[str](), ""
    for stage in STAGE_NAMES:
        own = [row for row in rows if row.stage == stage and row.state not in LACKING]
        if own and not any(row.item for row in own):
            if own[0].why != why:
                said += _unknown(unknown, why)
                unknown, why = [], own[0].why
            unknown.append(stage)
        elif own:
            said += [*_unknown(unknown, why), *_known(stage, own)]
            unknown = []
    said += _unknown(unknown, why)
    for state, heading in LACKING.items():
        if lacking := [f"  {row.why}" for row in rows if row.state == state]:
            said += [heading, *lacking]
    return said


def _known(stage: str, rows: Sequence[Row]) -> Iterator[str]:
    items = [row for row in rows if row.item]
    counts = Counter("done" if row.state in NOTHING_TO_DO else row.state for row in items)
    yield f"{stage:<10} {', '.join(f'{number} {WORDS[state]}' for state, number in counts.items())}"
    for row in items:
        if row.state not in UNNAMED and not (row.state == "missing" and counts["missing"] > MOST_NEW):
            yield f"  {row.item}: {WORDS[row.state]}{f' ({row.why})' if row.why else ''}"


def _unknown(stages: Sequence[str], why: str) -> list[str]:
    """Stages of which no item is known."""
    if len(stages) < 2:
        return [f"{stage:<10} {why}" for stage in stages]
    return [f"{', '.join(stages)}: each {why}"]


def forecast(told: Subject, profile: Mapping[str, Any], rows: Sequence[Row]) -> list[str]:
    """About how long the film comes out, and in how many shots; nothing where its narration is spoken already."""
    spoken = [row for row in rows if row.stage == "voice" and row.item]
    if spoken and all(row.state in NOTHING_TO_DO for row in spoken):
        return []
    film = profile["film"]
    seconds, words = film["target_s"], ""
    if told.story is not None:
        text = source(told.text(profile), told.story.stem, film["language"])
        count = length.of(text["paragraphs"], text["language"])
        seconds = count / film["words_per_minute"] * 60
        words = f" ({counted(count, 'word')} at {film['words_per_minute']:g} a minute)"
    shots = counted(max(1, round(seconds / IDEAL_SHOT_S)), "shot")
    return [f"The film: about {seconds:.0f} s{words}, about {shots}"]
