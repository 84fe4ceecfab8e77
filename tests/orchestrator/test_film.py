"""The finished film, by a second opinion: PyAV in the test, never the quality check's own numbers."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import av
import pytest
from support import FFMPEG, ROOT, SMALL, STORY, clip, ffmpeg, seconds, storygen

from media.loudness import measure
from media.probe import facts
from orchestrator import quality
from orchestrator.profile import load


@pytest.fixture(scope="module")
def film(story: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film at full size."""
    folder = tmp_path_factory.mktemp("full")
    done = storygen("run", story, "--out", folder)
    assert done.returncode == 0, done.stderr
    return folder / "final.mp4"


def test_the_finished_file_is_what_was_promised(film: Path) -> None:
    with av.open(str(film)) as opened:
        picture, sound = opened.streams.video[0], opened.streams.audio[0]
        codec = picture.codec_context
        assert (picture.width, picture.height, float(picture.average_rate or 0)) == (1080, 1920, 30)
        assert (codec.name, codec.profile, codec.pix_fmt) == ("h264", "High", "yuv420p")
        assert (codec.colorspace, codec.color_primaries, codec.color_trc, codec.color_range) == (
            1,
            1,
            1,
            1,
        )  # BT.709, limited
        assert (sound.codec_context.name, sound.codec_context.sample_rate, sound.codec_context.layout.name) == (
            "aac",
            48000,
            "stereo",
        )
        lengths = [seconds(stream) for stream in (picture, sound)]
        assert abs(lengths[0] - lengths[1]) <= 0.033
        frames = [frame.pts for frame in opened.decode(picture)]
        assert len(set(frames)) == len(frames) == round(lengths[0] * 30)
    head = film.read_bytes()[:4096]
    assert b"moov" in head


def test_its_loudness_is_right_by_ffmpegs_own_report(film: Path) -> None:
    command = [FFMPEG, "-i", str(film), "-af", "ebur128=peak=true", "-f", "null", "-"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    summary = said[said.rindex("Summary:") :]
    integrated, peak = (
        re.search(pattern, summary) for pattern in (r"I:\s+(-?[\d.]+) LUFS", r"Peak:\s+(-?[\d.]+) dBFS")
    )
    assert integrated is not None
    assert peak is not None
    assert float(integrated[1]) == pytest.approx(-14, abs=0.5)
    assert float(peak[1]) <= -1


def test_the_check_passes_it_and_the_films_data_lie_beside_it(film: Path) -> None:
    done = storygen("check", film)
    assert done.returncode == 0, done.stderr
    assert {"final.mp4", "thumbnail.jpg", "captions.srt", "captions.vtt", "manifest.json"} <= {
        path.name for path in film.parent.iterdir()
    }


def test_the_manifest_says_what_was_not_done_and_why(made: Path) -> None:
    manifest = json.loads((made / "manifest.json").read_text(encoding="utf-8"))
    states = {name: stage["state"] for name, stage in manifest["stages"].items()}
    assert [name for name, state in states.items() if state == "skipped"] == ["idea", "revision", "guidance"]
    assert all(manifest["stages"][name]["why"] for name in ("idea", "revision", "guidance"))
    assert manifest["vision_model"] is None
    own, hold = sum(shot["num_frames"] for shot in manifest["shots"]), 30
    assert own + hold == manifest["facts"]["video"]["num_frames"]
    told = [word for shot in manifest["shots"] for word in shot["text"].split()]
    assert told == [word for paragraph in STORY.split("\n\n")[1:] for word in paragraph.split()]


def test_picture_and_words_run_together(made: Path) -> None:
    """Each caption's words sound while their shot is on the screen."""
    manifest = json.loads((made / "manifest.json").read_text(encoding="utf-8"))
    words = json.loads((made / "voice" / "words" / "words.json").read_text(encoding="utf-8"))["words"]
    position = 0
    for shot in manifest["shots"]:
        for word in shot["text"].split():
            spoken = words[position]
            assert spoken["word"] == word
            assert shot["start_s"] - 0.02 <= (spoken["start_s"] + spoken["end_s"]) / 2 <= shot["end_s"] + 0.02
            position += 1
    assert position == len(words)


# The quality check: six spoilt films, one a rule.


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of film that keeps every promise at 270×480."""
    folder = tmp_path_factory.mktemp("good")
    sound = folder / "n.wav"
    ffmpeg("-f", "lavfi", "-i", "anoisesrc=r=48000:d=2:c=pink:s=7:a=0.3", "-ac", "2", sound)
    gain = -14 - (measure(sound)["integrated_lufs"] or 0)
    path = folder / "good.mp4"
    ffmpeg("-i", clip(folder / "v.mp4", frames=60), "-i", sound, *CODING, "-af", f"volume={gain}dB", "-t", "2", path)
    return path


COLOR = ("-vf", "setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv")
CODING = (
    *COLOR,
    "-c:v",
    "libx264",
    "-profile:v",
    "high",
    "-pix_fmt",
    "yuv420p",
    "-c:a",
    "aac",
    "-b:a",
    "192k",
    "-movflags",
    "+faststart",
)
FILM = {"width": 270, "height": 480, "fps": 30}
SPOILT: dict[str, tuple[tuple[str, ...], str]] = {
    "size": (("-vf", f"scale=480:270,{COLOR[1]}"), "480×270"),
    "rate": (("-vf", f"fps=25,{COLOR[1]}"), "25.0 frames a second"),
    "pixels": (("-pix_fmt", "yuv444p", "-profile:v", "high444"), "pixel_format is yuv444p"),
    "colour": (
        ("-vf", "setparams=color_primaries=smpte170m:color_trc=smpte170m:colorspace=smpte170m:range=tv"),
        "color_space is smpte170m",
    ),
    "channels": (("-ac", "1"), "channels is 1"),
    "length": (("-af", "atrim=end=1.9"), "must end within 33 ms"),
    "loudness": (("-af", "volume=-3dB"), "LUFS; it must be"),
    "peak": (
        (
            "-af",
            "volume=-14dB,asplit[a][b];[b]atrim=end=0.001,volume=60dB[c];[a][c]amix=normalize=0:duration=first,volume=14dB",
        ),
        "true peak",
    ),
    "index": (("-movflags", "0"), "index lies behind the media"),
}


def test_the_check_passes_a_good_film(good: Path) -> None:
    done = storygen("check", good, "--set", "film.width=270", "--set", "film.height=480")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("fault", SPOILT)
def test_the_check_names_the_one_thing_that_is_spoilt(fault: str, good: Path, tmp_path: Path) -> None:
    changes, complaint = SPOILT[fault]
    spoilt = tmp_path / "spoilt.mp4"
    ffmpeg("-i", good, *CODING, *changes, spoilt)
    done = storygen("check", spoilt, "--set", "film.width=270", "--set", "film.height=480")
    assert done.returncode == 73
    faults = [line for line in done.stderr.splitlines() if line.startswith("  ") and "--set" not in line]
    assert any(complaint in line for line in faults), done.stderr
    assert all(complaint in line for line in faults) or fault in {"pixels", "colour", "peak"}, done.stderr


def test_a_film_below_standard_fails_the_run_and_leaves_no_final_file(story: Path, tmp_path: Path) -> None:
    done = storygen(
        "run",
        story,
        "--out",
        tmp_path,
        "--set",
        "film.width=270",
        "--set",
        "film.height=480",
        "--set",
        "post.input.width=272",
    )
    assert done.returncode == 73
    assert "The picture is 272×480; it must be 270×480." in done.stderr
    assert "Take away settings under post.input" in done.stderr
    assert not (tmp_path / "final.mp4").exists()
    assert json.loads((tmp_path / "manifest.json").read_text())["state"] == "failed"


def test_every_rule_of_the_check_has_a_spoilt_film(good: Path, tmp_path: Path) -> None:
    profile = load("draft", ["film.width=270", "film.height=480"])
    wanted = quality.promise(profile)
    silent = set(quality.RULES)
    for number, (changes, _) in enumerate(SPOILT.values()):
        ffmpeg("-i", good, *CODING, *changes, spoilt := tmp_path / f"{number}.mp4")
        found = facts(spoilt, loudness=True)
        silent -= {rule for rule in silent if rule(found, wanted)}
    assert {rule.__name__ for rule in silent} == set()
    assert quality.faults(facts(good, loudness=True), profile) == []


def test_the_check_holds_the_loudness_that_was_chosen(good: Path) -> None:
    found = facts(good, loudness=True)
    found["loudness"]["true_peak_dbtp"] = -5.0

    def complaints(preset: str, lufs: float | None, peak: float = -5.0) -> list[str]:
        measured = {"integrated_lufs": lufs, "true_peak_dbtp": peak}
        chosen = load("draft", ["film.width=270", "film.height=480", f"post.input.loudness={preset}"])
        return quality.faults({**found, "loudness": measured}, chosen)

    for preset, lufs, peak in (("short_video", -14, -1), ("podcast", -16, -1.5), ("broadcast", -23, -2)):
        assert complaints(preset, lufs + 0.4, peak) == []
        assert len(complaints(preset, lufs + 0.6, peak + 0.1)) == 2
        assert complaints(preset, None) == ["The sound is silent."]
        assert complaints("null", lufs, 0) == []


def test_the_check_needs_a_length_and_a_film(good: Path, tmp_path: Path) -> None:
    profile = load("draft", ["film.width=270", "film.height=480"])
    found = facts(good, loudness=True)
    found["video"]["duration_s"] = None
    assert quality.faults(found, profile) == []
    assert quality.faults({**found, "duration_s": None}, profile) == ["The file does not say how long it is."]
    found = facts(good, loudness=True)
    assert quality.faults(found, profile, 2.0) == []
    assert quality.faults(found, profile, 2.0333) == [
        "The picture lasts 2.000 s; its shots and the end hold make 2.033 s."
    ]
    ffmpeg("-i", good, "-frames:v", "1", picture := tmp_path / "x.png")
    assert "no film but a picture" in quality.faults(facts(picture, loudness=True), profile)[0]
    ffmpeg("-i", good, "-c", "copy", matroska := tmp_path / "x.mkv")
    assert any("must be MP4" in fault for fault in quality.faults(facts(matroska, loudness=True), profile))


def test_a_film_of_another_size_is_told_how_to_say_so(good: Path) -> None:
    done = storygen("check", good)
    assert done.returncode == 73
    assert "--set film.width=" in done.stderr
    assert "--set film.width=" in storygen("check", "--help").stdout
    folder = storygen("check", good.parent)
    assert (folder.returncode, "is a folder" in folder.stderr) == (66, True)


def test_the_thumbnail_is_a_keyframe_under_the_title_without_captions(made: Path) -> None:
    import numpy as np
    from PIL import Image

    manifest = json.loads((made / "manifest.json").read_text(encoding="utf-8"))
    chosen = json.loads((made / "post" / "thumbnail" / "result.json").read_text(encoding="utf-8"))["output"]
    keyframe = manifest["shots"][chosen["source_index"]]["keyframe"]
    with Image.open(made / "thumbnail.jpg") as opened, Image.open(made / keyframe) as drawn:
        assert (opened.format, opened.size) == ("JPEG", (270, 480))
        wanted = np.asarray(drawn.convert("RGB").resize(opened.size)).astype(int)
        off = np.abs(np.asarray(opened).astype(int) - wanted).mean(axis=2)
    assert off[280:].mean() < 4  # where captions would be
    assert (off[40:280] > 30).mean() > 0.05  # the title


def test_a_thumbnail_shows_what_the_title_names() -> None:
    from orchestrator.stages.post import telling

    texts = ["It had not rained.", "A crow sat there.", "The frog laughed.", "The crow saw a pitcher!", "Crowned."]
    assert telling(texts, "The Crow and the Pitcher") == [3]
    assert telling(texts, "Crows") == [1, 3, 4]
    assert telling(texts, "井底之蛙") == telling(texts, "An Ox") == [0, 1, 2, 3, 4]
    assert telling(["Děda zasadil řepu.", "Vyrostla veliká.", "Kočka."], "O veliké řepě") == [0, 1]


def test_the_first_shot_bears_the_title_and_the_last_picture_is_held(made: Path) -> None:
    manifest = json.loads((made / "manifest.json").read_text(encoding="utf-8"))
    first, shots = manifest["shots"][0], sum(shot["num_frames"] for shot in manifest["shots"])
    with av.open(str(made / "final.mp4")) as film, av.open(str(made / first["clip"])) as clip:
        frames = [frame.to_ndarray(format="gray").astype(int) for frame in film.decode(video=0)]
        plain = [frame.to_ndarray(format="gray").astype(int) for frame in clip.decode(video=0)]
    titled = [abs(a[40:240] - b[40:240]).mean() for a, b in zip(frames[: first["num_frames"]], plain, strict=False)]
    assert min(titled[15:50]) > 5 > max(titled[0], titled[-1])
    assert abs(frames[shots + 14] - frames[shots + 1]).mean() < 2  # held
    assert frames[-1].mean() < 20


def profile_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> dict[str, Any]:
    """The profile that ``storygen run`` makes a film by, without making it."""
    from click.testing import CliRunner

    from orchestrator import pipeline
    from orchestrator.cli import cli

    seen: dict[str, Any] = {}
    monkeypatch.setattr(pipeline, "make_film", lambda story, profile, folder, report, order: seen.update(profile))
    (tmp_path / "s.md").write_text(STORY, encoding="utf-8")
    done = CliRunner().invoke(cli, ["run", str(tmp_path / "s.md"), "--json", *map(str, arguments)])
    assert done.exit_code == 0, done.output
    return seen


@pytest.mark.parametrize(
    ("shape", "size"), [("9:16", (1080, 1920)), ("16:9", (1920, 1080)), ("1:1", (1080, 1080)), (None, (1080, 1920))]
)
def test_a_format_sets_the_size_and_an_explicit_setting_wins(
    shape: str | None, size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = ["--format", shape] if shape else []
    film = profile_of(tmp_path, monkeypatch, *chosen)["film"]
    assert (film["width"], film["height"]) == size
    film = profile_of(tmp_path, monkeypatch, "--set", "film.width=540", *chosen)["film"]
    assert (film["width"], film["height"]) == (540, size[1])


def test_captions_and_music_become_settings_of_the_last_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def settings(*arguments: str | Path) -> dict[str, Any]:
        given: dict[str, Any] = profile_of(tmp_path, monkeypatch, *arguments)["post"]["input"]
        return given

    assert settings() == {}
    assert settings("--captions", "burn") == {"subtitles_mode": "burn"}
    assert settings("--captions", "soft") == {"subtitles_mode": "carry"}
    assert settings("--captions", "off") == {"subtitles": None}
    ffmpeg("-f", "lavfi", "-i", "sine=d=1", tmp_path / "song ž.wav")
    monkeypatch.chdir(tmp_path)
    assert settings("--music", "song ž.wav") == {"music": str(tmp_path / "song ž.wav")}


def test_what_is_no_music_is_said_before_anything_is_made(story: Path, tmp_path: Path) -> None:
    silent = clip(tmp_path / "silent.mp4", frames=3)
    (tmp_path / "text.mp3").write_text("la la la")
    cases = {
        silent: "carries no sound",
        tmp_path / "text.mp3": "is no music",
        tmp_path / "none.mp3": "There is no file",
    }
    for file, complaint in cases.items():
        done = storygen("run", story, "--out", tmp_path / "run", "--music", file)
        assert done.returncode == 66, done.stderr
        assert f"{file}" in done.stderr
        assert complaint in done.stderr
    assert not (tmp_path / "run").exists()


def test_soft_captions_are_a_track_and_lie_beside_the_film(story: Path, tmp_path: Path) -> None:
    ffmpeg("-f", "lavfi", "-i", "sine=frequency=330:d=2", music := tmp_path / "song.ogg")
    options = ("--captions", "soft", "--format", "1:1", "--music", music)
    done = storygen(
        "run", story, "--out", tmp_path / "run", *options, "--set", "film.width=270", "--set", "film.height=270"
    )
    assert done.returncode == 0, done.stderr
    beside = (tmp_path / "run" / "captions.srt").read_text(encoding="utf-8")
    assert (tmp_path / "run" / "captions.vtt").exists()
    with av.open(str(tmp_path / "run" / "final.mp4")) as film:
        assert (film.streams.video[0].width, film.streams.video[0].height) == (270, 270)
        track = film.streams.subtitles[0]
        assert track.codec_context.name == "mov_text"
        shown = [bytes(packet)[2:].decode() for packet in film.demux(track) if packet.size > 2]
    cues = [block.split("\n", 2)[2].strip() for block in beside.strip().split("\n\n")]
    assert [text.strip() for text in shown] == cues


def test_a_run_without_the_captions_it_needs_says_which(story: Path, tmp_path: Path) -> None:
    done = storygen("run", story, "--out", tmp_path, *SMALL, "--set", "subtitles.input.formats=['vtt']")
    assert done.returncode == 65, done.stderr
    assert "leaves out ass" in done.stderr


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.md")), ids=lambda path: path.stem)
def test_an_example_story_is_60_to_90_s_long(path: Path, tmp_path: Path) -> None:
    """Its voice and shots only; the demo makes the whole film."""
    from orchestrator.making import Making
    from orchestrator.pool import Pool
    from orchestrator.progress import PlainReport
    from orchestrator.run import Run
    from orchestrator.stages import STAGES
    from orchestrator.story_file import read

    with Pool() as pool, Run(tmp_path, pool, PlainReport()) as run:
        making = Making(run, load("draft"), path, read(path))
        for name, make in STAGES[:7]:
            run.report.stage_started(name, None)
            make(making)
    assert 60 <= making.duration_s <= 90
    assert 8 <= len(making.shots) <= 25
    assert all(2 <= shot["num_frames"] / 30 <= 10 for shot in making.shots)
