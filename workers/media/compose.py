"""The film: clips decoded and blended here, raw frames through one pipe, one FFmpeg that burns subtitles and encodes.

Memory holds two clips at most, however many shots there are. The sound is mixed, set to its loudness and encoded first
(it takes seconds), so that the one video encode carries audio that has been measured already.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from media import ffmpeg as encoder
from media.languages import three_letters
from media.loudness import AUDIO_BITRATE, PRESETS, SAMPLE_RATE, Figures, heard, measure, normalised
from media.source import moving_picture, open_media, pcm_blocks, picture_frames, readable
from runtime.context import Context
from runtime.errors import WorkerError

if TYPE_CHECKING:
    import numpy as np

SHORT_CLIP_TOLERANCE_FRAMES = 0.5
SUBTITLES = "srt,webvtt,ass"
TO_BLACK_S = 0.4
"""The end of the hold, over which the picture fades to black."""
MUSIC_FADE_S = 1.0
"""Music comes in over this long, and goes out over no less."""
SEAM_S = 0.25
"""Each pass of the music is blended into the next over this long: a bare seam clicks."""
LOOKS = 6
"""How often the picture is looked at while the title stands, for a place where it hides nothing."""
KEY_LUFS = -14.0
"""The narration that the music listens to is brought to this loudness, which the compressor is set for."""


@dataclass(frozen=True)
class Shot:
    """A clip and how many frames of the film are its own; the fade into the next shot comes on top."""

    clip: str
    num_frames: int


def compose(input: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: A002 - the wire's word
    """The operation ``compose``; see its schema."""
    width, height, fps = input["width"], input["height"], input["fps"]
    shots = [Shot(**shot) for shot in input["shots"]]
    hold = round(input["end_hold_s"] * fps)
    total = sum(shot.num_frames for shot in shots) + hold
    _warn_of_short_clips(shots, input["transition_frames"], fps, context)
    if input["subtitles"] is not None and input["subtitles_mode"] == "carry":
        _check_subtitles(input["subtitles"])
    title = _title(input, shots, total / fps, context)
    sound, loudness = _soundtrack(input, total / fps, hold / fps, context)
    film = context.temporary("mp4")
    codec = _encoder(input["encoder"], context)
    stream, environment = _stream(input, sound, title, film, codec, context)
    size = (width, height, fps)
    with closing(blended(shots, input["transition_frames"], size)) as frames:
        blocks = (frame.data for frame in held(frames, hold, round(TO_BLACK_S * fps)))
        encoder.run(stream, blocks=encoder.counted(blocks, total, context), environment=environment, context=context)
    facts = {"width": width, "height": height, "fps": fps, "num_frames": total, "duration_s": round(total / fps, 6)}
    return {"video": context.publish(film, "video/mp4", **facts), "encoder": codec, "loudness": loudness}


def blended(shots: Iterable[Shot], transition_frames: int, size: tuple[int, int, int]) -> Generator[np.ndarray]:
    """Every frame of the film, Σ num_frames of them: yuv420p arrays of shape (height·3/2, width).

    A fade lies in the first frames of the later shot, under which the earlier clip runs on; it is never longer than
    the later shot.
    """
    width, height, fps = size
    listed = list(shots)
    tail: Iterator[np.ndarray] | None = None
    fade = 0
    for shot, after in zip(listed, _fades(listed, transition_frames), strict=True):
        frames = picture_frames(shot.clip, width=width, height=height, fps=fps, count=shot.num_frames + after)
        for position in range(shot.num_frames):
            frame = next(frames)
            if tail is not None and position < fade:
                frame = mixed(next(tail), frame, (position + 1) / (fade + 1))
            yield frame
        tail, fade = frames, after


def _fades(shots: list[Shot], transition_frames: int) -> list[int]:
    """Frames that each shot's clip runs on under the next shot."""
    return [*(min(transition_frames, following.num_frames) for following in shots[1:]), 0]


def held(frames: Iterable[np.ndarray], hold: int, to_black: int) -> Iterator[np.ndarray]:
    """The frames, then the last one ``hold`` frames longer, its last ``to_black`` (at most all) fading to black."""
    import numpy as np

    last = None
    for last in frames:
        yield last
    if last is None:
        return
    black = np.full_like(last, 16)
    black[len(last) * 2 // 3 :] = 128  # no colour
    to_black = min(to_black, hold)
    for left in reversed(range(hold)):
        yield last if left >= to_black else mixed(black, last, left / to_black)


def mixed(before: np.ndarray, after: np.ndarray, share: float) -> np.ndarray:
    """``share`` (0…1) of ``after`` over ``before``, rounded to 8 bits."""
    import numpy as np

    weight = round(share * 256)
    total = np.multiply(before, np.uint16(256 - weight), dtype=np.uint16)
    total += np.multiply(after, np.uint16(weight), dtype=np.uint16)
    total += 128
    total >>= 8
    return total.astype(np.uint8)


def _warn_of_short_clips(shots: list[Shot], transition_frames: int, fps: int, context: Context) -> None:
    for number, (shot, fade) in enumerate(zip(shots, _fades(shots, transition_frames), strict=True), 1):
        wanted = shot.num_frames + fade
        with open_media(shot.clip) as container:
            stream = moving_picture(container)
            seconds = (
                float(stream.duration * stream.time_base)
                if stream is not None and stream.duration and stream.time_base
                else None
            )
        if seconds is not None and seconds * fps < wanted - SHORT_CLIP_TOLERANCE_FRAMES:
            context.warn(
                "clip_short", f"Clip {number} lasts {seconds:.2f} s of {wanted / fps:.2f} s; its last frame is held."
            )


def _check_subtitles(path: str) -> None:
    """Read a subtitle file to its end as FFmpeg will. Raises WorkerError ``input_unreadable``."""
    import av

    file = readable(path)
    try:
        options = {"protocol_whitelist": "file", "format_whitelist": SUBTITLES}
        with av.open(f"file:{file}", options=options) as container:
            for packet in container.demux(container.streams.subtitles[0]):
                packet.decode()
    except (av.FFmpegError, IndexError, ValueError) as error:
        raise WorkerError(
            "input_unreadable",
            f"{file} cannot be read as subtitles: {getattr(error, 'strerror', None) or error}.",
            hint="Give an .srt, .vtt or .ass file in UTF-8.",
            pointer="/input/subtitles",
        ) from error


def _soundtrack(input: dict[str, Any], seconds: float, hold_s: float, context: Context) -> tuple[Path, Figures]:  # noqa: A002
    """The finished AAC file, exactly as long as the picture, and its measured loudness."""
    samples, hold = round(seconds * SAMPLE_RATE), round(hold_s * SAMPLE_RATE)
    narration, music, preset = input["narration"], input["music"], input["loudness"]
    output = context.temporary("m4a")

    def spoken() -> Iterator[bytes]:
        sound = pcm_blocks(narration, sample_rate=SAMPLE_RATE, channels=2) if narration else ()
        return faded(fitted(sound, samples), samples, rise=0, fall=hold)

    blocks = spoken
    if music:
        fade = min(round(MUSIC_FADE_S * SAMPLE_RATE), samples // 2)
        gain, key_gain = _music_gains(spoken(), fitted(looped(music), samples), input["music_gain_db"], context)
        mix = context.temporary("wav")
        bed = faded(fitted(looped(music), samples), samples, rise=fade, fall=max(fade, hold))
        encoder.run(_ducked(gain, key_gain, mix), blocks=side_by_side(spoken(), bed, samples), context=context)

        def blocks() -> Iterator[bytes]:
            return fitted(pcm_blocks(mix, sample_rate=SAMPLE_RATE, channels=2), samples)

    if preset is not None:
        return output, normalised(blocks, PRESETS[preset], output, context)
    import ffmpeg

    plain = ffmpeg.input("pipe:0", f="f32le", ar=SAMPLE_RATE, ac=2).output(
        str(output), v="error", **{"c:a": "aac", "b:a": AUDIO_BITRATE}
    )
    encoder.run(plain, blocks=blocks(), context=context)
    return output, measure(output)


def _music_gains(
    spoken: Iterable[bytes], music: Iterable[bytes], wanted_db: float, context: Context
) -> tuple[float, float]:
    """(gain of the music, gain of the narration that it listens to), in dB.

    The music then lies ``wanted_db`` from the narration's loudness, however loud its file is. Without a narration, or
    where one of them is silent, both stay as they are.
    """
    speech, bed = (heard(blocks, context)[0]["integrated_lufs"] for blocks in (spoken, music))
    if speech is None or bed is None:
        return 0.0, 0.0
    return speech + wanted_db - bed, KEY_LUFS - speech


def fitted(blocks: Iterable[bytes], samples: int, *, channels: int = 2) -> Iterator[bytes]:
    """Cut 32-bit float blocks, or fill them with silence, to exactly ``samples`` samples a channel."""
    left = samples * channels * 4
    for block in blocks:
        if left <= 0:
            return
        yield block[:left]
        left -= len(block)
    while left > 0:
        yield bytes(min(left, SAMPLE_RATE * channels * 4))
        left -= SAMPLE_RATE * channels * 4


def faded(blocks: Iterable[bytes], samples: int, *, rise: int, fall: int) -> Iterator[bytes]:
    """Stereo sound of ``samples`` samples that comes in over the first ``rise`` and goes out over the last ``fall``."""
    import numpy as np

    position = 0
    for block in blocks:
        at = np.arange(position, position + len(block) // 8)
        position += len(at)
        if at[0] >= rise and position <= samples - fall:
            yield block
            continue
        shares = [(at + 0.5) / max(rise, 1e-9), (samples - at - 0.5) / max(fall, 1e-9)]
        gain = np.prod([np.sin(np.clip(share, 0, 1) * np.pi / 2) ** 2 for share in shares], axis=0)
        yield (np.frombuffer(block, np.float32).reshape(-1, 2) * gain[:, None].astype(np.float32)).tobytes()


def looped(path: str) -> Iterator[bytes]:
    """A file's sound over and over, each pass blended into the next; ends only if the file has none."""
    import numpy as np

    longest = round(SEAM_S * SAMPLE_RATE)
    tail = np.zeros((0, 2), np.float32)
    while True:
        held, count, seam = np.zeros((0, 2), np.float32), 0, len(tail)
        for block in pcm_blocks(path, sample_rate=SAMPLE_RATE, channels=2):
            held = np.concatenate([held, np.frombuffer(block, np.float32).reshape(-1, 2)])
            count += len(block) // 8
            if len(tail) and len(held) >= seam:
                turn = (np.arange(seam, dtype=np.float32)[:, None] + 0.5) / seam * (np.pi / 2)
                held[:seam] = held[:seam] * np.sin(turn) + tail * np.cos(turn)
                tail = tail[:0]
            if not len(tail) and len(held) > longest:
                yield held[:-longest].tobytes()
                held = held[-longest:]
        if not count:
            return
        seam = min(longest, count // 4)  # of a short sound less, so that something is left between two seams
        if len(held) > seam:
            yield held[: len(held) - seam].tobytes()
        tail = held[len(held) - seam :]


def side_by_side(first: Iterable[bytes], second: Iterable[bytes], samples: int) -> Iterator[bytes]:
    """Two stereo sounds as one of four channels, so that a single pipe carries both."""
    import numpy as np

    def even(blocks: Iterable[bytes]) -> Iterator[np.ndarray]:
        held = b""
        for block in fitted(blocks, samples):
            held += block
            while len(held) >= SAMPLE_RATE * 8:
                yield np.frombuffer(held[: SAMPLE_RATE * 8], np.float32).reshape(-1, 2)
                held = held[SAMPLE_RATE * 8 :]
        yield np.frombuffer(held, np.float32).reshape(-1, 2)

    for left, right in zip(even(first), even(second), strict=True):
        yield np.concatenate([left, right], axis=1).tobytes()


def _ducked(gain: float, key_gain: float, output: Path) -> Any:
    """Channels 1 and 2 are the narration, 3 and 4 the music, which steps back while somebody speaks."""
    import ffmpeg

    both = ffmpeg.input("pipe:0", f="f32le", ar=SAMPLE_RATE, ac=4).audio.filter_multi_output("asplit", 3)
    voice = both[0].filter("channelmap", map="0|1", channel_layout="stereo")
    key = both[1].filter("channelmap", map="0|1", channel_layout="stereo").filter("volume", f"{key_gain:.2f}dB")
    music = both[2].filter("channelmap", map="2|3", channel_layout="stereo").filter("volume", f"{gain:.2f}dB")
    ducked = ffmpeg.filter([music, key], "sidechaincompress", threshold=0.03, ratio=2, attack=20, release=600)
    mix = ffmpeg.filter([voice, ducked], "amix", inputs=2, duration="first", normalize=0)
    return mix.output(str(output), v="error", **{"c:a": "pcm_f32le"})


def _encoder(wanted: str, context: Context) -> str:
    """The H.264 encoder to use: a hardware one only where it works, else libx264 with a warning."""
    candidates = [name for name in encoder.ENCODERS if name != "libx264"] if wanted == "auto" else [wanted]
    found = next((name for name in candidates if name == "libx264" or encoder.usable_encoder(name)), "libx264")
    if found != wanted and wanted != "auto":
        context.warn("encoder_fallback", f"{wanted} does not work on this machine; libx264 was used.")
    return found


def _stream(
    input: dict[str, Any],  # noqa: A002 - the wire's word
    sound: Path,
    title: Path | None,
    film: Path,
    codec: str,
    context: Context,
) -> tuple[Any, dict[str, str]]:
    """The one FFmpeg command, and the environment in which it finds the fonts of the subtitles."""
    import ffmpeg

    picture = encoder.raw_video(width=input["width"], height=input["height"], fps=input["fps"])
    options = encoder.video_options(encoder=codec, crf=input["crf"], preset=input["preset"])
    options |= {"c:a": "copy", "movflags": "+faststart", "v": "error"}
    if input["title"] is not None:
        options["metadata"] = f"title={input['title']}"
    language = f"language={three_letters(input['language'])}"
    options["metadata:s:a:0"] = language
    streams = [ffmpeg.input(str(sound)).audio]
    subtitles, burnt = input["subtitles"], [] if title is None else [title]
    if subtitles is not None and input["subtitles_mode"] == "burn":
        burnt.append(Path(subtitles))
    elif subtitles is not None:
        options |= {"c:s": "mov_text", "metadata:s:s:0": language}
        streams.append(encoder.file_input(subtitles, SUBTITLES)["s"])
    folder = context.temporary("fonts")
    for file in burnt:
        picture = picture.filter("ass", filename=str(file), fontsdir=str(folder))
    environment = _fonts(burnt, folder) if burnt else {}
    return ffmpeg.output(picture, *streams, str(film), **options), environment


def _fonts(files: list[Path], folder: Path) -> dict[str, str]:
    """The environment in which FFmpeg finds the fonts of all these ASS files, in ``folder``."""
    from media.fonts import font_folder, fonts_of

    uses: dict[Any, set[str]] = {}
    for file in files:
        for face, characters in fonts_of(file).items():
            uses.setdefault(face, set()).update(characters)
    return font_folder(uses, folder)


def _title(input: dict[str, Any], shots: list[Shot], seconds: float, context: Context) -> Path | None:  # noqa: A002
    """The ASS file of the title that stands over the film's beginning; None for none."""
    if not input["title_s"] or not (input["title"] or "").strip():
        return None
    from media import title
    from media.calm import Ground
    from media.title_layout import FILM

    file = context.temporary("ass")
    width, height, fps = input["width"], input["height"], input["fps"]
    shown = min(input["title_s"], seconds)
    count = max(1, min(round(shown * fps), sum(shot.num_frames for shot in shots)))
    with closing(blended(shots, input["transition_frames"], (width, height, fps))) as frames:
        looked_at = islice(frames, 0, count, max(1, count // LOOKS))
        ground = Ground([_brightness(frame[:height]) for frame in looked_at])
    title.write(
        file,
        input["title"],
        width=width,
        height=height,
        language=input["language"],
        look=FILM,
        ground=ground,
        seconds=shown,
    )
    return file


def _brightness(luma: np.ndarray) -> np.ndarray:
    """Full-range luma of BT.709's limited one."""
    import numpy as np

    return np.clip((luma - 16.0) * (255 / 219), 0, 255)
