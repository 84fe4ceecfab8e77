"""The stages that rules of ours do, over many inputs; and the words of the command line."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import PATIENCE_S, ROOT, family_tree, still_alive, storygen

from orchestrator import call, motion, pipeline, profile, program
from orchestrator.errors import StorygenError, error_table
from orchestrator.stages import collect, scenes, script


@st.composite
def spoken(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[dict[str, Any]], float, list[int]]:
    """(cues, words, length of the narration, paragraph of each line) as the captions operation gives them."""
    time, line = 0.2, 0
    cues: list[dict[str, Any]] = []
    words: list[dict[str, Any]] = []
    paragraphs = [0]
    for _ in range(draw(st.integers(1, 40))):
        first, start = len(words), time
        for _ in range(draw(st.integers(1, 6))):
            length = draw(st.floats(0.1, 0.8))
            word = draw(st.sampled_from(["walked", "fell", "slept", "w"]))
            words.append({"word": word, "start_s": time, "end_s": time + length, "line": line})
            time += length
        cues.append({"start_s": start, "end_s": time, "words": [first, len(words)]})
        if draw(st.booleans()):
            line += 1
            paragraphs.append(paragraphs[-1] + draw(st.integers(0, 1)))
            time += draw(st.floats(0, 0.7))
    return cues, words, time + 0.2, paragraphs


Told = tuple[list[dict[str, Any]], list[dict[str, Any]], float, list[int]]


@given(spoken(), st.sampled_from([24, 25, 30, 60]))
def test_shots_cover_the_film_to_the_frame_and_every_word_once(told: Told, fps: int) -> None:
    cues, words, duration, paragraphs = told
    shots = scenes.shots(cues, words, duration, fps, paragraphs, "en")
    assert sum(shot["num_frames"] for shot in shots) == math.ceil(round(duration * fps, 6))
    assert " ".join(shot["text"] for shot in shots) == " ".join(word["word"] for word in words)
    assert [shot["number"] for shot in shots] == list(range(1, len(shots) + 1))
    assert all(before["motion"]["kind"] != after["motion"]["kind"] for before, after in pairwise(shots))


@given(spoken())
def test_every_cut_lies_between_two_cues_and_shots_last_2_to_10_s_where_they_can(told: Told) -> None:
    cues, words, duration, paragraphs = told
    shots = scenes.shots(cues, words, duration, 30, paragraphs, "en")
    gaps = [(before["end_s"] - 0.02, after["start_s"] + 0.02) for before, after in pairwise(cues)]
    for shot in shots[:-1]:
        assert any(low <= shot["end_s"] <= high for low, high in gaps)
    lengths = [shot["num_frames"] / 30 for shot in shots]
    assert max(lengths) <= scenes.MAX_SHOT_S + 0.04
    assert min(lengths) >= scenes.MIN_SHOT_S - 0.04 or duration < scenes.MIN_SHOT_S


def test_a_cut_goes_to_the_end_of_a_sentence_when_there_is_one() -> None:
    ends = [1.5 * number for number in range(1, 9)]
    costs = [0.0 if number in {3, 7} else scenes.INSIDE_PHRASE_COST for number in range(8)]
    assert scenes.cuts(ends, costs) == [3, 7]


@pytest.mark.parametrize(("mark", "number"), [("", 1), (",", 2), ("、", 2), ("—", 2), (",”", 2)])
def test_a_sentence_of_9_s_is_cut_after_a_comma_or_not_at_all(mark: str, number: int) -> None:
    words = [{"word": f"w{i}", "start_s": i * 0.5, "end_s": i * 0.5 + 0.5, "line": 0} for i in range(18)]
    words[0]["word"], words[8]["word"] = f"{'“' * ('”' in mark)}w0", f"w8{mark}"
    cues = [{"start_s": i * 1.5, "end_s": i * 1.5 + 1.5, "words": [3 * i, 3 * i + 3]} for i in range(6)]
    shots = scenes.shots(cues, words, 9.0, 30, [0], "en")
    assert [shot["num_frames"] for shot in shots] == ([270] if number == 1 else [135, 135])


def cut_texts(told: str) -> list[str]:
    """The texts of the shots of a story: ``|`` parts lines, ``||`` paragraphs, a cue is a line, a letter 0.1 s."""
    cues: list[dict[str, Any]] = []
    words: list[dict[str, Any]] = []
    paragraphs: list[int] = []
    time = 0.0
    for paragraph, lines in enumerate(told.split(" || ")):
        for text in lines.split(" | "):
            for cue in text.split(" / "):
                first, start = len(words), time
                for word in cue.split():
                    end = time + len(word) / 10
                    words.append({"word": word, "start_s": time, "end_s": end, "line": len(paragraphs)})
                    time = end
                cues.append({"start_s": start, "end_s": time, "words": [first, len(words)]})
            paragraphs.append(paragraph)
    return [shot["text"] for shot in scenes.shots(cues, words, time, 30, paragraphs, "en")]


A, B, C = "A" * 30, "B" * 30, "C" * 40
"""Words of 3 and 4 seconds."""


@pytest.mark.parametrize(
    ("told", "cut"),
    [
        (f"{A} | {B} || {C} | {A}", [f"{A} {B}", f"{C} {A}"]),
        (f"{A} || {B} | {C} || {A}", [A, f"{B} {C}", A]),
        (f"{A} | {B} | {C} | {A}", [f"{A} {B}", f"{C} {A}"]),
        (f"{C} | “{A} | {B}” | {C}", [C, f"“{A} {B}”", C]),
        (f"{C} | „{A}!“ | said {B} | {C}", [C, f"„{A}!“ said {B}", C]),
        (f"{C} | „{C}!“ | He said {B} | {C}", [C, f"„{C}!“", f"He said {B}", C]),
        (f"{C} | „{C}!“ | he said {B} | {C}", [C, f"„{C}!“ he said {B}", C]),
        (f"{C} | He said, / «{A} {A}» | {C}", [C, f"He said, «{A} {A}»", C]),
        (f"“{C} {A}. / And {B} {A}.”", [f"“{C} {A}.", f"And {B} {A}.”"]),
    ],
)
def test_cuts_keep_together_what_belongs_together(told: str, cut: list[str]) -> None:
    assert cut_texts(told) == cut


# Motion


@pytest.mark.parametrize(
    ("language", "text", "kinds"),
    [
        ("en", "The crow flew up and landed on the rim.", ["up", "down"]),
        ("en", "She fell asleep in the silent house.", ["rest"]),
        ("en", "He waited, then he ran.", ["along"]),
        ("en", "The wheel turned and turned; she looked in.", ["around", "closer"]),
        ("en-GB", "Far away the sky opened.", ["wider"]),
        ("en", "The floor was made of stone.", []),
        ("cs", "Řepa VYLETĚLA z hlíny, pes upadl.", ["up", "down"]),
        ("de", "Da fielen die Sterne, und das Mädchen saß da.", ["down"]),
        ("fr", "Il s’envola au-dessus du chemin.", ["up", "along"]),
        ("fr", "Dans la maison, il dormait.", ["rest"]),
        ("es", "El pájaro voló; la niña se acercó.", ["up", "closer"]),
        ("zh", "它沉默地走近了井口。", ["closer"]),
        ("zh", "海龟跳出井口，走了。", ["up", "along"]),
        ("ar", "فَطَارَتِ العصافير ثم جلس الأسد.", ["up"]),
        ("ar", "ونام الفأر.", ["rest"]),
        ("xx", "She flew.", []),
    ],
)
def test_words_of_motion_are_read_in_several_languages(language: str, text: str, kinds: list[str]) -> None:
    assert motion.named_motions(text, language) == kinds


def test_every_word_of_motion_is_found_as_what_it_is() -> None:
    for language, table in motion.WORDS.items():
        assert set(table) == {*motion.MOVES, "along"}
        for kind, words in table.items():
            for word in words.split(","):
                assert motion.named_motions(word.replace("*", ""), language) == [kind], (language, word)


def test_a_film_opens_moves_with_its_words_and_settles() -> None:
    texts = ["He ran.", "He ran.", "He ran.", "The bird flew.", "The bird flew.", "Nothing.", "He slept.", "It fell."]
    found = motion.motions(texts, [3.0] * 8, "en")
    kinds = [shot["kind"] for shot in found]
    assert kinds[:4] == ["zoom_in", "pan_right", "pan_left", "pan_up"]
    assert kinds[4] not in {"pan_up", kinds[5]}
    assert kinds[6:] == ["hold", "zoom_out"]


@given(
    st.lists(st.sampled_from(["He ran.", "It rose.", "It fell.", "He came closer.", "Far away.", "He slept.", "x"])),
    st.data(),
)
def test_no_move_follows_its_like_none_hurries_and_stillness_is_rare(texts: list[str], data: st.DataObject) -> None:
    seconds = [data.draw(st.floats(0.5, 10)) for _ in texts]
    found = motion.motions(texts, seconds, "en")
    kinds = [shot["kind"] for shot in found]
    assert all(before != after for before, after in pairwise(kinds))
    assert kinds[-1:] in ([], ["zoom_out"])
    for shot, length in zip(found, seconds, strict=True):
        assert 0 <= shot["strength"] <= min(1, motion.STRENGTH_PER_S * length) + 0.005
        assert shot["kind"] != "hold" or length <= motion.LONGEST_HOLD_S
    holds = [number for number, kind in enumerate(kinds) if kind == "hold"]
    assert all(later - earlier > motion.SHOTS_BETWEEN_HOLDS for earlier, later in pairwise(holds))
    assert found == motion.motions(texts, seconds, "en")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["他", "说：", "“你", "好，", "世", "界。”", "然", "后"], "他说：“你好，世界。”然后"),
        (["「こ", "ん", "は」", "と", "スー", "パー"], "「こんは」とスーパー"),
        (["我", "用", "Python", "写。"], "我用 Python 写。"),
        (["안녕하세요,", "세계."], "안녕하세요, 세계."),
        (["She", 'said "Hello" —', "and"], 'She said "Hello" — and'),
    ],
)
def test_words_are_joined_as_they_are_written(words: list[str], text: str) -> None:
    assert scenes.joined(words) == text


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


@pytest.mark.parametrize("unit", ["word ", "a clause, ", "字", "字，", "x"])
def test_a_sentence_without_end_is_spoken_in_pieces(unit: str) -> None:
    text = (unit * 30_000)[:30_000].strip()
    lines = [line["text"] for line in script.lines([text], "en")]
    assert max(map(len, lines)) <= script.MAX_LINE
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    if unit == "a clause, ":
        assert all(line.endswith(",") for line in lines)
    if unit == "word ":
        assert {word for line in lines for word in line.split()} == {"word"}


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
        ("Title\n=====\n\ntext\n---\nmore", "Title", "en", ["text", "more"]),
        ("title: A\n\n# A\n\n# B\n\ntext", "A", "en", ["B", "text"]),
        ("    indented\n\n\ttab", "My Tale", "en", ["indented", "tab"]),
        ("<div>text</div>\n\n<p>a</p><p>b<b>c</b></p>\n<!-- not\n\nthis -->", "My Tale", "en", ["text", "a bc"]),
        ("1986. A great year\n2. two\n\n3)\n", "My Tale", "en", ["1986. A great year", "2. two", "3)"]),
        ("```python\none\n\n*two*\n```\n\n~~~\n\nthree\n\n~~~", "My Tale", "en", ["one", "two", "three"]),
        ("[Anna]: Hello.\n\n[page]: http://x.org\n\nThe [page].", "My Tale", "en", ["[Anna]: Hello.", "The page."]),
        ("---\ntitle: 'A: B'\nauthor: Me\ntags:\n  - x\nlanguage: cs\n---\nAhoj.", "A: B", "cs", ["Ahoj."]),
        ("---\ntitle: >\n  Long\n  one\n...\nText.", "Long one", "en", ["Text."]),
        ("---\n\nIt began.\n\n---\n\nIt ended.", "My Tale", "en", ["It began.", "It ended."]),
        (
            "| Name | Age |\n|---|:-:|\n| Bob | *42* |\n| Eve |  |\n\nend",
            "My Tale",
            "en",
            ["Name: Bob, Age: 42.", "Name: Eve.", "end"],
        ),
        ("She sat | he stood.\n\n| a | b |\n|---|---|", "My Tale", "en", ["She sat | he stood.", "a, b."]),
        (
            "The cat[^1] sat[^n].\n\n[^1]: A note\n    that goes on.\n[^n]: http://x.org\n\nend",
            "My Tale",
            "en",
            ["The cat sat.", "end"],
        ),
        ("- [ ] sow\n- [x] reap\n\nMark [ ] it.", "My Tale", "en", ["sow", "reap", "Mark [ ] it."]),
        ("He ~~ran~~ walked. ~~All of it.~~\n\n~~Gone.~~\n\nend", "My Tale", "en", ["He walked.", "end"]),
        ("2*3*4 = 24, *so* `5*6*7` H~2~O x^2^ ~ ^", "My Tale", "en", ["2*3*4 = 24, so 5*6*7 H2O x2 ~ ^"]),
        (
            '---\ntitle: "The <b>Odd</b> &amp; *Curious*: A Tale"\n---\nText.',
            "The Odd & Curious: A Tale",
            "en",
            ["Text."],
        ),
        ("title: The *Odd*\n\n# The Odd\n\nText.", "The Odd", "en", ["Text."]),
        ("title: <br>\n\nText.", "<br>", "en", ["Text."]),
        ("Anna: Hello.\nBen: Hi.", "My Tale", "en", ["Anna: Hello. Ben: Hi."]),
        ("title: X\n\nAnna: Hello.", "X", "en", ["Anna: Hello."]),
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


@pytest.mark.parametrize(
    ("head", "says"),
    [
        ("titel: X\nlanguage: en", "Did you mean title:?"),
        ("titel: X", "Did you mean title:?"),
        ("title: X\nLanguge: en", "Did you mean language:?"),
        ("title: X\nseason: winter", "It knows title: and language:."),
        ("season: winter\ntitle: X", "a line season:"),
    ],
)
def test_an_unknown_line_in_the_head_is_not_spoken_but_named(head: str, says: str) -> None:
    with pytest.raises(StorygenError) as caught:
        collect.source(f"{head}\n\nText.", "x")
    assert says in caught.value.message
    assert "empty line" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "head",
    [
        "title: X\nlang: cs\nauthor: Me\n",
        "author: Me\ntitle: X\nlang: cs\n",
        "---\ntitle: X\nlang: cs\nauthor: Me\n---\n",
    ],
)
def test_what_other_programs_write_into_a_head_is_left_out_and_said(head: str) -> None:
    text = f"{head}\nText."
    found = collect.source(text, "x")
    assert (found["title"], found["language"], found["paragraphs"]) == ("X", "cs", ["Text."])
    assert collect.ignored(text) == ["author"]


@pytest.mark.parametrize("title", ["many words " * 40, "字" * 400])
def test_a_long_title_is_cut_after_a_word(title: str) -> None:
    found = collect.source(f"title: {title}\n\nText.", "x")["title"]
    assert 190 < len(found) <= 200
    assert title.startswith(found[:-1])
    assert found.endswith(("words…", "many…", "字…"))


@given(st.text(alphabet="ab1é字.: \t\n#-*_=+>)'\"", max_size=120))
def test_every_word_of_a_plain_text_is_told(text: str) -> None:
    try:
        found = collect.source(text, "")
    except StorygenError:
        assert not any(character.isalnum() for character in text) or set("#=") & set(text)  # all is the title
        return
    told = " ".join([found["title"], *found["paragraphs"]])
    for word in re.findall(r"[^\W_]+", text):
        assert word in told


# The command line


@pytest.mark.parametrize(
    ("arguments", "exit_code", "says"),
    [
        (["run"], 2, "storygen run examples/crow.md"),
        (["run", "--idea", "a crow is thirsty"], 65, "Write the story into a text file"),
        (["run", "nothing.md"], 66, "There is no story file"),
        (["run", "."], 66, "There is no story file"),
        (["run", "examples/crow.md", "--profile", "drft"], 2, "Known: draft"),
        (["run", "examples/crow.md", "--idea", "a crow"], 2, "Give one"),
        (["run", "examples/crow.md", "--set", "film.widht=3"], 65, "film has no field widht. Did you mean width?"),
        (["run", "examples/crow.md", "--set", "voic.engine=x"], 65, "no stage voic. Did you mean voice?"),
        (["run", "examples/crow.md", "--set", "film.width=wide"], 65, 'is "wide"; it must be a whole number from 128'),
        (["run", "examples/crow.md", "--set", "voice.python=3"], 65, "it must be a text or null."),
        (["run", "examples/crow.md", "--set", "voice.engine=A B"], 65, "a text of small letters, digits and _"),
        (["run", "examples/crow.md", "--set", "film.width=nan"], 2, "no finite number"),
        (["run", "examples/crow.md", "--set", "post.input.crf=[1, inf]"], 2, "no finite number"),
        (["run", "examples/crow.md", "--set", "voice.input.voice=2024-01-01"], 2, "Put quotes around a text"),
        (["run", "examples/crow.md", "--set", "film.width=1081"], 65, "multiple of 2"),
        (["run", "examples/crow.md", "--set", "width"], 2, "is not stage.key=value"),
        (["run", "examples/crow.md", "--pictures", "no such folder"], 66, "There is no folder"),
        (["run", "examples/crow.md", "--nonsense"], 2, "No such option"),
        (["call", "speech", "synthesize", "--input", "x"], 66, "Cannot read x"),
        (["call", "speech", "synthesize", "--input", "schemas/v1/errors.json"], 2, "Known: "),
        (["call", "image_generation", "generate", "--input", "LICENSE"], 65, "is not JSON"),
        (["check", "nothing.mp4"], 66, "There is no file"),
        (["check", "examples"], 66, "examples is a folder"),
        (["check", "LICENSE"], 66, "is no film that can be read"),
        (
            ["check", "x.mp4", "--set", "post.input.loudness=loud"],
            65,
            "must be short_video, podcast, broadcast or null",
        ),
    ],
)
def test_a_wrong_command_says_what_to_do(arguments: list[str], exit_code: int, says: str, tmp_path: Path) -> None:
    done = storygen(*arguments)
    assert (done.returncode, says in done.stderr, "Traceback" in done.stderr) == (exit_code, True, False), done.stderr
    assert exit_code in {row["exit"] for row in error_table().values()}


@pytest.mark.parametrize("arguments", [["run"], ["run", "nothing.md"], ["run", "x.md", "--nonsense"]])
def test_a_failed_run_ends_with_a_json_line_for_machines(arguments: list[str]) -> None:
    done = storygen(*arguments, "--json")
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["type"] == "run_failed"
    assert set(last["error"]) == {"code", "message", "hint", "details"}
    assert error_table()[last["error"]["code"]]["exit"] == done.returncode


@pytest.mark.parametrize(
    ("error", "exit_code", "code"),
    [
        (OSError(28, "No space left on device", "/runs/x"), 73, "output_failed"),
        (PermissionError(13, "Permission denied"), 73, "output_failed"),
        (ZeroDivisionError("oh"), 70, "internal_error"),
    ],
)
@pytest.mark.parametrize("debug", ["0", "1"])
def test_what_nobody_expected_ends_by_the_table_without_a_traceback(
    error: Exception, exit_code: int, code: str, debug: str, monkeypatch: Any, capsys: Any, tmp_path: Path
) -> None:
    def fail(*arguments: Any) -> None:
        raise error

    story = tmp_path / "s.md"
    story.write_text("Text.")
    monkeypatch.setattr(pipeline, "make_film", fail)
    monkeypatch.setattr(sys, "argv", ["storygen", "run", str(story), "--json"])
    monkeypatch.setattr(signal, "signal", lambda *arguments: None)
    monkeypatch.setenv("STORYGEN_DEBUG", debug)
    with pytest.raises(SystemExit) as ended:
        program.main()
    said = capsys.readouterr()
    assert ended.value.code == exit_code
    assert json.loads(said.out)["error"]["code"] == code
    assert ("Traceback" in said.err, said.err.count("error: ")) == (debug == "1", 1)
    assert len(said.err.strip().splitlines()) == 2 or debug == "1"


def test_a_folder_of_another_story_is_not_taken_by_default(tmp_path: Path) -> None:
    story = tmp_path / "one" / "tale.md"
    story.parent.mkdir()
    story.write_text("Text.")
    folder = tmp_path / "runs" / "tale"
    folder.mkdir(parents=True)
    for other, refused in ((tmp_path / "two" / "tale.md", True), (story, False)):
        (folder / "run.json").write_text(json.dumps({"v": 1, "story": str(other)}))
        done = storygen("run", story, "--set", "voice.engine=none_such", cwd=tmp_path)
        assert (done.returncode, "another story" in done.stderr, "--out" in done.stderr) == (
            (2, True, True) if refused else (69, False, False)
        ), done.stderr


def test_call_does_one_operation_from_standard_input_or_file(tmp_path: Path) -> None:
    request = tmp_path / "request.json"
    request.write_text('{"text": "Hello there."}', encoding="utf-8")
    done = storygen("call", "speech_synthesis", "synthesize", "--input", request, "--output-dir", tmp_path)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert done.stdout == json.dumps(answer, separators=(",", ":")) + "\n"  # as the worker wrote it
    assert [word["word"] for word in answer["output"]["words"]] == ["Hello", "there."]
    assert Path(answer["output"]["audio"]["path"]) == tmp_path / "synthesize_001.wav"


def calling(family: str, op: str, body: Any, *flags: str, cwd: Path = ROOT) -> tuple[int, dict[str, Any], str]:
    """(exit code, the one line on stdout, stderr) of ``storygen call`` with this on its standard input."""
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", "call", family, op, "--input", "-", *flags],
        input=body if isinstance(body, str) else json.dumps(body),
        capture_output=True, text=True, cwd=cwd, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=PATIENCE_S,
        check=False,
    )  # fmt: skip
    assert done.stdout.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


def test_call_works_in_the_callers_folder_and_leaves_texts_alone(tmp_path: Path) -> None:
    (tmp_path / "Hello").write_text("A file that is called as the text is.")
    code, answer, _ = calling("speech_synthesis", "synthesize", {"text": "Hello"}, cwd=tmp_path)
    assert (code, [word["word"] for word in answer["output"]["words"]]) == (0, ["Hello"])
    code, answer, _ = calling("media_processing", "probe", {"media": "synthesize_001.wav"}, cwd=tmp_path)
    assert (code, answer["output"]["kind"]) == (0, "audio")
    code, answer, _ = calling("speech_synthesis", "list_voices", {})
    assert (code, bool(answer["output"]["voices"])) == (0, True)


@pytest.mark.parametrize(
    ("body", "flags", "exit_code", "says"),
    [
        ({"text": "x", "speed": math.nan}, [], 65, "NaN"),
        ({"text": "x", "type": "cancel"}, [], 65, "type is not a field"),
        ({"v": 1, "id": {"a": 1}, "type": "ping", "input": {"text": "x"}}, [], 65, "id is"),
        ({"v": 1, "op": "list_voices", "input": {}}, [], 2, "they must be the same"),
        ({"v": 1, "op": "synthesize", "engine": "espeak", "input": {"text": "x"}}, ["--engine", "nope"], 69, "'nope'"),
        ({"text": "x" * 20_000_000}, [], 65, "at most 20000"),
        ("[" * 100_000, [], 65, "is not JSON"),
        ("[]", [], 65, "must be an object"),
    ],
)
def test_call_gives_one_error_line_for_whatever_it_is_given(
    body: Any, flags: list[str], exit_code: int, says: str, tmp_path: Path
) -> None:
    code, answer, _ = calling("speech_synthesis", "synthesize", body, *flags, "--output-dir", str(tmp_path))
    assert (code, answer["type"], answer["success"]) == (exit_code, "error", False)
    assert says in json.dumps(answer["error"], ensure_ascii=False)
    assert error_table()[answer["error"]["code"]]["exit"] == exit_code


def scripted(tmp_path: Path, answer: dict[str, Any]) -> dict[str, Any]:
    """A request whose worker does as the answer says."""
    (tmp_path / "answers.jsonl").write_text(json.dumps(answer))
    options = {"answers": str(tmp_path / "answers.jsonl")}
    return {"v": 1, "engine": "scripted", "input": {"prompt": "x"}, "engine_options": options}


def test_call_says_when_the_worker_ends_without_a_word(tmp_path: Path) -> None:
    code, answer, said = calling("text_generation", "generate", scripted(tmp_path, {"exit": 7}))
    assert (code, answer["error"]["code"]) == (70, "worker_crashed")
    assert "exit code 7" in said


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_call_that_is_stopped_stops_its_worker(number: signal.Signals, tmp_path: Path) -> None:
    request = tmp_path / "request.json"
    request.write_text(json.dumps(scripted(tmp_path, {"deltas": ["x"], "wait_s": 600, "output": {}})))
    command = [sys.executable, "-m", "orchestrator", "call", "text_generation", "generate", "--input", str(request)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        everyone = until_it_has_children(process)
        os.kill(process.pid, number)
        out, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, said
    assert [json.loads(line)["error"]["code"] for line in out.splitlines()] == ["cancelled"]
    assert still_alive(everyone) == []


def until_it_has_children(process: subprocess.Popen[bytes]) -> list[Any]:
    """The process's children, once there are any."""
    while process.poll() is None:
        if everyone := family_tree(process.pid):
            return everyone
    raise AssertionError("it ended")


@pytest.mark.skipif(os.name != "posix", reason="nohup")
def test_an_ignored_hangup_stays_ignored(tmp_path: Path) -> None:
    request = tmp_path / "request.json"
    request.write_text(json.dumps(scripted(tmp_path, {"wait_s": 2, "error": {"code": "rate_limited", "message": "x"}})))
    command = [sys.executable, "-m", "orchestrator", "call", "text_generation", "generate", "--input", str(request)]
    with subprocess.Popen(
        ["nohup", *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    ) as process:
        until_it_has_children(process)
        os.kill(process.pid, signal.SIGHUP)
        out, said = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, json.loads(out)["error"]["code"]) == (75, "rate_limited"), said


def test_a_whole_request_is_taken_as_it_is() -> None:
    given = {"v": 1, "id": "a", "input": {}, "output_dir": "x"}
    assert call.whole_request(given, "probe", None) == {**given, "op": "probe"}
    assert call.whole_request(given, "probe", "ffmpeg")["engine"] == "ffmpeg"
    assert call.whole_request({"media": "x"}, "probe", None)["input"] == {"media": "x"}


def test_help_shows_examples() -> None:
    for arguments in (["--help"], ["run", "--help"], ["call", "--help"]):
        said = storygen(*arguments).stdout
        assert "example" in said or "title:" in said


def test_settings_are_laid_over_a_profile_and_a_users_own_profile_is_read(tmp_path: Path) -> None:
    own = tmp_path / "mine.toml"
    own.write_text('[film]\nfps = 25\n[voice]\nengine = "espeak"\n')
    chosen = profile.load(
        str(own),
        [
            "film.width=1920",
            "voice.input.voice=gmw/en-US",
            "post.input.crf=18.5",
            "film.seed=8.0",
            "post.input.loudness=null",
        ],
    )
    assert (chosen["film"]["fps"], chosen["film"]["width"], chosen["film"]["height"]) == (25, 1920, 1920)
    assert chosen["voice"]["input"] == {"voice": "gmw/en-US"}
    assert chosen["post"]["input"] == {"crf": 18.5, "loudness": None}
    assert repr(chosen["film"]["seed"]) == "8"
    assert chosen["idea"]["engine"] == "none"
