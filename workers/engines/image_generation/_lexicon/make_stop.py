"""Makes ``stop/<language>.txt`` from the npm package stopword (MIT, see STOPWORD-LICENSE.txt).

npm pack stopword@3.1.5 && tar xzf stopword-3.1.5.tgz
cd workers && python -m engines.image_generation._lexicon.make_stop ../package
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

LANGUAGES = {
    "ar": "ara", "bg": "bul", "ca": "cat", "cs": "ces", "da": "dan", "de": "deu", "el": "ell", "en": "eng",
    "es": "spa", "fa": "fas", "fi": "fin", "fr": "fra", "he": "heb", "hi": "hin", "hr": "hrv", "hu": "hun",
    "id": "ind", "it": "ita", "nl": "nld", "no": "nob", "pl": "pol", "pt": "por", "ro": "ron", "ru": "rus",
    "sk": "slk", "sv": "swe", "tr": "tur", "uk": "ukr", "vi": "vie",
}  # fmt: skip
"""Ours -> the package's. What is written without spaces has no words to stop."""
MORE = {
    "en": "he she her him his hers said asked told went came got let may might must shall would could every some any "
    "monday tuesday wednesday thursday friday saturday sunday january february march april may june july august "
    "september october november december mr mrs dr st",
    "es": "solo sólo para sobre entre sin porque cuando donde muy también tan todo todos nada algo cada casi aún así "
    "era fue había sus ser sin hasta desde ya quien dijo ella ellos él luego siempre nunca aquí allí tarde",
    "it": "poi ancora solo sempre mai molto poco bene male qui qua lì là ora allora quando",
    "pt": "mal bem sempre nunca muito pouco ainda agora depois então só",
    "ca": "només sempre mai molt poc encara ara després llavors",
    "fr": "sous plus parce seul seule alors puis encore toujours jamais très bien peu où",
    "tr": "kara yüz",
    "hi": "कल",
    "nl": "haar bij weer daar hij zij",
    "pl": "nic",
    "ru": "лет час часа села",
}
"""What the package leaves out and stories are full of."""


def main(package: Path) -> None:
    """Write every language's file beside this script."""
    target = Path(__file__).parent / "stop"
    target.mkdir(exist_ok=True)
    for language, theirs in LANGUAGES.items():
        file = package / "src" / f"stopwords_{theirs}.js"
        _, _, source = file.read_text(encoding="utf-8").rpartition("*/")  # after its licence, if it has one
        found = (one or other for one, other in re.findall(r"'((?:[^'\\]|\\.)*)'|\"([^\"]*)\"", source))
        words = {part for word in found for part in re.split(r"[\s'\\’]+", word)} | set(MORE.get(language, "").split())
        kept = sorted(word.casefold() for word in words if word.isalpha() or not word.isascii())
        (target / f"{language}.txt").write_text("\n".join(dict.fromkeys(kept)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
