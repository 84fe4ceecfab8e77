"""What fits: what leaves the GPU while it is not needed, and how much of a clip is decoded at once.

The figures were measured on a CPU, with random weights in the shape of the real ones; none on a GPU yet.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch

from engines.video_generation._ltx_plan import FRAME_STEP, Shape

OFFLOADS = ("none", "model", "sequential")
"""What is on the GPU: everything, one part at a time, one layer at a time."""
DECODE_NUMBERS_PER_PIXEL = 50
"""What the VAE holds for each pixel of each frame that it decodes at once: 49 for the VAE of 0.9, 48 for that of 0.9.5
and later, at 256×256 pixels and 57 frames in float32."""
FRAME_NUMBERS_PER_PIXEL = 9
"""What of these are frames made: red, green and blue, twice while tiles are put together, and once kept."""
TILE_SIDE = 512
"""Pixels of a tile; diffusers' own default."""
FREE_SHARE = 0.5
"""Of the computer's free memory, for decoding. The rest is for the encoder and the frames on their way to it, and for
what else begins meanwhile, such as the next worker of a run: a computer that must swap takes far longer than pieces."""
CONTAINER = Path("/sys/fs/cgroup")
"""Where Linux tells a process of the limits of its container (cgroup v2)."""
FEWEST = 3
"""Latent frames decoded at once: two overlap with the next piece."""


@dataclass(frozen=True)
class Decoding:
    """Whether frames are decoded in tiles, and how many latent frames at once."""

    tiled: bool
    latents: int

    @property
    def facts(self) -> dict[str, Any]:
        """For the result's ``model``."""
        return {"vae_tiling": self.tiled, "frames_decoded_at_once": (self.latents - 1) * FRAME_STEP + 1}


def choose_decoding(shape: Shape, room: float, number_bytes: int) -> Decoding:
    """All at once where that fits into ``room`` bytes; else in tiles, and as many frames at once as fit then."""
    pixels, latents = shape.made_width * shape.made_height, (shape.made_frames - 1) // FRAME_STEP + 1
    if DECODE_NUMBERS_PER_PIXEL * pixels * shape.made_frames * number_bytes <= room:
        return Decoding(False, latents)
    one = FRAME_NUMBERS_PER_PIXEL * pixels + DECODE_NUMBERS_PER_PIXEL * min(pixels, TILE_SIDE**2)
    frames = int(room / (one * number_bytes))
    return Decoding(True, max(FEWEST, min(latents, (frames - 1) // FRAME_STEP + 1)))


def choose_offload(wanted: str | None, device: str, parts: Sequence[Any], work: float) -> str:
    """As asked, else the first of ``OFFLOADS`` that leaves ``work`` bytes; other devices than NVIDIA's need none."""
    if not device.startswith("cuda"):
        return OFFLOADS[0]
    if wanted is not None:
        return wanted
    sizes = [size_of(part) for part in parts]
    free = free_bytes(device) + sum(
        size for size, part in zip(sizes, parts, strict=True) if next(part.parameters()).is_cuda
    )
    if sum(sizes) + work < free:
        return "none"
    return "model" if max(sizes) + work < free else "sequential"


def size_of(part: Any) -> int:
    """Bytes of a part's weights."""
    return sum(weight.numel() * weight.element_size() for weight in part.parameters())


def free_bytes(device: str) -> float:
    """What may be used on the device; of a GPU all that is free, where what torch keeps for later counts as free."""
    if not device.startswith("cuda"):
        return FREE_SHARE * min(psutil.virtual_memory().available, container_bytes())
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def container_bytes() -> float:
    """What this process's container may still take; infinite where there is no container or no limit."""
    try:
        most, held = (int((CONTAINER / name).read_text()) for name in ("memory.max", "memory.current"))
        kept = [line.split() for line in (CONTAINER / "memory.stat").read_text().splitlines()]
    except (OSError, ValueError):  # other systems, or the word "max"
        return math.inf
    return most - held + sum(int(number) for name, number in kept if name in {"active_file", "inactive_file"})
