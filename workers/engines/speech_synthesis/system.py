"""The voices of the operating system: ``say`` on macOS, System.Speech (SAPI) on Windows. Better than espeak's, offline.

Windows tells when its words sound; macOS does not, so ``words`` is null there and whoever needs times estimates them.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from engines.speech_synthesis import _sapi, _say, _word_times
from engines.speech_synthesis._system_voice import Spoken, Voice
from engines.speech_synthesis._wav import write_wav
from media.words import split_words
from runtime.context import Context
from runtime.errors import WorkerError

SYSTEMS = {"darwin": _say, "win32": _sapi}
SAMPLE_RATE = 22050
PREFERRED = {"en": "en-us", "zh": "zh-cn", "pt": "pt-br", "es": "es-es", "fr": "fr-fr", "de": "de-de", "no": "nb-no"}
"""The country whose voice is taken where the request names none and several are installed."""
FULL_SCALE = 32767


class Engine:
    """``synthesize``: text becomes a mono WAV. ``list_voices``: what is installed."""

    platform = sys.platform
    version = "1"
    requires: tuple[str, ...] = ()
    key_env: str | None = None
    remote = False
    ops: tuple[str, ...] = ("synthesize", "list_voices")
    capabilities = frozenset({"language", "speed", "sample_rate"})
    models: Mapping[str, Mapping[str, Any]] = {}
    options_schema: Mapping[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}

    def __init__(self) -> None:
        self._voices: list[Voice] = []

    @classmethod
    def obstacle(cls) -> str | None:
        """Why the engine cannot be used on this machine, or None."""
        system = SYSTEMS.get(cls.platform)
        return "it needs macOS or Windows" if system is None else system.obstacle()

    def load(self, model: Mapping[str, Any], options: Mapping[str, Any], context: Context) -> None:
        """Ask the system for its voices. Raises WorkerError ``engine_unavailable`` where it has none to offer."""
        why_not = self.obstacle()
        if why_not:
            raise WorkerError(
                "engine_unavailable",
                f"The engine system cannot be used here: {why_not}.",
                hint="Use the engine espeak, which is always there.",
            )
        self._voices = SYSTEMS[self.platform].voices(context)
        if not self._voices:
            raise WorkerError("engine_unavailable", "The system has no voices.", hint="Install one in its settings.")

    def run(self, op: str, input: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
        """Do one request.

        Raises WorkerError ``unsupported_capability`` for a language or voice that is not installed,
        ``invalid_request`` for text that gives no sound.
        """
        if op == "list_voices":
            return {"voices": [_described(voice) for voice in _fitting(self._voices, input["language"] or "")]}
        voice = _chosen(self._voices, input["voice"], input["language"])
        context.progress("run", 0, len(input["text"]), "characters")
        spoken = SYSTEMS[self.platform].speak(input, voice, context)
        context.progress("run", len(input["text"]), len(input["text"]), "characters")
        return {
            **_written(input["text"], spoken, input["sample_rate"] or SAMPLE_RATE, context),
            "language": voice.language,
            "voice": voice.name,
        }

    def unload(self) -> None:
        """Nothing is kept but the list of voices."""


def _written(text: str, spoken: Spoken, sample_rate: int, context: Context) -> dict[str, Any]:
    """The published WAV, and the words' times where the system told some."""
    pcm = b"".join(_samples(spoken.wav, sample_rate))
    runs = _word_times.sounding(pcm, sample_rate)
    if not runs:
        raise WorkerError(
            "invalid_request",
            f"The text gives no sound: {text[:60]!r}.",
            pointer="/input/text",
            hint="Give text with letters or digits of the chosen language.",
        )
    path = context.temporary("wav")
    duration_s = round(write_wav(path, [pcm], sample_rate) / sample_rate, 6)
    audio = context.publish(path, "audio/wav", duration_s=duration_s, sample_rate=sample_rate, channels=1)
    if not spoken.anchors:
        return {"audio": audio, "words": None}
    words = split_words(text)
    times = _word_times.timed(words, spoken.anchors, runs)
    return {
        "audio": audio,
        "words": [
            {"word": word.text, "start_s": round(start, 6), "end_s": min(round(end, 6), duration_s)}
            for word, (start, end) in zip(words, times, strict=True)
        ],
    }


def _samples(wav: Path, sample_rate: int) -> Iterator[bytes]:
    """The sound as 16-bit mono at another rate."""
    import numpy as np

    from media.source import pcm_blocks

    for block in pcm_blocks(wav, sample_rate=sample_rate, channels=1):
        yield (np.clip(np.frombuffer(block, np.float32), -1, 1) * FULL_SCALE).round().astype("<i2").tobytes()


def _chosen(voices: list[Voice], wanted: str | None, language: str) -> Voice:
    """The voice asked for by name; without one the language's best."""
    if wanted is not None:
        names = {voice.name.lower(): voice for voice in reversed(voices)}
        if wanted.lower() not in names:
            near = difflib.get_close_matches(wanted.lower(), names, n=5, cutoff=0.5)
            raise _missing("voice", wanted, [names[name].name for name in near], "/input/voice")
        return names[wanted.lower()]
    tag = language.lower()
    exact = [voice for voice in voices if voice.language.lower() == PREFERRED.get(tag, tag)]
    fitting = exact or _fitting(voices, language)
    if not fitting:
        raise _missing("voice for the language", language, [], "/input/language")
    return fitting[0]


def _fitting(voices: list[Voice], language: str) -> list[Voice]:
    """The voices of a language tag, which is shortened from the right until some are (RFC 4647, lookup)."""
    tag, fitting = language.lower(), voices
    while tag:
        fitting = [voice for voice in voices if f"{voice.language.lower()}-".startswith(f"{tag}-")]
        tag = "" if fitting else tag.rpartition("-")[0]
    return fitting


def _missing(kind: str, wanted: str, near: list[str], pointer: str) -> WorkerError:
    hint = f"Near it: {', '.join(near)}. " if near else "Install one in the system's settings, or use engine espeak. "
    return WorkerError(
        "unsupported_capability",
        f"This system has no {kind} {wanted!r}.",
        pointer=pointer,
        hint=f"{hint}list_voices lists all.",
    )


def _described(voice: Voice) -> dict[str, Any]:
    return {"id": voice.name, "name": voice.name, "language": voice.language, "gender": voice.gender}
