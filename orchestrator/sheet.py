"""A finished run at a glance: the middle frame of every shot in one picture."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from orchestrator.errors import StorygenError
from orchestrator.item import place
from orchestrator.pool import Pool


def contact_sheet(folder: Path, target: Path, columns: int, cell_width: int) -> Path:
    """Write the sheet of the film in ``folder`` to ``target``, a JPEG; returns it.

    Raises StorygenError ``input_not_found`` where there is no finished film.
    """
    film = folder / "final.mp4"
    try:
        shots = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["shots"]
        times = [round((shot["start_s"] + shot["end_s"]) / 2, 3) for shot in shots]
    except (OSError, ValueError, KeyError, TypeError):
        times = []
    if not times or not film.is_file():
        raise StorygenError(
            "input_not_found",
            f"{folder} holds no finished film.",
            "Give the folder of a finished run, such as runs/crow.",
        )
    body = {"media": str(film.resolve()), "times_s": times, "columns": columns, "cell_width": cell_width}
    with Pool() as pool, tempfile.TemporaryDirectory() as name:
        request = {"v": 1, "op": "contact_sheet", "engine": "ffmpeg", "input": body, "output_dir": name}
        picture = pool.request("media_processing", request)["output"]["image"]
        place(Path(picture["path"]), target, link=False)
    return target
