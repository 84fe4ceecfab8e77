"""What torch and its libraries say that is not an answer: advice to programmers, and too little memory."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator

from runtime.errors import WorkerError

NO_ROOM = ("out of memory", "can't allocate memory", "not enough memory")
"""How torch says it where it has no exception of its own: on a CPU and on Apple's GPUs."""


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """The libraries' advice to programmers is nothing for the user of a worker."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def room(what: str, device: str, smaller: str) -> Iterator[None]:
    """Raises WorkerError ``out_of_memory``, however torch says it; ``smaller`` is what to do."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:  # torch.OutOfMemoryError is a RuntimeError
        if not isinstance(error, MemoryError) and not any(words in str(error).lower() for words in NO_ROOM):
            raise
        empty_cache()
        said = str(error).splitlines()
        message = f"No room for {what} on {device}: {said[0] if said else type(error).__name__}"
        raise WorkerError("out_of_memory", message, hint=smaller) from error


def empty_cache() -> None:
    """Give the GPU's memory that nothing uses back to others."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
