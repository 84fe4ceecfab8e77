"""Whether captions can be drawn and read aloud in a language: letters of its scripts, or those of a story."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from orchestrator import story_file
from orchestrator.errors import StorygenError
from orchestrator.languages import LANGUAGES, named, primary
from orchestrator.stages.collect import source

SAMPLES = {
    "Latn": "Příliš žluťoučký kůň ąćęłńóśźż äöüß éèêç ñ ãõ åæøþð őű ăâîșț ğış čđ āēģķļņ ėįų ġħ ŵŷ Việt ơư ếộ",
    "Grek": "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία ϊϋΰ",
    "Cyrl": "Съешь же ещё этих мягких булок ґєії ў ђјљњћџ ѓќѕ",
    "Armn": "Ագռավը խմեց ջուրը",
    "Hebr": "העורב שתה מים מן הכד",
    "Arab": "غراب شرب الماء پچژگ ٹڈڑںےہ",
    "Deva": "कौए ने घड़े से पानी पिया",
    "Beng": "কাক কলসি থেকে জল খেল",
    "Gujr": "કાગડાએ ઘડામાંથી પાણી પીધું",
    "Taml": "காகம் குடத்திலிருந்து தண்ணீர் குடித்தது",
    "Telu": "కాకి కుండలోని నీరు తాగింది",
    "Knda": "ಕಾಗೆ ಹೂಜಿಯಿಂದ ನೀರು ಕುಡಿಯಿತು",
    "Mlym": "കാക്ക കുടത്തിൽ നിന്ന് വെള്ളം കുടിച്ചു",
    "Thai": "อีกาดื่มน้ำจากเหยือก",
    "Laoo": "ກາດື່ມນ້ຳຈາກໄຫ",
    "Khmr": "ក្អែកផឹកទឹកពីពាង",
    "Mymr": "ကျီးကန်းသည် အိုးထဲမှ ရေကို သောက်သည်",
    "Ethi": "ቁራው ከማሰሮው ውሃ ጠጣ",
    "Geor": "ყვავმა დოქიდან წყალი დალია",
    "Hani": "水山人心大日",
    "Hira": "つぼのみずをのんだ",
    "Kana": "カラス ポット",
    "Hang": "까마귀가 물을 마셨다",
}
"""Script, by ISO 15924 -> words with the letters of its languages; of Chinese ones those that all its fonts have."""
MOST_WORDS = 2000
"""A story's letters come again long before that."""


@dataclass(frozen=True)
class Telling:
    """What is to be told: the language's tag, words to draw, and how a person knows them."""

    language: str
    text: str
    what: str


def of_language(tag: str) -> Telling:
    """Words in the scripts of a language. Raises StorygenError ``usage`` for one that we do not know."""
    known = LANGUAGES.get(primary(tag))
    if known is None:
        raise StorygenError(
            "usage",
            f"What letters the language {tag!r} has is not known here.",
            "Give a story in it: --story FILE; then its own letters are looked at.",
        )
    return Telling(tag, " ".join(SAMPLES[script] for script in sorted(known[1])), named(tag))


def of_story(file: Path, language: str | None) -> Telling:
    """Words of a story that hold each of its characters, in the story's own language or else in this one.

    Raises StorygenError as a run of the story would: it cannot be read, or has no words.
    """
    told = source(story_file.read(file), file.stem, language)
    seen: set[str] = set()
    words = []
    for word in " ".join([told["title"], *told["paragraphs"]]).split():
        if not seen.issuperset(word):
            seen.update(word)
            words.append(word)
    return Telling(
        told["language"], " ".join(words[:MOST_WORDS]), f"the story {file.name}, in {named(told['language'])}"
    )
