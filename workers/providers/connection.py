"""Cutting a connection that another thread waits on.

A read that blocks hears of no cancellation. Closing its socket from outside does not wake it on Linux, shutting it down
does; and the service sees at once that nobody listens any more, and stops working for us.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from runtime.context import Context
from runtime.errors import Cancelled, WorkerError

CONNECT_S = 5.0
"""As both SDKs; shorter than the time a cancelled worker is given."""
SILENCE_S = 600.0
"""Longest wait for the next bytes where the request has no deadline: a model may think for minutes."""
WATCH_S = 0.1


class Connection:
    """The settings of an HTTP client whose connection can be cut, for the SDKs' ``http_client``.

    ``headers``, where given, are all that leave: name -> value, or None for whatever the SDK says.
    """

    def __init__(self, address: str, headers: Mapping[str, str | None] | None = None) -> None:
        self._address, self._headers = address, headers
        self._stream: Any = None
        self._cut = False

    def settings(self, timeout: Callable[..., Any]) -> dict[str, Any]:
        """Keyword arguments of httpx2.Client. ``timeout`` is its class Timeout."""
        return {
            "timeout": timeout(SILENCE_S, connect=CONNECT_S),
            "follow_redirects": False,  # another address would get the key and a second, paid, request
            "trust_env": not is_loopback(self._address),  # no proxy between us and this machine
            "event_hooks": {"request": [self._prepare]},
        }

    def _prepare(self, request: Any) -> None:
        if self._cut:
            raise ConnectionError("cancelled before it was sent")
        request.extensions = {**request.extensions, "trace": self._trace}
        if self._headers is not None:
            kept = {
                name: request.headers.get(name) if given is None else given for name, given in self._headers.items()
            }
            for name in list(request.headers):
                del request.headers[name]
            request.headers.update({name: value for name, value in kept.items() if value is not None})

    def _trace(self, event: str, facts: Mapping[str, Any]) -> None:
        # https://www.python-httpx.org/advanced/extensions/#trace: the only way to a socket before the answer begins
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self._stream = facts["return_value"]
            if self._cut:
                self.cut()

    def cut(self) -> None:
        """Hang up, from any thread: whoever reads gets an error or the end. Does nothing without a connection."""
        self._cut = True
        with contextlib.suppress(OSError, AttributeError):
            self._stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)

    @contextlib.contextmanager
    def during(self, context: Context) -> Iterator[None]:
        """Hangs up when the request is cancelled or late, and then raises Cancelled or WorkerError ``timeout``."""
        done = threading.Event()
        self._cut = False

        def watch() -> None:
            while not done.wait(WATCH_S):
                try:
                    context.check()
                except (Cancelled, WorkerError):
                    self.cut()
                    return

        threading.Thread(target=watch, daemon=True).start()
        try:
            yield
        except Exception:
            context.check()  # whatever the library makes of it, it was we who hung up
            raise
        finally:
            done.set()
        context.check()


def is_loopback(address: str) -> bool:
    """Whether an http address is on this machine."""
    host = urlsplit(address).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
