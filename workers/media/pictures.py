"""Users' pictures: opened safely, upright, as plain 8-bit RGB, and cropped to a size.

A picture is judged by its content, not its name. Only formats with sound decoders are tried, and the pixel limit is
checked on the header, before anything is decoded.
"""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from media.source import readable
from runtime.errors import WorkerError

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
PIXEL_LIMIT = 100_000_000  # 300 MB as RGB; every camera's pictures pass, image bombs do not
SHARP_UPSCALE = 2.0  # beyond it a picture looks soft, and the caller is told


class NotAPictureError(WorkerError):
    """Nothing in the file says that it is a picture."""


def open_picture(
    path: Path, *, pixel_limit: int = PIXEL_LIMIT, background: tuple[int, int, int] = (255, 255, 255)
) -> Image:
    """The picture in ``path`` as RGB, turned upright by its EXIF, its transparency laid over ``background``.

    Of an animated file the first frame. A colour profile in the file is converted to sRGB. Raises WorkerError
    ``input_not_found``, or ``input_unreadable`` for what is no picture, is damaged or is over ``pixel_limit`` pixels.
    """
    with _opened(path, pixel_limit) as picture:
        try:
            picture.load()
        except MemoryError:
            raise
        except Exception as error:  # decoders raise OSError, SyntaxError, ValueError, struct.error … for damaged data
            raise WorkerError(
                "input_unreadable", f"The picture {path} is damaged: {error}.", hint="Save it again from where it came."
            ) from error
        return _flat(_in_srgb(_upright(picture)), background)


def picture_facts(path: Path) -> tuple[str, int, int]:
    """(format in lower case, width, height) from a picture's header. Raises WorkerError as ``open_picture`` does."""
    with _opened(path, PIXEL_LIMIT) as picture:
        return str(picture.format).lower(), picture.width, picture.height


def list_pictures(folder: Path) -> list[Path]:
    """The pictures of ``folder`` (not of folders in it) in natural order: ``2.png`` before ``10.png``.

    A file counts if its name or its content is a picture's; hidden files do not. Raises WorkerError
    ``input_not_found``, or ``input_unreadable`` where there is no folder or no picture in it.
    """
    if not folder.exists():
        raise WorkerError(
            "input_not_found", f"There is no folder {folder}.", hint="Name a folder that holds your pictures."
        )
    if not folder.is_dir():
        raise WorkerError(
            "input_unreadable", f"{folder} is a file, not a folder.", hint="Name the folder that holds your pictures."
        )
    try:
        files = [file for file in folder.iterdir() if not file.name.startswith(".") and file.is_file()]
    except OSError as error:
        raise WorkerError("input_unreadable", f"Cannot read the folder {folder}: {error.strerror}.") from error
    found = [file for file in files if file.suffix.lower() in SUFFIXES or _is_picture(file)]
    if not found:
        raise WorkerError(
            "input_unreadable",
            f"There is no picture in the folder {folder}.",
            hint=f"Put {', '.join(FORMATS)} files there.",
        )
    return sorted(found, key=_natural)


def cover_crop(picture: Image, width: int, height: int, *, size: tuple[int, int] | None = None) -> Image:
    """The largest centred part of the shape ``width``:``height``, scaled to ``size`` pixels (to that size if None)."""
    from PIL.Image import Resampling

    box = cover_box(picture.size, width, height)
    return picture.resize(size or (width, height), Resampling.LANCZOS, box=box, reducing_gap=3.0)


def cover_box(size: tuple[int, int], width: int, height: int) -> tuple[float, float, float, float]:
    """Left, top, right, bottom, in pixels, of the largest centred part of ``size`` shaped ``width``:``height``."""
    scale = max(width / size[0], height / size[1])
    left, top = max(0.0, (size[0] - width / scale) / 2), max(0.0, (size[1] - height / scale) / 2)
    return left, top, size[0] - left, size[1] - top


def upscale_factor(size: tuple[int, int], width: int, height: int) -> float:
    """How many times ``cover_crop`` to ``width`` × ``height`` enlarges a picture: above 1 it invents detail."""
    return max(width / size[0], height / size[1])


@contextlib.contextmanager
def _opened(path: Path, pixel_limit: int) -> Iterator[Image]:
    """The picture with only its header read, its format and size known to be acceptable."""
    from PIL import Image as pillow

    readable(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pillow.DecompressionBombWarning)  # our own limit is checked below
            picture = pillow.open(path, formats=FORMATS)
    except pillow.DecompressionBombError as error:
        raise _too_large(path, str(error), pixel_limit) from error
    except MemoryError:
        raise
    except Exception as error:  # UnidentifiedImageError, and what header parsers raise
        raise NotAPictureError(
            "input_unreadable", f"{path} cannot be read as a picture.", hint=f"It must be one of {', '.join(FORMATS)}."
        ) from error
    with picture:
        if picture.width * picture.height > pixel_limit:
            raise _too_large(path, f"{picture.width}×{picture.height} pixels", pixel_limit)
        yield picture


def _too_large(path: Path, what: str, pixel_limit: int) -> WorkerError:
    return WorkerError(
        "input_unreadable",
        f"The picture {path} is too large: {what}; at most {pixel_limit / 1e6:g} million pixels are allowed.",
        hint="Make it smaller first.",
    )


def _is_picture(path: Path) -> bool:
    try:
        with _opened(path, PIXEL_LIMIT):
            return True
    except WorkerError:
        return False


def _upright(picture: Image) -> Image:
    from PIL import ImageOps

    with contextlib.suppress(Exception):  # a damaged EXIF block is no reason to refuse the picture
        return ImageOps.exif_transpose(picture)
    return picture


def _in_srgb(picture: Image) -> Image:
    """Colours as they are meant: telephones tag Display P3, which read as sRGB looks pale."""
    profile = picture.info.get("icc_profile")
    if not profile or picture.mode not in {"RGB", "RGBA", "CMYK"}:
        return picture
    from PIL import ImageCms

    with contextlib.suppress(ImageCms.PyCMSError, OSError, ValueError, TypeError):
        target = "RGBA" if picture.mode == "RGBA" else "RGB"
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted: Image | None = ImageCms.profileToProfile(
            picture, source, ImageCms.createProfile("sRGB"), outputMode=target
        )
        return converted or picture
    return picture


def _flat(picture: Image, background: tuple[int, int, int]) -> Image:
    """8-bit RGB without transparency, whatever the mode."""
    from PIL import Image as pillow

    if picture.mode.startswith(("I", "F")):
        return pillow.fromarray(_eight_bits(picture)).convert("RGB")
    if "transparency" in picture.info or picture.mode in {"RGBA", "LA", "PA", "RGBa", "La"}:
        layer = picture.convert("RGBA")
        return pillow.alpha_composite(pillow.new("RGBA", layer.size, (*background, 255)), layer).convert("RGB")
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def _eight_bits(picture: Image) -> Any:
    """Grey of 16 bits by their range, of 32 bits or floats by their likely range, as 0..255."""
    import numpy as np

    values = np.nan_to_num(np.asarray(picture).astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    highest = float(values.max(initial=0.0))
    if picture.mode.startswith("I;16"):
        white = 65535.0
    else:
        white = next((top for top in (1.0, 255.0, 65535.0) if highest <= top), highest)
    return np.clip(np.rint(values * (255 / white)), 0, 255).astype(np.uint8)


def _natural(path: Path) -> tuple[list[tuple[int, int, str]], str]:
    """Numbers in a name sort by their value; case does not matter."""
    pieces = re.findall(r"[0-9]+|[^0-9]+", path.name.casefold())
    return [(0, int(piece), "") if piece.isdigit() else (1, 0, piece) for piece in pieces], path.name
