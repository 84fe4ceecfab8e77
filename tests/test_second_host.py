"""A host in another language, written from README.md alone, drives the real workers: the wire is what the text says."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

TESTS = Path(__file__).resolve().parent
HOST = TESTS / "second_host" / "host.mjs"
SCENARIOS = {
    "one_shot",
    "exit_codes",
    "stream",
    "serve",
    "batch",
    "cancel",
    "closed_input",
    "sigterm",
    "crash",
    "crash_with_child",
    "stop_ladder",
}


def alive_with(text: str) -> list[psutil.Process]:
    """The living processes that have a text in their command line."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        at_work = process.info["status"] != psutil.STATUS_ZOMBIE
        if at_work and any(text in argument for argument in process.info["cmdline"] or []):
            found.append(process)
    return found


@pytest.mark.skipif(os.name == "nt", reason="this host is written for POSIX: process groups and signals")
def test_a_host_in_another_language_drives_the_workers(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("the second host is written for Node.js, and there is no `node` here")
    command = [node, str(HOST), sys.executable, str(TESTS.parent / "workers"), str(tmp_path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120, check=False)
    finally:
        _, left = psutil.wait_procs(alive_with(str(tmp_path)), timeout=10)  # a killed one takes a moment to be gone
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one for one in said if not one["ok"]] == []
    assert sorted(one["scenario"] for one in said) == sorted(SCENARIOS), done.stderr
    assert done.returncode == 0, done.stderr
    assert left == [], "processes outlived the host"
