"""What the user is told before a run, and about it: languages, files that cannot be read, own pictures, the plan."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from support import ROOT, SMALL, storygen

from orchestrator import options, own_pictures, story_file
from orchestrator.errors import StorygenError
from orchestrator.languages import COMMON_WORDS, LANGUAGES, looks_like
from orchestrator.plan import Row
from orchestrator.plan_lines import forecast, lines
from orchestrator.profile import load
from orchestrator.progress import PlainReport
from orchestrator.stages.collect import source
from orchestrator.subject import Subject

SAMPLES = {
    "cs": "Vrána měla žízeň. Od jara nepršelo a řeka byla jen cesta z bláta. Na dvoře uviděla džbán, sedla"
    " si na něj a podívala se dovnitř, ale voda byla hluboko.",
    "de": "Eine junge Krähe hatte Durst. Seit dem Frühling hatte es nicht geregnet, und der Fluss war nur "
    "noch Schlamm. Da sah sie auf dem Hof einen Krug stehen.",
    "el": "Το κοράκι διψούσε.",
    "en": "A young crow was thirsty. It had not rained since spring, and the river was a road of mud. In "
    "the yard of a farm she saw a pitcher and looked in.",
    "es": "El cuervo tenía sed. No había llovido desde la primavera y el río era un camino de barro. En el"
    " patio vio un cántaro y miró dentro.",
    "fr": "Un corbeau avait soif. Il n'avait pas plu depuis le printemps, et la rivière était une route de"
    " boue. Dans la cour d'une ferme, il vit une cruche.",
    "it": "Il corvo aveva sete. Non pioveva dalla primavera e il fiume era una strada di fango. Nel "
    "cortile di una fattoria vide una brocca e guardò dentro.",
    "ja": "カラスは水を飲んだ。",
    "pl": "Wrona była spragniona. Od wiosny nie padało, a rzeka była drogą z błota. Na podwórzu zobaczyła "
    "dzban i zajrzała do środka, ale woda była głęboko.",
    "ru": "Ворона хотела пить. С весны не было дождя, и река стала дорогой из грязи. На дворе она увидела "
    "кувшин и заглянула в него, но вода была глубоко.",
    "zh": "乌鸦口渴了。",
}


@pytest.mark.parametrize("tag", SAMPLES)
def test_a_language_is_told_by_its_script_and_commonest_words(tag: str) -> None:
    assert looks_like(SAMPLES[tag]) == tag


def test_a_language_that_is_not_clear_is_not_guessed() -> None:
    for text in ("", "123", "Mama Mia", "Alice met Bob. Bob met Carol. " * 8, "Pizza! Ciao, Mario! " * 10):
        assert looks_like(text) is None, text
    assert set(COMMON_WORDS) <= set(LANGUAGES)


def test_every_example_is_in_the_language_that_it_names() -> None:
    for file in (ROOT / "examples").glob("*.md"):
        told = source(file.read_text(encoding="utf-8"), file.stem)
        assert looks_like("\n".join(told["paragraphs"])) in {told["language"], None}


def test_a_story_in_another_language_is_told_so_before_anything_is_made(tmp_path: Path) -> None:
    story = tmp_path / "corbeau.md"
    story.write_text(SAMPLES["fr"], encoding="utf-8")
    said = options.language_hint(Subject(story=story), load("draft"))
    assert said is not None
    assert "looks like French (fr)" in said
    assert "'language: fr'" in said
    assert options.language_hint(Subject(story=story), load("draft", ["film.language=fr"])) is None
    assert options.language_hint(Subject(idea="a crow"), load("local")) is None
    done = storygen("run", story, "--out", tmp_path / "run", "--dry-run")
    assert (done.returncode, done.stderr) == (0, f"warning: {said}\n")
    for named in (f"language: en\n\n{SAMPLES['fr']}", SAMPLES["en"]):
        story.write_text(named, encoding="utf-8")
        assert options.language_hint(Subject(story=story), load("draft")) is None
    story.write_text("غراب شرب الماء", encoding="utf-8")
    assert "written in Arab" in str(options.language_hint(Subject(story=story), load("draft")))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_story_is_read_in_any_encoding_that_says_so(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "a.md"
    file.write_bytes("Žofie\r\n鸦 🦊\n".encode(encoding))
    assert story_file.read(file) == "Žofie\n鸦 🦊\n"


def test_an_older_encoding_comes_with_the_command_that_converts_it(tmp_path: Path) -> None:
    file = tmp_path / "été 1.md"
    file.write_bytes("L’été à la ferme.\n".encode("cp1252"))
    with pytest.raises(StorygenError) as caught:
        story_file.read(file)
    new = tmp_path / "été 1-utf8.md"
    assert caught.value.code == "input_unreadable"
    assert (caught.value.hint or "").endswith(f"iconv -f cp1252 -t UTF-8 '{file}' > '{new}'")
    for body in (bytes(range(256)), b"\xff\xd8\xff\xe0\x00\x10JFIF"):  # no text at all
        file.write_bytes(body)
        with pytest.raises(StorygenError) as caught:
            story_file.read(file)
        assert caught.value.hint == "Save it as UTF-8."


@pytest.mark.parametrize(
    ("names", "shots", "said"),
    [
        (("b.jpg", "a.jpg"), 2, None),
        (("1.png", "2.png", "10.png"), 2, "2 pictures of {} used. 1 picture left over: 10.png."),
        (("1.png",), 3, "1 picture of {} used. There are 3 shots: the pictures come again in turn."),
        (("shot-001.png", "shot-002.png"), 2, None),
        (
            ("shot-001.png", "shot-003.png"),
            2,
            "2 pictures of {} used. They are taken in order of their names: shot-003.png is the picture of shot 2.",
        ),
        ((), 2, None),
    ],
)
def test_pictures_that_are_left_over_or_come_again_are_told(
    tmp_path: Path, names: tuple[str, ...], shots: int, said: str | None
) -> None:
    for name in (*names, ".hidden.png", "notes.txt"):
        (tmp_path / name).touch()
    assert own_pictures.notice(tmp_path, shots) == (said and said.format(tmp_path))
    assert own_pictures.notice(tmp_path / "gone", shots) is None


def test_the_run_tells_of_own_pictures_in_summary_and_manifest(tmp_path: Path, made: Path) -> None:
    (tmp_path / "photos").mkdir()
    picture = next((made / "keyframes" / "shot-001").glob("*.png"))
    for number in range(9):
        (tmp_path / "photos" / f"{number}.png").write_bytes(picture.read_bytes())
    story = tmp_path / "sun.md"
    story.write_text("language: en\n\nThe sun rose over the hill.\n", encoding="utf-8")
    done = storygen("run", story, "--out", tmp_path / "run", "--pictures", tmp_path / "photos", *SMALL)
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text(encoding="utf-8"))
    (warning,) = [each for each in manifest["warnings"] if each["code"] == "own_pictures"]
    assert "8 pictures left over: 1.png, 2.png, 3.png and 5 more." in warning["message"]
    assert warning["message"] in done.stderr
    assert ", 1 shot, " in done.stderr


def test_a_plan_is_short_where_everything_is_new() -> None:
    rows = [Row("voice", f"line-{number:03d}", "missing", "it was never made") for number in range(1, 26)]
    rows += [Row(stage, "", "unknown", "follows from what is made before") for stage in ("subtitles", "scenes", "post")]
    assert lines(rows) == [
        "voice      25 to be made",
        "subtitles, scenes, post: each follows from what is made before",
    ]
    few = [*rows[:2], Row("voice", "line-009", "stale", "the text changed"), Row("video", "", "unknown", "why not")]
    assert lines(few) == [
        "voice      2 to be made, 1 to be made again",
        "  line-001: to be made (it was never made)",
        "  line-002: to be made (it was never made)",
        "  line-009: to be made again (the text changed)",
        "video      why not",
    ]
    changed = [Row("voice", f"line-{number:03d}", "stale", "its text changed") for number in range(20)]
    assert len(lines(changed)) == 21  # each of them may matter


def test_a_plan_says_how_long_the_film_comes_out(tmp_path: Path) -> None:
    story = tmp_path / "a.md"
    story.write_text("language: en\n\n" + "word " * 300, encoding="utf-8")
    new = [Row("voice", "line-001", "missing", "")]
    told = Subject(story=story)
    assert forecast(told, load("draft"), new) == ["The film: about 120 s (300 words at 150 a minute), about 24 shots"]
    assert forecast(told, load("draft"), [Row("voice", "line-001", "done", "")]) == []
    assert forecast(Subject(idea="a crow"), load("local"), []) == ["The film: about 60 s, about 12 shots"]


def test_a_misspelt_field_is_named_before_what_is_missing_for_it(tmp_path: Path) -> None:
    request = tmp_path / "request.json"
    request.write_text('{"txt": "Hello."}', encoding="utf-8")
    done = storygen("call", "speech_synthesis", "synthesize", "--input", request)
    assert done.stderr.startswith("invalid_request: txt is not a field here; did you mean text? (and 1 more)")
    assert [row["pointer"] for row in json.loads(done.stdout)["error"]["details"]] == ["/input/text", "/input/txt"]


def test_an_error_of_the_host_has_the_form_of_the_workers(tmp_path: Path) -> None:
    request = tmp_path / "request.json"
    request.write_text("{", encoding="utf-8")
    line = storygen("call", "speech_synthesis", "synthesize", "--input", request).stdout.strip()
    assert line == json.dumps(json.loads(line), separators=(",", ":"))


def test_one_of_a_thing_is_no_plural() -> None:
    out = io.StringIO()
    report = PlainReport(out)
    report.stage_items("keyframes", 1)
    report.stage_items("video", 2)
    assert out.getvalue() == "keyframes: 1 item\nvideo: 2 items\n"
