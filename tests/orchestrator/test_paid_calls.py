"""Requests that cost: what was answered is never asked again, whatever happens; a wrong answer is never used."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import writing
from hosted_service import Answer, Request, Worker, completion, environment
from support import PATIENCE_S, ROOT, SMALL, family_tree, still_alive
from writing import IDEA, Author, authoring, questions, served

STEPS = ["idea/ideas", "idea/scores", "script/draft-1", "script/draft-2"]
STEPS += ["revision/scores-0", "revision/rewrite-1-1", "revision/scores-1"]
KILLED_IN = (1, 3, 5)
"""Steps that get no answer before the host dies: one in each stage that asks."""


def command(folder: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "orchestrator", "run", "--idea", IDEA, "--out", str(folder), "--json", *more]


def run(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(folder, *more), capture_output=True, text=True, cwd=ROOT, env=environment(), timeout=180, check=False
    )


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_an_idea_killed_in_every_question_asks_none_twice_that_was_answered(tmp_path: Path) -> None:
    author, folder = Author(), tmp_path / "run"
    with authoring(author) as service:
        options = [*served(service), "--to", "revision"]
        for kills, number in enumerate(KILLED_IN):
            author.hold = number + kills + 1  # so many requests came before it: one a step, and what was repeated
            service.arrived.clear()
            host = subprocess.Popen(command(folder, *options), stdout=subprocess.DEVNULL, cwd=ROOT, env=environment())
            while len(service.requests) < author.hold:
                assert service.arrived.wait(PATIENCE_S)
                service.arrived.clear()
            everyone = family_tree(host.pid)
            host.send_signal(signal.SIGKILL)
            host.wait()
            assert still_alive(everyone) == []
            done = {path.parent.relative_to(folder).as_posix() for path in folder.glob("*/*/result.json")}
            assert done & set(STEPS) == set(STEPS[:number])
        author.hold = 0
        finished = run(folder, *options)
        assert finished.returncode == 0, finished.stderr
        asked = list(Counter(questions(service)).values())  # in the order in which they first came
        assert asked == [1 + (number in KILLED_IN) for number in range(len(STEPS))]  # only those in flight came again
    spoken = json.loads((folder / "revision" / "revision" / "revision.json").read_text(encoding="utf-8"))
    assert spoken["lines"][0]["text"] == "A second fire burned."


def test_an_idea_becomes_a_film_for_seven_requests_and_only_a_forced_one_is_sent_again(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with authoring(Author()) as service:
        options = [*served(service), *SMALL]
        done = run(folder, *options)
        assert done.returncode == 0, done.stderr
        assert len(service.requests) == len(STEPS)
        service.requests.clear()
        assert run(folder, *options, "--force", "revision/scores-1").returncode == 0
        assert len(service.requests) == 1
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert (manifest["state"], manifest["title"], manifest["language"]) == ("done", "Two Fires", "en")
    assert manifest["writing"]["script"]["words"] == 25
    assert [version["score"] for version in manifest["writing"]["revision"]["versions"]] == [60, 85]
    assert manifest["shots"][0]["text"].startswith("A second fire burned.")
    assert (folder / "final.mp4").is_file()
    mark = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert (mark["idea"], "story" in mark) == (IDEA, False)


def test_a_question_that_was_answered_wrong_twice_is_asked_again_only_by_force(tmp_path: Path) -> None:
    author, folder = Author(), tmp_path / "run"
    author.answers["scores"] = lambda request: writing.idea_scores(7, 8, 9)
    with authoring(author) as service:
        options = [*served(service), "--to", "idea"]
        for requests in (3, 0):
            service.requests.clear()
            done = run(folder, *options)
            assert (done.returncode, len(service.requests)) == (65, requests)
            assert "the highest score is 9" in done.stdout
        author.answers["scores"] = lambda request: writing.idea_scores()
        service.requests.clear()
        assert run(folder, *options, "--force", "idea/scores-again").returncode == 0
        assert len(service.requests) == 1
        assert "That is not it" in service.requests[0].body["messages"][-1]["content"]


# An adversary


SCHEMA = {
    "type": "object",
    "properties": {
        "serial": {"type": "integer"},
        "paragraphs": {"type": "array", "minItems": 1, "items": {"type": "string"}},
    },
    "required": ["serial", "paragraphs"],
    "additionalProperties": False,
}


class Adversary:
    """Answers well, or in one of the ways that models and servers answer badly; ``valid`` are its good documents."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.valid: dict[int, Any] = {}
        self.kinds: Counter[str] = Counter()

    def __call__(self, request: Request, number: int) -> Answer:
        good = {"serial": number, "paragraphs": [f"Paragraph {number}.", "Žofie 乌鸦 \N{FIRE}"]}
        whole = json.dumps(good, ensure_ascii=self.chance.random() < 0.5)
        half = whole[: self.chance.randrange(1, len(whole) - 1)]
        bad: dict[str, Any] = {
            "prose": f"Sure! Here it is:\n{whole}\nAnything else?",
            "broken": whole.replace('":', "':", 1),
            "half": half,
            "types": json.dumps({**good, "serial": str(number)}),
            "missing": json.dumps({"serial": number}),
            "more": json.dumps({**good, "note": 1}),
            "list": json.dumps([good]),
            "twice": whole + whole,
            "nan": json.dumps({**good, "serial": float("nan")}),
            "surrogate": whole.replace("Paragraph", "\\ud800"),
            "nothing": "",
            "deep": "[" * 5000,
        }
        kind = self.chance.choice(["good", "good", "fenced", "too long", "cut", *bad])
        self.kinds[kind] += 1
        if kind in {"good", "fenced"}:
            self.valid[number] = good
            return completion(whole if kind == "good" else f"```json\n{whole}\n```")
        if kind == "too long":
            return completion(half, finish="length")
        return completion(half, finish=None, end="cut") if kind == "cut" else completion(bad[kind])


def test_of_200_documents_none_is_silently_wrong() -> None:
    from jsonschema import Draft202012Validator

    adversary, outcomes = Adversary(7), Counter[str]()
    with authoring(adversary) as service:
        worker = Worker()
        for _ in range(200):
            line, _ = worker.ask(
                "chat",
                engine="openai",
                model={"id": "served"},
                input={"messages": [{"role": "user", "content": "A script."}], "json_schema": SCHEMA},
                engine_options={"preset": "custom", "base_url": f"{service.root}/v1"},
            )
            outcomes[line["type"] if line["type"] == "result" else line["error"]["code"]] += 1
            if line["type"] == "result":
                document = line["output"]["json"]
                assert list(Draft202012Validator(SCHEMA).iter_errors(document)) == []
                assert document == adversary.valid[document["serial"]]  # whole, and not another one's
                assert json.loads(line["output"]["text"]) == document
            else:
                assert line["error"]["message"]
        worker.close()
    assert min(adversary.kinds.values()) > 5, adversary.kinds
    assert set(outcomes) == {"result", "unsupported_capability", "invalid_request", "network"}, outcomes
    assert outcomes.total() == 200


# A model of the real class


@pytest.mark.models
def test_a_random_model_ends_in_a_film_or_in_a_clear_error(tmp_path: Path) -> None:
    from tiny_models import llm

    model = llm.qwen2(tmp_path / "model", window=8192)
    settings = [
        f"text.model.id={model}",
        "text.input.max_tokens=60",
        "text.input.seed=7",
        "recognition.engine=none",
        "vision.engine=none",
    ]
    options = [argument for setting in (*settings, *writing.SHORT) for argument in ("--set", setting)]
    done = run(tmp_path / "run", "--profile", "local", *options, *SMALL)
    last = json.loads(done.stdout.splitlines()[-1])
    if done.returncode == 0:
        assert last["manifest"]["state"] == "done"
        return
    assert (last["type"], done.returncode) == ("run_failed", 65), done.stderr
    assert last["error"]["message"].startswith(("idea", "script", "revision", "scenes", "guidance"))
    assert last["error"]["hint"]
