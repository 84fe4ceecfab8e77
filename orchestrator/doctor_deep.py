"""``storygen doctor --deep``: every engine of this machine does one small thing through its real worker.

Models are tiny ones of the real classes, built for it: they show that an installation works before 40 GB of real
weights are downloaded, and nothing about quality. An engine more is a row of ``TRIALS`` more.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from orchestrator.doctor_findings import Finding, in_words, install
from orchestrator.errors import CHECKOUT, StorygenError, without_secrets
from orchestrator.worker import WORKERS, Worker, environment, kill_group

TESTS = CHECKOUT / "tests"
BUILD_S = TRIAL_S = 300.0
"""Longest waits, for all models to be built and for one engine: some libraries take a minute where the disk is slow."""
STDERR_LINES = 5
PREFIX = "storygen-doctor-"
CPU_BUILD = "See https://pytorch.org/get-started/locally for the build of torch that fits the card's driver."


@dataclass(frozen=True)
class Trial:
    """One request to one engine.

    ``$<engine>`` in the input is the first file that the trial of that engine left.
    """

    family: str
    engine: str
    op: str
    input: Mapping[str, Any]
    model: str | None = None
    """Module and function of ``tests/tiny_models`` that builds its model."""

    @property
    def name(self) -> str:
        """How a person knows it."""
        return f"{self.family} {self.engine}"


PICTURE = {"width": 270, "height": 480}
CLIP = {**PICTURE, "num_frames": 12, "fps": 12}
TRIALS = (
    Trial("model_management", "catalogue", "recommend", {}),
    Trial("speech_synthesis", "espeak", "synthesize", {"text": "A crow beside a pitcher."}),
    Trial("speech_synthesis", "system", "synthesize", {"text": "A crow beside a pitcher."}),
    Trial("image_generation", "storyboard", "generate", {"prompts": ["A crow beside a pitcher."], **PICTURE}),
    Trial("video_generation", "ken_burns", "animate", {"image": "$storyboard", **CLIP}),
    Trial("media_processing", "ffmpeg", "mux", {"video": "$ken_burns", "audio": "$espeak"}),
    Trial("model_management", "huggingface", "list", {}),
    Trial("speech_recognition", "faster_whisper", "transcribe", {"audio": "$espeak"}, "whisper.build"),
    Trial("text_generation", "transformers", "generate", {"prompt": "A crow", "max_tokens": 8}, "llm.qwen2"),
    Trial(
        "vision_language",
        "transformers",
        "analyze_image",
        {"images": ["$storyboard"], "prompt": "What is it?", "max_tokens": 8},
        "vision.llava_onevision",
    ),
    Trial(
        "image_generation",
        "sdxl",
        "generate",
        {"prompts": ["A crow beside a pitcher."], "width": 64, "height": 64, "num_inference_steps": 2},
        "sdxl.base",
    ),
    Trial(
        "video_generation",
        "ltx_video",
        "animate",
        {"image": "$storyboard", **CLIP, "width": 64, "height": 64, "num_inference_steps": 2},
        "ltx.first",
    ),
)
"""In the order in which they are tried: what takes another's file comes after it."""

Say = Callable[[str, str], None]
"""Told what is under way: the step, and how far it is, which is empty when it begins."""


def check(described: Mapping[str, Any], *, card: bool, say: Say) -> list[Finding]:
    """Build the tiny models and try every engine of this checkout; nothing of it is kept.

    ``described`` is what the workers say of their engines, ``card`` whether the machine has a graphics card that they
    should use. A fault is an engine that looks usable and is not.
    """
    trials = [one for one in TRIALS if (WORKERS / "engines" / one.family / f"{one.engine}.py").is_file()]
    here = [one for one in trials if _usable(one, described)]
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name:
        folder = Path(name)
        wanted = [one.model for one in here if one.model is not None]
        failures = dict(_built(folder, wanted, say)) if wanted else {}
        made: dict[str, str] = {}
        findings = []
        for one in trials:
            if one in here:
                findings.append(_tried(one, folder, made, failures.get(one.model or ""), say, card=card))
            else:
                findings.append(_not_tried(one, described))
    return findings


def _facts(trial: Trial, described: Mapping[str, Any]) -> Mapping[str, Any]:
    facts: Mapping[str, Any] = described[trial.family]["engines"].get(trial.engine) or {
        "usable": False,
        "why_not": described[trial.family]["why_not"] or "its worker does not list it",
    }
    return facts


def _usable(trial: Trial, described: Mapping[str, Any]) -> bool:
    return bool(_facts(trial, described)["usable"])


def _not_tried(trial: Trial, described: Mapping[str, Any]) -> Finding:
    """An engine that is not set up: a matter of installing what it asks for, or of another machine."""
    why_not = _facts(trial, described)["why_not"]
    if "Python package" in why_not:
        return Finding(trial.name, "warning", f"not tried: {why_not}", install("models"))
    return Finding(trial.name, "ok", f"not tried: {why_not}")


def _tried(trial: Trial, folder: Path, made: dict[str, str], failure: str | None, say: Say, *, card: bool) -> Finding:
    """Have the engine do its request; the first file of the result is put into ``made``."""
    lacking = [engine for engine in _needed(trial.input) if engine not in made]
    if failure or lacking:
        why = f"its tiny model could not be built: {failure}" if failure else f"it takes what {lacking[0]} makes"
        advice = install("models") if failure else None
        return Finding(trial.name, "fault", f"not tried: {why}", advice or "Mend that first.")
    say(f"trying {trial.name}", "")
    began = time.monotonic()
    try:
        result = _asked(trial, folder, made, say)
    except StorygenError as error:
        found = f"failed after {time.monotonic() - began:.1f} s: {without_secrets(in_words(error))}"
        return Finding(trial.name, "fault", found, error.hint or f"See what it says: {_by_hand(trial)}")
    if (path := _first_path(result["output"])) is not None:
        made[trial.engine] = path
    device = str((result.get("model") or {}).get("device") or "cpu")
    found = f"worked, {time.monotonic() - began:.1f} s" + (f", on {device}" if trial.model else "")
    if card and trial.model and device == "cpu":
        return Finding(trial.name, "warning", f"{found} although there is a graphics card", CPU_BUILD)
    return Finding(trial.name, "ok", found)


def _asked(trial: Trial, folder: Path, made: Mapping[str, str], say: Say) -> dict[str, Any]:
    """The result of a trial's request, by a worker that ends with it."""

    def on_event(event: Mapping[str, Any]) -> None:
        if event["type"] == "progress":
            say(f"trying {trial.name}", f"{event['stage']} {event['current']:g} of {event['total'] or 0:g}")

    request: dict[str, Any] = {
        "v": 1,
        "op": trial.op,
        "engine": trial.engine,
        "input": _filled(trial.input, made),
        "options": {"timeout_s": TRIAL_S, "offline": True},
        "output_dir": str(folder),
        "output_name": f"{trial.family}-{trial.engine}",
    }
    if trial.model is not None:
        request["model"] = {"id": str(folder / trial.model)}
    with Worker(trial.family) as worker:
        return worker.request(request, on_event)


def _needed(value: Any) -> list[str]:
    """Engines whose files an input names."""
    if isinstance(value, str):
        return [value[1:]] if value.startswith("$") else []
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, Sequence) else ()
    return [engine for part in parts for engine in _needed(part)]


def _filled(value: Any, made: Mapping[str, str]) -> Any:
    """An input with the files that its ``$names`` stand for."""
    if isinstance(value, Mapping):
        return {name: _filled(part, made) for name, part in value.items()}
    if isinstance(value, list):
        return [_filled(part, made) for part in value]
    return made[value[1:]] if isinstance(value, str) and value.startswith("$") else value


def _first_path(value: Any) -> str | None:
    """The first artifact's file of an output."""
    if isinstance(value, Mapping):
        if isinstance(value.get("path"), str):
            return str(value["path"])
        value = list(value.values())
    if not isinstance(value, list):
        return None
    return next((path for part in value if (path := _first_path(part)) is not None), None)


def _by_hand(trial: Trial) -> str:
    return f"{sys.executable} {WORKERS / trial.family}.py --describe"


# Building


def _built(folder: Path, names: Sequence[str], say: Say) -> Iterator[tuple[str, str | None]]:
    """(name, why it could not be built or None) of each model, built in one process of this interpreter."""
    if not (TESTS / "tiny_models").is_dir():
        yield from dict.fromkeys(names, f"{TESTS / 'tiny_models'} is not there: --deep needs a whole checkout").items()
        return
    left = list(dict.fromkeys(names))
    say(f"building {left[0]}", "")
    with open(folder / "building.txt", "w+b") as words:
        for line in _lines(folder, left, words):
            if line["name"] not in left:
                continue
            left.remove(line["name"])
            yield line["name"], line["error"]
            if left:
                say(f"building {left[0]}", "")
        words.seek(0)
        said = words.read().decode("utf-8", "replace").splitlines()[-STDERR_LINES:]
    yield from dict.fromkeys(left, " | ".join(["the builder ended too early", *said])).items()


def _lines(folder: Path, names: Sequence[str], words: IO[bytes]) -> Iterator[dict[str, Any]]:
    """What the builder says of each model. Whatever happens, it has ended afterwards, and its children with it."""
    apart: dict[str, Any] = {"process_group": 0}
    if sys.platform == "win32":
        apart = {"creationflags": subprocess.CREATE_NO_WINDOW}
    born = time.time()
    process = subprocess.Popen(
        [sys.executable, "-m", "tiny_models", str(folder), *names],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=words,
        cwd=TESTS,
        env=environment(),
        **apart,
    )
    limit = threading.Timer(BUILD_S, process.kill)
    limit.start()
    try:
        for line in process.stdout or ():
            with contextlib.suppress(ValueError):  # a library's own words
                said = json.loads(line)
                if isinstance(said, dict) and {"name", "error"} <= said.keys():
                    yield said
    finally:
        limit.cancel()
        process.kill()
        process.communicate()
        kill_group(process.pid, born)
