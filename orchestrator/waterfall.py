"""Where a run's time went: a row a stage, with a bar for every item made and a thin mark for every one reused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from orchestrator.markup import Markup, element, joined

STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 86400)
"""What the time axis counts in."""
MOST_STEPS = 5
LANE_PX, BAR_PX = 14, 10
LEAST_PERCENT = 0.35
"""Shorter bars could not be seen."""

Entry = Mapping[str, Any]


def took(seconds: float) -> str:
    """A duration as people write it.

    >>> took(0.42), took(83), took(4000)
    ('0.4 s', '1 min 23 s', '1 h 7 min')
    """
    if seconds < 0.05:
        return "< 0.1 s"
    if seconds < 59.95:
        return f"{seconds:.0f} s" if seconds == round(seconds) else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def waterfall(manifest: Mapping[str, Any]) -> Markup:
    """The stages as a table with bars, and behind it every item as plain rows."""
    items: Sequence[Entry] = manifest["items"]
    made = [item for item in items if not item["reused"]]
    total_s = max([manifest["seconds"], *(item["began_s"] + item["seconds"] for item in made)], default=0) or 1
    ticks = _ticks(total_s)
    rows = [_stage(name, stage, items, total_s, ticks) for name, stage in manifest["stages"].items()]
    head = element(
        "tr",
        element("th", "Stage", scope="col"),
        element("th", element("span", "When", class_="unseen"), _axis(ticks, total_s), scope="col"),
        element("th", element("span", "Items", class_="count"), scope="col"),
        element("th", "Work", scope="col"),
    )
    caption = element("caption", "Time of each stage in this run", class_="unseen")
    return joined(
        element("table", caption, element("thead", head), element("tbody", *rows), class_="stages"),
        _legend(
            ("made", "made", bool(made)),
            ("load", "of it loading the model", any(_can_be_seen(_load_s(item), total_s) for item in made)),
            ("reused", "reused from an earlier run", len(made) < len(items)),
        ),
        _every_item(items) if items else None,
    )


def _stage(name: str, stage: Entry, items: Sequence[Entry], total_s: float, ticks: Sequence[float]) -> Markup:
    own = [item for item in items if item["stage"] == name]
    made = [item for item in own if not item["reused"]]
    counts = [(len(made), "made"), (len(own) - len(made), "reused")]
    said = ", ".join(f"{number} {what}" for number, what in counts if number)
    if stage["state"] == "skipped":
        when: str = element("span", f"skipped: {stage['why']}", class_="why", dir="auto")
    else:
        when = _bars(own, total_s, ticks)
        if stage["state"] != "done":
            said = ", ".join(filter(None, [said, "not finished"]))
    return element(
        "tr",
        element("th", name, scope="row"),
        element("td", when),
        element("td", element("span", said, class_="count")),
        element("td", took(_covered_s(made)) if made else "–"),
    )


def _bars(items: Sequence[Entry], total_s: float, ticks: Sequence[float]) -> Markup:
    """A picture for the eye alone; its numbers stand in the tables."""
    made = sorted((item for item in items if not item["reused"]), key=lambda item: item["began_s"])
    lanes: list[float] = []  # where each one's last bar ends
    bars: list[Markup] = []
    for item in made:
        begin, end = item["began_s"], item["began_s"] + item["seconds"]
        lane = next((number for number, ended in enumerate(lanes) if ended <= begin), len(lanes))
        lanes[lane : lane + 1] = [end]
        load_s = min(item["seconds"], _load_s(item))
        top = lane * LANE_PX + (LANE_PX - BAR_PX) / 2
        said = element("title", f"{item['item']}, {item['engine']}: {took(item['seconds'])}, from {took(begin)}")
        parts = [_rect(begin, item["seconds"], total_s, top, "made")]
        if _can_be_seen(load_s, total_s):
            parts.append(_rect(begin, load_s, total_s, top, "load"))
        bars.append(element("g", said, *parts))
    height = max(1, len(lanes)) * LANE_PX
    reused = [item for item in items if item["reused"]]
    bars += [
        element(
            "rect",
            element("title", f"{item['item']}, {item['engine']}: reused"),
            x=_percent(min(item["began_s"], total_s), total_s),
            y=0, width=2, height=height, class_="reused",
        )
        for item in reused
    ]  # fmt: skip
    lines = [element("line", x1=_percent(tick, total_s), x2=_percent(tick, total_s), y1=0, y2=height) for tick in ticks]
    return element("svg", *lines, *bars, width="100%", height=height, aria_hidden="true", focusable="false")


def _rect(begin_s: float, seconds: float, total_s: float, top: float, kind: str) -> Markup:
    width = max(LEAST_PERCENT, seconds / total_s * 100)
    left = min(begin_s / total_s * 100, 100 - width)
    return element("rect", x=f"{left:.3f}%", width=f"{width:.3f}%", y=top, height=BAR_PX, rx=2, class_=kind)


def _axis(ticks: Sequence[float], total_s: float) -> Markup:
    labels = [
        element("text", took(tick) if tick else "0", x=_percent(tick, total_s), y=12, class_=f"tick-{number}")
        for number, tick in enumerate(ticks)
    ]
    return element("svg", *labels, width="100%", height=16, aria_hidden="true", focusable="false")


def _ticks(total_s: float) -> list[float]:
    """Round times within the run, 0 and at most ``MOST_STEPS`` more; none where its label would stand out."""
    step = next((step for step in STEPS_S if total_s / step <= MOST_STEPS), STEPS_S[-1])
    return [number * step for number in range(MOST_STEPS + 1) if number * step <= total_s * 0.95]


def _percent(seconds: float, total_s: float) -> str:
    return f"{seconds / total_s * 100:.3f}%"


def _covered_s(items: Iterable[Entry]) -> float:
    """How long at least one of the items was being made: several at once count once."""
    covered = until = 0.0
    for item in sorted(items, key=lambda item: item["began_s"]):
        end = item["began_s"] + item["seconds"]
        covered += max(0.0, end - max(until, item["began_s"]))
        until = max(until, end)
    return covered


def _load_s(item: Entry) -> float:
    """How long an engine took to import its library and load its model for this item."""
    return sum(item["metrics"].get(key) or 0.0 for key in ("import_s", "load_s"))


def _can_be_seen(seconds: float, total_s: float) -> bool:
    return seconds / total_s * 100 > LEAST_PERCENT


def _legend(*kinds: tuple[str, str, bool]) -> Markup:
    """(class, meaning, whether there is any) each."""
    shown = [
        element("li", element("span", class_=f"swatch {kind}", aria_hidden="true"), text)
        for kind, text, there in kinds
        if there
    ]
    return element("ul", *shown, class_="legend")


def _every_item(items: Sequence[Entry]) -> Markup:
    names = ("Stage", "Item", "Engine", "Began", "Took", "Loading", "Memory", "How")
    table = element(
        "table",
        element("caption", "Every item of this run", class_="unseen"),
        element("thead", element("tr", *(element("th", name, scope="col") for name in names))),
        element("tbody", *(_item(item) for item in items)),
        class_="items",
    )
    # Wider than a phone: it scrolls by itself, by keyboard too.
    region = element("div", table, class_="scroll", role="region", aria_label="Every item", tabindex="0")
    return element("details", element("summary", f"Every item ({len(items)})"), region)


def _item(item: Entry) -> Markup:
    metrics, reused = item["metrics"], item["reused"]
    load_s = _load_s(item)
    how = ("reused" if reused else "made") + (", edited by hand" if item["edited"] else "")
    memory = metrics.get("peak_rss_mb")
    cells = (
        item["item"],
        item["engine"],
        f"{item['began_s']:.1f} s",
        f"({item['seconds']:.2f} s)" if reused else f"{item['seconds']:.2f} s",  # of the run that made it
        f"{load_s:.2f} s" if load_s and not reused else "",
        f"{memory:.0f} MB" if memory else "",
        how,
    )
    return element("tr", element("th", item["stage"], scope="row"), *(element("td", cell) for cell in cells))
