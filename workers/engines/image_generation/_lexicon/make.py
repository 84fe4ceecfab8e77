"""Makes ``cldr/<language>.tsv`` from the annotations of Unicode's CLDR (Unicode-3.0, see UNICODE-LICENSE.txt).

    npm pack cldr-annotations-modern@45.0.0 && tar xzf cldr-annotations-modern-45.0.0.tgz
    cd workers && python -m engines.image_generation._lexicon.make ../package

One line a concept: its emoji and the words that name it, separated by commas. CLDR's further keywords, which only
suggest an emoji (parrot: talk), are left out: most of them are verbs and qualities.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from engines.image_generation._concepts import STANDS_FOR, WEATHER, concepts, plain

LANGUAGES = "ar bg ca cs da de el en es fa fi fr he hi hr hu id it ja ko nl no pl pt ro ru sk sv th tr uk vi zh zh-Hant"
SHARED_AT_MOST = 2
"""The last word of a longer name that more concepts share names none of them."""
LONGEST = 3  # words of a name
HEAD_FIRST = frozenset(("ar", "ca", "es", "fa", "fr", "he", "id", "it", "pt", "ro", "th", "vi"))
"""In these a name begins with its noun (rose rouge); in the others it ends with it (red rose)."""
UNSPACED = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af\u0e00-\u0e7f]")


def lexicon(annotations: dict[str, dict[str, list[str]]], language: str) -> dict[str, list[str]]:
    """Concept -> the words that name it; each word belongs to one concept only."""
    claims: dict[str, list[tuple[int, str]]] = {}
    wanted = dict.fromkeys([*concepts(), *STANDS_FOR, *WEATHER.split()])
    for emoji in wanted:
        entry = annotations.get(emoji) or annotations.get(emoji + "\N{VARIATION SELECTOR-16}") or {}
        names = [_clean(name) for name in entry.get("tts", [])]
        for word in names:
            claims.setdefault(word, []).append((3, plain(emoji)))
        for word in map(_clean, entry.get("default", [])):
            inside = any(_is_head(word, name, language) for name in names)
            if inside and word not in names and not (language == "de" and word[:1].islower()):  # German nouns: capitals
                claims.setdefault(word, []).append((2, plain(emoji)))
    found: dict[str, list[str]] = {emoji: [] for emoji in map(plain, wanted)}
    for word, owners in sorted(claims.items()):
        best, emoji = max(owners, key=lambda owner: owner[0])
        if not _usable(word) or (best < 3 and sum(claim == best for claim, _ in owners) > SHARED_AT_MOST):
            continue
        found[emoji].append(word)
    return {emoji: words for emoji, words in found.items() if words}


def _is_head(word: str, name: str, language: str) -> bool:
    """Whether the word is what a longer name is about: tree in deciduous tree, pot in pot of food."""
    if UNSPACED.search(name):
        return name.startswith(word) if language in HEAD_FIRST else name.endswith(word)
    noun, _, _ = name.partition(" of ")
    return word == noun.split()[0 if language in HEAD_FIRST else -1]


def _clean(word: str) -> str:
    return re.sub(r"\s*[(（].*?[)）]", "", word).replace("\t", " ").replace(",", " ").strip()


def _usable(word: str) -> bool:
    long_enough = len(word) >= (1 if UNSPACED.search(word) else 3)
    return long_enough and len(word.split()) <= LONGEST and not any(character.isdigit() for character in word)


def main(package: Path) -> None:
    """Write every language's file beside this script."""
    target = Path(__file__).parent / "cldr"
    target.mkdir(exist_ok=True)
    for language in LANGUAGES.split():
        file = package / "annotations" / language / "annotations.json"
        annotations = json.loads(file.read_text(encoding="utf-8"))["annotations"]["annotations"]
        lines = ["\t".join((emoji, ",".join(naming))) for emoji, naming in lexicon(annotations, language).items()]
        (target / f"{language}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
