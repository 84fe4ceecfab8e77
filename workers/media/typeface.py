"""The few faces that together draw a text, chosen by coverage: one per script, and none of an empty box."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from media.clusters import clusters, is_emoji
from media.faces import BOLD, Face, advance, coverage, ligature, not_found, packaged, system, visible
from runtime.errors import WorkerError

_COMMON = {"Zyyy", "Zinh", "Zzzz"}  # scripts of punctuation, digits, combining marks and unassigned characters
_CJK_REGION = {"ja": "JP", "ko": "KR", "zh": "SC", "zh-tw": "TC", "zh-hant": "TC", "zh-hk": "HK"}


class Typeface:
    """The bold faces that together draw a text, one per script: a word is not patched from several where one will do.

    An emoji is drawn by an emoji face, as one picture where the face has it as one. ``text`` is everything that will
    be drawn, word by word. Raises WorkerError ``font_not_found`` naming the characters nobody has.
    """

    def __init__(self, text: str, *, language: str = "en") -> None:
        from fontTools.unicodedata import script

        self._candidates = _Candidates(language)
        self._of: dict[str, Face] = {}
        self._emoji: dict[str, Face] = {}
        scripts: dict[str, set[str]] = {}
        for cluster in dict.fromkeys(cluster for word in text.split() for cluster in clusters(word)):
            if not self._pictured(cluster):
                for char in filter(visible, cluster):
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
        return list(dict.fromkeys([self.primary, *self._of.values(), *self._emoji.values()]))

    def runs(self, word: str) -> list[tuple[Face, str]]:
        """Cut a word into pieces of one face each; punctuation, digits and marks stay with their neighbours."""
        from fontTools.unicodedata import script

        pieces: list[tuple[Face, str]] = []
        plain = [char for cluster in clusters(word) if cluster not in self._emoji for char in cluster]
        current = next((self._of[c] for c in plain if visible(c) and script(c) not in _COMMON), self.primary)
        for cluster in clusters(word):
            if cluster in self._emoji:
                drawn = [(self._emoji[cluster], cluster)]
            else:
                drawn = []
                for char in cluster:
                    stays = not visible(char) or (script(char) in _COMMON and ord(char) in coverage(current))
                    current = current if stays else self._of[char]
                    drawn.append((current, char))
            for face, piece in drawn:
                if pieces and pieces[-1][0] == face:
                    pieces[-1] = (face, pieces[-1][1] + piece)
                else:
                    pieces.append((face, piece))
        return pieces

    def width(self, word: str) -> float:
        """Width of a word in ems: the sum of its advances, so not below what kerning and ligatures make of it."""
        return sum(_width(face, cluster) for face, piece in self.runs(word) for cluster in clusters(piece))

    def _pictured(self, cluster: str) -> bool:
        """Whether an emoji face draws the cluster; it is then noted."""
        if not is_emoji(cluster):
            return False
        needed = {ord(char) for char in cluster if visible(char)}
        found = next((face for face in self._candidates if face.emoji and needed <= coverage(face)), None)
        if found:
            self._emoji[cluster] = found
        return found is not None

    def _cover(self, chars: set[str]) -> None:
        """Give the first face that has them all; else the one that has most, again and again.

        What packaged faces have is never drawn by the system's: the text then looks the same on every machine.
        """
        for faces in (self._candidates.packaged, self._candidates.system):
            left = chars - self._of.keys()
            while left:
                best, most = None, 0
                for face in faces():
                    have = sum(ord(char) in coverage(face) for char in left)
                    if have > most:
                        best, most = face, have
                    if have == len(left):
                        break
                if best is None:
                    break
                self._of.update((char, best) for char in left if ord(char) in coverage(best))
                left = {char for char in left if ord(char) not in coverage(best)}


@cache
def _width(face: Face, cluster: str) -> float:
    if face.emoji and (one := ligature(face, cluster)) is not None:
        return one
    return sum(advance(face, char) for char in cluster)


class _Candidates:
    """Faces in the order to try them, each family at the weight nearest to bold; the system's last."""

    def __init__(self, language: str) -> None:
        self._region = _CJK_REGION.get(language.lower(), _CJK_REGION.get(language.lower().split("-")[0], ""))

    def __iter__(self) -> Iterator[Face]:
        yield from self.packaged()
        yield from self.system()

    def packaged(self) -> list[Face]:
        return self._nearest(packaged())

    def system(self) -> list[Face]:
        return self._nearest(system())

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
            if not face.emoji:
                return face
        raise WorkerError("font_not_found", "This machine has no font.", hint="Run: pip install fontpkg-noto-sans")
