"""What a run lacks is all said before its first stage, and once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from support import ROOT, SMALL, accepted, storygen

from orchestrator import needs, profile, readiness
from orchestrator.needs import Lack
from orchestrator.pipeline import STAGE_NAMES
from orchestrator.pool import Pool

KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY")
SDXL = "stabilityai/stable-diffusion-xl-base-1.0"
NOPE = ("--set", "keyframes.engine=nope")
OR_PANELS = ("--set", 'keyframes.fallback=["storyboard"]')


@pytest.fixture
def keyless(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in KEYS:
        monkeypatch.delenv(key, raising=False)


@pytest.fixture
def able(monkeypatch: pytest.MonkeyPatch) -> Pool:
    """A pool whose engines could all be used."""
    facts: dict[str, Any] = {"usable": True, "why_not": None, "remote": False, "version": "1"}
    names = ("transformers", "faster_whisper", "sdxl", "storyboard", "ltx_video", "ken_burns", "espeak", "ffmpeg")
    said = {"engines": dict.fromkeys(names, facts)}
    monkeypatch.setattr(Pool, "describe", lambda self, family, python=None: said)
    return Pool()


def lacks(pool: Pool, here: readiness.Here, *settings: str) -> tuple[list[readiness.Gap], list[Lack]]:
    """Of a story's film by the profile local."""
    taken = readiness.coming(profile.load("local", settings), STAGE_NAMES, from_idea=False)
    found = readiness.lacks_of(taken, pool, here)
    return readiness.gaps(taken, found), found


def warnings(folder: Path) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["warnings"]
    return found


def last_events(folder: Path) -> list[dict[str, Any]]:
    """Those of the last run."""
    events = [json.loads(line) for line in (folder / "events.ndjson").read_text(encoding="utf-8").splitlines()]
    return events[max(place for place, event in enumerate(events) if event["type"] == "run_started") :]


# What is lacking


def test_all_models_that_are_not_here_are_named_with_one_command(able: Pool) -> None:
    gaps, _ = lacks(able, {"{}": {}})
    error = readiness.error(gaps)
    assert error is not None
    assert (error.code, len(error.details)) == ("model_not_found", 3)
    assert "scenes, guidance: the model Qwen/Qwen2.5-14B-Instruct of transformers is not here, 29.6 GB" in error.message
    assert all(detail in error.message for detail in error.details)
    assert error.hint == "storygen models download whisper-large-v3 qwen2.5-14b llava-onevision-7b gets them (48.8 GB)."
    (pictures, clips) = readiness.replacements(gaps)
    assert pictures[0] == "keyframes"
    assert pictures[1].startswith(
        f"The model {SDXL} of sdxl is not here, 7 GB to download; storyboard takes its place."
    )
    assert pictures[1].endswith(" storygen models download sdxl gets it (7 GB).")
    assert (clips[0], "ken_burns takes its place. storygen models download ltx-video" in clips[1]) == ("video", True)


@pytest.mark.parametrize(
    ("listed", "lacking"),
    [
        ({}, "is not here, 7 GB to download"),
        ({SDXL: {"bytes": 7.0e9, "begun_bytes": 0}}, None),
        ({SDXL: {"bytes": 3.0e9, "begun_bytes": 0}}, None),  # of another precision: the engine will say
        ({SDXL: {"bytes": 2.0e9, "begun_bytes": 1.5e9}}, "is not here, 3.5 of 7 GB still to download"),
        ({SDXL: {"bytes": 6.9e9, "begun_bytes": 1.5e9}}, None),
        ({SDXL: {"bytes": 6.9e9, "begun_bytes": 0, "state": "damaged"}}, "is not here, files that were here are gone"),
        (None, None),  # nobody could look
    ],
)
def test_a_model_is_here_when_it_is_listed_and_not_cut_off(
    listed: dict[str, Any] | None, lacking: str | None, able: Pool
) -> None:
    _, found = lacks(able, {} if listed is None else {"{}": listed})
    said = [lack.why for lack in found if lack.of.engine == "sdxl"]
    assert said == ([f"its model {SDXL} {lacking}"] if lacking else [])


def test_models_in_folders_are_looked_for_there(able: Pool, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gaps, found = lacks(able, {}, f"keyframes.model.id={gone}", f"vision.model.id={tmp_path}")
    assert [lack.why for lack in found] == [f"there is no model {gone}"]
    assert "Correct --set keyframes.model.id" in readiness.replacements(gaps)[0][1]
    # a profile's own folder of models is where they are looked for, and where they are to be put
    elsewhere = f"scenes.options.models_dir={tmp_path}"
    error = readiness.error(lacks(able, {repr({"models_dir": str(tmp_path)}): {}}, elsewhere)[0])
    assert error is not None
    assert error.hint == f"storygen models download qwen2.5-14b --models-dir {tmp_path} gets it (29.6 GB)."


@pytest.mark.parametrize(
    ("settings", "stages", "from_idea", "parts"),
    [
        ((), STAGE_NAMES, False, "voice recognition subtitles scenes guidance keyframes vision video post"),
        ((), STAGE_NAMES[:4], True, "idea script revision"),
        (("keyframes.engine_options.pictures=mine",), ("keyframes",), False, "keyframes"),  # which nobody judges
        (("film.references=cast",), ("guidance",), False, "guidance vision"),
        ((), ("subtitles",), False, "recognition subtitles"),
    ],
)
def test_only_what_the_coming_stages_ask_counts(
    settings: tuple[str, ...], stages: Sequence[str], from_idea: bool, parts: str
) -> None:
    chosen = profile.load("local", settings)
    assert {one.part for one in readiness.coming(chosen, stages, from_idea=from_idea)} == set(parts.split())


def test_a_fallback_that_cannot_be_used_takes_no_place(able: Pool) -> None:
    gaps, _ = lacks(able, {"{}": {}}, 'keyframes.fallback=["nope", "storyboard"]', 'video.fallback=["nope"]')
    assert {gap.part: gap.instead for gap in gaps}["keyframes"] == "storyboard"
    assert {gap.part: gap.instead for gap in gaps}["video"] is None
    error = readiness.error(gaps)
    assert error is not None
    assert any("of ltx_video is not here" in detail for detail in error.details)


def test_where_models_cannot_be_listed_nobody_knows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STORYGEN_MODELS_DIR", str(tmp_path / "file"))
    chosen = profile.load("local")
    with Pool() as pool:
        assert readiness.look(pool, [chosen], needs.taken(chosen)) == {}


# Runs


def test_a_run_names_all_that_it_lacks_before_it_makes_anything(story: Path, tmp_path: Path, keyless: None) -> None:
    pytest.importorskip("openai")
    pytest.importorskip("anthropic")
    claude = ("--set", "vision.engine=anthropic", "--set", "recognition.engine=none", *NOPE)
    done = storygen("run", story, "--profile", "hosted", "--out", tmp_path / "run", *claude)
    assert done.returncode == 77, done.stderr
    assert "error: The run lacks 3 things: " in done.stderr
    assert "OPENAI_API_KEY is not set: scenes, guidance would ask the engine openai; " in done.stderr
    assert "ANTHROPIC_API_KEY is not set: vision would ask the engine anthropic" in done.stderr
    assert "keyframes: the engine nope cannot be used here: image_generation has no engine 'nope'" in done.stderr
    assert "export OPENAI_API_KEY=… ANTHROPIC_API_KEY=…" in done.stderr
    assert "Engines of image_generation: " in done.stderr
    assert not list((tmp_path / "run").glob("*/*"))
    error = json.loads((tmp_path / "run" / "manifest.json").read_text(encoding="utf-8"))["error"]
    assert (error["code"], len(error["details"])) == ("auth_missing", 3)


def test_a_dry_run_says_the_same_beside_its_plan(run_folder: Path, story: Path, keyless: None) -> None:
    pytest.importorskip("openai")
    lacking = (
        *NOPE,
        "--set",
        "vision.engine=openai",
        "--set",
        "video.engine=no",
        "--set",
        'video.fallback=["ken_burns"]',
    )
    done = storygen("run", story, "--out", run_folder, *SMALL, *lacking, "--dry-run")
    assert done.returncode == 0, done.stderr
    plan, ending, rest = done.stdout.partition("What is not here, so a run would end before its first stage:")
    ends, replacing, replaced = rest.partition("What is not here, so a run would do with another engine:")
    assert all([ending, replacing, "subtitles  1 done" in plan])
    assert "keyframes: the engine nope cannot be used here" in ends
    assert "OPENAI_API_KEY is not set: vision would ask" in ends
    assert "video_generation has no engine 'no'; ken_burns takes its place" in replaced
    rows = json.loads(storygen("run", story, "--out", run_folder, *SMALL, *lacking, "--dry-run", "--json").stdout)
    states = [(row["stage"], row["state"]) for row in rows if row["state"] in {"lacking", "replaced"}]
    assert states == [("keyframes", "lacking"), ("keyframes", "lacking"), ("", "lacking"), ("video", "replaced")]
    assert "What is not here" not in storygen("status", run_folder).stdout


def test_an_engine_is_replaced_once_and_for_all(run_folder: Path, story: Path) -> None:
    shutil.rmtree(run_folder / "keyframes" / "shot-002")
    for made in ([("keyframes", "shot-002")], []):
        done = storygen("run", story, "--out", run_folder, *SMALL, *NOPE, *OR_PANELS)
        assert done.returncode == 0, done.stderr
        assert accepted(run_folder) == made
        (warning,) = warnings(run_folder)
        assert (warning["stage"], warning["code"]) == ("keyframes", "engine_fallback")
        assert "has no engine 'nope'; storyboard takes its place" in warning["message"]
        kinds = [event["type"] for event in last_events(run_folder)]
        assert kinds.index("warning") == 1  # after run_started
        assert kinds.count("warning") == 1
        assert "engine_failed" not in kinds
        assert done.stderr.index("storyboard takes its place") < done.stderr.index("collect: done")


def test_a_batch_names_all_that_each_story_lacks(tmp_path: Path) -> None:
    (tmp_path / "sun.md").write_text("language: en\n\nThe sun rose.\n", encoding="utf-8")
    lacking = ["voice.engine=nope", "subtitles.engine=none_such", *NOPE[1:]]
    lines = [{"story": "sun.md"}, {"story": "sun.md", "out": "second", "set": lacking}]
    (tmp_path / "films.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    done = storygen("batch", tmp_path / "films.jsonl", "--out", tmp_path / "out", "--to", "subtitles")
    assert done.returncode == 69, done.stderr
    assert "1 of 2 stories are done" in done.stderr
    assert "The run lacks 2 things: voice: the engine nope " in done.stderr  # its pictures are not asked for
    assert "subtitles: the engine none_such" in done.stderr
    assert not list((tmp_path / "out" / "second").glob("*/*"))


def test_a_batch_with_a_stage_that_there_is_not(tmp_path: Path) -> None:
    (tmp_path / "sun.md").write_text("The sun rose.\n", encoding="utf-8")
    (tmp_path / "films.jsonl").write_text('{"story": "sun.md"}\n', encoding="utf-8")
    done = storygen("batch", tmp_path / "films.jsonl", "--out", tmp_path / "out", "--to", "vidio")
    assert (done.returncode, "no stage 'vidio'" in done.stderr) == (2, True), done.stderr


@pytest.mark.models
def test_what_a_model_made_stays_when_it_is_gone(
    run_folder: Path, story: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # threads gain nothing on a model as small as this
    model, gone = tmp_path / "model", tmp_path / "gone"
    # In a process of its own: what diffusers sets up is no business of the other tests.
    build = f"from tiny_models import sdxl; from pathlib import Path; sdxl.base(Path({str(model)!r}))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
    subprocess.run([sys.executable, "-c", build], check=True, env=environment)
    engine = ("--set", "keyframes.engine=sdxl", "--set", f"keyframes.model.id={model}")
    small = [f"--set=keyframes.input.{name}" for name in ("width=64", "height=64", "num_inference_steps=1")]
    command: list[str | Path] = ["run", story, "--out", run_folder, *SMALL, *engine, *small, "--to", "keyframes"]
    assert storygen(*command).returncode == 0
    model.rename(gone)
    done = storygen(*command, *OR_PANELS)
    assert "nothing was done" in done.stderr, done.stderr
    assert "takes its place" not in done.stderr
    assert "nothing was done" in storygen(*command).stderr
    assert "What is not here" not in storygen(*command, "--dry-run").stdout
    next((run_folder / "keyframes" / "shot-002").glob("*.png")).write_bytes(b"spoilt")  # which nobody could foresee
    assert "because sdxl failed: " in storygen(*command, *OR_PANELS).stderr
    flagged = [warning["item"] for warning in warnings(run_folder) if warning["code"] == "engine_fallback"]
    assert flagged == ["shot-002"]
    again = storygen(*command, "--force", "keyframes/shot-001")
    assert (
        again.returncode,
        f"keyframes: the engine sdxl cannot be used here: there is no model {model}" in again.stderr,
    ) == (69, True), again.stderr
    assert last_events(run_folder)[1:] == []
    instead = storygen(*command, "--force", "keyframes/shot-001", *OR_PANELS)
    assert instead.returncode == 0, instead.stderr
    items = json.loads((run_folder / "manifest.json").read_text(encoding="utf-8"))["items"]
    drawn = {item["item"]: item["engine"] for item in items if item["stage"] == "keyframes"}
    assert drawn == {"scenes": "storyboard", "shot-001": "storyboard", "shot-002": "storyboard", "shot-003": "sdxl"}
    assert [warning["code"] for warning in warnings(run_folder)].count("engine_fallback") == 1
    gone.rename(model)
    assert storygen(*command, *OR_PANELS).returncode == 0  # it has come back, and draws what the other one drew
    assert ("keyframes", "shot-001") in accepted(run_folder)


@pytest.mark.models
def test_models_of_the_hub_are_looked_for_where_they_lie(
    story: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORYGEN_MODELS_DIR", str(tmp_path / "models"))
    command: list[str | Path] = ["run", story, "--out", tmp_path / "run", *SMALL, "--set", "keyframes.engine=sdxl"]
    done = storygen(*command)
    assert done.returncode == 69, done.stderr
    assert f"error: keyframes: the model {SDXL} of sdxl is not here, 7 GB to download.\n" in done.stderr
    assert "storygen models download sdxl gets it (7 GB)" in done.stderr
    folder = tmp_path / "models" / SDXL  # somebody puts something there: whether it will do, the engine says
    folder.mkdir(parents=True)
    (folder / "model_index.json").write_text("{}", encoding="utf-8")
    assert "is not here" not in storygen(*command, "--dry-run").stdout


# Small things that a run says


def test_an_item_to_force_that_there_is_not_is_told(run_folder: Path, story: Path) -> None:
    wrong = ("--force", "keyframes/shot-2", "--force", "video/xyz", "--force", "keyframes/shot-001")
    done = storygen("run", story, "--out", run_folder, *SMALL, *wrong)
    assert done.returncode == 0, done.stderr
    assert "--force keyframes/shot-2 did nothing: keyframes has no item 'shot-2'. Did you mean shot-002" in done.stderr
    assert "--force video/xyz did nothing: video has no item 'xyz'. Its items: shot-001, shot-002" in done.stderr
    assert [(warning["stage"], warning["code"]) for warning in warnings(run_folder)] == [
        ("keyframes", "no_such_item"),
        ("video", "no_such_item"),
    ]
    assert accepted(run_folder) == [("keyframes", "shot-001")]


def test_alike_warnings_are_one_line_of_the_summary() -> None:
    from orchestrator.summary import warned

    def warning(stage: str, item: str, code: str) -> dict[str, str]:
        return {"stage": stage, "item": item, "code": code, "message": f"{code} of {item}"}

    shots = [warning("keyframes", f"shot-00{number}", "off_bucket") for number in (1, 2, 3)]
    others = [warning("keyframes", "shot-002", "size_snapped"), warning("video", "shot-001", "size_snapped")]
    assert warned([*shots, *others, warning("run", "", "note")]) == [
        "  warning: keyframes shot-001: off_bucket of shot-001 (off_bucket, 2 more such in manifest.json)",
        "  warning: keyframes shot-002: size_snapped of shot-002",
        "  warning: video shot-001: size_snapped of shot-001",
        "  warning: run: note of ",
    ]


@pytest.mark.parametrize(
    ("file", "spoil", "said"),
    [
        (
            "scenes/shots/shots.json",
            lambda document: document["shots"][0].update(motion={"kind": "spin", "strength": 3}),
            [
                'shots/0/motion/kind is "spin"; it must be one of hold, zoom_in',
                "shots/0/motion/strength is 3; it must be a number from 0 to 1",
            ],
        ),
        (
            "scenes/shots/shots.json",
            lambda document: document["shots"][0].update(prompt=" "),
            ['shots/0/prompt is " "; it must not be empty'],
        ),
        (
            "scenes/shots/shots.json",
            lambda document: document["shots"][1].update(number=5),
            ["shots/1/number is 5; it must be 2"],
        ),
        (
            "script/script/script.json",
            lambda document: (document["lines"][0].update(text=""), document["lines"][1].update(paragraph=0.5)),
            ['lines/0/text is ""; it must not be empty', "lines/1/paragraph is 0.5; it must be a whole number"],
        ),
    ],
)
def test_a_mistake_in_an_edited_document_is_told_with_its_file(
    file: str, spoil: Any, said: list[str], run_folder: Path, story: Path
) -> None:
    path = run_folder / file
    document = json.loads(path.read_text(encoding="utf-8"))
    spoil(document)
    path.write_text(json.dumps(document), encoding="utf-8")
    done = storygen("run", story, "--out", run_folder, *SMALL)
    assert done.returncode == 65, done.stderr
    assert f"error: {file} was changed by hand and cannot be used: {said[0]}" in done.stderr
    assert all(words in done.stderr for words in said)
    assert f"or --force {file.rpartition('/')[0]} makes it anew" in done.stderr
    assert accepted(run_folder) == []


def test_a_server_of_this_machine_that_does_not_run_is_asked_once(story: Path, tmp_path: Path) -> None:
    pytest.importorskip("openai")
    where = "text.engine_options={preset='custom', base_url='http://127.0.0.1:9/v1'}"
    settings = ["--profile", "hosted", "--set", where, "--set", "text.model.id=m", "--set", "voice.engine=espeak"]
    done = storygen("run", story, "--out", tmp_path / "run", *SMALL, *settings)
    assert (done.returncode, "nothing listens at http://127.0.0.1:9/v1" in done.stderr) == (69, True), done.stderr
    assert "Start it" in done.stderr
    assert [event for event in last_events(tmp_path / "run") if event["type"] == "retry"] == []
