"""Loudness (EBU R 128): measured by PyAV's own meter, set by FFmpeg and checked after.

``loudnorm`` sets it, in two passes. It works in windows of 3 s, so short sound gets one gain and a limiter instead.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from media import ffmpeg as encoder
from media.source import CONTAINERS, moving_picture, open_media, pcm_blocks, unreadable
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
MAX_SHORT_CORRECTIONS = 9
"""The more is limited, the less of each correction arrives; a second of sound takes a tenth of a second to correct."""
BLOCK_S = 0.4
"""Length of the blocks that loudness is measured in: shorter sound has none."""
SILENCE = 10 ** (-70 / 20)
SHORT_S = 4.0
OVERSAMPLED = 192000
"""The limiter sees peaks between samples at four times the rate, as loudnorm does itself."""
MAX_BOOST_LUFS = -5.0
"""The limiter is driven no harder: what is not loud enough then is nearly all peaks."""
LOWEST_LIMIT = 0.0625
"""What alimiter takes."""
AIMS = ((-70.0, -5.0), (-9.0, 0.0), (1.0, 50.0))
"""What loudnorm takes as loudness, peak and range; it refuses to start beyond."""


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
        if integrated <= -70 or peak <= 0 or not math.isfinite(integrated + peak):
            return {"integrated_lufs": None, "true_peak_dbtp": None, "range_lu": None}
        return {
            "integrated_lufs": round(integrated, 2),
            "true_peak_dbtp": round(20 * math.log10(peak), 2),
            "range_lu": round(float(self._last.get("lavfi.r128.LRA", 0)), 2),
        }


def heard(blocks: Iterable[bytes], context: Context) -> tuple[Figures, int, float]:
    """Measure stereo 48 kHz float blocks: (figures, how many samples a channel they were, the loudest sample)."""
    import av
    import numpy as np

    meter, loudest = _Meter(SAMPLE_RATE, "stereo", "flt"), 0.0
    for block in blocks:
        context.check()
        samples = np.frombuffer(block, np.float32).reshape(1, -1)
        loudest = max(loudest, float(np.abs(samples).max(initial=0)))
        frame = av.AudioFrame.from_ndarray(samples, format="flt", layout="stereo")
        frame.sample_rate = SAMPLE_RATE
        meter.hear(frame)
    return meter.figures(), meter.samples, loudest


def normalize_loudness(input: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
    """The operation ``normalize_loudness``; a video keeps its picture untouched. See its schema."""
    media, target = input["media"], PRESETS[input["preset"]]
    given = {name: input[name] for name in ("integrated_lufs", "true_peak_dbtp", "range_lu") if input[name] is not None}
    with open_media(media) as container:
        if not container.streams.audio:
            raise WorkerError("input_unreadable", f"{media} carries no audio.", pointer="/input/media")
        video, audio = moving_picture(container), container.streams.audio[0]
        codec = None if video is None else video.codec_context.name
        late = float((audio.start_time or 0) * (audio.time_base or 0)) - (container.start_time or 0) / 1e6
        is_wav = container.format.name == "wav"
    sound = context.temporary("wav" if is_wav and codec is None else "m4a")
    measured = normalised(
        lambda: pcm_blocks(media, sample_rate=SAMPLE_RATE, channels=2), replace(target, **given), sound, context
    )
    if codec is None:
        return {"media": context.publish(sound, "audio/wav" if is_wav else "audio/mp4"), "loudness": measured}
    return {"media": _with_picture(media, codec, sound, max(0.0, late), context), "loudness": measured}


def _with_picture(media: str, codec: str, sound: Path, late: float, context: Context) -> dict[str, Any]:
    """The film with its own picture and another sound, which starts ``late`` seconds after the film.

    This FFmpeg reads files: where its worker is killed it goes on, but a copy takes seconds and then it ends by itself.
    """
    import ffmpeg

    mp4 = codec in _held_by_mp4()
    film = context.temporary("mp4" if mp4 else "mkv")
    picture, audio = encoder.file_input(media, CONTAINERS)["V:0"], ffmpeg.input(str(sound), itsoffset=round(late, 6))
    options = {"movflags": "+faststart"} if mp4 else {}
    encoder.run(ffmpeg.output(picture, audio.audio, str(film), c="copy", v="error", **options), context=context)
    return context.publish(film, "video/mp4" if mp4 else "video/x-matroska")


@cache
def _held_by_mp4() -> frozenset[str]:
    import av

    with av.open(io.BytesIO(), "w", format="mp4") as container:
        return frozenset(container.supported_codecs)


def normalised(blocks: Blocks, target: Target, output: Path, context: Context) -> Figures:
    """Write ``output`` (.wav: 16-bit PCM, .m4a: AAC) at the target's loudness; returns what was measured on that file.

    As many samples come out as go in. Sound that fits already is only encoded. What has no loudness is written as it
    is, with the warning ``silent_audio`` or ``short_audio``; what stays off the target has ``loudness_off_target``.
    """
    source, samples, loudest = heard(blocks(), context)
    if source["integrated_lufs"] is None:
        _warn_of_none(samples, loudest, context)
        encoder.run(_encoded(_pipe(), samples, output), blocks=blocks(), context=context)
        return measure(output)
    first = replace(target, true_peak_dbtp=target.true_peak_dbtp - CODEC_HEADROOM_DB)
    fits = _fits(source, replace(first, true_peak_dbtp=first.true_peak_dbtp + CODEC_HEADROOM_DB / 2))
    higher = replace(first, integrated_lufs=first.integrated_lufs + LIMITER_LOSS_LU * _limited(source, first))
    aim, before = first, None
    for way in _ways(source, samples, fits=fits):
        aim = aim if way is before else higher if way is _set else first
        encoder.run(_encoded(way(_pipe(), source, aim), samples, output), blocks=blocks(), context=context)
        result = measure(output)
        if _fits(result, target):
            return result
        aim, before = _corrected(aim, result, target), way
    context.warn(
        "loudness_off_target",
        f"The sound came out at {result['integrated_lufs']} LUFS and {result['true_peak_dbtp']} dBTP instead of "
        f"{target.integrated_lufs} and at most {target.true_peak_dbtp}.",
    )
    return result


def _ways(source: Figures, samples: int, *, fits: bool) -> list[Callable[[Any, Figures, Target], Any]]:
    """What to try in turn: loudnorm where it can, then the limiter; each gets nearer with every correction."""
    short = samples < SHORT_S * SAMPLE_RATE or (source["integrated_lufs"] or 0.0) > 0  # loudnorm takes no such input
    ways = [_gained] * (MAX_SHORT_CORRECTIONS + 1) if short else [_set, _gained] * (MAX_CORRECTIONS + 1)
    return [*([_unchanged] if fits else []), *sorted(ways, key=lambda way: way is _gained)]


def _warn_of_none(samples: int, loudest: float, context: Context) -> None:
    seconds = samples / SAMPLE_RATE
    if seconds <= BLOCK_S and loudest > SILENCE:
        message = f"The sound lasts {seconds:.2f} s; below {BLOCK_S} s it has no loudness, and was left alone."
        context.warn("short_audio", message)
    else:
        context.warn("silent_audio", "The sound is silent, so its loudness was left alone.")


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
    """Aim off by as much as the last shot missed."""
    low = (result["integrated_lufs"] or target.integrated_lufs) - target.integrated_lufs
    high = max(0.0, (result["true_peak_dbtp"] or target.true_peak_dbtp) - target.true_peak_dbtp)
    return Target(aim.integrated_lufs - low, aim.true_peak_dbtp - high, aim.range_lu)


def _unchanged(sound: Any, source: Figures, aim: Target) -> Any:
    return sound


def _set(sound: Any, source: Figures, aim: Target) -> Any:
    """loudnorm's second pass. It takes the gate's threshold too: ten below the loudness (EBU Tech 3341)."""
    figures = (aim.integrated_lufs, aim.true_peak_dbtp, aim.range_lu)
    loudness, peak, spread = (min(max(round(x, 2), low), high) for x, (low, high) in zip(figures, AIMS, strict=True))
    return sound.filter(
        "loudnorm",
        I=loudness,
        TP=peak,
        LRA=spread,
        measured_i=source["integrated_lufs"],
        measured_tp=source["true_peak_dbtp"],
        measured_lra=source["range_lu"],
        measured_thresh=round((source["integrated_lufs"] or 0) - 10, 2),
        linear="true",
    )


def _gained(sound: Any, source: Figures, aim: Target) -> Any:
    """One gain for all of it, and a limiter for the peaks that this lifts too high."""
    gain = min(aim.integrated_lufs, MAX_BOOST_LUFS) - (source["integrated_lufs"] or 0.0)
    limit = max(10 ** (aim.true_peak_dbtp / 20), LOWEST_LIMIT)
    sound = sound.filter("volume", f"{gain:.2f}dB").filter("aresample", OVERSAMPLED)
    return sound.filter("alimiter", limit=f"{limit:.5f}", level="false", latency="true")


def _pipe() -> Any:
    import ffmpeg

    return ffmpeg.input("pipe:0", f="f32le", ar=SAMPLE_RATE, ac=2).audio


def _encoded(sound: Any, samples: int, output: Path) -> Any:
    """loudnorm works at 192 kHz in whole tenths of a second, starts late and may forget the layout; all set right."""
    sound = sound.filter("aresample", SAMPLE_RATE).filter("aformat", channel_layouts="stereo")
    sound = sound.filter("asetpts", "N/SR/TB").filter("apad", whole_len=samples).filter("atrim", end_sample=samples)
    codec = {"c:a": "pcm_s16le"} if output.suffix == ".wav" else {"c:a": "aac", "b:a": AUDIO_BITRATE}
    return sound.output(str(output), v="error", **codec)
