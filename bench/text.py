"""Text generation: the worker against a plain transformers script with the same tiny model, in turn.

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

COLD_STARTS, WARM_REQUESTS, TOKENS = 7, 15, 150
NEEDED = ("torch", "transformers", "tokenizers", "safetensors")
os.environ["OMP_NUM_THREADS"] = "1"
"""For all processes started here: threads gain nothing on a tiny model, and those of two disturb each other."""
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
PROMPT = "Write a short story about a lighthouse keeper and the sea, in two sentences."
PLAIN_SCRIPT = """\
import json, sys, time
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32)

def answer(tokens):
    said = [{"role": "user", "content": sys.argv[2]}]
    prompt = tokenizer.apply_chat_template(said, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    made = model.generate(**prompt, max_new_tokens=tokens, do_sample=False)[0, prompt["input_ids"].shape[1]:]
    return tokenizer.decode(made, skip_special_tokens=True), len(made)

if len(sys.argv) > 3:
    text, count = answer(int(sys.argv[3]))
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
        print(json.dumps({"text": text, "tokens": count, "seconds": time.perf_counter() - began}), flush=True)
"""


def main() -> None:
    """All three figures."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        print(f"\ntext: skipped: {', '.join(missing)} is not installed (the models extra has it)")
        return
    from tiny_models import llm
    from transformers.utils import logging

    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory(prefix="storygen-bench-") as name:
        model = llm.qwen2(Path(name, "model"))
        for part in (warm, cold, memory):
            print(f"\ntext, {part.__name__}: {part.__doc__}", flush=True)
            for line in part(model):
                print(f"  {line}", flush=True)


def warm(model: Path) -> Iterator[str]:
    """a streamed chat with a serving worker, seen by its host, against `generate` without streaming in one process."""
    from orchestrator.worker import Worker

    plain = subprocess.Popen(
        _plain(model), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=ENVIRONMENT
    )
    assert plain.stdin is not None
    assert plain.stdout is not None
    says, hears = plain.stdin, plain.stdout
    texts: dict[str, str] = {}

    def by_itself(tokens: int) -> tuple[float, int]:
        says.write(f"{tokens}\n".encode())
        says.flush()
        answer = json.loads(hears.readline())
        texts["plain"] = answer["text"]
        return answer["seconds"], answer["tokens"]

    with Worker("text_generation") as worker:

        def over_the_wire() -> tuple[float, float, float, int]:
            """Seconds to the first delta, to the result, in generate itself; tokens."""
            first: list[float] = []

            def note(event: dict[str, Any]) -> None:
                if event["type"] == "delta" and not first:
                    first.append(time.perf_counter())

            began = time.perf_counter()
            output = worker.request(_request(model, TOKENS), note)["output"]
            texts["ours"] = output["text"]
            whole = time.perf_counter() - began
            return first[0] - began, whole, output["generation_time_ms"] / 1000, output["tokens_generated"]

        for _ in range(3):
            by_itself(TOKENS), over_the_wire()
        # A first token may be half a character, of which there is no text yet.
        needed = next(
            count for count in range(1, TOKENS) if by_itself(count)[0] and not texts["plain"].endswith("\ufffd")
        )
        firsts, wholes, ours = [], [], []
        for _ in range(WARM_REQUESTS):
            firsts.append(by_itself(needed)[0])
            wholes.append(by_itself(TOKENS))
            ours.append(over_the_wire())
    says.close()
    plain.wait()
    same = "the same text" if texts["plain"] == texts["ours"] else "ANOTHER TEXT"
    speed_plain = statistics.median(count / seconds for seconds, count in wholes)
    speed_ours = statistics.median(count / whole for _, whole, _, count in ours)
    inside = statistics.median(count / within for _, _, within, count in ours)
    extra = statistics.median(mine[1] - other[0] for mine, other in zip(ours, wholes, strict=True))
    first = statistics.median(mine[0] - other for mine, other in zip(ours, firsts, strict=True))
    aim = 1000 * (0.03 * statistics.median(seconds for seconds, _ in wholes) + 0.02)
    yield f"plain script   {speed_plain:8.1f} tokens/s   first text after {_ms(firsts):6.1f} ms ({needed} tokens)"
    yield f"worker         {speed_ours:8.1f} tokens/s   first text after {_ms([o[0] for o in ours]):6.1f} ms, {same}"
    yield f"first text     {1000 * first:+8.1f} ms           (aim ≤ 20)"
    yield f"whole answer   {1000 * extra:+8.1f} ms           (aim ≤ {aim:.0f}: 3 % + 20 ms)"
    yield f"generate alone {100 * (speed_plain / inside - 1):+8.1f} % a token      the rest is the wire and the check"


def cold(model: Path) -> Iterator[str]:
    """a whole process that generates 20 tokens, against the plain script."""
    plain, ours = [], []
    for _ in range(COLD_STARTS):
        plain.append(_seconds(lambda: _finished(_plain(model, 20))))
        ours.append(_seconds(lambda: _finished(_worker(), _request(model, 20))))
    yield f"plain script   {_spread(plain)}"
    yield f"worker         {_spread(ours)}"
    yield f"worker / plain {statistics.median(ours) / statistics.median(plain):8.2f}   (aim ≤ 0.85)"


def memory(model: Path) -> Iterator[str]:
    """the most memory held, MB."""
    plain = json.loads(_finished(_plain(model, 20)))["peak_rss_mb"]
    ours = json.loads(_finished(_worker(), _request(model, 20)))["metrics"]["peak_rss_mb"]
    if plain is None or ours is None:
        yield "not known on this system"
        return
    yield f"plain script {plain:.0f}, worker {ours:.0f} ({ours - plain:+.0f})"


# Commands


def _plain(model: Path, tokens: int | None = None) -> list[str]:
    return [sys.executable, "-c", PLAIN_SCRIPT, str(model), PROMPT, *([] if tokens is None else [str(tokens)])]


def _worker() -> list[str]:
    return [sys.executable, str(WORKERS / "text_generation.py"), "--input", "-"]


def _request(model: Path, tokens: int) -> dict[str, Any]:
    asked = {"messages": [{"role": "user", "content": PROMPT}], "max_tokens": tokens, "temperature": 0}
    return {"v": 1, "op": "chat", "engine": "transformers", "model": {"id": str(model)}, "input": asked}


def _finished(command: Sequence[str], request: dict[str, Any] | None = None) -> bytes:
    body = b"" if request is None else json.dumps(request).encode()
    return subprocess.run(command, input=body, capture_output=True, env=ENVIRONMENT, check=True).stdout


def _seconds(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def _spread(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds):8.2f} s   ({min(seconds):.2f} to {max(seconds):.2f})"


def _ms(seconds: Sequence[float]) -> float:
    return 1000 * statistics.median(seconds)


if __name__ == "__main__":
    main()
