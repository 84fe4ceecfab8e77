"""Which picture of each shot is kept: a vision model scores every one against what the shot is about.

All shots are drawn, then all pictures are scored, then those that fail are drawn again: the two models, which seldom
fit into one card, take turns once a round and not once a picture. At the end the chosen ones are compared. The steps
are generators that pause at each turn, so that a batch can have the films of all stories drawn, then judged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from orchestrator.errors import StorygenError
from orchestrator.item import Item
from orchestrator.making import Making, item_name

T = TypeVar("T")
VERSION = "1"
LIKE = {"shots": [{"number": 1, "picture": "", "tried": [{"picture": ""}]}], "consistency": None}
"""What every choice has, an edited one too."""
WINDOW = 6
"""Pictures compared in one question; the last one stands in the next question too. Models lose track of more."""
MAX_ADVICE = 3
"""Suggestions of the judge that go into the next prompt; more drown the prompt."""

Shot = Mapping[str, Any]
Turns = Generator[None, None, T]
"""Pauses where the next step takes another model; what it returns is the result."""
Draw = Callable[[Shot, str, int, Sequence[str]], Item]
"""Draws a shot: (shot, item's name, roll from 0, suggestions of the judge) -> an item with ``images``."""


@dataclass(frozen=True)
class Attempt:
    """A picture that was drawn for a shot, and what the judge said of it."""

    shot: int
    roll: int
    """0 for the first, then one more each time that the shot was drawn again."""
    picture: str
    """``shot-001/shot-001_001.png``: the file, relative to the stage's folder."""
    path: Path
    prompt: str
    seed: int | None
    own: bool
    """The user changed it by hand, so nobody judges it."""
    score: float | None = None
    """0 to 1, how well it shows its description; None where it was not judged."""
    explanation: str = ""
    suggestions: tuple[str, ...] = ()

    @property
    def worth(self) -> float:
        """What it is chosen by: the user's own beats every score."""
        return float("inf") if self.own else self.score or 0.0

    def facts(self) -> dict[str, Any]:
        """For documents: {picture, roll, seed, prompt, score, explanation, suggestions}."""
        names = ("picture", "roll", "seed", "prompt", "score", "explanation")
        return {name: getattr(self, name) for name in names} | {"suggestions": list(self.suggestions)}


class Selection:
    """The pictures of a film on their way to being chosen."""

    def __init__(self, making: Making, draw: Draw) -> None:
        self._making, self._run, self._draw = making, making.run, draw
        self._gate, self._judge = making.profile["gate"], making.settings("vision")
        self._attempts: dict[int, list[Attempt]] = defaultdict(list)
        self._compared: dict[tuple[Path, ...], Item] = {}
        self._items = 0

    def choose(self) -> Turns[list[Path]]:
        """The kept picture of every shot, in order.

        Raises StorygenError, as any item does, and ``invalid_request`` where an edited choice names no picture.
        """
        yield from self._roll(self._making.shots)
        for _ in range(self._gate["rerolls"]):
            failing = [
                shot for shot in self._making.shots if self._best(shot["number"]).worth < self._gate["threshold"]
            ]
            if not failing:
                break
            yield
            yield from self._roll(failing)
        chosen = {shot["number"]: self._best(shot["number"]) for shot in self._making.shots}
        harmony = yield from self._harmonised(chosen)
        return self._kept(chosen, harmony)

    def _best(self, number: int) -> Attempt:
        return max(self._attempts[number], key=lambda attempt: attempt.worth)  # of equals the first

    # Rounds

    def _roll(self, shots: Iterable[Shot]) -> Turns[None]:
        """Draw these shots once more, then have all the new pictures judged."""
        drawing = [partial(self._drawn, shot) for shot in shots]
        drawn = self._together(drawing, self._making.settings("keyframes"), "image_generation", "generate")
        pictures = [attempt for attempts in drawn for attempt in attempts]
        self._items += len(drawing) + len(pictures)
        self._run.report.stage_items("keyframes", self._items + 1)  # and the choice; nobody knows the rounds to come
        yield
        judging = [partial(self._judged, attempt) for attempt in pictures]
        for attempt in self._together(judging, self._judge, "vision_language", "validate_scene"):
            self._attempts[attempt.shot].append(attempt)

    def _together(
        self, jobs: Sequence[Callable[[], Any]], settings: Mapping[str, Any], family: str, op: str
    ) -> list[Any]:
        return self._run.wait(self._run.beside("keyframes", jobs, settings, family, op))

    def _drawn(self, shot: Shot) -> list[Attempt]:
        before = self._attempts[shot["number"]]
        roll = before[-1].roll + 1 if before else 0
        name = item_name("shot", shot["number"]) + (f"-again-{roll}" if roll else "")
        advice = self._best(shot["number"]).suggestions[:MAX_ADVICE] if before else ()
        item = self._draw(shot, name, roll, advice)
        return [
            Attempt(
                shot["number"],
                roll,
                f"{name}/{Path(image['path']).name}",
                Path(image["path"]),
                image["prompt"],
                image["seed"],
                own=bool(image.get("edited")),
            )
            for image in item.output["images"]
        ]

    def _judged(self, attempt: Attempt) -> Attempt:
        if attempt.own:
            return attempt
        shot = self._making.shots[attempt.shot - 1]
        question = {"image": attempt.path, "description": shot.get("description") or shot["text"]}
        said = self._asked("validate_scene", f"{attempt.path.stem}-score", question).output
        return replace(
            attempt,
            score=said["match_score"],
            explanation=said["explanation"],
            suggestions=tuple(said["suggestions"]),
        )

    def _asked(self, op: str, name: str, question: Mapping[str, Any]) -> Item:
        """The judge's answer. It is not told the thresholds: to change one must not cost a question."""
        asked = {**self._judge["input"], **question}
        item = self._run.work("keyframes", name, "vision_language", op, asked, settings=self._judge)
        self._making.judges.add(item.engine)
        return item

    # All together

    def _harmonised(self, chosen: dict[int, Attempt]) -> Turns[dict[str, Any] | None]:
        """Draw the shot that fits the others least again, as often as allowed, and keep what fits better.

        ``chosen`` is changed. Returns {score, analysis[]} of the set that is kept; None for a film of one shot.
        """
        if len(chosen) < 2:
            return None
        found = self._compare(chosen)
        for _ in range(self._gate["consistency_rerolls"]):
            open_ones = [number for number, attempt in chosen.items() if not attempt.own]
            if found.score >= self._gate["consistency_threshold"] or not open_ones:
                break
            worst = min(open_ones, key=lambda number: found.of_shot[number])
            seen = len(self._attempts[worst])
            yield
            yield from self._roll([self._making.shots[worst - 1]])
            fresh = max(self._attempts[worst][seen:], key=lambda attempt: attempt.worth)
            if fresh.worth < min(self._gate["threshold"], chosen[worst].worth):
                continue
            other = self._compare({**chosen, worst: fresh})
            if (other.score, other.of_shot[worst]) > (found.score, found.of_shot[worst]):
                chosen[worst], found = fresh, other
        return {"score": found.score, "analysis": found.analysis}

    def _compare(self, chosen: Mapping[int, Attempt]) -> Harmony:
        """How well the chosen pictures fit together, by windows that overlap by one picture."""
        of_shot: dict[int, float] = {}
        items = []
        for numbers in windows(list(chosen)):
            pictures = tuple(chosen[number].path for number in numbers)
            if pictures not in self._compared:
                name = f"consistency-{len(self._compared) + 1:03d}"
                self._compared[pictures] = self._asked("check_consistency", name, {"images": list(pictures)})
            items.append(self._compared[pictures])
            scores = items[-1].output["image_scores"]
            of_shot |= {
                number: min(score, of_shot.get(number, 1.0)) for number, score in zip(numbers, scores, strict=True)
            }
        lowest = min(item.output["consistency_score"] for item in items)
        return Harmony(lowest, of_shot, [item.output["analysis"] for item in items])

    # What is kept

    def _kept(self, chosen: Mapping[int, Attempt], harmony: Mapping[str, Any] | None) -> list[Path]:
        """Write the choice down, where the user can make another, and go by what stands there."""
        shots = [
            {"number": number, "picture": chosen[number].picture, "tried": [each.facts() for each in attempts]}
            for number, attempts in sorted(self._attempts.items())
        ]
        document = {"shots": shots, "consistency": harmony}
        item = self._run.rule("keyframes", "chosen", VERSION, document, lambda: document)
        kept = taken(self._making, {**document, "shots": [*_with_picks(shots, item.document()["shots"])]})
        for number, path in zip(sorted(chosen), kept, strict=True):
            mine = next(attempt for attempt in self._attempts[number] if attempt.path == path)
            if mine.worth < self._gate["threshold"]:
                message = (
                    f"Shot {number}: the best of {len(self._attempts[number])} pictures scores {mine.worth:.2f}, "
                    f"below {self._gate['threshold']:g}: {mine.explanation}"
                )
                item = self._run.warned(item, {"code": "below_threshold", "message": message})
        if kept != [chosen[number].path for number in sorted(chosen)]:
            self._making.consistency = None  # another set was never compared
        elif harmony is not None and harmony["score"] < self._gate["consistency_threshold"]:
            message = (
                f"The pictures fit together by {harmony['score']:.2f}, below {self._gate['consistency_threshold']:g}: "
                f"{' '.join(harmony['analysis'])}"
            )
            self._run.warned(item, {"code": "inconsistent", "message": message})
        return kept


def _with_picks(shots: Sequence[Mapping[str, Any]], edited: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The shots with the pictures that a document which may have been edited names for them."""
    picked = {shot["number"]: shot["picture"] for shot in edited}
    for shot in shots:
        yield {**shot, "picture": picked.get(shot["number"])}


def taken(making: Making, document: Mapping[str, Any]) -> list[Path]:
    """The pictures that a choice names, in order of the shots; what was tried goes to the manifest.

    Raises StorygenError ``invalid_request`` for a picture that was not drawn for its shot.
    """
    kept = []
    for shot in document["shots"]:
        pictures = [each["picture"] for each in shot["tried"]]
        if shot["picture"] not in pictures:
            raise StorygenError(
                "invalid_request",
                f"keyframes/chosen/chosen.json names {shot['picture']!r} for shot {shot['number']}.",
                f"It may name {', '.join(pictures)}; or --force keyframes/chosen.",
            )
        kept.append(making.run.folder / "keyframes" / shot["picture"])
        making.attempts[shot["number"]] = [
            {**each, "kept": each["picture"] == shot["picture"]} for each in shot["tried"]
        ]
    making.consistency = document["consistency"]
    return kept


def as_chosen(making: Making) -> list[Path]:
    """The pictures of an earlier choice, where the run takes the stage as it lies in its folder; nothing else."""
    if not (making.run.folder / "keyframes" / "chosen").is_dir():
        return []
    stored = making.as_stored("keyframes", "chosen", LIKE)
    return taken(making, stored.document()) if stored else []


@dataclass(frozen=True)
class Harmony:
    """How well a set of pictures fits together: 0 to 1 for the whole, and for each shot by its number."""

    score: float
    of_shot: Mapping[int, float]
    analysis: list[str]


def windows(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    """At least two and at most ``WINDOW`` neighbours each; the last one of a window is the first of the next.

    >>> [list(each) for each in windows([1, 2, 3, 4, 5, 6, 7])]
    [[1, 2, 3, 4, 5, 6], [6, 7]]
    """
    for first in range(0, len(numbers) - 1, WINDOW - 1):
        yield numbers[first : first + WINDOW]
