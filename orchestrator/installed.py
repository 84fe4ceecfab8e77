"""Whether storygen can start at all: a Python that is new enough, and its packages. Standard library only."""

# Python 3.8 must be able to read this file, or nobody could tell it that it is too old; a test holds that.
from __future__ import annotations

import importlib.util
import json
import shlex
import sys
from pathlib import Path

OLDEST_PYTHON = (3, 11)
CHECKOUT = Path(__file__).resolve().parents[1]
VENV = CHECKOUT / ".venv"
MODULES = (
    "PIL", "av", "click", "espeakng_loader", "ffmpeg", "filelock", "fontTools", "fontpkg", "imageio_ffmpeg",
    "jsonschema", "markdown_it", "numpy", "psutil", "pysubs2", "rapidfuzz", "rich", "sentencex", "snowballstemmer",
    "tenacity",
)  # fmt: skip
"""What the packages that pyproject.toml names for a draft are imported as; a test compares them."""


def main() -> None:
    """Leave with the exit code of ``engine_unavailable``, and say what to run, where storygen cannot start."""
    if said := problem(sys.version_info[:2], missing()):
        sys.stderr.write(said + "\n")
        table = json.loads((CHECKOUT / "schemas" / "v1" / "errors.json").read_text(encoding="utf-8"))
        sys.exit(table["engine_unavailable"]["exit"])


def missing() -> list[str]:
    """The modules that this Python cannot find; nothing is imported."""
    return [name for name in MODULES if importlib.util.find_spec(name) is None]


def problem(version: tuple[int, ...], lacking: list[str]) -> str | None:
    """What is the matter and what to do, in lines; None where all is well."""
    if version >= OLDEST_PYTHON and not lacking:
        return None
    here, python = f"In {CHECKOUT}", shlex.quote(sys.executable or "python3")
    if version < OLDEST_PYTHON:
        needed = ".".join(map(str, OLDEST_PYTHON))
        return "\n".join(
            (
                f"error: This is Python {'.'.join(map(str, version))} ({python}); storygen needs {needed} or newer.",
                f"  Install it (https://www.python.org), then, {here[0].lower()}{here[1:]}: python3 dev.py demo",
            )
        )
    program = next((path for name in ("bin", "Scripts") for path in (VENV / name).glob("storygen*")), None)
    ready = (
        [f"  They may be in .venv: {shlex.quote(str(program))} {shlex.join(sys.argv[1:])}".rstrip()] if program else []
    )
    return "\n".join(
        (
            f"error: Python packages that storygen needs are not installed for {python}: {', '.join(lacking)}.",
            *ready,
            f"  {here}: python3 dev.py demo    (makes .venv with all of them, and a first film)",
            f"  Or, {here[0].lower()}{here[1:]}: {python} -m pip install -c requirements.lock -e .",
        )
    )
