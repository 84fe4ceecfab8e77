"""espeak-ng: speech offline, without a model, in over a hundred languages, with the time of every word.

It sounds like a robot, but it is instant (a few milliseconds for a second of speech) and always there, which is what a
draft needs. espeak-ng is under the GPL: it stays behind this worker's process border.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from engines.speech_synthesis import _pauses, _word_times
from engines.speech_synthesis._reading import Reading, reading
from engines.speech_synthesis._scripts import unread
from engines.speech_synthesis._wav import write_wav
from media.words import split_words
from runtime.context import Context
from runtime.errors import WorkerError

if TYPE_CHECKING:
    from engines.speech_synthesis._espeak_library import Library, Speech, Voice

STORY_RATE = 140
"""espeak's nominal rate at which a story takes 150 English words a minute, the pauses of the narration included.
Measured on examples/crow.md (149 words a minute), the openings of A Christmas Carol (141) and of the Gettysburg Address
(155); espeak's default is 175."""
PACE = {"cmn": 1.65, "fi": 1.25, "hi": 1.3, "hu": 1.3, "ko": 1.35, "nl": 1.2, "pl": 1.2, "tr": 1.25, "uk": 1.45}
"""Factor on that rate for the voices that are slower, so that the same story takes about as long in every language.
Measured on article 1 of the Universal Declaration of Human Rights in 21 languages; those within 15 % of English are
left alone. Chinese is faster than that text asks for: 240 to 260 characters a minute is how stories are told."""
GAP_STEP = 5
"""Below espeak's slowest rate, a word gap of one for every so many words a minute that are missing. Measured on the
same texts: speed 0.5 doubles the time to within 3 %."""
PREFERRED = {"en": "en-us"}
"""Where espeak ranks another voice first (here the British one) than most listeners expect."""
MOST_UNREAD = {"ja": 0.0}
"""Share of letters that may be named instead of read, else a half: a Japanese text with kanji cannot be followed."""


class Engine:
    """``synthesize``: text becomes a mono WAV and its timed words. ``list_voices``: what can be asked for."""

    version = "3"
    requires: tuple[str, ...] = ("espeakng_loader",)
    key_env: str | None = None
    remote = False
    ops: tuple[str, ...] = ("synthesize", "list_voices")
    capabilities = frozenset({"word_times", "language", "speed", "sample_rate"})
    models: Mapping[str, Mapping[str, Any]] = {}
    options_schema: Mapping[str, Any] = {
        "type": "object",
        "properties": {
            "pitch": {
                "type": "integer", "minimum": 0, "maximum": 100, "default": 50,
                "description": "Height of the voice, 0 to 100 without unit; 50 is the voice's own.",
            },
            "pitch_range": {
                "type": "integer", "minimum": 0, "maximum": 100, "default": 50,
                "description": "How far the pitch moves within a sentence, 0 (monotone) to 100 without unit.",
            },
            "word_gap": {
                "type": "integer", "minimum": 0, "maximum": 50, "default": 0,
                "description": "Extra pause between words, in units of 10 ms at speed 1.25 and longer when slower.",
            },
        },
        "additionalProperties": False,
    }  # fmt: skip

    def load(self, model: Mapping[str, Any], options: Mapping[str, Any], context: Context) -> None:
        """Find out whether the library opens and has voices. Raises WorkerError ``engine_unavailable``."""
        from engines.speech_synthesis._espeak_library import open_library

        with open_library():
            pass

    def run(self, op: str, input: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
        """Do one request.

        Raises WorkerError ``unsupported_capability`` for a language or voice that espeak has not or a text in letters
        that the voice cannot read, ``invalid_request`` for text that gives no sound.
        """
        from engines.speech_synthesis._espeak_library import open_library

        context.check()
        with open_library() as library:
            if op == "list_voices":
                return _list_voices(library, input["language"])
            voice, variant = _chosen(library, input["voice"], input["language"])
            name = f"{voice.id}+{variant}" if variant else voice.id
            primary = voice.languages[0][0].partition("-")[0]
            _expect_readable(input["text"], primary, context)
            library.set_voice(name)
            _set_parameters(library, PACE.get(primary, 1.0) * input["speed"], context.engine_options)
            said = reading(input["text"], primary)
            speech = library.synthesize(said.text, _Progress(context, said, len(input["text"])))
        speech = _pauses.paced(speech, lambda spot: _pauses.factor(input["text"], said.place(spot), primary))
        return {
            **_written(input["text"], said, speech, input["sample_rate"], context),
            "language": _main_language(voice),
            "voice": name,
        }

    def unload(self) -> None:
        """Nothing is kept between requests."""


class _Progress:
    """Characters of the text done, told in steps of a twentieth; checks for cancellation every time."""

    def __init__(self, context: Context, said: Reading, total: int) -> None:
        self.context, self.said, self.total, self.next = context, said, total, 0.0

    def __call__(self, position: int) -> None:
        self.context.check()
        done = self.said.place(position)
        if done >= self.next:
            self.context.progress("run", done, self.total, "characters")
            self.next = done + max(1.0, self.total / 20)


def _set_parameters(library: Library, speed: float, options: Mapping[str, Any]) -> None:
    from engines.speech_synthesis import _espeak_library as espeak

    rate = round(STORY_RATE * speed)
    missing = max(0, espeak.SLOWEST - rate)
    library.set_parameter(espeak.RATE, rate + missing)
    library.set_parameter(espeak.WORD_GAP, round(missing / GAP_STEP) + options.get("word_gap", 0))
    for parameter, option in ((espeak.PITCH, "pitch"), (espeak.RANGE, "pitch_range")):
        if option in options:  # the runtime fills in the schema's defaults
            library.set_parameter(parameter, options[option])


def _expect_readable(text: str, language: str, context: Context) -> None:
    """Warn of letters that the voice only names; raise where they are too many for anybody to follow."""
    named = unread(text, language)
    if not named:
        return
    examples = "".join(dict.fromkeys(named))[:10]
    if len(named) > MOST_UNREAD.get(language, 0.5) * sum(map(str.isalpha, text)):
        hint = "Name the text's language; a story does so in a line language: xx at its top."
        if language in MOST_UNREAD:
            hint = "Take another engine: system has voices for it on macOS and Windows."
        raise WorkerError(
            "unsupported_capability",
            f"espeak's voice for {language} cannot read {examples}; it would name every such letter.",
            pointer="/input/text",
            hint=hint,
        )
    context.warn("letters_not_read", f"The voice names the letters {examples} instead of reading them.")


def _written(text: str, said: Reading, speech: Speech, sample_rate: int | None, context: Context) -> dict[str, Any]:
    """The published WAV and the words' times, which lie within its duration."""
    runs = _word_times.sounding(speech.pcm, speech.sample_rate)
    if not runs:
        raise WorkerError(
            "invalid_request",
            f"The text gives no sound: {text[:60]!r}.",
            pointer="/input/text",
            hint="Give text with letters or digits of the chosen language.",
        )
    words = split_words(text)
    anchors = [
        _word_times.Anchor(said.place(event.position), event.sample / speech.sample_rate, event.is_end)
        for event in speech.events
    ]
    times = _word_times.timed(words, anchors, runs)
    rate = sample_rate or speech.sample_rate
    path = context.temporary("wav")
    duration_s = round(write_wav(path, _resampled(speech, rate, context), rate) / rate, 6)
    return {
        "audio": context.publish(path, "audio/wav", duration_s=duration_s, sample_rate=rate, channels=1),
        "words": [
            {"word": word.text, "start_s": round(start, 6), "end_s": min(round(end, 6), duration_s)}
            for word, (start, end) in zip(words, times, strict=True)
        ],
    }


def _resampled(speech: Speech, sample_rate: int, context: Context) -> Iterator[bytes]:
    """The sound at another rate, band-limited, a second at a time."""
    if sample_rate == speech.sample_rate:
        yield speech.pcm
        return
    from av import AudioFrame, AudioResampler

    resampler = AudioResampler(format="s16", layout="mono", rate=sample_rate)
    second = 2 * speech.sample_rate
    for first in range(0, len(speech.pcm), second):
        context.check()
        block = speech.pcm[first : first + second]
        frame = AudioFrame(format="s16", layout="mono", samples=len(block) // 2, align=1)
        frame.sample_rate = speech.sample_rate
        frame.planes[0].update(block)
        yield from (bytes(out.planes[0])[: 2 * out.samples] for out in resampler.resample(frame))
    yield from (bytes(out.planes[0])[: 2 * out.samples] for out in resampler.resample(None))


def _chosen(library: Library, wanted: str | None, language: str) -> tuple[Voice, str | None]:
    """The voice asked for by id, name or tag, with its variant; without one the language's."""
    voices = library.voices()
    if wanted is None:
        return _of_language(voices, language), None
    base, _, variant = wanted.partition("+")
    names = {
        name.lower(): voice for voice in reversed(voices) for name in (voice.languages[0][0], voice.name, voice.id)
    }
    variants = {voice.id.lower(): voice.id for voice in library.variants()} if variant else {}
    for given, known, kind in ((base, names, "voice"), (variant, variants, "variant")):
        if given and given.lower() not in known:
            raise _unknown(kind, given, known, "/input/voice")
    return names[base.lower()], variants.get(variant.lower())


def _of_language(voices: list[Voice], language: str) -> Voice:
    """The best voice for a BCP 47 tag, which is shortened from the right until one fits (RFC 4647, lookup)."""
    tag = language.lower()
    while tag:
        wanted = PREFERRED.get(tag, tag)
        ranked = [
            (rank, place) for place, voice in enumerate(voices) for name, rank in voice.languages if name == wanted
        ]
        if ranked:
            return voices[min(ranked)[1]]
        tag = tag.rpartition("-")[0]
    raise _unknown("language", language, [name for voice in voices for name, _ in voice.languages], "/input/language")


def _unknown(kind: str, given: str, known: Mapping[str, Any] | list[str], pointer: str) -> WorkerError:
    near = difflib.get_close_matches(given.lower(), sorted(set(known)), n=5, cutoff=0.5)
    return WorkerError(
        "unsupported_capability",
        f"espeak has no {kind} {given!r}.",
        pointer=pointer,
        hint=(f"Near it: {', '.join(near)}. " if near else "") + "list_voices lists all.",
    )


def _list_voices(library: Library, language: str | None) -> dict[str, Any]:
    voices, tag = library.voices(), (language or "").lower()
    fitting = voices
    while tag:
        fitting = [voice for voice in voices if any(f"{name}-".startswith(f"{tag}-") for name, _ in voice.languages)]
        tag = "" if fitting else tag.rpartition("-")[0]
    return {
        "voices": [
            {"id": voice.id, "name": voice.name, "language": _main_language(voice), "gender": voice.gender}
            for voice in fitting
        ],
        "variants": [
            {"id": variant.id, "name": variant.name, "gender": variant.gender} for variant in library.variants()
        ],
    }


def _main_language(voice: Voice) -> str:
    """The tag a voice lists first, which is the narrowest, in the usual capitals: pt-BR."""
    first, *rest = voice.languages[0][0].split("-")
    capitals = {2: str.upper, 4: str.title}
    return "-".join([first, *(capitals.get(len(part), str)(part) for part in rest)])
