"""Any causal language model of transformers, on this machine: Qwen, Llama, Mistral, Gemma and their kin.

Models are taken by id, if downloaded, or by folder; as safetensors only, and never with code of their own.
"""

from __future__ import annotations

import contextlib
import gc
import secrets
import time
from collections.abc import Mapping
from typing import Any

from engines.text_generation import _prompting, _structured
from engines.text_generation._stops import Stops
from runtime.context import Context
from runtime.errors import WorkerError
from weights import files
from weights.torch_errors import empty_cache, quiet, room

DEFAULT_MODEL = "Qwen/Qwen2.5-14B-Instruct"


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
        self._id = model["id"] or DEFAULT_MODEL
        self._folder = files.transformers_folder(self._id, model["revision"], options)
        context.progress("load", 0, 1, "model")
        began = time.monotonic()
        with quiet():
            import torch
            import transformers

            from engines.text_generation import _decoding
            from weights.placement import place

            transformers.utils.logging.set_verbosity_error()
            transformers.utils.logging.disable_progress_bar()
            self._torch, self._transformers, self._decoding = torch, transformers, _decoding
            context.import_s = time.monotonic() - began
            context.check()
            self._config = self._opened(transformers.AutoConfig)
            self._placement = place(model, options["device"], self._config.dtype)
            self._tokenizer = self._opened(transformers.AutoTokenizer)
            self._generation = self._generation_config()
        self._ignored = [name for name in ("offload", "compile") if options[name] not in {None, "none", False}]
        self._model: Any = None
        self._vocabulary: Any = None
        if not context.engine_options:  # a request's options are complete: a host loads ahead of its first request
            self._load_weights(context)

    def run(self, op: str, input: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
        """Check what was asked, then generate."""
        context.chosen.update({"id": self._id, **self._placement.facts})
        for name in self._ignored:
            context.warn("option_ignored", f"options.{name} is not used by this engine.")
        with quiet(), self._room():
            prompt = _prompting.tokens(self._tokenizer, op, input, context)
            self._check_window(len(prompt), input["max_tokens"], op)
            schema = input["json_schema"]
            grammar = None if schema is None else self._grammar(schema)
            if self._model is None:
                self._load_weights(context)
            seed = secrets.randbelow(1 << 32) if input["seed"] is None else input["seed"]
            return self._generated(prompt, input, seed, grammar, context)

    def unload(self) -> None:
        """Give the memory back, the GPU's too."""
        self._model = self._tokenizer = self._vocabulary = None
        gc.collect()
        empty_cache()

    def _generated(
        self,
        prompt: list[int],
        input: Mapping[str, Any],  # noqa: A002 - the wire's word
        seed: int,
        grammar: Any,
        context: Context,
    ) -> dict[str, Any]:
        torch = self._torch
        reader = self._decoding.Reader(
            self._decoded,
            ends=self._ends(),
            stops=Stops(input["stop"]),
            grammar=grammar,
            max_tokens=input["max_tokens"],
            context=context,
        )
        context.progress("run", 0, input["max_tokens"], "tokens")
        began = time.perf_counter()
        self._transformers.set_seed(seed)
        tokens = torch.tensor([prompt], device=self._model.device)
        self._model.generate(
            tokens,
            attention_mask=torch.ones_like(tokens),
            generation_config=self._how(input, context),
            stopping_criteria=self._transformers.StoppingCriteriaList([reader]),
            logits_processor=self._transformers.LogitsProcessorList([grammar] if grammar else []),
        )
        seconds = time.perf_counter() - began
        document = self._document(reader, input) if grammar else None
        return {
            "text": reader.text,
            "json": document,
            "tokens_generated": reader.count,
            "generation_time_ms": round(seconds * 1000, 3),
            "tokens_per_second": round(reader.count / seconds, 3),
            "finish_reason": reader.finish_reason,
            "seed": seed,
            "usage": {"prompt": len(prompt), "completion": reader.count, "total": len(prompt) + reader.count},
        }

    def _how(self, input: Mapping[str, Any], context: Context) -> Any:  # noqa: A002 - the wire's word
        """The request's choices; what it does not name is the model's own."""
        own, asked = self._generation, context.engine_options
        choices: dict[str, Any] = {"do_sample": input["temperature"] > 0}
        if choices["do_sample"]:
            choices["temperature"] = float(input["temperature"])  # the library takes no integer
            choices["top_p"] = float(input["top_p"])
            choices["top_k"] = (own.top_k or 0) if asked["top_k"] is None else asked["top_k"]
        if asked["repetition_penalty"] is not None:
            choices["repetition_penalty"] = float(asked["repetition_penalty"])
        padding = self._tokenizer.pad_token_id
        return self._transformers.GenerationConfig(
            max_new_tokens=input["max_tokens"],
            num_beams=1,
            num_return_sequences=1,
            return_dict_in_generate=False,
            eos_token_id=sorted(self._ends()) or None,
            pad_token_id=padding if padding is not None else next(iter(sorted(self._ends())), 0),
            **choices,
        )

    def _document(self, reader: Any, input: Mapping[str, Any]) -> Any:  # noqa: A002 - the wire's word
        """The JSON document. The grammar leads there, but only a validator knows the whole of JSON Schema."""
        if reader.finish_reason == "length":
            raise _structured.cut_off(reader.text, input["max_tokens"])
        try:
            return _structured.document(reader.text, input["json_schema"])
        except _structured.NotTheDocument as error:
            raise WorkerError(
                "internal_error", f"The model's document breaks json_schema although it was held to it: {error}"
            ) from error

    def _decoded(self, tokens: list[int]) -> str:
        text: str = self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    def _ends(self) -> set[int]:
        """Tokens that end an answer."""
        own = self._generation.eos_token_id
        ends = set(own) if isinstance(own, list) else {own}
        return {token for token in ends | {self._tokenizer.eos_token_id} if token is not None}

    def _grammar(self, schema: Mapping[str, Any]) -> Any:
        """What holds the model to a schema; the tokenizer's part of it is made once."""
        try:
            from llguidance import hf
        except ModuleNotFoundError as error:
            raise WorkerError(
                "engine_unavailable",
                "json_schema needs the Python package llguidance.",
                pointer="/input/json_schema",
                hint="pip install llguidance; it is part of the extra models.",
            ) from error
        if self._vocabulary is None:
            size = max(self._config.get_text_config().vocab_size, len(self._tokenizer))
            try:
                self._vocabulary = hf.from_tokenizer(self._tokenizer, n_vocab=size, eos_token=sorted(self._ends()))
            except ValueError as error:
                raise WorkerError(
                    "unsupported_capability",
                    f"The model's tokenizer cannot be held to a json_schema: {error}.",
                    pointer="/input/json_schema",
                ) from error
        return self._decoding.Grammar(self._vocabulary, schema)

    def _check_window(self, prompt_tokens: int, max_tokens: int, op: str) -> None:
        window = getattr(self._config.get_text_config(), "max_position_embeddings", None)
        if window is None or prompt_tokens + max_tokens <= window:
            return
        left = window - prompt_tokens
        where = "/input/messages" if op == "chat" else "/input/prompt"
        raise WorkerError(
            "invalid_request",
            f"The prompt has {prompt_tokens} tokens and max_tokens is {max_tokens}; together they must be at most "
            f"{window}, the context window of {self._id}.",
            pointer="/input/max_tokens" if left > 0 else where,
            hint=f"Set max_tokens to at most {left}, or shorten the prompt."
            if left > 0
            else f"Shorten the prompt by at least {1 - left} tokens, or take a model with a larger window.",
        )

    def _opened(self, kind: Any) -> Any:
        """The model's configuration or tokenizer."""
        try:
            return kind.from_pretrained(str(self._folder), local_files_only=True, trust_remote_code=False)
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise self._unusable(error) from error

    def _generation_config(self) -> Any:
        kind = self._transformers.GenerationConfig
        try:
            return kind.from_pretrained(str(self._folder), local_files_only=True)
        except OSError:  # the file is optional
            return kind.from_model_config(self._config)

    def _load_weights(self, context: Context) -> None:
        context.progress("load", 0, 1, "model")
        with quiet(), self._room():
            self._model = self._read_weights()
        context.progress("load", 1, 1, "model")

    def _read_weights(self) -> Any:
        placement = self._placement
        how: dict[str, Any] = {"dtype": placement.dtype}
        if placement.device != "cpu":
            how["device_map"] = {"": placement.device}  # straight there, without a copy in memory first
        if placement.quantization != "none":
            four = placement.quantization == "int4"
            how["quantization_config"] = self._transformers.BitsAndBytesConfig(
                load_in_4bit=four,
                load_in_8bit=not four,
                bnb_4bit_quant_type="nf4",
                bnb_4bit_compute_dtype=placement.dtype,
            )
        try:
            found, info = self._transformers.AutoModelForCausalLM.from_pretrained(
                str(self._folder),
                config=self._config,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
                **how,
            )
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise self._unusable(error) from error
        missing = sorted(info["missing_keys"])
        if missing:  # the library fills them with noise and goes on
            raise WorkerError(
                "model_not_found",
                f"The files of {self._id} lack {len(missing)} weights of {type(found).__name__}, such as {missing[0]}.",
                pointer="/model/id",
                hint="Download it again; a model of another kind, or an adapter alone, cannot be used here.",
            )
        return found.eval()

    def _unusable(self, error: Exception) -> WorkerError:
        return WorkerError(
            "model_not_found",
            f"{self._id} cannot be opened as a causal language model: {error}",
            pointer="/model/id",
            hint="Take a causal language model that transformers knows by itself; a model's own code is never run.",
        )

    def _room(self) -> contextlib.AbstractContextManager[None]:
        smaller = "Take a smaller model or model.quantization, a shorter prompt, or fewer max_tokens."
        return room(self._id, self._placement.device, smaller)
