"""Prompts of any length as Stable Diffusion XL's text encoders see them. Imports torch: itself imported only to load.

CLIP reads 77 tokens at once, two of which mark begin and end. A longer prompt is read in pieces of 75 and what is made
of them is put one after the other, as the UNet's attention takes text of any length. All texts that are shown to the
UNet together, the negative one too, are filled up with empty pieces to the same length. A prompt of one piece gives
exactly what ``encode_prompt`` of diffusers gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Text:
    """``tokens`` is (1, 77 × pieces, width), ``pooled`` (1, width of the last encoder)."""

    tokens: torch.Tensor
    pooled: torch.Tensor


class Prompts:
    """The text encoders of one pipeline, the last of which also sums a text up; each text is read once."""

    def __init__(self, tokenizers: Sequence[Any], encoders: Sequence[Any], *, zeros_for_nothing: bool) -> None:
        self._tokenizers, self._encoders = tokenizers, encoders
        self._zeros_for_nothing = zeros_for_nothing
        self._known: dict[tuple[str, int], Text] = {}

    def pieces(self, text: str) -> int:
        """How many times 75 tokens the text has, at least one."""
        words = [len(self._words(tokenizer, text)) for tokenizer in self._tokenizers]
        return max(-(-count // _room(encoder)) for count, encoder in zip(words, self._encoders, strict=True)) or 1

    def read(self, text: str, pieces: int, device: Any) -> Text:
        """The text in so many pieces, of which the last may be empty."""
        if (text, pieces) not in self._known:
            self._known[text, pieces] = self._read(text, pieces, device)
        return self._known[text, pieces]

    def avoided(self, text: str, pieces: int, device: Any, like: Text) -> Text:
        """The negative prompt for a prompt ``like``; an empty one is zeros where the model was trained so."""
        if text or not self._zeros_for_nothing:
            return self.read(text, pieces, device)
        return Text(torch.zeros_like(like.tokens), torch.zeros_like(like.pooled))

    @torch.no_grad()
    def _read(self, text: str, pieces: int, device: Any) -> Text:
        pairs = zip(self._tokenizers, self._encoders, strict=True)
        said = [
            encoder(self._ids(tokenizer, text, pieces, _room(encoder)).to(device), output_hidden_states=True)
            for tokenizer, encoder in pairs
        ]
        # The last layer but one, as SDXL was trained; the sum of a long text is that of its first piece.
        tokens = torch.cat([each.hidden_states[-2].flatten(0, 1)[None] for each in said], dim=-1)
        return Text(tokens, said[-1].text_embeds[:1])

    def _ids(self, tokenizer: Any, text: str, pieces: int, room: int) -> torch.Tensor:
        """(pieces, 77) token ids: begin, up to ``room`` of the text, end, padding."""
        words = self._words(tokenizer, text)
        rows = []
        for first in range(0, pieces * room, room):
            part = [tokenizer.bos_token_id, *words[first : first + room], tokenizer.eos_token_id]
            rows.append(part + [tokenizer.pad_token_id] * (room + 2 - len(part)))
        return torch.tensor(rows)

    def _words(self, tokenizer: Any, text: str) -> list[int]:
        found: list[int] = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return found


def _room(encoder: Any) -> int:
    """Tokens of text at once: 75."""
    return int(encoder.config.max_position_embeddings) - 2
