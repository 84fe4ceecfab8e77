"""One picture that stands for a film."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from media.calm import Ground
from media.source import moving_picture, open_media, quarter_turns, readable, unreadable
from media.title_layout import POSTER, fitted
from media.typeface import Typeface
from runtime.context import Context
from runtime.errors import WorkerError

if TYPE_CHECKING:
    from PIL import Image

JPEG_QUALITY = 90
SMALL = 240
"""Longer side, in pixels, at which pictures are compared: about what a feed shows."""
TOWARDS_THE_MIDDLE = 1 / 3
"""Where a film is sampled when no time is given: past its opening, before its end."""


def thumbnail(input: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
    """The operation ``thumbnail``; see its schema."""
    media = [input["media"], *input["candidates"]]
    text = (input["title"] or "").strip()
    typeface = Typeface(text, language=input["language"]) if text else None
    scores, appeals = [], []
    for number, file in enumerate(media, 1):
        picture = _picture(file, input["time_s"])
        scores.append(strength(picture))
        sized = _sized(picture, input["width"], input["height"])
        appeals.append(scores[-1] * (_room(sized, text, typeface) if typeface else 1.0))
        context.progress("run", number, len(media), "pictures")
    best = appeals.index(max(appeals))
    picture = _picture(media[best], input["time_s"])  # read again: all of them at once would fill the memory
    picture = _sized(picture, input["width"], input["height"])
    if text:
        picture = _titled(picture, text, input["language"], context)
    temporary = context.temporary("jpg")
    picture.save(temporary, quality=JPEG_QUALITY, optimize=True)
    image = context.publish(temporary, "image/jpeg", width=picture.width, height=picture.height)
    return {"image": image, "source_index": best, "score": round(scores[best], 2)}


def _room(picture: Image.Image, text: str, typeface: Typeface) -> float:
    """1 where the title stands large on the picture and hides nothing, less the worse it has to stand."""
    width, height = picture.size
    block = fitted(text, typeface, width=width, height=height, look=POSTER, ground=_ground(picture))
    return float(2**block.worth)


def _ground(picture: Image.Image) -> Ground:
    import numpy as np

    return Ground([np.asarray(picture.convert("L"))])


def strength(picture: Image.Image) -> float:
    """How much a picture catches the eye at a small size: colourfulness × √(detail in the middle). 0 for plain grey.

    Colourfulness is Hasler and Süsstrunk's M (Measuring colourfulness in natural images, 2003): the spread of the
    red-green and yellow-blue differences and a share of their mean. Detail is the mean slope of the luma, in levels a
    pixel, in the middle half: fog and empty sky have none there. Both are taken at SMALL pixels, where noise is gone.
    """
    import numpy as np

    scale = SMALL / max(picture.size)
    size = max(4, round(picture.width * scale)), max(4, round(picture.height * scale))
    red, green, blue = np.moveaxis(np.asarray(picture.convert("RGB").resize(size, reducing_gap=2.0), np.float64), 2, 0)
    red_green, yellow_blue = red - green, (red + green) / 2 - blue
    spread = np.hypot(red_green.std(), yellow_blue.std())
    colourfulness = spread + 0.3 * np.hypot(red_green.mean(), yellow_blue.mean())
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    down, across = np.gradient(luma)
    high, wide = luma.shape
    middle = np.hypot(down, across)[high // 4 : high - high // 4, wide // 4 : wide - wide // 4]
    return float(colourfulness * np.sqrt(middle.mean()))


def _sized(picture: Image.Image, width: int | None, height: int | None) -> Image.Image:
    """RGB at this size: with one side the other follows and nothing is enlarged, with both it is filled and cropped."""
    from media.pictures import cover_crop

    picture = picture.convert("RGB")
    if width and height:
        return cover_crop(picture, width, height)
    scale = min(1.0, width / picture.width if width else 1.0, height / picture.height if height else 1.0)
    return picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))))


def _titled(picture: Image.Image, text: str, language: str, context: Context) -> Image.Image:
    """The picture with a title large over it, drawn by the same FFmpeg and libass as the film's."""
    import ffmpeg
    from PIL import Image as pillow

    from media import ffmpeg as encoder
    from media import title
    from media.fonts import font_folder, fonts_of

    width, height = picture.size
    file, folder, drawn = context.temporary("ass"), context.temporary("fonts"), context.temporary("png")
    title.write(file, text, width=width, height=height, language=language, look=POSTER, ground=_ground(picture))
    environment = font_folder(fonts_of(file), folder)
    stream = ffmpeg.input("pipe:0", f="rawvideo", pix_fmt="rgb24", s=f"{width}x{height}").video
    stream = stream.filter("ass", filename=str(file), fontsdir=str(folder)).output(str(drawn), vframes=1, v="error")
    encoder.run(stream, blocks=[picture.tobytes()], environment=environment, context=context)
    with pillow.open(drawn) as opened:
        return opened.convert("RGB")


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
