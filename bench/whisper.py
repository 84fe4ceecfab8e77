"""Speech recognition: the worker against a plain faster-whisper script with the same tiny model, in turn.

A tiny model shows what we add, for its own work takes half a second. Nothing here passes or fails.
"""

from __future__ import annotations

import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "workers"), str(ROOT / "tests")]

from bench.shared import measuring  # noqa: E402 - found only now

COLD_STARTS, WARM_REQUESTS = 9, 15
LONG_S = 1800
WORKER = measuring.worker("speech_recognition")
NEEDED = ("faster_whisper", "ctranslate2", "tokenizers", "torch")
"""CTranslate2 writes models with torch's help."""
TEXT = "An old man lit a lamp beside the sea. The wind put it out, and the night came back at once. He lit it again."
PLAIN_SCRIPT = """\
import dataclasses, json, sys
from faster_whisper import WhisperModel
model = WhisperModel(sys.argv[1], device="cpu", compute_type="int8")
segments, info = model.transcribe(sys.argv[2], beam_size=5, word_timestamps=True, vad_filter=True)
text = json.dumps([dataclasses.asdict(segment) for segment in segments], default=float)
print(text)
"""


def main() -> None:
    """All three figures."""
    measuring.measure("whisper", NEEDED, build, (cold, warm, memory))


def build(folder: Path) -> tuple[Path, Path, Path]:
    """The folder, a model, and eight seconds of speech."""
    from tiny_models import whisper

    return folder, whisper.build(folder / "model"), _speech(folder)


def cold(folder: Path, model: Path, speech: Path) -> Iterator[str]:
    """a whole process that transcribes eight seconds, against the plain script."""
    request = _request(folder, model, speech)
    yield from measuring.whole_processes(COLD_STARTS, _plain(model, speech), WORKER, request, aim=1.0)


def warm(folder: Path, model: Path, speech: Path) -> Iterator[str]:
    """a request to a serving worker, against the library in this process."""
    import faster_whisper

    from orchestrator.worker import Worker

    whisper = faster_whisper.WhisperModel(str(model), device="cpu", compute_type="int8")

    def in_process() -> None:
        segments, _ = whisper.transcribe(str(speech), beam_size=5, word_timestamps=True, vad_filter=True)
        list(segments)

    with Worker("speech_recognition") as worker:
        inside, outside = measuring.in_turn(
            WARM_REQUESTS,
            lambda: measuring.seconds(in_process),
            lambda: measuring.seconds(lambda: worker.request(_request(folder, model, speech))),
        )
    yield f"library        {measuring.spread(inside)}"
    yield f"over the wire  {measuring.spread(outside)}"
    yield f"wire − library {measuring.more(inside, outside)}"


def memory(folder: Path, model: Path, speech: Path) -> Iterator[str]:
    """most memory held, for eight seconds and for half an hour of speech; no words timed, one wording followed."""
    long = _repeated(speech, folder / "long.wav", LONG_S)
    quick = {"beam_size": 1, "word_timestamps": False}
    script = PLAIN_SCRIPT.replace("beam_size=5, word_timestamps=True", "beam_size=1, word_timestamps=False")
    for audio, length in ((speech, "8 s"), (long, f"{LONG_S // 60} min")):
        request = _request(folder, model, audio, **quick)
        yield f"{length:>6}   {measuring.peaks(_plain(model, audio, script), WORKER, request)}"


# Commands


def _plain(model: Path, audio: Path, script: str = PLAIN_SCRIPT) -> list[str]:
    return [sys.executable, "-c", script, str(model), str(audio)]


def _request(folder: Path, model: Path, audio: Path, **how: Any) -> dict[str, Any]:
    """On the CPU, as the script is: auto would take a GPU."""
    named = {"v": 1, "op": "transcribe", "engine": "faster_whisper", "model": {"id": str(model)}}
    return {**named, "input": {"audio": str(audio), **how}, "options": {"device": "cpu"}, "output_dir": str(folder)}


# Recordings


def _speech(folder: Path) -> Path:
    """Eight seconds by espeak."""
    from orchestrator.worker import Worker

    with Worker("speech_synthesis") as worker:
        request = {"v": 1, "op": "synthesize", "engine": "espeak", "input": {"text": TEXT}, "output_dir": str(folder)}
        return Path(worker.request(request)["output"]["audio"]["path"])


def _repeated(source: Path, path: Path, seconds: float) -> Path:
    with wave.open(str(source), "rb") as file:
        parameters, frames = file.getparams(), file.readframes(file.getnframes())
    times = round(seconds * parameters.framerate / parameters.nframes)
    with wave.open(str(path), "wb") as file:
        file.setparams(parameters)
        for _ in range(times):
            file.writeframes(frames)
    return path


if __name__ == "__main__":
    main()
