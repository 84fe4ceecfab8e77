"""Speech recognition: the worker against a plain faster-whisper script with the same tiny model, in turn.

A tiny model shows what we add, for its own work takes half a second. Nothing here passes or fails.
"""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
WORKERS = ROOT / "workers"
sys.path[:0] = [str(ROOT), str(WORKERS), str(ROOT / "tests")]

COLD_STARTS, WARM_REQUESTS = 9, 15
LONG_S = 1800
NEEDED = ("faster_whisper", "ctranslate2", "tokenizers", "torch")
"""CTranslate2 writes models with torch's help."""
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
TEXT = "An old man lit a lamp beside the sea. The wind put it out, and the night came back at once. He lit it again."
PLAIN_SCRIPT = """\
import dataclasses, json, sys
from faster_whisper import WhisperModel
model = WhisperModel(sys.argv[1], device="cpu", compute_type="int8")
segments, info = model.transcribe(sys.argv[2], beam_size=5, word_timestamps=True, vad_filter=True)
text = json.dumps([dataclasses.asdict(segment) for segment in segments], default=float)
try:
    import resource
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
except ImportError:
    peak = None
print(json.dumps({"peak_rss_mb": peak, "segments": text}))
"""


def main() -> None:
    """All three figures."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        print(f"\nwhisper: skipped: {', '.join(missing)} is not installed (the models extra has it)")
        return
    from tiny_models.whisper import build

    with tempfile.TemporaryDirectory(prefix="storygen-bench-") as name:
        folder = Path(name)
        model, speech = build(folder / "model"), _speech(folder)
        for part in (cold, warm, memory):
            print(f"\nwhisper, {part.__name__}: {part.__doc__}", flush=True)
            for line in part(folder, model, speech):
                print(f"  {line}", flush=True)


def cold(folder: Path, model: Path, speech: Path) -> Iterator[str]:
    """a whole process that transcribes eight seconds, against the plain script."""
    plain, ours = _in_turn(
        COLD_STARTS,
        lambda: _seconds(_plain(folder, model, speech)),
        lambda: _seconds(_worker(folder, model, speech)),
    )
    yield f"plain script         {_spread(plain)}"
    yield f"worker               {_spread(ours)}"
    yield f"worker / plain       {statistics.median(ours) / statistics.median(plain):8.2f}      (aim ≤ 1.0)"


def warm(folder: Path, model: Path, speech: Path) -> Iterator[str]:
    """a request to a serving worker, against the library in this process."""
    import faster_whisper

    from orchestrator.worker import Worker

    whisper = faster_whisper.WhisperModel(str(model), device="cpu", compute_type="int8")

    def in_process() -> float:
        began = time.perf_counter()
        segments, _ = whisper.transcribe(str(speech), beam_size=5, word_timestamps=True, vad_filter=True)
        list(segments)
        return time.perf_counter() - began

    with Worker("speech_recognition") as worker:

        def over_the_wire() -> float:
            began = time.perf_counter()
            worker.request({**_request(model, speech), "output_dir": str(folder)})
            return time.perf_counter() - began

        inside, outside = _in_turn(WARM_REQUESTS, in_process, over_the_wire)
    more = 1000 * (statistics.median(outside) - statistics.median(inside))
    allowed = 30 * statistics.median(inside) + 20
    yield f"library              {_spread(inside)}"
    yield f"over the wire        {_spread(outside)}"
    yield f"wire − library       {more:8.2f} ms   (aim ≤ 3 % + 20 ms = {allowed:.0f} ms)"


def memory(folder: Path, model: Path, speech: Path) -> Iterator[str]:
    """most memory held, for eight seconds and for half an hour of speech; no words timed, one wording followed."""
    long = _repeated(speech, folder / "long.wav", LONG_S)
    quick = {"beam_size": 1, "word_timestamps": False}
    script = PLAIN_SCRIPT.replace("beam_size=5, word_timestamps=True", "beam_size=1, word_timestamps=False")
    for audio, length in ((speech, "8 s"), (long, f"{LONG_S // 60} min")):
        peaks = [
            _output(_plain(folder, model, audio, script))["peak_rss_mb"],
            _output(_worker(folder, model, audio, **quick))["metrics"]["peak_rss_mb"],
        ]
        if None in peaks:
            yield "memory is not measured on this system"
            return
        yield f"{length:>6}   plain script {peaks[0]:7.0f} MB   worker {peaks[1]:7.0f} MB"


# Commands


def _plain(folder: Path, model: Path, audio: Path, script: str = PLAIN_SCRIPT) -> list[str]:
    path = folder / "plain.py"
    path.write_text(script, encoding="utf-8")
    return [sys.executable, str(path), str(model), str(audio)]


def _request(model: Path, audio: Path, **how: Any) -> dict[str, Any]:
    """On the CPU, as the script is: auto would take a GPU."""
    named = {"v": 1, "op": "transcribe", "engine": "faster_whisper", "model": {"id": str(model)}}
    return {**named, "input": {"audio": str(audio), **how}, "options": {"device": "cpu"}}


def _worker(folder: Path, model: Path, audio: Path, **how: Any) -> list[str]:
    request = folder / "request.json"
    request.write_text(json.dumps(_request(model, audio, **how)), encoding="utf-8")
    script = WORKERS / "speech_recognition.py"
    return [sys.executable, str(script), "--input", str(request), "--output-dir", str(folder)]


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


# Measuring


def _output(command: Sequence[str]) -> dict[str, Any]:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True, env=ENVIRONMENT)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _seconds(command: Sequence[str]) -> float:
    began = time.perf_counter()
    _output(command)
    return time.perf_counter() - began


def _in_turn(times: int, one: Callable[[], float], other: Callable[[], float]) -> tuple[list[float], list[float]]:
    """Both, one after the other, so many times; after a first time that does not count."""
    one(), other()
    pairs = [(one(), other()) for _ in range(times)]
    return [first for first, _ in pairs], [second for _, second in pairs]


def _spread(seconds: Sequence[float]) -> str:
    median, best = 1000 * statistics.median(seconds), 1000 * min(seconds)
    return f"{median:8.2f} ms   (median of {len(seconds)}; best {best:.2f})"


if __name__ == "__main__":
    main()
