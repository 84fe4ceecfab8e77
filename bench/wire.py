"""What the wire costs: each figure beside a baseline of the same run, and beside what we aim at.

Other work on the machine shifts both alike, because they are taken in turn. Nothing here passes or fails: figures are
for reading. ``python3 dev.py bench`` runs all; ``.venv/bin/python bench/wire.py warm`` runs one part.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
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
sys.path[:0] = [str(ROOT), str(WORKERS)]

ONE_SHOTS, WARM_REQUESTS, COLD_STARTS = 50, 300, 7
WIDTH, HEIGHT, FPS = 1080, 1920, 30
OWN_FRAMES, FADE_FRAMES = 15, 12
FEW_SHOTS, MANY_SHOTS = 10, 80
DIFFERENT_CLIPS = 4
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""Of every process started here: a machine that forbids bytecode would measure the compiler."""

PLAIN_SCRIPT = """\
import torch
print(float((torch.ones(64, 64) @ torch.ones(64, 64)).sum()))
"""
TORCH_ENGINE = '''\
"""Throw-away engine of bench/wire.py: imports torch and multiplies two matrices."""

from runtime.engine import NO_OPTIONS


class Engine:
    version = "1"
    requires = ("torch",)
    key_env = None
    remote = False
    ops = ("generate",)
    capabilities = frozenset()
    models = {}
    options_schema = NO_OPTIONS

    def load(self, model, options, context):
        import torch

        self.torch = torch

    def run(self, op, input, context):
        return {"text": str(float((self.torch.ones(64, 64) @ self.torch.ones(64, 64)).sum()))}

    def unload(self):
        pass
'''


def main() -> None:
    """Run the parts named on the command line, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all without one")
    chosen = parser.parse_args().parts or list(PARTS)
    if unknown := set(chosen) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; known: {', '.join(PARTS)}")
    for part in chosen:
        with tempfile.TemporaryDirectory(prefix="storygen-bench-") as folder:
            print(f"\n{part}: {PARTS[part].__doc__}", flush=True)
            for line in PARTS[part](Path(folder)):
                print(f"  {line}", flush=True)


# Parts


def one_shot(folder: Path) -> Iterator[str]:
    """a whole process `media_processing probe` of a tiny wav, against a bare `python -c pass`."""
    command = _worker(WORKERS, "media_processing", _probe_request(folder), folder)
    bare, probe = _in_turn(ONE_SHOTS, lambda: _seconds([sys.executable, "-c", "pass"]), lambda: _seconds(command))
    yield f"bare python          {_spread(bare)}"
    yield f"probe                {_spread(probe)}"
    yield f"probe − bare python  {_median_ms(probe) - _median_ms(bare):8.2f} ms   (aim ≤ 120)"


def warm(folder: Path) -> Iterator[str]:
    """a request to a serving worker whose engine does nothing, against calling that engine in this process."""
    from engines.text_generation.scripted import Engine
    from orchestrator.worker import Worker
    from runtime.context import Context

    answers = folder / "answers.jsonl"
    answers.write_text('{"output": {"text": ""}}\n', encoding="utf-8")
    options = {"answers": str(answers)}
    request = {"v": 1, "op": "generate", "engine": "scripted", "engine_options": options, "input": {"prompt": "x"}}
    engine = Engine()

    def in_process() -> float:
        began = time.perf_counter()
        context = Context(output_dir=folder, output_name="x", engine_options=options)
        engine.run("generate", {"prompt": "x"}, context)
        return time.perf_counter() - began

    with Worker("text_generation") as worker:

        def over_the_wire() -> float:
            began = time.perf_counter()
            worker.request({**request, "output_dir": str(folder)})
            return time.perf_counter() - began

        engine.load({}, {}, Context(output_dir=folder, output_name="x"))
        inside, outside = _in_turn(WARM_REQUESTS, in_process, over_the_wire)
    yield f"in process           {_spread(inside)}"
    yield f"over the wire        {_spread(outside)}"
    yield f"wire − in process    {_median_ms(outside) - _median_ms(inside):8.2f} ms   (aim ≤ 1)"


def cold_start(folder: Path) -> Iterator[str]:
    """a whole process of an engine that imports torch, against the plain script that does the same."""
    if importlib.util.find_spec("torch") is None:
        yield "skipped: torch is not installed"
        return
    for room in ("workers", "schemas"):
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "workers/engines/text_generation/bench_torch.py").write_text(TORCH_ENGINE, encoding="utf-8")
    script, request = folder / "plain.py", folder / "request.json"
    script.write_text(PLAIN_SCRIPT, encoding="utf-8")
    asked = {"v": 1, "op": "generate", "engine": "bench_torch", "input": {"prompt": "x"}}
    request.write_text(json.dumps(asked), encoding="utf-8")
    command = _worker(folder / "workers", "text_generation", request, folder)
    plain, ours = _in_turn(COLD_STARTS, lambda: _seconds([sys.executable, str(script)]), lambda: _seconds(command))
    yield f"plain script         {_spread(plain)}"
    yield f"worker               {_spread(ours)}"
    yield f"worker / plain       {statistics.median(ours) / statistics.median(plain):8.2f}      (aim ≤ 0.85)"


def compose(folder: Path) -> Iterator[str]:
    """memory of composing 80 shots of 1080×1920, against 10; the most held by the worker plus the most by FFmpeg."""
    originals = [_clip(folder / f"original-{number}.mp4", number) for number in range(DIFFERENT_CLIPS)]
    peaks: list[float | None] = []
    for count in (FEW_SHOTS, MANY_SHOTS):
        metrics, frames = _composed(folder, originals, count)
        expected = count * OWN_FRAMES
        peaks.append(metrics["peak_rss_mb"])
        right = "as asked" if frames == expected else f"WRONG: {expected} were asked for"
        yield f"{count:>2} shots             {peaks[-1]} MB, {metrics['run_s']:.1f} s, {frames} frames, {right}"
    few, many = peaks
    if few and many:
        yield f"{MANY_SHOTS} / {FEW_SHOTS} shots        {many / few:8.2f}      (aim ≤ 1.2)"
    else:
        yield "memory is not measured on this system"


PARTS: dict[str, Callable[[Path], Iterator[str]]] = {
    "one_shot": one_shot,
    "warm": warm,
    "cold_start": cold_start,
    "compose": compose,
}


# Requests


def _probe_request(folder: Path) -> Path:
    """A request to probe a tenth of a second of silence."""
    tiny, request = folder / "tiny.wav", folder / "request.json"
    with wave.open(str(tiny), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48000)
        file.writeframes(bytes(2 * 4800))
    request.write_text(json.dumps({"v": 1, "op": "probe", "input": {"media": str(tiny)}}), encoding="utf-8")
    return request


def _clip(path: Path, number: int) -> Path:
    """A moving picture, as long as a shot with its fade."""
    import imageio_ffmpeg

    source = f"testsrc2=size={WIDTH}x{HEIGHT}:rate={FPS},hue=h={90 * number}"
    coding = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-f", "lavfi", "-i", source]
    command += ["-frames:v", str(OWN_FRAMES + FADE_FRAMES), *coding, str(path)]
    subprocess.run(command, check=True, env=ENVIRONMENT)
    return path


def _composed(folder: Path, originals: Sequence[Path], count: int) -> tuple[dict[str, Any], int]:
    """A film of so many shots, each a file of its own: (metrics of the fresh worker that made it, frames in it)."""
    clips = [folder / f"{count}-{number}.mp4" for number in range(count)]
    for number, clip in enumerate(clips):
        shutil.copyfile(originals[number % len(originals)], clip)
    shots = [{"clip": str(clip), "num_frames": OWN_FRAMES} for clip in clips]
    how = {"width": WIDTH, "height": HEIGHT, "fps": FPS, "transition_frames": FADE_FRAMES}
    wanted = {"shots": shots, **how, "preset": "ultrafast", "loudness": None}
    request = folder / f"compose-{count}.json"
    request.write_text(json.dumps({"v": 1, "op": "compose", "input": wanted}), encoding="utf-8")
    command = _worker(WORKERS, "media_processing", request, folder)
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=ENVIRONMENT)
    result = json.loads(done.stdout)
    return result["metrics"], _frames(result["output"]["video"]["path"])


def _frames(film: str) -> int:
    """Frames that PyAV decodes."""
    import av

    with av.open(film) as container:
        container.streams.video[0].thread_type = "AUTO"
        return sum(1 for _ in container.decode(video=0))


# Measuring


def _worker(workers: Path, family: str, request: Path, output: Path) -> list[str]:
    return [sys.executable, str(workers / f"{family}.py"), "--input", str(request), "--output-dir", str(output)]


def _seconds(command: Sequence[str]) -> float:
    """How long a whole process takes; it must end well."""
    began = time.perf_counter()
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True, env=ENVIRONMENT)
    return time.perf_counter() - began


def _in_turn(times: int, one: Callable[[], float], other: Callable[[], float]) -> tuple[list[float], list[float]]:
    """Both, one after the other, so many times; after a first time that does not count."""
    one(), other()
    pairs = [(one(), other()) for _ in range(times)]
    return [first for first, _ in pairs], [second for _, second in pairs]


def _median_ms(seconds: Sequence[float]) -> float:
    return statistics.median(seconds) * 1000


def _spread(seconds: Sequence[float]) -> str:
    ninety_fifth = statistics.quantiles(seconds, n=20, method="inclusive")[-1] * 1000
    best = min(seconds) * 1000
    return f"{_median_ms(seconds):8.2f} ms   (median of {len(seconds)}; best {best:.2f}, p95 {ninety_fifth:.2f})"


if __name__ == "__main__":
    main()
