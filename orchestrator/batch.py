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

from orchestrator import options, plan
from orchestrator.choices import CAPTIONS
from orchestrator.errors import SCHEMAS, StorygenError, as_ours
from orchestrator.pipeline import Order, Production, coming
from orchestrator.plan_lines import forecast, lines
from orchestrator.pool import Pool
from orchestrator.profile import checked
from orchestrator.progress import NoReport, Report
from orchestrator.readiness import Here, look
from orchestrator.stages import Stage
from orchestrator.subject import Subject, idea

EXAMPLE = '{"story": "crow.md", "set": {"film.width": 270}} or {"idea": "…", "set": ["film.width=270"]}'


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
            chosen = _profile(entry, subject, path.parent, profile, settings)
            stories.append(Story(number, subject, _folder(entry["out"] or subject.name, out), chosen))
        except StorygenError as error:
            faults += [f"line {number}: {detail}" for detail in error.details or [_in_words(error)]]
        except ValueError as error:
            faults.append(f"line {number}: not JSON: {error}")
    folders = [story.folder.resolve() for story in stories]
    faults += [
        f"line {story.number}: {story.folder} is another line's folder too; give it an out of its own"
        for number, story in enumerate(stories)
        if folders[number] in folders[:number]
    ]
    if faults or not stories:
        hint = f"A line is an object such as {EXAMPLE}; storygen batch --help says what it may have."
        raise StorygenError("invalid_request", f"{path} is no batch of stories.", hint, faults or ["it has no line"])
    return stories


def _subject(entry: Mapping[str, Any], folder: Path) -> Subject:
    """What a line's film is made from. Raises StorygenError where it names not just one thing."""
    if (entry["story"] is None) == (entry["idea"] is None):
        raise StorygenError("usage", "it must have a story or an idea, one of the two")
    return Subject(story=folder / entry["story"]) if entry["idea"] is None else idea(entry["idea"])


def _profile(
    entry: Mapping[str, Any], subject: Subject, folder: Path, profile: str, settings: Sequence[str]
) -> dict[str, Any]:
    """The profile of a line's film: what the line says is laid over the batch's settings, its ``set`` over all."""
    places = {name: folder / entry[name] if entry[name] else None for name in ("pictures", "references", "music")}
    film = {name: entry[name] for name in ("language", "audience", "style")}
    film |= {"target_s": entry["seconds"], "references": places["references"], **options.size(entry["format"])}
    own = list(_settings(entry["set"])) if isinstance(entry["set"], Mapping) else entry["set"]
    captions = CAPTIONS[entry["captions"]] if entry["captions"] else None
    chosen = options.profile(
        entry["profile"] or profile, film, captions, own, places["pictures"], places["music"], base=settings
    )
    options.refuse_unused(subject, chosen, film)
    return chosen


def _settings(table: Mapping[str, Any], before: str = "") -> Iterator[str]:
    """The ``stage.key=value`` texts of an object with such keys, or with objects of stages.

    >>> list(_settings({"film.width": 270, "voice": {"input": {"speed": 1.2}}}))
    ['film.width=270', 'voice.input.speed=1.2']
    """
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _settings(value, f"{before}{key}.")
        else:
            yield f"{before}{key}={json.dumps(value, ensure_ascii=False)}"


def _folder(name: str, out: Path) -> Path:
    """Folder of a film: in that of the batch, whether ``name`` says so itself or not.

    >>> _folder("b1", Path("runs")) == _folder("runs/b1", Path("runs")) == Path("runs/b1")
    True
    """
    return Path(name) if Path(name).parts[: len(out.parts)] == out.parts else out / name


def _in_words(error: StorygenError) -> str:
    return f"{error.message} {error.hint}" if error.hint else error.message


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


def plans(stories: Sequence[Story], order: Order, *, as_json: bool) -> Iterator[str]:
    """What would be made of each story, in words or as JSON lines; one that cannot be told has its error then."""
    for story in stories:
        rows: list[plan.Row] = []
        try:
            rows = plan.plan(story.subject, story.profile, story.folder, order, NoReport(), ready=True)
            hint = options.language_hint(story.subject, story.profile)
            told = [
                *([f"warning: {hint}"] if hint else []),
                *forecast(story.subject, story.profile, rows),
                *lines(rows),
            ]
        except StorygenError as error:
            story.error, told = error, [f"error: {_in_words(error)}"]
        if as_json:
            yield json.dumps({"type": "plan", **_facts(story), "error": _error(story), "plan": plan.as_json(rows)})
        else:
            yield "\n".join([f"{story.subject.words} -> {story.folder}", *(f"  {line}" for line in told)])


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
        if (said := options.language_hint(story.subject, story.profile)) and not (story.folder / "collect").exists():
            self._report.item_done("collect", "", [{"code": "language_assumed", "message": said}])
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
    width, states = max(map(len, names)), max(len(story.state) for story in stories)
    said = []
    for story, name in zip(stories, names, strict=True):
        film = story.folder / "final.mp4"
        end = story.error.message if story.error else str(film) if story.manifest.get("film") else str(story.folder)
        said.append(f"{name:<{width}}  {story.state:<{states}}  {story.seconds:7.1f} s  {end}")
    done = sum(story.error is None for story in stories)
    return [*said, f"{done} of {len(stories)} stories are done"]


def as_json(stories: Sequence[Story]) -> list[dict[str, Any]]:
    """{line, story, idea, folder, state, seconds, error} of each story."""
    return [
        {**_facts(story), "state": story.state, "seconds": round(story.seconds, 3), "error": _error(story)}
        for story in stories
    ]


def _facts(story: Story) -> dict[str, Any]:
    return {
        "line": story.number,
        "story": str(story.subject.story) if story.subject.story else None,
        "idea": story.subject.idea,
        "folder": str(story.folder.resolve()),
    }


def _error(story: Story) -> dict[str, str] | None:
    return {"code": story.error.code, "message": story.error.message} if story.error else None


def exit_code(stories: Sequence[Story]) -> int:
    """0 if every story is done; else the exit code of the first that failed."""
    return next((story.error.exit_code for story in stories if story.error), 0)
