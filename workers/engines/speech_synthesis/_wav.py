"""Writing speech: WAV, 16-bit, mono."""

from __future__ import annotations

import wave
from collections.abc import Iterable
from pathlib import Path


def write_wav(path: Path, blocks: Iterable[bytes], sample_rate: int) -> int:
    """Write 16-bit mono blocks; returns the number of samples."""
    with path.open("wb") as plain, wave.open(plain, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        for block in blocks:
            file.writeframes(block)
        return file.getnframes()
