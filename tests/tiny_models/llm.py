"""Tiny language models of the real classes: Qwen2 and Llama, with a byte-level BPE tokenizer trained here and a chat
template in the form of the real one. Saved as safetensors; loaded as a real one is, by its folder.

Random weights say noise, the same noise every time: it proves files, interfaces and code paths, nothing about quality.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

CORPUS = (
    "A crow beside a tall clay pitcher; the water was too low. It dropped pebbles until it could drink.",
    "Write a short story about a lighthouse keeper and the sea, in two sentences.",
    'You are a helpful assistant. Answer in JSON: {"title": "Two Lamps", "scenes": [1, 2, 3], "done": true}',
    "Příliš žluťoučký kůň úpěl ďábelské ódy. Der Mond ist aufgegangen. 精衛填海 — 海は広い。 🌊",
)
QWEN_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA_TEMPLATE = (
    "<|begin_of_text|>{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
    "{{ m.content | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
QWEN_SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
LLAMA_SPECIALS = (
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
)
SIZE: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.15,  # of the usual 0.02 nearly nothing is left after two layers: the prompt would not matter
}
WINDOW = 2048
VOCABULARY = 600


def qwen2(folder: Path, *, window: int = WINDOW, template: str | None = QWEN_TEMPLATE) -> Path:
    """Write a Qwen2 with the generation defaults of Qwen2.5-Instruct into ``folder`` and return it."""
    from transformers import GenerationConfig, Qwen2Config, Qwen2ForCausalLM

    made = tokenizer(QWEN_SPECIALS, template, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    end, padding = made.eos_token_id, made.pad_token_id
    # Real ones have room beyond their tokenizer's words too.
    config = Qwen2Config(
        **SIZE,
        vocab_size=len(made) + 24,
        max_position_embeddings=window,
        eos_token_id=end,
        pad_token_id=padding,
        bos_token_id=None,
    )
    how = GenerationConfig(
        eos_token_id=[end, padding],
        pad_token_id=padding,
        do_sample=True,
        temperature=0.7,
        top_p=0.8,
        top_k=20,
        repetition_penalty=1.05,
    )
    return saved(Qwen2ForCausalLM, config, how, made, folder)


def llama(folder: Path, *, window: int = WINDOW, template: str | None = LLAMA_TEMPLATE) -> Path:
    """Write a Llama 3 into ``folder`` and return it."""
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    made = tokenizer(
        LLAMA_SPECIALS, template, bos_token="<|begin_of_text|>", eos_token="<|eot_id|>", pad_token="<|end_of_text|>"
    )
    config = LlamaConfig(
        **SIZE,
        vocab_size=len(made),
        max_position_embeddings=window,
        eos_token_id=made.eos_token_id,
        bos_token_id=made.bos_token_id,
        rope_theta=500000.0,
    )
    how = GenerationConfig(eos_token_id=[made.eos_token_id, made.pad_token_id], do_sample=True)
    return saved(LlamaForCausalLM, config, how, made, folder)


def tokenizer(specials: tuple[str, ...], template: str | None, **named: Any) -> Any:
    """A byte-level BPE tokenizer with these special tokens; ``named`` says which of them is the end, the padding …"""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(specials),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    inner.train_from_iterator(CORPUS * 20, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=inner, chat_template=template, **named)


def saved(kind: Any, config: Any, how: Any, tokenizer: Any, folder: Path) -> Path:
    """Write a model of this class, its weights the same every time."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = kind(config)
    model.generation_config = how
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
