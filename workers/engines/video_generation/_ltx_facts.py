"""What is known of the models of LTX-Video, and the engine's options. Imports no model library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engines.video_generation._clip import ENCODING
from runtime.request import model_facts

DEFAULT_MODEL = "Lightricks/LTX-Video"
NEGATIVE_PROMPT = "worst quality, inconsistent motion, blurry, jittery, distorted"
"""Of the model's own examples."""
FACTS: Mapping[str, Any] = {
    "defaults": {"num_inference_steps": 50, "guidance_scale": 3.0},
    "guidance_rescale": 0.0,
    "timesteps": None,
    "decode_timestep": 0.05,
    "decode_noise_scale": 0.025,
    "image_cond_noise_scale": 0.025,
    "max_pixels": 1280 * 736,
    "max_frames": 257,
    "vram_gb": {"none": 24},
}
"""After diffusers' guide and Lightricks' model cards, "best on resolutions under 720 x 1280 and number of frames below
257"; a height of 720 is made as 736. The VAE of 0.9 knows no timestep and ignores what is for decoding."""
LARGE: Mapping[str, Any] = {
    **FACTS,
    "defaults": {"num_inference_steps": 50, "guidance_scale": 5.0},
    "guidance_rescale": 0.7,
    "image_cond_noise_scale": 0.0,
    "vram_gb": {"none": 48},
}
"""13 billion parameters in place of 2."""
DISTILLED: Mapping[str, Any] = {
    **LARGE,
    "defaults": {"num_inference_steps": 8, "guidance_scale": 1.0},
    "timesteps": (1000.0, 993.7, 987.5, 981.2, 975.0, 909.4, 725.0, 421.9),
}
"""Distilled for these steps and no guidance; the timesteps are those of Lightricks' own workflows."""
MODELS: Mapping[str, Mapping[str, Any]] = {
    DEFAULT_MODEL: FACTS,
    "Lightricks/LTX-Video-0.9.1": FACTS,
    "Lightricks/LTX-Video-0.9.5": FACTS,
    "Lightricks/LTX-Video-0.9.7-dev": LARGE,
    "Lightricks/LTX-Video-0.9.7-distilled": DISTILLED,
    "Lightricks/LTX-Video-0.9.8-13B-distilled": DISTILLED,
    "*distilled*": DISTILLED,
}
OPTIONS: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        **ENCODING,
        "extend": {
            "enum": ["hold", "loop"],
            "default": "hold",
            "description": "What a clip longer than the model makes at once does after that: hold its last frame, "
            "or go back and forth (a transition always holds).",
        },
        "max_frames": {
            "type": ["integer", "null"],
            "minimum": 9,
            "maximum": 2001,
            "default": None,
            "description": "Most frames made at once; null is the model's own.",
        },
        "max_pixels": {
            "type": ["integer", "null"],
            "minimum": 1024,
            "maximum": 8294400,
            "default": None,
            "description": "Most pixels of a frame as it is made, width times height; a larger clip is enlarged "
            "from that. Null is the model's own.",
        },
        "decode_timestep": {
            "type": ["number", "null"],
            "minimum": 0,
            "maximum": 1,
            "default": None,
            "description": "Timestep, 0 to 1, that the VAE is told, if it knows one; null is the model's own.",
        },
        "decode_noise_scale": {
            "type": ["number", "null"],
            "minimum": 0,
            "maximum": 1,
            "default": None,
            "description": "Share of noise, 0 to 1, in what such a VAE decodes; null is the model's own.",
        },
        "image_cond_noise_scale": {
            "type": ["number", "null"],
            "minimum": 0,
            "maximum": 1,
            "default": None,
            "description": "Noise, 0 to 1, on keyframes while the clip is made: more gives more motion. Null is the "
            "model's own.",
        },
    },
    "additionalProperties": False,
}


def known(name: str) -> Mapping[str, Any]:
    """What is known of a model by its id or its folder's name; of one that nothing is known of, as of the default."""
    return model_facts(MODELS, name) or FACTS
