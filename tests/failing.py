"""What tests of runs that fail share: a run in its own process, what it must say, and that nothing was lost."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import PATIENCE_S, ROOT, SMALL

posix = pytest.mark.skipif(os.name != "posix", reason="signals, descriptors, links")


def run(story: Path, folder: Path, *more: str, **how: Any) -> subprocess.CompletedProcess[str]:
    """A run in its own process; ``how`` is subprocess's."""
    command = [sys.executable, "-m", "orchestrator", "run", str(story), "--out", str(folder), *SMALL, *more]
    how = {"cwd": ROOT, "timeout": PATIENCE_S, "capture_output": True, **how}
    return subprocess.run(command, text=True, encoding="utf-8", check=False, **how)


def failed(done: subprocess.CompletedProcess[str], code: int, *said: str) -> None:
    """It ended with this exit code, named what happened and what to do, and showed no insides."""
    assert done.returncode == code, done.stderr
    for words in said:
        assert words in done.stderr, done.stderr
    assert "\n  " in done.stderr[done.stderr.index("error: ") :], "no hint"
    assert "Traceback" not in done.stderr


def completes(story: Path, folder: Path, made: Path) -> str:
    """The same command again makes the same film, to the bit, and leaves nothing unfinished; returns what it said."""
    done = run(story, folder)
    assert done.returncode == 0, done.stderr
    assert (folder / "final.mp4").read_bytes() == (made / "final.mp4").read_bytes()
    assert json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["state"] == "done"
    assert not (folder / "previous.mp4").exists()
    assert not list(folder.rglob("*.partial.*"))
    return done.stderr


def whole_items(folder: Path) -> dict[str, str]:
    """``stage/item`` -> its result.json, of every item whose files are what it says."""
    found = {}
    for path in folder.glob("*/*/result.json"):
        text = path.read_text(encoding="utf-8")
        for artifact in files_in(json.loads(text)["output"]):
            assert hashlib.sha256((path.parent / artifact["path"]).read_bytes()).hexdigest() == artifact["sha256"]
        found[path.parent.relative_to(folder).as_posix()] = text
    return found


def files_in(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict) and "sha256" in value:
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from files_in(item)


def drop(folder: Path, *items: str) -> None:
    for item in items:
        shutil.rmtree(folder / item)
