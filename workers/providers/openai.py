"""OpenAI's API and the services that speak it: where they are, whose key they get, and a client that sends once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from providers.connection import Connection, is_loopback
from providers.faults import Service
from runtime.context import Context
from runtime.errors import WorkerError


@dataclass(frozen=True)
class Preset:
    """A service that speaks OpenAI's API."""

    name: str
    address: str | None
    """Root of its API; None where the request says it."""
    key_env: str | None
    """Environment variable with its key; None where it takes none."""
    key_needed: bool = True
    movable: bool = False
    """Whether a request may name another address. Never where a provider's key would go there."""


PRESETS: Mapping[str, Preset] = {
    "openai": Preset("OpenAI", "https://api.openai.com/v1", "OPENAI_API_KEY"),
    "openrouter": Preset("OpenRouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    "together": Preset("Together", "https://api.together.xyz/v1", "TOGETHER_API_KEY"),
    "ollama": Preset("Ollama", "http://127.0.0.1:11434/v1", None, key_needed=False, movable=True),
    "custom": Preset("The server", None, "STORYGEN_CUSTOM_API_KEY", key_needed=False, movable=True),
}
OPTIONS: Mapping[str, Any] = {
    "preset": {
        "enum": list(PRESETS),
        "default": "openai",
        "description": "The service, and whose key it gets: openai OPENAI_API_KEY, openrouter OPENROUTER_API_KEY, "
        "together TOGETHER_API_KEY, ollama none, custom (any server with this API) STORYGEN_CUSTOM_API_KEY if set.",
    },
    "base_url": {
        "type": ["string", "null"],
        "pattern": r"^https?://[^\s@]+$",
        "maxLength": 2000,
        "default": None,
        "description": "Root of the API, such as http://127.0.0.1:8000/v1: for the presets custom, which needs it, and "
        "ollama. No other preset takes one: a provider's key goes to that provider only.",
    },
}
"""Members of ``engine_options`` that every engine for these services has."""
OPTION_KEYS: Mapping[str, Mapping[str, str]] = {
    "preset": {name: preset.key_env for name, preset in PRESETS.items() if preset.key_env and preset.key_needed}
}
"""Which key is needed for which of them: what such an engine says as ``option_keys``."""
ONLY_OURS: Mapping[str, str | None] = dict.fromkeys(
    ("host", "accept", "accept-encoding", "connection", "content-type", "content-length", "user-agent")
)
"""Headers for other services than OpenAI: the SDK would add organisation, project and OPENAI_CUSTOM_HEADERS."""


@dataclass(frozen=True)
class Client:
    """An SDK client, the connection it uses and the service at its end."""

    sdk: Any
    connection: Connection
    preset: Preset
    address: str

    def service(self, model: str) -> Service:
        """The service as errors name it."""
        return Service(self.preset.name, self.address, self.preset.key_env, model)


class Clients:
    """The clients of an engine, one for each service that its requests' engine_options name, kept."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str | None], Client] = {}

    def of(self, context: Context) -> Client:
        """The client for a request. Raises WorkerError as ``client`` does, or where it may not leave this machine."""
        options = context.engine_options
        key = (options["preset"], options["base_url"])
        if key not in self._made:
            self._made[key] = client(options)
        found = self._made[key]
        if context.options.get("offline") and not is_loopback(found.address):
            raise WorkerError(
                "unsupported_capability",
                f"options.offline is set, and {found.address} is not on this machine.",
                pointer="/options/offline",
                hint="Use a server on this machine, or another engine.",
            )
        return found

    def close(self) -> None:
        """Close the connections."""
        for made in self._made.values():
            made.sdk.close()
        self._made.clear()


def named(model: str | None, preset: str, default: str) -> str:
    """The model of a request: OpenAI's own service has a ``default``, the others must be told."""
    if model is None and preset != "openai":
        raise WorkerError(
            "invalid_request",
            f"The preset {preset} needs model.id.",
            pointer="/model/id",
            hint="Name the model as the service does; GET <base_url>/models lists them.",
        )
    return model or default


def client(options: Mapping[str, Any]) -> Client:
    """A client for these engine_options, which sends every request once.

    OPENAI_BASE_URL, the user's own word, moves the preset openai, as in the SDK. Raises WorkerError ``auth_missing`` or
    ``invalid_request``.
    """
    import openai

    name, preset = options["preset"], PRESETS[options["preset"]]
    address = _address(name, preset, options["base_url"])
    key = os.environ.get(preset.key_env or "")
    if not key and preset.key_needed:
        raise WorkerError(
            "auth_missing",
            f"The environment variable {preset.key_env} is not set, and {preset.name} needs its key.",
            pointer="/engine_options/preset",
            hint=f"Set {preset.key_env}, or choose a preset that needs no key: ollama, custom.",
        )
    headers = None if name == "openai" else {**ONLY_OURS, "authorization": f"Bearer {key}" if key else None}
    if headers is not None and not key:
        del headers["authorization"]
    connection = Connection(address, headers)
    sdk = openai.OpenAI(
        api_key=key or "none",
        base_url=address,
        max_retries=0,
        http_client=openai.DefaultHttpxClient(**connection.settings(openai.Timeout)),
    )
    return Client(sdk, connection, preset, address)


def _address(name: str, preset: Preset, given: str | None) -> str:
    if given is not None and not preset.movable:
        raise WorkerError(
            "invalid_request",
            f"The preset {name} takes no base_url: its key goes to {preset.address} only.",
            pointer="/engine_options/base_url",
            hint="Leave it out, or use the preset custom, whose key is STORYGEN_CUSTOM_API_KEY.",
        )
    if name == "openai":
        return os.environ.get("OPENAI_BASE_URL") or str(preset.address)
    address = given or preset.address
    if address is None:
        raise WorkerError(
            "invalid_request",
            f"The preset {name} needs base_url.",
            pointer="/engine_options/base_url",
            hint="Such as http://127.0.0.1:8000/v1.",
        )
    return address
