"""A model's processor: from pictures and a prompt to its tensors."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

from language.checkpoint import Checkpoint
from runtime.context import Context
from runtime.errors import WorkerError

if TYPE_CHECKING:
    from PIL.Image import Image

WORD_JOINER = "\u2060"
"""Joins two characters; nothing of it is seen."""


def opened(checkpoint: Checkpoint) -> Any:
    """The processor of a model that holds conversations about pictures.

    Raises WorkerError ``model_not_found`` or ``unsupported_capability``.
    """
    transformers = checkpoint.transformers
    kind = transformers.models.auto.PROCESSOR_MAPPING.get(type(checkpoint.config), None)
    if kind is not None and "video_processor" in kind.get_attributes() and not _has_torchvision():
        processor = _without_video(checkpoint, kind)
    else:
        processor = checkpoint.opened(transformers.AutoProcessor)
    if not hasattr(processor, "image_processor"):  # AutoProcessor gives a tokenizer where it knows nothing better
        raise checkpoint.unusable("it has no processor for pictures")
    if getattr(processor, "chat_template", None) is None:
        raise WorkerError(
            "unsupported_capability",
            f"{checkpoint.id} has no chat template: it is not made to answer about pictures.",
            pointer="/model/id",
            hint="Take an instruction-tuned model, such as llava-hf/llava-onevision-qwen2-7b-ov-hf.",
        )
    return processor


def inputs(processor: Any, pictures: list[Image], prompt: str, pointer: str, context: Context) -> dict[str, Any]:
    """Tensors for the model's forward: tokens {input_ids, attention_mask} and pixels in the processor's own terms.

    Pictures are scaled and tiled as the model wants. Raises WorkerError ``invalid_request`` for pictures that the
    processor refuses, such as very narrow ones or several where it takes one.
    """
    from jinja2 import TemplateError

    parts: list[dict[str, Any]] = [{"type": "image", "image": picture} for picture in pictures]
    parts.append({"type": "text", "text": _plain(prompt, processor.tokenizer, context)})
    try:
        made = processor.apply_chat_template(
            [{"role": "user", "content": parts}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )
    except (ValueError, IndexError, ZeroDivisionError, TemplateError) as error:
        sizes = ", ".join(f"{picture.width}×{picture.height}" for picture in pictures)
        raise WorkerError(
            "invalid_request",
            f"The model's processor refuses the pictures, of {sizes} pixels: {error}",
            pointer=pointer,
            hint="Give fewer pictures, or of a usual shape; or take another model.",
        ) from error
    return dict(made)


def _plain(prompt: str, tokenizer: Any, context: Context) -> str:
    """The prompt without control tokens: one in a story's text would end the turn, or stand for a picture."""
    text, broken = prompt, []
    for token in tokenizer.added_tokens_decoder.values():
        if token.special and len(token.content) > 1 and token.content in text:
            broken.append(token.content)
            text = text.replace(token.content, token.content[0] + WORD_JOINER + token.content[1:])
    if broken:
        context.warn(
            "control_token_broken",
            f"The text holds {', '.join(broken)}, which the model would obey; an invisible character stands in it now.",
        )
    return text


def _without_video(checkpoint: Checkpoint, kind: Any) -> Any:
    """A processor whose part for films needs torchvision, opened without that part: we show it pictures only."""
    transformers = checkpoint.transformers

    def check(self: Any, name: str, part: Any) -> Any:
        return part if part is None else kind.check_argument_for_proper_class(self, name, part)

    pictures_only: Any = type(kind.__name__, (kind,), {"check_argument_for_proper_class": check})
    parts = {
        "image_processor": checkpoint.opened(transformers.AutoImageProcessor),
        "tokenizer": checkpoint.opened(transformers.AutoTokenizer),
    }
    said, _ = kind.get_processor_dict(str(checkpoint.folder), local_files_only=True)
    try:
        return pictures_only.from_args_and_dict([parts.get(slot) for slot in kind.get_attributes()], said)
    except (TypeError, ValueError, AttributeError) as error:
        raise checkpoint.unusable(error) from error


def _has_torchvision() -> bool:
    return importlib.util.find_spec("torchvision") is not None
