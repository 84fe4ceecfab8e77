"""Files that were cut off say so where they can, and whole ones never do."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from support import FFMPEG, clip, ffmpeg

from media.source import open_media
from media.tracks import look, warn_if_truncated
from runtime.context import Context
from runtime.errors import WorkerError

SECONDS = 5
SOUND = ("-f", "lavfi", "-i", f"anoisesrc=r=16000:d={SECONDS}:c=pink:s=7")
TELLS: dict[str, tuple[str, ...]] = {
    "plain.wav": (),
    "float.wav": ("-c:a", "pcm_f32le"),
    "compressed.wav": ("-c:a", "adpcm_ima_wav"),
    "constant.mp3": (),
    "variable.mp3": ("-q:a", "4"),
    "opus.ogg": ("-c:a", "libopus"),
    "vorbis.ogg": ("-c:a", "libvorbis"),
    "sound.mkv": ("-c:a", "aac"),
    "sound.webm": ("-c:a", "libopus"),
    "sound.aiff": (),
}
SILENT: dict[str, tuple[str, ...]] = {"no_tag.mp3": ("-write_xing", "0"), "sound.caf": (), "sound.w64": ()}
"""These show nothing."""
BROKEN: dict[str, tuple[str, ...]] = {"index_first.m4a": ("-movflags", "+faststart"), "sound.aac": ()}
"""These end in a packet that does not decode."""


def made(folder: Path, name: str, options: tuple[str, ...], share: float) -> Path:
    """A share of a file of five seconds."""
    ffmpeg(*SOUND, *options, folder / name)
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: round(len(whole) * share)])
    return folder / name


def warned(path: Path) -> list[tuple[str, str]]:
    context = Context(output_dir=path.parent, output_name="x")
    warn_if_truncated(look(str(path)).heard(), context)
    return [(warning["code"], warning["message"]) for warning in context.warnings]


@pytest.mark.parametrize("name", TELLS)
def test_a_file_that_lost_its_end_is_warned_of(name: str, tmp_path: Path) -> None:
    assert warned(made(tmp_path, name, TELLS[name], 1)) == []
    for share in (0.5, 0.9):
        ((code, message),) = warned(made(tmp_path, name, TELLS[name], share))
        assert code == "audio_truncated"
        assert str(tmp_path / name) in message
        if not name.endswith(".ogg"):
            said = re.search(r"lasts ([\d.]+) s", message)
            assert said
            assert float(said[1]) == pytest.approx(SECONDS, abs=0.1)


def test_an_ogg_cut_within_its_last_page_is_warned_of(tmp_path: Path) -> None:
    assert [code for code, _ in warned(made(tmp_path, "opus.ogg", TELLS["opus.ogg"], 0.999))] == ["audio_truncated"]


@pytest.mark.parametrize("name", SILENT)
def test_a_file_that_shows_nothing_is_taken_as_it_is(name: str, tmp_path: Path) -> None:
    assert warned(made(tmp_path, name, SILENT[name], 0.5)) == []


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_ends_in_rubble_is_an_error_where_it_is_read(name: str, tmp_path: Path) -> None:
    from media.tracks import sound_blocks

    sound = look(str(made(tmp_path, name, BROKEN[name], 0.5))).heard()
    with pytest.raises(WorkerError) as caught:
        list(sound_blocks(sound, sample_rate=16000, layout="mono"))
    assert caught.value.code == "input_unreadable"


@pytest.mark.parametrize("kind", ["wav", "flac", "matroska", "ogg", "mp3"])
def test_what_was_streamed_through_a_pipe_is_whole(kind: str, tmp_path: Path) -> None:
    done = subprocess.run([FFMPEG, "-v", "error", *SOUND, "-f", kind, "-"], capture_output=True, check=True)
    path = tmp_path / f"piped.{kind}"
    path.write_bytes(done.stdout)
    assert warned(path) == []


def test_sound_shorter_than_its_picture_is_whole(tmp_path: Path) -> None:
    silent = clip(tmp_path / "silent.mp4", frames=300)
    for name in ("film.mkv", "film.mp4"):
        ffmpeg("-i", silent, *SOUND, "-c:v", "copy", "-c:a", "aac", tmp_path / name)
        assert warned(tmp_path / name) == []


def test_what_follows_the_sound_in_a_wav_may_be_missing(tmp_path: Path) -> None:
    path = made(tmp_path, "plain.wav", (), 1)
    whole = path.read_bytes()
    path.write_bytes(whole + b"LIST\x10\x00\x00\x00INFO")  # says 16 bytes, has 4
    assert warned(path) == []


def test_a_length_that_is_only_a_guess_is_no_promise(tmp_path: Path) -> None:
    path = tmp_path / "guessed.mp3"  # silence first: from its bit rate FFmpeg guesses that the file lasts far longer
    ffmpeg(*SOUND, "-af", "adelay=4000", "-q:a", "2", "-write_xing", "0", path)
    with open_media(path) as container:
        assert (container.duration or 0) > 2 * (4 + SECONDS) * 1e6
    assert warned(path) == []
