"""What a file carries, its picture and its sound, and reading both on one clock.

The clock of a file starts with its first picture; where there is none, with its first sound. So sound that starts late
stays late, and a cut takes the same moments of both.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from media.source import (
    LOUDEST_SAMPLE,
    PCM_BLOCK_SAMPLES,
    moving_picture,
    open_media,
    quarter_turns,
    unreadable,
)
from media.truncation import why_truncated
from runtime.context import Context
from runtime.errors import WorkerError

if TYPE_CHECKING:
    import numpy as np

HIGHEST_FPS = 120
USUAL_FPS = Fraction(30)
"""For a file that does not say its rate, or says one that is only a clock's."""
USUAL_LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
NTSC = Fraction(1000, 1001)
IN_SYNC_S = 0.005
"""Below it a difference between picture and sound is the container's rounding (Matroska counts milliseconds)."""
ROUNDING_S = 0.05
"""A cut may end so much after the end: lengths are often passed on rounded."""
PADDING_S = 0.1
"""More than the padding of any codec."""
SEEK_OVER_S = 2.0
"""A cut that starts later is sought; before, decoding from the start is as quick."""


@dataclass(frozen=True)
class Picture:
    """A film's picture as it is seen: upright, in square pixels."""

    path: str
    width: int
    height: int
    fps: Fraction
    duration_s: float
    num_frames: int
    codec: str
    pixel_format: str
    start_time_s: float
    pixel_aspect: Fraction
    """Width of a stored pixel by its height."""

    def count_at(self, fps: Fraction) -> int:
        """How many frames last as long as the film, at another rate; at least one."""
        return max(1, round(self.duration_s * fps))


@dataclass(frozen=True)
class Sound:
    """A file's first sound. ``late_s``: how long after the first picture it starts, below zero if before."""

    path: str
    sample_rate: int
    channels: int
    layout: str
    codec: str
    sample_format: str
    duration_s: float
    late_s: float
    truncated: str | None = None
    """How the file shows that its end is missing, in words; None where it shows no such thing."""
    language: str | None = None
    """Three letters of ISO 639-2, as the file says; None where it does not."""

    @property
    def end_s(self) -> float:
        """When it is over, on the clock of its file."""
        return max(0.0, self.late_s + self.duration_s)


@dataclass(frozen=True)
class Media:
    """What a file carries; None where it does not carry it. ``pointer``: which field of the request named it."""

    path: str
    pointer: str
    picture: Picture | None
    sound: Sound | None

    @property
    def duration_s(self) -> float:
        """Length on the file's clock, in seconds."""
        return max(self.picture.duration_s if self.picture else 0.0, self.sound.end_s if self.sound else 0.0)

    def seen(self) -> Picture:
        """The picture. Raises WorkerError ``input_unreadable`` where there is none."""
        if self.picture is None:
            raise WorkerError(
                "input_unreadable",
                f"{self.path} carries no moving picture.",
                hint="Use a video file.",
                pointer=self.pointer,
            )
        return self.picture

    def heard(self) -> Sound:
        """The sound. Raises WorkerError ``input_unreadable`` where there is none."""
        if self.sound is None:
            raise WorkerError(
                "input_unreadable",
                f"{self.path} carries no sound.",
                hint="Use a file with an audio stream.",
                pointer=self.pointer,
            )
        return self.sound

    def facts(self) -> dict[str, Any]:
        """What an artifact says of itself: duration_s and, as fits, the picture's and the sound's figures."""
        found: dict[str, Any] = {"duration_s": round(self.duration_s, 6)}
        if self.picture:
            found |= {name: getattr(self.picture, name) for name in ("width", "height", "num_frames")}
            found["fps"] = round(float(self.picture.fps), 6)
        if self.sound:
            found |= {"sample_rate": self.sound.sample_rate, "channels": self.sound.channels}
        return found


def look(path: str, pointer: str = "/input/media") -> Media:
    """What the file carries. Raises WorkerError ``input_unreadable`` where that is neither picture nor sound.

    The first frame of each is decoded, since only frames tell rotation and true start.
    """
    try:
        picture = _picture(path)
        found = Media(path, pointer, picture, _sound(path, picture))
    except WorkerError as error:
        raise WorkerError(error.code, error.message, hint=error.hint, pointer=pointer) from error
    if found.picture is None and found.sound is None:
        raise WorkerError("input_unreadable", f"{path} carries neither picture nor sound.", pointer=pointer)
    return found


def warn_if_truncated(sound: Sound, context: Context) -> None:
    """Warn ``audio_truncated`` of a file that shows that its end is missing; what is there is used."""
    if sound.truncated:
        context.warn(
            "audio_truncated",
            f"{sound.path} is incomplete: {sound.truncated}, and {sound.duration_s:.3f} s of sound are there.",
        )


def _picture(path: str) -> Picture | None:
    with open_media(path) as container:
        stream = moving_picture(container)
        if stream is None:
            return None
        frame = _first_frame(container, stream, path)
        aspect, fps = Fraction(stream.sample_aspect_ratio or 1), _fps(stream)
        codec = stream.codec_context.codec.canonical_name
    width, height = max(1, round(frame.width * aspect)), frame.height
    if quarter_turns(frame) % 2:
        width, height = height, width
    duration_s, num_frames = _extent(path, "video", float(1 / fps))
    start_time_s = float(frame.time or 0)
    return Picture(path, width, height, fps, duration_s, num_frames, codec, frame.format.name, start_time_s, aspect)


def _sound(path: str, picture: Picture | None) -> Sound | None:
    with open_media(path) as container:
        if not container.streams.audio:
            return None
        stream = container.streams.audio[0]
        frame = _first_frame(container, stream, path)
        codec = stream.codec_context.codec.canonical_name
        duration_s = _extent(path, "audio", 0.0)[0]
        truncated = why_truncated(path, container, stream, duration_s)
    late = float(frame.time or 0) - picture.start_time_s if picture else 0.0
    return Sound(
        path=path,
        sample_rate=frame.sample_rate,
        channels=len(frame.layout.channels),
        layout=_named(frame.layout),
        codec=codec,
        sample_format=frame.format.name,
        duration_s=duration_s,
        late_s=0.0 if abs(late) < IN_SYNC_S else late,
        truncated=truncated,
        language=stream.language,
    )


def _named(layout: Any) -> str:
    """A layout's name; one that only counts channels, as plain WAV does, is FFmpeg's usual one of so many."""
    count = len(layout.channels)
    return USUAL_LAYOUTS.get(count, "stereo") if layout.name == f"{count} channels" else str(layout.name)


def _first_frame(container: Any, stream: Any, path: str) -> Any:
    import av

    try:
        for frame in container.decode(stream):
            return frame
    except av.FFmpegError as error:
        raise unreadable(path, error) from error
    raise WorkerError("input_unreadable", f"{path} has a {stream.type} stream in which nothing decodes.")


def _extent(path: str, kind: str, typical_s: float) -> tuple[float, int]:
    """Length in seconds and number of packets. MP4 tells; other containers tell the whole file's length at best."""
    import av

    first, last, packets = math.inf, 0.0, 0
    with open_media(path) as container:
        stream = moving_picture(container) if kind == "video" else container.streams.audio[0]
        if "mp4" in container.format.name and stream.duration and stream.frames:
            return float(stream.duration * (stream.time_base or 0)), stream.frames
        try:
            for packet in container.demux(stream):
                if not packet.size or packet.is_discard:
                    continue
                length = float(packet.duration * packet.time_base) if packet.duration else typical_s
                time = last if packet.pts is None else float(packet.pts * packet.time_base)
                first, last, packets = min(first, time), max(last, time + length), packets + 1
        except av.FFmpegError as error:
            raise unreadable(path, error) from error
        length = last - first if packets else 0.0
        told = (container.duration or 0) / 1e6
        if container.format.name in {"mp3", "ogg"} and 0 < length - told < PADDING_S:
            length = told  # these know what of their first and last packet is only padding
    return length, packets


def _fps(stream: Any) -> Fraction:
    rate = stream.average_rate or stream.guessed_rate
    return Fraction(rate).limit_denominator(1001) if rate and 0 < rate <= HIGHEST_FPS else USUAL_FPS


def frame_rate(fps: float) -> Fraction:
    """A rate as people write it, exactly: 29.97 and 23.976 are 30000/1001 and 24000/1001."""
    ntsc = round(fps / NTSC) * NTSC
    return ntsc if abs(fps - ntsc) < 0.005 < abs(fps - round(fps)) else Fraction(fps).limit_denominator(1001)


def check_span(
    start_s: float | None, end_s: float | None, duration_s: float, *, pointer: str = "/input", what: str = "the file"
) -> None:
    """Raise WorkerError ``invalid_request`` unless 0 ≤ start < end ≤ duration (null: its start, its end)."""
    if start_s is not None and start_s >= duration_s:
        message, where = f"start_s is {start_s:g}; {what} lasts {duration_s:.3f} s.", "start_s"
    elif end_s is not None and end_s > duration_s + ROUNDING_S:
        message, where = f"end_s is {end_s:g}; {what} lasts {duration_s:.3f} s.", "end_s"
    elif end_s is not None and (start_s or 0) >= end_s:
        message, where = (
            f"start_s is {start_s or 0:g} and end_s {end_s:g}; the start must come before the end.",
            "end_s",
        )
    else:
        return
    raise WorkerError("invalid_request", message, pointer=f"{pointer}/{where}")


def frames(picture: Picture, *, fps: Fraction, count: int, start_s: float = 0.0) -> Iterator[Any]:
    """``count`` frames as PyAV gives them: what is on the screen at start_s + k/fps, k = 0, 1, …

    A film that ends early holds its last frame. Any source frame rate works, a variable one too.
    """
    shown, given = None, 0
    early = min(1 / fps, 1 / picture.fps) / 4  # times are rounded, to milliseconds in Matroska
    for time, frame in timed_frames(picture, start_s):
        while shown is not None and given < count and given / fps + early < time - start_s:
            yield shown
            given += 1
        if given >= count:
            return
        shown = frame
    for _ in range(count - given):
        yield shown


def timed_frames(picture: Picture, start_s: float = 0.0) -> Iterator[tuple[float, Any]]:
    """(seconds on the file's clock, frame) of every frame, from the one shown at ``start_s`` or one before it on."""
    if start_s > SEEK_OVER_S:
        sought = _decoded(picture, start_s)
        first = next(sought, None)
        if first is not None and first[0] <= start_s:  # some containers land after the place
            yield first
            yield from sought
            return
    yield from _decoded(picture, None)


def _decoded(picture: Picture, seek_s: float | None) -> Iterator[tuple[float, Any]]:
    import av

    time = -float(1 / picture.fps)
    with open_media(picture.path) as container:
        stream = moving_picture(container)
        stream.thread_type = "AUTO"
        try:
            if seek_s is not None:
                container.seek(int((picture.start_time_s + seek_s) / stream.time_base), stream=stream)
            for frame in container.decode(stream):
                if frame.time is None and seek_s is not None:
                    return
                # Some AVI files stamp no frame: those follow each other at the rate of the file.
                time = time + 1 / picture.fps if frame.time is None else frame.time - picture.start_time_s
                yield float(time), frame
        except av.FFmpegError as error:
            raise unreadable(picture.path, error) from error


def sound_blocks(
    sound: Sound | None, *, sample_rate: int, layout: str, start_s: float = 0.0, end_s: float | None = None
) -> Iterator[bytes]:
    """Interleaved 32-bit float samples from ``start_s`` on the file's clock on.

    They go on to the end of the sound, or to exactly ``end_s``, filled up with silence. A file without sound is silent.
    """
    from av import AudioLayout

    from media.compose import fitted as filled

    width = len(AudioLayout(layout).channels) * 4
    late = sound.late_s if sound else 0.0
    position = round((late - start_s) * sample_rate)
    samples = _from(_samples(sound, sample_rate, layout) if sound else iter(()), position, width)
    if end_s is None:
        yield from samples
    else:
        count = round(end_s * sample_rate) - round(start_s * sample_rate)
        yield from filled(samples, count, channels=width // 4)


def _from(blocks: Iterator[bytes], position: int, width: int) -> Iterator[bytes]:
    """Blocks that begin at sample ``position``: silence before them, or so much of them cut off."""
    if position > 0:
        yield bytes(position * width)
    skipped = max(0, -position) * width
    for block in blocks:
        if len(block) > skipped:
            yield block[skipped:]
        skipped = max(0, skipped - len(block))


def _samples(sound: Sound, sample_rate: int, layout: str) -> Iterator[bytes]:
    """The whole sound. What MP4 declares as its length is what players play: AAC pads its last packet.

    Mono in stereo is the same sound twice and stereo in mono the mean: FFmpeg's own mixing takes 3 dB off the one and
    adds them to the other, so that loud sound clips.
    """
    import av
    import numpy as np

    mixed = {("mono", "stereo"): "mono", ("stereo", "mono"): "stereo"}.get((sound.layout, layout), layout)
    channels = len(av.AudioLayout(mixed).channels)
    with open_media(sound.path) as container:
        stream = container.streams.audio[0]
        left: float = math.inf
        if "mp4" in container.format.name and stream.duration and stream.frames:
            left = round(stream.duration * (stream.time_base or 0) * sample_rate)
        resampler = av.AudioResampler(format="flt", layout=mixed, rate=sample_rate, frame_size=PCM_BLOCK_SAMPLES)
        try:
            for frame in itertools.chain(container.decode(stream), [None]):
                for block in resampler.resample(frame):
                    samples = np.frombuffer(bytes(block.planes[0]), np.float32, block.samples * channels)
                    samples = samples.reshape(-1, channels)[: int(min(left, block.samples))]
                    left -= block.samples
                    if len(samples):
                        yield _finite(samples if mixed == layout else _mixed(samples))
                    if left <= 0:
                        return
        except av.FFmpegError as error:
            raise unreadable(sound.path, error) from error


def _mixed(samples: np.ndarray) -> np.ndarray:
    """Mono samples as stereo, stereo as mono."""
    import numpy as np

    return np.repeat(samples, 2, axis=1) if samples.shape[1] == 1 else samples.mean(axis=1, keepdims=True)


def _finite(samples: np.ndarray) -> bytes:
    """A float file may hold NaN and infinity, which no filter and no encoder takes."""
    import numpy as np

    return np.nan_to_num(samples, posinf=0, neginf=0).clip(-LOUDEST_SAMPLE, LOUDEST_SAMPLE).tobytes()
