"""A finished run that many tests look at; making it takes some seconds, so it is made once and copied."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support import SMALL, STORY, storygen


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("story") / "two lamps – ž.md"
    path.write_text(STORY, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def made(story: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run folder; not to be changed."""
    folder = tmp_path_factory.mktemp("runs") / "small film ž"
    done = storygen("run", story, "--out", folder, *SMALL)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def run_folder(made: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, free to be spoilt."""
    return Path(shutil.copytree(made, tmp_path / "run"))
