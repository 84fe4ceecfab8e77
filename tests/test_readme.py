"""What README and the guide say, held against the program."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT, WORKERS, result_of, storygen

from runtime import registry, validation
from runtime.request import Family
from runtime.worker import parser

README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDE = (WORKERS / "engines" / "ADDING_AN_ENGINE.md").read_text(encoding="utf-8")
TABLE = json.loads((ROOT / "schemas" / "v1" / "errors.json").read_text(encoding="utf-8"))


def test_the_exit_codes_are_the_programs() -> None:
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", README, re.MULTILINE)
    told = {code: int(number) for number, codes in rows for code in re.findall(r"`(\w+)`", codes)}
    assert told == {code: row["exit"] for code, row in TABLE.items()}


def test_the_flags_are_the_programs() -> None:
    told = re.findall(r"`(--[a-z-]+)`", README[README.index("\nFlags: ") :].split("\n\n")[0])
    real = {option for action in parser(Family("media_processing"))._actions for option in action.option_strings}
    assert set(told) == real - {"-h"}


def test_the_table_of_workers_is_complete() -> None:
    for script in sorted(WORKERS.glob("*.py")):
        family = script.stem
        row = next(line for line in README.splitlines() if line.startswith(f"| `{family}.py` |"))
        _, _, operations, engines, _ = row.split("|")
        assert {name.strip() for name in operations.split(",")} == set(validation.operations(family))
        assert set(re.findall(r"`(\w+)`", engines)) == set(registry.names(family))


def test_the_events_of_the_table_are_those_of_the_code() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in (WORKERS / "runtime").glob("*.py"))
    table = README[README.index("| type | when | members |") :].split("\n\n")[0]
    for kind in re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE):
        assert f'"{kind}"' in code, kind


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
def test_the_first_request_does_what_it_shows(tmp_path: Path) -> None:
    command = README[README.index('echo \'{"v":1,"op":"synthesize"') :].split("```")[0]
    command = command.replace("python workers", f"'{sys.executable}' '{WORKERS}'", 1).replace("' '", "' '")
    command = command.replace(f"'{WORKERS}'/speech_synthesis.py", f"'{WORKERS}/speech_synthesis.py'")
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, cwd=tmp_path, check=True)
    answer = result_of(done)
    shown = json.loads(re.search(r"```json\n(\{\"type\":\"result\".*?)```", README, re.DOTALL)[1])  # type: ignore[index]
    assert set(shown) == set(answer)
    assert set(shown["output"]) == set(answer["output"])
    assert shown["output"]["language"] == answer["output"]["language"]
    assert shown["output"]["audio"]["bytes"] == answer["output"]["audio"]["bytes"]
    assert [word["end_s"] for word in shown["output"]["words"]] == pytest.approx(
        [word["end_s"] for word in answer["output"]["words"]], abs=0.001
    )
    assert set(shown["metrics"]) == set(answer["metrics"])


def test_the_commands_of_storygen_exist() -> None:
    blocks = "".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL))
    for command in set(re.findall(r"^storygen (\w+)", blocks, re.MULTILINE)):
        assert storygen(command, "--help").returncode == 0, command
    helped = storygen("run", "--help").stdout
    for option in set(re.findall(r"storygen run [^\n#]*?(--[a-z]+)", README)):
        assert option in helped


def test_the_guides_engine_works_when_it_is_copied(tmp_path: Path) -> None:
    copy = tmp_path / "checkout"
    for part in ("workers", "schemas"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    engine = GUIDE.split("```python\n")[1].split("```")[0]
    (copy / "workers" / "engines" / "text_generation" / "backwards.py").write_text(engine, encoding="utf-8")
    request = {"v": 1, "op": "generate", "engine": "backwards", "input": {"prompt": "one two"}}
    request["engine_options"] = {"upper": True}
    command = [sys.executable, str(copy / "workers" / "text_generation.py"), "--input", "-"]
    done = subprocess.run(command, input=json.dumps(request).encode(), capture_output=True, check=True)
    answer = result_of(done)
    assert answer["output"]["text"] == "OWT ENO"
    wanted = validation.document("text_generation/generate")["$defs"]["output"]
    assert validation.violations(answer["output"], wanted) == []
    for other in (copy / "workers" / "engines" / "text_generation").glob("[a-z]*.py"):
        if other.stem not in {"backwards", "scripted"}:
            other.unlink()
    auto = {"v": 1, "op": "generate", "input": {"prompt": "one two"}}  # the only one that needs no options
    done = subprocess.run(command, input=json.dumps(auto).encode(), capture_output=True, check=True)
    assert result_of(done)["engine"] == "backwards"


def test_nothing_here_names_a_machine_of_its_makers() -> None:
    listed = subprocess.run(["git", "ls-files"], capture_output=True, text=True, cwd=ROOT, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    homes = re.compile(r"/(home|Users|root)/[a-z]+/|localhost:\d{4}/simple")
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".sh", ".json", ".lock", ".mjs"} and path != Path(__file__):
            assert not homes.search(path.read_text(encoding="utf-8")), name
