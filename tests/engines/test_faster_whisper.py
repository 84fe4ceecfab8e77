"""faster-whisper on a tiny model of the real class that says known words; what espeak says is what it listens to."""

from __future__ import annotations

import http.server
import json
import os
import struct
import subprocess
import sys
import threading
import wave
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support import ROOT, SCHEMAS, WORKERS, clip, ffmpeg, noise, output_of, result_of, tone, worker

from engines.speech_recognition._words import UNSPACED, Transcript
from orchestrator.errors import StorygenError
from orchestrator.worker import Worker
from runtime import registry, validation

pytestmark = pytest.mark.models

TEXT = "An old man lit a lamp beside the sea. The wind put it out, and the night came back at once."
WINDOW_S = 30
SAID = "Hello there, this is a test. Good night!"
Maker = Callable[[Path, Path], Path | None]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tiny models by name."""
    from tiny_models.whisper import build

    folder = tmp_path_factory.mktemp("models")
    return {
        "tiny": build(folder / "tiny"),
        "english": build(folder / "english", multilingual=False),
        "v3": build(folder / "v3", mels=128, language="cs"),
    }


@pytest.fixture(scope="session")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds that espeak speaks."""
    output = output_of("speech_synthesis", "synthesize", {"text": TEXT}, tmp_path_factory.mktemp("speech"))
    return Path(output["audio"]["path"])


@pytest.fixture(scope="session")
def long(speech: Path) -> Path:
    """Three windows of half a minute and a little more."""
    path = speech.with_name("long.wav")
    ffmpeg("-stream_loop", "99", "-i", speech, "-t", "95", "-ar", "16000", "-ac", "1", path)
    return path


@pytest.fixture(scope="module")
def serving() -> Iterator[Worker]:
    with Worker("speech_recognition") as worker:
        yield worker


def request(model: Path | str, op: str = "transcribe", /, **fields: Any) -> dict[str, Any]:
    """A request on the CPU; the fields that are not the envelope's are its input's."""
    envelope: dict[str, Any] = {"v": 1, "op": op, "engine": "faster_whisper", "options": {"device": "cpu"}}
    for name in ("engine_options", "id", "output_dir"):
        if name in fields:
            envelope[name] = fields.pop(name)
    named = {"id": str(model), **fields.pop("model", {})}
    return {**envelope, "model": named, "input": {name: str(v) if name == "audio" else v for name, v in fields.items()}}


def answer(worker: Worker, asked: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """(result line, events before it)."""
    events: list[dict[str, Any]] = []
    return worker.request(asked, events.append), events


def refusal(worker: Worker, asked: dict[str, Any]) -> StorygenError:
    with pytest.raises(StorygenError) as caught:
        worker.request(asked)
    return caught.value


class Hub(http.server.ThreadingHTTPServer):
    """A model hub on this machine that takes note of what it is asked for, and has nothing."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                self.send_error(404)

            do_HEAD = do_GET

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()


def in_this_process(asked: dict[str, Any], **how: Any) -> tuple[Any, dict[str, Any], Any]:
    """(loaded engine, complete input, context), for looking into it while it works."""
    from engines.speech_recognition.faster_whisper import Engine
    from runtime.context import Context

    whole = validation.filled(asked, validation.document("request"))
    given = validation.filled(asked["input"], validation.input_schema("speech_recognition", asked["op"]))
    context = Context(output_dir=Path(), output_name="x", engine_options={"compute_type": "auto"}, **how)
    engine = Engine()
    engine.load(whole["model"], whole["options"], context)
    return engine, given, context


def noted(function: Callable[..., Any], note: Callable[[], None]) -> Callable[..., Any]:
    """The function, which takes note of every call."""

    def noting(*arguments: Any) -> Any:
        note()
        return function(*arguments)

    return noting


def well_formed(result: dict[str, Any]) -> dict[str, Any]:
    """The output, after looking at it closely: as the schema says, in order, within the recording."""
    output: dict[str, Any] = result["output"]
    schema = json.loads((SCHEMAS / "speech_recognition" / f"{result['op']}.schema.json").read_text())
    assert validation.violations(output, {**schema, "$ref": "#/$defs/output"}) == []
    now, ids = 0.0, [segment["id"] for segment in output["segments"]]
    assert ids == [*range(1, len(ids) + 1)]
    for segment in output["segments"]:
        assert now <= segment["start_s"] <= segment["end_s"] <= output["duration_s"] + 0.001
        now = segment["start_s"]
        for word in segment["words"] or ():
            assert now <= word["start_s"] <= word["end_s"] <= segment["end_s"]
            now = word["end_s"]
        now = segment["end_s"]
    if all(segment["words"] is not None for segment in output["segments"]):
        words = [word["word"] for segment in output["segments"] for word in segment["words"]]
        assert "".join(words).replace(" ", "") == output["text"].replace(" ", "")
    return output


# What is asked for


def test_a_file_is_transcribed_by_the_worker_as_people_call_it(
    models: dict[str, Path], speech: Path, tmp_path: Path
) -> None:
    done = worker("speech_recognition", request(models["tiny"], audio=speech), "--output-dir", str(tmp_path))
    result = result_of(done)
    assert result.get("success"), result
    output = well_formed(result)
    assert (output["text"], output["language"], output["language_confidence"]) == (SAID, "en", 1.0)
    assert [word["word"] for word in output["segments"][0]["words"]] == ["Hello", "there,", "this", "is", "a", "test."]
    assert output["segments"][0]["confidence"] > 0.99
    with wave.open(str(speech)) as file:
        assert output["duration_s"] == pytest.approx(file.getnframes() / file.getframerate(), abs=0.001)
    assert result["model"]["device"] == "cpu"
    assert result["model"]["compute_type"] == "int8_float32"
    assert result["model"]["id"] == str(models["tiny"])
    assert len(done.stderr) < 1000


@pytest.mark.parametrize("name", ["tiny", "english", "v3"])
def test_every_kind_of_model_gives_a_well_formed_transcript(
    name: str, models: dict[str, Path], speech: Path, serving: Worker
) -> None:
    result, _ = answer(serving, request(models[name], audio=speech, beam_size=1))
    output = well_formed(result)
    assert output["text"] == SAID
    assert output["language"] == ("cs" if name == "v3" else "en")


def test_without_word_timestamps_words_are_null(models: dict[str, Path], speech: Path, serving: Worker) -> None:
    result, _ = answer(serving, request(models["tiny"], audio=speech, word_timestamps=False))
    output = well_formed(result)
    assert [segment["words"] for segment in output["segments"]] == [None, None]
    assert [segment["start_s"] for segment in output["segments"]] == [0.0, 2.02]


def test_translate_is_another_task_for_the_model(models: dict[str, Path], speech: Path, serving: Worker) -> None:
    result, _ = answer(serving, request(models["tiny"], audio=speech, task="translate", language="fr"))
    output = well_formed(result)
    assert (output["text"], output["language"]) == ("Is anybody home?", "fr")


def test_batches_hear_every_stretch_of_speech(models: dict[str, Path], long: Path, serving: Worker) -> None:
    result, _ = answer(serving, request(models["tiny"], audio=long, batch_size=4, beam_size=1))
    output = well_formed(result)
    assert output["text"].count("Good night!") >= 3
    assert output["segments"][-1]["start_s"] > 2 * WINDOW_S
    assert result["warnings"] == []


def test_batches_without_the_voice_filter_are_done_one_by_one_and_said_so(
    models: dict[str, Path], long: Path, serving: Worker
) -> None:
    how = {"batch_size": 4, "vad_filter": False, "beam_size": 1, "word_timestamps": False}
    result, _ = answer(serving, request(models["tiny"], audio=long, **how))
    assert [warning["code"] for warning in result["warnings"]] == ["not_batched"]
    assert [segment["start_s"] for segment in well_formed(result)["segments"]][::2] == [0, 30, 60, 90]


def test_prompt_and_hotwords_reach_the_model(models: dict[str, Path], speech: Path) -> None:
    from faster_whisper import WhisperModel

    seen: list[dict[str, Any]] = []

    def transcribe(self: Any, audio: Any, **how: Any) -> Any:
        seen.append(how)
        return iter(()), SimpleNamespace(language="en", language_probability=1.0)

    asked = request(models["tiny"], audio=speech, initial_prompt="Dear reader", hotwords="storygen", beam_size=7)
    engine, given, context = in_this_process(asked)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhisperModel, "transcribe", transcribe)
        engine.run("transcribe", given, context)
    wanted = {"initial_prompt": "Dear reader", "hotwords": "storygen", "beam_size": 7, "vad_filter": True}
    assert len(seen) == 1
    assert wanted.items() <= seen[0].items()


def test_the_language_is_detected_with_the_score_of_every_other(
    models: dict[str, Path], speech: Path, serving: Worker
) -> None:
    result, _ = answer(serving, request(models["v3"], "detect_language", audio=speech))
    output = result["output"]
    assert (output["language"], output["confidence"]) == ("cs", output["alternatives"]["cs"])
    assert output["confidence"] > 0.99
    assert len(output["alternatives"]) == 100
    assert sum(output["alternatives"].values()) == pytest.approx(1, abs=1e-3)


def test_subtitles_are_the_captions_of_what_was_heard(
    models: dict[str, Path], speech: Path, serving: Worker, tmp_path: Path
) -> None:
    asked = request(models["tiny"], "subtitle", audio=speech, formats=["srt", "vtt"], output_dir=str(tmp_path))
    result, events = answer(serving, asked)
    output = well_formed(result)
    assert output["files"]["ass"] is None
    assert [event["type"] for event in events].count("artifact") == 2
    shown = Path(output["files"]["vtt"]["path"]).read_text(encoding="utf-8")
    lines = [line for cue in output["cues"] for line in cue["lines"]]
    assert " ".join(lines) == SAID
    assert all(line in shown for line in lines)
    words = [word["word"] for segment in output["segments"] for word in segment["words"]]
    for cue in output["cues"]:
        assert " ".join(cue["lines"]) == " ".join(words[slice(*cue["words"])])


def test_subtitle_takes_the_fields_of_captions() -> None:
    captions = validation.input_schema("media_processing", "captions")["properties"]
    heard = validation.input_schema("speech_recognition", "transcribe")["properties"]
    expected = {name: part for name, part in captions.items() if name not in {"words", "language", "duration_s"}}
    expected |= {name: part for name, part in heard.items() if name != "word_timestamps"}
    assert validation.input_schema("speech_recognition", "subtitle")["properties"] == expected


def test_the_words_of_a_known_script_get_the_times_of_what_was_heard(
    models: dict[str, Path], speech: Path, serving: Worker
) -> None:
    heard, _ = answer(serving, request(models["tiny"], audio=speech))
    given = "Hello, this was a test! Good night."
    result, _ = answer(serving, request(models["tiny"], "align", audio=speech, text=given))
    words = result["output"]["words"]
    assert [word["word"] for word in words] == given.split()
    assert 0 < result["output"]["mismatch"] < 0.3
    starts = {word["word"]: word["start_s"] for s in heard["output"]["segments"] for word in s["words"]}
    ends = [word["end_s"] for word in words]
    assert words[-1]["start_s"] == pytest.approx(starts["night!"], abs=0.15)
    assert all(end <= word["start_s"] for end, word in zip(ends, words[1:], strict=False))


# As it goes


def test_segments_are_sent_before_the_next_window_is_heard(
    models: dict[str, Path], long: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from faster_whisper import WhisperModel

    order: list[str] = []
    seconds: list[tuple[float, float]] = []

    def emit(kind: str, fields: dict[str, Any]) -> None:
        if kind == "delta":
            order.append(kind)
        elif fields["stage"] == "run":
            assert fields["unit"] == "seconds"
            seconds.append((fields["current"], fields["total"]))

    monkeypatch.setattr(WhisperModel, "encode", noted(WhisperModel.encode, lambda: order.append("window")))
    asked = request(models["tiny"], audio=long, language="en", vad_filter=False, beam_size=1, word_timestamps=False)
    engine, given, context = in_this_process(asked, emit=emit)
    output = engine.run("transcribe", given, context)
    assert order == ["window", "delta", "delta"] * 4
    assert len(output["segments"]) == 8
    assert seconds == sorted(seconds)
    assert all(current <= total for current, total in seconds)
    assert seconds[-1] == (95.0, 95.0)


def test_a_request_cancelled_while_a_window_is_heard_hears_no_other(
    models: dict[str, Path], long: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from faster_whisper import WhisperModel

    from runtime.errors import Cancelled

    taken_back, windows = threading.Event(), []

    def cancel() -> None:
        windows.append("window")
        taken_back.set()

    monkeypatch.setattr(WhisperModel, "encode", noted(WhisperModel.encode, cancel))
    engine, given, context = in_this_process(request(models["tiny"], audio=long), cancelled=taken_back)
    with pytest.raises(Cancelled):
        engine.run("transcribe", given, context)
    assert len(windows) == 1  # the one that tells the language: nothing was said yet


def test_the_deltas_are_the_segments_of_the_result(models: dict[str, Path], long: Path, serving: Worker) -> None:
    result, events = answer(serving, request(models["tiny"], audio=long, beam_size=1))
    deltas = [event for event in events if event["type"] == "delta"]
    assert {event["channel"] for event in deltas} == {"segment"}
    assert [event["data"] for event in deltas] == result["output"]["segments"]


def test_a_cancelled_request_hears_no_further_window(models: dict[str, Path], long: Path, serving: Worker) -> None:
    asked = request(models["tiny"], audio=long, vad_filter=False, language="en")
    seen: list[str] = []

    def cancel_at_the_first(event: dict[str, Any]) -> None:
        seen.append(event["type"])
        if event["type"] == "delta" and seen.count("delta") == 1:
            serving.cancel()

    with pytest.raises(StorygenError) as caught:
        serving.request(asked, cancel_at_the_first)
    assert caught.value.code == "cancelled"
    assert 0 < seen.count("delta") < 8
    assert serving.alive
    assert well_formed(answer(serving, request(models["tiny"], audio=long, beam_size=1))[0])["segments"]


def test_a_long_recording_is_heard_in_pieces_whose_times_go_on(
    models: dict[str, Path], speech: Path, tmp_path: Path
) -> None:
    import numpy as np

    from engines.speech_recognition._audio import PIECE_S, RATE, SEARCH_S, pieces
    from media.tracks import look

    path = tmp_path / "long.wav"  # loud but for a pause at 290 s
    ffmpeg(
        "-f", "lavfi", "-i", f"sine=300:d={PIECE_S + 40}", "-af", "volume=0:enable='between(t,290,291)'",
        "-ar", "8000", path,
    )  # fmt: skip
    checks: list[int] = []
    found = list(pieces(look(str(path)).heard(), lambda: checks.append(1)))
    assert [start for start, _ in found] == pytest.approx([0, 290.5], abs=0.5)
    assert found[0][0] == 0
    assert PIECE_S - SEARCH_S < found[1][0] < PIECE_S
    assert sum(len(samples) for _, samples in found) == pytest.approx((PIECE_S + 40) * RATE, abs=RATE // 100)
    assert all(samples.dtype == np.float32 for _, samples in found)
    assert len(checks) > PIECE_S / 2


def test_times_of_a_later_piece_are_those_of_the_recording(
    models: dict[str, Path], long: Path, serving: Worker, tmp_path: Path
) -> None:
    path = tmp_path / "two_pieces.wav"
    ffmpeg("-stream_loop", "99", "-i", long, "-t", "310", path)
    how = {"vad_filter": False, "beam_size": 1, "word_timestamps": False}
    result, _ = answer(serving, request(models["tiny"], audio=path, **how))
    output = well_formed(result)
    assert output["duration_s"] == pytest.approx(310, abs=0.01)
    starts = [segment["start_s"] for segment in output["segments"]][::2]
    cut = starts[10]
    assert 270 <= cut < 300
    assert starts == pytest.approx([*range(0, 271, 30), cut, cut + 30])


# The model


@pytest.mark.parametrize(
    ("named", "options", "expected"),
    [
        ({}, {}, "int8_float32"),
        ({}, {"compute_type": "int8"}, "int8_float32"),
        ({}, {"compute_type": "float32"}, "float32"),
        ({"dtype": "float32"}, {}, "float32"),
        ({"quantization": "none"}, {}, "float32"),
        ({"quantization": "int8"}, {}, "int8_float32"),
        ({"dtype": "float32", "quantization": "int8"}, {}, "int8_float32"),
    ],
)
def test_the_number_format_is_as_asked_for(
    named: dict[str, str], options: dict[str, str], expected: str, models: dict[str, Path], speech: Path,
    serving: Worker,
) -> None:  # fmt: skip
    asked = request(models["tiny"], audio=speech, model=named, engine_options=options, beam_size=1)
    result, _ = answer(serving, asked)
    assert result["model"]["compute_type"] == expected
    assert result["model"]["quantization"] == ("int8" if "int8" in expected else "none")
    assert result["model"]["dtype"] == "float32"
    assert result["output"]["text"] == SAID


@pytest.mark.parametrize(
    ("named", "options", "code", "said"),
    [
        ({}, {"compute_type": "float16"}, "unsupported_capability", "float16; cpu has float32, int8, int8_float32"),
        ({"dtype": "bfloat16"}, {}, "unsupported_capability", "bfloat16"),
        ({"quantization": "int4"}, {}, "unsupported_capability", "int4"),
        ({"dtype": "float32"}, {"compute_type": "int8"}, "invalid_request", "dtype"),
        ({}, {"compute_type": "int2"}, "invalid_request", 'compute_type is "int2"; it must be one of'),
    ],
)
def test_a_number_format_that_is_not_here_is_refused_with_those_that_are(
    named: dict[str, str], options: dict[str, str], code: str, said: str, models: dict[str, Path], speech: Path,
    serving: Worker,
) -> None:  # fmt: skip
    asked = request(models["tiny"], audio=speech, model=named, engine_options=options)
    error = refusal(serving, asked)
    assert error.code == code
    assert said in error.message


@pytest.mark.parametrize("device", ["mps", "cuda:99"])
def test_a_device_that_is_not_here_is_refused(
    device: str, models: dict[str, Path], speech: Path, serving: Worker
) -> None:
    error = refusal(serving, {**request(models["tiny"], audio=speech), "options": {"device": device}})
    assert error.code == "device_unavailable"
    assert device in error.message


@pytest.mark.parametrize(
    ("name", "said", "hint"),
    [
        ("/no/such/folder", "There is no folder /no/such/folder", "large-v3"),
        ("lage-v3", "There is no folder lage-v3", "large-v3"),
        ("large-v3", "neither a folder nor downloaded", "storygen models download Systran/faster-whisper-large-v3"),
        ("nobody/nothing", "neither a folder nor downloaded", "storygen models download nobody/nothing"),
    ],
)
def test_a_model_that_is_not_here_is_refused_with_the_way_to_get_it(
    name: str, said: str, hint: str, speech: Path, serving: Worker, tmp_path: Path
) -> None:
    options = {"device": "cpu", "offline": True, "models_dir": str(tmp_path)}
    error = refusal(serving, {**request(name, audio=speech), "options": options})
    assert error.code == "model_not_found"
    assert said in error.message
    assert hint in (error.hint or "")


def test_a_model_is_never_downloaded_by_surprise(speech: Path, tmp_path: Path) -> None:
    asked = request("somebody/tiny", audio=speech)
    asked["options"]["models_dir"] = str(tmp_path)
    with Hub() as hub:
        env = {"HF_ENDPOINT": f"http://127.0.0.1:{hub.server_address[1]}", "HF_HUB_OFFLINE": "0"}
        error = result_of(worker("speech_recognition", asked, env=env))["error"]
        hub.shutdown()
    assert (error["code"], hub.asked) == ("model_not_found", [])
    assert "storygen models download somebody/tiny" in error["hint"]
    assert f"--models-dir {tmp_path}" in error["hint"]


@pytest.mark.parametrize("name", ["somebody/tiny", "large-v3"])
def test_a_model_that_was_downloaded_is_found(
    name: str, models: dict[str, Path], speech: Path, serving: Worker, tmp_path: Path
) -> None:
    repository = {"large-v3": "Systran/faster-whisper-large-v3"}.get(name, name)
    cache = tmp_path / f"models--{repository.replace('/', '--')}"  # as `hf download --cache-dir` leaves it
    (cache / "refs").mkdir(parents=True)
    (cache / "refs" / "main").write_text("0" * 40)
    (cache / "snapshots").mkdir()
    (cache / "snapshots" / ("0" * 40)).symlink_to(models["tiny"])
    options = {"device": "cpu", "models_dir": str(tmp_path)}
    asked = {**request(name, audio=speech, beam_size=1), "options": options}
    assert answer(serving, asked)[0]["output"]["text"] == SAID
    (cache / "snapshots" / ("0" * 40)).unlink()
    (cache / "snapshots" / ("0" * 40)).mkdir()
    error = refusal(serving, {**asked, "options": {**options, "compile": True}})  # a download that broke off
    assert "lacks model.bin" in error.message
    assert f"storygen models download {repository}" in (error.hint or "")


@pytest.mark.parametrize("lacking", ["model.bin", "tokenizer.json"])
def test_a_folder_without_a_whole_model_is_refused(
    lacking: str, models: dict[str, Path], speech: Path, serving: Worker, tmp_path: Path
) -> None:
    for file in models["tiny"].iterdir():
        if file.name != lacking:
            (tmp_path / file.name).symlink_to(file)
    error = refusal(serving, request(tmp_path, audio=speech))
    assert (error.code, lacking in error.message) == ("model_not_found", True)


def test_a_damaged_model_is_refused(models: dict[str, Path], speech: Path, serving: Worker, tmp_path: Path) -> None:
    for file in models["tiny"].iterdir():
        if file.name != "model.bin":
            (tmp_path / file.name).symlink_to(file)
    (tmp_path / "model.bin").write_bytes((models["tiny"] / "model.bin").read_bytes()[:1000])
    error = refusal(serving, request(tmp_path, audio=speech))
    assert (error.code, str(tmp_path) in error.message) == ("model_not_found", True)


@pytest.mark.parametrize(
    ("name", "op", "fields", "said"),
    [
        ("english", "transcribe", {"language": "fr"}, "English only"),
        ("english", "transcribe", {"task": "translate"}, "cannot translate"),
        ("english", "detect_language", {}, "cannot tell languages apart"),
        ("tiny", "transcribe", {"language": "tlh"}, "does not know the language tlh"),
        ("tiny", "transcribe", {"language": "yue"}, "does not know the language yue"),
    ],
)
def test_what_a_model_cannot_do_is_refused(
    name: str, op: str, fields: dict[str, Any], said: str, models: dict[str, Path], speech: Path, serving: Worker
) -> None:
    error = refusal(serving, request(models[name], op, audio=speech, **fields))
    assert error.code == "unsupported_capability"
    assert said in error.message


@pytest.mark.parametrize(("tag", "name"), [("en-GB", "english"), ("zh-Hant-TW", "tiny"), ("nb", "tiny"), ("yue", "v3")])
def test_a_language_is_named_by_its_bcp_47_tag(
    tag: str, name: str, models: dict[str, Path], speech: Path, serving: Worker
) -> None:
    result, _ = answer(serving, request(models[name], audio=speech, language=tag, beam_size=1))
    assert (result["output"]["language"], result["output"]["language_confidence"]) == (tag, 1.0)


def test_the_gpus_running_out_of_memory_is_told_from_other_faults() -> None:
    from engines.speech_recognition._whisper import library_errors
    from runtime.errors import WorkerError

    for text, code in (
        ("CUDA failed with error out of memory", "out_of_memory"),
        ("Library libcublas.so.12 is not found or cannot be loaded", "device_unavailable"),
    ):
        with pytest.raises(WorkerError) as caught, library_errors():
            raise RuntimeError(text)
        assert caught.value.code == code
    with pytest.raises(RuntimeError, match="something else"), library_errors():
        raise RuntimeError("something else")


def test_nothing_heavy_is_imported_before_a_model_is_loaded(tmp_path: Path) -> None:
    heavy = {"ctranslate2", "faster_whisper", "numpy", "av", "torch", "onnxruntime", "tokenizers"}
    program = (
        "import sys; sys.path[:0] = [sys.argv[1]]\n"
        "import speech_recognition as worker\n"
        "from runtime import registry, request, worker as runtime\n"
        "runtime.description(worker.FAMILY)\n"
        "raw = {'v': 1, 'op': 'subtitle', 'engine': 'faster_whisper', 'input': {'audio': sys.argv[2]}}\n"
        "request.prepare(raw, worker.FAMILY, output_dir=None, timeout_s=None, serving=False)\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(WORKERS), __file__], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert not heavy & set(done.stdout.split())


@pytest.mark.parametrize(
    ("op", "fields", "expected"),
    [
        ("detect_language", {}, set()),
        ("transcribe", {}, {"word_timestamps"}),
        ("transcribe", {"word_timestamps": False}, set()),
        ("transcribe", {"word_timestamps": False, "task": "translate", "batch_size": 2}, {"batch", "translate"}),
        ("subtitle", {"hotwords": "crow", "initial_prompt": "A"}, {"hotwords", "initial_prompt", "word_timestamps"}),
    ],
)
def test_what_a_request_needs_of_an_engine(op: str, fields: dict[str, Any], expected: set[str]) -> None:
    from speech_recognition import needs

    complete = validation.filled({"audio": "x", **fields}, validation.input_schema("speech_recognition", op))
    assert needs(op, complete) == expected
    assert expected <= registry.engine_class("speech_recognition", "faster_whisper").capabilities


def test_the_scripted_engine_plays_a_transcript(tmp_path: Path) -> None:
    answers = tmp_path / "answers.jsonl"
    answers.write_text('{"output": {"text": "played"}}\n')
    asked = {"v": 1, "op": "transcribe", "engine": "scripted", "engine_options": {"answers": str(answers)}}
    result = result_of(worker("speech_recognition", {**asked, "input": {"audio": str(answers), "task": "translate"}}))
    assert result["output"] == {"text": "played"}


# Odd files

ANY = "any"
"""Speech too short or too strange for the voice filter to be sure: only a well-formed answer is asked for."""


def converted(name: str, *arguments: str) -> Maker:
    def make(speech: Path, folder: Path) -> Path:
        ffmpeg("-i", speech, *arguments, folder / name)
        return folder / name

    return make


def written(name: str, content: bytes) -> Maker:
    def make(speech: Path, folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def torn(name: str, *arguments: str) -> Maker:
    """The first half of a good file."""

    def make(speech: Path, folder: Path) -> Path:
        ffmpeg("-i", speech, *arguments, folder / f"whole-{name}")
        whole = (folder / f"whole-{name}").read_bytes()
        (folder / name).write_bytes(whole[: len(whole) // 2])
        return folder / name

    return make


def zipped(speech: Path, folder: Path) -> Path:
    with zipfile.ZipFile(folder / "song.mp3", "w") as archive:
        archive.write(speech)
    return folder / "song.mp3"


def film(speech: Path, folder: Path) -> Path:
    silent = clip(folder / "silent.mp4", frames=60)
    ffmpeg("-i", silent, "-i", speech, "-c:v", "copy", "-c:a", "aac", folder / "film.mp4")
    return folder / "film.mp4"


def late_film(speech: Path, folder: Path) -> Path:
    silent = clip(folder / "silent.mp4", frames=60)
    ffmpeg("-i", silent, "-itsoffset", "10", "-i", speech, "-c:v", "copy", "-c:a", "aac", folder / "late.mp4")
    return folder / "late.mp4"


def nan_samples(speech: Path, folder: Path) -> Path:
    """Ten seconds of 32-bit float samples of which none is a number."""
    data = struct.pack("<f", float("nan")) * 160000
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 3, 1, 16000, 64000, 4, 32,
                       b"data", len(data))  # fmt: skip
    (folder / "nan.wav").write_bytes(head + data)
    return folder / "nan.wav"


def locked(speech: Path, folder: Path) -> Path | None:
    path = folder / "locked.wav"
    path.write_bytes(speech.read_bytes())
    path.chmod(0)
    return None if os.access(path, os.R_OK) else path


CHORDS = "0.2*(sin(880*PI*t)+sin(1100*PI*t)+sin(1320*PI*t))*exp(-mod(t,.5)*4)"
PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nspeech.wav\n#EXT-X-ENDLIST\n"
CONCAT = b"ffconcat version 1.0\nfile speech.wav\n"
ODD: dict[str, tuple[Maker, str]] = {
    "nothing at all": (written("empty.wav", b""), "input_unreadable"),
    "a text": (written("notes.wav", b"An old man lit a lamp beside the sea.\n" * 100), "input_unreadable"),
    "a picture": (converted("p.png", "-lavfi", "color=red:s=64x64:d=1", "-frames:v", "1"), "input_unreadable"),
    "an archive called mp3": (zipped, "input_unreadable"),
    "half an mp3": (torn("torn.mp3"), "truncated"),
    "half a wav": (torn("torn.wav"), "truncated"),
    "half an ogg": (torn("torn.ogg", "-c:a", "libopus"), "truncated"),
    "half an mp4 without its index": (torn("torn.mp4"), "input_unreadable"),
    "half an mp4 with its index": (torn("torn_index.m4a", "-movflags", "+faststart"), "input_unreadable"),
    "a wav without samples": (converted("zero.wav", "-af", "atrim=end_sample=0"), "input_unreadable"),
    "0.2 s of speech": (converted("short.wav", "-t", "0.2"), ANY),
    "two samples": (converted("two.wav", "-af", "atrim=end_sample=2"), "no_speech"),
    "silence": (converted("silence.wav", "-af", "volume=0"), "no_speech"),
    "noise": (lambda speech, folder: noise(folder / "noise.wav", seconds=5), "no_speech"),
    "music": (
        converted("music.wav", "-lavfi", f"aevalsrc='{CHORDS}':d=6"),
        "no_speech",
    ),
    "no numbers": (nan_samples, "no_speech"),
    "stereo": (converted("stereo.flac", "-ac", "2"), "speech"),
    "5.1": (converted("six.wav", "-ac", "6"), "speech"),
    "8 kHz telephone": (converted("phone.wav", "-ar", "8000", "-c:a", "pcm_mulaw"), "speech"),
    "96 kHz": (converted("fine.wav", "-ar", "96000", "-c:a", "pcm_f32le"), "speech"),
    "opus, odd name": (converted("Žluťoučký kůň #1 100%.ogg", "-c:a", "libopus"), "speech"),
    "a film": (film, "speech"),
    "a film whose sound comes late": (late_film, "late"),
    "a film without sound": (lambda speech, folder: clip(folder / "silent.mp4", frames=30), "input_unreadable"),
    "a playlist called mp4": (written("list.mp4", PLAYLIST), "input_unreadable"),
    "a concat script called wav": (written("concat.wav", CONCAT), "input_unreadable"),
    "a folder": (lambda speech, folder: folder, "input_unreadable"),
    "no file": (lambda speech, folder: folder / "nobody.wav", "input_not_found"),
    "a file nobody may read": (locked, "input_unreadable"),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_any_file_ends_well(name: str, models: dict[str, Path], speech: Path, serving: Worker, tmp_path: Path) -> None:
    make, expected = ODD[name]
    (tmp_path / "speech.wav").write_bytes(speech.read_bytes())
    path = make(speech, tmp_path)
    if path is None:
        pytest.skip("this user may read every file")
    asked = request(models["tiny"], audio=path, beam_size=1)
    if expected.startswith("input_"):
        error = refusal(serving, asked)
        assert error.code == expected
        assert str(path) in error.message
        return
    result, _ = answer(serving, asked)
    output = well_formed(result)
    codes = [warning["code"] for warning in result["warnings"]]
    if expected == "no_speech":
        assert (output["segments"], output["text"], output["language"], codes) == ([], "", None, ["no_speech"])
    elif expected != ANY:
        assert output["text"].startswith("Hello there")
        assert codes == (["audio_truncated"] if expected == "truncated" else [])
        assert output["segments"][0]["start_s"] >= (9.5 if expected == "late" else 0)


def test_music_is_no_language(models: dict[str, Path], serving: Worker, tmp_path: Path) -> None:
    path = tone(tmp_path / "tone.wav", seconds=3)
    result, _ = answer(serving, request(models["tiny"], "detect_language", audio=path))
    assert result["output"] == {"language": None, "confidence": 0.0, "alternatives": {}}
    assert [warning["code"] for warning in result["warnings"]] == ["no_speech"]


# From the library's words to ours


def said(*words: tuple[str, float, float], text: str | None = None, **fields: Any) -> SimpleNamespace:
    """A segment as faster-whisper gives it."""
    made = [SimpleNamespace(word=word, start=start, end=end, probability=0.9) for word, start, end in words]
    whole = "".join(word for word, _, _ in words) if text is None else text
    found = {"start": words[0][1] if words else 0.0, "end": words[-1][2] if words else 1.0, "avg_logprob": -0.5}
    return SimpleNamespace(text=whole, words=made, **{**found, **fields})


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([" It", " costs", " 3", ".50", " or", " 1", ",000."], ["It", "costs", "3.50", "or", "1,000."]),
        ([" twenty", "-one", " don't"], ["twenty-one", "don't"]),
        (["我", "用", " Apple", "电", "脑", "。"], ["我", "用", "Apple", "电", "脑。"]),
        (["カ", "ラ", "ス", "と", "CD", "-R"], ["カ", "ラ", "ス", "と", "CD-R"]),
        (["ไม่", "มี", " ใคร"], ["ไม่มี", "ใคร"]),
        ([" ♪", " la", " \u200b", " la"], ["♪", "la", "la"]),
    ],
)
def test_pieces_without_a_blank_go_on_with_the_word(pieces: list[str], expected: list[str]) -> None:
    transcript = Transcript(timed_words=True)
    transcript.add(said(*((piece, n, n + 1) for n, piece in enumerate(pieces))), offset_s=0, end_s=60)
    assert [word["word"] for word in transcript.words] == expected


def test_for_aligning_the_pieces_of_thai_stay_apart() -> None:
    transcript = Transcript(timed_words=True, apart=UNSPACED)
    transcript.add(said(("ไม่", 0, 1), ("ม", 1, 2), ("ี", 2, 3)), offset_s=0, end_s=60)
    assert [word["word"] for word in transcript.words] == ["ไม่", "มี"]


def test_times_only_rise_and_stay_within_the_sound() -> None:
    transcript = Transcript(timed_words=True)
    transcript.add(said((" one", 0.5, 2.0), (" two", 1.5, 2.5)), offset_s=10, end_s=13)
    transcript.add(said((" three", 2.0, 4.0)), offset_s=10, end_s=13)
    assert transcript.add(said((" made", 3.5, 4.0), (" up", 4.0, 5.0)), offset_s=10, end_s=13) is None
    assert transcript.add(said(text="  "), offset_s=10, end_s=13) is None
    assert [(word["start_s"], word["end_s"]) for word in transcript.words] == [(10.5, 12), (12, 12.5), (12.5, 13)]
    assert [(one["start_s"], one["end_s"]) for one in transcript.segments] == [(10.5, 12.5), (12.5, 13)]
    assert transcript.text == "one two three"
    assert transcript.segments[0]["confidence"] == pytest.approx(0.6065, abs=1e-4)


def test_numbers_that_are_none_become_nought() -> None:
    transcript = Transcript(timed_words=True)
    transcript.add(said((" one", 0, 1), avg_logprob=float("nan")), offset_s=0, end_s=9)
    assert transcript.segments[0]["confidence"] == 0.0
