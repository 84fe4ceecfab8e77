"""The model libraries that the lock pins live together. Each claim is looked at in a process of its own."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import pytest

pytestmark = pytest.mark.models


def succeeds(*command: str) -> str:
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_pip_finds_no_broken_requirement() -> None:
    assert "No broken requirements" in succeeds("-m", "pip", "check")


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("diffusers", "StableDiffusionXLPipeline"),
        ("diffusers", "LTXPipeline"),
        ("transformers", "LlamaForCausalLM"),
        ("faster_whisper", "WhisperModel"),
    ],
)
def test_a_model_class_imports(module: str, name: str) -> None:
    # Both libraries import lazily: only taking the class out of them shows that all it needs is there.
    assert succeeds("-c", f"from {module} import {name}; print({name}.__name__)").strip() == name


@pytest.mark.parametrize("name", ["torchvision", "torchaudio"])
def test_nothing_pulled_in_what_breaks_transformers_beside_a_cpu_torch(name: str) -> None:
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        importlib.metadata.version(name)
