"""Stage 4: the narration. Every line is spoken, trimmed, joined with pauses and brought to its loudness."""

from __future__ import annotations

from typing import Any

from orchestrator.item import Item
from orchestrator.making import Making, item_name

VERSION = "1"
PAD_S = 0.15
"""Silence kept around each line: two of them are the pause between sentences."""
PARAGRAPH_GAP_S = 0.5
"""Further silence where a paragraph ends."""
MEDIA = {"engine": "ffmpeg"}


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
    gaps = [
        PARAGRAPH_GAP_S if line["paragraph"] != after["paragraph"] else 0.0
        for line, after in zip(making.lines, making.lines[1:], strict=False)
    ]
    clips = [item.path("audio") for item in spoken]
    joined = run.work(
        "voice",
        "joined",
        "media_processing",
        "join_audio",
        {"clips": clips, "gaps_s": gaps, "pad_s": PAD_S},
        settings=MEDIA,
    )
    loud = run.work(
        "voice", "narration", "media_processing", "normalize_loudness", {"media": joined.path("audio")}, settings=MEDIA
    )
    making.narration = loud.path("media")
    making.duration_s = joined.output["audio"]["duration_s"]
    inputs = {
        "words": [item.output["words"] for item in spoken],
        "offsets_s": joined.output["offsets_s"],
        "end_s": making.duration_s,
    }
    timed = run.rule("voice", "words", VERSION, inputs, lambda: {"words": on_film(spoken, joined, making.duration_s)})
    making.words = timed.document()["words"]


def on_film(spoken: list[Item], joined: Item, end_s: float) -> list[dict[str, Any]]:
    """Every word with its times in the narration: {word, start_s, end_s, line}, in order and inside it."""
    words: list[dict[str, Any]] = []
    before = 0.0
    for line, (item, offset) in enumerate(zip(spoken, joined.output["offsets_s"], strict=True)):
        for word in item.output["words"]:
            start = min(max(word["start_s"] + offset, before), end_s)
            before = min(max(word["end_s"] + offset, start), end_s)
            words.append({"word": word["word"], "start_s": round(start, 4), "end_s": round(before, 4), "line": line})
    return words
