"""The engine ltx_video of video_generation, on tiny models of the real classes."""

from __future__ import annotations

import math
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support import result_of, worker
from tiny_models import ltx

from engines.video_generation import _ltx_facts as ltx_facts
from engines.video_generation import _ltx_plan as ltx_plan
from engines.video_generation.ltx_video import Engine
from media.color import yuv420_planes
from orchestrator.errors import StorygenError
from orchestrator.worker import Worker
from runtime import validation
from runtime.context import Context
from runtime.errors import Cancelled, WorkerError
from runtime.request import model_defaults

pytestmark = pytest.mark.models

MODEL = {"id": None, "revision": None, "dtype": None, "quantization": None}
OPTIONS = {"device": "cpu", "offload": None, "compile": False, "models_dir": None}
SMALL = {"width": 64, "height": 96, "num_frames": 9, "fps": 24, "num_inference_steps": 2, "seed": 5}
FEW_PIXELS = 128 * 128
"""Made so small, a clip of any size takes a tiny model a second."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("ltx")
    return {
        "first": ltx.first(root / "first"),
        "timestep": ltx.first(root / "timestep", timestep_conditioning=True),
        "conditioned": ltx.conditioned(root / "conditioned"),
    }


@pytest.fixture(scope="module")
def engines(folders: dict[str, Path]) -> dict[str, Engine]:
    return {name: loaded(folder) for name, folder in folders.items()}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Pictures that differ, of a size between the clip's and twice that."""
    folder, found = tmp_path_factory.mktemp("pictures"), {}
    for number, name in enumerate(("day", "night", "sea")):
        levels = np.random.default_rng(number).integers(0, 256, (6, 4, 3), np.uint8)
        Image.fromarray(levels).resize((80, 120)).save(folder / f"{name}.png")
        found[name] = str(folder / f"{name}.png")
    return found


@pytest.fixture
def free_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Sets what the computer has free and what a container may still take, in bytes: half of what that holds are files
    that it could drop.
    """
    import psutil

    from engines.video_generation import _ltx_memory

    folder = tmp_path / "cgroup"
    folder.mkdir()
    monkeypatch.setattr(_ltx_memory, "CONTAINER", folder)

    def set_to(available: float, container: float | None = None) -> None:
        limit = "max" if container is None else str(round(1.5 * container))
        held = round(container or 0)
        told = {"memory.max": limit, "memory.current": str(held), "memory.stat": f"anon 7\nactive_file {held // 2}\n"}
        for name, text in told.items():
            (folder / name).write_text(text)
        monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=available))

    return set_to


def loaded(folder: Path | str, options: dict[str, Any] | None = None, **model: Any) -> Engine:
    engine = Engine()
    engine.load({**MODEL, "id": str(folder), **model}, {**OPTIONS, **(options or {})}, context(Path()))
    return engine


def context(
    folder: Path,
    on_event: Callable[[str, dict[str, Any]], None] = lambda kind, fields: None,
    cancelled: threading.Event | None = None,
    **options: Any,
) -> Context:
    whole = validation.filled(options, Engine.options_schema)
    return Context(output_dir=folder, output_name="clip", engine_options=whole, cancelled=cancelled, emit=on_event)


def made(
    engine: Engine, op: str, folder: Path, options: dict[str, Any] | None = None, **fields: Any
) -> tuple[dict[str, Any], Context]:
    """The output of one small request, and its context; nothing but the clip is left behind."""
    mine = context(folder, **(options or {}))
    small = {name: value for name, value in SMALL.items() if op != "sequence" or name != "num_frames"}
    whole = validation.filled({**small, **fields}, validation.input_schema("video_generation", op))
    output = engine.run(op, whole, mine)
    assert validation.violations(output, validation.document(f"video_generation/{op}")["$defs"]["output"]) == []
    mine.clean_up()
    assert [file.name for file in folder.iterdir()] == [Path(output["video"]["path"]).name]
    return output, mine


def codes(mine: Context) -> list[str]:
    return [warning["code"] for warning in mine.warnings]


def frames_of(video: dict[str, Any], form: str = "rgb24") -> np.ndarray:
    """All frames as (frames, height, width, 3), 0 to 255, or as their Y planes; the file is what its result says."""
    with av.open(video["path"]) as container:
        stream = container.streams.video[0]
        planes = [frame.to_ndarray(format="yuv420p" if form == "gray" else form) for frame in container.decode(stream)]
        assert stream.average_rate == video["fps"]
        assert (len(planes), stream.height, stream.width) == (video["num_frames"], video["height"], video["width"])
    return np.stack(planes)[:, : video["height"]].astype(np.float32)


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """Mean difference in levels; what x264 takes away at crf 1 is below 2."""
    return float(np.abs(one - other).mean())


def test_a_tiny_model_is_the_same_every_time(folders: dict[str, Path], tmp_path: Path) -> None:
    again = ltx.conditioned(tmp_path / "again")
    for file in folders["conditioned"].rglob("*"):
        if file.is_file():
            assert (again / file.relative_to(folders["conditioned"])).read_bytes() == file.read_bytes(), file


# What is made


@pytest.mark.parametrize(
    ("name", "op", "kind"),
    [
        ("first", "generate", "LTXPipeline"),
        ("timestep", "animate", "LTXImageToVideoPipeline"),
        ("conditioned", "transition", "LTXConditionPipeline"),
    ],
)
def test_a_clip_is_what_diffusers_itself_makes(
    engines: dict[str, Engine], folders: dict[str, Path], pictures: dict[str, str], tmp_path: Path,
    name: str, op: str, kind: str,
) -> None:  # fmt: skip
    import diffusers
    import torch
    from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition

    day, night = (Image.open(pictures[which]).resize((64, 96), Image.Resampling.LANCZOS) for which in ("day", "night"))
    ours: dict[str, dict[str, Any]] = {
        "generate": {},
        "animate": {"image": pictures["day"]},
        "transition": {"start_keyframe": pictures["day"], "end_keyframe": pictures["night"]},
    }
    theirs: dict[str, dict[str, Any]] = {
        "generate": {},
        "animate": {"image": day},
        "transition": {
            "conditions": [LTXVideoCondition(image=day), LTXVideoCondition(image=night, frame_index=16)],
            "image_cond_noise_scale": 0.025,
        },
    }
    output, mine = made(engines[name], op, tmp_path, {"crf": 1}, prompt="A boat.", num_frames=17, **ours[op])
    pipeline = getattr(diffusers, kind).from_pretrained(folders[name], dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    expected = pipeline(
        prompt="A boat.", negative_prompt=ltx_facts.NEGATIVE_PROMPT, width=64, height=96, num_frames=17, frame_rate=24,
        num_inference_steps=2, guidance_scale=3.0, decode_timestep=0.05, decode_noise_scale=0.025, output_type="np",
        generator=torch.Generator().manual_seed(5), **theirs[op],
    ).frames[0] * 255  # fmt: skip
    wanted = np.stack([yuv420_planes(frame.round().astype(np.uint8))[0] for frame in expected]).astype(np.float32)
    found = frames_of(output["video"], "gray")
    assert apart(found, wanted) < 1
    assert apart(found, wanted[::-1]) > 4  # or the line above would say nothing
    chosen = {"dtype": "float32", "device": "cpu", "offload": "none", "vae_tiling": False, "guidance_scale": 3.0}
    assert chosen.items() <= mine.chosen.items()
    assert codes(mine) == []


@pytest.mark.parametrize(
    ("seconds", "size", "frames", "expected"),
    [
        (1.7, (1080, 1920), 51, ["size_snapped", "frames_snapped"]),
        (5.04, (1000, 562), 151, ["size_snapped", "frames_snapped"]),
        (11, (512, 512), 330, ["size_snapped", "clip_extended"]),
    ],
)
def test_any_length_and_size_is_delivered_to_the_frame_and_to_the_pixel(
    engines: dict[str, Engine], tmp_path: Path, seconds: float, size: tuple[int, int], frames: int, expected: list[str]
) -> None:
    assert round(seconds * 30) == frames
    asked = {"prompt": "A boat.", "num_frames": frames, "width": size[0], "height": size[1], "fps": 30}
    options = {"max_pixels": FEW_PIXELS}
    output, mine = made(engines["conditioned"], "generate", tmp_path, options, num_inference_steps=1, **asked)
    with av.open(output["video"]["path"]) as container:
        stream = container.streams.video[0]
        assert sum(1 for _ in container.decode(stream)) == frames == output["video"]["num_frames"]
        assert (stream.width, stream.height, stream.average_rate) == (*size, 30)
    assert abs(output["video"]["duration_s"] - seconds) <= 1 / 60
    assert codes(mine) == expected


def test_what_is_made_larger_than_asked_is_cropped_around_its_middle(
    engines: dict[str, Engine], tmp_path: Path
) -> None:
    whole, mine = made(engines["first"], "generate", tmp_path / "a", {"crf": 1}, prompt="A boat.")
    cut, also = made(
        engines["first"], "generate", tmp_path / "b", {"crf": 1}, prompt="A boat.", width=60, height=68, num_frames=4
    )
    assert codes(mine) == []
    assert codes(also) == ["size_snapped", "frames_snapped"]
    assert "made with 64×96 and cropped" in also.warnings[0]["message"]
    assert "of 9 made, the clip keeps the first 4" in also.warnings[1]["message"]
    assert apart(frames_of(cut["video"]), frames_of(whole["video"])[:4, 14:82, 2:62]) < 2


def test_a_longer_clip_holds_its_last_frame_or_goes_back_and_forth(engines: dict[str, Engine], tmp_path: Path) -> None:
    found = {}
    for how in ("hold", "loop"):
        options = {"crf": 1, "max_frames": 12, "extend": how}
        output, mine = made(engines["first"], "generate", tmp_path / how, options, prompt="A boat.", num_frames=21)
        assert codes(mine) == ["clip_extended"]
        found[how] = frames_of(output["video"])
    order = {"hold": [*range(9), *[8] * 12], "loop": [*range(9), *range(7, -1, -1), 1, 2, 3, 4]}
    for how, frames in found.items():
        for number, shown in enumerate(order[how]):
            assert apart(frames[number], found["hold"][shown]) < 2, (how, number)
    assert apart(found["hold"][8], found["hold"][4]) > 4


def test_decoded_in_pieces_no_frame_is_lost_or_doubled(engines: dict[str, Engine], tmp_path: Path) -> None:
    import torch

    from engines.video_generation._ltx_memory import Decoding

    models = engines["first"]._models
    if not models.read:
        models.read_weights(context(Path()))
    latents = torch.randn(1, ltx.LATENT_CHANNELS, 9, 3, 2, generator=torch.Generator().manual_seed(1))
    latents = latents.cumsum(2) / 2  # each frame a little different from the last
    whole, *more = decoded(models, Decoding(False, 9), latents)
    assert more == []
    assert whole.shape == (3, 65, 96, 64)
    for size in (3, 4, 7):
        pieces = decoded(models, Decoding(False, size), latents)
        assert len(pieces) > 1
        joined = torch.cat(pieces, dim=1)
        assert joined.shape == whole.shape
        off = (joined - whole).abs().mean(dim=(0, 2, 3))
        for shift in (-1, 1):  # a doubled frame would make the rest fit better to their neighbours
            assert off[8:-8].mean() < (joined - whole.roll(shift, dims=1)).abs().mean(dim=(0, 2, 3))[8:-8].mean()
    assert 127.5 * off[:9].max() < 1 < 127.5 * off[40:49].max()  # levels; far from its cut a piece is as the whole


def decoded(models: Any, how: Any, latents: Any) -> list[Any]:
    before, models._decoding = models._decoding, how
    try:
        return list(models.pieces(latents, None))
    finally:
        models._decoding = before


# Keyframes, words, seeds


def test_both_keyframes_of_a_transition_reach_it_and_no_other(
    engines: dict[str, Engine], pictures: dict[str, str], tmp_path: Path
) -> None:
    def clip(start: str, end: str) -> np.ndarray:
        options = {"crf": 1}
        ends = {"start_keyframe": pictures[start], "end_keyframe": pictures[end]}
        output, mine = made(engines["conditioned"], "transition", tmp_path / f"{start}{end}", options, **ends)
        assert codes(mine) == []
        return frames_of(output["video"])

    before = clip("day", "night")
    Image.open(pictures["day"]).save(pictures["sea"])  # lies beside them and is not named
    shutil.rmtree(tmp_path / "daynight")
    assert np.array_equal(clip("day", "night"), before)
    assert apart(clip("night", "night"), before) > 0.5
    assert apart(clip("day", "day"), before) > 0.2


def test_a_model_not_made_for_last_keyframes_says_so(
    engines: dict[str, Engine], pictures: dict[str, str], tmp_path: Path
) -> None:
    ends: dict[str, Any] = {"start_keyframe": pictures["day"], "end_keyframe": pictures["night"]}
    _, mine = made(engines["first"], "transition", tmp_path / "a", **ends)
    assert codes(mine) == ["transition_untrained"]
    _, mine = made(engines["conditioned"], "transition", tmp_path / "b", num_frames=1, **ends)
    assert codes(mine) == ["keyframe_unused"]


def test_scenes_follow_one_another_each_from_its_own_keyframe(
    engines: dict[str, Engine], pictures: dict[str, str], tmp_path: Path
) -> None:
    def clip(second: str, fade: int) -> tuple[np.ndarray, dict[str, Any], Context]:
        scenes = [
            {"scene_number": 4, "keyframe": pictures[second], "duration_frames": 12, "motion_hint": "slow pan left"},
            {"scene_number": 2, "keyframe": pictures["day"], "duration_frames": 9, "description": "A boat"},
        ]
        folder = tmp_path / f"{second}{fade}"
        output, mine = made(
            engines["conditioned"], "sequence", folder, {"crf": 1}, scenes=scenes, transition_frames=fade
        )
        return frames_of(output["video"]), output, mine

    cut, output, mine = clip("night", 0)
    assert [scene["first_frame"] for scene in output["scenes"]] == [0, 9]
    assert [scene["motion"] and scene["motion"]["kind"] for scene in output["scenes"]] == [None, "pan_left"]
    assert mine.warnings == [
        {
            "code": "frames_snapped",
            "message": "LTX-Video makes 8k+1 frames: of 17 made, scene 4 keeps the first 12.",
        }
    ]
    other, _, _ = clip("day", 0)
    assert apart(other[:9], cut[:9]) < 0.1  # the second scene's keyframe is none of the first one's
    assert apart(other[9:], cut[9:]) > 0.3
    faded, _, _ = clip("night", 8)
    assert faded.shape == cut.shape
    assert apart(faded[17:], cut[17:]) < 2  # the fade lies in the first eight frames of the second scene
    assert apart(faded[9:13], cut[9:13]) > apart(faded[13:17], cut[13:17]) > 2


def test_a_move_is_asked_for_in_words_of_the_prompt(
    engines: dict[str, Engine], pictures: dict[str, str], tmp_path: Path
) -> None:
    def clip(name: str, **fields: Any) -> tuple[str, Any]:
        output, _ = made(engines["conditioned"], "animate", tmp_path / name, image=pictures["day"], **fields)
        return output["video"]["sha256"], output["motion"]

    spoken, none = clip("a", prompt="A boat. The camera slowly pans to the left.")
    moved, motion = clip("b", prompt="A boat", motion={"kind": "pan_left", "strength": 0.2})
    assert (spoken, none, motion["kind"], motion["chosen_by"]) == (moved, None, "pan_left", "motion")
    assert clip("c", prompt="A boat", motion={"kind": "zoom_in"})[0] != spoken
    hinted, motion = clip("d", prompt="A boat", motion_hint="handheld, pushing in")
    assert (motion["kind"], motion["chosen_by"]) == ("zoom_in", "hint")
    assert clip("e", prompt="A boat. Camera: handheld, pushing in.") == (hinted, None)


def test_words_and_options_that_the_model_does_not_read_are_said_so(engines: dict[str, Engine], tmp_path: Path) -> None:
    words = {"prompt": "A boat", "negative_prompt": "clouds"}
    options = {"decode_timestep": 0.1, "image_cond_noise_scale": 0.1}
    _, mine = made(engines["first"], "generate", tmp_path / "a", options, guidance_scale=1, **words)
    assert codes(mine) == ["negative_prompt_ignored", "option_ignored", "option_ignored"]
    assert "decode_timestep" not in mine.chosen
    _, mine = made(engines["timestep"], "generate", tmp_path / "b", {"decode_timestep": 0.1}, **words)
    assert codes(mine) == []
    assert mine.chosen["decode_timestep"] == 0.1


def test_a_seed_makes_the_same_clip_again_and_another_one_another(engines: dict[str, Engine], tmp_path: Path) -> None:
    chosen, _ = made(engines["timestep"], "generate", tmp_path / "a", prompt="A boat.", seed=None)
    seed = chosen["video"]["seed"]
    again, _ = made(engines["timestep"], "generate", tmp_path / "b", prompt="A boat.", seed=seed)
    other, _ = made(engines["timestep"], "generate", tmp_path / "c", prompt="A boat.", seed=(seed + 1) % 2**32)
    assert 0 <= seed < 2**32
    assert again["video"]["sha256"] == chosen["video"]["sha256"] != other["video"]["sha256"]


def test_too_few_steps_for_a_schedule_are_refused(engines: dict[str, Engine], tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match=r"num_inference_steps is 1; .* at least 2") as caught:
        made(engines["first"], "generate", tmp_path, prompt="A boat.", num_inference_steps=1)
    assert (caught.value.code, caught.value.pointer) == ("invalid_request", "/input/num_inference_steps")


def test_a_prompt_that_is_cut_off_is_said_so(engines: dict[str, Engine], tmp_path: Path) -> None:
    _, mine = made(engines["first"], "generate", tmp_path, prompt="A boat on the sea. " * 20, negative_prompt="")
    assert codes(mine) == ["prompt_truncated"]
    assert "first 128 of the " in mine.warnings[0]["message"]


# Models


def test_what_is_known_of_a_model_is_found_by_id_or_by_the_name_of_its_folder() -> None:
    distilled = ltx_facts.MODELS["Lightricks/LTX-Video-0.9.8-13B-distilled"]
    assert len(distilled["timesteps"]) == distilled["defaults"]["num_inference_steps"] == 8
    assert ltx_facts.known("/models/LTX-Video-0.9.8-13B-distilled") is distilled
    assert ltx_facts.known("/models/my-own-distilled") is distilled
    assert ltx_facts.known("/models/my-own") is ltx_facts.MODELS[ltx_facts.DEFAULT_MODEL]
    assert model_defaults(ltx_facts.MODELS, "/models/My-Own-Distilled")["num_inference_steps"] == 8
    assert model_defaults(ltx_facts.MODELS, "/models/my-own") == {}
    assert ltx_facts.known("Lightricks/LTX-Video-0.9.7-dev")["defaults"]["guidance_scale"] == 5.0
    assert ltx_facts.known("/models/mine") is ltx_facts.MODELS[ltx_facts.DEFAULT_MODEL]


def test_a_distilled_model_takes_its_own_timesteps(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from diffusers import FlowMatchEulerDiscreteScheduler

    folder = shutil.copytree(folders["conditioned"], tmp_path / "tiny-distilled")
    engine, seen = loaded(folder), []
    set_timesteps = FlowMatchEulerDiscreteScheduler.set_timesteps

    @wraps(set_timesteps)  # diffusers looks at its parameters
    def followed(scheduler: Any, *given: Any, **how: Any) -> None:
        set_timesteps(scheduler, *given, **how)
        seen.append([round(float(step), 1) for step in scheduler.timesteps])

    monkeypatch.setattr(FlowMatchEulerDiscreteScheduler, "set_timesteps", followed)
    _, mine = made(engine, "generate", tmp_path / "a", prompt="A boat.", num_inference_steps=8)
    assert codes(mine) == []
    assert mine.chosen["guidance_scale"] == 1.0
    _, mine = made(engine, "generate", tmp_path / "b", prompt="A boat.", num_inference_steps=3)
    assert codes(mine) == ["steps_unusual"]
    assert [len(steps) for steps in seen] == [8, 3]
    assert seen[0] == list(ltx_facts.DISTILLED["timesteps"])


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "model_index.json").unlink(), "without a readable model_index.json"),
        (lambda folder: (folder / "model_index.json").write_text('{"_class_name": "FluxPipeline"}'), "FluxPipeline"),
        (lambda folder: (folder / "vae" / "config.json").unlink(), "vae is without a readable config.json"),
        (
            lambda folder: (folder / "transformer" / "diffusion_pytorch_model.safetensors").rename(
                folder / "transformer" / "diffusion_pytorch_model.bin"
            ),
            "it has diffusion_pytorch_model.bin, which is not loaded",
        ),
        (lambda folder: (folder / "tokenizer" / "spiece.model").unlink(), "/tokenizer is without spiece.model"),
        (lambda folder: _shortened(folder / "tokenizer" / "spiece.model"), "/tokenizer cannot be opened"),
        (lambda folder: _shortened(folder / "vae" / "diffusion_pytorch_model.safetensors"), "/vae cannot be opened"),
        (lambda folder: _shortened(folder / "text_encoder" / "model.safetensors"), "/text_encoder cannot be opened"),
        (
            lambda folder: _without_a_weight(folder / "transformer"),
            "1 of its weights are missing, such as proj_out.bias",
        ),
    ],
    ids=[
        "no index",
        "another model",
        "no config",
        "a pickle",
        "no vocabulary",
        "cut vocabulary",
        "cut",
        "cut text encoder",
        "a weight",
    ],
)
def test_a_damaged_folder_is_an_error_that_says_where(
    folders: dict[str, Path], tmp_path: Path, damage: Callable[[Path], object], said: str
) -> None:
    folder = shutil.copytree(folders["first"], tmp_path / "model")
    damage(folder)
    with pytest.raises(WorkerError) as caught:
        made(loaded(folder), "generate", tmp_path / "out", prompt="x")
    assert (caught.value.code, caught.value.pointer) == ("model_not_found", "/model/id")
    assert said in caught.value.message


def _shortened(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _without_a_weight(part: Path) -> None:
    from safetensors.torch import load_file, save_file

    file = part / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    del weights["proj_out.bias"]
    save_file(weights, file, metadata={"format": "pt"})


def test_a_single_file_and_compression_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    file = tmp_path / "ltxv-13b.safetensors"
    file.write_bytes(b"")
    with pytest.raises(WorkerError, match="is one file") as caught:
        loaded(file)
    assert caught.value.code == "model_not_found"
    with pytest.raises(WorkerError, match="quantization is int8") as caught:
        loaded(file, quantization="int8")
    assert caught.value.code == "unsupported_capability"


def test_a_host_that_loads_ahead_gets_the_weights_at_once(folders: dict[str, Path]) -> None:
    engine = Engine()
    engine.load({**MODEL, "id": str(folders["first"])}, OPTIONS, Context(output_dir=Path(), output_name="load"))
    assert engine._models.read
    engine.unload()
    assert not engine._models.read


# Memory and options


def test_what_a_gpu_alone_can_do_is_said_to_be_ignored(folders: dict[str, Path], tmp_path: Path) -> None:
    engine = loaded(folders["first"], {"offload": "model", "compile": True}, dtype="bfloat16")
    _, mine = made(engine, "generate", tmp_path, prompt="A boat.")
    assert codes(mine) == ["option_ignored", "option_ignored"]
    assert {"dtype": "bfloat16", "offload": "none", "compiled": False}.items() <= mine.chosen.items()


def test_too_little_memory_names_the_settings_that_need_less(
    engines: dict[str, Engine], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import torch

    def full(*given: Any, **how: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB.")

    with monkeypatch.context() as patch:
        patch.setattr(engines["first"]._models.vae.decoder, "forward", full)
        with pytest.raises(WorkerError) as caught:
            made(engines["first"], "generate", tmp_path, prompt="A boat.")
    assert caught.value.code == "out_of_memory"
    for setting in ("max_pixels below 6144", "max_frames below 9", "dtype bfloat16"):
        assert setting in str(caught.value.hint)
    assert made(engines["first"], "generate", tmp_path / "b", prompt="A boat.")[1].warnings == []


@given(
    st.integers(8, 1200), st.integers(8, 1200), st.integers(1, 600), st.integers(1024, 2_000_000), st.integers(9, 300)
)
def test_a_shape_covers_what_is_asked_or_says_how_much_it_is_enlarged(
    half_width: int, half_height: int, num_frames: int, max_pixels: int, max_frames: int
) -> None:
    asked = {"width": 2 * half_width, "height": 2 * half_height, "fps": 24}
    shape = ltx_plan.shape(asked, num_frames, max_pixels=max_pixels, max_frames=max_frames)
    assert shape.made_width % 32 == shape.made_height % 32 == (shape.made_frames - 1) % 8 == 0
    assert min(shape.made_width, shape.made_height) >= 32
    assert shape.made_frames <= max(max_frames, 1)
    assert shape.made_width * shape.enlarged >= shape.width - 1e-6
    assert shape.made_height * shape.enlarged >= shape.height - 1e-6
    assert shape.made_width * shape.made_height <= max_pixels
    if math.ceil(asked["width"] / 32) * math.ceil(asked["height"] / 32) <= max_pixels // 1024:
        assert shape.enlarged == 1
        assert max(shape.made_width - shape.width, shape.made_height - shape.height) < 32
    if num_frames <= max_frames - 8:
        assert 0 <= shape.made_frames - num_frames < 8


def test_what_does_not_fit_is_decoded_in_tiles_and_then_in_pieces() -> None:
    from engines.video_generation._ltx_memory import FEWEST, choose_decoding, choose_offload

    shape = ltx_plan.shape({"width": 1280, "height": 704, "fps": 24}, 257, max_pixels=10**6, max_frames=257)
    sizes = [choose_decoding(shape, room, 2) for room in (1e12, 8e9, 2e9, 0)]
    assert [how.tiled for how in sizes] == [False, True, True, True]
    assert [how.latents for how in sizes] == sorted((how.latents for how in sizes), reverse=True)
    assert (sizes[0].latents, sizes[-1].latents) == (33, FEWEST)
    assert sizes[2].latents < sizes[1].latents
    small = replace(shape, made_width=64, made_height=64)
    assert not choose_decoding(small, 2e9, 2).tiled
    assert choose_offload("sequential", "cpu", [], 1e12) == "none"


def test_how_much_is_decoded_at_once_follows_from_what_the_computer_has_free(
    engines: dict[str, Engine], free_memory: Callable[..., None], tmp_path: Path
) -> None:
    from engines.video_generation._ltx_memory import choose_decoding, free_bytes

    full_hd = ltx_plan.shape({"width": 1080, "height": 1920, "fps": 24}, 121, max_pixels=1280 * 720, max_frames=257)

    def at_once() -> tuple[bool, int]:
        how = choose_decoding(full_hd, free_bytes("cpu"), 4)
        return how.tiled, how.latents

    free_memory(64e9)
    assert at_once() == (False, 16)
    free_memory(4e9)
    assert at_once() == (True, 3)
    free_memory(64e9, container=4e9)  # the rest of the computer is not the container's
    assert free_bytes("cpu") == 2e9
    clips = {}
    for name, free in (("whole", 64e9), ("pieces", 0.1e9)):
        free_memory(free)
        output, mine = made(engines["first"], "generate", tmp_path / name, {"crf": 1}, prompt="A boat.", num_frames=65)
        clips[name] = mine.chosen["frames_decoded_at_once"], frames_of(output["video"])
    assert clips["whole"][0] == 65 > clips["pieces"][0]
    assert apart(clips["whole"][1][0], clips["pieces"][1][0]) < 2 < apart(clips["whole"][1][0], clips["whole"][1][8])


# Ending early


@pytest.mark.parametrize(("stage", "count"), [("run", 2), ("encode", 3)])
def test_cancelling_leaves_nothing_behind_and_the_engine_goes_on(
    engines: dict[str, Engine], pictures: dict[str, str], tmp_path: Path, stage: str, count: int
) -> None:
    flag, seen = threading.Event(), []

    def on_event(kind: str, fields: dict[str, Any]) -> None:
        if kind == "progress" and fields["stage"] == stage:
            seen.append((fields["current"], fields["total"]))
            if fields["current"] == count:
                flag.set()

    scenes = [{"scene_number": n, "keyframe": pictures["day"], "duration_frames": 9} for n in (1, 2)]
    whole = validation.filled(
        {"scenes": scenes, "num_inference_steps": 3, "width": 64, "height": 96},
        validation.input_schema("video_generation", "sequence"),
    )
    mine = context(tmp_path / "out", on_event, flag)
    with pytest.raises(Cancelled):
        engines["conditioned"].run("sequence", whole, mine)
    mine.clean_up()
    assert list((tmp_path / "out").iterdir()) == []
    assert seen[-1] == (count, {"run": 6, "encode": 18}[stage])
    assert made(engines["conditioned"], "generate", tmp_path / "next", prompt="A boat.")[0]["video"]["num_frames"] == 9


def test_a_serving_worker_is_cancelled_and_reads_its_model_once(folders: dict[str, Path], tmp_path: Path) -> None:
    request: dict[str, Any] = {
        "v": 1, "op": "generate", "engine": "ltx_video", "model": {"id": str(folders["timestep"])},
        "input": {"prompt": "A boat.", **SMALL}, "output_dir": str(tmp_path),
    }  # fmt: skip
    with Worker("video_generation") as process:
        events: list[dict[str, Any]] = []
        first = process.request({**request, "id": "a"}, events.append)
        steps = [event["current"] for event in events if event.get("stage") == "run"]
        assert steps[-1] == 2
        assert first["metrics"]["import_s"] > 0

        def cancel_at_a_step(event: dict[str, Any]) -> None:
            if event.get("stage") == "run":
                process.cancel()

        longer = {**request, "id": "b", "input": {**request["input"], "num_inference_steps": 1000}}
        with pytest.raises(StorygenError) as caught:
            process.request(longer, cancel_at_a_step)
        assert caught.value.code == "cancelled"
        again = process.request({**request, "id": "c"})
        assert again["output"]["video"]["sha256"] == first["output"]["video"]["sha256"]
        assert again["metrics"]["load_s"] < 0.005
        assert again["metrics"]["import_s"] == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a_001.mp4", "c_001.mp4"]


def test_words_alone_are_refused_by_an_engine_of_stills_before_anything_is_loaded(tmp_path: Path) -> None:
    request = {"v": 1, "op": "generate", "engine": "ken_burns", "input": {"prompt": "A boat."}}
    answer = result_of(worker("video_generation", request, cwd=tmp_path))
    assert answer["error"]["code"] == "unsupported_capability"
    assert "ltx_video" in answer["error"]["hint"]
    nowhere = {**request, "engine": "auto", "model": {"id": "no/such-model"}}
    answer = result_of(worker("video_generation", nowhere, cwd=tmp_path))
    assert answer["error"]["code"] == "model_not_found"
    assert "storygen models download no/such-model" in answer["error"]["hint"]
