"""What a hosted service answers when it does not do what was asked, as errors of the table.

The SDKs of OpenAI and Anthropic come from one generator and raise the same family of classes; both carry httpx2.
Whether a status is a fault of the request, the key, the account or the service is decided here and nowhere else:

    answer                                              code
    401, 403                                            auth_rejected
    402; 429 for an empty account                       provider_rejected
    404 or 400 that names the model                     model_not_found
    429                                                 rate_limited, with retry_after_s
    408, 409, 5xx, 529; the same inside a stream        provider_unavailable
    200 that is not the protocol, or breaks off         provider_unavailable
    400, 413 of too long a context, or max_tokens       invalid_request
    400, 422 of a parameter or value it does not take   unsupported_capability, in the service's words
    400, 403 of its content rules                       content_refused
    any other 3xx, 4xx                                  provider_rejected
    no connection, one that was cut, long silence       network
    nobody listening at an address of this machine      engine_unavailable: trying again starts no server
"""

from __future__ import annotations

import contextlib
import datetime
import email.utils
import json
import math
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from providers.connection import is_loopback
from runtime.errors import WorkerError
from runtime.streams import without_secrets

SHOWN = 400
"""Characters of a service's own words that an error shows."""
LONGEST_WAIT_S = 86400.0
KEY = re.compile(r"\b(sk|key|pk)-[\w*.…-]{6,}")
"""Services quote the key they refuse, half hidden; not even that half belongs in a log."""
MODEL = re.compile(
    r"model_not_found|no such model|server is pinned to|model.{0,200}(not (be )?found|not exist|not a valid)", re.I
)
TOO_LONG = re.compile(
    r"context_length_exceeded|context.{0,20}(length|window|size)|(prompt|input|request).{0,20}too (long|large)"
    r"|request_too_large|string_above_max_length",
    re.I,
)
PARAMETER = re.compile(
    r"unsupported_(parameter|value)|unknown_parameter|(unsupported|unknown|unrecognized|unexpected).{0,20}"
    r"(parameter|argument|field|value)|extra inputs are not permitted|(is )?not supported (with|by|for|on) "
    r"|is deprecated for this model|does not support|extra_forbidden",
    re.I,
)
MAX_TOKENS = re.compile(r"\bmax_(completion_|output_)?tokens\b")
CONTENT = re.compile(
    r"content_(policy|filter)|content management policy|moderation|flagged|safety system|usage polic", re.I
)
NO_MONEY = re.compile(
    r"insufficient_quota|billing|credit.balance|spend.limit|payment|out of credits|exceeded your current quota", re.I
)
TYPES = {
    "authentication_error": 401,
    "permission_error": 403,
    "billing_error": 402,
    "not_found_error": 404,
    "rate_limit_error": 429,
    "invalid_request_error": 400,
    "request_too_large": 413,
    "api_error": 500,
    "server_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""Kinds of error that a stream brings after its status 200, as the status they would have had."""


@dataclass(frozen=True)
class Service:
    """A hosted service, as errors name it."""

    name: str
    address: str
    key_env: str | None
    model: str
    if_too_long: str = "Shorten the prompt, lower max_tokens, or choose a model with a larger context window."
    """What to do about a request that is more than it takes."""


class Broken(Exception):
    """An answer that is not the service's protocol, or that ends before its end; the message says what."""


@contextlib.contextmanager
def of(service: Service) -> Iterator[None]:
    """Turns what an SDK raises, and Broken, into a WorkerError of the table above."""
    try:
        yield
    except WorkerError:
        raise
    except Exception as error:
        known = fault(error, service)
        if known is None:
            raise
        raise known from error


def fault(error: Exception, service: Service) -> WorkerError | None:
    """The WorkerError of an SDK's exception; None for one that is no service's fault."""
    if hasattr(error, "status_code") and hasattr(error, "response"):
        return _answered(int(error.status_code), getattr(error, "body", None), error.response, service)
    if isinstance(error, Broken | ValueError):  # json.JSONDecodeError and UnicodeDecodeError are ValueErrors
        return _broken(f"{error}", service)
    chain = [error]
    while chain[-1].__cause__ and isinstance(chain[-1].__cause__, Exception):
        chain.append(chain[-1].__cause__)
    kinds = {ancestor.__name__ for part in chain for ancestor in type(part).__mro__}
    if "ReadTimeout" in kinds:
        return _network(f"{service.name} was silent for too long", service)
    if _was_refused(chain[-1]) and is_loopback(service.address):
        return _nobody_there(service)
    if kinds & {"TransportError", "APIConnectionError", "ConnectionError", "gaierror"}:
        return _network(f"{service.name} at {service.address} was not reached or hung up: {chain[-1]}", service)
    if hasattr(error, "body") and hasattr(error, "message"):  # openai.APIError: an error inside a stream
        return _answered(200, error.body, None, service)
    return None


def retry_after_s(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds that a service asks to wait: Retry-After in seconds or as a date, or when the used-up limits are reset.

    ``now`` is a Unix time, for answers without a Date.

    >>> retry_after_s({"retry-after": "7"})
    7.0
    """
    now = _date(headers.get("date", "")) or now or time.time()
    wait: float | None = None
    with contextlib.suppress(KeyError, ValueError):
        wait = float(headers["retry-after-ms"]) / 1000
    given = headers.get("retry-after", "").strip()
    if wait is None and given:
        try:
            wait = float(given)
        except ValueError:
            until = _date(given)
            wait = until - now if until is not None else None
    if wait is None:  # https://platform.claude.com/docs/en/api/rate-limits#response-headers
        resets = [
            until
            for name, value in headers.items()
            if (found := re.fullmatch(r"anthropic-ratelimit-(.+)-reset", name.lower()))
            and headers.get(f"anthropic-ratelimit-{found[1]}-remaining") == "0"
            and (until := _timestamp(value)) is not None
        ]
        wait = max(resets) - now if resets else None
    if wait is None or not math.isfinite(wait):
        return None
    return round(min(max(wait, 0.0), LONGEST_WAIT_S), 3)


def _answered(status: int, body: object, response: Any, service: Service) -> WorkerError:
    kinds, words = _words(body)
    if status < 300:
        status = next((_status(kind) for kind in kinds if _status(kind)), 500)
    said = " ".join([*kinds, words])
    headers = getattr(response, "headers", None) or {}
    shown = _shown(words) or f"status {status}, no further words"
    message = f"{service.name} answered: {shown}"
    if status in {401, 403}:
        return _about_the_key(status, said, message, service)
    if status == 429 and not NO_MONEY.search(said):
        wait = retry_after_s(headers)
        return WorkerError("rate_limited", message, hint="Wait and try again, or do less at once.", retry_after_s=wait)
    if status >= 500 or status in {408, 409}:
        return WorkerError(
            "provider_unavailable",
            f"{service.name} had a fault of its own (status {status}): {shown}",
            hint="Try again later.",
            retry_after_s=retry_after_s(headers),
        )
    if status < 400:
        return WorkerError(
            "provider_rejected",
            f"{service.name} at {service.address} sends on to {_shown(headers.get('location') or 'another address')}.",
            hint="Use the address where the service really is: keys are not sent on.",
        )
    return _about_the_request(status, said, message, service)


def _about_the_key(status: int, said: str, message: str, service: Service) -> WorkerError:
    if status == 403 and CONTENT.search(said):
        return WorkerError("content_refused", message, hint="Change the text; the service's content rules refuse it.")
    hint = (
        f"Check the key in {service.key_env}, and what it may use." if service.key_env else "This server wants a key."
    )
    return WorkerError("auth_rejected", f"{message} (status {status}).", hint=hint)


def _about_the_request(status: int, said: str, message: str, service: Service) -> WorkerError:
    if status in {402, 429} or NO_MONEY.search(said):
        return WorkerError("provider_rejected", message, hint="Look at the account's credit, plan and limits.")
    if (MODEL.search(said) and not PARAMETER.search(said)) or (
        status == 404 and service.model and service.model in said
    ):
        return WorkerError(
            "model_not_found",
            message,
            pointer="/model/id",
            hint=f"Is {service.model!r} what {service.name} calls the model, and may this key use it?",
        )
    if status == 404:
        return WorkerError("provider_rejected", message, hint=f"Is {service.address} the root of the API?")
    if CONTENT.search(said):
        return WorkerError("content_refused", message, hint="Change the text; the service's content rules refuse it.")
    if PARAMETER.search(said):
        return WorkerError(
            "unsupported_capability",
            message,
            pointer="/input",
            hint=f"Leave out what {service.model} does not take, or choose another model.",
        )
    if MAX_TOKENS.search(said) and not TOO_LONG.search(said):
        return WorkerError("invalid_request", message, pointer="/input/max_tokens", hint="Lower max_tokens.")
    if status == 413 or TOO_LONG.search(said):
        return WorkerError(
            "invalid_request",
            message,
            pointer="/input",
            hint=service.if_too_long,
        )
    return WorkerError("provider_rejected", f"{message} (status {status}).")


def _broken(what: str, service: Service) -> WorkerError:
    return WorkerError(
        "provider_unavailable",
        f"{service.name} at {service.address} sent an answer that cannot be used: {_shown(what)}",
        hint="Try again; if it stays, is that address the root of the API?",
    )


def _network(what: str, service: Service) -> WorkerError:
    hint = "Check the connection; the request can be tried again."
    return WorkerError("network", f"{_shown(what)}.", hint=hint)


def _was_refused(error: BaseException | None) -> bool:
    """Whether the system refused a connection: the HTTP library raises its own error while it handles that one."""
    while error is not None and not isinstance(error, ConnectionRefusedError):
        error = error.__cause__ or error.__context__
    return error is not None


def _nobody_there(service: Service) -> WorkerError:
    return WorkerError(
        "engine_unavailable",
        f"{service.name} is not running: nothing listens at {service.address}.",
        hint="Start it (Ollama's by: ollama serve), or correct base_url; then the same request can be made again.",
    )


def _words(body: object) -> tuple[list[str], str]:
    """(kinds of error, the service's words) of an error's body, in any of the shapes that servers use."""
    inner = body.get("error", body) if isinstance(body, Mapping) else body
    if not isinstance(inner, Mapping):
        return [], inner if isinstance(inner, str) else ""
    kinds = [str(inner[name]) for name in ("code", "type") if inner.get(name) is not None]
    words = inner.get("message") or inner.get("detail") or ""
    return kinds, words if isinstance(words, str) else json.dumps(words, ensure_ascii=False)


def _status(kind: str) -> int:
    """The status that an error inside a stream stands for, or 0."""
    return TYPES.get(kind) or (int(kind) if re.fullmatch(r"[345]\d\d", kind) else 0)


def _shown(words: str) -> str:
    """One line of a service's words, without anything like a key."""
    if re.match(r"\s*<(!doctype|html)", words, re.I):
        return "an HTML page"
    line = KEY.sub("<key>", without_secrets(" ".join(words.split())))
    return line if len(line) <= SHOWN else line[:SHOWN] + "…"


def _date(text: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError):
        return None


def _timestamp(text: str) -> float | None:
    try:
        return datetime.datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None
