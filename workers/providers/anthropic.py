"""Anthropic's API: a client that sends once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from providers.connection import Connection
from providers.faults import Service
from runtime.errors import WorkerError

NAME = "Anthropic"
ADDRESS = "https://api.anthropic.com"
KEY_ENV = "ANTHROPIC_API_KEY"


@dataclass(frozen=True)
class Client:
    """An SDK client and the connection it uses."""

    sdk: Any
    connection: Connection
    address: str

    def service(self, model: str) -> Service:
        """The service as errors name it."""
        return Service(NAME, self.address, KEY_ENV, model)


def client() -> Client:
    """A client with the key of the environment. ANTHROPIC_BASE_URL, the user's own word, moves it, as in the SDK.

    Raises WorkerError ``auth_missing``.
    """
    import anthropic

    key = os.environ.get(KEY_ENV)
    if not key:  # or the SDK would look for other credentials on this machine
        raise WorkerError("auth_missing", f"The environment variable {KEY_ENV} is not set.", hint="Set it to your key.")
    address = os.environ.get("ANTHROPIC_BASE_URL") or ADDRESS
    connection = Connection(address)
    sdk = anthropic.Anthropic(
        api_key=key,
        base_url=address,
        max_retries=0,
        http_client=anthropic.DefaultHttpxClient(**connection.settings(anthropic.Timeout)),
    )
    return Client(sdk, connection, address)
