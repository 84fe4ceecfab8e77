"""``storygen doctor`` and ``storygen describe``: what this machine can do, and what to do where it cannot.

Nothing is guessed: workers are started and asked, letters are set in a font, a word is spoken, FFmpeg lists its parts.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from orchestrator import doctor_captions as captions
from orchestrator import doctor_machine as machine
from orchestrator import doctor_models
from orchestrator.doctor_findings import Finding, in_words, install
from orchestrator.errors import StorygenError, without_secrets
from orchestrator.worker import WORKERS, Patience, Worker, describe, script

if TYPE_CHECKING:  # both take half as long to import as all else that is looked at here
    from orchestrator.doctor_deep import Say
    from orchestrator.doctor_letters import Telling

HUB_TOKEN = "HF_TOKEN"  # noqa: S105 - the variable's name
AT_ONCE = 2
"""Processes at work at once: few, so that their times say something about this machine."""
REQUEST_S = 60.0
"""Longest wait for a worker to do something that takes a moment."""
PATIENCE = Patience(start_s=60.0, grace_s=5.0, cancel_s=2.0)
BROKEN_WORKER = "Run it by hand for its own words: {python} {script} --describe"


@dataclass(frozen=True)
class _Answer:
    """What a family's worker says of itself, or why it does not."""

    said: Mapping[str, Any] | None
    error: StorygenError | None
    seconds: float


def check(
    name: str | None = None, profile: Mapping[str, Any] | None = None, telling: Telling | None = None
) -> list[Finding]:
    """Look at everything that a draft needs, and a profile if one is given; takes a second or two.

    ``name`` is how the user called the ``profile``; ``telling`` a language or story to be drawn and spoken. Every wait
    is bounded. No value of a variable that names a key, token, secret or password is in a finding.
    """
    looks: dict[str, Callable[[], list[Finding]]] = {
        "FFmpeg": machine.ffmpeg,
        "captions": lambda: _captions(telling),
        "speech": lambda: _speech(telling, profile),
        "GPU": machine.gpu,
        "memory": machine.memory,
        "disk": machine.disk,
        "processors": machine.processors,
    }
    with ThreadPoolExecutor(AT_ONCE) as threads, ExitStack() as stack:
        ask = _begun(stack, doctor_models.FAMILY)  # which gets ready meanwhile
        slow = [threads.submit(_guarded, what, look) for what, look in looks.items()]
        answers = dict(_asked(threads))
        known = {family: answer.said for family, answer in answers.items() if answer.said is not None}
        models = _guarded("models", lambda: _models(name, profile, known, ask))
    findings = [*machine.python(), *(_worker(family, answer) for family, answer in answers.items())]
    findings += [finding for look in slow for finding in look.result()]
    findings += [_engines(family, said) for family, said in known.items()]
    findings += [*_keys(known), *models]
    return [replace(finding, found=without_secrets(finding.found)) for finding in findings]


def deep(findings: Sequence[Finding], say: Say) -> list[Finding]:
    """Have every engine here work once, after ``findings`` of the machine; takes some seconds for each."""
    from orchestrator import doctor_deep as trials

    card = any(finding.name == "GPU" and finding.state == "ok" and "driver" in finding.found for finding in findings)
    return trials.check(describe_all(), card=card, say=say)


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
        return [Finding(name, "fault", in_words(error), error.hint)]
    except OSError as error:
        return [Finding(name, "fault", f"could not be tried: {error}", "See that this user may read and write there.")]


def _worker(family: str, answer: _Answer) -> Finding:
    name = f"worker {family}"
    if answer.error is None:
        return Finding(name, "ok", f"answers in {answer.seconds:.2f} s")
    advice = BROKEN_WORKER.format(python=sys.executable, script=WORKERS / f"{family}.py")
    return Finding(name, "fault", in_words(answer.error), advice)


def _captions(telling: Telling | None = None) -> list[Finding]:
    with _warm("media_processing") as request:
        return list(captions.check(request, telling))


def _speech(telling: Telling | None = None, profile: Mapping[str, Any] | None = None) -> list[Finding]:
    """That a voice says a word, and that the profile's engine has one for the language."""
    with _warm("speech_synthesis") as request:
        output = request("synthesize", {"text": "Hello."})
        spoken = output["audio"]["duration_s"]
        found = [Finding("speech", "ok", f"voice {output['voice']} said a word, {spoken:.1f} s long")]
        if telling is not None:
            engine = profile["voice"]["engine"] if profile else "auto"
            voices = request("list_voices", {"language": telling.language}, engine=engine)["voices"]
            label = f"speech {telling.language}"
            if voices:
                more = f" and {len(voices) - 1} more" if len(voices) > 1 else ""
                found.append(Finding(label, "ok", f"read by {voices[0]['name']}{more}"))
            else:
                advice = "Name an engine that has one (--set voice.engine=…), or a language near it."
                found.append(Finding(label, "fault", "no voice reads this language", advice))
    return found


@contextmanager
def _warm(family: str) -> Iterator[Callable[..., dict[str, Any]]]:
    """One worker for several requests: (op, input, options, engine) -> output. What it writes goes again."""
    prefix = "storygen-doctor-"
    with tempfile.TemporaryDirectory(prefix=prefix) as folder, Worker(family, patience=PATIENCE) as worker:

        def request(
            op: str,
            input: Mapping[str, Any],  # noqa: A002 - the wire's word
            options: Mapping[str, Any] | None = None,
            engine: str = "auto",
        ) -> dict[str, Any]:
            limited = {"timeout_s": REQUEST_S, **(options or {})}
            whole = {"v": 1, "op": op, "engine": engine, "input": input, "options": limited, "output_dir": folder}
            output: dict[str, Any] = worker.request(whole)["output"]
            return output

        yield request


def _begun(stack: ExitStack, family: str) -> Callable[..., dict[str, Any]]:
    """A warm worker for as long as the stack lasts; of one that cannot be started, every request raises why."""
    try:
        return stack.enter_context(_warm(family))
    except (StorygenError, OSError) as error:
        why = error

    def refuse(*asked: object) -> dict[str, Any]:
        raise why

    return refuse


def _models(
    name: str | None,
    profile: Mapping[str, Any] | None,
    known: Mapping[str, Mapping[str, Any]],
    ask: Callable[..., dict[str, Any]],
) -> list[Finding]:
    """What a profile needs beside the draft's; without one, which models are here."""
    if profile is None or name is None:
        return doctor_models.of_all(known, ask)
    return doctor_models.of_profile(name, profile, known, ask)


def _engines(family: str, said: Mapping[str, Any]) -> Finding:
    """An operation that no engine can do is a warning, and a broken file; an engine that is not set up is neither.

    Whether the draft, or the profile named, can do without it is said of that profile.
    """
    name, engines = f"engines {family}", said["engines"]
    usable = [f"{one} {facts['version']}" for one, facts in engines.items() if facts["usable"]]
    why_not = [f"{one}: {facts['why_not']}" for one, facts in engines.items() if not facts["usable"]]
    possible = {op for facts in engines.values() if facts["usable"] for op in facts["ops"]}
    undone = [op for op in said["ops"] if op not in possible]
    found = "; ".join([f"usable: {', '.join(usable) or 'none'}", *why_not])
    if undone:
        advice = (
            install("models") if any("package" in reason for reason in why_not) else "See what its engines ask for."
        )
        return Finding(name, "warning", f"none can do {', '.join(undone)}; {found}", advice)
    if any("version" not in facts for facts in engines.values()):
        return Finding(name, "warning", found, f"Mend or remove that file in {WORKERS / 'engines' / family}.")
    return Finding(name, "ok", found)


def _keys(known: Mapping[str, Mapping[str, Any]]) -> list[Finding]:
    """Which keys are there. Being without one is no fault: an engine that needs it says so itself."""
    uses: dict[str, list[str]] = {}
    for family, said in known.items():
        for name, facts in said["engines"].items():
            named = [
                facts.get("key_env"),
                *(key for keys in facts.get("option_keys", {}).values() for key in keys.values()),
            ]
            for key in filter(None, named):
                uses.setdefault(key, []).append(f"{family} {name}")
    uses.setdefault(HUB_TOKEN, []).append("gated models of the Hugging Face hub")
    states = {variable: "set" if os.environ.get(variable) else "not set" for variable in uses}
    return [
        Finding(f"key {variable}", "ok", f"{states[variable]}; for {', '.join(users)}")
        for variable, users in sorted(uses.items())
    ]


# Words


def _described(answer: _Answer) -> dict[str, Any]:
    if answer.said is None:
        why_not = without_secrets(in_words(answer.error)) if answer.error else None
        return {"why_not": why_not, "ops": {}, "engines": {}}
    kept = ("usable", "why_not", "version", "ops", "capabilities", "remote", "key_env", "option_keys", "models")
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
