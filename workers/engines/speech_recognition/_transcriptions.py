"""OpenAI's audio transcriptions API: what its models take, one request, and what they answer.

https://developers.openai.com/api/docs/guides/speech-to-text and …/api/reference/resources/audio. Of OpenAI's own models
only whisper-1 times words and translates, until it is shut down on 2027-02-26 (…/api/docs/deprecations).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from engines.speech_recognition._words import Said, SaidWord
from providers.faults import Broken
from providers.openai import Client
from runtime.errors import WorkerError


@dataclass(frozen=True)
class Abilities:
    """What a model does. Without ``times`` it answers plain text, without ``language`` it does not say which it is."""

    times: bool = True
    translate: bool = True
    keywords: bool = False
    language: bool = True


ABILITIES: tuple[tuple[str, Abilities], ...] = (
    (r"gpt-transcribe", Abilities(times=False, translate=False, keywords=True)),
    (r"gpt-.*transcribe", Abilities(times=False, translate=False, language=False)),
)
"""Beginnings of model ids, behind a vendor such as ``openai/``; the first that fits counts. All others are Whisper."""


def abilities(model: str) -> Abilities:
    """What is known of a model by its id.

    >>> abilities("openai/gpt-4o-transcribe").times, abilities("Systran/faster-whisper-small").times
    (False, True)
    """
    name = model.rsplit("/", 1)[-1].lower()
    return next((found for pattern, found in ABILITIES if re.match(pattern, name)), Abilities())


def refuse(op: str, wanted: Mapping[str, Any], model: str, times: bool) -> None:
    """Raise WorkerError ``unsupported_capability`` for what this model cannot do, before anything is sent or paid."""
    able, translate = abilities(model), wanted.get("task") == "translate"
    may_go_without = "word_timestamps" in wanted
    field = "/input/word_timestamps" if may_go_without else "/model/id"
    take = "Set word_timestamps to false, or take" if may_go_without else "Take"
    refused: tuple[str, str, str] | None = None
    if translate and not able.translate:
        refused = "does not translate", "/input/task", "Take whisper-1, or the engine faster_whisper."
    elif op == "detect_language" and not able.language:
        refused = "does not say which language it hears", "/model/id", "Take gpt-transcribe or whisper-1."
    elif times and translate:
        refused = "times no words of a translation", field, f"{take} the engine faster_whisper."
    elif times and not able.times:
        hint = f"{take} whisper-1, a server with another Whisper, or the engine faster_whisper."
        refused = "gives no times of words", field, hint
    elif wanted.get("hotwords") and not able.keywords:
        refused = "takes no hotwords", "/input/hotwords", "Put them into initial_prompt, or take gpt-transcribe."
    if refused:
        what, pointer, hint = refused
        raise WorkerError("unsupported_capability", f"The model {model} {what}.", pointer=pointer, hint=hint)


@dataclass(frozen=True)
class Answer:
    """What one request brought. ``segments`` and ``words`` are the service's own rows, times from the piece's start."""

    text: str
    language: str | None
    """A code or an English name, as the service says it."""
    segments: Sequence[Mapping[str, Any]]
    words: Sequence[Mapping[str, Any]]
    usage: Mapping[str, Any]


def ask(client: Client, body: Mapping[str, Any], on_text: Callable[[str], None], translate: bool) -> Answer:
    """Send one request. ``on_text`` gets the text of a stream as it comes. Raises Broken and what the SDK raises."""
    audio = client.sdk.audio
    if body.get("stream"):
        return _read(_streamed(audio.transcriptions.create(**body), on_text))
    return _read(_plain((audio.translations if translate else audio.transcriptions).create(**body)))


def request_body(
    model: str, flac: bytes, wanted: Mapping[str, Any], *, language: str | None, times: bool, stream: bool
) -> dict[str, Any]:
    """The fields of a transcription or translation, as far as this model takes them."""
    able = abilities(model)
    body: dict[str, Any] = {"model": model, "file": ("audio.flac", flac, "audio/flac")}
    body["response_format"] = "verbose_json" if able.times else "json"
    if times:
        body["timestamp_granularities"] = ["word", "segment"]
    if language and wanted.get("task") != "translate":
        body["language"] = language
    if wanted.get("initial_prompt"):
        body["prompt"] = wanted["initial_prompt"]
    if wanted.get("hotwords"):
        body["keywords"] = wanted["hotwords"].split()
    return body | ({"stream": True} if stream and not able.times else {})


def _plain(answer: Any) -> Any:
    """An answer as the JSON it came as; the SDK checks no types, and hands over what is no object as it is."""
    return answer.to_dict(warnings=False) if hasattr(answer, "to_dict") else answer


def _streamed(stream: Any, on_text: Callable[[str], None]) -> Any:
    """The last event of a stream, which is what an answer without one would be."""
    length = 0
    with stream:
        for event in stream:
            kind = getattr(event, "type", None)
            if kind == "transcript.text.delta" and isinstance(event.delta, str):
                length += len(event.delta)
                on_text(event.delta)
            elif kind == "transcript.text.done":
                return _plain(event)
    raise Broken(f"the stream ended after {length} characters, before the answer did")


def _read(answer: Any) -> Answer:
    """Raises Broken for what has not the shape of the API."""
    if not isinstance(answer, Mapping) or not isinstance(answer.get("text"), str):
        raise Broken(f"an answer has no text: {json.dumps(answer)[:200]}")
    segments = _rows(answer, "segments", "text")
    # Some servers put the words into their segments.
    words = _rows(answer, "words", "word") or [word for row in segments for word in _rows(row, "words", "word")]
    language = answer.get("language")
    codes = [row.get("code") for row in answer.get("languages") or () if isinstance(row, Mapping)]
    usage = answer.get("usage")
    return Answer(
        answer["text"],
        next((said for said in (language, *codes) if isinstance(said, str)), None),
        segments,
        words,
        usage if isinstance(usage, Mapping) else {},
    )


def _rows(answer: Mapping[str, Any], name: str, text: str) -> list[Mapping[str, Any]]:
    rows = answer.get(name) or []
    if not isinstance(rows, list):
        raise Broken(f"{name} is not a list")
    for row in rows:
        times = (row.get("start"), row.get("end")) if isinstance(row, Mapping) else (None, None)
        if not (isinstance(row, Mapping) and isinstance(row.get(text), str) and all(map(_is_time, times))):
            raise Broken(f"one of its {name} has not the shape of the API: {json.dumps(row)[:200]}")
    return rows


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def segments_of(
    answer: Answer, *, language: str, length_s: float, timed: bool, raw: bool, check: Callable[[], None] = lambda: None
) -> list[Said]:
    """The segments of an answer about ``length_s`` of sound; one, over all of it, where the service divides nothing.

    ``timed``: with words, which are those of the text, with its punctuation, on the times of the service's bare ones;
    ``raw``: with the service's own instead. Raises WorkerError ``unsupported_capability`` where it timed no words.
    """
    from media.alignment import aligned
    from media.words import split_words

    if not answer.text.strip():
        return []
    rows = answer.segments or [{"start": 0.0, "end": length_s, "text": answer.text}]
    if not timed:
        return [Said(row["start"], row["end"], row["text"], _logprob(row)) for row in rows]
    if not answer.words:
        raise WorkerError(
            "unsupported_capability",
            "The service answered without the times of words, which this request needs.",
            pointer="/model/id",
            hint="Take a model or a server that heeds timestamp_granularities, or the engine faster_whisper.",
        )
    if raw:
        own = [SaidWord(f" {row['word'].strip()}", row["start"], row["end"]) for row in answer.words]
        return [Said(own[0].start, own[-1].end, answer.text, None, own)]
    texts = [[word.text for word in split_words(row["text"])] for row in rows]
    bare = [{"word": row["word"], "start_s": row["start"], "end_s": row["end"]} for row in answer.words]
    script = [word for text in texts for word in text]
    placed = iter(aligned(script, bare, language=language, duration_s=length_s, check=check).words)
    own_words = [[SaidWord(f" {w.word}", w.start_s, w.end_s) for w in islice(placed, len(text))] for text in texts]
    return [
        Said(words[0].start, words[-1].end, row["text"], _logprob(row), words)
        for row, words in zip(rows, own_words, strict=True)
        if words
    ]


def _logprob(row: Mapping[str, Any]) -> float | None:
    value = row.get("avg_logprob")
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
