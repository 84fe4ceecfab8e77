"""Which files of a repository are downloaded: all that running the model needs, in one precision, and no pickle.

A repository often holds the same weights several times: for other libraries, in several precisions, and for programs
that want one large file. Taking all of it costs three to ten times the disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from huggingface_hub.utils import filter_repo_objects

from runtime.errors import WorkerError

WANTED = ["*.safetensors", "*.json", "*.jinja", "*.model", "*.txt", "model.bin", "LICENSE*"]
PICKLES = {".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth"}
"""Reading one can run code that somebody hid in it."""
OTHERS = {".gguf", ".h5", ".msgpack", ".onnx", ".tflite"}
"""Weights for libraries that no engine here uses."""
CTRANSLATE2 = ("vocabulary.json", "vocabulary.txt")
"""Beside one of these a ``model.bin`` is CTranslate2's own format, which holds numbers only."""
WEIGHTS = re.compile(
    r"(?P<stem>model|diffusion_pytorch_model|adapter_model|pytorch_lora_weights)(?:\.(?P<before>\w+))?"
    r"(?P<shard>-\d{5}-of-\d{5})?(?:\.(?P<after>\w+))?\.safetensors"
)
"""How transformers, diffusers and peft name weights, with the precision before or after the number of the part."""
INDEX = re.compile(r"(?P<stem>\w+?)(?:\.(?P<before>\w+))?\.safetensors\.index(?:\.(?P<after>\w+))?\.json")
ANY_INDEX = re.compile(r".+\.index(?:\.\w+)?\.json")
"""Says what lies in which part of some weights, pickled ones too; of use with them only."""
READS_VARIANTS = "StableDiffusionXL"
"""How the class of a pipeline begins whose engine takes files with ``fp16`` in their names for what they are. Every
other engine looks for the names without, and finds nothing."""


@dataclass(frozen=True)
class Entry:
    """A file of a repository: its name there, its size in bytes, and the hash that the cache calls its content by."""

    name: str
    size: int
    blob: str

    @property
    def folder(self) -> str:
        return str(PurePosixPath(self.name).parent)

    @property
    def base(self) -> str:
        return PurePosixPath(self.name).name


@dataclass(frozen=True)
class Choice:
    """The files to download, in order of their names, and their precision: fp16 or full."""

    entries: tuple[Entry, ...]
    precision: str


def choose(
    entries: Sequence[Entry],
    model_index: Mapping[str, Any] | None,
    precision: str | None,
    patterns: Sequence[str] | None,
) -> Choice:
    """Choose among all files of a repository.

    ``model_index`` is the content of a diffusers model's ``model_index.json``, which names its folders; ``precision``
    fp16, full or None for fp16 where it is published and an engine reads it; ``patterns`` what the user names. Raises
    WorkerError ``invalid_request`` where nothing fits the patterns or it is not clear which weights are meant,
    ``model_not_found`` where there are no weights, all are pickles or none has the precision.
    """
    named = _named(entries, patterns)
    safe = [entry for entry in named if not _pickle(entry, entries)]
    weights = [entry for entry in safe if _weighs(entry)]
    unread = [entry.name for entry in (entries if patterns is None else named) if _cannot_be_read(entry, entries)]
    if unread and not weights:
        raise _no_weights(unread)
    if precision is None and not str((model_index or {}).get("_class_name")).startswith(READS_VARIANTS):
        precision = "full"
    if model_index is not None and patterns is None:
        safe = [entry for entry in safe if _of_a_part(entry, model_index)]
    chosen: list[Entry] = []
    variants: set[str] = set()
    for folder in sorted({entry.folder for entry in safe}):
        kept, variant = _one_set([entry for entry in safe if entry.folder == folder], precision, patterns is not None)
        chosen += kept
        variants |= {variant} if variant else set()
    if patterns is None and not any(_weighs(entry) for entry in chosen):
        raise WorkerError(
            "model_not_found",
            f"It has no weights: {_some(entry.name for entry in entries) or 'it is empty'}.",
            pointer="/input/id",
            hint="Check the id; or say by allow_patterns which of its files you want.",
        )
    if precision == "fp16" and weights and "fp16" not in variants:
        raise WorkerError(
            "model_not_found",
            "precision is fp16, and the model has no such files.",
            pointer="/input/precision",
            hint="Leave precision out, or give full.",
        )
    return Choice(tuple(sorted(chosen, key=lambda entry: entry.name)), "fp16" if "fp16" in variants else "full")


def _named(entries: Sequence[Entry], patterns: Sequence[str] | None) -> list[Entry]:
    wanted = list(patterns or WANTED)
    named: Iterable[Entry] = filter_repo_objects(entries, allow_patterns=wanted, key=lambda entry: entry.name)
    found = list(named)
    if not found and patterns is not None:
        raise WorkerError(
            "invalid_request",
            f"No file of the model fits allow_patterns {', '.join(patterns)}.",
            pointer="/input/allow_patterns",
            hint=f"It has {_some(entry.name for entry in entries) or 'no files'}.",
        )
    return found


def _weighs(entry: Entry) -> bool:
    return entry.name.endswith(".safetensors") or entry.base == "model.bin"


def _pickle(entry: Entry, entries: Iterable[Entry]) -> bool:
    if PurePosixPath(entry.name).suffix.lower() not in PICKLES:
        return False
    beside = {other.base for other in entries if other.folder == entry.folder}
    return entry.base != "model.bin" or beside.isdisjoint(CTRANSLATE2)


def _cannot_be_read(entry: Entry, entries: Iterable[Entry]) -> bool:
    return _pickle(entry, entries) or PurePosixPath(entry.name).suffix.lower() in OTHERS


def _some(names: Iterable[str]) -> str:
    """The first names, and how many more there are."""
    every = list(names)
    return ", ".join(every[:3]) + (f" and {len(every) - 3} more" if len(every) > 3 else "")


def _no_weights(names: Sequence[str]) -> WorkerError:
    return WorkerError(
        "model_not_found",
        f"It has no weights as safetensors, only {_some(names)}: pickles can run code and are never downloaded, "
        "and no engine here reads other formats.",
        pointer="/input/id",
        hint="Take a model that is published as safetensors, or have its owner convert it.",
    )


def _of_a_part(entry: Entry, model_index: Mapping[str, Any]) -> bool:
    """Whether diffusers reads it: a folder that the index names, or a small file beside the index."""
    top = PurePosixPath(entry.name).parts[0]
    if entry.folder == ".":
        return not _weighs(entry)
    return isinstance(model_index.get(top), list) and model_index[top][:1] != [None]


def _one_set(entries: Sequence[Entry], precision: str | None, named: bool) -> tuple[list[Entry], str | None]:
    """Of one folder's files those of one precision, and which it is: fp16, full, or None where there are no weights."""
    parsed = {entry: match for entry in entries if (match := WEIGHTS.fullmatch(entry.base))}
    others = [entry for entry in entries if _weighs(entry) and entry not in parsed]
    plain = [entry for entry in entries if not _weighs(entry) and not ANY_INDEX.fullmatch(entry.base)]
    if not parsed:
        if len(others) > 1 and not named:
            raise _unclear(others)
        return plain + others, "full" if others else None
    variants = {_variant(match) for match in parsed.values()}
    variant = "fp16" if "fp16" in variants and precision != "full" else None
    if variant not in variants:
        variant = sorted(each for each in variants if each)[0]  # published in this precision only
    kept = [entry for entry, match in parsed.items() if _variant(match) == variant]
    whole = [entry for entry in kept if not parsed[entry]["shard"]]
    split = [entry for entry in kept if parsed[entry]["shard"]]
    stems = {parsed[entry]["stem"] for entry in whole}
    # Of weights that are there in one file and in parts, the one file: it is what the libraries look for first.
    kept = whole + [entry for entry in split if parsed[entry]["stem"] not in stems]
    indices = [entry for entry in entries if (match := INDEX.fullmatch(entry.base)) and _variant(match) == variant]
    return plain + (others if named else []) + kept + (indices if len(kept) > len(whole) else []), variant or "full"


def _variant(match: re.Match[str]) -> str | None:
    return match["before"] or match["after"]


def _unclear(weights: Sequence[Entry]) -> WorkerError:
    shown = _some(entry.name for entry in weights)
    return WorkerError(
        "invalid_request",
        f"The model has {len(weights)} files of weights, and which of them are meant is not clear: {shown}.",
        pointer="/input/allow_patterns",
        hint="Name what you want by allow_patterns, such as the name of one file.",
    )
