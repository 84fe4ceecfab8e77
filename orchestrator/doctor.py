"""``storygen doctor`` and ``storygen describe``: what this machine can do, and what to do where it cannot.

Nothing is guessed: workers are started and asked, letters are set in a font, a word is spoken, FFmpeg lists its parts.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from orchestrator.errors import StorygenError, error_table, without_secrets
from orchestrator.worker import WORKERS, Patience, Worker, describe, script

State = Literal["ok", "warning", "fault"]

OLDEST_PYTHON = (3, 11)
FILTERS = ("ass", "loudnorm", "sidechaincompress", "alimiter")
ENCODERS = ("libx264", "aac")
SCRIPTS = {
    "Latin": ("en", "The crow, Wrona, Krähe."),
    "Greek and Cyrillic": ("el", "κόρακας ворона"),
    "Arabic": ("ar", "غراب"),
    "Chinese": ("zh", "乌鸦喝水"),
    "Japanese": ("ja", "カラスと水差し"),
    "Hindi": ("hi", "कौआ"),
    "emoji": ("en", "😀 🦊"),
}
"""What people write stories in -> language and a few of its letters."""
NEEDED_SCRIPT = "Latin"
"""The one whose absence is a fault: the demo is written in it."""
LEAST_MEMORY, LEAST_DISK, FULL_DISK = 1.0e9, 2.0e9, 0.2e9
"""Bytes: a film of 1080×1920 takes some 0.6 GB of memory; a run of some minutes leaves up to 1 GB of files."""
HUB_TOKEN = "HF_TOKEN"  # noqa: S105 - the variable's name
AT_ONCE = 2
"""Processes at work at once: few, so that their times say something about this machine."""
LISTING_S, REQUEST_S = 20.0, 60.0
"""Longest waits: for FFmpeg to list what it has, for a worker to do something that takes a moment."""
PATIENCE = Patience(start_s=60.0, grace_s=5.0, cancel_s=2.0)
BROKEN_WORKER = "Run it by hand for its own words: {python} {script} --describe"


@dataclass(frozen=True)
class Finding:
    """One thing looked at: what was found, and what to do about it where it is not well."""

    name: str
    state: State
    found: str
    advice: str | None = None


@dataclass(frozen=True)
class _Answer:
    """What a family's worker says of itself, or why it does not."""

    said: Mapping[str, Any] | None
    error: StorygenError | None
    seconds: float


def check() -> list[Finding]:
    """Look at everything a film needs; takes about a second, and every wait is bounded.

    No value of a variable that names a key, token, secret or password is in a finding.
    """
    with ThreadPoolExecutor(AT_ONCE) as threads:
        answers = dict(_asked(threads))
        slow = list(threads.map(_guarded, ("FFmpeg", "captions", "speech"), (_ffmpeg, _captions, _speech)))
    quick = [_guarded(name, look) for name, look in (("memory", _memory), ("disk", _disk), ("processors", _cores))]
    findings = [_python(), *(_worker(family, answer) for family, answer in answers.items())]
    findings += [finding for group in slow + quick for finding in group]
    known = {family: answer.said for family, answer in answers.items() if answer.said is not None}
    findings += [_engines(family, said) for family, said in known.items()]
    findings += _keys(known)
    return [replace(finding, found=without_secrets(finding.found)) for finding in findings]


def lines(findings: list[Finding]) -> list[str]:
    """The findings for people, the advice below what it is about, and a summary at the end."""
    width = max(len(finding.name) for finding in findings)
    rows = []
    for finding in findings:
        rows.append(f"{finding.state:<7}  {finding.name:<{width}}  {finding.found}")
        if finding.advice:
            rows.append(f"{'':<7}  {'':<{width}}  {finding.advice}")
    count = Counter(finding.state for finding in findings)
    if not count["fault"]:
        warned = f"; {_counted(count['warning'], 'warning')} above" if count["warning"] else ""
        return [*rows, "", f"storygen can make a draft here{warned}."]
    both = " and ".join(_counted(count[state], state) for state in ("fault", "warning") if count[state])
    return [*rows, "", f"{both}: storygen cannot work here until the faults are mended."]


def exit_code(findings: list[Finding]) -> int:
    """0 when there is no fault, else that of ``engine_unavailable``."""
    broken = any(finding.state == "fault" for finding in findings)
    return int(error_table()["engine_unavailable"]["exit"]) if broken else 0


def describe_all(family: str | None = None) -> dict[str, Any]:
    """Family -> {why_not, ops: {name: title}, engines: {name: {usable, why_not, version, capabilities, …}}}.

    Of one family, or of all; a worker that does not answer then has a ``why_not``, the others' is null. Raises
    StorygenError for a named family that does not exist or whose worker does not answer.
    """
    if family is not None:
        script(family)
        answer = _ask(family)
        if answer.error is not None:
            raise answer.error
        return {family: _described(answer)}
    with ThreadPoolExecutor(AT_ONCE) as threads:
        return {name: _described(answer) for name, answer in _asked(threads)}


def describe_lines(described: Mapping[str, Any]) -> list[str]:
    """What ``describe_all`` returns, for people."""
    rows: list[str] = []
    for family, facts in described.items():
        rows += ["", family] if rows else [family]
        if facts["why_not"]:
            rows.append(f"  cannot be used: {facts['why_not']}")
            continue
        width = max(map(len, [*facts["ops"], *facts["engines"]]), default=0)
        rows.append("  operations")
        rows += [f"    {name:<{width}}  {title}" for name, title in facts["ops"].items()]
        rows.append("  engines")
        rows += [f"    {name:<{width}}  {_engine_line(one, facts['ops'])}" for name, one in facts["engines"].items()]
    return rows


def families() -> list[str]:
    """Names of the worker scripts."""
    return sorted(path.stem for path in WORKERS.glob("*.py"))


# Looking


def _asked(threads: ThreadPoolExecutor) -> Iterator[tuple[str, _Answer]]:
    """Every family and its answer."""
    names = families()
    return zip(names, threads.map(_ask, names), strict=True)


def _ask(family: str) -> _Answer:
    began = time.monotonic()
    try:
        said, error = describe(family), None
    except StorygenError as failure:
        said, error = None, failure
    return _Answer(said, error, time.monotonic() - began)


def _guarded(name: str, look: Callable[[], list[Finding]]) -> list[Finding]:
    """The findings; whatever keeps us from looking is one itself."""
    try:
        return look()
    except StorygenError as error:
        return [Finding(name, "fault", _in_words(error), error.hint)]
    except OSError as error:
        return [Finding(name, "fault", f"could not be tried: {error}", "See that this user may read and write there.")]


def _python() -> Finding:
    found = f"{'.'.join(map(str, sys.version_info[:3]))}, {sys.executable}"
    if sys.version_info[:2] >= OLDEST_PYTHON:
        return Finding("Python", "ok", found)
    needed = ".".join(map(str, OLDEST_PYTHON))
    return Finding("Python", "fault", found, f"storygen needs Python {needed} or newer: https://www.python.org")


def _worker(family: str, answer: _Answer) -> Finding:
    name = f"worker {family}"
    if answer.error is None:
        return Finding(name, "ok", f"answers in {answer.seconds:.2f} s")
    advice = BROKEN_WORKER.format(python=sys.executable, script=WORKERS / f"{family}.py")
    return Finding(name, "fault", _in_words(answer.error), advice)


def _ffmpeg() -> list[Finding]:
    """The FFmpeg that the workers take, which they choose in the same way (workers/media/ffmpeg.py)."""
    advice = f"Run: {sys.executable} -m pip install --force-reinstall imageio-ffmpeg"
    if os.environ.get("IMAGEIO_FFMPEG_EXE"):
        advice = "Unset IMAGEIO_FFMPEG_EXE, and the packaged FFmpeg is taken; or let it name one that has all it needs."
    try:
        import imageio_ffmpeg

        program = str(imageio_ffmpeg.get_ffmpeg_exe())
        version, filters, encoders = (_listed(program, what) for what in ("-version", "-filters", "-encoders"))
    except (ImportError, RuntimeError, OSError, subprocess.SubprocessError) as error:
        return [Finding("FFmpeg", "fault", f"cannot be run: {error}", advice)]
    packaged = Path(program).is_relative_to(Path(imageio_ffmpeg.__file__).parent)
    origin = "packaged" if packaged else f"the system's, {shutil.which(program) or program}"
    number = re.match(r"ffmpeg version (\S+)", version)
    found = f"{number[1] if number else 'unknown version'} ({origin})"
    missing = [f"filter {name}" for name in FILTERS if not _has(filters, name)]
    missing += [f"encoder {name}" for name in ENCODERS if not _has(encoders, name)]
    if missing:
        return [Finding("FFmpeg", "fault", f"{found} lacks {', '.join(missing)}", advice)]
    return [Finding("FFmpeg", "ok", f"{found} has {', '.join((*FILTERS, *ENCODERS))}")]


def _listed(program: str, what: str) -> str:
    done = subprocess.run(
        [program, "-hide_banner", what],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=LISTING_S,
        check=True,
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )
    return done.stdout.decode("utf-8", "replace")


def _has(listing: str, name: str) -> bool:
    """Whether a listing of FFmpeg's has it: flags, name, words of explanation."""
    return re.search(rf"^\s*\S+\s+{re.escape(name)}\s", listing, re.MULTILINE) is not None


def _captions() -> list[Finding]:
    with _warm("media_processing") as request:
        return [_caption(request, name, *SCRIPTS[name]) for name in SCRIPTS]


def _caption(request: Callable[..., dict[str, Any]], name: str, language: str, text: str) -> Finding:
    """Whether captions in a script can be drawn, by having a line of it made."""
    words = [{"word": word, "start_s": at, "end_s": at + 0.9} for at, word in enumerate(text.split())]
    label = f"captions {name}"
    lacking: State = "fault" if name == NEEDED_SCRIPT else "warning"
    try:
        output = request("captions", {"words": words, "language": language, "formats": ["ass"]})
    except StorygenError as error:
        if error.code != "font_not_found":
            raise
        return Finding(label, lacking, "cannot be drawn: no font here has all its letters", error.hint)
    fonts = ", ".join(f"{font['family']} ({font['origin']})" for font in output["fonts"])
    return Finding(label, "ok", f"drawn with {fonts}")


def _speech() -> list[Finding]:
    with _warm("speech_synthesis") as request:
        output = request("synthesize", {"text": "Hello."})
    spoken = output["audio"]["duration_s"]
    return [Finding("speech", "ok", f"voice {output['voice']} said a word, {spoken:.1f} s long")]


@contextmanager
def _warm(family: str) -> Iterator[Callable[[str, dict[str, Any]], dict[str, Any]]]:
    """One worker for several requests: (op, input) -> output. What it writes goes again."""
    prefix = "storygen-doctor-"
    with tempfile.TemporaryDirectory(prefix=prefix) as folder, Worker(family, patience=PATIENCE) as worker:

        def request(op: str, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002 - the wire's word
            whole = {"v": 1, "op": op, "input": input, "options": {"timeout_s": REQUEST_S}, "output_dir": folder}
            output: dict[str, Any] = worker.request(whole)["output"]
            return output

        yield request


def _memory() -> list[Finding]:
    import psutil

    memory = psutil.virtual_memory()
    found = f"{memory.available / 1e9:.1f} GB free of {memory.total / 1e9:.1f}"
    if memory.available >= LEAST_MEMORY:
        return [Finding("memory", "ok", found)]
    return [Finding("memory", "warning", found, "Close other programs, or make a smaller film (--set film.width=540).")]


def _disk() -> list[Finding]:
    here = Path.cwd()
    free = shutil.disk_usage(here).free
    found = f"{free / 1e9:.1f} GB free in {here}"
    if not os.access(here, os.W_OK):
        return [Finding("disk", "warning", f"{here} cannot be written", "Go to another folder, or give --out.")]
    if free >= LEAST_DISK:
        return [Finding("disk", "ok", found)]
    return [Finding("disk", "fault" if free < FULL_DISK else "warning", found, "Free space, or give --out.")]


def _cores() -> list[Finding]:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return [Finding("processors", "ok", _counted(usable, "core"))]


def _engines(family: str, said: Mapping[str, Any]) -> Finding:
    """An operation that no engine can do is a fault, a broken file a warning; an engine not set up is neither."""
    name, engines = f"engines {family}", said["engines"]
    usable = [f"{one} {facts['version']}" for one, facts in engines.items() if facts["usable"]]
    why_not = [f"{one}: {facts['why_not']}" for one, facts in engines.items() if not facts["usable"]]
    possible = {op for facts in engines.values() if facts["usable"] for op in facts["ops"]}
    undone = [op for op in said["ops"] if op not in possible]
    found = "; ".join([f"usable: {', '.join(usable) or 'none'}", *why_not])
    if undone:
        return Finding(name, "fault", f"none can do {', '.join(undone)}; {found}", "Install what an engine asks for.")
    if any("version" not in facts for facts in engines.values()):
        return Finding(name, "warning", found, f"Mend or remove that file in {WORKERS / 'engines' / family}.")
    return Finding(name, "ok", found)


def _keys(known: Mapping[str, Mapping[str, Any]]) -> list[Finding]:
    """Which keys are there. Being without one is no fault: an engine that needs it says so itself."""
    uses: dict[str, list[str]] = {}
    for family, said in known.items():
        for name, facts in said["engines"].items():
            if facts.get("key_env"):
                uses.setdefault(facts["key_env"], []).append(f"{family} {name}")
    uses.setdefault(HUB_TOKEN, []).append("gated models of the Hugging Face hub")
    states = {variable: "set" if os.environ.get(variable) else "not set" for variable in uses}
    return [
        Finding(f"key {variable}", "ok", f"{states[variable]}; for {', '.join(users)}")
        for variable, users in sorted(uses.items())
    ]


# Words


def _described(answer: _Answer) -> dict[str, Any]:
    if answer.said is None:
        why_not = without_secrets(_in_words(answer.error)) if answer.error else None
        return {"why_not": why_not, "ops": {}, "engines": {}}
    kept = ("usable", "why_not", "version", "ops", "capabilities", "remote", "key_env", "models")
    engines = {
        name: {member: facts[member] for member in kept if member in facts}
        | {"why_not": facts["why_not"] and without_secrets(facts["why_not"])}
        for name, facts in answer.said["engines"].items()
    }
    ops = {op: document.get("title", "") for op, document in answer.said["ops"].items()}
    return {"why_not": None, "ops": ops, "engines": engines}


def _engine_line(facts: Mapping[str, Any], ops: Mapping[str, str]) -> str:
    """Version and abilities of an engine, or why it cannot be used; its operations where it lacks some."""
    parts = ["usable" if facts["usable"] else f"not usable: {facts['why_not']}"]
    if "version" in facts:
        parts.append(f"version {facts['version']}")
        parts += [", ".join(facts["ops"])] if len(facts["ops"]) < len(ops) else []
        parts += [", ".join(facts["capabilities"])] if facts["capabilities"] else []
    return " · ".join(parts)


def _in_words(error: StorygenError) -> str:
    return " | ".join([error.message, *(detail for detail in error.details if detail.strip())])


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
