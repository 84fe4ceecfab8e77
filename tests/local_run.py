"""The local profile with a tiny model in every place that has one: its settings, and which models a run loaded."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from support import SMALL
from tiny_models import ltx, rigged, sdxl, whisper

MODELS = {
    "text": rigged.writer,
    "recognition": whisper.build,
    "keyframes": sdxl.base,
    "vision": rigged.judge,
    "video": ltx.conditioned,
}
"""Part of the profile -> what writes its model into a folder."""
REROLLS = 1


def build(folder: Path) -> Path:
    """Write all models into ``folder``, each under the name of its part, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, write in MODELS.items():
        write(folder / part)
    return folder


def options(models: Path) -> list[str]:
    """Options of ``storygen run`` and ``batch``: small pictures, few steps, a film of about ten seconds."""
    settings = [f"{part}.model.id={models / part}" for part in MODELS]
    settings += ["text.input.temperature=0", "vision.input.temperature=0"]
    settings += [f"keyframes.input.{side}=64" for side in ("width", "height")]
    settings += [
        "video.input.num_inference_steps=2",
        "keyframes.input.num_inference_steps=2",
        "film.target_s=10",
        f"gate.rerolls={REROLLS}",
    ]
    return ["--profile", "local", *SMALL, *(part for setting in settings for part in ("--set", setting))]


def events(folder: Path) -> list[dict[str, Any]]:
    """All that happened in a run's folder, in order."""
    return [json.loads(line) for line in (folder / "events.ndjson").read_text(encoding="utf-8").splitlines()]


def loads(*folders: Path) -> list[str]:
    """The models that workers finished loading, in order, by their part of the profile; of runs that share workers."""
    everything = sorted(
        ((event["time"], number, event) for folder in folders for number, event in enumerate(events(folder))),
        key=lambda each: each[:2],
    )
    model, found = {}, []
    for _, _, event in everything:
        if event["type"] == "accepted":
            model[event["stage"], event["item"]] = event["model"]["id"]
        elif event["type"] == "progress" and event["step"] == "load" and event["current"] == event["total"]:
            found.append(Path(model[event["stage"], event["item"]]).name)
    return found


if __name__ == "__main__":
    build(Path(sys.argv[1]))
