"""Finding the files of Stable Diffusion XL, its refiner, its LoRAs and its ControlNets. Imports no model library.

All as safetensors; of a model with files in two precisions those are taken that need no converting.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.errors import WorkerError
from weights import files

LIBRARIES = {"diffusers", "transformers"}
"""Whose classes a pipeline may name; another name would be code of its own."""
BASE = ("StableDiffusionXLPipeline", "StableDiffusionXLImg2ImgPipeline", "StableDiffusionXLInpaintPipeline")
REFINER = ("StableDiffusionXLImg2ImgPipeline",)


@dataclass(frozen=True)
class Pipeline:
    """A folder as ``save_pretrained`` of diffusers writes it, with its ``model_index.json``."""

    name: str
    folder: Path
    index: Mapping[str, Any]
    pointer: str

    def has(self, part: str) -> bool:
        """Whether it comes with this part, such as ``text_encoder``; a refiner has no first text encoder."""
        return self.index.get(part, [None])[0] is not None

    def config(self, part: str) -> dict[str, Any]:
        """The configuration of a part. Raises WorkerError ``model_not_found``."""
        name = "scheduler_config.json" if part == "scheduler" else "config.json"
        return _json(self.folder / part / name, self.name, self.pointer)

    def variant(self, part: str, half: bool) -> str | None:
        """The ``variant`` of a part's weights to read. Raises WorkerError ``model_not_found`` where it has none."""
        return variant(self.folder / part, f"{self.name}/{part}", half, self.pointer)


def pipeline(
    name: str,
    revision: str | None,
    options: Mapping[str, Any],
    *,
    kinds: tuple[str, ...] = BASE,
    pointer: str = "/model/id",
) -> Pipeline:
    """A model by folder or id. Raises WorkerError ``model_not_found`` with what is wrong about it."""
    if Path(name).is_file():
        raise WorkerError(
            "model_not_found",
            f"{name} is one file; this engine opens folders in the form of diffusers.",
            pointer=pointer,
            hint="Convert it on a machine that trusts it: StableDiffusionXLPipeline.from_single_file(FILE)"
            ".save_pretrained(FOLDER), then name the folder.",
        )
    folder = files.folder(name, revision, options, pointer)
    index = _json(folder / "model_index.json", name, pointer)
    kind = index.get("_class_name")
    foreign = sorted(
        str(part[0]) for part in index.values() if isinstance(part, list) and part[0] and part[0] not in LIBRARIES
    )
    if kind not in kinds or foreign:
        what = f"it is of {', '.join(foreign)}" if foreign else f"its model_index.json says {kind}"
        raise _unfit(name, f"not what is wanted here: {what}; wanted is {' or '.join(kinds)}", pointer)
    found = Pipeline(name, folder, index, pointer)
    if "text_encoder" in index and kinds == BASE and not found.has("text_encoder"):
        raise _unfit(name, "a refiner, which cannot begin a picture: name it in input.refiner.model", pointer)
    return found


def refiner(name: str, base: Pipeline, options: Mapping[str, Any]) -> Pipeline:
    """The second model of an ensemble, which shares the base's second text encoder.

    Raises WorkerError ``model_not_found``.
    """
    pointer = "/input/refiner/model"
    found = pipeline(name, None, options, kinds=REFINER, pointer=pointer)
    reads, said = found.config("unet").get("cross_attention_dim"), base.config("text_encoder_2").get("hidden_size")
    if reads != said:
        raise _unfit(
            name, f"a refiner for another model: it reads text of width {reads}, this model's is {said}", pointer
        )
    found.variant("unet", False)
    return found


def control_folder(name: str, text_width: int, options: Mapping[str, Any], pointer: str) -> Path:
    """A ControlNet's folder; it must have been made for text of ``text_width`` numbers a token, as the base was.

    Raises WorkerError ``model_not_found``.
    """
    folder = files.folder(name, None, options, pointer)
    config = _json(folder / "config.json", name, pointer)
    if config.get("_class_name") != "ControlNetModel":
        raise _unfit(name, f"not a ControlNet: its config.json says {config.get('_class_name')}", pointer)
    if config.get("cross_attention_dim") != text_width:
        found = f"it reads text of width {config.get('cross_attention_dim')}, this model {text_width}"
        raise _unfit(name, f"a ControlNet for another model: {found}", pointer)
    variant(folder, name, False, pointer)
    return folder


def lora_file(lora: Mapping[str, Any], options: Mapping[str, Any], pointer: str) -> Path:
    """The file of a LoRA. Raises WorkerError ``model_not_found`` where it is not clear which, or it is a pickle."""
    name = lora["path"] or lora["id"]
    where = Path(name) if lora["path"] else files.folder(name, None, options, f"{pointer}/id", lora["file"])
    if where.is_dir():
        found = sorted(file.name for file in where.glob("*.safetensors"))
        if lora["file"] is None and len(found) != 1:
            raise _unfit(
                name, f"not one LoRA: it has {', '.join(found) or 'no .safetensors file'}; name it in file", pointer
            )
        wanted = lora["file"] or found[0]
        if wanted not in found:
            raise _unfit(name, f"without a {wanted}: it has {', '.join(found) or 'no .safetensors file'}", pointer)
        where = where / wanted
    if where.suffix != ".safetensors":
        raise _unfit(str(where), "not a .safetensors file, and anything else could run code", pointer)
    return where


def variant(folder: Path, name: str, half: bool, pointer: str) -> str | None:
    """``fp16`` where only such weights are here, or where ``half`` precision is wanted and they are.

    Raises WorkerError ``model_not_found`` where there are none as safetensors.
    """
    names = [file.name for file in folder.glob("*.safetensors")]
    fp16, whole = (
        any((".fp16" in each) == wanted for each in names if ".non_ema" not in each) for wanted in (True, False)
    )
    if not fp16 and not whole:
        others = sorted(file.name for file in folder.glob("*") if file.suffix in {".bin", ".ckpt", ".pt", ".pth"})
        more = f"; it has {', '.join(others)}, which is not loaded" if others else ""
        raise _unfit(name, f"without weights as safetensors{more}", pointer)
    return "fp16" if fp16 and (half or not whole) else None


def _json(file: Path, name: str, pointer: str) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unfit(name, f"without a readable {file.name}", pointer) from error
    if not isinstance(found, dict):
        raise _unfit(name, f"without a readable {file.name}", pointer)
    return found


def _unfit(name: str, what: str, pointer: str) -> WorkerError:
    hint = "Download it again in whole, in the form of diffusers and as safetensors, or name another."
    return WorkerError("model_not_found", f"{name} is {what}.", pointer=pointer, hint=hint)
