"""A run: items made by engines, with others to fall back to, and by rules of ours."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from orchestrator.errors import MAKE_ROOM, StorygenError
from orchestrator.item import Item, false_claims, write_json
from orchestrator.keys import plain, with_files
from orchestrator.needs import Lack
from orchestrator.pool import Pool
from orchestrator.progress import Report
from orchestrator.run_items import RunItems, Wishes

TRY_NEXT = frozenset(
    {
        "engine_unavailable",
        "model_not_found",
        "device_unavailable",
        "out_of_memory",
        "rate_limited",
        "provider_unavailable",
        "network",
        "provider_rejected",
        "auth_missing",
        "auth_rejected",
        "gated_model",
        "unsupported_capability",
        "internal_error",
        "worker_crashed",
        "timeout",
    }
)
"""Errors of an engine after which the next of its stage's list is tried; the others would be the same with any."""

T = TypeVar("T")
InItsWords = Callable[[str], tuple[Mapping[str, Any], Mapping[str, Any]]]
"""Engine's name -> (fields of the input, engine_options) as that engine understands them."""
Renew = Callable[[Mapping[str, Any]], dict[str, Any] | None]
"""An edited document whose inputs have changed -> what takes its place; None where it can stay."""


class Run(RunItems):
    """One run folder, held by one process at a time. Leaving its ``with`` block ends the workers, then lets it go."""

    def __init__(
        self, folder: Path, pool: Pool, report: Report, wishes: Wishes | None = None, *, ends_pool: bool = True
    ) -> None:
        super().__init__(folder, pool, report, wishes, ends_pool=ends_pool)
        self.lacking: Sequence[Lack] = ()
        """What engines lack here, which is known beforehand: they are not asked to make anything."""
        self.told: set[str] = set()
        """Parts of the profile of which the run has said that another engine takes the place of theirs."""
        self.replaced: set[str] = set()
        """Parts of the profile of which items are another engine's, because their own one lacks something."""

    def beside(
        self, stage: str, jobs: Iterable[Callable[[], T]], settings: Mapping[str, Any], family: str, op: str
    ) -> list[Future[T]]:
        """Begin a stage's jobs in order, as many at once as its profile or its engine says, and go on to the next.

        ``wait`` waits for them. With an engine that loads models here this does so itself: a stage beside it might have
        another model loaded, and the two would take turns for every item.
        """
        at_once, alone = settings.get("at_once"), False
        names = [settings["engine"], *settings.get("fallback", ())]
        name = next((name for name in names if not self._lacks(family, settings, name)), names[0])
        with contextlib.suppress(StorygenError):  # the items will say it, or a fallback make them
            engine = self.pool.engine(family, name, op, settings.get("python") if name == names[0] else None)
            at_once, alone = at_once or engine.at_once, engine.heavy
        begun = self.begin(stage, jobs, at_once or 1)
        if alone:
            self.wait(begun)
        return begun

    def work(
        self,
        stage: str,
        name: str,
        family: str,
        op: str,
        input: Mapping[str, Any],  # noqa: A002 - the wire's word
        *,
        settings: Mapping[str, Any],
        engine_options: Mapping[str, Any] | None = None,
        where_able: Mapping[str, Any] | None = None,
        in_its_words: InItsWords | None = None,
    ) -> Item:
        """An item that a worker makes. Every ``Path`` in the input is a file: the key has its content, not its name.

        ``settings`` is the stage's part of the profile: engine, model, engine_options, options, python, fallback. When
        its engine fails, those of ``fallback`` are tried in order, and the item says so in a warning. ``where_able``
        are fields of the input, named as the capability that they ask for: only engines that have it are given them.
        ``in_its_words`` gives what is said otherwise to each engine.
        """
        own = {**settings.get("engine_options", {}), **(engine_options or {})}
        failures: list[tuple[str, StorygenError, Lack | None]] = []
        for engine in (settings["engine"], *settings.get("fallback", ())):
            # A fallback knows nothing of the first engine's model, options and environment.
            chosen = {**settings, "engine": engine, "model": {}, "python": None} if failures else settings
            lack = self._lacks(family, settings, engine)
            try:
                item = self._work_with(
                    stage,
                    name,
                    family,
                    op,
                    input,
                    chosen,
                    {} if failures else own,
                    where_able or {},
                    in_its_words,
                    lack,
                )
            except StorygenError as error:
                failures.append((engine, error, lack))
                if error.code not in TRY_NEXT or self.pool.closing or self.pool.overdue:
                    raise
                if not self._is_told(lack):
                    self.event(stage, name, {"type": "engine_failed", "engine": engine, "message": error.message})
                continue
            self.replaced |= {lack.of.part for _, _, lack in failures[:1] if lack is not None}
            news = [(failed, error) for failed, error, lack in failures if not self._is_told(lack)]
            if not news:
                return item
            message = f"Made by {item.engine}, because {news[0][0]} failed: {news[0][1].message}"
            return self.warned(item, {"code": "engine_fallback", "message": message})
        raise next((error for _, error, lack in failures if not self._is_told(lack)), failures[0][1])

    def _is_told(self, lack: Lack | None) -> bool:
        return lack is not None and lack.of.part in self.told

    def _lacks(self, family: str, settings: Mapping[str, Any], engine: str) -> Lack | None:
        """What an engine of a part of the profile is known to lack here."""
        known = (lack for lack in self.lacking if (lack.of.family, lack.of.engine) == (family, engine))
        return next((lack for lack in known if lack.of.settings == settings), None)

    def _work_with(
        self,
        stage: str,
        name: str,
        family: str,
        op: str,
        input: Mapping[str, Any],  # noqa: A002 - the wire's word
        settings: Mapping[str, Any],
        options: Mapping[str, Any],
        where_able: Mapping[str, Any],
        in_its_words: InItsWords | None,
        lack: Lack | None = None,
    ) -> Item:
        """``lack`` is what the engine is known to lack: what it made earlier is taken, but nothing more is asked."""
        python = settings.get("python")
        engine = self.pool.engine(family, settings["engine"], op, python)
        able = {field: value for field, value in where_able.items() if field in engine.capabilities}
        fields, more = in_its_words(engine.name) if in_its_words else ({}, {})
        request = {
            "v": 1,
            "op": op,
            "engine": engine.name,
            "model": dict(settings.get("model", {})),
            "input": with_files({**able, **input, **fields}, engine.input_schema),
            "engine_options": with_files({**more, **options}, engine.options_schema),
        }
        # The schemas hold the defaults of what the request leaves out.
        shaping = {**request, "version": engine.version, "schemas": [engine.input_schema, engine.options_schema]}

        def make(folder: Path) -> dict[str, Any]:
            whole = {
                **plain(request),
                "options": dict(settings.get("options", {})),
                "output_dir": str(folder),
                "output_name": name,
            }
            try:
                answer = self.pool.request(
                    family,
                    whole,
                    lambda event: self.event(stage, name, event),
                    where=f"{stage} {name}",
                    python=python,
                )
            except StorygenError as error:
                if error.code != "output_failed":
                    raise
                message = f"{error.message.rstrip('.')} ({self.folder})."  # the worker's hint is about its own flags
                raise StorygenError("output_failed", message, MAKE_ROOM, error.details) from error
            if faults := engine.violations(answer["output"]) or false_claims(answer["output"], folder, self.hashes):
                raise _wrong_result(f"{stage} {name}", engine.name, faults)
            return answer

        key = self.hashes.key(shaping)
        if lack is not None and not self._is_there(stage, name, key, engine.violations):
            raise lack.error
        return self._item(stage, name, key, make, violations=engine.violations)

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
        """An item that rules of ours make: a JSON document that the user can read and edit.

        An edited one is used as it is, also where its inputs have changed, unless ``renew`` gives another in its place.
        """
        key = self.hashes.key({"rules": version, "inputs": dict(inputs)})
        edited = self.outdated_edit(stage, name, key, make) if renew else None
        renewed = renew(edited) if renew and edited is not None else None
        document = make if renewed is None else lambda: renewed

        def made(folder: Path) -> dict[str, Any]:
            path = folder / f"{name}.json"
            write_json(path, document())
            content = path.read_bytes()
            artifact = {
                "path": str(path),
                "media_type": "application/json",
                "bytes": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
            }
            output = {"document": artifact}
            return {"engine": "rules", "output": output, "warnings": [], "metrics": {}, "edited": renewed is not None}

        return self._item(stage, name, key, made, document=document, renewed=renewed is not None)


def _wrong_result(where: str, engine: str, faults: list[str]) -> StorygenError:
    return StorygenError(
        "internal_error",
        f"{where}: the engine {engine} gave a wrong result, which is not kept: {faults[0]}.",
        "That is the engine's fault; the profile can name another one.",
        faults,
    )
