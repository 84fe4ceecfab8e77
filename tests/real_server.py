"""A real server of OpenAI's API on this machine: `transformers serve` with a tiny model of a real class.

It streams, counts tokens and, unlike OpenAI, ignores response_format without a word.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from support import PATIENCE_S


class Server(NamedTuple):
    root: str
    model: str


@contextlib.contextmanager
def transformers_serve(maker: str, folder: Path) -> Iterator[Server]:
    """The server with a model that ``maker``, such as ``llm.qwen2``, writes into ``folder``."""
    # In a process of its own: what transformers sets up on import is no business of the other tests.
    module = maker.split(".", maxsplit=1)[0]
    code = f"from pathlib import Path; from tiny_models import {module}; {maker}(Path({str(folder)!r}))"
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(Path(__file__).parent)}
    subprocess.run([sys.executable, "-c", code], check=True, env=env, capture_output=True, timeout=PATIENCE_S * 3)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    program = Path(sysconfig.get_path("scripts"), "transformers")
    command: list[str | Path] = [program, "serve", folder, "--port", str(port), "--host", "127.0.0.1"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=env) as process:
        try:
            assert process.stderr is not None
            said = ""
            for line in process.stderr:
                said += line
                if "Uvicorn running" in line:
                    break
            else:
                pytest.fail(f"transformers serve did not start:\n{said}")
            yield Server(f"http://127.0.0.1:{port}/v1", str(folder))
        finally:
            process.kill()
