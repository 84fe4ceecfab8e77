"""Joining spoken clips: silence around each trimmed to a known margin, pauses between them exact."""

from __future__ import annotations

import math
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from media.source import pcm_blocks
from runtime.context import Context
from runtime.errors import WorkerError

SAMPLE_RATE = 48000
WINDOW_S = 0.005
"""Sound is looked for in windows of this length: shorter than any consonant."""


def join_audio(input: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
    """The operation ``join_audio``; see its schema."""
    clips, gaps = input["clips"], input["gaps_s"]
    if gaps and len(gaps) != len(clips) - 1:
        raise WorkerError(
            "invalid_request",
            f"gaps_s has {len(gaps)} entries for {len(clips)} clips; it must have {len(clips) - 1}, or none.",
            pointer="/input/gaps_s",
        )
    pauses = [*(gaps or [0.0] * (len(clips) - 1)), 0.0]
    pad, position = round(input["pad_s"] * SAMPLE_RATE), 0
    temporary = context.temporary("wav")
    offsets: list[float] = []
    with wave.open(str(temporary), "wb") as joined:
        joined.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
        for number, (clip, pause) in enumerate(zip(clips, pauses, strict=True), 1):
            first, last = _extent(clip, input["trim_db"])
            if last <= first:
                context.warn("silent_clip", f"Clip {number}, {clip}, is silent; only its margins were kept.")
            offsets.append((position + pad - first) / SAMPLE_RATE)
            position += _write(
                joined, _silence(pad), _cut(clip, first, last), _silence(pad + round(pause * SAMPLE_RATE))
            )
            if grid := input["grid_s"]:
                position += _write(
                    joined,
                    _silence(round(math.ceil(position / SAMPLE_RATE / grid - 1e-9) * grid * SAMPLE_RATE) - position),
                )
            context.progress("run", number, len(clips), "clips")
    audio = context.publish(
        temporary, "audio/wav", duration_s=round(position / SAMPLE_RATE, 6), sample_rate=SAMPLE_RATE, channels=1
    )
    return {"audio": audio, "offsets_s": [round(offset, 6) for offset in offsets]}


def _write(joined: wave.Wave_write, *parts: Iterator[bytes]) -> int:
    """Write 16-bit mono blocks; returns how many samples they were."""
    samples = 0
    for part in parts:
        for block in part:
            joined.writeframesraw(block)
            samples += len(block) // 2
    return samples


def _extent(clip: str | Path, trim_db: float) -> tuple[int, int]:
    """First and last sample (exclusive) of the sound louder than ``trim_db`` dBFS (RMS); (0, 0) for silence."""
    import numpy as np

    size = round(WINDOW_S * SAMPLE_RATE)
    first, last, position = 0, 0, 0
    left = np.zeros(0, np.float32)
    for block in pcm_blocks(clip, sample_rate=SAMPLE_RATE, channels=1):
        samples = np.concatenate([left, np.frombuffer(block, np.float32)])
        whole = len(samples) // size * size
        power = np.mean(samples[:whole].reshape(-1, size) ** 2, axis=1)
        loud = np.flatnonzero(power > 10 ** (trim_db / 10))
        if len(loud):
            first = position + int(loud[0]) * size if last == 0 else first
            last = position + (int(loud[-1]) + 1) * size
        position, left = position + whole, samples[whole:]
    if len(left) and float(np.mean(left**2)) > 10 ** (trim_db / 10):
        first, last = (position if last == 0 else first), position + len(left)
    return first, last


def _cut(clip: str | Path, first: int, last: int) -> Iterator[bytes]:
    import numpy as np

    position = 0
    for block in pcm_blocks(clip, sample_rate=SAMPLE_RATE, channels=1):
        samples = np.frombuffer(block, np.float32)
        piece = samples[max(0, first - position) : max(0, last - position)]
        position += len(samples)
        if len(piece):
            yield (np.clip(piece, -1, 1) * 32767).round().astype("<i2").tobytes()


def _silence(samples: int) -> Iterator[bytes]:
    while samples > 0:
        yield bytes(2 * min(samples, SAMPLE_RATE))
        samples -= SAMPLE_RATE
