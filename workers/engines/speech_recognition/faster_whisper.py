"""Whisper by faster-whisper: words and their times in a hundred languages, on a GPU or a CPU, without torch.

A recording of any length is heard in pieces of five minutes, so memory stays flat; segments are sent as they are known.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from engines.speech_recognition._languages import tag_of
from engines.speech_recognition._words import IDEOGRAPH, UNSPACED, Transcript
from runtime.context import Context

if TYPE_CHECKING:
    import numpy as np

    from engines.speech_recognition._whisper import Whisper
    from media.tracks import Sound

DEFAULT_MODEL = "Systran/faster-whisper-large-v3"
HOW = ("task", "beam_size", "vad_filter", "initial_prompt", "hotwords")
"""Fields of the operations that the library takes by the same names."""
LISTEN_S = 30
"""Languages are told apart in so much speech."""


class Engine:
    """``transcribe``, ``subtitle``, ``align`` and ``detect_language`` with any Whisper that CTranslate2 runs."""

    version = "2"
    requires: tuple[str, ...] = ("faster_whisper", "av", "numpy")
    key_env: str | None = None
    remote = False
    ops: tuple[str, ...] = ("transcribe", "subtitle", "align", "detect_language")
    capabilities = frozenset({"batch", "device", "hotwords", "initial_prompt", "model", "translate", "word_timestamps"})
    models: Mapping[str, Mapping[str, Any]] = {
        DEFAULT_MODEL: {"defaults": {}, "alias": "large-v3"},
        "mobiuslabsgmbh/faster-whisper-large-v3-turbo": {"defaults": {}, "alias": "turbo"},
        "Systran/faster-whisper-small": {"defaults": {}, "alias": "small"},
        "Systran/faster-whisper-tiny": {"defaults": {}, "alias": "tiny"},
    }
    options_schema: Mapping[str, Any] = {
        "type": "object",
        "properties": {
            "compute_type": {
                "enum": ["auto", "float16", "int8", "int8_float16", "float32", "int8_float32", "bfloat16",
                         "int8_bfloat16"],
                "default": "auto",
                "description": "Number format of the weights and, after the underscore, of the rest, as CTranslate2 "
                "names them. auto: float16 on a GPU, int8 on a CPU.",
            },
        },
        "additionalProperties": False,
    }  # fmt: skip

    def load(self, model: Mapping[str, Any], options: Mapping[str, Any], context: Context) -> None:
        """Open the model. Raises WorkerError ``model_not_found``, ``device_unavailable`` and others."""
        self._wanted, self._options = {**model, "id": model["id"] or DEFAULT_MODEL}, options
        self._opened: tuple[str, Whisper] | None = None
        self._whisper(context)

    def _whisper(self, context: Context) -> Whisper:
        """The model in the number format that this request asks for; its facts go into the result."""
        compute_type = context.engine_options.get("compute_type", "auto")  # the control line load has no options
        if self._opened is None or self._opened[0] != compute_type:
            self._opened = None  # two do not fit
            began = time.monotonic()
            from engines.speech_recognition import _whisper

            context.import_s += time.monotonic() - began
            self._opened = compute_type, _whisper.open_model(self._wanted, self._options, compute_type, context)
        from engines.speech_recognition._whisper import facts

        whisper = self._opened[1]
        whisper.on_window = context.check
        context.chosen |= facts(whisper, self._wanted["id"])
        return whisper

    def run(self, op: str, input: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
        """Do one request.

        Raises WorkerError ``input_unreadable`` for a file without sound, ``unsupported_capability`` for a language or a
        task that the model has not, ``out_of_memory``. Warns ``no_speech``, ``audio_truncated``.
        """
        from engines.speech_recognition._outcomes import outcome
        from engines.speech_recognition._whisper import library_errors
        from media.tracks import look, warn_if_truncated

        whisper = self._whisper(context)
        sound = look(input["audio"], "/input/audio").heard()
        warn_if_truncated(sound, context)
        with library_errors():
            if op == "detect_language":
                return self._language(whisper, sound, context)
            heard, transcript = self._transcribed(whisper, sound, op, input, context)
        return outcome(op, input, heard, transcript, sound, context)

    def _transcribed(
        self, whisper: Whisper, sound: Sound, op: str, wanted: Mapping[str, Any], context: Context
    ) -> tuple[dict[str, Any], Transcript]:
        """The output of transcribe, and where it came from; segments are sent as they are known."""
        from engines.speech_recognition._audio import RATE, pieces
        from engines.speech_recognition._outcomes import transcription

        how, language = self._how(whisper, op, wanted, context)
        transcript = Transcript(timed_words=how["word_timestamps"], apart=UNSPACED if op == "align" else IDEOGRAPH)
        total_s, end_s, spoken, sure = round(sound.end_s, 3), 0.0, language, 1.0
        for start_s, samples in pieces(sound, context.check):
            end_s = start_s + len(samples) / RATE
            segments, info = _recognised(
                whisper, samples, language=spoken, batch_size=wanted.get("batch_size", 1), **how
            )
            for said in segments:
                if segment := transcript.add(said, offset_s=start_s, end_s=end_s):
                    context.delta("segment", segment)
                    context.progress("run", min(segment["end_s"], total_s), total_s, "seconds")
            if spoken is None and transcript.segments:
                spoken, sure = info.language, float(info.language_probability)
        context.progress("run", total_s, total_s, "seconds")
        tag, sure = (tag_of(spoken), round(sure, 4)) if spoken else (None, 0.0)
        output = transcription(wanted, transcript, sound, context, language=tag, confidence=sure, duration_s=end_s)
        return output, transcript

    def _how(
        self, whisper: Whisper, op: str, wanted: Mapping[str, Any], context: Context
    ) -> tuple[dict[str, Any], str | None]:
        """(what the library is told, Whisper's code of the language or None)."""
        from engines.speech_recognition._whisper import language_code
        from runtime.errors import WorkerError

        name = self._wanted["id"]
        language = language_code(whisper, wanted["language"], name) if wanted.get("language") else None
        if wanted.get("task") == "translate" and not whisper.model.is_multilingual:
            raise WorkerError(
                "unsupported_capability",
                f"The model {name} knows English only and cannot translate.",
                pointer="/input/task",
                hint="Take a multilingual model, such as large-v3.",
            )
        if wanted.get("batch_size", 1) > 1 and not wanted["vad_filter"]:
            context.warn("not_batched", "batch_size counts only with vad_filter, which finds the pauses to divide at.")
        how = {field: wanted[field] for field in HOW if field in wanted}
        return {**how, "word_timestamps": wanted.get("word_timestamps", True)}, language

    def _language(self, whisper: Whisper, sound: Sound, context: Context) -> dict[str, Any]:
        """The output of detect_language, from the first half minute of speech."""
        from engines.speech_recognition._audio import pieces
        from runtime.errors import WorkerError

        if not whisper.model.is_multilingual:
            raise WorkerError(
                "unsupported_capability",
                f"The model {self._wanted['id']} knows English only and cannot tell languages apart.",
                pointer="/model/id",
                hint="Take a multilingual model, such as large-v3.",
            )
        for _, samples in pieces(sound, context.check):
            speech = _speech(samples)
            if not len(speech):
                continue
            _, _, scores = whisper.detect_language(speech)
            alternatives = {tag_of(code) or code: round(float(score), 6) for code, score in scores}
            best = max(alternatives, key=lambda tag: alternatives[tag])
            return {"language": best, "confidence": alternatives[best], "alternatives": alternatives}
        context.warn("no_speech", f"Nobody speaks in {sound.path}.")
        return {"language": None, "confidence": 0.0, "alternatives": {}}

    def unload(self) -> None:
        """Drop the model."""
        self._opened = None


def _recognised(
    whisper: Whisper, samples: np.ndarray, *, batch_size: int, vad_filter: bool, **how: Any
) -> tuple[Iterator[Any], Any]:
    """(the library's segments, computed as they are taken; what it says of the whole)."""
    import ctranslate2
    import faster_whisper

    ctranslate2.set_random_seed(0)  # where it is unsure it draws lots: always the same
    if batch_size > 1 and vad_filter:
        batched = faster_whisper.BatchedInferencePipeline(whisper)
        return batched.transcribe(samples, batch_size=batch_size, vad_filter=True, **how)
    return whisper.transcribe(samples, vad_filter=vad_filter, **how)


def _speech(samples: np.ndarray) -> np.ndarray:
    """The first half minute in which a voice is heard, without what lies between."""
    import numpy as np
    from faster_whisper.vad import get_speech_timestamps

    from engines.speech_recognition._audio import RATE

    spans = [samples[span["start"] : span["end"]] for span in get_speech_timestamps(samples)]
    return np.concatenate([samples[:0], *spans])[: LISTEN_S * RATE]
