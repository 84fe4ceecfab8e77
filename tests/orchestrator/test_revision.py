"""Stage 3: a script is rewritten as long as that makes it better, and the best version is told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import writing
from hypothesis import given
from hypothesis import strategies as st
from writing import idea_scores, ideas, narration, script_scores

from orchestrator import scoring
from orchestrator.errors import StorygenError
from orchestrator.stages import revision

BEFORE = (ideas(), idea_scores(), narration(25))


def rewrite(number: int, words: int = 24) -> Any:
    """A rewrite that is known by its first words."""
    return {"paragraphs": [f"Version {['one', 'two', 'three', 'four'][number - 1]}.", *writing.text(words - 2)]}


def revised(folder: Path, *answers: Any) -> tuple[writing.Written, dict[str, Any]]:
    """What becomes of these answers, and the stage's document."""
    written = writing.write(folder, writing.played(folder, *BEFORE, *answers))
    return written, json.loads(writing.document(folder, "revision", "revision").read_text(encoding="utf-8"))


def own(written: writing.Written) -> list[str]:
    return [item.removeprefix("revision/") for item in written.items if item.startswith("revision")]


def test_a_script_that_is_good_enough_is_left_alone(tmp_path: Path) -> None:
    written, document = revised(tmp_path, script_scores(80))
    assert own(written) == ["scores-0", "revision"]
    assert (document["kept"], document["score"]) == ("script", 80)
    assert written.spoken == " ".join(writing.text(25))


def test_rounds_end_when_the_score_is_reached(tmp_path: Path) -> None:
    answers = (script_scores(55), rewrite(1), script_scores(70, "Cut it."), rewrite(2), script_scores(81))
    written, document = revised(tmp_path, *answers)
    assert own(written) == ["scores-0", "rewrite-1-1", "scores-1", "rewrite-2-1", "scores-2", "revision"]
    assert written.spoken.startswith("Version two.")
    assert [version["score"] for version in document["versions"]] == [55, 70, 81]
    assert document["versions"][1]["notes"] == ["Cut it."]
    assert document["versions"][1]["paragraphs"][0] == "Version one."
    assert written.making.writing["revision"]["kept"] == "rewrite-2-1"
    assert written.making.writing["script"]["words"] == 24
    assert written.making.source["paragraphs"][0] == "Version two."


@pytest.mark.parametrize("second", [70, 60])
def test_a_round_that_does_not_gain_is_the_last_and_the_best_is_kept(second: float, tmp_path: Path) -> None:
    answers = (script_scores(55), rewrite(1), script_scores(70), rewrite(2), script_scores(second), rewrite(3))
    written, document = revised(tmp_path, *answers)
    assert own(written)[-2:] == ["scores-2", "revision"]
    assert (document["kept"], document["score"]) == ("rewrite-1-1", 70)
    assert written.spoken.startswith("Version one.")


def test_there_are_three_rounds_at_most(tmp_path: Path) -> None:
    scores = [script_scores(value) for value in (40, 50, 60, 70)]
    answers = [scores[0], *(each for number in (1, 2, 3) for each in (rewrite(number), scores[number]))]
    written, document = revised(tmp_path, *answers, rewrite(4), script_scores(99))
    assert (len(document["versions"]), document["score"]) == (4, 70)
    assert written.spoken.startswith("Version three.")


def test_a_rewrite_is_brought_to_its_length_too(tmp_path: Path) -> None:
    written, _ = revised(tmp_path, script_scores(55), rewrite(1, 60), rewrite(2, 26), script_scores(90))
    assert own(written) == ["scores-0", "rewrite-1-1", "rewrite-1-2", "scores-1", "revision"]
    assert written.spoken.startswith("Version two.")
    assert len(written.spoken.split()) == 26


def test_a_rewrite_that_never_gets_its_length_is_not_kept_for_its_score(tmp_path: Path) -> None:
    written, document = revised(tmp_path, script_scores(55), *[rewrite(1, 60)] * 4, script_scores(95))
    assert [version["fits"] for version in document["versions"]] == [True, False]
    assert (document["kept"], document["versions"][1]["score"]) == ("script", 95)
    assert len(written.spoken.split()) == 25
    assert "length_missed" not in written.warnings


def test_an_edited_revision_is_told(tmp_path: Path) -> None:
    settings = writing.played(tmp_path, *BEFORE, script_scores(55), rewrite(1), script_scores(85))
    writing.write(tmp_path, settings)
    path = writing.document(tmp_path, "revision", "revision")
    document = json.loads(path.read_text(encoding="utf-8"))
    document["lines"][0]["text"] = "Version of mine."
    writing.as_file(path, document)
    written = writing.write(tmp_path, settings)
    assert written.spoken.startswith("Version of mine.")
    assert written.reused == set(written.items)
    assert written.making.writing["revision"]["edited"]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (script_scores(8), "the highest score is 8; the scale goes from 0 to 100"),
        (script_scores(60, " "), "notes is empty"),
        (script_scores(60, hook=101), "101 is greater than the maximum of 100"),
    ],
)
def test_useless_scores_are_asked_for_once_more(bad: Any, said: str, tmp_path: Path) -> None:
    written, _ = revised(tmp_path, bad, script_scores(90))
    assert own(written) == ["scores-0", "scores-0-again", "revision"]
    assert said in written.warnings["asked_again"]
    (tmp_path / "2").mkdir()
    with pytest.raises(StorygenError, match="revision: scripted was asked twice for revision/scores-0"):
        revised(tmp_path / "2", bad, bad)


SCORES = st.fixed_dictionaries(dict.fromkeys(scoring.SCRIPT, st.integers(0, 100)))


@given(SCORES)
def test_a_weighted_score_lies_between_its_worst_and_its_best(scores: Mapping[str, int]) -> None:
    score = scoring.weighted(scores, scoring.SCRIPT)
    assert min(scores.values()) - 0.01 <= score <= max(scores.values()) + 0.01
    better = {**scores, "storytelling": 100}
    assert scoring.weighted(better, scoring.SCRIPT) == pytest.approx(
        score + 0.2 * (100 - scores["storytelling"]), abs=0.011
    )


@given(st.lists(st.tuples(st.integers(0, 100), st.booleans()), min_size=1, max_size=5))
def test_no_kept_version_could_have_been_better_without_costing_its_length(given: list[tuple[int, bool]]) -> None:
    versions: list[dict[str, Any]] = [
        {"item": str(number), "score": score, "fits": fits, "paragraphs": ["A."]}
        for number, (score, fits) in enumerate(given)
    ]
    kept = versions[int(revision.best(versions, "en")["kept"])]
    fitting = [version for version in versions if version["fits"]]
    rivals = [version for version in fitting if version["score"] > kept["score"]] if kept["fits"] else []
    assert rivals == []
    assert not versions[0]["fits"] or kept["fits"]
