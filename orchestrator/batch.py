"""Many films at once: stage by stage over all of them, so that every model is loaded once, however many they are.

Where two models take turns within a stage, all films go as far as the change before any goes on.

A story that fails leaves the others alone; the same command again continues what is not done.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from orchestrator.errors import SCHEMAS, StorygenError, as_ours
from orchestrator.pipeline import Order, Production, coming
from orchestrator.pool import Pool
from orchestrator.profile import checked, load
from orchestrator.progress import Report
from orchestrator.readiness import Here, look
from orchestrator.stages import Stage
from orchestrator.subject import Subject, idea


@dataclass
class Story:
    """A line of the batch and what became of it."""

    number: int
    """Line in the file, from 1."""
    subject: Subject
    folder: Path
    profile: Mapping[str, Any] = field(default_factory=dict)
    error: StorygenError | None = None
    manifest: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def state(self) -> str:
        return self.error.code if self.error else str(self.manifest.get("state", "stopped"))


def read(path: Path, profile: str, settings: Sequence[str], out: Path) -> list[Story]:
    """The stories of a JSON lines file. Raises StorygenError naming every line that is wrong."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise StorygenError("input_not_found", f"There is no file {path}.", "Give a JSON lines file.") from None
    except (OSError, ValueError) as error:
        raise StorygenError("input_unreadable", f"{path} cannot be read as UTF-8 text: {error}.") from error
    schema = json.loads((SCHEMAS / "batch.schema.json").read_text(encoding="utf-8"))
    stories, faults = [], []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            entry = checked(json.loads(line), schema, "it", "")
            subject = _subject(entry, path.parent)
            chosen = load(entry["profile"] or profile, [*settings, *entry["set"]])
            stories.append(Story(number, subject, out / (entry["out"] or subject.name), chosen))
        except StorygenError as error:
            faults += [f"line {number}: {detail}" for detail in error.details or [error.message]]
        except ValueError as error:
            faults.append(f"line {number}: not JSON: {error}")
    folders = [story.folder.resolve() for story in stories]
    faults += [
        f"line {story.number}: {story.folder} is another line's folder too; give it an out of its own"
        for number, story in enumerate(stories)
        if folders[number] in folders[:number]
    ]
    if faults or not stories:
        hint = 'A line is an object such as {"story": "crow.md"} or {"idea": "…"}; it may have out, profile and set.'
        raise StorygenError("invalid_request", f"{path} is no batch of stories.", hint, faults or ["it has no line"])
    return stories


def _subject(entry: Mapping[str, Any], folder: Path) -> Subject:
    """What a line's film is made from. Raises StorygenError where it names not just one thing."""
    if (entry["story"] is None) == (entry["idea"] is None):
        raise StorygenError("usage", "it must have a story or an idea, one of the two")
    return Subject(story=folder / entry["story"]) if entry["idea"] is None else idea(entry["idea"])


def make_films(stories: Sequence[Story], reports: Sequence[Report], order: Order) -> None:
    """Make every film; each story then has its manifest or its error. Ctrl+C ends them all in order."""
    with Pool(retries=order.retries * len(stories), timeout_s=order.timeout_s) as pool, ExitStack() as stack:
        taken = [one for story in stories for one in coming(story.subject, story.profile, order)]
        here = look(pool, [story.profile for story in stories], taken)
        under_way = [
            _UnderWay(story, report, order, pool, here) for story, report in zip(stories, reports, strict=True)
        ]
        for one in under_way:
            stack.push(one.leave)
            one.step(one.enter)
        for name, make in order.stages():
            for one in under_way:
                one.begin(name, make)
            while going_on := [one for one in under_way if one.goes_on]:
                for one in going_on:
                    one.step(one.turn)
        for one in under_way:
            one.step(one.finish)
            one.step(partial(one.leave, None, None, None))


class _UnderWay:
    """A story of the batch that is being made, until it is finished or fails."""

    def __init__(self, story: Story, report: Report, order: Order, pool: Pool, here: Here) -> None:
        self.story, self._report, self._order, self._pool, self._here = story, report, order, pool, here
        self._production: Production | None = None
        self._turns: Iterator[None] | None = None
        self._over = False

    def step(self, do: Callable[[], None]) -> None:
        """Do one thing for the story, unless it has failed; what goes wrong now is its end."""
        if self._over:
            return
        begun = time.monotonic()
        try:
            do()
        except Exception as error:  # noqa: BLE001 - one story's fault, whatever it is, is not the others'
            self.story.error = as_ours(error)
            try:
                self.leave(type(error), error, error.__traceback__)
            except StorygenError as end:  # it knows better
                self.story.error = end
        self.story.seconds += time.monotonic() - begun

    def enter(self) -> None:
        story = self.story
        production = Production(
            story.subject, story.profile, story.folder, self._report, self._order, shared=self._pool
        )
        self._production = production.__enter__()
        self._production.check_models(self._here)

    def begin(self, name: str, make: Stage) -> None:
        """Have ``turn`` go through this stage."""
        if self._production is not None:
            self._turns = self._production.turns(name, make)

    @property
    def goes_on(self) -> bool:
        """Whether there is more to do in the stage."""
        return self._turns is not None and not self._over

    def turn(self) -> None:
        """Go on in the stage as far as its next change of models, or to its end."""
        try:
            next(self._turns or iter(()))
        except StopIteration:
            self._turns = None

    def finish(self) -> None:
        if self._production is not None:
            self._production.finish()

    def leave(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Let its folder go; the first call counts."""
        if self._over:
            return
        self._over = True
        if self._production is not None:
            try:
                self._production.__exit__(kind, error, trace)
            finally:
                self.story.manifest = self._production.manifest


def table(stories: Sequence[Story]) -> list[str]:
    """What became of each story, a line each, and the sum."""
    names = [story.subject.story.name if story.subject.story else story.subject.name for story in stories]
    width = max(map(len, names))
    said = []
    for story, name in zip(stories, names, strict=True):
        film = story.folder / "final.mp4"
        end = story.error.message if story.error else str(film) if story.manifest.get("film") else str(story.folder)
        said.append(f"{name:<{width}}  {story.state:<10}  {story.seconds:7.1f} s  {end}")
    failed = sum(story.error is not None for story in stories)
    return [*said, f"{len(stories) - failed} of {len(stories)} stories are done"]


def as_json(stories: Sequence[Story]) -> list[dict[str, Any]]:
    """{line, story, idea, folder, state, seconds, error} of each story."""
    return [
        {
            "line": story.number,
            "story": str(story.subject.story) if story.subject.story else None,
            "idea": story.subject.idea,
            "folder": str(story.folder.resolve()),
            "state": story.state,
            "seconds": round(story.seconds, 3),
            "error": story.error and {"code": story.error.code, "message": story.error.message},
        }
        for story in stories
    ]


def exit_code(stories: Sequence[Story]) -> int:
    """0 if every story is done; else the exit code of the first that failed."""
    return next((story.error.exit_code for story in stories if story.error), 0)
