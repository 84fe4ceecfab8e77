"""Any causal language model of transformers, on this machine: Qwen, Llama, Mistral, Gemma and their kin.

Models are taken by id, if downloaded, or by folder; as safetensors only, and never with code of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from engines.text_generation import _conversation, _prompting
from language.checkpoint import Checkpoint, Kind
from language.local import LocalModel
from runtime.context import Context

DEFAULT_MODEL = "Qwen/Qwen2.5-14B-Instruct"
KIND = Kind(
    auto_class="AutoModelForCausalLM",
    name="a causal language model",
    smaller="Take a smaller model or model.quantization, a shorter prompt, or fewer max_tokens.",
)


class Engine:
    """``generate`` and ``chat``, token by token; a json_schema is kept by allowing only tokens that lead to it.

    Weights are read when the first request fits the model's context window, or at once when a host loads ahead.
    """

    version = "1"
    requires: tuple[str, ...] = ("torch", "transformers")
    key_env: str | None = None
    remote = False
    ops: tuple[str, ...] = ("generate", "chat")
    capabilities: frozenset[str] = frozenset(
        {"device", "json_schema", "model", "prompt_file", "quantization", "seed", "stop", "streaming", "system_prompt"}
    )
    models: Mapping[str, Mapping[str, Any]] = {
        DEFAULT_MODEL: {
            "defaults": {"temperature": 0.7, "top_p": 0.8},
            "context_window": 32768,
            "vram_gb": {"none": 28, "int8": 14, "int4": 7},
            "license": "Apache-2.0",
        },
        "meta-llama/Llama-3.1-8B-Instruct": {
            "defaults": {"temperature": 0.6, "top_p": 0.9},
            "context_window": 131072,
            "vram_gb": {"none": 16, "int8": 8, "int4": 4},
            "license": "Llama 3.1 Community License (gated)",
        },
    }
    options_schema: Mapping[str, Any] = {
        "type": "object",
        "properties": {
            "top_k": {
                "type": ["integer", "null"],
                "minimum": 0,
                "maximum": 1000,
                "default": None,
                "description": "Tokens are chosen from this many likeliest ones; 0 is from all, null the model's own.",
            },
            "repetition_penalty": {
                "type": ["number", "null"],
                "minimum": 0.5,
                "maximum": 2,
                "default": None,
                "description": "Above 1 makes tokens that were there less likely; null is the model's own, else 1.",
            },
        },
        "additionalProperties": False,
    }

    def load(self, model: Mapping[str, Any], options: Mapping[str, Any], context: Context) -> None:
        """Read all of the model but its weights; whatever can be refused without them is refused here."""
        checkpoint = Checkpoint(KIND, model["id"] or DEFAULT_MODEL, model, options, context)
        self._local = LocalModel(checkpoint, checkpoint.opened(checkpoint.transformers.AutoTokenizer))
        if not context.engine_options:  # a request's options are complete: a host loads ahead of its first request
            self._local.load_weights(context)

    def run(self, op: str, input: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
        """Check what was asked, then generate."""
        own = context.engine_options
        asked = replace(
            _conversation.asked(op, input), top_k=own["top_k"], repetition_penalty=own["repetition_penalty"]
        )
        with self._local.at_work(context):
            prompt = _prompting.tokens(self._local.tokenizer, op, input, context)
            where = "/input/messages" if op == "chat" else "/input/prompt"
            self._local.check_window(len(prompt), asked.max_tokens, where, "shorten the prompt")
            return _conversation.output(self._local.answer(self._local.inputs(prompt), asked, context))

    def unload(self) -> None:
        """Give the memory back, the GPU's too."""
        self._local.unload()
