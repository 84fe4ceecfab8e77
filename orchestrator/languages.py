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


COMMON_WORDS = {
    "bg": "и на да се в за от не с че по си как беше",
    "ca": "i el la els les de del que un una amb per no va al és més seva",
    "cs": "a se v na že je to do s z ale by jako když byl byla jsem si ve jeho",
    "da": "og i at det en den til er som på de med af for ikke der var han hun et men",
    "de": "und der die das den dem ein eine nicht ist war zu mit sich auf er sie es von im als aber",
    "en": "the and of to a in was he she it that his her with for on had they at as but",
    "es": "el la los las de que y en un una se no con su por para lo como más pero era al del",
    "fi": "ja on ei se oli hän että en kun niin mutta kuin hänen joka sen sitä nyt oli vain",
    "fr": "le la les de des du et un une que qui il elle dans est au en ne pas sur se son sa pour était plus",
    "hu": "a az és hogy nem egy is volt meg de csak ki el már ha mint azt ez",
    "id": "yang dan di itu dengan untuk tidak dari ini dalam ke akan pada dia ada seperti",
    "it": "il lo la gli le di che e un una in non si con per del della era al nel ma come suo",
    "nb": "og i det en til er som på de med av for ikke var han hun et men jeg så",
    "nl": "de het een en van in dat niet is was op te met zijn hij ze voor er maar aan",
    "pl": "i w na się nie z do że to jest jak po ale był była co za o jego od",
    "pt": "o a os as de que e do da em um uma não se com para na no por mais mas era como ao",
    "ro": "și în de la nu o un să cu a pe care din ce mai era el ea lui dar",
    "ru": "и в не на что он она с как а по это но его из к у было был же",
    "sk": "a sa v na že je to do s z ale by ako keď bol bola som si vo jeho",
    "sv": "och i att det en som på är av för med den till inte var han hon ett men de om",
    "tr": "bir ve bu da de için çok ne gibi ama o daha onun var değil olan sonra kadar",
    "uk": "і в не на що він вона з як а по це але його до у було був та ще",
    "vi": "và của là có không được một cho trong người với đã những các này khi đến như",
}
"""Function words, which make a third to a half of any text in these languages."""
COMMON_SHARE = 0.12
"""A text has at least so many of its own language's; a list of names has none."""
CLEARLY = 1.2
"""One in another language has so many times more of its words than of English ones."""
FEWEST_KINDS = 4
"""Different common words: with fewer, "Alice met Bob" would be Dutch."""
READ = 4000
"""Characters that tell enough."""


def looks_like(text: str) -> str | None:
    """The tag of the language that a text is probably written in, by its script and its commonest words.

    None where that is not clear: of a few words, or of a language whose common words are not known here.

    >>> looks_like("Το κοράκι ήπιε νερό."), looks_like("カラスは水を飲んだ。"), looks_like("Mama Mia")
    ('el', 'ja', None)
    """
    scripts = Counter(script for character in text[:READ] if character.isalpha() for script in _scripts(character))
    if not scripts:
        return None
    for script, tag in {"Hira": "ja", "Hang": "ko", "Hani": "zh"}.items():
        if scripts[script] > (1 - OTHER_SCRIPT_SHARE) / 2 * scripts.total():
            return tag
    ((main, _),) = scripts.most_common(1)
    written = [tag for tag, (_, own) in LANGUAGES.items() if main in own]
    words = re.findall(r"[^\W\d_]+", text[:READ].lower())
    known = {tag: set(COMMON_WORDS[tag].split()) for tag in written if tag in COMMON_WORDS}
    if len(written) == 1 or not known or len(words) < FEWEST_WORDS:
        return written[0] if len(written) == 1 else None
    counts = Counter({tag: sum(word in own for word in words) for tag, own in known.items()})
    best, most = counts.most_common(1)[0]
    english = 0 if best == "en" else counts["en"]
    clear = most >= max(COMMON_SHARE * len(words), CLEARLY * english) and len(known[best] & set(words)) >= FEWEST_KINDS
    return best if clear else None


def _scripts(character: str) -> set[str]:
    """Scripts that a letter belongs to; a mark such as ー belongs to two."""
    from fontTools import unicodedata

    return set(unicodedata.script_extension(character))
