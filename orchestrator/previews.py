"""Small pictures for the page of a run: the full ones of a minute's film weigh tens of megabytes."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType

from orchestrator.item import PARTIAL

FOLDER = "report_files"
"""Beside the page; what is in it is made anew from the pictures where it is missing."""
LARGEST = 512
"""Pixels of the longer side: about twice what the page shows, for dense screens."""
QUALITY = 80
NONE: Mapping[str, str] = MappingProxyType({})


def previews(folder: Path, pictures: Iterable[str]) -> dict[str, str]:
    """Picture -> its preview, both relative to ``folder``; those that cannot be read are left out.

    A preview is made once for each state of its picture; those of earlier states go.
    """
    known = {picture: name for picture in pictures if (name := _name(folder, picture)) is not None}
    if not known:
        return {}
    with contextlib.suppress(OSError):  # then none can be written, and the page shows the pictures themselves
        (folder / FOLDER).mkdir(exist_ok=True)
    with ThreadPoolExecutor() as threads:  # Pillow decodes without holding the interpreter
        made = dict(zip(known, threads.map(lambda each: _made(folder, *each), known.items()), strict=True))
    kept = {known[picture] for picture, is_there in made.items() if is_there}
    for file in (folder / FOLDER).glob("*"):
        if f"{FOLDER}/{file.name}" not in kept:
            file.unlink(missing_ok=True)
    return {picture: known[picture] for picture, is_there in made.items() if is_there}


def _name(folder: Path, picture: str) -> str | None:
    """Where the preview of a picture lies: its name says whose it is, and of which state of the file."""
    try:
        state = (folder / picture).stat()
    except OSError:
        return None
    key = hashlib.sha256(f"{picture} {state.st_size} {state.st_mtime_ns}".encode(errors="replace")).hexdigest()
    return f"{FOLDER}/{key[:20]}.jpg"


def _made(folder: Path, picture: str, name: str) -> bool:
    """Whether the preview is there, now if not before."""
    from PIL import Image, UnidentifiedImageError

    target = folder / name
    if target.is_file():
        return True
    temporary = target.with_name(f".{target.name}{PARTIAL}{os.getpid()}")
    try:
        with Image.open(folder / picture) as opened:
            small = opened.convert("RGB")
            small.thumbnail((LARGEST, LARGEST), reducing_gap=2.0)
            small.save(temporary, "JPEG", quality=QUALITY)
        os.replace(temporary, target)
    except (OSError, ValueError, UnidentifiedImageError, Image.DecompressionBombError):
        temporary.unlink(missing_ok=True)
        return False
    return True
