"""What the doctor says of one thing that it looked at, in words for people and as an exit code."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from orchestrator.errors import CHECKOUT, StorygenError, error_table
from orchestrator.wording import counted

MISSING = re.compile(r"the Python package ([\w, ]+) is not installed")
"""What a worker says of an engine, as in ``workers/runtime/registry.py``."""
HOSTED = frozenset({"anthropic", "openai"})
"""Packages of the extra ``hosted``; all others that an engine may lack are in ``models``."""
State = Literal["ok", "warning", "fault"]


@dataclass(frozen=True)
class Finding:
    """One thing looked at: what was found, and what to do about it where it is not well."""

    name: str
    state: State
    found: str
    advice: str | None = None


def lines(findings: Sequence[Finding]) -> list[str]:
    """The findings for people, the advice below what it is about."""
    width = max((len(finding.name) for finding in findings), default=0)
    rows = []
    for finding in findings:
        rows.append(f"{finding.state:<7}  {finding.name:<{width}}  {finding.found}")
        if finding.advice:
            rows.append(f"{'':<7}  {'':<{width}}  {finding.advice}")
    return rows


def summary(findings: Sequence[Finding], can: str) -> str:
    """Whether storygen ``can``, such as "make a draft here"."""
    count = Counter(finding.state for finding in findings)
    if not count["fault"]:
        warned = f"; {counted(count['warning'], 'warning')} above" if count["warning"] else ""
        return f"storygen can {can}{warned}."
    both = " and ".join(counted(count[state], state) for state in ("fault", "warning") if count[state])
    return f"{both}: storygen cannot {can} until the faults are mended."


def exit_code(findings: Sequence[Finding]) -> int:
    """0 when there is no fault, else that of ``engine_unavailable``."""
    broken = any(finding.state == "fault" for finding in findings)
    return int(error_table()["engine_unavailable"]["exit"]) if broken else 0


def in_words(error: StorygenError) -> str:
    """What happened, in one line."""
    return " | ".join([error.message, *(detail for detail in error.details if detail.strip())])


def install_for(said: str) -> str | None:
    """The command that installs the packages of which a worker says that they are not here; None if it says no such."""
    found = {package for names in MISSING.findall(said) for package in names.split(", ")}
    return install("hosted" if found <= HOSTED else "models") if found else None


def install(extra: str) -> str:
    """The command that installs an extra of pyproject.toml into this interpreter, at the versions of the lock."""
    return f'In {CHECKOUT}: {sys.executable} -m pip install -c requirements.lock -e ".[{extra}]"'
