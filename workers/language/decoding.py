"""What happens between two tokens of transformers' ``generate``. Imports torch: itself imported only to load."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from transformers import LogitsProcessor, StoppingCriteria

from language.asked import Asked
from language.stops import Stops
from runtime.context import Context
from runtime.errors import WorkerError

HALF = "\ufffd"
"""What a tokenizer makes of bytes that are not yet a whole character."""
SEPARATORS = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
"""JSON as Python writes it: a model that may put blanks anywhere can go on with them for ever."""

DELTA_INTERVAL_S = 0.02
"""Text is sent no more often than this: more than an eye can see, and each message costs the host a wake-up."""


class Pieces:
    """Tokens to text, piece by piece; the pieces together are the text of the tokens together.

    A token is read together with the piece before it, because what it stands for may depend on that (a blank, half a
    character); it waits while its last character is not whole.
    """

    def __init__(self, decode: Callable[[list[int]], str]) -> None:
        self._decode = decode
        self._tokens: list[int] = []
        self._old = 0
        self._said = ""

    def feed(self, token: int) -> str:
        """The text that this token completes, often just its own."""
        self._tokens.append(token)
        text = self._decode(self._tokens)
        return "" if text.endswith(HALF) else self._pass_on(text)

    def rest(self) -> str:
        """At the end: what still waited, halves of characters and all."""
        return self._pass_on(self._decode(self._tokens))

    def _pass_on(self, text: str) -> str:
        piece = text[len(self._said) :]
        if piece:
            self._tokens = self._tokens[self._old :]
            self._old, self._said = len(self._tokens), self._decode(self._tokens)
        return piece


class Grammar(LogitsProcessor):
    """Allows only tokens that go on with a JSON document of the schema.

    Raises WorkerError ``unsupported_capability`` for a schema that llguidance cannot turn into a grammar.
    """

    def __init__(self, vocabulary: Any, asked: Asked) -> None:
        from llguidance import LLMatcher

        try:
            grammar = LLMatcher.grammar_from_json_schema(json.dumps(asked.json_schema), overrides=SEPARATORS)
            self._matcher = LLMatcher(vocabulary, grammar, log_level=0)
            problem = self._matcher.get_error()
        except ValueError as error:
            problem = str(error)
        if problem:
            raise WorkerError(
                "unsupported_capability",
                f"This engine cannot hold a model to the json_schema: {problem.strip()}",
                pointer=asked.schema_pointer,
                hint="Leave that part of the schema out, or check it afterwards.",
            )

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """The scores with those of forbidden tokens at minus infinity."""
        bits = np.unpackbits(np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8), bitorder="little")
        allowed = np.zeros(scores.shape[-1], dtype=bool)
        allowed[: len(bits)] = bits[: len(allowed)]
        self._raise_for_an_error()
        return scores.masked_fill(~torch.from_numpy(allowed).to(scores.device), float("-inf"))

    def take(self, token: int) -> bool:
        """Go on by this token; whether the document is complete and nothing can follow."""
        self._matcher.consume_token(token)
        self._raise_for_an_error()
        return bool(self._matcher.is_stopped())

    def _raise_for_an_error(self) -> None:
        if problem := self._matcher.get_error():
            raise WorkerError("internal_error", f"The grammar of the json_schema failed: {problem}")


class Reader(StoppingCriteria):
    """Reads each token as it comes: sends its text, counts it, knows when it is enough, and lets the caller cancel."""

    def __init__(
        self,
        decode: Callable[[list[int]], str],
        *,
        ends: set[int],
        stops: Stops,
        grammar: Grammar | None,
        max_tokens: int,
        context: Context,
        aloud: bool = True,
    ) -> None:
        self._pieces, self._stops, self._grammar = Pieces(decode), stops, grammar
        self._ends, self._max_tokens, self._context = ends, max_tokens, context
        self._aloud = aloud
        self._sent: list[str] = []
        self._unsent = ""
        self._sent_at = float("-inf")
        self._answers: dict[bool, torch.Tensor] = {}
        self.count = 0
        self.finish_reason: str | None = None

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        """Called by ``generate`` after each token. Raises Cancelled or ``timeout``, which ends ``generate`` at once."""
        if self.finish_reason is None:  # on some devices generate runs a step ahead of what it is told
            self._take(int(input_ids[0, -1]))
        done = self.finish_reason is not None
        if done not in self._answers:
            self._answers[done] = torch.full((len(input_ids),), done, device=input_ids.device)
        return self._answers[done]

    @property
    def text(self) -> str:
        """The text so far; its pieces are what was sent."""
        return "".join(self._sent)

    def _take(self, token: int) -> None:
        self.count += 1
        complete = token in self._ends
        if not complete:
            complete = self._grammar is not None and self._grammar.take(token)
            self._unsent += self._stops.feed(self._pieces.feed(token))
            complete = complete or self._stops.found is not None
        if complete:
            self.finish_reason = "stop"
        elif self.count >= self._max_tokens:
            self.finish_reason = "length"
        if self.finish_reason is None:
            self._send(at_once=False)
            self._context.progress("run", self.count, self._max_tokens, "tokens")
            return
        self._unsent += self._stops.feed(self._pieces.rest()) + self._stops.rest()
        if self._stops.found is not None:
            self.finish_reason = "stop"
        self._send(at_once=True)
        self._context.progress("run", self.count, self.count, "tokens")

    def _send(self, *, at_once: bool) -> None:
        now = time.monotonic()
        if self._unsent and (at_once or now - self._sent_at >= DELTA_INTERVAL_S):
            if self._aloud:
                self._context.delta("text", self._unsent)
            self._sent.append(self._unsent)
            self._unsent, self._sent_at = "", now
