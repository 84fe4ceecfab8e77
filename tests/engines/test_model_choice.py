"""Which files of a repository are downloaded."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.errors import WorkerError

pytestmark = pytest.mark.models


def entries(*names: str) -> list[Any]:
    from engines.model_management._choice import Entry

    return [Entry(name, 1, "a" * 40) for name in names]


SDXL = (
    "model_index.json", "sd_xl_base_1.0.safetensors", "LICENSE.md", "README.md", "scheduler/scheduler_config.json",
    "unet/config.json", "unet/diffusion_pytorch_model.safetensors", "unet/diffusion_pytorch_model.fp16.safetensors",
    "unet/model.onnx", "vae/config.json", "vae/diffusion_pytorch_model.safetensors",
    "vae_1_0/diffusion_pytorch_model.fp16.safetensors", "tokenizer/merges.txt",
    "text_encoder/model.safetensors", "text_encoder/model.fp16.safetensors", "text_encoder/pytorch_model.bin",
)  # fmt: skip
INDEX = {
    "_class_name": "StableDiffusionXLPipeline", "unet": ["diffusers", "X"], "vae": ["diffusers", "X"],
    "tokenizer": ["t", "X"], "text_encoder": ["t", "X"], "scheduler": ["d", "X"], "image_encoder": [None, None],
}  # fmt: skip
COMMON = {
    "model_index.json", "LICENSE.md", "scheduler/scheduler_config.json", "unet/config.json", "vae/config.json",
    "tokenizer/merges.txt", "vae/diffusion_pytorch_model.safetensors",
}  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "variant", "said"), [(None, ".fp16", "fp16"), ("fp16", ".fp16", "fp16"), ("full", "", "full")]
)
def test_of_a_pipeline_one_precision_of_the_parts_that_it_names(wanted: str | None, variant: str, said: str) -> None:
    from engines.model_management._choice import choose

    found = choose(entries(*SDXL), INDEX, wanted, None)
    weights = {f"unet/diffusion_pytorch_model{variant}.safetensors", f"text_encoder/model{variant}.safetensors"}
    assert {entry.name for entry in found.entries} == COMMON | weights
    assert found.precision == said


SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json")
FP16 = ("model.fp16-00001-of-00002.safetensors", "model.fp16-00002-of-00002.safetensors")


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        ((*SHARDS, "consolidated.safetensors", "original/consolidated.00.pth"), SHARDS),
        ((*SHARDS, "model.safetensors"), ("model.safetensors",)),
        ((*SHARDS, *FP16, "model.safetensors.index.fp16.json"), SHARDS),
        (("model.safetensors", "model.fp16.safetensors"), ("model.safetensors",)),
        (("model.safetensors", "pytorch_model.bin.index.json", "tf_model.h5.index.json"), ("model.safetensors",)),
        (("model.bin", "vocabulary.json", "config.json"), ("model.bin", "vocabulary.json", "config.json")),
        (("my_lora.safetensors", "preview.png"), ("my_lora.safetensors",)),
        (("model.non_ema.safetensors", "model.safetensors"), ("model.safetensors",)),
    ],
)
def test_the_same_weights_come_once(names: tuple[str, ...], chosen: tuple[str, ...]) -> None:
    from engines.model_management._choice import choose

    assert {entry.name for entry in choose(entries(*names), None, None, None).entries} == set(chosen)


def test_only_where_an_engine_reads_them_files_with_fp16_in_their_names_are_chosen() -> None:
    from engines.model_management._choice import choose

    names = ("model_index.json", "vae/model.safetensors", "vae/model.fp16.safetensors")
    index = {"_class_name": "LTXPipeline", "vae": ["diffusers", "X"]}
    assert [entry.name for entry in choose(entries(*names), index, None, None).entries] == [*names[:2]]
    assert "vae/model.fp16.safetensors" in {e.name for e in choose(entries(*names), index, "fp16", None).entries}
    half = choose(entries(*SHARDS, *FP16, "model.safetensors.index.fp16.json"), None, "fp16", None)
    assert {entry.name for entry in half.entries} == {*FP16, "model.safetensors.index.fp16.json"}


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (("pytorch_model.bin", "config.json"), "model_not_found"),
        (("model.bin", "config.json"), "model_not_found"),
        (("sd.ckpt",), "model_not_found"),
        (("q4.gguf", "config.json"), "model_not_found"),
        (("a.safetensors", "b.safetensors"), "invalid_request"),
        (("README.md", "config.json"), "model_not_found"),
    ],
)
def test_what_cannot_be_chosen_is_named(names: tuple[str, ...], code: str) -> None:
    from engines.model_management._choice import choose

    with pytest.raises(WorkerError, match=names[0]) as caught:
        choose(entries(*names), None, None, None)
    assert caught.value.code == code


def test_patterns_say_which_of_several_weights_are_meant() -> None:
    from engines.model_management._choice import choose

    found = choose(entries("a.safetensors", "b.safetensors", "c.bin"), None, None, ["b.*", "c.*"])
    assert [entry.name for entry in found.entries] == ["b.safetensors"]
