"""The items of a run: what is done stays done, what changed is redone, nothing is half-written.

``<run>/<stage>/<item>/`` holds an item's artifacts and, written last, ``result.json``: the only mark of done. An item
is reused when its key is the same and its artifacts are what result.json says. An artifact that somebody changed by
hand is theirs: it is used as it is for as long as it reads as what it should be, and only ``--force`` redoes it.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orchestrator import edits
from orchestrator.errors import StorygenError
from orchestrator.item import (
    PARTIAL,
    RESULT,
    Item,
    absolute,
    artifacts,
    changed,
    copy_folder,
    read_result,
    relative,
    remove,
    write_json,
)
from orchestrator.keys import Hashes, Key
from orchestrator.pool import Pool
from orchestrator.progress import Report
from orchestrator.run_folder import RunFolder


@dataclass(frozen=True)
class Wishes:
    """What the user wants of a run beyond "what is missing"."""

    as_stored: frozenset[str] = frozenset()
    """Stages taken as they lie in the folder, whatever has changed since."""
    force: tuple[str, ...] = ()
    """Stages, or items as ``stage/item``, to be made again."""
    reuse: Path | None = None
    """Another run's folder, whose items may be taken."""

    def forces(self, stage: str, name: str) -> bool:
        return stage in self.force or f"{stage}/{name}" in self.force


@dataclass(frozen=True)
class Look:
    """What lies in an item's folder: ``state`` is done, edited, stale, damaged or missing; ``why`` says it in words."""

    state: str
    why: str
    stored: dict[str, Any] | None = None


class RunItems(RunFolder):
    """A run's folder with the items in it."""

    def __init__(
        self, folder: Path, pool: Pool, report: Report, wishes: Wishes | None = None, *, ends_pool: bool = True
    ) -> None:
        super().__init__(folder, pool, report, ends_pool=ends_pool)
        self.wishes = wishes or Wishes()
        self.items: list[Item] = []
        self.hashes = Hashes()
        self._elsewhere: dict[str, Path] | None = None

    def _is_there(self, stage: str, name: str, key: Key, violations: Callable[[Any], list[str]]) -> bool:
        """Whether an item need not be made: it is done, edited by hand, or lies in the run given with ``--reuse``."""
        if stage in self.wishes.as_stored or self.look(stage, name, key, violations).state in {"done", "edited"}:
            return True
        return self._source_elsewhere(stage, name, key) is not None

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
        """``renewed`` says that what ``make`` makes takes the place of an edited one, and keeps what it can of it."""
        began = time.monotonic()
        folder = self.folder / stage / name
        look = self.look(stage, name, key, violations)
        notes: list[dict[str, str]] = []
        stored = look.stored if look.state in {"done", "edited"} and not renewed else None
        if stored is not None and look.state == "edited" and (notes := self._adopt(stage, name, stored, document)):
            stored = read_result(folder) if notes[-1]["code"] == "edit_adopted" else None
        if stored is None and stage in self.wishes.as_stored:
            raise StorygenError(
                "input_not_found",
                f"{stage}/{name} is to be taken as it is, but it is {look.state}: {look.why}.",
                f"Begin earlier: --from {stage}, or without --from.",
            )
        if stored is None and not renewed:
            stored = self._taken_from_elsewhere(stage, name, key)
        with self._guard:
            self.report.item_started(stage, name, reused=stored is not None)
        reused = stored is not None
        if stored is None:
            stored = self._made(stage, name, key, make, notes)
        item = Item(
            stage,
            name,
            absolute(stored["output"], folder),
            reused,
            stored["seconds"],
            stored["engine"],
            [*stored["warnings"], *notes],
            stored["metrics"],
            edited=bool(stored.get("edited")),
            began_s=round(began - self.began, 3),
        )
        with self._guard:
            self.items.append(item)
            self.report.item_done(item.stage, item.name, item.warnings)
        return item

    def warned(self, item: Item, warning: dict[str, str]) -> Item:
        """The item with one more warning, in the list of items too."""
        told = replace(item, warnings=[*item.warnings, warning])
        with self._guard:
            self.items[self.items.index(item)] = told
            self.report.item_done(item.stage, "", [warning])
        return told

    def look(self, stage: str, name: str, key: Key, violations: Callable[[Any], list[str]] | None = None) -> Look:
        """What there is of an item, and why it cannot be used if it cannot.

        ``violations`` says where a stored output is not what its operation promises.
        """
        folder = self.folder / stage / name
        stored = read_result(folder)
        if stored is not None and violations is not None and violations(stored["output"]):
            stored = None
        if stored is None:
            return Look("missing", "its result.json is damaged" if (folder / RESULT).exists() else "it was never made")
        if self.wishes.forces(stage, name):
            return Look("stale", "it is to be made again", stored)
        other = changed(stored, folder, self.hashes)
        if lost := [artifact["path"] for artifact in other if not (folder / artifact["path"]).is_file()]:
            return Look("damaged", f"{', '.join(lost)} is gone", stored)
        if other:
            return Look("edited", f"{', '.join(each['path'] for each in other)} was changed by hand", stored)
        if stage in self.wishes.as_stored:
            return Look("done", "it is taken as it is", stored)
        if stored["key"] != key.whole:
            parts = key.differs_in(stored)
            why = f"{', '.join(parts)} changed" if parts else "what it is made from changed"
            return Look("edited" if stored.get("edited") else "stale", why, stored)
        return Look("done", "", stored)

    def outdated_edit(
        self, stage: str, name: str, key: Key, make: Callable[[], Mapping[str, Any]]
    ) -> dict[str, Any] | None:
        """The document that somebody edited, where what it was made from has changed since; else None.

        One that does not read as what ``make`` makes is damage, of which the item itself tells.
        """
        look = self.look(stage, name, key)
        if look.state != "edited" or look.stored is None or look.stored["key"] == key.whole:
            return None
        path = self.folder / stage / name / look.stored["output"]["document"]["path"]
        try:
            edits.facts_of(path, "application/json", self.pool, make)
        except StorygenError:
            return None
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8-sig"))
        return document

    def _adopt(
        self, stage: str, name: str, stored: dict[str, Any], document: Callable[[], dict[str, Any]] | None
    ) -> list[dict[str, str]]:
        """Make what somebody changed the item's own. The last warning says whether that went: ``edit_adopted``."""
        folder, notes = self.folder / stage / name, []
        edited = changed(stored, folder, self.hashes)
        try:
            for artifact in edited:  # each is a part of ``stored``
                path = folder / artifact["path"]
                artifact.update(edits.facts_of(path, artifact["media_type"], self.pool, document))
                artifact.update(bytes=path.stat().st_size, sha256=self.hashes.of(path), edited=True)
        except (StorygenError, OSError) as error:
            if isinstance(error, StorygenError) and error.code not in {"input_unreadable", "internal_error"}:
                raise
            message = f"What there was is damaged and is made anew: {error}"
            return [self.warn(stage, name, "artifact_damaged", message)]
        if edited:
            files = ", ".join(Path(artifact["path"]).name for artifact in edited)
            message = f"{files} was changed by hand and is used as it is; --force {stage}/{name} makes it anew."
        else:
            message = (
                f"Its edited version is kept though what it was made from has changed; --force {stage}/{name} makes it "
                "anew."
            )
        notes.append(self.warn(stage, name, "edit_adopted", message))
        if edited:
            self.set_results_aside()
            write_json(folder / RESULT, {**stored, "edited": True})
        return notes

    def _made(
        self,
        stage: str,
        name: str,
        key: Key,
        make: Callable[[Path], dict[str, Any]],
        notes: list[dict[str, str]],
    ) -> dict[str, Any]:
        """Make an item beside its place and put it there once it is whole: a remake that fails costs nothing."""
        folder, started = self.folder / stage / name, time.monotonic()
        self.check_folder()
        self.set_results_aside()
        fresh = folder.with_name(f".{name}{PARTIAL}{os.getpid()}")
        remove(fresh)
        fresh.mkdir(parents=True)
        try:
            fresh = fresh.resolve()
            result = make(fresh)
            stored = {
                "key": key.whole,
                "parts": key.parts,
                "engine": result["engine"],
                "output": relative(result["output"], fresh),
                "warnings": result["warnings"],
                "metrics": result["metrics"],
                "seconds": round(time.monotonic() - started, 3),
                **({"edited": True} if result.get("edited") else {}),
            }
            write_json(fresh / RESULT, stored)
            if read_result(fresh) is None:
                raise StorygenError(
                    "internal_error", f"{stage} {name}: {stored['engine']} gave a result of wrong shape."
                )
            self.check_folder()
            notes += self._keep_edits(folder, stage, name)
            remove(folder)
            os.replace(fresh, folder)
        except BaseException:
            with contextlib.suppress(OSError):
                remove(fresh)  # a full disk needs its room
                if not self.holds_folder:  # and a removed one is not to come back
                    fresh.parent.rmdir()
                    self.folder.rmdir()
            raise
        return stored

    def _source_elsewhere(self, stage: str, name: str, key: Key) -> Path | None:
        """Where the run given with ``--reuse`` has an item of the same key, whole and not edited."""
        if self.wishes.reuse is None or self.wishes.forces(stage, name):
            return None
        with self._guard:
            if self._elsewhere is None:
                found = ((path.parent, read_result(path.parent)) for path in self.wishes.reuse.glob(f"*/*/{RESULT}"))
                self._elsewhere = {stored["key"]: folder for folder, stored in found if stored}
        source = self._elsewhere.get(key.whole)
        stored = read_result(source) if source else None
        if source is None or stored is None or stored.get("edited") or changed(stored, source, self.hashes):
            return None
        return source

    def _taken_from_elsewhere(self, stage: str, name: str, key: Key) -> dict[str, Any] | None:
        """An item of the other run, copied here."""
        source = self._source_elsewhere(stage, name, key)
        if source is None:
            return None
        self.set_results_aside()
        folder = self.folder / stage / name
        fresh = folder.with_name(f".{name}{PARTIAL}{os.getpid()}")
        remove(fresh)
        fresh.parent.mkdir(parents=True, exist_ok=True)
        copy_folder(source, fresh)
        self._keep_edits(folder, stage, name)
        remove(folder)
        os.replace(fresh, folder)
        return read_result(folder)

    def _keep_edits(self, folder: Path, stage: str, name: str) -> list[dict[str, str]]:
        """What somebody changed by hand in an item that is made anew is kept beside it.

        Where ``result.json`` is damaged nobody can tell what was changed: all is kept.
        """
        stored, notes = read_result(folder), []
        if stored is not None:
            theirs = artifacts(stored["output"]) if stored.get("edited") else changed(stored, folder, self.hashes)
            paths, why = [folder / artifact["path"] for artifact in theirs], "was changed by hand"
        else:
            paths = [path for path in folder.iterdir() if path.name != RESULT] if (folder / RESULT).exists() else []
            why = f"may have been changed by hand, which its damaged {RESULT} does not tell"
        for path in filter(os.path.lexists, paths):
            kept = _free(self.folder / "edited" / stage / name / path.name)
            kept.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, kept)
            message = f"{path.name} {why}; it was made anew, and your version is {kept}."
            notes.append(self.warn(stage, name, "edit_kept", message))
        return notes


def _free(path: Path) -> Path:
    """The path, or where something lies there, the next that is free: ``shot-001_001-2.png``."""
    numbered = (path.with_stem(f"{path.stem}-{number}") for number in itertools.count(2))
    return next(each for each in itertools.chain([path], numbered) if not os.path.lexists(each))
