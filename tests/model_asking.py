"""Asking the worker for models, of a hub on this machine."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_server import Hub, Model, hub

from orchestrator.errors import StorygenError
from orchestrator.worker import Worker

WEIGHTS = random.Random(7).randbytes(3_000_000)
SMALL = random.Random(8).randbytes(300_000)
CONFIG = b'{"architectures": ["LlamaForCausalLM"]}'
TINY = {"config.json": CONFIG, "model.safetensors": WEIGHTS, "pytorch_model.bin": WEIGHTS, "README.md": b"# Tiny"}


class Asked:
    """A warm worker whose models live in a folder of its own."""

    def __init__(self, server: Worker, folder: Path, state: Hub) -> None:
        self.server, self.folder, self.hub = server, folder, state
        self.events: list[dict[str, Any]] = []
        self.warnings: list[dict[str, str]] = []

    def __call__(self, op: str, *, on_event: Any = None, offline: bool = False, **fields: Any) -> dict[str, Any]:
        options = {"models_dir": str(self.folder), "offline": offline}
        self.events.clear()
        request = {"v": 1, "op": op, "input": fields, "options": options}
        result = self.server.request(request, on_event or self.events.append)
        self.warnings = result["warnings"]
        output: dict[str, Any] = result["output"]
        return output

    def refusal(self, op: str, **fields: Any) -> StorygenError:
        with pytest.raises(StorygenError) as caught:
            self(op, **fields)
        return caught.value

    def cancelled_after(self, number: int, name: str) -> None:
        """Download, and take it back once so many bytes have come."""

        def on_event(event: dict[str, Any]) -> None:
            if event["type"] == "progress" and event["stage"] == "download" and event["current"] >= number:
                self.server.cancel()

        with pytest.raises(StorygenError) as caught:
            self("download", id=name, on_event=on_event)
        assert caught.value.code == "cancelled"


@contextlib.contextmanager
def serving() -> Iterator[tuple[Worker, Hub]]:
    """A worker, and the hub that it asks."""
    with hub() as state, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_ENDPOINT", state.address)
        patch.setenv("HF_TOKEN", "hf_not_a_real_token")
        patch.delenv("STORYGEN_MODELS_DIR", raising=False)
        with Worker("model_management") as server:
            yield server, state


def well(served: tuple[Worker, Hub], folder: Path) -> Asked:
    """The worker with an empty folder for models, and the hub with one model and nothing wrong."""
    server, state = served
    state.behave()
    state.models = {"somebody/tiny": Model(dict(TINY))}
    return Asked(server, folder / "models ž", state)


def content(folder: str, name: str) -> bytes:
    return (Path(folder) / name).read_bytes()
