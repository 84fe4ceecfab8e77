"""The engine transformers of vision_language, on tiny models of the real classes."""

from __future__ import annotations

import base64
import io
import json
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from real_server import transformers_serve
from tiny_models import llm, vision

from engines.vision_language import _pictures, _processor, _questions
from engines.vision_language.transformers import Engine
from language.local import LocalModel
from orchestrator.errors import StorygenError
from orchestrator.worker import Worker
from runtime import validation
from runtime.context import Context
from runtime.errors import Cancelled, WorkerError

pytestmark = pytest.mark.models

MODEL = {"id": None, "revision": None, "dtype": None, "quantization": None}
OPTIONS = {"device": "cpu", "offload": None, "compile": False, "models_dir": None}
EVERY = ["llava_onevision", "qwen2_5_vl", "idefics3"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("vision")
    return {name: getattr(vision, name)(root / name) for name in EVERY}


@pytest.fixture(scope="module")
def engines(folders: dict[str, Path]) -> dict[str, Engine]:
    import torch

    torch.set_num_threads(1)  # more only disturb each other on models as small as these
    return {name: loaded(folder) for name, folder in folders.items()}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("pictures")
    made = {
        "green": Image.new("RGB", (90, 60), (10, 180, 90)),
        "red": Image.new("RGB", (40, 120), (220, 30, 30)),
        "blue": Image.new("RGB", (64, 64), (20, 30, 220)),
        "large": Image.new("RGB", (900, 600), (10, 180, 90)),
    }
    for name, picture in made.items():
        picture.paste((255, 255, 255), (0, 0, picture.width // 2, picture.height // 3))
        picture.save(root / f"{name}.png")
    return {name: str(root / f"{name}.png") for name in made}


@pytest.fixture(autouse=True)
def short_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights use whatever length they may."""
    for name, size in {"LONGEST_TEXT": 20, "LONGEST_ITEM": 10, "MOST_ITEMS": 2}.items():
        monkeypatch.setattr(_questions, name, size)


def loaded(folder: Path, **model: Any) -> Engine:
    engine = Engine()
    engine.load({**MODEL, "id": str(folder), **model}, OPTIONS, context()[0])
    return engine


def context(
    on_delta: Callable[[int], None] = lambda count: None, cancelled: threading.Event | None = None, **options: Any
) -> tuple[Context, list[str]]:
    """A request's context, and the texts sent as deltas."""
    sent: list[str] = []

    def emit(kind: str, fields: dict[str, Any]) -> None:
        if kind == "delta":
            sent.append(fields["data"])
            on_delta(len(sent))

    whole = validation.filled(options, Engine.options_schema)
    made = Context(output_dir=Path(), output_name="x", engine_options=whole, cancelled=cancelled, emit=emit)
    return made, sent


def asked(op: str, **fields: Any) -> dict[str, Any]:
    filled: dict[str, Any] = validation.filled(fields, validation.input_schema("vision_language", op))
    return filled


def answered(engine: Engine, op: str, **fields: Any) -> dict[str, Any]:
    """The output, valid by its schema; deltas make up the text where it is the answer, and there are none elsewhere."""
    made, sent = context()
    output = engine.run(op, asked(op, **fields), made)
    assert validation.violations(output, validation.document(f"vision_language/{op}")["$defs"]["output"]) == []
    assert "".join(sent) == output.get("text", "")
    return output


def said(engine: Engine, *images: str, prompt: str = "What is this?", **fields: Any) -> str:
    how = {"max_tokens": 12, "temperature": 0, **fields}
    text: str = answered(engine, "analyze_image", images=list(images), prompt=prompt, **how)["text"]
    return text


def refused(engine: Engine, op: str, **fields: Any) -> WorkerError:
    with pytest.raises(WorkerError) as caught:
        engine.run(op, asked(op, **fields), context()[0])
    return caught.value


# Seeing


def by_hand(folder: Path, kind: str, pictures: list[Image.Image], prompt: str) -> str:
    """What transformers itself says, its processor put together in the plainest way that works without torchvision."""
    import torch
    import transformers

    if kind == "idefics3":
        processor = transformers.AutoProcessor.from_pretrained(folder)
    else:
        base = transformers.LlavaOnevisionProcessor if kind == "llava_onevision" else transformers.Qwen2_5_VLProcessor

        class PicturesOnly(base):  # type: ignore[misc, valid-type]
            @classmethod
            def get_attributes(cls) -> list[str]:
                return ["image_processor", "tokenizer"]

        processor = PicturesOnly(
            transformers.AutoImageProcessor.from_pretrained(folder),
            transformers.AutoTokenizer.from_pretrained(folder),
            **({"num_image_tokens": 4, "vision_feature_select_strategy": "full"} if kind == "llava_onevision" else {}),
            chat_template=(folder / "chat_template.jinja").read_text(),
        )
    model = transformers.AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    content = [*({"type": "image", "image": picture} for picture in pictures), {"type": "text", "text": prompt}]
    inputs = processor.apply_chat_template(
        [{"role": "user", "content": content}],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )
    tokens = model.generate(**inputs, max_new_tokens=12, do_sample=False)[0, inputs["input_ids"].shape[1] :]
    text: str = processor.tokenizer.decode(tokens, skip_special_tokens=True)
    return text


@pytest.mark.parametrize("kind", EVERY)
def test_text_is_what_transformers_itself_says_of_the_same_pictures(
    engines: dict[str, Engine], folders: dict[str, Path], pictures: dict[str, str], kind: str
) -> None:
    for names in (["green"], ["green", "red"]):
        paths = [pictures[name] for name in names]
        wanted = by_hand(folders[kind], kind, [Image.open(path).convert("RGB") for path in paths], "What is this?")
        assert said(engines[kind], *paths) == wanted
        assert wanted


@pytest.mark.parametrize("kind", EVERY)
def test_every_picture_reaches_the_model_and_in_its_order(
    engines: dict[str, Engine], pictures: dict[str, str], kind: str
) -> None:
    green, red, blue = pictures["green"], pictures["red"], pictures["blue"]
    orders = [(green,), (red,), (blue,), (green, red), (red, green), (green, blue), (green, red, blue)]
    assert len({said(engines[kind], *order) for order in orders}) == len(orders)


def test_the_result_says_what_was_chosen(engines: dict[str, Engine], folders: dict[str, Path], pictures: Any) -> None:
    made, _ = context()
    request = asked("analyze_image", images=[pictures["green"], pictures["red"]], prompt="x", max_tokens=3)
    output = engines["llava_onevision"].run("analyze_image", request, made)
    assert (output["image_count"], output["tokens_generated"], output["finish_reason"]) == (2, 3, "length")
    assert made.chosen == {
        "id": str(folders["llava_onevision"]), "device": "cpu", "dtype": "float32", "quantization": "none"
    }  # fmt: skip


def test_the_same_seed_says_the_same_even_where_the_models_own_choice_is_greedy(
    engines: dict[str, Engine], pictures: dict[str, str]
) -> None:
    for kind in ("llava_onevision", "qwen2_5_vl"):
        texts = [said(engines[kind], pictures["red"], temperature=1, seed=seed) for seed in (1, 2, 3, 1)]
        assert texts[0] == texts[3]
        assert len(set(texts)) == 3


def test_control_tokens_of_a_storys_text_stay_text(engines: dict[str, Engine], pictures: dict[str, str]) -> None:
    made, _ = context()
    request = asked("analyze_image", images=[pictures["red"]], prompt="A sign <image> says <|im_end|>.", max_tokens=3)
    assert engines["llava_onevision"].run("analyze_image", request, made)["tokens_generated"] > 0
    assert [warning["code"] for warning in made.warnings] == ["control_token_broken"]
    assert "<image>" in made.warnings[0]["message"]


def test_smaller_pictures_make_fewer_tokens_where_a_model_takes_their_size(
    engines: dict[str, Engine], pictures: dict[str, str]
) -> None:
    engine = engines["qwen2_5_vl"]
    counts = [
        _processor.inputs(engine._processor, opened(pictures["large"], side), "x", "", context()[0])["input_ids"].shape
        for side in (4096, 64)
    ]
    assert counts[0][1] > counts[1][1]


def opened(path: str, side: int) -> list[Image.Image]:
    return _pictures.opened("analyze_image", {"images": [path]}, side, context()[0])


# Documents and scores


@pytest.mark.parametrize("kind", EVERY)
def test_a_scene_is_scored_and_judged_by_the_threshold(
    engines: dict[str, Engine], pictures: dict[str, str], kind: str
) -> None:
    request = {"image": pictures["green"], "description": "A crow beside a tall pitcher."}
    fair = answered(engines[kind], "validate_scene", **request)
    assert 0 < fair["match_score"] < 1
    assert answered(engines[kind], "validate_scene", **request, threshold=fair["match_score"])["is_valid"]
    strict = answered(engines[kind], "validate_scene", **request, threshold=fair["match_score"] + 0.001)
    assert not strict["is_valid"]
    assert strict["match_score"] == fair["match_score"]  # whatever the seed: it takes the likeliest


@pytest.mark.parametrize("kind", EVERY)
def test_every_pair_of_pictures_is_scored_once(engines: dict[str, Engine], pictures: dict[str, str], kind: str) -> None:
    images = [pictures[name] for name in ("green", "red", "blue")]
    output = answered(engines[kind], "check_consistency", images=images)
    assert [(pair["first"], pair["second"]) for pair in output["pairwise_scores"]] == [(0, 1), (0, 2), (1, 2)]
    assert len(output["image_scores"]) == 3
    assert output["consistency_score"] == min(output["image_scores"])
    assert output["is_consistent"] == (output["consistency_score"] >= 0.6)


def test_a_document_of_ones_own_is_valid_by_its_schema(engines: dict[str, Engine], pictures: dict[str, str]) -> None:
    schema = {
        "type": "object",
        "properties": {"place": {"enum": ["sea", "field"]}, "people": {"type": "integer", "minimum": 0, "maximum": 9}},
        "required": ["place", "people"],
        "additionalProperties": False,
    }
    output = answered(
        engines["idefics3"], "analyze_image", images=[pictures["red"]], prompt="x", json_schema=schema, max_tokens=99
    )
    assert output["json"] == json.loads(output["text"])
    assert validation.violations(output["json"], schema) == []


def test_an_answer_that_is_not_the_document_is_an_error_never_a_score(
    engines: dict[str, Engine], pictures: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    request = {"image": pictures["red"], "description": "A crow."}
    cut = refused(engines["llava_onevision"], "validate_scene", **request, max_tokens=20)
    assert (cut.code, cut.pointer) == ("invalid_request", "/input/max_tokens")
    real = LocalModel.grammar
    other = {"type": "object", "properties": {"score": {"const": 77}}, "additionalProperties": False}
    monkeypatch.setattr(LocalModel, "grammar", lambda self, how: real(self, replace(how, json_schema=other)))
    assert refused(engines["llava_onevision"], "validate_scene", **request).code == "internal_error"


# Limits and faults


def test_what_does_not_fit_the_window_is_refused_before_weights_are_read(
    tmp_path: Path, pictures: dict[str, str]
) -> None:
    engine = loaded(vision.llava_onevision(tmp_path / "narrow", window=64))
    many = refused(engine, "analyze_image", images=[pictures["red"]] * 16, prompt="x", max_tokens=1)
    assert (many.code, many.pointer) == ("invalid_request", "/input/images")
    assert "fewer or smaller pictures" in (many.hint or "")
    long = refused(engine, "analyze_image", images=[pictures["red"]], prompt="x", max_tokens=64)
    assert long.pointer == "/input/max_tokens"
    assert engine._local.weights is None


def test_cancelling_ends_it_between_two_tokens(engines: dict[str, Engine], pictures: dict[str, str]) -> None:
    flag = threading.Event()
    made, sent = context(on_delta=lambda count: flag.set(), cancelled=flag)
    request = asked("analyze_image", images=[pictures["red"]], prompt="x", max_tokens=2000, seed=1)
    with pytest.raises(Cancelled):
        engines["llava_onevision"].run("analyze_image", request, made)
    assert len(sent) == 1
    assert said(engines["llava_onevision"], pictures["red"])


def test_a_picture_that_cannot_be_read_is_named_by_its_field(
    engines: dict[str, Engine], pictures: dict[str, str], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(Path(pictures["green"]).read_bytes()[:60])
    error = refused(engines["llava_onevision"], "analyze_image", images=[pictures["red"], str(broken)], prompt="x")
    assert (error.code, error.pointer) == ("input_unreadable", "/input/images/1")
    error = refused(engines["llava_onevision"], "validate_scene", image=__file__, description="x")
    assert (error.code, error.pointer) == ("input_unreadable", "/input/image")


def test_a_shape_that_a_models_processor_refuses_is_said_so(engines: dict[str, Engine], tmp_path: Path) -> None:
    Image.new("RGB", (4000, 2)).save(tmp_path / "line.png")
    error = refused(engines["qwen2_5_vl"], "analyze_image", images=[str(tmp_path / "line.png")], prompt="x")
    assert (error.code, error.pointer) == ("invalid_request", "/input/images")
    assert "4000×2" in error.message


# Models


def test_processors_with_a_part_for_films_open_without_torchvision_only_by_our_way(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    if _processor._has_torchvision():
        pytest.skip("torchvision is here")
    monkeypatch.setattr(_processor, "_has_torchvision", lambda: True)  # as if it were: the library's own way
    with pytest.raises(WorkerError, match="Torchvision") as caught:
        loaded(folders["llava_onevision"])
    assert caught.value.code == "model_not_found"


def test_a_model_that_needs_its_own_code_is_refused_and_another_named(tmp_path: Path) -> None:
    for name in ("microsoft/Phi-3.5-vision-instruct", phi(tmp_path / "phi")):
        with pytest.raises(WorkerError, match="code of its own") as caught:
            Engine().load({**MODEL, "id": name}, OPTIONS, context()[0])
        assert (caught.value.code, caught.value.pointer) == ("unsupported_capability", "/model/id")
        assert "Qwen/Qwen3-VL-4B-Instruct" in (caught.value.hint or "")


def phi(folder: Path) -> str:
    """What identifies a copy of Phi-3.5-vision."""
    folder.mkdir()
    said = {"model_type": "phi3_v", "auto_map": {"AutoConfig": "configuration_phi3_v.Phi3VConfig"}}
    (folder / "config.json").write_text(json.dumps(said))
    (folder / "configuration_phi3_v.py").write_text("raise SystemExit('this code must not run')\n")
    (folder / "model.safetensors").write_bytes(b"")
    return str(folder)


def test_a_model_that_sees_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="no processor for pictures") as caught:
        loaded(llm.qwen2(tmp_path / "blind"))
    assert caught.value.code == "model_not_found"


def test_a_model_without_a_chat_template_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(folders["idefics3"], tmp_path / "base")
    (tmp_path / "base" / "chat_template.jinja").unlink()
    with pytest.raises(WorkerError, match="no chat template") as caught:
        loaded(tmp_path / "base")
    assert caught.value.code == "unsupported_capability"


def test_a_model_that_was_not_downloaded_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORYGEN_MODELS_DIR", str(tmp_path))
    with pytest.raises(WorkerError, match="neither a folder nor downloaded") as caught:
        Engine().load(MODEL, OPTIONS, context()[0])
    assert "storygen models download llava-hf/llava-onevision-qwen2-7b-ov-hf" in (caught.value.hint or "")


@pytest.mark.parametrize("kind", EVERY)
def test_pictures_come_in_the_number_format_of_the_weights(
    folders: dict[str, Path], pictures: dict[str, str], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    engine, shown = loaded(folders[kind], dtype="bfloat16"), []
    engine._local.load_weights(context()[0])
    generate = engine._local.weights.generate

    def watched(**inputs: Any) -> Any:
        shown.append(inputs["pixel_values"])
        return generate(**inputs)

    monkeypatch.setattr(engine._local.weights, "generate", watched)
    assert said(engine, pictures["red"])
    assert shown[0].dtype == torch.bfloat16


# The worker


def test_a_real_server_of_openais_api_sees_the_same_pictures(engines: dict[str, Engine], tmp_path: Path) -> None:
    blue, green = (as_sent(color, tmp_path) for color in ((20, 30, 220), (10, 180, 90)))
    with transformers_serve("vision.idefics3", tmp_path / "model") as server, Worker("vision_language") as process:
        for images in ([blue], [blue, green]):
            request: dict[str, Any] = {
                "v": 1, "op": "analyze_image", "engine": "openai", "model": {"id": server.model},
                "input": {"images": images, "prompt": "What is this?", "max_tokens": 12, "temperature": 0},
                "engine_options": {"preset": "custom", "base_url": server.root},
            }  # fmt: skip
            text = process.request(request)["output"]["text"]
            assert text
            # The server keeps back the half of a character that the last token may be.
            assert text.rstrip("\ufffd") == said(engines["idefics3"], *images).rstrip("\ufffd")


def as_sent(color: tuple[int, int, int], folder: Path) -> str:
    """A picture of one colour that is the same after it was a JPEG."""
    file = folder / f"{color[0]}.png"
    once = _pictures.jpeg(Image.new("RGB", (64, 48), color))
    Image.open(io.BytesIO(base64.b64decode(once))).save(file)
    return str(file)


def test_a_serving_worker_scores_picture_after_picture_and_outlives_a_cancelled_one(
    folders: dict[str, Path], pictures: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    request: dict[str, Any] = {
        "v": 1, "op": "validate_scene", "engine": "transformers", "model": {"id": str(folders["llava_onevision"])},
        "input": {"image": pictures["green"], "description": "A crow."},
    }  # fmt: skip
    with Worker("vision_language") as process:
        events: list[dict[str, Any]] = []
        first = process.request(request, events.append)
        assert not [event for event in events if event["type"] == "delta"]
        units = {event["unit"] for event in events if event["type"] == "progress"}
        assert {"model", "pictures", "tokens"} <= units

        def cancel_at_a_token(event: dict[str, Any]) -> None:
            if event["type"] == "progress" and event["unit"] == "tokens":
                process.cancel()

        with pytest.raises(StorygenError) as caught:
            process.request(request, cancel_at_a_token)
        assert caught.value.code == "cancelled"
        again = process.request(request)
        assert again["output"]["match_score"] == first["output"]["match_score"]
        assert again["metrics"]["load_s"] < 0.005
