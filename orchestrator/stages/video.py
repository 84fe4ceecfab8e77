"""Stage 9: one clip a shot, from its keyframe, with the frames that the fade into the next shot needs."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.depiction import depiction, unwanted
from orchestrator.making import Making, item_name
from orchestrator.styles import style


def make(making: Making) -> None:
    """Animate every keyframe."""
    settings, film = making.settings("video"), making.profile["film"]
    look = style(film["style"])
    making.run.report.stage_items("video", len(making.shots))

    def animated(shot: Mapping[str, Any], keyframe: Future[Path]) -> Path:
        prompt = depiction(shot, making.bible, look)
        seed = (film["seed"] + zlib.crc32(prompt.encode())) % 2**32  # follows the words, as the picture's does
        last = shot["number"] == len(making.shots)
        clip = {
            "image": keyframe.result(),
            "prompt": prompt,
            "motion": shot["motion"],
            "num_frames": shot["num_frames"] + (0 if last else film["transition_frames"]),
        }
        item = making.run.work(
            "video",
            item_name("shot", shot["number"]),
            "video_generation",
            "animate",
            {**making.size, **settings["input"], **clip},
            settings=settings,
            where_able={"negative_prompt": unwanted(look), "seed": seed},
        )
        return item.path("video")

    jobs = [partial(animated, *each) for each in zip(making.shots, making.keyframe_jobs, strict=True)]
    making.clip_jobs = making.run.beside("video", jobs, settings, "video_generation", "animate")
