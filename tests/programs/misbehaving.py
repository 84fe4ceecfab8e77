"""A worker that misbehaves in every way that a host must bear: ``python misbehaving.py --serve [AT_START]``.

``AT_START`` names what it does before its first word; ``input.do`` of a request, what it does with that request. Only
the standard library is used, and none of our code: what it writes is what somebody else's worker might write.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

MIB = 1 << 20
SLEEPER = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
Request = dict[str, Any]


def write(data: bytes) -> None:
    """Write to stdout past every buffer."""
    while data:
        data = data[os.write(1, data) :]


def say(**message: Any) -> None:
    write(json.dumps({"v": 1, **message}).encode() + b"\n")


def event(request: Request, **fields: Any) -> None:
    say(type="progress", id=request["id"], **fields)


def whole(request: Request, **output: Any) -> dict[str, Any]:
    """A result with every member; ``type``, ``v`` and ``id`` come first, as the wire has it."""
    return {
        "type": "result", "v": 1, "id": request["id"], "op": request.get("op"), "success": True, "engine": "none",
        "model": {}, "output": output, "warnings": [], "metrics": {},
    }  # fmt: skip


def good(request: Request) -> None:
    say(type="accepted", id=request["id"], pid=os.getpid())
    say(**whole(request, said="good"))


def chatter(request: Request) -> None:
    """Text from Python, a child and C, between the lines of the wire."""
    print("python", flush=True)
    event(request, current=1)
    subprocess.run([sys.executable, "-S", "-c", "print('child')"], check=True)
    event(request, current=2)
    library = ctypes.CDLL("msvcrt" if sys.platform == "win32" else None)
    library.puts(b"c")
    library.fflush(None)
    good(request)


def drip(request: Request) -> None:
    for byte in json.dumps(whole(request, said="good")).encode() + b"\n":
        write(bytes([byte]))


def long_result(request: Request) -> None:
    say(**whole(request, text="x" * (request["input"]["mib"] * MIB)))


def long_event(request: Request) -> None:
    """Written in pieces, so that this side does not hold the line either."""
    write(b'{"type":"progress","v":1,"text":"')
    for _ in range(request["input"]["mib"]):
        write(b"x" * MIB)
    write(b'"}\n')
    good(request)


def long_garbage(request: Request) -> None:
    write(b"x" * (request["input"]["mib"] * MIB) + b"\n")
    good(request)


def garbage(request: Request) -> None:
    own = json.dumps(request["id"]).encode()
    write(b'\n\0\n{\nnull\n[]\n7\n"text"\n{"id":' + own + b'}\n{"type":7,"id":' + own + b'}\n{"type":["result"]}\n')
    write(b"[" * 200_000 + b"\n" + b"9" * 10_000 + b"\n")
    good(request)


def invalid_utf8(request: Request) -> None:
    write(b'\xff\xfe{"type":"result","id":"\x80"}\n\xc3\x28\n')
    os.write(2, b"\xff\xfe stderr too\n")
    good(request)


def exit_now(request: Request) -> None:
    for number in range(30):
        print("last words", number, file=sys.stderr)
    sys.stderr.flush()
    os._exit(request["input"]["code"])


def die(request: Request) -> None:
    os.kill(os.getpid(), request["input"]["signal"])


def half_a_result(request: Request) -> None:
    write(json.dumps(whole(request)).encode()[:-20])
    os._exit(0)


def answer_then_abort(request: Request) -> None:
    good(request)
    os.abort()


def silent(request: Request) -> None:
    """Never answers; leaves at the end of its input."""
    event(request)


def stubborn(request: Request) -> None:
    """Heeds neither cancel, nor the end of its input, nor SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    event(request)
    time.sleep(600)


def flood(request: Request) -> None:
    """Events without end."""
    with contextlib.suppress(OSError):
        while True:
            event(request)


def closed_stdout(request: Request) -> None:
    os.close(1)
    time.sleep(600)


def leave_a_grandchild(request: Request) -> None:
    """A process that holds the pipes, while the worker leaves."""
    child = subprocess.Popen(SLEEPER, start_new_session=request["input"].get("escapes", False))
    event(request, grandchild=child.pid)
    if request["input"].get("answers"):
        good(request)
    os._exit(3)


def late(request: Request) -> None:
    """Events and a second result for a request that has had its answer."""
    good(request)
    event(request, current=9)
    say(**whole(request, said="second"))


def late_flood(request: Request) -> None:
    """Speaks on when nobody asks, then says through a pipe of its own that it has done so."""
    good(request)
    for _ in range(request["input"]["mib"]):
        event(request, text="x" * MIB)
    with open(request["input"]["done"], "w", encoding="utf-8") as done:
        done.write("all is written")


def later(request: Request) -> None:
    """The same for an older request, while this one runs."""
    old = {**request, "id": request["input"]["old"]}
    event(old, current=9)
    say(**whole(old, said="second"))
    good(request)


def wrong_id(request: Request) -> None:
    say(**whole({**request, "id": "somebody-else"}, said="wrong"))
    say(**whole({**request, "id": 7}, said="wrong"))


def incomplete(request: Request) -> None:
    say(type="result", id=request["id"], output={})


def incomplete_error(request: Request) -> None:
    say(type="error", id=request["id"], error={"message": "no code"})


def error_without_id(request: Request) -> None:
    """What a worker says of a line that it could not read."""
    say(type="error", id=None, success=False, error={"code": "invalid_request", "message": "unreadable", "hint": None})


def patient(request: Request) -> None:
    """Works until it is cancelled."""
    event(request)
    control = json.loads(sys.stdin.buffer.readline() or "{}")
    if control == {"type": "cancel", "id": request["id"]}:
        say(type="error", id=request["id"], success=False, error={"code": "cancelled", "message": "as you wish"})


DO: dict[str, Callable[[Request], None]] = {
    action.__name__: action
    for action in (
        good, chatter, drip, long_result, long_event, long_garbage, garbage, invalid_utf8, exit_now, die, half_a_result,
        answer_then_abort, silent, stubborn, flood, closed_stdout, leave_a_grandchild, late, late_flood, later,
        wrong_id, incomplete, incomplete_error, error_without_id, patient,
    )
}  # fmt: skip


def ready() -> None:
    say(type="ready", id=None, worker="misbehaving", version=1, pid=os.getpid(), engines={})


def at_start(what: str) -> None:
    if what == "noise":
        for _ in range(10 * MIB // 64):
            sys.stderr.write("x" * 63 + "\n")
        sys.stderr.flush()
    elif what == "one_long_line_of_noise":
        sys.stderr.write("x" * 10 * MIB)
        sys.stderr.flush()
    elif what == "nothing_ever":
        time.sleep(600)
    elif what == "deaf":
        ready()
        time.sleep(600)
    elif what == "death":
        print("cannot even begin", file=sys.stderr, flush=True)
        os._exit(1)
    if what != "no_ready":
        ready()


def main() -> None:
    assert sys.argv[1] == "--serve"
    at_start((sys.argv[2:] or ["well"])[0])
    while line := sys.stdin.buffer.readline():
        message = json.loads(line)
        if "type" not in message:
            DO[message["input"]["do"]](message)


if __name__ == "__main__":
    main()
