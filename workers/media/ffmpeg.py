"""Running FFmpeg: find it, feed it, follow it, end with it.

Every long FFmpeg of ours reads its data from its worker's pipe. So it ends with its worker, whatever ends the worker:
an FFmpeg fed from files outlives a killed parent, which is borne only where it copies streams and ends in seconds
(``media.loudness``). Media files themselves are opened by PyAV, in ``media.source``.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import IO, Any

from runtime.context import Context
from runtime.errors import WorkerError
from runtime.memory import Children

NEEDED_FILTERS = ("ass", "loudnorm", "alimiter", "sidechaincompress")
STDERR_LINES = 60
ENCODERS = ("libx264", "h264_nvenc", "h264_qsv", "h264_amf", "h264_videotoolbox")
Block = bytes | memoryview
"""What is written to FFmpeg at once; a view of a frame saves a copy of it."""


@cache
def binary() -> str:
    """The packaged FFmpeg, or another one that imageio-ffmpeg finds, such as the system's, if it has our filters.

    Raises WorkerError ``engine_unavailable`` where there is neither.
    """
    import imageio_ffmpeg

    try:
        found = str(imageio_ffmpeg.get_ffmpeg_exe())
        if Path(found).is_relative_to(Path(imageio_ffmpeg.__file__).parent):
            return found
        listed = subprocess.run([found, "-hide_banner", "-filters"], capture_output=True, text=True, check=False).stdout
    except (RuntimeError, OSError) as error:
        raise WorkerError(
            "engine_unavailable", f"No FFmpeg was found: {error}", hint="pip install imageio-ffmpeg, or install ffmpeg."
        ) from error
    missing = [name for name in NEEDED_FILTERS if f" {name} " not in listed]
    if missing:
        raise WorkerError(
            "engine_unavailable",
            f"{found} lacks the filters {', '.join(missing)}.",
            hint="pip install imageio-ffmpeg brings an FFmpeg that has them.",
        )
    return found


def run(
    stream: Any,
    *,
    blocks: Iterable[Block] | None = None,
    environment: Mapping[str, str] | None = None,
    context: Context,
) -> list[str]:
    """Run an ffmpeg-python ``stream``, writing ``blocks`` to its standard input; returns the last lines it logged.

    The process is killed when anything here raises, ``Cancelled`` included. Raises WorkerError ``output_failed`` when
    the disk is full and ``internal_error`` with FFmpeg's own words for any other failure.
    """
    import os

    command = stream.global_args("-hide_banner", "-nostdin", "-nostats").compile(cmd=binary(), overwrite_output=True)
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, **(environment or {})},
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    ) as process:
        context.children.append(process)
        lines: deque[str] = deque(maxlen=STDERR_LINES)
        reader = threading.Thread(target=_collect, args=(process.stderr, lines), daemon=True)
        reader.start()
        try:
            _feed(process, blocks or (), context)
            status = _wait(process, context)
        except BaseException:
            process.kill()
            process.wait()
            raise
        finally:
            reader.join(timeout=5)
    if status != 0:
        raise _failure(status, list(lines))
    return list(lines)


def _feed(process: subprocess.Popen[bytes], blocks: Iterable[Block], context: Context) -> None:
    pipe: Any = process.stdin
    _widen(pipe)
    try:
        for block in blocks:
            context.check()
            try:
                pipe.write(block)
            except OSError:  # an FFmpeg that left early is judged by its exit status
                break
    finally:
        Children.look_at(process.pid)  # it has seen all data, and is not gone before its input ends
        with contextlib.suppress(OSError):
            pipe.close()


def _widen(pipe: IO[bytes]) -> None:
    """Let the pipe hold a megabyte (Linux), so that feeding and encoding overlap."""
    if sys.platform == "linux":
        import fcntl

        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 1 << 20)


def _wait(process: subprocess.Popen[bytes], context: Context) -> int:
    """Its exit status. The pauses between looks double, so that a short process too is seen in its later half."""
    pause_s = 0.005
    while True:
        try:
            return process.wait(timeout=pause_s)
        except subprocess.TimeoutExpired:
            Children.look_at(process.pid)
            context.check()
            pause_s = min(2 * pause_s, 0.2)


def _collect(pipe: Any, lines: deque[str]) -> None:
    for line in pipe:
        lines.append(line.decode("utf-8", "replace").rstrip())


def _failure(status: int, lines: list[str]) -> WorkerError:
    said = [line for line in lines if line.strip()][-6:]
    if any("No space left on device" in line for line in lines):
        return WorkerError("output_failed", "The disk is full.", hint="Free space or choose another --output-dir.")
    if any("Error opening input" in line for line in lines):  # ours are pipes and files just made: it is the caller's
        return WorkerError("input_unreadable", f"FFmpeg cannot read an input: {' | '.join(said)}")
    return WorkerError("internal_error", f"FFmpeg ended with status {status}: {' | '.join(said)}")


@cache
def usable_encoder(name: str) -> bool:
    """Whether a tiny encode with this H.264 encoder works here (a listed hardware encoder may have no hardware)."""
    picture = bytes(256 * 256 * 3 // 2)
    command = [binary(), "-hide_banner", "-v", "error", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", "256x256"]
    command += ["-i", "pipe:0", "-c:v", name, "-f", "null", "-"]
    return subprocess.run(command, input=picture * 2, capture_output=True, check=False).returncode == 0


def video_options(*, encoder: str, crf: float, preset: str) -> dict[str, Any]:
    """Output options for H.264 High, 4:2:0, BT.709, for any of ENCODERS; a hardware encoder gets its nearest to CRF."""
    options: dict[str, Any] = {"c:v": encoder, "pix_fmt": "yuv420p", "profile:v": "high"}
    options |= {"color_primaries": "bt709", "color_trc": "bt709", "colorspace": "bt709", "color_range": "tv"}
    if encoder == "libx264":
        return options | {"preset": preset, "crf": crf}
    if encoder == "h264_nvenc":
        return options | {"rc": "vbr", "cq": crf, "b:v": 0}
    return options | {"q:v": crf} if encoder == "h264_videotoolbox" else options | {"global_quality": crf}


def raw_video(*, width: int, height: int, fps: int) -> Any:
    """The ffmpeg-python input for yuv420p frames that come through the pipe, tagged BT.709 limited range."""
    import ffmpeg

    source = ffmpeg.input(
        "pipe:0", f="rawvideo", pix_fmt="yuv420p", s=f"{width}x{height}", framerate=fps, thread_queue_size=4
    )
    return source.video.filter("setparams", color_primaries="bt709", color_trc="bt709", colorspace="bt709", range="tv")


def file_input(path: str, formats: str) -> Any:
    """The ffmpeg-python input for a user's file: local and of one of these formats, so no playlist is followed."""
    import ffmpeg

    return ffmpeg.input(f"file:{path}", protocol_whitelist="file", format_whitelist=formats)


def encode_frames(
    frames: Iterable[Block],
    *,
    width: int,
    height: int,
    fps: int,
    output: Path,
    crf: float,
    preset: str,
    context: Context,
    total: int,
) -> None:
    """Encode raw yuv420p BT.709 frames (each ``width·height·3/2`` bytes: Y, U, V) to an H.264 file without sound."""
    options = video_options(encoder="libx264", crf=crf, preset=preset)
    stream = raw_video(width=width, height=height, fps=fps).output(
        str(output), movflags="+faststart", v="error", **options
    )
    run(stream, blocks=counted(frames, total, context), context=context)


def counted(frames: Iterable[Block], total: int, context: Context) -> Iterable[Block]:
    """Pass frames on and report each as progress once it is written."""
    for number, frame in enumerate(frames, 1):
        yield frame
        context.progress("encode", number, total, "frames")
