"""Every exception ends as the error that helps most."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

import pytest

from runtime.errors import FOREIGN, Cancelled, WorkerError, classify, error_table


def foreign(module: str, name: str) -> type[Exception]:
    """A class that looks like a library's, without the library."""
    return type(name, (Exception,), {"__module__": module})


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (WorkerError("timeout", "late"), "timeout"),
        (Cancelled(), "cancelled"),
        (KeyboardInterrupt(), "cancelled"),
        (MemoryError(), "out_of_memory"),
        (ModuleNotFoundError("No module named 'torch'"), "engine_unavailable"),
        (ConnectionResetError("gone"), "network"),
        (socket.gaierror("no such host"), "network"),
        (OSError(errno.ENOSPC, "No space left on device", "/out/.x.partial.wav"), "output_failed"),
        (OSError(errno.EROFS, "Read-only file system"), "output_failed"),
        (PermissionError(errno.EACCES, "Permission denied", __file__), "input_unreadable"),
        (PermissionError(errno.EACCES, "Permission denied", "/out/.x.1.0.partial.wav"), "output_failed"),
        (foreign("torch", "OutOfMemoryError")("CUDA out of memory"), "out_of_memory"),
        (foreign("huggingface_hub.errors", "GatedRepoError")("403"), "gated_model"),
        (foreign("safetensors._safetensors_rust", "SafetensorError")("header"), "model_not_found"),
        (ZeroDivisionError("division by zero"), "internal_error"),
        (RecursionError("too deep"), "internal_error"),
    ],
)
def test_an_exception_becomes_the_most_specific_error(error: BaseException, code: str) -> None:
    found = classify(error)
    assert found.code == code
    assert found.exit_code == error_table()[code]["exit"]
    assert str(error) in found.message or code in {"cancelled", "output_failed", "input_unreadable"}


def test_a_child_of_a_known_class_is_known_too() -> None:
    child = type("MyGated", (foreign("huggingface_hub.errors", "GatedRepoError"),), {"__module__": "mine"})
    assert classify(child("x")).code == "gated_model"


def test_every_code_in_the_code_is_in_the_table(tmp_path: Path) -> None:
    assert {code for code, _ in FOREIGN.values()} <= set(error_table())
    with pytest.raises(KeyError):
        WorkerError("no_such_code", "x")


@pytest.mark.models
def test_the_libraries_still_have_these_names() -> None:
    import huggingface_hub.errors as hub
    import safetensors
    import torch

    real = [torch.OutOfMemoryError, hub.GatedRepoError, hub.LocalEntryNotFoundError, hub.OfflineModeIsEnabled]
    real += [hub.RepositoryNotFoundError, hub.RevisionNotFoundError, safetensors.SafetensorError]
    for kind in real:
        assert classify(kind.__new__(kind)).code != "internal_error", kind
