"""Style presets: eight looks as data, and what becomes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from planning import think, told
from support import STORY

from orchestrator import options, styles
from orchestrator.depiction import unwanted
from orchestrator.errors import StorygenError
from orchestrator.making import Making
from orchestrator.profile import load
from orchestrator.stages import guidance, keyframes, scenes
from orchestrator.subject import Subject

MOST_WORDS_BEFORE = 10
"""Of CLIP's 77 tokens the shot itself needs most."""


@pytest.fixture(scope="module")
def lamps(tmp_path_factory: pytest.TempPathFactory) -> Making:
    return told(tmp_path_factory.mktemp("lamps") / "run", STORY)


def test_there_are_eight_presets_with_words_for_every_part() -> None:
    names = list(styles.listed())
    assert len(names) == 8
    for name in names:
        preset = styles.style(name)
        assert preset is not None
        assert 0 < len(preset.before.split()) <= MOST_WORDS_BEFORE
        assert "text" in unwanted(preset).split(", ")
        assert unwanted(preset) == f"{preset.negative}, {styles.unwanted()}"
    assert len({styles.style(name) for name in names}) == 8
    assert unwanted(None) == styles.unwanted()
    assert styles.style(None) is None


def test_an_unknown_preset_is_said_before_anything_is_drawn(lamps: Making, tmp_path: Path) -> None:
    with pytest.raises(StorygenError) as caught:
        think(lamps, tmp_path / "run", ["film.style=cinema"], scenes.make, guidance.make)
    assert caught.value.code == "invalid_request"
    assert "'cinema'" in caught.value.message
    assert all(name in (caught.value.hint or "") for name in styles.listed())


def test_an_unknown_preset_is_said_when_the_options_are_read() -> None:
    with pytest.raises(StorygenError, match=r"film\.style is 'cinema'"):
        options.profile("draft", {"style": "cinema"}, None, [], None, None)
    chosen = options.profile("draft", {"style": "cinema"}, None, ["film.style=clay"], None, None)
    assert chosen["film"]["style"] == "clay"


ASKED: dict[str, Any] = {"target_s": None, "audience": None, "style": None}
STORY_FILE, IDEA = Subject(story=Path("a.md")), Subject(idea="a crow")


@pytest.mark.parametrize(
    ("profile", "told", "asked", "said"),
    [
        ("draft", STORY_FILE, {"style": "clay"}, "storyboard draws in one style only"),
        ("draft", STORY_FILE, {"audience": "children"}, "no text model that plans its pictures"),
        ("local", STORY_FILE, {"target_s": 60}, "a story is as long as it is"),
        ("local", STORY_FILE, {"style": "clay", "audience": "children"}, None),
        ("local", IDEA, {"style": "clay", "audience": "children", "target_s": 60}, None),
    ],
)
def test_what_would_change_nothing_is_refused(
    profile: str, told: Subject, asked: dict[str, Any], said: str | None
) -> None:
    film = {**ASKED, **asked}
    if said is None:
        options.refuse_unused(told, load(profile), film)
        return
    with pytest.raises(StorygenError, match=said) as caught:
        options.refuse_unused(told, load(profile), film)
    assert caught.value.hint


def test_a_drawn_panel_has_no_style_and_says_so_once(lamps: Making, tmp_path: Path) -> None:
    stages = (scenes.make, guidance.make, keyframes.make)
    plain = think(lamps, tmp_path / "run", [], *stages)
    assert plain.warnings == []
    styled = think(lamps, tmp_path / "run", ["film.style=anime"], *stages)
    assert [code for code, _ in styled.warnings] == [keyframes.STYLE_IGNORED]
    assert "anime is left out" in styled.warnings[0][1]
    assert styled.made == []
