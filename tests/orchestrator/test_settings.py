"""Settings that a worker would refuse are all told before the first stage, as the user wrote them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support import SMALL, storygen

from orchestrator import needs, profile, settings
from orchestrator.pool import Pool


@pytest.fixture(scope="module")
def pool() -> Pool:
    """What workers say of themselves, asked once."""
    return Pool()


def faults(pool: Pool, *given: str) -> list[str]:
    found = settings.error(needs.taken(profile.load("draft", given)), pool)
    return (found.details or [found.message]) if found else []


@pytest.mark.parametrize("name", profile.names())
def test_the_profiles_that_come_with_it_are_good(name: str, pool: Pool) -> None:
    assert settings.error(needs.taken(profile.load(name)), pool) is None


@pytest.mark.parametrize(
    ("where", "value", "said"),
    [
        ("post.input.crf", "99", "is 99; it must be a number from 0 to 51."),
        ("post.input.crff", "9", "post.input has no field crff. Did you mean crf?"),
        ("post.input.loudness", "loud", 'is "loud"; it must be one of short_video, podcast, broadcast, null.'),
        ("post.input.music", "3", "is 3; it must be a text."),
        ("post.input.music", "/no/such.mp3", "is /no/such.mp3; there is no such file."),
        ("subtitles.input.style", "fancy", 'is "fancy"; it must be one of highlight, boxed, plain.'),
        ("subtitles.input.highlight_color", "red", 'is "red"; it must be a text such as #FFFFFF.'),
        ("subtitles.input.formats", "[]", "is []; it must have at least 1 entries."),
        ("subtitles.input.formats", "['srt']", "subtitles.input.formats leaves out ass, which the film's captions are"),
        ("subtitles.input.formats", "3", "is 3; it must be a list."),
        ("keyframes.engine_options.pictures", "3", "is 3; it must be a text or null."),
        ("voice.input.speed", "0", "is 0; it must be a number from 0.5 to 2.0."),
        ("voice.engine_options.pich", "3", "voice.engine_options has no field pich. Did you mean pitch?"),
        ("voice.options.timeout_s", "0", "is 0; it must be a number above 0, at most 604800 or null."),
        ("keyframes.model.dtype", "float8", 'is "float8"; it must be one of float32, float16, bfloat16, null.'),
        (
            "keyframes.engine_options.pictures",
            "/no/such",
            "The folder of pictures /no/such cannot be read: No such file",
        ),
    ],
)
def test_a_wrong_setting_is_named(where: str, value: str, said: str, pool: Pool) -> None:
    [found] = faults(pool, f"{where}={value}")
    assert found.startswith(f"{where} {said}" if said.startswith("is ") else said)


def test_a_folder_without_pictures(pool: Pool, tmp_path: Path) -> None:
    (tmp_path / ".DS_Store").write_bytes(b"x")
    setting = f"keyframes.engine_options.pictures={tmp_path}"
    assert faults(pool, setting) == [f"The folder of pictures {tmp_path} holds no file."]
    (tmp_path / "1.png").write_bytes(b"x")
    assert faults(pool, setting) == []


def test_what_a_stage_fills_in_itself_is_not_missed(pool: Pool) -> None:
    assert faults(pool, "post.input.crf=18", "video.input.motion_hint=slow") == []


WRONG = ("--set", "post.input.crf=99", "--set", "voice.input.speed=0")
SAID = "2 settings are wrong: voice.input.speed is 0; it must be a number from 0.5 to 2.0. post.input.crf is 99;"


def test_a_run_says_all_and_leaves_the_film_where_it_is(run_folder: Path, story: Path) -> None:
    film = (run_folder / "final.mp4").read_bytes()
    for more in ((), ("--dry-run",)):
        done = storygen("run", story, "--out", run_folder, *SMALL, *WRONG, *more)
        assert (done.returncode, SAID in done.stderr) == (65, True), done.stderr
    assert (run_folder / "final.mp4").read_bytes() == film
    assert not (run_folder / "previous.mp4").exists()
    done = storygen("run", story, "--out", run_folder, *SMALL, *WRONG[:2], "--to", "scenes")
    assert done.returncode == 0, done.stderr  # whose stages it does not touch


def test_a_batch_says_it_of_each_story_before_any_is_begun(story: Path, tmp_path: Path) -> None:
    lines = [{"story": str(story), "out": "good"}, {"story": str(story), "out": "bad", "set": ["voice.input.speed=0"]}]
    batch = tmp_path / "stories.jsonl"
    batch.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    done = storygen("batch", batch, "--out", tmp_path / "films", *SMALL, "--to", "voice")
    assert (done.returncode, "voice.input.speed is 0; it must be" in done.stderr) == (65, True), done.stderr
    assert (tmp_path / "films" / "good" / "voice").is_dir()
    assert not (tmp_path / "films" / "bad" / "collect").exists()
