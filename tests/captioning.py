"""Captions for tests: requests as the runtime gives them, a reader of ASS of our own, and what FFmpeg draws."""

from __future__ import annotations

import json
import os
import re
import subprocess
import unicodedata
from pathlib import Path
from typing import Any

import av
import jsonschema
import numpy as np
from referencing import Registry, Resource

from media.captions import captions
from media.fonts import font_folder, fonts_of
from runtime.context import Context

SCHEMAS = Path(__file__).resolve().parents[1] / "schemas" / "v1"
SCHEMA = json.loads((SCHEMAS / "media_processing/captions.schema.json").read_text(encoding="utf-8"))
COMMON = json.loads((SCHEMAS / "common.schema.json").read_text(encoding="utf-8"))
REGISTRY = Registry().with_resources((s["$id"], Resource.from_contents(s)) for s in (SCHEMA, COMMON))
STORY = (
    "A thirsty crow found a tall clay pitcher with only a little water at the bottom. She pushed her beak inside, but "
    'she could not reach it. Mr. Fox, who was passing by, laughed: "You will never drink!" The crow thought for a '
    "while. Then she picked up a pebble, and dropped it in. Plop. One by one, the pebbles raised the water, until "
    "she drank."
)
HOSTILE = r"{\b1} a{b}c C:\new \N \h <i>hi</i> x<y & a&amp;b --> 00:00:01,000 {y:i} <font> {\an8}top \{ \\ } { end</b>"


def spoken(text: str) -> list[dict[str, Any]]:
    """Words at a reading pace, with pauses after commas and sentences."""
    words, now = [], 0.2
    for word in text.split():
        end = now + 0.14 + 0.05 * len(word)
        words.append({"word": word, "start_s": round(now, 3), "end_s": round(end, 3)})
        now = end + (0.45 if word[-1] in '.?!"' else 0.2 if word[-1] in ",;" else 0.02)
    return words


def signs(text: str) -> list[dict[str, Any]]:
    """Chinese or Japanese, a sign at a time as the narration gives them; closing marks go with the sign before."""
    pieces = re.findall(r"[「“《（]*[^「」“”《》（）。，、！？][」”》）。，、！？]*", text)
    return [{"word": piece, "start_s": n / 5, "end_s": n / 5 + 0.18} for n, piece in enumerate(pieces)]


def request(words: list[dict[str, Any]], **wanted: Any) -> dict[str, Any]:
    """An input as the runtime gives it: valid, with the schema's defaults."""
    given = {"words": words, **wanted}
    validator("input").validate(given)
    return {name: facts.get("default") for name, facts in SCHEMA["$defs"]["input"]["properties"].items()} | given


def validator(part: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator({"$ref": f"{SCHEMA['$id']}#/$defs/{part}"}, registry=REGISTRY)


def run(folder: Path, words: list[dict[str, Any]], **wanted: Any) -> tuple[dict[str, Any], Context]:
    context = Context(output_dir=folder, output_name="captions")
    output = captions(request(words, **wanted), context)
    validator("output").validate(output)
    return output, context


def seen(text: str) -> str:
    """What of a text a reader can see: composed, blanks alike, without controls, joiners and direction marks."""
    drawn = [char for char in text if char.isspace() or unicodedata.category(char) not in {"Cc", "Cf"}]
    return unicodedata.normalize("NFC", " ".join("".join(drawn).split()))


class Event:
    """A Dialogue line of an ASS file, its text read as libass reads it; times in centiseconds."""

    def __init__(self, line: str) -> None:
        layer, start, end, self.style, _, _, _, _, _, text = line.removeprefix("Dialogue: ").split(",", 9)
        self.layer, self.start, self.end, self.overrides = int(layer), _centiseconds(start), _centiseconds(end), ""
        drawn, drawing = "", False
        for token in re.findall(r"\\[{}Nnh]|\{[^}]*\}|.", text, re.S):
            if len(token) > 1 and token[0] == "{":
                self.overrides += token
                drawing = bool(re.search(r"\\p1", token)) or drawing
            else:
                drawn += {r"\N": "\n", r"\n": "\n", r"\h": " "}.get(token, token[-1])
        self.text = "" if drawing else drawn
        place = re.search(r"\\pos\(([\d.]+),([\d.]+)\)", self.overrides)
        self.x, self.y = (float(place[1]), float(place[2])) if place else (0.0, 0.0)


def _centiseconds(stamp: str) -> int:
    hours, minutes, seconds = stamp.split(":")
    return round(100 * (3600 * int(hours) + 60 * int(minutes) + float(seconds)))


def events(path: str) -> list[Event]:
    lines = Path(path).read_text(encoding="utf-8").split("\n")
    return [Event(line) for line in lines if line.startswith("Dialogue: ")]


def shown(path: str, centiseconds: int) -> list[str]:
    """The lines of text on the screen at a moment, from top to bottom."""
    on = [event for event in events(path) if event.start <= centiseconds < event.end and event.text]
    return [event.text for event in sorted(on, key=lambda event: event.y)]


class Film:
    """The captions of a request, drawn on black by ffmpeg with nothing but the private font folder."""

    def __init__(self, folder: Path, words: list[dict[str, Any]], **wanted: Any) -> None:
        self.request = request(words, **wanted)
        self.output = captions(self.request, Context(output_dir=folder, output_name="captions"))
        self.ass = Path(self.output["files"]["ass"]["path"])
        # hidden and spaced, as a request's temporary folder may be
        self.fonts = folder / ".the private.fonts"
        self.environment = font_folder(fonts_of(self.ass), self.fonts)

    def frames(self, times: list[float], folder: Path, color: str = "black") -> list[np.ndarray]:
        """RGB frames at those times (to 1/50 s), each (height, width, 3)."""
        import imageio_ffmpeg

        numbers = [round(50 * time) for time in times]
        chosen = "+".join(f"eq(n,{number})" for number in sorted(set(numbers)))
        size = f"{self.request['width']}x{self.request['height']}"
        source = f"color=c={color}:s={size}:r=50:d={max(numbers) / 50 + 0.1},format=gbrp"
        path = folder / "film.mkv"
        done = subprocess.run(
            [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "verbose", "-y", "-f", "lavfi", "-i", source,
             "-vf", f"select='{chosen}',ass={self.ass.name}:fontsdir={self.fonts.name}", "-fps_mode", "passthrough",
             "-c:v", "ffv1", str(path)],
            cwd=self.ass.parent, env={**os.environ, **self.environment}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        self.log = done.stderr
        with av.open(path) as container:
            found = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        return [found[sorted(set(numbers)).index(number)] for number in numbers]


def box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of a mask, the last two one past the end."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def fill(frame: np.ndarray) -> np.ndarray:
    return frame[..., 0] > 128


def yellow(frame: np.ndarray) -> np.ndarray:
    return (frame[..., 0] > 128) & (frame[..., 2] < 0.6 * frame[..., 0])
