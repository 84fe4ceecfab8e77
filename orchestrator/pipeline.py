"""A story becomes a film: every stage in order, then the files a person looks for and the manifest of what was done."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.errors import StorygenError
from orchestrator.making import Making
from orchestrator.pool import Pool
from orchestrator.progress import Report
from orchestrator.run import MARK, Item, Run, place, write_json
from orchestrator.stages import STAGES
from orchestrator.stages.collect import story_text

FAMILIES = ["speech_synthesis", "image_generation", "video_generation", "media_processing"]


def make_film(story: Path, profile: Mapping[str, Any], folder: Path, report: Report) -> dict[str, Any]:
    """Run all stages in ``folder``; returns the manifest, which lies there as ``manifest.json`` too.

    What was finished before is used again. Raises StorygenError; the manifest then says how far it came.
    """
    started, text = time.monotonic(), story_text(story)
    with Pool() as pool, Run(folder, pool, report) as run:
        run.event("run", "run", {"type": "run_started", "story": str(story)})
        write_json(run.folder / MARK, {"v": 1, "story": str(story.resolve()), "profile": profile})
        making = Making(run, profile, story, text)
        stages: dict[str, dict[str, Any]] = {}
        ending: BaseException | None = None
        try:
            _write_manifest(making, stages, "running", started, None)
            pool.describe_all(FAMILIES)
            for name, make in STAGES:
                stages[name] = _stage(name, make, making)
            _place_results(making)
        except BaseException as error:
            ending = error
            raise
        finally:
            state = "done" if ending is None else "failed" if isinstance(ending, Exception) else "stopped"
            manifest = _write_manifest(making, stages, state, started, ending)
    return manifest


def _stage(name: str, make: Any, making: Making) -> dict[str, Any]:
    run, begun, before = making.run, time.monotonic(), len(making.run.items)
    run.report.stage_started(name, None)
    skipped = make(making)
    items = run.items[before:]
    seconds = time.monotonic() - begun
    reused = sum(item.reused for item in items)
    run.report.stage_done(name, seconds, reused, len(items) - reused, skipped)
    return {
        "state": "skipped" if skipped else "done",
        "why": skipped,
        "seconds": round(seconds, 3),
        "reused": reused,
        "made": len(items) - reused,
    }


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
    (folder / "previous.mp4").unlink(missing_ok=True)


def _write_manifest(
    making: Making, stages: Mapping[str, Any], state: str, started: float, ending: BaseException | None
) -> dict[str, Any]:
    folder = making.run.folder
    error = None
    if isinstance(ending, StorygenError):
        error = {"code": ending.code, "message": ending.message, "hint": ending.hint, "details": ending.details}
    elif isinstance(ending, Exception):
        error = {"code": "internal_error", "message": f"{type(ending).__name__}: {ending}", "hint": None, "details": []}
    manifest = {
        "v": 1,
        "state": state,
        "error": error,
        "title": making.source.get("title"),
        "language": making.source.get("language"),
        "language_given": making.source.get("language_given"),
        "seconds": round(time.monotonic() - started, 3),
        "film": "final.mp4" if state == "done" else None,
        "facts": making.facts or None,
        "stages": stages,
        "vision_model": None,
        "shots": [
            {**shot, "keyframe": _inside(folder, keyframe), "clip": _inside(folder, clip)}
            for shot, keyframe, clip in zip(making.shots, making.keyframes, making.clips, strict=False)
        ],
        "warnings": [
            {"stage": item.stage, "item": item.name, **warning}
            for item in making.run.items
            for warning in item.warnings
        ],
        "items": [_item(item) for item in making.run.items],
    }
    write_json(folder / "manifest.json", manifest)
    return manifest


def _item(item: Item) -> dict[str, Any]:
    return {
        "stage": item.stage,
        "item": item.name,
        "engine": item.engine,
        "reused": item.reused,
        "seconds": item.seconds,
        "metrics": item.metrics,
    }


def _inside(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()
