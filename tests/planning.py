"""Stages that ask a text model, tried in this process: real workers, answers from a file or from a server here."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hosted_service import Answer, Service, completion

from orchestrator import profile
from orchestrator.item import write_json
from orchestrator.making import Making
from orchestrator.pool import Pool
from orchestrator.progress import JsonReport
from orchestrator.run import Run
from orchestrator.run_folder import MARK
from orchestrator.stages import Stage, collect, script, subtitles, voice

SMALL = ("film.width=270", "film.height=480")


@contextmanager
def running(folder: Path, pool: Pool | None = None) -> Iterator[Run]:
    """A run in this folder, by workers of its own if none are given."""
    own = pool or Pool()
    with Run(folder, own, JsonReport(io.StringIO()), ends_pool=pool is None) as run:
        write_json(run.folder / MARK, {"v": 1})
        yield run


def told(folder: Path, text: str) -> Making:
    """A story as far as its captions."""
    with running(folder) as run:
        making = Making(run, profile.load("draft", SMALL), Path("story.md"), text)
        for stage in (collect, script, voice, subtitles):
            stage.make(making)
    return making


@dataclass(frozen=True)
class Thought:
    """What stages that think left behind."""

    making: Making
    items: list[str]
    made: list[str]
    """The items that were not reused."""
    warnings: list[tuple[str, str]]
    """(code, message)."""


def think(making: Making, folder: Path, settings: Sequence[str], *stages: Stage, pool: Pool | None = None) -> Thought:
    """Go on from the captions with these stages and settings, in a run's folder of its own."""
    chosen = profile.load("draft", (*SMALL, *settings))
    with running(folder, pool) as run:
        mine = replace(making, run=run, profile=chosen)
        for stage in stages:
            stage(mine)
        mine.gather()
    items = [(f"{item.stage}/{item.name}", item) for item in run.items]
    return Thought(
        mine,
        [name for name, _ in items],
        [name for name, item in items if not item.reused],
        [(warning["code"], warning["message"]) for _, item in items for warning in item.warnings],
    )


def answers(folder: Path, documents: Sequence[Any], *stages: str) -> list[str]:
    """Settings for a model that gives these documents, one a question; None is a text that is no JSON."""
    file = folder / "answers.jsonl"
    rows = [json.dumps({"output": said(document)}) for document in documents]
    file.write_text("\n".join(rows), encoding="utf-8")
    return [
        setting
        for stage in stages
        for setting in (f"{stage}.engine=scripted", f"{stage}.engine_options.answers='{file}'", f"{stage}.at_once=1")
    ]


def said(document: Any) -> dict[str, Any]:
    """The output of one answer."""
    text = '{"shots": {"1": ' if document is None else json.dumps(document)
    spent = {"prompt": 1, "completion": 1, "total": 2}
    facts = {"tokens_generated": 1, "generation_time_ms": 1.0, "tokens_per_second": 1.0, "finish_reason": "stop"}
    return {"text": text, **facts, "usage": spent, **({} if document is None else {"json": document})}


class Model(Service):
    """A hosted model that answers each question by a function of what it is asked, and keeps the questions."""

    def __init__(self, reply: Callable[[str], Any]) -> None:
        self.reply = reply
        super().__init__()

    def play(self, *answers: Answer) -> None:
        """Begin anew."""
        super().play(*answers)
        self._answers = _Replies(self)  # type: ignore[assignment]

    @property
    def questions(self) -> list[str]:
        """The user's part of each request."""
        return [request.body["messages"][-1]["content"] for request in self.requests]

    def settings(self, *stages: str) -> list[str]:
        """Settings for stages that ask it."""
        return [
            setting
            for stage in stages
            for setting in (
                f"{stage}.engine=openai",
                f"{stage}.model.id=served-model",
                f"{stage}.engine_options.preset=custom",
                f"{stage}.engine_options.base_url={self.root}/v1",
                f"{stage}.at_once=1",
            )
        ]


class _Replies:
    """The answer to the last question, whichever that is."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def __len__(self) -> int:
        return len(self._model.requests)

    def __getitem__(self, number: int) -> Answer:
        return completion(json.dumps(self._model.reply(self._model.questions[number])))


def idea(number: int, **changed: Any) -> dict[str, Any]:
    """A picture that can be drawn."""
    prompts = ("the old man lighting a lamp", "a stormy sea at night", "a distant lamp across water", "two cold lamps")
    good = {
        "description": f"Picture {number} is seen.",
        "prompt": f"{prompts[number % len(prompts)]}, view {number} from the stone pier",
        "mood": "calm",
        "size": "wide shot",
        "angle": "low angle",
        "motion": "pan_left",
        "strength": "strong",
    }
    return {**good, **changed}


def ideas(numbers: Sequence[int], **changed: Mapping[str, Any]) -> dict[str, Any]:
    """An answer about these shots; ``shot_3={"prompt": ""}`` changes one."""
    return {"shots": {str(number): idea(number, **changed.get(f"shot_{number}", {})) for number in numbers}}


def bible(**changed: Any) -> dict[str, Any]:
    """A visual bible that can be used, for a film of two shots or more."""
    looks = {"name": "the old man", "appearance": "thin man, white beard, blue coat", "shots": [1, 2]}
    lamp = {"name": "the lamp", "appearance": "brass oil lamp with green glass", "shots": [2]}
    world = {"place": "a stone pier by the sea", "era": "around 1900", "light": "cold moonlight"}
    return {"characters": [looks, lamp], **world, "palette": "slate, amber", "style": "charcoal drawing", **changed}
