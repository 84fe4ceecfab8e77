"""Whisper's languages: its codes, its English names for them, which the API answers with, and their BCP 47 tags."""

from __future__ import annotations

_KNOWN = """
en english, zh chinese, de german, es spanish, ru russian, ko korean, fr french, ja japanese, pt portuguese, tr turkish,
pl polish, ca catalan, nl dutch, ar arabic, sv swedish, it italian, id indonesian, hi hindi, fi finnish, vi vietnamese,
he hebrew, uk ukrainian, el greek, ms malay, cs czech, ro romanian, da danish, hu hungarian, ta tamil, no norwegian,
th thai, ur urdu, hr croatian, bg bulgarian, lt lithuanian, la latin, mi maori, ml malayalam, cy welsh, sk slovak,
te telugu, fa persian, lv latvian, bn bengali, sr serbian, az azerbaijani, sl slovenian, kn kannada, et estonian,
mk macedonian, br breton, eu basque, is icelandic, hy armenian, ne nepali, mn mongolian, bs bosnian, kk kazakh,
sq albanian, sw swahili, gl galician, mr marathi, pa punjabi, si sinhala, km khmer, sn shona, yo yoruba, so somali,
af afrikaans, oc occitan, ka georgian, be belarusian, tg tajik, sd sindhi, gu gujarati, am amharic, yi yiddish, lo lao,
uz uzbek, fo faroese, ht haitian creole, ps pashto, tk turkmen, nn nynorsk, mt maltese, sa sanskrit, lb luxembourgish,
my myanmar, bo tibetan, tl tagalog, mg malagasy, as assamese, tt tatar, haw hawaiian, ln lingala, ha hausa, ba bashkir,
jw javanese, su sundanese, yue cantonese
"""
CODES = {name: code for code, name in (entry.split(maxsplit=1) for entry in " ".join(_KNOWN.split()).split(", "))}
"""Whisper's names to its codes, as in https://github.com/openai/whisper/blob/main/whisper/tokenizer.py."""
_FROM_TAG = {"nb": "no", "cmn": "zh", "fil": "tl", "iw": "he", "in": "id", "jv": "jw"}
"""BCP 47 to Whisper's own codes of languages, where they differ."""


def code_of(tag: str) -> str:
    """What Whisper would call a BCP 47 tag's language; whether a model knows it is another matter.

    >>> code_of("nb-NO")
    'no'
    """
    primary = tag.split("-")[0].lower()
    return _FROM_TAG.get(primary, primary)


def tag_of(language: str) -> str | None:
    """The BCP 47 tag of one of Whisper's codes or names; None for a language that is none of Whisper's.

    >>> tag_of("Haitian Creole"), tag_of("jw"), tag_of("klingon")
    ('ht', 'jv', None)
    """
    words = language.strip().lower()
    code = CODES.get(words) or code_of(words.replace("_", "-"))
    if code not in CODES.values():
        return None
    return {"jw": "jv"}.get(code, code)
