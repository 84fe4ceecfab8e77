"""Which camera move suits a shot: by the motion words of its text, else in turn; never as the shot before.

The moves are those of ``video_generation animate``. What the words are is a table, read without any grammar: a word
ending in ``*`` stands for all that begin so, accents do not count, and a blank joins words of a phrase.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import chain, cycle
from typing import Any

STRENGTH_PER_S = 0.12
"""A longer shot may move further, a short one must not hurry: this pace is 2.4 % of the picture a second."""
REST_PACE = 0.4
"""Share of that pace where the text is at rest."""
LONGEST_HOLD_S = 4.0
"""A picture without any motion for longer looks like a fault."""
SHOTS_BETWEEN_HOLDS = 5
TURNS = ("pan_right", "zoom_out", "pan_left", "zoom_in", "pan_up", "orbit", "pan_down", "zoom_in")
"""Where the text names no motion."""
OPENING, CLOSING = "zoom_in", "zoom_out"
MOVES = {
    "up": "pan_up",
    "down": "pan_down",
    "closer": "zoom_in",
    "wider": "zoom_out",
    "around": "orbit",
    "rest": "hold",
}
"""Besides them there is ``along``, which goes right and left in turn."""

WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "up": "fly, flies, flew, flown, flying, rises, rising, rose, climb*, soar*, lift*, jump*, leap*, looked up, "
        "upward*, up to, up into, took off, sunrise, grew",
        "down": "fall, falls, fell, fallen, falling, drop*, sank, sinks, sinking, down, downward*, far down, descend*, "
        "dived, diving, landed, lands, below, beneath, poured",
        "closer": "closer, nearer, came near, came up to, approach*, look* in, look* into, look* at, peer*, stared, "
        "gazed, saw, sees, noticed, spotted, whisper*, listen*, leaned",
        "wider": "far, away, distant, distance, horizon, left, leaving, world, kingdom, everywhere, sky opened, "
        "all around, once upon a time, farewell, goodbye",
        "along": "walk*, ran, run, runs, running, sail*, cross*, road, along, rode, riding, travel*, wander*, march*, "
        "chase*, follow*, hurried, raced, rushed, flow*, path, hop*, back and forth, journey*, swam, swimming, went",
        "around": "turn*, circl*, danc*, whirl*, spin, spins, spun, spinning, twirl*, swirl*, roll*, around, round and",
        "rest": "sleep*, slept, asleep, fell asleep, silen*, quiet*, wait*, stood, still, motionless, rested, dream*, "
        "calm*, sat",
    },
    "cs": {
        "up": "vzlét*, vylét*, letěl*, letí, stoup*, vystoup*, šplh*, vyšplh*, vyskoč*, skoč*, skákal*, vzhůru, "
        "nahoru, vstal*, zvedl*, rostl*, roste, vyrostl*, vyšlo slunce",
        "down": "padal*, padá, padají, spad*, upad*, kles*, dolů, slét*, sestoup*, potop*, ponořil*, snášel*, pršelo, "
        "pršel*, prší, pod",
        "closer": "blíž*, přibliž*, přišel, přišl*, přicház*, uviděl*, viděl*, vidí, spatřil*, podíval*, díval*, "
        "nahlédl*, zahlédl*, pohlédl*, všiml*, naslouchal*, poslouchal*, šept*, zašept*, naklonil*",
        "wider": "daleko, dálka, dálce, dálky, vzdálen*, odešel, odešl*, odjel*, odletěl*, svět, světa, světě, obzor*, "
        "krajin*, království, nebe, obloha, obloze, oblohu, všude",
        "along": "šel, šla, šlo, šli, šly, jde, chodil*, kráčel*, běžel*, běhal*, běží, utíkal*, přiběhl*, plul*, "
        "plaval*, jel, jela, jeli, cest*, putoval*, procház*, přešel, přešl*, podél, hnal*, táhl*, spěchal*",
        "around": "otočil*, točil*, otáč*, krouž*, tanč*, tancoval*, vířil*, kolem, dokola, kutálel*",
        "rest": "spal*, spí, usnul*, ticho, tiše, čekal*, čeká, stál, stála, stálo, stáli, seděl*, nehnul*, "
        "odpočíval*, mlčel*, snil*",
    },
    "de": {
        "up": "flog, flogen, fliegt, fliegen, stieg*, steig*, kletter*, empor, hinauf, herauf, hoch, erhob*, sprang*, "
        "springt, wuchs*, wächst, aufging, sonnenaufgang",
        "down": "fiel, fielen, fällt, fallen, gefallen, sank, sanken, sinkt, stürz*, hinab, herab, hinunter, herunter, "
        "nieder, tropf*, tauchte*, landete*, unten",
        "closer": "näher*, kam, kamen, sah, sahen, sieht, erblickt*, schaut*, blickt*, entdeckt*, begegnet*, flüster*, "
        "lausch*, beugt*",
        "wider": "weit, fern*, welt, fort, verließ*, horizont, hinaus, königreich, himmel, überall, davon, es war "
        "einmal",
        "along": "ging, gingen, geht, ging weiter, lief, liefen, läuft, rannt*, wander*, ritt, ritten, fuhr*, segel*, "
        "schwamm*, straße, pfad, entlang, überquer*, zog, zogen, eilt*, reist*, folgt*",
        "around": "dreht*, kreist*, tanz*, wirbel*, ringsum, umher, herum, rollt*",
        "rest": "schlief*, schläft, eingeschlafen, still, stille, schwieg*, wartet*, stand, standen, saß, saßen, "
        "ruht*, träumt*",
    },
    "fr": {
        "up": "vola, volait, volaient, vole, volent, envol*, monta, montait, montaient, monte, montent, monter, "
        "grimp*, élev*, leva, lève, haut, là-haut, bondi*, saut*, jailli*, grandi*",
        "down": "tomb*, descend*, chut*, coul*, plonge*, sombr*, en bas, tout en bas, pleuvait, pleut, atterri*",
        "closer": "approch*, vit, virent, voit, aperç*, regard*, observ*, pencha, penche, entendit, écout*, murmur*, "
        "chuchot*, découvr*, plus près",
        "wider": "loin, lointain*, horizon, monde, partit, partirent, quitt*, éloign*, recul*, au bout, royaume, ciel, "
        "partout, il était une fois",
        "along": "marcha, marchait, marchaient, marcher, marchant, courut, courait, coururent, court, courir, "
        "travers*, navig*, chemin*, route, longe*, voyag*, suivit, suit, suivait, gliss*, nage*, nagea*, avanç*, "
        "à la rame",
        "around": "tourn*, danse, dansa, dansait, dansaient, dansent, danser, tourbillon*, virevolt*, autour, roul*",
        "rest": "dormi*, dormai*, dort, dorment, endorm*, silence, silencieu*, attend*, immobile*, calme*, ferma les "
        "yeux, repos*, rêv*, tranquille*",
    },
    "es": {
        "up": "voló, volaba, volaban, volaron, vuela, vuelan, volando, subi*, sube, suben, trep*, alz*, elev*, salt*, "
        "arriba, levant*, creci*, amanec*",
        "down": "cae, caen, cayó, cayeron, cayendo, caía*, bajó, baja, bajaba*, bajaron, hund*, descend*, abajo, "
        "zambull*, aterriz*, llovía, llueve",
        "closer": "acerc*, vio, vieron, ve, miró, mira, miraba, miraron, observ*, asom*, descubri*, escuch*, oyó, "
        "susurr*, inclin*",
        "wider": "lejos, lejan*, horizonte, mundo, se fue, se fueron, se marchó, alej*, reino, partió, cielo, "
        "por todas partes, érase una vez, había una vez",
        "along": "camin*, corrió, corre, corren, corría*, corrieron, naveg*, cruz*, atraves*, viaj*, sendero, "
        "carretera, a lo largo, siguió, siguieron, anduv*, andaba*, pase*, nadó, nadaba*",
        "around": "gir*, vueltas, bail*, danz*, remolin*, alrededor, rodó, rodaba*",
        "rest": "dorm*, durm*, duerm*, silenci*, esper*, quiet*, inmóvil*, calma, descans*, soñ*, tranquil*",
    },
    "zh": {
        "up": "飞, 升, 爬, 跳, 抬起, 抬头, 上去, 长大, 站起",
        "down": "掉, 落, 坠, 沉, 降, 下雨, 下雪, 下来, 低头, 滴, 倒下",
        "closer": "走近, 靠近, 来到, 看, 望着, 凑, 发现, 听见, 听到, 闻到",
        "wider": "远, 天空, 世界, 大海, 离开, 千里, 天边, 满天, 到处",
        "along": "走, 跑, 游, 过河, 沿着, 路上, 飘过, 飞过, 穿过, 赶, 骑, 航行",
        "around": "转, 绕, 旋, 舞, 滚",
        "rest": "睡, 静, 等, 坐, 站, 住着, 沉默, 停, 休息, 梦",
    },
    "ar": {
        "up": "طار*, يطير, تطير, صعد*, يصعد, تصعد, ارتفع*, تسلق*, قفز*, يقفز, نهض*, شروق, فوق",
        "down": "سقط*, يسقط, تسقط, هبط*, نزل*, ينزل, وقع*, غرق*, أسفل, المطر",
        "closer": "اقترب*, يقترب, جاء*, نظر*, ينظر, رأى, رأت, شاهد*, سمع*, وجد*, همس*",
        "wider": "بعيد*, ابتعد*, ذهب*, يذهب, غادر*, رحل*, ترك*, السماء, العالم, الأفق, كان يا ما كان",
        "along": "مشى, يمشي, سار*, يسير, جرى, يجري, ركض*, يركض, عبر*, الطريق, سافر*, أبحر*, مسرع*, سبح*",
        "around": "دارت, يدور, تدور, رقص*, يرقص, حول, التف*",
        "rest": "نام*, ينام, تنام, صمت*, هدوء, انتظر*, ينتظر, جلس*, وقف*, هادئ*",
    },
}
UNSPACED = frozenset({"zh"})
"""Languages written without blanks: a word counts wherever it stands."""
PROCLITICS = {"ar": "[وف]?"}
"""One-letter words written together with the next: Arabic "and"."""


def motions(texts: Sequence[str], seconds: Sequence[float], language: str) -> list[dict[str, Any]]:
    """{kind, strength} for each shot, from its text and its length.

    The first shot moves in, the last out, so that the film opens and settles. Hold is rare and short.
    """
    found: list[dict[str, Any]] = []
    turns, side, held, last = cycle(TURNS), "pan_right", -SHOTS_BETWEEN_HOLDS, len(texts) - 1
    for number, (text, length) in enumerate(zip(texts, seconds, strict=True)):
        pace = STRENGTH_PER_S
        named = named_motions(text, language) if 0 < number < last else []
        wanted = [side if name == "along" else MOVES[name] for name in named]
        if wanted[:1] == ["hold"]:
            pace *= REST_PACE
            wanted = ["zoom_in", "zoom_out", "orbit"]
            if length <= LONGEST_HOLD_S and number - held > SHOTS_BETWEEN_HOLDS:
                wanted, held = ["hold"], number
        elif number in {0, last}:
            wanted = [CLOSING if number == last else OPENING]
        neighbours = {found[-1]["kind"]} if found else set()
        if number == last - 1:
            neighbours.add(CLOSING)
        kind = next(move for move in chain(wanted, turns) if move not in neighbours)
        side = {"pan_right": "pan_left", "pan_left": "pan_right"}.get(kind, side)
        found.append({"kind": kind, "strength": round(min(1.0, length * pace), 2)})
    return found


def named_motions(text: str, language: str) -> list[str]:
    """The kinds of motion that the text's words tell of: the most frequent first, then the earliest.

    Rest is only told where nothing moves.

    >>> named_motions("The stone fell, and down went the crow after it.", "en")
    ['down', 'along']
    """
    code = language.split("-")[0].lower()
    if code not in WORDS:
        return []
    pattern, kinds = _table(code)
    counts = Counter(kinds[(match.lastindex or 1) - 1] for match in pattern.finditer(_plain(text)))
    named = sorted(counts, key=lambda kind: -counts[kind])  # stable: the earliest of equals first
    return [kind for kind in named if kind != "rest"] or named


@cache
def _table(language: str) -> tuple[re.Pattern[str], list[str]]:
    """One pattern with a group a word, the longest first so that a phrase beats its words, and each group's kind."""
    rows = [(_plain(word.strip()), kind) for kind, words in WORDS[language].items() for word in words.split(",")]
    rows.sort(key=lambda row: -len(row[0]))
    words = (re.escape(word).replace(r"\*", r"\w*").replace(r"\ ", r"\W+") for word, _ in rows)
    groups = "|".join(f"({word})" for word in words)
    if language not in UNSPACED:
        groups = rf"\b{PROCLITICS.get(language, '')}(?:{groups})\b"
    return re.compile(groups), [kind for _, kind in rows]


def _plain(text: str) -> str:
    """Small letters without accents, vowel marks and the like."""
    return "".join(c for c in unicodedata.normalize("NFD", text.casefold()) if unicodedata.category(c) != "Mn")
