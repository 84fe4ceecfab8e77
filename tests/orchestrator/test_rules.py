"""The stages that rules of ours do, over many inputs; and the words of the command line."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import storygen

from orchestrator import profile
from orchestrator.errors import StorygenError, error_table
from orchestrator.stages import collect, scenes, script


@st.composite
def spoken(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[dict[str, Any]], float]:
    """(cues, words, length of the narration) as the captions operation gives them."""
    time, line = 0.2, 0
    cues: list[dict[str, Any]] = []
    words: list[dict[str, Any]] = []
    for _ in range(draw(st.integers(1, 40))):
        first, start = len(words), time
        for _ in range(draw(st.integers(1, 6))):
            length = draw(st.floats(0.1, 0.8))
            words.append({"word": f"w{len(words)}", "start_s": time, "end_s": time + length, "line": line})
            time += length
        cues.append({"start_s": start, "end_s": time, "words": [first, len(words)]})
        if draw(st.booleans()):
            line += 1
            time += draw(st.floats(0, 0.7))
    return cues, words, time + 0.2


@given(spoken(), st.sampled_from([24, 25, 30, 60]))
def test_shots_cover_the_film_to_the_frame_and_every_word_once(told: tuple[Any, Any, float], fps: int) -> None:
    cues, words, duration = told
    shots = scenes.shots(cues, words, duration, fps)
    assert sum(shot["num_frames"] for shot in shots) == math.ceil(round(duration * fps, 6))
    assert " ".join(shot["text"] for shot in shots) == " ".join(word["word"] for word in words)
    assert [shot["number"] for shot in shots] == list(range(1, len(shots) + 1))
    assert all(before["motion"] != after["motion"] for before, after in pairwise(shots))


@given(spoken())
def test_every_cut_lies_between_two_cues_and_shots_last_2_to_10_s_where_they_can(told: tuple[Any, Any, float]) -> None:
    cues, words, duration = told
    shots = scenes.shots(cues, words, duration, 30)
    gaps = [(before["end_s"] - 0.02, after["start_s"] + 0.02) for before, after in pairwise(cues)]
    for shot in shots[:-1]:
        assert any(low <= shot["end_s"] <= high for low, high in gaps)
    lengths = [shot["num_frames"] / 30 for shot in shots]
    assert max(lengths) <= scenes.MAX_SHOT_S + 0.04
    assert min(lengths) >= scenes.MIN_SHOT_S - 0.04 or duration < scenes.MIN_SHOT_S


def test_a_cut_goes_to_the_end_of_a_sentence_when_there_is_one() -> None:
    ends = [1.5 * number for number in range(1, 9)]
    sentence_ends = [number in {3, 7} for number in range(8)]
    assert scenes.cuts(ends, sentence_ends) == [3, 7]


@given(
    st.lists(st.text(max_size=80).filter(lambda text: "\r" not in text), min_size=1, max_size=5),
    st.sampled_from(["en", "fr", "cs", "zh", "ar", "tlh"]),
)
def test_a_script_keeps_every_word_of_the_story_in_order(paragraphs: list[str], language: str) -> None:
    lines = script.lines(paragraphs, language)
    told = "".join("".join(line["text"].split()) for line in lines)
    first_words = [paragraph for paragraph in paragraphs if any(character.isalnum() for character in paragraph)]
    for paragraph in first_words:
        kept = "".join(character for character in paragraph if character.isalnum())
        assert kept in "".join(character for character in told if character.isalnum())
    assert all(any(character.isalnum() for character in line["text"]) for line in lines)


def test_sentences_know_abbreviations_and_quotations() -> None:
    text = 'Mr. Smith paid $3.50. "Why?" she asked. He left at 5 p.m. on Sunday… Nobody knew.'
    lines = [line["text"] for line in script.lines([text], "en")]
    assert lines == ["Mr. Smith paid $3.50.", '"Why?" she asked.', "He left at 5 p.m. on Sunday… Nobody knew."]


@pytest.mark.parametrize(
    ("text", "title", "language", "paragraphs"),
    [
        ("title: A: B\nlanguage: cs\n\nAhoj *světe*.\n", "A: B", "cs", ["Ahoj světe."]),
        ("\n\nLanguage: pt-BR\nTITLE: X\nOlá.", "X", "pt-BR", ["Olá."]),
        ("# Heading\n\nOne\ntwo.\n\n- three\n- [four](http://x)\n", "Heading", "en", ["One two.", "three", "four"]),
        ("> He said **no**.\n\n![picture](a.png)\n\n<b>bold</b> end", "My Tale", "en", ["He said no.", "bold end"]),
        ("1 < 2 & `code` \\* star", "My Tale", "en", ["1 < 2 & code * star"]),
        ("# One\n\ntext\n\n## Two\n\nmore", "One", "en", ["text", "Two", "more"]),
    ],
)
def test_a_story_file_is_read_without_its_marks(text: str, title: str, language: str, paragraphs: list[str]) -> None:
    found = collect.source(text, "my-tale")
    assert (found["title"], found["language"], found["paragraphs"]) == (title, language, paragraphs)


@pytest.mark.parametrize("text", ["", "title: only\n", "…!?\n\n— —", "language: klingon language\n\nText."])
def test_a_story_without_words_or_with_a_wrong_language_is_refused(text: str) -> None:
    with pytest.raises(StorygenError) as caught:
        collect.source(text, "x")
    assert caught.value.code == "invalid_request"


# The command line


@pytest.mark.parametrize(
    ("arguments", "exit_code", "says"),
    [
        (["run"], 2, "storygen run examples/crow.md"),
        (["run", "--idea", "a crow is thirsty"], 65, "Write the story into a text file"),
        (["run", "nothing.md"], 66, "There is no story file"),
        (["run", "."], 66, "There is no story file"),
        (["run", "examples/crow.md", "--profile", "drft"], 2, "Known: draft"),
        (["run", "examples/crow.md", "--set", "film.widht=3"], 65, "Did you mean width?"),
        (["run", "examples/crow.md", "--set", "film.width=1081"], 65, "multiple of 2"),
        (["run", "examples/crow.md", "--set", "width"], 2, "is not stage.key=value"),
        (["run", "examples/crow.md", "--pictures", "no such folder"], 66, "There is no folder"),
        (["run", "examples/crow.md", "--nonsense"], 2, "No such option"),
        (["call", "speech", "synthesize", "--input", "x"], 66, "Cannot read x"),
        (["call", "image_generation", "generate", "--input", "LICENSE"], 65, "is not JSON"),
        (["check", "nothing.mp4"], 66, "There is no file"),
    ],
)
def test_a_wrong_command_says_what_to_do(arguments: list[str], exit_code: int, says: str, tmp_path: Path) -> None:
    done = storygen(*arguments)
    assert (done.returncode, says in done.stderr, "Traceback" in done.stderr) == (exit_code, True, False), done.stderr
    assert exit_code in {row["exit"] for row in error_table().values()}


def test_call_does_one_operation_from_standard_input_or_file(tmp_path: Path) -> None:
    import json

    request = tmp_path / "request.json"
    request.write_text('{"text": "Hello there."}', encoding="utf-8")
    done = storygen("call", "speech_synthesis", "synthesize", "--input", request, "--output-dir", tmp_path)
    assert done.returncode == 0, done.stderr
    output = json.loads(done.stdout)["output"]
    assert [word["word"] for word in output["words"]] == ["Hello", "there."]
    assert Path(output["audio"]["path"]) == tmp_path / "synthesize_001.wav"


def test_help_shows_examples() -> None:
    for arguments in (["--help"], ["run", "--help"], ["call", "--help"]):
        said = storygen(*arguments).stdout
        assert "example" in said or "title:" in said


def test_settings_are_laid_over_a_profile_and_a_users_own_profile_is_read(tmp_path: Path) -> None:
    own = tmp_path / "mine.toml"
    own.write_text('[film]\nfps = 25\n[voice]\nengine = "espeak"\n')
    chosen = profile.load(str(own), ["film.width=1920", "voice.input.voice=gmw/en-US", "post.input.crf=18.5"])
    assert (chosen["film"]["fps"], chosen["film"]["width"], chosen["film"]["height"]) == (25, 1920, 1920)
    assert chosen["voice"]["input"] == {"voice": "gmw/en-US"}
    assert chosen["post"]["input"] == {"crf": 18.5}
    assert chosen["idea"]["engine"] == "none"
