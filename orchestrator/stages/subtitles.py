"""Stage 5: captions. With a recogniser the script's words are timed on the narration itself, else as the voice says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.errors import StorygenError
from orchestrator.making import Making

VERSION = "1"


def make(making: Making) -> None:
    """Time the words if the profile names a recogniser, build the cues and write them in every format."""
    settings = making.settings("subtitles")
    if making.settings("recognition")["engine"] != "none":
        making.words = _heard(making)
    words = [{name: word[name] for name in ("word", "start_s", "end_s")} for word in making.words]
    film = {"width": making.size["width"], "height": making.size["height"], "duration_s": making.duration_s}
    item = making.run.work(
        "subtitles",
        "captions",
        "media_processing",
        "captions",
        {"language": making.source["language"], **film, **settings["input"], "words": words},
        settings=settings,
    )
    making.cues, making.captions = item.output["cues"], item.output["files"]


def _heard(making: Making) -> list[Mapping[str, Any]]:
    """The words as a recogniser hears them in the narration."""
    run, settings = making.run, making.settings("recognition")
    run.report.stage_items("subtitles", 3)
    lines = [line["text"] for line in making.lines]
    spoken = {"audio": making.narration, "text": "\n".join(lines), "language": making.source["language"]}
    item = run.work(
        "subtitles", "aligned", "speech_recognition", "align", {**settings["input"], **spoken}, settings=settings
    )
    inputs: dict[str, Any] = {"words": item.output["words"], "lines": lines, "end_s": making.duration_s}
    timed = run.rule("subtitles", "words", VERSION, inputs, lambda: {"words": of_lines(**inputs)})
    words: list[Mapping[str, Any]] = timed.document()["words"]
    return words


def of_lines(words: Sequence[Mapping[str, Any]], lines: Sequence[str], end_s: float) -> list[dict[str, Any]]:
    """Each word with the number of the line it stands in: {word, start_s, end_s, line}, all within the film.

    Raises StorygenError ``internal_error`` when they are not the words of the lines: what was misheard must never reach
    the screen.
    """
    letters = [(letter, number) for number, line in enumerate(lines) for letter in _letters(line)]
    found, place = [], 0
    for word in words:
        own = _letters(word["word"])
        if not own or own != "".join(letter for letter, _ in letters[place : place + len(own)]):
            break
        times = {name: min(word[name], end_s) for name in ("start_s", "end_s")}
        found.append({"word": word["word"], **times, "line": letters[place][1]})
        place += len(own)
    if len(found) < len(words) or place < len(letters):
        said = repr(words[len(found)]["word"]) if len(found) < len(words) else "the end"
        wanted = "".join(letter for letter, _ in letters[place : place + 20])
        raise StorygenError(
            "internal_error",
            f"The recogniser gave other words than the script has: {said} where {wanted or 'the end'} should be.",
            "An engine's align must return the words of its text, all of them and in order.",
        )
    return found


def _letters(text: str) -> str:
    return "".join(text.split())
