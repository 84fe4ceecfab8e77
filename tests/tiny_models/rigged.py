"""Tiny models of the real classes that have learned a few documents by heart: a Qwen2 that answers every prompt of the
stages that think, and a LLaVA-OneVision that answers the judge's questions.

What random weights write into a schema is noise, which the stages rightly refuse; these write what a film can be made
of. They do not understand a word: the grammar of the schema that is asked for forces the first name of the document,
and from there each goes on as it was trained to, a handful of tokens back. So they prove that documents come through
every stage, not that prompts are good. Trained here in seconds from fixed seeds; loaded as real ones are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from tiny_models import llm, vision

SIGHT = 32
"""Tokens that a layer looks back. So a prompt is forgotten a few words into the answer, however long it is."""
WINDOW = 32768
VOCABULARY = 1200
STEPS, RATE = 90, 4e-3
NOISE = -100
"""Stands for any token, and is none to be learned: as cross entropy has it."""
ANSWER = "<|im_start|>assistant\n"
KNOWN = 0.1
"""Nats a token. It cannot be nothing: which document is to be begun, only the grammar knows."""
SHAPE: dict[str, Any] = {
    **llm.SIZE,
    "hidden_size": 96,
    "intermediate_size": 192,
    "initializer_range": 0.05,
    "use_sliding_window": True,
    "sliding_window": SIGHT,
    "max_window_layers": 0,
}
IDEAS: dict[str, Any] = {
    "language": "en",
    "ideas": [
        {
            "titles": ["Two Lamps", "The Second Lamp"],
            "premise": "An old man lights a lamp by the sea; far away another one answers, and he rows over to it.",
            "tone": "quiet",
            "theme": "A light is never lit for one alone.",
            "hook": "The old man struck his very last match.",
        },
        {
            "titles": ["The Clay Pitcher"],
            "premise": "A thirsty crow drops pebbles into a pitcher, one by one, until it can drink the water.",
            "tone": "wry",
            "theme": "Patience moves more than strength does.",
            "hook": "Nothing had been wet here for a month.",
        },
        {
            "titles": ["Nine Chairs"],
            "premise": "Ida burns her furniture to keep a beacon going, and her brother finds his way home by it.",
            "tone": "warm",
            "theme": "We keep what we give away.",
            "hook": "Ida broke the first leg over her knee.",
        },
    ],
}
SCORES = {
    "scores": [
        {"idea": 1, "originality": 72, "emotion": 81, "clarity": 90, "audience": 77, "pictures": 93},
        {"idea": 2, "originality": 41, "emotion": 38, "clarity": 88, "audience": 64, "pictures": 79},
        {"idea": 3, "originality": 66, "emotion": 74, "clarity": 83, "audience": 71, "pictures": 70},
    ]
}
SCRIPT = {
    "paragraphs": [
        "The old man struck his very last match. The lamp caught, and the dark stepped back.",
        "Far out, a second light answered. He took the oars.",
    ]
}
"""25 words: ten seconds."""
JUDGED = {
    "engagement": 84,
    "hook": 88,
    "clarity": 91,
    "pacing": 82,
    "audience": 85,
    "storytelling": 83,
    "notes": ["Let the second paragraph begin with the light."],
}
CUTS: dict[str, Any] = {"cut_after": [1, 2]}
BIBLE = {
    "characters": [
        {"name": "the old man", "appearance": "thin, white beard, blue wool coat", "shots": [1]},
        {"name": "the brass lamp", "appearance": "small oil lamp with green glass", "shots": [1]},
    ],
    "place": "a stone pier by the open sea",
    "era": "around 1900",
    "light": "cold moonlight",
    "palette": "slate, amber, bottle green",
    "style": "charcoal drawing",
}
PICTURES = (
    ("An old man lights a lamp.", "the old man shielding a burning match with both hands", "tense", "close-up",
     "eye level", "zoom_in", "slight"),
    ("The lamp shines on wet stones.", "brass lantern glowing among wet boulders at night", "hopeful", "wide shot",
     "low angle", "pan_left", "medium"),
    ("A light on the horizon.", "tiny yellow spark above black water under heavy clouds", "lonely", "extreme wide shot",
     "high angle", "zoom_out", "strong"),
    ("He rows over.", "wooden rowing boat seen from above between tall waves", "brave", "medium shot",
     "overhead view", "pan_right", "medium"),
    ("Two boats meet.", "two fishermen shaking hands across their gunwales", "warm", "medium shot",
     "eye level", "orbit", "slight"),
    ("Gulls wake up.", "white gulls circling over an empty harbour at dawn", "calm", "wide shot",
     "low angle", "pan_up", "strong"),
)  # fmt: skip
"""Of shots 1 to 6; a film of ten seconds has fewer."""
SHOTS = {
    "shots": {
        str(number): dict(
            zip(("description", "prompt", "mood", "size", "angle", "motion", "strength"), picture, strict=True)
        )
        for number, picture in enumerate(PICTURES, 1)
    }
}
THOUGHTS = (IDEAS, SCORES, SCRIPT, JUDGED, CUTS, BIBLE, SHOTS)
PICTURE_SCORE = 45
"""Below the gate's threshold, so that every shot is drawn again as often as allowed."""
SUGGESTION = "a lit wick"
SCENE = {
    "matching": ["the sea"],
    "mismatched": ["no lamp can be seen"],
    "explanation": "There is water, but nobody lights anything.",
    "score": PICTURE_SCORE,
    "suggestions": [SUGGESTION],
}
CONSISTENCY = {
    "consistent": ["the palette"],
    "inconsistent": [],
    "analysis": "All look like one hand drew them.",
    "pairs": {f"{first}-{second}": 70 + first + second for first, second in combinations(range(1, 7), 2)},
}
JUDGEMENTS = (SCENE, CONSISTENCY)


def writer(folder: Path) -> Path:
    """Write a Qwen2 that answers the stages that think into ``folder`` and return it.

    Its film lasts about ten seconds and has one to six shots.
    """
    return llm.qwen2(folder, window=WINDOW, taught=_by_heart(THOUGHTS))


def judge(folder: Path) -> Path:
    """Write a LLaVA-OneVision into ``folder`` that fails every picture and finds any set of pictures consistent."""
    return vision.llava_onevision(folder, taught=_by_heart(JUDGEMENTS))


def _by_heart(documents: Sequence[Mapping[str, Any]]) -> llm.Taught:
    texts = tuple(json.dumps(document) for document in documents)

    def teach(model: Any, tokenizer: Any) -> None:
        _learn(model, tokenizer, texts)

    return llm.Taught(texts, VOCABULARY, SHAPE, teach)


def _learn(model: Any, tokenizer: Any, texts: Sequence[str]) -> None:
    """Train until every text is known by heart, whatever stands before it.

    All are one sequence, parted by as much noise as a layer sees, and the noise is another one each time.
    """
    import torch
    from torch.nn.functional import cross_entropy

    tokens: list[int] = []
    for text in texts:
        tokens += [*[NOISE] * SIGHT, *tokenizer(f"{ANSWER}{text}{tokenizer.eos_token}")["input_ids"]]
    row = torch.tensor(tokens)
    is_noise = row == NOISE
    wanted = row.roll(-1).masked_fill(is_noise | (row == tokenizer.eos_token_id), NOISE)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.98), weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=STEPS, pct_start=0.1)
    for _ in range(STEPS):
        row[is_noise] = torch.randint(len(tokenizer), (int(is_noise.sum()),))
        loss = cross_entropy(model(input_ids=row[None], use_cache=False).logits[0], wanted, ignore_index=NOISE)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    if loss > KNOWN:
        raise AssertionError(f"after {STEPS} steps the documents are not known by heart: loss {float(loss):.3f}")
