"""Stage 6: shots. Rules group the sentences; every cut lies between two captions, best between two paragraphs.

With a text model the captions that it would cut after become better places, and it says what each shot shows.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any

from orchestrator import shot_ideas
from orchestrator.asking import thinks
from orchestrator.edits import fields, hold
from orchestrator.errors import StorygenError
from orchestrator.item import Item
from orchestrator.making import Making
from orchestrator.motion import motions

VERSION = "5"
MIN_SHOT_S, IDEAL_SHOT_S, MAX_SHOT_S = 2.0, 5.0, 10.0
BETWEEN_PARAGRAPHS_COST = -5.0
"""A shot that goes on into the next paragraph is as bad as one that is 2.2 seconds off the ideal."""
BETWEEN_SENTENCES_COST = 2.0
INSIDE_SENTENCE_COST = 12.0
"""A cut after a comma costs as much as a shot that is 3.5 seconds off the ideal."""
INSIDE_SPEECH_COST = 5.0
"""On top of it: who speaks stays in the picture if there is another place to cut."""
INSIDE_PHRASE_COST = 30.0
"""A cut within a phrase costs more than the longest shot allowed."""
OUT_OF_BOUNDS_COST = 10_000.0
PROPOSED_COST = -10.0
"""On top of it where the model would cut, so that a comma is as good as a sentence's end; but not within a phrase."""
COUNTER_MOVE = {
    "zoom_in": "zoom_out",
    "zoom_out": "zoom_in",
    "pan_left": "pan_right",
    "pan_right": "pan_left",
    "pan_up": "pan_down",
    "pan_down": "pan_up",
    "orbit": "zoom_in",
    "hold": "zoom_in",
}
"""What takes the place of a move that the shot before has too."""
SHAPE = {
    "shots": [
        {"number": 1, "start_s": 0.0, "end_s": 0.0, "num_frames": 1, "text": "", "prompt": "", "motion": {"kind": ""}}
    ]
}
"""What every list of shots has, an edited one too."""
FOLLOWING = frozenset({"number", "start_s", "end_s", "num_frames", "text"})
"""What of a shot follows the narration."""
PHRASE_END = re.compile(r"[,;:،；：，、…–—-][\"'”’»)\]」』\s]*$")
SENTENCE_END = re.compile(r"[.!?…。！？؟।]$")
"""In a speech, which is one line however many sentences it has."""
UNSPACED = re.compile(
    "[\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]"
)
"""Chinese and Japanese characters: no blank is written between two of them."""
QUOTATION_MARKS = re.compile('["«»„“”‟「」]')

Cue = Mapping[str, Any]


def make(making: Making) -> None:
    """Cut the film into shots, and say what each shows."""
    item = making.as_stored("scenes", "shots", SHAPE) or _planned(making)
    if item.edited:
        hold(item, _rules(), _misnumbered(item.document()["shots"]))
    frames = _frames(item.document()["shots"])
    wanted = whole_frames(making.duration_s, making.size["fps"])
    if frames != wanted:  # a film that ends before its narration does, or after it
        raise StorygenError(
            "invalid_request",
            f"The shots in scenes/shots/shots.json have {frames} frames together; the narration takes {wanted}.",
            f"Make their num_frames add up to {wanted}; or --force scenes/shots makes the document anew, and yours is "
            "kept in edited/scenes/shots.",
        )
    making.shots = [{**_undescribed(shot["text"]), **shot} for shot in item.document()["shots"]]


def _rules() -> dict[str, Any]:
    """What the list of shots must keep when somebody edits it: what the workers take that its parts go to."""
    clip, picture = fields("video_generation", "animate"), fields("image_generation", "generate")
    shot = {
        "motion": {**clip["motion"], "type": "object"},
        "num_frames": clip["num_frames"],
        "prompt": picture["prompts"]["items"],
        "description": clip["prompt"],
    }
    return {
        "type": "object",
        "properties": {"shots": {"type": "array", "items": {"type": "object", "properties": shot}}},
    }


def _misnumbered(shots: Sequence[Mapping[str, Any]]) -> list[str]:
    """The first shot that does not have its place in the list as its number."""
    wrong = next((place for place, shot in enumerate(shots) if shot["number"] != place + 1), None)
    if wrong is None:
        return []
    return [f"shots/{wrong}/number is {shots[wrong]['number']}; it must be {wrong + 1}: shots are counted from 1"]


def _frames(shots: Sequence[Mapping[str, Any]]) -> int:
    return sum(shot["num_frames"] for shot in shots)


def whole_frames(duration_s: float, fps: int) -> int:
    """Frames of a narration, the last one begun counted whole."""
    return math.ceil(round(duration_s * fps, 6))


def _planned(making: Making) -> Item:
    """The item of the shots."""
    inputs: dict[str, Any] = {
        "cues": making.cues,
        "words": making.words,
        "duration_s": making.duration_s,
        "fps": making.size["fps"],
        "paragraphs": [line["paragraph"] for line in making.lines],
        "language": making.source["language"],
        "cut_after": [],
    }
    ideas: dict[str, Any] = {}
    unseen: list[str] = []
    if thinks(making.settings("scenes")):
        texts = [joined([word["word"] for word in making.words[slice(*cue["words"])]]) for cue in making.cues]
        inputs["cut_after"] = shot_ideas.cut_proposals(making, texts, IDEAL_SHOT_S, (MIN_SHOT_S, MAX_SHOT_S))
        found, unseen = shot_ideas.picture_ideas(making, shots(**inputs))
        ideas = {str(number): idea for number, idea in found.items()}  # JSON has no other names

    def cut() -> dict[str, Any]:
        return {"shots": pictured(shots(**inputs), ideas)}

    told: list[str] = []

    def renewed(edited: Mapping[str, Any]) -> dict[str, Any] | None:
        if _frames(edited["shots"]) == whole_frames(making.duration_s, making.size["fps"]):
            return None
        own, said = carried_over(edited["shots"], cut()["shots"])
        told.append(said)
        return {"shots": own}

    item = making.run.rule("scenes", "shots", VERSION, {**inputs, "ideas": ideas}, cut, renew=renewed)
    item.warnings.extend(making.run.warn("scenes", "shots", "edits_carried_over", said) for said in told)
    for fault in unseen:
        message = f"{fault}; its picture follows its own words instead."
        item.warnings.append(making.run.warn("scenes", "shots", "shot_by_rules", message))
    return item


def pictured(shots: Sequence[Mapping[str, Any]], ideas: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The shots, those with an idea under their number as the model sees them; no move is that of the shot before."""
    seen = [
        shot_ideas.with_idea(shot, ideas[str(shot["number"])]) if str(shot["number"]) in ideas else dict(shot)
        for shot in shots
    ]
    for before, shot in pairwise(seen):
        if shot["motion"]["kind"] == before["motion"]["kind"]:
            shot["motion"] = {**shot["motion"], "kind": COUNTER_MOVE[shot["motion"]["kind"]]}
    return seen


def carried_over(
    edited: Sequence[Mapping[str, Any]], fresh: Sequence[Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], str]:
    """Fresh shots that look as the edited ones whose words are the same; and what to tell of it.

    A shot's place and length are the fresh one's, for they follow the narration.
    """
    left: dict[str, list[Mapping[str, Any]]] = {}
    for shot in edited:
        left.setdefault(shot["text"], []).append(shot)
    found = []
    for shot in fresh:
        own = left[shot["text"]].pop(0) if left.get(shot["text"]) else {}
        found.append({**shot, **{name: value for name, value in own.items() if name not in FOLLOWING}})
    lost = sorted(shot["number"] for shots in left.values() for shot in shots)
    said = (
        f"The narration's length changed after shots.json was edited, so the shots were cut anew; those whose words "
        f"are the same, {len(edited) - len(lost)} of {len(edited)}, look as you said."
    )
    others = f" Not carried over, for their words have changed: your shots {', '.join(map(str, lost))}." if lost else ""
    return found, said + others


def _undescribed(text: str) -> dict[str, Any]:
    """What rules can say of a shot's picture: its words. An edited document of an earlier version has no more."""
    return {"description": text, "prompt": text, "mood": None, "camera": None}


def shots(
    cues: Sequence[Cue],
    words: Sequence[Mapping[str, Any]],
    duration_s: float,
    fps: int,
    paragraphs: Sequence[int],
    language: str,
    cut_after: Collection[int] = (),
) -> list[dict[str, Any]]:
    """The shots of a film; their frames add up to the narration's length, rounded up to a whole frame.

    ``cut_after`` are cues, counted from 0, after which a cut is welcome. A cue names its words as
    ``words: [first, last + 1]``, a word its line, ``paragraphs`` the paragraph of each line.
    Every shot has 2 to 10 s where the cues allow it.
    """
    ends = [(before["end_s"] + after["start_s"]) / 2 for before, after in pairwise(cues)] + [duration_s]
    costs = cut_costs(cues, words, paragraphs)
    for cue, cost in enumerate(costs):
        if cue in cut_after and cost < INSIDE_PHRASE_COST:
            costs[cue] += PROPOSED_COST
    total = whole_frames(duration_s, fps)
    found: list[dict[str, Any]] = []
    begin = first = 0
    for number, last in enumerate(cuts(ends, costs), 1):
        end = total if last == len(cues) - 1 else math.floor(ends[last] * fps + 0.5 + 1e-6)  # halves always up
        spoken = words[cues[first]["words"][0] : cues[last]["words"][1]]
        text = joined([word["word"] for word in spoken])
        found.append(
            {
                "number": number,
                "start_s": round(begin / fps, 4),
                "end_s": round(end / fps, 4),
                "num_frames": end - begin,
                "text": text,
                **_undescribed(text),
            }
        )
        begin, first = end, last + 1
    moves = motions([shot["text"] for shot in found], [shot["num_frames"] / fps for shot in found], language)
    return [{**shot, "motion": motion} for shot, motion in zip(found, moves, strict=True)]


def joined(words: Sequence[str]) -> str:
    """The words as they are written: a blank between two, but none where Chinese or Japanese meets its like.

    >>> joined(["说：", "“你", "好。”", "Bob", "left."])
    '说：“你好。” Bob left.'
    """
    text = ""
    for before, word in pairwise(["", *words]):
        text += word if not before or (_unspaced(before[::-1]) and _unspaced(word)) else f" {word}"
    return text


def _unspaced(word: str) -> bool:
    """Whether its first letter or digit, behind quotes and other marks, is Chinese or Japanese."""
    return bool(UNSPACED.match(next((character for character in word if character.isalnum()), "")))


def cut_costs(cues: Sequence[Cue], words: Sequence[Mapping[str, Any]], paragraphs: Sequence[int]) -> list[float]:
    """What a cut behind each cue costs: the more, the closer what it parts belongs together."""
    costs = []
    speaking, read = False, 0
    for cue in cues:
        after = cue["words"][1]
        for word in words[read:after]:
            if read and paragraphs[word["line"]] != paragraphs[words[read - 1]["line"]]:
                speaking = False  # a speech of several paragraphs opens each one anew, and closes but the last
            speaking ^= len(QUOTATION_MARKS.findall(word["word"])) % 2 == 1
            read += 1
        costs.append(_cut_cost(words[after - 1], words[after], paragraphs, speaking) if after < len(words) else 0.0)
    return costs


def _cut_cost(before: Mapping[str, Any], after: Mapping[str, Any], paragraphs: Sequence[int], speaking: bool) -> float:
    """What a cut between two words costs; ``speaking`` is whether it lies in a quotation."""
    if paragraphs[before["line"]] != paragraphs[after["line"]]:
        return BETWEEN_PARAGRAPHS_COST
    first = next((character for character in after["word"] if character.isalnum()), "")
    stops = before["line"] != after["line"] or (speaking and SENTENCE_END.search(before["word"]))
    if stops and not first.islower():
        return BETWEEN_SENTENCES_COST + INSIDE_SPEECH_COST * speaking
    phrase_ends = stops or PHRASE_END.search(before["word"])  # "Come!" she said: a stop, but the sentence goes on
    cost = INSIDE_SENTENCE_COST if phrase_ends else INSIDE_PHRASE_COST
    return cost + INSIDE_SPEECH_COST * (speaking or bool(QUOTATION_MARKS.match(after["word"])))


def cuts(ends: Sequence[float], costs: Sequence[float]) -> list[int]:
    """The last cue of each shot, by the cheapest partition (dynamic programming over the cues, O(n²)).

    ``ends`` are the cues' ends, ``costs`` those of a cut there.
    """
    best: list[tuple[float, list[int]]] = [(0.0, [])]
    for last, end in enumerate(ends):
        options = []
        for first in range(last, -1, -1):
            length = end - (ends[first - 1] if first else 0.0)
            cost, before = best[first]
            options.append((cost + costs[last] + _length_cost(length), [*before, last]))
            if length > 2 * MAX_SHOT_S:
                break
        best.append(min(options, key=lambda option: option[0]))
    return best[-1][1]


def _length_cost(length: float) -> float:
    outside = max(0.0, MIN_SHOT_S - length, length - MAX_SHOT_S)
    return (length - IDEAL_SHOT_S) ** 2 + OUT_OF_BOUNDS_COST * outside
