"""The text of a file that somebody wrote a story in: UTF-8, or UTF-16 that says so."""

from __future__ import annotations

import codecs
import shlex
from pathlib import Path

from orchestrator.errors import StorygenError

MAX_BYTES = 1_000_000
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
OLD_ENCODING = "cp1252"
"""What Windows' older editors write in western Europe."""


def read(path: Path, what: str = "story") -> str:
    """The text of a file with a story, or ``what`` it is. Raises ``input_not_found`` or ``input_unreadable``."""
    try:
        if not path.is_file():
            raise StorygenError(
                "input_not_found",
                f"There is no {what} file {path}.",
                f"Give the path of a .txt or .md file with the {what}'s text.",
            )
        if path.stat().st_size > MAX_BYTES:
            raise StorygenError(
                "input_unreadable",
                f"{path} is larger than {MAX_BYTES // 1_000_000} MB; that is no {what} for a short video.",
                "Give a part of it.",
            )
        body = path.read_bytes()
    except OSError as error:
        raise StorygenError(
            "input_unreadable", f"Cannot read {path}: {error.strerror}.", "Give a file that you may read."
        ) from error
    try:
        text = body.decode("utf-16" if body.startswith(UTF_16) else "utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"{path} is not UTF-8 text: byte {error.start} is wrong."
        raise StorygenError("input_unreadable", message, _conversion(path, body)) from error
    if "\0" in text:
        raise StorygenError("input_unreadable", f"{path} is not a text file.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _conversion(path: Path, body: bytes) -> str:
    """What to do about a file that is no UTF-8: the command, where it is text of an older kind."""
    try:
        words = body.decode(OLD_ENCODING)
    except UnicodeDecodeError:
        words = "\0"
    if not words.replace("\n", "").replace("\r", "").replace("\t", "").isprintable():
        return "Save it as UTF-8."
    new = path.with_name(f"{path.stem}-utf8{path.suffix}")
    command = f"iconv -f {OLD_ENCODING} -t UTF-8 {shlex.quote(str(path))} > {shlex.quote(str(new))}"
    return f"Save it as UTF-8; if it comes from an older Windows editor: {command}"
