"""Finding a model's files on this machine. Nothing is downloaded here, and no model library imported."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runtime.errors import WorkerError
from weights import table

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"


def transformers_folder(model_id: str, revision: str | None, options: Mapping[str, Any]) -> Path:
    """As ``folder``, with a configuration and whole weights in it. Raises WorkerError ``model_not_found``."""
    return _checked(folder(model_id, revision, options), model_id)


def folder(
    model_id: str,
    revision: str | None,
    options: Mapping[str, Any],
    pointer: str = "/model/id",
    only: str | None = None,
) -> Path:
    """The folder with a model's files: its own path, or where an id was downloaded to, as far as it was.

    An id may be a short name of the model table. ``pointer`` is where the request names the model, ``only`` the one
    file of it that is wanted. Raises WorkerError ``model_not_found``, saying what to do.
    """
    if Path(model_id).is_dir():
        return Path(model_id)
    model_id = table.hub_id(model_id)
    models_dir = options.get("models_dir") or os.environ.get("STORYGEN_MODELS_DIR")
    if models_dir and (Path(models_dir) / model_id).is_dir():
        return Path(models_dir) / model_id
    if model_id.count("/") != 1 or model_id.startswith((".", "/", "~")):
        raise WorkerError(
            "model_not_found",
            f"There is no folder {model_id}, and that is not a model's id.",
            pointer=pointer,
            hint="Name a folder with a model, or an id of the Hugging Face hub, owner/name.",
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import IncompleteSnapshotError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model_id, revision=revision, cache_dir=models_dir, local_files_only=True))
    except IncompleteSnapshotError as error:  # nobody downloads all of a repository; what is needed, engines know
        return Path(error.snapshot_path)
    except (LocalEntryNotFoundError, ValueError) as error:  # ValueError: no id, or a branch's note that is no text
        command = ["storygen", "models", "download", model_id]
        command += ["--revision", revision] if revision else []
        command += ["--include", only] if only else []
        command += ["--models-dir", str(models_dir)] if models_dir else []
        raise WorkerError(
            "model_not_found",
            f"The model {model_id} is neither a folder nor downloaded.",
            pointer=pointer,
            hint=f"Download it with: {shlex.join(command)} — or name a model that is here.",
        ) from error


def _checked(path: Path, model_id: str) -> Path:
    """The folder, if it holds a configuration and whole weights as safetensors: a pickle can run code."""
    if not (path / "config.json").is_file():
        raise _lacking(model_id, "config.json")
    if (path / INDEX).is_file():
        try:
            shards = set(json.loads((path / INDEX).read_text(encoding="utf-8"))["weight_map"].values())
        except (ValueError, KeyError, AttributeError) as error:
            raise _lacking(model_id, f"a readable {INDEX}") from error
        missing = sorted(name for name in shards if not (path / name).is_file())
        if missing:
            raise _lacking(model_id, f"{len(missing)} of {len(shards)} files of its weights, such as {missing[0]}")
    elif not (path / WEIGHTS).is_file():
        others = sorted(file.name for file in path.iterdir() if file.suffix in {".bin", ".pt", ".pth", ".gguf"})
        raise _lacking(model_id, WEIGHTS, f"; it has {', '.join(others)}, which is not loaded" if others else "")
    return path


def _lacking(model_id: str, what: str, more: str = "") -> WorkerError:
    return WorkerError(
        "model_not_found",
        f"The model {model_id} lacks {what}{more}.",
        pointer="/model/id",
        hint="Download it again in whole, as safetensors: pickled weights (.bin, .pt) could run code.",
    )
