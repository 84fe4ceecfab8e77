"""A language model of transformers on this machine, held to what was asked; the same for every family."""

from __future__ import annotations

import contextlib
import gc
import secrets
import time
from collections.abc import Iterator, Mapping
from typing import Any

from language import structured
from language.asked import Asked, Said
from language.checkpoint import Checkpoint
from language.stops import Stops
from runtime.context import Context
from runtime.errors import WorkerError
from weights.torch_errors import empty_cache, quiet, room


class LocalModel:
    """Its weights are read when the first request fits, or when ``load_weights`` is called."""

    def __init__(self, checkpoint: Checkpoint, tokenizer: Any) -> None:
        import torch

        from language import decoding

        self.checkpoint, self.tokenizer = checkpoint, tokenizer
        self._torch, self._transformers, self._decoding = torch, checkpoint.transformers, decoding
        self.weights: Any = None
        """The model itself, once it is read."""
        self._vocabulary: Any = None

    def load_weights(self, context: Context) -> None:
        """Read the weights."""
        context.progress("load", 0, 1, "model")
        with quiet(), self._room():
            self.weights = self.checkpoint.read_weights()
        context.progress("load", 1, 1, "model")

    def unload(self) -> None:
        """Give the memory back, the GPU's too."""
        self.weights = self.tokenizer = self._vocabulary = None
        gc.collect()
        empty_cache()

    @contextlib.contextmanager
    def at_work(self, context: Context) -> Iterator[None]:
        """For all of a request: says what was chosen, keeps the library quiet, and says when there is no room."""
        context.chosen.update({"id": self.checkpoint.id, **self.checkpoint.placement.facts})
        for name in self.checkpoint.ignored:
            context.warn("option_ignored", f"options.{name} is not used by this engine.")
        with quiet(), self._room():
            yield

    def check_window(self, prompt_tokens: int, max_tokens: int, pointer: str, shorter: str) -> None:
        """Whether prompt and answer fit. ``shorter`` says what to do about a prompt that ``pointer`` names.

        Raises WorkerError ``invalid_request``.
        """
        window = getattr(self.checkpoint.config.get_text_config(), "max_position_embeddings", None)
        if window is None or prompt_tokens + max_tokens <= window:
            return
        left = window - prompt_tokens
        raise WorkerError(
            "invalid_request",
            f"The prompt has {prompt_tokens} tokens and max_tokens is {max_tokens}; together they must be at most "
            f"{window}, the context window of {self.checkpoint.id}.",
            pointer="/input/max_tokens" if left > 0 else pointer,
            hint=f"Set max_tokens to at most {left}, or {shorter}."
            if left > 0
            else f"{shorter[0].upper()}{shorter[1:]}: at least {1 - left} tokens less; or take a model with a larger "
            "window.",
        )

    def inputs(self, tokens: list[int]) -> dict[str, Any]:
        """For ``answer``: a prompt that is nothing but tokens."""
        whole = self._torch.tensor([tokens])
        return {"input_ids": whole, "attention_mask": self._torch.ones_like(whole)}

    def answer(self, inputs: Mapping[str, Any], asked: Asked, context: Context) -> Said:
        """Generate from ``inputs``: tensors, as the model's forward takes them, of one prompt.

        Raises WorkerError ``invalid_request`` where max_tokens cuts a document, ``unsupported_capability`` for a schema
        that no grammar holds.
        """
        grammar = None if asked.json_schema is None else self.grammar(asked)
        if self.weights is None:
            self.load_weights(context)
        reader = self._decoding.Reader(
            self.decoded,
            ends=self.ends(),
            stops=Stops(asked.stop),
            grammar=grammar,
            max_tokens=asked.max_tokens,
            context=context,
            aloud=asked.aloud,
        )
        seed = secrets.randbelow(1 << 32) if asked.seed is None else asked.seed
        there = {name: self._placed(value) for name, value in inputs.items()}
        context.progress("run", 0, asked.max_tokens, "tokens")
        began = time.perf_counter()
        self._transformers.set_seed(seed)
        self.weights.generate(
            **there,
            generation_config=self._how(asked),
            stopping_criteria=self._transformers.StoppingCriteriaList([reader]),
            logits_processor=self._transformers.LogitsProcessorList([grammar] if grammar else []),
        )
        seconds = time.perf_counter() - began
        return Said(
            text=reader.text,
            document=self._document(reader, asked) if grammar else None,
            finish_reason=str(reader.finish_reason),
            seed=seed,
            prompt_tokens=inputs["input_ids"].shape[1],
            tokens=reader.count,
            seconds=seconds,
        )

    def _placed(self, value: Any) -> Any:
        """A tensor where the model is; pictures in its number format, tokens and sizes as they are."""
        if not isinstance(value, self._torch.Tensor):
            return value
        dtype = self.checkpoint.placement.dtype if value.is_floating_point() else None
        return value.to(device=self.weights.device, dtype=dtype)

    def _how(self, asked: Asked) -> Any:
        """The request's choices; what it does not name is the model's own."""
        choices: dict[str, Any] = {"do_sample": asked.temperature > 0}
        if choices["do_sample"]:
            choices["temperature"] = float(asked.temperature)  # the library takes no integer
            choices["top_p"] = 1.0 if asked.top_p is None else float(asked.top_p)
            choices["top_k"] = (self.checkpoint.generation.top_k or 0) if asked.top_k is None else asked.top_k
        if asked.repetition_penalty is not None:
            choices["repetition_penalty"] = float(asked.repetition_penalty)
        padding = self.tokenizer.pad_token_id
        return self._transformers.GenerationConfig(
            max_new_tokens=asked.max_tokens,
            num_beams=1,
            num_return_sequences=1,
            return_dict_in_generate=False,
            eos_token_id=sorted(self.ends()) or None,
            pad_token_id=padding if padding is not None else next(iter(sorted(self.ends())), 0),
            **choices,
        )

    def _document(self, reader: Any, asked: Asked) -> Any:
        """The JSON document. The grammar leads there, but only a validator knows the whole of JSON Schema."""
        if reader.finish_reason == "length":
            raise structured.cut_off(reader.text, asked.max_tokens)
        try:
            return structured.document(reader.text, asked.json_schema or {})
        except structured.NotTheDocument as error:
            raise WorkerError(
                "internal_error", f"The model's document breaks json_schema although it was held to it: {error}"
            ) from error

    def decoded(self, tokens: list[int]) -> str:
        """The text of tokens."""
        text: str = self.tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    def ends(self) -> set[int]:
        """Tokens that end an answer."""
        own = self.checkpoint.generation.eos_token_id
        ends = set(own) if isinstance(own, list) else {own}
        return {token for token in ends | {self.tokenizer.eos_token_id} if token is not None}

    def grammar(self, asked: Asked) -> Any:
        """What holds the model to a schema; the tokenizer's part of it is made once."""
        try:
            from llguidance import hf
        except ModuleNotFoundError as error:
            raise WorkerError(
                "engine_unavailable",
                "A JSON document needs the Python package llguidance.",
                pointer=asked.schema_pointer,
                hint="pip install llguidance; it is part of the extra models.",
            ) from error
        if self._vocabulary is None:
            size = max(self.checkpoint.config.get_text_config().vocab_size, len(self.tokenizer))
            try:
                self._vocabulary = hf.from_tokenizer(self.tokenizer, n_vocab=size, eos_token=sorted(self.ends()))
            except ValueError as error:
                raise WorkerError(
                    "unsupported_capability",
                    f"The model's tokenizer cannot be held to a JSON document: {error}.",
                    pointer=asked.schema_pointer,
                ) from error
        return self._decoding.Grammar(self._vocabulary, asked)

    def _room(self) -> contextlib.AbstractContextManager[None]:
        return room(self.checkpoint.id, self.checkpoint.placement.device, self.checkpoint.kind.smaller)
