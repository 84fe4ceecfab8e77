"""Vision: the worker against a plain transformers script with the same tiny LLaVA-OneVision, in turn.

A tiny model shows what we add, for its own work on a token takes a millisecond or two; a real one takes twenty times as
long. Nothing here passes or fails.
"""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
WORKERS = ROOT / "workers"
sys.path[:0] = [str(ROOT), str(WORKERS), str(ROOT / "tests")]

COLD_STARTS, WARM_REQUESTS, TOKENS = 5, 15, 60
NEEDED = ("torch", "transformers", "tokenizers", "safetensors", "PIL")
os.environ["OMP_NUM_THREADS"] = "1"
"""For all processes started here: threads gain nothing on a tiny model, and those of two disturb each other."""
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
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
    try:
        import resource
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
    except ImportError:
        peak = None
    print(json.dumps({"text": text, "peak_rss_mb": peak}))
else:
    for line in sys.stdin:
        began = time.perf_counter()
        text, count = answer(int(line))
        print(json.dumps({"text": text, "seconds": time.perf_counter() - began}), flush=True)
"""


def main() -> None:
    """All three figures."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        print(f"\nvision: skipped: {', '.join(missing)} is not installed (the models extra has it)")
        return
    from PIL import Image
    from tiny_models import vision
    from transformers.utils import logging

    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory(prefix="storygen-bench-") as name:
        model, picture = vision.llava_onevision(Path(name, "model")), Path(name, "keyframe.png")
        Image.effect_mandelbrot((768, 1344), (-2, -1.5, 1, 1.5), 60).convert("RGB").save(picture)
        for part in (warm, cold, memory):
            print(f"\nvision, {part.__name__}: {part.__doc__}", flush=True)
            for line in part(model, picture):
                print(f"  {line}", flush=True)


def warm(model: Path, picture: Path) -> Iterator[str]:
    """a keyframe of 768×1344 described by a serving worker, seen by its host, against the plain script's loop."""
    from orchestrator.worker import Worker

    plain = subprocess.Popen(
        _plain(model, picture),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=ENVIRONMENT,
    )
    assert plain.stdin is not None
    assert plain.stdout is not None
    says, hears = plain.stdin, plain.stdout
    texts: dict[str, str] = {}

    def by_itself() -> float:
        says.write(f"{TOKENS}\n".encode())
        says.flush()
        answer = json.loads(hears.readline())
        texts["plain"] = answer["text"]
        return float(answer["seconds"])

    with Worker("vision_language") as worker:

        def over_the_wire() -> float:
            began = time.perf_counter()
            texts["ours"] = worker.request(_request(model, picture))["output"]["text"]
            return time.perf_counter() - began

        for _ in range(3):
            by_itself(), over_the_wire()
        pairs = [(by_itself(), over_the_wire()) for _ in range(WARM_REQUESTS)]
    says.close()
    plain.wait()
    same = "the same text" if texts["plain"] == texts["ours"] else "ANOTHER TEXT"
    theirs = statistics.median(pair[0] for pair in pairs)
    extra = statistics.median(ours - other for other, ours in pairs)
    yield f"plain script   {1000 * theirs:8.1f} ms a picture, {TOKENS} tokens"
    yield f"worker         {1000 * statistics.median(pair[1] for pair in pairs):8.1f} ms a picture, {same}"
    yield f"worker - plain {1000 * extra:+8.1f} ms   (aim ≤ {1000 * (0.03 * theirs + 0.02):.0f}: 3 % + 20 ms)"


def cold(model: Path, picture: Path) -> Iterator[str]:
    """a whole process that says 20 tokens about one keyframe, against the plain script."""
    plain, ours = [], []
    for _ in range(COLD_STARTS):
        plain.append(_seconds(lambda: _finished(_plain(model, picture, 20))))
        ours.append(_seconds(lambda: _finished(_worker(), _request(model, picture, 20))))
    yield f"plain script   {_spread(plain)}"
    yield f"worker         {_spread(ours)}"
    yield f"worker / plain {statistics.median(ours) / statistics.median(plain):8.2f}   (aim ≤ 0.85)"


def memory(model: Path, picture: Path) -> Iterator[str]:
    """the most memory held, MB."""
    plain = json.loads(_finished(_plain(model, picture, 20)))["peak_rss_mb"]
    ours = json.loads(_finished(_worker(), _request(model, picture, 20)))["metrics"]["peak_rss_mb"]
    if plain is None or ours is None:
        yield "not known on this system"
        return
    yield f"plain script {plain:.0f}, worker {ours:.0f} ({ours - plain:+.0f})"


# Commands


def _plain(model: Path, picture: Path, tokens: int | None = None) -> list[str]:
    how = [] if tokens is None else [str(tokens)]
    return [sys.executable, "-c", PLAIN_SCRIPT, str(model), PROMPT, str(picture), *how]


def _worker() -> list[str]:
    return [sys.executable, str(WORKERS / "vision_language.py"), "--input", "-"]


def _request(model: Path, picture: Path, tokens: int = TOKENS) -> dict[str, Any]:
    asked = {"images": [str(picture)], "prompt": PROMPT, "max_tokens": tokens, "temperature": 0}
    return {"v": 1, "op": "analyze_image", "engine": "transformers", "model": {"id": str(model)}, "input": asked}


def _finished(command: Sequence[str], request: dict[str, Any] | None = None) -> bytes:
    body = b"" if request is None else json.dumps(request).encode()
    return subprocess.run(command, input=body, capture_output=True, env=ENVIRONMENT, check=True).stdout


def _seconds(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def _spread(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds):8.2f} s   ({min(seconds):.2f} to {max(seconds):.2f})"


if __name__ == "__main__":
    main()
