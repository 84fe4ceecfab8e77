"""What a language model says in these tests: documents for every prompt of the stages that think, good ones and bad."""

from __future__ import annotations

import io
import itertools
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hosted_service import Answer, Request, Service, completion

from orchestrator import profile, scoring
from orchestrator.item import write_json
from orchestrator.making import Making
from orchestrator.pool import Pool
from orchestrator.progress import JsonReport
from orchestrator.run import Run
from orchestrator.run_folder import MARK
from orchestrator.run_items import Wishes
from orchestrator.stages import collect, idea, revision, script

IDEA = "a lighthouse keeper burns her chairs to keep the light"
WRITERS = (("collect", collect.make), ("idea", idea.make), ("script", script.make), ("revision", revision.make))
SENTENCES = (
    "Ida climbed the stairs with a chair on her back.",
    "The lamp was dark, and the sea below it roared.",
    "She broke the first leg over her knee.",
    "Far out, a small boat turned toward the rock.",
    "By dawn only the table was left.",
    "Her brother knocked, and they sat down on the floor.",
)


def ideas(language: str = "en", names: Sequence[str] = ("The Last Chair", "Two Fires", "Ida"), **more: Any) -> Any:
    """Three proposals; ``more`` replaces members of the second."""
    made = [
        {
            "titles": [name, f"{name} again"],
            "premise": f"{name}: Ida burns her chairs for the light, and her brother comes home.",
            "tone": "warm",
            "theme": "What we keep is what we give.",
            "hook": "Ida carried the last chair up the stairs.",
        }
        for name in names
    ]
    made[1] |= more
    return {"language": language, "ideas": made}


def idea_scores(*each: float) -> Any:
    """The same score for all criteria of an idea."""
    values = each or (60, 70, 50)
    return {"scores": [{"idea": n, **dict.fromkeys(scoring.IDEA, value)} for n, value in enumerate(values, 1)]}


def text(words: int) -> list[str]:
    """Paragraphs of so many words, no two the same."""
    told = list(itertools.islice(itertools.cycle(" ".join(SENTENCES).split()), words))
    parts = [told[begin : begin + 37] for begin in range(0, words, 37)]
    return [" ".join(part).rstrip(".") + "." for part in parts]


def narration(words: int = 25) -> Any:
    """A script."""
    return {"paragraphs": text(words)}


def script_scores(value: float = 85, *notes: str, **more: float) -> Any:
    """The same score for all criteria but those in ``more``."""
    return {**dict.fromkeys(scoring.SCRIPT, value), **more, "notes": list(notes or ["Cut the second sentence."])}


def output(document: Any) -> dict[str, Any]:
    """The result of a worker that answers with this document."""
    said = json.dumps(document, ensure_ascii=False)
    numbers = {"tokens_generated": 1, "generation_time_ms": 1.0, "tokens_per_second": 1.0}
    usage = {"prompt": 1, "completion": 1, "total": 2}
    return {"text": said, "json": document, "finish_reason": "stop", "seed": 1, "usage": usage, **numbers}


def played(folder: Path, *documents: Any) -> tuple[str, ...]:
    """Settings of a text model that gives these documents, or whole lines of the scripted engine, in order."""
    every = (f"{stage}.engine=text" for stage in ("idea", "script", "revision"))
    return ("text.engine=scripted", f"text.engine_options.answers='{_answers(folder, documents)}'", *every, *SHORT)


def played_apart(folder: Path, **documents: Sequence[Any]) -> tuple[str, ...]:
    """The same with answers for each stage. Its interpreter has a spelling of its own, and so it has a worker of its
    own, which begins at the first answer.
    """
    settings = []
    for number, (stage, own) in enumerate(documents.items()):
        python = Path(sys.executable)
        apart = f"{python.parent}{'/.' * number}/{python.name}"
        answers = f"{stage}.engine_options.answers='{_answers(folder, own)}'"
        settings += [f"{stage}.engine=scripted", f"{stage}.python='{apart}'", answers]
    return (*settings, *SHORT)


def _answers(folder: Path, documents: Sequence[Any]) -> Path:
    lines = [each if isinstance(each, dict) and set(each) & LINE else {"output": output(each)} for each in documents]
    path = folder / f"answers-{len(list(folder.glob('answers-*')))}.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


LINE = {"output", "error", "exit", "raise", "wait_s"}
SHORT = ("film.target_s=10", "film.words_per_minute=150")
"""25 words."""


@dataclass
class Written:
    """What the stages that write left behind."""

    making: Making
    items: list[str]
    reused: set[str]
    warnings: dict[str, str]
    skipped: dict[str, str | None]

    @property
    def spoken(self) -> str:
        return " ".join(line["text"] for line in self.making.lines)


def write(folder: Path, settings: Sequence[str], *, said: str | None = IDEA, wishes: Wishes | None = None) -> Written:
    """Go through the stages that write, with real workers, in the folder ``run``; ``said`` is the idea."""
    story = None if said else folder / "story.md"
    with Pool(retries=0) as pool, Run(folder / "run", pool, JsonReport(io.StringIO()), wishes) as run:
        write_json(run.folder / MARK, {"v": 1})
        making = Making(run, profile.load("draft", settings), story, "Told as it is. Quite so.", said)
        skipped = {name: make(making) for name, make in WRITERS}
    items = [f"{item.stage}/{item.name}" for item in run.items]
    reused = {f"{item.stage}/{item.name}" for item in run.items if item.reused}
    warnings = {warning["code"]: warning["message"] for item in run.items for warning in item.warnings}
    return Written(making, items, reused, warnings, skipped)


def document(folder: Path, stage: str, name: str) -> Path:
    """The file of a document that the user may edit."""
    return folder / "run" / stage / name / f"{name}.json"


class Author:
    """A server with the API of OpenAI that answers each prompt as an able model would.

    ``hold`` is the number of the request, from 1, that gets no answer.
    """

    def __init__(self) -> None:
        self.hold = 0
        self.answers: dict[str, Callable[[Request], Any]] = {
            "ideas": lambda request: ideas(),
            "scores": lambda request: idea_scores(),
            "paragraphs": self._script,
            "hook": lambda request: script_scores(60 if "second fire" not in _asked(request) else 85),
        }

    def _script(self, request: Request) -> Any:
        """The first draft is too long; a rewrite is told by its words."""
        asked = _asked(request)
        if "has the wrong length" in asked:
            return narration(25)
        if "make this narration" in asked:
            return {"paragraphs": ["A second fire burned.", *text(21)]}
        return narration(60)

    def __call__(self, request: Request, number: int) -> Answer:
        if number == self.hold:
            return Answer(silent=True)
        wanted = request.body["response_format"]["json_schema"]["schema"]["properties"]
        name = next(name for name in self.answers if name in wanted)
        return completion(json.dumps(self.answers[name](request), ensure_ascii=False))


def _asked(request: Request) -> str:
    return " ".join(message["content"] for message in request.body["messages"]).lower()


class Answers(Sequence[Answer]):
    """The answers of a Service, made when they are asked for."""

    def __init__(self, service: Service, author: Callable[[Request, int], Answer]) -> None:
        self._service, self._author = service, author

    def __len__(self) -> int:
        return 1_000_000

    def __getitem__(self, index: Any) -> Any:
        return self._author(self._service.requests[index], index + 1)


@contextmanager
def authoring(author: Callable[[Request, int], Answer]) -> Iterator[Service]:
    """A server with this author."""
    service = Service()
    service._answers = Answers(service, author)  # type: ignore[assignment]
    try:
        yield service
    finally:
        service.close()


def served(service: Service) -> list[str]:
    """Options of ``storygen run`` for a text model behind this server, in every stage that writes."""
    custom = {"preset": "custom", "base_url": f"{service.root}/v1"}
    options = [f"text.engine_options.{name}={value}" for name, value in custom.items()]
    settings = ["text.engine=openai", "text.model.id=served", *options, *SHORT]
    settings += [f"{stage}.engine=text" for stage in ("idea", "script", "revision")]
    return [argument for setting in settings for argument in ("--set", setting)]


def questions(service: Service) -> list[str]:
    """Every request as text, to be compared."""
    return [re.sub(r"\s+", " ", json.dumps(request.body, sort_keys=True)) for request in service.requests]


def as_file(folder: Path, value: Mapping[str, Any]) -> None:
    """Nothing but JSON."""
    folder.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
