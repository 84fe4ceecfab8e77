"""What huggingface_hub raises, as ends of the error table. Imports it: itself imported only to run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import httpx2
from huggingface_hub import constants, errors

from runtime.errors import WorkerError

CHECK_CONNECTION = "Check the connection and run it again: what has come is kept."
ADVICE_OF_HTTPX = "For more information check: https://developer.mozilla.org"
PASSING = "Run it again later: what has come is kept."


@contextlib.contextmanager
def hub_errors(model_id: str, revision: str | None) -> Iterator[None]:
    """Raises WorkerError for whatever the library raises about this model; the nearest class comes first."""
    try:
        yield
    except errors.GatedRepoError as error:
        raise gated(model_id) from error
    except errors.RevisionNotFoundError as error:
        raise WorkerError(
            "model_not_found",
            f"The model {model_id} has no revision {revision or constants.DEFAULT_REVISION}.",
            pointer="/input/revision",
            hint=f"Its branches and tags: {constants.ENDPOINT}/{model_id}/tree/main; without one it is main.",
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise WorkerError(
            "model_not_found",
            f"The hub has no model {model_id}, or it is private.",
            pointer="/input/id",
            hint="Check its spelling, capitals included; for a private one set HF_TOKEN to a token that may read it.",
        ) from error
    except errors.RemoteEntryNotFoundError as error:
        raise WorkerError(
            "model_not_found",
            f"A file that the hub lists for {model_id} is not there: {_in_short(error)}",
            pointer="/input/id",
            hint="Its owner may be changing it: try again later, or name an older revision.",
        ) from error
    except errors.HfHubHTTPError as error:
        raise _refused(error, model_id) from error
    except (httpx2.RequestError, errors.LocalEntryNotFoundError, errors.RevisionResolutionError) as error:
        raise WorkerError(
            "network", f"The connection to {constants.ENDPOINT} failed: {_in_short(error)}", hint=CHECK_CONNECTION
        ) from error
    except OSError as error:
        if "Consistency check failed" in str(error):  # the library has no class for it
            raise WorkerError("network", f"A file came short: {_in_short(error)}", hint=CHECK_CONNECTION) from error
        if error.errno is None:
            raise
        raise WorkerError(
            "output_failed",
            f"{error.filename or 'A file of ' + model_id}: {error.strerror}.",
            hint="Name another folder for models: options.models_dir, --models-dir or STORYGEN_MODELS_DIR.",
        ) from error


def gated(model_id: str) -> WorkerError:
    """What to do about a model whose terms were not accepted."""
    return WorkerError(
        "gated_model",
        f"The model {model_id} is gated: its terms must be accepted before it can be downloaded.",
        pointer="/input/id",
        hint=f"Accept them, with an account, on {constants.ENDPOINT}/{model_id}; make a token that may read on "
        f"{constants.ENDPOINT}/settings/tokens and set HF_TOKEN to it. Some owners take days to answer.",
    )


def _refused(error: errors.HfHubHTTPError, model_id: str) -> WorkerError:
    status = error.response.status_code
    said = f"The hub answers {status} for {model_id}: {_in_short(error)}"
    if status == 401:
        return WorkerError("auth_rejected", said, hint="Set HF_TOKEN to a valid token, or unset it.")
    if status == 403:
        return WorkerError("gated_model", said, hint="Set HF_TOKEN to a token that may read this model.")
    if status == 429:
        return WorkerError("rate_limited", said, hint=PASSING, retry_after_s=_pause(error))
    if status >= 500:
        return WorkerError("provider_unavailable", said, hint=PASSING)
    return WorkerError("provider_rejected", said)


def _pause(error: errors.HfHubHTTPError) -> float | None:
    """Seconds that the hub asks to wait."""
    with contextlib.suppress(KeyError, ValueError):
        return max(0.0, float(error.response.headers["Retry-After"]))
    return None


def _in_short(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and not line.startswith(ADVICE_OF_HTTPX)]
    return " ".join(lines[:3])[:400] or type(error).__name__
