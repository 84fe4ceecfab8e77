"""Tiny LTX-Video models of the real classes: T5 text encoder and tokenizer, transformer, and the video VAE.

The VAE has the real factors of 32 pixels and 8 frames, so that sizes behave as with real weights. Random weights show
noise, the same noise every time: it proves files, interfaces and code paths, nothing about quality.
"""

from __future__ import annotations

import io
import json
import shutil
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

TEXT_WIDTH, LATENT_CHANNELS = 32, 8
CHANNELS = (8, 8, 8, 8)
LOUD = 4.0
"""Weights are that many times as large as at the start of a training: else a keyframe or a prompt would hardly show."""
CORPUS = (
    "A small boat sails over a calm sea.",
    "The camera slowly pans to the left.",
    string.ascii_letters + string.digits + string.punctuation,
)
TOKENIZER = {
    "tokenizer_class": "T5Tokenizer",
    "extra_ids": 100,
    "model_max_length": 128,
    "eos_token": "</s>",
    "pad_token": "<pad>",
    "unk_token": "<unk>",
}
SHIFTED: dict[str, Any] = {
    "use_dynamic_shifting": True,
    "base_shift": 0.95,
    "max_shift": 2.05,
    "base_image_seq_len": 1024,
    "max_image_seq_len": 4096,
    "shift_terminal": 0.1,
}
"""The scheduler of LTX-Video 0.9 and 0.9.1; later ones have a fixed shift."""


def first(folder: Path, *, timestep_conditioning: bool = False) -> Path:
    """Write a model in the form of LTX-Video 0.9 into ``folder``, of 0.9.1 where its VAE knows the timestep."""
    from diffusers import FlowMatchEulerDiscreteScheduler, LTXPipeline

    return _saved(LTXPipeline, FlowMatchEulerDiscreteScheduler(**SHIFTED), timestep_conditioning, folder)


def conditioned(folder: Path) -> Path:
    """Write a model in the form of LTX-Video 0.9.5 and later, made for several keyframes, into ``folder``."""
    from diffusers import FlowMatchEulerDiscreteScheduler, LTXConditionPipeline

    return _saved(LTXConditionPipeline, FlowMatchEulerDiscreteScheduler(), True, folder)


def _saved(kind: Any, scheduler: Any, timestep_conditioning: bool, folder: Path) -> Path:
    """The tokenizer's folder is as the real ones are: a model of SentencePiece, and none of the tokenizers library."""
    from transformers import T5TokenizerFast

    tokenizer = folder / "tokenizer"
    files = {"spiece.model": _vocabulary(), "tokenizer_config.json": json.dumps(TOKENIZER).encode()}
    _written(tokenizer, files)
    parts = _parts(T5TokenizerFast.from_pretrained(str(tokenizer)), timestep_conditioning)
    kind(scheduler=scheduler, **parts).save_pretrained(folder)
    shutil.rmtree(tokenizer)
    _written(tokenizer, files)
    return folder


def _written(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def _vocabulary() -> bytes:
    """SentencePiece's model of letters and a few syllables, with T5's own numbers for padding, end and unknown."""
    from sentencepiece import SentencePieceTrainer

    written = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS * 3),
        model_writer=written,
        vocab_size=140,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    return written.getvalue()


def _parts(tokenizer: Any, timestep_conditioning: bool) -> dict[str, Any]:
    from diffusers import AutoencoderKLLTXVideo, LTXVideoTransformer3DModel
    from transformers import T5Config, T5EncoderModel

    text = T5Config(
        vocab_size=len(tokenizer),
        d_model=TEXT_WIDTH,
        d_kv=8,
        d_ff=64,
        num_layers=1,
        num_heads=4,
        feed_forward_proj="gated-gelu",
    )
    return {
        "tokenizer": tokenizer,
        "text_encoder": _seeded(1, lambda: T5EncoderModel(text)),
        "transformer": _loud(
            _seeded(
                2,
                lambda: LTXVideoTransformer3DModel(
                    in_channels=LATENT_CHANNELS,
                    out_channels=LATENT_CHANNELS,
                    num_attention_heads=2,
                    attention_head_dim=16,
                    cross_attention_dim=TEXT_WIDTH,
                    caption_channels=TEXT_WIDTH,
                    num_layers=1,
                ),
            )
        ),
        "vae": _seeded(
            3,
            lambda: AutoencoderKLLTXVideo(
                latent_channels=LATENT_CHANNELS,
                block_out_channels=CHANNELS,
                decoder_block_out_channels=CHANNELS,
                layers_per_block=(1, 1, 1, 1, 1),
                decoder_layers_per_block=(1, 1, 1, 1, 1),
                timestep_conditioning=timestep_conditioning,
            ),
        ),
    }


def _loud(transformer: Any) -> Any:
    """Attention that tells tokens apart, from the first step on."""
    import torch

    with torch.no_grad():
        for name, weight in transformer.named_parameters():
            if weight.ndim == 2 and ("attn" in name or "proj" in name):
                weight.mul_(LOUD)
    return transformer


def _seeded(seed: int, build: Callable[[], Any]) -> Any:
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build()
