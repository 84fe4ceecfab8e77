"""The captions op: timed words become cues, and the cues SRT, WebVTT and ASS files.

SRT and WebVTT are written here: pysubs2's writers take literal braces and ``\\n`` in the text for ASS overrides and
escape nothing. ASS, with its styles, goes through pysubs2.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from media.cues import Cue, Limits, build, cells, direction_mark, units
from runtime.context import Context
from runtime.errors import WorkerError

MEDIA_TYPES = {"srt": "application/x-subrip", "vtt": "text/vtt", "ass": "text/x-ass"}
FAST_WORDS_PER_S = 5.0
"""From here on nobody follows: 300 words a minute, while adults read subtitles at 180 to 240. A narration at its usual
pace has single cues of 4.5."""
LOW_EDGE, HIGH_EDGE = 0.05, 0.22
"""Distance from the edge as a share of the height: graphics are safe from 5 % on (EBU R 95), and where the film is
upright apps draw their buttons over the rest."""
EM_AT_1080 = 72
"""Default em size in pixels for a film whose shorter side has 1080."""
_EMBEDDINGS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_OUTLINE_EM, _SHADOW_EM = 0.08, 0.04


def captions(input: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
    """Build cues from ``input["words"]``, write the formats asked for, return the output of the captions schema.

    Warns ``no_words``, ``fast_speech`` (over 5 words a second), ``short_cue``. Raises WorkerError: ``invalid_request``
    for words blank or out of order, ``font_not_found`` for a character without a glyph where ASS is asked for.
    """
    words = _read_words(input["words"])
    if input["min_cue_s"] > input["max_cue_s"]:
        message = f"min_cue_s is {input['min_cue_s']}, must not be above max_cue_s, which is {input['max_cue_s']}."
        raise _invalid("/input/min_cue_s", message)
    formats = input["formats"]
    typeface, look, cues = None, None, []
    if "ass" in formats:
        from media.typeface import Typeface

        typeface, look = Typeface(" ".join(word for word, _, _ in words), language=input["language"]), _look(input)
    if words:
        cues = _cues(words, input, typeface, look, context)
    else:
        context.warn("no_words", "There are no words: the caption files have no cues.")
    context.check()
    _warn(cues, input, context)
    files = {kind: _write(kind, cues, look, typeface, context) for kind in MEDIA_TYPES if kind in formats}
    return {
        "files": {kind: files.get(kind) for kind in MEDIA_TYPES},
        "cues": [_described(cue) for cue in cues],
        "fonts": [_face_facts(face) for face in typeface.faces] if typeface else [],
        "font_size_px": look.em if look else None,
    }


def centiseconds(seconds: float) -> int:
    """Whole centiseconds, halves always up: what lies whole seconds later is rounded alike, whatever its floats are."""
    return math.floor(100 * seconds + 0.5 + 1e-6)


def _invalid(pointer: str, message: str, hint: str | None = None) -> WorkerError:
    details = [{"pointer": pointer, "message": message}]
    return WorkerError("invalid_request", message, pointer=pointer, hint=hint, details=details)


def _read_words(given: list[dict[str, Any]]) -> list[tuple[str, int, int]]:
    """(text, start, end) in centiseconds; blanks within a word become one space.

    What draws nothing and would harm goes: control characters, and the marks that embed or override a direction, for
    cues part them from the mark that ends them. Each line's direction is found from its letters.
    """
    words: list[tuple[str, int, int]] = []
    for number, word in enumerate(given):
        pointer, start, end = f"/input/words/{number}", word["start_s"], word["end_s"]
        text = unicodedata.normalize("NFC", " ".join(word["word"].split()))
        text = "".join(char for char in text if unicodedata.category(char) != "Cc" and char not in _EMBEDDINGS)
        if not cells(text) or not text.strip():
            raise _invalid(f"{pointer}/word", f"Word {number}, {word['word']!r}, shows nothing.", "Leave it out.")
        if end < start:
            raise _invalid(f"{pointer}/end_s", f"Word {number}, {text!r}, ends at {end} s, before its start {start} s.")
        if number and start < given[number - 1]["start_s"]:
            message = f"Word {number}, {text!r}, starts at {start} s, before the word in front of it."
            raise _invalid(f"{pointer}/start_s", message, "Give the words in order of their starts.")
        words.append((text, centiseconds(start), centiseconds(end)))
    return words


def _look(wanted: dict[str, Any]) -> Any:
    from media.ass import Look

    width, height = wanted["width"], wanted["height"]
    em = float(wanted["font_size_px"] or EM_AT_1080 * min(width, height) / 1080)
    edge = wanted["edge_margin"] if wanted["edge_margin"] is not None else HIGH_EDGE if height > width else LOW_EDGE
    style, boxed = wanted["style"], wanted["style"] == "boxed"
    return Look(
        width=width,
        height=height,
        em=round(em, 1),
        outline=0 if boxed else round(_OUTLINE_EM * em, 1),
        shadow=0 if boxed else round(_SHADOW_EM * em, 1),
        side_margin=round(wanted["side_margin"] * width),
        edge_margin=round(edge * height),
        position=wanted["position"],
        text_color=wanted["text_color"],
        outline_color=wanted["outline_color"],
        highlight_color=None if style == "plain" else wanted["highlight_color"],
        box_color=wanted["box_color"] if boxed else None,
        box_opacity=wanted["box_opacity"],
    )


def _cues(
    words: list[tuple[str, int, int]], wanted: dict[str, Any], typeface: Any, look: Any, context: Context
) -> list[Cue]:
    width = (look.width - 2 * (look.side_margin + look.outline + look.box_padding)) / look.em if look else None
    limits = Limits(
        words_per_line=wanted["max_words_per_line"],
        chars_per_line=wanted["max_chars_per_line"],
        lines=wanted["max_lines"],
        width=width,
        min_cs=round(100 * wanted["min_cue_s"]),
        max_cs=round(100 * wanted["max_cue_s"]),
    )
    measure = typeface.width if typeface else lambda text: 0.0
    last = None if wanted["duration_s"] is None else round(100 * wanted["duration_s"])
    try:
        return build(units(words, limits, measure), limits, measure(" "), last, context.check, wanted["language"])
    except ValueError as error:
        if look is None:
            message = f"max_chars_per_line is {limits.chars_per_line}: {error}."
            raise _invalid("/input/max_chars_per_line", message, "Allow more.") from error
        message = f"font_size_px is {look.em:g} on a film {look.width} px wide: {error}."
        raise _invalid("/input/font_size_px", message, "Ask for a smaller size or smaller margins.") from error


def _warn(cues: list[Cue], wanted: dict[str, Any], context: Context) -> None:
    fast = [cue for cue in cues if cue.words_per_s > FAST_WORDS_PER_S]
    if fast:
        worst = max(fast, key=lambda cue: cue.words_per_s)
        context.warn(
            "fast_speech",
            f"{len(fast)} of {len(cues)} cues run faster than {FAST_WORDS_PER_S:g} words a second; "
            f"the fastest, at {worst.start / 100} s, with {worst.words_per_s:.1f}. A slower voice gives more time: "
            f"about {FAST_WORDS_PER_S / worst.words_per_s:.2f} of its speed (storygen: --set voice.input.speed=…).",
        )
    short = [cue for cue in cues if cue.end - cue.start < round(100 * wanted["min_cue_s"])]
    if short:
        context.warn(
            "short_cue",
            f"{len(short)} of {len(cues)} cues are shorter than {wanted['min_cue_s']} s, "
            f"the first at {short[0].start / 100} s: there is no silence to extend them into.",
        )


def _described(cue: Cue) -> dict[str, Any]:
    words = [cue.units[0].word, cue.units[-1].word + 1]
    return {"start_s": cue.start / 100, "end_s": cue.end / 100, "lines": cue.texts, "words": words}


def _face_facts(face: Any) -> dict[str, Any]:
    return {"family": face.family, "weight": face.weight, "origin": face.origin}


def _write(kind: str, cues: list[Cue], look: Any, typeface: Any, context: Context) -> dict[str, Any]:
    path = context.temporary(kind)
    if kind == "ass":
        from media import ass

        ass.write(path, cues, look, typeface)
    else:
        _write_text(path, to_srt(cues) if kind == "srt" else to_vtt(cues))
    return context.publish(path, MEDIA_TYPES[kind], cues=len(cues))


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def to_srt(cues: list[Cue]) -> str:
    """SubRip text.

    The format has no escapes, and players take for tags what begins like HTML or ASS. Only there, U+2060 (word joiner)
    is put in, which draws nothing: ``<b`` ``{\\b`` ``{y:`` ``\\N`` ``-->``. Against the players built on libass, which
    hide whatever stands in braces, nothing helps: those are shown the WebVTT or ASS file.
    """

    def safe(line: str) -> str:
        return re.sub(r"<(?=[^\s\d])|\{(?=\\|[a-zA-Z]:)|\\(?=[Nnh{}])|-(?=->)", "\\g<0>\u2060", line)

    blocks = (
        f"{number}\n{_time(cue.start, ',')} --> {_time(cue.end, ',')}\n{text}\n"
        for number, (cue, text) in enumerate(zip(cues, _shown(cues, safe), strict=True), 1)
    )
    return "\n".join(blocks)


def to_vtt(cues: list[Cue]) -> str:
    """WebVTT text, escaped as its standard says."""

    def safe(line: str) -> str:
        return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    blocks = (
        f"{_time(cue.start, '.')} --> {_time(cue.end, '.')}\n{text}\n"
        for cue, text in zip(cues, _shown(cues, safe), strict=True)
    )
    return "\n".join(["WEBVTT\n", *blocks])


def _shown(cues: list[Cue], safe: Callable[[str], str]) -> Iterator[str]:
    """The lines of each cue, each with the mark that gives it the direction of the whole text."""
    mark = direction_mark(cues)
    for cue in cues:
        yield "\n".join(mark + safe(line) for line in cue.texts)


def _time(centiseconds: int, mark: str) -> str:
    seconds, rest = divmod(centiseconds, 100)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{mark}{10 * rest:03d}"
