"""What is said for what is written: a synthesizer that takes "Dr." for the end of a sentence is given "Doctor".

The words of the result stay those of the text, so every character of a reading knows the place it stands for.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import accumulate

Say = Callable[[re.Match[str]], str]
Rule = tuple[re.Pattern[str], Say]

_CAPITAL = r"(?=[ \u00a0][\"“«„']?[^\W\d_a-zß-öø-ÿ])"  # a capital follows, or a script without them
_NUMBER = r"(?=[ \u00a0]?\d)"
_ABBREVIATIONS: dict[str, dict[str, str]] = {
    "en": {
        rf"Dr\.{_CAPITAL}": "Doctor", r"Mr\.": "Mister", r"Mrs\.": "Missus", rf"Prof\.{_CAPITAL}": "Professor",
        rf"Capt\.{_CAPITAL}": "Captain", rf"Lt\.{_CAPITAL}": "Lieutenant",
        rf"Col\.{_CAPITAL}": "Colonel", rf"Gen\.{_CAPITAL}": "General", rf"Sgt\.{_CAPITAL}": "Sergeant",
        rf"Rev\.{_CAPITAL}": "Reverend", rf"Mt\.{_CAPITAL}": "Mount", r"Jr\.(?=,? [a-z])": "Junior",
        r"Sr\.(?=,? [a-z])": "Senior", r"vs\.": "versus", r"[Ee]\. ?g\.": "for example", r"i\. ?e\.": "that is",
        r"[Aa]pprox\.": "approximately", rf"No\.{_NUMBER}": "number",
    },
    "de": {
        r"z\.\s?B\.": "zum Beispiel", r"d\.\s?h\.": "das heißt", r"u\.\s?a\.": "unter anderem",
        r"bzw\.": "beziehungsweise", r"usw\.(?= [a-zäöü])": "und so weiter", rf"Dr\.{_CAPITAL}": "Doktor",
        rf"Prof\.{_CAPITAL}": "Professor", rf"Hr\.{_CAPITAL}": "Herr", rf"Fr\.{_CAPITAL}": "Frau",
        rf"St\.{_CAPITAL}": "Sankt", rf"Nr\.{_NUMBER}": "Nummer", r"ca\.": "zirka", r"(\d\d?):(\d\d) Uhr": r"\1 Uhr \2",
    },
    "cs": {
        r"např\.": "například", r"tj\.": "to jest", r"tzn\.": "to znamená", r"tzv\.": "takzvaný",
        r"atd\.(?= [^\W\d_A-Z])": "a tak dále", rf"(?:MU|JU|Ph)?Dr\.{_CAPITAL}": "doktor",
        rf"Ing\.{_CAPITAL}": "inženýr", rf"p\.{_CAPITAL}": "pan", rf"sv\.{_CAPITAL}": "svatý",
        rf"č\.{_NUMBER}": "číslo", rf"str\.{_NUMBER}": "strana", rf"(?<=[vV] )r\.{_NUMBER}": "roce",
        rf"r\.{_NUMBER}": "roku", r"(?<=\d )Kč": "korun",
    },
    "fr": {
        rf"M\.{_CAPITAL}": "monsieur", rf"MM\.{_CAPITAL}": "messieurs", rf"Mme\.{_CAPITAL}": "madame",
        rf"Mlle\.{_CAPITAL}": "mademoiselle", rf"Dr\.{_CAPITAL}": "docteur", rf"St\.{_CAPITAL}": "Saint",
        r"c\.-à-d\.": "c’est-à-dire", r"p\.\s?ex\.": "par exemple", r"av\. J\.-C\.": "avant Jésus-Christ",
        r"apr\. J\.-C\.": "après Jésus-Christ", r"(\d\d?)\s?h\s?(\d\d)": r"\1 heures \2",
    },
    "es": {
        rf"Sr\.{_CAPITAL}": "señor", rf"Sra\.{_CAPITAL}": "señora", rf"Dr\.{_CAPITAL}": "doctor",
        rf"Dra\.{_CAPITAL}": "doctora", r"Uds\.": "ustedes", r"Ud\.": "usted", r"p\.\s?ej\.": "por ejemplo",
    },
    "ar": {r"د\.(?= )": "دكتور"},
}  # fmt: skip
"""Pattern of what is written -> what is said. Where a full stop may end a sentence too, what follows rules it out."""

_MONTHS = {
    "cs": "ledna|února|března|dubna|května|června|července|srpna|září|října|listopadu|prosince",
    "de": "Januar|Jänner|Februar|März|April|Mai|Juni|Juli|August|September|Oktober|November|Dezember",
}
_CZECH_DAYS = [
    "nultého", "prvního", "druhého", "třetího", "čtvrtého", "pátého", "šestého", "sedmého", "osmého", "devátého",
    "desátého", "jedenáctého", "dvanáctého", "třináctého", "čtrnáctého", "patnáctého", "šestnáctého", "sedmnáctého",
    "osmnáctého", "devatenáctého",
]  # fmt: skip
_GERMAN_DAYS = [
    "nullte", "erste", "zweite", "dritte", "vierte", "fünfte", "sechste", "siebte", "achte", "neunte", "zehnte",
    "elfte", "zwölfte", "dreizehnte", "vierzehnte", "fünfzehnte", "sechzehnte", "siebzehnte", "achtzehnte",
    "neunzehnte",
]  # fmt: skip
_GERMAN_UNITS = [
    "",
    *(f"{unit}und" for unit in ("ein", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun")),
]
_YEAR = re.compile(r"(?<![\w.,:/$£€-])(1[1-9])(\d\d)(?![\w%°]|[.,:/-]\d|[ \u00a0]\d)")
_MONEY = re.compile(r"([$£€])(\d{1,3}(?:,\d{3})+|\d+)(?:\.(\d\d))?(?![\d.,]*\d)( (?:thousand|million|billion))?\b")
_COINS = {"$": ("dollar", "cent", "cents"), "£": ("pound", "penny", "pence"), "€": ("euro", "cent", "cents")}
_DATE = re.compile(r"(?<![\w/.])(\d{1,2})/(\d{1,2})/(\d{4})(?![\w/])")
_FRACTION = re.compile(r"(?<![\w/.,])([1-3])/([234])(?![\w/]|[.,]\d)")
_FRACTIONS = {
    "en": {"1/2": "one half", "1/3": "one third", "2/3": "two thirds", "1/4": "one quarter", "3/4": "three quarters"},
    "de": {"1/2": "ein halb", "1/3": "ein Drittel", "2/3": "zwei Drittel", "1/4": "ein Viertel", "3/4": "drei Viertel"},
    "fr": {"1/2": "un demi", "1/3": "un tiers", "2/3": "deux tiers", "1/4": "un quart", "3/4": "trois quarts"},
    "cs": {"1/2": "jedna polovina", "1/3": "jedna třetina", "2/3": "dvě třetiny", "1/4": "jedna čtvrtina",
           "3/4": "tři čtvrtiny"},
    "es": {"1/2": "un medio", "1/3": "un tercio", "2/3": "dos tercios", "1/4": "un cuarto", "3/4": "tres cuartos"},
    "it": {"1/2": "un mezzo", "1/3": "un terzo", "2/3": "due terzi", "1/4": "un quarto", "3/4": "tre quarti"},
}  # fmt: skip
_SAINT = re.compile(rf"(?<!\w)([A-Z]\w* )?St\.{_CAPITAL}")  # behind a capital it is a street
_INITIAL = re.compile(rf"(?<!\w)(?!I\.)([^\W\d_a-z])\.{_CAPITAL}")


@dataclass(frozen=True)
class Reading:
    """The ``text`` to speak. Its characters from ``starts[i]`` on stand for those of the original from ``origins[i]``.

    A stretch that is not ``literal`` was replaced: all of it stands for its first character.
    """

    text: str
    starts: tuple[int, ...]
    origins: tuple[int, ...]
    literal: tuple[bool, ...]

    def place(self, position: int) -> int:
        """Where in the original stands what is said at ``position`` of the reading."""
        stretch = bisect_right(self.starts, position) - 1
        return self.origins[stretch] + (position - self.starts[stretch] if self.literal[stretch] else 0)


def reading(text: str, language: str) -> Reading:
    """The text as a reader says it; ``language`` is the voice's primary tag, such as en.

    >>> reading("Mr. Hill left at 5.", "en").text
    'Mister Hill left at 5.'
    """
    pieces: list[tuple[str, int, bool]] = []
    done = 0
    for start, end, said in sorted(_replacements(text, language)):
        pieces += [(text[done:start], done, True), *_word_by_word(text, start, end, said)]
        done = end
    pieces.append((text[done:], done, True))
    pieces = [piece for piece in pieces if piece[0]] or [(text, 0, True)]
    lengths = accumulate(len(part) for part, _, _ in pieces)
    starts = (0, *lengths)[:-1]
    return Reading(
        "".join(part for part, _, _ in pieces),
        tuple(starts),
        tuple(place for _, place, _ in pieces),
        tuple(literal for _, _, literal in pieces),
    )


def _replacements(text: str, language: str) -> list[tuple[int, int, str]]:
    """(start, end, what is said), none overlapping: an earlier rule wins."""
    found: list[tuple[int, int, str]] = []
    for pattern, say in _rules(language):
        for match in pattern.finditer(text):
            start, end = match.span()
            if all(end <= other or start >= other_end for other, other_end, _ in found):
                found.append((start, end, say(match)))
    return found


def _word_by_word(text: str, start: int, end: int, said: str) -> Iterator[tuple[str, int, bool]]:
    """The words said for a stretch, each standing for the word at its place, those left over for the last one."""
    written = [start + word.start() for word in re.finditer(r"\S+", text[start:end])]
    for number, word in enumerate(re.findall(r"\S+\s*", said)):
        yield word, written[min(number, len(written) - 1)], False


@cache
def _rules(language: str) -> tuple[Rule, ...]:
    # which number is the month, no one can tell: the numbers are said, and no "slash"
    rules: list[Rule] = [(_DATE, lambda match: " ".join((match[1], match[2], _year_said(match[3], language))))]
    if language in _FRACTIONS:
        rules.append((_FRACTION, lambda match: _FRACTIONS[language].get(match[0], match[0])))
    if language == "en":
        rules += [(_MONEY, _money), (_YEAR, _english_year), (_SAINT, lambda match: match[0] if match[1] else "Saint")]
    if language == "de":
        rules += [(_YEAR, _german_year)]
    if language in _MONTHS:
        date = rf"(?<![\d.,])([12]?\d|3[01])\.(?=[ \u00a0](?:{_MONTHS[language]})\b)"
        rules.append((re.compile(date), _czech_day if language == "cs" else _german_day))
    for written, said in _ABBREVIATIONS.get(language, {}).items():
        rules.append((re.compile(rf"(?<!\w){written}(?!\w)"), lambda match, said=said: match.expand(said)))  # type: ignore[misc]
    return (*rules, (_INITIAL, lambda match: match[1]))


def _year_said(year: str, language: str) -> str:
    rules = {"en": _english_year, "de": _german_year}
    found = _YEAR.fullmatch(year)
    return rules[language](found) if found and language in rules else year


def _money(match: re.Match[str]) -> str:
    whole, cents, scale = match[2], match[3], match[4] or ""
    coin, one, many = _COINS[match[1]]
    coins = f"{whole}{scale} {coin}" if whole == "1" and not scale else f"{whole}{scale} {coin}s"
    if cents is None or cents == "00":
        return coins
    return f"{coins} and {int(cents)} {one if int(cents) == 1 else many}"


def _english_year(match: re.Match[str]) -> str:
    """1812 as 18 12, 1905 as 19 oh 5, 1900 as 19 hundred."""
    century, year = match[1], int(match[2])
    return f"{century} {'hundred' if year == 0 else f'oh {year}' if year < 10 else year}"


def _german_year(match: re.Match[str]) -> str:
    return f"{match[1]}hundert {int(match[2]) or ''}".strip()


def _czech_day(match: re.Match[str]) -> str:
    """The genitive that Czech dates take: 28. října is dvacátého osmého října."""
    tens, unit = divmod(int(match[1]), 10)
    if tens < 2:
        return _CZECH_DAYS[int(match[1])]
    return f"{'dvacátého' if tens == 2 else 'třicátého'} {_CZECH_DAYS[unit] if unit else ''}".strip()


def _german_day(match: re.Match[str]) -> str:
    """der erste Januar; am, vom, zum ersten Januar."""
    tens, unit = divmod(int(match[1]), 10)
    ten = _GERMAN_UNITS[unit] + ("zwanzigste" if tens == 2 else "dreißigste")
    said = _GERMAN_DAYS[int(match[1])] if tens < 2 else ten
    return said if match.string[: match.start()].lower().endswith("der ") else f"{said}n"
