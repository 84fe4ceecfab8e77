"""The formats that files are written in: their codecs, and the two encoders, of sound and of film.

Both are fed from our pipe; the sound is encoded first, which takes seconds, and then only copied into the film.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from media import ffmpeg as encoder
from media.source import CONTAINERS
from media.tracks import Sound, sound_blocks
from runtime.context import Context
from runtime.errors import WorkerError

if TYPE_CHECKING:
    import numpy as np

AUDIO_BITRATE = "192k"
PRESET = "veryfast"
VP9_SPEED = {"deadline": "good", "cpu-used": 5, "row-mt": 1, "b:v": 0}
"""Constant quality, at the speed that libvpx's guide calls good for video on demand."""
GIF_FPS = Fraction(20)
"""GIF counts hundredths of a second, so that 30 frames a second stutter; players slow down above 50."""
USUAL_CRF = {"h264": 20.0, "vp9": 32.0, "gif": None}


@dataclass(frozen=True)
class SoundFormat:
    """``rates`` and ``channels`` that its codec takes; none named: any. ``same``: codecs copied as they are."""

    media_type: str
    options: dict[str, Any]
    same: frozenset[str]
    rates: tuple[int, ...] = ()
    layouts: str = ""


@dataclass(frozen=True)
class FilmFormat:
    """``picture``: h264, vp9 or gif; ``sound``: a name in SOUNDS; ``pictures``, ``sounds``: codecs that are copied."""

    media_type: str
    picture: str
    sound: str | None
    pictures: frozenset[str]
    sounds: frozenset[str]


LOSSLESS = frozenset({"flac", "alac", "wavpack", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_s32be", "pcm_f32le"})
"""Codecs that may hold more than 16 bits of true sound."""
MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
AAC_RATES = (*MP3_RATES, 64000, 88200, 96000)
SOUNDS = {
    "wav": SoundFormat("audio/wav", {"c:a": "pcm_s16le"}, frozenset({"pcm_s16le"})),
    "flac": SoundFormat("audio/flac", {"c:a": "flac"}, frozenset({"flac"})),
    "mp3": SoundFormat("audio/mpeg", {"c:a": "libmp3lame", "q:a": 2}, frozenset({"mp3"}), MP3_RATES, "mono|stereo"),
    "m4a": SoundFormat("audio/mp4", {"c:a": "aac", "b:a": AUDIO_BITRATE}, frozenset({"aac"}), AAC_RATES),
    "opus": SoundFormat(
        "audio/ogg",
        {"c:a": "libopus", "b:a": "128k"},
        frozenset({"opus"}),
        (8000, 12000, 16000, 24000, 48000),
        "mono|stereo|5.1|7.1",
    ),
}
WEB = frozenset({"vp8", "vp9", "av1"})
MP4_SOUNDS = frozenset({"aac", "mp3", "ac3", "eac3", "alac"})
"""What players play from mp4; FFmpeg would write more."""
FILMS = {
    "mp4": FilmFormat("video/mp4", "h264", "m4a", frozenset({"h264"}), frozenset({"aac"})),
    "mov": FilmFormat("video/quicktime", "h264", "m4a", frozenset({"h264"}), frozenset({"aac"})),
    "mkv": FilmFormat(
        "video/x-matroska", "h264", "m4a", frozenset({"h264", "hevc", *WEB}), MP4_SOUNDS | {"opus", "flac"}
    ),
    "webm": FilmFormat("video/webm", "vp9", "opus", WEB, frozenset({"opus", "vorbis"})),
    "gif": FilmFormat("image/gif", "gif", None, frozenset(), frozenset()),
}
PICTURES = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}


def write_sound(
    sound: Sound | None,
    name: str,
    context: Context,
    *,
    sample_rate: int | None = None,
    channels: int | None = None,
    start_s: float = 0.0,
    end_s: float | None = None,
    reporting: bool = False,
) -> Path:
    """Encode a sound, or a part of it, or silence up to ``end_s``; null rate and channels are the source's."""
    rate = sample_rate or (sound.sample_rate if sound else 48000)
    layout = (sound.layout if sound else "stereo") if channels is None else ("mono", "stereo")[channels - 1]
    blocks: Iterable[bytes] = sound_blocks(sound, sample_rate=rate, layout=layout, start_s=start_s, end_s=end_s)
    if reporting and sound:
        blocks = timed(blocks, (sound.end_s if end_s is None else end_s) - start_s, rate, layout, context)
    fine = sound is not None and sound.codec in LOSSLESS and sound.sample_format in {"s32", "s32p", "flt", "dbl"}
    return encoded_sound(blocks, name, context, sample_rate=rate, layout=layout, fine=fine)


def timed(
    blocks: Iterable[bytes], duration_s: float, sample_rate: int, layout: str, context: Context
) -> Iterable[bytes]:
    """Pass blocks on and report the seconds of them that are written."""
    from av import AudioLayout

    width, written = len(AudioLayout(layout).channels) * 4 * sample_rate, 0
    for block in blocks:
        yield block
        written += len(block)
        context.progress("encode", round(min(written / width, duration_s), 3), round(duration_s, 3), "seconds")


def encoded_sound(
    blocks: Iterable[bytes],
    name: str,
    context: Context,
    *,
    sample_rate: int,
    layout: str,
    fine: bool = False,
) -> Path:
    """A file of interleaved 32-bit float blocks. ``fine`` keeps 24 bits in FLAC, which else has 16."""
    import ffmpeg

    wanted = SOUNDS[name]
    path = context.temporary(name)
    stream = ffmpeg.input("pipe:0", f="f32le", ar=sample_rate, ch_layout=layout).audio
    if wanted.layouts:
        stream = stream.filter("aformat", channel_layouts=wanted.layouts)
    options = dict(wanted.options)
    if name == "flac":
        options |= {"sample_fmt": "s32" if fine else "s16"}
    encoder.run(stream.output(str(path), v="error", bitexact=None, **options), blocks=blocks, context=context)
    return path


def check_rate(sample_rate: int | None, name: str) -> None:
    """Raise WorkerError ``invalid_request`` for a rate that the format cannot carry."""
    allowed = SOUNDS[name].rates
    if sample_rate is not None and allowed and sample_rate not in allowed:
        raise WorkerError(
            "invalid_request",
            f"sample_rate is {sample_rate}; {name} takes {', '.join(map(str, allowed))}.",
            pointer="/input/sample_rate",
        )


def copied_sound(sound: Sound, container: str, context: Context) -> Path:
    """The sound as it is, packet for packet, in another file."""
    path = context.temporary(container)
    stream = encoder.file_input(sound.path, CONTAINERS)["a:0"]
    encoder.run(stream.output(str(path), v="error", c="copy"), context=context)
    return path


def film_sound(sound: Sound, name: str, context: Context, *, start_s: float = 0.0, end_s: float | None = None) -> Any:
    """The ffmpeg-python stream of a film's sound: the source's own where the format has it, else encoded first."""
    import ffmpeg

    film = FILMS[name]
    if sound.codec in film.sounds and not sound.late_s and not start_s and end_s is None:
        return encoder.file_input(sound.path, CONTAINERS)["a:0"]
    return ffmpeg.input(str(write_sound(sound, film.sound or name, context, start_s=start_s, end_s=end_s))).audio


def write_film(
    frames: Callable[[], Iterable[np.ndarray]],
    name: str,
    context: Context,
    *,
    size: tuple[int, int],
    fps: Fraction,
    count: int,
    crf: float | None,
    sound: Any = None,
) -> Path:
    """Encode ``count`` yuv420p BT.709 frames, with an ffmpeg-python stream of sound that is copied.

    ``frames`` gives them each time it is called: GIF needs them twice, first for its palette.
    """
    import ffmpeg

    path, codec = context.temporary(name), FILMS[name].picture
    picture, options = _raw(size, fps), {"v": "error", **_film_options(codec, crf)}
    streams = [sound] if sound is not None else []
    if streams:
        options["c:a"] = "copy"
    if name in {"mp4", "mov"}:
        options["movflags"] = "+faststart"
    if codec == "gif":
        palette = context.temporary("png")
        drawn = _rgb(picture).filter("palettegen", stats_mode="diff").output(str(palette), v="error", update=1)
        encoder.run(drawn, blocks=(frame.tobytes() for frame in frames()), context=context)
        picture = ffmpeg.filter(
            [_rgb(_raw(size, fps)), ffmpeg.input(str(palette))], "paletteuse", diff_mode="rectangle"
        )
    blocks = (frame.tobytes() for frame in frames())
    stream = ffmpeg.output(picture, *streams, str(path), **options)
    encoder.run(stream, blocks=encoder.counted(blocks, count, context), context=context)
    return path


def _raw(size: tuple[int, int], fps: Fraction) -> Any:
    import ffmpeg

    source = ffmpeg.input(
        "pipe:0", f="rawvideo", pix_fmt="yuv420p", s=f"{size[0]}x{size[1]}", framerate=str(fps), thread_queue_size=4
    )
    return source.video.filter("setparams", color_primaries="bt709", color_trc="bt709", colorspace="bt709", range="tv")


def _rgb(picture: Any) -> Any:
    """The same colours in RGB: FFmpeg's quick way is off by three levels."""
    return (
        picture.filter("scale", flags="bicubic+accurate_rnd+full_chroma_int")
        .filter("format", "gbrp")
        .filter("format", "bgra")
    )


def _film_options(codec: str, crf: float | None) -> dict[str, Any]:
    quality = USUAL_CRF[codec] if crf is None else crf
    if codec == "gif":
        return {}
    if codec == "h264":
        return encoder.video_options(encoder="libx264", crf=float(quality or 0), preset=PRESET)
    colors = {"color_primaries": "bt709", "color_trc": "bt709", "colorspace": "bt709", "color_range": "tv"}
    return {"c:v": "libvpx-vp9", "pix_fmt": "yuv420p", "crf": round(quality or 0), **VP9_SPEED, **colors}
