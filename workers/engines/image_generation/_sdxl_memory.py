"""What fits: what leaves the GPU while it is not needed, and how many pictures are made at once.

The figures are estimates after the sizes of SDXL's layers; none was measured on a GPU yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

OFFLOADS = ("none", "model", "sequential")
"""What is on the GPU: everything, one part at a time, one layer at a time."""
PICTURE_BYTES_PER_PIXEL = 1500
"""What the UNet holds for a picture in the making, at 2 bytes a number, with and without the prompt together."""
DECODE_BYTES_PER_PIXEL = 3000
"""What the VAE holds to decode one picture, at 4 bytes a number: its last blocks have 128 to 256 channels a pixel."""
MOST_AT_ONCE = 8
"""A GPU that makes so many at once is busy; more only take longer to show the first."""
TILED_ABOVE_PIXELS = 2048 * 2048
"""Larger pictures are decoded in tiles: whole they would take more memory than making them."""


def free_bytes(device: str) -> int | None:
    """Free memory of an NVIDIA GPU; None for devices that share the computer's."""
    import torch

    return int(torch.cuda.mem_get_info(device)[0]) if device.startswith("cuda") else None


def choose_offload(wanted: str | None, room: int | None, sizes: Sequence[int], pixels: int) -> str:
    """As asked, else the first of ``OFFLOADS`` with which models of ``sizes`` bytes fit into ``room`` bytes.

    ``pixels`` of one picture; without a GPU's memory there is nothing to save.
    """
    if room is None:
        return "none"
    if wanted is not None:
        return wanted
    work = DECODE_BYTES_PER_PIXEL * pixels
    if sum(sizes) + work < room:
        return "none"
    return "model" if max(sizes) + work < room else "sequential"


def at_once(wanted: int | None, free: int | None, pixels: int, number_bytes: int) -> int:
    """Pictures made together: as asked, else as many as ``free`` bytes hold; where there is no GPU one.

    ``number_bytes`` of a number in the UNet.
    """
    if wanted is not None:
        return wanted
    if free is None:
        return 1  # a CPU is no faster with several
    one = PICTURE_BYTES_PER_PIXEL * pixels * number_bytes / 2
    return max(1, min(MOST_AT_ONCE, int((free - DECODE_BYTES_PER_PIXEL * pixels) / one)))


def size_of(model: Any) -> int:
    """Bytes of a model's weights."""
    return sum(weight.numel() * weight.element_size() for weight in model.parameters())
