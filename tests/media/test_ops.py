"""extract_audio, convert, concat, mux, overlay and contact_sheet on real files; PyAV is the second opinion."""

from __future__ import annotations

import importlib
import threading
import wave
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from support import clip, ffmpeg, result_of, tone, worker

from media.languages import three_letters
from media.overlay import Box, Layer, laid_over
from media.tracks import frame_rate
from runtime import validation
from runtime.context import Context
from runtime.errors import Cancelled, WorkerError

SIZE = "64x96"


def call(op: str, folder: Path, context: Context | None = None, **given: Any) -> dict[str, Any]:
    """One operation in this process, defaults filled in by its schema, its output held to its schema."""
    schema = validation.input_schema("media_processing", op)
    body = validation.filled({**given}, schema)
    assert validation.violations(given, schema) == []
    context = context or Context(output_dir=folder / "out", output_name=op)
    try:
        output: dict[str, Any] = getattr(importlib.import_module(f"media.{op}"), op)(body, context)
    finally:
        context.clean_up()
    promised = validation.document(f"media_processing/{op}")["$defs"]["output"]
    assert validation.violations(output, promised) == []
    assert not list((folder / "out").glob(".*"))
    return output


def refusal(op: str, folder: Path, **given: Any) -> WorkerError:
    """The error of an operation that must fail, leaving nothing."""
    with pytest.raises(WorkerError) as caught:
        call(op, folder, **given)
    assert not list((folder / "out").glob("*"))
    return caught.value


def counting(path: Path, *, frames: int = 60, fps: int = 30, size: str = SIZE, options: tuple[str, ...] = ()) -> Path:
    """A film whose frame n is of the grey 20 + 3n (mod 200), so that every frame says which it is."""
    source = f"color=black:s={size}:r={fps},format=yuv420p,geq=lum='20+mod(3*N,200)':cb=128:cr=128"
    codec = () if "-c:v" in options else ("-c:v", "libx264", "-preset", "ultrafast", "-qp", "0", "-g", "12")
    ffmpeg(
        "-f", "lavfi", "-i", source, "-frames:v", str(frames), "-colorspace", "bt709", "-color_range", "tv",
        *codec, *options, path,
    )  # fmt: skip
    return path


def numbers(path: str | Path) -> list[int]:
    """Which frame of ``counting`` each frame is, by the middle of the picture."""
    with av.open(str(path)) as film:
        greys = [
            middle(frame.to_ndarray(format="yuv420p"), frame.width, frame.height) for frame in film.decode(video=0)
        ]
    return [round((grey - 20) / 3) for grey in greys]


def middle(frame: np.ndarray, width: int, height: int) -> float:
    luma = frame[:height, :width]
    return float(luma[height // 2 - 4 : height // 2 + 4, width // 2 - 4 : width // 2 + 4].mean())


def packets(path: str | Path, kind: str) -> list[bytes]:
    with av.open(str(path)) as opened:
        return [bytes(packet) for packet in opened.demux(getattr(opened.streams, kind)[0]) if packet.size]


def heard(path: str | Path) -> np.ndarray:
    """All samples, shape (channels, samples), float."""
    with av.open(str(path)) as opened:
        resampler = av.AudioResampler(format="fltp", layout=opened.streams.audio[0].layout.name)
        return np.concatenate(
            [block.to_ndarray() for frame in opened.decode(audio=0) for block in resampler.resample(frame)], axis=1
        )


def wav(path: Path, samples: np.ndarray, rate: int = 48000) -> Path:
    """16-bit PCM of an array of shape (samples, channels)."""
    with wave.open(str(path), "wb") as sound:
        sound.setparams((samples.shape[1], 2, rate, 0, "NONE", ""))
        sound.writeframes(samples.astype("<i2").tobytes())
    return path


def wav_samples(path: str | Path) -> np.ndarray:
    with wave.open(str(path)) as sound:
        return np.frombuffer(sound.readframes(sound.getnframes()), "<i2").reshape(-1, sound.getnchannels())


def random_sound(samples: int, channels: int = 2) -> np.ndarray:
    return np.random.default_rng(7).integers(-20000, 20000, (samples, channels)).astype("<i2")


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of H.264 at 30 frames a second, with two seconds of a tone as AAC."""
    folder = tmp_path_factory.mktemp("film")
    silent, made = counting(folder / "silent.mp4"), folder / "film.mp4"
    ffmpeg("-i", silent, "-i", tone(folder / "tone.wav", seconds=2), "-c:v", "copy", "-c:a", "aac", made)
    return made


@pytest.fixture(scope="module")
def silent(film: Path) -> Path:
    return film.parent / "silent.mp4"


# ---------------------------------------------------------------------------------------------------- extract_audio


def test_extracted_sound_is_the_films_own_to_the_sample_and_the_bit(silent: Path, tmp_path: Path) -> None:
    samples = random_sound(44100 * 2 + 123)
    made = tmp_path / "film.mkv"
    ffmpeg("-i", silent, "-i", wav(tmp_path / "s.wav", samples, 44100), "-c:v", "copy", "-c:a", "flac", made)
    audio = call("extract_audio", tmp_path, media=str(made))["audio"]
    assert np.array_equal(wav_samples(audio["path"]), samples)
    assert (audio["sample_rate"], audio["channels"], audio["media_type"]) == (44100, 2, "audio/wav")
    assert audio["duration_s"] == pytest.approx(len(samples) / 44100, abs=1e-5)


def test_a_part_of_a_sound_has_exactly_the_samples_asked_for(tmp_path: Path) -> None:
    samples = random_sound(48000)
    source = wav(tmp_path / "s.wav", samples)
    audio = call("extract_audio", tmp_path, media=str(source), start_s=0.25, end_s=0.75)["audio"]
    assert np.array_equal(wav_samples(audio["path"]), samples[12000:36000])
    low = call("extract_audio", tmp_path, media=str(source), start_s=0.5, sample_rate=16000, channels=1)["audio"]
    assert wav_samples(low["path"]).shape == (8000, 1)


def test_sound_that_starts_late_stays_late_and_a_cut_takes_the_films_moments(silent: Path, tmp_path: Path) -> None:
    made, samples = tmp_path / "late.mkv", random_sound(48000)
    ffmpeg(
        "-i", silent, "-itsoffset", "0.5", "-i", wav(tmp_path / "s.wav", samples), "-c:v", "copy", "-c:a", "flac", made
    )
    whole = wav_samples(call("extract_audio", tmp_path, media=str(made))["audio"]["path"])
    assert not whole[:24000].any()
    assert np.array_equal(whole[24000:], samples)
    part = wav_samples(call("extract_audio", tmp_path, media=str(made), start_s=1, end_s=2)["audio"]["path"])
    assert np.array_equal(part[:24000], samples[24000:])
    assert not part[24000:].any()  # the film lasts on, its sound does not
    assert len(part) == 48000


@pytest.mark.parametrize(
    ("name", "codec", "media_type"),
    [("flac", "flac", "audio/flac"), ("mp3", "mp3", "audio/mpeg"), ("opus", "opus", "audio/ogg")],
)
def test_every_format_of_sound_is_what_it_says(
    film: Path, tmp_path: Path, name: str, codec: str, media_type: str
) -> None:
    output = call("extract_audio", tmp_path, media=str(film), format=name)
    assert output["audio"]["media_type"] == media_type
    assert not output["copied"]
    with av.open(output["audio"]["path"]) as opened:
        assert opened.streams.audio[0].codec_context.codec.canonical_name == codec
    assert heard(output["audio"]["path"]).shape[1] == pytest.approx(96000, abs=1200)
    assert output["audio"]["duration_s"] == pytest.approx(2, abs=0.03)


def test_sound_in_its_own_format_is_copied(film: Path, tmp_path: Path) -> None:
    output = call("extract_audio", tmp_path, media=str(film), format="m4a")
    assert output["copied"]
    assert packets(output["audio"]["path"], "audio") == packets(film, "audio")
    assert not call("extract_audio", tmp_path, media=str(film), format="m4a", channels=2)["copied"]


def test_six_channels_stay_six_where_the_format_has_them(tmp_path: Path) -> None:
    made = tmp_path / "surround.mka"
    ffmpeg("-f", "lavfi", "-i", "sine=440:r=48000:d=0.5", "-af", "pan=5.1|c0=c0|c3=c0", "-c:a", "flac", made)
    channels = {
        name: call("extract_audio", tmp_path, media=str(made), format=name)["audio"]["channels"]
        for name in ("wav", "opus", "mp3")
    }
    assert channels == {"wav": 6, "opus": 6, "mp3": 2}


def test_mono_in_stereo_and_back_is_as_loud_as_before(tmp_path: Path) -> None:
    samples = random_sound(24000, channels=1)
    twice = call("extract_audio", tmp_path, media=str(wav(tmp_path / "s.wav", samples)), channels=2)["audio"]
    assert np.array_equal(wav_samples(twice["path"]), np.repeat(samples, 2, axis=1))
    once = call("extract_audio", tmp_path, media=twice["path"], channels=1)["audio"]
    assert np.array_equal(wav_samples(once["path"]), samples)


def test_a_rate_that_a_format_cannot_carry_is_refused(film: Path, tmp_path: Path) -> None:
    error = refusal("extract_audio", tmp_path, media=str(film), format="opus", sample_rate=44100)
    assert (error.pointer, "44100; opus takes 8000, 12000" in error.message) == ("/input/sample_rate", True)


@pytest.mark.parametrize(
    ("given", "pointer", "says"),
    [
        ({"start_s": 2.5}, "/input/start_s", "start_s is 2.5; its sound lasts 2.000 s."),
        ({"end_s": 7}, "/input/end_s", "end_s is 7; the file lasts 2.000 s."),
        ({"start_s": 1, "end_s": 1}, "/input/end_s", "start_s is 1 and end_s 1; the start must come before the end."),
    ],
)
def test_impossible_times_name_the_length(
    film: Path, tmp_path: Path, given: dict[str, Any], pointer: str, says: str
) -> None:
    for op in ("extract_audio", "convert"):
        error = refusal(op, tmp_path, media=str(film), **({"format": "mp3"} if op == "convert" else {}), **given)
        assert (error.code, error.pointer, error.message) == ("invalid_request", pointer, says)


def test_a_file_that_cannot_serve_says_so(silent: Path, tmp_path: Path) -> None:
    error = refusal("extract_audio", tmp_path, media=str(silent))
    assert (error.code, error.pointer) == ("input_unreadable", "/input/media")
    assert "carries no sound" in error.message
    script = tmp_path / "list.mp4"
    script.write_text(f"ffconcat version 1.0\nfile '{silent}'\n")
    for op in ("convert", "contact_sheet", "extract_audio"):
        assert refusal(op, tmp_path, media=str(script)).code == "input_unreadable"
    sound = tone(tmp_path / "tone.wav", seconds=0.2)
    for op in ("convert", "contact_sheet"):
        assert "carries no moving picture" in refusal(op, tmp_path, media=str(sound)).message


# ---------------------------------------------------------------------------------------------------------- convert


def test_what_fits_already_is_copied_packet_for_packet(film: Path, tmp_path: Path) -> None:
    matroska = call("convert", tmp_path, media=str(film), format="mkv")
    back = call("convert", tmp_path, media=matroska["media"]["path"], format="mp4")
    for output in (matroska, back):
        assert (output["copied"], output["copied_streams"], output["crf"]) == (True, ["video", "audio"], None)
        assert packets(output["media"]["path"], "audio") == packets(film, "audio")
        assert numbers(output["media"]["path"]) == list(range(60))
    assert packets(back["media"]["path"], "video") == packets(film, "video")


def test_a_picture_that_fits_is_copied_even_where_the_sound_is_not(silent: Path, tmp_path: Path) -> None:
    made = tmp_path / "film.mov"
    ffmpeg("-i", silent, "-i", tone(tmp_path / "t.wav", seconds=2), "-c:v", "copy", "-c:a", "pcm_s16le", made)
    output = call("convert", tmp_path, media=str(made))
    assert (output["copied"], output["copied_streams"]) == (False, ["video"])
    assert packets(output["media"]["path"], "video") == packets(silent, "video")
    with av.open(output["media"]["path"]) as opened:
        assert opened.streams.audio[0].codec_context.name == "aac"


def test_a_cut_at_another_rate_shows_exactly_those_frames(film: Path, tmp_path: Path) -> None:
    output = call("convert", tmp_path, media=str(film), start_s=0.5, end_s=1.5, fps=15, crf=10)
    media = output["media"]
    assert numbers(media["path"]) == list(range(15, 45, 2))
    assert (media["num_frames"], media["fps"], media["duration_s"]) == (15, 15, pytest.approx(1))
    assert output["crf"] == 10
    assert heard(media["path"]).shape[1] == pytest.approx(48000, abs=1024)  # AAC ends with a whole packet


@pytest.mark.parametrize("name", ["long.mp4", "long.ts", "long.mkv"])
def test_a_cut_deep_in_a_film_is_sought_and_still_exact(tmp_path: Path, name: str) -> None:
    long = counting(tmp_path / name, frames=60, fps=10)
    for start in (2.4, 4.1):
        output = call("convert", tmp_path, media=str(long), start_s=start, end_s=start + 0.5)
        assert numbers(output["media"]["path"]) == list(range(round(start * 10), round(start * 10) + 5))


@pytest.mark.parametrize(
    ("name", "options", "first", "samples"),
    [
        ("stream.ts", ("-c", "copy"), 0, 96000),  # starts at 1.4 s, its sound before its picture
        ("old.avi", ("-c:v", "mpeg4", "-bf", "2", "-q:v", "1", "-c:a", "mp3"), 0, 96000),
        ("cut.mp4", ("-ss", "0.7", "-c", "copy"), 21, 62400),  # an edit list hides frames 12 to 20
        ("deep.mkv", ("-c:v", "ffv1", "-pix_fmt", "yuv422p10le", "-c:a", "flac"), 0, 96000),
    ],
)
def test_files_with_odd_clocks_give_the_right_frames_and_sound(
    film: Path, tmp_path: Path, name: str, options: tuple[str, ...], first: int, samples: int
) -> None:
    odd = tmp_path / name
    before = options[:2] if "-ss" in options else ()
    ffmpeg(*before, "-i", film, *options[len(before) :], odd)
    media = call("convert", tmp_path, media=str(odd), crf=2)["media"]
    assert np.allclose(numbers(media["path"]), range(first, 60), atol=0.5)
    part = call("convert", tmp_path, media=str(odd), start_s=0.5, end_s=0.8, crf=2)["media"]
    assert np.allclose(numbers(part["path"]), range(first + 15, first + 24), atol=0.5)
    audio = call("extract_audio", tmp_path, media=str(odd))["audio"]
    assert len(wav_samples(audio["path"])) == pytest.approx(samples, abs=1152)


@pytest.mark.parametrize(
    ("name", "codecs"),
    [("mov", ["h264", "aac"]), ("mkv", ["h264", "aac"]), ("webm", ["vp9", "opus"]), ("gif", ["gif"])],
)
def test_every_format_of_film_has_its_codecs_and_all_frames(
    film: Path, tmp_path: Path, name: str, codecs: list[str]
) -> None:
    media = call("convert", tmp_path, media=str(film), format=name, width=32, end_s=0.5)["media"]
    with av.open(media["path"]) as opened:
        assert [stream.codec_context.codec.canonical_name for stream in opened.streams] == codecs
    expected = list(range(15)) if name != "gif" else [0, 1, 3, 4, 6, 7, 9, 10, 12, 13]
    assert np.allclose(numbers(media["path"]), expected, atol=1)
    assert (media["width"], media["height"], media["num_frames"]) == (32, 48, len(expected))


def test_a_film_that_was_taken_sideways_comes_out_upright(tmp_path: Path) -> None:
    flat, turned = tmp_path / "flat.mp4", tmp_path / "turned.mp4"
    source = "color=black:s=96x64:r=10,drawbox=x=0:y=0:w=48:h=64:color=white:t=fill"
    ffmpeg("-f", "lavfi", "-i", source, "-frames:v", "5", "-pix_fmt", "yuv420p", flat)
    ffmpeg("-display_rotation", "90", "-i", flat, "-c", "copy", turned)
    copied = call("convert", tmp_path, media=str(turned))
    assert copied["copied"]
    assert (copied["media"]["width"], copied["media"]["height"]) == (64, 96)
    media = call("convert", tmp_path, media=str(turned), crf=10)["media"]
    picture = call("convert", tmp_path, media=str(turned), format="png")["media"]
    assert (media["width"], media["height"]) == (picture["width"], picture["height"]) == (64, 96)
    with av.open(media["path"]) as opened:
        luma = next(opened.decode(video=0)).to_ndarray(format="gray")
    for shown in (luma, np.asarray(Image.open(picture["path"]).convert("L"))):
        assert shown[:40].mean() < 30  # what was left is now below: a quarter turn against the clock
        assert shown[56:].mean() > 220


def test_a_variable_frame_rate_becomes_a_steady_one(tmp_path: Path) -> None:
    uneven = tmp_path / "vfr.mkv"
    source = f"color=black:s={SIZE}:r=10,format=yuv420p,geq=lum='20+3*N':cb=128:cr=128,setpts='(N*N)*0.1/TB'"
    ffmpeg("-f", "lavfi", "-i", source, "-frames:v", "4", "-fps_mode", "vfr", "-c:v", "libx264", "-crf", "4", uneven)
    media = call("convert", tmp_path, media=str(uneven), fps=10, crf=4)["media"]
    assert numbers(media["path"])[:10] == [0, 1, 1, 1, 2, 2, 2, 2, 2, 3]  # frames at 0, 0.1, 0.4 and 0.9 s


def test_odd_sizes_and_wide_pixels_become_even_square_ones(tmp_path: Path) -> None:
    odd = tmp_path / "odd.mkv"
    ffmpeg(
        "-f", "lavfi", "-i", "color=red:s=71x41:r=10,setsar=2", "-frames:v", "3", "-c:v", "libx264",
        "-pix_fmt", "yuv444p", "-colorspace", "smpte170m", odd,
    )  # fmt: skip
    output = call("convert", tmp_path, media=str(odd))
    assert not output["copied"]  # players of mp4 take no 4:4:4
    assert (output["media"]["width"], output["media"]["height"], output["media"]["num_frames"]) == (142, 40, 3)
    with av.open(output["media"]["path"]) as opened:
        frame = next(opened.decode(video=0))
        assert (frame.format.name, int(frame.colorspace)) == ("yuv420p", 1)
        corner = int(frame.to_ndarray(format="yuv420p")[0, 0])
    assert corner == pytest.approx(63, abs=2)  # BT.709's luma of red, to the very edge


@pytest.mark.parametrize(("fit", "left", "centre"), [("contain", 0, 255), ("cover", 255, 255), ("stretch", 255, 255)])
def test_another_shape_is_fitted_as_asked(tmp_path: Path, fit: str, left: int, centre: int) -> None:
    white = clip(tmp_path / "white.mp4", frames=3, color="white", size="64x96")
    media = call("convert", tmp_path, media=str(white), width=128, height=96, fit=fit, crf=10)["media"]
    still = Image.new("RGB", (64, 96), "white")
    still.save(tmp_path / "white.png")
    picture = call("convert", tmp_path, media=str(tmp_path / "white.png"), format="png", width=128, height=96, fit=fit)[
        "media"
    ]
    with av.open(media["path"]) as opened:
        grey = next(opened.decode(video=0)).to_ndarray(format="gray")
    for shown in (grey, np.asarray(Image.open(picture["path"]).convert("L"))):
        assert shown.shape == (96, 128)
        assert shown[48, 10] == pytest.approx(left, abs=2)
        assert shown[48, 64] == pytest.approx(centre, abs=2)


def test_a_frame_of_a_film_is_the_one_on_the_screen_then(film: Path, tmp_path: Path) -> None:
    picture = call("convert", tmp_path, media=str(film), format="png", start_s=1.0)["media"]
    grey = np.asarray(Image.open(picture["path"]).convert("L"))[48, 32]
    assert grey == pytest.approx((20 + 3 * 30 - 16) * 255 / 219, abs=2)


def test_pictures_keep_what_shines_through_where_the_format_can(tmp_path: Path) -> None:
    source = Image.new("RGBA", (40, 20), (200, 40, 10, 255))
    source.paste((10, 60, 220, 128), (20, 0, 40, 20))
    source.paste((0, 0, 0, 0), (0, 10, 20, 20))
    source.save(tmp_path / "named-wrongly.mp4", format="PNG")
    media = str(tmp_path / "named-wrongly.mp4")
    png = Image.open(call("convert", tmp_path, media=media, format="png")["media"]["path"])
    assert png.getpixel((5, 5)) == (200, 40, 10, 255)
    assert np.allclose(np.asarray(png)[5, 30], (10, 60, 220, 128), atol=1)
    assert np.asarray(png)[15, 5, 3] == 0
    with Image.open(call("convert", tmp_path, media=media, format="webp")["media"]["path"]) as webp:
        assert webp.mode == "RGBA"
    jpg = Image.open(call("convert", tmp_path, media=media, format="jpg")["media"]["path"])
    assert np.allclose(np.asarray(jpg)[15, 5], 255, atol=6)
    error = refusal("convert", tmp_path / "none", media=media)
    assert "is a picture, not a video" in error.message


def test_a_song_with_a_cover_is_sound_and_its_cover_a_picture(tmp_path: Path) -> None:
    song = tmp_path / "song.mp3"
    Image.new("RGB", (32, 32), (0, 160, 0)).save(tmp_path / "cover.png")
    ffmpeg(
        "-i", tone(tmp_path / "t.wav", seconds=1), "-i", tmp_path / "cover.png", "-map", "0:a", "-map", "1:v",
        "-c:v", "png", "-disposition:v", "attached_pic", song,
    )  # fmt: skip
    assert wav_samples(call("extract_audio", tmp_path, media=str(song))["audio"]["path"]).shape == (48000, 1)
    cover = call("convert", tmp_path, media=str(song), format="png")["media"]
    assert np.allclose(np.asarray(Image.open(cover["path"]))[16, 16], (0, 160, 0), atol=2)
    assert "carries no moving picture" in refusal("convert", tmp_path / "none", media=str(song)).message


def test_fields_that_mean_nothing_for_a_format_are_refused(film: Path, tmp_path: Path) -> None:
    for name, field in (("mp3", "width"), ("gif", "crf"), ("png", "end_s")):
        error = refusal("convert", tmp_path, media=str(film), format=name, **{field: 32})
        assert (error.message, error.pointer) == (f"{field} means nothing for {name}.", f"/input/{field}")


def test_rates_are_read_as_people_mean_them() -> None:
    assert [str(frame_rate(rate)) for rate in (23.976, 29.97, 30, 59.94, 12.5)] == [
        "24000/1001",
        "30000/1001",
        "30",
        "60000/1001",
        "25/2",
    ]


# ----------------------------------------------------------------------------------------------------------- concat


def test_parts_of_any_kind_follow_each_other_to_the_frame_and_the_sample(silent: Path, tmp_path: Path) -> None:
    """H.264 with sound, a silent VP9 of another size and rate, and MJPEG in AVI with sound again."""
    web = counting(
        tmp_path / "b.webm", frames=25, fps=25, size="96x64",
        options=("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-crf", "4", "-b:v", "0"),
    )  # fmt: skip
    plain, loud = tmp_path / "c.avi", tmp_path / "a.mkv"
    beep = tone(tmp_path / "beep.wav", seconds=2, volume=4)
    ffmpeg("-i", silent, "-i", beep, "-c:v", "copy", "-c:a", "flac", loud)
    ffmpeg("-i", silent, "-i", beep, "-c:v", "mjpeg", "-q:v", "2", "-c:a", "pcm_s16le", "-t", "1", plain)
    output = call("concat", tmp_path, medias=[str(loud), str(web), str(plain)], crf=10)
    media = output["media"]
    shown = numbers(media["path"])
    assert (len(shown), media["num_frames"], media["fps"], media["width"]) == (120, 120, 30, 64)
    assert shown[:60] == list(range(60))
    assert np.allclose(shown[60:90], [int(k / 30 * 25 + 0.2) for k in range(30)], atol=1)
    assert np.allclose(shown[90:], range(30), atol=1)
    assert output["starts_s"] == [0, 2, 3]
    samples = np.abs(heard(media["path"]))[:, : 48000 * 4]
    assert samples.shape[0] == 2
    level = samples.max(axis=0).reshape(-1, 4800).max(axis=1)  # tenths of a second
    assert level[1:19].min() > 0.3
    assert level[21:29].max() < 0.01
    assert level[31:39].min() > 0.3


def test_a_transition_shares_frames_and_fades_the_sound_with_them(tmp_path: Path) -> None:
    parts = []
    for number, color in enumerate(("black", "white", "black")):
        picture = clip(tmp_path / f"{number}.mp4", frames=20, color=color, size=SIZE)
        made = tmp_path / f"{number}.mkv"
        sound = wav(tmp_path / f"{number}.wav", np.full((32000, 1), 0 if color == "black" else 20000))
        ffmpeg("-i", picture, "-i", sound, "-c:v", "copy", "-c:a", "flac", made)
        parts.append(str(made))
    output = call("concat", tmp_path, medias=parts, transition_frames=4, crf=4, format="mkv")
    with av.open(output["media"]["path"]) as opened:
        levels = [float(frame.to_ndarray(format="gray").mean()) for frame in opened.decode(video=0)]
    assert len(levels) == 52
    assert output["starts_s"] == pytest.approx([0, 16 / 30, 32 / 30], abs=1e-6)
    assert max(levels[:16]) < 3
    assert np.allclose(np.diff(levels[15:21]), 51, atol=4)
    assert min(levels[20:32]) > 250
    assert np.allclose(np.diff(levels[31:37]), -51, atol=4)
    samples = heard(output["media"]["path"])[0]
    halves = [samples[int(frame * 1600)] for frame in (14, 18, 26, 34, 38)]
    assert np.allclose(halves, [0, 0.305, 0.61, 0.305, 0], atol=0.05)


def test_a_transition_is_never_longer_than_half_a_part(tmp_path: Path) -> None:
    parts = [str(clip(tmp_path / f"{n}.mp4", frames=n, size=SIZE)) for n in (20, 3, 1)]
    assert call("concat", tmp_path, medias=parts, transition_frames=10)["media"]["num_frames"] == 20 + 3 + 1 - 1


def test_sounds_alone_become_one_sound_without_a_sample_lost(tmp_path: Path) -> None:
    first, second = random_sound(30001), random_sound(12345)[::-1]
    flac = tmp_path / "second.flac"
    ffmpeg("-i", wav(tmp_path / "2.wav", second), flac)
    output = call("concat", tmp_path, medias=[str(wav(tmp_path / "1.wav", first)), str(flac)])
    assert np.array_equal(wav_samples(output["media"]["path"]), np.concatenate([first, second]))
    assert output["starts_s"] == [0, round(30001 / 48000, 6)]


def test_a_part_that_cannot_serve_is_named(silent: Path, tmp_path: Path) -> None:
    sound = tone(tmp_path / "t.wav", seconds=0.2)
    error = refusal("concat", tmp_path, medias=[str(silent), str(sound)])
    assert (error.pointer, "carries no moving picture" in error.message) == ("/input/medias/1", True)
    error = refusal("concat", tmp_path, medias=[str(sound), str(silent)], format="mp3")
    assert (error.pointer, "carries no sound" in error.message) == ("/input/medias/1", True)


# -------------------------------------------------------------------------------------------------------------- mux


def test_mux_keeps_the_picture_bit_for_bit_and_replaces_the_sound(film: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.m4a"
    ffmpeg("-i", tone(tmp_path / "t.wav", seconds=3), "-c:a", "aac", "-ac", "2", other)
    output = call("mux", tmp_path, video=str(film), audio=str(other))
    made = output["media"]
    assert packets(made["path"], "video") == packets(film, "video")
    kept = packets(made["path"], "audio")
    assert kept == packets(other, "audio")[: len(kept)]
    assert (made["channels"], output["copied"]) == (2, True)
    assert made["duration_s"] == pytest.approx(2, abs=0.03)  # length is video by default
    with av.open(made["path"]) as opened:
        assert len(opened.streams.audio) == 1


@pytest.mark.parametrize(
    ("length", "sound_s", "frames", "heard_s"),
    [("video", 1, 60, 1), ("shortest", 1, 30, 1), ("audio", 1, 30, 1), ("shortest", 3, 60, 2), ("audio", 3, 60, 3)],
)
def test_length_says_what_is_cut(
    silent: Path, tmp_path: Path, length: str, sound_s: float, frames: int, heard_s: float
) -> None:
    sound = tone(tmp_path / "t.wav", seconds=sound_s)
    output = call("mux", tmp_path, video=str(silent), audio=str(sound), length=length)
    assert not output["copied"]  # players of mp4 take no PCM
    shown = numbers(output["media"]["path"])
    assert shown == list(range(len(shown)))
    assert len(shown) == pytest.approx(
        frames, abs=0 if frames == 60 else 3
    )  # a copy ends between frames that need others
    with av.open(output["media"]["path"]) as opened:
        track = opened.streams.audio[0]
        assert float((track.duration or 0) * (track.time_base or 0)) == pytest.approx(heard_s, abs=0.025)


@pytest.mark.parametrize(("name", "codecs"), [("mp4", ["mov_text", "mov_text"]), ("mkv", ["subrip", "webvtt"])])
def test_subtitles_carry_their_language_and_their_words(
    film: Path, tmp_path: Path, name: str, codecs: list[str]
) -> None:
    (tmp_path / "a.srt").write_text("1\n00:00:00,200 --> 00:00:01,000\nGrüß Gott\n", encoding="utf-8")
    (tmp_path / "b.vtt").write_text("WEBVTT\n\n00:00.200 --> 00:01.000\nAhoj světe\n", encoding="utf-8")
    tracks = [
        {"file": str(tmp_path / "a.srt"), "language": "de-AT"},
        {"file": str(tmp_path / "b.vtt"), "language": "cs"},
    ]
    output = call("mux", tmp_path, video=str(film), subtitles=tracks, format=name)
    assert packets(output["media"]["path"], "audio") == packets(film, "audio")  # its own sound stays
    with av.open(output["media"]["path"]) as opened:
        found = opened.streams.subtitles
        assert [stream.language for stream in found] == ["deu", "ces"]
        assert [stream.codec_context.codec.canonical_name for stream in found] == codecs
        texts = [bytes(packet) for packet in opened.demux(found[1]) if packet.size]
    assert any("Ahoj světe".encode() in text for text in texts)


@pytest.mark.parametrize("name", ["mp4", "mkv"])
def test_sound_keeps_its_language_or_gets_the_one_named(film: Path, tmp_path: Path, name: str) -> None:
    def said(path: str) -> str | None:
        with av.open(path) as opened:
            return opened.streams.audio[0].language

    sound = tone(tmp_path / "t.wav", seconds=1)
    named = call("mux", tmp_path, video=str(film), audio=str(sound), audio_language="de-AT", format=name)
    assert said(named["media"]["path"]) == "deu"
    kept = call("mux", tmp_path, video=named["media"]["path"], format="mkv")["media"]["path"]
    encoded = call("mux", tmp_path, video=str(film), audio=kept, format=name)["media"]["path"]
    assert said(kept) == said(encoded) == "deu"


def test_mux_says_what_it_cannot_hold_or_read(film: Path, silent: Path, tmp_path: Path) -> None:
    error = refusal("mux", tmp_path, video=str(film), format="webm")
    assert (error.pointer, "webm cannot hold the h264 picture" in error.message) == ("/input/format", True)
    error = refusal("mux", tmp_path, video=str(film), subtitles=[{"file": str(silent), "language": "en"}])
    assert (error.pointer, "there are none in it" in error.message) == ("/input/subtitles/0/file", True)
    error = refusal("mux", tmp_path, video=str(silent), length="audio")
    assert error.pointer == "/input/length"
    error = refusal("mux", tmp_path, video=str(film), audio=str(silent))
    assert (error.pointer, "carries no sound" in error.message) == ("/input/audio", True)


def test_languages_have_three_letters() -> None:
    assert [three_letters(tag) for tag in ("en", "pt-BR", "zh-Hant", "gsw", "x")] == ["eng", "por", "zho", "gsw", "und"]


# ---------------------------------------------------------------------------------------------------------- overlay


def frames_of(path: str | Path) -> list[np.ndarray]:
    """Every frame as yuv444p, shape (3, height, width)."""
    with av.open(str(path)) as opened:
        return [frame.to_ndarray(format="yuv444p").astype(int) for frame in opened.decode(video=0)]


def test_a_picture_lies_where_it_should_as_long_as_it_should_with_its_transparency(film: Path, tmp_path: Path) -> None:
    logo = Image.new("RGBA", (16, 16), (255, 0, 0, 255))
    logo.paste((255, 255, 255, 128), (8, 0, 16, 8))
    logo.paste((0, 255, 0, 0), (0, 8, 16, 16))
    logo.save(tmp_path / "logo.png")
    output = call(
        "overlay", tmp_path, media=str(film), overlay=str(tmp_path / "logo.png"),
        anchor="bottom_left", margin=4, start_s=0.5, end_s=1.5, crf=1,
    )  # fmt: skip
    assert (output["x"], output["y"], output["width"], output["height"]) == (4, 76, 16, 16)
    assert (output["first_frame"], output["num_frames"]) == (15, 30)
    before, after = frames_of(film), frames_of(output["media"]["path"])
    assert len(after) == 60
    for number, (old, new) in enumerate(zip(before, after, strict=True)):
        grey = old[0, 10, 10]
        assert np.allclose(new[:, 10, 40], old[:, 10, 40], atol=2), number
        if 15 <= number < 45:
            assert np.allclose(new[:, 80, 8], (63, 102, 240), atol=3)  # BT.709's red
            assert new[0, 80, 16] == pytest.approx((grey + 235) / 2, abs=3)
            assert np.allclose(new[:, 88, 12], old[:, 88, 12], atol=3)  # transparent green leaves no trace
        else:
            assert np.allclose(new[:, 80, 8], old[:, 80, 8], atol=2), number
    assert packets(output["media"]["path"], "audio") == packets(film, "audio")


def test_opacity_and_fade_are_shares_of_the_overlay(tmp_path: Path) -> None:
    black = clip(tmp_path / "black.mp4", frames=20, color="black", size=SIZE, fps=10)
    Image.new("RGB", (20, 20), "white").save(tmp_path / "white.webp", lossless=True)
    output = call(
        "overlay", tmp_path, media=str(black), overlay=str(tmp_path / "white.webp"),
        x=0.5, y=-10, width=0.5, opacity=0.5, fade_s=0.3, crf=1,
    )  # fmt: skip
    assert (output["x"], output["y"], output["width"], output["height"]) == (32, -10, 32, 32)
    shown = frames_of(output["media"]["path"])
    levels = [(frame[0, 4, 48] - 16) / 219 for frame in shown]
    expected = [0.125, 0.25, 0.375, *[0.5] * 14, 0.375, 0.25, 0.125]
    assert np.allclose(levels, expected, atol=0.015)
    assert all(frame[0, 30, 48] <= 18 for frame in shown)  # ten of its thirty-two lines lie above the film


def test_a_layer_leaves_the_frame_below_as_it_was() -> None:
    below = np.full((24, 16), 128, np.uint8)  # a grey frame of 16x16
    layer = Layer((np.full((4, 4), 50.0), np.zeros((2, 2)), np.zeros((2, 2))), (1.0, 1.0, 1.0))
    made = laid_over(below, (16, 16), layer, Box(14, -2, 4, 4), 1.0)
    assert (below == 128).all()
    assert np.argwhere(made != 128).tolist() == [[0, 14], [0, 15], [1, 14], [1, 15]]
    assert made[0, 15] == 66


def test_a_video_over_a_video_runs_at_the_films_rate_and_goes_when_it_ends(tmp_path: Path) -> None:
    black = clip(tmp_path / "black.mp4", frames=40, color="black", size="96x64", fps=20)
    small = counting(tmp_path / "small.mp4", frames=5, fps=10, size="64x96")
    output = call("overlay", tmp_path, media=str(black), overlay=str(small), anchor="center", start_s=0.5, crf=1)
    assert output["num_frames"] == 10
    assert output["height"] == pytest.approx(64 - 2 * 0.04 * 64, abs=2)  # made smaller, so that it fits
    levels = [frame[0, 32, 48] for frame in frames_of(output["media"]["path"])]
    assert max(levels[:10] + levels[20:]) <= 18
    assert np.allclose(levels[10:20], [20 + 3 * (k // 2) for k in range(10)], atol=2)


def test_an_animated_gif_shines_through_where_it_is_empty(tmp_path: Path) -> None:
    frames = [Image.new("RGBA", (16, 16), (0, 0, 0, 0)) for _ in range(4)]
    for number, image in enumerate(frames):
        image.paste((255, 255, 255, 255), (4 * number, 0, 4 * number + 4, 16))
    frames[0].save(tmp_path / "run.gif", save_all=True, append_images=frames[1:], duration=100, disposal=2)
    grey = clip(tmp_path / "grey.mp4", frames=8, color="0x404040", size=SIZE, fps=10)
    output = call("overlay", tmp_path, media=str(grey), overlay=str(tmp_path / "run.gif"), x=0, y=0, crf=1)
    assert output["num_frames"] == 4
    shown = [frame[0, 8, 2:16:4] for frame in frames_of(output["media"]["path"])]
    ground = shown[7][0]
    for number in range(4):
        assert shown[number][number] == pytest.approx(235, abs=4)
        assert np.allclose(np.delete(shown[number], number), ground, atol=4)


def test_an_overlay_that_nobody_would_see_is_refused(film: Path, tmp_path: Path) -> None:
    error = refusal("overlay", tmp_path, media=str(film), overlay=str(film), x=500)
    assert (error.pointer, "outside" in error.message) == ("/input/x", True)
    error = refusal("overlay", tmp_path, media=str(film), overlay=str(film), start_s=2.5)
    assert error.message == "start_s is 2.5; the file lasts 2.000 s."
    text = tmp_path / "text.png"
    text.write_text("no picture")
    error = refusal("overlay", tmp_path, media=str(film), overlay=str(text))
    assert (error.code, error.pointer) == ("input_unreadable", "/input/overlay")


# ---------------------------------------------------------------------------------------------------- contact_sheet


def test_a_sheet_shows_the_frames_asked_for_in_the_order_asked_for(tmp_path: Path) -> None:
    long = counting(tmp_path / "long.mp4", frames=60, fps=4)  # fifteen seconds: far frames are sought
    times = [14.75, 0, 6.9, 7.0, 15.0, 1.26]
    output = call(
        "contact_sheet", tmp_path, media=str(long), times_s=times, cell_width=32, gap=4, columns=4, format="png"
    )
    sheet = Image.open(output["image"]["path"])
    assert sheet.size == (output["image"]["width"], output["image"]["height"]) == (4 * 36 + 4, 2 * 52 + 4)
    greens = [int(np.asarray(sheet)[cell["y"] + 24, cell["x"] + 16, 1]) for cell in output["cells"]]
    shown = [round((green * 219 / 255 + 16 - 20) / 3) for green in greens]
    assert shown == [59, 0, 27, 28, 59, 5]
    assert [cell["time_s"] for cell in output["cells"]] == times
    assert sheet.getpixel((2, 2)) == sheet.getpixel((4 * 36 - 10, 52 + 10)) == (0x18, 0x18, 0x18)


def test_without_times_a_sheet_is_spread_evenly_and_sensibly_shaped(film: Path, tmp_path: Path) -> None:
    output = call("contact_sheet", tmp_path, media=str(film))
    assert (output["columns"], output["rows"], len(output["cells"])) == (6, 2, 12)
    assert np.allclose([b["time_s"] - a["time_s"] for a, b in pairwise(output["cells"])], 2 / 12, atol=1e-5)
    assert (output["cell_width"], output["cell_height"], output["image"]["media_type"]) == (270, 405, "image/jpeg")


def test_a_sheet_refuses_times_after_the_end_and_sizes_that_nobody_opens(film: Path, tmp_path: Path) -> None:
    error = refusal("contact_sheet", tmp_path, media=str(film), times_s=[0, 2.5])
    assert (error.pointer, error.message) == ("/input/times_s/1", "times_s has 2.5; the film lasts 2.000 s.")
    error = refusal("contact_sheet", tmp_path, media=str(film), cell_width=4096)
    assert "at most 16384" in error.message


# --------------------------------------------------------------------------------------------------------- the wire


@pytest.mark.parametrize(
    ("op", "given", "unit"),
    [
        ("extract_audio", {"format": "mp3"}, "seconds"),
        ("convert", {"crf": 20}, "frames"),
        ("concat", {}, "frames"),
        ("overlay", {"overlay": "film"}, "frames"),
        ("contact_sheet", {}, "frames"),
    ],
)
def test_cancelling_half_way_leaves_nothing(
    op: str, given: dict[str, Any], unit: str, film: Path, tmp_path: Path
) -> None:
    cancelled, seen = threading.Event(), []

    def hear(kind: str, fields: dict[str, Any]) -> None:
        if kind == "progress" and fields["unit"] == unit and fields["stage"] != "prepare":
            seen.append((fields["current"], fields["total"]))
            if len(seen) == 2:
                cancelled.set()

    given = {name: str(film) if value == "film" else value for name, value in given.items()}
    source = {"medias": [str(film)]} if op == "concat" else {"media": str(film)}
    context = Context(output_dir=tmp_path / "out", output_name=op, cancelled=cancelled, emit=hear)
    with pytest.raises(Cancelled):
        call(op, tmp_path, context, **source, **given)
    assert seen[1][0] < seen[1][1]
    assert not list((tmp_path / "out").glob("*"))
    assert all(child.poll() is not None for child in context.children)


def test_the_worker_serves_the_new_operations_by_the_wire(film: Path, tmp_path: Path) -> None:
    request = {"v": 1, "op": "convert", "input": {"media": str(film), "format": "wav"}}
    answer = result_of(worker("media_processing", request, "--output-dir", str(tmp_path)))
    assert answer["type"] == "result", answer
    assert wav_samples(answer["output"]["media"]["path"]).shape == (96000, 1)
