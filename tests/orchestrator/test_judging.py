"""Pictures are scored by a judge; those that fail are drawn again, no more often than allowed, and nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support import SMALL, storygen

from orchestrator.stages.judging import WINDOW, windows

ANALYSIS = "The lamp is another one in Picture 2."
Manifest = dict[str, Any]
Film = Callable[..., tuple[Manifest, list[str]]]


def score(value: float, *suggestions: str) -> dict[str, Any]:
    """A judge's answer about one picture."""
    return {
        "is_valid": value >= 0.6,
        "match_score": value,
        "explanation": f"It is worth {value}.",
        "matching": [],
        "mismatched": [],
        "suggestions": list(suggestions),
        "tokens_generated": 1,
        "seed": None,
    }


def together(*scores: float) -> dict[str, Any]:
    """A judge's answer about several pictures."""
    return {
        "is_consistent": min(scores) >= 0.5,
        "consistency_score": min(scores),
        "image_scores": list(scores),
        "pairwise_scores": [],
        "analysis": ANALYSIS,
        "consistent": [],
        "inconsistent": [],
        "tokens_generated": 1,
        "seed": None,
    }


@pytest.fixture
def film(story: Path, tmp_path: Path) -> Film:
    """Makes the pictures of a story of three shots, judged by these answers in order: (manifest, drawn items)."""

    def made(answers: Sequence[Mapping[str, Any]], *more: str | Path, code: int = 0) -> tuple[Manifest, list[str]]:
        script = tmp_path / "judge.jsonl"
        script.write_text("".join(json.dumps({"output": answer}) + "\n" for answer in answers), encoding="utf-8")
        judge = ["vision.engine=scripted", f"vision.engine_options.answers='{script}'", "vision.at_once=1"]
        settings = [word for setting in judge for word in ("--set", setting)]
        done = storygen("run", story, "--out", tmp_path / "run", "--to", "keyframes", *SMALL, *settings, *more)
        assert done.returncode == code, done.stderr
        manifest = json.loads((tmp_path / "run" / "manifest.json").read_text(encoding="utf-8"))
        drawn = {item["item"] for item in manifest["items"] if item["engine"] == "storyboard"}
        return manifest, sorted(drawn - {"scenes"})

    return made


def pictures(manifest: Manifest) -> list[str]:
    return [shot["keyframe"] for shot in manifest["shots"]]


def test_exactly_the_shots_that_fail_are_drawn_again_until_they_pass(film: Film, tmp_path: Path) -> None:
    rounds = [
        score(0.9),
        score(0.2, "two lamps", "night"),
        score(0.8),
        score(0.3, "black water"),
        score(0.7),
        together(0.9, 0.8, 0.9),
    ]
    manifest, drawn = film(rounds)
    assert drawn == ["shot-001", "shot-002", "shot-002-again-1", "shot-002-again-2", "shot-003"]
    assert pictures(manifest) == [
        "keyframes/shot-001/shot-001_001.png",
        "keyframes/shot-002-again-2/shot-002-again-2_001.png",
        "keyframes/shot-003/shot-003_001.png",
    ]
    history = manifest["shots"][1]["pictures"]
    assert [each["score"] for each in history] == [0.2, 0.3, 0.7]
    assert [each["kept"] for each in history] == [False, False, True]
    assert history[1]["prompt"].endswith(", two lamps, night")
    assert history[2]["prompt"].endswith(", black water")
    assert len({each["seed"] for each in history}) == 3
    assert manifest["consistency"] == {"score": 0.8, "analysis": [ANALYSIS]}
    assert manifest["vision_model"] == {"engine": "scripted", "model": None}
    assert not manifest["warnings"]
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    for each in history:
        assert each["picture"] in page
        assert each["explanation"] in page
        assert each["prompt"] in page
        assert all(words in page for words in each["suggestions"])


def test_a_shot_that_never_passes_keeps_its_best_picture_and_says_so(film: Film, tmp_path: Path) -> None:
    manifest, drawn = film(
        [score(0.9), score(0.9), score(0.3), score(0.5), score(0.4), together(1, 1, 1)], "--set", "gate.rerolls=2"
    )
    assert drawn == ["shot-001", "shot-002", "shot-003", "shot-003-again-1", "shot-003-again-2"]
    assert pictures(manifest)[2] == "keyframes/shot-003-again-1/shot-003-again-1_001.png"
    (warning,) = manifest["warnings"]
    assert warning["code"] == "below_threshold"
    assert "Shot 3: the best of 3 pictures scores 0.50, below 0.6: It is worth 0.5." in warning["message"]
    folder = tmp_path / "run"
    assert storygen("status", folder).returncode == 0


def test_the_best_of_several_variants_is_kept(film: Film) -> None:
    scores = [score(0.7), score(0.8), score(0.9), score(0.6), score(0.6), score(0.61)]
    manifest, drawn = film([*scores, together(1, 1, 1)], "--set", "gate.variants=2")
    assert drawn == ["shot-001", "shot-002", "shot-003"]
    assert [Path(path).stem for path in pictures(manifest)] == ["shot-001_002", "shot-002_001", "shot-003_002"]
    assert [len(shot["pictures"]) for shot in manifest["shots"]] == [2, 2, 2]


def test_the_picture_that_fits_the_others_least_is_drawn_again(film: Film) -> None:
    passed = [score(0.9), score(0.9), score(0.9)]
    manifest, drawn = film([*passed, together(0.5, 0.4, 0.2), score(0.7), together(0.8, 0.7, 0.7)])
    assert drawn == ["shot-001", "shot-002", "shot-003", "shot-003-again-1"]
    assert pictures(manifest)[2] == "keyframes/shot-003-again-1/shot-003-again-1_001.png"
    assert manifest["consistency"]["score"] == 0.7


@pytest.mark.parametrize(
    "second", [[score(0.1)], [score(0.7), together(0.5, 0.4, 0.1)]], ids=["shows something else", "fits no better"]
)
def test_a_picture_that_fits_no_better_is_not_taken(film: Film, second: list[dict[str, Any]]) -> None:
    passed = [score(0.9), score(0.9), score(0.9)]
    manifest, drawn = film([*passed, together(0.5, 0.4, 0.2), *second])
    assert drawn[-1] == "shot-003-again-1"
    assert pictures(manifest)[2] == "keyframes/shot-003/shot-003_001.png"
    assert manifest["consistency"]["score"] == 0.2
    (warning,) = manifest["warnings"]
    assert (warning["code"], ANALYSIS in warning["message"]) == ("inconsistent", True)


def test_nothing_is_drawn_or_asked_twice(film: Film) -> None:
    answers = [score(0.9), score(0.2), score(0.8), score(0.7), together(0.9, 0.8, 0.9)]
    first, drawn = film(answers)
    second, again = film(answers)
    assert (pictures(second), again) == (pictures(first), drawn)
    assert all(item["reused"] for item in second["items"])


def test_a_picture_that_the_user_painted_is_neither_judged_nor_drawn_again(film: Film, tmp_path: Path) -> None:
    film([score(0.9), score(0.9), score(0.9), together(1, 1, 1)])
    painted = tmp_path / "run" / "keyframes" / "shot-002" / "shot-002_001.png"
    painted.write_bytes((tmp_path / "run" / "keyframes" / "shot-001" / "shot-001_001.png").read_bytes())
    answers = [score(0.9), score(0.9), together(0.1, 0.0, 0.1), score(0.9), together(0.2, 0.1, 0.2)]
    manifest, drawn = film(answers)
    assert drawn == ["shot-001", "shot-001-again-1", "shot-002", "shot-003"]
    assert pictures(manifest)[1] == "keyframes/shot-002/shot-002_001.png"
    assert manifest["shots"][1]["pictures"] == [{**manifest["shots"][1]["pictures"][0], "score": None, "kept": True}]


def test_a_painted_variant_is_the_shots_picture_whatever_is_asked_of_the_others(film: Film, tmp_path: Path) -> None:
    answers = [score(0.7), score(0.8), score(0.9), score(0.6), score(0.6), score(0.61), together(1, 1, 1)]
    film(answers, "--set", "gate.variants=2")
    drawings = tmp_path / "run" / "keyframes"
    painted = drawings / "shot-001" / "shot-001_001.png"
    painted.write_bytes((drawings / "shot-003" / "shot-003_001.png").read_bytes())
    manifest, drawn = film([score(0.9)] * 5 + [together(1, 1, 1)], "--set", "gate.variants=2")
    assert pictures(manifest)[0] == "keyframes/shot-001/shot-001_001.png"
    assert not [name for name in drawn if name.startswith("shot-001-again")]


def test_another_threshold_asks_nothing_again(film: Film) -> None:
    answers = [score(0.9), score(0.7), score(0.8), together(0.9, 0.8, 0.9)]
    film(answers)
    manifest, drawn = film(answers, "--set", "gate.threshold=0.65", "--set", "gate.consistency_threshold=0.7")
    assert drawn == ["shot-001", "shot-002", "shot-003"]
    assert all(item["reused"] for item in manifest["items"])


def test_a_later_stage_takes_the_chosen_pictures_as_they_lie(film: Film, story: Path, tmp_path: Path) -> None:
    first, _ = film([score(0.9), score(0.2), score(0.8), score(0.7), together(0.9, 0.8, 0.9)])
    done = storygen("run", story, "--out", tmp_path / "run", "--from", "video", "--to", "video", *SMALL)  # no judge
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text(encoding="utf-8"))
    assert pictures(manifest) == pictures(first)
    assert [len(shot["pictures"]) for shot in manifest["shots"]] == [1, 2, 1]


def test_the_user_can_choose_another_picture(film: Film, tmp_path: Path) -> None:
    answers = [score(0.7), score(0.8), score(0.9), score(0.6), score(0.6), score(0.61), together(1, 1, 1)]
    film(answers, "--set", "gate.variants=2")
    choice = tmp_path / "run" / "keyframes" / "chosen" / "chosen.json"
    text = choice.read_text(encoding="utf-8")
    choice.write_text(text.replace("shot-001/shot-001_002.png", "shot-001/shot-001_001.png"), encoding="utf-8")
    manifest, _ = film(answers, "--set", "gate.variants=2")
    assert Path(pictures(manifest)[0]).stem == "shot-001_001"
    assert [each["kept"] for each in manifest["shots"][0]["pictures"]] == [True, False]
    assert manifest["consistency"] is None
    choice.write_text(text.replace("shot-001/shot-001_002.png", "../../../other.png"), encoding="utf-8")
    failed, _ = film(answers, "--set", "gate.variants=2", code=65)
    assert "'../../../other.png' for shot 1" in failed["error"]["message"]


def test_reference_pictures_make_the_bible_of_a_film_without_a_text_model(film: Film, tmp_path: Path) -> None:
    cast = tmp_path / "the cast ž"
    cast.mkdir()
    for name in ("10 pier.png", "2 old man.png", "stranger.gif"):
        Image.new("RGB", (64, 64), (len(name), 0, 0)).save(cast / name)
    style = {"palette": "slate, amber", "style": "charcoal drawing"}
    facts = [
        {"kind": "character", "name": "old man", "appearance": "thin, white beard", **style},
        {"kind": "place", "name": "pier", "appearance": "a stone pier", **style},
        {"kind": "character", "name": "stranger", "appearance": "yellow raincoat", **style},
    ]
    said = {"tokens_generated": 1, "image_count": 1, "finish_reason": "stop", "seed": None}
    answers = [*({"text": "", "json": fact, **said} for fact in facts), *[score(0.9)] * 3, together(1, 1, 1)]
    manifest, _ = film(answers, "--references", cast)
    old_man = {"name": "old man", "appearance": "thin, white beard", "shots": [1]}
    assert manifest["bible"] == {"characters": [old_man], "place": "a stone pier", "era": "", "light": "", **style}
    told = manifest["writing"]["references"]["pictures"]
    assert [each["file"] for each in told] == ["2 old man.png", "10 pier.png", "stranger.gif"]
    (warning,) = manifest["warnings"]
    assert warning["code"] == "reference_not_used"
    assert "stranger.gif is followed in no shot: no shot's words name 'stranger'" in warning["message"]
    assert "thin, white beard" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    again, _ = film(answers, "--references", cast)
    assert all(item["reused"] for item in again["items"])
    status = storygen("status", tmp_path / "run")
    assert status.returncode == 0, status.stderr
    assert "guidance   5 done" in status.stdout


def test_without_a_judge_there_is_no_history(made: Path) -> None:
    manifest = json.loads((made / "manifest.json").read_text(encoding="utf-8"))
    assert all("pictures" not in shot for shot in manifest["shots"])
    assert manifest["consistency"] is None


@given(st.integers(2, 100))
def test_every_picture_is_compared_and_neighbours_together(count: int) -> None:
    found = [list(each) for each in windows(range(count))]
    assert {number for window in found for number in window} == set(range(count))
    assert all(2 <= len(window) <= WINDOW for window in found)
    assert all(any({n, n + 1} <= set(window) for window in found) for n in range(count - 1))
