"""Languages as a text model needs them named, and whether a text can be in one."""

from __future__ import annotations

import re
from collections import Counter

LATIN, CYRILLIC, ARABIC, DEVANAGARI = (frozenset({name}) for name in ("Latn", "Cyrl", "Arab", "Deva"))
LANGUAGES: dict[str, tuple[str, frozenset[str]]] = {
    "af": ("Afrikaans", LATIN),
    "am": ("Amharic", frozenset({"Ethi"})),
    "ar": ("Arabic", ARABIC),
    "be": ("Belarusian", CYRILLIC),
    "bg": ("Bulgarian", CYRILLIC),
    "bn": ("Bengali", frozenset({"Beng"})),
    "ca": ("Catalan", LATIN),
    "cs": ("Czech", LATIN),
    "cy": ("Welsh", LATIN),
    "da": ("Danish", LATIN),
    "de": ("German", LATIN),
    "el": ("Greek", frozenset({"Grek"})),
    "en": ("English", LATIN),
    "es": ("Spanish", LATIN),
    "et": ("Estonian", LATIN),
    "eu": ("Basque", LATIN),
    "fa": ("Persian", ARABIC),
    "fi": ("Finnish", LATIN),
    "fr": ("French", LATIN),
    "ga": ("Irish", LATIN),
    "gl": ("Galician", LATIN),
    "gu": ("Gujarati", frozenset({"Gujr"})),
    "he": ("Hebrew", frozenset({"Hebr"})),
    "hi": ("Hindi", DEVANAGARI),
    "hr": ("Croatian", LATIN),
    "hu": ("Hungarian", LATIN),
    "hy": ("Armenian", frozenset({"Armn"})),
    "id": ("Indonesian", LATIN),
    "is": ("Icelandic", LATIN),
    "it": ("Italian", LATIN),
    "ja": ("Japanese", frozenset({"Hani", "Hira", "Kana"})),
    "ka": ("Georgian", frozenset({"Geor"})),
    "km": ("Khmer", frozenset({"Khmr"})),
    "kn": ("Kannada", frozenset({"Knda"})),
    "ko": ("Korean", frozenset({"Hang", "Hani"})),
    "lo": ("Lao", frozenset({"Laoo"})),
    "lt": ("Lithuanian", LATIN),
    "lv": ("Latvian", LATIN),
    "mk": ("Macedonian", CYRILLIC),
    "ml": ("Malayalam", frozenset({"Mlym"})),
    "mr": ("Marathi", DEVANAGARI),
    "my": ("Burmese", frozenset({"Mymr"})),
    "nb": ("Norwegian", LATIN),
    "ne": ("Nepali", DEVANAGARI),
    "nl": ("Dutch", LATIN),
    "no": ("Norwegian", LATIN),
    "pl": ("Polish", LATIN),
    "pt": ("Portuguese", LATIN),
    "ro": ("Romanian", LATIN),
    "ru": ("Russian", CYRILLIC),
    "sk": ("Slovak", LATIN),
    "sl": ("Slovenian", LATIN),
    "sq": ("Albanian", LATIN),
    "sr": ("Serbian", LATIN | CYRILLIC),
    "sv": ("Swedish", LATIN),
    "sw": ("Swahili", LATIN),
    "ta": ("Tamil", frozenset({"Taml"})),
    "te": ("Telugu", frozenset({"Telu"})),
    "th": ("Thai", frozenset({"Thai"})),
    "tr": ("Turkish", LATIN),
    "uk": ("Ukrainian", CYRILLIC),
    "ur": ("Urdu", ARABIC),
    "vi": ("Vietnamese", LATIN),
    "yue": ("Cantonese", frozenset({"Hani"})),
    "zh": ("Chinese", frozenset({"Hani"})),
}
"""Primary tag -> (English name, scripts it is written in, by ISO 15924), after Unicode's CLDR."""
ENGLISH = frozenset({"and", "from", "her", "his", "that", "the", "they", "this", "were", "with"})
"""Words that no other language has so often."""
ENGLISH_SHARE = 0.06
"""An English text has more of them (an eighth of its words), one in another language far fewer."""
OTHER_SCRIPT_SHARE = 0.5
"""Up to this share of the letters may be of another script: names, quotations."""
FEWEST_WORDS = 20
"""With fewer, a name such as "The Who" would make a text English."""


def primary(tag: str) -> str:
    """The language of a tag: ``pt`` of ``pt-BR``."""
    return tag.split("-")[0].lower()


def named(tag: str) -> str:
    """A language for people and models.

    >>> named("pt-BR"), named("cs"), named("tlh")
    ('Portuguese (pt-BR)', 'Czech (cs)', 'the language with the tag tlh')
    """
    known = LANGUAGES.get(primary(tag))
    return f"{known[0]} ({tag})" if known else f"the language with the tag {tag}"


WHOLE_SYSTEMS = frozenset({"Hans", "Hant", "Jpan", "Kore"})
"""Script subtags that stand for all that a language is written in, not for one script of Unicode."""


def not_in(text: str, tag: str) -> str | None:
    """Why a text cannot be in a language, by its script and by English words; None if it may be.

    It takes another script, or English, for what it is; it does not tell French from Spanish.

    >>> not_in("Жил-был царь.", "en")
    'it is written in Cyrl, English (en) in Latn'
    """
    known = LANGUAGES.get(primary(tag))
    if known is None:
        return None
    named_script = next((part for part in tag.split("-")[1:] if part.istitle() and len(part) == 4), None)
    wanted = {named_script} if named_script and named_script not in WHOLE_SYSTEMS else known[1]
    scripts = Counter(script for character in text if character.isalpha() for script in _scripts(character))
    letters = sum(character.isalpha() for character in text)
    own = sum(scripts[script] for script in wanted)
    if letters and own < (1 - OTHER_SCRIPT_SHARE) * letters:
        return f"it is written in {scripts.most_common(1)[0][0]}, {named(tag)} in {' and '.join(sorted(wanted))}"
    words = re.findall(r"[^\W\d_]+", text.lower())
    english = sum(word in ENGLISH for word in words)
    if primary(tag) != "en" and len(words) >= FEWEST_WORDS and english > ENGLISH_SHARE * len(words):
        return f"it is written in English, not in {named(tag)}"
    return None


def _scripts(character: str) -> set[str]:
    """Scripts that a letter belongs to; a mark such as ー belongs to two."""
    from fontTools import unicodedata

    return set(unicodedata.script_extension(character))
