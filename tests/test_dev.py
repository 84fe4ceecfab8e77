"""The tasks of dev.py and the lock they install from."""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import dev

ROOT = Path(__file__).resolve().parent.parent
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

STAND_IN = """
import json, os, sys, time
arguments = sys.argv[1:]
if "--wait" in arguments:
    try:
        print("started", flush=True)
        while True:
            time.sleep(0.05)
    except KeyboardInterrupt:
        time.sleep(0.6)  # stopping workers takes longer than the 0.25 s that subprocess.run would grant
        print("cleaned up", flush=True)
        sys.exit(130)
if "--fail" in arguments:
    sys.exit(75)
if arguments[0] == "sheet":
    open(os.path.join(arguments[1], "contact_sheet.jpg"), "wb").close()
    sys.exit(0)
folder = arguments[len(arguments) - arguments[::-1].index("--out")]
os.makedirs(folder)
open(os.path.join(folder, "final.mp4"), "wb").close()
print(json.dumps({"arguments": arguments, "bytecode": "PYTHONDONTWRITEBYTECODE" not in os.environ}))
"""


def pins() -> Iterator[Requirement]:
    for line in LOCK.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            yield Requirement(line)


def declared() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"].values()
    return [Requirement(text) for text in (*PROJECT["dependencies"], *(text for extra in extras for text in extra))]


# The lock


def test_the_lock_pins_every_dependency_at_a_version_that_pyproject_allows() -> None:
    pinned = {canonicalize_name(pin.name): next(iter(pin.specifier)).version for pin in pins()}
    for requirement in declared():
        version = pinned.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not in the lock"
        assert requirement.specifier.contains(version), f"{requirement} but the lock has {version}"


def test_the_lock_holds_exact_versions_that_exist_everywhere() -> None:
    assert {specifier.operator for pin in pins() for specifier in pin.specifier} == {"=="}
    assert [str(pin) for pin in pins() if pin.url or "+" in str(pin.specifier) or len(pin.specifier) != 1] == []


def test_the_lock_names_no_place() -> None:
    assert "://" not in LOCK
    assert not re.search(r"^\s*-", LOCK, re.MULTILINE), "an option such as --find-links"
    assert not re.search(r"(^|[\s'\"=])[/~]\w|[A-Za-z]:\\", LOCK), "an absolute path"


def test_nothing_pulls_in_what_breaks_transformers_beside_a_cpu_torch() -> None:
    assert {"torchvision", "torchaudio"}.isdisjoint(canonicalize_name(pin.name) for pin in pins())


def test_a_lock_made_beside_a_local_build_of_torch_is_made_portable() -> None:
    made = "torch==2.13.0+cpu\n    # via x (pyproject.toml)\ntorch==2.13.0+cpu ; sys_platform == 'linux'\nav==18.1.0\n"
    assert dev.portable(made) == made.replace("+cpu", "")


def test_a_lock_that_names_an_index_is_refused() -> None:
    with pytest.raises(dev.Failed, match="index"):
        dev.portable("--index-url https://mirror.example/simple\nav==18.1.0\n")


def test_torch_is_installed_as_the_lock_has_it_without_its_marker() -> None:
    assert dev.torch_pin("torch-x==1\ntorch==2.13.0 ; sys_platform == 'linux'\n") == "torch==2.13.0"
    assert dev.torch_pin(LOCK) in LOCK.splitlines()


def test_pip_settings_reach_uv_and_the_environment_beats_the_files() -> None:
    listing = r"""
:env:.index-url='https://three.example/simple'
freeze.timeout='10'
global.extra-index-url='\nhttps://one.example/simple\nhttps://two.example/simple'
global.index-url='https://four.example/simple'
"""
    assert dev.pip_settings(listing) == {
        "index-url": "https://three.example/simple",
        "extra-index-url": "https://one.example/simple https://two.example/simple",
    }


# Who may run it


def test_an_old_python_can_read_dev_py_and_is_told_that_it_is_too_old() -> None:
    ast.parse((ROOT / "dev.py").read_text(encoding="utf-8"), feature_version=(3, 8))
    pretend = "import runpy, sys; sys.version_info = (3, 8, 18, 'final', 0); sys.argv = ['dev.py', 'demo']; "
    pretend += "runpy.run_path('dev.py', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", pretend], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("storygen needs Python 3.11 or newer; this is 3.8.18.")
    assert len(done.stderr.splitlines()) == 1


def test_the_version_asked_for_is_the_one_that_pyproject_asks_for() -> None:
    assert PROJECT["requires-python"] == ">=" + ".".join(map(str, dev.OLDEST_PYTHON))
    assert dev.version_problem((*dev.OLDEST_PYTHON, 0)) is None


def test_help_lists_every_task() -> None:
    done = subprocess.run([sys.executable, ROOT / "dev.py", "--help"], capture_output=True, text=True, check=True)
    for task in dev.TASKS:
        assert re.search(rf"^ +{task} +\w", done.stdout, re.MULTILINE), task
        assert f"python3 dev.py {task}" in done.stdout


def test_an_unknown_task_is_a_usage_error() -> None:
    done = subprocess.run([sys.executable, ROOT / "dev.py", "dmeo"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "demo" in done.stderr


# What it installs


class Pip:
    """Stands where dev.pip does: remembers what was asked for, and fails for one extra if told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.broken = ""

    def __call__(self, what: str, *arguments: str) -> None:
        self.asked.append(arguments[-1])
        if self.broken and self.broken in arguments[-1]:
            raise dev.Failed(self.broken)


@pytest.fixture
def pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pip:
    for name in ("pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path)
    pip = Pip()
    replaced = {"ROOT": tmp_path, "LOCK": tmp_path / "requirements.lock", "STAMP": tmp_path / "stamp.json", "pip": pip}
    for name, value in replaced.items():
        monkeypatch.setattr(dev, name, value)
    monkeypatch.setattr(dev, "make_venv", lambda: None)
    monkeypatch.setattr(dev, "compile_packages", lambda: None)
    return pip


def test_what_is_installed_is_not_installed_again(pip: Pip) -> None:
    dev.install({"test"})
    dev.install({"test"})
    dev.install(set())
    assert pip.asked == [".[test]"]


def test_extras_add_up_and_torch_comes_first_and_alone(pip: Pip) -> None:
    dev.install(set())
    dev.install({"lint", "test"})
    dev.install({"models", "test"})
    assert pip.asked == [".", ".[lint,test]", dev.torch_pin(LOCK), ".[lint,models,test]"]


@pytest.mark.parametrize("name", ["pyproject.toml", "requirements.lock"])
def test_a_change_installs_all_extras_anew(pip: Pip, tmp_path: Path, name: str) -> None:
    dev.install({"test"})
    (tmp_path / name).write_text(LOCK + "# changed\n", encoding="utf-8")
    dev.install(set())
    assert pip.asked == [".[test]", ".[test]"]


def test_an_extra_that_failed_is_not_tried_again_by_a_task_that_does_not_need_it(pip: Pip) -> None:
    dev.install({"test"})
    pip.broken = "models"
    with pytest.raises(dev.Failed):
        dev.install({"models"})
    dev.install({"test"})
    assert pip.asked == [".[test]", dev.torch_pin(LOCK), ".[models,test]", ".[test]"]


def test_the_install_brings_no_top_level_name_but_the_orchestrator(tmp_path: Path) -> None:
    try:
        importlib.metadata.distribution("storygen")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("storygen is not installed here; python3 dev.py test installs it")
    ours = {
        path.stem for folder in (ROOT, ROOT / "workers") for path in folder.iterdir() if re.match("[a-z]", path.stem)
    }
    script = "import importlib.util as u, json, sys; print(json.dumps([n for n in sys.argv[1:] if u.find_spec(n)]))"
    found = subprocess.run(
        [sys.executable, "-I", "-c", script, *sorted(ours)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert {"workers", "runtime", "media", "tests"} <= ours
    assert json.loads(found.stdout) == ["orchestrator"]


# How it runs things


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout in a folder with a blank whose orchestrator is a stand-in and whose `.venv` is up to date."""
    if os.name == "nt":
        pytest.skip("the stand-in's .venv is a symbolic link")
    folder = tmp_path / "a checkout"
    (folder / "orchestrator").mkdir(parents=True)
    (folder / "orchestrator" / "__main__.py").write_text(STAND_IN, encoding="utf-8")
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv" / "bin" / "python").symlink_to(sys.executable)
    for name in ("dev.py", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, folder)
    digest = hashlib.sha256((ROOT / "pyproject.toml").read_bytes() + (ROOT / "requirements.lock").read_bytes())
    stamp = {"digest": digest.hexdigest(), "extras": []}
    (folder / ".venv" / dev.STAMP.name).write_text(json.dumps(stamp), encoding="utf-8")
    return folder


def run_demo(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(checkout / "dev.py"), "demo", *arguments]
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=checkout.parent, env=env, capture_output=True, text=True, check=False)


def test_demo_renders_the_draft_and_says_where_the_film_lies(checkout: Path) -> None:
    done = run_demo(checkout, "--set", "film.width=270")
    assert (done.returncode, done.stderr) == (0, "")
    seen = json.loads(done.stdout.splitlines()[0])
    expected = ["run", "examples/crow.md", "--profile", "draft", "--out", "runs/demo", "--set", "film.width=270"]
    assert seen == {"arguments": expected, "bytecode": True}
    film = checkout / "runs" / "demo" / "final.mp4"
    assert film.is_file()
    assert film.with_name("contact_sheet.jpg").is_file()
    assert f"video   {film}\n" in done.stdout
    assert re.search(rf"^open    (xdg-open|open) '{film}'$", done.stdout, re.MULTILINE)


@pytest.mark.parametrize("out", [["--out", "elsewhere"], ["--out=x", "--out", "elsewhere"]])
def test_demo_follows_the_folder_it_was_given(checkout: Path, out: list[str]) -> None:
    assert f"video   {checkout / 'elsewhere' / 'final.mp4'}\n" in run_demo(checkout, *out).stdout


def test_demo_ends_with_the_exit_code_of_the_run_and_claims_no_film(checkout: Path) -> None:
    done = run_demo(checkout, "--fail")
    assert done.returncode == 75
    assert "video" not in done.stdout


def test_ctrl_c_lets_the_run_stop_its_workers_and_ends_quietly_with_130(checkout: Path) -> None:
    command = [sys.executable, str(checkout / "dev.py"), "demo", "--wait"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        os.killpg(process.pid, signal.SIGINT)  # what a terminal does
        stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stdout, stderr) == (130, "cleaned up\n", "")


def run_bench(checkout: Path, *names: str) -> subprocess.CompletedProcess[str]:
    """In a checkout with two programs, of which one fails, and a file that they share."""
    (checkout / "bench" / "shared").mkdir(parents=True)
    (checkout / "bench" / "shared" / "c.py").write_text("print('not a program')", encoding="utf-8")
    (checkout / "bench" / "a.py").write_text("import sys; print('figures of a'); sys.exit(3)", encoding="utf-8")
    script = "import os; print('figures of b', 'PYTHONDONTWRITEBYTECODE' in os.environ)"
    (checkout / "bench" / "b.py").write_text(script, encoding="utf-8")
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, str(checkout / "dev.py"), "bench", *names]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def test_bench_runs_every_program_of_its_folder_and_ends_with_the_worst_exit_code(checkout: Path) -> None:
    done = run_bench(checkout)
    assert (done.returncode, done.stdout) == (3, "figures of a\nfigures of b False\n")


def test_bench_runs_only_the_programs_named(checkout: Path) -> None:
    done = run_bench(checkout, "b")
    assert (done.returncode, done.stdout) == (0, "figures of b False\n")


@pytest.mark.parametrize("wrong", ["c", "b.py", "--quick"])
def test_an_unknown_program_of_bench_is_a_usage_error_that_names_those_there_are(checkout: Path, wrong: str) -> None:
    done = run_bench(checkout, "b", wrong)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith(f"bench takes nothing but names out of a, b; got {wrong}\n")


def test_a_program_that_fails_is_shown_with_all_it_said_and_a_hint() -> None:
    script = "import sys; print('ERROR: No matching distribution found for x'); sys.exit(3)"
    with pytest.raises(dev.Failed) as caught:
        dev.quietly([sys.executable, "-c", script], "installing x")
    first, said, hint = str(caught.value).splitlines()
    assert first == "installing x failed with exit code 3:"
    assert said == "ERROR: No matching distribution found for x"
    assert "python3 dev.py lock" in hint
