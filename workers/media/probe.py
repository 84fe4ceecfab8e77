"""What a media file is, read by PyAV; no ffprobe needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from media.loudness import measure
from media.source import BT709, UNSPECIFIED, is_cover, moving_picture, open_media, readable, unreadable
from runtime.context import Context
from runtime.errors import WorkerError

MATRIX_NAMES = {4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 9: "bt2020nc"}
RANGE_NAMES = {1: "tv", 2: "pc"}


def probe(input: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
    """The operation ``probe``; see its schema."""
    return facts(input["media"], loudness=input["loudness"])


def facts(path: str | Path, *, loudness: bool = False) -> dict[str, Any]:
    """Container, streams and, when asked for, loudness. Raises ``input_not_found``, ``input_unreadable``."""
    readable(path)
    try:
        container = open_media(path)
    except WorkerError as error:
        return _picture(path, error)
    with container:
        video = moving_picture(container) or next(iter(container.streams.video), None)
        audio = next(iter(container.streams.audio), None)
        if video is None and audio is None:
            raise WorkerError("input_unreadable", f"{path} carries neither video nor audio.")
        found: dict[str, Any] = {
            "kind": "video" if video is not None and not is_cover(video) else "audio",
            "container": container.format.name,
            "duration_s": _seconds(container.duration, 1e-6),
            "faststart": _faststart(Path(path)) if "mp4" in container.format.name else None,
            "video": _video(container, video) if video is not None else None,
            "audio": _audio(audio) if audio is not None else None,
            "loudness": None,
        }
    if loudness and found["audio"]:
        found["loudness"] = measure(path)
    return found


def _seconds(duration: int | None, unit: float) -> float | None:
    return None if duration is None else round(float(duration * unit), 6)


def _video(container: Any, stream: Any) -> dict[str, Any]:
    codec = stream.codec_context

    def tag(value: int, names: dict[int, str]) -> str | None:
        return "bt709" if value == BT709 else names.get(value, None if value == UNSPECIFIED else str(value))

    return {
        "codec": codec.name,
        "profile": codec.profile,
        "pixel_format": codec.pix_fmt,
        "color_space": tag(int(codec.colorspace), MATRIX_NAMES),
        "color_primaries": tag(int(codec.color_primaries), {}),
        "color_transfer": tag(int(codec.color_trc), {}),
        "color_range": RANGE_NAMES.get(int(codec.color_range)),
        "width": stream.width,
        "height": stream.height,
        "fps": round(float(stream.average_rate), 6) if stream.average_rate else None,
        "num_frames": stream.frames or sum(1 for packet in container.demux(stream) if packet.size),
        "duration_s": _seconds(stream.duration, float(stream.time_base)),
    }


def _audio(stream: Any) -> dict[str, Any]:
    return {
        "codec": stream.codec_context.name,
        "sample_rate": stream.codec_context.sample_rate,
        "channels": stream.codec_context.channels,
        "layout": stream.codec_context.layout.name,
        "duration_s": _seconds(stream.duration, float(stream.time_base)),
    }


def _faststart(path: Path) -> bool:
    """Whether the ``moov`` box comes before ``mdat`` (ISO/IEC 14496-12, §4.2: size and type of each box)."""
    with open(path, "rb") as file:
        while len(head := file.read(8)) == 8:
            size, kind = int.from_bytes(head[:4], "big"), head[4:]
            if kind in {b"moov", b"mdat"}:
                return kind == b"moov"
            if size == 1:
                size = int.from_bytes(file.read(8), "big") - 8
            if size < 8:
                return False
            file.seek(size - 8, 1)
    return False


def _picture(path: str | Path, refused: WorkerError) -> dict[str, Any]:
    from media.pictures import NotAPictureError, picture_facts

    try:
        codec, width, height = picture_facts(Path(path))
    except NotAPictureError:
        raise unreadable(path, refused.__cause__, "audio, video or picture") from refused
    video = dict.fromkeys(
        (
            "profile",
            "pixel_format",
            "color_space",
            "color_primaries",
            "color_transfer",
            "color_range",
            "fps",
            "duration_s",
        )
    )
    return {
        "kind": "picture",
        "container": codec,
        "duration_s": None,
        "faststart": None,
        "video": {"codec": codec, "width": width, "height": height, "num_frames": 1, **video},
        "audio": None,
        "loudness": None,
    }
