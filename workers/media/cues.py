"""From timed words to caption cues: where a cue begins and ends, and how its lines are broken.

The best of all divisions is found by dynamic programming over a cost: breaks cost least at sentence ends, then at
phrases and pauses, then before a word that opens one (``leaning``); lone short words, cues that flash by and ragged
lines cost most. Times are whole centiseconds throughout, which is what ASS can say, so that every format shows the same
times.
"""

from __future__ import annotations

import itertools
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from media.clusters import clusters, is_emoji
from media.leaning import CAPITAL_NOUNS, LEFT_OVER, TORN_OFF, Leaning, leaning, ordinal

PAUSE_CS = 70
"""A silence longer than this always ends the cue."""
JOIN_CS = 30
"""A cue whose successor comes sooner than this stays until then, or the screen would blink."""
ROUNDING = 1e-9
"""Running sums of widths, in ems, are off by less."""
SENTENCE_END, PHRASE_END, MID_PHRASE, WITHIN_WORD, TORN_MARK = 0.0, 0.25, 0.9, 3.0, 9.0
"""Costs of a break there; one cue more costs 1."""
CUE_BREAK, LINE_BREAK = 1.4, 0.8
"""How much they count for a cue and for a line that ends there: within a cue the eye only has to go down."""
_PHRASE_CS = 25  # a breath: as good a place to break as a comma

_SENTENCE = re.compile(r"[.!?…。！？؟।۔]+[\"'”’»)\]」』\s]*$")  # « Qui ? » has blanks, inside a word too
_CLAUSE = re.compile(r"[,;:،؛；：，、–—-]+[\"'”’»)\]」』\s]*$")
_ABBREVIATION = re.compile(r"^[\"'“‘«(]*(mr|mrs|ms|dr|st|prof|sr|jr|vs|bzw|tzv|např|mme|sra|(\w\.)*\w)\.$", re.I)
_ACRONYM = re.compile(r"(\w\.){2,}[\"'”’»)]*$")  # U.S.A. and p.m. end a sentence or not
# What may not begin a line (Japanese adds small kana and length marks), and what may not end one.
_CLOSING = re.compile(
    r"[,.!?…。！？、，；：」』）)\]”’»›%؟،؛;:〉》】〕々〻ゝゞーぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ]"
)
_OPENING = re.compile(r".*[“‘«‹(\[「『（〈《【〔¿¡„‚]$", re.S)
_ONLY_CLOSING = re.compile(rf"^[\W_]*{_CLOSING.pattern}+$")
_ONLY_OPENING = re.compile(r"^[“‘«‹(\[¿¡„‚]+$")
_IDEOGRAPHS = (
    "\u2e80-\u2fdf\u3000-\u30ff\u3100-\u312f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\ufe30-\ufe4f\uff00-\uff9f\U00020000-\U0003ffff"
)
_IDEOGRAPH = re.compile(f"[{_IDEOGRAPHS}]")
_UNSPACED = re.compile(f"[{_IDEOGRAPHS}\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")
_CUT_AFTER = "-–—/_.@&=\u200b\u00ad"
_CUT_BEFORE = "\u0e40\u0e41\u0e42\u0e43\u0e44"  # the vowels that Thai writes before a syllable
_KANJI_END, _KANA_START = re.compile(r"[\u3400-\u9fff々]$"), re.compile(r"[\u3041-\u3096]")


@dataclass(frozen=True)
class Limits:
    """What a cue may be. ``width`` of a line in ems of the face, None where nothing is drawn; times in centiseconds."""

    words_per_line: int
    chars_per_line: int
    lines: int
    min_cs: int
    max_cs: int
    width: float | None


@dataclass(frozen=True)
class Unit:
    """A word, or a piece of one longer than a line. ``width`` in ems; ``cells`` counts a wide character as two."""

    text: str
    word: int
    start: int
    end: int
    width: float
    cells: int
    glued: bool
    """Follows without a blank: Chinese and Japanese, which write none, and pieces of one word."""


@dataclass(frozen=True)
class Cue:
    """``lines`` of units on the screen from ``start`` to ``end``, in centiseconds."""

    start: int
    end: int
    lines: tuple[tuple[Unit, ...], ...]

    @property
    def units(self) -> tuple[Unit, ...]:
        return tuple(itertools.chain.from_iterable(self.lines))

    @property
    def texts(self) -> list[str]:
        return [line_text(line) for line in self.lines]

    @property
    def words_per_s(self) -> float:
        """Words a second while it is shown; two cells of a script without blanks count as half a word."""
        count = sum(unit.cells / 4 if _UNSPACED.search(unit.text) else 1.0 for unit in self.units)
        return 100 * count / (self.end - self.start)


def line_text(line: Sequence[Unit]) -> str:
    """The text of a line, its blanks where the script writes them."""
    return "".join(("" if number == 0 or unit.glued else " ") + unit.text for number, unit in enumerate(line))


def direction_mark(cues: list[Cue]) -> str:
    """U+200F or U+200E where the text is right-to-left or mixed: a line's own first letter must not turn its order."""
    kinds = [unicodedata.bidirectional(char) for cue in cues for unit in cue.units for char in unit.text]
    right, left = sum(kind in {"R", "AL"} for kind in kinds), kinds.count("L")
    return "" if not right else "\u200f" if right > left else "\u200e"


def cells(text: str) -> int:
    """Number of character cells: an emoji or a wide (CJK) character takes two, a combining mark or joiner none."""
    return sum(map(_cells, clusters(text)))


def _cells(cluster: str) -> int:
    if is_emoji(cluster):
        return 2
    drawn = [char for char in cluster if unicodedata.category(char) not in {"Mn", "Me", "Cf"}]
    return len(drawn) + sum(unicodedata.east_asian_width(char) in "WF" for char in drawn)


def units(words: Sequence[tuple[str, int, int]], limits: Limits, width: Callable[[str], float]) -> list[Unit]:
    """One unit per (text, start, end), in centiseconds; a word too long for a line becomes several that share its time.

    Starts are kept apart by a centisecond at least and ends before the next start, so that every word has its moment.
    Raises ValueError when a single character is wider than a line.
    """
    made: list[Unit] = []
    joined = _joined([text for text, _, _ in words])
    for number, (text, given, end) in enumerate(words):
        start = max(given, made[-1].start + 1) if made else given
        pieces = _pieces(text, limits, width)
        span = max(end - start, len(pieces))
        marks = [start + span * k // len(pieces) for k in range(len(pieces) + 1)]
        for k, piece in enumerate(pieces):
            glued = k > 0 or joined[number]
            made.append(Unit(piece, number, marks[k], marks[k + 1], width(piece), cells(piece), glued))
    ends = [unit.start for unit in made[1:]] + [made[-1].end] if made else []
    return [replace(unit, end=max(unit.start + 1, min(unit.end, end))) for unit, end in zip(made, ends, strict=True)]


def _joined(texts: Sequence[str]) -> list[bool]:
    """Whether each word follows the one before without a blank: between two Chinese or Japanese signs.

    Their own punctuation says so too. Quotes, which all scripts share, belong to the letters nearest to them. Thai,
    Lao, Khmer and Burmese write a blank between phrases: their words come as long as that, and the blank stays.
    """

    letters = [[char for char in text if not unicodedata.category(char).startswith("P")] for text in texts]
    befores, afters = [""] * len(texts), [""] * len(texts)
    for number in range(1, len(texts)):
        befores[number] = letters[number - 1][-1] if letters[number - 1] else befores[number - 1]
    for number in reversed(range(len(texts))):
        following = afters[number + 1] if number + 1 < len(texts) else ""
        afters[number] = letters[number][0] if letters[number] else following
    nearest = (_unspaced(before or after, after or before) for before, after in zip(befores, afters, strict=True))
    return [n > 0 and (close or _unspaced(texts[n - 1][-1], texts[n][0])) for n, close in enumerate(nearest)]


def _unspaced(before: str, after: str) -> bool:
    return bool(_IDEOGRAPH.match(before) and _IDEOGRAPH.match(after))


def build(
    parts: Sequence[Unit],
    limits: Limits,
    blank: float,
    last_cs: int | None = None,
    check: Callable[[], None] = lambda: None,
    language: str = "en",
) -> list[Cue]:
    """Divide the units into cues. ``blank`` is the width of a space in ems, ``last_cs`` the end of the film.

    ``check`` is called again and again and may raise to end the work. ``language`` says which words lean on others.
    """
    count, sizes, breaks = len(parts), _Sizes(parts, limits, blank), break_costs(parts, language)
    best: list[tuple[float, int, tuple[int, ...]]] = [(0.0, 0, ()), *[(math.inf, 0, ())] * count]
    for first in range(count):
        check()
        for stop, ragged, starts in _layouts(parts, first, sizes, breaks, limits.lines):
            if stop > first + 1 and not _together(parts, first, stop, limits):
                break
            room = _room(parts, stop, last_cs)
            cost = best[first][0] + ragged + _cue_cost(parts, first, stop, breaks, room, limits)
            if cost < best[stop][0]:
                best[stop] = (cost, first, starts)
    cues: list[Cue] = []
    stop = count
    while stop:
        _, first, starts = best[stop]
        lines = tuple(tuple(parts[a:b]) for a, b in itertools.pairwise((*starts, stop)))
        start, end = parts[first].start, _end(parts, first, stop, _room(parts, stop, last_cs), limits)
        cues.append(Cue(start, end, lines))
        stop = first
    return cues[::-1]


def _together(parts: Sequence[Unit], first: int, stop: int, limits: Limits) -> bool:
    """Whether the last unit may share the cue: not after a long pause, nor when it gets too long."""
    pause = parts[stop - 1].start - parts[stop - 2].end
    return pause <= PAUSE_CS and parts[stop - 1].end - parts[first].start <= limits.max_cs


def _room(parts: Sequence[Unit], stop: int, last_cs: int | None) -> int | None:
    """When the cue must be gone at the latest; None: whenever."""
    return parts[stop].start if stop < len(parts) else last_cs


def _end(parts: Sequence[Unit], first: int, stop: int, room: int | None, limits: Limits) -> int:
    start, spoken = parts[first].start, parts[stop - 1].end
    end = max(spoken, start + limits.min_cs)
    if room is not None:
        end = max(spoken, min(end, room))
        if stop < len(parts) and room - end <= JOIN_CS:
            end = room
    return max(start + 1, min(end, start + limits.max_cs))


def _cue_cost(
    parts: Sequence[Unit], first: int, stop: int, breaks: Sequence[float], room: int | None, limits: Limits
) -> float:
    last, shown = parts[stop - 1], _end(parts, first, stop, room, limits) - parts[first].start
    cost = 1.0 + CUE_BREAK * breaks[stop]  # fewer cues are calmer
    for k in range(first + 1, stop):
        cost += 1.6 if breaks[k] == SENTENCE_END else 0.0
        cost += 0.5 if parts[k].start - parts[k - 1].end > _PHRASE_CS else 0.0
    if shown < limits.min_cs:
        cost += 1.0 + 3.0 * (limits.min_cs - shown) / limits.min_cs
    if stop == first + 1 and last.cells <= 4 and not (breaks[stop] == SENTENCE_END and shown >= limits.min_cs):
        cost += 1.5
    room_for = limits.lines * limits.chars_per_line if limits.width is None else limits.lines * limits.width
    filled = sum(unit.cells if limits.width is None else unit.width for unit in parts[first:stop]) / room_for
    return cost + 0.8 * max(0.0, 1 - filled) ** 2  # squared: two even cues rather than a full one and a crumb


def break_costs(parts: Sequence[Unit], language: str) -> list[float]:
    """What it costs to end a line or a cue before each unit, and after the last."""
    words = leaning(language)
    # a writer without capitals says nothing by beginning a word small
    cased = any(unit.text != unit.text.lower() for unit in parts)
    names = language.lower().split("-")[0] not in CAPITAL_NOUNS
    bare = [_bare(unit.text) for unit in parts]
    # Chinese writes no blanks between words, but two signs that meet again and again are one.
    met = Counter(pair for pair in itertools.pairwise(bare))
    costs = [SENTENCE_END]
    for (unit, following), pair in zip(itertools.pairwise(parts), itertools.pairwise(bare), strict=True):
        cost = _break_cost(unit, following, language, words, cased)
        if MID_PHRASE <= cost < WITHIN_WORD:
            torn = words.after(pair[0]) + words.between(*pair)
            cost += torn or words.before(pair[1])
            if following.glued:
                okurigana = bool(_KANJI_END.search(pair[0]) and _KANA_START.match(pair[1]))
                cost += 0.5 * (pair[0] == pair[1] or met[pair] > 1) + 0.5 * okurigana
            elif unit.text.rstrip(".")[-1:].isdigit() or _ABBREVIATION.match(unit.text):
                cost += TORN_OFF  # 300 | metres, Mr. | Fox
            elif names and unit.text[:1].isupper() and following.text[:1].isupper():
                cost += LEFT_OVER  # Marta | Novak
        costs.append(cost)
    return [*costs, SENTENCE_END]


def _bare(text: str) -> str:
    """A word without the punctuation around it."""
    kept = [k for k, char in enumerate(text) if not unicodedata.category(char).startswith("P")]
    return text[kept[0] : kept[-1] + 1].casefold() if kept else ""


def _break_cost(unit: Unit, following: Unit, language: str, words: Leaning, cased: bool) -> float:
    """By marks, pauses and capitals alone; ``cased`` where sentences begin with one."""
    if following.word == unit.word:
        return WITHIN_WORD
    # Between blanks a mark alone: at a word, “ opens in one country and closes in another.
    closing, opening = (_CLOSING, _OPENING) if following.glued else (_ONLY_CLOSING, _ONLY_OPENING)
    if closing.match(following.text) or opening.match(unit.text):
        return TORN_MARK
    if _ends_sentence(unit.text) and not ordinal(unit.text, following.text, language):
        # "Is he hurt?" | asked the doctor: the sentence goes on
        return PHRASE_END if cased and _letters(following.text)[:1].islower() else SENTENCE_END
    if _ACRONYM.search(unit.text) and _begins_sentence(following.text, words):
        return SENTENCE_END
    if _CLAUSE.search(unit.text) or following.start - unit.end >= _PHRASE_CS:
        return PHRASE_END
    return MID_PHRASE


def _begins_sentence(text: str, words: Leaning) -> bool:
    """Whether a capital stands where only a sentence's first word has one: It, Then, She."""
    letters = _letters(text)
    return letters[:1].isupper() and letters.casefold() in words.forward | words.loose | words.openers


def _letters(text: str) -> str:
    return "".join(filter(str.isalpha, text))


def _ends_sentence(text: str) -> bool:
    return bool(_SENTENCE.search(text)) and not _ABBREVIATION.match(text)


def _layouts(
    parts: Sequence[Unit], first: int, sizes: _Sizes, breaks: Sequence[float], most_lines: int
) -> Iterator[tuple[int, float, tuple[int, ...]]]:
    """(stop, cost, where each line starts) of the fewest lines that hold the units up to each stop, while any do.

    For each number of lines the best way to each stop comes from the best ways to where its last line may start.
    Lines of even length cost least: the sum of the squares is then the smallest.
    """
    rows: list[dict[int, tuple[float, float, tuple[int, ...]]]] = [{first: (0.0, 0.0, ())}]
    rows += [{} for _ in range(most_lines)]
    for stop in range(first + 1, len(parts) + 1):
        for start in range(stop - 1, first - 1, -1):
            full = sizes.fullness(start, stop)
            if full > 1:
                break
            price = 2 * full**2 + (0.5 if stop == start + 1 and parts[start].cells <= 4 else 0.0)
            price += LINE_BREAK * breaks[start] if start > first else 0.0
            for before, row in itertools.pairwise(rows):
                if start in before:
                    cost, filled, starts = before[start]
                    if stop not in row or cost + price < row[stop][0]:
                        row[stop] = (cost + price, filled + full, (*starts, start))
        number = next((number for number, row in enumerate(rows) if number and stop in row), 0)
        if not number:
            return
        cost, filled, starts = rows[number][stop]
        yield stop, 0.0 if number == 1 else cost - 2 * filled**2 / number, starts


class _Sizes:
    """How full any line would be, from running sums."""

    def __init__(self, parts: Sequence[Unit], limits: Limits, blank: float) -> None:
        self._limits, self._blank = limits, blank
        self._blanks = [0, *itertools.accumulate(int(not unit.glued) for unit in parts)]
        self._cells = [0, *itertools.accumulate(unit.cells for unit in parts)]
        self._widths = [0.0, *itertools.accumulate(unit.width for unit in parts)]

    def fullness(self, start: int, stop: int) -> float:
        """Of the line of these units, by the tightest of its limits: at most 1 when it fits."""
        limits = self._limits
        blanks = self._blanks[stop] - self._blanks[start + 1]
        characters = self._cells[stop] - self._cells[start] + blanks
        full = max((blanks + 1) / limits.words_per_line, characters / limits.chars_per_line)
        if limits.width is None:
            return full
        return max(full, (self._widths[stop] - self._widths[start] + blanks * self._blank - ROUNDING) / limits.width)


def _pieces(text: str, limits: Limits, width: Callable[[str], float]) -> list[str]:
    """The text itself where it fits a line, else the fewest even pieces that do, cut between whole characters.

    No hyphen is added: what is shown is the story's text. A cut moves a little to stand after a hyphen or a slash, or
    where a Thai syllable surely begins.
    """

    def fits(piece: str) -> bool:
        return cells(piece) <= limits.chars_per_line and (limits.width is None or width(piece) <= limits.width)

    if fits(text):
        return [text]
    for whole in (_unbroken(text), clusters(text), _apart(text)):
        good = [k for k in range(1, len(whole)) if whole[k - 1][-1] in _CUT_AFTER or whole[k][0] in _CUT_BEFORE]
        least = max(cells(text) / limits.chars_per_line, width(text) / limits.width if limits.width else 0.0)
        for count in range(max(2, math.ceil(least)), len(whole) + 1):
            for marks in _marks(len(whole), count, good):
                pieces = ["".join(whole[a:b]) for a, b in itertools.pairwise(marks)]
                if all(map(fits, pieces)):
                    return pieces
    raise ValueError(f"{max(clusters(text), key=lambda one: (width(one), cells(one)))!r} alone is wider than a line")


def _apart(text: str) -> list[str]:
    """The clusters, those wider than any one character (Thai vowels in a row that belong to no letter) in pieces."""
    return [piece for cluster in clusters(text) for piece in (cluster if cells(cluster) > 2 else [cluster])]


def _marks(length: int, count: int, good: Sequence[int]) -> Iterator[list[int]]:
    """Where to cut into ``count`` pieces: evenly but for good places near by, then evenly."""
    even = [length * k // count for k in range(count + 1)]
    reach = length / count / 3
    moved = []
    for mark in even[1:-1]:
        distance, near = min(((abs(k - mark), k) for k in good), default=(length, mark))
        moved.append(near if distance <= reach else mark)
    yield [0, *moved, length]
    yield even


def _unbroken(text: str) -> list[str]:
    """The clusters of a word, commas and quotes with the letter they stand at: better not cut apart."""
    found: list[str] = []
    for cluster in clusters(text):
        if (found and _CLOSING.match(cluster)) or (found and _OPENING.match(found[-1]) and not _OPENING.match(cluster)):
            found[-1] += cluster
        else:
            found.append(cluster)
    return found
