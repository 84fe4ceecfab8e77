"""A title over a picture, drawn by libass like the captions.

Where the picture is too bright for white letters it is darkened behind them: across its whole width, and fading out
above and below without an edge, so that it looks like light and not like a box.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from media.ass import escape
from media.calm import Ground
from media.faces import Face, line_height
from media.title_layout import Block, Look, fitted
from media.typeface import Typeface

CONTRAST = 3.0
"""Of white letters with what is behind them, at least: WCAG 2.2, success criterion 1.4.3, for large text."""
FALL = 0.16
"""Share of the height over which the darkening fades out."""
BANDS = 48
"""Steps of that: three levels each on white, too little to be seen."""
FADE_IN_MS, FADE_OUT_MS = 300, 500


def write(
    path: Path,
    text: str,
    *,
    width: int,
    height: int,
    language: str,
    look: Look,
    ground: Ground,
    seconds: float | None = None,
) -> Block:
    """Write ``text`` as an ASS file for ``ground``, which is ``width`` × ``height`` pixels, shown for ``seconds``.

    None shows it for ever, without fading. Raises WorkerError ``font_not_found`` for a character without a glyph.
    """
    import pysubs2

    typeface = Typeface(text, language=language)
    block = fitted(text, typeface, width=width, height=height, look=look, ground=ground)
    file = pysubs2.SSAFile()
    file.info.update(
        {
            "PlayResX": str(width),
            "PlayResY": str(height),
            "WrapStyle": "2",
            "ScaledBorderAndShadow": "yes",
            "Kerning": "yes",
            "YCbCr Matrix": "None",
        }
    )
    file.styles = {"Default": _style(block.em, typeface.primary)}
    end_ms = 3_600_000 if seconds is None else 10 * round(100 * seconds)
    fade_in = min(FADE_IN_MS, end_ms // 4)
    fade = "" if seconds is None else rf"\fad({fade_in},{min(FADE_OUT_MS, end_ms // 3)})"
    texts = [
        *((0, f"{{{fade}{tags}}}{drawing}") for tags, drawing in _darkening(block, ground, width, height)),
        *((layer, f"{{{fade}{tags}}}{words}") for layer, tags, words in _letters(block, text, typeface)),
    ]
    file.events = [pysubs2.SSAEvent(start=0, end=end_ms, text=drawn, layer=layer) for layer, drawn in texts]
    file.save(str(path), encoding="utf-8", format_="ass", header_notice="Title by storygen")
    return block


def _letters(block: Block, text: str, typeface: Typeface) -> Iterator[tuple[int, str, str]]:
    """(layer, override tags, words) of each line: a soft close shadow, and the letters."""
    mark, em = _direction_mark(text), block.em
    shadow = rf"\bord{0.06 * em:.1f}\blur{0.08 * em:.1f}\shad0\1c&H000000&\3c&H000000&\1a&H90&\3a&H90&"
    first = block.y - (len(block.lines) - 1) * block.leading / 2
    for layer, effect in enumerate((shadow, rf"\bord{0.035 * em:.1f}\shad0"), 1):
        for number, line in enumerate(block.lines):
            place = rf"\an5\pos({block.x:.1f},{first + number * block.leading:.1f})"
            yield layer, place + effect, mark + _drawn(line, em, typeface)


def opacity(brightness: float) -> float:
    """How much black gives white letters their CONTRAST on that (sRGB, 0…1); 0 where they have it."""
    luminance = 1.05 / CONTRAST - 0.05  # (1 + 0.05) / (L + 0.05) is the contrast
    darkest = 1.055 * luminance ** (1 / 2.4) - 0.055  # IEC 61966-2-1
    return max(0.0, 1 - darkest / max(brightness, darkest))


def _darkening(block: Block, ground: Ground, width: int, height: int) -> Iterator[tuple[str, str]]:
    """(override tags, drawing) of each band: of one strength behind the block, ever weaker away from it."""
    half = len(block.lines) * block.leading / 2
    top, bottom = block.y - half, block.y + half
    most = opacity(ground.brightness((0, top / height, 1, bottom / height)))
    if not most:
        return
    fall = FALL * height
    held = 0 if top < fall else round(top)  # what would end near the edge does not end before it
    bands = [(held, round(bottom), most)]
    for number in range(BANDS):
        weaker = most * _smooth(1 - (number + 0.5) / BANDS)
        near, far = (round(fall * (number + more) / BANDS) for more in (0, 1))
        bands.append((round(bottom) + near, round(bottom) + far, weaker))
        if held:
            bands.append((held - far, held - near, weaker))
    for upper, lower, strength in bands:
        if lower > upper:
            tags = rf"\an7\pos(0,{upper})\bord0\shad0\1c&H000000&\1a&H{round(255 * (1 - strength)):02X}&\p1"
            yield tags, f"m 0 0 l {width} 0 {width} {lower - upper} 0 {lower - upper}"


def _smooth(share: float) -> float:
    """The smoothstep: 0 to 1 without a corner at either end."""
    return share * share * (3 - 2 * share)


def _style(em: float, face: Face) -> Any:
    import pysubs2

    return pysubs2.SSAStyle(
        fontname=face.family,
        fontsize=_size(em, face),
        bold=True,
        primarycolor=pysubs2.Color(255, 255, 255),
        outlinecolor=pysubs2.Color(0, 0, 0, 96),
        borderstyle=1,
        alignment=pysubs2.Alignment.MIDDLE_CENTER,
        marginl=0,
        marginr=0,
        marginv=0,
        encoding=-1,  # libass then finds the direction of each line
    )


def _drawn(line: str, em: float, typeface: Typeface) -> str:
    drawn, current = "", typeface.primary
    for face, piece in typeface.runs(line):
        if face != current:
            drawn += rf"{{\fn{face.family}\fs{_size(em, face):g}\b{int(not face.emoji)}}}"
            current = face
        drawn += escape(piece)
    return drawn


def _size(em: float, face: Face) -> float:
    return round(em * line_height(face), 2)


def _direction_mark(text: str) -> str:
    """The direction of the whole title: a line's own first letter must not turn its order."""
    kinds = [unicodedata.bidirectional(char) for char in text]
    right, left = sum(kind in {"R", "AL"} for kind in kinds), kinds.count("L")
    return "" if not right else "\u200f" if right > left else "\u200e"
