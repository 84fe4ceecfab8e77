"""What the runtime gives an engine for the length of one request."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from runtime.errors import Cancelled, WorkerError

Emit = Callable[[str, dict[str, Any]], None]


class Context:
    """Progress, cancellation, warnings and artifacts of one request.

    Engines call ``check`` between steps, ``progress`` with true counts, ``temporary`` then ``publish`` for each file.
    """

    def __init__(
        self,
        *,
        output_dir: Path,
        output_name: str,
        engine_options: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        cancelled: threading.Event | None = None,
        deadline: float | None = None,
        emit: Emit | None = None,
    ) -> None:
        self.output_dir, self.output_name = output_dir, output_name
        self.engine_options: Mapping[str, Any] = engine_options or {}
        self.options: Mapping[str, Any] = options or {}
        self.warnings: list[dict[str, str]] = []
        self.chosen: dict[str, Any] = {"device": "cpu"}
        """What the engine chose for the model: device, dtype, … ; part of the result's ``model``."""
        self.import_s = 0.0
        """Seconds that the engine spent importing its library, where it says so."""
        self.usage: dict[str, Any] | None = None
        """Tokens or money spent at a provider."""
        self._cancelled = cancelled or threading.Event()
        self._deadline = deadline
        self._emit = emit or (lambda kind, fields: None)
        self._numbers = itertools.count(1)
        self._temporaries: list[Path] = []
        self.children: list[subprocess.Popen[bytes]] = []
        """Processes that work for this request; killed when it is abandoned."""

    def check(self) -> None:
        """Raise Cancelled when the caller took the request back, WorkerError ``timeout`` when its time is over."""
        if self._cancelled.is_set():
            raise Cancelled
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise WorkerError(
                "timeout", f"Not finished after {self.options.get('timeout_s')} s.", hint="Raise options.timeout_s."
            )

    def progress(self, stage: str, current: float, total: float | None, unit: str) -> None:
        """Report a true count, and check. ``stage`` is prepare, download, load, run, encode or upload."""
        self.check()
        self._emit("progress", {"stage": stage, "current": current, "total": total, "unit": unit})

    def delta(self, channel: str, data: Any) -> None:
        """Send a piece of the result early: ``channel`` is text or segment."""
        self.check()
        self._emit("delta", {"channel": channel, "data": data})

    def warn(self, code: str, message: str) -> None:
        """Tell the caller something that did not stop the work; it is part of the result."""
        self.warnings.append({"code": code, "message": message})

    def temporary(self, extension: str) -> Path:
        """A path for a file in the making, beside where it will end; removed when the request ends unless published."""
        with _writing(self.output_dir):
            self.output_dir.mkdir(parents=True, exist_ok=True)
        path = self.output_dir / f".{self.output_name}.{os.getpid()}.{len(self._temporaries)}.partial.{extension}"
        self._temporaries.append(path)
        return path

    def publish(self, temporary: Path, media_type: str, **facts: Any) -> dict[str, Any]:
        """Give a finished file its name, durably and at once, and describe it.

        Returns {path, media_type, bytes, sha256, **facts}. Nobody ever sees a half-written file under the final name.
        """
        self.check()
        final = self.output_dir / f"{self.output_name}_{next(self._numbers):03d}{temporary.suffix}"
        digest, size = hashlib.sha256(), 0
        with _writing(final):
            with open(temporary, "rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
                    size += len(block)
            _flush_to_disk(temporary)
            os.replace(temporary, final)
        artifact = {"path": str(final), "media_type": media_type, "bytes": size, "sha256": digest.hexdigest(), **facts}
        self._emit("artifact", {"artifact": artifact})
        return artifact

    def clean_up(self) -> None:
        """End what still works for this request and remove what was begun and not published."""
        for child in self.children:
            if child.poll() is None:
                child.kill()
        for path in self._temporaries:
            with contextlib.suppress(OSError):
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)


def _flush_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Whatever the system refuses here is the output's fault."""
    try:
        yield
    except OSError as error:
        raise WorkerError(
            "output_failed",
            f"Cannot write {path}: {error.strerror}.",
            hint="Free space, or choose another --output-dir.",
        ) from error
