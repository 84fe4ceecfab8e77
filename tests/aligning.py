"""Narrations whose word times are known, and what a recogniser that makes mistakes would say of them."""

from __future__ import annotations

import itertools
import random
import statistics
import tempfile
import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from support import ROOT

from engines.speech_synthesis.espeak import Engine
from media.alignment import Alignment
from media.sounding import stretches
from media.words import split_words
from orchestrator.stages import collect, script
from runtime.context import Context

STORIES = {"en": "crow", "cs": "repa", "de": "sterntaler", "fr": "phare", "zh": "jingwa", "ar": "asad"}
"""Language -> example story. Japanese, which espeak does not read, is below, its times made by hand."""
LANGUAGES = (*STORIES, "ja")
KINDS = ("dropped", "misheard", "split", "merged", "shifted")
MARGIN_S, SHIFT_S = 0.175, 0.15
"""Silence kept around a sentence, as in the voice stage; how far a word is heard off its time."""
LOST, JITTER_S = 5, 0.04
"""A bad recogniser loses up to so many words at once, and none of its times is exact: deviation of the errors."""
JAPANESE = """
むかし、のどのかわいたカラスがいました。長いあいだ雨がふらず、川も池もかわいていました。カラスは畑のはずれで、
細長い水さしを見つけました。中をのぞくと、底のほうに少しだけ水がありました。けれども、くちばしはとどきません。
カラスは力いっぱい水さしを押しましたが、重くて動きません。「どうしたらいいだろう」とカラスは考えました。
ふと見ると、足もとに小さな石がたくさんあります。カラスは石を一つくわえて、水さしの中へ落としました。
ぽちゃん、と音がして、水が少し上がりました。もう一つ、また一つ。カラスはあきらめずに石を入れつづけました。
日が山にかくれるころ、水はとうとう口のところまで来ました。カラスはゆっくりと水を飲み、元気に空へ飛んでいきました。
知恵は力にまさる、と村の人たちは今でも言います。
"""
MORA_S, KANJI_S, COMMA_S, STOP_S = 0.13, 0.25, 0.3, 0.6
"""A Japanese voice of about seven morae a second; kanji have about two."""


@dataclass(frozen=True)
class Narration:
    """``words`` {word, start_s, end_s} are the truth."""

    language: str
    words: list[dict[str, Any]]
    sounding: list[tuple[float, float]]
    duration_s: float

    @property
    def script(self) -> list[str]:
        return [word["word"] for word in self.words]


@dataclass(frozen=True)
class Heard:
    """A recogniser's ``words``; ``right[i]`` are those that are the script's word ``i``, None where it was dropped."""

    words: list[dict[str, Any]]
    right: list[range | None]


@dataclass(frozen=True)
class Score:
    """How near an alignment came: ``right`` is the share of heard words matched with exactly the right ones.

    Errors are those of starts, in seconds: of the words that were dropped, and of all.
    """

    right: float
    unheard: list[float]
    all: list[float]

    @property
    def median_s(self) -> float:
        return statistics.median(self.unheard)

    @property
    def p95_s(self) -> float:
        return percentile(self.unheard, 95)


def percentile(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


@cache
def narration(language: str, seconds: float, seed: int) -> Narration:
    """The language's story, told again and again with its sentences in another order, for so many seconds."""
    if language == "ja":
        return _by_hand(seconds, seed)
    source = collect.source((ROOT / "examples" / f"{STORIES[language]}.md").read_text(encoding="utf-8"), "story")
    sentences = [line["text"] for line in script.lines(source["paragraphs"], language)]
    return _spoken(language, sentences, seconds, seed)


def _rounds(sentences: Sequence[str], seed: int) -> Iterator[str]:
    chance = random.Random(seed)
    yield from sentences
    while True:
        yield from chance.sample(sentences, len(sentences))


def _spoken(language: str, sentences: Sequence[str], seconds: float, seed: int) -> Narration:
    engine, words, offset = Engine(), list[dict[str, Any]](), 0.0
    said: dict[str, tuple[list[dict[str, Any]], bytes, int]] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "narration.wav"
        with wave.open(str(path), "wb") as sound:
            for sentence in _rounds(sentences, seed):
                if sentence not in said:
                    said[sentence] = _say(engine, language, sentence, Path(folder))
                own, pcm, rate = said[sentence]
                if not words:
                    sound.setparams((1, 2, rate, 0, "NONE", ""))
                sound.writeframes(pcm)
                words += [
                    {"word": w["word"], "start_s": w["start_s"] + offset, "end_s": w["end_s"] + offset} for w in own
                ]
                offset += len(pcm) / 2 / rate
                if offset >= seconds:
                    break
        return Narration(language, words, stretches(path), offset)


def _say(engine: Engine, language: str, sentence: str, folder: Path) -> tuple[list[dict[str, Any]], bytes, int]:
    """The sentence's words and its sound with a margin around it."""
    context = Context(
        output_dir=folder, output_name="x", engine_options={"pitch": 50, "pitch_range": 50, "word_gap": 0}
    )
    asked = {"text": sentence, "voice": None, "language": language, "speed": 1.0, "sample_rate": None}
    said = engine.run("synthesize", asked, context)
    with wave.open(said["audio"]["path"]) as file:
        rate, pcm = file.getframerate(), file.readframes(file.getnframes())
    begin, end = said["words"][0]["start_s"], said["words"][-1]["end_s"]
    shift = MARGIN_S - begin
    margin = bytes(2 * round(MARGIN_S * rate))
    words = [{"word": w["word"], "start_s": w["start_s"] + shift, "end_s": w["end_s"] + shift} for w in said["words"]]
    return words, margin + pcm[2 * round(begin * rate) : 2 * round(end * rate)] + margin, rate


def _by_hand(seconds: float, seed: int) -> Narration:
    chance = random.Random(seed)
    sentences = [f"{sentence}。" for sentence in "".join(JAPANESE.split()).split("。") if sentence]
    words, sounding, now = list[dict[str, Any]](), list[tuple[float, float]](), MARGIN_S
    for sentence in _rounds(sentences, seed):
        begin = now
        for word in (word.text for word in split_words(sentence)):
            kanji = any("\u3400" <= char <= "\u9fff" for char in word)
            end = now + (KANJI_S if kanji else MORA_S) * chance.uniform(0.7, 1.3)
            words.append({"word": word, "start_s": round(now, 4), "end_s": round(end, 4)})
            now = end
            if word[-1] in "、。」":
                sounding.append((begin, now))
                begin = now = now + (COMMA_S if word[-1] == "、" else STOP_S)
        if now >= seconds:
            break
    return Narration("ja", words, sounding, now)


def heard(truth: Narration, share: float, seed: int, *, bad: bool = False) -> Heard:
    """What a recogniser says that makes a mistake with this share of the words, each kind as often.

    A ``bad`` one, besides, drops several words at once, counts the time of every other dropped word to the one before,
    and is never quite on time.
    """
    chance = random.Random(seed)
    letters = sorted({char for word in truth.script for char in word if char.isalpha()})
    said: list[dict[str, Any]] = []
    right: list[range | None] = []
    rest = iter(truth.words)
    for word in rest:
        kind = chance.choice(KINDS) if chance.random() < share else ""
        text, start, end = word["word"], word["start_s"], word["end_s"]
        first = len(said)
        if kind == "dropped":
            lost = [word, *itertools.islice(rest, chance.randrange(LOST) if bad else 0)]
            right += [None] * len(lost)
            if bad and said and chance.random() < 0.5:
                said[-1]["end_s"] = lost[-1]["end_s"]
            continue
        if kind == "merged" and (following := next(rest, None)) is not None:
            said.append({"word": f" {text}{following['word']}", "start_s": start, "end_s": following["end_s"]})
            right += [range(first, first + 1)] * 2
            continue
        if kind == "split" and sum(map(str.isalnum, text)) > 3:
            cut = chance.choice([place for place, char in enumerate(text) if char.isalnum()][2:-1])
            middle = start + (end - start) * cut / len(text)
            said.append({"word": f" {text[:cut]}", "start_s": start, "end_s": middle})
            text, start = text[cut:], middle
        elif kind == "shifted":
            shift = chance.uniform(-SHIFT_S, SHIFT_S)
            start, end = max(0.0, start + shift), max(0.0, end + shift)
        elif kind in ("misheard", "split"):
            text = misheard(text, letters, chance)
        said.append({"word": f" {text}", "start_s": start, "end_s": end})
        right.append(range(first, len(said)))
    off = JITTER_S if bad else 0.0
    for word in said:
        start = max(0.0, word["start_s"] + chance.gauss(0, off))
        word |= {"start_s": round(start, 2), "end_s": round(max(start, word["end_s"] + chance.gauss(0, off)), 2)}
    return Heard(said, right)


def misheard(text: str, letters: Sequence[str], chance: random.Random) -> str:
    """The word with two fifths of its letters changed, one at least."""
    places = [place for place, char in enumerate(text) if char.isalnum()]
    changed = set(chance.sample(places, max(1, round(0.4 * len(places)))))
    return "".join(chance.choice(letters) if place in changed else char for place, char in enumerate(text))


def score(truth: Narration, said: Heard, found: Alignment) -> Score:
    pairs = list(zip(truth.words, found.words, said.right, found.sources, strict=True))
    errors = [abs(word["start_s"] - got.start_s) for word, got, _, _ in pairs]
    hits = [source == right for _, _, right, source in pairs if right is not None]
    return Score(
        sum(hits) / len(hits),
        [error for error, (_, _, right, _) in zip(errors, pairs, strict=True) if right is None],
        errors,
    )


def in_order(found: Alignment, duration_s: float) -> bool:
    """Whether no word overlaps the next and all lie within the recording."""
    moments = list(itertools.chain.from_iterable((word.start_s, word.end_s) for word in found.words))
    return moments == sorted(moments) and (not moments or (moments[0] >= 0 and moments[-1] <= duration_s))
