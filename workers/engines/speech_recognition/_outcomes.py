"""What becomes of a transcript, whichever engine heard it: the output of each operation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engines.speech_recognition._words import Transcript
from media.tracks import Sound
from runtime.context import Context


def transcription(
    wanted: Mapping[str, Any],
    transcript: Transcript,
    sound: Sound,
    context: Context,
    *,
    language: str | None,
    confidence: float | None,
    duration_s: float,
    silence: str | None = None,
) -> dict[str, Any]:
    """The output of transcribe. ``language`` is the BCP 47 tag of what was detected.

    Warns ``no_speech``, in the words of ``silence`` where an engine knows more about it.
    """
    if not transcript.segments:
        context.warn("no_speech", silence or f"Nobody speaks in {sound.path}.")
    if wanted.get("language"):
        language, confidence = wanted["language"], 1.0
    return {
        "text": transcript.text,
        "language": language,
        "language_confidence": confidence,
        "duration_s": round(duration_s, 3),
        "segments": transcript.segments,
    }


def outcome(
    op: str,
    wanted: Mapping[str, Any],
    output: dict[str, Any],
    transcript: Transcript,
    sound: Sound,
    context: Context,
) -> dict[str, Any]:
    """The output of transcribe, subtitle or align, from that of transcribe."""
    if op == "subtitle":
        return {**_captioned(wanted, output, transcript, context), **output}
    return _aligned(wanted, output, transcript, sound, context) if op == "align" else output


def _captioned(
    wanted: Mapping[str, Any], output: Mapping[str, Any], transcript: Transcript, context: Context
) -> dict[str, Any]:
    """Caption files of what was heard."""
    from media.captions import captions

    words = [{key: word[key] for key in ("word", "start_s", "end_s")} for word in transcript.words]
    language = "en" if wanted["task"] == "translate" else output["language"] or "en"
    return captions({**wanted, "words": words, "language": language, "duration_s": output["duration_s"]}, context)


def _aligned(
    wanted: Mapping[str, Any], output: Mapping[str, Any], transcript: Transcript, sound: Sound, context: Context
) -> dict[str, Any]:
    """The words of a known script at the times of what was heard."""
    from media.alignment import aligned, described
    from media.sounding import stretches
    from media.words import split_words

    script = [word.text for word in split_words(wanted["text"])]
    language = wanted.get("language") or output["language"] or "en"
    loud = [(start + sound.late_s, end + sound.late_s) for start, end in stretches(sound.path)]
    heard_s, check = output["duration_s"], context.check
    found = aligned(script, transcript.words, language=language, duration_s=heard_s, sounding=loud, check=check)
    return described(found, context)
