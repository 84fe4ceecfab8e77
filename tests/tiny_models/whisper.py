"""A tiny Whisper that CTranslate2 and faster-whisper load as they load a real one: same vocabulary, files and code.

Its weights are random but for the first feed-forward layer of the decoder: that holds a table from each token to the
next one, and attention adds nothing. So the model says known words in every window of 30 seconds, whatever it hears,
with timestamps, a language and a translation. It tells nothing of how well a real model hears.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

TEXT_TOKENS = 50257
"""Of the real multilingual vocabulary. Its last one is the empty text, by which CTranslate2 knows a multilingual model;
the English one has one token less."""
TIMESTAMPS = 1501
WIDTH, INNER, HEADS, DECODER_LAYERS = 64, 64, 2, 2
SAID = ("Hello there, this is a test.", "Good night!")
"""What it says in each window: the first from 0 to 2 s, the second from 2.02 to 4 s, and so on."""
TRANSLATED = ("Is anybody home?",)
"""What it says when it is asked to translate. No word and no mark stands twice, for each has one follower."""
SPAN_S = 2.0


def build(folder: Path, *, multilingual: bool = True, mels: int = 80, language: str = "en") -> Path:
    """Write the model into ``folder`` and return it.

    ``mels`` is 80, or 128 as of large-v3, which has one language more. ``language`` is what the model hears.
    """
    import ctranslate2
    import numpy as np

    tokens = _vocabulary(multilingual, languages=100 if mels == 128 else 99)
    number = {token: place for place, token in enumerate(tokens)}
    random = np.random.default_rng(7)
    spec = ctranslate2.specs.WhisperSpec(1, HEADS, DECODER_LAYERS, HEADS)
    _fill(spec, vocabulary=len(tokens), mels=mels, random=random)
    chains = _chains(multilingual, language)
    _rig(spec, [(number[one], number[other]) for chain in chains for one, other in itertools.pairwise(chain)])
    spec.register_vocabulary(tokens)
    spec.config.suppress_ids, spec.config.suppress_ids_begin = [], [number["Ġ"], number["<|endoftext|>"]]
    spec.config.lang_ids = [number[f"<|{code}|>"] for code in _languages(100 if mels == 128 else 99)]
    spec.config.alignment_heads = [[1, 0], [1, 1]]
    spec.validate()
    spec.optimize()  # the projection is the embedding: stored once
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))
    _tokenizer(tokens).save(str(folder / "tokenizer.json"))
    facts = {"feature_size": mels, "hop_length": 160, "n_fft": 400, "sampling_rate": 16000, "chunk_length": 30}
    (folder / "preprocessor_config.json").write_text(json.dumps(facts), encoding="utf-8")
    return folder


# Vocabulary


def _languages(count: int) -> list[str]:
    from faster_whisper.tokenizer import _LANGUAGE_CODES

    return [code for code in _LANGUAGE_CODES if code != "yue"] + ["yue"] * (count == 100)


def _vocabulary(multilingual: bool, languages: int) -> list[str]:
    from tokenizers import pre_tokenizers

    count = TEXT_TOKENS if multilingual else TEXT_TOKENS - 1
    known = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *(t for said in (SAID, TRANSLATED) for t in _pieces(said))]
    text = [*dict.fromkeys(known)]
    text += [f"~{place}" for place in range(len(text), count)]
    if multilingual:
        text[-1] = ""
    special = ["<|endoftext|>", "<|startoftranscript|>", *(f"<|{code}|>" for code in _languages(languages))]
    special += ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>"]
    return [*text, *special, "<|notimestamps|>", *(_stamp(place / 50) for place in range(TIMESTAMPS))]


def _stamp(seconds: float) -> str:
    return f"<|{seconds:.2f}|>"


def _pieces(said: Sequence[str]) -> list[str]:
    """Tokens as a byte-level vocabulary writes them: a word with the blank before it, and each mark."""
    return [piece.replace(" ", "Ġ") for text in said for piece in re.findall(r" \w+|\W", f" {text}")]


def _tokenizer(tokens: list[str]) -> Any:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    end = tokens.index("<|endoftext|>")
    tokenizer = Tokenizer(models.BPE(vocab={token: place for place, token in enumerate(tokens[:end])}, merges=[]))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    first_stamp = tokens.index("<|0.00|>")
    tokenizer.add_special_tokens(tokens[end:first_stamp])
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in tokens[first_stamp:]])
    return tokenizer


# Weights


def _chains(multilingual: bool, language: str) -> list[list[str]]:
    """Which token follows which."""
    said = _timed(SAID, 0.0)
    if not multilingual:
        return [["<|startoftranscript|>", *said], ["<|notimestamps|>", said[1]]]
    spoken = ["<|transcribe|>", *said]
    return [
        ["<|startoftranscript|>", f"<|{language}|>"],
        spoken,
        ["<|notimestamps|>", said[1]],
        ["<|translate|>", *_timed(TRANSLATED, 0.04)],
    ]


def _timed(said: Sequence[str], first: float) -> list[str]:
    chain = []
    for place, text in enumerate(said):
        start = first + place * (SPAN_S + 0.02)
        chain += [_stamp(start), *_pieces([text]), _stamp(start + SPAN_S)]
    return [*chain, "<|endoftext|>"]


def _fill(spec: Any, *, vocabulary: int, mels: int, random: Any) -> None:
    """Random weights of the right shapes; what decoder layers add to their input is nothing."""
    import numpy as np

    def noise(*shape: int) -> Any:
        return (random.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)

    def zeros(*shape: int) -> Any:
        return np.zeros(shape, np.float32)

    def norm(part: Any, gamma: float = 1.0) -> None:
        part.gamma, part.beta = np.full(WIDTH, gamma, np.float32), zeros(WIDTH)

    def linear(part: Any, rows: int, columns: int, nothing: bool = False) -> None:
        part.weight, part.bias = zeros(rows, columns) if nothing else noise(rows, columns), zeros(rows)

    def attention(part: Any, *sizes: int, nothing: bool) -> None:
        norm(part.layer_norm)
        for inside, size in zip(part.linear[:-1], sizes, strict=True):
            linear(inside, size * WIDTH, WIDTH)
        linear(part.linear[-1], WIDTH, WIDTH, nothing)

    def layer(part: Any, nothing: bool = False) -> None:
        attention(part.self_attention, 3, nothing=nothing)
        if hasattr(part, "attention"):
            attention(part.attention, 1, 2, nothing=nothing)
        norm(part.ffn.layer_norm)
        linear(part.ffn.linear_0, INNER, WIDTH)
        linear(part.ffn.linear_1, WIDTH, INNER, nothing)

    encoder, decoder = spec.encoder, spec.decoder
    for conv, inside in ((encoder.conv1, mels), (encoder.conv2, WIDTH)):
        conv.weight, conv.bias = noise(WIDTH, inside, 3), zeros(WIDTH)
    encoder.position_encodings.encodings = noise(1500, WIDTH)
    decoder.position_encodings.encodings = zeros(448, WIDTH)
    norm(encoder.layer_norm)
    norm(decoder.layer_norm, gamma=3.0)  # makes it sure of what it says
    for part in encoder.layer:
        layer(part)
    for part in decoder.layer:
        layer(part, nothing=True)
    meaning = noise(vocabulary, WIDTH)
    meaning -= meaning.mean(axis=1, keepdims=True)
    meaning /= np.linalg.norm(meaning, axis=1, keepdims=True)
    decoder.embeddings.weight = meaning
    linear(decoder.projection, vocabulary, WIDTH)
    decoder.projection.weight = meaning


def _rig(spec: Any, follows: list[tuple[int, int]]) -> None:
    """Let the first feed-forward layer answer each token with the next one.

    A token's vector, normalised, has length √WIDTH; others meet it at less than 0.7 of that, so that one row alone is
    above the threshold.
    """
    import numpy as np

    meaning, ffn = spec.decoder.embeddings.weight, spec.decoder.layer[0].ffn
    if len(follows) > INNER or len(dict(follows)) < len(follows):
        raise ValueError(f"{len(follows)} tokens must each have one follower, and be at most {INNER}")
    ffn.linear_0.weight[:], ffn.linear_1.weight[:] = 0, 0
    for place, (token, following) in enumerate(follows):
        ffn.linear_0.weight[place] = 4 * meaning[token]
        ffn.linear_1.weight[:, place] = meaning[following]
    ffn.linear_0.bias[: len(follows)] = -4 * 0.75 * np.sqrt(WIDTH)
