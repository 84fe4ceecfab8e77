"""Tiny vision models of the real classes: LLaVA-OneVision, Qwen2.5-VL and Idefics3 (SmolVLM), with the files of their
processors as the real repositories have them and chat templates in the form of the real ones.

Saved as safetensors; loaded as a real one is, by its folder. Random weights say noise, the same noise every time.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tiny_models import llm

CONTENT = (
    "{{% for c in m['content'] %}}{{% if c['type'] == 'image' %}}{image}{{% elif c['type'] == 'text' %}}"
    "{{{{ c['text'] }}}}{{% endif %}}{{% endfor %}}"
)
LLAVA_TEMPLATE = (  # all pictures before all texts, as the real one
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + ' ' }}"
    "{% for c in m['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>' }}{% endfor %}"
    "{% for c in m['content'] | selectattr('type', 'equalto', 'text') %}{{ '\\n' + c['text'] }}{% endfor %}"
    "{{ '<|im_end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
QWEN_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    + CONTENT.format(image="<|vision_start|><|image_pad|><|vision_end|>")
    + "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
IDEFICS_TEMPLATE = (
    "<|im_start|>{% for m in messages %}{{ m['role'] | capitalize }}: "
    + CONTENT.format(image="<image>")
    + "<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)
SIDE, PATCH = 28, 14
"""Pixels of a tile of LLaVA-OneVision, and of its patches."""
WINDOW = 4096
VISION: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
BRIGHT = 0.6
"""Scale of the projection's weights: with the usual ones hardly anything of a picture reaches the text."""


def llava_onevision(folder: Path, *, window: int = WINDOW, template: str | None = LLAVA_TEMPLATE) -> Path:
    """Write a LLaVA-OneVision (SigLIP and Qwen2) into ``folder`` and return it."""
    from transformers import (
        GenerationConfig,
        LlavaOnevisionConfig,
        LlavaOnevisionForConditionalGeneration,
        Qwen2Config,
        SiglipVisionConfig,
    )
    from transformers.models.llava_onevision.image_processing_pil_llava_onevision import (
        LlavaOnevisionImageProcessorPil,
    )

    made = _tokenizer(template, "<image>", "<video>")
    tiles = [[SIDE, SIDE], [SIDE, 2 * SIDE], [2 * SIDE, SIDE], [2 * SIDE, 2 * SIDE]]
    config = LlavaOnevisionConfig(
        vision_config=SiglipVisionConfig(**VISION, image_size=SIDE, patch_size=PATCH, vision_use_head=False),
        text_config=Qwen2Config(**_language(made, window)),
        image_token_index=made.convert_tokens_to_ids("<image>"),
        video_token_index=made.convert_tokens_to_ids("<video>"),
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        vision_aspect_ratio="anyres_max_9",
        image_grid_pinpoints=tiles,
    )
    how = GenerationConfig(eos_token_id=made.eos_token_id, pad_token_id=made.pad_token_id)
    llm.saved(LlavaOnevisionForConditionalGeneration, config, how, made, folder)
    LlavaOnevisionImageProcessorPil(size={"height": SIDE, "width": SIDE}, image_grid_pinpoints=tiles).save_pretrained(
        folder
    )
    said = {
        "processor_class": "LlavaOnevisionProcessor",
        "num_image_tokens": (SIDE // PATCH) ** 2,
        "vision_feature_select_strategy": "full",
        "image_token": "<image>",
        "video_token": "<video>",
    }
    (folder / "processor_config.json").write_text(json.dumps(said), encoding="utf-8")
    return folder


def qwen2_5_vl(folder: Path) -> Path:
    """Write a Qwen2.5-VL into ``folder`` and return it."""
    from transformers import GenerationConfig, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    names = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>")
    made = _tokenizer(QWEN_TEMPLATE, *names)
    number = dict(zip(names, made.convert_tokens_to_ids(list(names)), strict=True))
    config = Qwen2_5_VLConfig(
        text_config={**_language(made, WINDOW), "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]}},
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_heads": 2,
            "out_hidden_size": llm.SIZE["hidden_size"],
            "patch_size": PATCH,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "window_size": 4 * PATCH,
            "fullatt_block_indexes": [1],
            "initializer_range": 0.15,
        },
        image_token_id=number["<|image_pad|>"],
        video_token_id=number["<|video_pad|>"],
        vision_start_token_id=number["<|vision_start|>"],
        vision_end_token_id=number["<|vision_end|>"],
    )
    how = GenerationConfig(  # of the real one: greedy in all but name
        eos_token_id=[made.eos_token_id, made.pad_token_id],
        pad_token_id=made.pad_token_id,
        do_sample=True,
        temperature=1e-6,
        top_k=1,
        repetition_penalty=1.05,
    )
    llm.saved(Qwen2_5_VLForConditionalGeneration, config, how, made, folder)
    pixels = (2 * PATCH) ** 2
    Qwen2VLImageProcessorPil(min_pixels=4 * pixels, max_pixels=16 * pixels).save_pretrained(folder)
    return folder


def idefics3(folder: Path) -> Path:
    """Write an Idefics3, which is SmolVLM's class too, into ``folder`` and return it."""
    from transformers import GenerationConfig, Idefics3Config, Idefics3ForConditionalGeneration, LlamaConfig
    from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil

    tiles = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
    made = _tokenizer(
        IDEFICS_TEMPLATE, "<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>", *tiles
    )
    config = Idefics3Config(
        text_config=LlamaConfig(**_language(made, WINDOW)),
        vision_config={**VISION, "image_size": 32, "patch_size": 8, "initializer_range": 0.15},
        scale_factor=2,
        image_token_id=made.convert_tokens_to_ids("<image>"),
        pad_token_id=made.pad_token_id,
        initializer_range=0.15,
    )
    end = made.convert_tokens_to_ids("<end_of_utterance>")
    how = GenerationConfig(eos_token_id=end, pad_token_id=made.pad_token_id)
    llm.saved(Idefics3ForConditionalGeneration, config, how, made, folder)
    Idefics3ImageProcessorPil(size={"longest_edge": 64}, max_image_size={"longest_edge": 32}).save_pretrained(folder)
    said = {"processor_class": "Idefics3Processor", "image_seq_len": 4}
    (folder / "processor_config.json").write_text(json.dumps(said), encoding="utf-8")
    return folder


def _tokenizer(template: str | None, *specials: str) -> Any:
    extra = {"additional_special_tokens": list(specials)}
    return llm.tokenizer(
        (*llm.QWEN_SPECIALS, *specials), template, eos_token="<|im_end|>", pad_token="<|endoftext|>", **extra
    )


def _language(tokenizer: Any, window: int) -> dict[str, Any]:
    return {
        **llm.SIZE,
        "vocab_size": len(tokenizer),
        "max_position_embeddings": window,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": None,
    }
