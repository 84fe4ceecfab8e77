"""The doctor and ``describe`` against this machine's real workers, and against machines that lack something."""

from __future__ import annotations

import ast
import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from support import PATIENCE_S, ROOT, WORKERS, family_tree, still_alive, storygen

from orchestrator import (
    doctor,
    doctor_captions,
    doctor_deep,
    doctor_findings,
    doctor_letters,
    doctor_machine,
    doctor_models,
    installed,
    needs,
    profile,
)
from orchestrator.doctor_findings import Finding
from orchestrator.errors import StorygenError

FAMILIES = sorted(path.stem for path in WORKERS.glob("*.py"))
SECRET = "hf_never-to-be-shown-0123456789"
PRIVATE_USE = "\U0010f123"
"""A character that no font has."""


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Finding]:
    """What the doctor finds here with a key set; made once."""
    folder, before = tmp_path_factory.mktemp("temporary"), set(family_tree(os.getpid()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(folder))
        patch.setenv("HF_TOKEN", SECRET)
        found = doctor.check()
    assert list(folder.iterdir()) == [], "temporary files are left"
    assert still_alive(set(family_tree(os.getpid())) - before) == [], "processes are left"
    return {finding.name: finding for finding in found}


def families_said(monkeypatch: pytest.MonkeyPatch, said: dict[str, Any]) -> None:
    """Have every family's worker describe itself so; a StorygenError is raised."""

    def describe(family: str) -> dict[str, Any]:
        if isinstance(said[family], StorygenError):
            raise said[family]
        description: dict[str, Any] = said[family]
        return description

    monkeypatch.setattr(doctor, "families", lambda: sorted(said))
    monkeypatch.setattr(doctor, "describe", describe)


def engine(**facts: Any) -> dict[str, Any]:
    usual = {"version": "1", "usable": True, "why_not": None, "ops": ["generate"], "capabilities": []}
    return {**usual, **facts}


def description(**engines: dict[str, Any]) -> dict[str, Any]:
    return {"ops": {"generate": {"title": "Text from a prompt"}}, "engines": engines}


# Without its packages


@pytest.mark.parametrize("command", [("doctor",), ("run", "examples/crow.md")])
def test_a_python_without_the_packages_is_told_what_to_run(command: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-m", "orchestrator", *command],  # -S: no site-packages
        capture_output=True, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (69, "")
    assert "Traceback" not in done.stderr
    for said in ("click", "jsonschema", "python3 dev.py demo", f"{sys.executable} -m pip install -c requirements.lock"):
        assert said in done.stderr


def test_what_is_looked_for_is_what_a_draft_needs() -> None:
    from importlib.metadata import packages_distributions

    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    wanted = {re.split("[<>=]", name)[0] for name in tomllib.loads(text)["project"]["dependencies"]}
    providers = packages_distributions()
    found = {name.lower().replace("_", "-") for module in installed.MODULES for name in providers[module]}
    assert {name for name in wanted if not name.startswith("fontpkg-")} <= found
    assert installed.missing() == []


def test_an_old_python_is_named_and_can_read_why() -> None:
    said = installed.problem((3, 8), [])
    assert said is not None
    assert "This is Python 3.8" in said
    assert "needs 3.11 or newer" in said
    for name in ("__main__.py", "installed.py", "__init__.py"):
        ast.parse((ROOT / "orchestrator" / name).read_text(encoding="utf-8"), feature_version=(3, 8))
    assert installed.problem((3, 11), []) is None


# The doctor


def test_a_machine_that_passes_these_tests_has_no_fault(findings: dict[str, Finding]) -> None:
    assert [finding for finding in findings.values() if finding.state == "fault"] == []
    assert doctor_findings.exit_code(list(findings.values())) == 0
    assert doctor_findings.summary(list(findings.values()), "make a draft here").startswith("storygen can make a draft")


def test_everything_is_looked_at(findings: dict[str, Finding]) -> None:
    expected = {"Python", "FFmpeg", "speech", "GPU", "memory", "disk", "processors", "key HF_TOKEN"}
    expected |= {f"key {name}_API_KEY" for name in ("ANTHROPIC", "OPENAI", "OPENROUTER", "TOGETHER")}
    expected |= {f"for {parts}" for parts in ("voice", "subtitles, post", "keyframes", "video")}
    expected |= {
        f"model {alias}" for alias in ("qwen2.5-14b", "whisper-large-v3", "sdxl", "llava-onevision-7b", "ltx-video")
    }
    expected |= {f"worker {family}" for family in FAMILIES} | {f"engines {family}" for family in FAMILIES}
    drawn = {name for name in findings if name.startswith("captions")}
    assert "captions" in drawn  # those of a draft's own fonts, at once
    assert set(findings) - {"models", "room for models"} - drawn == expected
    assert re.fullmatch(r"answers in \d+\.\d\d s", findings["worker media_processing"].found)
    for needed in (*doctor_machine.FILTERS, *doctor_machine.ENCODERS):
        assert needed in findings["FFmpeg"].found


def test_what_is_not_well_comes_with_what_to_do(findings: dict[str, Finding]) -> None:
    assert [finding for finding in findings.values() if finding.state != "ok" and not finding.advice] == []


def test_an_ffmpeg_that_cannot_be_found_is_a_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "no ffmpeg"))
    found = doctor.check()
    fault = next(finding for finding in found if finding.name == "FFmpeg")
    assert (fault.state, doctor_findings.exit_code(found)) == ("fault", 69)
    assert str(tmp_path / "no ffmpeg") in fault.found
    assert fault.advice is not None
    assert "IMAGEIO_FFMPEG_EXE" in fault.advice
    assert re.match("1 fault( and .*)?: storygen cannot fly until", doctor_findings.summary(found, "fly"))


def test_an_ffmpeg_without_a_filter_or_encoder_is_a_fault_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_machine, "FILTERS", (*doctor_machine.FILTERS, "no_such_filter"))
    monkeypatch.setattr(doctor_machine, "ENCODERS", ("no_such_encoder",))
    (fault,) = doctor_machine.ffmpeg()
    assert fault.state == "fault"
    assert fault.found.endswith("lacks filter no_such_filter, encoder no_such_encoder")


@pytest.mark.parametrize(("needed", "state"), [("Latin", "warning"), ("nobody's", "fault")])
def test_a_script_that_cannot_be_drawn_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, needed: str, state: str
) -> None:
    monkeypatch.setattr(doctor_captions, "SCRIPTS", {"nobody's": ("en", PRIVATE_USE), "Latin": ("en", "crow")})
    monkeypatch.setattr(doctor_captions, "NEEDED_SCRIPT", needed)
    lacking, drawn = doctor._captions()  # together they could not be drawn
    assert (lacking.name, lacking.state) == ("captions nobody's", state)
    assert lacking.found == "cannot be drawn: no font here has all its letters"
    assert lacking.advice is not None
    assert lacking.advice.startswith("Install a font")
    assert lacking.advice in doctor_findings.lines([lacking])[1]
    assert (drawn.state, drawn.advice) == ("ok", None)


def test_a_worker_that_cannot_be_started_hides_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_models, "FAMILY", "nobody")
    families_said(monkeypatch, {"text_generation": description(transformers=engine())})
    found = {finding.name: finding for finding in doctor.check()}
    assert (found["models"].state, "no worker 'nobody'" in found["models"].found) == ("warning", True), found["models"]
    assert found["speech"].state == found["captions"].state == "ok"


def test_a_key_is_reported_and_never_shown(findings: dict[str, Finding]) -> None:
    assert findings["key HF_TOKEN"].found.startswith("set;")
    assert SECRET not in "\n".join(doctor_findings.lines(list(findings.values())))


def test_a_key_that_a_broken_worker_or_engine_writes_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAMOUS_API_KEY", SECRET)
    crashed = StorygenError("worker_crashed", "broken --describe failed.", details=["Traceback", f"key={SECRET}"])
    unusable = engine(usable=False, why_not=f"it said {SECRET}", key_env="FAMOUS_API_KEY")
    families_said(monkeypatch, {"broken": crashed, "text": description(famous=unusable, scripted=engine())})
    found = doctor.check()
    text = "\n".join([*doctor_findings.lines(found), repr(found), json.dumps(doctor.describe_all())])
    assert SECRET not in text
    assert "key=<FAMOUS_API_KEY>" in text
    assert "it said <FAMOUS_API_KEY>" in text


def test_a_worker_that_does_not_answer_is_a_fault_and_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    crashed = StorygenError("worker_crashed", "broken --describe failed.", details=["SyntaxError: invalid syntax"])
    families_said(monkeypatch, {"broken": crashed, "text": description(scripted=engine())})
    found = {finding.name: finding for finding in doctor.check()}
    assert found["worker broken"].state == "fault"
    assert "SyntaxError: invalid syntax" in found["worker broken"].found
    assert "--describe" in (found["worker broken"].advice or "")
    assert found["worker text"].state == found["engines text"].state == "ok"
    assert {name: bool(facts["why_not"]) for name, facts in doctor.describe_all().items()} == {
        "broken": True,
        "text": False,
    }


def test_engines_say_why_they_are_not_usable_and_an_undone_operation_is_a_warning() -> None:
    keyless = engine(usable=False, why_not="the environment variable K is not set", key_env="K")
    warning = doctor._engines("text", description(famous=keyless))
    assert warning.state == "warning"
    assert "none can do generate" in warning.found
    assert "famous: the environment variable K is not set" in warning.found
    assert doctor._engines("text", description(famous=keyless, scripted=engine())).state == "ok"


def test_a_broken_engine_file_is_a_warning() -> None:
    broken = {"usable": False, "why_not": "The engine file text/b.py is broken: SyntaxError"}
    warning = doctor._engines("text", description(b=broken, scripted=engine()))
    assert warning.state == "warning"
    assert "b.py is broken" in warning.found
    assert warning.advice is not None


def test_a_key_that_an_engine_names_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FAMOUS_API_KEY", raising=False)
    known = {"text": description(famous=engine(key_env="FAMOUS_API_KEY"))}
    found = {finding.name: finding.found for finding in doctor._keys(known)}
    assert found["key FAMOUS_API_KEY"] == "not set; for text famous"


def test_keys_that_an_engines_options_name_are_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAMOUS_API_KEY", SECRET)
    known = {"text": description(many=engine(option_keys={"preset": {"famous": "FAMOUS_API_KEY"}}))}
    assert {finding.name: finding.found for finding in doctor._keys(known)}[
        "key FAMOUS_API_KEY"
    ] == "set; for text many"


# The graphics card


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands in for NVIDIA's program")
@pytest.mark.parametrize(
    ("script", "state", "found"),
    [
        (
            'test "$1" = --query-gpu=name,memory.total,driver_version && echo "NVIDIA H200, 143771, 580.82.07"',
            "ok",
            "NVIDIA H200, 140 GiB of memory, driver 580.82.07",
        ),
        ("echo 'No driver is running' >&2; exit 9", "warning", "ended with 9: No driver is running"),
        ("true", "warning", "lists no card"),
    ],
)
def test_the_graphics_card_is_what_its_program_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, state: str, found: str
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    (card,) = doctor_machine.gpu()
    assert (card.state, found in card.found, bool(card.advice)) == (state, True, state == "warning"), card


def test_a_machine_without_a_graphics_card_can_make_a_draft(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert [card.state for card in doctor_machine.gpu()] == ["ok"]


# A language or a story


def test_every_language_has_letters_to_look_at() -> None:
    from fontTools import unicodedata

    from orchestrator.languages import LANGUAGES

    for tag, (_, scripts) in LANGUAGES.items():
        text = doctor_letters.of_language(tag).text
        found = {script for letter in text if letter.isalpha() for script in unicodedata.script_extension(letter)}
        assert scripts <= found, tag
    with pytest.raises(StorygenError, match="'tlh'"):
        doctor_letters.of_language("tlh")


def test_a_story_is_looked_at_by_each_of_its_characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    story = tmp_path / "čáp.md"
    story.write_text(f"language: cs\n\nČáp a čáp a žába. {PRIVATE_USE}\n" + "žába " * 5000, encoding="utf-8")
    telling = doctor_letters.of_story(story, "en")
    assert telling.language == "cs"
    assert set("Čápažb" + PRIVATE_USE) <= set(telling.text)
    assert len(telling.text) < 100
    monkeypatch.setattr(doctor_captions, "SCRIPTS", {})
    found = {finding.name: finding for finding in [*doctor._captions(telling), *doctor._speech(telling)]}
    lacking = found[f"captions {telling.what}"]
    assert (lacking.state, bool(lacking.advice), found["speech cs"].state) == ("fault", True, "ok")
    found = {finding.name: finding for finding in doctor._speech(doctor_letters.Telling("xx", "x", "x"))}
    assert (found["speech xx"].state, bool(found["speech xx"].advice)) == ("fault", True)


# Profiles


def asking(listed: Any, said: dict[str, Any] | None = None) -> Any:
    """Answers of the worker for models; a StorygenError is raised."""

    def ask(op: str, input: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
        if op == "validate_config":
            machine = {"gpu": None, "vram_gb": 80, "ram_gb": 128, "disk_gb": 0.2}
            fit = said or NOTHING
            return {"hardware": input.get("hardware") or machine, **fit}
        if isinstance(listed, StorygenError):
            raise listed
        return {"folder": "/models", "models": listed, "free_bytes": 10**12}

    return ask


def everything(**changed: dict[str, Any]) -> dict[str, Any]:
    """Families whose engines are all usable, but for those ``changed``."""
    engines: dict[str, dict[str, Any]] = {
        "text_generation": {"transformers": engine()},
        "speech_recognition": {"faster_whisper": engine()},
        "vision_language": {"transformers": engine()},
        "image_generation": {"sdxl": engine(), "storyboard": engine()},
        "video_generation": {"ken_burns": engine(), "ltx_video": engine()},
        "speech_synthesis": {"espeak": engine()},
        "media_processing": {"ffmpeg": engine()},
    }
    return {family: description(**{**known, **changed.get(family, {})}) for family, known in engines.items()}


def here(model: str, gb: float, begun: int = 0, revisions: Mapping[str, str] = MappingProxyType({})) -> dict[str, Any]:
    """What is listed of a model; ``revisions`` are names of branches -> commits, of which the last has all bytes."""
    rows = [{"commit": commit, "names": [name], "bytes": 0} for name, commit in revisions.items()]
    if rows:
        rows[-1]["bytes"] = gb * 1e9
    return {"id": model, "bytes": gb * 1e9, "begun_bytes": begun, "revisions": rows}


NOTHING: dict[str, Any] = {"errors": [], "warnings": [], "recommendations": []}
SDXL, QWEN = "stabilityai/stable-diffusion-xl-base-1.0", "Qwen/Qwen2.5-14B-Instruct"
LOCAL = [
    here(QWEN, 29.6),
    here("Systran/faster-whisper-large-v3", 3.1),
    here("llava-hf/llava-onevision-qwen2-7b-ov-hf", 16.1),
    here(SDXL, 7.0),
]
NO_VIDEO = ("video.engine=ken_burns",)


def of_local(listed: Any, known: dict[str, Any] | None = None, said: Any = None) -> dict[str, Finding]:
    chosen = profile.load("local", NO_VIDEO)
    found = doctor_models.of_profile("local", chosen, known or everything(), asking(listed, said))
    return {finding.name: finding for finding in found}


def test_a_machine_with_all_of_a_profile_has_no_fault() -> None:
    assert {name: one for name, one in of_local(LOCAL).items() if one.state != "ok"} == {}


def test_models_are_here_or_their_sizes_are_said() -> None:
    found = of_local([here(QWEN, 10.0, begun=1_000_000_000), here(SDXL, 3.0)])
    text, whisper, pictures = (found[f"model {name}"] for name in ("qwen2.5-14b", "whisper-large-v3", "sdxl"))
    assert (text.state, "29.6 GB to download, 11.0 GB of it have come" in text.found) == ("fault", True)
    assert text.advice == "storygen models download --profile local"
    assert (whisper.state, "3.1 GB to download; for recognition" in whisper.found) == ("fault", True)
    assert (pictures.state, "3.0 of about 7 GB" in pictures.found) == ("warning", True)
    assert "verify" in (pictures.advice or "")
    assert of_local([])["model sdxl"].state == "warning"  # storyboard would do it


def test_a_model_in_another_revision_is_not_the_one_that_is_asked_for() -> None:
    def found(*settings: str, **revisions: str) -> Finding:
        chosen = profile.load("local", (*NO_VIDEO, f"keyframes.model.id={SDXL}", *settings))
        listed = [*LOCAL[:3], here(SDXL, 7.0, revisions=revisions)]
        rows = doctor_models.of_profile("local", chosen, everything(), asking(listed))
        return next(row for row in rows if row.name == "model sdxl")

    assert found(main="c0ffee").state == "ok"
    other = found("keyframes.model.revision=v2", main="c0ffee")
    assert (other.state, "here in revision main, not in v2" in other.found) == ("warning", True), other
    assert found("keyframes.model.revision=v2", main="c0ffee", v2="bead").state == "ok"
    assert found("keyframes.model.revision=c0ffee", v1="c0ffee").state == "ok"
    assert "not in main" in found(v1="c0ffee").found


def test_models_are_looked_for_where_each_part_of_the_profile_has_them(tmp_path: Path) -> None:
    own = str(tmp_path / "my models")
    chosen = profile.load("local", (*NO_VIDEO, f"keyframes.options.models_dir={own}"))

    def ask(op: str, input: Any, options: Any) -> dict[str, Any]:  # noqa: A002
        at_own = options.get("models_dir") == own
        return asking([here(SDXL, 7.0)] if at_own else LOCAL[:3])(op, input, options) | {"folder": f"/{at_own}"}

    rows = {row.name: row for row in doctor_models.of_profile("local", chosen, everything(), ask)}
    assert rows["model sdxl"].state == rows["model qwen2.5-14b"].state == "ok"
    draft = profile.load("draft", (f"recognition.options.models_dir={own}", "recognition.engine=faster_whisper"))
    (wanted,) = [one for one in needs.taken(draft) if one.part == "recognition"]
    (model,) = needs.wanted(wanted, everything()["speech_recognition"]["engines"])
    assert (model.place, model.flags) == ({"models_dir": own}, f" --models-dir '{own}'")


def test_whether_models_fit_is_asked_without_the_disk_and_said_of_all_of_them_together() -> None:
    asked: list[Any] = []

    def ask(op: str, input: Any, options: Any) -> dict[str, Any]:  # noqa: A002
        if op == "validate_config":
            asked.append(input.get("hardware"))
        return asking(LOCAL, said={**NOTHING, "hardware": machine})(op, input, options)

    machine = {"gpu": None, "vram_gb": 0, "ram_gb": 24, "disk_gb": 0.2}
    whisper = engine(models={"Systran/faster-whisper-large-v3": {}})
    known = everything(
        speech_recognition={"faster_whisper": whisper}, image_generation={"sdxl": engine(models={SDXL: {}})}
    )
    settings = (*NO_VIDEO, *(f"{part}.options.device=cpu" for part in ("text", "recognition", "keyframes", "vision")))
    rows = doctor_models.of_profile("local", profile.load("local", settings), known, ask)
    assert asked == [None, {**machine, "disk_gb": None}]
    (together,) = [row for row in rows if row.name == "fit together"]
    assert (together.state, "speech_recognition 6, image_generation 20" in together.found) == ("warning", True)
    machine = {**machine, "ram_gb": 64}
    rows = doctor_models.of_profile("local", profile.load("local", settings), known, ask)
    assert [row for row in rows if row.name == "fit together"] == []


def test_without_the_library_of_the_hub_sizes_are_said_all_the_same() -> None:
    error = StorygenError("engine_unavailable", "the Python package huggingface_hub is not installed")
    found = of_local(error)
    assert found["models"].state == found["model qwen2.5-14b"].state == "fault"
    assert "may not be here: 29.6 GB to download" in found["model qwen2.5-14b"].found
    assert '".[models]"' in (found["models"].advice or "")
    draft = doctor_models.of_all(everything(), asking(error))
    assert doctor_findings.exit_code(draft) == 0


def test_models_too_large_for_the_disk_or_the_card_are_said_before() -> None:
    row = {"pointer": "/families/text_generation/model", "message": "takes about 28 GB of GPU memory; there are 8 GB."}
    better = {**row, "message": "Take it in int4"}
    found = of_local(LOCAL, said={"errors": [], "warnings": [row], "recommendations": [better]})
    fit = found["fit of text_generation"]
    assert (fit.state, fit.found, fit.advice) == ("warning", row["message"], "Take it in int4")
    chosen = profile.load("local", NO_VIDEO)

    def ask(op: str, input: Any, options: Any) -> dict[str, Any]:  # noqa: A002
        return {**asking([])(op, input, options), "free_bytes": 10**9}

    room = doctor_models.of_profile("local", chosen, everything(), ask)
    (full,) = [finding for finding in room if finding.name == "room for models"]
    assert (full.state, "55.8 GB to download" in full.found) == ("fault", True), full


def test_an_engine_that_a_profile_needs_is_a_fault_unless_another_would_do() -> None:
    missing = engine(usable=False, why_not="the Python package torch is not installed", remote=False)
    known = everything(text_generation={"transformers": missing}, image_generation={"sdxl": missing})
    found = of_local(LOCAL, known)
    text = found["for idea, script, revision, scenes, guidance"]
    assert (text.state, "torch" in text.found, '".[models]"' in (text.advice or "")) == ("fault", True, True)
    rows = doctor_models.of_profile("local", profile.load("local", NO_VIDEO), known, asking(LOCAL))
    (pictures,) = [row for row in rows if "sdxl:" in row.found]
    assert (pictures.state, pictures.found.endswith("; storyboard would do it")) == ("warning", True)
    known = everything(image_generation={"sdxl": missing, "storyboard": missing})
    rows = doctor_models.of_profile("local", profile.load("local", NO_VIDEO), known, asking(LOCAL))
    assert [row.state for row in rows if row.name == "for keyframes"] == ["fault", "warning"]  # none is left


@pytest.mark.parametrize(
    ("preset", "key"),
    [("openai", "OPENAI_API_KEY"), ("together", "TOGETHER_API_KEY"), ("ollama", None), ("custom", None)],
)
def test_a_profile_without_the_key_of_its_service_is_a_fault(
    monkeypatch: pytest.MonkeyPatch, preset: str, key: str | None
) -> None:
    """By what the real worker says of its engine."""
    from orchestrator.worker import describe

    for name in ("OPENAI_API_KEY", "TOGETHER_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    known = {**everything(), "text_generation": describe("text_generation")}
    chosen = profile.load("hosted", [f"text.engine_options.preset={preset}"])

    def faults() -> list[str]:
        rows = doctor_models.of_profile("hosted", chosen, known, asking([]))
        return [row.found for row in rows if row.state == "fault" and "not set" in row.found]

    assert [fault.split()[-4] for fault in faults()] == ([key] if key else [])
    if key:
        monkeypatch.setenv(key, SECRET)
        assert faults() == []


LISTENING_AND_SEEING = ("recognition.engine=openai", "vision.engine=openai")


@pytest.mark.parametrize(
    ("more", "parts"),
    [
        ((), "idea, script, revision, scenes, guidance"),
        (
            tuple(f"--set={part}" for part in ("text.engine_options.preset=ollama", *LISTENING_AND_SEEING)),
            "recognition, vision",
        ),
    ],
)
def test_a_run_without_the_key_ends_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...], parts: str
) -> None:
    pytest.importorskip("openai")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    done = storygen("run", "--idea", "a crow", "--profile", "hosted", *more, cwd=tmp_path)
    assert done.returncode == 77, done.stderr
    assert f"OPENAI_API_KEY is not set: {parts} would ask the engine openai" in done.stderr
    assert "export OPENAI_API_KEY=" in done.stderr
    assert list((tmp_path / "runs").glob("*/*/*")) == []


def test_a_profile_that_is_not_there_is_a_wrong_command(tmp_path: Path) -> None:
    assert "Known: draft" in storygen("doctor", "--profile", "nobody's").stderr
    done = storygen("doctor", "--set", "film.width=10")
    assert (done.returncode, "--profile" in done.stderr) == (2, True)


# Deep


def test_every_engine_of_this_machine_has_a_trial() -> None:
    engines = {
        (family, name)
        for family, facts in doctor.describe_all().items()
        for name, one in facts["engines"].items()
        if not one["remote"] and name != "scripted"
    }
    assert engines - {(trial.family, trial.engine) for trial in doctor_deep.TRIALS} == set()


MODELS_EXTRA = ("torch", "transformers", "diffusers", "faster_whisper", "huggingface_hub", "openai", "anthropic")


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with nothing: an empty PATH, no extra installed; returns its folder for temporary files."""
    hiding = tmp_path / "hiding"
    hiding.mkdir()
    code = f"import sys\nsys.modules.update(dict.fromkeys({MODELS_EXTRA!r}))\n"
    (hiding / "sitecustomize.py").write_text(code, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(hiding), os.environ.get("PYTHONPATH")])))
    monkeypatch.setenv("PATH", str(hiding))
    for name in ("TMPDIR", "TEMP", "TMP"):
        (tmp_path / "temporary").mkdir(exist_ok=True)
        monkeypatch.setenv(name, str(tmp_path / "temporary"))
    return tmp_path / "temporary"


def test_a_machine_with_nothing_is_told_what_to_install_and_the_rest_is_tried(bare: Path) -> None:
    done = storygen("doctor", "--deep", "--json")
    found = {finding["name"]: finding for finding in json.loads(done.stdout)}
    assert (done.returncode, list(bare.iterdir())) == (0, []), done.stderr  # a draft can be made
    for name in ("espeak", "storyboard", "ken_burns", "ffmpeg"):
        (one,) = [finding for title, finding in found.items() if title.endswith(f" {name}")]
        assert (one["state"], one["found"].startswith("worked, ")) == ("ok", True), one
    for name in ("text_generation transformers", "image_generation sdxl", "speech_recognition faster_whisper"):
        assert (found[name]["state"], found[name]["found"].startswith("not tried: ")) == ("warning", True)
        assert '-m pip install -c requirements.lock -e ".[models]"' in found[name]["advice"]
    assert "trying media_processing ffmpeg" in done.stderr.splitlines()


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        (("models", "list"), "models"),
        (("models", "download", "sdxl", "--dry-run"), "models"),
        (("call", "speech_recognition", "transcribe", "--input", "$request"), "models"),
        (("call", "text_generation", "chat", "--engine", "openai", "--input", "$request"), "hosted"),
        (("run", "examples/crow.md", "--profile", "local", "--out", "$request-run"), "models"),
    ],
)
def test_whoever_lacks_a_package_is_told_the_command(bare: Path, command: tuple[str, ...], extra: str) -> None:
    request = bare.parent / "request"
    body = {"messages": [{"role": "user", "content": "Hi."}]} if extra == "hosted" else {"audio": "x.wav"}
    request.write_text(json.dumps(body), encoding="utf-8")
    done = storygen(*(word.replace("$request", str(request)) for word in command))
    assert done.returncode == 69, done.stderr
    assert f'{sys.executable} -m pip install -c requirements.lock -e ".[{extra}]"' in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl+C is sent in another way there")
def test_ctrl_c_leaves_nothing(bare: Path) -> None:
    command = [sys.executable, "-m", "orchestrator", "doctor", "--deep"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stderr is not None
    assert process.stderr.readline() == "trying model_management catalogue\n"
    family = family_tree(process.pid)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, "Stopped." in said) == (130, True), said
    assert (list(bare.iterdir()), still_alive(family)) == ([], [])


def test_an_engine_that_fails_says_its_own_words_and_what_needs_its_file_is_not_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trials = (
        doctor_deep.Trial("speech_synthesis", "espeak", "synthesize", {"text": "a", "language": "tlh"}),
        doctor_deep.Trial("media_processing", "ffmpeg", "probe", {"media": "$espeak"}),
    )
    monkeypatch.setattr(doctor_deep, "TRIALS", trials)
    described = {family: description(**{name: engine()}) for family, name, *_ in map(dataclasses.astuple, trials)}
    failed, left = doctor_deep.check(described, card=False, say=lambda step, detail: None)
    assert (failed.state, "espeak has no language 'tlh'" in failed.found) == ("fault", True), failed
    assert "list_voices" in (failed.advice or "")
    assert (left.state, left.found) == ("fault", "not tried: it takes what espeak makes")


def test_a_model_that_cannot_be_built_fails_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    steps: list[str] = []
    built = dict(doctor_deep._built(tmp_path, ["nobodys.model"], lambda step, detail: steps.append(step)))
    assert "No module named 'tiny_models.nobodys'" in (built["nobodys.model"] or "")
    assert steps == ["building nobodys.model"]
    monkeypatch.setattr(doctor_deep, "TESTS", tmp_path)
    built = dict(doctor_deep._built(tmp_path, ["llm.qwen2"], lambda step, detail: None))
    assert "--deep needs a whole checkout" in (built["llm.qwen2"] or "")


@pytest.mark.models
def test_every_engine_of_a_ready_machine_works_with_its_tiny_model() -> None:
    done = storygen("doctor", "--deep", "--json")
    found = {finding["name"]: finding for finding in json.loads(done.stdout)}
    assert done.returncode == 0, done.stdout
    for trial in doctor_deep.TRIALS:
        if trial.engine != "system" and trial.name in found:
            assert found[trial.name]["found"].startswith("worked, "), found[trial.name]
    assert {"text_generation transformers", "vision_language transformers", "image_generation sdxl"} <= set(found)


# Describe


def test_describe_lists_every_family_with_its_operations_and_engines() -> None:
    described = doctor.describe_all()
    assert sorted(described) == FAMILIES
    text = "\n".join(doctor.describe_lines(described))
    for family, facts in described.items():
        schemas = WORKERS.parent / "schemas" / "v1" / family
        assert set(facts["ops"]) == {path.name.removesuffix(".schema.json") for path in schemas.glob("*.schema.json")}
        files = (WORKERS / "engines" / family).glob("[a-z]*.py")
        assert set(facts["engines"]) == {path.stem for path in files}
        assert re.search(rf"^{family}$", text, re.MULTILINE)
        for op, title in facts["ops"].items():
            assert title
            assert re.search(rf"^    {op} +{re.escape(title)}$", text, re.MULTILINE)
        for name, one in facts["engines"].items():
            assert {"usable", "why_not", "version", "capabilities"} <= set(one)
            assert re.search(rf"^    {name} +(not )?usable", text, re.MULTILINE)
    assert json.loads(json.dumps(described)) == described


def test_describe_of_one_family_is_that_family_alone() -> None:
    assert list(doctor.describe_all("speech_synthesis")) == ["speech_synthesis"]


def test_describe_of_an_unknown_family_names_the_known_ones() -> None:
    with pytest.raises(StorygenError) as caught:
        doctor.describe_all("../etc")
    assert caught.value.code == "usage"
    assert "media_processing" in (caught.value.hint or "")
