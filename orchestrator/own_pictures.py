"""The user's own pictures: what is said where there are more or fewer of them than shots."""

from __future__ import annotations

import re
from pathlib import Path

from orchestrator.references import SUFFIXES, natural
from orchestrator.wording import counted

SHOT_NUMBER = re.compile(r"shot[-_ ]?0*([1-9][0-9]*)", re.IGNORECASE)
SHOWN = 3
"""Names that are said of those left over."""


def notice(folder: Path, shots: int) -> str | None:
    """How the pictures of a folder were shared out among so many shots; None where each shot has its own.

    They are taken in natural order of their names, which may bear the numbers of other shots: that is said too.
    """
    if not folder.is_dir():
        return None
    files = (file for file in folder.iterdir() if not file.name.startswith(".") and file.is_file())
    found = sorted((file for file in files if file.suffix.lower() in SUFFIXES), key=natural)
    if not found:  # the engine says so, or knows them by their content
        return None
    said = []
    if left := [file.name for file in found[shots:]]:
        more = f" and {len(left) - SHOWN} more" if len(left) > SHOWN else ""
        said.append(f"{counted(len(left), 'picture')} left over: {', '.join(left[:SHOWN])}{more}.")
    elif len(found) < shots:
        said.append(f"There are {counted(shots, 'shot')}: the pictures come again in turn.")
    for place, file in enumerate(found[:shots], 1):
        number = SHOT_NUMBER.fullmatch(file.stem)
        if number and int(number[1]) != place:
            said.append(f"They are taken in order of their names: {file.name} is the picture of shot {place}.")
            break
    if not said:
        return None
    return f"{counted(min(len(found), shots), 'picture')} of {folder} used. {' '.join(said)}"
