"""What the hub says that a model consists of, and what of it is to be downloaded."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from huggingface_hub import HfApi, constants, hf_hub_url
from huggingface_hub.file_download import http_get
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import build_hf_headers, silent_tqdm

from engines.model_management._choice import Entry
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


def listing(model_id: str, revision: str | None) -> Listing:
    """Ask the hub; writes nothing. Raises what the library raises, and WorkerError for an answer that is none."""
    api, name = HfApi(), revision or constants.DEFAULT_REVISION
    commit = name if COMMIT.fullmatch(name) else _resolved(api, model_id, name)
    tree = api.list_repo_tree(model_id, recursive=True, revision=commit)
    entries = [_entry(file, model_id) for file in tree if isinstance(file, RepoFile)]
    index = next((entry for entry in entries if entry.name == MODEL_INDEX), None)
    return Listing(model_id, name, commit, entries, _content(model_id, commit, index) if index else None)


def _resolved(api: HfApi, model_id: str, name: str) -> str:
    """The commit of a branch or tag. Of a gated model everything may be listed and nothing had: that is asked first."""
    facts = api.model_info(model_id, revision=name)
    if facts.gated:
        api.auth_check(model_id)
    return str(facts.sha)


def _entry(file: RepoFile, model_id: str) -> Entry:
    content = file.lfs.sha256 if file.lfs else file.blob_id
    parts = file.path.replace("\\", "/").split("/")
    if not HASH.fullmatch(content) or ".." in parts or "" in parts:  # both become names of files
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
