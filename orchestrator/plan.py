"""What a run would do, without doing it: for ``--dry-run`` and ``storygen status``.

The stages themselves are gone through, in a folder that is only looked at. An item that would have to be made is stood
in for by its last version; where there is none, nothing that needs it can be known yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from filelock import Timeout

from orchestrator import readiness, settings
from orchestrator.errors import StorygenError
from orchestrator.item import Item, absolute
from orchestrator.keys import Key
from orchestrator.making import Making
from orchestrator.pipeline import Order, coming
from orchestrator.pool import Pool
from orchestrator.progress import NoReport, Report
from orchestrator.readiness import Gap, stage_of
from orchestrator.run import TRY_NEXT, Renew, Run
from orchestrator.run_folder import LOCK, MARK
from orchestrator.subject import Subject

T = TypeVar("T")
WORDS = {
    "done": "done",
    "edited": "edited by hand, used as it is",
    "reusable": "taken from the other run",
    "stale": "to be made again",
    "damaged": "to be made again",
    "missing": "to be made",
    "perhaps": "made again if what it depends on comes out otherwise",
    "unknown": "to be made",
}
NOTHING_TO_DO = frozenset({"done", "edited"})
ALL_DONE = NOTHING_TO_DO | {"reusable"}
"""Where no engine has anything to do."""
LACKING = {
    "lacking": "What is not here, so a run would end before its first stage:",
    "replaced": "What is not here, so a run would do with another engine:",
}
"""States of rows about what a run lacks: what is said above them."""
TO_MAKE = frozenset({"stale", "damaged", "missing"})


@dataclass(frozen=True)
class Row:
    """One item of the plan: ``state`` is one of WORDS, ``why`` says what is the matter.

    Or something that the run lacks: then ``state`` is one of LACKING and ``item`` is empty.
    """

    stage: str
    item: str
    state: str
    why: str


class UnknownYetError(Exception):
    """What is asked for follows from something that has not been made."""


class _NotMade(dict[str, Any]):
    """The output of an item that was never made."""

    def __missing__(self, name: str) -> NoReturn:
        raise UnknownYetError(name)


class Plan(Run):
    """A run that only looks. Nothing in its folder is changed, not even made."""

    def __init__(self, folder: Path, pool: Pool, report: Report, order: Order) -> None:
        super().__init__(folder, pool, report, order.wishes())
        self.rows: list[Row] = []
        self._unmade: list[Path] = []
        self._tainted: dict[tuple[str, str], str] = {}
        self._values_unsure = False
        self.waiting = False
        """Whether a job is for something that follows from what is made before."""

    def __enter__(self) -> Plan:
        if self.folder.exists() and not (self.folder / MARK).is_file():
            if not self.folder.is_dir() or any(path.name != LOCK for path in self.folder.iterdir()):
                raise StorygenError(
                    "output_failed", f"{self.folder} is not a run's folder.", "Choose an empty or a new folder."
                )
        elif self.folder.exists():
            try:
                self._lock.acquire(timeout=0)
            except Timeout:
                raise StorygenError(
                    "output_failed", f"A run is working in {self.folder} right now.", "Ask again when it has ended."
                ) from None
            except OSError:
                pass  # a folder that cannot be written to can be looked at
        return self

    def __exit__(self, *exception: object) -> None:
        self.pool.close()
        self._lock.release()

    def event(self, stage: str, item: str, event: Mapping[str, Any]) -> None:
        """Nothing is kept."""

    def beside(
        self, stage: str, jobs: Iterable[Callable[[], T]], settings: Mapping[str, Any], family: str, op: str
    ) -> list[Future[T]]:
        """Do them now: nothing takes time here."""
        futures: list[Future[T]] = []
        for job in jobs:
            futures.append(Future())
            try:
                futures[-1].set_result(job())
            except UnknownYetError as error:
                futures[-1].set_exception(error)
                self.waiting = True
        return futures

    def wait(self, futures: Iterable[Future[T]]) -> list[T]:
        """What is known of them. Raises UnknownYetError."""
        return [future.result() for future in futures]

    def _item(
        self,
        stage: str,
        name: str,
        key: Key,
        make: Callable[[Path], dict[str, Any]],
        *,
        document: Callable[[], dict[str, Any]] | None = None,
        violations: Callable[[Any], list[str]] | None = None,
        renewed: bool = False,
    ) -> Item:
        folder = self.folder / stage / name
        look = self.look(stage, name, key, violations)
        state, why = ("stale", f"{look.why}; your edits are kept") if renewed else (look.state, look.why)
        if state == "done" and (source := self._tainted.get((stage, name))):
            state, why = "stale", f"it is made from {source}"
        elif state == "done" and self._values_unsure and stage not in self.wishes.as_stored:
            state, why = "perhaps", "something before it is made again"
        elif state not in NOTHING_TO_DO and self._source_elsewhere(stage, name, key):
            state, why = "reusable", f"as in {self.wishes.reuse}"
        self.rows.append(Row(stage, name, state, why))
        if document is not None and state in TO_MAKE and stage not in self.wishes.as_stored:
            return Item(stage, name, _NotMade(), False, 0.0, "rules", planned=document())
        if state in TO_MAKE:
            self._unmade.append(folder)
        if look.stored is None or state == "damaged":
            return Item(stage, name, _NotMade(), False, 0.0, "")
        output, stands_in = absolute(look.stored["output"], folder), state not in NOTHING_TO_DO
        return Item(stage, name, output, True, 0.0, look.stored["engine"], stands_in=stands_in)

    def work(self, stage: str, name: str, family: str, op: str, input: Mapping[str, Any], **how: Any) -> Item:  # noqa: A002
        """As in a run. What is made from a file that is to be made is to be made too.

        What a text model is to say anew may come out otherwise, and with it all that follows.
        """
        made_from = [folder for path in _paths(input) for folder in self._unmade if path.is_relative_to(folder)]
        if made_from:
            self._tainted[stage, name] = made_from[0].relative_to(self.folder).as_posix()
        item = super().work(stage, name, family, op, input, **how)
        self._values_unsure |= family == "text_generation" and bool(self._unmade)
        return item

    def warned(self, item: Item, warning: dict[str, str]) -> Item:
        """As in a run, but nobody is told: nothing was made."""
        return replace(item, warnings=[*item.warnings, warning])

    def rule(
        self,
        stage: str,
        name: str,
        version: str,
        inputs: Mapping[str, Any],
        make: Callable[[], dict[str, Any]],
        *,
        renew: Renew | None = None,
    ) -> Item:
        """As in a run. From here on values may follow from something unmade, which nobody can tell apart."""
        self._values_unsure = self._values_unsure or bool(self._unmade)
        return super().rule(stage, name, version, inputs, make, renew=renew)


def _paths(value: Any) -> list[Path]:
    if isinstance(value, Path):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    return [path for item in value for path in _paths(item)] if isinstance(value, (list, tuple)) else []


def plan(
    subject: Subject, profile: Mapping[str, Any], folder: Path, order: Order, report: Report, *, ready: bool = False
) -> list[Row]:
    """Every item of a run and what would become of it; with ``ready`` also what the run lacks on this machine.

    Raises StorygenError as a run does, but not for what it lacks.
    """
    text = subject.text(profile)
    with Plan(folder, Pool(), report, order) as run:
        taken = coming(subject, profile, order) if ready else []
        here = readiness.look(run.pool, [profile], taken)
        if (wrong := settings.error(taken, run.pool)) is not None:
            raise wrong
        run.lacking = readiness.lacks_of(taken, run.pool, here)
        making = Making(run, profile, subject.story, text, subject.idea)
        rows = look(run, making, order)
        return [*rows, *_lacking(_noticed(readiness.gaps(taken, run.lacking), run, making))]


def look(run: Plan, making: Making, order: Order) -> list[Row]:
    """Go through the stages as far as they can be known; an engine that cannot be used is as far as that goes."""
    known, why = True, "follows from what is made before"
    for name, make in order.stages():
        before = len(run.rows)
        try:
            if known:
                make(making)
        except UnknownYetError:
            known = False
        except StorygenError as error:
            if error.code not in TRY_NEXT:
                raise
            known = False
            run.rows.append(Row(name, "", "unknown", error.message))
        if len(run.rows) == before and (not known or run.waiting):
            run.rows.append(Row(name, "", "unknown", why))
    return run.rows


def noticed(gaps: Sequence[Gap], making: Making, order: Order) -> list[Gap]:
    """The gaps that a run would notice: for what lies finished in its folder no model is needed any more.

    A key or an engine that is not here ends a run all the same, unless another engine takes its place.
    """
    run = Plan(making.run.folder, making.run.pool, NoReport(), order)  # not entered: the folder is the caller's
    run.hashes, run.lacking = making.run.hashes, making.run.lacking
    looking = Making(run, making.profile, making.story, making.story_text, making.idea)
    look(run, looking, order)
    return _noticed(gaps, run, looking)


def _noticed(gaps: Sequence[Gap], run: Plan, making: Making) -> list[Gap]:
    """The same of a plan whose stages have been gone through."""
    unfinished = {row.stage for row in run.rows if row.state not in ALL_DONE}

    def matters(gap: Gap) -> bool:
        ends_anyway = gap.instead is None and any(lack.code != "model_not_found" for lack in gap.lacks)
        stages = readiness.stages_of(gap.part, making.profile, from_idea=making.idea is not None)
        return ends_anyway or gap.part in run.replaced or bool(stages & unfinished)

    return [gap for gap in gaps if matters(gap)]


def _lacking(gaps: Sequence[Gap]) -> Iterator[Row]:
    """What a run of these gaps would say before its first stage."""
    if (error := readiness.error(gaps)) is not None:
        yield from (Row(stage_of(part), "", "lacking", sentence) for part, sentence in readiness.faults(gaps))
        yield Row("", "", "lacking", str(error.hint))
    yield from (Row(stage_of(part), "", "replaced", message) for part, message in readiness.replacements(gaps))


def as_json(rows: list[Row]) -> list[dict[str, str]]:
    """The rows as JSON objects {stage, item, state, why}."""
    return [asdict(row) for row in rows]
