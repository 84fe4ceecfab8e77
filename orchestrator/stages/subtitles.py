"""Stage 5: captions. With a synthesiser that knows its words' times they are used as they are."""

from __future__ import annotations

from orchestrator.making import Making


def make(making: Making) -> None:
    """Build the cues and write them in every format."""
    settings = making.settings("subtitles")
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
