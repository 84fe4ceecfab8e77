"""A model hub on this machine that speaks the endpoints that huggingface_hub asks, and can fail in several ways."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

PATIENCE_S = 30
PIECE = 1 << 16


@dataclass
class Model:
    """A model of the hub: a name of a file -> its content."""

    files: dict[str, bytes]
    commit: str = "1" * 40
    refuse: tuple[int, str] | None = None
    """Status and X-Error-Code of every answer about it, such as (403, "GatedRepo")."""
    gated: bool = False
    """Whether its files are refused, though it can be listed."""
    hashes: dict[str, str] = field(default_factory=dict)
    """File -> what its content is called in the listing in place of its hash."""


@dataclass
class Hub:
    """What the hub has, what it shall do wrong, and what it was asked."""

    address: str = ""
    models: dict[str, Model] = field(default_factory=dict)
    cut_after: dict[str, list[int]] = field(default_factory=dict)
    """File -> after how many bytes its next answers are cut off, one number an answer."""
    hold_after: dict[str, int] = field(default_factory=dict)
    """File -> after how many bytes its answer waits for ``go_on``; ``held`` says that one does."""
    held: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    spoiled: dict[str, bytes] = field(default_factory=dict)
    """File -> the wrong content that is sent for it."""
    lost: set[str] = field(default_factory=set)
    """Files that are listed and cannot be had."""
    instead: dict[str, tuple[int, bytes, dict[str, str]]] = field(default_factory=dict)
    """Part of the interface, such as tree -> status, body and headers of every answer of it."""
    no_ranges: bool = False
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    """(method, path, range) of every request."""
    tokens: set[str] = field(default_factory=set)
    """Authorization headers that came."""

    def behave(self) -> None:
        """Do nothing wrong any more, and forget what was asked."""
        for faults in (self.cut_after, self.hold_after, self.spoiled, self.lost, self.instead, self.asked):
            faults.clear()
        self.no_ranges = False
        self.go_on.set()  # what waits goes on
        self.go_on = threading.Event()
        self.held.clear()

    def ranges(self, name: str) -> list[str | None]:
        """The ranges that were asked of a file, one a GET."""
        return [part for method, path, part in self.asked if method == "GET" and path.endswith(f"/{name}")]


@contextlib.contextmanager
def hub(**models: dict[str, bytes]) -> Iterator[Hub]:
    """A hub with these models of ``somebody``: name -> files. ``HF_ENDPOINT`` is its ``address``."""
    state = Hub(models={f"somebody/{name}": Model(files) for name, files in models.items()})

    class Answers(_Answers):
        hub = state

    with _Server(("127.0.0.1", 0), Answers) as server:
        server.daemon_threads = True
        state.address = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield state
        finally:
            state.go_on.set()
            server.shutdown()
            thread.join()


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves in the middle is no news."""


class _Answers(http.server.BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = unquote(self.path.split("?")[0])
        self.hub.asked.append((self.command, path, self.headers.get("Range")))
        self.hub.tokens.add(self.headers.get("Authorization") or "")
        parts = path.removeprefix("/api/models").strip("/").split("/")
        name = "/".join(parts[:2])
        model = self.hub.models.get(name)
        if answer := self.hub.instead.get(parts[2]):
            self._say(*answer)
        elif model is None:
            self._say(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        elif model.refuse:
            status, code = model.refuse
            self._say(status, b"{}", {"X-Error-Code": code} if code else {})
        elif model.gated and parts[2] in {"auth-check", "resolve"}:
            self._say(403, b"{}", {"X-Error-Code": "GatedRepo"})
        elif parts[3] not in {"main", model.commit}:
            self._say(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        elif parts[2] == "revision":
            siblings = [{"rfilename": file} for file in model.files]
            self._json(
                {"id": name, "sha": model.commit, "siblings": siblings, "gated": "auto" if model.gated else False}
            )
        elif parts[2] == "tree":
            self._json([_row(model, file, content) for file, content in model.files.items()])
        else:
            self._file(model, "/".join(parts[4:]))

    do_HEAD = do_GET

    def _json(self, value: Any) -> None:
        self._say(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _file(self, model: Model, file: str) -> None:
        if file not in model.files or file in self.hub.lost:
            self._say(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": model.commit})
            return
        content = self.hub.spoiled.get(file, model.files[file])
        facts = {"ETag": f'"{_content_hash(file, model.files[file])}"', "X-Repo-Commit": model.commit}
        asked = self.headers.get("Range")
        if asked and not self.hub.no_ranges:
            start = int(asked.removeprefix("bytes=").split("-")[0])
            facts["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self._say(206, content[start:], facts, file)
        else:
            self._say(200, content, facts, file)

    def _say(self, status: int, body: bytes, headers: dict[str, str], file: str = "") -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        cuts = self.hub.cut_after.get(file)
        end = cuts.pop(0) if cuts else len(body)
        for start in range(0, min(end, len(body)), PIECE):
            if start >= self.hub.hold_after.get(file, len(body)):
                self.hub.held.set()
                self.hub.go_on.wait(PATIENCE_S)
            with contextlib.suppress(OSError):  # the other side has left
                self.wfile.write(body[start : min(start + PIECE, end)])
        if end < len(body):
            self.close_connection = True

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the name that the library gives it
        """Say nothing."""


def _row(model: Model, file: str, content: bytes) -> dict[str, Any]:
    content_hash = model.hashes.get(file) or _git_hash(content)
    row: dict[str, Any] = {"type": "file", "path": file, "size": len(content), "oid": content_hash}
    if _large(file):
        row["lfs"] = {"oid": _content_hash(file, content), "size": len(content), "pointerSize": 135}
    return row


def _large(file: str) -> bool:
    return file.endswith((".safetensors", ".bin"))


def _content_hash(file: str, content: bytes) -> str:
    return hashlib.sha256(content).hexdigest() if _large(file) else _git_hash(content)


def _git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
