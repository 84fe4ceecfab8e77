"""What models write beside the words to be spoken: headings, labels, directions, marks. It is taken away, and told."""

from __future__ import annotations

import re
from collections.abc import Sequence

from orchestrator.stages.collect import plain

LABEL = re.compile(
    r"\W{0,3}(narrator|narration|voice[- ]?over|v\.?o\.?|host|speaker|announcer|vypravěč|lektor|erzähler(in)?|"
    r"sprecher(in)?|narrateur|narratrice|narrador(a)?|narratore|locutor(a)?|рассказчик|диктор|оповідач|旁白|解说|解說|"
    r"ナレーター|ナレーション|내레이터|내레이션|الراوي)\s*\d*\s*([(（][^()（）]{0,60}[)）])?\s*[:：]\s*",
    re.IGNORECASE,
)
"""Who speaks, in the languages that models are asked for most: there is one voice."""
PART = re.compile(r"\W{0,3}(scene|shot|part|section|hook|intro|outro|conclusion)\s*\d*\s*[:：]\s*", re.IGNORECASE)
TIME_CODE = re.compile(r"[(\[]?\d{1,2}:\d{2}\s*([-–—]\s*\d{1,2}:\d{2})?[)\]]?\s*[:–—-]?\s+")
"""``0:00-0:05`` before a paragraph; ``At 8:15`` is not."""
DIRECTION = re.compile(r"\s*[\[【][^\[\]【】]{1,120}[\]】]|^\s*[(（][^()（）.!?。！？]{1,120}[)）]\s*", re.MULTILINE)
"""``[Music swells]`` anywhere, ``(softly)`` before a paragraph. What ends as a sentence is one: ``(Nobody saw.)``."""
MARKS = "its Markdown"
SHOWN = 60


def spoken(paragraphs: Sequence[str]) -> tuple[list[str], list[str]]:
    """(The paragraphs as they are to be spoken, none empty; what was taken away).

    >>> spoken(["# Two Lamps", "**Narrator (softly):** He lit a lamp. [Waves]"])
    (['He lit a lamp.'], ['# Two Lamps', '[Waves]', 'Narrator (softly):', 'its Markdown'])
    """
    kept: list[str] = []
    removed: list[str] = []
    for paragraph in paragraphs:
        removed += [found[0].strip() for found in DIRECTION.finditer(paragraph)]
        for is_heading, text in plain(DIRECTION.sub("", paragraph)):
            if is_heading:
                removed.append(f"# {text}")
                continue
            rest = text
            for addition in (TIME_CODE, PART, LABEL):
                if found := addition.match(rest):
                    removed.append(found[0].strip())
                    rest = rest[found.end() :]
            if any(map(str.isalnum, rest)):
                kept.append(rest.strip())
    told = " ".join(paragraphs)
    if re.search(r"\*\*|__|^\s*([#>]|[-*+] )|`", told, re.MULTILINE):
        removed.append(MARKS)
    return kept, [each if len(each) <= SHOWN else f"{each[: SHOWN - 1]}…" for each in removed]
