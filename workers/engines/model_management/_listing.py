"""What the hub says that a model consists of, and what of it is to be downloaded."""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx2
from huggingface_hub import HfApi, constants, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.file_download import http_get
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import build_hf_headers, silent_tqdm

from engines.model_management._choice import Entry
from engines.model_management._hub_errors import CHECK_CONNECTION
from runtime.errors import WorkerError

COMMIT = re.compile(r"[0-9a-f]{40}")
HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
MODEL_INDEX = "model_index.json"
MOST_INDEX_BYTES = 1 << 20


@dataclass(frozen=True)
class Listing:
    """A commit of a model."""

    model_id: str
    revision: str
    commit: str
    entries: Sequence[Entry]
    model_index: Mapping[str, Any] | None
    """Of a diffusers model: which folders it is made of."""
    gated: bool | None
    """Whether its terms have to be accepted, and were; None where the hub does not say."""


def listing(model_id: str, revision: str | None) -> Listing:
    """Ask the hub; writes nothing. Raises what the library raises, and WorkerError for an answer that is none."""
    api, name = HfApi(), revision or constants.DEFAULT_REVISION
    with _a_hubs_answer():
        facts = api.model_info(model_id, revision=name)
    if facts.gated:  # everything of it may be listed and nothing had: that is asked first
        api.auth_check(model_id)
    commit = name if COMMIT.fullmatch(name) else str(facts.sha)
    if not COMMIT.fullmatch(commit):  # it becomes the name of a folder
        raise WorkerError("provider_rejected", f"The hub calls a commit of {model_id} {commit!r}: not safe.")
    with _a_hubs_answer():
        tree = list(api.list_repo_tree(model_id, recursive=True, revision=commit))
    entries = [_entry(file, model_id) for file in tree if isinstance(file, RepoFile)]
    index = next((entry for entry in entries if entry.name == MODEL_INDEX), None)
    content = _content(model_id, commit, index) if index else None
    return Listing(model_id, name, commit, entries, content, None if facts.gated is None else bool(facts.gated))


@contextlib.contextmanager
def _a_hubs_answer() -> Iterator[None]:
    """Raises WorkerError ``provider_unavailable`` where what answers is no hub; the library then stumbles over it."""
    try:
        yield
    except HfHubHTTPError:
        raise
    except (httpx2.TooManyRedirects, AttributeError, LookupError, TypeError, ValueError) as error:
        raise WorkerError(
            "provider_unavailable",
            f"What answers at {constants.ENDPOINT} does not answer as a hub: a proxy's or a login page? "
            f"({type(error).__name__}: {str(error)[:200]})",
            hint=CHECK_CONNECTION,
        ) from error


def _entry(file: RepoFile, model_id: str) -> Entry:
    content = file.lfs.sha256 if file.lfs else file.blob_id
    parts = file.path.replace("\\", "/").split("/")
    odd = not file.path.isprintable() or not {"", ".", ".."}.isdisjoint(parts)
    if odd or not isinstance(content, str) or not HASH.fullmatch(content):  # both become names of files
        raise WorkerError(
            "provider_rejected", f"The hub lists a file {file.path!r} of {model_id}, content {content!r}: not safe."
        )
    return Entry(file.path, file.lfs.size if file.lfs else file.size, content)


def _content(model_id: str, commit: str, index: Entry) -> Mapping[str, Any]:
    body = io.BytesIO()
    try:
        if index.size > MOST_INDEX_BYTES:
            raise ValueError(f"it has {index.size} bytes")
        url = hf_hub_url(model_id, index.name, revision=commit)
        http_get(url, body, headers=build_hf_headers(), expected_size=index.size, tqdm_class=silent_tqdm)
        content: Mapping[str, Any] = json.loads(body.getvalue())
        if not isinstance(content, dict):
            raise ValueError("it is no object")
    except ValueError as error:
        raise WorkerError(
            "model_not_found",
            f"The {MODEL_INDEX} of {model_id} cannot be read: {error}.",
            pointer="/input/id",
            hint="Name an older revision, or what you want by allow_patterns.",
        ) from error
    return content
