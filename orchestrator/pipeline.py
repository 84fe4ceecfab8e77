"""A story or an idea becomes a film: every stage in order, then the files a person looks for and the manifest."""

from __future__ import annotations

import contextlib
import difflib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from orchestrator import edits, readiness, settings
from orchestrator.errors import StorygenError
from orchestrator.item import PARTIAL, Item, place, remove, write_json
from orchestrator.making import Making
from orchestrator.needs import Taken
from orchestrator.pool import RETRIES, Pool
from orchestrator.progress import Report
from orchestrator.readiness import Here, stage_of
from orchestrator.report import PAGE, write_page
from orchestrator.run import Run
from orchestrator.run_folder import MARK, PREVIOUS
from orchestrator.run_items import Wishes
from orchestrator.stages import STAGES, TAKING_TURNS, Stage
from orchestrator.stages.judging import Turns
from orchestrator.subject import Subject

STAGE_NAMES = tuple(name for name, _ in STAGES)
RESERVE = f".reserve{PARTIAL}"
RESERVE_BYTES = 64 * 1024
"""Taken at the start and given back at the end, so that a full disk has room for the note of how the run ended."""


@dataclass(frozen=True)
class Order:
    """What is asked of a run: ``first`` to ``last`` stage, and what to make again."""

    first: str | None = None
    last: str | None = None
    force: tuple[str, ...] = ()
    reuse: Path | None = None
    timeout_s: float | None = None
    retries: int = RETRIES

    def stages(self) -> list[tuple[str, Stage]]:
        """The stages to go through; those before ``first`` too, whose items are taken as they are."""
        end = STAGE_NAMES.index(self.last) + 1 if self.last else len(STAGES)
        return list(STAGES[:end])

    def wishes(self) -> Wishes:
        """What the run folder is told. Raises StorygenError ``usage`` for a stage that there is not."""
        for name in (self.first, self.last, *(each.partition("/")[0] for each in self.force)):
            if name is not None and name not in STAGE_NAMES:
                raise StorygenError("usage", f"There is no stage {name!r}.", f"Stages: {', '.join(STAGE_NAMES)}.")
        if self.first and self.last and STAGE_NAMES.index(self.first) > STAGE_NAMES.index(self.last):
            raise StorygenError("usage", f"The stage {self.first} comes after {self.last}.", "Swap --from and --to.")
        if self.reuse is not None and not (self.reuse / MARK).is_file():
            raise StorygenError("input_not_found", f"{self.reuse} is no run's folder.", "--reuse takes such a folder.")
        before = STAGE_NAMES[: STAGE_NAMES.index(self.first)] if self.first else ()
        return Wishes(frozenset(before), self.force, self.reuse)


def coming(subject: Subject, profile: Mapping[str, Any], order: Order) -> list[Taken]:
    """The engines that a run may ask, those of stages that are taken as they lie left out."""
    stored = order.wishes().as_stored
    stages = {name for name, _ in order.stages()} - stored
    return readiness.coming(profile, stages, from_idea=subject.idea is not None)


class Production:
    """One film on its way through the stages. Leaving its ``with`` block writes the manifest, whatever happened."""

    def __init__(
        self,
        subject: Subject,
        profile: Mapping[str, Any],
        folder: Path,
        report: Report,
        order: Order,
        *,
        shared: Pool | None = None,
    ) -> None:
        """``shared`` workers are left to others at the end. Raises StorygenError for a story that cannot be read."""
        text = subject.text(profile)
        pool = shared or Pool(retries=order.retries, timeout_s=order.timeout_s)
        self.run = Run(folder, pool, report, order.wishes(), ends_pool=shared is None)
        self.making = Making(self.run, profile, subject.story, text, subject.idea)
        self._subject, self._order = subject, order
        self.stages: dict[str, dict[str, Any]] = {}
        self.manifest: dict[str, Any] = {}
        self._started = time.monotonic()

    def __enter__(self) -> Production:
        self.run.__enter__()
        try:
            self.run.event("run", "run", {"type": "run_started", "story": self._subject.words})
            write_json(self.run.folder / MARK, {"v": 1, **self._subject.mark(), "profile": self.making.profile})
            self._note("running", None)
            _take_reserve(self.run.folder / RESERVE)
        except BaseException:
            remove(self.run.folder / RESERVE)
            self.run.__exit__(None, None, None)
            raise
        return self

    def check_models(self, here: Here) -> None:
        """Look whether all settings of the coming stages can be used, and all engines, keys and models are here.

        Where another engine takes the place of one that is not, the run says so. Raises StorygenError that names all
        that is wrong, or lacking where nothing can take its place; its code is that of the first.
        """
        taken = coming(self._subject, self.making.profile, self._order)
        if (wrong := settings.error(taken, self.run.pool)) is not None:
            raise wrong
        self.run.lacking = readiness.lacks_of(taken, self.run.pool, here)
        gaps = readiness.gaps(taken, self.run.lacking)
        if gaps and (self._order.reuse or any((self.run.folder / stage).is_dir() for stage in STAGE_NAMES)):
            from orchestrator.plan import noticed  # which looks at runs, and so imports this

            gaps = noticed(gaps, self.making, self._order)
        if (error := readiness.error(gaps)) is not None:
            raise error
        self.run.told = {gap.part for gap in gaps}
        for part, message in readiness.replacements(gaps):
            self.run.note(stage_of(part), "engine_fallback", message)

    def stage(self, name: str, make: Stage) -> None:
        """Go through one stage."""
        for _ in self.turns(name, make):
            pass

    def turns(self, name: str, make: Stage) -> Turns[None]:
        """Go through one stage, with a pause wherever it goes on with another model.

        The last one's clock starts when all that it needs is there.
        """
        if name == STAGE_NAMES[-1]:
            self.making.gather()
        yield from _stage(name, make, self.making, self.stages)

    def finish(self) -> None:
        """Wait for what is still under way and put the results where a person looks for them."""
        self.making.gather()
        if self.making.film is not None:
            _place_results(self.making)
            if unreached := edits.unreached(self.making.captions, self.making.settings("post")["input"]):
                self.run.note("subtitles", "edit_unreached", unreached)
        for stage, message in _forced_in_vain(self._order.force, self.run.items):
            self.run.note(stage, "no_such_item", message)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        state = "done" if error is None else "failed" if isinstance(error, Exception) else "stopped"
        if state == "done" and self.making.film is None:
            state = "partial"
        holds = self.run.holds_folder
        if holds and isinstance(error, StorygenError) and (aside := self.run.folder / PREVIOUS).exists():
            error.hint = " ".join(filter(None, [error.hint, f"The film made before is {aside}."]))
        try:
            self.run.stop()
            if holds:
                self._note_ending(state, error)  # while the folder is still this run's
        finally:
            self.run.__exit__(kind, error, trace)
        if isinstance(error, Exception) and not holds:
            self.run.check_folder()  # whatever it came out as

    def _note_ending(self, state: str, error: BaseException | None) -> None:
        try:
            remove(self.run.folder / RESERVE)
            self._note(state, error)
        except OSError:
            if error is None:  # else how it ended counts more than that it cannot be noted
                raise

    def _note(self, state: str, error: BaseException | None) -> None:
        self.manifest = _write_manifest(self.making, self.stages, state, self._started, error)


def _forced_in_vain(force: Sequence[str], items: Sequence[Item]) -> Iterator[tuple[str, str]]:
    """(stage, what to say) of every ``--force stage/item`` that named no item of the run."""
    for wanted in force:
        stage, _, name = wanted.partition("/")
        names = sorted({item.name for item in items if item.stage == stage})
        if name and name not in names:
            near = difflib.get_close_matches(name, names)
            known = f"Did you mean {' or '.join(near)}?" if near else f"Its items: {', '.join(names) or 'none'}."
            yield stage, f"--force {wanted} did nothing: {stage} has no item {name!r}. {known}"


def _take_reserve(path: Path) -> None:
    try:
        path.write_bytes(bytes(RESERVE_BYTES))
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error  # a write does not say where


def make_film(
    subject: Subject, profile: Mapping[str, Any], folder: Path, report: Report, order: Order | None = None
) -> dict[str, Any]:
    """Run the stages in ``folder``; returns the manifest, which lies there as ``manifest.json`` too.

    What was finished before is used again. Raises StorygenError; the manifest then says how far it came.
    """
    order = order or Order()
    with Production(subject, profile, folder, report, order) as production:
        production.check_models(readiness.look(production.run.pool, [profile], coming(subject, profile, order)))
        for name, make in order.stages():
            production.stage(name, make)
        production.finish()
    return production.manifest


def _stage(name: str, make: Stage, making: Making, stages: dict[str, dict[str, Any]]) -> Turns[None]:
    """Run a stage. What it has begun may go on after it; the stage counts as done when that is."""
    run, begun = making.run, time.monotonic()
    stages[name] = {"state": "running", "why": None, "began_s": round(begun - run.began, 3)}
    run.report.stage_started(name, None)
    skipped = None
    if name in TAKING_TURNS:
        yield from TAKING_TURNS[name](making)
    else:
        skipped = make(making)

    def done() -> None:
        items = [item for item in list(run.items) if item.stage == name]
        seconds = time.monotonic() - begun
        reused = sum(item.reused for item in items)
        stages[name] |= {
            "state": "skipped" if skipped else "done",
            "why": skipped,
            "seconds": round(seconds, 3),
            "reused": reused,
            "made": len(items) - reused,
        }
        with contextlib.suppress(StorygenError, OSError):  # nobody listens: the next word fails where it is heard
            run.report.stage_done(name, seconds, reused, len(items) - reused, skipped)

    _after(run.begun(name), done)


def _after(jobs: Sequence[Future[Any]], then: Callable[[], None]) -> None:
    """Call ``then`` once all jobs have ended well, from the thread of the last one."""
    left, guard = len(jobs), threading.Lock()

    def ended(job: Future[Any]) -> None:
        nonlocal left
        with guard:
            left -= not job.cancelled() and job.exception() is None
            last = left == 0
        if last:
            then()

    for job in jobs:
        job.add_done_callback(ended)
    if not jobs:
        then()


def _place_results(making: Making) -> None:
    """The files a person looks for, at the top of the run folder."""
    folder = making.run.folder
    if making.film is None or making.thumbnail is None:
        raise StorygenError("internal_error", "The last stage left no film.")
    place(making.film.path("video"), folder / "final.mp4", link=True)
    place(making.thumbnail, folder / "thumbnail.jpg", link=False)
    for extension in ("srt", "vtt"):
        if making.captions.get(extension):
            place(Path(making.captions[extension]["path"]), folder / f"captions.{extension}", link=False)
    (folder / PREVIOUS).unlink(missing_ok=True)


def _write_manifest(
    making: Making, stages: Mapping[str, Any], state: str, started: float, ending: BaseException | None
) -> dict[str, Any]:
    folder = making.run.folder
    error = None
    if isinstance(ending, StorygenError):
        error = {"code": ending.code, "message": ending.message, "hint": ending.hint, "details": ending.details}
    elif isinstance(ending, Exception):
        error = {"code": "internal_error", "message": f"{type(ending).__name__}: {ending}", "hint": None, "details": []}
    items = sorted(making.run.items, key=lambda item: STAGE_NAMES.index(item.stage))
    manifest: dict[str, Any] = {
        "v": 1,
        "state": state,
        "error": error,
        "title": making.source.get("title"),
        "language": making.source.get("language"),
        "language_given": making.source.get("language_given"),
        "writing": making.writing,
        "seconds": round(time.monotonic() - started, 3),
        "film": "final.mp4" if state == "done" else None,
        "facts": making.facts or None,
        "stages": {name: dict(stage) for name, stage in stages.items()},
        "bible": making.bible or None,
        "vision_model": _judge(making),
        "consistency": making.consistency,
        "shots": [_shot(making, number) for number in range(len(making.shots))],
        "warnings": [
            *making.run.notes,
            *({"stage": item.stage, "item": item.name, **warning} for item in items for warning in item.warnings),
        ],
        "items": [_item(item) for item in items],
    }
    try:
        write_page(folder, manifest)
    except Exception as fault:  # noqa: BLE001 - the film is what counts: its page never fails a run
        said = f"report.html was not written: {type(fault).__name__}: {fault}"
        manifest["warnings"].append({"stage": "run", "item": "page", "code": "page_failed", "message": said})
        for unfinished in folder.glob(f".{PAGE}{PARTIAL}*"):
            remove(unfinished)  # on a full disk the manifest needs its room
    write_json(folder / "manifest.json", manifest)
    return manifest


def _judge(making: Making) -> dict[str, Any] | None:
    """{engine, model} of what scored the pictures; None where nobody did. A null model is the engine's own choice."""
    named, own = ", ".join(sorted(making.judges)), making.settings("vision")
    return {"engine": named, "model": own["model"].get("id") if named == own["engine"] else None} if named else None


def _shot(making: Making, number: int) -> dict[str, Any]:
    """A shot with its picture and clip, and where pictures were judged with all that were drawn for it."""
    folder, shot = making.run.folder, making.shots[number]
    tried = making.attempts.get(shot["number"])
    return {
        **shot,
        "keyframe": _inside(folder, making.keyframe_jobs, number),
        "clip": _inside(folder, making.clip_jobs, number),
        **({"pictures": [{**each, "picture": f"keyframes/{each['picture']}"} for each in tried]} if tried else {}),
    }


def _item(item: Item) -> dict[str, Any]:
    return {
        "stage": item.stage,
        "item": item.name,
        "engine": item.engine,
        "reused": item.reused,
        "edited": item.edited,
        "began_s": item.began_s,
        "seconds": item.seconds,
        "metrics": item.metrics,
    }


def _inside(folder: Path, jobs: Sequence[Future[Path]], number: int) -> str | None:
    """The file of a shot relative to the run's folder, if it has been made."""
    if number >= len(jobs) or not jobs[number].done() or jobs[number].cancelled() or jobs[number].exception():
        return None
    return jobs[number].result().relative_to(folder).as_posix()
