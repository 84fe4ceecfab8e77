"""Words that lean on a neighbour: where a caption may be broken, and where a reader would stumble.

Closed classes only (articles, prepositions, conjunctions, pronouns): a few dozen words a language hold a quarter of any
text. A language without a row is broken by punctuation, pauses and length alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

LEFT_OVER, TORN_OFF = 0.9, 2.6
"""Costs of a line that ends in a word which belongs to the next one, less and more closely: the latter is more than
what one cue more costs."""


@dataclass(frozen=True)
class Leaning:
    """The words of a language, in lower case."""

    openers: frozenset[str]
    """Conjunctions and the like: a clause begins with them, so the best place to break is before them."""
    forward: frozenset[str]
    """Articles, possessives, prepositions, numbers: hardly ever the last word of a line."""
    loose: frozenset[str] = frozenset()
    """Pronouns before their verb, auxiliaries, adverbs of degree: better not the last word of a line either."""
    back: frozenset[str] = frozenset()
    """Particles and postpositions: never the first word of a line."""
    units: frozenset[str] = frozenset()
    """What is counted: not parted from its number, nor from a word of ``measured`` behind it."""
    measured: frozenset[str] = frozenset()
    """What a measure says of a thing: nine years old, ten metres high, two days ago."""

    def after(self, word: str) -> float:
        """Added cost of a break after this word."""
        if word in self.forward or word in self.openers:
            return TORN_OFF
        return LEFT_OVER if word in self.loose else 0.0

    def before(self, word: str) -> float:
        """Added cost of a break before this word; below 0 where it is a good one."""
        if word in self.openers:
            return -0.45
        return 3.6 if word in self.back else -0.3 if word in self.forward or word in self.loose else 0.0

    def between(self, word: str, following: str) -> float:
        """Added cost of a break between a measure and what it says."""
        return TORN_OFF if word in self.units and following in self.measured else 0.0


def leaning(language: str) -> Leaning:
    """The row of a language tag such as ``pt-BR``."""
    return _TABLE.get(language.lower().split("-")[0], _NONE)


def ordinal(word: str, following: str, language: str) -> bool:
    """Whether the full stop of a number says "th", as in ``28. října``, and ends no sentence."""
    if not re.fullmatch(r"\W*\d{1,2}\.", word):
        return False
    return following[:1].islower() or language.lower().split("-")[0] in _ORDINAL_STOP


def _words(
    openers: str, forward: str, back: str = "", *, numbers: str = "", units: str = "", measured: str = ""
) -> Leaning:
    """A row from words between blanks; those of ``forward`` behind a bar are loose."""
    close, _, loose = forward.partition("|")
    rows = (openers, f"{close} {numbers}", loose, back, units, measured)
    return Leaning(*(frozenset(words.split()) for words in rows))


CAPITAL_NOUNS = {"de", "lb"}
"""Languages that write every noun with a capital, so that two of them need not be a name."""
_ORDINAL_STOP = {"cs", "da", "de", "et", "fi", "hr", "hu", "is", "lv", "nb", "nn", "no", "pl", "sk", "sl", "tr"}
_NONE = _words("", "")
_TABLE = {
    "en": _words(
        "and but or nor because that who which when while where if then than until before after though although since "
        "so unless whether as",
        "a an the this these those my your his her its our their every each no some any of to in on at by for from "
        "with without into onto over under through across between among behind beside against around about above "
        "below toward towards like upon within during near | i you he she it we they is are was were be been has have "
        "had will would can could shall should may might must do does did not very too there",
        numbers="one two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty hundred",
        units="year years month months week weeks day days hour hours minute minutes mile miles foot feet inch inches "
        "metre metres meter meters",
        measured="old ago long high tall deep wide away later earlier",
    ),
    "de": _words(
        "und aber oder denn weil dass daß wenn als ob damit bevor nachdem während obwohl bis sondern doch",
        "der die das den dem des ein eine einen einem einer eines kein keine keinen mein meine dein deine sein seine "
        "seinen seinem seiner ihr ihre ihren ihrem ihrer unser unsere dieser diese dieses diesen jeder jede jedes in "
        "im ins an am ans auf aus bei beim mit nach von vom vor zu zum zur über unter durch für gegen ohne um hinter "
        "neben zwischen seit | ich du er sie es wir man nicht sehr zu so",
        numbers="zwei drei vier fünf sechs sieben acht neun zehn elf zwölf zwanzig dreißig hundert",
        units="jahr jahre jahren monat monate monaten woche wochen tag tage tagen stunde stunden minute minuten meter "
        "metern meilen fuß",
        measured="alt alte alter altes lang hoch tief breit weit später früher",
    ),
    "fr": _words(
        "et mais ou donc car que qui quand lorsque puis parce si comme où dont puisque tandis",
        "le la les un une des du de au aux ce cet cette ces mon ma mes ton ta tes son sa ses notre nos votre vos leur "
        "leurs chaque quelques à en dans sur sous avec sans pour par vers chez entre contre depuis pendant jusque "
        "derrière devant | je tu il elle on nous vous ils elles ne se me te lui y très plus est était a avait",
        numbers="deux trois quatre cinq six sept huit neuf dix onze douze vingt trente cent",
        units="an ans mois semaine semaines jour jours heure heures minute minutes mètres kilomètres lieues",
        measured="plus après auparavant",
    ),
    "es": _words(
        "y e pero o u ni que quien cuando porque si como donde mientras aunque sino pues",
        "el la los las un una unos unas lo al del de a en con sin por para sobre bajo entre hasta hacia desde contra "
        "tras mi mis tu tus su sus nuestro nuestra este esta estos estas ese esa esos esas cada | yo él ella nosotros "
        "ellos ellas se me te le les nos no muy es era ha había",
        numbers="dos tres cuatro cinco seis siete ocho nueve diez once doce veinte treinta cien",
        units="año años mes meses semana semanas día días hora horas minuto minutos metros leguas",
        measured="después atrás antes",
    ),
    "it": _words(
        "e ed ma o che chi quando perché se come dove mentre poi anche benché finché",
        "il lo la i gli le un uno una di a da in con su per tra fra del dello della dei degli delle al allo alla ai "
        "agli alle dal dalla dai nel nello nella nei nelle sul sulla sui sulle mio mia tuo tua suo sua suoi sue loro "
        "questo questa quel quella ogni | io tu lui lei noi voi si mi ti ci vi non molto è era ha aveva c'è",
        numbers="due tre quattro cinque sei sette otto nove dieci undici dodici venti trenta cento",
        units="anno anni mese mesi settimana settimane giorno giorni ora ore minuto minuti metri miglia",
        measured="fa dopo prima",
    ),
    "pt": _words(
        "e mas ou que quem quando porque se como onde enquanto então embora pois",
        "o a os as um uma uns umas de do da dos das em no na nos nas num numa por pelo pela pelos pelas para com sem "
        "sob sobre entre até desde contra ao à aos às meu minha teu tua seu sua seus suas este esta esse essa aquele "
        "aquela cada | eu tu ele ela nós eles elas se me te lhe não muito é era tem tinha há",
        numbers="dois duas três quatro cinco seis sete oito nove dez onze doze vinte trinta cem",
        units="ano anos mês meses semana semanas dia dias hora horas minuto minutos metros léguas",
        measured="depois atrás antes",
    ),
    "nl": _words(
        "en maar of want omdat dat die toen als terwijl zodat voordat nadat hoewel",
        "de het een 't deze dit mijn jouw zijn haar hun ons onze elke elk geen in op aan bij met van voor naar uit "
        "over onder door tegen zonder om achter naast tussen tot sinds te | ik jij je hij zij ze wij we niet zeer was "
        "is er",
        numbers="twee drie vier vijf zes zeven acht negen tien elf twaalf twintig dertig honderd",
        units="jaar maanden week weken dag dagen uur minuten meter mijl",
        measured="oud lang hoog diep breed geleden later",
    ),
    "cs": _words(
        "a ale nebo ani že aby když protože který která které kteří až než jak kde co ať zatímco dokud i",
        "v ve s se z ze k ke o u na do od po pod nad před za při pro bez mezi přes skrz kolem podle vedle proti ten ta "
        "to ti ty můj moje tvůj jeho její jejich náš každý | si já on ona ono my oni ne",
        "jsem jsi jsme jste by bych",
        units="rok roky let lety měsíc měsíce měsíců týden týdny týdnů den dny dní hodina hodiny hodin minut minuty "
        "metr metry metrů",
        measured="poté později starý stará staré vysoký vysoká vysoké hluboký hluboká dlouhý dlouhá předtím",
    ),
    "sk": _words(
        "a ale alebo ani že aby keď lebo pretože ktorý ktorá ktoré až než ako kde čo kým i",
        "v vo s so z zo k ku o u na do od po pod nad pred za pri pre bez medzi cez okolo podľa vedľa proti ten tá to "
        "môj moja tvoj jeho jej ich náš každý | sa si ja on ona ono my oni nie",
        "som sme ste by",
    ),
    "pl": _words(
        "i a ale lub albo ani że żeby gdy kiedy bo ponieważ który która które aż niż jak gdzie co więc oraz",
        "w we z ze k ku o u na do od po pod nad przed za przy dla bez między przez wśród około obok przeciw ten ta to "
        "ci te mój moja twój jego jej ich nasz każdy | ja on ona ono my oni nie",
        "się by",
    ),
    "sv": _words(
        "och men eller för att som när medan om därför eftersom innan tills",
        "en ett den det de min mitt din sin sitt sina hans hennes deras vår varje ingen i på av till från med utan "
        "över under genom mellan bakom mot vid hos | jag du han hon vi inte mycket var är hade har",
        numbers="två tre fyra fem sex sju åtta nio tio elva tolv tjugo trettio hundra",
        units="år månad månader vecka veckor dag dagar timme timmar minuter meter mil",
        measured="gammal gammalt gamla lång långt hög högt djup bred senare sedan",
    ),
    "ru": _words(
        "и а но или что чтобы когда потому если который которая которое которые где как пока хотя",
        "в во с со к ко о об у на до от по под над перед за при для без между через из около мимо против этот эта это "
        "мой моя твой его её их наш каждый | я ты он она оно мы вы они не ни очень",
        "же бы ли",
    ),
    "ar": _words(
        "ثم لكن ولكن أو أم لأن إذا عندما حين حتى الذي التي الذين بينما كي",
        "في من إلى على عن مع بين تحت فوق أمام خلف وراء قبل بعد عند حول دون بدون منذ خلال نحو كل هذا هذه ذلك تلك يا | "
        "لا لم لن ما إن أن قد كان كانت وفي ومن وعلى",
    ),
    "hi": _words(
        "और लेकिन पर या कि क्योंकि जब तब अगर तो फिर जो",
        "एक यह वह इस उस मेरा मेरी तेरा उसका उसकी अपना अपनी अपने हर बहुत नहीं",
        "का की के को ने से में पर तक भी ही था थी थे है हैं",
    ),
    # Single signs, as the narration's words are: who marks a relation, and what only follows.
    "zh": _words(
        "但 却 因 而 如",
        "在 把 被 从 向 往 对 和 与 跟 给 让 为 以 这 那 一 每 很 最 更 太 不 没 也 都 就 又 才 再 还 已 正 只",
        "的 地 得 了 着 过 们 吗 呢 吧 啊 呀 子 里 上 下 中 边",
    ),
    "ja": _words("", "", "は が を に へ で と も の や か ね よ ば て た だ な い う く し ま す り る れ ら ん"),
}
