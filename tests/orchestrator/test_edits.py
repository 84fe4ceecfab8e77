"""What somebody changes by hand in a run folder is theirs: used, never overwritten, unless it cannot be read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support import SMALL, accepted, storygen

from orchestrator.edits import unlike

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
