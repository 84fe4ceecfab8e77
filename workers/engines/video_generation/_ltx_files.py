"""Finding the files of an LTX-Video model, and what is known of it. Imports no model library.

A model is a folder in the form of diffusers, with safetensors only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.errors import WorkerError
from weights import files

CONDITION, IMAGE, TEXT = "LTXConditionPipeline", "LTXImageToVideoPipeline", "LTXPipeline"
CLASSES = {
    "scheduler": {"FlowMatchEulerDiscreteScheduler"},
    "text_encoder": {"T5EncoderModel"},
    "tokenizer": {"T5Tokenizer", "T5TokenizerFast"},
    "transformer": {"LTXVideoTransformer3DModel"},
    "vae": {"AutoencoderKLLTXVideo"},
}
WEIGHTS = {
    "text_encoder": "model",
    "transformer": "diffusion_pytorch_model",
    "vae": "diffusion_pytorch_model",
}
VOCABULARIES = ("spiece.model", "tokenizer.json")


@dataclass(frozen=True)
class Model:
    """A whole model on this machine. ``pipeline`` is the class of diffusers that it names: what it was made for."""

    name: str
    folder: Path
    pipeline: str


def find(name: str, revision: str | None, options: Mapping[str, Any]) -> Model:
    """A model by folder or id. Raises WorkerError ``model_not_found`` with what is wrong about it."""
    if Path(name).is_file():
        raise WorkerError(
            "model_not_found",
            f"{name} is one file; this engine opens folders in the form of diffusers.",
            pointer="/model/id",
            hint="Download the folder of diffusers' parts of the model and name it, or name the model's id.",
        )
    folder = files.folder(name, revision, options)
    index = _json(folder / "model_index.json", name)
    if index.get("_class_name") not in {CONDITION, IMAGE, TEXT}:
        raise _unfit(name, f"not LTX-Video: its model_index.json says {index.get('_class_name')}")
    for part, kinds in CLASSES.items():
        named = (index.get(part) or [None, None])[-1]
        if named not in kinds:  # another name could be code of its own
            raise _unfit(name, f"not LTX-Video: its {part} is {named}; wanted is {' or '.join(sorted(kinds))}")
    if not any((folder / "tokenizer" / file).is_file() for file in VOCABULARIES):
        raise _unfit(f"{name}/tokenizer", f"without {' or '.join(VOCABULARIES)}")  # the library would make one up
    for part, stem in WEIGHTS.items():
        _json(folder / part / "config.json", f"{name}/{part}")
        _check_weights(folder / part, stem, f"{name}/{part}")
    return Model(name, folder, index["_class_name"])


def _check_weights(folder: Path, stem: str, name: str) -> None:
    """Raises WorkerError ``model_not_found`` where not all of the weights are here as safetensors."""
    index = folder / f"{stem}.safetensors.index.json"
    if index.is_file():
        shards = set((_json(index, name).get("weight_map") or {"": f"{stem}.safetensors"}).values())
        missing = sorted(shard for shard in shards if not (folder / shard).is_file())
        if missing:
            raise _unfit(name, f"without {len(missing)} of {len(shards)} files of its weights, such as {missing[0]}")
    elif not (folder / f"{stem}.safetensors").is_file():
        others = sorted(file.name for file in folder.glob("*") if file.suffix in {".bin", ".ckpt", ".pt", ".pth"})
        more = f"; it has {', '.join(others)}, which is not loaded" if others else ""
        raise _unfit(name, f"without {stem}.safetensors{more}")


def _json(file: Path, name: str) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unfit(name, f"without a readable {file.name}") from error
    if not isinstance(found, dict):
        raise _unfit(name, f"without a readable {file.name}")
    return found


def _unfit(name: str, what: str) -> WorkerError:
    return WorkerError(
        "model_not_found",
        f"{name} is {what}.",
        pointer="/model/id",
        hint="Download it again in whole, in the form of diffusers and as safetensors, or name another.",
    )
