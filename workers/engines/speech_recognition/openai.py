"""Recognisers behind OpenAI's audio transcriptions API: OpenAI, OpenRouter, Together, any server that speaks it.

A recording of any length is sent in pieces of five minutes, each once: that keeps below the API's 25 MB and its models'
2,000 tokens of answer, and segments come as each piece is heard. Silent pieces are not sent.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from engines.speech_recognition import _transcriptions
from engines.speech_recognition._languages import code_of, tag_of
from engines.speech_recognition._words import IDEOGRAPH, UNSPACED, Transcript
from providers import faults, wishes
from providers import openai as services
from runtime.context import Context

if TYPE_CHECKING:
    import numpy as np

    from media.tracks import Sound

WITH_TIMES, FOR_TEXT = "whisper-1", "gpt-transcribe"
"""The models of OpenAI's own: the one that times words and translates, and the one that lasts and costs less."""
LISTEN_S = 30
"""Languages are told apart in so much sound."""
SHORTEST_S = 0.1
"""The API refuses less."""
TOO_LARGE = (
    "A piece of five minutes is at most 9.6 MB: the server, or a proxy before it, must take requests that large."
)


class Engine:
    """``transcribe``, ``subtitle``, ``align`` and ``detect_language``. Which key is needed depends on the preset."""

    version = "1"
    requires: tuple[str, ...] = ("openai", "av", "numpy")
    key_env: str | None = None
    option_keys = services.OPTION_KEYS
    remote = True
    ops: tuple[str, ...] = ("transcribe", "subtitle", "align", "detect_language")
    capabilities = frozenset({"hotwords", "initial_prompt", "model", "translate", "word_timestamps"})
    models: Mapping[str, Mapping[str, Any]] = {
        WITH_TIMES: {"word_timestamps": True, "translate": True, "hotwords": False, "until": "2027-02-26"},
        FOR_TEXT: {"word_timestamps": False, "translate": False, "hotwords": True},
        "gpt-4o-transcribe": {"word_timestamps": False, "translate": False, "hotwords": False, "until": "2027-02-26"},
        "gpt-4o-mini-transcribe": {
            "word_timestamps": False, "translate": False, "hotwords": False, "until": "2027-02-26",
        },
    }  # fmt: skip
    options_schema: Mapping[str, Any] = {
        "type": "object",
        "properties": {**services.OPTIONS},
        "additionalProperties": False,
    }

    def __init__(self) -> None:
        self._clients = services.Clients()
        self._model: str | None = None

    def load(self, model: Mapping[str, Any], options: Mapping[str, Any], context: Context) -> None:
        """Import the SDK; the service is known when a request comes."""
        wishes.refuse_local(model)
        self._model = model.get("id")
        began = time.monotonic()
        import openai  # noqa: F401 - the import is what takes time

        context.import_s = time.monotonic() - began

    def run(self, op: str, input: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
        """Do one request; each piece of five minutes that sounds is sent once.

        Raises WorkerError ``input_unreadable`` for a file without sound, ``unsupported_capability`` for what the model
        cannot do, and what ``providers.faults`` makes of the service's answers. Warns ``no_speech``,
        ``audio_truncated``, ``not_sent``.
        """
        from engines.speech_recognition._outcomes import outcome
        from media.tracks import look, warn_if_truncated

        times = op in {"align", "subtitle"} or bool(input.get("word_timestamps"))
        default = WITH_TIMES if times or input.get("task") == "translate" else FOR_TEXT
        model = services.named(self._model, context.engine_options["preset"], default)
        _transcriptions.refuse(op, input, model, times)
        asking = _Asking(self._clients.of(context), model, op, input, times, context)
        sound = look(input["audio"], "/input/audio").heard()
        warn_if_truncated(sound, context)
        context.chosen |= {"id": model, "preset": context.engine_options["preset"], "device": "remote"}
        if op == "detect_language":
            return asking.language(sound)
        output, transcript = asking.transcript(sound)
        return outcome(op, input, output, transcript, sound, context)

    def unload(self) -> None:
        """Close the connections."""
        self._clients.close()


class _Asking:
    """The requests to a service that one request of ours takes."""

    def __init__(
        self, client: services.Client, model: str, op: str, wanted: Mapping[str, Any], times: bool, context: Context
    ) -> None:
        self._client, self._model, self._op, self._wanted = client, model, op, wanted
        self._times, self._context = times, context
        self._service = dataclasses.replace(client.service(model), if_too_long=TOO_LARGE)
        self._translate = wanted.get("task") == "translate"
        self._usage: dict[str, Any] = {"requests": 0, "seconds": 0.0}
        unsent = wishes.differing("speech_recognition", op, wanted, ("beam_size", *["language"] * self._translate))
        if unsent:
            context.warn("not_sent", f"{client.preset.name}'s API has no field for {', '.join(unsent)}: not sent.")

    def transcript(self, sound: Sound) -> tuple[dict[str, Any], Transcript]:
        """The output of transcribe, and where it came from; segments are sent as they are known."""
        from engines.speech_recognition._audio import RATE, pieces
        from engines.speech_recognition._outcomes import transcription

        raw, context = self._op == "align", self._context
        transcript = Transcript(timed_words=self._times, apart=UNSPACED if raw else IDEOGRAPH)
        language: str | None = self._wanted.get("language")
        # As Whisper does by itself within a file, it keeps to the language of the first speech; others follow a change.
        found, whisper = language, _transcriptions.abilities(self._model).times
        total_s, end_s = round(sound.end_s, 3), 0.0
        for start_s, samples in pieces(sound, context.check):
            length_s = len(samples) / RATE
            end_s = start_s + length_s
            if _sounds(samples):
                answer = self._heard(samples, found if whisper else language, gap=" " if transcript.text else "")
                if answer.text.strip():
                    found = found or tag_of(answer.language or "")
                for said in _transcriptions.segments_of(
                    answer, language=found or "en", length_s=length_s, timed=self._times, raw=raw, check=context.check
                ):
                    if segment := transcript.add(said, offset_s=start_s, end_s=end_s):
                        context.delta("segment", segment)
            context.progress("run", min(round(end_s, 3), total_s), total_s, "seconds")
        output = transcription(
            self._wanted,
            transcript,
            sound,
            context,
            duration_s=end_s,
            confidence=None,
            language=None if self._translate or not transcript.segments else found,
            silence=self._silence(sound),
        )
        return output, transcript

    def language(self, sound: Sound) -> dict[str, Any]:
        """The output of detect_language, from the first half minute that sounds. The API gives no scores."""
        from engines.speech_recognition._audio import RATE, loud_from, pieces

        for _, samples in pieces(sound, self._context.check):
            if _sounds(samples):
                begin = min(loud_from(samples) or 0, max(0, len(samples) - RATE))
                answer = self._heard(samples[begin : begin + LISTEN_S * RATE], None)
                found = tag_of(answer.language or "") if answer.text.strip() else None
                if found:
                    return {"language": found, "confidence": None, "alternatives": {}}
        self._context.warn("no_speech", self._silence(sound) or f"No language was recognised in {sound.path}.")
        return {"language": None, "confidence": None, "alternatives": {}}

    def _silence(self, sound: Sound) -> str | None:
        """What to say where nothing was sent."""
        from media.sounding import SILENT_DB

        if self._usage["requests"]:
            return None
        return f"{sound.path} is silent: nothing in it is louder than {SILENT_DB:g} dB of full scale. Nothing was sent."

    def _heard(self, samples: np.ndarray, language: str | None, gap: str = "") -> _transcriptions.Answer:
        """Send one piece. ``gap`` goes before its text where that is streamed."""
        from engines.speech_recognition._audio import RATE, flac

        waiting = gap

        def on_text(text: str) -> None:
            nonlocal waiting
            self._context.delta("text", text if text[:1].isspace() or UNSPACED.match(text) else waiting + text)
            waiting = ""

        body = _transcriptions.request_body(
            self._model, flac(samples), self._wanted,
            language=code_of(language) if language else None, times=self._times,
            stream=self._client.preset is services.PRESETS["openai"] and self._op == "transcribe",
        )  # fmt: skip
        self._usage["requests"] += 1
        with faults.of(self._service), self._client.connection.during(self._context):
            answer = _transcriptions.ask(self._client, body, on_text, self._translate)
        self._count(answer.usage, len(samples) / RATE)
        return answer

    def _count(self, usage: Mapping[str, Any], sent_s: float) -> None:
        """Add up what the service says it counted; seconds sent where it says nothing of them."""
        seconds = usage.get("seconds")
        self._usage["seconds"] += round(seconds if isinstance(seconds, int | float) else sent_s, 3)
        for name, ours in (("input_tokens", "prompt"), ("output_tokens", "completion"), ("total_tokens", "total")):
            if isinstance(usage.get(name), int):
                self._usage[ours] = self._usage.get(ours, 0) + usage[name]
        self._context.usage = self._usage


def _sounds(samples: np.ndarray) -> bool:
    """Whether there is anything to hear: what is silent, or shorter than the API takes, is not paid for."""
    from engines.speech_recognition._audio import RATE, loud_from

    return len(samples) >= SHORTEST_S * RATE and loud_from(samples) is not None
