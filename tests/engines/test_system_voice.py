"""The engine ``system`` against stand-ins: neither macOS's ``say`` nor Windows PowerShell runs where tests run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import output_of, result_of, worker

from engines.speech_synthesis import _sapi, _say
from engines.speech_synthesis.system import Engine
from media.words import split_words
from runtime import registry, validation
from runtime.context import Context
from runtime.errors import Cancelled, WorkerError

TEXT = "The crow saw a pitcher, far below. [[slnc 999]] $(rm -rf /) \"Water!\" 'she' said; 🙂 then\n\nshe drank."

BEEP = '''
import array, math, wave

def beep(path, words, rate):
    """A tone of 0.2 s a word, 0.3 s of silence behind a comma; gives the words' starts in seconds."""
    sound, starts = array.array("h", bytes(2 * rate // 10)), []
    for word in words:
        starts.append(len(sound) / rate)
        sound.extend(int(9000 * math.sin(i / 9)) for i in range(rate // 5))
        sound.extend([0] * (rate * 3 // 10 if word.endswith(",") else 0))
    with wave.open(path, "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(sound.tobytes())
    return starts
'''

SAY = '''#!{python}
"""A stand-in for the say of macOS: takes its documented flags, beeps instead of speaking, keeps what it was asked."""
import argparse, json, pathlib, signal, sys
{beep}
LISTING = """Albert              en_US    # Hello! My name is Albert.
Amélie (Enhanced)   fr_CA    # Bonjour! Je m’appelle Amélie.
Bad News            en_US    # Hello! My name is Bad News.
Daniel              en_GB    # Hello! My name is Daniel.
Eddy (English (UK)) en_GB    # Hello! My name is Eddy.
Grandma (German (Germany)) de_DE    # Hallo! Ich heiße Grandma.
Majed               ar_001   # مرحبًا! اسمي ماجد.
Samantha            en_US    # Hello! My name is Samantha.
Serena (Premium)    en_GB    # Hello! My name is Serena.
Thomas              fr_FR    # Bonjour, je m’appelle Thomas.
Tingting            zh_CN    # 你好！我叫婷婷。
"""
parser = argparse.ArgumentParser()
for flags in (("-v", "--voice"), ("-r", "--rate"), ("-o", "--output-file"), ("-f", "--input-file"),
              ("--file-format",), ("--data-format",)):
    parser.add_argument(*flags)
asked = parser.parse_args()
if asked.voice == "?":
    sys.stdout.buffer.write(LISTING.encode())
    sys.exit()
text = pathlib.Path(asked.input_file).read_text(encoding="utf-8")
pathlib.Path(__file__).with_name("asked.json").write_text(json.dumps({{**vars(asked), "text": text}}))
if "wait for ever" in text:
    signal.pause()
if "fail" in text:
    sys.exit("Speaking failed: -240")
assert (asked.file_format, asked.data_format) == ("WAVE", "LEI16@22050")
beep(asked.output_file, text.split() if any(map(str.isalnum, text)) else [], 22050)
'''

POWERSHELL = '''#!{python}
"""A stand-in for Windows PowerShell running _sapi.ps1: answers its requests in files, beeps instead of speaking."""
import argparse, json, pathlib, re
{beep}
parser = argparse.ArgumentParser()
for flag in ("-NoLogo", "-NoProfile", "-NonInteractive"):
    parser.add_argument(flag, action="store_true", required=True)
for flag in ("-ExecutionPolicy", "-File", "-Request"):
    parser.add_argument(flag, required=True)
asked = parser.parse_args()
assert pathlib.Path(asked.File).name == "_sapi.ps1"
request = json.loads(pathlib.Path(asked.Request).read_text(encoding="utf-8"))
if request["op"] == "list_voices":
    answer = {{"voices": [
        {{"name": "Microsoft Hedda Desktop", "language": "de-DE", "gender": "Female"}},
        {{"name": "Microsoft David Desktop", "language": "en-US", "gender": "Male"}},
    ]}}
else:
    text = request["text"]
    places = [len(text[: found.start()].encode("utf-16-le")) // 2 for found in re.finditer(r"\\S+", text)]
    starts = beep(request["wav"], text.split(), 22050)
    events = [{{"position": place, "time_s": start}} for place, start in zip(places, starts)]
    answer = {{"events": events + [{{"position": 9999, "time_s": 1.0}}], "rate": request["rate"]}}
pathlib.Path(__file__).with_name("asked.json").write_text(json.dumps(request))
pathlib.Path(request["answer"]).write_text(json.dumps(answer), encoding="utf-8")
'''

posix = pytest.mark.skipif(os.name != "posix", reason="the stand-ins are scripts with a #! line")


def stand_in(path: Path, program: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(program.format(python=sys.executable, beep=BEEP), encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stand-in for ``say``, on the PATH of what takes itself for a Mac; what it was asked lies beside it."""
    program = stand_in(tmp_path / "bin" / "say", SAY)
    monkeypatch.setattr(Engine, "platform", "darwin")
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return program.with_name("asked.json")


@pytest.fixture
def powershell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stand-in for Windows PowerShell, where what takes itself for Windows finds it."""
    folder = tmp_path / "Windows"
    program = stand_in(folder / "System32" / "WindowsPowerShell" / "v1.0" / "powershell.exe", POWERSHELL)
    monkeypatch.setattr(Engine, "platform", "win32")
    monkeypatch.setenv("SYSTEMROOT", str(folder))
    return program.with_name("asked.json")


class Impatient(Context):
    """Cancelled at the third look, when the program runs."""

    looks = 0

    def check(self) -> None:
        self.looks += 1
        if self.looks > 6:
            raise Cancelled


def request(op: str, folder: Path, context: Context | None = None, **fields: Any) -> dict[str, Any]:
    """One request as the runtime does it: checked, defaults filled in, the output checked too, left-overs removed."""
    schema = validation.document(f"speech_synthesis/{op}")["$defs"]
    validation.raise_for(validation.violations(fields, schema["input"]))
    context = context or Context(output_dir=folder, output_name="speech")
    engine = Engine()
    try:
        engine.load({}, {}, context)
        output = engine.run(op, validation.filled(fields, schema["input"]), context)
    finally:
        context.clean_up()
    assert validation.violations(output, schema["output"]) == []
    return output


def loud(path: str) -> np.ndarray:
    with wave.open(path) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return np.abs(samples) > 200


# macOS


@posix
def test_on_a_mac_text_goes_by_file_and_nothing_in_it_is_a_command(say: Path, tmp_path: Path) -> None:
    output = request("synthesize", tmp_path / "out", text=TEXT, speed=2.0)
    asked = json.loads(say.read_text(encoding="utf-8"))
    assert asked["text"] == TEXT.replace("[[", "[ [").replace("]]", "] ]")
    assert (asked["voice"], asked["rate"]) == ("Samantha", "350")
    assert (output["voice"], output["language"], output["words"]) == ("Samantha", "en-US", None)
    assert output["audio"]["sample_rate"] == 22050
    expected = 0.1 + 0.2 * len(asked["text"].split()) + 0.3
    assert output["audio"]["duration_s"] == pytest.approx(expected, abs=0.001)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["speech_001.wav"]


@posix
@pytest.mark.parametrize("sample_rate", [8000, 48000])
def test_the_sample_rate_is_the_one_asked_for(say: Path, tmp_path: Path, sample_rate: int) -> None:
    audio = request("synthesize", tmp_path / "out", text="One two.", sample_rate=sample_rate)["audio"]
    sounds = np.flatnonzero(loud(audio["path"])) / sample_rate
    assert (sounds[0], sounds[-1]) == (pytest.approx(0.1, abs=0.003), pytest.approx(0.5, abs=0.003))


@posix
@pytest.mark.parametrize(
    ("fields", "voice"),
    [({}, "Samantha"), ({"language": "en-GB"}, "Serena (Premium)"), ({"language": "en-AU"}, "Serena (Premium)"),
     ({"language": "fr"}, "Thomas"), ({"language": "fr-CA"}, "Amélie (Enhanced)"), ({"language": "zh"}, "Tingting"),
     ({"language": "ar"}, "Majed"), ({"language": "de-AT"}, "Grandma (German (Germany))"),
     ({"voice": "eddy (english (uk))", "language": "fr"}, "Eddy (English (UK))"), ({"voice": "Bad News"}, "Bad News")],
)  # fmt: skip
def test_a_language_finds_its_best_voice_and_a_name_its_own(
    say: Path, tmp_path: Path, fields: dict[str, Any], voice: str
) -> None:
    output = request("synthesize", tmp_path / "out", text="One.", **fields)
    assert output["voice"] == voice == json.loads(say.read_text(encoding="utf-8"))["voice"]


@posix
def test_the_list_of_say_is_understood_whatever_the_names_look_like(say: Path, tmp_path: Path) -> None:
    voices = request("list_voices", tmp_path)["voices"]
    assert len(voices) == 11
    assert {"id": "Grandma (German (Germany))", "name": "Grandma (German (Germany))", "language": "de-DE",
            "gender": None} in voices  # fmt: skip
    assert [voice["name"] for voice in request("list_voices", tmp_path, language="en")["voices"]] == [
        "Serena (Premium)", "Daniel", "Samantha", "Albert", "Bad News", "Eddy (English (UK))",
    ]  # fmt: skip
    assert request("list_voices", tmp_path, language="xq")["voices"] == []


@posix
@pytest.mark.parametrize(
    ("fields", "pointer", "hint"),
    [({"language": "cs"}, "/input/language", "espeak"), ({"voice": "Samanta"}, "/input/voice", "Samantha")],
)
def test_what_is_not_installed_is_named_with_what_is_near(
    say: Path, tmp_path: Path, fields: dict[str, Any], pointer: str, hint: str
) -> None:
    with pytest.raises(WorkerError) as caught:
        request("synthesize", tmp_path / "out", text="One.", **fields)
    assert (caught.value.code, caught.value.pointer) == ("unsupported_capability", pointer)
    assert hint in str(caught.value.hint)


@posix
@pytest.mark.parametrize(("text", "code"), [("fail", "internal_error"), ("…", "invalid_request")])
def test_a_failure_tells_what_say_said_and_leaves_nothing(say: Path, tmp_path: Path, text: str, code: str) -> None:
    with pytest.raises(WorkerError) as caught:
        request("synthesize", tmp_path / "out", text=text)
    assert caught.value.code == code
    assert code != "internal_error" or "Speaking failed: -240" in caught.value.message
    assert list((tmp_path / "out").iterdir()) == []


@posix
def test_a_cancelled_request_ends_say_at_once(say: Path, tmp_path: Path) -> None:
    context = Impatient(output_dir=tmp_path / "out", output_name="x")
    with pytest.raises(Cancelled):
        request("synthesize", tmp_path, context, text="wait for ever")
    assert [child.poll() is not None for child in context.children] == [True, True]
    assert list((tmp_path / "out").iterdir()) == []


# Windows


@posix
def test_on_windows_the_events_of_system_speech_become_the_times_of_all_words(powershell: Path, tmp_path: Path) -> None:
    output = request("synthesize", tmp_path / "out", text=TEXT)
    asked = json.loads(powershell.read_text(encoding="utf-8"))
    assert (asked["text"], asked["voice"], asked["rate"]) == (TEXT, "Microsoft David Desktop", 0)
    words = output["words"]
    assert [word["word"] for word in words] == [word.text for word in split_words(TEXT)]
    assert " ".join(word["word"] for word in words) == " ".join(TEXT.split())
    starts = {word["word"]: word["start_s"] for word in words}
    pieces = TEXT.split()
    for word in ("The", "far", "below.", '"Water!"', "then", "she"):  # the stand-in's own starts
        place = pieces.index(word)
        assert starts[word] == pytest.approx(0.1 + 0.2 * place + (0.3 if place > pieces.index("pitcher,") else 0))
    assert words[4]["word"] == "pitcher,"
    assert words[4]["end_s"] < words[5]["start_s"] - 0.25
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["speech_001.wav"]


@posix
def test_on_windows_voices_come_with_language_and_gender(powershell: Path, tmp_path: Path) -> None:
    assert request("list_voices", tmp_path, language="en")["voices"] == [
        {"id": "Microsoft David Desktop", "name": "Microsoft David Desktop", "language": "en-US", "gender": "male"}
    ]


@pytest.mark.parametrize(("speed", "rate"), [(0.5, -6), (0.75, -3), (1.0, 0), (1.5, 4), (2.0, 6)])
def test_a_speed_becomes_a_rate_of_sapi(speed: float, rate: int) -> None:
    assert _sapi.rate(speed) == rate


def test_positions_are_counted_in_utf_16() -> None:
    events = [{"position": 0, "time_s": 0.0}, {"position": 3, "time_s": 0.5}, {"position": 1, "time_s": 0.6}]
    assert [(anchor.position, anchor.time_s) for anchor in _sapi.anchors("🙂 go", events)] == [(0, 0.0), (2, 0.5)]


def test_the_script_for_powershell_is_ascii_and_takes_its_text_from_a_file() -> None:
    script = _sapi.SCRIPT.read_text(encoding="ascii")
    assert "Invoke-Expression" not in script
    assert "ReadAllText($Request" in script
    assert all(script.count(opening) == script.count(closing) for opening, closing in ("{}", "()", "[]"))


# Elsewhere


@pytest.mark.parametrize(
    ("platform", "why"), [("linux", "needs macOS or Windows"), ("win32", "not at"), ("darwin", "not on the PATH")]
)
def test_where_it_cannot_be_used_it_says_why(
    platform: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Engine, "platform", platform)
    monkeypatch.setenv("SYSTEMROOT", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert why in str(Engine.obstacle())
    described = registry.describe("speech_synthesis")["system"]
    assert (described["usable"], why in str(described["why_not"])) == (False, True)
    with pytest.raises(WorkerError, match=why) as caught:
        request("list_voices", tmp_path)
    assert caught.value.code == "engine_unavailable"


@pytest.mark.skipif(sys.platform in {"darwin", "win32"}, reason="there it is usable")
def test_the_worker_refuses_it_on_linux_and_still_prefers_espeak(tmp_path: Path) -> None:
    body = {"v": 1, "op": "synthesize", "engine": "system", "input": {"text": "One."}}
    error = result_of(worker("speech_synthesis", body))["error"]
    assert (error["code"], "needs macOS or Windows" in error["message"]) == ("engine_unavailable", True)
    assert output_of("speech_synthesis", "list_voices", {"language": "en-GB-scotland"}, tmp_path)["voices"]


def test_looking_at_the_engine_loads_no_library() -> None:
    program = (
        "import sys; import engines.speech_synthesis.system;"
        "print(sorted({'espeakng_loader', 'av', 'numpy'} & set(sys.modules)))"
    )
    folder = Path(_say.__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, check=True, timeout=60)
    assert done.stdout.strip() == b"[]"
