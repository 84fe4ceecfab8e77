"""The wire as a host meets it: real worker processes, what they write and how they end."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

import psutil
import pytest
from support import PATIENCE_S, ROOT, SCHEMAS, WORKERS, clip, family_tree, result_of, still_alive, tone, worker

from runtime import validation

TABLE = json.loads((SCHEMAS / "errors.json").read_text())
HEAVY = {"torch", "numpy", "av", "PIL", "transformers", "diffusers", "espeakng_loader", "fontTools", "pysubs2"}


def request(op: str = "probe", **fields: Any) -> dict[str, Any]:
    return {"v": 1, "op": op, "input": {"media": "nothing.mp4"}, **fields}


WRONG: list[tuple[Any, str, list[str]]] = [
    (b"", "invalid_request", []),
    (b"{", "invalid_request", []),
    (b"[]", "invalid_request", []),
    (b'"text"', "invalid_request", []),
    (b"\xff\xfe{}", "invalid_request", []),
    (b'{"v":1,"op":"probe","input":{"media":NaN}}', "invalid_request", []),
    ({}, "invalid_request", ["/input", "/op", "/v"]),
    (request(v=2), "unsupported_version", ["/v"]),
    (request(v="1"), "invalid_request", ["/v"]),
    (request(op="prob"), "invalid_request", ["/op"]),
    (request(op="../probe"), "invalid_request", ["/op"]),
    (request(engine="../ffmpeg"), "invalid_request", ["/engine"]),
    (request(engine="ffmpg"), "engine_unavailable", ["/engine"]),
    (request(input={}), "invalid_request", ["/input/media"]),
    (request(input={"media": ""}), "invalid_request", ["/input/media"]),
    (request(input={"media": 7}), "invalid_request", ["/input/media"]),
    (request(input={"media": "x", "loud": True}), "invalid_request", ["/input/loud"]),
    (request(input=[]), "invalid_request", ["/input"]),
    (request(), "input_not_found", ["/input/media"]),
    (request(id="a b"), "invalid_request", ["/id"]),
    (request(output_name="../x"), "invalid_request", ["/output_name"]),
    (request(output_dir="/"), "invalid_request", ["/output_dir"]),
    (request(output_dir="../.."), "invalid_request", ["/output_dir"]),
    (request(options={"timeout_s": 0}), "invalid_request", ["/options/timeout_s"]),
    (request(options={"devise": "cpu"}), "invalid_request", ["/options/devise"]),
    (request(engine_options={"x": 1}), "invalid_request", ["/engine_options/x"]),
    (request(op="compose", input={"shots": []}), "invalid_request", ["/input/shots"]),
    (
        request(op="compose", input={"shots": [{}]}),
        "invalid_request",
        ["/input/shots/0/clip", "/input/shots/0/num_frames"],
    ),
    (
        request(op="compose", input={"shots": [{"clip": "x", "num_frames": 0}], "width": 1001, "crf": 60}),
        "invalid_request",
        ["/input/crf", "/input/shots/0/num_frames", "/input/width"],
    ),
    (request(op=""), "invalid_request", ["/op"]),
    ({**request(), "op": 7}, "invalid_request", ["/op"]),
    (request(id=""), "invalid_request", ["/id"]),
    (request(model="sdxl"), "invalid_request", ["/model"]),
    (request(model={"dtype": "float8"}), "invalid_request", ["/model/dtype"]),
    (request(model={"id": "x"}), "unsupported_capability", ["/engine"]),
    (request(options={"device": "gpu"}), "invalid_request", ["/options/device"]),
    (request(options={"timeout_s": "10"}), "invalid_request", ["/options/timeout_s"]),
    (request(output_name=""), "invalid_request", ["/output_name"]),
    (request(output_dir=""), "invalid_request", ["/output_dir"]),
    (request(base_url="http://127.0.0.1/v1"), "invalid_request", ["/base_url"]),
    (request(engine_options={"base_url": "http://127.0.0.1/v1"}), "invalid_request", ["/engine_options/base_url"]),
    (
        request(op="thumbnail", input={"media": "x", "width": 3, "time_s": -1}),
        "invalid_request",
        ["/input/time_s", "/input/width"],
    ),
    (request(op="join_audio", input={"clips": [], "pad_s": 11}), "invalid_request", ["/input/clips", "/input/pad_s"]),
    (
        request(op="captions", input={"words": [{"word": "", "start_s": 0}]}),
        "invalid_request",
        ["/input/words/0/end_s", "/input/words/0/word"],
    ),
]


@pytest.mark.parametrize(("body", "code", "pointers"), WRONG)
def test_a_wrong_request_ends_by_the_table_and_names_every_fault(
    body: Any, code: str, pointers: list[str], tmp_path: Path
) -> None:
    done = worker("media_processing", body, "--output-dir", str(tmp_path))
    answer = result_of(done)
    error = answer["error"]
    assert (answer["type"], answer["success"], error["code"], done.returncode) == (
        "error",
        False,
        code,
        TABLE[code]["exit"],
    )
    named = [row["pointer"] for row in error["details"]] or ([error["pointer"]] if error["pointer"] else [])
    assert sorted(named) == pointers
    assert b"Traceback" not in done.stderr
    assert error["message"].encode()[:40] in done.stderr


def test_a_misspelt_field_names_the_nearest_and_a_size_its_neighbours(tmp_path: Path) -> None:
    body = request(op="compose", input={"shots": [{"clip": "x", "num_frames": 5}], "widht": 5, "height": 1001})
    details = result_of(worker("media_processing", body))["error"]["details"]
    text = " ".join(row["message"] for row in details)
    assert "did you mean width" in text
    assert "use 1000 or 1002" in text


def test_no_wrong_request_imports_anything_heavy() -> None:
    """The whole table in one process, by the functions that every worker calls."""
    program = (
        "import json, sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "import runtime.worker\n"
        "from runtime import validation\n"
        "from runtime.request import Family, prepare\n"
        "from runtime.errors import WorkerError\n"
        "bodies = [bytes.fromhex(line) for line in sys.stdin.read().split()]\n"
        "refused = 0\n"
        "for body in bodies:\n"
        "    try:\n"
        "        flags = dict(output_dir=Path('out'), timeout_s=None, serving=False)\n"
        "        prepare(validation.parse(body), Family('media_processing'), **flags)\n"
        "    except WorkerError:\n"
        "        refused += 1\n"
        "print(refused, *sorted({name.split('.')[0] for name in sys.modules}))\n"
    )
    bodies = [body if isinstance(body, bytes) else json.dumps(body).encode() for body, _, _ in WRONG]
    said = " ".join(body.hex() for body in bodies if body)
    done = subprocess.run(
        [sys.executable, "-c", program, str(WORKERS)], input=said, capture_output=True, text=True, check=True
    )
    refused, *modules = done.stdout.split()
    assert int(refused) == len([body for body in bodies if body]) >= 40
    assert set(modules) & HEAVY == set()
    assert "jsonschema" in modules


def test_the_result_is_the_only_line_and_pure_ascii(tmp_path: Path) -> None:
    sound = tone(tmp_path / "zvuk – ř.wav", seconds=0.3)
    done = worker("media_processing", request(input={"media": str(sound)}))
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    assert done.stdout.endswith(b"\n")
    assert result_of(done)["output"]["audio"]["sample_rate"] == 48000
    assert done.stderr == b""


def test_neither_python_nor_a_child_nor_c_can_write_into_the_wire() -> None:
    program = (
        "import sys, os, ctypes, subprocess; sys.path.insert(0, sys.argv[1])\n"
        "from runtime.streams import claim\n"
        "requests, wire = claim()\n"
        "print('python', flush=True); subprocess.run([sys.executable, '-c', 'print(\"child\")'])\n"
        "os.write(1, b'raw\\n')\n"
        "if os.name == 'posix': ctypes.CDLL(None).puts(b'c'); ctypes.CDLL(None).fflush(None)\n"
        "assert sys.stdin.read() == '' and subprocess.run([sys.executable, '-c', 'input()'], stderr=-3).returncode\n"
        "wire.send({'type': 'result', 'line': requests.readline().decode()})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(WORKERS)], input=b"hello\n", capture_output=True, check=True
    )
    assert json.loads(done.stdout) == {"type": "result", "line": "hello\n"}
    assert {b"python", b"child", b"raw"} <= set(done.stderr.split())


@pytest.mark.parametrize("flags", [["--input"], ["--nonsense"], ["--timeout", "-1"], ["--log-level", "loud"]])
def test_a_wrong_flag_ends_in_a_line_and_exit_code_2(flags: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, str(WORKERS / "media_processing.py"), *flags], capture_output=True, check=False
    )
    assert (done.returncode, result_of(done)["error"]["code"]) == (2, "usage")


def test_help_is_on_stdout_and_names_operations_and_examples() -> None:
    done = subprocess.run(
        [sys.executable, str(WORKERS / "media_processing.py"), "--help"], capture_output=True, text=True, check=True
    )
    assert "--output-dir" in done.stdout
    assert "compose" in done.stdout
    assert "examples:" in done.stdout


def test_describe_names_every_operation_and_engine_that_is_there() -> None:
    for script in sorted(WORKERS.glob("*.py")):
        done = subprocess.run([sys.executable, str(script), "--describe"], capture_output=True, text=True, check=True)
        said = json.loads(done.stdout)
        assert set(said["ops"]) == {
            path.name.removesuffix(".schema.json") for path in (SCHEMAS / script.stem).glob("*.schema.json")
        }
        assert set(said["engines"]) == {path.stem for path in (WORKERS / "engines" / script.stem).glob("[a-z]*.py")}
        unusable = {name: engine["why_not"] for name, engine in said["engines"].items() if not engine["usable"]}
        unusable.pop("system", None)  # which only some machines have
        assert all(re.search("is not (installed|set)", why) for why in unusable.values()), unusable


class Serving:
    """A worker in --serve, spoken to line by line: one of ours, or the script of a copy by its path without .py."""

    def __init__(self, family: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(WORKERS / f"{family}.py"), "--serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.stdin: IO[bytes] = self.process.stdin
        self.stdout: IO[bytes] = self.process.stdout

    def say(self, *messages: dict[str, Any]) -> None:
        self.stdin.write(b"".join(json.dumps(message).encode() + b"\n" for message in messages))
        self.stdin.flush()

    def hear(self, *kinds: str) -> dict[str, Any]:
        """The next message of one of these kinds."""
        for line in self.stdout:
            message: dict[str, Any] = json.loads(line)
            if message["type"] in kinds:
                return message
        raise AssertionError(f"the worker left without saying {kinds}")

    def __enter__(self) -> Serving:
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.kill()
        self.process.wait()
        self.stdin.close()
        self.stdout.close()


def test_a_serving_worker_answers_in_order_and_leaves_at_shutdown(tmp_path: Path) -> None:
    sound = str(tone(tmp_path / "a.wav", seconds=0.2))
    with Serving("media_processing") as serving:
        ready = serving.hear("ready")
        assert ready["pid"] == serving.process.pid
        assert set(ready["engines"]) == {"ffmpeg"}
        serving.say(
            request(id="one", input={"media": sound}),
            request(id="bad", input={}),
            request(id="two", input={"media": sound}),
            {"type": "shutdown"},
        )
        assert serving.hear("accepted")["id"] == "one"
        assert [serving.hear("result", "error")["id"] for _ in range(3)] == ["one", "bad", "two"]
        assert serving.process.wait(PATIENCE_S) == 0


def test_what_is_loaded_stays_loaded(tmp_path: Path) -> None:
    with Serving("speech_synthesis") as serving:
        loads = []
        for number in range(3):
            serving.say(
                {
                    "v": 1,
                    "id": str(number),
                    "op": "synthesize",
                    "input": {"text": "Hello."},
                    "output_dir": str(tmp_path),
                }
            )
            loads.append(serving.hear("result")["metrics"]["load_s"])
    assert loads[0] > 0
    assert loads[1:] == [0, 0]


def test_relative_paths_are_refused_while_serving() -> None:
    with Serving("media_processing") as serving:
        serving.say(request(input={"media": "a.wav"}), request(id="2", output_dir="out"))
        assert serving.hear("error")["error"]["pointer"] == "/input/media"
        assert serving.hear("error")["error"]["pointer"] == "/output_dir"


def test_a_used_id_a_wrong_line_and_a_wrong_control_are_refused_and_the_next_request_goes_on(tmp_path: Path) -> None:
    sound = str(tone(tmp_path / "a.wav", seconds=0.2))
    with Serving("media_processing") as serving:
        serving.stdin.write(b"garbage\n\xff\n" + b"x" * (17 << 20) + b"\n")
        serving.say({"type": "dance"}, request(id="good", input={"media": sound}))
        assert [serving.hear("result", "error")["type"] for _ in range(5)] == ["error"] * 4 + ["result"]
        serving.say({"type": "ping", "id": "p"})
        pong = serving.hear("pong")
        assert pong.pop("memory")["peak_rss_mb"] > 1
        assert pong == {"type": "pong", "v": 1, "id": "p", "loaded": "ffmpeg", "waiting": 0}


def composing(tmp_path: Path, **fields: Any) -> dict[str, Any]:
    """A compose that takes many seconds."""
    film = str(clip(tmp_path / "clip.mp4", frames=2))
    shots = [{"clip": film, "num_frames": 5000}]
    return {
        "v": 1,
        "op": "compose",
        "input": {"shots": shots, "loudness": None},
        "output_dir": str(tmp_path / "out"),
        **fields,
    }


def test_a_running_and_a_waiting_request_can_be_cancelled(tmp_path: Path) -> None:
    with Serving("media_processing") as serving:
        serving.say(composing(tmp_path, id="long"), composing(tmp_path, id="waiting"))
        serving.hear("progress")
        serving.say({"type": "cancel", "id": "waiting"}, {"type": "cancel", "id": "long"})
        answers = [serving.hear("result", "error") for _ in range(2)]
    assert [(answer["id"], answer["error"]["code"]) for answer in answers] == [
        ("long", "cancelled"),
        ("waiting", "cancelled"),
    ]
    assert list((tmp_path / "out").iterdir()) == []


def test_a_closed_stdin_ends_the_worker_and_its_ffmpeg_and_leaves_no_file(tmp_path: Path) -> None:
    with Serving("media_processing") as serving:
        serving.say(composing(tmp_path, id="long"))
        serving.hear("progress")
        everyone = [*family_tree(serving.process.pid)]
        assert len(everyone) == 1
        serving.stdin.close()
        assert serving.process.wait(PATIENCE_S) == TABLE["cancelled"]["exit"]
    assert still_alive(everyone) == []
    assert list((tmp_path / "out").iterdir()) == []


def test_a_deadline_ends_a_request(tmp_path: Path) -> None:
    done = worker("media_processing", composing(tmp_path), "--timeout", "1")
    assert (done.returncode, result_of(done)["error"]["code"]) == (124, "timeout")
    assert list((tmp_path / "out").iterdir()) == []


def test_stream_writes_events_then_the_result(tmp_path: Path) -> None:
    sound = str(tone(tmp_path / "a.wav", seconds=0.2))
    done = worker(
        "media_processing",
        request(op="join_audio", id="j", input={"clips": [sound]}),
        "--stream",
        "--output-dir",
        str(tmp_path),
    )
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    assert [message["type"] for message in messages] == ["accepted", "progress", "artifact", "result"]
    assert [message["seq"] for message in messages[:-1]] == [0, 1, 2]
    assert messages[2]["artifact"] == messages[-1]["output"]["audio"]


def test_no_worker_imports_the_orchestrator_nor_the_orchestrator_a_worker() -> None:
    for file in [*(ROOT / "workers").rglob("*.py")]:
        assert "orchestrator" not in file.read_text(encoding="utf-8"), file
    for file in (ROOT / "orchestrator").rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        assert not any(
            f"import {name}" in text or f"from {name}" in text for name in ("workers", "runtime", "media", "engines")
        ), file


def test_an_engine_is_loaded_before_its_first_request_and_dropped_again(tmp_path: Path) -> None:
    with Serving("speech_synthesis") as serving:
        serving.say({"type": "load", "id": "l"}, {"type": "load", "id": "no", "engine": "nonsense"})
        assert serving.hear("pong")["loaded"] == "espeak"
        assert serving.hear("error")["error"]["code"] == "engine_unavailable"
        spoken = {"v": 1, "id": "1", "op": "synthesize", "input": {"text": "Hello."}, "output_dir": str(tmp_path)}
        serving.say(spoken)
        assert serving.hear("result")["metrics"]["load_s"] == 0
        serving.say({"type": "unload", "id": "u"})
        assert serving.hear("pong")["loaded"] is None


def scripted(tmp_path: Path, *answers: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A request that the scripted engine answers from a file."""
    script = tmp_path / "answers.jsonl"
    script.write_text("".join(json.dumps(answer) + "\n" for answer in answers), encoding="utf-8")
    request = {"v": 1, "op": "generate", "engine": "scripted", "input": {"prompt": "x"}, **fields}
    return {**request, "engine_options": {"answers": str(script)}}


def test_the_scripted_engine_answers_in_order_well_and_badly(tmp_path: Path) -> None:
    answers = (
        {"deltas": ["Once ", "upon"], "output": {"text": "Once upon"}},
        {"error": {"code": "rate_limited", "message": "slow down", "retry_after_s": 3}},
        {"raise": "a bug"},
        {"output": {"text": "the end"}},
    )
    with Serving("text_generation") as serving:
        for number in range(5):
            serving.say(scripted(tmp_path, *answers, id=str(number)))
        assert [serving.hear("delta")["data"] for _ in range(2)] == ["Once ", "upon"]
        said = [serving.hear("result", "error") for _ in range(5)]
    assert [line.get("output", {}).get("text") for line in said] == ["Once upon", None, None, "the end", "the end"]
    assert (said[1]["error"]["retryable"], said[1]["error"]["retry_after_s"]) == (True, 3)
    assert said[2]["error"]["code"] == "internal_error"


def test_a_worker_that_exits_without_a_word_leaves_no_line(tmp_path: Path) -> None:
    done = worker("text_generation", scripted(tmp_path, {"exit": 3}))
    assert (done.returncode, done.stdout) == (3, b"")


def test_auto_never_takes_the_scripted_engine() -> None:
    done = worker("text_generation", {"v": 1, "op": "generate", "input": {"prompt": "x"}})
    # With a model library installed it is taken, and has no model; without, nobody can.
    assert result_of(done)["error"]["code"] in {"unsupported_capability", "model_not_found", "auth_missing"}


def test_what_an_engine_cannot_do_is_refused_before_it_is_loaded_and_others_are_named() -> None:
    asked = {"prompts": ["a crow"], "scheduler": "EulerDiscreteScheduler", "negative_prompt": "text"}
    said = result_of(worker("image_generation", {"v": 1, "op": "generate", "engine": "storyboard", "input": asked}))
    assert said["error"]["code"] == "unsupported_capability"
    assert "negative_prompt, scheduler" in said["error"]["message"]
    assert "Engines that can" in said["error"]["hint"]


def test_no_secret_of_the_environment_is_ever_written(tmp_path: Path) -> None:
    secret = "sk-very-secret-0123456789"
    env = {"OPENAI_API_KEY": secret, "HF_TOKEN": secret[::-1], "TERM_WIDTH_KEY": "80"}
    leaking = scripted(tmp_path, {"raise": f"401 for {secret} and {secret[::-1]}; key 80"})
    for flags in ((), ("--debug",), ("--stream", "--log-level", "debug")):
        done = worker("text_generation", leaking, *flags, env=env)
        assert "<OPENAI_API_KEY> and <HF_TOKEN>; key 80" in result_of_last(done)["error"]["message"]
        assert secret.encode() not in done.stdout + done.stderr
        assert secret[::-1].encode() not in done.stdout + done.stderr


def result_of_last(done: subprocess.CompletedProcess[bytes]) -> dict[str, Any]:
    """The terminal line of a streaming worker."""
    last: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return last


def test_a_worker_whose_input_closes_while_it_is_idle_leaves_with_0(tmp_path: Path) -> None:
    with Serving("media_processing") as serving:
        serving.say(request(id="1", input={"media": str(tone(tmp_path / "a.wav", seconds=0.2))}))
        serving.hear("result")
        serving.stdin.close()
        assert serving.process.wait(PATIENCE_S) == 0


def test_what_comes_after_shutdown_is_answered_too(tmp_path: Path) -> None:
    with Serving("media_processing") as serving:
        serving.say(composing(tmp_path, id="long"))
        serving.hear("progress")
        serving.say({"type": "shutdown"}, request(id="late"))
        assert "after shutdown" in serving.hear("error")["error"]["message"]
        assert serving.process.poll() is None


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_sigterm_answers_what_runs_and_what_waits_once_each_and_leaves(tmp_path: Path) -> None:
    with Serving("media_processing") as serving:
        serving.say(composing(tmp_path, id="long"), composing(tmp_path, id="waiting"))
        serving.hear("progress")
        serving.process.terminate()
        rest = [json.loads(line) for line in serving.stdout]
        assert serving.process.wait(PATIENCE_S) == 130
    ends = [(line["id"], line["error"]["code"]) for line in rest if line["type"] in {"result", "error"}]
    assert ends == [("long", "cancelled"), ("waiting", "cancelled")]
    assert [line for line in rest if line["type"] == "accepted"] == []


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_sigterm_while_the_request_is_still_coming_ends_in_a_line() -> None:
    with subprocess.Popen(
        [sys.executable, "-X", "importtime", str(WORKERS / "media_processing.py"), "--input", "-"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        assert process.stdout is not None
        for line in process.stderr:  # its last import: now it reads
            if b"runtime.worker" in line:
                break
        while psutil.Process(process.pid).status() not in {psutil.STATUS_SLEEPING, psutil.STATUS_DISK_SLEEP}:
            pass
        process.terminate()
        said = json.loads(process.stdout.read())
        process.stderr.read()
    assert (said["error"]["code"], process.returncode) == ("cancelled", 130)


def test_a_host_that_reads_nothing_cannot_keep_a_worker_alive(tmp_path: Path) -> None:
    """More output than a pipe holds, and nobody who reads it."""
    with Serving("text_generation") as serving:
        serving.say(scripted(tmp_path, {"output": {"text": "x" * 300_000}}))
        serving.hear("accepted")
        serving.stdin.close()
        assert serving.process.wait(PATIENCE_S) in {0, 130}


@pytest.mark.skipif(sys.platform == "win32", reason="process groups")
def test_a_worker_that_leaves_takes_the_children_of_its_children_along(tmp_path: Path) -> None:
    """In a copy of the checkout with an engine whose child starts one that reads no pipe of ours."""
    copy = tmp_path / "checkout"
    for part in ("workers", "schemas"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    engine = (copy / "workers" / "engines" / "text_generation" / "scripted.py").read_text()
    engine += (
        "\n\ndef run(self, op, input, context):\n    import subprocess\n"
        "    subprocess.run(['sh', '-c', 'sleep 600 &'])\n    return {'text': 'started'}\n\n\nEngine.run = run\n"
    )
    (copy / "workers" / "engines" / "text_generation" / "parent.py").write_text(engine)
    with Serving(str(copy / "workers" / "text_generation")) as serving:
        serving.say(scripted(tmp_path, {}) | {"engine": "parent"})
        serving.hear("result")
        group = os.getpgid(serving.process.pid)
        members = [one for one in psutil.process_iter() if one.pid != group and _group(one.pid) == group]
        assert len(members) == 1  # sh, about to become sleep, or sleep
        serving.stdin.close()
        assert serving.process.wait(PATIENCE_S) == 0
    assert still_alive(members) == []


def _group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except OSError:
        return None


def test_a_forced_end_takes_its_ffmpeg_and_its_files_along(tmp_path: Path) -> None:
    body = composing(tmp_path, id="long", options={"timeout_s": 8})
    with Serving("media_processing") as serving:
        serving.say(body)
        assert serving.hear("progress", "error")["type"] == "progress"
        children = family_tree(serving.process.pid)
        for child in children:
            child.suspend()  # now nothing notices the deadline
        assert serving.hear("error")["error"]["code"] == "timeout"
        serving.process.wait(PATIENCE_S)
    assert still_alive(children) == []
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("identity", ["1e400", "7", "[]", '"a b"', '"\\n"'])
def test_an_id_that_is_none_still_gets_its_error_line(identity: str) -> None:
    done = worker("media_processing", f'{{"v":1,"id":{identity},"op":"probe","input":{{"media":"x"}}}}'.encode())
    assert (done.returncode, result_of(done)["error"]["code"]) == (65, "invalid_request")


def test_a_name_with_a_newline_at_its_end_is_refused() -> None:
    done = worker("media_processing", request(output_name="x\n"))
    assert result_of(done)["error"]["pointer"] == "/output_name"


def test_whole_numbers_may_come_as_floats(tmp_path: Path) -> None:
    film = str(clip(tmp_path / "a.mp4", frames=5))
    body = {"shots": [{"clip": film, "num_frames": 5.0}], "width": 64.0, "height": 64, "loudness": None}
    done = worker("media_processing", {"v": 1, "op": "compose", "input": body}, "--output-dir", str(tmp_path))
    assert result_of(done)["output"]["video"]["num_frames"] == 5


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes")
def test_a_pipe_is_no_input_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    done = worker("media_processing", request(input={"media": str(tmp_path / "pipe.mp4")}))
    assert result_of(done)["error"]["code"] == "input_not_found"


def test_a_broken_engine_file_hurts_nobody(tmp_path: Path) -> None:
    """In a copy of the checkout, so that no other test ever sees it."""
    copy = tmp_path / "checkout"
    for part in ("workers", "schemas"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    engines = copy / "workers" / "engines" / "speech_synthesis"
    (engines / "half.py").write_text("class Engine: pass\n")
    (engines / "broken.py").write_text("import nothing_like_it\n")
    (engines / "torn.py").write_text("class Engine(\n")
    script = str(copy / "workers" / "speech_synthesis.py")
    said = json.loads(subprocess.run([sys.executable, script, "--describe"], capture_output=True, check=True).stdout)
    states = {name: facts["usable"] for name, facts in said["engines"].items()}
    del states["system"]  # which only some machines have
    assert states == {"broken": False, "espeak": True, "half": False, "torn": False}
    assert "lacks version" in said["engines"]["half"]["why_not"]
    body = b'{"v":1,"op":"list_voices","input":{}}'
    done = subprocess.run([sys.executable, script, "--input", "-"], input=body, capture_output=True, check=True)
    assert result_of(done)["engine"] == "espeak"


def test_a_model_or_a_gpu_is_refused_by_an_engine_that_has_none() -> None:
    for fields in ({"model": {"id": "foo"}}, {"options": {"device": "cuda"}}):
        body = {"v": 1, "op": "synthesize", "engine": "espeak", "input": {"text": "Hello."}, **fields}
        assert result_of(worker("speech_synthesis", body))["error"]["code"] == "unsupported_capability"


def test_a_described_schema_can_be_used_by_itself() -> None:
    from jsonschema import Draft202012Validator
    from referencing import Registry, Resource

    done = subprocess.run(
        [sys.executable, str(WORKERS / "media_processing.py"), "--describe"], capture_output=True, check=True
    )
    said = json.loads(done.stdout)
    documents = [said["common"], *said["ops"].values()]
    registry: Registry[Any] = Registry().with_resources(
        (part["$id"], Resource.from_contents(part)) for part in documents
    )
    check = Draft202012Validator({"$ref": f"{said['ops']['compose']['$id']}#/$defs/input"}, registry=registry)
    assert check.is_valid({"shots": [{"clip": "a.mp4", "num_frames": 1}]})
    assert not check.is_valid({"shots": [{"clip": "", "num_frames": 1}]})


def test_an_id_is_free_again_once_its_answer_is_written(tmp_path: Path) -> None:
    asked = scripted(tmp_path, {"output": {"text": "x"}}, id="same")
    with Serving("text_generation") as serving:
        for _ in range(300):
            serving.say(asked)
            assert serving.hear("result", "error")["type"] == "result"
        serving.stdin.close()
        assert serving.process.wait(PATIENCE_S) == 0


def test_a_load_is_cancelled_like_a_request(tmp_path: Path) -> None:
    """In a copy of the checkout with an engine that loads for ever."""
    copy = tmp_path / "checkout"
    for part in ("workers", "schemas"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    slow = (copy / "workers" / "engines" / "text_generation" / "scripted.py").read_text()
    slow += "\n\ndef load(self, model, options, context):\n    while True:\n        context.check()\n"
    slow += "\n\nEngine.load = load\n"
    (copy / "workers" / "engines" / "text_generation" / "slow.py").write_text(slow)
    with Serving(str(copy / "workers" / "text_generation")) as serving:
        serving.say({"type": "load", "id": "a", "engine": "slow"}, {"type": "cancel", "id": "a"})
        serving.say({"type": "load", "id": "b", "engine": "slow", "options": {"timeout_s": 0.2}})
        ends = [serving.hear("pong", "error") for _ in range(2)]
        assert [(end["id"], end["error"]["code"]) for end in ends] == [("a", "cancelled"), ("b", "timeout")]
        serving.say({"type": "load", "id": "c", "engine": "slow"})
        serving.stdin.close()
        assert serving.process.wait(PATIENCE_S) == 130


def test_after_shutdown_what_runs_can_still_be_cancelled(tmp_path: Path) -> None:
    with Serving("media_processing") as serving:
        serving.say(composing(tmp_path, id="long"))
        serving.hear("progress")
        serving.say({"type": "shutdown"}, {"type": "ping", "id": "p"}, {"type": "cancel", "id": "long"})
        assert serving.hear("pong")["id"] == "p"
        assert serving.hear("error")["error"]["code"] == "cancelled"
        assert serving.process.wait(PATIENCE_S) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_does_not_lead_out_of_the_output_folder(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "link").symlink_to(tmp_path)
    body = request(output_dir=str(tmp_path / "out" / "link"))
    said = result_of(worker("media_processing", body, "--output-dir", str(tmp_path / "out")))
    assert said["error"]["pointer"] == "/output_dir"


def test_every_line_of_a_worker_fits_its_schema(tmp_path: Path) -> None:
    sound = str(tone(tmp_path / "a.wav", seconds=0.2))
    kinds = set()
    with Serving("media_processing") as serving:
        serving.say(
            request(op="join_audio", id="1", input={"clips": [sound]}, output_dir=str(tmp_path)), request(id="2")
        )
        serving.say({"type": "ping"}, {"type": "shutdown"})
        for line in serving.stdout:
            message = json.loads(line)
            kinds.add(message["type"])
            name = message["type"] if message["type"] in {"result", "error"} else "event"
            assert validation.violations(message, validation.document(name)) == [], message
    assert kinds == {"ready", "accepted", "progress", "artifact", "result", "error", "pong"}


def test_a_new_engine_does_not_become_the_default_by_its_name(tmp_path: Path) -> None:
    copy = tmp_path / "checkout"
    for part in ("workers", "schemas"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    engines = copy / "workers" / "engines" / "speech_synthesis"
    (engines / "aaa.py").write_text("from engines.speech_synthesis.espeak import Engine\n")
    command = [sys.executable, str(copy / "workers" / "speech_synthesis.py"), "--input", "-"]
    body = b'{"v":1,"op":"list_voices","input":{}}'
    assert result_of(subprocess.run(command, input=body, capture_output=True, check=True))["engine"] == "espeak"


def test_a_long_silence_is_broken_by_a_heartbeat_only_while_a_request_runs() -> None:
    import io

    from runtime.request import Family
    from runtime.session import HEARTBEAT_S, Session
    from runtime.streams import Wire

    pipe = io.BytesIO()
    wire = Wire(pipe)
    session = Session(
        Family("media_processing"), wire, output_dir=None, timeout_s=None, events=True, serving=True, debug=False
    )
    wire.last_write -= HEARTBEAT_S + 1
    session.heartbeat()
    assert pipe.getvalue() == b""
    session.running = "long"
    session.heartbeat()
    assert json.loads(pipe.getvalue()) == {"type": "heartbeat", "v": 1, "id": "long"}
    session.heartbeat()  # it has just been broken
    assert pipe.getvalue().count(b"\n") == 1
