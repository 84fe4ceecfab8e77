"""Picture, sound and subtitles of several files in one: the picture packet for packet, nothing of it encoded."""

from __future__ import annotations

import io
from functools import cache
from typing import Any

from media import ffmpeg as encoder
from media.convert import look_for_film
from media.formats import FILMS, MP4_SOUNDS, write_sound
from media.languages import three_letters
from media.source import CONTAINERS, readable
from media.tracks import Media, Sound, look
from runtime.context import Context
from runtime.errors import WorkerError

TEXTS = "srt,webvtt,ass"
TEXT_CODECS = {"subrip", "ass", "ssa", "webvtt", "mov_text", "text"}
"""Subtitles that are text; others are pictures, which no container here shares."""
MP4_PICTURES = frozenset({"h264", "hevc", "av1", "vp9", "mpeg4"})
"""What players play from mp4; FFmpeg would write more."""
MUXERS = {"mp4": "mp4", "mov": "mov", "mkv": "matroska", "webm": "webm"}


def mux(input: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
    """The operation ``mux``; see its schema."""
    film = look_for_film(input["video"], "/input/video")
    picture = film.seen()
    sound = film.sound if input["audio"] is None else look(input["audio"], "/input/audio").heard()
    codecs = [_text_codec(text["file"], f"/input/subtitles/{n}/file") for n, text in enumerate(input["subtitles"])]
    name = input["format"] or ("mp4" if picture.codec in MP4_PICTURES else "mkv")
    if picture.codec not in _held_by(name):
        raise WorkerError(
            "invalid_request",
            f"{name} cannot hold the {picture.codec} picture of {input['video']}.",
            hint="Convert the video first, or name another format.",
            pointer="/input/format",
        )
    length_s = _length(film, sound, input["length"])
    streams = [_input(film.path, length_s)["V:0"]]
    copied = sound is not None and sound.codec in _sounds_of(name) and sound.late_s >= 0
    if sound is not None:
        streams.append(_sound(sound, name, length_s, context, copied=copied))
    streams += [_input(text["file"], length_s)["s:0"] for text in input["subtitles"]]
    options = _text_options(input["subtitles"], codecs, name)
    spoken = sound.language if sound and input["audio_language"] is None else input["audio_language"]
    if sound is not None and spoken:
        options["metadata:s:a:0"] = f"language={three_letters(spoken)}"
    if name in {"mp4", "mov"}:
        options["movflags"] = "+faststart"
    path = context.temporary(name)
    _run(streams, str(path), options, context)
    context.progress("encode", picture.num_frames, picture.num_frames, "frames")
    return {
        "media": context.publish(path, FILMS[name].media_type, **look(str(path)).facts()),
        "copied": copied or sound is None,
        "copied_streams": ["video", "audio"] if copied else ["video"],
    }


def _run(streams: list[Any], path: str, options: dict[str, Any], context: Context) -> None:
    """A copy reads files, for the seconds that it takes."""
    import ffmpeg

    encoder.run(ffmpeg.output(*streams, path, v="error", **{"c:v": "copy", "c:a": "copy", **options}), context=context)


def _input(path: str, length_s: float) -> Any:
    """The first ``length_s`` seconds of a file that is no playlist."""
    import ffmpeg

    return ffmpeg.input(
        f"file:{path}", protocol_whitelist="file", format_whitelist=f"{CONTAINERS},{TEXTS}", t=round(length_s, 6)
    )


def _length(film: Media, sound: Sound | None, wanted: str) -> float:
    """Seconds that the output lasts; of one that is shorter nothing is cut."""
    picture_s = film.seen().duration_s
    if sound is None:
        if wanted == "audio":
            raise WorkerError(
                "invalid_request",
                f'length is "audio", and {film.path} carries no sound.',
                hint="Name an audio file, or leave length out.",
                pointer="/input/length",
            )
        return picture_s
    return {"video": picture_s, "audio": sound.end_s, "shortest": min(picture_s, sound.end_s)}[wanted]


def _sound(sound: Sound, name: str, length_s: float, context: Context, *, copied: bool) -> Any:
    import ffmpeg

    if copied:
        return _input(sound.path, length_s)["a:0"]
    made = write_sound(sound, FILMS[name].sound or name, context, end_s=min(length_s, sound.end_s), reporting=True)
    return ffmpeg.input(str(made)).audio


@cache
def _held_by(name: str) -> frozenset[str]:
    import av

    with av.open(io.BytesIO(), "w", format=MUXERS[name]) as container:
        return frozenset(container.supported_codecs)


def _sounds_of(name: str) -> frozenset[str]:
    """Codecs of sound that play from a container; FFmpeg would write more into mp4 than players take."""
    return MP4_SOUNDS if name in {"mp4", "mov"} else _held_by(name)


def _text_codec(path: str, pointer: str) -> str:
    """Read a subtitle file to its end as FFmpeg will. Raises WorkerError ``input_unreadable``."""
    import av

    file = readable(path)
    try:
        whitelist = {"protocol_whitelist": "file", "format_whitelist": f"{CONTAINERS},{TEXTS}"}
        with av.open(f"file:{file}", options=whitelist) as container:
            stream = container.streams.subtitles[0]
            codec = str(stream.codec_context.codec.canonical_name)
            for packet in container.demux(stream):
                packet.decode()
    except (av.FFmpegError, IndexError, ValueError) as error:
        reason = "there are none in it" if isinstance(error, IndexError) else getattr(error, "strerror", None) or error
        raise WorkerError(
            "input_unreadable",
            f"{file} cannot be read as subtitles: {reason}.",
            hint="Give an .srt, .vtt or .ass file in UTF-8, or a film that carries subtitles.",
            pointer=pointer,
        ) from error
    if codec not in TEXT_CODECS:
        raise WorkerError(
            "input_unreadable", f"The subtitles of {file} are pictures ({codec}), not text.", pointer=pointer
        )
    return codec


def _text_options(subtitles: list[dict[str, str]], codecs: list[str], name: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for number, (text, codec) in enumerate(zip(subtitles, codecs, strict=True)):
        kept = "srt" if codec in {"mov_text", "text"} else "copy"
        options[f"c:s:{number}"] = {"mp4": "mov_text", "mov": "mov_text", "webm": "webvtt"}.get(name, kept)
        options[f"metadata:s:s:{number}"] = f"language={three_letters(text['language'])}"
    return options
