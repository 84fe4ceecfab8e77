"""The film: frames counted one by one, fades where they belong, sound at its loudness, memory that does not grow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from support import clip, ffmpeg, noise, output_of, result_of, seconds, tone, worker

from media.compose import Shot, blended, faded, looped, mixed
from media.loudness import measure
from media.source import pcm_blocks, picture_frames

SIZE = {"width": 270, "height": 480, "fps": 30}


def compose(tmp_path: Path, shots: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    return output_of("media_processing", "compose", {"shots": shots, **SIZE, **fields}, tmp_path / "out")


def frames_of(path: str | Path) -> list[np.ndarray]:
    with av.open(str(path)) as film:
        return [frame.to_ndarray(format="gray") for frame in film.decode(video=0)]


def shots_of(tmp_path: Path, *lengths: int, fade: int) -> list[dict[str, Any]]:
    """Clips in alternating black and white, each with the frames that the fade into the next one needs."""
    shots = []
    for number, length in enumerate(lengths):
        extra = fade if number + 1 < len(lengths) else 0
        color = "white" if number % 2 else "black"
        shots.append(
            {"clip": str(clip(tmp_path / f"{number}.mp4", frames=length + extra, color=color)), "num_frames": length}
        )
    return shots


def test_the_frames_add_up_and_each_fade_lies_in_the_first_frames_of_the_later_shot(tmp_path: Path) -> None:
    film = compose(tmp_path, shots_of(tmp_path, 20, 15, 10, fade=4), transition_frames=4)["video"]
    levels = [float(frame.mean()) for frame in frames_of(film["path"])]
    assert len(levels) == film["num_frames"] == 45
    assert max(levels[:20]) < 3
    assert np.allclose(np.diff([levels[19], *levels[20:24], levels[24]]), 51, atol=4)  # 255 in five equal steps
    assert min(levels[25:35]) > 250
    assert max(levels[39:]) < 3


def test_a_cut_has_no_fade(tmp_path: Path) -> None:
    levels = [
        frame.mean()
        for frame in frames_of(
            compose(tmp_path, shots_of(tmp_path, 5, 5, fade=0), transition_frames=0)["video"]["path"]
        )
    ]
    assert max(levels[:5]) < 3
    assert min(levels[5:]) > 250


def test_a_fade_is_never_longer_than_the_shot_it_lies_in(tmp_path: Path) -> None:
    shots = [Shot(shot["clip"], shot["num_frames"]) for shot in shots_of(tmp_path, 10, 2, 10, fade=6)]
    assert sum(1 for _ in blended(shots, 6, (270, 480, 30))) == 22


def test_a_blend_is_exact_at_both_ends_and_half_way() -> None:
    black, white = np.zeros((3, 2), np.uint8), np.full((3, 2), 255, np.uint8)
    assert [mixed(black, white, share).max() for share in (0, 0.5, 1)] == [0, 128, 255]


def test_picture_and_sound_end_together_at_the_loudness_asked_for(tmp_path: Path) -> None:
    speech = noise(tmp_path / "speech.wav", seconds=2.5)
    output = compose(tmp_path, shots_of(tmp_path, 60, 30, fade=5), transition_frames=5, narration=str(speech))
    with av.open(output["video"]["path"]) as film:
        picture, sound = film.streams.video[0], film.streams.audio[0]
        lengths = [seconds(stream) for stream in (picture, sound)]
        assert abs(lengths[0] - lengths[1]) <= 0.033
        assert lengths[0] == pytest.approx(3.0)
        assert (sound.codec_context.name, sound.codec_context.sample_rate, sound.codec_context.layout.name) == (
            "aac",
            48000,
            "stereo",
        )
    found = measure(output["video"]["path"])
    assert found["integrated_lufs"] == pytest.approx(-14, abs=0.5)
    assert (found["true_peak_dbtp"] or 0) <= -1


def test_music_steps_back_while_somebody_speaks(tmp_path: Path) -> None:
    speech = noise(tmp_path / "speech.wav", seconds=2, volume=1)
    music = tone(tmp_path / "music.wav", seconds=0.7, volume=0.5)
    output = compose(tmp_path, shots_of(tmp_path, 150, fade=0), narration=str(speech), music=str(music), loudness=None)
    with av.open(output["video"]["path"]) as film:
        samples = np.concatenate([frame.to_ndarray()[0] for frame in film.decode(audio=0)])

    def at_440_hz(start: float, end: float) -> float:
        piece = samples[int(start * 48000) : int(end * 48000)]
        return abs(np.dot(piece, np.exp(-2j * np.pi * 440 * np.arange(len(piece)) / 48000))) / len(piece)

    assert at_440_hz(0.5, 1.5) < 0.6 * at_440_hz(3.5, 4.5)
    assert at_440_hz(3.5, 4.5) > 0.001  # it plays on, over and over


def level_at(samples: np.ndarray, hertz: float, start: float, end: float) -> float:
    """Amplitude of one tone in dB."""
    piece = samples[int(start * 48000) : int(end * 48000)]
    wave = np.exp(-2j * np.pi * hertz * np.arange(len(piece)) / 48000)
    return float(20 * np.log10(2 * abs(np.dot(piece * np.hanning(len(piece)) * 2, wave)) / len(piece) + 1e-9))


def sound_of(path: str | Path) -> np.ndarray:
    blocks = b"".join(pcm_blocks(path, sample_rate=48000, channels=2))
    return np.frombuffer(blocks, np.float32).reshape(-1, 2).mean(axis=1)


@pytest.mark.parametrize("volume", [0.02, 0.9])
def test_music_lies_well_below_the_narration_however_loud_its_file_is(tmp_path: Path, volume: float) -> None:
    """A voice at 1000 Hz from 1 to 4 s and from 7 s on, music at 300 Hz."""
    speech = tmp_path / "speech.wav"
    voice = "aevalsrc='0.5*sin(2*PI*1000*t)*(0.6+0.4*sin(20*t))*(between(t,1,4)+gte(t,7))':d=9:s=48000"
    ffmpeg("-f", "lavfi", "-i", voice, speech)
    ffmpeg("-f", "lavfi", "-i", f"aevalsrc='{volume}*sin(2*PI*300*t)':d=4:s=48000", tmp_path / "music.wav")
    shots = [{"clip": str(clip(tmp_path / "a.mp4", frames=50, fps=5)), "num_frames": 50}]
    output = compose(tmp_path, shots, narration=str(speech), music=str(tmp_path / "music.wav"), fps=5)
    film = sound_of(output["video"]["path"])
    speaking = level_at(film, 1000, 2, 3.5) - level_at(film, 300, 2, 3.5)
    assert 12 <= speaking <= 26
    assert level_at(film, 300, 5.5, 6.8) > level_at(film, 300, 2, 3.5) + 5  # it comes back where nobody speaks
    assert level_at(film, 300, 0, 0.2) < level_at(film, 300, 0.7, 0.95) - 10  # in over the first second
    assert level_at(film, 300, 9.8, 10) < level_at(film, 300, 9, 9.2) - 10  # and out over the last
    assert output["loudness"]["integrated_lufs"] == pytest.approx(-14, abs=0.5)


@pytest.mark.parametrize("length", [0.01, 0.9, 1.237])
def test_music_that_starts_again_does_not_click(tmp_path: Path, length: float) -> None:
    ffmpeg("-f", "lavfi", "-i", f"aevalsrc='0.5*cos(2*PI*40*t)':d={length}:s=48000", tmp_path / "music.wav")
    loop, blocks = looped(str(tmp_path / "music.wav")), b""
    while len(blocks) < 5 * 48000 * 8:
        blocks += next(loop)
    samples = np.frombuffer(blocks, np.float32).reshape(-1, 2)[:, 0]
    step = 0.5 * 2 * np.pi * 40 / 48000  # the tone's own largest
    assert np.abs(np.diff(samples)).max() < (4 * step if length > 0.1 else 1)
    assert np.abs(samples[24000:]).max() <= 0.75  # two loud ends at most 3 dB over one


def test_sound_without_an_end_is_no_loop(tmp_path: Path) -> None:
    ffmpeg("-f", "lavfi", "-i", "anullsrc=r=48000:d=1", "-frames:a", "0", tmp_path / "nothing.wav")
    assert list(looped(str(tmp_path / "nothing.wav"))) == []


def test_a_fade_begins_and_ends_in_silence_and_leaves_the_middle_alone() -> None:
    ones = np.ones((4800, 2), np.float32)
    blocks = [ones[:1000].tobytes(), ones[1000:3000].tobytes(), ones[3000:].tobytes()]
    sound = np.frombuffer(b"".join(faded(blocks, 4800, rise=500, fall=1500)), np.float32).reshape(-1, 2)[:, 0]
    assert max(sound[0], sound[-1]) < 1e-4
    assert (sound[500:3300] == 1).all()
    assert (np.diff(sound[:500]) > 0).all()
    assert (np.diff(sound[3300:]) < 0).all()


def test_the_last_picture_is_held_and_fades_with_the_sound(tmp_path: Path) -> None:
    speech = tone(tmp_path / "speech.wav", seconds=5, volume=0.5)  # longer than film and hold
    shots = [{"clip": str(clip(tmp_path / "w.mp4", frames=60, color="white")), "num_frames": 60}]
    output = compose(tmp_path, shots, narration=str(speech), end_hold_s=1.0)
    frames = frames_of(output["video"]["path"])
    levels = [float(frame.mean()) for frame in frames]
    assert len(frames) == output["video"]["num_frames"] == 90
    assert min(levels[:78]) > 250
    assert (np.diff(levels[77:]) < 0).all()
    assert levels[-1] < 3
    with av.open(output["video"]["path"]) as film:
        lengths = [seconds(film.streams.video[0]), seconds(film.streams.audio[0])]
    assert lengths[0] == pytest.approx(3.0, abs=1e-3)
    assert abs(lengths[0] - lengths[1]) <= 0.033
    found = [level_at(sound_of(output["video"]["path"]), 440, start, start + 0.2) for start in (1.5, 2.3, 2.6, 2.8)]
    assert (np.diff(found) < -2).all()
    assert found[-1] < found[0] - 15


def test_the_title_stands_over_the_beginning_and_captions_stay_below_it(tmp_path: Path) -> None:
    captions = output_of(
        "media_processing",
        "captions",
        {"words": [{"word": "水", "start_s": 0, "end_s": 3}], "language": "zh", "width": 270, "height": 480},
        tmp_path / "captions",
    )["files"]["ass"]["path"]
    shots = shots_of(tmp_path, 60, fade=0)
    output = compose(tmp_path, shots, title="O veliké {řepě}", title_s=1.5, subtitles=captions, loudness=None)
    frames = [frame > 128 for frame in frames_of(output["video"]["path"])]
    title, below = [frame[:240].sum() for frame in frames], [frame[240:].sum() for frame in frames]
    assert title[0] == 0  # it fades in
    assert min(title[12:28]) > 200
    assert max(title[46:]) == 0
    assert min(below[5:]) > 50
    rows = np.flatnonzero(frames[20][:240].any(axis=1))
    assert rows[0] > 0.1 * 480
    assert rows[-1] < 0.45 * 480
    with av.open(output["video"]["path"]) as film:
        assert film.metadata["title"] == "O veliké {řepě}"


def test_the_title_stands_off_what_the_first_shot_shows(tmp_path: Path) -> None:
    width, height = 480, 270
    drawn = {"x": 40, "y": 70, "w": 180, "h": 150}
    box = ":".join(f"{name}={value}" for name, value in drawn.items())
    film = tmp_path / "film.mp4"
    picture = f"color=c=0x303840:s={width}x{height}:r=30:d=2,drawbox={box}:c=0x905040:t=fill,drawbox={box}:c=black:t=6"
    ffmpeg("-f", "lavfi", "-i", picture, "-pix_fmt", "yuv420p", str(film))
    fields = {"width": width, "height": height, "title": "The Door and the Sea", "title_s": 1.5, "loudness": None}
    shown = frames_of(compose(tmp_path, [{"clip": str(film), "num_frames": 60}], **fields)["video"]["path"])[20]
    letters = shown > 200
    assert letters.sum() > 400
    assert not letters[70:220, 40:220].any()


@pytest.mark.parametrize(("language", "said"), [("cs", "ces"), ("pt-BR", "por"), ("und", "und")])
def test_sound_and_subtitles_say_their_language(tmp_path: Path, language: str, said: str) -> None:
    (tmp_path / "words.srt").write_text("1\n00:00:00,200 --> 00:00:00,900\nhello\n", encoding="utf-8")
    carried = {"subtitles": str(tmp_path / "words.srt"), "subtitles_mode": "carry", "loudness": None}
    output = compose(tmp_path, shots_of(tmp_path, 30, fade=0), language=language, **carried)
    with av.open(output["video"]["path"]) as film:
        assert [stream.metadata["language"] for stream in (*film.streams.audio, *film.streams.subtitles)] == [said] * 2


def test_without_any_sound_the_film_has_a_silent_track_and_says_so(tmp_path: Path) -> None:
    request = {"v": 1, "op": "compose", "input": {"shots": shots_of(tmp_path, 10, fade=0), **SIZE}}
    answer = result_of(worker("media_processing", request, "--output-dir", str(tmp_path)))
    assert [warning["code"] for warning in answer["warnings"]] == ["silent_audio"]
    assert answer["output"]["loudness"]["integrated_lufs"] is None


def test_a_clip_that_is_too_short_is_held_and_warned_about(tmp_path: Path) -> None:
    shots = [{"clip": str(clip(tmp_path / "a.mp4", frames=5)), "num_frames": 20}]
    request = {"v": 1, "op": "compose", "input": {"shots": shots, **SIZE, "loudness": None}}
    answer = result_of(worker("media_processing", request, "--output-dir", str(tmp_path)))
    assert "clip_short" in [warning["code"] for warning in answer["warnings"]]
    assert len(frames_of(answer["output"]["video"]["path"])) == 20


def test_clips_of_another_size_and_rate_are_cropped_and_timed(tmp_path: Path) -> None:
    wide = clip(tmp_path / "wide.mp4", frames=25, size="640x360", fps=25, color="red")
    output = compose(tmp_path, [{"clip": str(wide), "num_frames": 30}], loudness=None)
    frames = frames_of(output["video"]["path"])
    assert (len(frames), frames[0].shape) == (30, (480, 270))
    assert frames[15].std() < 2  # filled, no bars


def test_an_encoder_that_does_not_work_here_falls_back_and_says_so(tmp_path: Path) -> None:
    request = {
        "v": 1, "op": "compose",
        "input": {"shots": shots_of(tmp_path, 3, fade=0), **SIZE, "loudness": None, "encoder": "h264_videotoolbox"},
    }  # fmt: skip
    answer = result_of(worker("media_processing", request, "--output-dir", str(tmp_path), env={"PATH": ""}))
    used = answer["output"]["encoder"]
    fell_back = "encoder_fallback" in [warning["code"] for warning in answer["warnings"]]
    assert (used, fell_back) in {("libx264", True), ("h264_videotoolbox", False)}


def test_subtitles_can_be_carried_as_a_track(tmp_path: Path) -> None:
    words = tmp_path / "words.srt"
    words.write_text("1\n00:00:00,000 --> 00:00:00,500\nPříliš žluťoučký\n", encoding="utf-8")
    output = compose(
        tmp_path, shots_of(tmp_path, 30, fade=0), subtitles=str(words), subtitles_mode="carry", loudness=None
    )
    with av.open(output["video"]["path"]) as film:
        assert film.streams.subtitles[0].codec_context.name == "mov_text"
        assert "Příliš žluťoučký".encode() in b"".join(
            bytes(packet) for packet in film.demux(film.streams.subtitles[0])
        )


def test_memory_does_not_grow_with_the_number_of_shots(tmp_path: Path) -> None:
    """At a quarter of the full size, so that it takes seconds."""
    one = clip(tmp_path / "one.mp4", frames=27, size="540x960")
    peaks = []
    for count in (10, 80):
        shots = [{"clip": str(one), "num_frames": 15}] * count
        body = {
            "shots": shots,
            "width": 540,
            "height": 960,
            "transition_frames": 12,
            "loudness": None,
            "preset": "ultrafast",
        }
        answer = result_of(
            worker("media_processing", {"v": 1, "op": "compose", "input": body}, "--output-dir", str(tmp_path))
        )
        with av.open(answer["output"]["video"]["path"]) as film:
            assert sum(1 for packet in film.demux(video=0) if packet.size) == 15 * count
        peaks.append(answer["metrics"]["peak_rss_mb"])
    assert peaks[1] <= 1.2 * peaks[0]


def test_a_playlist_named_mp4_is_refused(tmp_path: Path) -> None:
    real = clip(tmp_path / "real.mp4", frames=3)
    for name, text in (
        ("a.mp4", f"ffconcat version 1.0\nfile '{real}'\n"),
        ("b.mp4", f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\n{real}\n"),
    ):
        (tmp_path / name).write_text(text)
        body = {"shots": [{"clip": str(tmp_path / name), "num_frames": 3}], **SIZE}
        done = worker(
            "media_processing", {"v": 1, "op": "compose", "input": body}, "--output-dir", str(tmp_path / "out")
        )
        assert (done.returncode, result_of(done)["error"]["code"]) == (66, "input_unreadable")


def test_a_truncated_clip_is_an_input_error(tmp_path: Path) -> None:
    whole = clip(tmp_path / "whole.mp4", frames=30)
    (tmp_path / "cut.mp4").write_bytes(whole.read_bytes()[:400])
    body = {"shots": [{"clip": str(tmp_path / "cut.mp4"), "num_frames": 3}], **SIZE}
    assert (
        worker("media_processing", {"v": 1, "op": "compose", "input": body}, "--output-dir", str(tmp_path)).returncode
        == 66
    )


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    with pytest.raises(Exception, match="non-zero"):
        ffmpeg("-f", "lavfi", "-i", "color=s=16x16:d=1", "-f", "matroska", "/dev/full")
    from media import ffmpeg as room
    from runtime.context import Context
    from runtime.errors import WorkerError

    stream = room.raw_video(width=64, height=64, fps=30).output("/dev/full", f="matroska", v="error")
    context = Context(output_dir=tmp_path, output_name="x")
    with pytest.raises(WorkerError) as caught:
        room.run(stream, blocks=[bytes(64 * 96)] * 300, context=context)
    assert caught.value.code == "output_failed"


def test_a_playlist_named_srt_is_refused(tmp_path: Path) -> None:
    real = clip(tmp_path / "real.mp4", frames=3)
    (tmp_path / "words.srt").write_text(f"ffconcat version 1.0\nfile '{real}'\n")
    body: dict[str, Any] = {"shots": [{"clip": str(real), "num_frames": 3}], **SIZE, "loudness": None}
    body |= {"subtitles": str(tmp_path / "words.srt"), "subtitles_mode": "carry"}
    done = worker("media_processing", {"v": 1, "op": "compose", "input": body}, "--output-dir", str(tmp_path / "out"))
    assert (done.returncode, result_of(done)["error"]["code"]) == (66, "input_unreadable")


@pytest.mark.parametrize("size", [(270, 480), (540, 960)])
def test_colours_come_out_alike_whatever_the_clip_says(tmp_path: Path, size: tuple[int, int]) -> None:
    found = {}
    for name, matrix, span in (("bt709", "bt709", "tv"), ("smpte170m", "smpte170m", "tv"), ("bt709", "bt709", "pc")):
        path = tmp_path / f"{name}{span}.mp4"
        picture = f"color=0xC04020:s=270x480:r=30,format=gbrp,scale=out_color_matrix={matrix}:out_range={span}"
        ffmpeg(
            "-f", "lavfi", "-i", f"{picture},format=yuv420p", "-frames:v", "2", "-colorspace", name,
            "-color_range", span, path,
        )  # fmt: skip
        frame = next(iter(picture_frames(path, width=size[0], height=size[1], fps=30, count=1)))
        found[path.name] = [frame[: size[1]].mean(), *frame[size[1] :].reshape(2, -1).mean(axis=1)]
    for levels in found.values():
        assert levels == pytest.approx([92.3, 101, 185.5], abs=1), found  # BT.709-6


@pytest.mark.parametrize("angle", [0, 90, 180, 270])
def test_what_a_phone_took_sideways_stands_upright(tmp_path: Path, angle: int) -> None:
    from media.thumbnail import thumbnail
    from runtime.context import Context

    corners = "nullsrc=s=96x64:r=30,format=gray,geq=lum='if(lt(X,48),if(lt(Y,32),40,90),if(lt(Y,32),150,220))'"
    ffmpeg("-f", "lavfi", "-i", corners, "-pix_fmt", "yuv420p", "-frames:v", "3", tmp_path / "flat.mp4")
    film, seen = tmp_path / "film.mp4", tmp_path / "seen.mp4"
    ffmpeg("-display_rotation", str(angle), "-i", tmp_path / "flat.mp4", "-c", "copy", film)
    ffmpeg("-i", film, seen)  # FFmpeg turns it by itself
    expected = frames_of(seen)[0] * (219 / 255) + 16
    height, width = expected.shape
    assert (width < height) == (angle in (90, 270))
    for scale in (1, 2):
        frame = next(iter(picture_frames(film, width=scale * width, height=scale * height, fps=30, count=1)))
        assert np.abs(frame[: scale * height : scale, ::scale].astype(int) - expected).mean() < 6
        assert np.abs(frame[scale * height :].astype(int) - 128).max() < 6
    request = {"media": str(film), "candidates": [], "time_s": 0, "width": None, "height": None, "title": None}
    image = thumbnail(request, Context(output_dir=tmp_path, output_name="x"))["image"]
    assert (image["width"], image["height"]) == (width, height)


def test_no_clip_is_called_short_for_a_fade_that_it_does_not_have(tmp_path: Path) -> None:
    shots = [(12, 10), (2, 2)]  # the fade of 6 frames is cut to the 2 of the later shot
    listed = [
        {"clip": str(clip(tmp_path / f"{number}.mp4", frames=frames)), "num_frames": own}
        for number, (frames, own) in enumerate(shots)
    ]
    body = {"shots": listed, **SIZE, "loudness": None, "transition_frames": 6}
    answer = result_of(
        worker("media_processing", {"v": 1, "op": "compose", "input": body}, "--output-dir", str(tmp_path))
    )
    assert answer["warnings"] == []


@pytest.mark.parametrize(
    "content", [b"", b"hello", bytes(range(256)) * 9, "1\n00:00:00,000 --> 00:00:01,000\nP\u0159\n".encode("cp1250")]
)
def test_what_is_no_subtitle_file_cannot_be_carried(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "words.srt").write_bytes(content)
    body: dict[str, Any] = {"shots": shots_of(tmp_path, 3, fade=0), **SIZE, "loudness": None}
    body |= {"subtitles": str(tmp_path / "words.srt"), "subtitles_mode": "carry"}
    done = worker("media_processing", {"v": 1, "op": "compose", "input": body}, "--output-dir", str(tmp_path))
    error = result_of(done)["error"]
    assert (error["code"], error["pointer"]) == ("input_unreadable", "/input/subtitles")


def test_the_cover_of_a_song_is_no_clip(tmp_path: Path) -> None:
    from PIL import Image

    from runtime.errors import WorkerError

    Image.new("RGB", (64, 48), "red").save(tmp_path / "cover.png")
    ffmpeg(
        "-i", tone(tmp_path / "a.wav", seconds=1), "-i", tmp_path / "cover.png", "-map", "0", "-map", "1",
        "-c:v", "copy", "-disposition:v", "attached_pic", tmp_path / "song.mp3",
    )  # fmt: skip
    with pytest.raises(WorkerError, match="carries no video"):
        next(iter(picture_frames(tmp_path / "song.mp3", width=64, height=48, fps=30, count=1)))
