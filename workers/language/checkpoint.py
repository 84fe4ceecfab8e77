"""A language model's files on this machine, opened as far as can be without its weights; the same for every family.

Taken by id, if downloaded, or by folder; as safetensors only, and never with code of its own.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runtime.context import Context
from runtime.errors import WorkerError
from weights import files
from weights.torch_errors import quiet


@dataclass(frozen=True)
class Kind:
    """What a family takes for a model."""

    auto_class: str
    """The class of transformers that reads its weights."""
    name: str
    """In errors: a causal language model …"""
    smaller: str
    """What to do where it finds no room."""
    instead: str = ""
    """A model to take in place of one that needs its own code."""


class Checkpoint:
    """Configuration, generation defaults and placement of a model; its weights are read by ``read_weights``.

    Raises WorkerError for whatever can be refused without weights: ``model_not_found``, ``unsupported_capability``,
    ``device_unavailable``, ``engine_unavailable``.
    """

    def __init__(
        self, kind: Kind, name: str, model: Mapping[str, Any], options: Mapping[str, Any], context: Context
    ) -> None:
        self.id, self.kind = name, kind
        self.folder = files.transformers_folder(name, model["revision"], options)
        context.progress("load", 0, 1, "model")
        began = time.monotonic()
        with quiet():
            import transformers

            from language import decoding  # noqa: F401 - its part of transformers takes time too
            from weights.placement import place

            transformers.utils.logging.set_verbosity_error()
            transformers.utils.logging.disable_progress_bar()
            self.transformers = transformers
            context.import_s = time.monotonic() - began
            context.check()
            self._refuse_own_code()
            self.config = self.opened(transformers.AutoConfig)
            self.placement = place(model, options["device"], self.config.dtype)
            self.generation = self._generation_config()
        self.ignored = [wish for wish in ("offload", "compile") if options[wish] not in {None, "none", False}]
        """Options that have no effect here."""

    def opened(self, kind: Any, **how: Any) -> Any:
        """The model's configuration, tokenizer or processor."""
        try:
            return kind.from_pretrained(str(self.folder), local_files_only=True, trust_remote_code=False, **how)
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise self.unusable(error) from error

    def unusable(self, error: Exception | str) -> WorkerError:
        """The error of files that are no model of the kind."""
        return WorkerError(
            "model_not_found",
            f"{self.id} cannot be opened as {self.kind.name}: {error}",
            pointer="/model/id",
            hint=f"Take {self.kind.name} that transformers knows by itself; a model's own code is never run.",
        )

    def read_weights(self) -> Any:
        """The model itself, where it belongs. Raises WorkerError ``model_not_found`` for lacking or unfit files."""
        placement = self.placement
        how: dict[str, Any] = {"dtype": placement.dtype}
        if placement.device != "cpu":
            how["device_map"] = {"": placement.device}  # straight there, without a copy in memory first
        if placement.quantization != "none":
            four = placement.quantization == "int4"
            how["quantization_config"] = self.transformers.BitsAndBytesConfig(
                load_in_4bit=four,
                load_in_8bit=not four,
                bnb_4bit_quant_type="nf4",
                bnb_4bit_compute_dtype=placement.dtype,
            )
        try:
            found, info = getattr(self.transformers, self.kind.auto_class).from_pretrained(
                str(self.folder),
                config=self.config,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
                **how,
            )
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise self.unusable(error) from error
        missing = sorted(info["missing_keys"])
        if missing:  # the library fills them with noise and goes on
            raise WorkerError(
                "model_not_found",
                f"The files of {self.id} lack {len(missing)} weights of {type(found).__name__}, such as {missing[0]}.",
                pointer="/model/id",
                hint="Download it again; a model of another kind, or an adapter alone, cannot be used here.",
            )
        return found.eval()

    def _refuse_own_code(self) -> None:
        """A kind of model that only the model's own code knows is refused in so many words."""
        try:
            said = json.loads((self.folder / "config.json").read_text(encoding="utf-8"))
            known = said["model_type"] in self.transformers.CONFIG_MAPPING
        except (ValueError, KeyError, TypeError):
            return  # AutoConfig finds better words
        if not known and said.get("auto_map"):
            raise own_code(self.id, self.kind)

    def _generation_config(self) -> Any:
        kind = self.transformers.GenerationConfig
        try:
            return kind.from_pretrained(str(self.folder), local_files_only=True)
        except OSError:  # the file is optional
            return kind.from_model_config(self.config)


def own_code(name: str, kind: Kind) -> WorkerError:
    """The error of a model that only its own code can open."""
    return WorkerError(
        "unsupported_capability",
        f"{name} needs code of its own, and a model's own code is never run.",
        pointer="/model/id",
        hint=f"Take {kind.name} that transformers knows by itself. {kind.instead}".strip(),
    )
