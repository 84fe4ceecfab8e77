"""Text generation: the worker against a plain transformers script with the same tiny model, in turn.

A tiny model shows what we add, for its own work on a token takes a millisecond or two; a real one takes twenty times as
long. Nothing here passes or fails.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "workers"), str(ROOT / "tests")]

from bench.shared import measuring  # noqa: E402 - found only now

COLD_STARTS, WARM_REQUESTS, TOKENS = 7, 15, 150
WORKER = measuring.worker("text_generation")
NEEDED = ("torch", "transformers", "tokenizers", "safetensors")
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
else:
    for line in sys.stdin:
        began = time.perf_counter()
        text, count = answer(int(line))
        print(json.dumps({"text": text, "tokens": count, "seconds": time.perf_counter() - began}), flush=True)
"""


def main() -> None:
    """All three figures."""
    measuring.one_thread()
    measuring.measure("text", NEEDED, build, (warm, cold, memory))


def build(folder: Path) -> tuple[Path]:
    """A model."""
    measuring.quiet("transformers")
    from tiny_models import llm

    return (llm.qwen2(folder / "model"),)


def warm(model: Path) -> Iterator[str]:
    """a streamed chat with a serving worker, seen by its host, against `generate` without streaming in one process."""
    from orchestrator.worker import Worker

    texts: dict[str, str] = {}
    with measuring.Plain(_plain(model)) as plain, Worker("text_generation") as worker:

        def by_itself(tokens: int) -> tuple[float, int]:
            answer = plain(tokens)
            texts["plain"] = answer["text"]
            return answer["seconds"], answer["tokens"]

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
    same = "the same text" if texts["plain"] == texts["ours"] else "ANOTHER TEXT"
    speed_plain = statistics.median(count / seconds for seconds, count in wholes)
    speed_ours = statistics.median(count / whole for _, whole, _, count in ours)
    inside = statistics.median(count / within for _, _, within, count in ours)
    first = statistics.median(mine[0] - other for mine, other in zip(ours, firsts, strict=True))
    yield f"plain script   {speed_plain:8.1f} tokens/s   first text after {_ms(firsts):6.1f} ms ({needed} tokens)"
    yield f"worker         {speed_ours:8.1f} tokens/s   first text after {_ms([o[0] for o in ours]):6.1f} ms, {same}"
    yield f"first text     {1000 * first:+8.1f} ms           (aim ≤ 20)"
    yield f"whole answer   {measuring.more([seconds for seconds, _ in wholes], [mine[1] for mine in ours])}"
    yield f"generate alone {100 * (speed_plain / inside - 1):+8.1f} % a token      the rest is the wire and the check"


def cold(model: Path) -> Iterator[str]:
    """a whole process that generates 20 tokens, against the plain script."""
    yield from measuring.whole_processes(COLD_STARTS, _plain(model, 20), WORKER, _request(model, 20))


def memory(model: Path) -> Iterator[str]:
    """the most memory held, MB."""
    yield measuring.peaks(_plain(model, 20), WORKER, _request(model, 20))


# Commands


def _plain(model: Path, tokens: int | None = None) -> list[str]:
    return [sys.executable, "-c", PLAIN_SCRIPT, str(model), PROMPT, *([] if tokens is None else [str(tokens)])]


def _request(model: Path, tokens: int) -> dict[str, Any]:
    asked = {"messages": [{"role": "user", "content": PROMPT}], "max_tokens": tokens, "temperature": 0}
    return {"v": 1, "op": "chat", "engine": "transformers", "model": {"id": str(model)}, "input": asked}


def _ms(seconds: Sequence[float]) -> float:
    return 1000 * statistics.median(seconds)


if __name__ == "__main__":
    main()
