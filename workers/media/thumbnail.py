"""One picture that stands for a film."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from media.source import moving_picture, open_media, quarter_turns, readable, unreadable
from runtime.context import Context
from runtime.errors import WorkerError

if TYPE_CHECKING:
    from PIL import Image

JPEG_QUALITY = 90
TOWARDS_THE_MIDDLE = 1 / 3
"""Where a film is sampled when no time is given: past its opening, before its end."""


def thumbnail(input: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
    """The operation ``thumbnail``; see its schema."""
    picture = _picture(input["media"], input["time_s"])
    width = min(input["width"] or picture.width, picture.width)
    height = max(1, round(picture.height * width / picture.width))
    temporary = context.temporary("jpg")
    picture.convert("RGB").resize((width, height)).save(temporary, quality=JPEG_QUALITY, optimize=True)
    return {"image": context.publish(temporary, "image/jpeg", width=width, height=height)}


def _picture(media: str, time_s: float | None) -> Image.Image:
    from media.pictures import NotAPictureError, open_picture

    readable(media)
    try:
        return _frame(media, time_s)
    except WorkerError as error:
        if error.code != "input_unreadable":
            raise
        try:
            return open_picture(Path(media))
        except NotAPictureError:
            raise error from None


def _frame(media: str, time_s: float | None) -> Image.Image:
    import av

    with open_media(media) as container:
        if not container.streams.video:
            raise WorkerError("input_unreadable", f"{media} carries no picture.", pointer="/input/media")
        film = moving_picture(container)
        stream = film or container.streams.video[0]
        wanted = _time(container, time_s) if film else 0.0
        last = None
        try:
            if film:
                container.seek(int(wanted * 1e6))
            for last in container.decode(stream):
                if last.time is None or last.time + 1e-6 >= wanted:
                    break
        except av.FFmpegError as error:
            raise unreadable(media, error) from error
        if last is None:
            raise WorkerError("input_unreadable", f"{media} has no frame that decodes.", pointer="/input/media")
        return last.to_image().rotate(90 * quarter_turns(last), expand=True)


def _time(container: Any, time_s: float | None) -> float:
    """The moment wanted on the file's own clock, which need not start at 0 (.ts)."""
    length = (container.duration or 0) / 1e6
    wanted = length * TOWARDS_THE_MIDDLE if time_s is None else time_s
    if length and wanted > length:
        raise WorkerError(
            "invalid_request", f"time_s is {wanted}; the film lasts {length:.3f} s.", pointer="/input/time_s"
        )
    return wanted + (container.start_time or 0) / 1e6
