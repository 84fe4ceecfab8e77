"""The engine sdxl of image_generation, on tiny models of the real classes: 64×64 pixels are their native size."""

from __future__ import annotations

import importlib.util
import itertools
import json
import math
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support import SCHEMAS
from tiny_models import sdxl

from engines.image_generation import _sdxl_sizes as sizes
from engines.image_generation._sdxl_files import lora_file
from engines.image_generation._sdxl_memory import MOST_AT_ONCE, at_once, choose_offload
from engines.image_generation._sdxl_tiles import Blend, corners
from engines.image_generation.sdxl import SCHEDULERS, Engine
from orchestrator.errors import StorygenError
from orchestrator.keys import with_files
from orchestrator.worker import Worker
from runtime import request as requests
from runtime import validation
from runtime.context import Context
from runtime.errors import Cancelled, WorkerError, classify

pytestmark = pytest.mark.models

MODEL = {"id": None, "revision": None, "dtype": None, "quantization": None}
OPTIONS = {"device": "cpu", "offload": None, "compile": False, "models_dir": None}
STEPS = 4


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Threads gain nothing on a tiny model, and wait for each other where others work too."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All models and pictures."""
    root = tmp_path_factory.mktemp("sdxl")
    sdxl.base(root / "base")
    sdxl.base(root / "base-fp16", variant="fp16")
    sdxl.refiner(root / "refiner")
    sdxl.controlnet(root / "depth", seed=21)
    sdxl.controlnet(root / "edges", seed=22)
    sdxl.controlnet(root / "other", seed=23, text_width=24)
    sdxl.diffusers_lora(root / "style.safetensors", seed=31)
    sdxl.kohya_lora(root / "figure.safetensors", seed=32)
    sdxl.foreign_lora(root / "foreign.safetensors")
    stripes = np.indices((64, 64)).sum(0) % 16 * 16
    for name, pixels in (("stripes", stripes), ("checks", stripes.T ^ stripes), ("grey", stripes * 0 + 120)):
        Image.fromarray(pixels.astype(np.uint8)).convert("RGB").save(root / f"{name}.png")
    return root


@pytest.fixture(scope="module")
def engine(folder: Path) -> Engine:
    return loaded(folder / "base")


def loaded(model: Path, options: dict[str, Any] | None = None, **facts: Any) -> Engine:
    engine, (made, _) = Engine(), context(Path())
    engine.load({**MODEL, "id": str(model), **facts}, {**OPTIONS, **(options or {})}, made)
    return engine


def context(
    folder: Path,
    engine_options: dict[str, Any] | None = None,
    on_step: Callable[[int], None] = lambda done: None,
    cancelled: threading.Event | None = None,
    batch_size: int | None = None,
) -> tuple[Context, list[dict[str, Any]]]:
    """A request's context, and the progress of the run."""
    steps: list[dict[str, Any]] = []

    def emit(kind: str, fields: dict[str, Any]) -> None:
        if kind == "progress" and fields["stage"] == "run":
            steps.append(fields)
            on_step(fields["current"])

    whole = validation.filled(engine_options or {}, Engine.options_schema)
    options = {"batch_size": batch_size}
    made = Context(output_dir=folder, output_name="x", engine_options=whole, options=options, cancelled=cancelled,
                   emit=emit)  # fmt: skip
    return made, steps


def complete(op: str, **fields: Any) -> dict[str, Any]:
    filled: dict[str, Any] = validation.filled(fields, validation.input_schema("image_generation", op))
    return filled


class Made:
    """The output of one request, and its pictures as numbers of 0..255."""

    def __init__(self, engine: Engine, op: str, asked: dict[str, Any], made: Context, steps: list[Any]) -> None:
        self.output = engine.run(op, asked, made)
        self.images = self.output["images"] if "images" in self.output else [self.output["image"]]
        self.pixels = [np.asarray(Image.open(image["path"])).astype(int) for image in self.images]
        self.warnings = [warning["code"] for warning in made.warnings]
        self.messages = [warning["message"] for warning in made.warnings]
        self.chosen, self.steps = made.chosen, steps
        schema = validation.document(f"image_generation/{op}")["$defs"]["output"]
        assert validation.violations(self.output, schema) == []


def run(
    engine: Engine, to: Path, op: str = "generate", *, how: Any = None, batch_size: Any = None, **asked: Any
) -> Made:
    """A request of few steps at the native size, if it says nothing else; ``how`` are its engine_options."""
    usual: dict[str, Any] = {"num_inference_steps": STEPS, "seed": 1}
    if op == "generate":
        usual |= {"prompts": ["a fox"], "width": 64, "height": 64}
    made, steps = context(to, how, batch_size=batch_size)
    return Made(engine, op, complete(op, **{**usual, **asked}), made, steps)


def refused(engine: Engine, to: Path, op: str = "generate", **asked: Any) -> WorkerError:
    with pytest.raises(WorkerError) as caught:
        run(engine, to, op, **asked)
    return caught.value


def apart(one: Made, other: Made, number: int = 0) -> float:
    """How far two pictures are apart, in levels a pixel."""
    return float(abs(one.pixels[number] - other.pixels[number]).mean())


@pytest.fixture(scope="module")
def plain(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The picture that the others are compared with."""
    return run(engine, tmp_path_factory.mktemp("plain"))


def test_tiny_models_are_the_same_every_time(folder: Path, tmp_path: Path) -> None:
    sdxl.base(tmp_path / "again")
    sdxl.kohya_lora(tmp_path / "again.safetensors", seed=32)
    for part in ("unet/diffusion_pytorch_model", "text_encoder_2/model", "vae/diffusion_pytorch_model"):
        name = f"{part}.safetensors"
        assert (tmp_path / "again" / name).read_bytes() == (folder / "base" / name).read_bytes(), name
    assert (tmp_path / "again.safetensors").read_bytes() == (folder / "figure.safetensors").read_bytes()


# Pictures from words


def test_a_picture_is_what_diffusers_itself_makes(engine: Engine, folder: Path, tmp_path: Path) -> None:
    import torch
    from diffusers import StableDiffusionXLPipeline

    pipeline = StableDiffusionXLPipeline.from_pretrained(folder / "base", dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    for negative in ("", "a hound, blurry"):
        theirs = pipeline(
            "a fox, in ink",
            negative_prompt=negative or None,
            num_inference_steps=STEPS,
            guidance_scale=6.0,
            generator=torch.Generator().manual_seed(5),
        ).images[0]
        ours = run(engine, tmp_path, prompts=["a fox, in ink"], negative_prompt=negative, guidance_scale=6, seed=5)
        assert (ours.pixels[0] == np.asarray(theirs)).all(), negative


def test_the_result_says_what_was_chosen_and_the_file_holds_nothing_but_pixels(plain: Made, folder: Path) -> None:
    assert plain.chosen == {
        "id": str(folder / "base"), "device": "cpu", "dtype": "float32", "quantization": "none",
        "vae_dtype": "float32", "attention": "scaled_dot_product", "offload": "none", "compiled": False,
        "scheduler": "EulerDiscreteScheduler", "batch_size": 1,
    }  # fmt: skip
    (image,) = plain.images
    assert {name: image[name] for name in ("prompt", "seed", "used_refiner", "flagged", "width", "height")} == {
        "prompt": "a fox", "seed": 1, "used_refiner": False, "flagged": None, "width": 64, "height": 64,
    }  # fmt: skip
    with Image.open(image["path"]) as file:
        assert (file.format, file.mode, file.info) == ("PNG", "RGB", {})
    assert plain.warnings == []


def test_a_seed_gives_the_same_picture_bit_for_bit_and_a_fresh_one_is_reported(
    engine: Engine, plain: Made, tmp_path: Path
) -> None:
    again = run(engine, tmp_path)
    assert again.images[0]["sha256"] == plain.images[0]["sha256"]
    fresh = run(engine, tmp_path, seed=None, prompts=["a fox", "a fox"])
    first, second = (image["seed"] for image in fresh.images)
    assert first != second
    assert run(engine, tmp_path, seed=second).images[0]["sha256"] == fresh.images[1]["sha256"]


def test_variants_count_their_seeds_up_and_past_the_last_one_from_zero(
    engine: Engine, plain: Made, tmp_path: Path
) -> None:
    several = run(engine, tmp_path, prompts=["a crow", "a fox"], num_images_per_prompt=2, seed=1)
    assert [(image["prompt"], image["seed"]) for image in several.images] == [
        ("a crow", 1), ("a crow", 2), ("a fox", 1), ("a fox", 2),
    ]  # fmt: skip
    assert several.images[2]["sha256"] == plain.images[0]["sha256"]
    assert len({image["sha256"] for image in several.images}) == 4
    assert [(step["current"], step["total"]) for step in several.steps] == [(done, 16) for done in range(17)]
    last = run(engine, tmp_path, seed=2**32 - 1, num_images_per_prompt=2)
    assert [image["seed"] for image in last.images] == [2**32 - 1, 0]


@pytest.mark.parametrize("scheduler", [None, "EulerAncestralDiscreteScheduler"])
def test_a_picture_is_the_same_alone_and_in_a_batch(engine: Engine, tmp_path: Path, scheduler: str | None) -> None:
    prompts = ["a fox", "a crow beside a tall clay pitcher in the dry fields", "word " * 40, "a fox", "b"]
    fields: dict[str, Any] = {"prompts": prompts, "scheduler": scheduler, "negative_prompt": "ink"}
    together = run(engine, tmp_path, batch_size=4, **fields)
    assert together.chosen["batch_size"] == 4
    for number, prompt in enumerate(prompts):
        alone = run(engine, tmp_path, **{**fields, "prompts": [prompt]})
        # Sums in another order: a level of 255 where one is rounded.
        assert abs(alone.pixels[0] - together.pixels[number]).max() <= 1, prompt
    assert together.images[0]["sha256"] == together.images[3]["sha256"]


def test_a_negative_prompt_acts_and_is_said_not_to_where_it_cannot(engine: Engine, plain: Made, tmp_path: Path) -> None:
    assert apart(run(engine, tmp_path, negative_prompt="blurry"), plain) > 5
    without = run(engine, tmp_path, guidance_scale=1)
    ignored = run(engine, tmp_path, guidance_scale=1, negative_prompt="blurry")
    assert (apart(without, ignored), ignored.warnings, without.warnings) == (0, ["negative_prompt_ignored"], [])


def test_words_behind_the_77th_token_change_the_picture(engine: Engine, tmp_path: Path) -> None:
    start = "abcdefghij" * 8  # one letter is one token
    one, other = (run(engine, tmp_path, prompts=[start + end]) for end in (" fox", " crow"))
    assert apart(one, other) > 1
    # The negative prompt too, and the pieces of one do not shorten the other.
    one, other = (run(engine, tmp_path, negative_prompt=start + end) for end in (" fox", " crow"))
    assert apart(one, other) > 1


def test_texts_are_read_in_as_many_pieces_as_they_need(engine: Engine) -> None:
    prompts = engine._models.prompts()
    assert [prompts.pieces("a" * length) for length in (0, 1, 75, 76, 150, 151)] == [1, 1, 1, 2, 2, 3]
    assert prompts.read("a" * 76, 3, "cpu").tokens.shape == (1, 3 * 77, 2 * sdxl.TEXT_WIDTH)


def test_each_scheduler_acts_or_says_which_package_it_lacks(engine: Engine, plain: Made, tmp_path: Path) -> None:
    lacking = {"LMSDiscreteScheduler": "scipy", "DPMSolverSDEScheduler": "torchsde"}
    made: dict[str, str] = {}
    for name in SCHEDULERS:
        if name in lacking and importlib.util.find_spec(lacking[name]) is None:
            error = refused(engine, tmp_path, scheduler=name)
            assert error.code == "unsupported_capability"
            assert lacking[name] in error.message, name
            continue
        picture = run(engine, tmp_path, scheduler=name)
        assert picture.chosen["scheduler"] == name
        made[name] = picture.images[0]["sha256"]
    assert made.pop("EulerDiscreteScheduler") == plain.images[0]["sha256"]  # the model's own
    assert len({*made.values(), plain.images[0]["sha256"]}) == len(made) + 1 >= len(SCHEDULERS) - 2


def test_a_schedulers_spacing_and_noise_levels_can_be_changed(engine: Engine, plain: Made, tmp_path: Path) -> None:
    assert apart(run(engine, tmp_path, how={"timestep_spacing": "trailing"}), plain) > 1
    assert apart(run(engine, tmp_path, how={"karras_sigmas": True}), plain) > 1
    error = refused(engine, tmp_path, how={"karras_sigmas": True}, scheduler="DDPMScheduler")
    assert "has no use_karras_sigmas" in error.message


def test_a_few_step_models_own_defaults_are_used() -> None:
    raw = {"v": 1, "op": "generate", "engine": "sdxl", "model": {"id": "stabilityai/sdxl-turbo"},
           "input": {"prompts": ["x"], "guidance_scale": 1.5}}  # fmt: skip
    asked = prepared(raw).input
    assert (asked["num_inference_steps"], asked["guidance_scale"]) == (4, 1.5)


# What is added


def lora(where: Path, scale: float = 1.0, **more: Any) -> dict[str, Any]:
    return {"path": str(where), "scale": scale, **more}


def test_loras_of_both_formats_act_by_their_scale_and_are_gone_for_the_next_request(
    engine: Engine, plain: Made, folder: Path, tmp_path: Path
) -> None:
    style, figure = folder / "style.safetensors", folder / "figure.safetensors"
    with_style, with_figure = (run(engine, tmp_path, loras=[lora(file)]) for file in (style, figure))
    half = run(engine, tmp_path, loras=[lora(figure, 0.5)])
    both = run(engine, tmp_path, loras=[lora(figure, 0.5), lora(style, 0.5)])
    seen = [plain, with_style, with_figure, half, both]
    assert all(apart(one, other) > 1 for one in seen for other in seen if one is not other)
    for none in (run(engine, tmp_path, loras=[lora(figure, 0), lora(style, 0)]), run(engine, tmp_path)):
        assert none.images[0]["sha256"] == plain.images[0]["sha256"]
    assert run(engine, tmp_path, loras=[lora(style)]).images[0]["sha256"] == with_style.images[0]["sha256"]
    run(engine, tmp_path)


def test_a_lora_acts_on_the_text_encoders_too(engine: Engine, folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "figure.safetensors")
    for part in ("lora_te1_", "lora_te2_"):
        kept = {name: value for name, value in weights.items() if name.startswith(part)}
        save_file(kept, tmp_path / f"{part}.safetensors")
        acting, idle = (run(engine, tmp_path, loras=[lora(tmp_path / f"{part}.safetensors", s)]) for s in (1, 0))
        assert apart(acting, idle) > 1, part


def test_a_lora_that_does_not_fit_is_refused_and_leaves_nothing_behind(
    engine: Engine, plain: Made, folder: Path, tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "style.safetensors")
    narrow = {name: value[:, :20].contiguous() if "lora_A" in name else value for name, value in weights.items()}
    save_file(narrow, tmp_path / "narrow.safetensors")
    elsewhere = {name.replace("mid_block", "mid_block.unknown"): value for name, value in weights.items()}
    save_file(elsewhere, tmp_path / "elsewhere.safetensors")
    save_file({"unet.conv_in.weight": torch.zeros(2, 2)}, tmp_path / "none.safetensors")
    (tmp_path / "cut.safetensors").write_bytes((folder / "style.safetensors").read_bytes()[:-100])
    expected = {
        folder / "foreign.safetensors": "0 of its 1 layers",
        tmp_path / "narrow.safetensors": "does not fit this model",
        tmp_path / "elsewhere.safetensors": "12 of its 18 layers",
        tmp_path / "none.safetensors": "nothing of a LoRA",
        tmp_path / "cut.safetensors": "is damaged",
    }
    for file, words in expected.items():
        error = refused(engine, tmp_path, loras=[lora(folder / "figure.safetensors"), lora(file)])
        assert (error.code, error.pointer) == ("model_not_found", "/input/loras/1"), file
        assert words in error.message, error.message
        assert run(engine, tmp_path).images[0]["sha256"] == plain.images[0]["sha256"], file


def test_a_lora_is_found_in_a_folder_and_never_as_a_pickle(engine: Engine, folder: Path, tmp_path: Path) -> None:
    several = tmp_path / "loras"
    several.mkdir()
    shutil.copy(folder / "style.safetensors", several / "style.safetensors")
    alone = run(engine, tmp_path, loras=[lora(several)])
    shutil.copy(folder / "figure.safetensors", several)
    error = refused(engine, tmp_path, loras=[lora(several)])
    assert "figure.safetensors, style.safetensors" in error.message
    named = run(engine, tmp_path, loras=[lora(several, file="style.safetensors")])
    assert named.images[0]["sha256"] == alone.images[0]["sha256"]
    assert "without a x.safetensors" in refused(engine, tmp_path, loras=[lora(several, file="x.safetensors")]).message
    (tmp_path / "style.bin").write_bytes(b"\x80\x04.")
    assert "could run code" in refused(engine, tmp_path, loras=[lora(tmp_path / "style.bin")]).message


def test_a_lora_is_found_by_its_id(folder: Path, tmp_path: Path) -> None:
    asked = {"path": None, "id": "ByteDance/SDXL-Lightning", "file": "style.safetensors", "scale": 1.0}
    with pytest.raises(WorkerError, match="neither a folder nor downloaded") as caught:
        lora_file(asked, {"models_dir": str(tmp_path)}, "/input/loras/0")
    assert "--include style.safetensors" in (caught.value.hint or "")
    assert caught.value.pointer == "/input/loras/0/id"
    here = tmp_path / "ByteDance" / "SDXL-Lightning"
    here.mkdir(parents=True)
    shutil.copy(folder / "style.safetensors", here)
    assert lora_file(asked, {"models_dir": str(tmp_path)}, "") == here / "style.safetensors"


def control(folder: Path, model: str, image: str, scale: float = 1.0) -> dict[str, Any]:
    return {"model": str(folder / model), "image": str(folder / f"{image}.png"), "scale": scale}


def test_controlnets_follow_their_pictures_several_at_once(
    engine: Engine, plain: Made, folder: Path, tmp_path: Path
) -> None:
    depth = control(folder, "depth", "stripes")
    seen = [
        plain,
        *(
            run(engine, tmp_path, control=chosen)
            for chosen in (
                [depth],
                [control(folder, "depth", "checks")],
                [control(folder, "depth", "stripes", 0.5)],
                [depth, control(folder, "edges", "stripes")],
                [depth, control(folder, "edges", "checks")],
            )
        ),
    ]
    assert all(apart(one, other) > 0.5 for one in seen for other in seen if one is not other)
    for none in ([control(folder, "depth", "stripes", 0), control(folder, "edges", "checks", 0)], []):
        assert run(engine, tmp_path, control=none).images[0]["sha256"] == plain.images[0]["sha256"]
    together = run(engine, tmp_path, control=[depth], prompts=["a crow", "a fox"], batch_size=2)
    assert abs(together.pixels[1] - seen[1].pixels[0]).max() <= 1


def test_a_control_picture_of_another_shape_is_cropped_and_that_is_said(
    engine: Engine, folder: Path, tmp_path: Path
) -> None:
    with Image.open(folder / "checks.png") as square:
        wide = Image.new("RGB", (96, 64), "red")
        wide.paste(square, (16, 0))
        wide.save(tmp_path / "wide.png")
    asked = {"model": str(folder / "depth"), "image": str(tmp_path / "wide.png")}
    cropped = run(engine, tmp_path, control=[asked])
    whole = run(engine, tmp_path, control=[control(folder, "depth", "checks")])
    assert (cropped.warnings, whole.warnings) == (["control_cropped"], [])
    assert apart(cropped, whole) == 0


def test_what_is_no_controlnet_for_this_model_is_refused_before_weights_are_read(folder: Path, tmp_path: Path) -> None:
    engine = loaded(folder / "base")
    for model, words in (("other", "text of width 24, this model 64"), ("base", "without a readable config.json"),
                         ("base/unet", "not a ControlNet: its config.json says UNet2DConditionModel")):  # fmt: skip
        error = refused(engine, tmp_path, control=[control(folder, model, "stripes")])
        assert words in error.message
        assert (error.code, error.pointer) == ("model_not_found", "/input/control/0/model")
    assert not engine._models._parts


def test_the_refiner_does_the_last_steps(engine: Engine, plain: Made, folder: Path, tmp_path: Path) -> None:
    def refined(base: int, refiner: int, **more: Any) -> Made:
        asked = {"model": str(folder / "refiner"), "base_steps": base, "refiner_steps": refiner}
        return run(engine, tmp_path, refiner=asked, **more)

    one, other = refined(3, 1), refined(2, 2)
    assert one.images[0]["used_refiner"]
    assert apart(one, plain) > 0.05  # the last step does little
    assert apart(one, other) > 1
    for more in ({"scheduler": "HeunDiscreteScheduler"}, {"negative_prompt": "ink"},
                 {"control": [control(folder, "depth", "stripes")]}):  # fmt: skip
        assert apart(refined(2, 2, **more), other) > 1
    assert run(engine, tmp_path).images[0]["sha256"] == plain.images[0]["sha256"]


def test_base_and_refiner_do_as_many_steps_as_asked(engine: Engine, folder: Path, tmp_path: Path) -> None:
    calls = {"base": 0, "refiner": 0}

    def counted(unet: Any, name: str) -> Any:
        return unet.register_forward_hook(lambda *_: calls.update({name: calls[name] + 1}))

    for base, refiner in ((40, 20), (7, 2), (1, 1), (5, 13)):
        asked = {"model": str(folder / "refiner"), "base_steps": base, "refiner_steps": refiner}
        run(engine, tmp_path, refiner=asked) if not engine._models._refiner else None
        hooks = [counted(engine._models._parts["unet"], "base"), counted(engine._models._refiner["unet"], "refiner")]
        calls.update(base=0, refiner=0)
        made = run(engine, tmp_path, refiner=asked)
        for hook in hooks:
            hook.remove()
        assert calls == {"base": base, "refiner": refiner}
        assert [step["current"] for step in made.steps] == list(range(base + refiner + 1))


def test_a_refiner_is_no_base_and_a_base_no_refiner(engine: Engine, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match=r"a refiner, which cannot begin a picture.*input\.refiner\.model") as caught:
        loaded(folder / "refiner")
    assert caught.value.code == "model_not_found"
    error = refused(engine, tmp_path, refiner={"model": str(folder / "base")})
    assert (error.code, error.pointer) == ("model_not_found", "/input/refiner/model")
    assert "StableDiffusionXLPipeline" in error.message
    shutil.copytree(folder / "refiner", tmp_path / "other")
    config = json.loads((tmp_path / "other" / "unet" / "config.json").read_text())
    (tmp_path / "other" / "unet" / "config.json").write_text(json.dumps({**config, "cross_attention_dim": 16}))
    error = refused(engine, tmp_path, refiner={"model": str(tmp_path / "other")})
    assert "reads text of width 16, this model's is 32" in error.message


# Sizes


@pytest.mark.parametrize(
    ("size", "native", "nearest"),
    [((1080, 1920), 1024, (768, 1344)), ((1920, 1080), 1024, (1344, 768)), ((1080, 1080), 1024, (1024, 1024)),
     ((500, 1000), 1024, (704, 1408)), ((1000, 1000), 512, (512, 512))],
)  # fmt: skip
def test_the_nearest_training_size_is_found(size: tuple[int, int], native: int, nearest: tuple[int, int]) -> None:
    assert sizes.nearest_bucket(*size, native) == nearest


def test_training_sizes_have_the_native_number_of_pixels() -> None:
    found = sizes.buckets(1024)
    assert len(found) == 2 * len(sizes.TRAINED) - 1
    assert all(width % 64 == height % 64 == 0 and 0.9 < width * height / 1024**2 <= 1.001 for width, height in found)


def test_a_size_is_delivered_exactly_and_one_that_the_model_does_not_know_is_said(
    engine: Engine, tmp_path: Path
) -> None:
    odd = run(engine, tmp_path, width=70, height=102)
    assert odd.pixels[0].shape == (102, 70, 3)
    assert odd.warnings == ["size_snapped", "off_bucket"]
    assert "72×104" in odd.messages[0]
    assert "nearest size it knows is 48×72" in odd.messages[1]
    assert run(engine, tmp_path, width=64, height=88).warnings == ["off_bucket"]
    whole = run(engine, tmp_path, width=72, height=104)
    assert (whole.pixels[0][1:-1, 1:-1] == odd.pixels[0]).all()  # the middle of it


# Pictures from pictures


def test_a_picture_is_made_anew_by_its_strength(engine: Engine, folder: Path, tmp_path: Path) -> None:
    def anew(image: str = "stripes", **fields: Any) -> Made:
        asked = {"image": str(folder / f"{image}.png"), "prompt": "a fox", **fields}
        return run(engine, tmp_path, "transform", **asked)

    low, high = anew(strength=0.25), anew(strength=0.75)
    assert apart(low, high) > 1
    assert apart(anew("checks", strength=0.75), high) > 1
    assert apart(anew(strength=0.75, prompt="a crow"), high) > 1
    assert apart(anew(strength=0.75, control=[control(folder, "depth", "checks")]), high) > 1
    assert apart(anew(strength=0.75, loras=[lora(folder / "style.safetensors")]), high) > 1
    assert anew(strength=0.75).images[0]["sha256"] == high.images[0]["sha256"]
    assert [step["current"] for step in high.steps] == [0, 1, 2, 3]
    variants = anew(strength=0.75, num_images_per_prompt=2, batch_size=2)
    assert [image["seed"] for image in variants.images] == [1, 2]
    assert abs(variants.pixels[0] - high.pixels[0]).max() <= 1


def test_less_than_a_step_is_refused_with_what_would_be_one(engine: Engine, folder: Path, tmp_path: Path) -> None:
    image = str(folder / "stripes.png")
    error = refused(engine, tmp_path, "transform", image=image, prompt="x", strength=0.2)
    assert (error.code, error.pointer) == ("invalid_request", "/input/strength")
    assert error.hint == "Take a strength of at least 0.25, or at least 5 steps."
    made = run(engine, tmp_path, "transform", image=image, prompt="x", strength=0.2, num_inference_steps=5)
    assert len(made.steps) == 2


def test_a_refiner_takes_over_a_picture_made_anew(engine: Engine, folder: Path, tmp_path: Path) -> None:
    asked = {"image": str(folder / "stripes.png"), "prompt": "a fox", "strength": 0.6}
    refiner = {"model": str(folder / "refiner"), "base_steps": 6, "refiner_steps": 4}
    made = run(engine, tmp_path, "transform", **asked, refiner=refiner)
    assert made.images[0]["used_refiner"]
    assert len(made.steps) == 1 + 6
    assert apart(made, run(engine, tmp_path, "transform", **asked, num_inference_steps=10)) > 1
    error = refused(engine, tmp_path, "transform", **{**asked, "strength": 0.4}, refiner=refiner)
    assert "leaves 4, all of them the refiner's" in error.message
    both = {"refiner": refiner, "control": [control(folder, "depth", "stripes")]}
    assert refused(engine, tmp_path, "transform", **asked, **both).code == "unsupported_capability"


def test_a_picture_keeps_its_size_or_its_shape(engine: Engine, tmp_path: Path) -> None:
    Image.new("RGB", (99, 66), "teal").save(tmp_path / "teal.png")
    asked = {"image": str(tmp_path / "teal.png"), "prompt": "x", "strength": 0.5}
    for fields, size in (({}, (99, 66)), ({"width": 150}, (150, 100)), ({"width": 64, "height": 80}, (64, 80))):
        (image,) = run(engine, tmp_path, "transform", **asked, **fields).images
        assert (image["width"], image["height"]) == size
    Image.new("RGB", (40, 66)).save(tmp_path / "small.png")
    error = refused(engine, tmp_path, "transform", **{**asked, "image": str(tmp_path / "small.png")})
    assert "40×66" in error.message
    (tmp_path / "text.png").write_text("no picture")
    error = refused(engine, tmp_path, "transform", **{**asked, "image": str(tmp_path / "text.png")})
    assert error.code == "input_unreadable"


def test_a_picture_is_enlarged_by_a_factor_or_to_a_size(engine: Engine, folder: Path, tmp_path: Path) -> None:
    def larger(**fields: Any) -> Made:
        asked = {"image": str(folder / "checks.png"), "strength": 0.5, "num_inference_steps": 2, **fields}
        return run(engine, tmp_path, "upscale", **asked)

    double = larger()
    assert double.pixels[0].shape == (128, 128, 3)
    assert larger(factor=1.55).pixels[0].shape == (99, 99, 3)
    assert larger(width=130, height=70).pixels[0].shape == (70, 130, 3)
    assert larger().images[0]["sha256"] == double.images[0]["sha256"]
    assert larger(batch_size=4).images[0]["seed"] == 1
    assert abs(larger(batch_size=4).pixels[0] - double.pixels[0]).max() <= 1
    for fields in ({"strength": 1.0}, {"prompt": "a fox"}, {"seed": 2}):
        assert apart(larger(**fields), double) > 1, fields
    assert refused(engine, tmp_path, "upscale", image=str(folder / "checks.png"), width=99).pointer == "/input/height"


def test_an_enlarged_picture_that_would_be_too_large_is_refused(engine: Engine, tmp_path: Path) -> None:
    Image.new("L", (3000, 10)).save(tmp_path / "long.png")
    error = refused(engine, tmp_path, "upscale", image=str(tmp_path / "long.png"), factor=3)
    assert "9000×30" in error.message
    assert error.hint == "Take a factor of at most 2.73."


@pytest.mark.parametrize("size", [(64, 64), (100, 64), (130, 200), (65, 500)])
def test_tiles_cover_a_picture_with_room_to_blend_and_give_it_back(size: tuple[int, int]) -> None:
    tile, pixels = (64, 64), np.random.default_rng(3).integers(0, 256, (size[1], size[0], 3), np.uint8)
    picture, blend, places = Image.fromarray(pixels), Blend(size, tile), corners(size, tile)
    seen = np.zeros((size[1], size[0]), int)
    for left, top in places:
        assert 0 <= left <= size[0] - 64
        assert 0 <= top <= size[1] - 64
        seen[top : top + 64, left : left + 64] += 1
        blend.add([((left, top), picture.crop((left, top, left + 64, top + 64)))])
    assert seen.min() == 1
    assert (np.asarray(blend.picture()) == pixels).all()
    for axis, side in enumerate(size):
        starts = sorted({place[axis] for place in places})
        assert starts[-1] == side - 64
        assert all(later - earlier <= 64 - 8 for earlier, later in itertools.pairwise(starts))


# Precision, memory, ends in the middle


def test_a_folder_of_half_precision_is_opened_in_what_the_device_computes_in(
    folder: Path, plain: Made, tmp_path: Path
) -> None:
    made = run(loaded(folder / "base-fp16"), tmp_path)
    assert made.chosen["dtype"] == "float32"  # a CPU computes in half precision slowly
    assert apart(made, plain) < 10  # noise and its seed make 45
    half = run(loaded(folder / "base", dtype="float16"), tmp_path)
    assert (half.chosen["dtype"], half.chosen["vae_dtype"]) == ("float16", "float32")
    assert apart(half, plain) < 10


def test_another_decoder_can_be_named(engine: Engine, folder: Path, plain: Made, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    shutil.copytree(folder / "base" / "vae", tmp_path / "vae")
    file = tmp_path / "vae" / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    save_file({**weights, "decoder.conv_out.bias": weights["decoder.conv_out.bias"] + 0.5}, file, {"format": "pt"})
    other = run(engine, tmp_path, how={"vae": str(tmp_path / "vae")})
    assert (other.pixels[0] - plain.pixels[0]).mean() > 20  # brighter
    assert refused(engine, tmp_path, how={"vae": str(folder)}).pointer == "/engine_options/vae"
    assert run(engine, tmp_path).images[0]["sha256"] == plain.images[0]["sha256"]


GB = 10**9


def test_what_leaves_the_gpu_and_how_many_go_together_follow_from_its_memory() -> None:
    sizes, pixels = [5 * GB, GB, GB], 1024 * 1024
    for room, offload in ((24, "none"), (9, "model"), (6, "sequential")):
        assert choose_offload(None, room * GB, sizes, pixels) == offload
    assert choose_offload("none", 6 * GB, sizes, pixels) == "none"
    assert choose_offload("model", None, sizes, pixels) == "none"
    together = [at_once(None, free * GB, pixels, 2) for free in (1, 8, 16, 80)]
    assert together == sorted(together)
    assert (together[0], together[-1]) == (1, MOST_AT_ONCE)
    assert 1 < at_once(None, 12 * GB, pixels, 4) < at_once(None, 12 * GB, pixels, 2)
    assert at_once(None, 12 * GB, 2 * pixels, 2) < at_once(None, 12 * GB, pixels, 2)
    assert (at_once(5, GB, pixels, 2), at_once(None, None, pixels, 4)) == (5, 1)


def test_quantization_and_options_without_effect_are_said(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="NVIDIA GPU only; the device is cpu") as caught:
        loaded(folder / "base", quantization="int8")
    assert caught.value.code == "unsupported_capability"
    made = run(loaded(folder / "base", {"offload": "model", "compile": True}), tmp_path)
    assert made.warnings == ["option_ignored", "option_ignored"]
    assert (made.chosen["offload"], made.chosen["compiled"]) == ("none", False)


@pytest.mark.parametrize("at", [1, 6])
def test_cancelling_between_two_steps_leaves_nothing_and_the_engine_goes_on(
    engine: Engine, plain: Made, folder: Path, tmp_path: Path, at: int
) -> None:
    flag = threading.Event()
    made, steps = context(tmp_path, None, lambda done: flag.set() if done == at else None, flag)
    asked = complete("generate", prompts=["a fox", "a crow"], width=64, height=64, num_inference_steps=STEPS, seed=1,
                     refiner={"model": str(folder / "refiner"), "base_steps": 3, "refiner_steps": 2},
                     loras=[lora(folder / "style.safetensors")])  # fmt: skip
    with pytest.raises(Cancelled):
        engine.run("generate", asked, made)
    made.clean_up()
    assert [step["current"] for step in steps] == list(range(at + 1))
    left = {"x_001.png"} if at > 5 else set()  # the first picture was finished and published
    assert {file.name for file in tmp_path.iterdir()} == left
    assert run(engine, tmp_path).images[0]["sha256"] == plain.images[0]["sha256"]


@pytest.mark.parametrize(
    "words", ["DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes", "MPS backend out of memory"]
)
def test_too_little_memory_is_said_with_what_needs_less(
    engine: Engine, plain: Made, tmp_path: Path, words: str
) -> None:
    def fail(*arguments: Any) -> None:
        raise RuntimeError(f"{words}\nsecond line")

    hook = engine._models._parts["unet"].register_forward_pre_hook(fail)
    error = refused(engine, tmp_path, prompts=["a", "b"], batch_size=2)
    alone = refused(engine, tmp_path)
    hook.remove()
    assert error.code == "out_of_memory"
    assert words in error.message
    assert (
        error.hint == "Ask for less: a smaller width and height; options.batch_size 1; model.dtype float16 or bfloat16."
    )
    assert alone.hint == "Ask for less: a smaller width and height; model.dtype float16 or bfloat16."
    assert run(engine, tmp_path).images[0]["sha256"] == plain.images[0]["sha256"]


def test_a_host_that_loads_ahead_gets_the_weights_at_once(folder: Path) -> None:
    engine = Engine()
    engine.load({**MODEL, "id": str(folder / "base")}, OPTIONS, Context(output_dir=Path(), output_name="load"))
    assert engine._models._parts
    engine.unload()
    assert not engine._models._parts


# Models that are not what they should be


def damaged(folder: Path, to: Path) -> Path:
    shutil.copytree(folder / "base", to)
    return to


def test_lacking_or_damaged_files_are_an_error_not_noise(folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    def opened(to: str, spoil: Callable[[Path], object]) -> WorkerError:
        model = damaged(folder, tmp_path / to)
        spoil(model)
        try:
            run(loaded(model), tmp_path)
        except Exception as error:  # noqa: BLE001 - the runtime classifies whatever comes
            return classify(error)
        raise AssertionError(f"{to} was opened")

    def cut(model: Path) -> None:
        file = model / "unet" / "diffusion_pytorch_model.safetensors"
        file.write_bytes(file.read_bytes()[:-1000])

    def thin(part: str, name: str, without: str) -> Callable[[Path], None]:
        def spoil(model: Path) -> None:
            file = model / part / name
            kept = {key: value for key, value in load_file(file).items() if without not in key}
            save_file(kept, file, {"format": "pt"})

        return spoil

    def reshape(model: Path, part: str, side: str) -> None:
        config = json.loads((model / part / "config.json").read_text())
        (model / part / "config.json").write_text(json.dumps({**config, side: 48}))

    expected: dict[str, tuple[Callable[[Path], object], str]] = {
        "cut": (cut, "unet cannot be opened"),
        "thin unet": (thin("unet", "diffusion_pytorch_model.safetensors", "mid_block"), "weights are missing"),
        "thin text": (thin("text_encoder_2", "model.safetensors", "layers.1"), "weights are missing"),
        "reshaped": (lambda model: reshape(model, "unet", "cross_attention_dim"), "unet cannot be opened"),
        "reshaped text": (lambda model: reshape(model, "text_encoder", "intermediate_size"), "text_encoder cannot"),
        "no weights": (
            lambda model: (model / "vae" / "diffusion_pytorch_model.safetensors").unlink(),
            "vae is without",
        ),
        "no tokenizer": (lambda model: shutil.rmtree(model / "tokenizer_2"), "tokenizer_2 cannot be opened"),
        "no scheduler": (lambda model: shutil.rmtree(model / "scheduler"), "without a readable scheduler_config.json"),
    }
    for name, (spoil, words) in expected.items():
        error = opened(name, spoil)
        assert error.code == "model_not_found", (name, error.message)
        assert words in error.message, (name, error.message)


def test_a_wrong_folder_says_what_is_wrong_about_it(folder: Path, tmp_path: Path) -> None:
    index = {**json.loads((folder / "base" / "model_index.json").read_text())}
    foreign, other = damaged(folder, tmp_path / "foreign"), damaged(folder, tmp_path / "other")
    (foreign / "model_index.json").write_text(json.dumps({**index, "unet": ["my_unet", "MyUNet"]}))
    (foreign / "my_unet.py").write_text("raise SystemExit('code of a model was run')")
    (other / "model_index.json").write_text(json.dumps({**index, "_class_name": "StableDiffusionPipeline"}))
    for model, words in (
        (folder, "without a readable model_index.json"),
        (foreign, "it is of my_unet"),
        (other, "its model_index.json says StableDiffusionPipeline"),
        (folder / "style.safetensors", "is one file"),
        (tmp_path / "nowhere", "There is no folder"),
    ):
        with pytest.raises(WorkerError, match=words) as caught:
            loaded(model)
        assert (caught.value.code, caught.value.pointer) == ("model_not_found", "/model/id")
        assert caught.value.hint


def test_pickled_weights_are_never_opened(folder: Path, tmp_path: Path) -> None:
    import torch

    model = damaged(folder, tmp_path / "pickled")
    (model / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    torch.save({}, model / "unet" / "diffusion_pytorch_model.bin")
    with pytest.raises(WorkerError, match=r"diffusion_pytorch_model\.bin, which is not loaded"):
        run(loaded(model), tmp_path)


def test_a_model_that_was_not_downloaded_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORYGEN_MODELS_DIR", str(tmp_path))
    with pytest.raises(WorkerError, match="neither a folder nor downloaded") as caught:
        Engine().load(MODEL, OPTIONS, context(tmp_path)[0])
    assert "storygen models download stabilityai/stable-diffusion-xl-base-1.0" in (caught.value.hint or "")


def test_a_scheduler_is_refused_before_weights_are_read(folder: Path, tmp_path: Path) -> None:
    engine = loaded(folder / "base")
    for name in ("Euler", "FlowMatchEulerDiscreteScheduler", "EDMEulerScheduler"):
        error = refused(engine, tmp_path, scheduler=name)
        assert (error.code, error.pointer) == ("invalid_request", "/input/scheduler")
        assert repr(name) in error.message
        assert "DPMSolverMultistepScheduler" in (error.hint or "")
    assert "1001" in refused(engine, tmp_path, scheduler="DDPMScheduler", num_inference_steps=1001).message
    assert not engine._models._parts


# The family


def prepared(raw: dict[str, Any]) -> requests.Request:
    from image_generation import FAMILY

    return requests.prepare(raw, FAMILY, output_dir=None, timeout_s=None, serving=False)


def test_what_a_storyboard_cannot_is_refused_by_name_and_auto_goes_elsewhere(folder: Path) -> None:
    image = str(folder / "stripes.png")
    cases: dict[str, tuple[str, dict[str, Any]]] = {
        "lora": ("generate", {"loras": [{"path": str(folder / "style.safetensors")}]}),
        "controlnet": ("generate", {"control": [control(folder, "depth", "stripes")]}),
        "refiner": ("generate", {"refiner": {}}),
        "negative_prompt": ("generate", {"negative_prompt": "ink"}),
        "scheduler": ("generate", {"scheduler": "DDIMScheduler"}),
        "transform": ("transform", {"image": image, "prompt": "x"}),
        "upscale": ("upscale", {"image": image}),
    }
    for name, (op, fields) in cases.items():
        asked = {"prompts": ["x"], **fields} if op == "generate" else fields
        raw = {"v": 1, "op": op, "input": asked}
        assert prepared(raw).engine == "sdxl", name
        with pytest.raises(WorkerError, match=name) as caught:
            prepared({**raw, "engine": "storyboard"})
        assert caught.value.code == "unsupported_capability"
        assert "sdxl" in (caught.value.hint or "")
    assert prepared({"v": 1, "op": "generate", "input": {"prompts": ["x"]}}).engine == "storyboard"
    with pytest.raises(WorkerError, match="safety_filter"):
        prepared({"v": 1, "op": "generate", "engine": "sdxl", "input": {"prompts": ["x"], "safety_filter": True}})


@pytest.mark.parametrize("given", [{}, {"path": "x.safetensors", "id": "a/b"}])
def test_a_lora_is_named_by_path_or_by_id(given: dict[str, str]) -> None:
    raw = {"v": 1, "op": "generate", "input": {"prompts": ["x"], "loras": [given]}}
    with pytest.raises(WorkerError, match="path" if given else "Neither") as caught:
        prepared(raw)
    assert (caught.value.code, caught.value.pointer) == ("invalid_request", "/input/loras/0")


def test_files_that_a_request_names_count_by_their_content(folder: Path) -> None:
    schema = json.loads((SCHEMAS / "image_generation" / "generate.schema.json").read_text())["$defs"]["input"]
    asked = complete("generate", prompts=["x"], loras=[lora(folder / "style.safetensors")],
                     control=[control(folder, "depth", "stripes")])  # fmt: skip
    found = with_files(asked, schema)
    assert found["loras"][0]["path"] == folder / "style.safetensors"
    assert found["control"][0]["image"] == folder / "stripes.png"
    assert found["control"][0]["model"] == str(folder / "depth")
    missing = {"v": 1, "op": "generate", "engine": "sdxl",
               "input": {"prompts": ["x"], "control": [{"model": "a/b", "image": "nowhere.png"}]}}  # fmt: skip
    with pytest.raises(WorkerError, match=r"no file 'nowhere\.png'") as caught:
        prepared(missing)
    assert caught.value.pointer == "/input/control/0/image"


def test_a_serving_worker_reports_steps_is_cancelled_and_reads_its_model_once(
    folder: Path, plain: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    asked = {"prompts": ["a fox"], "width": 64, "height": 64, "num_inference_steps": STEPS, "seed": 1}
    request: dict[str, Any] = {"v": 1, "op": "generate", "engine": "sdxl", "model": {"id": str(folder / "base")},
                               "input": asked, "output_dir": str(tmp_path)}  # fmt: skip
    with Worker("image_generation") as process:
        first = process.request(request)
        assert first["output"]["images"][0]["sha256"] == plain.images[0]["sha256"]
        assert first["metrics"]["import_s"] > 0
        seen: list[int] = []

        def cancel_at_a_step(event: dict[str, Any]) -> None:
            if event["type"] == "progress" and event["stage"] == "run" and event["current"] > 0:
                seen.append(event["current"])
                process.cancel()

        before = {file.name for file in tmp_path.iterdir()}
        with pytest.raises(StorygenError) as caught:
            process.request({**request, "input": {**asked, "num_inference_steps": 900}}, cancel_at_a_step)
        assert caught.value.code == "cancelled"
        assert 0 < max(seen) < 900
        assert {file.name for file in tmp_path.iterdir()} == before
        again = process.request(request)
        assert again["output"]["images"][0]["sha256"] == plain.images[0]["sha256"]
        assert again["metrics"]["load_s"] < 0.01
        assert math.isclose(again["metrics"]["import_s"], 0)
