"""Windows: the desktop voices of System.Speech, through a script that Windows PowerShell runs."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

from engines.speech_synthesis._system_voice import Spoken, Voice, run_program
from engines.speech_synthesis._word_times import Anchor
from runtime.context import Context
from runtime.errors import WorkerError

SCRIPT = Path(__file__).with_name("_sapi.ps1")
FASTEST = 10
"""The ends of SAPI's scale of rates; they stand for three times as fast and a third as fast."""


def obstacle() -> str | None:
    """Why System.Speech cannot be used, or None."""
    return None if _program().is_file() else f"Windows PowerShell is not at {_program()}"


def voices(context: Context) -> list[Voice]:
    """The installed and enabled voices, the system's default first."""
    return [
        Voice(voice["name"], voice["language"], voice["gender"].lower())
        for voice in _answer({"op": "list_voices"}, context)["voices"]
    ]


def speak(input: Mapping[str, Any], voice: Voice, context: Context) -> Spoken:  # noqa: A002 - the wire's word
    """A WAV file and where each of its words begins."""
    wav = context.temporary("wav")
    request = {"op": "synthesize", "text": input["text"], "voice": voice.name, "rate": rate(input["speed"])}
    answer = _answer({**request, "wav": str(wav)}, context)
    return Spoken(wav, tuple(anchors(input["text"], answer["events"])))


def rate(speed: float) -> int:
    """SAPI's whole-numbered rate for a factor on the speed.

    >>> [rate(speed) for speed in (0.5, 1.0, 2.0)]
    [-6, 0, 6]
    """
    return max(-FASTEST, min(FASTEST, round(FASTEST * math.log(speed, 3))))


def anchors(text: str, events: Iterable[Mapping[str, Any]]) -> Iterator[Anchor]:
    """The SpeakProgress events {position, time_s}; .NET counts UTF-16 units, of which an emoji has two."""
    places = [0, *accumulate(2 if ord(character) > 0xFFFF else 1 for character in text)]
    characters = {units: index for index, units in enumerate(places)}
    for event in events:
        place = characters.get(event["position"])
        if place is not None:
            yield Anchor(place, event["time_s"], weak=False)


def _answer(request: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """What the script writes for a request; both are JSON files, so that no text is ever part of a command."""
    asked, answered = context.temporary("json"), context.temporary("json")
    asked.write_text(json.dumps({**request, "answer": str(answered)}), encoding="utf-8")
    options = ["-NoLogo", "-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass"]
    run_program([str(_program()), *options, "-File", str(SCRIPT), "-Request", str(asked)], context)
    try:
        answer: dict[str, Any] = json.loads(answered.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WorkerError("internal_error", f"Windows PowerShell left no answer: {error}.") from error
    return answer


def _program() -> Path:
    """Windows PowerShell by its full path, for Windows would look for the name in the current folder first."""
    return Path(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "WindowsPowerShell", "v1.0", "powershell.exe")
