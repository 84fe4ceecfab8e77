"""Stage 4: the narration. Every line is spoken, trimmed, joined with pauses and brought to its loudness."""

from __future__ import annotations

import math
import re
import unicodedata
import wave
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

from orchestrator.item import Item
from orchestrator.making import Making, item_name

VERSION = "2"
PAD_S = 0.175
"""Silence kept around each line: two of them are the pause between sentences."""
PARAGRAPH_GAP_S = 0.45
"""Further silence where a paragraph ends."""
MEDIA = {"engine": "ffmpeg"}
ESTIMATED = "word_times_estimated"
BETTER_VOICE = {
    "darwin": "this Mac's own voices are better: --set voice.engine=system",
    "win32": "the voices of Windows are better: --set voice.engine=system",
}

PAUSE_S = 0.1
"""A silence this long within a line is a pause between words; shorter ones are inside them."""
SILENT_DB = -45.0
"""Quieter than this below full scale is silence, as in joining."""
WINDOW_S = 0.005
DIGIT_WEIGHT = 4
"""A digit is spoken about as long as a word of four letters."""
UNMARKED_COST_S = 0.4
"""A pause rather belongs to a comma so far away than to the nearest two words without a mark between them."""
IDEOGRAPH = (
    "[\u3005-\u3007\u3041-\u3096\u30a1-\u30fa\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]"
)
"""Chinese and Japanese: spoken as a word of its own, for no blank parts the words."""
OPENING = "[“‘「『（《〈(\\[]"
UNSPACED_PIECE = re.compile(
    rf"{OPENING}*(?:{IDEOGRAPH}[\u3099\u309a\u30fc]*|(?:(?!{IDEOGRAPH}|{OPENING})\S)+)(?:(?!{OPENING})\W)*|{OPENING}+"
)

Word = dict[str, Any]
Stretch = Sequence[float]
"""(start, end) of sound, in seconds."""


def make(making: Making) -> None:
    """Speak the script and note when each word sounds."""
    run, settings = making.run, making.settings("voice")
    run.report.stage_items("voice", len(making.lines) + 3)
    spoken = [
        run.work(
            "voice",
            item_name("line", number),
            "speech_synthesis",
            "synthesize",
            {"language": making.source["language"], **settings["input"], "text": line["text"]},
            settings=settings,
        )
        for number, line in enumerate(making.lines, 1)
    ]
    clips = [item.path("audio") for item in spoken]
    joined = run.work(
        "voice",
        "joined",
        "media_processing",
        "join_audio",
        {"clips": clips, "gaps_s": gaps(making.lines), "pad_s": PAD_S, "grid_s": grid_s(making.size["fps"])},
        settings=MEDIA,
    )
    loud = run.work(
        "voice", "narration", "media_processing", "normalize_loudness", {"media": joined.path("audio")}, settings=MEDIA
    )
    making.narration = loud.path("media")
    making.duration_s = joined.output["audio"]["duration_s"]
    words = [_words(item, line["text"]) for item, line in zip(spoken, making.lines, strict=True)]
    inputs: dict[str, Any] = {
        "words": words,
        "offsets_s": joined.output["offsets_s"],
        "end_s": making.duration_s,
    }
    timed = run.rule("voice", "words", VERSION, inputs, lambda: {"words": on_film(**inputs)})
    making.words = timed.document()["words"]
    listens = making.settings("recognition")["engine"] != "none"  # then it is a recogniser that says when they sound
    if not listens and any(item.output["words"] is None for item in spoken):
        message = f"The engine {spoken[0].engine} does not say when its words sound; the captions' times are estimated."
        timed.warnings.append({"code": ESTIMATED, "message": message})


def grid_s(fps: int) -> float:
    """Where lines may begin: on whole frames that are whole centiseconds, the captions' unit, too.

    So a line that gets longer moves the rest of the film by whole frames, and the shots in it stay as they are.

    >>> grid_s(30), grid_s(25), grid_s(24)
    (0.1, 0.04, 0.25)
    """
    return 1 / math.gcd(fps, 100)


def gaps(lines: Sequence[Mapping[str, Any]]) -> list[float]:
    """Silence between neighbouring lines, beyond their margins, in seconds."""
    return [PARAGRAPH_GAP_S if line["paragraph"] != after["paragraph"] else 0.0 for line, after in pairwise(lines)]


def on_film(words: Sequence[Sequence[Word]], offsets_s: Sequence[float], end_s: float) -> list[Word]:
    """Every line's words with their times in the narration: {word, start_s, end_s, line}, in order and inside it."""
    found: list[Word] = []
    before = 0.0
    for line, (inside, offset) in enumerate(zip(words, offsets_s, strict=True)):
        for word in inside:
            start = min(max(word["start_s"] + offset, before), end_s)
            before = min(max(word["end_s"] + offset, start), end_s)
            found.append({"word": word["word"], "start_s": round(start, 4), "end_s": round(before, 4), "line": line})
    return found


def advice(manifest: Mapping[str, Any], platform: str) -> str | None:
    """How to get a better voice than the one of a finished run, for its summary; ``platform`` as in sys.platform."""
    engines = {item["engine"] for item in manifest["items"] if item["stage"] == "voice"}
    if "espeak" not in engines:
        return None
    better = BETTER_VOICE.get(platform, "on macOS and Windows --set voice.engine=system takes better ones")
    return f"the voice is espeak, a robot that is always there; {better}"


def _words(spoken: Item, text: str) -> list[Word]:
    """The line's words with their times in its clip, estimated where the engine knows none."""
    known: list[Word] | None = spoken.output["words"]
    if known is not None:
        return known
    return estimated(text, sounding(spoken.path("audio"), spoken.output["audio"]["duration_s"]))


def sounding(clip: Path, duration_s: float) -> list[Stretch]:
    """The stretches of sound in a clip, parted by its pauses; the whole of one that is silent or no 16-bit WAV."""
    import numpy as np

    try:
        with wave.open(str(clip)) as file:
            if file.getsampwidth() != 2:
                return [(0.0, duration_s)]
            rate, channels = file.getframerate(), file.getnchannels()
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, channels)[:, 0] / 32768
    except wave.Error:
        return [(0.0, duration_s)]
    size = round(WINDOW_S * rate)
    windows = samples[: len(samples) // size * size].reshape(-1, size)
    loud = np.flatnonzero(np.mean(windows**2, axis=1) > 10 ** (SILENT_DB / 10)) * size / rate
    if not len(loud):
        return [(0.0, duration_s)]
    breaks = np.flatnonzero(np.diff(loud) > PAUSE_S)
    begins, ends = [loud[0], *loud[breaks + 1]], [*loud[breaks], loud[-1]]
    return [(round(float(begin), 4), round(float(end) + WINDOW_S, 4)) for begin, end in zip(begins, ends, strict=True)]


def estimated(text: str, sound: Sequence[Stretch]) -> list[Word]:
    """The words of a text, each with its share of the ``sound`` by its letters: {word, start_s, end_s}.

    No word is interrupted by a pause: every pause is put between the two words where it fits best, after a comma if
    there is one near. Starts rise and no word ends after the next one's start.
    """
    words = split_words(text)
    found: list[Word] = []
    stretches = _fewer(sound, len(words))
    for (start, end), inside in zip(stretches, _parts(words, stretches), strict=True):
        shares = [0, *accumulate(map(_weight, inside))]
        marks = [round(start + (end - start) * share / shares[-1], 4) for share in shares]
        found += [
            {"word": word, "start_s": begin, "end_s": stop}
            for word, (begin, stop) in zip(inside, pairwise(marks), strict=True)
        ]
    return found


def _fewer(sound: Sequence[Stretch], most: int) -> list[Stretch]:
    """The stretches, the shortest pauses closed until there are no more than words."""
    stretches = list(sound)
    while len(stretches) > max(1, most):
        place = min(range(1, len(stretches)), key=lambda place: stretches[place][0] - stretches[place - 1][1])
        stretches[place - 1 : place + 1] = [(stretches[place - 1][0], stretches[place][1])]
    return stretches


def _parts(words: Sequence[str], stretches: Sequence[Stretch]) -> list[Sequence[str]]:
    """The words in as many parts as there are stretches, none empty."""
    spoken = [0, *accumulate(end - start for start, end in stretches)]
    shares = [0, *accumulate(map(_weight, words))]
    cuts = [0]
    for number, over_s in enumerate(spoken[1:-1], 1):
        possible = range(cuts[-1] + 1, len(words) - len(stretches) + number + 1)

        def cost(place: int, over_s: float = over_s) -> float:
            unmarked = UNMARKED_COST_S if words[place - 1][-1].isalnum() else 0.0
            return abs(shares[place] / shares[-1] * spoken[-1] - over_s) + unmarked

        cuts.append(min(possible, key=cost))
    return [words[begin:end] for begin, end in pairwise([*cuts, len(words)])]


def _weight(word: str) -> int:
    return max(1, sum(DIGIT_WEIGHT if character.isdigit() else character.isalpha() for character in word))


def split_words(text: str) -> list[str]:
    """The words between blanks, in Chinese and Japanese the characters; what has no letter or digit joins a neighbour.

    >>> split_words("« Oui », dit-il — “你好。”")
    ['« Oui »,', 'dit-il —', '“你', '好。”']
    """
    words: list[str] = []
    waiting = ""
    for token in text.split():
        pieces = UNSPACED_PIECE.findall(token) if re.search(IDEOGRAPH, token) else [token]
        for number, piece in enumerate(pieces):
            blank = "" if number else " "
            opens = unicodedata.category(piece[-1]) in {"Ps", "Pi"}
            if any(map(str.isalnum, piece)):
                words.append(f"{waiting}{blank}{piece}".strip())
                waiting = ""
            elif words and not waiting and not opens:
                words[-1] += f"{blank}{piece}"
            else:
                waiting += f"{blank}{piece}"
    return [*words[:-1], f"{words[-1]}{waiting}"] if words else [waiting.strip()]
