"""Whether a file of sound ends before its own end: a download that broke off, a disk that was full.

Told only where the file itself shows it. Nothing does in raw AAC, in an mp3 without an Info tag, in what was streamed
to a pipe; and a cut MP4 or FLAC mostly ends in a packet that does not decode, which is an error of its own.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

TOLERANCE_S = 0.1
"""More than the padding of any codec and the rounding of any container."""
MATROSKA_TIME = (3600.0, 60.0, 1.0)
OGG_LONGEST_PAGE = 65_307
OGG_END_OF_STREAM = 4
"""RFC 3533 §6: a page is at most so many bytes, and this bit of its byte 5 marks the last one."""
UNKNOWN_SIZE = 0xFFFF_0000
"""From here on a size in RIFF is a placeholder: whoever wrote it could not seek back."""


def why_truncated(path: str, container: Any, stream: Any, duration_s: float) -> str | None:
    """How the file shows that sound is missing at its end, in words; None where it shows no such thing.

    ``stream`` is the audio stream of the open ``container``, ``duration_s`` what of it is really there.
    """
    kind = container.format.name
    if kind == "ogg":
        return None if _ogg_ends(Path(path)) else "its last page does not end the stream"
    promised = duration_s + _wav_missing_s(Path(path)) if kind == "wav" else _promised_s(kind, stream)
    if promised is None or promised - duration_s <= TOLERANCE_S:
        return None
    return f"it says that it lasts {promised:.3f} s"


def _promised_s(kind: str, stream: Any) -> float | None:
    """What the header says of the sound's length; None where FFmpeg only guesses from the size of the file."""
    if kind == "matroska,webm":  # its own Duration is that of the longest track, such as the picture
        parts = stream.metadata.get("DURATION", "").split(":")
        try:
            return sum(float(part) * scale for part, scale in zip(parts, MATROSKA_TIME, strict=True))
        except ValueError:
            return None
    # The Info tag of an mp3, which alone says how many frames there are, says the encoder's delay too.
    says = kind in {"flac", "aiff"} or (kind == "mp3" and stream.start_time)
    return float(stream.duration * stream.time_base) if says and stream.duration else None


def _wav_missing_s(path: Path) -> float:
    """How much of a RIFF file's data chunk lies beyond the end of the file, which FFmpeg takes for the chunk's end."""
    with open(path, "rb") as file:
        if file.read(4) != b"RIFF":
            return 0.0
        file.seek(12)
        bytes_per_second = 0
        while len(head := file.read(8)) == 8:
            name, size = struct.unpack("<4sI", head)
            start = file.tell()
            if name == b"data":
                missing = start + size - path.stat().st_size if size < UNKNOWN_SIZE else 0
                return max(0, missing) / bytes_per_second if bytes_per_second else 0.0
            if name == b"fmt ":
                bytes_per_second = int.from_bytes(file.read(12)[8:], "little")
            file.seek(start + size + size % 2)
    return 0.0


def _ogg_ends(path: Path) -> bool:
    """Whether the file's last page is whole and says that it is the last."""
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - 2 * OGG_LONGEST_PAGE))
        tail = file.read()
    page = tail[tail.rfind(b"OggS") :]
    if not page.startswith(b"OggS") or len(page) < 27:
        return False
    lengths = page[27 : 27 + page[26]]
    return bool(page[5] & OGG_END_OF_STREAM) and len(page) >= 27 + page[26] + sum(lengths)
