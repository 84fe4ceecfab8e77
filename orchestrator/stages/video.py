"""Stage 9: one clip a shot, from its keyframe, with the frames that the fade into the next shot needs."""

from __future__ import annotations

from orchestrator.making import Making, item_name


def make(making: Making) -> None:
    """Animate every keyframe."""
    settings, fade = making.settings("video"), making.profile["film"]["transition_frames"]
    making.run.report.stage_items("video", len(making.shots))
    for shot, keyframe in zip(making.shots, making.keyframes, strict=True):
        last = shot["number"] == len(making.shots)
        clip = {
            "image": keyframe,
            "prompt": shot["prompt"],
            "motion": shot["motion"],
            "num_frames": shot["num_frames"] + (0 if last else fade),
        }
        item = making.run.work(
            "video",
            item_name("shot", shot["number"]),
            "video_generation",
            "animate",
            {**making.size, **settings["input"], **clip},
            settings=settings,
        )
        making.clips.append(item.path("video"))
