"""Joining, loudness, probing and thumbnails on real files."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import clip, ffmpeg, noise, output_of, result_of, tone, worker
from support import seconds as seconds_of

import media.source
from media.ffmpeg import binary
from media.loudness import PRESETS, Target, measure, normalised
from media.probe import facts as facts_of
from media.source import pcm_blocks
from media.thumbnail import thumbnail
from runtime.context import Context
from runtime.errors import WorkerError


def samples_of(path: str) -> np.ndarray:
    with wave.open(path) as sound:
        assert sound.getparams()[:3] == (1, 2, 48000)
        return np.frombuffer(sound.readframes(sound.getnframes()), "<i2") / 32768


def test_joined_clips_are_trimmed_padded_and_spaced_exactly(tmp_path: Path) -> None:
    clips = [
        str(tone(tmp_path / "a.wav", seconds=0.5, before_s=0.3, after_s=0.7)),
        str(tone(tmp_path / "b.wav", seconds=0.25, before_s=0.0, after_s=0.1)),
    ]
    output = output_of("media_processing", "join_audio", {"clips": clips, "gaps_s": [0.4], "pad_s": 0.2}, tmp_path)
    samples = samples_of(output["audio"]["path"])
    expected = 0.2 + 0.5 + 0.2 + 0.4 + 0.2 + 0.25 + 0.2
    assert len(samples) / 48000 == pytest.approx(output["audio"]["duration_s"], abs=1e-6)
    assert output["audio"]["duration_s"] == pytest.approx(expected, abs=0.011)  # two windows of 5 ms
    assert output["offsets_s"] == pytest.approx([-0.1, 1.5], abs=0.011)
    loud = np.abs(samples) > 0.01
    assert loud.argmax() / 48000 == pytest.approx(0.2, abs=0.006)
    assert not loud[int(0.71 * 48000) : int(1.49 * 48000)].any()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.floats(0, 0.4), st.floats(0.05, 0.5), st.floats(0, 0.4)), min_size=1, max_size=4),
    st.floats(0, 0.5),
)
def test_a_moment_of_a_clip_plus_its_offset_is_that_moment_of_the_recording(
    tmp_path: Path, parts: list[tuple[float, float, float]], pad: float
) -> None:
    from media.join import join_audio

    clips = []
    for number, (before, length, after) in enumerate(parts):
        signal = np.concatenate(
            [np.zeros(int(before * 48000)), 0.5 * np.ones(int(length * 48000)), np.zeros(int(after * 48000))]
        )
        path = tmp_path / f"{number}.wav"
        with wave.open(str(path), "wb") as sound:
            sound.setparams((1, 2, 48000, 0, "NONE", ""))
            sound.writeframes((signal * 32767).astype("<i2").tobytes())
        clips.append(str(path))
    body = {"clips": clips, "gaps_s": [], "trim_db": -45, "pad_s": pad, "grid_s": None}
    output = join_audio(body, Context(output_dir=tmp_path, output_name="joined"))
    samples = samples_of(output["audio"]["path"])
    for (before, length, _), offset in zip(parts, output["offsets_s"], strict=True):
        middle = int((before + length / 2 + offset) * 48000)
        start = int((before + offset) * 48000)
        assert samples[middle] == pytest.approx(0.5, abs=0.01)
        assert abs(samples[max(0, start - 480)]) < 0.01 or before < 0.01 or pad < 0.01


def test_gaps_must_fit_the_clips(tmp_path: Path) -> None:
    sound = str(tone(tmp_path / "a.wav", seconds=0.2))
    done = worker("media_processing", {"v": 1, "op": "join_audio", "input": {"clips": [sound], "gaps_s": [1]}})
    assert result_of(done)["error"]["pointer"] == "/input/gaps_s"


def test_a_silent_clip_keeps_its_margins_and_is_warned_about(tmp_path: Path) -> None:
    silent = str(tone(tmp_path / "a.wav", seconds=0.5, volume=0))
    answer = result_of(
        worker(
            "media_processing",
            {"v": 1, "op": "join_audio", "input": {"clips": [silent]}},
            "--output-dir",
            str(tmp_path),
        )
    )
    assert answer["warnings"][0]["code"] == "silent_clip"
    assert answer["output"]["audio"]["duration_s"] == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("preset", "loudness", "peak"), [("short_video", -14, -1), ("podcast", -16, -1.5), ("broadcast", -23, -2)]
)
def test_every_preset_is_met_by_sound_that_is_hard_to_fit(
    preset: str, loudness: float, peak: float, tmp_path: Path
) -> None:
    quiet = noise(tmp_path / "speech.wav", seconds=6, volume=0.02)
    output = output_of("media_processing", "normalize_loudness", {"media": str(quiet), "preset": preset}, tmp_path)
    found = measure(output["media"]["path"])
    assert found == output["loudness"]
    assert found["integrated_lufs"] == pytest.approx(loudness, abs=0.5)
    assert (found["true_peak_dbtp"] or 0) <= peak


def test_a_film_keeps_its_picture_bit_for_bit(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    ffmpeg("-i", clip(tmp_path / "v.mp4", frames=60), "-i", noise(tmp_path / "n.wav", seconds=2), "-c:v", "copy", film)
    output = output_of("media_processing", "normalize_loudness", {"media": str(film)}, tmp_path)

    def packets(path: str | Path) -> list[bytes]:
        with av.open(str(path)) as opened:
            return [bytes(packet) for packet in opened.demux(video=0)]

    assert packets(output["media"]["path"]) == packets(film)
    assert output["loudness"]["integrated_lufs"] == pytest.approx(-14, abs=0.5)


def test_silence_is_left_alone_and_warned_about(tmp_path: Path) -> None:
    silent = str(tone(tmp_path / "a.wav", seconds=1, volume=0))
    answer = result_of(
        worker(
            "media_processing",
            {"v": 1, "op": "normalize_loudness", "input": {"media": silent}},
            "--output-dir",
            str(tmp_path),
        )
    )
    assert answer["warnings"][0]["code"] == "silent_audio"
    assert answer["output"]["loudness"]["integrated_lufs"] is None


def test_the_meter_agrees_with_ffmpegs_own(tmp_path: Path) -> None:
    """A 1 kHz-like tone at -20 dBFS in both channels; the filter's report is the second opinion."""
    import re
    import subprocess

    from support import FFMPEG

    sound = noise(tmp_path / "n.wav", seconds=5)
    said = subprocess.run(
        [FFMPEG, "-i", str(sound), "-af", "ebur128=peak=true", "-f", "null", "-"],
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    summary = said[said.rindex("Summary:") :]
    integrated = float(re.search(r"I:\s+(-?[\d.]+) LUFS", summary)[1])  # type: ignore[index]
    peak = float(re.search(r"Peak:\s+(-?[\d.]+) dBFS", summary)[1])  # type: ignore[index]
    found = measure(sound)
    assert found["integrated_lufs"] == pytest.approx(integrated, abs=0.1)
    assert found["true_peak_dbtp"] == pytest.approx(peak, abs=0.1)


def test_probe_tells_pictures_sound_and_films_apart_by_content(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (64, 48)).save(tmp_path / "picture.mp4", format="PNG")
    film = clip(tmp_path / "film.wav.mp4", frames=7)
    film.rename(tmp_path / "film.jpg")
    sound = tone(tmp_path / "sound.wav", seconds=0.5)
    facts = {
        name: output_of("media_processing", "probe", {"media": str(tmp_path / name)}, tmp_path)
        for name in ("picture.mp4", "film.jpg", sound.name)
    }
    assert [fact["kind"] for fact in facts.values()] == ["picture", "video", "audio"]
    assert (facts["picture.mp4"]["video"]["width"], facts["picture.mp4"]["video"]["height"]) == (64, 48)
    assert facts["film.jpg"]["video"]["num_frames"] == 7
    assert facts["sound.wav"]["audio"]["duration_s"] == pytest.approx(0.5)


@pytest.mark.parametrize("content", [b"", b"hello", b"\0" * 5000, b"RIFF1234WAVE"])
def test_what_is_no_media_is_said_to_be_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.mp4").write_bytes(content)
    done = worker("media_processing", {"v": 1, "op": "probe", "input": {"media": str(tmp_path / "x.mp4")}})
    assert (done.returncode, result_of(done)["error"]["code"]) == (66, "input_unreadable")


def test_a_thumbnail_is_the_frame_at_its_time(tmp_path: Path) -> None:
    from PIL import Image

    film = tmp_path / "film.mp4"
    black, white = (clip(tmp_path / f"{color}.mp4", frames=30, color=color) for color in ("black", "white"))
    ffmpeg("-i", black, "-i", white, "-filter_complex", "[0][1]concat=n=2", film)
    for time_s, level in ((0.5, 0), (1.5, 255), (None, 0)):
        output = output_of(
            "media_processing", "thumbnail", {"media": str(film), "time_s": time_s, "width": 135}, tmp_path
        )
        with Image.open(output["image"]["path"]) as picture:
            assert (picture.format, picture.size) == ("JPEG", (135, 240))
            assert abs(np.asarray(picture.convert("L")).mean() - level) < 5


def test_as_many_samples_come_out_as_go_in(tmp_path: Path) -> None:
    """loudnorm works in tenths of a second and starts late; neither may reach the file."""
    for seconds in (1.017, 3.333):
        sound = noise(tmp_path / "n.wav", seconds=seconds, volume=0.05)
        film = tmp_path / "film.mp4"
        ffmpeg("-i", clip(tmp_path / "v.mp4", frames=10), "-i", sound, "-c:v", "copy", film)
        for source in (sound, film):
            output = output_of("media_processing", "normalize_loudness", {"media": str(source)}, tmp_path / "out")
            with av.open(str(source)) as before, av.open(output["media"]["path"]) as after:
                lengths = [seconds_of(opened.streams.audio[0]) for opened in (before, after)]
                one_aac_frame = 1024 / 48000
                assert lengths[0] - 0.001 <= lengths[1] <= lengths[0] + (one_aac_frame if source == film else 0.001)
                assert not after.streams.audio[0].start_time


def set_loudness(sound: str | Path, output: Path, target: Target = PRESETS["short_video"]) -> tuple[dict, list[str]]:
    context = Context(output_dir=output.parent, output_name="x")
    found = normalised(lambda: pcm_blocks(sound, sample_rate=48000, channels=2), target, output, context)
    return found, [warning["code"] for warning in context.warnings]


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> str:
    text = (
        "A thirsty crow found a tall clay pitcher with only a little water at the bottom. She pushed her beak inside."
    )
    folder = tmp_path_factory.mktemp("speech")
    path = output_of("speech_synthesis", "synthesize", {"text": text * 2}, folder)["audio"]["path"]
    assert isinstance(path, str)
    return path


@pytest.mark.parametrize("length", [0.45, 0.7, 1, 1.5, 2, 2.5, 3, 3.7, 4.2, 6, 10])
def test_speech_of_any_length_meets_the_loudness(length: float, speech: str, tmp_path: Path) -> None:
    ffmpeg("-i", speech, "-t", str(length), "-af", "volume=0.3", tmp_path / "cut.wav")
    for name in ("out.wav", "out.m4a"):
        found, warnings = set_loudness(tmp_path / "cut.wav", tmp_path / name)
        assert not warnings
        assert found == measure(tmp_path / name)
        assert found["integrated_lufs"] == pytest.approx(-14, abs=0.5)
        assert found["true_peak_dbtp"] <= -1


def test_sound_shorter_than_a_block_is_left_alone_and_warned_about(speech: str, tmp_path: Path) -> None:
    for length in (0.05, 0.3, 0.39, 0.4):
        ffmpeg("-i", speech, "-t", str(length), tmp_path / "cut.wav")
        for name in ("out.wav", "out.m4a"):
            assert set_loudness(tmp_path / "cut.wav", tmp_path / name)[1] in ([], ["short_audio"])


@pytest.mark.parametrize("seconds", [2, 5])
@pytest.mark.parametrize(
    "target", [Target(-14, -9, 7), Target(-5, -1, 7), Target(-5, 0, 50), Target(-70, -9, 1), Target(-16, -1.5, 11)]
)
def test_every_target_that_the_schema_allows_is_aimed_at(target: Target, seconds: float, tmp_path: Path) -> None:
    found, warnings = set_loudness(noise(tmp_path / "n.wav", seconds=seconds), tmp_path / "out.m4a", target)
    peak = found["true_peak_dbtp"]
    assert peak is None or peak <= target.true_peak_dbtp or warnings == ["loudness_off_target"]


def float_wav(path: Path, samples: np.ndarray) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_f32le", rate=48000, layout="stereo")
        frame = av.AudioFrame.from_ndarray(samples.astype(np.float32).reshape(1, -1), format="flt", layout="stereo")
        frame.sample_rate = 48000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return path


@pytest.mark.parametrize("seconds", [1, 5])
def test_float_samples_that_are_no_numbers_or_far_too_loud_are_borne(seconds: int, tmp_path: Path) -> None:
    plain = np.random.default_rng(1).standard_normal((48000 * seconds, 2)) * 0.1
    broken, infinite = plain.copy(), plain * np.inf
    broken[1000:1100], broken[3000] = np.nan, -np.inf
    for samples, expected in ((plain * 30, -14), (plain * 3000, -14), (broken, -14), (infinite, None)):
        sound = float_wav(tmp_path / "f.wav", samples)
        facts_of(sound, loudness=True)
        found, warnings = set_loudness(sound, tmp_path / "out.wav")
        assert found["integrated_lufs"] == (None if expected is None else pytest.approx(expected, abs=0.5))
        assert warnings == ([] if expected else ["silent_audio"])


def first_sound(path: str | Path) -> float:
    """When the audio of a file, on the file's clock, gets loud."""
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            loud = np.abs(frame.to_ndarray()).reshape(2 if frame.format.is_planar else 1, -1).max(axis=0) > 0.05
            if loud.any():
                return float(frame.time or 0) + loud.argmax() / 48000
    raise AssertionError("it is silent")


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_a_film_whose_sound_starts_late_keeps_the_delay(ending: str, tmp_path: Path) -> None:
    film, sound = tmp_path / f"film.{ending}", tone(tmp_path / "a.wav", seconds=2, volume=5)
    picture = clip(tmp_path / "v.mp4", frames=90)
    ffmpeg("-i", picture, "-itsoffset", "0.479", "-i", sound, "-c:v", "copy", "-c:a", "aac", "-ac", "2", film)
    output = output_of("media_processing", "normalize_loudness", {"media": str(film)}, tmp_path / "out")
    assert first_sound(film) == pytest.approx(0.479, abs=0.03)
    assert first_sound(output["media"]["path"]) == pytest.approx(first_sound(film), abs=0.01)


def test_a_picture_that_mp4_cannot_hold_stays_as_it_is_in_matroska(tmp_path: Path) -> None:
    film = tmp_path / "film.webm"
    sound = noise(tmp_path / "n.wav", seconds=2)
    ffmpeg("-i", clip(tmp_path / "v.mp4", frames=60), "-i", sound, "-c:v", "libvpx", "-c:a", "libopus", film)
    output = output_of("media_processing", "normalize_loudness", {"media": str(film)}, tmp_path / "out")
    assert output["media"]["media_type"] == "video/x-matroska"
    with av.open(output["media"]["path"]) as container:
        assert container.streams.video[0].codec_context.name == "vp8"
    assert output["loudness"]["integrated_lufs"] == pytest.approx(-14, abs=0.5)


def song_with_cover(folder: Path) -> Path:
    from PIL import Image

    Image.new("RGB", (64, 48), "red").save(folder / "cover.png")
    sound = noise(folder / "n.wav", seconds=2)
    ffmpeg(
        "-i", sound, "-i", folder / "cover.png", "-map", "0", "-map", "1", "-c:v", "copy", "-disposition:v",
        "attached_pic", folder / "song.mp3",
    )  # fmt: skip
    return folder / "song.mp3"


def test_a_song_with_a_cover_is_sound(tmp_path: Path) -> None:
    song = str(song_with_cover(tmp_path))
    assert facts_of(song)["kind"] == "audio"
    output = output_of("media_processing", "normalize_loudness", {"media": song}, tmp_path / "out")
    assert output["media"]["media_type"] == "audio/mp4"
    with av.open(output["media"]["path"]) as container:
        assert not container.streams.video
    image = output_of("media_processing", "thumbnail", {"media": song}, tmp_path / "out")["image"]
    assert (image["width"], image["height"]) == (64, 48)


@pytest.mark.parametrize("longer_s", [0.0, 0.013, 0.1, 0.27])
def test_on_a_grid_a_longer_clip_moves_the_rest_by_whole_steps(longer_s: float, tmp_path: Path) -> None:
    def offsets(first_s: float) -> list[float]:
        clips = [str(tone(tmp_path / f"{number}.wav", seconds=s)) for number, s in enumerate((first_s, 0.5, 0.5))]
        body = {"clips": clips, "gaps_s": [0.2, 0.0], "grid_s": 0.1}
        return list(output_of("media_processing", "join_audio", body, tmp_path)["offsets_s"])

    steps = [(now - then) / 0.1 for then, now in zip(offsets(1.02), offsets(1.02 + longer_s), strict=True)]
    assert steps[0] == pytest.approx(0, abs=1e-3)
    assert steps[1] == pytest.approx(round(steps[1]), abs=1e-3)
    assert steps[2] == pytest.approx(steps[1], abs=1e-3)
    assert (round(steps[1]) >= 1) == (longer_s >= 0.1)


@pytest.mark.parametrize("ending", ["ts", "mp4"])
def test_thumbnails_of_a_film_whose_clock_does_not_start_at_zero(ending: str, tmp_path: Path) -> None:
    from PIL import Image

    film = tmp_path / f"film.{ending}"
    grey = "color=s=64x64:r=30:d=2,format=gray,geq=lum='16+4*N'"
    ffmpeg("-f", "lavfi", "-i", grey, "-pix_fmt", "yuv420p", "-output_ts_offset", "5", film)
    for time_s in (0, 1, 1.9):
        context = Context(output_dir=tmp_path, output_name="x")
        asked: dict[str, Any] = {"candidates": [], "width": None, "height": None, "title": None, "language": "en"}
        image = thumbnail({"media": str(film), "time_s": time_s, **asked}, context)["image"]
        with Image.open(image["path"]) as picture:
            expected = 16 + 4 * 30 * time_s
            assert np.asarray(picture.convert("L")).mean() == pytest.approx(expected, abs=8)


def test_errors_name_what_the_file_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.txt").write_text("hello")
    with pytest.raises(WorkerError, match="cannot be read as audio, video or picture"):
        facts_of(tmp_path / "x.txt")
    with pytest.raises(WorkerError, match="is a folder"):
        facts_of(tmp_path)
    with pytest.raises(WorkerError) as caught:
        facts_of(tmp_path / "nothing.mp4")
    assert caught.value.code == "input_not_found"
    sound = tone(tmp_path / "a.wav", seconds=0.1)

    def forbidden(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(media.source, "open", forbidden, raising=False)  # root, who runs tests, may read everything
    for judge in (facts_of, lambda path: list(pcm_blocks(path, sample_rate=48000, channels=1))):
        with pytest.raises(WorkerError, match="Permission denied") as caught:
            judge(sound)
        assert caught.value.code == "input_unreadable"


def test_an_ffmpeg_from_elsewhere_must_have_the_filters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "ffmpeg"
    other.write_text("#!/bin/sh\necho ' T. volume A->A '\n")
    other.chmod(0o755)
    binary.cache_clear()
    for path, said in ((other, "lacks the filters ass, loudnorm, alimiter"), (tmp_path / "none", "No FFmpeg")):
        monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(path))
        with pytest.raises(WorkerError, match=said) as caught:
            binary()
        assert caught.value.code == "engine_unavailable"
    monkeypatch.delenv("IMAGEIO_FFMPEG_EXE")
    assert "imageio_ffmpeg" in binary()
