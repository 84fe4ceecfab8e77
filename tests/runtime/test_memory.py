"""What a result says of memory, held against processes that take a known amount."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import WORKERS, clip, result_of, worker

from runtime import memory

FAT_MB = 300
RAW_MB = 1280 * 720 * 1.5 * 150 / 1e6
"""A film of 150 frames of 1280×720 as it is in memory: 207 MB."""
RUNNING = f"""
import json, sys
from pathlib import Path
sys.path.insert(0, {str(WORKERS)!r})
import ffmpeg as graph
from media import ffmpeg
from runtime import memory
from runtime.context import Context
fat_mb, size, frames = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
fat = bytearray(b"x") * (fat_mb * 10**6)
del fat  # a peak is what was held, not what is held
own = memory.peak_rss_mb()
width, height = map(int, size.split("x"))
frame = bytes(width * height * 3 // 2)
fed = "fed" in sys.argv
stream = ffmpeg.raw_video(width=width, height=height, fps=30)
if not fed:
    stream = graph.input(f"testsrc2=s={{size}}", f="lavfi").filter("trim", end_frame=frames)
if "reverse" in sys.argv:
    stream = stream.filter("reverse")  # FFmpeg holds all frames before it gives out the first
blocks = [frame] * frames if fed else None
ffmpeg.run(stream.output("-", f="null"), blocks=blocks, context=Context(output_dir=Path(), output_name="x"))
print(json.dumps([own, memory.peak_rss_mb() - own, "torch" in sys.modules]))
"""
TWO_GPUS = """
import sys, types
peaks = [70, 50]  # of whatever was before this request
cuda = sys.modules["torch.cuda"] = types.ModuleType("torch.cuda")
cuda.is_initialized = lambda: True
cuda.device_count = lambda: len(peaks)
cuda.max_memory_reserved = lambda number: peaks[number] * 10**6
cuda.reset_peak_memory_stats = lambda number: peaks.__setitem__(number, peaks[number] // 10)
"""
"""Read by Python when it starts: torch.cuda as it is where two GPUs are at work."""


def running(*how: object) -> list[Any]:
    """[own peak, what FFmpeg added to it, both in MB; whether torch was imported] of a process that runs one FFmpeg."""
    done = subprocess.run([sys.executable, "-c", RUNNING, *map(str, how)], stdout=subprocess.PIPE, check=True)
    found: list[Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("source", ["fed", "of itself"])
def test_a_thin_child_of_a_fat_process_is_thin(source: str) -> None:
    own, child, _ = running(FAT_MB, "64x64", 5, source)
    assert FAT_MB < own < FAT_MB + 60
    assert 10 < child < FAT_MB / 2


@pytest.mark.parametrize("source", ["fed", "of itself"])
def test_a_fat_child_of_a_thin_process_is_fat(source: str) -> None:
    own, child, torch_is_there = running(0, "1280x720", 150, "reverse", source)
    assert own < 60
    assert RAW_MB < child < RAW_MB + 150
    assert not torch_is_there


def test_a_worker_does_not_report_the_memory_of_its_host(tmp_path: Path) -> None:
    film = str(clip(tmp_path / "film.mp4", frames=3))
    request = json.dumps({"v": 1, "op": "probe", "input": {"media": film}})
    host = "import subprocess, sys; fat = bytearray(b'x') * int(sys.argv[1]); subprocess.run(sys.argv[3:], input="
    host += "sys.argv[2].encode(), check=True)"
    script = [sys.executable, str(WORKERS / "media_processing.py"), "--input", "-"]
    command = [sys.executable, "-c", host, str(FAT_MB * 10**6), request, *script]
    answer = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    assert 10 < answer["metrics"]["peak_rss_mb"] < FAT_MB / 2
    assert answer["metrics"]["peak_vram_mb"] is None


def test_a_child_that_has_ended_or_never_was_changes_nothing() -> None:
    before = memory.Children.peak
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    memory.Children.look_at(child.pid)
    assert memory.Children.peak == before


def test_a_result_has_the_memory_that_all_gpus_took_for_this_request(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(TWO_GPUS)
    film = str(clip(tmp_path / "film.mp4", frames=3))
    request = {"v": 1, "op": "probe", "input": {"media": film}}
    answer = result_of(worker("media_processing", request, env={"PYTHONPATH": str(tmp_path)}))
    assert answer["metrics"]["peak_vram_mb"] == 12.0


@pytest.mark.models
def test_a_gpu_that_nobody_uses_is_not_woken() -> None:
    import torch

    if torch.cuda.is_initialized():
        pytest.skip("a GPU is at work in this process")
    assert memory.peak_vram_mb() is None
    memory.reset_peak_vram()
    assert not torch.cuda.is_initialized()


@pytest.mark.models
def test_a_gpus_peak_is_counted_anew_for_each_request() -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    torch.empty(64 << 20, dtype=torch.uint8, device="cuda")
    torch.cuda.empty_cache()
    assert (memory.peak_vram_mb() or 0) > 64
    memory.reset_peak_vram()
    assert (memory.peak_vram_mb() or 0) < 64
