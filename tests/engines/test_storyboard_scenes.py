"""What a panel shows of a sentence, and what of the story around it."""

from __future__ import annotations

import pytest

from engines.image_generation._cast import read_cast
from engines.image_generation._scene import PLACE_OF, PLACES, read_scene, read_scenes
from orchestrator.stages.keyframes import story_told

STORY = (
    "A crow flew over dry fields, dying of thirst.",
    "She found a tall clay pitcher in a garden.",
    "At night the sea was wild and the lighthouse dark.",
)


def test_the_words_choose_mood_and_place() -> None:
    assert [(scene.mood, scene.place) for scene in map(read_scene, STORY)] == [
        ("dry", "fields"),
        (read_scene(STORY[1]).mood, "garden"),  # no mood is named: by lot
        ("night", "sea"),
    ]
    assert read_scene("The town was quiet on a winter evening.").mood == "winter"
    assert read_scene(STORY[0]).pictograms == ("🐦‍⬛",)
    assert "lighthouse" in read_scene(STORY[2]).things
    assert set(PLACE_OF.values()) == {*PLACES, "room"}


def test_a_setting_is_where_a_story_stays_until_a_sentence_says_otherwise() -> None:
    setting = "The lion and the mouse\nIn winter a lion slept in the forest."
    scene = read_scene("He smiled.", "en", setting)
    assert (scene.mood, scene.place, scene.pictograms) == ("winter", "forest", ("🦁",))
    away = read_scene("At night the mouse came to the sea.", "en", setting)
    assert (away.mood, away.place, away.pictograms) == ("night", "sea", ("🐁",))
    hint = read_scene("A frog was lonely.", "en", setting)  # suggests a lake at dusk, but the story is elsewhere
    assert (hint.mood, hint.place) == ("winter", "forest")
    assert read_scene("All smiled.", "en", "Once.") == read_scene("They went.", "en", "Once.")  # by the same lot


def test_a_thing_is_not_both_a_pictogram_and_part_of_the_landscape() -> None:
    scene = read_scene("A boat lay before the house and the castle.", "en")
    assert set(scene.pictograms) == {"⛵", "🏠", "🏰"}
    assert not scene.things & {"boat", "house", "castle"}


# --- who is seen ------------------------------------------------------------------------------------------------------

CROW = """The Crow and the Pitcher
It had not rained, and a frog sat in the mud.
A young crow flew over the fields. She landed on the rim.
"Give up," said a lizard. The crow chose a pebble. The crow drank."""


def test_the_figure_is_the_one_the_story_is_about_not_the_first_it_names() -> None:
    assert read_cast(CROW, "en").figures[0] == "🐦‍⬛"
    setting = "\n".join(CROW.splitlines()[:2])
    assert read_scene("Nothing happened.", "en", setting, CROW).pictograms == ("🐦‍⬛",)
    assert read_scene("She looked in.", "en", setting, CROW).pictograms == ("🐦‍⬛",)  # a crow can be a she
    assert read_scene("Far down lay a coin.", "en", setting, CROW).pictograms == ("🪙", "🐦‍⬛")
    things = read_scene("There lay a key, a bell and a book.", "en", setting, CROW).pictograms
    assert things == ("🔑", "🔔", "🐦‍⬛")  # the figure rather than a third thing


def test_who_opens_a_story_goes_before_who_is_named_once_more_at_its_end() -> None:
    story = "The turnip\nGrandfather sowed a turnip.\nHe pulled. A mouse came. The mouse helped."
    assert read_cast(story, "en").figures == ("👴", "🐁")


def test_who_is_gone_is_not_the_figure() -> None:
    story = "Mud\nThe frogs had gone. No wolf came, and a bear slept."
    assert read_cast(story, "en").figures == ("🐻",)


FRIENDS = "Next Door\nTom and Anna were neighbours. Then Anna saw Tom. He waved, and Anna laughed."


def test_people_are_seen_by_name_the_same_in_every_panel() -> None:
    names = read_cast(FRIENDS, "en").names
    assert names == {"anna": "👩", "tom": "🧑"}
    assert read_scene("Anna shook her head.", "en", story=FRIENDS).pictograms == ("👩",)
    assert read_scene('"Where is Anna?" he asked.', "en", story=FRIENDS).pictograms == ("👩",)
    assert set(read_scene("Anna hugged Tom.", "en", story=FRIENDS).pictograms) == {"👩", "🧑"}


@pytest.mark.parametrize(
    ("story", "names"),
    [
        ("Home\nThen Marta smiled. She was a girl, a good girl.", {"marta": "👧"}),
        ("Home\nOnce Peter came, and he sang. Then Peter left.", {"peter": "👨"}),
        ("Home\nOnce came Tom Sawyer, and he sang. Then Tom left.", {"tom": "👨", "sawyer": "👨"}),
        ("Home\nThe bear met Anna. Then the boy and Anna left. The doctor Novak came.", {"anna": "👩", "novak": "🧑‍⚕"}),
        ("Pepe\nC'era un orologiaio con un gatto grigio di nome Pepe.", {"pepe": "🐈"}),
        ("The Crow and the Pitcher\nPlop. Plop. Suddenly it rained. Suddenly it stopped.", {}),
        ("Im Wald\nDer Hans ging in den Wald und der Baum stand da.", {}),  # every German noun has a capital
    ],
)
def test_a_name_is_drawn_as_what_the_story_says_it_is(story: str, names: dict[str, str]) -> None:
    assert read_cast(story, "de" if "Wald" in story else "it" if "gatto" in story else "en").names == names


@pytest.mark.parametrize(
    ("language", "he", "she"),
    [
        ("en", "He said nothing.", "She said nothing."),
        ("de", "Er sagte nichts.", "Sie sagte nichts."),
        ("ru", "Он молчал.", "Она молчала."),
        ("zh", "他不说话。", "她不说话。"),
        ("ja", "彼は笑った。", "彼女は笑った。"),
        ("ar", "هو هنا", "هي هنا"),
    ],
)
def test_he_and_she_are_people_where_nobody_else_is_known(language: str, he: str, she: str) -> None:
    assert read_scene(he, language).pictograms == ("👨",)
    assert read_scene(she, language).pictograms == ("👩",)
    assert read_scene("...", language).pictograms == ()


def test_she_means_the_woman_of_the_story_and_he_the_man() -> None:
    story = "A Visit\nA king and a queen met. The king spoke. The queen smiled. The king left."
    assert read_scene("She sat down.", "en", story=story).pictograms == ("👸",)
    assert read_scene("He sat down.", "en", story=story).pictograms == ("🫅",)


# --- the story's hour, place and language -----------------------------------------------------------------------------


def test_an_hour_holds_until_another_is_named() -> None:
    setting = "The lamp\nA girl lived by the sea."

    def mood(prompt: str, before: str) -> str:
        return read_scenes([before, prompt], "en", setting, "")[1][-1].mood

    night = "One night in November she woke."
    assert mood("She took the torch.", night) == "night"
    assert mood("In the morning there was a cake.", night) == "dawn"
    assert mood("She ate it.", f"{night} In the morning there was a cake.") == "dawn"
    assert mood("It rained.", night) == "night"  # and rains
    assert mood("It rained.", "She sat.") == "storm"
    assert mood("She took the torch.", "She saw the moon and a star.") != "night"  # as in a song


def test_a_season_stays_through_the_day_and_gives_way_to_the_evening() -> None:
    setting = "Snow\nIn winter a bear slept in the forest."
    assert read_scene("He woke.", "en", setting, hour="dawn").mood == "winter"
    assert read_scene("He woke.", "en", setting, hour="sunset").mood == "sunset"
    dry = read_scene("She drank.", "en", "Dry\nIn the drought the river was mud.", hour="sunset")
    assert (dry.mood, "drought" in dry.things) == ("sunset", True)


def test_a_story_is_read_in_one_language() -> None:
    danish = read_scene("and", None, "And", "En and\nDer var engang en and, og den kunne ikke flyve.")
    assert danish.pictograms == ("🦆",)
    english = read_scene("and", None, "The end", "The end\nThere was a wall and she went home with her bread.")
    assert "🦆" not in english.pictograms


def test_the_stage_tells_the_language_where_the_story_opens_and_the_whole_of_it() -> None:
    source = {"title": "Řepa", "language": "cs", "paragraphs": ["Na zahradě.", "Potom v noci."]}
    told = story_told({**source, "language_given": True})
    assert told == {"language": "cs", "setting": "Řepa\nNa zahradě.", "story": "Řepa\nNa zahradě.\nPotom v noci."}
    assert "language" not in story_told({**source, "language_given": False})  # a default is no knowledge
