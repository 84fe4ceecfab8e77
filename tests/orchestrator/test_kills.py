"""Kill -9 at random moments: what was finished stays finished, and the film comes out as if nothing had happened."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from killing import contents, killed_again_and_again
from support import SMALL, STORY, storygen

SEEDS, KILLS_EACH = range(4), 5


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, int]:
    """The story, the contents of its film and how many lines a whole run says."""
    folder = tmp_path_factory.mktemp("undisturbed")
    story = folder / "lamps.md"
    story.write_text(STORY, encoding="utf-8")
    done = storygen("run", story, "--out", folder / "run", *SMALL, "--json")
    assert done.returncode == 0, done.stderr
    return story, contents(folder / "run" / "final.mp4"), len(done.stdout.splitlines())


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_lost_or_made_twice(seed: int, undisturbed: tuple[Path, str, int], tmp_path: Path) -> None:
    story, film, lines = undisturbed
    outcome = killed_again_and_again(story, tmp_path / "run", seed, KILLS_EACH, lines // 3)
    assert outcome.kills >= KILLS_EACH - 1  # a run may end before the line it was to be killed after
    assert outcome.survivors == []
    assert outcome.twice == []
    assert outcome.film == film
    assert not list((tmp_path / "run").rglob("*.partial.*"))


def test_the_hash_sees_a_single_frame(undisturbed: tuple[Path, str, int], tmp_path: Path) -> None:
    from support import FFMPEG

    story, film, _ = undisturbed
    other = tmp_path / "other.mp4"
    change = "drawbox=enable='eq(n,40)':w=8:h=8:t=fill:c=red"
    source = story.parent / "run" / "final.mp4"
    subprocess.run([FFMPEG, "-v", "error", "-i", source, "-vf", change, "-c:a", "copy", other], check=True)
    assert contents(other) != film
