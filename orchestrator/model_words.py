"""What ``storygen models`` says to a person."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.filesize import decimal


def plan_lines(plans: Sequence[Mapping[str, Any]]) -> list[str]:
    """What would be downloaded, a line for each model and one for the sum."""
    width = max(len(plan["id"]) for plan in plans)
    rows = []
    for plan in plans:
        state = "is here" if plan["folder"] else f"{decimal(plan['missing_bytes'])} to download"
        if plan["precision"] is None:
            state += ", as far as can be told offline"
        gated = (
            "gated: its terms were accepted" if plan["precision"] else "gated: its terms must be accepted on its page"
        )
        facts = [plan["precision"], f"{len(plan['files'])} files", plan["license"] or "licence: see its page"]
        about = ", ".join(fact for fact in facts if fact) + (f"; {gated}" if plan["gated"] else "")
        rows.append(f"{plan['id']:<{width}}  {decimal(plan['total_bytes']):>8}  {state}; {about}")
    missing = sum(plan["missing_bytes"] for plan in plans)
    return [*rows, f"{'together':<{width}}  {decimal(missing):>8}  to download; {decimal(plans[0]['free_bytes'])} free"]


def list_lines(found: Mapping[str, Any]) -> list[str]:
    """What is here, a line for each model, what to do about some of them, and the sum."""
    rows = [
        (
            each["id"],
            decimal(each["bytes"]) + (f" + {decimal(each['begun_bytes'])} begun" if each["begun_bytes"] else ""),
            "" if each["state"] == "here" else each["state"],
            each["family"] or "",
            f"came {each['downloaded'][:10]}, used {each['last_used'][:10]}",
            each["folder"],
        )
        for each in found["models"]
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines += [line for each in found["models"] for line in _to_do(each)]
    count = f"{len(rows)} model{'' if len(rows) == 1 else 's'} in {found['folder']}"
    return [*lines, f"{count}: {decimal(found['total_bytes'])}; {decimal(found['free_bytes'])} free"]


def _to_do(each: Mapping[str, Any]) -> Iterator[str]:
    """What takes room in vain, and the command against it."""
    if each["state"] != "here":
        what = "is damaged: mend it with" if each["state"] == "damaged" else "is begun: go on with"
        yield f"{each['id']} {what} storygen models download {each['id']}, or make room with remove."
    if each["outdated_bytes"]:
        old = [row["commit"] for row in each["revisions"] if not row["names"]]
        room = f"{decimal(each['outdated_bytes'])} of {each['id']} belong to commits that no branch names any more"
        yield f"{room}; each goes with: storygen models remove {each['id']} --revision {' | '.join(old)}"


def state(found: Mapping[str, Any]) -> str:
    """How a model compares with the hub's."""
    if found["whole"]:
        return "all as the hub has them"
    return f"{len(found['damaged'])} damaged, {len(found['missing'])} missing"


def advice_lines(found: Mapping[str, Any]) -> list[str]:
    """Which models suit a machine."""
    machine = found["hardware"]
    card = f"{machine['gpu']}, {machine['vram_gb']:g} GB" if machine["gpu"] else "no GPU found"
    room = "" if machine["disk_gb"] is None else f"; {machine['disk_gb']:g} GB of disk free"
    lines = [f"This machine: {card}; {machine['ram_gb']:g} GB of memory{room}"]
    for each in found["recommendations"]:
        lines += ["", each["family"], f"  {each['why']}"]
        if each["model"] is not None:
            gated = " (gated)" if each["gated"] else ""
            lacking = f"{each['lacking_gb']:g} GB to download" if each["lacking_gb"] else "is here"
            lines.append(f"  {lacking}, {each['license']}{gated}")
            options = {name: value for name, value in each["options"].items() if value not in {"auto", "none"}}
            how = {"engine": each["engine"], "model": each["model"], **({"options": options} if options else {})}
            lines.append(f"  {json.dumps(how)}")
    return lines
