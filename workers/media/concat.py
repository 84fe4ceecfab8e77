"""Files one after the other as one: pictures through one pipe, sound cut to the frames, so that nothing drifts."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from media.compose import mixed
from media.convert import look_for_film
from media.fitting import film_size, fitted
from media.formats import FILMS, SOUNDS, USUAL_CRF, encoded_sound, timed, write_film
from media.tracks import Media, frame_rate, frames, look, sound_blocks
from runtime.context import Context

if TYPE_CHECKING:
    import numpy as np

SAMPLE_RATE = 48000
FRAME_BYTES = 8
"""Of one moment of stereo sound, in 32-bit floats."""


def concat(input: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
    """The operation ``concat``; see its schema."""
    parts = []
    for number, path in enumerate(input["medias"]):
        parts.append(look_for_film(path, f"/input/medias/{number}"))
        context.progress("prepare", number + 1, len(input["medias"]), "files")
    seen = [part for part in parts if part.picture]
    name = input["format"] or ("mp4" if seen else "wav")
    if name in SOUNDS:
        return _sounds(parts, name, context)
    for part in parts:
        part.seen()
    return _films(parts, name, input, context)


def _sounds(parts: list[Media], name: str, context: Context) -> dict[str, Any]:
    """One sound in the first one's sample rate and channels."""
    sounds = [part.heard() for part in parts]
    rate, layout = sounds[0].sample_rate, sounds[0].layout
    lengths: list[int] = []

    def blocks() -> Iterator[bytes]:
        for sound in sounds:
            lengths.append(0)
            for block in sound_blocks(sound, sample_rate=rate, layout=layout):
                lengths[-1] += len(block) // (4 * sounds[0].channels)
                yield block

    reported = timed(blocks(), sum(sound.end_s for sound in sounds), rate, layout, context)
    path = encoded_sound(reported, name, context, sample_rate=rate, layout=layout)
    made = context.publish(path, SOUNDS[name].media_type, **look(str(path)).facts())
    starts = [round(sum(lengths[:number]) / rate, 6) for number in range(len(lengths))]
    return {"media": made, "starts_s": starts, "crf": None}


def _films(parts: list[Media], name: str, input: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002
    import ffmpeg

    first = parts[0].seen()
    size = film_size(first, input["width"], input["height"])
    fps = frame_rate(input["fps"]) if input["fps"] else first.fps
    counts = [part.seen().count_at(fps) for part in parts]
    fades = _fades(counts, input["transition_frames"])
    starts = [sum(counts[:number]) - sum(fades[:number]) for number in range(len(parts))]
    total = starts[-1] + counts[-1]
    sound = None
    sound_format = FILMS[name].sound
    if sound_format and any(part.sound for part in parts):
        spans = [
            (_sample(start, fps), _sample(start + count, fps)) for start, count in zip(starts, counts, strict=True)
        ]
        made = encoded_sound(joined(parts, spans, fps), sound_format, context, sample_rate=SAMPLE_RATE, layout="stereo")
        sound = ffmpeg.input(str(made)).audio
    path = write_film(
        lambda: blended(parts, counts, fades, size=size, fps=fps, fit=input["fit"]),
        name,
        context,
        size=size,
        fps=fps,
        count=total,
        crf=input["crf"],
        sound=sound,
    )
    facts = {**look(str(path)).facts(), "num_frames": total}
    return {
        "media": context.publish(path, FILMS[name].media_type, **facts),
        "starts_s": [round(float(start / fps), 6) for start in starts],
        "crf": input["crf"] if input["crf"] is not None else USUAL_CRF[FILMS[name].picture],
    }


def _sample(frame: int, fps: Fraction) -> int:
    return round(frame * SAMPLE_RATE / fps)


def _fades(counts: Sequence[int], transition_frames: int) -> list[int]:
    """Frames that each part shares with the next; never more than half of either. The last shares none."""
    pairs = itertools.pairwise(counts)
    return [*(min(transition_frames, before // 2, after // 2) for before, after in pairs), 0]


def blended(
    parts: Sequence[Media],
    counts: Sequence[int],
    fades: Sequence[int],
    *,
    size: tuple[int, int],
    fps: Fraction,
    fit: str,
) -> Iterator[np.ndarray]:
    """Every frame: yuv420p arrays of shape (height·3/2, width). The end of a part fades into the start of the next."""
    tail: Iterator[np.ndarray] = iter(())
    before = 0
    for part, count, after in zip(parts, counts, fades, strict=True):
        shown = _shown(part, count, size, fps, fit)
        for position in range(count - after):
            frame = next(shown)
            if position < before:
                frame = mixed(next(tail), frame, (position + 1) / (before + 1))
            yield frame
        tail, before = shown, after


def _shown(part: Media, count: int, size: tuple[int, int], fps: Fraction, fit: str) -> Iterator[np.ndarray]:
    picture = part.seen()
    return (fitted(frame, picture, *size, fit) for frame in frames(picture, fps=fps, count=count))


def joined(parts: Sequence[Media], spans: Sequence[tuple[int, int]], fps: Fraction) -> Iterator[bytes]:
    """Stereo 48 kHz float blocks; each part sounds in its span of samples, and where two spans meet they fade over."""
    import numpy as np

    tail = np.zeros((0, 2), np.float32)
    ends = [*(start for start, _ in spans[1:]), spans[-1][1]]
    for part, (start, end), following in zip(parts, spans, ends, strict=True):
        count = end - start
        blocks = sound_blocks(part.sound, sample_rate=SAMPLE_RATE, layout="stereo", end_s=count / SAMPLE_RATE)
        reader = _Reader(blocks)
        head = reader.take(len(tail))
        share = (np.arange(len(tail), dtype=np.float32)[:, None] + 1) / (len(tail) + 1)
        yield (tail * (1 - share) + head * share).astype(np.float32).tobytes()
        left = following - start - len(tail)
        while left > 0:
            block = reader.take(min(left, SAMPLE_RATE))
            left -= len(block)
            yield block.tobytes()
        tail = reader.take(end - following)


class _Reader:
    """Takes exact numbers of stereo samples from blocks of any length."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks, self._held = iter(blocks), b""

    def take(self, samples: int) -> np.ndarray:
        """An array of shape (samples, 2); the blocks must hold so many."""
        import numpy as np

        wanted = samples * FRAME_BYTES
        while len(self._held) < wanted:
            self._held += next(self._blocks)
        taken, self._held = self._held[:wanted], self._held[wanted:]
        return np.frombuffer(taken, np.float32).reshape(-1, 2)
