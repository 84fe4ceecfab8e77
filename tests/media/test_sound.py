"""Joining, loudness, probing and thumbnails on real files."""

from __future__ import annotations

import wave
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import clip, ffmpeg, noise, output_of, result_of, tone, worker
from support import seconds as seconds_of

from media.loudness import measure


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
    from runtime.context import Context

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
    body = {"clips": clips, "gaps_s": [], "trim_db": -45, "pad_s": pad}
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
    assert facts["picture.mp4"]["video"] | {} == facts["picture.mp4"]["video"]
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
        for media in (sound, film):
            output = output_of("media_processing", "normalize_loudness", {"media": str(media)}, tmp_path / "out")
            with av.open(str(media)) as before, av.open(output["media"]["path"]) as after:
                lengths = [seconds_of(opened.streams.audio[0]) for opened in (before, after)]
                one_aac_frame = 1024 / 48000
                assert lengths[0] - 0.001 <= lengths[1] <= lengths[0] + (one_aac_frame if media == film else 0.001)
                assert not after.streams.audio[0].start_time
