"""The hosted engines of vision_language through a real worker process, against a server that replays their shapes."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hosted_service import (
    KEYS,
    Answer,
    Service,
    Worker,
    anthropic_error,
    completion,
    environment,
    message,
    openai_error,
    serving,
)
from PIL import Image
from support import PATIENCE_S, result_of, worker

from runtime import registry, validation
from runtime.errors import WorkerError

SCENE = {
    "matching": ["a crow", " "],
    "mismatched": ["no pitcher"],
    "explanation": " The crow is there. ",
    "score": 60,
    "suggestions": ["a tall clay pitcher"],
}


class Shapes(NamedTuple):
    """How one service answers, fails, and takes pictures."""

    answer: Any
    longest_side: int
    faults: dict[str, tuple[Answer, str]]


SHAPES = {
    "openai": Shapes(
        completion,
        2048,
        {
            "limit": (openai_error(429, "Rate limit reached", "rate_limit_exceeded", retry_after="9"), "rate_limited"),
            "blind": (
                openai_error(400, "Invalid content type. image_url is not supported by this model."),
                "unsupported_capability",
            ),
            "large": (openai_error(413, "Request too large"), "invalid_request"),
            "refusal": (completion("On", finish="content_filter"), "content_refused"),
            "cut": (completion("On", finish=None, end="cut"), "network"),
        },
    ),
    "anthropic": Shapes(
        message,
        1568,
        {
            "limit": (anthropic_error(429, "rate_limit_error", "Slow down", retry_after="9"), "rate_limited"),
            "large": (anthropic_error(413, "request_too_large", "Request exceeds the maximum size"), "invalid_request"),
            "refusal": (message("On", finish="refusal"), "content_refused"),
            "cut": (message("On", finish=None, end="cut"), "network"),
        },
    ),
}
BOTH = pytest.mark.parametrize("name", SHAPES)


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with serving() as found:
        yield found


@pytest.fixture(scope="module")
def host(service: Service) -> Iterator[Worker]:
    """A worker whose services are ours; when all is done, no key may have been written anywhere."""
    addresses = {"OPENAI_BASE_URL": f"{service.root}/v1", "ANTHROPIC_BASE_URL": service.root}
    found = Worker(family="vision_language", **addresses, **KEYS)
    yield found
    said = found.close()
    assert not [key for key in KEYS.values() if key in said]


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("pictures") / "vrána na poli.png"
    Image.new("RGB", (64, 48), (200, 30, 30)).save(path)
    return str(path)


def ask(host: Worker, name: str, op: str, **fields: Any) -> tuple[dict[str, Any], list[str]]:
    line, deltas = host.ask(op, engine=name, **fields)
    if line["type"] == "result":
        wanted = validation.document(f"vision_language/{op}")["$defs"]["output"]
        assert validation.violations(line["output"], wanted) == []
    return line, deltas


def judged(host: Worker, name: str, picture: str, **fields: Any) -> tuple[dict[str, Any], list[str]]:
    return ask(host, name, "validate_scene", input={"image": picture, "description": "A crow by a pitcher.", **fields})


def parts(service: Service) -> list[dict[str, Any]]:
    """The content of the first request's message of the user's."""
    said = service.requests[0].body["messages"]
    content: list[dict[str, Any]] = next(message for message in said if message["role"] == "user")["content"]
    return content


def seen(service: Service) -> list[Image.Image]:
    """The pictures that arrived, decoded."""
    found: list[Image.Image] = []
    for part in parts(service)[:-1]:
        if part["type"] == "image":
            assert (part["source"]["type"], part["source"]["media_type"]) == ("base64", "image/jpeg")
            data = part["source"]["data"]
        else:
            head, data = part["image_url"]["url"].split(",")
            assert (head, part["image_url"]["detail"]) == ("data:image/jpeg;base64", "high")
        found.append(Image.open(io.BytesIO(base64.b64decode(data, validate=True))))
        assert found[-1].mode == "RGB"
    return found


def near(color: Any, wanted: tuple[int, int, int]) -> bool:
    return max(abs(one - other) for one, other in zip(color, wanted, strict=True)) < 12


# Pictures


@BOTH
def test_pictures_go_out_before_the_prompt_and_text_comes_in_pieces(
    name: str, service: Service, host: Worker, picture: str
) -> None:
    service.play(SHAPES[name].answer("Two ", "red fields."))
    line, deltas = ask(host, name, "analyze_image", input={"images": [picture, picture], "prompt": "What is this?"})
    assert deltas == ["Two ", "red fields."]
    output = line["output"]
    assert (output["text"], output["image_count"], output["finish_reason"]) == ("Two red fields.", 2, "stop")
    assert parts(service)[-1] == {"type": "text", "text": "What is this?"}
    assert [shown.size for shown in seen(service)] == [(64, 48)] * 2
    assert near(seen(service)[0].getpixel((20, 20)), (200, 30, 30))
    assert line["metrics"]["usage"]["requests"] == 1


def kinds(folder: Path) -> dict[str, tuple[Image.Image, dict[str, Any]]]:
    """Pictures of all kinds, upper left red, the rest blue or transparent."""
    plain = Image.new("RGB", (60, 40), (30, 40, 200))
    plain.paste((200, 30, 30), (0, 0, 30, 20))
    clear = plain.convert("RGBA")
    clear.paste((0, 0, 0, 0), (30, 20, 60, 40))
    turned, exif = plain.transpose(Image.Transpose.ROTATE_90), Image.Exif()
    exif[0x0112] = 6  # to be turned right by a quarter
    return {
        "palette.png": (plain.quantize(8), {}),
        "clear.png": (clear, {}),
        "print.jpg": (plain.convert("CMYK"), {"quality": 98, "subsampling": 0}),
        "moving.gif": (plain, {"save_all": True, "append_images": [Image.new("RGB", (60, 40), (0, 255, 0))]}),
        "telephone.jpg": (turned, {"exif": exif, "quality": 98, "subsampling": 0}),
        "wrongly named.txt": (plain, {"format": "WEBP", "lossless": True}),
    }


@BOTH
def test_pictures_of_all_kinds_arrive_upright_and_opaque(
    name: str, service: Service, host: Worker, tmp_path: Path
) -> None:
    for file, (made, how) in kinds(tmp_path).items():
        made.save(tmp_path / file, **how)
    service.play(SHAPES[name].answer("Yes."))
    images = [str(tmp_path / file) for file in kinds(tmp_path)]
    assert ask(host, name, "analyze_image", input={"images": images, "prompt": "x"})[0]["type"] == "result"
    arrived = dict(zip(kinds(tmp_path), seen(service), strict=True))
    for file, shown in arrived.items():
        assert shown.size == (60, 40), file
        assert near(shown.getpixel((8, 8)), (200, 30, 30)), file
        assert near(shown.getpixel((8, 34)), (30, 40, 200)), file
    assert near(arrived["clear.png"].getpixel((52, 34)), (255, 255, 255))


@BOTH
def test_large_pictures_are_scaled_to_what_the_service_looks_at(
    name: str, service: Service, host: Worker, tmp_path: Path
) -> None:
    Image.new("RGB", (6000, 3000)).save(tmp_path / "large.png")
    service.play(SHAPES[name].answer("Yes."))
    ask(host, name, "analyze_image", input={"images": [str(tmp_path / "large.png")], "prompt": "x"})
    side = SHAPES[name].longest_side
    assert [shown.size for shown in seen(service)] == [(side, side // 2)]


def test_what_is_no_picture_or_a_bomb_is_an_error_before_anything_is_sent(
    service: Service, host: Worker, picture: str, tmp_path: Path
) -> None:
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(
        Path(picture).read_bytes()[:16] + b"\0\1\0\0\0\1\0\0" + Path(picture).read_bytes()[24:]
    )  # 65536 × 65536 by its header
    cut = tmp_path / "cut.jpg"
    Image.effect_noise((200, 200), 90).convert("RGB").save(cut)
    cut.write_bytes(cut.read_bytes()[:2000])
    (tmp_path / "empty.png").write_bytes(b"")
    service.play(completion("Yes."))
    for wrong in (bomb, cut, tmp_path / "empty.png", Path(__file__), tmp_path):
        line, _ = ask(host, "openai", "analyze_image", input={"images": [picture, str(wrong)], "prompt": "x"})
        assert (line["error"]["code"], line["error"]["pointer"]) == ("input_unreadable", "/input/images/1"), wrong
    line, _ = ask(host, "openai", "analyze_image", input={"images": [str(tmp_path / "none.png")], "prompt": "x"})
    assert (line["error"]["code"], line["error"]["pointer"]) == ("input_not_found", "/input/images/0")
    assert service.requests == []


# Scores


@BOTH
def test_a_score_is_that_of_the_document_and_the_verdict_is_ours(
    name: str, service: Service, host: Worker, picture: str
) -> None:
    for threshold, valid in ((0.6, True), (0.61, False)):
        service.play(SHAPES[name].answer(json.dumps(SCENE)))
        line, deltas = judged(host, name, picture, threshold=threshold)
        output = line["output"]
        assert (output["match_score"], output["is_valid"], deltas) == (0.6, valid, [])
        assert (output["matching"], output["mismatched"]) == (["a crow"], ["no pitcher"])
        assert (output["explanation"], output["suggestions"]) == ("The crow is there.", ["a tall clay pitcher"])
    asked = parts(service)[-1]["text"]
    assert "A crow by a pitcher." in asked
    assert all(f"\n{step}: " in asked for step in (0, 25, 50, 75, 100))


def test_scores_are_asked_for_by_the_services_structured_output(service: Service, host: Worker, picture: str) -> None:
    service.play(completion(json.dumps(SCENE)))
    judged(host, "openai", picture)
    form = service.requests[0].body["response_format"]["json_schema"]
    assert form["strict"]
    assert form["schema"]["properties"]["score"] == {"type": "integer", "minimum": 0, "maximum": 100}
    assert list(form["schema"]["properties"])[-2:] == ["score", "suggestions"]  # what it sees before how good it is
    service.play(message(json.dumps(SCENE)))
    judged(host, "anthropic", picture)
    form = service.requests[0].body["output_config"]["format"]
    assert set(form["schema"]["required"]) == set(SCENE)


WRONG = {
    "prose around it": f"Here is my judgement: {json.dumps(SCENE)}",
    "a number alone": "60",
    "too high": json.dumps({**SCENE, "score": 101}),
    "a text": json.dumps({**SCENE, "score": "60"}),
    "a fraction": json.dumps({**SCENE, "score": 60.5}),
    "no score": json.dumps({key: value for key, value in SCENE.items() if key != "score"}),
    "half": json.dumps(SCENE)[:-4],
}


@pytest.mark.parametrize("answer", WRONG.values(), ids=WRONG)
def test_an_answer_that_is_not_the_document_is_asked_for_again_and_then_an_error(
    answer: str, service: Service, host: Worker, picture: str
) -> None:
    service.play(completion(answer))
    line, _ = judged(host, "openai", picture)
    assert (line["error"]["code"], line["error"]["pointer"]) == ("unsupported_capability", "/model/id")
    assert len(service.requests) == 3
    service.play(completion(answer), completion(json.dumps(SCENE)))
    line, _ = judged(host, "openai", picture)
    assert line["output"]["match_score"] == 0.6
    assert [warning["code"] for warning in line["warnings"]] == ["asked_again"]
    assert len(service.requests[1].body["messages"]) == 3


def test_an_answer_that_max_tokens_cut_is_an_error(service: Service, host: Worker, picture: str) -> None:
    service.play(completion(json.dumps(SCENE)[:30], finish="length"))
    line, _ = judged(host, "openai", picture, max_tokens=9)
    assert (line["error"]["code"], line["error"]["pointer"]) == ("invalid_request", "/input/max_tokens")


def consistency(scores: dict[str, int]) -> str:
    return json.dumps({"consistent": ["the crow"], "inconsistent": ["Picture 3 is by night"],
                       "analysis": "One is darker.", "pairs": scores})  # fmt: skip


@BOTH
def test_a_film_is_as_consistent_as_the_picture_that_fits_least(
    name: str, service: Service, host: Worker, picture: str
) -> None:
    service.play(SHAPES[name].answer(consistency({"1-2": 90, "2-3": 30, "1-3": 20})))
    line, _ = ask(host, name, "check_consistency", input={"images": [picture] * 3})
    output = line["output"]
    assert output["pairwise_scores"] == [
        {"first": 0, "second": 1, "score": 0.9},
        {"first": 0, "second": 2, "score": 0.2},
        {"first": 1, "second": 2, "score": 0.3},
    ]
    assert output["image_scores"] == [0.55, 0.6, 0.25]
    assert (output["consistency_score"], output["is_consistent"]) == (0.25, False)
    assert (output["consistent"], output["inconsistent"]) == (["the crow"], ["Picture 3 is by night"])
    service.play(SHAPES[name].answer(consistency({"1-2": 60})))
    line, _ = ask(host, name, "check_consistency", input={"images": [picture] * 2})
    assert (line["output"]["consistency_score"], line["output"]["is_consistent"]) == (0.6, True)


def test_all_pairs_of_sixteen_pictures_are_one_question(service: Service, host: Worker, picture: str) -> None:
    scores = {f"{first}-{second}": 70 for first, second in combinations(range(1, 17), 2)}
    service.play(completion(consistency(scores)))
    line, _ = ask(host, "openai", "check_consistency", input={"images": [picture] * 16})
    assert (len(line["output"]["pairwise_scores"]), len(service.requests)) == (120, 1)
    del scores["7-12"]
    service.play(completion(consistency(scores)))
    line, _ = ask(host, "openai", "check_consistency", input={"images": [picture] * 16})
    assert line["error"]["code"] == "unsupported_capability"
    assert "7-12" in line["error"]["message"]


@BOTH
def test_facts_of_pictures_come_as_the_document_asked_for(
    name: str, service: Service, host: Worker, picture: str
) -> None:
    schema = {"type": "object", "properties": {"hat": {"type": "boolean"}}, "required": ["hat"],
              "additionalProperties": False}  # fmt: skip
    service.play(SHAPES[name].answer('{"hat": "yes"}'), SHAPES[name].answer('{"hat": true}'))
    asked = {"images": [picture], "prompt": "Is there a hat?", "json_schema": schema}
    line, deltas = ask(host, name, "analyze_image", input=asked)
    assert (line["output"]["json"], line["output"]["text"], "".join(deltas)) == ({"hat": True}, *['{"hat": true}'] * 2)


# Faults, keys, choices


@pytest.mark.parametrize(
    ("name", "fault"), [(name, fault) for name, shapes in SHAPES.items() for fault in shapes.faults]
)
def test_a_fault_of_the_service_is_one_clear_error_after_one_request(
    name: str, fault: str, service: Service, host: Worker, picture: str
) -> None:
    answer, code = SHAPES[name].faults[fault]
    service.play(answer)
    line, _ = judged(host, name, picture)
    assert line["error"]["code"] == code, line
    assert len(service.requests) == 1


@BOTH
def test_a_silent_service_is_left_when_cancelled(name: str, service: Service, host: Worker, picture: str) -> None:
    service.play(Answer(silent=True))

    def cancel() -> None:
        assert service.arrived.wait(PATIENCE_S)
        host.send({"type": "cancel", "id": "a"})

    input_ = {"image": picture, "description": "x"}
    line, _ = host.ask("validate_scene", begin=cancel, engine=name, input=input_)
    assert line["error"]["code"] == "cancelled"
    assert service.left.wait(PATIENCE_S)


def test_a_seed_goes_where_it_is_known_and_is_refused_elsewhere(service: Service, host: Worker, picture: str) -> None:
    service.play(completion(json.dumps(SCENE)))
    line, _ = ask(
        host, "openai", "validate_scene", model={"id": "gpt-4o-mini"},
        input={"image": picture, "description": "x", "seed": 7},
    )  # fmt: skip
    body = service.requests[0].body
    assert (line["output"]["seed"], body["seed"], body["temperature"]) == (7, 7, 0)
    line, _ = judged(host, "anthropic", picture, seed=7)
    assert line["error"]["code"] == "unsupported_capability"
    service.play(message(json.dumps(SCENE)))
    assert judged(host, "anthropic", picture)[0]["warnings"] == []  # a temperature that nobody asked for is not missed
    line, _ = judged(host, "anthropic", picture, temperature=0.5)
    assert [warning["code"] for warning in line["warnings"]] == ["not_sent"]


@pytest.mark.parametrize("family", ["text_generation", "vision_language"])
def test_auto_takes_no_service_whose_key_is_missing(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    op = {"text_generation": "generate", "vision_language": "validate_scene"}[family]
    monkeypatch.setattr(registry, "names", lambda family: ["anthropic", "openai"])
    with pytest.raises(WorkerError, match="OPENAI_API_KEY is not set") as caught:
        registry.choose(family, "auto", op, set(), ())
    assert caught.value.code == "engine_unavailable"
    assert registry.choose(family, "openai", op, set(), ()) == "openai"  # by name: its preset may need none
    assert registry.describe(family)["openai"]["usable"]
    monkeypatch.setenv("OPENAI_API_KEY", "sk-any")
    assert registry.choose(family, "auto", op, set(), ()) == "openai"


def test_a_server_of_ones_own_needs_no_key(service: Service, picture: str) -> None:
    service.play(completion(json.dumps(SCENE)))
    request = {
        "v": 1, "op": "validate_scene", "engine": "openai", "model": {"id": "llava"},
        "input": {"image": picture, "description": "x"},
        "engine_options": {"preset": "ollama", "base_url": f"{service.root}/v1"},
    }  # fmt: skip
    done = worker("vision_language", request, env={**dict.fromkeys(KEYS, "")})
    assert result_of(done)["output"]["match_score"] == 0.6
    assert "score" in service.requests[0].body["messages"][0]["content"]  # its schema is said in words too


def test_a_file_of_answers_stands_in_for_a_model_and_every_engine_is_described(tmp_path: Path, picture: str) -> None:
    answers = tmp_path / "answers.jsonl"
    answers.write_text(json.dumps({"output": {"is_valid": True}}))
    request = {
        "v": 1, "op": "validate_scene", "engine": "scripted", "input": {"image": picture, "description": "x"},
        "engine_options": {"answers": str(answers)},
    }  # fmt: skip
    assert result_of(worker("vision_language", request))["output"] == {"is_valid": True}
    facts = json.loads(worker("vision_language", b"", "--describe", env=environment()).stdout)["engines"]
    assert set(facts) == {"anthropic", "openai", "scripted", "transformers"}
    assert all(set(fact["ops"]) == {"analyze_image", "check_consistency", "validate_scene"} for fact in facts.values())


@pytest.mark.parametrize(
    ("op", "fields", "pointer"),
    [
        ("analyze_image", {"images": [], "prompt": "x"}, "/input/images"),
        ("analyze_image", {"images": ["a"] * 17, "prompt": "x"}, "/input/images"),
        ("analyze_image", {"images": ["a"], "prompt": " "}, "/input/prompt"),
        ("analyze_image", {"images": ["a"], "prompt": "x", "json_schema": {"type": "no"}}, "/input/json_schema/type"),
        ("check_consistency", {"images": ["a"]}, "/input/images"),
        ("validate_scene", {"image": "a", "description": "x", "threshold": 1.1}, "/input/threshold"),
        ("validate_scene", {"image": "a", "description": ""}, "/input/description"),
        ("validate_scene", {"image": "a", "description": "x", "thresold": 0.5}, "/input/thresold"),
    ],
)  # fmt: skip
def test_a_wrong_request_is_refused_with_its_field(op: str, fields: dict[str, Any], pointer: str, host: Worker) -> None:
    line, _ = host.ask(op, engine="openai", input=fields)
    assert (line["error"]["code"], line["error"]["pointer"]) == ("invalid_request", pointer)
