"""What a draft costs: each stage beside the film's length, and compose beside a bare FFmpeg and MoviePy.

The bare FFmpeg is what one would write by hand for the same clips: crossfades, captions, narration, loudness and one
encode in a single command. MoviePy, in an environment of its own, does less: no captions and no loudness.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "workers")]

STORY = ROOT / "examples" / "crow.md"
FPS, FADE_FRAMES = 30, 12
COMPOSE_AIM = 1.15
FEW = 6
MOVIEPY = "moviepy==2.2.1"
SCRIPT = """
import json, sys
from moviepy import AudioFileClip, CompositeVideoClip, VideoFileClip, vfx
clips, sound, output, fade = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4])
placed, start = [], 0.0
for number, (path, own) in enumerate(clips):
    clip = VideoFileClip(path).with_start(start)
    placed.append(clip.with_effects([vfx.CrossFadeIn(fade)]) if number else clip)
    start += own
film = CompositeVideoClip(placed).with_duration(start).with_audio(AudioFileClip(sound).with_duration(start))
film.write_videofile(output, fps=30, codec="libx264", preset="veryfast", ffmpeg_params=["-crf", "20"], logger=None)
"""


def timed(command: Sequence[str], **options: Any) -> tuple[float, float]:
    """Wall and CPU seconds of a process and its children."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **options)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - began, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def draft(folder: Path) -> dict[str, Any]:
    """Make the whole draft; print each stage's share of the film's length."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "orchestrator", "run", str(STORY), "--out", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    seconds = time.perf_counter() - began
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    length = manifest["facts"]["video"]["duration_s"]
    print(f"draft  {STORY.name}: a film of {length:.1f} s, 1080×1920, in {seconds:.1f} s: {seconds / length:.2f} of it")
    for name, stage in manifest["stages"].items():
        if stage["state"] == "done" and stage["seconds"] >= 0.05:
            print(f"       {name:<10} {stage['seconds']:6.1f} s  {stage['seconds'] / length:.3f}")
    return manifest


def composed(run: Path, shots: Sequence[dict[str, Any]], output: Path) -> tuple[float, float]:
    """Our compose, one-shot, without title and ending, which the others have not."""
    body = {
        "shots": [{"clip": str(run / shot["clip"]), "num_frames": shot["num_frames"]} for shot in shots],
        "narration": str(narration(run)),
        "subtitles": str(next((run / "subtitles" / "captions").glob("*.ass"))),
        "transition_frames": FADE_FRAMES,
    }
    request = output / "compose.json"
    whole = {"v": 1, "op": "compose", "engine": "ffmpeg", "input": body, "output_dir": str(output)}
    request.write_text(json.dumps(whole), encoding="utf-8")
    return timed([sys.executable, str(ROOT / "workers" / "media_processing.py"), "--input", str(request)])


def by_hand(run: Path, shots: Sequence[dict[str, Any]], output: Path) -> tuple[float, float]:
    """One FFmpeg command for the same film."""
    import imageio_ffmpeg

    from media.fonts import font_folder, fonts_of

    captions = output / "captions.ass"
    captions.write_bytes(next((run / "subtitles" / "captions").glob("*.ass")).read_bytes())
    fonts = output / "fonts"
    environment = font_folder(fonts_of(captions), fonts)
    inputs = [part for shot in shots for part in ("-i", str(run / shot["clip"]))] + ["-i", str(narration(run))]
    graph, last, end = [], "0:v", 0
    for number, shot in enumerate(shots[:-1], 1):
        end += shot["num_frames"]
        graph.append(f"[{last}][{number}:v]xfade=duration={FADE_FRAMES / FPS}:offset={end / FPS:.6f}[x{number}]")
        last = f"x{number}"
    total = sum(shot["num_frames"] for shot in shots)
    graph.append(f"[{last}]ass=filename={captions}:fontsdir={fonts}[v]")
    graph.append(
        f"[{len(shots)}:a]aformat=channel_layouts=stereo,loudnorm=I=-14:TP=-1.5:LRA=7,aresample=48000,"
        "aformat=channel_layouts=stereo[a]"
    )
    encode = [
        "-c:v",
        "libx264",
        "-preset",
        "veryfast",
        "-crf",
        "20",
        "-pix_fmt",
        "yuv420p",
        "-c:a",
        "aac",
        "-b:a",
        "192k",
        "-movflags",
        "+faststart",
    ]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-v", "error", *inputs, "-filter_complex", ";".join(graph)]
    command += ["-map", "[v]", "-map", "[a]", "-t", f"{total / FPS:.6f}", *encode, str(output / "by_hand.mp4")]
    return timed(command, env={**os.environ, **environment})


def with_moviepy(run: Path, shots: Sequence[dict[str, Any]], output: Path) -> tuple[float, float] | None:
    """The same clips and narration; None where MoviePy cannot be installed."""
    python = output / "venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    try:
        subprocess.run([sys.executable, "-m", "venv", str(output / "venv")], check=True, capture_output=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", MOVIEPY], check=True, capture_output=True)
    except subprocess.CalledProcessError:
        return None
    clips = json.dumps([(str(run / shot["clip"]), shot["num_frames"] / FPS) for shot in shots])
    arguments = [clips, str(narration(run)), str(output / "moviepy.mp4"), str(FADE_FRAMES / FPS)]
    return timed([str(python), "-c", SCRIPT, *arguments], stderr=subprocess.DEVNULL)


def narration(run: Path) -> Path:
    return next(path for path in (run / "voice" / "narration").iterdir() if path.name != "result.json")


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shots = draft(folder / "run")["shots"]
        ours, bare = composed(folder / "run", shots, folder), by_hand(folder / "run", shots, folder)
        print(f"compose {len(shots)} shots: {ours[0]:.1f} s, {ours[1]:.1f} s of CPU")
        print(f"       one FFmpeg by hand: {bare[0]:.1f} s, {bare[1]:.1f} s of CPU")
        print(f"       ratio {ours[0] / bare[0]:.2f} by the clock, {ours[1] / bare[1]:.2f} by CPU (aim {COMPOSE_AIM})")
        few = composed(folder / "run", shots[:FEW], folder)
        other = with_moviepy(folder / "run", shots[:FEW], folder)
        if other is None:
            print(f"       MoviePy: not run, {MOVIEPY} cannot be installed here")
        else:
            print(f"       the first {FEW} shots: {few[0]:.1f} s; MoviePy 2.2.1 without captions: {other[0]:.1f} s,")
            print(f"       {other[0] / few[0]:.1f} times as long by the clock, {other[1] / few[1]:.1f} times by CPU")
    return 0


if __name__ == "__main__":
    sys.exit(main())
