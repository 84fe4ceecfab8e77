"""The pictures that were drawn for a shot and judged, as a list: which was kept, and why the others were not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.markup import Markup, element, joined, link


def history(attempts: Sequence[Mapping[str, Any]], small: Mapping[str, str]) -> Markup:
    """One entry a picture, in the order in which they were drawn; ``attempts`` as in the manifest's ``pictures``.

    ``small`` names the previews of pictures.
    """
    return element("ol", *(_entry(attempt, small) for attempt in attempts), class_="tries")


def _entry(attempt: Mapping[str, Any], small: Mapping[str, str]) -> Markup:
    roll, score = attempt["roll"], attempt["score"]
    said = [
        "drawn first" if roll == 0 else f"drawn again ({roll})",
        "your own" if score is None else f"score {score:.2f}",
        f"seed {attempt['seed']}" if attempt["seed"] is not None else None,
    ]
    shown = small.get(attempt["picture"], attempt["picture"])
    image = element("img", src=link(shown), alt="", loading="lazy", decoding="async")
    about = element(
        "div",
        element("p", " · ".join(filter(None, said)), *([" ", _badge()] if attempt["kept"] else [])),
        element("p", attempt["explanation"], dir="auto", class_="soft") if attempt["explanation"] else None,
        element("p", attempt["prompt"], dir="auto", class_="soft short"),
        element("p", f"Suggested: {'; '.join(attempt['suggestions'])}", dir="auto", class_="soft")
        if attempt["suggestions"]
        else None,
    )
    return element("li", element("a", image, href=link(attempt["picture"])), about)


def _badge() -> Markup:
    return joined(element("span", "kept", class_="badge made"))
