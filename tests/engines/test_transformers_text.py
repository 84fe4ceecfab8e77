"""The engine transformers of text_generation, on tiny models of the real classes."""

from __future__ import annotations

import random
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support import result_of, worker
from tiny_models import llm

from engines.text_generation.transformers import Engine
from language.local import LocalModel
from orchestrator.errors import StorygenError
from orchestrator.worker import Worker
from runtime import validation
from runtime.context import Context
from runtime.errors import Cancelled, WorkerError, classify

pytestmark = pytest.mark.models

MODEL = {"id": None, "revision": None, "dtype": None, "quantization": None}
OPTIONS = {"device": "cpu", "offload": None, "compile": False, "models_dir": None}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("llm")
    return {"qwen2": llm.qwen2(root / "qwen2"), "llama": llm.llama(root / "llama")}


@pytest.fixture(scope="module")
def engines(folders: dict[str, Path]) -> dict[str, Engine]:
    return {name: loaded(folder) for name, folder in folders.items()}


@pytest.fixture(autouse=True)
def every_piece_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    from language import decoding

    monkeypatch.setattr(decoding, "DELTA_INTERVAL_S", 0.0)


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
            assert fields["channel"] == "text"
            sent.append(fields["data"])
            on_delta(len(sent))

    whole = validation.filled(options, Engine.options_schema)
    made = Context(output_dir=Path(), output_name="x", engine_options=whole, cancelled=cancelled, emit=emit)
    return made, sent


def complete(op: str, **fields: Any) -> dict[str, Any]:
    filled: dict[str, Any] = validation.filled(fields, validation.input_schema("text_generation", op))
    return filled


def generated(engine: Engine, options: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """The output of one generate; its deltas make up its text, always."""
    made, sent = context(**(options or {}))
    output = engine.run("generate", complete("generate", **{"prompt": "A crow was thirsty.", **fields}), made)
    assert "".join(sent) == output["text"]
    assert all(sent)
    return output


def refused(engine: Engine, op: str = "generate", **fields: Any) -> WorkerError:
    with pytest.raises(WorkerError) as caught:
        engine.run(op, complete(op, **fields), context()[0])
    return caught.value


def test_a_tiny_model_is_the_same_every_time(folders: dict[str, Path], tmp_path: Path) -> None:
    again = llm.qwen2(tmp_path / "again")
    for name in ("model.safetensors", "tokenizer.json", "chat_template.jinja", "generation_config.json"):
        assert (again / name).read_bytes() == (folders["qwen2"] / name).read_bytes(), name


# Text


@pytest.mark.parametrize("name", ["qwen2", "llama"])
def test_text_is_what_transformers_itself_generates(
    engines: dict[str, Engine], folders: dict[str, Path], name: str
) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folders[name])
    model = AutoModelForCausalLM.from_pretrained(folders[name], dtype=torch.float32)
    said = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Ahoj, světe 海"}]
    prompt = tokenizer.apply_chat_template(said, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    tokens = model.generate(**prompt, max_new_tokens=40, do_sample=False)[0, prompt["input_ids"].shape[1] :]
    made, sent = context()
    asked = complete("chat", messages=said[1:], system_prompt="Be brief.", temperature=0, max_tokens=40)
    output = engines[name].run("chat", asked, made)
    assert output["text"] == "".join(sent) == tokenizer.decode(tokens, skip_special_tokens=True)
    assert output["tokens_generated"] == len(tokens)
    assert output["usage"]["prompt"] == prompt["input_ids"].shape[1]
    assert output["usage"]["total"] == output["usage"]["prompt"] + output["usage"]["completion"]
    assert output["json"] is None
    assert made.chosen == {"id": str(folders[name]), "device": "cpu", "dtype": "float32", "quantization": "none"}
    assert validation.violations(output, validation.document("text_generation/chat")["$defs"]["output"]) == []


def test_a_system_prompt_and_a_prompt_file_are_read(engines: dict[str, Engine], tmp_path: Path) -> None:
    file = tmp_path / "příběh.txt"
    file.write_text("A crow was thirsty.", encoding="utf-8-sig")
    plain = generated(engines["qwen2"], temperature=0, max_tokens=8)
    assert generated(engines["qwen2"], temperature=0, max_tokens=8, prompt=None, prompt_file=str(file)) == {
        **plain,
        "generation_time_ms": pytest.approx(plain["generation_time_ms"], rel=100),
        "tokens_per_second": pytest.approx(plain["tokens_per_second"], rel=100),
        "seed": pytest.approx(plain["seed"], abs=1 << 32),
    }
    file.write_bytes(b"\xff\xfe\x00")
    assert refused(engines["qwen2"], prompt_file=str(file)).code == "input_unreadable"
    guided = generated(engines["qwen2"], temperature=0, max_tokens=8, system_prompt="Speak like the sea.")
    assert guided["usage"]["prompt"] > plain["usage"]["prompt"]
    assert guided["text"] != plain["text"]


def test_pieces_of_characters_wait_until_they_are_whole(engines: dict[str, Engine]) -> None:
    from language.decoding import Pieces

    engine, chance = engines["qwen2"], random.Random(5)
    for _ in range(50):
        text = "".join(chance.choices("a é海🌊 the\u0301\n", k=12))
        noise = [chance.randrange(3, 500) for _ in range(6)]  # tokens in any order: halves of characters too
        tokens = engine._local.tokenizer(text)["input_ids"] + noise
        pieces = Pieces(engine._local.decoded)
        sent = [pieces.feed(token) for token in tokens]
        assert "".join([*sent, pieces.rest()]) == engine._local.decoded(tokens)
    whole = Pieces(engine._local.decoded)
    sent = [whole.feed(token) for token in engine._local.tokenizer("🌊x")["input_ids"]]
    assert sent[0] == ""
    assert [piece for piece in sent if piece] == ["🌊", "x"]


def test_the_end_token_ends_it_and_is_no_text(engines: dict[str, Engine], monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from engines.text_generation import _prompting

    engine = engines["llama"]
    generated(engine, max_tokens=1)
    asked = complete("generate", prompt="x")
    prompt = torch.tensor([_prompting.tokens(engine._local.tokenizer, "generate", asked, context()[0])])
    tokens = engine._local.weights.generate(prompt, do_sample=False, max_new_tokens=6)[0, prompt.shape[1] :].tolist()
    assert tokens[4] not in tokens[:4]
    monkeypatch.setattr(engine._local.checkpoint.generation, "eos_token_id", [0, tokens[4]])
    output = generated(engine, prompt="x", temperature=0)
    assert output["text"] == engine._local.decoded(tokens[:4])
    assert (output["finish_reason"], output["tokens_generated"]) == ("stop", 5)


def test_the_same_seed_gives_the_same_text_and_a_fresh_one_is_reported(engines: dict[str, Engine]) -> None:
    engine = engines["llama"]
    fresh = generated(engine, max_tokens=20)
    assert 0 <= fresh["seed"] < 1 << 32
    assert generated(engine, max_tokens=20, seed=fresh["seed"])["text"] == fresh["text"]
    assert len({generated(engine, max_tokens=20, seed=seed)["text"] for seed in range(4)}) == 4


def test_temperature_zero_takes_the_likeliest_whatever_the_seed(engines: dict[str, Engine]) -> None:
    texts = {generated(engines["qwen2"], max_tokens=20, temperature=0, seed=seed)["text"] for seed in range(3)}
    assert len(texts) == 1
    # So does choosing from one token only.
    assert texts == {generated(engines["qwen2"], {"top_k": 1}, max_tokens=20, temperature=2)["text"]}
    assert texts == {generated(engines["qwen2"], max_tokens=20, temperature=1, top_p=1e-9)["text"]}


def test_fast_text_is_sent_in_few_deltas_and_whole(engines: dict[str, Engine], monkeypatch: pytest.MonkeyPatch) -> None:
    from language import decoding

    monkeypatch.setattr(decoding, "DELTA_INTERVAL_S", 1e6)
    made, sent = context()
    text = engines["qwen2"].run("generate", complete("generate", prompt="x", max_tokens=60, seed=1), made)["text"]
    assert "".join(sent) == text
    assert len(sent) == 2  # the first at once, and what was left at the end


def test_a_penalty_on_repetition_changes_what_is_likeliest(engines: dict[str, Engine]) -> None:
    plain = generated(engines["llama"], max_tokens=60, temperature=0)["text"]
    assert generated(engines["llama"], {"repetition_penalty": 1.9}, max_tokens=60, temperature=0)["text"] != plain


def test_stop_texts_cut_exactly_wherever_tokens_end(engines: dict[str, Engine]) -> None:
    chance, across = random.Random(3), 0
    for seed in range(12):
        engine = engines["qwen2" if seed % 2 else "llama"]
        made, pieces = context()
        asked = complete("generate", prompt="x", max_tokens=40, temperature=1.5, top_p=1.0, seed=seed)
        whole = engine.run("generate", asked, made)["text"]
        start = chance.randrange(len(whole) - 6)
        stop = whole[start : start + chance.randint(2, 6)]
        output = generated(
            engine, prompt="x", max_tokens=40, temperature=1.5, top_p=1.0, seed=seed, stop=["zzzz", stop]
        )
        assert output["text"] == whole[: whole.index(stop)]
        assert output["finish_reason"] == "stop"
        across += all(stop not in piece for piece in pieces)
    assert across > 3  # of these, the stop text lay in no single piece


# Limits and faults


def test_a_prompt_that_does_not_fit_the_window_is_refused_before_weights_are_read(folders: dict[str, Path]) -> None:
    engine = loaded(folders["qwen2"])
    error = refused(engine, prompt="x", max_tokens=llm.WINDOW)
    assert (error.code, error.pointer) == ("invalid_request", "/input/max_tokens")
    assert f"at most {llm.WINDOW}" in error.message
    left = int((error.hint or "").split("at most ")[1].split(",")[0])
    too_long = refused(engine, prompt="crow " * 5000)
    assert too_long.pointer == "/input/prompt"
    assert "Shorten the prompt" in (too_long.hint or "")
    assert engine._local.weights is None
    assert refused(engine, prompt="x", max_tokens=left + 1).code == "invalid_request"
    made, _ = context(on_delta=lambda count: (_ for _ in ()).throw(Cancelled()))
    with pytest.raises(Cancelled):  # as many as the hint says are begun
        engine.run("generate", complete("generate", prompt="x", max_tokens=left), made)


def test_cancelling_ends_it_between_two_tokens_and_the_engine_goes_on(engines: dict[str, Engine]) -> None:
    flag = threading.Event()

    def cancel(count: int) -> None:
        if count == 5:
            flag.set()

    made, sent = context(on_delta=cancel, cancelled=flag)
    with pytest.raises(Cancelled):
        engines["qwen2"].run("generate", complete("generate", prompt="x", max_tokens=1500, seed=1), made)
    assert len(sent) == 5
    assert generated(engines["qwen2"], max_tokens=3)["tokens_generated"] == 3


def test_a_host_that_loads_ahead_gets_the_weights_at_once(folders: dict[str, Path]) -> None:
    engine = Engine()
    engine.load({**MODEL, "id": str(folders["qwen2"])}, OPTIONS, Context(output_dir=Path(), output_name="load"))
    assert engine._local.weights is not None
    engine.unload()
    assert engine._local.weights is None


def test_quantization_is_refused_on_a_cpu_with_the_reason_and_before_weights_are_read(
    folders: dict[str, Path],
) -> None:
    for quantization in ("int8", "int4"):
        with pytest.raises(WorkerError, match=f"{quantization}.*NVIDIA GPU only; the device is cpu") as caught:
            loaded(folders["qwen2"], quantization=quantization)
        assert (caught.value.code, caught.value.pointer) == ("unsupported_capability", "/model/quantization")


def test_a_device_that_is_not_here_is_refused(folders: dict[str, Path]) -> None:
    with pytest.raises(WorkerError, match="is cuda:7") as caught:
        Engine().load({**MODEL, "id": str(folders["qwen2"])}, {**OPTIONS, "device": "cuda:7"}, context()[0])
    assert caught.value.code == "device_unavailable"


def test_the_number_format_asked_for_is_used(folders: dict[str, Path]) -> None:
    import torch

    engine = loaded(folders["qwen2"], dtype="bfloat16")
    assert generated(engine, max_tokens=2)["tokens_generated"] == 2
    assert {weight.dtype for weight in engine._local.weights.parameters()} == {torch.bfloat16}


def test_an_option_without_effect_is_said_to_have_none(folders: dict[str, Path]) -> None:
    engine, (made, _) = Engine(), context()
    engine.load({**MODEL, "id": str(folders["qwen2"])}, {**OPTIONS, "compile": True, "offload": "none"}, made)
    engine.run("generate", complete("generate", prompt="x", max_tokens=1), made)
    assert [(warning["code"], "options.compile" in warning["message"]) for warning in made.warnings] == [
        ("option_ignored", True)
    ]


@pytest.mark.parametrize(
    "words", ["DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes", "MPS backend out of memory"]
)
def test_too_little_memory_is_said_so(engines: dict[str, Engine], monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    def fail(*arguments: Any, **how: Any) -> None:
        raise RuntimeError(f"{words}\nsecond line")

    generated(engines["qwen2"], max_tokens=1)
    monkeypatch.setattr(engines["qwen2"]._local.weights, "generate", fail)
    error = refused(engines["qwen2"], prompt="x")
    assert error.code == "out_of_memory"
    assert words in error.message


# Models


def altered(folder: Path, to: Path, **weights: Any) -> Path:
    """A copy whose weights lack those of a name."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(folder, to)
    kept = {
        name: value for name, value in load_file(to / "model.safetensors").items() if weights["without"] not in name
    }
    save_file(kept, to / "model.safetensors", metadata={"format": "pt"})
    return to


def test_lacking_or_damaged_weights_are_an_error_not_noise(folders: dict[str, Path], tmp_path: Path) -> None:
    lacking = altered(folders["qwen2"], tmp_path / "lacking", without="layers.1.mlp")
    error = refused(loaded(lacking), prompt="x")
    assert error.code == "model_not_found"
    assert "lack 3 weights of Qwen2ForCausalLM, such as model.layers.1.mlp" in error.message
    from safetensors import SafetensorError

    weights = lacking / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    engine = loaded(lacking)
    with pytest.raises(SafetensorError) as caught:
        engine.run("generate", complete("generate", prompt="x"), context()[0])
    assert classify(caught.value).code == "model_not_found"


def test_pickled_weights_are_refused_even_beside_a_configuration(folders: dict[str, Path], tmp_path: Path) -> None:
    import torch

    shutil.copytree(folders["qwen2"], tmp_path / "pickled", ignore=shutil.ignore_patterns("*.safetensors"))
    torch.save({}, tmp_path / "pickled" / "pytorch_model.bin")
    with pytest.raises(WorkerError, match=r"pytorch_model\.bin, which is not loaded") as caught:
        loaded(tmp_path / "pickled")
    assert caught.value.code == "model_not_found"


def test_a_models_own_code_is_never_run(folders: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(folders["qwen2"], tmp_path / "own")
    ran = tmp_path / "ran"
    (tmp_path / "own" / "own.py").write_text(f"open({str(ran)!r}, 'w')\n")
    config = (tmp_path / "own" / "config.json").read_text()
    config = config.replace('"model_type": "qwen2"', '"model_type": "mine", "auto_map": {"AutoConfig": "own.Config"}')
    (tmp_path / "own" / "config.json").write_text(config)
    with pytest.raises(WorkerError, match="needs code of its own") as caught:
        loaded(tmp_path / "own")
    assert (caught.value.code, caught.value.pointer) == ("unsupported_capability", "/model/id")
    assert not ran.exists()


def test_a_model_that_was_not_downloaded_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORYGEN_MODELS_DIR", str(tmp_path))
    with pytest.raises(WorkerError, match="neither a folder nor downloaded") as caught:
        Engine().load(MODEL, OPTIONS, context()[0])
    assert caught.value.code == "model_not_found"
    assert "storygen models download Qwen/Qwen2.5-14B-Instruct" in (caught.value.hint or "")
    assert str(tmp_path) in (caught.value.hint or "")


def test_without_a_chat_template_a_prompt_is_continued_and_a_chat_refused(tmp_path: Path) -> None:
    engine = loaded(llm.llama(tmp_path / "base", template=None))
    made, _ = context()
    output = engine.run("generate", complete("generate", prompt="Once", max_tokens=3), made)
    assert output["usage"]["prompt"] == len(engine._local.tokenizer("Once")["input_ids"])
    assert [warning["code"] for warning in made.warnings] == ["no_chat_template"]
    error = refused(engine, "chat", messages=[{"role": "user", "content": "Hello"}])
    assert error.code == "unsupported_capability"
    assert "no chat template" in error.message


STRICT = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Roles must alternate user/assistant') }}{% endif %}<{{ m.role }}>{{ m.content }}{% endfor %}"
)
DEAF = "{% for m in messages if m.role != 'system' %}<{{ m.role }}>{{ m.content }}{% endfor %}"
NAMED = "{% for m in messages %}<{{ m.name or m.role }}>{{ m.content }}{% endfor %}"


@pytest.mark.parametrize("template", [STRICT, DEAF])
def test_a_template_without_system_messages_gets_them_in_the_first_message(
    engines: dict[str, Engine], template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engines.text_generation import _prompting

    tokenizer = engines["qwen2"]._local.tokenizer
    monkeypatch.setattr(tokenizer, "chat_template", template)
    made, _ = context()
    asked = complete("chat", messages=[{"role": "user", "content": "Hello"}], system_prompt="Be brief.")
    tokens = _prompting.tokens(tokenizer, "chat", asked, made)
    assert tokenizer.decode(tokens) == "<user>Be brief.\n\nHello"
    assert [warning["code"] for warning in made.warnings] == ["system_merged"]


def test_what_a_template_refuses_is_said_in_its_words(
    engines: dict[str, Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines["qwen2"]._local.tokenizer, "chat_template", STRICT)
    twice = [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]
    error = refused(engines["qwen2"], "chat", messages=twice)
    assert (error.code, error.pointer) == ("invalid_request", "/input/messages")
    assert "Roles must alternate" in error.message


def test_names_reach_a_template_that_knows_them_and_are_said_to_be_left_out_by_others(
    engines: dict[str, Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    from engines.text_generation import _prompting

    tokenizer = engines["qwen2"]._local.tokenizer
    asked = complete("chat", messages=[{"role": "user", "content": "Hello", "name": "Ann"}])
    made, _ = context()
    _prompting.tokens(tokenizer, "chat", asked, made)
    assert [warning["code"] for warning in made.warnings] == ["name_ignored"]
    monkeypatch.setattr(tokenizer, "chat_template", NAMED)
    made, _ = context()
    assert tokenizer.decode(_prompting.tokens(tokenizer, "chat", asked, made)) == "<Ann>Hello"
    assert made.warnings == []


# Documents


def random_schema(chance: random.Random, depth: int = 0) -> dict[str, Any]:
    """A schema whose documents are short."""
    kinds = ["string", "integer", "boolean", "null", "enum", "const", "pattern", "number"]
    kind = chance.choice([*kinds, *(["object", "array", "anyOf"] * 3 if depth < 3 else [])]) if depth else "object"
    lowest = chance.randint(-50, 50)
    made: dict[str, dict[str, Any]] = {
        "string": {"type": "string", "minLength": chance.randint(0, 2), "maxLength": chance.randint(2, 8)},
        "integer": {"type": "integer", "minimum": lowest, "maximum": lowest + chance.randint(0, 40)},
        "boolean": {"type": "boolean"},
        "null": {"type": "null"},
        "enum": {"enum": chance.sample(["crow", "海", 'a"b', 1, 2.5, None, True], 3)},
        "const": {"const": chance.choice(["pitcher", [1, {"a": "b"}], 7])},
        "pattern": {"type": "string", "pattern": chance.choice(["^[a-c]{2,4}$", "^(x|y)-\\d{2}$"])},
        "number": {"type": "number", "minimum": 0, "maximum": 1},
    }
    if kind in made:
        return made[kind]
    inner = [random_schema(chance, depth + 1) for _ in range(chance.randint(1, 4))]
    if kind == "anyOf":
        return {"anyOf": inner}
    if kind == "array":
        return {"type": "array", "items": inner[0], "minItems": chance.randint(0, 2), "maxItems": 3}
    properties = {
        f"{chance.choice(['title', 'název', 'shot list'])}_{number}": part for number, part in enumerate(inner)
    }
    required = [name for name in properties if chance.random() < 0.7]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


@pytest.mark.parametrize("seed", range(20))
def test_a_document_always_satisfies_its_schema(engines: dict[str, Engine], seed: int) -> None:
    import json

    from jsonschema import Draft202012Validator

    schema = random_schema(random.Random(seed))
    engine = engines["qwen2" if seed % 2 else "llama"]
    output = generated(engine, json_schema=schema, max_tokens=1500, seed=seed, temperature=1.0)
    Draft202012Validator(schema).validate(output["json"])
    assert json.loads(output["text"]) == output["json"]
    assert output["finish_reason"] == "stop"


def test_a_document_that_refers_to_its_own_parts(engines: dict[str, Engine]) -> None:
    schema = {
        "$defs": {"shot": {"type": "object", "properties": {"s": {"enum": [1, 2]}}, "required": ["s"],
                           "additionalProperties": False}},
        "type": "array", "items": {"$ref": "#/$defs/shot"}, "minItems": 3, "maxItems": 3,
    }  # fmt: skip
    found = generated(engines["qwen2"], json_schema=schema, temperature=0, max_tokens=200)["json"]
    assert len(found) == 3
    assert {shot["s"] for shot in found} <= {1, 2}


def test_a_document_cut_by_max_tokens_is_an_error(engines: dict[str, Engine]) -> None:
    schema = {"type": "string", "minLength": 500}
    error = refused(engines["qwen2"], prompt="x", json_schema=schema, max_tokens=10)
    assert (error.code, error.pointer) == ("invalid_request", "/input/max_tokens")
    assert "not complete after max_tokens 10" in error.message


def test_a_schema_that_no_grammar_holds_is_refused_before_weights_are_read(folders: dict[str, Path]) -> None:
    engine = loaded(folders["qwen2"])
    error = refused(engine, prompt="x", json_schema={"not": {"type": "string"}})
    assert (error.code, error.pointer) == ("unsupported_capability", "/input/json_schema")
    assert engine._local.weights is None


def test_a_document_that_slipped_past_the_grammar_is_an_error(
    engines: dict[str, Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = LocalModel.grammar
    other = {"enum": ["a"]}
    monkeypatch.setattr(LocalModel, "grammar", lambda self, asked: real(self, replace(asked, json_schema=other)))
    error = refused(engines["qwen2"], prompt="x", json_schema={"enum": ["b"]}, max_tokens=20)
    assert error.code == "internal_error"
    assert "breaks json_schema" in error.message


# The worker


def test_a_serving_worker_streams_is_cancelled_and_reads_its_model_once(folders: dict[str, Path]) -> None:
    request: dict[str, Any] = {
        "v": 1, "op": "chat", "engine": "transformers", "model": {"id": str(folders["qwen2"])},
        "input": {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 150, "seed": 5},
    }  # fmt: skip
    with Worker("text_generation") as process:
        events: list[dict[str, Any]] = []
        first = process.request(request, events.append)
        sent = [event["data"] for event in events if event["type"] == "delta"]
        assert "".join(sent) == first["output"]["text"]
        assert len(sent) > 3
        assert first["metrics"]["import_s"] > 0
        assert first["model"]["dtype"] == "float32"

        def cancel_at_a_delta(event: dict[str, Any]) -> None:
            if event["type"] == "delta":
                process.cancel()

        longer = {**request, "input": {**request["input"], "max_tokens": 2000}}
        with pytest.raises(StorygenError) as caught:
            process.request(longer, cancel_at_a_delta)
        assert caught.value.code == "cancelled"
        again = process.request(request)
        assert again["output"]["text"] == first["output"]["text"]
        assert again["metrics"]["load_s"] < 0.005
        assert again["metrics"]["import_s"] == 0


def test_nothing_but_the_result_is_written(folders: dict[str, Path]) -> None:
    request: dict[str, Any] = {
        "v": 1, "op": "generate", "engine": "transformers", "model": {"id": str(folders["llama"])},
        "input": {"prompt": "x", "max_tokens": 5, "temperature": 0},
    }  # fmt: skip
    done = worker("text_generation", request)
    assert result_of(done)["type"] == "result"
    assert done.stderr == b""
