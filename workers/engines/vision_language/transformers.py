"""Any image-text-to-text model of transformers, on this machine: LLaVA-OneVision, Qwen-VL, SmolVLM and their kin.

Models are taken by id, if downloaded, or by folder; as safetensors only, and never with code of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engines.vision_language import _pictures, _processor, _questions
from language.checkpoint import Checkpoint, Kind, own_code
from language.local import LocalModel
from runtime.context import Context

DEFAULT_MODEL = "llava-hf/llava-onevision-qwen2-7b-ov-hf"
KIND = Kind(
    auto_class="AutoModelForImageTextToText",
    name="an image-text-to-text model",
    smaller="Take a smaller model or model.quantization, fewer or smaller pictures (engine_options.longest_side), or "
    "fewer max_tokens.",
    instead="Nearest to Phi-3.5-vision, and of the same size, is Qwen/Qwen3-VL-4B-Instruct.",
)
OWN_CODE = frozenset({"microsoft/phi-3.5-vision-instruct", "microsoft/phi-3-vision-128k-instruct"})
"""Models, in small letters, that are refused before anybody downloads them: transformers does not know their class."""


class Engine:
    """All operations, token by token; what must be a document is one because only tokens that lead to it are allowed.

    Weights are read when the first request fits the model's context window, or at once when a host loads ahead.
    """

    version = "1"
    requires: tuple[str, ...] = ("torch", "transformers", "PIL")
    key_env: str | None = None
    remote = False
    ops: tuple[str, ...] = ("analyze_image", "check_consistency", "validate_scene")
    capabilities: frozenset[str] = frozenset({"device", "json_schema", "model", "quantization", "seed", "streaming"})
    models: Mapping[str, Mapping[str, Any]] = {
        DEFAULT_MODEL: {"context_window": 32768, "vram_gb": {"none": 14}, "license": "Apache-2.0"},
        "Qwen/Qwen2.5-VL-7B-Instruct": {"context_window": 128000, "license": "Apache-2.0"},
        "Qwen/Qwen3-VL-4B-Instruct": {"context_window": 262144, "license": "Apache-2.0"},
        "HuggingFaceTB/SmolVLM-Instruct": {"context_window": 16384, "license": "Apache-2.0"},
    }
    options_schema: Mapping[str, Any] = {
        "type": "object",
        "properties": {
            "longest_side": {
                "type": "integer",
                "minimum": 64,
                "maximum": 8192,
                "default": 4096,
                "description": "Pictures are scaled down to this many pixels on their longest side before the model's "
                "own processor scales them; less makes fewer tokens with models that take a picture's size as it is.",
            },
        },
        "additionalProperties": False,
    }

    def load(self, model: Mapping[str, Any], options: Mapping[str, Any], context: Context) -> None:
        """Read all of the model but its weights; whatever can be refused without them is refused here."""
        name = model["id"] or DEFAULT_MODEL
        if name.lower() in OWN_CODE:
            raise own_code(name, KIND)
        checkpoint = Checkpoint(KIND, name, model, options, context)
        self._processor = _processor.opened(checkpoint)
        self._local = LocalModel(checkpoint, self._processor.tokenizer)
        if not context.engine_options:  # a request's options are complete: a host loads ahead of its first request
            self._local.load_weights(context)

    def run(self, op: str, input: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
        """Look at the pictures, then answer."""
        question = _questions.question(op, input, bounded=True)
        where = "/input/image" if op == "validate_scene" else "/input/images"
        with self._local.at_work(context):
            pictures = _pictures.opened(op, input, context.engine_options["longest_side"], context)
            inputs = _processor.inputs(self._processor, pictures, question.text, where, context)
            self._local.check_window(
                inputs["input_ids"].shape[1], question.asked.max_tokens, where, "give fewer or smaller pictures"
            )
            return _questions.output(op, input, self._local.answer(inputs, question.asked, context))

    def unload(self) -> None:
        """Give the memory back, the GPU's too."""
        self._processor = None
        self._local.unload()
