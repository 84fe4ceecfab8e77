"""What comes from outside: workers that lie or chatter, signals, closed pipes and terminals, odd names."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
from failing import completes, drop, failed, posix, run, whole_items
from support import PATIENCE_S, ROOT, SMALL, STORY, Running, accepted, family_tree, still_alive, storygen

from orchestrator import worker
from orchestrator.errors import StorygenError
from orchestrator.pool import Pool
from orchestrator.progress import NoReport
from orchestrator.run import Run

# Workers that lie, chatter or ask to wait

ENGINE = '''"""For tests."""

import os, sys
from engines.{family}.{name} import Engine as Honest
from runtime.errors import WorkerError


class Engine(Honest):
    options_schema = {{
        "type": "object",
        "properties": {{**Honest.options_schema["properties"], "do": {{"type": "string", "default": "", "description": "."}}}},
        "additionalProperties": False,
    }}

    def run(self, op, input, context):
        do = context.engine_options["do"]
        if do == "wait":
            raise WorkerError("rate_limited", "Too many requests.", retry_after_s=600)
        if do == "chatter":
            sys.stderr.write(("x" * 99 + "\\n") * 10_000)
            for number in range(33_334):
                context.delta("text", "so")
        output = super().run(op, input, context)
        file = output["images"][0] if "images" in output else {{}}
        outside = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(file.get("path", "")))), "outside.png")
        if do == "no images": output = {{}}
        if do == "no hash": file.pop("sha256")
        if do == "other hash": file["sha256"] = "0" * 64
        if do == "other size": file["bytes"] += 1
        if do == "no file": os.unlink(file["path"])
        if do == "folder": os.unlink(file["path"]); os.mkdir(file["path"])
        if do == "outside": os.rename(file["path"], outside); file["path"] = outside
        if do == "upwards":
            os.rename(file["path"], outside); file["path"] = os.path.join(file["path"], "../../../../outside.png")
        if do == "link": os.rename(file["path"], outside); os.symlink(outside, file["path"])
        if do == "text": file["width"] = "wide"
        if do == "warnings": context.warnings.append(7)
        return output
'''  # noqa: E501 - each lie on its line


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the program, with an engine ``odd`` for pictures and one for voices."""
    copy = tmp_path_factory.mktemp("checkout")
    for part in ("workers", "schemas", "orchestrator"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("*.md"))
    for family, name in (("image_generation", "storyboard"), ("speech_synthesis", "espeak")):
        engine = copy / "workers" / "engines" / family / "odd.py"
        engine.write_text(ENGINE.format(family=family, name=name), encoding="utf-8")
    return copy


@pytest.fixture(scope="module")
def odd_pool(checkout: Path) -> Iterator[Pool]:
    """Warm workers that have the engine ``odd``."""
    with pytest.MonkeyPatch.context() as patch, Pool() as pool:
        patch.setattr(worker, "WORKERS", checkout / "workers")
        yield pool


@posix
@pytest.mark.parametrize(
    ("lie", "said"),
    [
        ("no images", "'images' is a required property"),
        ("no hash", "'sha256' is a required property"),
        ("other hash", f"not {'0' * 64}"),
        ("other size", "bytes, not "),
        ("no file", "there is no file "),
        ("folder", "there is no file "),
        ("outside", "lies outside of "),
        ("upwards", "lies outside of "),
        ("link", "lies outside of "),
        ("text", "output/images/0/width: 'wide' is not of type 'integer'"),
        ("warnings", "wrong shape"),
    ],
)
def test_a_lie_is_not_stored(lie: str, said: str, odd_pool: Pool, tmp_path: Path) -> None:
    settings = {"engine": "odd", "engine_options": {"do": lie}}
    request = {"width": 64, "height": 64, "prompts": ["a hill"], "seed": 1}
    with Run(tmp_path, odd_pool, NoReport(), ends_pool=False) as run:
        with pytest.raises(StorygenError) as caught:
            run.work("keyframes", "one", "image_generation", "generate", request, settings=settings)
        assert caught.value.code == "internal_error"
        assert said in caught.value.message
        assert "keyframes one" in caught.value.message
        assert list((tmp_path / "keyframes").iterdir()) == []
        true = run.work("keyframes", "one", "image_generation", "generate", request, settings={"engine": "storyboard"})
        assert true.output["images"][0]["width"] == 64


def test_a_number_that_json_has_not_is_no_result() -> None:
    with Pool() as pool:
        engine = pool.engine("image_generation", "storyboard", "generate")
    assert engine.violations({"images": [], "score": float("nan")}) == [
        "output holds a number that JSON has not: NaN or Infinity"
    ]


def test_a_lying_engine_fails_the_run_and_the_next_of_its_stage_takes_over(
    checkout: Path, run_folder: Path, made: Path, story: Path
) -> None:
    lying = ("--set", "keyframes.engine=odd", "--set", "keyframes.engine_options.do=other hash")
    done = run(story, run_folder, *lying, cwd=checkout)
    failed(done, 70, "keyframes shot-001: the engine odd gave a wrong result, which is not kept", "the profile")
    assert whole_items(run_folder) == whole_items(made)
    done = run(story, run_folder, *lying, "--set", 'keyframes.fallback=["storyboard"]', cwd=checkout)
    assert done.returncode == 0, done.stderr
    assert "Made by storyboard, because odd failed: keyframes shot-001: the engine odd gave a wrong" in done.stderr
    completes(story, run_folder, made)


def test_a_chatty_engine_is_borne(checkout: Path, run_folder: Path, story: Path) -> None:
    """A hundred thousand events, a megabyte of stderr for each picture."""
    chatty = ("--set", "keyframes.engine=odd", "--set", "keyframes.engine_options.do=chatter", "--to", "keyframes")
    done = run(story, run_folder, *chatty, cwd=checkout)
    assert done.returncode == 0, done.stderr
    assert len(done.stderr) < 10_000
    kept = (run_folder / "events.ndjson").read_text(encoding="utf-8").splitlines()
    assert sum(json.loads(line)["type"] == "delta" for line in kept) == 100_002


@posix
@pytest.mark.parametrize("stage", ["voice", "keyframes"])
def test_a_long_wait_for_a_provider_ends_at_once(
    stage: str, checkout: Path, run_folder: Path, made: Path, story: Path
) -> None:
    waiting = ("--set", f"{stage}.engine=odd", "--set", f"{stage}.engine_options.do=wait")
    with Running(story, run_folder, *waiting, cwd=checkout) as running:
        assert running.until(stage, "retry")["wait_s"] == 600
        everyone = family_tree(running.process.pid)
        begun = time.monotonic()
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(PATIENCE_S) == 130
    assert time.monotonic() - begun < 10
    assert still_alive(everyone) == []
    begun = time.monotonic()
    failed_at_once = run(story, run_folder, *waiting, "--timeout", "300", cwd=checkout)  # it would wait for longer
    assert failed_at_once.returncode == 75, failed_at_once.stderr
    assert "Too many requests" in failed_at_once.stderr
    assert time.monotonic() - begun < 30
    completes(story, run_folder, made)
    assert accepted(run_folder) == []


# Two runs, signals, closed pipes and terminals


def test_a_run_at_work_is_left_alone_and_needs_its_story_no_more(run_folder: Path, made: Path, tmp_path: Path) -> None:
    story = tmp_path / "story.md"
    story.write_text(STORY, encoding="utf-8")
    drop(run_folder, "keyframes", "video")
    with Running(story, run_folder) as running:
        running.until("keyframes", "accepted")
        failed(run(story, run_folder), 73, f"Another run is working in {run_folder}.", "Wait for it")
        failed(storygen("status", run_folder), 73, "right now", "Ask again")
        story.write_text("Another story.", encoding="utf-8")
        story.unlink()
        _, said = running.process.communicate(timeout=PATIENCE_S)
    assert running.process.returncode == 0, said
    failed(storygen("status", run_folder), 66, f"There is no story file {story}", "Give the path")
    story.write_text(STORY, encoding="utf-8")
    completes(story, run_folder, made)
    assert accepted(run_folder) == []


@posix
@pytest.mark.parametrize(
    ("number", "stage"), [(signal.SIGINT, "voice"), (signal.SIGTERM, "video"), (signal.SIGHUP, "video")]
)
def test_a_signal_ends_a_run_with_several_jobs_under_way(
    number: signal.Signals, stage: str, run_folder: Path, made: Path, story: Path
) -> None:
    drop(run_folder, *(["voice"] if stage == "voice" else ["keyframes", "video"]))
    with Running(story, run_folder) as running:
        running.until(stage, "accepted")
        everyone = family_tree(running.process.pid)
        before = whole_items(run_folder)
        running.process.send_signal(number)
        assert running.process.wait(PATIENCE_S) == 130
        said = running.process.stderr.read() if running.process.stderr else ""
    assert said.lstrip() == "Stopped.\n  Finished work is kept: the same command continues.\n"
    assert everyone
    assert still_alive(everyone) == []
    assert before.items() <= whole_items(run_folder).items()
    assert json.loads((run_folder / "manifest.json").read_text(encoding="utf-8"))["state"] == "stopped"
    completes(story, run_folder, made)


def read_until(pipe: IO[str], words: str) -> None:
    assert any(words in line for line in pipe), f"{words!r} never came"


@posix
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_run_whose_words_nobody_reads_stops_in_order(stream: str, run_folder: Path, made: Path, story: Path) -> None:
    """As with ``storygen run … --json | head``, and with ``… 2>&1 | head``."""
    drop(run_folder, "keyframes", "video")
    command = [sys.executable, "-m", "orchestrator", "run", str(story), "--out", str(run_folder), *SMALL]
    command += ["--json"] if stream == "stdout" else []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        ours, other = (process.stdout, process.stderr) if stream == "stdout" else (process.stderr, process.stdout)
        read_until(ours, "keyframes")
        everyone = family_tree(process.pid)
        ours.close()
        assert process.wait(PATIENCE_S) == 130
        said = other.read()
    assert still_alive(everyone) == []
    assert ("Nobody reads what the run says any more" in said) == (stream == "stdout")
    assert "Traceback" not in said
    if stream == "stdout":
        completes(story, run_folder, made)


@posix
def test_a_closed_terminal_ends_the_run(run_folder: Path, made: Path, story: Path) -> None:
    import fcntl
    import termios

    drop(run_folder, "keyframes", "video")
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "orchestrator", "run", str(story), "--out", str(run_folder), *SMALL]
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT, start_new_session=True,
        env={**os.environ, "COLUMNS": "200", "TERM": "xterm"},
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - no thread is at work here
    ) as process:  # fmt: skip
        os.close(theirs)
        seen = b""
        while b"video" not in seen:
            seen += os.read(ours, 4096)
        while not (everyone := family_tree(process.pid)):
            os.read(ours, 4096)
        os.close(ours)
        assert process.wait(PATIENCE_S) != 0
    assert still_alive(everyone) == []
    assert json.loads((run_folder / "manifest.json").read_text(encoding="utf-8"))["state"] == "stopped"
    completes(story, run_folder, made)


@posix
def test_a_closed_stdin_is_no_fault(run_folder: Path, story: Path) -> None:
    drop(run_folder, "keyframes")
    done = run(story, run_folder, preexec_fn=lambda: os.close(0), stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    assert [stage for stage, _ in accepted(run_folder)] == ["keyframes"] * 4  # the scenes and three panels


# Odd names


@posix
def test_a_folder_of_a_very_odd_and_long_name(made: Path, story: Path, tmp_path: Path) -> None:
    name = 'run #1 100% %d 🎬 it\'s "[x]", (y); a\\b:c\n$HOME & -vf ..'
    name += "ž" * ((255 - len(name.encode())) // 2)
    folder = Path(shutil.copytree(made, tmp_path / f"{name[:-2]}. "))
    drop(folder, "subtitles", "video", "post")
    completes(story, folder, made)


@posix
def test_a_story_named_like_a_flag_with_crlf_and_bom(made: Path, tmp_path: Path) -> None:
    (tmp_path / "-x.md").write_bytes(b"\xef\xbb\xbf" + STORY.replace("\n", "\r\n").encode())
    taken = storygen("run", "-x.md", cwd=tmp_path)
    assert (taken.returncode, "No such option" in taken.stderr) == (2, True), taken.stderr
    done = storygen("run", *SMALL, "--to", "script", "--", "-x.md", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    script = Path("script", "script", "script.json")
    assert (tmp_path / "runs" / "-x" / script).read_bytes() == (made / script).read_bytes()
