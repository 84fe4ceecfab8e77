#!/usr/bin/env python3
"""Tasks of this checkout. Standard library only: run it with any Python 3.11 or newer, nothing else is needed.

Each task makes `.venv` beside this file where it is missing and installs what it needs there, with requirements.lock as
pip's constraints. What is installed already is not installed again.
"""

# Python 3.8 must be able to read this file, or nobody could tell it that it is too old; a test holds that.
from __future__ import annotations

import argparse
import ast
import contextlib
import hashlib
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

OLDEST_PYTHON = (3, 11)
ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
LOCK = ROOT / "requirements.lock"
STAMP = VENV / "storygen-installed.json"
DEMO_STORY = "examples/crow.md"
DEMO_FOLDER = "runs/demo"
INTERRUPTED = 130
STOP_S = 15  # longer than a run takes to ask its workers to stop and, in the end, to kill them

EXAMPLES = """\
examples:
  python3 dev.py demo                               a story becomes a video, without models or keys
  python3 dev.py demo --set film.width=540          whatever follows goes to `storygen run`
  python3 dev.py test                               all tests that need no models
  python3 dev.py test --models                      those with torch, diffusers and transformers too (1.8 GB)
  python3 dev.py test tests/test_dev.py -k lock     whatever follows goes to pytest
  python3 dev.py lint --fix                         format, and repair what ruff can
  python3 dev.py bench                              what the wire costs, beside baselines of the same run
  python3 dev.py bench ltx local                    only these
  python3 dev.py lock --upgrade-package pillow      whatever follows goes to `uv pip compile`
"""

PIP_HINTS = (
    ("No space left on device", "The disk is full: the draft set takes about 0.5 GB, --models about 2 GB."),
    ("CERTIFICATE_VERIFY_FAILED|SSLError", "A proxy may be reading TLS: set PIP_CERT to its certificate bundle."),
    (
        "NewConnectionError|NameResolutionError|Connect(ion|Timeout)Error|ReadTimeoutError|ProxyError",
        "The package index was not reached: set HTTPS_PROXY behind a proxy, PIP_INDEX_URL for a mirror, and try again.",
    ),
    (
        "ResolutionImpossible|conflicting dependencies|No matching distribution",
        "requirements.lock does not fit this Python or platform. If you changed pyproject.toml: python3 dev.py lock.",
    ),
)


class Failed(Exception):
    """A task cannot go on; the message is for people and says what to do."""


class Installed(NamedTuple):
    """What `.venv` holds: the extras, and the digest of pyproject.toml and lock they came from ("": not known)."""

    digest: str
    extras: set[str]


def main(arguments: list[str] | None = None) -> int:
    """Run one task; returns the exit code."""
    problem = version_problem(sys.version_info)
    if problem:
        print(problem, file=sys.stderr)
        return 1
    options, rest = parse(arguments)
    try:
        return TASKS[options.task](options, rest)
    except Failed as failure:
        print(f"dev.py: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


def version_problem(version: Sequence[Any]) -> str | None:
    """What to tell somebody whose Python is too old; None when it is not."""
    if tuple(version[:2]) >= OLDEST_PYTHON:
        return None
    needed, found = (".".join(map(str, numbers)) for numbers in (OLDEST_PYTHON, version[:3]))
    newer = [name for name in ("python3.13", "python3.12", "python3.11", "python3.14") if shutil.which(name)]
    advice = f"Try: {newer[0]} dev.py" if newer else "Get a newer one from https://www.python.org/downloads/"
    return f"storygen needs Python {needed} or newer; this is {found}. {advice}"


def parse(arguments: list[str] | None) -> tuple[argparse.Namespace, list[str]]:
    """The task with its own options, and the rest, which goes to the program behind the task."""
    parser = argparse.ArgumentParser(
        prog="dev.py", description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    tasks = parser.add_subparsers(dest="task", metavar="TASK", required=True)
    tasks.add_parser("demo", help=f"make a video of {DEMO_STORY}", allow_abbrev=False)
    test = tasks.add_parser("test", help="run the tests", allow_abbrev=False)
    test.add_argument("--models", action="store_true", help="also those that need the models extra (1.8 GB)")
    lint = tasks.add_parser("lint", help="check format, rules and types", allow_abbrev=False)
    lint.add_argument("--fix", action="store_true", help="format, and repair what can be repaired")
    bench = tasks.add_parser("bench", help="measure against baselines of the same run", allow_abbrev=False)
    bench.add_argument("names", nargs="*", metavar="NAME", help=f"all, or some of {', '.join(programs())}")
    tasks.add_parser("lock", help="resolve requirements.lock anew from pyproject.toml", allow_abbrev=False)
    options, rest = parser.parse_known_args(arguments)
    allowed = {"lint": "nothing but --fix", "bench": f"nothing but names out of {', '.join(programs())}"}
    wrong = rest + [name for name in vars(options).get("names", []) if name not in programs()]
    if wrong and options.task in allowed:
        parser.error(f"{options.task} takes {allowed[options.task]}; got {' '.join(wrong)}")
    return options, rest


# Tasks


def demo(options: argparse.Namespace, rest: list[str]) -> int:
    """Render the demo story in draft quality, then say what it took and where it lies."""
    setup_s = install(set())
    began = time.monotonic()
    code = run([PYTHON, "-m", "orchestrator", "run", DEMO_STORY, "--profile", "draft", "--out", DEMO_FOLDER, *rest])
    render_s = time.monotonic() - began
    if code:
        return code
    film = ROOT / last_value(rest, "--out", DEMO_FOLDER) / "final.mp4"
    if not film.is_file():
        raise Failed(f"the run ended well but left no {film}. This is a bug.")
    code = run([PYTHON, "-m", "orchestrator", "sheet", film.parent, "--columns", "9", "--cell-width", "160"])
    if code:
        return code
    print(f"\nset-up  {setup_s:6.1f} s, {size_of(VENV) / 1e6:.0f} MB in {VENV.name}")
    print(f"render  {render_s:6.1f} s\nvideo   {film}\nopen    {open_command(film)}")
    return 0


def test(options: argparse.Namespace, rest: list[str]) -> int:
    """Run pytest, without the tests marked `models` unless asked for."""
    install({"test", "fonts"} | ({"models"} if options.models else set()))
    marked = [] if options.models else ["-m", "not models"]
    return run([PYTHON, "-m", "pytest", *marked, *rest])


def lint(options: argparse.Namespace, rest: list[str]) -> int:
    """Run ruff's formatter and rules, then mypy: always all three, so that one run shows everything."""
    install({"lint", "test"})
    checking = [] if options.fix else ["--check", "--output-format", "concise"]
    formatted = run([PYTHON, "-m", "ruff", "format", *checking, "."])
    ruled = run([PYTHON, "-m", "ruff", "check", *(["--fix"] if options.fix else []), "."])
    typed = run([PYTHON, "-m", "mypy"])
    return max(formatted, ruled, typed)


def bench(options: argparse.Namespace, rest: list[str]) -> int:
    """Run the programs of bench/: they print figures and aims, and fail only where something does not work."""
    install(set())
    found = programs()
    return max([run([PYTHON, found[name]]) for name in options.names or found], default=0)


def programs() -> dict[str, Path]:
    """The programs of bench/ by name; what they share lies in a folder there."""
    return {path.stem: path for path in sorted((ROOT / "bench").glob("*.py"))}


def lock(options: argparse.Namespace, rest: list[str]) -> int:
    """Resolve all extras for all platforms at once, keeping today's pins unless told to upgrade."""
    make_venv()
    pip("installing uv", "uv")
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder, LOCK.name)
        if LOCK.exists():
            shutil.copyfile(LOCK, draft)  # uv keeps the pins it finds in its output file
        how = ["--quiet", "--universal", "--fork-strategy", "fewest", "--python-version", "3.11", "--all-extras"]
        command: list[str | Path] = [
            PYTHON,
            "-m",
            "uv",
            "pip",
            "compile",
            *how,
            "pyproject.toml",
            "--output-file",
            draft,
            *rest,
        ]
        code = run(command, {**environment(), **indexes_for_uv()})
        if code:
            return code
        text = portable(draft.read_text(encoding="utf-8"))
    LOCK.write_bytes(text.encode("utf-8"))
    say(f"{LOCK.name} holds {len(re.findall('^[^ #]+==', text, re.MULTILINE))} pins")
    return 0


TASKS: dict[str, Callable[[argparse.Namespace, list[str]], int]] = {
    "demo": demo,
    "test": test,
    "lint": lint,
    "bench": bench,
    "lock": lock,
}


# Installing


def install(extras: set[str]) -> float:
    """Bring `.venv` up to date for these extras of pyproject.toml; returns the seconds it took."""
    began = time.monotonic()
    make_venv()
    digest = hashlib.sha256((ROOT / "pyproject.toml").read_bytes() + LOCK.read_bytes()).hexdigest()
    before = read_stamp()
    if before.digest == digest and extras <= before.extras:
        return time.monotonic() - began
    # Until all is well: what was there, of no known digest. So the next task starts over, but does not try again for an
    # extra that could not be installed and that it does not need.
    write_stamp(Installed("", before.extras))
    wanted = sorted(before.extras | extras)
    if "models" in wanted:
        # First and alone: a build of torch that is here already, for CPU or GPU, must not be traded for another.
        pip("installing torch", torch_pin(LOCK.read_text(encoding="utf-8")))
    pip(" ".join(["installing storygen", *wanted]), "--editable", f".[{','.join(wanted)}]" if wanted else ".")
    compile_packages()
    write_stamp(Installed(digest, set(wanted)))
    seconds = time.monotonic() - began
    say(f"ready in {seconds:.1f} s")
    return seconds


def make_venv() -> None:
    """Make `.venv` with this Python, unless it is there and works."""
    if PYTHON.exists():
        found = output_of([PYTHON, "-c", "import sys; print(*sys.version_info[:2])"]).split()
        if tuple(map(int, found)) < OLDEST_PYTHON:
            raise Failed(f"{VENV} is broken or its Python is too old. Delete that folder and try again.")
        return
    if any(importlib.util.find_spec(module) is None for module in ("venv", "ensurepip")):
        package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        raise Failed(f"this Python cannot make virtual environments. On Debian or Ubuntu: sudo apt install {package}")
    say(f"making {VENV.name} with Python {'.'.join(map(str, sys.version_info[:3]))}")
    quietly([sys.executable, "-m", "venv", VENV], "making .venv")


def pip(what: str, *arguments: str) -> None:
    """Install with pip into `.venv`, held to the lock; its words are shown only if it fails."""
    say(what)
    held = ["--constraint", LOCK.name] if LOCK.exists() else []
    # Bytecode is left to compile_packages, which uses every core.
    how = ["--no-input", "--disable-pip-version-check", "--no-compile"]
    quietly([PYTHON, "-m", "pip", "install", *how, *arguments, *held], what)


def torch_pin(text: str) -> str:
    """`torch==X` of a lock. It has no build tag, so that every build of that version fits."""
    found = re.search(r"^torch==[^\s;+]+", text, re.MULTILINE)
    if not found:
        raise Failed(f"{LOCK.name} pins no torch. Run python3 dev.py lock.")
    return found.group()


def compile_packages() -> None:
    """Write bytecode where it is missing: without it a process that imports diffusers starts in 11 s, not in 4."""
    folder = output_of([PYTHON, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]).strip()
    # Its exit code says nothing: some packages carry files for other Pythons, which nothing imports.
    output_of([PYTHON, "-m", "compileall", "-qq", "-j", "0", folder])


def read_stamp() -> Installed:
    """What install last achieved."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        stored = json.loads(STAMP.read_text(encoding="utf-8"))
        return Installed(stored["digest"], set(stored["extras"]))
    return Installed("", set())


def write_stamp(installed: Installed) -> None:
    """Remember it inside `.venv`, so that it goes when `.venv` goes."""
    stored = {"digest": installed.digest, "extras": sorted(installed.extras)}
    STAMP.write_text(json.dumps(stored) + "\n", encoding="utf-8")


# The lock


def indexes_for_uv() -> dict[str, str]:
    """pip's configured indexes as environment variables, for uv does not read pip's configuration."""
    settings = pip_settings(output_of([PYTHON, "-m", "pip", "config", "list"]))
    names = {"index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX", "cert": "SSL_CERT_FILE"}
    found = {variable: settings[name] for name, variable in names.items() if name in settings}
    if "find-links" in settings:
        found["UV_FIND_LINKS"] = settings["find-links"].replace(" ", ",")
    # Like pip: the best version of all indexes, not the first index that has the name.
    found["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    found["UV_CUSTOM_COMPILE_COMMAND"] = "python3 dev.py lock"
    return {name: value for name, value in found.items() if name not in os.environ}


def pip_settings(listing: str) -> dict[str, str]:
    """`pip config list` as {name: value}, the strongest source winning; several values are separated by one space."""
    values: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}  # weakest first
    for line in listing.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.rpartition(".")
        if section in values:
            values[section][name] = " ".join(str(ast.literal_eval(value)).split())
    return {name: value for section in values.values() for name, value in section.items()}


def portable(text: str) -> str:
    """A lock without what is true on one machine only; raises Failed if it names an index.

    `torch==2.13.0+cpu` exists only where somebody put it; `torch==2.13.0` accepts it too.
    """
    if "://" in text:
        raise Failed(f"uv wrote the address of an index into its result; {LOCK.name} was left as it was.")
    return re.sub(r"^([^\s#]+==[^\s;+]+)\+[^\s;]+", r"\1", text, flags=re.MULTILINE)


# Processes


def environment() -> dict[str, str]:
    """Ours, except that children may write bytecode."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


@contextlib.contextmanager
def process(command: Sequence[str | Path], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process in the checkout, started from a list of arguments: no shell ever sees them.

    Ctrl+C reaches it as well as us. It gets time to stop what it has started, where subprocess.run gives it 0.25 s.
    """
    options.setdefault("env", environment())
    with subprocess.Popen([str(part) for part in command], cwd=ROOT, **options) as started:
        try:
            yield started
        except KeyboardInterrupt:
            with contextlib.suppress(KeyboardInterrupt, subprocess.TimeoutExpired):
                started.wait(STOP_S)
            started.kill()  # does nothing to one that has ended
            raise


def run(command: Sequence[str | Path], env: dict[str, str] | None = None) -> int:
    """Run to the end with our own streams; returns the exit code, in a shell's way for one that a signal ended."""
    sys.stdout.flush()
    with process(command, env=env or environment()) as started:
        code = started.wait()
    return 128 - code if code < 0 else code


def quietly(command: Sequence[str | Path], what: str) -> None:
    """Run and show, on a terminal, only the line it is at; raises Failed with all it said if it fails."""
    lines = []
    with process(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as started:
        for line in started.stdout or ():
            lines.append(line.decode("utf-8", "replace").rstrip())
            status(lines[-1])
        code = started.wait()
    status("")
    if code:
        text = "\n".join(lines)
        hints = [hint for pattern, hint in PIP_HINTS if re.search(pattern, text)]
        raise Failed("\n".join([f"{what} failed with exit code {code}:", text, *hints[:1]]))


def output_of(command: Sequence[str | Path]) -> str:
    """What a command prints; an empty text if it fails or cannot start."""
    with contextlib.suppress(OSError):
        with process(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as started:
            out, _ = started.communicate()
        if started.returncode == 0:
            return str(out, "utf-8", "replace")
    return ""


# Words


def say(text: str) -> None:
    """One line of progress."""
    print(f"dev.py: {text}", flush=True)


def status(text: str) -> None:
    """Show a text in place on a terminal until the next one, and elsewhere nothing."""
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns - 1
        print("\r" + f"  {text.strip()}"[:width].ljust(width), end="" if text else "\r", flush=True)


def last_value(arguments: Sequence[str], option: str, default: str) -> str:
    """The value that an option ends up with: of `--out X` and `--out=X` the last one counts."""
    value = default
    for position, argument in enumerate(arguments):
        if argument == option:
            value = "".join(arguments[position + 1 : position + 2])
        elif argument.startswith(f"{option}="):
            value = argument[len(option) + 1 :]
    return value


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*"))


def open_command(path: Path) -> str:
    """How to open a file from this system's command line."""
    if os.name == "nt":
        return f'start "" "{path}"'
    return f"{'open' if sys.platform == 'darwin' else 'xdg-open'} {shlex.quote(str(path))}"


if __name__ == "__main__":
    sys.exit(main())
