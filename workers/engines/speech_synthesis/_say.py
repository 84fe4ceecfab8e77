"""macOS: the program ``say``. Its manual: ``man say``, or keith.github.io/xcode-man-pages/say.1.html."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engines.speech_synthesis._system_voice import Spoken, Voice, run_program
from runtime.context import Context
from runtime.errors import WorkerError

STORY_RATE = 175
"""Words a minute for ``-r`` at speed 1: its usual default; with the pauses of a story that makes about 150."""
VOICE_LINE = re.compile(r"(?P<name>.+?)\s+(?P<language>[a-z]{2,3}(?:[_-][A-Za-z0-9]+)*)\s*#")
"""``Eddy (English (UK)) en_GB    # Hello! …``: a long name leaves a single blank before the locale."""
ROBOTS = {
    "Albert", "Bad News", "Bahh", "Bells", "Boing", "Bubbles", "Cellos", "Deranged", "Eddy", "Flo", "Fred",
    "Good News", "Grandma", "Grandpa", "Hysterical", "Jester", "Junior", "Kathy", "Organ", "Pipe Organ", "Princess",
    "Ralph", "Reed", "Rocko", "Sandy", "Shelley", "Superstar", "Trinoids", "Whisper", "Wobble", "Zarvox",
}  # fmt: skip
"""Voices that sing, joke or are as robotic as espeak: taken by name, or where a language has no other."""


def obstacle() -> str | None:
    """Why ``say`` cannot be used, or None."""
    return None if shutil.which("say") else "the program say of macOS is not on the PATH"


def voices(context: Context) -> list[Voice]:
    """The installed voices, the best first. Siri's are not among them: ``say`` offers them to nobody by name."""
    listing = run_program([_program(), "-v", "?"], context).decode("utf-8", "replace")
    found: dict[str, Voice] = {}
    for line in listing.splitlines():
        if parts := VOICE_LINE.match(line):
            name = parts["name"]
            found.setdefault(name, Voice(name, parts["language"].replace("_", "-"), None))  # of two, say knows one
    return sorted(found.values(), key=lambda voice: _rank(voice.name))


def _rank(name: str) -> int:
    """0 for the best. Downloaded voices say so in their names."""
    base = name.partition(" (")[0]
    return 3 if base in ROBOTS else 0 if "(Premium)" in name else 1 if "(Enhanced)" in name else 2


def speak(input: Mapping[str, Any], voice: Voice, context: Context) -> Spoken:  # noqa: A002 - the wire's word
    """A WAV file without word times, which ``say`` does not tell."""
    text, wav = context.temporary("txt"), context.temporary("wav")
    text.write_text(unbracketed(input["text"]), encoding="utf-8")
    run_program(command(voice.name, round(STORY_RATE * input["speed"]), text, wav), context)
    return Spoken(wav, ())


def command(voice: str, words_per_minute: int, text: Path, wav: Path) -> list[str]:
    """The arguments that read a UTF-8 file into a WAV file, 16-bit little-endian."""
    audio = ["--file-format=WAVE", "--data-format=LEI16@22050"]
    return [_program(), "-v", voice, "-r", str(words_per_minute), "-o", str(wav), *audio, "-f", str(text)]


def unbracketed(text: str) -> str:
    """The text without the double brackets in which Apple's synthesizer looks for commands such as ``[[slnc 999]]``."""
    return text.replace("[[", "[ [").replace("]]", "] ]")


def _program() -> str:
    found = shutil.which("say")
    if found is None:
        raise WorkerError("engine_unavailable", f"The engine system cannot be used here: {obstacle()}.")
    return found
