"""Opening media that users bring: what a file can serve as is decided by its content, not its name.

All media goes through ``open_media``: local files only and known containers only, so that a playlist or a concat
script named ``.mp4`` is refused instead of followed.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.errors import WorkerError

if TYPE_CHECKING:
    import av
    import av.container
    import numpy as np

CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,asf,mpeg,mpegts,mxf,ogg,"
    "wav,w64,mp3,flac,aac,aiff,au,caf,amr,ac3,eac3,gif"
)
BT709, UNSPECIFIED = 1, 2  # the same numbers in all three of H.273's tables: primaries, transfer, matrix
LIMITED = 1
"""The colour range 16 to 235, as FFmpeg numbers it; 0 is unspecified."""
PCM_BLOCK_SAMPLES = 1 << 14
LOUDEST_SAMPLE = 32768.0
"""Full scale is 1; float files may say anything, and some carry 16-bit values unscaled."""


def readable(path: str | Path) -> Path:
    """The path of a file that can be opened. Raises WorkerError ``input_not_found`` or ``input_unreadable``."""
    file = Path(path)
    if file.is_dir():
        raise WorkerError("input_unreadable", f"{file} is a folder.", hint="Name a file in it.")
    if file.exists() and not file.is_file():  # a pipe would never answer
        raise WorkerError("input_unreadable", f"{file} is not a file.")
    if not file.is_file():
        raise WorkerError(
            "input_not_found",
            f"There is no file {file}.",
            hint="Check the path; relative ones start at the working directory.",
        )
    try:
        with open(file, "rb"):
            return file
    except OSError as error:
        raise WorkerError(
            "input_unreadable", f"{file} cannot be read: {error.strerror}.", hint="Give this user the right to read it."
        ) from error


def open_media(path: str | Path) -> av.container.InputContainer:
    """Open a local audio or video file for reading.

    Raises WorkerError ``input_not_found`` or ``input_unreadable`` (not media, a playlist, damaged at the start).
    """
    import av

    file = readable(path)
    try:
        # "file:" keeps a name that looks like a URL or a pattern from being anything but a name.
        return av.open(f"file:{file}", options={"protocol_whitelist": "file", "format_whitelist": CONTAINERS})
    except (av.FFmpegError, ValueError, OSError) as error:
        raise unreadable(file, error) from error


def unreadable(file: Path | str, error: BaseException | None, kinds: str = "audio or video") -> WorkerError:
    """The error for a file that PyAV cannot open or decode."""
    reason = getattr(error, "strerror", None) or str(error)
    return WorkerError(
        "input_unreadable",
        f"{file} cannot be read as {kinds}: {reason}.",
        hint="Use a media file such as mp4, mkv, mov, wav, mp3, m4a, flac or ogg.",
    )


def is_cover(stream: Any) -> bool:
    """Whether a video stream is only the cover picture of a song."""
    return bool(int(stream.disposition) & 0x400)  # AV_DISPOSITION_ATTACHED_PIC


def moving_picture(container: Any) -> Any:
    """The first video stream that is no cover; None where there is none."""
    return next((stream for stream in container.streams.video if not is_cover(stream)), None)


def pcm_blocks(path: str | Path, *, sample_rate: int, channels: int) -> Iterator[bytes]:
    """The first audio stream of any file as interleaved 32-bit float samples, a block at a time (memory stays flat).

    ``channels`` is 1 or 2. Raises WorkerError ``input_unreadable`` when there is no audio or it does not decode.
    """
    import av

    with open_media(path) as container:
        if not container.streams.audio:
            raise WorkerError("input_unreadable", f"{path} carries no audio.", hint="Use a file with an audio stream.")
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(
            format="flt", layout="mono" if channels == 1 else "stereo", rate=sample_rate, frame_size=PCM_BLOCK_SAMPLES
        )
        try:
            for frame in container.decode(stream):
                for block in resampler.resample(frame):
                    yield _samples(block, channels)
            for block in resampler.resample(None):
                yield _samples(block, channels)
        except av.FFmpegError as error:
            raise unreadable(path, error) from error


def _samples(frame: Any, channels: int) -> bytes:
    """Finite samples: a float file may hold NaN and infinity, which no filter and no encoder takes."""
    import numpy as np

    samples = np.frombuffer(frame.planes[0], np.float32, frame.samples * channels)
    return np.nan_to_num(samples, posinf=0, neginf=0).clip(-LOUDEST_SAMPLE, LOUDEST_SAMPLE).tobytes()


def picture_frames(path: str | Path, *, width: int, height: int, fps: int, count: int) -> Iterator[np.ndarray]:
    """``count`` frames of a video at ``fps``, each yuv420p as an array of shape (height·3/2, width), uint8.

    The frame shown at k/fps is the last one whose time has come, so any source frame rate works. A clip that ends
    early holds its last frame. Another size is scaled to cover and cropped in the middle; what a camera took sideways
    is turned upright, and other colours than BT.709 in the limited range are converted to them.
    """
    import av

    with open_media(path) as container:
        stream = moving_picture(container)
        if stream is None:
            raise WorkerError("input_unreadable", f"{path} carries no video.", hint="Use a file with a video stream.")
        stream.thread_type = "AUTO"
        shown: np.ndarray | None = None
        given = 0
        first: float | None = None
        try:
            for frame in container.decode(stream):
                time = float(frame.time or 0)
                first = time if first is None else first
                while shown is not None and given < count and (given + 0.5) / fps < time - first:
                    yield shown
                    given += 1
                if given >= count:
                    return
                shown = _fitted(frame, width, height)
        except av.FFmpegError as error:
            raise unreadable(path, error) from error
        if shown is None:
            raise WorkerError("input_unreadable", f"{path} has no frame that decodes.")
        for _ in range(count - given):
            yield shown


def quarter_turns(frame: Any) -> int:
    """How often a frame must be turned by 90° counterclockwise to stand upright: 0 to 3."""
    return round(frame.rotation / 90) % 4


def _fitted(frame: Any, width: int, height: int) -> np.ndarray:
    """The frame upright at exactly this size, limited-range BT.709 yuv420p. A frame that says no colours has these."""
    import numpy as np
    from av.video.reformatter import Interpolation

    turns = quarter_turns(frame)
    if turns % 2:
        width, height = height, width
    space, span = frame.colorspace if frame.colorspace != UNSPECIFIED else BT709, frame.color_range or LIMITED
    sized, plain = (frame.width, frame.height) == (width, height), frame.format.name == "yuv420p"
    if sized and plain and (space, span) == (BT709, LIMITED):
        return turned_yuv420(np.asarray(frame.to_ndarray()), width, height, turns)
    scale = max(Fraction(width, frame.width), Fraction(height, frame.height))
    wide, high = (
        max(size, 2 * round(side * scale / 2)) for size, side in ((width, frame.width), (height, frame.height))
    )
    scaled = frame.reformat(
        width=wide,
        height=high,
        format="yuv420p",
        src_colorspace=space,
        dst_colorspace=BT709,
        src_color_range=span,
        dst_color_range=LIMITED,
        interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND,  # else colours are off by two levels
    ).to_ndarray()
    return turned_yuv420(crop_yuv420(scaled, wide, high, width, height), width, height, turns)


def turned_yuv420(frame: np.ndarray, width: int, height: int, turns: int) -> np.ndarray:
    """A yuv420p array of ``width``×``height`` turned by so many times 90° counterclockwise."""
    import numpy as np

    if not turns:
        return frame
    luma, chroma = frame[:height], frame[height:].reshape(2, height // 2, width // 2)
    planes = [np.rot90(plane, turns).reshape(-1) for plane in (luma, *chroma)]
    return np.concatenate(planes).reshape(-1, height if turns % 2 else width)


def crop_yuv420(frame: np.ndarray, wide: int, high: int, width: int, height: int) -> np.ndarray:
    """The middle ``width``×``height`` of a yuv420p array of shape (high·3/2, wide); even sizes."""
    import numpy as np

    left, top = (wide - width) // 4 * 2, (high - height) // 4 * 2
    luma = frame[:high][top : top + height, left : left + width]
    quarter = high // 2 * (wide // 2)
    flat = frame[high:].reshape(-1)
    planes = [flat[:quarter].reshape(high // 2, wide // 2), flat[quarter:].reshape(high // 2, wide // 2)]
    chroma = [plane[top // 2 : (top + height) // 2, left // 2 : (left + width) // 2] for plane in planes]
    return np.concatenate([part.reshape(-1) for part in (luma, *chroma)]).reshape(height * 3 // 2, width)
