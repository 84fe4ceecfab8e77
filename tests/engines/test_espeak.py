"""espeak on real text: the words and their times are held against the sound itself."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import wave
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engines.speech_synthesis import _espeak_library, _pauses
from engines.speech_synthesis._reading import reading
from engines.speech_synthesis._scripts import unread
from engines.speech_synthesis._word_times import Anchor, timed
from engines.speech_synthesis.espeak import Engine
from media.words import Word, split_words
from runtime import validation
from runtime.context import Context
from runtime.errors import Cancelled, WorkerError

ROOT = Path(__file__).resolve().parents[2]
CROW = (ROOT / "examples" / "crow.md").read_text(encoding="utf-8").split("\n\n", 1)[1]
PHARE = (ROOT / "examples" / "phare.md").read_text(encoding="utf-8").split("\n\n", 1)[1]

Speak = Callable[..., dict[str, Any]]


def request(op: str, folder: Path, context: Context | None = None, **fields: Any) -> dict[str, Any]:
    """One request as the runtime does it: checked, defaults filled in, the output checked too."""
    schema = validation.document(f"speech_synthesis/{op}")["$defs"]
    options = fields.pop("options", {})
    for given_, rules in ((fields, schema["input"]), (options, Engine.options_schema)):
        validation.raise_for(validation.violations(given_, rules))
    context = context or Context(
        output_dir=folder, output_name="speech", engine_options=validation.filled(options, Engine.options_schema)
    )
    try:
        output = Engine().run(op, validation.filled(fields, schema["input"]), context)
    finally:
        context.clean_up()
    assert validation.violations(output, schema["output"]) == []
    return output


@pytest.fixture
def speak(tmp_path: Path) -> Speak:
    return lambda text, **fields: request("synthesize", tmp_path, text=text, **fields)


def samples(output: dict[str, Any]) -> tuple[np.ndarray, int]:
    """The audio from -1 to 1, and its rate."""
    with wave.open(output["audio"]["path"]) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768, file.getframerate()


def rms(output: dict[str, Any], start_s: float, end_s: float) -> float:
    sound, rate = samples(output)
    return float(np.sqrt(np.mean(sound[round(start_s * rate) : round(end_s * rate)] ** 2)))


def assert_in_order(output: dict[str, Any]) -> None:
    words = output["words"]
    assert all(word["start_s"] < word["end_s"] for word in words)
    assert all(one["start_s"] < two["start_s"] and one["end_s"] <= two["start_s"] for one, two in pairwise(words))
    assert words[0]["start_s"] >= 0
    assert words[-1]["end_s"] <= output["audio"]["duration_s"]


def texts(output: dict[str, Any]) -> list[str]:
    return [word["word"] for word in output["words"]]


# --- words -----------------------------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    ["crow", "l’œuf,", "Žluťoučký", "e\u0301te\u0301", "1999", "$1,234.56", "3/4/2021", "–", "—", "-", "...", "…",
     "«", "»", '"', "(so)", "“yes”", "🙂", "👩\u200d👧", "🇫🇷", "𝒳", "&", "@", "Mr.", "U.S.A.", "don't", "?", "!",
     "乌鸦。", "「水」", "カー", "русский", "ไทย", "שלום", "\ufffd", "\x01+20S", "<b>", "[[", "]]", "\ud800"]
)  # fmt: skip
BLANKS = st.sampled_from([" ", "\u00a0", "\u202f", "\n", "\n\n", "  ", "\t", ""])
TEXTS = st.lists(st.tuples(PIECES, BLANKS), min_size=1, max_size=30).map(lambda parts: "".join(map("".join, parts)))


@settings(max_examples=150, deadline=None)
@given(text=TEXTS, language=st.sampled_from(["en", "fr", "de", "cs", "zh"]), speed=st.sampled_from([0.5, 1.0, 2.0]))
@example(text="🙂", language="en", speed=1.0)
@example(text="« ", language="fr", speed=1.0)
def test_every_character_is_in_one_word_and_times_rise(text: str, language: str, speed: float) -> None:
    with TemporaryDirectory() as folder:
        try:
            output = request("synthesize", Path(folder), text=text, language=language, speed=speed)
        except WorkerError as error:
            if error.code == "unsupported_capability":
                assert 2 * len(unread(text, "cmn" if language == "zh" else language)) > sum(map(str.isalpha, text))
            else:
                assert error.code == "invalid_request"  # noqa: PT017 - most texts do sound
                assert not any(map(str.isalnum, text))
            return
    assert "".join("".join(texts(output)).split()) == "".join(text.split())
    assert_in_order(output)


@given(text=st.text(min_size=1).filter(str.strip))
def test_words_of_any_text_keep_every_character(text: str) -> None:
    words = split_words(text)
    assert "".join("".join(word.text for word in words).split()) == "".join(text.split())
    assert all(word.start < word.end for word in words)
    assert all(one.end <= two.start for one, two in pairwise(words))


@given(st.text(alphabet='ab é1,.!?«»"“”—-…\u00a0\u202f\n', min_size=1).filter(lambda text: any(map(str.isalnum, text))))
def test_words_joined_by_blanks_are_the_text(text: str) -> None:
    words = [word.text for word in split_words(text)]
    assert " ".join(words) == " ".join(text.split())
    assert all(any(map(str.isalnum, word)) for word in words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Il dit\u00a0: «\u202foui\u202f», puis\u00a0!", ["Il", "dit :", "« oui »,", "puis !"]),
        ("yes - no — really ?", ["yes -", "no —", "really ?"]),
        ("— Bonjour.\n— Salut !", ["— Bonjour.", "— Salut !"]),
        ('He said " go on " twice', ["He", "said", '" go', 'on "', "twice"]),
        ("¿ Dónde ? ( aquí )", ["¿ Dónde ?", "( aquí )"]),
        ("Hello 🙂 world", ["Hello 🙂", "world"]),
        ("乌鸦「喝水」。iPhone 手机", ["乌", "鸦", "「喝", "水」。", "iPhone", "手", "机"]),
        ("コーヒー", ["コー", "ヒー"]),
        ("…", ["…"]),
    ],
)
def test_marks_stay_with_the_word_they_belong_to(text: str, words: list[str]) -> None:
    assert [word.text for word in split_words(text)] == words


def test_a_word_without_an_event_gets_its_share_of_the_sound_not_of_the_pause() -> None:
    words = [Word("aa", 0, 2), Word("bb", 3, 5), Word("cc", 6, 8), Word("dd", 9, 11)]
    runs = [(0.0, 1.0), (3.0, 5.0)]
    anchors = [Anchor(0, 0.0, weak=False), Anchor(9, 4.0, weak=False)]
    assert [start for start, _ in timed(words, anchors, runs)] == pytest.approx([0, 2 / 3, 3 + 1 / 3, 4])
    anchors.append(Anchor(5, 3.0, weak=True))  # a clause ended before cc
    assert timed(words, anchors, runs) == [(0, 0.5), (0.5, 1), (3, 4), (4, 5)]


# --- times against the sound -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "The crow looked down. Nothing moved in the yard. Then, slowly, she came back."),
        ("en", "Is it yes - or no — really? No! It is not."),
        ("fr", "Le phare ferma les yeux\u00a0: «\u00a0Où est la côte\u00a0?\u00a0» Personne. La mer gronda."),
        ("de", "Der Rabe flog über das Haus. „Wasser!“, rief er. Niemand hörte ihn."),
        ("es", "¿Dónde está el agua? Aquí. El niño bebió."),
        ("cs", "Vrána našla džbán. Voda byla hluboko. Žízeň ji trápila."),
        ("zh", "乌鸦看见一个水罐。它很渴！水太低了，喝不到。"),
    ],
)
def test_there_is_sound_inside_words_and_silence_between_sentences(speak: Speak, language: str, text: str) -> None:
    output = speak(text, language=language)
    assert_in_order(output)
    pauses = [(one["end_s"], two["start_s"]) for one, two in pairwise(output["words"]) if two["start_s"] > one["end_s"]]
    sentence_ends = sum(text.count(mark) for mark in ".!?。！？") - 1
    assert len([1 for start, end in pauses if end - start > 0.2]) >= sentence_ends
    assert all(end - start >= 0.06 and rms(output, start, end) < 0.001 for start, end in pauses)
    assert all(rms(output, word["start_s"], word["end_s"]) > 0.02 for word in output["words"])


@pytest.mark.parametrize(("language", "text"), [("en", CROW), ("fr", PHARE)])
@pytest.mark.parametrize("speed", [0.5, 1.0, 2.0])
def test_after_a_pause_the_sound_begins_within_60_ms_of_its_word(
    speak: Speak, language: str, text: str, speed: float
) -> None:
    output = speak(text, language=language, speed=speed)
    sound, rate = samples(output)
    loud = np.flatnonzero(np.abs(sound) > 0.003) / rate
    for one, two in pairwise(output["words"]):
        if two["start_s"] - one["end_s"] > 0.2:
            first = loud[np.searchsorted(loud, one["end_s"] + 0.001)]
            assert -0.001 <= first - two["start_s"] < 0.06 / min(speed, 1.0)


def test_positions_do_not_drift_in_a_long_text(speak: Speak) -> None:
    once, text = speak(CROW), (CROW + "\n\n") * 18
    output = speak(text[:20000])
    assert texts(output)[: len(once["words"])] == texts(once)
    assert texts(output) == text[:20000].split()
    length = len(once["words"])
    seventeenth = [
        word["start_s"] - output["words"][16 * length]["start_s"] for word in output["words"][16 * length : 17 * length]
    ]
    assert seventeenth == pytest.approx([word["start_s"] for word in once["words"]], abs=0.15)


def test_a_word_after_emoji_and_combining_marks_is_timed_by_its_own_event(speak: Speak) -> None:
    plain = speak("One two. Three four.")
    output = speak("🙂 𝒳 e\u0301te\u0301 👩\u200d👧. Three four.")
    assert texts(output)[-2:] == ["Three", "four."]
    tail = output["audio"]["duration_s"] - output["words"][-2]["start_s"]
    assert tail == pytest.approx(plain["audio"]["duration_s"] - plain["words"][-2]["start_s"], abs=0.03)


# --- what is said for what is written --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "written", "said"),
    [
        ("en", "Dr. Smith and Mrs. Hill met Prof. Ray on Mt. Blanc.",
         "Doctor Smith and Missus Hill met Professor Ray on Mount Blanc."),
        ("en", "J. R. R. Tolkien read (e.g. to St. Mary).", "J R R Tolkien read (for example to Saint Mary)."),
        ("en", "No. 5 vs. No. 6, i.e. both.", "number 5 versus number 6, that is both."),
        ("en", "It cost $1,234.56, £1 or €5 million.",
         "It cost 1,234 dollars and 56 cents, 1 pound or 5 million euros."),
        ("en", "On 3/4/2021 and 12/24/1812, 3/4 of it.", "On 3 4 2021 and 12 24 18 12, three quarters of it."),
        ("de", "Es war 1/2 davon.", "Es war ein halb davon."),
        ("en", "In 1812, 1905 and 1900.", "In 18 12, 19 oh 5 and 19 hundred."),
        ("de", "Bis zum 1. Januar 1812, z. B. um 10:30 Uhr.",
         "Bis zum ersten Januar 18hundert 12, zum Beispiel um 10 Uhr 30."),
        ("de", "Der 28. Mai kam bzw. ging, sagte Hr. Dr. Frei.",
         "Der achtundzwanzigste Mai kam beziehungsweise ging, sagte Herr Doktor Frei."),
        ("cs", "Dne 28. října přišel např. Ing. Malý.", "Dne dvacátého osmého října přišel například inženýr Malý."),
        ("cs", "Dr. Nový, č. 5, tj. v r. 1918.", "doktor Nový, číslo 5, to jest v roce 1918."),
        ("fr", "M. Dupont et Mlle. Anne, c.-à-d. eux, à 10 h 30.",
         "monsieur Dupont et mademoiselle Anne, c’est-à-dire eux, à 10 heures 30."),
        ("es", "El Sr. López y la Dra. Díaz.", "El señor López y la doctora Díaz."),
        ("ar", "جاء د. أحمد.", "جاء دكتور أحمد."),
    ],
)  # fmt: skip
def test_short_forms_are_read_as_a_reader_says_them_and_stay_as_written(
    speak: Speak, language: str, written: str, said: str
) -> None:
    output, in_full = speak(written, language=language), speak(said, language=language)
    assert output["audio"]["sha256"] == in_full["audio"]["sha256"]
    assert texts(output) == written.split()
    assert_in_order(output)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "So did I. Then it cost $3.5 at no. 5; call 555-1812 or 1812.5, $1,23."),
        ("en", "It was Mark St. He left. The 1920s, 1,812, 24/7 and a/b/c."),
        ("fr", "Dr. Smith met Mr. Hill in 1812."),
        ("de", "Am 45. Mai kamen 3. Dann 28. Tage."),
    ],
)
def test_what_may_mean_something_else_is_read_as_it_stands(language: str, text: str) -> None:
    kept = {"fr": "docteur Smith met Mr. Hill in 1812."}.get(language, text)
    assert reading(text, language).text == kept


def test_a_title_makes_no_pause_and_a_sentence_does(speak: Speak) -> None:
    title, sentence = (speak(text)["words"] for text in ("Then Dr. Smith left.", "Then dust. Smith left."))
    assert title[2]["start_s"] - title[1]["end_s"] < 0.05
    assert sentence[2]["start_s"] - sentence[1]["end_s"] > 0.2


def pause_after(output: dict[str, Any], word: str) -> float:
    """Seconds of silence behind the first word that ends so."""
    number = next(number for number, each in enumerate(output["words"]) if each["word"].endswith(word))
    found: float = output["words"][number + 1]["start_s"] - output["words"][number]["end_s"]
    return found


@pytest.mark.parametrize("speed", [0.7, 1.0, 1.6])
@pytest.mark.parametrize(
    ("language", "text", "asked", "comma"),
    [
        ("en", '"Is he hurt?" asked the doctor, and sat down.', '"', ","),
        ("en", '"Go home!" cried the doctor, and sat down.', '"', ","),
        ("it", "«Che ore sono?» chiedeva il vecchio, e rideva.", "»", ","),
        ("de", "„Was soll ich tun?“, fragte der Sohn, und ging.", "“,", "Sohn,"),
        ("fr", "« Qui est là ? » demanda le vieux, et il riait.", "»", ","),
    ],
)
def test_who_asks_is_said_after_a_pause_like_a_commas(
    speak: Speak, language: str, text: str, asked: str, comma: str, speed: float
) -> None:
    output = speak(text, language=language, speed=speed)
    assert pause_after(output, asked) == pytest.approx(pause_after(output, comma), rel=0.3, abs=0.05)
    assert_in_order(output)
    for before, word in pairwise(output["words"]):  # no cut went through a word
        if word["start_s"] - before["end_s"] > 0.1:
            assert rms(output, before["end_s"] + 0.02, word["start_s"] - 0.06) < 0.004
            assert rms(output, word["start_s"], word["end_s"]) > 0.01


def test_a_sentence_after_a_quotation_keeps_its_pause(speak: Speak) -> None:
    told = speak('"Is he hurt?" Asked the doctor, and sat down.')
    assert pause_after(told, '"') > 2 * pause_after(told, ",")
    waiting = speak("Wait... what, no?")
    assert pause_after(waiting, "...") > 1.3 * pause_after(waiting, ",")


def test_chinese_pauses_are_as_long_as_english_ones(speak: Speak) -> None:
    chinese, english = speak("小鸟说，你好。他走了。", language="zh"), speak("The bird said, hello. He went.")
    assert pause_after(chinese, "，") == pytest.approx(pause_after(english, ","), rel=0.15)
    assert pause_after(chinese, "。") == pytest.approx(pause_after(english, "."), rel=0.3)


@given(st.lists(st.tuples(st.integers(700, 4000), st.integers(600, 6000)), min_size=1, max_size=5), st.floats(0.3, 2.5))
def test_no_sound_is_lost_where_pauses_change_and_events_keep_their_words(
    parts: list[tuple[int, int]], times: float
) -> None:
    rate, pcm, events = 8000, b"", []
    for number, (sound, silence) in enumerate(parts):
        events.append(_espeak_library.Event(number, len(pcm) // 2, is_end=False))
        pcm += (1000 + number).to_bytes(2, "little") * sound + bytes(2 * silence)
    made = _pauses.paced(_espeak_library.Speech(pcm, rate, events), lambda place: times)
    heard, before = np.frombuffer(made.pcm, "<i2"), np.frombuffer(pcm, "<i2")
    assert list(heard[heard != 0]) == list(before[before != 0])
    for number, event in enumerate(made.events):
        assert heard[event.sample] == 1000 + number
        assert event.sample == 0 or heard[event.sample - 1] != 1000 + number
    silences = [round(times * silence) for _, silence in parts[:-1]]
    whole = sum(sound for sound, _ in parts) + sum(silences) + parts[-1][1]
    assert len(heard) == pytest.approx(whole, abs=2 * len(parts))


@given(text=TEXTS, language=st.sampled_from(["en", "de", "cs", "fr", "cmn"]))
@example(text="Mr. (e.g. J. R. Hill) paid $5.10 in 1812.", language="en")
def test_every_place_of_a_reading_is_one_of_the_text_and_they_rise(text: str, language: str) -> None:
    said = reading(text, language)
    places = [said.place(position) for position in range(len(said.text) + 1)]
    assert places == sorted(places)
    assert 0 <= places[0] <= places[-1] <= len(text)
    if said.text == text:
        assert places == list(range(len(text) + 1))


@pytest.mark.parametrize(
    ("language", "text", "letters"),
    [("en", "乌鸦看见一个水罐。", "乌鸦看见一个水罐"), ("cs", "Ворона увидела", "Ворнаувиде"),
     ("ja", "カラスは水を見た。", "水見"),
     ("en", "شاهد الأسد", "شاهدلأس")],
)  # fmt: skip
def test_letters_that_a_voice_can_only_name_are_refused(speak: Speak, language: str, text: str, letters: str) -> None:
    with pytest.raises(WorkerError, match=letters[:10]) as caught:
        speak(text, language=language)
    assert (caught.value.code, caught.value.pointer) == ("unsupported_capability", "/input/text")
    assert caught.value.hint


def test_a_few_foreign_letters_are_warned_about(tmp_path: Path) -> None:
    context = Context(output_dir=tmp_path, output_name="x")
    assert texts(request("synthesize", tmp_path, context, text="The sign said 水."))[-1] == "水."
    assert [warning["code"] for warning in context.warnings] == ["letters_not_read"]
    assert "水" in context.warnings[0]["message"]


def test_names_of_other_languages_are_read(speak: Speak) -> None:
    output = speak("Thérèse met Jürgen Müßig, Žižka and Łukasz in Besançon.")
    assert texts(output)[:2] == ["Thérèse", "met"]
    assert all(rms(output, word["start_s"], word["end_s"]) > 0.02 for word in output["words"])


RIGHTS = {
    "en": "All human beings are born free and equal in dignity and rights. They are endowed with reason and conscience "
    "and should act towards one another in a spirit of brotherhood.",
    "cs": "Všichni lidé rodí se svobodní a sobě rovní co do důstojnosti a práv. Jsou nadáni rozumem a svědomím a mají "
    "spolu jednat v duchu bratrství.",
    "nl": "Alle mensen worden vrij en gelijk in waardigheid en rechten geboren. Zij zijn begiftigd met verstand en "
    "geweten, en behoren zich jegens elkander in een geest van broederschap te gedragen.",
    "pl": "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw. Są oni obdarzeni rozumem i "
    "sumieniem i powinni postępować wobec innych w duchu braterstwa.",
    "uk": "Всі люди народжуються вільними і рівними у своїй гідності та правах. Вони наділені розумом і совістю і "
    "повинні діяти у відношенні один до одного в дусі братерства.",
    "ar": "يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق. "
    "وقد وهبوا عقلًا وضميرًا وعليهم أن يعامل بعضهم بعضًا بروح الإخاء.",
}
"""Article 1 of the Universal Declaration of Human Rights: the same text in every language."""


def test_the_same_text_takes_about_as_long_in_every_language(speak: Speak) -> None:
    lengths = {language: speak(text, language=language)["audio"]["duration_s"] for language, text in RIGHTS.items()}
    assert {language for language, length in lengths.items() if not 0.8 < length / lengths["en"] < 1.2} == set()


# --- speed, rate, voice ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("language", "text"), [("en", CROW), ("fr", PHARE)])
def test_a_story_is_read_at_150_words_a_minute(speak: Speak, language: str, text: str) -> None:
    output = speak(text, language=language)
    assert len(output["words"]) * 60 / output["audio"]["duration_s"] == pytest.approx(150, rel=0.1)
    assert 60 <= output["audio"]["duration_s"] <= 90


@pytest.mark.parametrize("speed", [0.5, 0.55, 0.75, 1.5, 2.0])
def test_speed_is_a_factor_even_where_espeak_itself_stops(speak: Speak, speed: float) -> None:
    factor = speak(CROW)["audio"]["duration_s"] / speak(CROW, speed=speed)["audio"]["duration_s"]
    assert factor == pytest.approx(speed, rel=0.12)


@pytest.mark.parametrize("sample_rate", [8000, 16000, 44100, 48000])
def test_resampled_audio_has_the_rate_the_length_and_the_times(speak: Speak, sample_rate: int) -> None:
    own = speak("Far down in the dark lay one bright coin of water.")
    output = speak("Far down in the dark lay one bright coin of water.", sample_rate=sample_rate)
    sound, rate = samples(output)
    assert rate == output["audio"]["sample_rate"] == sample_rate
    assert len(sound) / rate == pytest.approx(output["audio"]["duration_s"], abs=1e-6)
    assert output["audio"]["duration_s"] == pytest.approx(own["audio"]["duration_s"], abs=0.001)
    assert [word["start_s"] for word in output["words"]] == [word["start_s"] for word in own["words"]]
    assert_in_order(output)


def test_resampling_makes_no_mirror_tones(speak: Speak) -> None:
    sound, rate = samples(speak(CROW[:300], sample_rate=48000))
    power = np.abs(np.fft.rfft(sound)) ** 2
    frequency = np.fft.rfftfreq(len(sound), 1 / rate)
    assert power[frequency > 12500].sum() / power.sum() < 1e-6  # the original has nothing above 11025 Hz


@pytest.mark.parametrize(
    ("asked", "used"),
    [("en", "en-US"), ("en-GB", "en-GB"), ("en-NZ", "en-US"), ("fr", "fr-FR"), ("fr-CA", "fr-FR"), ("de-AT", "de"),
     ("es", "es"), ("cs", "cs"), ("zh", "cmn"), ("zh-Hant-TW", "cmn"), ("cmn", "cmn"), ("pt", "pt"),
     ("PT-br", "pt-BR"), ("no", "nb")],
)  # fmt: skip
def test_a_language_tag_finds_its_voice(speak: Speak, asked: str, used: str) -> None:
    assert speak("1 2 3", language=asked)["language"] == used


@pytest.mark.parametrize(
    "voice", ["gmw/en-GB-x-rp", "English (Received Pronunciation)", "EN-gb-x-rp", "gmw/en-GB-x-rp+f3"]
)
def test_a_voice_is_known_by_id_name_and_tag_and_takes_a_variant(speak: Speak, voice: str) -> None:
    output = speak("Good evening.", voice=voice, language="fr")
    assert output["language"].lower() == "en-gb-x-rp"
    assert output["voice"].startswith("gmw/en-GB-x-rp")
    assert output["voice"].endswith("+f3") == voice.endswith("+f3")


@pytest.mark.parametrize(
    ("fields", "pointer", "near"),
    [({"language": "xq"}, "/input/language", ""), ({"language": "fro"}, "/input/language", "fo"),
     ({"voice": "en-uss"}, "/input/voice", "en-us"), ({"voice": "en-us+f33"}, "/input/voice", "f3"),
     ({"voice": "../../etc/passwd"}, "/input/voice", "")],
)  # fmt: skip
def test_an_unknown_language_or_voice_names_the_near_ones(
    speak: Speak, fields: dict[str, str], pointer: str, near: str
) -> None:
    with pytest.raises(WorkerError) as caught:
        speak("Hello.", **fields)
    assert (caught.value.code, caught.value.pointer) == ("unsupported_capability", pointer)
    assert near in str(caught.value.hint)
    assert "list_voices" in str(caught.value.hint)


def test_pitch_and_word_gap_change_the_sound(speak: Speak) -> None:
    plain, high, gaps = (
        speak("A crow flew down.", options=options) for options in ({}, {"pitch": 90}, {"word_gap": 20})
    )
    assert plain["audio"]["sha256"] != high["audio"]["sha256"]
    assert gaps["audio"]["duration_s"] > plain["audio"]["duration_s"] + 0.4


def test_list_voices_gives_ids_that_synthesize_takes(speak: Speak, tmp_path: Path) -> None:
    every, french = request("list_voices", tmp_path), request("list_voices", tmp_path, language="fr-CA")
    assert len(every["voices"]) > 100
    assert {voice["language"] for voice in french["voices"]} == {"fr-FR", "fr-BE", "fr-CH"}
    assert request("list_voices", tmp_path, language="xq")["voices"] == []
    woman = next(variant["id"] for variant in every["variants"] if variant["gender"] == "female")
    for voice in french["voices"]:
        assert speak("Bonjour.", voice=f"{voice['id']}+{woman}")["voice"] == f"{voice['id']}+{woman}"


# --- plain text, no state, no crash ----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["[[h@l'oU]]", "<b>bold</b>", "<speak><break time='9s'/>so</speak>", "a &lt; b"])
def test_markup_is_read_not_obeyed(speak: Speak, text: str) -> None:
    inside = "".join(character if character.isalnum() else " " for character in text)
    assert speak(text)["audio"]["duration_s"] > speak(inside)["audio"]["duration_s"] - 0.2
    assert speak("<break time='9s'/> so")["audio"]["duration_s"] < 6


def test_control_characters_are_not_commands(speak: Speak) -> None:
    assert speak("slow \x01+90Sfast")["audio"]["sha256"] == speak("slow  +90Sfast")["audio"]["sha256"]
    assert speak("before \x00 after")["words"][-1]["word"] == "after"
    assert speak("before \x00 after")["audio"]["duration_s"] > speak("before")["audio"]["duration_s"] + 0.3


def test_the_same_request_gives_the_same_bytes_whatever_came_before(speak: Speak) -> None:
    text = "The crow saw a pitcher. She was thirsty, so she flew down."
    first = speak(text)
    for other in (
        {"text": text, "speed": 2.0, "options": {"pitch": 99, "word_gap": 30}},
        {"text": "Ein Rabe. 😀😀 ꦒꦩꦼꦭꦤ꧀ \ufffd", "language": "de"},
        {"text": "乌鸦看见", "voice": "cmn+f3"},
    ):
        speak(**other)
        again = speak(text)
        assert again["audio"]["sha256"] == first["audio"]["sha256"]
        assert again["words"] == first["words"]


def test_another_process_gives_the_same_bytes(speak: Speak, tmp_path: Path) -> None:
    program = (
        "import json, pathlib, sys; from runtime.context import Context;"
        "from engines.speech_synthesis.espeak import Engine;"
        "context = Context(output_dir=pathlib.Path(sys.argv[1]), output_name='other');"
        "given = dict(text='Plop. Plop.', voice=None, language='en', speed=1.0, sample_rate=16000);"
        "print(json.dumps(Engine().run('synthesize', given, context)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=ROOT / "workers",
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert json.loads(done.stdout)["audio"]["sha256"] == speak("Plop. Plop.", sample_rate=16000)["audio"]["sha256"]


def test_importing_the_engine_loads_no_library() -> None:
    program = (
        "import sys; import engines.speech_synthesis.espeak;"
        "print(sorted({'ctypes', 'espeakng_loader', 'av', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT / "workers", capture_output=True, check=True, timeout=60
    )
    assert done.stdout.strip() == b"[]"


@pytest.mark.parametrize("text", ["…", "— …", "« »", "\u200b\u00ad."])
def test_text_without_sound_is_refused_and_leaves_nothing(speak: Speak, tmp_path: Path, text: str) -> None:
    with pytest.raises(WorkerError) as caught:
        speak(text)
    assert (caught.value.code, caught.value.pointer) == ("invalid_request", "/input/text")
    assert list(tmp_path.iterdir()) == []


def test_progress_counts_the_characters(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []
    context = Context(
        output_dir=tmp_path, output_name="x", emit=lambda kind, fields: told.append({"kind": kind, **fields})
    )
    request("synthesize", tmp_path, context, text=CROW)
    progress = [event for event in told if event["kind"] == "progress"]
    assert 10 <= len(progress) <= 30
    assert all(event["total"] == len(CROW) and event["unit"] == "characters" for event in progress)
    assert [event["current"] for event in progress] == sorted(event["current"] for event in progress)
    assert progress[-1]["current"] > 0.9 * len(CROW)


def test_a_cancelled_synthesis_ends_in_its_middle_and_the_next_one_works(speak: Speak, tmp_path: Path) -> None:
    before, cancelled, told = speak("Plop."), threading.Event(), list[float]()

    def emit(kind: str, fields: dict[str, Any]) -> None:
        if kind == "progress":
            told.append(fields["current"])
            if fields["current"] > 2000:
                cancelled.set()

    context = Context(output_dir=tmp_path / "new", output_name="x", cancelled=cancelled, emit=emit)
    with pytest.raises(Cancelled):
        request("synthesize", tmp_path, context, text=(CROW * 18)[:20000])
    assert told[-1] < 5000
    assert not (tmp_path / "new").exists()
    assert speak("Plop.")["audio"]["sha256"] == before["audio"]["sha256"]


def test_data_behind_a_path_too_long_for_espeak_is_found(
    speak: Speak, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import espeakng_loader

    expected = speak("Plop.")["audio"]["sha256"]
    deep = tmp_path / ("ž" * 90) / ("x" * 60)
    deep.mkdir(parents=True)
    (deep / "espeak-ng-data").symlink_to(espeakng_loader.get_data_path())
    monkeypatch.setattr(espeakng_loader, "get_data_path", lambda: str(deep / "espeak-ng-data"))
    assert speak("Plop.")["audio"]["sha256"] == expected


def test_missing_data_is_an_engine_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import espeakng_loader

    monkeypatch.setattr(espeakng_loader, "get_data_path", lambda: str(tmp_path))
    with pytest.raises(WorkerError) as caught:
        Engine().load({}, {}, Context(output_dir=tmp_path, output_name="x"))
    assert caught.value.code == "engine_unavailable"


def test_the_library_is_closed_after_each_request(speak: Speak) -> None:
    speak("Plop.")
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("only Linux lists what a process has mapped")
    assert "libespeak" not in maps.read_text()
    with _espeak_library.open_library():
        assert "libespeak" in maps.read_text()


# --- the files beside the code ---------------------------------------------------------------------------------------


EXAMPLES = sorted((ROOT / "schemas" / "v1" / "speech_synthesis" / "examples").glob("*.json"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_example_requests_work(tmp_path: Path, path: Path) -> None:
    example_request = json.loads(path.read_text(encoding="utf-8"))
    options = example_request.get("engine_options", {})
    assert request(example_request["op"], tmp_path, options=options, **example_request["input"])


@pytest.mark.parametrize(("name", "language"), [("crow", "en"), ("phare", "fr")])
def test_the_example_stories_have_their_head_and_their_length(name: str, language: str) -> None:
    head, body = (ROOT / "examples" / f"{name}.md").read_text(encoding="utf-8").split("\n\n", 1)
    title, tongue = head.splitlines()
    assert title.startswith("title: ")
    assert tongue == f"language: {language}"
    assert 150 <= len(split_words(body)) <= 215
