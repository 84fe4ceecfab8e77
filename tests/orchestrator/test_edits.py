"""What somebody changes by hand in a run folder is theirs: used, never overwritten, unless it cannot be read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support import SMALL, accepted, storygen

from orchestrator.edits import unlike, unreached

PANEL = Path("keyframes", "shot-001", "shot-001_001.png")


def rerun(folder: Path, story: Path, *more: str) -> str:
    done = storygen("run", story, "--out", folder, *SMALL, *more)
    assert done.returncode == 0, done.stderr
    return str(done.stderr)


def paint(picture: Path, color: tuple[int, int, int] = (200, 30, 30)) -> bytes:
    Image.new("RGB", (400, 500), color).save(picture)
    return picture.read_bytes()


def first_colors(film: Path) -> list[int]:
    import av

    with av.open(str(film)) as container:
        frame = next(container.decode(video=0)).to_image()
    return list(frame.getpixel((20, 20)))


def test_an_edited_panel_is_used_and_survives(run_folder: Path, story: Path) -> None:
    mine = paint(run_folder / PANEL)
    said = rerun(run_folder, story)
    assert "changed by hand and is used as it is" in said
    assert accepted(run_folder) == [("video", "shot-001"), ("post", "film"), ("post", "check"), ("post", "thumbnail")]
    assert all(abs(a - b) < 12 for a, b in zip(first_colors(run_folder / "final.mp4"), (200, 30, 30), strict=True))
    result = json.loads((run_folder / PANEL).with_name("result.json").read_text(encoding="utf-8"))
    assert (result["edited"], result["output"]["images"][0]["width"]) == (True, 400)
    assert "nothing was done" in rerun(run_folder, story)
    assert (run_folder / PANEL).read_bytes() == mine


def test_an_edited_panel_stays_when_its_sentence_changes_and_force_alone_redoes_it(
    run_folder: Path, story: Path, tmp_path: Path
) -> None:
    mine = paint(run_folder / PANEL)
    changed = tmp_path / "changed.md"
    changed.write_text(story.read_text(encoding="utf-8").replace("lamp beside", "candle beside"), encoding="utf-8")
    assert "Its edited version is kept" in rerun(run_folder, changed) + rerun(run_folder, changed)
    assert (run_folder / PANEL).read_bytes() == mine
    said = rerun(run_folder, changed, "--force", "keyframes/shot-001")
    assert (run_folder / PANEL).read_bytes() != mine
    kept = run_folder / "edited" / PANEL
    assert kept.read_bytes() == mine
    assert str(kept) in said


def test_an_edited_script_line_is_spoken_and_shown(run_folder: Path, story: Path) -> None:
    script = run_folder / "script" / "script" / "script.json"
    document: dict[str, Any] = json.loads(script.read_text(encoding="utf-8"))
    document["lines"][2]["text"] = "He lit it a third time."
    script.write_text(json.dumps(document), encoding="utf-8")
    rerun(run_folder, story)
    assert [item for stage, item in accepted(run_folder) if stage == "voice"] == ["line-003", "joined", "narration"]
    shown = re.sub(r"\s+", " ", (run_folder / "captions.srt").read_text(encoding="utf-8"))
    assert "a third time." in shown
    assert "nothing was done" in rerun(run_folder, story)


def test_an_edited_caption_file_is_burnt_in_and_nothing_else_changes(run_folder: Path, story: Path) -> None:
    captions = next((run_folder / "subtitles" / "captions").glob("*.ass"))
    before = (run_folder / "final.mp4").read_bytes()
    mine = captions.read_text(encoding="utf-8").replace("lamp", "LAMP")
    captions.write_text(mine, encoding="utf-8")
    rerun(run_folder, story)
    assert accepted(run_folder) == [("post", "film"), ("post", "check")]
    assert (run_folder / "final.mp4").read_bytes() != before
    assert captions.read_text(encoding="utf-8") == mine


def test_an_edit_of_the_track_is_told_what_it_does_not_reach(run_folder: Path, story: Path) -> None:
    rerun(run_folder, story, "--captions", "soft")
    captions = next((run_folder / "subtitles" / "captions").glob("*.ass"))
    captions.write_text(captions.read_text(encoding="utf-8").replace("lamp", "LAMP"), encoding="utf-8")
    for _ in range(2):  # as long as it is so
        said = rerun(run_folder, story, "--captions", "soft")
        assert "captions_003.ass was changed by hand, but that does not reach captions.srt and the film's track" in said
        assert "make the same change in captions_001.srt and captions_002.vtt" in said


@pytest.mark.parametrize(
    ("edited", "post", "left"),
    [
        ("", {}, None),
        ("ass", {}, "captions.srt or captions.vtt: make the same change in a.srt and a.vtt"),
        ("srt", {}, "captions.vtt or the captions in the picture: make the same change in a.vtt and a.ass"),
        ("srt", {"subtitles_mode": "carry"}, "captions.vtt: make the same change in a.vtt"),
        ("srt vtt", {"subtitles_mode": "carry"}, None),
        ("srt vtt ass", {}, None),
        ("srt vtt", {"subtitles": None}, None),
        ("ass", {"subtitles": None}, "captions.srt or captions.vtt: make the same change in a.srt and a.vtt"),
    ],
)
def test_what_an_edit_of_captions_does_not_reach(edited: str, post: dict[str, Any], left: str | None) -> None:
    files = {kind: {"path": f"/x/a.{kind}", "edited": kind in edited.split()} for kind in ("srt", "vtt", "ass")}
    said = unreached(files, post)
    assert said is None if left is None else left in str(said)


def test_a_document_saved_with_a_byte_order_mark_is_taken(run_folder: Path, story: Path) -> None:
    shots = run_folder / "scenes" / "shots" / "shots.json"
    document = json.loads(shots.read_text(encoding="utf-8"))
    document["shots"][0]["prompt"] = "a white horse"
    shots.write_text(json.dumps(document), encoding="utf-8-sig")
    assert "shots.json was changed by hand and is used as it is" in rerun(run_folder, story, "--to", "keyframes")
    assert accepted(run_folder) == [("keyframes", "scenes"), ("keyframes", "shot-001")]


def test_edited_shots_outlive_a_script_of_another_length(run_folder: Path, story: Path, tmp_path: Path) -> None:
    shots = run_folder / "scenes" / "shots" / "shots.json"
    document: dict[str, Any] = json.loads(shots.read_text(encoding="utf-8"))
    document["shots"][0]["prompt"] = "a white horse"
    document["shots"][-1]["motion"] = {"kind": "orbit", "strength": 0.1}
    shots.write_text(json.dumps(document), encoding="utf-8")
    mine = shots.read_bytes()
    text = story.read_text(encoding="utf-8")
    longer, changed = tmp_path / "longer.md", "In the morning, much later than on other days, both lamps were cold,"
    longer.write_text(text.replace("In the morning both lamps were cold,", changed), encoding="utf-8")
    said = rerun(run_folder, longer, "--to", "scenes")
    assert (run_folder / "edited" / "scenes" / "shots" / "shots.json").read_bytes() == mine
    now = json.loads(shots.read_text(encoding="utf-8"))["shots"]
    assert (now[0]["prompt"], now[0]["motion"]) == ("a white horse", document["shots"][0]["motion"])
    assert "much later" in now[-1]["prompt"]
    assert f"for their words have changed: your shots {document['shots'][-1]['number']}" in said
    rows = json.loads(storygen("run", longer, "--out", run_folder, *SMALL, "--dry-run", "--json").stdout)
    assert {row["state"] for row in rows if row["stage"] == "scenes"} == {"done"}
    longer.write_text(text.replace("In the morning", "In the very late and cold morning"), encoding="utf-8")
    rerun(run_folder, longer, "--to", "scenes")  # still known as edited
    assert json.loads(shots.read_text(encoding="utf-8"))["shots"][0]["prompt"] == "a white horse"


@pytest.mark.parametrize("stage", ["keyframes", "video", "voice", "scenes"])
def test_what_does_not_read_is_made_again(stage: str, run_folder: Path, story: Path) -> None:
    artifact = next(path for path in sorted((run_folder / stage).glob("*/*")) if path.name != "result.json")
    item = artifact.parent
    whole = artifact.read_bytes()
    artifact.write_bytes(whole[: len(whole) // 2])
    said = rerun(run_folder, story)
    assert "damaged" in said
    assert artifact.read_bytes() == whole
    assert (run_folder / "edited" / stage / item.name / artifact.name).read_bytes() == whole[: len(whole) // 2]
    assert not (run_folder / "previous.mp4").exists()


@pytest.mark.parametrize(
    ("value", "odd"),
    [
        ({"lines": [{"text": "a", "paragraph": 1}, {"text": "b", "paragraph": 1, "more": 0}]}, None),
        ({"lines": []}, "/lines is empty"),
        ({"lines": [{"text": "a"}]}, "/lines/0/paragraph is missing"),
        ({"lines": [{"text": "a", "paragraph": "1"}]}, "/lines/0/paragraph must be a number"),
        ({"lines": [{"text": "a", "paragraph": True}]}, "/lines/0/paragraph must be a number"),
        ({"lines": {}}, "/lines must be a list"),
        ([], "/ must be an object"),
    ],
)
def test_an_edited_document_must_have_its_shape(value: Any, odd: str | None) -> None:
    assert unlike(value, {"lines": [{"text": "x", "paragraph": 0}]}) == odd
