"""Loudness (EBU R 128): measured by PyAV's own meter, set by FFmpeg's ``loudnorm`` in two passes and checked after."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from media import ffmpeg as encoder
from media.source import CONTAINERS, open_media, pcm_blocks, unreadable
from runtime.context import Context
from runtime.errors import WorkerError

SAMPLE_RATE = 48000
AUDIO_BITRATE = "192k"
CODEC_HEADROOM_DB = 0.5
"""AAC overshoots the peaks of what it was given by up to this much, so the filter aims lower, for PCM too: it is
encoded sooner or later."""
TOLERANCE_LU = 0.4
"""Within the ±0.5 LU of the promise, with room for what a codec does."""
LIMITER_LOSS_LU = 0.5
"""What loudnorm's limiter took off synthesised speech at -14 LUFS (0.35 to 0.63), so the aim is higher."""
MAX_CORRECTIONS = 3


@dataclass(frozen=True)
class Target:
    """Integrated loudness in LUFS, highest true peak in dBTP, loudness range in LU."""

    integrated_lufs: float
    true_peak_dbtp: float
    range_lu: float


PRESETS = {
    "short_video": Target(-14, -1, 7),
    "podcast": Target(-16, -1.5, 11),
    "broadcast": Target(-23, -2, 7),
}
Figures = dict[str, float | None]
"""{integrated_lufs, true_peak_dbtp, range_lu}; None for silence."""
Blocks = Callable[[], Iterable[bytes]]
"""Gives, each time it is called, the whole sound as stereo 48 kHz 32-bit float blocks."""


def measure(path: str | Path) -> Figures:
    """{integrated_lufs, true_peak_dbtp, range_lu} of a file's first audio stream; None for silence."""
    import av

    with open_media(path) as container:
        stream = container.streams.audio[0]
        meter = _Meter(stream.codec_context.rate, stream.codec_context.layout.name, stream.codec_context.format.name)
        try:
            for frame in container.decode(stream):
                meter.hear(frame)
        except av.FFmpegError as error:
            raise unreadable(path, error) from error
    return meter.figures()


class _Meter:
    """FFmpeg's EBU R 128 meter, run in this process by PyAV."""

    def __init__(self, sample_rate: int, layout: str, sample_format: str) -> None:
        from av.filter import Graph

        self._graph = Graph()
        source = self._graph.add_abuffer(sample_rate=sample_rate, format=sample_format, layout=layout)
        meter, sink = self._graph.add("ebur128", "peak=true:metadata=1"), self._graph.add("abuffersink")
        source.link_to(meter)
        meter.link_to(sink)
        self._graph.configure()
        self._last: dict[str, str] = {}
        self.samples = 0

    def hear(self, frame: Any) -> None:
        """Take in an audio frame; None is the end."""
        import av

        self._graph.push(frame)
        self.samples += frame.samples if frame is not None else 0
        while True:
            try:
                self._last.update(self._graph.pull().metadata)
            except (av.BlockingIOError, av.EOFError):
                return

    def figures(self) -> Figures:
        """The meter's last word: -70 LUFS is the absolute gate, so it means silence; the peak is linear."""
        self.hear(None)
        integrated = float(self._last.get("lavfi.r128.I", -70))
        peak = float(self._last.get("lavfi.r128.true_peak", 0))
        if integrated <= -70 or peak <= 0:
            return {"integrated_lufs": None, "true_peak_dbtp": None, "range_lu": None}
        return {
            "integrated_lufs": round(integrated, 2),
            "true_peak_dbtp": round(20 * math.log10(peak), 2),
            "range_lu": round(float(self._last.get("lavfi.r128.LRA", 0)), 2),
        }


def _heard(blocks: Iterable[bytes], context: Context) -> tuple[Figures, int]:
    """Measure stereo 48 kHz float blocks; returns their figures and how many samples a channel they were."""
    import av
    import numpy as np

    meter = _Meter(SAMPLE_RATE, "stereo", "flt")
    for block in blocks:
        context.check()
        frame = av.AudioFrame.from_ndarray(
            np.frombuffer(block, np.float32).reshape(1, -1), format="flt", layout="stereo"
        )
        frame.sample_rate = SAMPLE_RATE
        meter.hear(frame)
    return meter.figures(), meter.samples


def normalize_loudness(input: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
    """The operation ``normalize_loudness``; a video keeps its picture untouched. See its schema."""
    media, target = input["media"], PRESETS[input["preset"]]
    given = {name: input[name] for name in ("integrated_lufs", "true_peak_dbtp", "range_lu") if input[name] is not None}
    with open_media(media) as container:
        if not container.streams.audio:
            raise WorkerError("input_unreadable", f"{media} carries no audio.", pointer="/input/media")
        has_video = bool(container.streams.video)
        is_wav = container.format.name == "wav"
    extension = "wav" if is_wav and not has_video else "m4a"
    sound = context.temporary(extension)
    measured = normalised(
        lambda: pcm_blocks(media, sample_rate=SAMPLE_RATE, channels=2), replace(target, **given), sound, context
    )
    if not has_video:
        return {"media": context.publish(sound, "audio/wav" if is_wav else "audio/mp4"), "loudness": measured}
    import ffmpeg

    film = context.temporary("mp4")
    picture, audio = encoder.file_input(media, CONTAINERS), ffmpeg.input(str(sound))
    encoder.run(
        ffmpeg.output(picture.video, audio.audio, str(film), c="copy", movflags="+faststart", v="error"),
        context=context,
    )
    return {"media": context.publish(film, "video/mp4"), "loudness": measured}


def normalised(blocks: Blocks, target: Target, output: Path, context: Context) -> Figures:
    """Write ``output`` (.wav: 16-bit PCM, .m4a: AAC) at the target's loudness; returns what was measured on that file.

    As many samples come out as go in. Sound that fits already is only encoded. Silence is written as it is, with the
    warning ``silent_audio``; a file that stays off the target has the warning ``loudness_off_target``.
    """
    source, samples = _heard(blocks(), context)
    if source["integrated_lufs"] is None:
        context.warn("silent_audio", "The sound is silent, so its loudness was left alone.")
    aim = replace(target, true_peak_dbtp=target.true_peak_dbtp - CODEC_HEADROOM_DB)
    change = not _fits(source, replace(aim, true_peak_dbtp=aim.true_peak_dbtp + CODEC_HEADROOM_DB / 2))
    if change and _limited(source, aim):
        aim = replace(aim, integrated_lufs=aim.integrated_lufs + LIMITER_LOSS_LU)
    for _ in range(MAX_CORRECTIONS + 1):
        sound = _set(_pipe(), source, aim) if change else _pipe()
        encoder.run(_encoded(sound, samples, output), blocks=blocks(), context=context)
        result = measure(output)
        if _fits(result, target):
            return result
        change, aim = True, _corrected(aim, result, target)
    context.warn(
        "loudness_off_target",
        f"The sound came out at {result['integrated_lufs']} LUFS instead of {target.integrated_lufs}.",
    )
    return result


def _fits(figures: Figures, target: Target) -> bool:
    """Whether sound is as the target wants it; silence always is."""
    loudness, peak = figures["integrated_lufs"], figures["true_peak_dbtp"]
    if loudness is None or peak is None:
        return True
    return abs(loudness - target.integrated_lufs) <= TOLERANCE_LU and peak <= target.true_peak_dbtp


def _limited(source: Figures, aim: Target) -> bool:
    """Whether the gain to the target would lift the peaks over its limit."""
    loudness, peak = source["integrated_lufs"], source["true_peak_dbtp"]
    return loudness is not None and peak is not None and peak + aim.integrated_lufs - loudness > aim.true_peak_dbtp


def _corrected(aim: Target, result: Figures, target: Target) -> Target:
    """Aim off by as much as the last shot missed, within what loudnorm takes."""
    low = (result["integrated_lufs"] or target.integrated_lufs) - target.integrated_lufs
    high = max(0.0, (result["true_peak_dbtp"] or target.true_peak_dbtp) - target.true_peak_dbtp)
    return Target(min(-5.0, aim.integrated_lufs - low), max(-9.0, aim.true_peak_dbtp - high), aim.range_lu)


def _set(sound: Any, source: Figures, aim: Target) -> Any:
    """loudnorm's second pass. It takes the gate's threshold too: ten below the loudness (EBU Tech 3341)."""
    return sound.filter(
        "loudnorm",
        I=round(aim.integrated_lufs, 2),
        TP=round(aim.true_peak_dbtp, 2),
        LRA=aim.range_lu,
        measured_i=source["integrated_lufs"],
        measured_tp=source["true_peak_dbtp"],
        measured_lra=source["range_lu"],
        measured_thresh=round((source["integrated_lufs"] or 0) - 10, 2),
        linear="true",
    )


def _pipe() -> Any:
    import ffmpeg

    return ffmpeg.input("pipe:0", f="f32le", ar=SAMPLE_RATE, ac=2).audio


def _encoded(sound: Any, samples: int, output: Path) -> Any:
    """loudnorm works at 192 kHz in whole tenths of a second, starts late and may forget the layout; all set right."""
    sound = sound.filter("aresample", SAMPLE_RATE).filter("aformat", channel_layouts="stereo")
    sound = sound.filter("asetpts", "N/SR/TB").filter("apad", whole_len=samples).filter("atrim", end_sample=samples)
    codec = {"c:a": "pcm_s16le"} if output.suffix == ".wav" else {"c:a": "aac", "b:a": AUDIO_BITRATE}
    return sound.output(str(output), v="error", **codec)
