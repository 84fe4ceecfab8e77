"""Stage 5 with a recogniser: the captions show the script's own words when the narration says them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from support import SMALL, STORY, accepted, storygen

from orchestrator import profile
from orchestrator.errors import StorygenError
from orchestrator.item import Item, write_json
from orchestrator.making import Making
from orchestrator.pool import Pool
from orchestrator.progress import JsonReport
from orchestrator.run import Run
from orchestrator.run_folder import MARK
from orchestrator.stages import collect, scenes, script, subtitles, voice

WORDS = [word for paragraph in STORY.split("\n\n")[1:] for word in paragraph.split()]


class Untimed(Run):
    """A run whose synthesizer does not say when its words sound."""

    def work(self, *arguments: Any, **settings: Any) -> Item:
        item = super().work(*arguments, **settings)
        timed = item.stage == "voice" and "words" in item.output
        return replace(item, output={**item.output, "words": None}) if timed else item


@dataclass(frozen=True)
class Made:
    """What the stages up to the scenes left behind."""

    making: Making
    items: list[str]
    warnings: list[str]

    @property
    def starts(self) -> list[float]:
        return [word["start_s"] for word in self.making.words]


Make = Callable[..., Made]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Goes through the first stages of a story, by real workers, with these settings."""
    with Pool() as pool:

        def made(*settings: str, kind: type[Run] = Run, text: str = STORY) -> Made:
            folder = tmp_path_factory.mktemp("run")
            with kind(folder, pool, JsonReport(io.StringIO()), ends_pool=False) as run:
                write_json(run.folder / MARK, {"v": 1})
                making = Making(run, profile.load("draft", settings), Path("story.md"), text)
                for stage in (collect, script, voice, subtitles, scenes):
                    stage.make(making)
            items = [f"{item.stage}/{item.name}" for item in run.items]
            return Made(making, items, [warning["code"] for item in run.items for warning in item.warnings])

        yield made


def recogniser(folder: Path, output: Mapping[str, Any]) -> tuple[str, ...]:
    """Settings for one that gives this answer."""
    answers = folder / "answers.jsonl"
    answers.write_text(json.dumps({"output": output}) + "\n", encoding="utf-8")
    return ("recognition.engine=scripted", f"recognition.engine_options.answers='{answers}'")


def answer(words: list[str], first_s: float = 0.5, step_s: float = 0.3) -> dict[str, Any]:
    """Words of an aligned script, each after the other."""
    marks = [round(first_s + number * step_s, 3) for number in range(len(words) + 1)]
    timed = [
        {"word": word, "start_s": start, "end_s": end, "heard": True}
        for word, (start, end) in zip(words, pairwise(marks), strict=True)
    ]
    return {"words": timed, "mismatch": 0.0}


def test_a_draft_keeps_the_times_of_the_voice(make: Make) -> None:
    made = make()
    assert "subtitles/aligned" not in made.items
    assert made.starts[0] < 0.3


def test_captions_and_shots_follow_the_recognisers_times_with_the_scripts_words(make: Make, tmp_path: Path) -> None:
    made = make(*recogniser(tmp_path, answer(WORDS)))
    assert made.items[-4:] == ["subtitles/aligned", "subtitles/words", "subtitles/captions", "scenes/shots"]
    assert [word["word"] for word in made.making.words] == WORDS
    assert made.starts == pytest.approx([0.5 + 0.3 * number for number in range(len(WORDS))], abs=1e-3)
    assert [word["line"] for word in made.making.words] == [0] * 9 + [1] * 12 + [2] * 4 + [3] * 10 + [4] * 12
    assert made.making.cues[0]["start_s"] == 0.5
    shown = [word for cue in made.making.cues for line in cue["lines"] for word in line.split()]
    assert shown == WORDS
    assert [word for shot in made.making.shots for word in shot["text"].split()] == WORDS
    assert sum(shot["num_frames"] for shot in made.making.shots) == round(made.making.duration_s * 30)


def test_a_voice_that_knows_no_times_gets_the_recognisers_instead_of_an_estimate(make: Make, tmp_path: Path) -> None:
    assert voice.ESTIMATED in make(kind=Untimed).warnings
    made = make(*recogniser(tmp_path, answer(WORDS)), kind=Untimed)
    assert made.warnings == []
    assert made.starts[:2] == [0.5, 0.8]


def test_a_recognisers_own_word_never_reaches_the_screen(make: Make, tmp_path: Path) -> None:
    for words, said in (
        ([*WORDS[:3], "lid", *WORDS[4:]], "'lid' where"),
        (WORDS[:-1], "the end where still."),
        ([*WORDS, "Subscribe!"], "'Subscribe!' where the end"),
    ):
        with pytest.raises(StorygenError, match=said) as failure:
            make(*recogniser(tmp_path, answer(words)))
        assert failure.value.code == "internal_error"


def test_words_that_stand_in_no_line_by_themselves_go_to_the_line_of_their_first_letter() -> None:
    words = [{"word": word, "start_s": n, "end_s": n + 1} for n, word in enumerate(["— 你", "好。", "Ano. Ne"])]
    found = subtitles.of_lines(words, ["— 你好。", "Ano.", "Ne"], 2.5)
    assert [word["line"] for word in found] == [0, 0, 1]
    assert (found[2]["start_s"], found[2]["end_s"]) == (2, 2.5)


def test_a_whole_run_is_resumed_and_planned_with_a_recogniser(tmp_path: Path) -> None:
    (tmp_path / "story.md").write_text(STORY, encoding="utf-8")
    folder = tmp_path / "run"
    settings = [part for setting in recogniser(tmp_path, answer(WORDS)) for part in ("--set", setting)]
    command: tuple[str | Path, ...] = ("run", tmp_path / "story.md", "--out", folder, *SMALL, *settings)
    planned = storygen(*command, "--dry-run", "--json")
    assert planned.returncode == 0, planned.stderr
    done = storygen(*command)
    assert done.returncode == 0, done.stderr
    assert ("subtitles", "aligned") in accepted(folder)
    assert "00:00:00,500 -->" in (folder / "captions.srt").read_text(encoding="utf-8")
    planned = storygen(*command, "--dry-run", "--json")
    assert {row["state"] for row in json.loads(planned.stdout)} == {"done"}
    words = folder / "subtitles" / "words" / "words.json"
    edited = json.loads(words.read_text(encoding="utf-8"))
    edited["words"][0]["start_s"] = 0.25
    words.write_text(json.dumps(edited), encoding="utf-8")
    assert storygen(*command).returncode == 0
    assert "00:00:00,250 -->" in (folder / "captions.srt").read_text(encoding="utf-8")


SPOKEN = """title: A test
language: en

Hello there, this is a test. Good night!
"""


@pytest.mark.models
def test_a_film_by_the_real_recogniser_on_a_tiny_model(make: Make, tmp_path: Path) -> None:
    from tiny_models.whisper import build

    model = build(tmp_path / "tiny")
    choice = ("engine=faster_whisper", f"model.id='{model}'", "input.vad_filter=false")
    settings = [f"recognition.{each}" for each in choice]
    made = make(*settings, text=SPOKEN)
    words = made.making.words
    assert [word["word"] for word in words] == ["Hello", "there,", "this", "is", "a", "test.", "Good", "night!"]
    assert "script_mismatch" not in made.warnings
    assert all(one["end_s"] <= two["start_s"] for one, two in pairwise(words))
    assert words[-1]["end_s"] <= made.making.duration_s
    other = make(*settings)
    assert [word["word"] for word in other.making.words] == WORDS
    assert "script_mismatch" in other.warnings
