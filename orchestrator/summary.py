"""What a person reads when a run has ended well."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from orchestrator.wording import counted


def summary(manifest: dict[str, Any], folder: Path) -> str:
    """The film, what was done, warnings."""
    from orchestrator.stages.voice import advice

    made = sum(stage.get("made", 0) for stage in manifest["stages"].values())
    done = (
        f"  {counted(made, 'item')} made in {manifest['seconds']:.1f} s"
        if made
        else "  nothing had changed; nothing was done"
    )
    if manifest["film"] is None:
        last = list(manifest["stages"])[-1]
        lines = [
            f"{manifest['title'] or 'the idea'}: done up to {last}, in {folder}",
            done,
            "  the film: the same without --to",
        ]
    else:
        video, lufs = manifest["facts"]["video"], manifest["facts"]["loudness"]["integrated_lufs"]
        size, shots = f"{video['width']}×{video['height']}", counted(len(manifest["shots"]), "shot")
        lines = [
            f"{manifest['title']}: {folder / 'final.mp4'}",
            f"  {size}, {video['fps']:g} fps, {video['duration_s']:.1f} s, {shots}, {lufs:.1f} LUFS",
            done,
        ]
    lines += _written(manifest["writing"])
    if manifest["language"] and not manifest["language_given"]:
        lines.append("  language: assumed to be English; a line 'language: xx' at the top of the story says otherwise")
    if tip := advice(manifest, sys.platform):
        lines.append(f"  {tip}")
    return "\n".join([*lines, *warned(manifest["warnings"])])


def warned(warnings: list[dict[str, str]]) -> list[str]:
    """A line for each kind of warning of a stage: the first one's words, and how many more there are."""
    alike: dict[tuple[str, str], list[dict[str, str]]] = {}
    for warning in warnings:
        alike.setdefault((warning["stage"], warning["code"]), []).append(warning)
    lines = []
    for (stage, code), (first, *others) in alike.items():
        more = f" ({code}, {len(others)} more such in manifest.json)" if others else ""
        where = f"{stage} {first['item']}".strip()
        lines.append(f"  warning: {where}: {first['message']}{more}")
    return lines


def _written(writing: dict[str, Any]) -> list[str]:
    """What a person reads of how the text of an idea came about."""
    if "idea" not in writing:
        return []
    idea, script, revision = writing["idea"], writing.get("script"), writing.get("revision")
    lines = [f"  the idea: best of {len(idea['proposals'])}, score {idea['score']:g}; language {idea['language']}"]
    if script:
        lines.append(f"  the script: {script['words']} words of {script['target_words']}")
    if revision:
        rewritten = len(revision["versions"]) - 1
        lines[-1] += f", score {revision['score']:g} ({rewritten} times rewritten, {revision['kept']} kept)"
    return lines
