"""What the words of a sentence name, in every language there is a lexicon for."""

from __future__ import annotations

import pytest

from engines.image_generation._concepts import concepts
from engines.image_generation._glyphs import drawable, outline
from engines.image_generation._lexicons import FOLDER, Lexicon, languages, stop_words
from engines.image_generation._scene import HOURS, PLACE_OF, THINGS, WEATHER, read_scene
from engines.image_generation._words import guess, read_words


def concepts_of(text: str, language: str | None) -> set[str]:
    return {name.concept for name in read_words(text, language) if name.outright and not name.denied}


INFLECTED = {
    "en": ("Two crows dropped pebbles by the wells; children and mice ran to the forests.", "🐦‍⬛ 🪨 🧒 🐁 forest"),
    "cs": (
        "Dědečkovi rostla v zahradách řepa, psovi a kočkám bylo v lese veselo pod hvězdami.",
        "👴 garden 🫜 🐕 🐈 forest ⭐",
    ),
    "de": ("Die Mädchen sahen Sterne über den Häusern und Wäldern und gaben den Löwen Brote.", "👧 ⭐ 🏠 forest 🦁 🍞"),
    "fr": (
        "Les pêcheurs et leurs filles virent des étoiles, des bateaux et des oiseaux près des forêts.",
        "🧔 👧 ⭐ ⛵ 🐦 forest",
    ),
    "zh": ("小青蛙坐在井边，看见乌鸦把石子放进水罐，森林里有老虎。", "🐸 well 🐦‍⬛ 🪨 🏺 forest 🐅"),
    "ar": ("رأى الفأر الأسد والطيور في الغابة، وللصيادين شبكة وحبال.", "🐁 🦁 🐦 forest 🧔 🥅 🪢"),
    "ru": ("Старики и внучка тянули репку, а мышка бежала по лесу с хлебом.", "👧 🫜 🐁 forest 🍞"),
    "pl": ("Babcia z dziadkiem poszli do lasu, a wrona zobaczyła kamienie i dzban.", "👵 forest 🐦‍⬛ 🪨 🏺"),
    "ja": ("カラスは森で小石と水差しを見つけ、王様は海へ行った。", "🐦‍⬛ forest 🪨 🏺 🫅 sea"),
    "ko": ("할아버지는 숲에서 까마귀를 보고 바다로 갔다.", "👴 forest 🐦‍⬛ sea"),
    "he": ("האריה והעכבר הלכו ליער.", "🦁 🐁 forest"),
    "hi": ("राजा जंगल में शेर से मिला.", "🫅 forest 🦁"),
}


@pytest.mark.parametrize("language", INFLECTED)
def test_things_are_found_in_any_form_and_language(language: str) -> None:
    text, wanted = INFLECTED[language]
    assert set(wanted.split()) <= concepts_of(text, language)
    assert set(wanted.split()) <= concepts_of(text, None)  # and without being told the language
    assert set(wanted.split()) <= concepts_of(text, "tlh")  # or told one that nobody has words for


DRY = {
    "en": "It hadn't rained since spring.",
    "cs": "Od jara vůbec nepršelo.",
    "de": "Seit Wochen fiel kein Regen.",
    "fr": "Depuis le matin il n'avait pas plu.",
    "zh": "三年没有下雨。",
    "ar": "منذ سنة لم تمطر.",
    "ru": "Долго не было дождя.",
    "ja": "長いあいだ雨が降らない。",
}


@pytest.mark.parametrize("language", DRY)
def test_rain_that_is_denied_is_drought(language: str) -> None:
    assert any(name.denied and name.concept == "rain" for name in read_words(DRY[language], language))
    scene = read_scene(DRY[language], language)
    assert (scene.mood, set(scene.things & {"rain", "clouds"})) == ("dry", set())


def test_a_denial_ends_with_its_clause_and_does_not_reach_far() -> None:
    assert concepts_of("It was not he. The lion came.", "en") == {"🦁"}
    assert concepts_of("No lion came, a mouse did.", "en") == {"🐁"}
    assert "🦁" in concepts_of("He did not stay long enough to see the lion.", "en")


def test_words_that_only_look_like_things_name_none() -> None:
    assert concepts_of("The water rose and she saw them fly past.", "en") == set()
    assert "💡" not in concepts_of("Il marchait vers son village.", "fr")
    assert concepts_of("die Rose und die reichen Leute", "de") == {"🌹"}  # German nouns have capitals


def test_every_lexicon_loads_and_names_only_what_can_be_drawn() -> None:
    drawn = set(concepts()) - {"well"}
    for emoji in drawn:
        assert outline(emoji).contours
    named = {*PLACE_OF, *HOURS, *WEATHER, *THINGS, "sun"} | set(concepts())
    files = sorted((FOLDER / "cldr").glob("*.tsv"))
    assert len(files) >= 25
    assert {path.name for path in (FOLDER / "story").glob("*.tsv")} <= {path.name for path in files}
    for file in files:
        entries = [entry for entry in Lexicon(file.stem).exact.values() if entry]
        assert len(entries) > 400
        assert {concept for entry in entries for concept, _ in entry} <= named
    assert sum(file.stat().st_size for file in FOLDER.rglob("*.tsv")) < 1_500_000


# --- words that name, that only suggest, that hold sentences together -------------------------------------------------


def test_a_word_that_suggests_a_place_still_names_its_animal() -> None:
    text = "A bear, a dragon, a duck, a swan, an owl, an eagle, a cow, a deer, a whale, a butterfly, a camel, a chair."
    assert {*["🐻", "🐉", "🦆", "🦢", "🦉", "🦅", "🐄", "🦌", "🐋", "🦋", "🐪", "🪑"]} <= concepts_of(text, "en")
    assert {*["🐻", "🐉", "🦆", "🦅"]} <= concepts_of("un ours, un dragon, un canard et un aigle", "fr")
    assert {*["🐻", "🦌", "🐄", "🦆"]} <= concepts_of("Bär, Hirsch, Kuh und Ente", "de")
    assert {*["🦌", "🐉", "🦅", "🦢"]} <= concepts_of("jelen, drak, orel a labuť", "cs")


SUGGESTED = {
    "en": "They talked. We played and painted. They were lucky. You are so slow. I love you. He had a great idea.",
    "es": "Hablaron mucho. Todo estaba vacío. Era muy lento.",
    "fr": "Ils parlaient. Tout était vide. On avait de la chance.",
    "it": "Parlarono. Era vuoto e lento. Fortunata!",
    "cs": "Mluvili spolu. Byl velmi pomalý. Hráli si.",
    "ru": "Они говорили. Было тихо и пусто. Они играли.",
    "pl": "Było pusto i cicho.",
}


@pytest.mark.parametrize("language", SUGGESTED)
def test_verbs_and_qualities_are_no_figures(language: str) -> None:
    for sentence in SUGGESTED[language].split(". "):
        assert not set(read_scene(sentence, language).pictograms) - {"👨", "👩"}, sentence


FUNCTION_WORDS = {
    "it": "per con che non una sono poi ancora solo salì sedeva sempre molto quando",
    "es": "para por con que solo sólo sobre salió tarde cuando como",
    "fr": "pour avec parce que seul sous plus était encore quand vers",
    "pt": "para com que mal bem sempre quando ainda",
    "pl": "nic nie jest tylko już jeszcze może",
    "sv": "val man vår inte också",
    "tr": "yüz kara için çok daha",
    "nl": "haar bij daar weer voor",
    "ru": "лет час много села было ещё",
    "en": "for with that under over said could may about",
}


@pytest.mark.parametrize("language", FUNCTION_WORDS)
def test_words_that_hold_sentences_together_name_nothing(language: str) -> None:
    assert {word: found for word in FUNCTION_WORDS[language].split() if (found := concepts_of(word, language))} == {}


def test_plurals_are_found_where_nouns_have_no_cases_and_verbs_are_not_taken_for_them() -> None:
    plurals = {
        "en": ("wolves ponies clay pots foxes", "🐺 🐎 🏺 🦊"),
        "fr": ("chevaux oiseaux renards", "🐎 🐦 🦊"),
        "es": ("leones peces ratones perros", "🦁 🐟 🐁 🐕"),
        "pt": ("leões pães lobos animais", "🦁 🍞 🐺"),
        "it": ("cuochi volpi cavalli oche", "🧑‍🍳 🦊 🐎 🪿"),
        "ca": ("lleons cases ratolins", "🦁 🏠 🐁"),
    }
    for language, (words, wanted) in plurals.items():
        assert set(wanted.split()) <= concepts_of(words.replace(" ", ", "), language) | concepts_of(words, language)
    assert concepts_of("salì salirono sedeva corse", "it") == set()
    assert concepts_of("salió salieron", "es") == set()
    assert concepts_of("He fished, housed, planted and ducked.", "en") == set()


CORE = "🐻 🐇 🦊 🐺 🐕 🐈 🫅 🐟 🏠 🌳 moon 🦁 🐸"
TALE = {
    "ar": "دب أرنب ثعلب ذئب كلب قطة ملك سمكة بيت شجرة قمر أسد ضفدع",
    "bg": "мечка заек лисица вълк куче котка цар риба къща дърво луна лъв жаба",
    "ca": "ós llebre guineu llop gos gat rei peix casa arbre lluna lleó granota",
    "cs": "medvěd zajíc liška vlk pes kočka král ryba dům strom měsíc lev žába",
    "da": "bjørn hare ræv ulv hund kat konge fisk hus træ måne løve frø",
    "de": "Bär Hase Fuchs Wolf Hund Katze König Fisch Haus Baum Mond Löwe Frosch",
    "el": "αρκούδα λαγός αλεπού λύκος σκύλος γάτα βασιλιάς ψάρι σπίτι δέντρο φεγγάρι λιοντάρι βάτραχος",
    "en": "bear hare fox wolf dog cat king fish house tree moon lion frog",
    "es": "oso liebre zorro lobo perro gato rey pez casa árbol luna león rana",
    "fa": "خرس خرگوش روباه گرگ سگ گربه شاه ماهی خانه درخت ماه شیر قورباغه",
    "fi": "karhu jänis kettu susi koira kissa kuningas kala talo puu kuu leijona sammakko",
    "fr": "ours lièvre renard loup chien chat roi poisson maison arbre lune lion grenouille",
    "he": "דוב ארנב שועל זאב כלב חתול מלך דג בית עץ ירח אריה צפרדע",
    "hi": "भालू खरगोश लोमड़ी भेड़िया कुत्ता बिल्ली राजा मछली घर पेड़ चाँद शेर मेंढक",
    "hr": "medvjed zec lisica vuk pas mačka kralj riba kuća drvo mjesec lav žaba",
    "hu": "medve nyúl róka farkas kutya macska király hal ház fa hold oroszlán béka",
    "id": "beruang kelinci rubah serigala anjing kucing raja ikan rumah pohon bulan singa katak",
    "it": "orso lepre volpe lupo cane gatto re pesce casa albero luna leone rana",
    "ja": "熊 うさぎ きつね 狼 犬 猫 王様 魚 家 木 月 ライオン 蛙",
    "ko": "곰 토끼 여우 늑대 개 고양이 왕 물고기 집 나무 달 사자 개구리",
    "nl": "beer haas vos wolf hond kat koning vis huis boom maan leeuw kikker",
    "no": "bjørn hare rev ulv hund katt konge fisk hus tre måne løve frosk",
    "pl": "niedźwiedź zając lis wilk pies kot król ryba dom drzewo księżyc lew żaba",
    "pt": "urso lebre raposa lobo cão gato rei peixe casa árvore lua leão sapo",
    "ro": "urs iepure vulpe lup câine pisică rege pește casă copac lună leu broască",
    "ru": "медведь заяц лиса волк собака кошка король рыба дом дерево луна лев лягушка",
    "sk": "medveď zajac líška vlk pes mačka kráľ ryba dom strom mesiac lev žaba",
    "sv": "björn hare räv varg hund katt kung fisk hus träd måne lejon groda",
    "th": "หมี กระต่าย จิ้งจอก หมาป่า หมา แมว พระราชา ปลา บ้าน ต้นไม้ พระจันทร์ สิงโต กบ",
    "tr": "ayı tavşan tilki kurt köpek kedi kral balık ev ağaç ay aslan kurbağa",
    "uk": "ведмідь заєць лисиця вовк собака кіт король риба дім дерево місяць лев жаба",
    "vi": "gấu thỏ cáo sói chó mèo vua cá ngôi_nhà cây trăng sư_tử ếch",
    "zh": "熊 兔子 狐狸 狼 狗 猫 国王 鱼 房子 树 月亮 狮子 青蛙",
    "zh-Hant": "熊 兔子 狐狸 狼 狗 貓 國王 魚 房子 樹 月亮 獅子 青蛙",
}


def test_there_is_a_row_for_every_language() -> None:
    assert set(TALE) == set(languages())


@pytest.mark.parametrize("language", TALE)
def test_what_fairy_tales_are_about_is_named_in_every_language(language: str) -> None:
    for word, wanted in zip(TALE[language].split(), CORE.split(), strict=True):
        assert wanted in concepts_of(word.replace("_", " "), language), word


DECLINED = {
    "ru": "медведя медведю медведем зайца зайцем лису лисой волком царём короля девочку рыбака старика деревьев домов",
    "uk": "ведмедя зайця лисицю вовка",
    "bg": "мечката заекът лисицата вълкът момчето старецът",
    "pl": "niedźwiedzia niedźwiedziem zająca lisa wilka wilkiem króla dziewczynkę chłopca starca",
    "cs": "medvěda medvědem zajíce lišku liškou vlka krále dívku chlapce stařenku rybáře",
    "sk": "medveďa zajaca líšku vlka",
    "hr": "medvjeda zeca lisicu vuka kralja djevojčicu",
    "fi": "karhun karhulle jäniksen ketun suden kuninkaan tytön pojan äidin",
    "hu": "medvét nyulat rókát farkast királynak halászt",
    "tr": "ayının tavşanı tilkiyi kurdu kralın",
    "ro": "ursul iepurele vulpea lupul regele fata băiatul",
    "sv": "björnen haren räven vargen kungen flickan",
    "no": "bjørnen haren reven ulven kongen jenta gutten",
    "da": "bjørnen haren ræven ulven kongen pigen",
    "el": "λαγό λύκο βασιλιά πατέρα",
}


@pytest.mark.parametrize("language", DECLINED)
def test_declined_beings_are_found(language: str) -> None:
    lost = [word for word in DECLINED[language].split() if not concepts_of(word, language)]
    assert lost == []


def test_the_head_of_a_long_name_is_not_taken_for_another_thing() -> None:
    assert concepts_of("una persona", "es") == {"🧑"}  # no person with a veil
    assert concepts_of("一人の人", "ja") == {"🧑"}  # no person with a beard
    assert concepts_of("The wheel turned and the bag fell.", "en") == {"👜"}  # no ferris wheel, no bag of money


def test_people_of_a_trade_are_people() -> None:
    assert concepts_of("The father, the baker, the doctor, the teacher and the watchmaker met.", "en") == {
        *["👨", "🧑\u200d🍳", "🧑\u200d⚕", "🧑\u200d🏫", "🧔"]
    }


def test_stop_words_are_there_for_every_language_that_is_written_in_words() -> None:
    assert {language for language in languages() if not stop_words(language)} == {"ja", "ko", "th", "zh", "zh-Hant"}
    assert all("software" not in stop_words(language) for language in languages())  # a word of the licence above them


# --- emoji and languages ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "zh", "ar"])
def test_emoji_in_the_text_are_what_they_show(language: str) -> None:
    assert concepts_of("🐉🔥 👩🏽‍🌾 ⚔️ 🌊🐦‍⬛ 😀", language) == {"🐉", "🔥", "🧑‍🌾", "⚔", "sea", "🐦‍⬛", "😀"}
    assert read_scene("🐉", language).pictograms == ("🐉",)


def test_any_emoji_that_the_font_has_can_be_drawn() -> None:
    assert len(drawable()) > 700
    for emoji in drawable():
        assert outline(emoji).contours
    assert concepts_of("⚡", "en") == {"⚡"} != concepts_of("high voltage", "en")
    assert concepts_of("→ 1️⃣ ✓ ™ A", "en") == set()


STORIES = {
    "en": "The crow and the fox talked under the tree and she said that it was late.",
    "da": "Der var engang en mand og han havde en hund, som ikke ville gå hjem.",
    "de": "Es war einmal ein Mädchen, dem war Vater und Mutter gestorben.",
    "it": "C'era una volta un orologiaio che viveva in cima a una torre con il suo gatto.",
    "pt": "Era uma vez um menino que não tinha medo de nada e vivia com a sua avó.",
    "ja": "むかしむかし、おじいさんが森にいました。",
    "zh": "一只熊住在森林里。",
}


@pytest.mark.parametrize("language", STORIES)
def test_stop_words_tell_the_language(language: str) -> None:
    assert guess(STORIES[language]) == language


def test_english_wins_where_nothing_tells_the_language() -> None:
    assert [guess(text) for text in ("", "...", "🐉🔥", "Bob Eve")] == ["en"] * 4


# --- what is denied ---------------------------------------------------------------------------------------------------


def test_who_is_gone_is_not_shown() -> None:
    assert concepts_of("Even the frogs had gone.", "en") == set()
    assert concepts_of("The wolf died, and the pig laughed.", "en") == {"🐖"}
    assert concepts_of("Die Frösche waren verschwunden.", "de") == set()
    assert concepts_of("A frog had gone to the lion.", "en") >= {"🦁", "🐸"}  # somewhere else, but it is told of
