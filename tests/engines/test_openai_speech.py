"""The engine openai of speech_recognition through a real worker, against a server that replays what services send."""

from __future__ import annotations

import io
import itertools
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hosted_service import (
    AMBIENT,
    KEYS,
    Answer,
    Request,
    Service,
    Worker,
    openai_error,
    serving,
    transcript,
    transcript_stream,
)
from support import PATIENCE_S, SCHEMAS, clip, ffmpeg, output_of, tone

from engines.speech_recognition._languages import CODES, code_of, tag_of
from engines.speech_recognition._transcriptions import Answer as Heard
from engines.speech_recognition._transcriptions import segments_of
from engines.speech_recognition._words import Transcript
from runtime import validation
from runtime.errors import error_table


def word(text: str, start: float, end: float) -> dict[str, Any]:
    return {"word": text, "start": start, "end": end}


def segment(text: str, start: float, end: float, **more: Any) -> dict[str, Any]:
    return {"id": 0, "seek": 0, "start": start, "end": end, "text": text, "tokens": [1], "temperature": 0.0,
            "avg_logprob": -0.25, "compression_ratio": 1.2, "no_speech_prob": 0.01, **more}  # fmt: skip


SAID: dict[str, Any] = {
    "task": "transcribe",
    "language": "english",
    "duration": 6.0,
    "text": "Hello there, this is a test. Good night!",
    "words": [
        word("Hello", 0.2, 0.5), word("there", 0.5, 0.9), word("this", 1.2, 1.4), word("is", 1.4, 1.5),
        word("a", 1.5, 1.6), word("test", 1.6, 2.0), word("Good", 3.0, 3.4), word("night", 3.4, 3.9),
    ],
    "segments": [segment(" Hello there, this is a test.", 0.0, 2.5), segment(" Good night!", 2.5, 6.0)],
    "usage": {"type": "duration", "seconds": 6},
}  # fmt: skip


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with serving() as found:
        yield found


@pytest.fixture(scope="module")
def host(service: Service) -> Iterator[Worker]:
    """A worker whose preset openai is our service; when all is done, no key may have been written anywhere."""
    found = Worker(family="speech_recognition", OPENAI_BASE_URL=f"{service.root}/v1", **KEYS, **AMBIENT)
    yield found
    said = found.close()
    assert not [key for key in [*KEYS.values(), AMBIENT["OPENAI_ADMIN_KEY"]] if key in said]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds, silent at both ends."""
    return tone(tmp_path_factory.mktemp("sound") / "tone.wav", seconds=4, before_s=1, after_s=1)


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A little more than one piece, loud but for a pause at 290 s."""
    path = tmp_path_factory.mktemp("long") / "long.flac"
    quiet = "volume=0:enable='between(t,290,291)'"
    ffmpeg("-f", "lavfi", "-i", "sine=300:r=16000:d=320", "-af", quiet, path)
    return path


def ask(
    host: Worker, audio: Path, op: str = "transcribe", *, begin: Any = None, **fields: Any
) -> tuple[dict[str, Any], list[Any]]:
    """One request: (its last line, the data of its deltas). ``input`` is more of it than the audio."""
    given = {"audio": str(audio), **fields.pop("input", {})}
    return host.ask(op, begin=begin, engine="openai", input=given, **fields)


def well_formed(result: dict[str, Any]) -> dict[str, Any]:
    """The output, which is as the schema says, in order, and nothing of it overlaps."""
    assert result["type"] == "result", result.get("error")
    output: dict[str, Any] = result["output"]
    schema = json.loads((SCHEMAS / "speech_recognition" / f"{result['op']}.schema.json").read_text())
    assert validation.violations(output, {**schema, "$ref": "#/$defs/output"}) == []
    now = 0.0
    for one in output.get("segments", ()):
        assert now <= one["start_s"] <= one["end_s"] <= output["duration_s"] + 0.001
        for spoken in one["words"] or ():
            assert now <= spoken["start_s"] <= spoken["end_s"] <= one["end_s"]
            now = spoken["end_s"]
        now = one["end_s"]
    return output


def samples(request: Request) -> np.ndarray:
    """What the file that was sent sounds like."""
    assert request.body["file"].startswith(b"fLaC")
    with av.open(io.BytesIO(request.body["file"]), "r") as container:
        stream = container.streams.audio[0]
        assert (stream.rate, stream.layout.name) == (16000, "mono")
        found: np.ndarray = np.concatenate([frame.to_ndarray().reshape(-1) for frame in container.decode(stream)])
    return found / 32768


# What is asked for, and what comes


def test_words_come_with_the_texts_own_punctuation_and_the_services_times(
    service: Service, host: Worker, sound: Path
) -> None:
    service.play(transcript(**SAID))
    result, deltas = ask(host, sound)
    output = well_formed(result)
    assert (output["text"], output["language"], output["language_confidence"]) == (SAID["text"], "en", None)
    words = [spoken for one in output["segments"] for spoken in one["words"]]
    assert [spoken["word"] for spoken in words] == SAID["text"].split()
    assert [(spoken["start_s"], spoken["end_s"]) for spoken in words] == [(w["start"], w["end"]) for w in SAID["words"]]
    assert {spoken["confidence"] for spoken in words} == {None}
    assert output["segments"][0]["confidence"] == pytest.approx(0.7788, abs=1e-4)
    assert deltas == output["segments"]
    assert (output["duration_s"], result["warnings"]) == (6.0, [])
    assert (result["model"]["id"], result["model"]["device"]) == ("whisper-1", "remote")
    assert result["metrics"]["usage"] == {"requests": 1, "seconds": 6}
    (request,) = service.requests
    assert request.path == "/v1/audio/transcriptions"
    assert request.headers["authorization"] == f"Bearer {KEYS['OPENAI_API_KEY']}"
    file = request.body.pop("file")
    assert request.body == {
        "model": "whisper-1", "response_format": "verbose_json", "timestamp_granularities[]": ["word", "segment"],
    }  # fmt: skip
    assert len(file) < sound.stat().st_size / 3


def test_what_is_sent_is_the_sound_of_the_file(service: Service, host: Worker, sound: Path, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    ffmpeg("-i", clip(tmp_path / "silent.mp4", frames=60), "-itsoffset", "3", "-i", sound, "-c:v", "copy", film)
    for audio, starts_s in ((sound, 1.0), (film, 4.0)):
        service.play(transcript(**SAID))
        assert ask(host, audio)[0]["type"] == "result"
        heard = np.flatnonzero(np.abs(samples(service.requests[0])) > 0.01) / 16000
        assert (heard[0], heard[-1]) == pytest.approx((starts_s, starts_s + 4), abs=0.03)


def test_the_fields_that_the_api_has_are_sent(service: Service, host: Worker, sound: Path) -> None:
    service.play(transcript(**SAID))
    wished = {"language": "nb-NO", "initial_prompt": "Dear reader", "beam_size": 9}
    result, _ = ask(host, sound, input=wished)
    body = service.requests[0].body
    assert (body["language"], body["prompt"]) == ("no", "Dear reader")
    assert (result["output"]["language"], result["output"]["language_confidence"]) == ("nb-NO", 1.0)
    assert [(warning["code"], "beam_size 9" in warning["message"]) for warning in result["warnings"]] == [
        ("not_sent", True)
    ]


def test_a_translation_has_an_address_of_its_own(service: Service, host: Worker, sound: Path) -> None:
    service.play(transcript(**{**SAID, "task": "translate", "words": None}))
    result, _ = ask(host, sound, input={"task": "translate", "word_timestamps": False, "language": "fr"})
    output = well_formed(result)
    assert (output["text"], output["language"]) == (SAID["text"], "fr")
    assert [one["words"] for one in output["segments"]] == [None, None]
    assert [warning["code"] for warning in result["warnings"]] == ["not_sent"]
    (request,) = service.requests
    assert request.path == "/v1/audio/translations"
    assert not {"language", "timestamp_granularities[]"} & set(request.body)
    service.play(transcript(**SAID))
    asked = {"task": "translate", "word_timestamps": False}
    assert ask(host, sound, input=asked)[0]["output"]["language"] is None  # the service names that of the translation


def test_plain_text_is_streamed_by_the_model_that_lasts(service: Service, host: Worker, sound: Path) -> None:
    usage = {"type": "tokens", "input_tokens": 60, "output_tokens": 7, "total_tokens": 67}
    service.play(transcript_stream("Hello", " there", ".", languages=[{"code": "en"}], usage=usage))
    result, deltas = ask(host, sound, input={"word_timestamps": False, "hotwords": "storygen Žofie"})
    output = well_formed(result)
    assert deltas[:3] == ["Hello", " there", "."]
    assert deltas[3:] == output["segments"]
    assert (output["text"], output["language"], output["language_confidence"]) == ("Hello there.", "en", None)
    assert [(one["start_s"], one["end_s"], one["confidence"]) for one in output["segments"]] == [(0, 6, None)]
    assert result["metrics"]["usage"] == {"requests": 1, "seconds": 6, "prompt": 60, "completion": 7, "total": 67}
    body = service.requests[0].body
    assert (body["model"], body["response_format"], body["stream"]) == ("gpt-transcribe", "json", "true")
    assert body["keywords[]"] == ["storygen", "Žofie"]


def test_the_language_is_told_from_half_a_minute_of_sound(
    service: Service, host: Worker, long: Path, sound: Path
) -> None:
    service.play(transcript(text="Hallo", languages=[{"code": "de"}]))
    result, _ = ask(host, long, "detect_language")
    assert well_formed(result) == {"language": "de", "confidence": None, "alternatives": {}}
    assert len(samples(service.requests[0])) == 30 * 16000
    service.play(transcript(**{**SAID, "language": "haitian creole"}))
    result, _ = ask(host, sound, "detect_language", model={"id": "whisper-1"})
    assert result["output"]["language"] == "ht"
    assert len(samples(service.requests[0])) == pytest.approx(5 * 16000, abs=1000)  # from where it first sounds on
    service.play(transcript(text="Hm", languages=[]))
    result, _ = ask(host, sound, "detect_language")
    assert (result["output"]["language"], result["warnings"][0]["code"]) == (None, "no_speech")


def test_subtitles_and_alignment_use_the_words_that_came(
    service: Service, host: Worker, sound: Path, tmp_path: Path
) -> None:
    service.play(transcript(**SAID))
    result, _ = ask(host, sound, "subtitle", input={"formats": ["vtt"]}, output_dir=str(tmp_path))
    output = well_formed(result)
    assert SAID["text"].split() == [w for cue in output["cues"] for line in cue["lines"] for w in line.split()]
    assert "Good night!" in Path(output["files"]["vtt"]["path"]).read_text(encoding="utf-8")
    given = "Hello, this was a test! Good night."
    result, _ = ask(host, sound, "align", input={"text": given})
    words = well_formed(result)["words"]
    assert [spoken["word"] for spoken in words] == given.split()
    assert words[-1]["start_s"] == pytest.approx(3.4, abs=0.01)
    assert 0 < result["output"]["mismatch"] < 0.3


def test_a_long_recording_goes_out_in_pieces_whose_times_go_on(service: Service, host: Worker, long: Path) -> None:
    service.play(transcript(**SAID), transcript(**{**SAID, "language": "german"}))
    events: list[dict[str, Any]] = []
    host.send({"v": 1, "id": "a", "op": "transcribe", "engine": "openai", "input": {"audio": str(long)}})
    while (result := host.line())["type"] not in {"result", "error"}:
        events.append({**result, "sent": len(service.requests)})
    output = well_formed(result)
    first, second = service.requests
    assert len(samples(first)) / 16000 == pytest.approx(290.5, abs=0.5)
    assert len(samples(first)) + len(samples(second)) == 320 * 16000
    assert ("language" in first.body, second.body["language"], output["language"]) == (False, "en", "en")
    assert [one["id"] for one in output["segments"]] == [1, 2, 3, 4]
    cut = len(samples(first)) / 16000
    assert output["segments"][2]["start_s"] == pytest.approx(cut + 0.2, abs=0.001)
    assert output["text"] == f"{SAID['text']} {SAID['text']}"
    deltas = [event for event in events if event["type"] == "delta"]
    assert [event["data"] for event in deltas] == output["segments"]
    done = [(e["current"], e["total"], e["unit"]) for e in events if e["type"] == "progress" and e["stage"] == "run"]
    assert done[-1] == (320.0, 320.0, "seconds")
    assert result["metrics"]["usage"] == {"requests": 2, "seconds": 12}


def test_the_text_of_streamed_pieces_is_the_text_of_the_result(service: Service, host: Worker, long: Path) -> None:
    service.play(transcript_stream("One", " two."), transcript_stream("Three."))
    result, deltas = ask(host, long, model={"id": "gpt-4o-transcribe"}, input={"word_timestamps": False})
    assert "".join(text for text in deltas if isinstance(text, str)) == result["output"]["text"] == "One two. Three."
    assert result["output"]["language"] is None


SILENT = {
    "silence": "volume=0",
    "hum far below speech": "volume=0.001",
    "two samples": "atrim=end_sample=2",
}


@pytest.mark.parametrize("op", ["transcribe", "detect_language"])
@pytest.mark.parametrize("name", SILENT)
def test_silence_is_not_paid_for(
    name: str, op: str, service: Service, host: Worker, sound: Path, tmp_path: Path
) -> None:
    service.play(transcript(**SAID))
    ffmpeg("-i", sound, "-af", SILENT[name], tmp_path / "silent.wav")
    result, _ = ask(host, tmp_path / "silent.wav", op)
    output = well_formed(result)
    assert (output["language"], output.get("text", "")) == (None, "")
    assert [warning["code"] for warning in result["warnings"]] == ["no_speech"]
    assert "Nothing was sent" in result["warnings"][0]["message"]
    assert service.requests == []


def test_half_a_file_is_heard_and_said_to_be_half(service: Service, host: Worker, sound: Path, tmp_path: Path) -> None:
    half = tmp_path / "half.wav"
    half.write_bytes(sound.read_bytes()[: sound.stat().st_size // 2])
    service.play(transcript(**SAID))
    result, _ = ask(host, half)
    assert well_formed(result)["duration_s"] == pytest.approx(3, abs=0.01)
    assert [warning["code"] for warning in result["warnings"]] == ["audio_truncated"]


def test_a_server_of_ones_own_gets_neither_the_keys_nor_a_stream(service: Service, host: Worker, sound: Path) -> None:
    nested = [segment(" Good night!", 0, 2, words=[word(" Good", 1.0, 1.5), word(" night!", 1.5, 2.0)])]
    service.play(transcript(text="Good night!", language="en", segments=nested))
    options = {"preset": "custom", "base_url": f"{service.root}/v1"}
    result, _ = ask(host, sound, model={"id": "somebody/whisper-small"}, engine_options=options)
    words = well_formed(result)["segments"][0]["words"]
    assert [(spoken["word"], spoken["start_s"]) for spoken in words] == [("Good", 1.0), ("night!", 1.5)]
    service.play(transcript(text="Only text."))
    asked = {"word_timestamps": False}
    result, _ = ask(host, sound, model={"id": "gpt-4o-transcribe"}, engine_options=options, input=asked)
    assert well_formed(result)["text"] == "Only text."
    (request,) = service.requests
    assert "stream" not in request.body
    assert request.headers["authorization"] == f"Bearer {KEYS['STORYGEN_CUSTOM_API_KEY']}"
    assert "canary-org" not in request.headers.values()


# What is refused before anything is sent

REFUSED: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "word times": ("transcribe", {"model": {"id": "gpt-4o-transcribe"}}, "gives no times of words", "whisper-1"),
    "subtitles": ("subtitle", {"model": {"id": "gpt-transcribe"}}, "gives no times of words", "whisper-1"),
    "alignment": (
        "align", {"model": {"id": "openai/gpt-4o-mini-transcribe"}, "input": {"text": "Hi"}},
        "gives no times of words", "whisper-1",
    ),
    "a translation with times": (
        "transcribe", {"input": {"task": "translate"}}, "times no words of a translation", "word_timestamps to false",
    ),
    "a translation": (
        "transcribe",
        {"model": {"id": "gpt-transcribe"}, "input": {"task": "translate", "word_timestamps": False}},
        "does not translate", "whisper-1",
    ),
    "hotwords": ("transcribe", {"input": {"hotwords": "crow"}}, "takes no hotwords", "initial_prompt"),
    "a language": (
        "detect_language", {"model": {"id": "gpt-4o-transcribe"}}, "does not say which language", "whisper-1",
    ),
    "batches": ("transcribe", {"input": {"batch_size": 2}}, "cannot do batch", "faster_whisper"),
    "a revision": ("transcribe", {"model": {"id": "whisper-1", "revision": "main"}}, "revision is main",
                   "Leave it out"),
}  # fmt: skip


@pytest.mark.parametrize(("op", "fields", "said", "hint"), REFUSED.values(), ids=REFUSED)
def test_what_a_model_cannot_do_is_refused_before_it_is_paid_for(
    op: str, fields: dict[str, Any], said: str, hint: str, service: Service, host: Worker, sound: Path
) -> None:
    service.play(transcript(**SAID))
    line, _ = ask(host, sound, op, **fields)
    assert line["error"]["code"] == "unsupported_capability"
    assert said in line["error"]["message"]
    assert hint in line["error"]["hint"]
    assert service.requests == []


def test_a_service_needs_its_key_and_a_server_its_model(service: Service, sound: Path) -> None:
    lonely = Worker(family="speech_recognition")
    try:
        assert ask(lonely, sound)[0]["error"]["code"] == "auth_missing"
        options = {"preset": "custom", "base_url": f"{service.root}/v1"}
        assert ask(lonely, sound, engine_options=options)[0]["error"]["pointer"] == "/model/id"
        away = {"preset": "custom", "base_url": "http://example.com/v1"}
        line, _ = ask(lonely, sound, model={"id": "m"}, engine_options=away, options={"offline": True})
        assert line["error"]["pointer"] == "/options/offline"
    finally:
        lonely.close()


# Faults

HELD = openai_error(429, "Rate limit reached for whisper-1", "rate_limit_exceeded", "requests", retry_after="20")
FAULTS: dict[str, tuple[Answer, str]] = {
    "wrong key": (
        openai_error(401, f"Incorrect API key provided: {KEYS['OPENAI_API_KEY']}. You", "invalid_api_key"),
        "auth_rejected",
    ),
    "no money": (openai_error(429, "You exceeded your current quota", "insufficient_quota"), "provider_rejected"),
    "rate limit": (HELD, "rate_limited"),
    "fault": (openai_error(500, "The server had an error", None, "server_error"), "provider_unavailable"),
    "no model": (openai_error(404, "The model `whisper-1` does not exist", "model_not_found"), "model_not_found"),
    "too large": (
        openai_error(413, "Maximum content size limit (26214400) exceeded (26294972 bytes read)", None, "server_error"),
        "invalid_request",
    ),
    "too large, a proxy": (Answer(413, {"content-type": "text/html"}, ["<html>nginx</html>"]), "invalid_request"),
    "format": (
        openai_error(
            400,
            "response_format 'verbose_json' is not compatible with model 'x'. Use 'json' or 'text' instead.",
            "unsupported_value",
        ),
        "unsupported_capability",
    ),
    "broken audio": (openai_error(400, "Audio file might be corrupted or unsupported"), "provider_rejected"),
    "invalid JSON": (Answer(body=['{"text": "Hel']), "provider_unavailable"),
    "cut": (Answer(body=['{"text": "Hel'], end="cut"), "network"),
    "a page": (Answer(200, {"content-type": "text/html"}, ["<html>Welcome</html>"]), "provider_unavailable"),
    "no text": (transcript(words=[]), "provider_unavailable"),
    "a list": (Answer(body=["[1, 2]"]), "provider_unavailable"),
    "words without times": (transcript(**{**SAID, "words": [{"word": "Hello"}]}), "provider_unavailable"),
    "times that are none": (
        transcript(**{**SAID, "segments": [segment("a", float("nan"), 1)]}), "provider_unavailable",
    ),
    "words that are none": (transcript(**{**SAID, "words": "Hello there"}), "provider_unavailable"),
    "no words": (transcript(**{**SAID, "words": None}), "unsupported_capability"),
    "text alone": (transcript(text="Hello there."), "unsupported_capability"),
}  # fmt: skip


@pytest.mark.parametrize(("answer", "code"), FAULTS.values(), ids=FAULTS)
def test_a_fault_of_the_service_is_one_clear_error_after_one_request(
    answer: Answer, code: str, service: Service, host: Worker, sound: Path
) -> None:
    service.play(answer)
    line, deltas = ask(host, sound)
    assert line["type"] == "error", line
    assert line["error"]["code"] == code, line
    assert line["error"]["retryable"] == error_table()[code]["retryable"]
    assert "canary" not in json.dumps(line)
    assert (len(service.requests), deltas) == (1, [])
    if answer is HELD:
        assert line["error"]["retry_after_s"] == 20
    if code == "invalid_request":
        assert "9.6 MB" in line["error"]["hint"]


STREAM_FAULTS = {
    "ends early": (transcript_stream("Hel", done=False), "provider_unavailable"),
    "cut": (transcript_stream("Hel", done=False, end="cut"), "network"),
    "no text": (Answer(headers=transcript_stream().headers, body=['data: {"type": "transcript.text.done"}\n\n']),
                "provider_unavailable"),
    "an error": (Answer(headers=transcript_stream().headers,
                        body=['data: {"error": {"type": "rate_limit_error", "message": "Slow down"}}\n\n']),
                 "rate_limited"),
}  # fmt: skip


@pytest.mark.parametrize(("answer", "code"), STREAM_FAULTS.values(), ids=STREAM_FAULTS)
def test_a_stream_that_is_not_whole_is_no_answer(
    answer: Answer, code: str, service: Service, host: Worker, sound: Path
) -> None:
    service.play(answer)
    line, _ = ask(host, sound, input={"word_timestamps": False})
    assert line["error"]["code"] == code, line
    assert len(service.requests) == 1


@pytest.mark.parametrize("how", ["silent", "in the stream", "second piece"])
def test_a_cancelled_request_hangs_up(how: str, service: Service, host: Worker, sound: Path, long: Path) -> None:
    def cancel() -> None:
        assert service.arrived.wait(PATIENCE_S)
        host.send({"type": "cancel", "id": "a"})

    asked = {"word_timestamps": False}
    if how == "second piece":
        service.play(transcript(**SAID), Answer(silent=True))
        host.send({"v": 1, "id": "a", "op": "transcribe", "engine": "openai", "input": {"audio": str(long)}})
        while host.line()["type"] != "delta":
            pass
        host.send({"type": "cancel", "id": "a"})
        while (line := host.line())["type"] not in {"result", "error"}:
            pass
    else:
        service.play(Answer(silent=True) if how == "silent" else transcript_stream("Hel", done=False, end="stall"))
        began = time.monotonic()
        line, _ = ask(host, sound, begin=cancel, input=asked)
        assert time.monotonic() - began < 4
        assert service.left.wait(PATIENCE_S)
    assert line["error"]["code"] == "cancelled"
    service.play(transcript_stream("Again."))
    assert ask(host, sound, input=asked)[0]["output"]["text"] == "Again."  # the same worker goes on


def test_a_service_that_is_silent_is_left_at_the_deadline(service: Service, host: Worker, sound: Path) -> None:
    service.play(Answer(silent=True))
    line, _ = ask(host, sound, options={"timeout_s": 0.5})
    assert line["error"]["code"] == "timeout"
    assert service.left.wait(PATIENCE_S)
    assert len(service.requests) == 1


# From the service's words to ours


def heard(text: str, words: list[dict[str, Any]], segments: list[dict[str, Any]] | None = None) -> Heard:
    return Heard(text, None, segments or [], words, {})


def bare(text: str) -> str:
    return "".join(filter(str.isalnum, text))


@pytest.mark.parametrize(
    ("language", "text", "bare_words", "expected"),
    [
        ("en", "It costs $3.50, or 1,000.", ["It", "costs", "$3.50", "or", "1,000"], "It costs $3.50, or 1,000."),
        ("fr", "« Oui », dit-il.", ["Oui", "dit", "il"], "« Oui », dit-il."),
        ("en", "A well-known fact", ["A", "well", "known", "fact"], "A well-known fact"),
        ("ar", "مرحبا، يا صديقي", ["مرحبا", "يا", "صديقي"], "مرحبا، يا صديقي"),
        ("zh", "你好，世界。", ["你", "好", "世", "界"], "你好，世界。"),
        ("en", "One. Two old lamps?", ["one", "old", "lamps"], "One. Two old lamps?"),
        ("en", "Just this", ["quite", "other", "words"], "Just this"),
    ],
)
def test_the_words_of_the_text_take_the_times_of_the_bare_ones(
    language: str, text: str, bare_words: list[str], expected: str
) -> None:
    words = [word(one, 2 * n, 2 * n + 0.9) for n, one in enumerate(bare_words)]
    (said,) = segments_of(heard(text, words), language=language, length_s=9, timed=True, raw=False)
    made = Transcript(timed_words=True)
    assert made.add(said, offset_s=0, end_s=9)
    assert "".join(one["word"] for one in made.words).replace(" ", "") == expected.replace(" ", "")
    known = {bare(one): 2 * n for n, one in enumerate(bare_words)}
    for one in made.words:
        if bare(one["word"]) in known:
            assert one["start_s"] == known[bare(one["word"])]


def test_for_aligning_the_services_own_words_are_kept() -> None:
    words = [word("ไม่", 0, 1), word("มี", 1, 2)]
    (said,) = segments_of(heard("ไม่มี", words), language="th", length_s=9, timed=True, raw=True)
    assert [one.word for one in said.words] == [" ไม่", " มี"]


@pytest.mark.parametrize("seed", range(20))
def test_pieces_join_in_order_without_overlap(seed: int) -> None:
    """Whatever a service says of its times, the transcript's only rise, piece after piece, and its text is whole."""
    chance = random.Random(seed)
    made, texts, offset = Transcript(timed_words=True), [], 0.0
    for _ in range(4):
        length = chance.uniform(5, 300)
        rows, words, count = [], [], chance.randint(1, 5)
        for number in range(count):
            said = [chance.choice(["old,", "man", "lit", "a", "lamp.", "“sea”", "42"]) for _ in range(6)]
            begin, end = number * length / count, (number + 1) * length / count
            step = (end - begin) / len(said)
            off = chance.uniform(-2, 2)
            rows.append(segment(" " + " ".join(said), max(0, begin + off), end + off))
            for place, one in enumerate(said):
                start = max(0.0, begin + place * step + chance.uniform(-1, 1))
                if chance.random() < 0.9:
                    words.append(word(one.strip(",.“”"), start, start + chance.uniform(0, 2 * step)))
            texts.append(" ".join(said))
        answer = heard("".join(row["text"] for row in rows), words, rows)
        for part in segments_of(answer, language="en", length_s=length, timed=True, raw=False):
            found = made.add(part, offset_s=offset, end_s=offset + length)
            assert found is None or offset - 0.001 <= found["start_s"] <= found["end_s"] <= offset + length + 0.001
        offset += length
    assert made.text == " ".join(texts)
    times = list(itertools.chain.from_iterable((one["start_s"], one["end_s"]) for one in made.words))
    assert times == sorted(times)


def test_every_language_that_the_service_names_has_its_tag() -> None:
    assert len(CODES) == len(set(CODES.values())) == 100
    assert {tag_of(name) for name in CODES} == {tag_of(code) for code in CODES.values()}
    assert (tag_of("English"), tag_of("javanese"), tag_of("zh-CN"), tag_of("klingon")) == ("en", "jv", "zh", None)
    assert (code_of("jv"), code_of("pt-BR"), code_of("fil")) == ("jw", "pt", "tl")


@pytest.mark.models
def test_a_real_recogniser_behind_the_api_says_what_it_says_here(
    service: Service, host: Worker, tmp_path: Path
) -> None:
    """A tiny Whisper answers with what it hears in the file that was sent, in the shape of servers that run one."""
    from faster_whisper import WhisperModel
    from tiny_models.whisper import build

    folder = build(tmp_path / "tiny")
    audio = Path(
        output_of("speech_synthesis", "synthesize", {"text": "An old man lit a lamp."}, tmp_path)["audio"]["path"]
    )
    model = WhisperModel(str(folder), device="cpu", compute_type="float32", cpu_threads=1)

    def recognised(request: Request) -> str:
        heard, about = model.transcribe(io.BytesIO(request.body["file"]), word_timestamps=True, beam_size=1)
        rows = list(heard)
        words = [word(one.word, float(one.start), float(one.end)) for row in rows for one in row.words or ()]
        said = [segment(row.text, row.start, row.end, avg_logprob=row.avg_logprob) for row in rows]
        text = "".join(row.text for row in rows)
        return json.dumps({"text": text, "language": about.language, "segments": said, "words": words})

    service.play(Answer(made=recognised))
    options = {"preset": "custom", "base_url": f"{service.root}/v1"}
    there, _ = ask(host, audio, model={"id": "tiny"}, engine_options=options)
    here, _ = host.ask(
        "transcribe", engine="faster_whisper", model={"id": str(folder)}, options={"device": "cpu"},
        engine_options={"compute_type": "float32"}, input={"audio": str(audio), "beam_size": 1, "vad_filter": False},
    )  # fmt: skip
    ours, theirs = well_formed(there), well_formed(here)
    assert ours["text"] == theirs["text"] == "Hello there, this is a test. Good night!"
    for one, other in zip(ours["segments"], theirs["segments"], strict=True):
        assert one["confidence"] == pytest.approx(other["confidence"], abs=0.001)
        # Its random weights give words no sensible times: nothing is to be learnt from those.
        assert [mine["word"] for mine in one["words"]] == [known["word"] for known in other["words"]]


@pytest.mark.models
def test_the_languages_are_those_of_whisper() -> None:
    from transformers.models.whisper.tokenization_whisper import LANGUAGES

    assert {code: name for name, code in CODES.items()} == LANGUAGES
