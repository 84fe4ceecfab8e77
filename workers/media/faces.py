"""Which faces there are, which glyphs they have, how wide and tall they draw.

Fonts packaged on PyPI and the emoji beside this file come first (the same text then looks the same on every machine);
the system's folders are read only when those lack a glyph.
"""

from __future__ import annotations

import importlib.util
import io
import logging
import os
import pkgutil
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from runtime.errors import WorkerError

REGULAR, BOLD = 400, 700
BESIDE = Path(__file__).with_name("typefaces")
"""Fonts that no package has: Noto Emoji as outlines."""
_ENDINGS = {".ttf", ".otf", ".ttc"}
_PLAIN = re.compile(r"sans|arial|helvetica|segoe ui$|verdana|tahoma|yahei|pingfang|hiragino|malgun|yu gothic", re.I)
_FANCY = re.compile(r"mono|serif|condensed|narrow|display|symbol|math|script|hand|black|light|thin|ui\b", re.I)
# Fonts of boxes for every character, and names that ASS cannot say.
_USELESS = re.compile(r"^\.|last ?resort|adobe blank|[,\\{}()]", re.I)
HIGHEST, DEEPEST = 1.1, 0.5
"""Most that lines keep free above and below the baseline, in ems."""
MOST_NAMED = 5
"""A whole story in a script without a font would fill screens."""
_CJK = {"Hani", "Hira", "Kana", "Hang", "Bopo"}


@dataclass(frozen=True)
class Face:
    """One upright face of a font file, at the weight it is to be drawn in."""

    path: Path
    index: int
    """Which font of a collection (.ttc); 0 elsewhere."""
    family: str
    """Name table entry 1, the name libass knows it by."""
    weight: int
    """100 to 900; of a variable font the weight its ``wght`` axis is set to."""
    variable: bool
    origin: Literal["packaged", "system"]

    @property
    def bold(self) -> bool:
        return self.weight >= 600

    @property
    def emoji(self) -> bool:
        """Whether it draws pictures. Those are never thickened, which would fill their fine lines."""
        return "emoji" in self.family.casefold()


def faces() -> Iterator[Face]:
    """Every usable face: the packaged ones, then the system's, plain sans families first within each."""
    yield from packaged()
    yield from system()


@cache
def packaged() -> tuple[Face, ...]:
    """Faces from the installed ``fontpkg-*`` and ``noto-cjk-*`` packages, and those beside this file."""
    import fontpkg

    paths = _font_files([BESIDE])
    paths |= {file.path for family in fontpkg.families().values() for file in family.files if file.style == "normal"}
    for module in pkgutil.iter_modules():
        if module.name.startswith("noto_cjk_") and (spec := importlib.util.find_spec(module.name)):
            paths |= _font_files(Path(folder) for folder in spec.submodule_search_locations or ())
    return _sorted(face for path in paths for face in _describe(path, "packaged"))


@cache
def system() -> tuple[Face, ...]:
    """Faces from the operating system's font folders. Reads every file there once a process (1 to 3 ms a file)."""
    return _sorted(face for path in _font_files(system_folders()) for face in _describe(path, "system"))


def system_folders() -> list[Path]:
    """Where Linux, macOS and Windows keep fonts."""
    home = Path.home()
    if sys.platform == "win32":
        local = Path(os.environ.get("LOCALAPPDATA", home / "AppData/Local"))
        return [Path(os.environ.get("WINDIR", "C:/Windows")) / "Fonts", local / "Microsoft/Windows/Fonts"]
    if sys.platform == "darwin":
        return [Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library/Fonts"]
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local/share")
    return [Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), data / "fonts", home / ".fonts"]


def _font_files(folders: Iterable[Path]) -> set[Path]:
    found = set()
    for folder in folders:
        for parent, _, names in os.walk(folder):
            found |= {Path(parent, name) for name in names if Path(name).suffix.lower() in _ENDINGS}
    return found


def _sorted(found: Iterable[Face]) -> tuple[Face, ...]:
    def plainness(face: Face) -> tuple[Any, ...]:
        fancy = 2 if _FANCY.search(face.family) else 0 if _PLAIN.search(face.family) else 1
        return fancy, face.family, face.weight, str(face.path), face.index

    return tuple(sorted(found, key=plainness))


def _describe(path: Path, origin: Literal["packaged", "system"]) -> list[Face]:
    from fontTools.ttLib import TTCollection, TTFont

    logging.getLogger("fontTools").setLevel(logging.ERROR)  # it grumbles about harmless faults of system fonts
    try:
        with open(path, "rb") as file:  # fontTools would leave it open
            fonts = TTCollection(file, lazy=True) if path.suffix.lower() == ".ttc" else [TTFont(file, lazy=True)]
            return [face for index, font in enumerate(fonts) for face in _describe_one(font, path, index, origin)]
    except Exception:  # noqa: BLE001 - a damaged file among the system's fonts: fontTools raises whatever its parser meets
        return []


def _describe_one(font: Any, path: Path, index: int, origin: Literal["packaged", "system"]) -> list[Face]:
    family = font["name"].getDebugName(1) or ""
    tables, italic = set(font.keys()), font["head"].macStyle & 2 or font["OS/2"].fsSelection & 1
    # libass draws outlines only: a colour or bitmap emoji font would leave holes
    drawable = {"glyf", "CFF ", "CFF2"} & tables and not {"CBDT", "sbix", "COLR"} & tables
    if italic or not drawable or not family or _USELESS.search(family):
        return []
    axes = {axis.axisTag: axis for axis in font["fvar"].axes} if "fvar" in font else {}
    if "wght" in axes:
        weights = [weight for weight in (REGULAR, BOLD) if axes["wght"].minValue <= weight <= axes["wght"].maxValue]
    else:
        weights = [font["OS/2"].usWeightClass]
    return [Face(path, index, family, weight, bool(axes), origin) for weight in weights]


def open_font(face: Face) -> Any:
    """The fontTools font of the face, read on demand; of a variable one at its default weight."""
    from fontTools.ttLib import TTFont

    # Bytes, not a file: what is read on demand later must not hold one open for each face of the process.
    return TTFont(io.BytesIO(face.path.read_bytes()), fontNumber=face.index, lazy=True)


@cache
def coverage(face: Face) -> frozenset[int]:
    """The code points the face has a glyph for."""
    return frozenset(open_font(face).getBestCmap() or ())


@cache
def advance(face: Face, char: str) -> float:
    """Width of a character in the face at its weight, in ems; 0 for what draws nothing, such as a joiner."""
    if unicodedata.category(char) in {"Cc", "Cf", "Mn"}:
        return 0.0
    glyphs, units_per_em, cmap = _metrics(face)
    return float(glyphs[cmap.get(ord(char), ".notdef")].width) / units_per_em


@cache
def ligature(face: Face, cluster: str) -> float | None:
    """Width in ems of the one glyph that the face has for a sequence such as a flag or a family; None: it has none."""
    cmap = _metrics(face)[2]
    glyphs = [cmap[ord(char)] for char in cluster if ord(char) in cmap and not "\ufe00" <= char <= "\ufe0f"]
    made = _ligatures(face).get(tuple(glyphs)) if len(glyphs) > 1 else None
    return None if made is None else float(_metrics(face)[0][made].width) / _metrics(face)[1]


@cache
def _ligatures(face: Face) -> dict[tuple[str, ...], str]:
    """Glyph names of each sequence that becomes one glyph, and that glyph's, in the order of the font's own lookups."""
    font = open_font(face)
    found: dict[tuple[str, ...], str] = {}
    for lookup in font["GSUB"].table.LookupList.Lookup if "GSUB" in font else ():
        for table in lookup.SubTable:
            for first, sets in getattr(table, "ligatures", {}).items():
                for one in sets:
                    found.setdefault((first, *one.Component), one.LigGlyph)
    return found


@cache
def _metrics(face: Face) -> tuple[Any, int, dict[int, str]]:
    font = open_font(face)
    return font.getGlyphSet(location=location(face, font)), font["head"].unitsPerEm, font.getBestCmap()


def location(face: Face, font: Any) -> dict[str, float]:
    if not face.variable:
        return {}
    place = {axis.axisTag: axis.defaultValue for axis in font["fvar"].axes}
    return place | {"wght": float(face.weight)} if "wght" in place else place


@cache
def line_height(face: Face) -> float:
    """Height in ems of what an ASS ``Fontsize`` of 1 fills.

    libass takes a size as Windows' GDI does: as OS/2 usWinAscent + usWinDescent, not as the em (``set_font_metrics`` in
    libass/ass_font.c; tests render and measure it: Noto Sans at 100 has an em of 65.8 px, 1000 / (1124 + 395)).
    """
    font = open_font(face)
    os2, hhea = font["OS/2"], font["hhea"]
    return float((os2.usWinAscent + os2.usWinDescent) or (hhea.ascent - hhea.descent)) / float(font["head"].unitsPerEm)


@cache
def extent(face: Face) -> tuple[float, float]:
    """Ascent and descent in ems that lines are set with: the font's own, but no more than letters reach.

    Noto Sans Arabic claims 2.1 ems, room for signs stacked in scripture; its lines would fall apart.
    """
    font = open_font(face)
    hhea, em = font["hhea"], float(font["head"].unitsPerEm)
    return min(hhea.ascent / em, HIGHEST), min(-hhea.descent / em, DEEPEST)


@cache
def depth(face: Face) -> float:
    """Ems that libass keeps free below the baseline of a line, see ``line_height``."""
    font = open_font(face)
    os2, hhea = font["OS/2"], font["hhea"]
    descent = os2.usWinDescent if os2.usWinAscent + os2.usWinDescent else -hhea.descent
    return float(descent) / float(font["head"].unitsPerEm)


def visible(char: str) -> bool:
    """Whether a character needs a glyph: not blanks, controls, joiners, direction marks and variation selectors."""
    selector = "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef"
    return not (selector or char.isspace() or unicodedata.category(char) in {"Cc", "Cf"})


def not_found(chars: set[str], family: str | None = None) -> WorkerError:
    """The error for characters without a glyph: names each and the install that helps."""
    from fontTools.unicodedata import script, script_name

    named = [f"U+{ord(char):04X} {_shown(char)}{unicodedata.name(char, 'unnamed')}" for char in sorted(chars)]
    more = [f"and {len(named) - MOST_NAMED} more"] if len(named) > MOST_NAMED else []
    named = named[:MOST_NAMED]
    scripts = {script(char) for char in chars}
    if scripts & _CJK or any("\u3000" <= char <= "\u303f" or "\uff00" <= char <= "\uffef" for char in chars):
        hint = 'Run, in the folder of storygen: pip install -c requirements.lock -e ".[fonts]" (noto-cjk-sans-otc)'
    elif any(unicodedata.category(char) == "So" for char in chars):
        hint = "Install a font that has them as outlines (Debian: apt install fonts-symbola), or leave them out."
    else:
        names = [script_name(one).replace("_", " ") for one in sorted(scripts - {"Zyyy", "Zinh", "Zzzz"})]
        what = f"a font for {' and '.join(names)}, such as Noto Sans {names[0]}" if names else "a font that has them"
        hint = f"Install {what} (Debian: apt install fonts-noto-core), or change the text."
    where = f"The font {family!r} has no glyph" if family else "No font on this machine has a glyph"
    details = [{"pointer": "", "message": line} for line in named + more]
    listed = ", ".join(named) + "".join(f" {rest}" for rest in more)
    return WorkerError("font_not_found", f"{where} for {listed}.", hint=hint, details=details)


def _shown(char: str) -> str:
    return f"{char} " if char.isprintable() and unicodedata.category(char) != "Cs" else ""
