"""Finding and opening a Whisper model with CTranslate2. Imports faster-whisper: itself imported only to load."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import ctranslate2
import faster_whisper
from faster_whisper.utils import _MODELS as ALIASES
from faster_whisper.vad import get_vad_model

from engines.speech_recognition._languages import code_of
from runtime.context import Context
from runtime.errors import WorkerError
from weights.files import folder

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
FASTEST = {"cuda": ("float16", "int8", "float32"), "cpu": ("int8", "float32")}
"""``auto``: the first of these that the device has."""
NEEDED_FILES = ("model.bin", "config.json", "tokenizer.json")
CONVERT = (
    "A model of transformers is converted by: ct2-transformers-converter --model FROM --output_dir TO "
    "--copy_files tokenizer.json preprocessor_config.json"
)


class Whisper(faster_whisper.WhisperModel):
    """A model that asks ``on_window`` before each window of 30 seconds: it may raise."""

    on_window: Callable[[], None]

    def encode(self, features: Any) -> Any:
        """As in the library."""
        self.on_window()
        return super().encode(features)


def open_model(model: Mapping[str, Any], options: Mapping[str, Any], compute_type: str, context: Context) -> Whisper:
    """The model asked for. ``compute_type`` is one of CTranslate2's names or auto.

    Raises WorkerError ``model_not_found``, ``device_unavailable``, ``unsupported_capability``, ``out_of_memory``.
    """
    device, index = _device(options["device"])
    chosen = _compute_type(compute_type, model, device, index)
    path = _folder(model, options)
    context.progress("load", 0, 1, "model")
    # The model that finds voices takes a tenth of a second too: it is opened meanwhile, and kept by the library.
    voices = threading.Thread(target=get_vad_model, daemon=True)
    voices.start()
    with library_errors(f"The model in {path} cannot be loaded"):
        whisper = Whisper(str(path), device=device, device_index=index, compute_type=chosen)
    voices.join()
    whisper.on_window = context.check
    context.progress("load", 1, 1, "model")
    return whisper


def facts(whisper: Whisper, model_id: str) -> dict[str, Any]:
    """What the result says of the model."""
    inner = whisper.model
    device = inner.device if inner.device == "cpu" else f"{inner.device}:{inner.device_index[0]}"
    whole, _, part = inner.compute_type.partition("_")
    weights = {"dtype": part or ("float32" if whole.startswith("int") else whole)}
    weights["quantization"] = whole if whole.startswith("int") else "none"
    return {"id": model_id, "device": device, "compute_type": inner.compute_type, **weights}


def language_code(whisper: Whisper, tag: str, model_id: str) -> str:
    """Whisper's code of a BCP 47 tag. Raises WorkerError ``unsupported_capability`` for one the model does not know."""
    code, known = code_of(tag), languages(whisper)
    if code in known:
        return code
    only = known == ["en"]
    raise WorkerError(
        "unsupported_capability",
        f"The model {model_id} knows English only; language is {tag}."
        if only
        else f"The model {model_id} does not know the language {tag}.",
        pointer="/input/language",
        hint="Take a multilingual model, such as large-v3." if only else f"It knows {', '.join(sorted(known))}.",
    )


def languages(whisper: Whisper) -> list[str]:
    """Codes of the languages the model has a token for; the library lists those of the largest."""
    if not whisper.model.is_multilingual:
        return ["en"]
    known = whisper.hf_tokenizer.token_to_id
    return [code for code in whisper.supported_languages if known(f"<|{code}|>") is not None]


@contextlib.contextmanager
def library_errors(doing: str | None = None) -> Iterator[None]:
    """CTranslate2 says all it has to say in RuntimeErrors; with ``doing``, any of them is the model's fault."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        text = str(error)
        if "out of memory" in text:
            hint = "Take compute_type int8, a smaller model or batch_size 1, or options.device cpu."
            raise WorkerError("out_of_memory", text, hint=hint) from error
        if re.search(r"cuda|cublas|cudnn", text, re.IGNORECASE):
            hint = "Install NVIDIA's driver and cuBLAS for CUDA 12 (pip install nvidia-cublas-cu12, its lib folder in "
            hint += "LD_LIBRARY_PATH), or set options.device to cpu."
            raise WorkerError("device_unavailable", text, hint=hint, pointer="/options/device") from error
        if doing is None:
            raise
        hint = "Download it again, or convert it with ct2-transformers-converter."
        raise WorkerError("model_not_found", f"{doing}: {text}", hint=hint, pointer="/model/id") from error


# The device and its number formats


def _device(wanted: str) -> tuple[str, int]:
    """(cpu or cuda, index of the GPU)."""
    count = ctranslate2.get_cuda_device_count()
    if wanted == "auto":
        return ("cuda" if count else "cpu"), 0
    name, _, index = wanted.partition(":")
    if name == "cpu" or (name == "cuda" and int(index or 0) < count):
        return name, int(index or 0)
    here = ", ".join(["cpu", *(f"cuda:{number}" for number in range(count))])
    raise WorkerError("device_unavailable", f"options.device is {wanted}; here is {here}.", pointer="/options/device")


def _compute_type(wanted: str, model: Mapping[str, Any], device: str, index: int) -> str:
    """A compute type that the device has: as asked for by CTranslate2's name, or by dtype and quantization."""
    here = ctranslate2.get_supported_compute_types(device, index)
    dtype, quantization = model["dtype"], model["quantization"]
    pointer = "/engine_options/compute_type"
    if dtype or quantization:
        if wanted != "auto":
            raise WorkerError(
                "invalid_request",
                f"compute_type is {wanted}, and the model's dtype or quantization is given too.",
                pointer=pointer,
                hint="Give one of them.",
            )
        pointer = "/model/quantization" if quantization else "/model/dtype"
        plain = quantization in {None, "none"}
        wanted = dtype or "auto" if plain else f"{quantization}_{dtype}" if dtype else quantization
        if wanted == "auto":  # not quantized
            here = {name for name in here if "int" not in name}
    if wanted == "auto":
        return next(name for name in (*FASTEST[device], "float32") if name in here)
    if wanted not in here:
        raise WorkerError(
            "unsupported_capability",
            f"compute_type is {wanted}; {device} has {', '.join(sorted(here))} on this machine.",
            pointer=pointer,
            hint="auto takes the fastest.",
        )
    return wanted


# The files


def _folder(model: Mapping[str, Any], options: Mapping[str, Any]) -> Path:
    """Where the model's files lie. Raises WorkerError ``model_not_found``; nothing is downloaded."""
    wanted = model["id"]
    if Path(wanted).is_dir():
        return _complete(Path(wanted), wanted, CONVERT)
    if wanted not in ALIASES and not HUB_ID.fullmatch(wanted):
        raise WorkerError(
            "model_not_found",
            f"There is no folder {wanted}, and that is not a model's name.",
            pointer="/model/id",
            hint=f"Name a folder with a CTranslate2 model, a model of the Hugging Face hub, or {', '.join(ALIASES)}.",
        )
    named = ALIASES.get(wanted, wanted)
    found = folder(named, model["revision"], options)
    return _complete(found, wanted, f"Download it again in whole: storygen models download {named}. {CONVERT}")


def _complete(path: Path, wanted: str, hint: str) -> Path:
    """The folder, if it holds a CTranslate2 model: without tokenizer.json the library would go to the hub for one."""
    missing = [name for name in NEEDED_FILES if not (path / name).is_file()]
    if missing:
        message = f"{wanted} lacks {', '.join(missing)}: it is no Whisper model of CTranslate2."
        raise WorkerError("model_not_found", message, pointer="/model/id", hint=hint)
    return path
