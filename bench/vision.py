"""Vision: the worker against a plain transformers script with the same tiny LLaVA-OneVision, in turn.

A tiny model shows what we add, for its own work on a token takes a millisecond or two; a real one takes twenty times as
long. Nothing here passes or fails.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "workers"), str(ROOT / "tests")]

from bench.shared import measuring  # noqa: E402 - found only now

COLD_STARTS, WARM_REQUESTS, TOKENS = 5, 15, 60
WORKER = measuring.worker("vision_language")
NEEDED = ("torch", "transformers", "tokenizers", "safetensors", "PIL")
PROMPT = "Name what is in the picture."
PLAIN_SCRIPT = """\
import json, sys, time
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoTokenizer, LlavaOnevisionForConditionalGeneration
from transformers import LlavaOnevisionProcessor

class PicturesOnly(LlavaOnevisionProcessor):  # works without torchvision too
    @classmethod
    def get_attributes(cls):
        return ["image_processor", "tokenizer"]

folder, prompt, picture = sys.argv[1:4]
with open(folder + "/processor_config.json") as file:
    said = json.load(file)
with open(folder + "/chat_template.jinja") as file:
    template = file.read()
processor = PicturesOnly(
    AutoImageProcessor.from_pretrained(folder), AutoTokenizer.from_pretrained(folder), chat_template=template,
    num_image_tokens=said["num_image_tokens"], vision_feature_select_strategy=said["vision_feature_select_strategy"])
model = LlavaOnevisionForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)

def answer(tokens):
    content = [{"type": "image", "image": Image.open(picture).convert("RGB")}, {"type": "text", "text": prompt}]
    inputs = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True,
                                           tokenize=True, return_dict=True, return_tensors="pt")
    made = model.generate(**inputs, max_new_tokens=tokens, do_sample=False)[0, inputs["input_ids"].shape[1]:]
    return processor.tokenizer.decode(made, skip_special_tokens=True), len(made)

if len(sys.argv) > 4:
    text, count = answer(int(sys.argv[4]))
else:
    for line in sys.stdin:
        began = time.perf_counter()
        text, count = answer(int(line))
        print(json.dumps({"text": text, "seconds": time.perf_counter() - began}), flush=True)
"""


def main() -> None:
    """All three figures."""
    measuring.one_thread()
    measuring.measure("vision", NEEDED, build, (warm, cold, memory))


def build(folder: Path) -> tuple[Path, Path]:
    """A model and a picture."""
    measuring.quiet("transformers")
    from PIL import Image
    from tiny_models import vision

    picture = folder / "keyframe.png"
    Image.effect_mandelbrot((768, 1344), (-2, -1.5, 1, 1.5), 60).convert("RGB").save(picture)
    return vision.llava_onevision(folder / "model"), picture


def warm(model: Path, picture: Path) -> Iterator[str]:
    """a keyframe of 768×1344 described by a serving worker, seen by its host, against the plain script's loop."""
    from orchestrator.worker import Worker

    texts: dict[str, str] = {}
    with measuring.Plain(_plain(model, picture)) as plain, Worker("vision_language") as worker:

        def by_itself() -> float:
            answer = plain(TOKENS)
            texts["plain"] = answer["text"]
            return float(answer["seconds"])

        def over_the_wire() -> float:
            began = time.perf_counter()
            texts["ours"] = worker.request(_request(model, picture))["output"]["text"]
            return time.perf_counter() - began

        theirs, ours = measuring.in_turn(WARM_REQUESTS, by_itself, over_the_wire, first=3)
    same = "the same text" if texts["plain"] == texts["ours"] else "ANOTHER TEXT"
    yield f"plain script   {1000 * statistics.median(theirs):8.1f} ms a picture, {TOKENS} tokens"
    yield f"worker         {1000 * statistics.median(ours):8.1f} ms a picture, {same}"
    yield f"worker - plain {measuring.more(theirs, ours)}"


def cold(model: Path, picture: Path) -> Iterator[str]:
    """a whole process that says 20 tokens about one keyframe, against the plain script."""
    request = _request(model, picture, 20)
    yield from measuring.whole_processes(COLD_STARTS, _plain(model, picture, 20), WORKER, request)


def memory(model: Path, picture: Path) -> Iterator[str]:
    """the most memory held, MB."""
    yield measuring.peaks(_plain(model, picture, 20), WORKER, _request(model, picture, 20))


# Commands


def _plain(model: Path, picture: Path, tokens: int | None = None) -> list[str]:
    how = [] if tokens is None else [str(tokens)]
    return [sys.executable, "-c", PLAIN_SCRIPT, str(model), PROMPT, str(picture), *how]


def _request(model: Path, picture: Path, tokens: int = TOKENS) -> dict[str, Any]:
    asked = {"images": [str(picture)], "prompt": PROMPT, "max_tokens": tokens, "temperature": 0}
    return {"v": 1, "op": "analyze_image", "engine": "transformers", "model": {"id": str(model)}, "input": asked}


if __name__ == "__main__":
    main()
