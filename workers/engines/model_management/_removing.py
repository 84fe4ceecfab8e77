"""``remove``: by huggingface_hub's own plan of it; what that makes no sense of goes as a whole."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

from filelock import Timeout
from huggingface_hub import CachedRepoInfo
from huggingface_hub.utils import WeakFileLock

from engines.model_management._cached import Kept, files_of, kept_in
from engines.model_management._place import Place, place_of
from runtime.context import Context
from runtime.errors import WorkerError

LOCK_S = 0.05
"""Long enough to take a lock that is free; who downloads holds it for minutes."""


def remove(input: Mapping[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
    """The operation ``remove``.

    Raises WorkerError ``model_not_found`` for what is not in the cache, ``invalid_request`` for what cannot be removed
    so, ``output_failed`` while another process downloads it.
    """
    place, revision, dry_run = place_of(input, context.options), input["revision"], input["dry_run"]
    if not place.folder.is_dir():
        raise _not_here(place)
    if place.folder.is_symlink():
        raise WorkerError(
            "invalid_request",
            f"{place.folder} is a link to {place.folder.resolve()}: removing the link would make no room.",
            pointer="/input/id",
            hint="Remove the folder that it leads to, and the link, by hand.",
        )
    with _alone(place):
        found = kept_in(place.folder)
        if revision is not None:
            return _remove_revision(place, found, revision, dry_run=dry_run)
        commits = sorted(each.commit_hash for each in found.repo.revisions) if found.repo else []
        strategy = found.strategy(*commits)
        freed = strategy.expected_freed_size if commits else sum(files_of(found).values())
        freed += found.begun_bytes
        if not dry_run:
            strategy.execute()
            _remove_rest(place)
    return {"id": place.model_id, "commits": commits, "freed_bytes": freed}


def _remove_revision(place: Place, found: Kept, revision: str, *, dry_run: bool) -> dict[str, Any]:
    if found.repo is None:
        raise WorkerError(
            "invalid_request",
            f"{place.model_id} is damaged, so that its revisions cannot be told from each other: {found.fault}",
            pointer="/input/revision",
            hint="Remove all of it, without a revision, or mend it: storygen models download does where it can.",
        )
    commits = _commits(found.repo, revision, place)
    strategy = found.strategy(*commits)
    if not dry_run:
        strategy.execute()
    return {"id": place.model_id, "commits": commits, "freed_bytes": strategy.expected_freed_size}


def _remove_rest(place: Place) -> None:
    """What the library left. Raises WorkerError ``output_failed``: the library only logs what it may not remove."""
    try:
        if place.folder.exists():
            shutil.rmtree(place.folder)
    except OSError as error:
        raise WorkerError(
            "output_failed",
            f"Not all of {place.model_id} could be removed: {error.filename}: {error.strerror}.",
            pointer="/input/id",
            hint="Get the right to write there, then run this again.",
        ) from error


@contextlib.contextmanager
def _alone(place: Place) -> Iterator[None]:
    """Hold the lock of every file. Raises WorkerError ``output_failed`` where somebody holds one: who downloads it."""
    with contextlib.ExitStack() as stack:
        for path in place.lock("*").parent.glob("*.lock"):
            try:
                stack.enter_context(WeakFileLock(path, timeout=LOCK_S))
            except Timeout as error:
                raise WorkerError(
                    "output_failed",
                    f"{place.model_id} is being downloaded.",
                    pointer="/input/id",
                    hint="End that download, or wait for it; then run this again.",
                ) from error
        yield


def _commits(repo: CachedRepoInfo, revision: str, place: Place) -> list[str]:
    wanted = [each for each in repo.revisions if revision in {each.commit_hash, *each.refs}]
    if not wanted:
        here = ", ".join(sorted({name for each in repo.revisions for name in (*each.refs, each.commit_hash)}))
        raise WorkerError(
            "model_not_found",
            f"The revision {revision} of {place.model_id} is not here.",
            pointer="/input/revision",
            hint=f"Here are: {here}.",
        )
    return sorted(each.commit_hash for each in wanted)


def _not_here(place: Place) -> WorkerError:
    if place.by_hand.is_dir():
        return WorkerError(
            "model_not_found",
            f"{place.by_hand} was not downloaded by storygen, so it is not removed by it.",
            pointer="/input/id",
            hint="Remove the folder by hand.",
        )
    return WorkerError(
        "model_not_found",
        f"{place.model_id} is not in {place.cache}.",
        pointer="/input/id",
        hint="storygen models list names the models that are here.",
    )
