"""A hosted service on this machine: an HTTP server that replays what real ones send, and remembers what it was sent.

The shapes are recorded in the sense of written down: they follow the public documentation of OpenAI's chat completions
(https://developers.openai.com/api/docs/api-reference/chat-streaming, …/guides/error-codes) and of Anthropic's messages
(https://platform.claude.com/docs/en/build-with-claude/streaming, …/api/errors), as of November 2026; of its audio
transcriptions …/api-reference/audio and the types of its SDK. No account was asked for them.
"""

from __future__ import annotations

import contextlib
import email
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from support import PATIENCE_S, WORKERS

USED = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}


@dataclass
class Answer:
    """One HTTP answer. ``end``: whole | cut (mid-chunk) | stall (say nothing more until the client leaves)."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Iterable[str] = ()
    end: str = "whole"
    silent: bool = False
    """Not even headers come, until the client leaves."""
    made: Callable[[Request], str] | None = None
    """Makes the body of what was sent."""


@dataclass
class Request:
    """What arrived."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    """The JSON document; of a form its fields as text, its file as bytes, and lists of those named ``…[]``."""


class Quiet(ThreadingHTTPServer):
    """Clients that hang up are what is tested here."""

    daemon_threads = True

    def handle_error(self, *where: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(*where)


class Service:
    """The server: plays its answers in order, the last one again and again."""

    def __init__(self, *answers: Answer) -> None:
        self.play(*answers)
        self._server = Quiet(("127.0.0.1", 0), self._handler())
        self.root = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def play(self, *answers: Answer) -> None:
        """Begin anew with these answers."""
        self._answers = answers
        self.requests: list[Request] = []
        self.arrived, self.left = threading.Event(), threading.Event()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(service) -> type[BaseHTTPRequestHandler]:  # the handler has a self of its own
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = _body(self.headers["content-type"], self.rfile.read(int(self.headers["content-length"])))
                service.requests.append(Request(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                answer = service._answers[min(len(service.requests), len(service._answers)) - 1]
                service.arrived.set()
                if answer.silent:
                    self._wait()
                    return
                self.send_response(answer.status)
                for name, value in {"content-type": "application/json", **answer.headers}.items():
                    self.send_header(name, value)
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                for part in [answer.made(service.requests[-1])] if answer.made else answer.body:
                    self._chunk(part.encode())
                if answer.end == "stall":
                    self._wait()
                elif answer.end == "cut":
                    self.wfile.write(b"ff\r\ndata: {")
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                else:
                    self._chunk(b"")

            def _chunk(self, data: bytes) -> None:
                with contextlib.suppress(OSError):
                    self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
                    self.wfile.flush()

            def _wait(self) -> None:
                self.connection.settimeout(PATIENCE_S)
                with contextlib.suppress(OSError):
                    try:
                        gone = self.connection.recv(1) == b""
                    except ConnectionError:  # hung up on what was still to be read
                        gone = True
                    if gone:
                        service.left.set()
                self.close_connection = True

            def log_message(self, *arguments: Any) -> None:
                pass

        return Handler


def _body(kind: str, data: bytes) -> dict[str, Any]:
    if not kind.startswith("multipart/form-data"):
        found: dict[str, Any] = json.loads(data)
        return found
    form: dict[str, Any] = {}
    message = email.message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + data)
    for part in message.walk():
        name = part.get_param("name", header="content-disposition")
        if isinstance(name, str):
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            value = content if part.get_filename() else content.decode()
            form[name] = [*form.get(name, ()), value] if name.endswith("[]") else value
    return form


@contextlib.contextmanager
def serving(*answers: Answer) -> Iterator[Service]:
    """A service that gives these answers."""
    service = Service(*answers)
    try:
        yield service
    finally:
        service.close()


EVENTS = {"content-type": "text/event-stream; charset=utf-8"}


def chunk(delta: Mapping[str, Any] | None = None, finish: str | None = None, **more: Any) -> str:
    """One chat.completion.chunk."""
    choices = [] if delta is None else [{"index": 0, "delta": dict(delta), "logprobs": None, "finish_reason": finish}]
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1763700000, "model": "served-model"}
    return f"data: {json.dumps({**head, 'choices': choices, 'usage': None, **more})}\n\n"


def completion(*pieces: str, finish: str | None = "stop", usage: bool = True, end: str = "whole") -> Answer:
    """A streamed chat completion of OpenAI's."""
    body = [chunk({"role": "assistant", "content": ""}), *(chunk({"content": piece}) for piece in pieces)]
    if finish is not None:
        body.append(chunk({}, finish))
        body += [chunk(usage=USED)] if usage else []
        body.append("data: [DONE]\n\n")
    return Answer(headers=EVENTS, body=body, end=end)


def transcript(**fields: Any) -> Answer:
    """A transcription or translation of OpenAI's, whole."""
    return Answer(body=[json.dumps(fields)])


def transcript_stream(*pieces: str, done: bool = True, end: str = "whole", **fields: Any) -> Answer:
    """A streamed transcription of OpenAI's."""
    events = [{"type": "transcript.text.delta", "delta": piece} for piece in pieces]
    if done:
        events.append({"type": "transcript.text.done", "text": "".join(pieces), **fields})
    return Answer(headers=EVENTS, body=[f"data: {json.dumps(event)}\n\n" for event in events], end=end)


def openai_error(
    status: int, message: str, code: str | None = None, kind: str = "invalid_request_error", **headers: str
) -> Answer:
    """An error of OpenAI's."""
    body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, named, [json.dumps(body)])


def event(kind: str, **fields: Any) -> str:
    """One event of a message stream."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n"


def message(*pieces: str, finish: str | None = "end_turn", end: str = "whole", details: Any = None) -> Answer:
    """A streamed message of Anthropic's."""
    usage = {"input_tokens": 9, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 2, "output_tokens": 1}
    start = {"id": "msg_1", "type": "message", "role": "assistant", "model": "served-claude", "content": []}
    body = [
        event("message_start", message={**start, "stop_reason": None, "stop_sequence": None, "usage": usage}),
        event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        event("ping"),
        *(event("content_block_delta", index=0, delta={"type": "text_delta", "text": piece}) for piece in pieces),
    ]
    if finish is not None:
        delta = {"stop_reason": finish, "stop_sequence": None, "stop_details": details}
        body += [event("content_block_stop", index=0), event("message_delta", delta=delta, usage={"output_tokens": 5})]
        body += [event("message_stop")]
    return Answer(headers=EVENTS, body=body, end=end)


def anthropic_error(status: int, kind: str, words: str, **headers: str) -> Answer:
    """An error of Anthropic's."""
    body = {"type": "error", "error": {"type": kind, "message": words}, "request_id": "req_1"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, named, [json.dumps(body)])


KEYS = {
    name: f"sk-canary-{name.lower()}-0123456789"
    for name in (
        "OPENAI_API_KEY",
        "OPENROUTER_API_KEY",
        "TOGETHER_API_KEY",
        "STORYGEN_CUSTOM_API_KEY",
        "ANTHROPIC_API_KEY",
    )
}
"""Canaries: wherever one of them is seen that should not be, a key has leaked."""
AMBIENT = {
    "OPENAI_ADMIN_KEY": "sk-canary-admin-0123456789",
    "OPENAI_ORG_ID": "canary-org",
    "OPENAI_PROJECT_ID": "canary-project",
    "OPENAI_CUSTOM_HEADERS": "X-Canary: canary-header",
}
"""What the SDK takes from the environment besides."""


def environment(**more: str) -> dict[str, str]:
    """This process's environment without any key or address of a service, and with these variables."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "ANTHROPIC_"))}
    return {name: value for name, value in ours.items() if name not in KEYS} | more


class Worker:
    """A worker with --serve. Everything it writes is kept in ``said``."""

    def __init__(self, *flags: str, family: str = "text_generation", **env: str) -> None:
        self.said = ""
        self._process = subprocess.Popen(
            [sys.executable, str(WORKERS / f"{family}.py"), "--serve", *flags],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(**env),
        )  # fmt: skip
        self._stderr = threading.Thread(target=self._drain, daemon=True)
        self._stderr.start()
        assert self.line()["type"] == "ready"

    def _drain(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            for line in lines:
                self.said += line

    def send(self, line: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(line) + "\n")
        self._process.stdin.flush()

    def line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        text = self._process.stdout.readline()
        assert text, self.said
        self.said += text
        found: dict[str, Any] = json.loads(text)
        return found

    def ask(self, op: str = "generate", *, begin: Any = None, **fields: Any) -> tuple[dict[str, Any], list[str]]:
        """One request: (its last line, the texts of its deltas). ``begin`` is called when the request was sent."""
        self.send({"v": 1, "id": "a", "op": op, **fields})
        if begin:
            begin()
        deltas = []
        while (line := self.line())["type"] not in {"result", "error"}:
            if line["type"] == "delta":
                deltas.append(line["data"])
        return line, deltas

    def close(self) -> str:
        """End it; returns all it wrote on either stream."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self.said += self._process.stdout.read()
        self._stderr.join(PATIENCE_S)
        self._process.wait(PATIENCE_S)
        self._process.stdout.close()
        return self.said
