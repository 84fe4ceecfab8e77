"""What words of a sentence deny: *no* lion, *without* rain, the frogs *had gone*."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from engines.image_generation._lexicons import normal

NOT = {
    "en": "no not never without nor neither cannot", "de": "kein keine keinen keinem keiner nicht ohne nie niemals",
    "fr": "pas sans jamais aucun aucune ni", "es": "no sin nunca ni ningún ninguna",
    "it": "non senza mai né nessun nessuna",
    "pt": "não sem nunca nem nenhum nenhuma", "ca": "no sense mai", "ro": "nu fără niciun nicio",
    "cs": "bez není nebyl nebyla nebylo nebyly nebyli neměl neměla nemá nemají žádný žádná žádné ani nikdy",
    "sk": "bez nie nebol nebola nebolo nemal nemala nemá žiadny žiadna žiadne ani nikdy",
    "pl": "nie bez ani nigdy żaden żadna żadne", "ru": "не нет без ни никогда", "uk": "не нема немає без ні ніколи",
    "bg": "не няма без ни никога", "hr": "ne nije nema bez nikad", "nl": "geen niet zonder nooit",
    "sv": "inte ingen inget inga utan aldrig", "da": "ikke ingen intet uden aldrig", "no": "ikke ingen uten aldri",
    "fi": "ei en eivät ilman eikä", "hu": "nem nincs sem sosem", "tr": "ne", "el": "δεν μην χωρίς ούτε",
    "ar": "لا لم لن ليس ليست بدون بلا غير دون", "he": "לא אין בלי אף", "fa": "نه بدون بی هیچ نیست",
    "hi": "नहीं न बिना", "id": "tidak bukan tanpa", "vi": "không chưa chẳng", "ko": "안",
}  # fmt: skip
"""Words that deny what follows within REACH words …"""
NOT_AFTER = {
    "de": "nicht", "nl": "niet", "tr": "yok yoktu değil değildi yağmadı", "hi": "नहीं", "ko": "없 않",
    "hu": "nélkül nem",
    "fa": "نبود نیست نداشت", "sv": "inte", "da": "ikke", "no": "ikke", "ja": "な ず",
}  # fmt: skip
"""… what comes just before them …"""
GONE = {
    "en": "gone died dead vanished disappeared left", "de": "fort tot gestorben verschwunden weg",
    "fr": "parti partie partis parties disparu disparue disparus disparues mort morte morts mortes",
    "es": "ido muerto muerta murió murieron desaparecido desapareció",
    "it": "spariti sparita sparito sparite morto morta morti",
    "pt": "embora morto morta morreu morreram desaparecido desapareceu", "nl": "weg dood verdwenen gestorven",
    "cs": "pryč zmizel zmizela zmizeli zmizely umřel umřela zemřel zemřela",
    "sk": "preč zmizol zmizla zmizli zomrel zomrela", "pl": "zniknął zniknęła zniknęły umarł umarła",
    "ru": "исчез исчезла исчезли умер умерла пропал пропала", "uk": "зник зникла зникли помер померла",
    "sv": "borta död försvunnit dött", "da": "borte død forsvundet", "no": "borte død forsvunnet",
}  # fmt: skip
"""… and what a clause ends with that says so of what it begins with."""
NOT_CHARACTERS = {"zh": "不没沒無无未", "zh-Hant": "不没沒無无未", "th": ""}
NOT_PREFIXES = {"cs": "ne", "sk": "ne"}
REACH = 3


def denied(tokens: Sequence[str], at: int, length: int, language: str) -> bool:
    """Whether the words around tokens[at : at + length], within the clause, deny it."""
    before = itertools.takewhile(lambda token: token[0].isalpha(), reversed(tokens[max(0, at - REACH) : at]))
    clause = list(itertools.takewhile(lambda token: token[0].isalpha(), tokens[at + length : at + length + REACH + 1]))
    after = [normal(token) for token in clause]
    if any(normal(token) in NOT.get(language, "").split() for token in before):
        return True
    later = tuple(NOT_AFTER.get(language, "").split())
    if later and any(token.startswith(later) if language == "ko" else token in later for token in after[:1]):
        return True
    return 0 < len(after) <= REACH and after[-1] in GONE.get(language, "").split()
