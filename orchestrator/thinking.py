"""What the stages that think came to, for the page: the idea, the script's versions, and the look of all pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from orchestrator.markup import Markup, element, joined

IDEA = {"hook": "Hook", "tone": "Tone", "theme": "Theme"}
WORLD = {"place": "Place", "era": "Time", "light": "Light", "palette": "Palette", "style": "Style"}
BEST_SCORE = 100

Entry = Mapping[str, Any]


def writing(manifest: Entry) -> Markup | None:
    """How an idea became a script; nothing where somebody brought the story."""
    told = manifest.get("writing") or {}
    if "idea" not in told:
        return None
    script = _script(told["script"], told.get("revision")) if "script" in told else None
    return _section("writing", "How the story came about", _idea(told["idea"]), script)


def look(manifest: Entry) -> Markup | None:
    """What all pictures share, what it was taken from, and how well the pictures fit together."""
    bible, harmony = manifest.get("bible"), manifest.get("consistency")
    references = (manifest.get("writing") or {}).get("references")
    parts = [
        _characters(bible["characters"], manifest["shots"]) if bible and bible["characters"] else None,
        _panel("The world", _facts(bible, WORLD)) if bible else None,
        _harmony(harmony) if harmony else None,
        _references(references) if references else None,
    ]
    return _section("look", "The look of all pictures", *parts) if any(parts) else None


def _section(name: str, heading: str, *panels: Markup | None) -> Markup:
    return element(
        "section", element("h2", heading), element("div", *panels, class_="panels"), id=name, class_="thinking"
    )


def _panel(heading: str, *content: str | None, edited: bool = False) -> Markup:
    badge = joined(" ", element("span", "edited by hand", class_="badge edited")) if edited else None
    return element("article", element("h3", heading, badge), *content, class_="panel")


def _facts(entry: Entry, names: Mapping[str, str]) -> Markup:
    rows = [
        joined(element("dt", said), element("dd", entry[name], dir="auto"))
        for name, said in names.items()
        if entry[name]
    ]
    return element("dl", *rows)


def _rounds(rows: Iterable[Markup]) -> Markup:
    return element("ol", *(element("li", row) for row in rows), class_="rounds")


def _score(value: float, best: float) -> Markup:
    """A number with its bar; the bar tells no more than the number."""
    bar = element("meter", value=value, min=0, max=best, aria_hidden="true")
    return element("span", bar, f"score {value:g}", class_="score")


# The story


def _idea(idea: Entry) -> Markup:
    others = [each for each in idea["proposals"] if each["premise"].strip() != idea["premise"].strip()]
    rows = [
        joined(
            element("p", element("span", each["title"], dir="auto", class_="name"), _score(each["score"], BEST_SCORE)),
            element("p", each["premise"], dir="auto", class_="soft"),
        )
        for each in others
    ]
    return _panel(
        "The idea",
        element("p", element("span", idea["title"], dir="auto", class_="name"), _score(idea["score"], BEST_SCORE)),
        element("p", idea["premise"], dir="auto"),
        _facts(idea, IDEA),
        element("details", element("summary", f"Other proposals: {len(others)}"), _rounds(rows)) if others else None,
        edited=idea["edited"],
    )


def _script(script: Entry, revision: Entry | None) -> Markup:
    wanted = f" of {script['target_words']} wanted" if script["target_words"] else ""
    drafts = script["versions"] or []
    written = ", then ".join(str(draft["words"]) for draft in drafts)
    return _panel(
        "The script",
        element("p", f"{script['words']} words{wanted}"),
        element("p", f"Written to length in {len(drafts)} drafts: {written} words", class_="soft")
        if len(drafts) > 1
        else None,
        _rounds(_version(each, number, revision["kept"]) for number, each in enumerate(revision["versions"]))
        if revision
        else None,
        edited=script["edited"] or bool(revision and revision["edited"]),
    )


def _version(version: Entry, number: int, kept: str) -> Markup:
    """A version in a line, its words and its score; behind it each criterion, and what was found wanting."""
    words = f"{version['words']} words{'' if version['fits'] else ', not the length wanted'}"
    each = ", ".join(f"{criterion} {score:g}" for criterion, score in version["scores"].items())
    notes = [element("li", note, dir="auto") for note in version["notes"]]
    return joined(
        element(
            "p",
            element("span", f"Rewrite {number}" if number else "As written", class_="name"),
            element("span", words, class_="soft"),
            _score(version["score"], BEST_SCORE),
            element("span", "kept", class_="badge made") if version["item"] == kept else None,
        ),
        element(
            "details",
            element("summary", "What the judge said"),
            element("p", each, class_="soft"),
            element("ul", *notes, class_="notes") if notes else None,
        ),
    )


# The look


def _characters(characters: Sequence[Entry], shots: Sequence[Entry]) -> Markup:
    known = {shot["number"] for shot in shots}
    rows = [
        joined(
            element("p", element("span", one["name"], dir="auto", class_="name"), _in_shots(one["shots"], known)),
            element("p", one["appearance"], dir="auto"),
        )
        for one in characters
    ]
    return _panel("The figures", _rounds(rows))


def _in_shots(numbers: Sequence[int], known: set[int]) -> Markup:
    links = [element("a", str(number), href=f"#shot-{number}") for number in numbers if number in known]
    listed = [part for each in links for part in (", ", each)][1:]
    return element(
        "span", f"in shot{'s' if len(links) > 1 else ''} " if links else "in no shot", *listed, class_="soft"
    )


def _references(references: Entry) -> Markup:
    rows = [
        joined(
            element(
                "p",
                element("span", fact["file"], dir="auto", class_="name"),
                element("span", ", ".join(filter(None, [fact["kind"], fact["name"]])), dir="auto", class_="soft"),
            ),
            element("p", f"{fact['appearance']}; {fact['palette']}; {fact['style']}", dir="auto", class_="soft"),
        )
        for fact in references["pictures"]
    ]
    return _panel("Reference pictures", _rounds(rows), edited=references["edited"])


def _harmony(harmony: Entry) -> Markup:
    said = [element("p", text, dir="auto", class_="soft") for text in harmony["analysis"]]
    return _panel("How the pictures fit together", element("p", _score(harmony["score"], 1)), *said)
