"""Tiny Stable Diffusion XL models of the real classes: base, refiner, ControlNets, and LoRAs in both common formats.

The VAE has the real factor of 8, so sizes behave as with real weights; native pictures have 64×64 pixels instead of
1024×1024. Random weights paint noise, the same noise every time: it proves files, interfaces and code paths, nothing
about quality.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

UNET: dict[str, Any] = {
    "block_out_channels": (16, 32),
    "norm_num_groups": 8,
    "layers_per_block": 2,
    "in_channels": 4,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "attention_head_dim": (2, 4),
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 8,
    "transformer_layers_per_block": (1, 1),
}
TEXT_WIDTH = 32
BASE_TEXT = {"cross_attention_dim": 2 * TEXT_WIDTH, "projection_class_embeddings_input_dim": 6 * 8 + TEXT_WIDTH}
"""Both text encoders side by side; six numbers of sizes and crops and the pooled text."""
REFINER_TEXT = {"cross_attention_dim": TEXT_WIDTH, "projection_class_embeddings_input_dim": 5 * 8 + TEXT_WIDTH}
"""The second text encoder alone; four numbers of sizes and crops and the aesthetic score."""
ATTENTIONS = ("down_blocks.1.attentions.0", "mid_block.attentions.0", "up_blocks.0.attentions.1")
SGM = {"down_blocks.1.attentions.0": "input_blocks.4.1", "mid_block.attentions.0": "middle_block.1",
       "up_blocks.0.attentions.1": "output_blocks.1.1"}  # fmt: skip
"""The same places as kohya's trainer calls them, after Stability AI's own code."""
RANK, ALPHA = 4, 2.0


def base(folder: Path, *, variant: str | None = None) -> Path:
    """Write a base model into ``folder`` and return it; ``variant`` fp16 as files of half precision, named so."""
    import torch
    from diffusers import StableDiffusionXLPipeline

    made = StableDiffusionXLPipeline(
        vae=_vae(),
        text_encoder=_text_encoder("CLIPTextModel"),
        text_encoder_2=_text_encoder("CLIPTextModelWithProjection"),
        tokenizer=_tokenizer("<|endoftext|>"),
        tokenizer_2=_tokenizer("!"),
        unet=_unet(11, **BASE_TEXT),
        scheduler=_scheduler(),
        add_watermarker=False,
    )
    if variant == "fp16":
        made.to(dtype=torch.float16)
    made.save_pretrained(folder, variant=variant)
    return folder


def refiner(folder: Path) -> Path:
    """Write a refiner, which has the second text encoder only."""
    from diffusers import StableDiffusionXLImg2ImgPipeline

    StableDiffusionXLImg2ImgPipeline(
        vae=_vae(),
        text_encoder=None,
        text_encoder_2=_text_encoder("CLIPTextModelWithProjection"),
        tokenizer=None,
        tokenizer_2=_tokenizer("!"),
        unet=_unet(12, **REFINER_TEXT),
        scheduler=_scheduler(),
        requires_aesthetics_score=True,
        force_zeros_for_empty_prompt=False,
        add_watermarker=False,
    ).save_pretrained(folder)
    return folder


def controlnet(folder: Path, *, seed: int, text_width: int = 2 * TEXT_WIDTH) -> Path:
    """Write a ControlNet; ``text_width`` of another model's text encoders makes one that does not fit."""
    import torch
    from diffusers import ControlNetModel

    def build() -> Any:
        made = ControlNetModel(
            **UNET,
            conditioning_embedding_out_channels=(8, 16, 16, 16),
            cross_attention_dim=text_width,
            projection_class_embeddings_input_dim=BASE_TEXT["projection_class_embeddings_input_dim"],
        )
        # Training begins at zero: without this it would have no effect.
        for block in [*made.controlnet_down_blocks, made.controlnet_mid_block]:
            torch.nn.init.normal_(block.weight, std=0.3)
        for layer in made.controlnet_cond_embedding.modules():
            if isinstance(layer, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(layer.weight)
        return made

    _seeded(seed, build).save_pretrained(folder)
    return folder


def diffusers_lora(file: Path, *, seed: int) -> Path:
    """Write a LoRA of the UNet as diffusers and peft name its parts."""
    from safetensors.torch import save_file

    weights = {}
    for layer, down, up in _low_rank(seed):
        weights[f"unet.{layer}.lora_A.weight"], weights[f"unet.{layer}.lora_B.weight"] = down, up
    save_file(weights, file, metadata={"format": "pt"})
    return file


def kohya_lora(file: Path, *, seed: int) -> Path:
    """Write a LoRA of the UNet and of both text encoders as kohya's trainer names its parts, with their alphas."""
    import torch
    from safetensors.torch import save_file

    weights = {}
    for layer, down, up in [*_low_rank(seed), *_low_rank_text(seed + 1)]:
        place = next((place for place in SGM if layer.startswith(place)), "")
        name = (SGM.get(place, "") + layer.removeprefix(place)).replace(".", "_")
        name = f"lora_{name}" if name.startswith("te") else f"lora_unet_{name}"
        weights[f"{name}.lora_down.weight"], weights[f"{name}.lora_up.weight"] = down, up
        weights[f"{name}.alpha"] = torch.tensor(ALPHA)
    save_file(weights, file)
    return file


def foreign_lora(file: Path) -> Path:
    """Write a LoRA of a transformer, such as Flux has: its parts are not in SDXL."""
    import torch
    from safetensors.torch import save_file

    layer = "transformer.single_transformer_blocks.0.attn.to_q"
    save_file({f"{layer}.lora_A.weight": torch.ones(RANK, 64), f"{layer}.lora_B.weight": torch.ones(64, RANK)}, file)
    return file


def _low_rank(seed: int) -> list[tuple[str, Any, Any]]:
    """(layer, its way down to RANK numbers, its way up) for attentions of the UNet."""
    width, text = UNET["block_out_channels"][1], BASE_TEXT["cross_attention_dim"]
    layers = [
        (f"{place}.transformer_blocks.0.{attention}.{part}", text if (attention, part) == ("attn2", "to_k") else width)
        for place in ATTENTIONS
        for attention in ("attn1", "attn2")
        for part in ("to_q", "to_k", "to_out.0")
    ]
    return _random(seed, [(name, wide, width) for name, wide in layers])


def _low_rank_text(seed: int) -> list[tuple[str, Any, Any]]:
    """The same for both text encoders; diffusers knows the format by the ways out."""
    layer = "text_model.encoder.layers.1.self_attn"
    names = [f"{encoder}.{layer}.{part}" for encoder in ("te1", "te2") for part in ("q_proj", "out_proj")]
    return _random(seed, [(name, TEXT_WIDTH, TEXT_WIDTH) for name in names])


def _random(seed: int, layers: list[tuple[str, int, int]]) -> list[tuple[str, Any, Any]]:
    import torch

    chance = torch.Generator().manual_seed(seed)
    return [
        (name, torch.randn(RANK, wide, generator=chance) * 0.5, torch.randn(out, RANK, generator=chance) * 0.5)
        for name, wide, out in layers
    ]


def _seeded(seed: int, build: Any) -> Any:
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build().eval()


def _unet(seed: int, **text: int) -> Any:
    from diffusers import UNet2DConditionModel

    up = ("CrossAttnUpBlock2D", "UpBlock2D")
    return _seeded(seed, lambda: UNet2DConditionModel(**UNET, **text, up_block_types=up, sample_size=8, out_channels=4))


def _vae() -> Any:
    from diffusers import AutoencoderKL

    channels = (8, 8, 8, 8)
    return _seeded(
        13,
        lambda: AutoencoderKL(
            block_out_channels=channels,
            norm_num_groups=4,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            latent_channels=4,
            sample_size=64,
        ),
    )


def _scheduler() -> Any:
    from diffusers import EulerDiscreteScheduler

    return EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1, timestep_spacing="leading"
    )


def _tokenizer(padding: str) -> Any:
    """CLIP's tokenizer with letters for words: the alphabet of bytes, no merges. The real second one pads by "!"."""
    from tokenizers import pre_tokenizers
    from transformers import CLIPTokenizer

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: number for number, word in enumerate(words)}
    return CLIPTokenizer(vocab=vocabulary, merges=[], pad_token=padding, model_max_length=77)


def _text_encoder(kind: str) -> Any:
    import transformers

    letters = 2 * 256 + 2
    config = transformers.CLIPTextConfig(
        vocab_size=letters,
        bos_token_id=letters - 2,
        eos_token_id=letters - 1,
        pad_token_id=letters - 1,
        hidden_size=TEXT_WIDTH,
        intermediate_size=37,
        num_attention_heads=4,
        num_hidden_layers=3,
        projection_dim=TEXT_WIDTH,
        max_position_embeddings=77,
        initializer_factor=8.0,  # of less nearly nothing would be left of the words
    )
    return _seeded(14, lambda: getattr(transformers, kind)(config))
