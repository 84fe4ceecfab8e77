"""Any media in another container, codec, size, rate or length; what needs no encoding is copied."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from media import ffmpeg as encoder
from media.extract_audio import sound_file
from media.fitting import film_size, fitted, image_of
from media.formats import FILMS, GIF_FPS, PICTURES, SOUNDS, USUAL_CRF, film_sound, write_film
from media.source import CONTAINERS, open_media, unreadable
from media.tracks import Media, check_span, frame_rate, frames, look
from runtime.context import Context
from runtime.errors import WorkerError

if TYPE_CHECKING:
    from PIL import Image

QUALITY = 90
USELESS = {
    "sound": ("width", "height", "fps", "crf"),
    "picture": ("end_s", "fps", "crf"),
    "gif": ("crf",),
    "film": (),
}
"""Fields that say nothing about each kind of output."""


def convert(input: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
    """The operation ``convert``; see its schema."""
    name = input["format"]
    kind = "sound" if name in SOUNDS else "picture" if name in PICTURES else "gif" if name == "gif" else "film"
    for field in USELESS[kind]:
        if input[field] is not None:
            raise WorkerError(
                "invalid_request", f"{field} means nothing for {name}.", hint="Leave it out.", pointer=f"/input/{field}"
            )
    if kind == "picture":
        return {"media": _picture(input, context), "copied": False, "copied_streams": [], "crf": None}
    media = look_for_film(input["media"]) if kind != "sound" else look(input["media"])
    if kind == "sound":
        sound = media.heard()
        check_span(input["start_s"], None, sound.end_s, what="its sound")
        check_span(input["start_s"], input["end_s"], media.duration_s)
        made, copied = sound_file(sound, name, context, start_s=input["start_s"], end_s=input["end_s"])
        return {"media": made, "copied": copied, "copied_streams": ["audio"] if copied else [], "crf": None}
    return _film(media, input, context)


def look_for_film(path: str, pointer: str = "/input/media") -> Media:
    """As ``look``, for what must be a film: a still says so."""
    from media.pictures import picture_facts

    try:
        return look(path, pointer)
    except WorkerError as error:
        if error.code != "input_unreadable":
            raise
        try:
            picture_facts(Path(path))
        except WorkerError:
            raise error from None
        raise WorkerError(
            "input_unreadable",
            f"{path} is a picture, not a video.",
            hint="video_generation makes a clip of a picture.",
            pointer=pointer,
        ) from error


def _film(media: Media, input: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002
    name, picture = input["format"], media.seen()
    start, end = input["start_s"], input["end_s"]
    check_span(start, None, picture.duration_s, what="its picture")
    check_span(start, end, media.duration_s)
    copied = _copied_streams(media, input)
    if "video" in copied:
        path = _copied(media, name, copied, context)
    else:
        path = _encoded(media, input, context)
    facts = look(str(path)).facts()
    return {
        "media": context.publish(path, FILMS[name].media_type, **facts),
        "copied": "video" in copied and (media.sound is None or "audio" in copied),
        "copied_streams": copied,
        "crf": None
        if "video" in copied
        else input["crf"]
        if input["crf"] is not None
        else USUAL_CRF[FILMS[name].picture],
    }


def _copied_streams(media: Media, input: dict[str, Any]) -> list[str]:  # noqa: A002 - the wire's word
    """Which of video and audio the output takes over packet for packet."""
    picture, sound, film = media.seen(), media.sound, FILMS[input["format"]]
    if input["start_s"] or input["end_s"] is not None:
        return []
    found = []
    if (
        picture.codec in film.pictures
        and (input["format"] == "mkv" or picture.pixel_format in {"yuv420p", "yuvj420p"})
        and all(input[field] is None for field in ("fps", "crf"))
        and input["width"] in {None, picture.width}
        and input["height"] in {None, picture.height}
        and (sound is None or sound.late_s >= 0)  # else the file's clock starts before its picture
    ):
        found.append("video")
    if sound and sound.codec in film.sounds and (found or not sound.late_s):
        found.append("audio")
    return found


def _copied(media: Media, name: str, copied: list[str], context: Context) -> Path:
    """The picture as it is, the sound too or encoded. This FFmpeg reads a file, which takes seconds."""
    import ffmpeg

    source, path = encoder.file_input(media.path, CONTAINERS), context.temporary(name)
    streams = [source["V:0"]]
    if media.sound:
        streams.append(source["a:0"] if "audio" in copied else film_sound(media.sound, name, context))
    options = {"movflags": "+faststart"} if name in {"mp4", "mov"} else {}
    encoder.run(ffmpeg.output(*streams, str(path), c="copy", v="error", **options), context=context)
    count = media.seen().num_frames
    context.progress("encode", count, count, "frames")
    return path


def _encoded(media: Media, input: dict[str, Any], context: Context) -> Path:  # noqa: A002 - the wire's word
    name, picture = input["format"], media.seen()
    start = input["start_s"] or 0.0
    end = None if input["end_s"] is None else min(input["end_s"], media.duration_s)
    size = film_size(picture, input["width"], input["height"])
    fps = frame_rate(input["fps"]) if input["fps"] else picture.fps
    if name == "gif":
        fps = fps if input["fps"] else min(fps, GIF_FPS)
    count = max(1, round(((picture.duration_s if end is None else end) - start) * fps))
    sound = None
    if media.sound and FILMS[name].sound and start < media.sound.end_s:
        sound = film_sound(media.sound, name, context, start_s=start, end_s=end)
    return write_film(
        lambda: (
            fitted(frame, picture, *size, input["fit"])
            for frame in frames(picture, fps=fps, count=count, start_s=start)
        ),
        name,
        context,
        size=size,
        fps=fps,
        count=count,
        crf=input["crf"],
        sound=sound,
    )


def _picture(input: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
    """A still picture in another format, or one frame of a film."""
    name = input["format"]
    image = _still(input["media"], input["start_s"], transparent=name != "jpg")
    width, height = input["width"], input["height"]
    if width or height:
        width = width or max(1, round(image.width * height / image.height))
        height = height or max(1, round(image.height * width / image.width))
        image = _fitted_image(image, width, height, input["fit"])
    path = context.temporary(name)
    image.save(path, quality=QUALITY)  # PNG has none and passes it by
    context.progress("encode", 1, 1, "frames")
    return context.publish(path, PICTURES[name], width=image.width, height=image.height)


def _fitted_image(image: Image.Image, width: int, height: int, fit: str) -> Image.Image:
    from PIL import ImageOps
    from PIL.Image import Resampling

    if fit == "cover":
        return ImageOps.fit(image, (width, height), Resampling.LANCZOS)
    if fit == "stretch":
        return image.resize((width, height), Resampling.LANCZOS)
    color = (0, 0, 0, 255) if image.mode == "RGBA" else (0, 0, 0)
    return ImageOps.pad(image, (width, height), Resampling.LANCZOS, color=color)


def _still(path: str, start_s: float | None, *, transparent: bool) -> Image.Image:
    from media.pictures import NotAPictureError

    if start_s is None:
        try:
            return open_layer(path) if transparent else _opened(path)
        except NotAPictureError:
            pass
    media = look_for_film(path)
    if media.picture is None:
        return _cover(media)
    check_span(start_s, None, media.picture.duration_s, what="its picture")
    frame = next(frames(media.picture, fps=media.picture.fps, count=1, start_s=start_s or 0.0))
    return image_of(frame, media.picture, media.picture.width, media.picture.height)


def _opened(path: str) -> Image.Image:
    from media.pictures import open_picture

    return open_picture(Path(path))


def open_layer(path: str) -> Image.Image:
    """A picture file as RGB, or as RGBA where something shines through. Raises WorkerError as ``open_picture`` does.

    What shines through is what differs between the picture on black and on white; on black it is premultiplied.
    """
    import numpy as np
    from PIL import Image as pillow

    from media.pictures import open_picture

    black, white = (open_picture(Path(path), background=(level,) * 3) for level in (0, 255))
    color, through = np.asarray(black).astype(np.float32), np.asarray(white).astype(np.float32)
    alpha = np.clip(255 - (through - color).mean(axis=2), 0, 255)
    if alpha.min(initial=255) > 254.5:
        return black
    color = np.clip(np.rint(color * 255 / np.maximum(alpha, 1)[..., None]), 0, 255)
    return pillow.fromarray(np.dstack([color, np.rint(alpha)]).astype(np.uint8), "RGBA")


def _cover(media: Media) -> Image.Image:
    """The cover picture of a song."""
    import av

    with open_media(media.path) as container:
        if not container.streams.video:
            media.seen()
        try:
            frame = next(container.decode(container.streams.video[0]), None)
        except av.FFmpegError as error:
            raise unreadable(media.path, error) from error
    if frame is None:
        raise WorkerError("input_unreadable", f"{media.path} has no frame that decodes.", pointer=media.pointer)
    return frame.to_image()
