"""The few faces that together draw a text, chosen by coverage: one per script, and none of an empty box."""

from __future__ import annotations

from collections.abc import Iterator

from media.faces import BOLD, Face, advance, coverage, not_found, packaged, system, visible
from runtime.errors import WorkerError

_COMMON = {"Zyyy", "Zinh", "Zzzz"}  # scripts of punctuation, digits, combining marks and unassigned characters
_CJK_REGION = {"ja": "JP", "ko": "KR", "zh": "SC", "zh-tw": "TC", "zh-hant": "TC", "zh-hk": "HK"}


class Typeface:
    """The bold faces that together draw a text, one per script: a word is not patched from several where one will do.

    ``text`` is everything that will be drawn. Raises WorkerError ``font_not_found`` naming the characters nobody has.
    """

    def __init__(self, text: str, *, language: str = "en") -> None:
        from fontTools.unicodedata import script

        self._candidates = _Candidates(language)
        self._of: dict[str, Face] = {}
        scripts: dict[str, set[str]] = {}
        for char in filter(visible, text):
            scripts.setdefault(script(char), set()).add(char)
        common = set().union(*(scripts.pop(name, set()) for name in _COMMON))
        for chars in sorted(scripts.values(), key=len, reverse=True):
            self._cover(chars)
        self._cover(common)
        if missing := (common.union(*scripts.values())) - self._of.keys():
            raise not_found(missing)
        self.primary = next(iter(self._of.values()), None) or self._candidates.first()

    @property
    def faces(self) -> list[Face]:
        """The faces in use, the primary one first."""
        return list(dict.fromkeys([self.primary, *self._of.values()]))

    def runs(self, word: str) -> list[tuple[Face, str]]:
        """Cut a word into pieces of one face each; punctuation, digits and marks stay with their neighbours."""
        from fontTools.unicodedata import script

        pieces: list[tuple[Face, str]] = []
        current = next((self._of[char] for char in word if visible(char) and script(char) not in _COMMON), self.primary)
        for char in word:
            stays = not visible(char) or (script(char) in _COMMON and ord(char) in coverage(current))
            current = current if stays else self._of[char]
            if pieces and pieces[-1][0] == current:
                pieces[-1] = (current, pieces[-1][1] + char)
            else:
                pieces.append((current, char))
        return pieces

    def width(self, word: str) -> float:
        """Width of a word in ems: the sum of its advances, so not below what kerning and ligatures make of it."""
        return sum(advance(face, char) for face, piece in self.runs(word) for char in piece)

    def _cover(self, chars: set[str]) -> None:
        """Give the first face that has them all; else the one that has most, again and again."""
        left = set(chars)
        while left:
            best, most = None, 0
            for face in self._candidates:
                have = sum(ord(char) in coverage(face) for char in left)
                if have > most:
                    best, most = face, have
                if have == len(left):
                    break
            if best is None:
                return
            self._of.update((char, best) for char in left if ord(char) in coverage(best))
            left = {char for char in left if ord(char) not in coverage(best)}


class _Candidates:
    """Faces in the order to try them, each family at the weight nearest to bold; the system's last."""

    def __init__(self, language: str) -> None:
        self._region = _CJK_REGION.get(language.lower(), _CJK_REGION.get(language.lower().split("-")[0], ""))

    def __iter__(self) -> Iterator[Face]:
        yield from self._nearest(packaged())
        yield from self._nearest(system())

    def _nearest(self, found: tuple[Face, ...]) -> list[Face]:
        families: dict[str, Face] = {}
        for face in found:
            known = families.get(face.family)
            if known is None or abs(face.weight - BOLD) < abs(known.weight - BOLD):
                families[face.family] = face
        # the same Han character is drawn differently in each country: the language's own form first
        ending = f" {self._region}" if self._region else "\n"
        return sorted(families.values(), key=lambda face: not face.family.endswith(ending))

    def first(self) -> Face:
        for face in self:
            return face
        raise WorkerError("font_not_found", "This machine has no font.", hint="Run: pip install fontpkg-noto-sans")
