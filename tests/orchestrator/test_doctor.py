"""The doctor and ``describe`` against this machine's real workers, and against machines that lack something."""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
from support import WORKERS, family_tree, still_alive

from orchestrator import doctor
from orchestrator.doctor import Finding
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


# The doctor


def test_a_machine_that_passes_these_tests_has_no_fault(findings: dict[str, Finding]) -> None:
    assert [finding for finding in findings.values() if finding.state == "fault"] == []
    assert doctor.exit_code(list(findings.values())) == 0
    assert doctor.lines(list(findings.values()))[-1].startswith("storygen can make a draft here")


def test_everything_is_looked_at(findings: dict[str, Finding]) -> None:
    expected = {"Python", "FFmpeg", "speech", "memory", "disk", "processors", "key HF_TOKEN", "key ANTHROPIC_API_KEY"}
    expected |= {f"worker {family}" for family in FAMILIES} | {f"engines {family}" for family in FAMILIES}
    expected |= {f"captions {script}" for script in doctor.SCRIPTS}
    assert set(findings) == expected
    assert re.fullmatch(r"answers in \d+\.\d\d s", findings["worker media_processing"].found)
    for needed in (*doctor.FILTERS, *doctor.ENCODERS):
        assert needed in findings["FFmpeg"].found


def test_what_is_not_well_comes_with_what_to_do(findings: dict[str, Finding]) -> None:
    assert [finding for finding in findings.values() if finding.state != "ok" and not finding.advice] == []


def test_an_ffmpeg_that_cannot_be_found_is_a_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "no ffmpeg"))
    found = doctor.check()
    fault = next(finding for finding in found if finding.name == "FFmpeg")
    assert (fault.state, doctor.exit_code(found)) == ("fault", 69)
    assert str(tmp_path / "no ffmpeg") in fault.found
    assert fault.advice is not None
    assert "IMAGEIO_FFMPEG_EXE" in fault.advice
    assert doctor.lines(found)[-1].startswith("1 fault and ") or doctor.lines(found)[-1].startswith("1 fault:")


def test_an_ffmpeg_without_a_filter_or_encoder_is_a_fault_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "FILTERS", (*doctor.FILTERS, "no_such_filter"))
    monkeypatch.setattr(doctor, "ENCODERS", ("no_such_encoder",))
    (fault,) = doctor._ffmpeg()
    assert fault.state == "fault"
    assert fault.found.endswith("lacks filter no_such_filter, encoder no_such_encoder")


@pytest.mark.parametrize(("needed", "state"), [("Latin", "warning"), ("nobody's", "fault")])
def test_a_script_that_cannot_be_drawn_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, needed: str, state: str
) -> None:
    monkeypatch.setattr(doctor, "SCRIPTS", {"nobody's": ("en", PRIVATE_USE), "Latin": ("en", "crow")})
    monkeypatch.setattr(doctor, "NEEDED_SCRIPT", needed)
    lacking, drawn = doctor._captions()
    assert (lacking.name, lacking.state) == ("captions nobody's", state)
    assert lacking.found == "cannot be drawn: no font here has all its letters"
    assert lacking.advice is not None
    assert lacking.advice.startswith("Install a font")
    assert lacking.advice in doctor.lines([lacking])[1]
    assert (drawn.state, drawn.advice) == ("ok", None)


def test_a_key_is_reported_and_never_shown(findings: dict[str, Finding]) -> None:
    assert findings["key HF_TOKEN"].found.startswith("set;")
    assert SECRET not in "\n".join(doctor.lines(list(findings.values())))


def test_a_key_that_a_broken_worker_or_engine_writes_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAMOUS_API_KEY", SECRET)
    crashed = StorygenError("worker_crashed", "broken --describe failed.", details=["Traceback", f"key={SECRET}"])
    unusable = engine(usable=False, why_not=f"it said {SECRET}", key_env="FAMOUS_API_KEY")
    families_said(monkeypatch, {"broken": crashed, "text": description(famous=unusable, scripted=engine())})
    found = doctor.check()
    text = "\n".join([*doctor.lines(found), repr(found), json.dumps(doctor.describe_all())])
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


def test_engines_say_why_they_are_not_usable_and_an_undone_operation_is_a_fault() -> None:
    keyless = engine(usable=False, why_not="the environment variable K is not set", key_env="K")
    fault = doctor._engines("text", description(famous=keyless))
    assert fault.state == "fault"
    assert "none can do generate" in fault.found
    assert "famous: the environment variable K is not set" in fault.found
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
