"""The sound of a file as a recogniser takes it: mono, 16,000 samples a second, a few minutes at a time."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from media.tracks import Sound

RATE = 16_000
PIECE_S = 300
"""A spectrum takes 0.7 MB a second while it is made, which for a film of three hours would be 8 GB; so a long recording
is heard in pieces of five minutes: the first words come sooner, too."""
SEARCH_S = 30
"""A piece ends at the quietest moment of its last so many seconds, so that no word is cut."""
QUIET_S, FRAME_S = 0.3, 0.02


def pieces(sound: Sound, check: Callable[[], None]) -> Iterator[tuple[float, np.ndarray]]:
    """(where it starts in seconds, samples as float32) of each piece of the sound, on the clock of its file.

    ``check`` is called again and again and may raise. Raises WorkerError ``input_unreadable`` for a damaged file.
    """
    import numpy as np

    from media.tracks import sound_blocks

    held, count, done = [np.zeros(0, np.float32)], 0, 0
    for block in sound_blocks(sound, sample_rate=RATE, layout="mono"):
        check()
        held.append(np.frombuffer(block, np.float32))
        count += len(held[-1])
        while count >= PIECE_S * RATE:
            whole = np.concatenate(held)
            cut = (PIECE_S - SEARCH_S) * RATE + _quietest(whole[(PIECE_S - SEARCH_S) * RATE : PIECE_S * RATE])
            yield done / RATE, whole[:cut]
            held, count, done = [whole[cut:]], count - cut, done + cut
    yield done / RATE, np.concatenate(held)


def loud_from(samples: np.ndarray) -> int | None:
    """The sample at which it first sounds; None where all is silence, as ``media.sounding`` has it."""
    import numpy as np

    from media.sounding import SILENT_DB

    loud = np.flatnonzero(_energy(samples) > 10 ** (SILENT_DB / 10))
    return int(loud[0]) * round(FRAME_S * RATE) if len(loud) else None


def flac(samples: np.ndarray) -> bytes:
    """The samples as a FLAC file of 16 bits, at most 32 kB a second: what services take, and small."""
    import av
    import numpy as np

    file = io.BytesIO()
    with av.open(file, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=RATE, layout="mono")
        whole = np.round(samples.clip(-1, 1) * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(whole.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def _quietest(samples: np.ndarray) -> int:
    """The middle of the quietest stretch of ``QUIET_S``."""
    import numpy as np

    frame, wide = round(FRAME_S * RATE), round(QUIET_S / FRAME_S)
    return frame * (int(np.convolve(_energy(samples), np.ones(wide), "valid").argmin()) + wide // 2)


def _energy(samples: np.ndarray) -> np.ndarray:
    """Mean square of every whole frame of ``FRAME_S``."""
    import numpy as np

    frame = round(FRAME_S * RATE)
    found: np.ndarray = np.square(samples[: len(samples) // frame * frame].reshape(-1, frame)).mean(axis=1)
    return found
