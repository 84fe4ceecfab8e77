"""Storyboard panels, drawn or taken from a folder of the user's own pictures."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from PIL import Image, ImageCms
from referencing import Registry, Resource
from support import result_of, worker

from engines.image_generation._composition import place
from engines.image_generation._concepts import concepts
from engines.image_generation._pictograms import figure
from engines.image_generation._places import PLACES, draw_panel
from engines.image_generation._scene import MOODS, THINGS, Scene, read_scene
from engines.image_generation.storyboard import Engine
from media.pictures import cover_box, list_pictures, open_picture
from runtime.context import Context
from runtime.errors import WorkerError

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas" / "v1"
SCHEMA = json.loads((SCHEMAS / "image_generation" / "generate.schema.json").read_text(encoding="utf-8"))
COMMON = json.loads((SCHEMAS / "common.schema.json").read_text(encoding="utf-8"))
REGISTRY: Registry[Any] = Registry().with_resources((s["$id"], Resource.from_contents(s)) for s in (COMMON, SCHEMA))
STORY = (
    "A crow flew over dry fields, dying of thirst.",
    "She found a tall clay pitcher in a garden.",
    "At night the sea was wild and the lighthouse dark.",
)


def check(value: object, definition: str) -> None:
    Draft202012Validator({"$ref": f"{SCHEMA['$id']}#/$defs/{definition}"}, registry=REGISTRY).validate(value)


def generate(folder: Path, *prompts: str, options: dict[str, Any] | None = None, **fields: Any) -> list[dict[str, Any]]:
    """One request with the schema's and the engine's defaults filled in; each image also has the request's warnings."""
    properties = SCHEMA["$defs"]["input"]["properties"]
    defaults = {name: field["default"] for name, field in properties.items() if "default" in field}
    request = {**defaults, "prompts": list(prompts), **fields}
    check(request, "input")
    own = {name: field["default"] for name, field in Engine.options_schema["properties"].items()} | (options or {})
    Draft202012Validator(Engine.options_schema).validate(own)
    context = Context(output_dir=folder, output_name="panel", engine_options=own)
    output = Engine().run("generate", request, context)
    check(output, "output")
    return [{**image, "warnings": [warning["code"] for warning in context.warnings]} for image in output["images"]]


def pixels(image: dict[str, Any]) -> np.ndarray:
    with Image.open(image["path"]) as picture:
        assert (picture.format, picture.mode) == ("PNG", "RGB")
        assert picture.size == (image["width"], image["height"])
        return np.asarray(picture).astype(int)


# --- drawn panels -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "size", [(1080, 1920), (1920, 1080), (1080, 1080), (64, 64), (64, 2048), (2048, 66), (130, 98)]
)
def test_a_panel_of_any_size_is_whole_and_not_flat(tmp_path: Path, size: tuple[int, int]) -> None:
    image, *_ = generate(tmp_path, STORY[0], width=size[0], height=size[1], seed=7)
    assert (image["width"], image["height"]) == size
    assert pixels(image).std() > 12


def test_the_same_prompt_seed_and_size_give_the_same_bytes(tmp_path: Path) -> None:
    once, again = (generate(tmp_path / name, *STORY, width=320, height=568, seed=5) for name in ("a", "b"))
    assert [image["sha256"] for image in once] == [image["sha256"] for image in again]


def test_other_prompts_and_other_seeds_look_different(tmp_path: Path) -> None:
    prompts = [
        *STORY,
        "At night the sea was wild and the ship lost.",
        "Pebble by pebble, the water rose.",
        "日が昇る",
        "🙂",
        "...",
    ]
    images = generate(tmp_path, *prompts, width=180, height=320, seed=1)
    images += generate(tmp_path / "other", STORY[0], width=180, height=320, seed=2)
    panels = [pixels(image) for image in images]
    for i, panel in enumerate(panels):
        for other in panels[:i]:
            assert np.abs(panel - other).mean() > 3


def test_no_seed_means_a_reported_one_that_makes_the_panel_again(tmp_path: Path) -> None:
    image, *_ = generate(tmp_path / "a", STORY[1], width=128, height=128)
    assert image["seed"] is not None
    again, *_ = generate(tmp_path / "b", STORY[1], width=128, height=128, seed=image["seed"])
    assert again["sha256"] == image["sha256"]


def test_variants_count_the_seed_up_and_wrap_round(tmp_path: Path) -> None:
    images = generate(tmp_path, "a", "b", width=64, height=64, seed=4294967295, num_images_per_prompt=2)
    assert [(image["prompt"], image["seed"]) for image in images] == [(p, s) for p in "ab" for s in (4294967295, 0)]
    assert [Path(image["path"]).name for image in images] == [f"panel_00{n}.png" for n in (1, 2, 3, 4)]
    assert len({image["sha256"] for image in images}) == 4


def test_gradients_are_dithered_so_that_they_show_no_bands() -> None:
    from engines.image_generation._canvas import Canvas

    canvas = Canvas(400, 400)
    canvas.sky(((40, 60, 90), (50, 70, 100), (60, 80, 110)), 400)
    rows = np.asarray(canvas.picture(np.random.default_rng(1)))[..., 0].astype(float).mean(axis=1)
    assert np.abs(rows - canvas.pixels[:, 0, 0]).max() < 0.25  # undithered, rows would be off by up to half a level


# --- pictograms -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("width", "height", "top", "bottom"), [(198, 352, 0.3, 0.64), (352, 198, 0.17, 0.76), (300, 300, 0.19, 0.74)]
)
@pytest.mark.parametrize(
    "words",
    [
        "A crow",
        "The lion, the mouse and the king",
        "A star over a house",
        "A boat, a fish and a whale at sea",
        "The table in the room, an old woman and a cat",
    ],
)
def test_pictograms_stay_clear_of_captions_titles_and_camera_moves(
    words: str, width: int, height: int, top: float, bottom: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(2):
        with_them = np.asarray(draw_panel(words, read_scene(words, "en"), seed, width, height)).astype(int)
        with monkeypatch.context() as patch:
            patch.setattr("engines.image_generation._places.stand", lambda stage: None)
            without = np.asarray(draw_panel(words, read_scene(words, "en"), seed, width, height)).astype(int)
        rows, columns = np.nonzero(np.abs(with_them - without).max(axis=-1) > 60)  # the figures, not their soft light
        assert len(rows) > 0.01 * width * height
        assert rows.min() >= (top - 0.012) * height
        assert rows.max() <= (bottom + 0.012) * height
        assert columns.min() >= 0.135 * width
        assert columns.max() <= 0.865 * width


def test_figures_do_not_overlap_and_the_main_one_is_large() -> None:
    from engines.image_generation._canvas import Canvas
    from engines.image_generation._stage import open_stage

    for words in ("The lion, the mouse and the king", "A house, a boat and a bird", "A star and a crow and a coin"):
        for seed in range(12):
            scene = read_scene(words, "en")
            stage = open_stage(Canvas(270, 480), scene, MOODS[scene.mood], np.random.default_rng(seed))
            boxes = place(stage)
            assert [box.concept.emoji in scene.pictograms for box in boxes] == [True] * 3
            for i, box in enumerate(boxes):
                for other in boxes[:i]:
                    apart = box.left >= other.left + other.wide or other.left >= box.left + box.wide
                    assert apart or box.top >= other.top + other.tall or other.top >= box.top + box.tall
    alone = open_stage(Canvas(270, 480), read_scene("The lion", "en"), MOODS["day"], np.random.default_rng(1))
    assert 0.3 <= place(alone)[0].tall / alone.unit <= 0.6


def test_neighbours_in_one_setting_are_not_alike() -> None:
    """Where they stand, how large, the light and the hills follow the seed: more than the grain differs."""
    panels = [
        np.asarray(draw_panel("x", read_scene("The crow waited.", "en", "A dry river."), seed, 135, 240)).astype(int)
        for seed in range(8)
    ]
    differences = [np.abs(a - b).mean() for i, a in enumerate(panels) for b in panels[:i]]
    assert min(differences) > 4
    assert np.mean(differences) > 9


def test_a_figure_keeps_its_colour_from_shot_to_shot() -> None:
    """The body's own colour, before the light falls on it, is the concept's and not the seed's or the sentence's."""
    colors = {part.color for _ in range(3) for part in figure(concepts()["🦁"])[0]}
    assert len(colors) == 1
    assert figure(concepts()["🫅"])[0][0].color != figure(concepts()["🧑‍🌾"])[0][0].color


def test_a_net_is_a_fishing_net() -> None:
    parts, _ = figure(concepts()["🥅"])
    assert all(part.lines and not part.contours for part in parts)  # the font's own is a football goal


@pytest.mark.parametrize("size", [(180, 320), (320, 180), (240, 240)])
@pytest.mark.parametrize("where", PLACES)
def test_a_moon_that_the_words_name_is_not_hidden(where: str, size: tuple[int, int]) -> None:
    from engines.image_generation._canvas import Canvas
    from engines.image_generation._places import paint
    from engines.image_generation._stage import open_stage

    scene = Scene("night", where, frozenset({"moon"}))
    for seed in range(4):
        x, y = open_stage(Canvas(*size), scene, MOODS["night"], np.random.default_rng(seed)).sun
        canvas = Canvas(*size)
        paint(canvas, scene, np.random.default_rng(seed))
        moon = canvas.pixels[int(y) - 2 : int(y) + 3, int(x) - 2 : int(x) + 3].mean()
        assert moon > 170, (where, seed, moon)


def test_a_drought_dries_the_river_at_any_hour() -> None:
    from engines.image_generation._canvas import Canvas
    from engines.image_generation._places import paint

    wet, dry = Canvas(90, 160), Canvas(90, 160)
    paint(wet, Scene("sunset", "river"), np.random.default_rng(3))
    paint(dry, Scene("sunset", "river", frozenset({"drought"})), np.random.default_rng(3))
    assert np.abs(wet.pixels - dry.pixels)[100:].mean() > 1


def test_a_scene_that_was_read_is_drawn_whatever_the_prompt_says(tmp_path: Path) -> None:
    size: dict[str, Any] = {"width": 128, "height": 228, "seed": 3}
    request = {
        "v": 1, "op": "read_scenes", "engine": "storyboard",
        "input": {"prompts": ["One night a wolf howled.", "Nothing."], "story": "Wolf\nOne night a wolf howled."},
    }  # fmt: skip
    output = result_of(worker("image_generation", request))["output"]
    assert output["language"] == "en"
    first, second = output["scenes"]
    assert (second["mood"], second["pictograms"]) == (first["mood"], first["pictograms"]) == ("night", ["🐺"])
    plain, *_ = generate(tmp_path / "a", "Nothing.", options={"language": "en"}, **size)
    told, *_ = generate(tmp_path / "b", "Nothing.", options={"scene": second}, **size)
    assert np.abs(pixels(told) - pixels(plain)).mean() > 3


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"mood": "grim"}, "'grim'; allowed: dawn"), ({"place": "moon"}, "sea"), ({"pictograms": ["crow"]}, "'crow'")],
)
def test_a_scene_that_cannot_be_drawn_is_refused(tmp_path: Path, wrong: dict[str, Any], said: str) -> None:
    scene = {"mood": "day", "place": "sea", "things": [], "pictograms": [], **wrong}
    request = {
        "v": 1, "op": "generate", "engine": "storyboard", "engine_options": {"scene": scene},
        "input": {"prompts": ["x"], "width": 128, "height": 128},
    }  # fmt: skip
    done = worker("image_generation", request, "--output-dir", str(tmp_path))
    error = result_of(done)["error"]
    assert (done.returncode, error["code"]) == (65, "invalid_request")
    assert error["pointer"] == f"/engine_options/scene/{next(iter(wrong))}"
    assert said in error["message"]


def test_language_and_setting_are_options_of_a_request(tmp_path: Path) -> None:
    size: dict[str, Any] = {"width": 128, "height": 228, "seed": 3}
    plain, *_ = generate(tmp_path / "a", "他笑了。", **size)
    told, *_ = generate(
        tmp_path / "b", "他笑了。", options={"language": "zh-CN", "setting": "冬天，森林里有一只狼。"}, **size
    )
    again, *_ = generate(
        tmp_path / "c", "他笑了。", options={"language": "zh-CN", "setting": "冬天，森林里有一只狼。"}, **size
    )
    assert told["sha256"] == again["sha256"] != plain["sha256"]
    assert np.abs(pixels(told) - pixels(plain)).mean() > 8


@pytest.mark.parametrize("where", [*PLACES, "room"])
@pytest.mark.parametrize("mood", sorted(MOODS))
def test_every_place_can_be_drawn_in_every_mood(mood: str, where: str) -> None:
    from engines.image_generation._canvas import Canvas
    from engines.image_generation._places import paint

    every = frozenset(thing for things in THINGS.values() for thing in things)
    for things, shown in ((frozenset[str](), ()), (every, ("🦁", "⛵", "🕊"))):
        canvas = Canvas(90, 160)
        paint(canvas, Scene(mood, where, things, shown), np.random.default_rng(1))
        assert np.isfinite(canvas.pixels).all()
        assert canvas.pixels.std() > 5
        assert -1 < canvas.pixels.min() <= canvas.pixels.max() < 256


@given(st.text(min_size=1, max_size=60))
def test_any_text_is_a_scene(prompt: str) -> None:
    scene = read_scene(prompt)
    assert scene.mood in MOODS
    assert scene.place in {*PLACES, "room"}
    assert len(scene.pictograms) <= 3
    assert scene == read_scene(prompt)


def test_a_large_panel_takes_less_than_three_seconds() -> None:
    start = time.perf_counter()
    draw_panel(STORY[2], read_scene(STORY[2]), 7, 1240, 2208)
    assert time.perf_counter() - start < 3  # 0.3 s on an idle machine


# --- the user's own pictures ------------------------------------------------------------------------------------------


def solid(path: Path, color: str, size: tuple[int, int] = (80, 60)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path)
    return path


def color_at(picture: Image.Image, x: int, y: int) -> np.ndarray:
    return np.asarray(picture)[y, x].astype(int)


def middle(image: dict[str, Any]) -> tuple[int, ...]:
    values = pixels(image)
    return tuple(values[values.shape[0] // 2, values.shape[1] // 2])


def test_own_pictures_come_in_natural_order_and_start_again(tmp_path: Path) -> None:
    folder = tmp_path / "moje obrázky 日本 🙂"
    for name, color in (("Bild 10.png", "#00f"), ("bild 2.PNG", "#0f0"), ("Bild 1 ü.png", "#f00")):
        solid(folder / name, color)
    (folder / "notes.txt").write_text("not a picture, not named as one")
    (folder / ".hidden.png").write_text("x")
    images = generate(
        tmp_path / "out", *"abcd", width=64, height=64, options={"pictures": str(folder), "first_picture": 1}
    )
    red, green, blue = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    assert [middle(image) for image in images] == [green, blue, red, green]
    assert [image["seed"] for image in images] == [None] * 4
    wrapped, *_ = generate(
        tmp_path / "o2", "a", width=64, height=64, options={"pictures": str(folder), "first_picture": 5}
    )
    assert middle(wrapped) == blue


def test_a_picture_counts_by_its_content_too(tmp_path: Path) -> None:
    solid(tmp_path / "in" / "a.png", "#f00").rename(tmp_path / "in" / "no suffix")
    assert [path.name for path in list_pictures(tmp_path / "in")] == ["no suffix"]


def test_the_centre_is_kept_when_a_picture_is_cropped(tmp_path: Path) -> None:
    striped = np.zeros((100, 300, 3), np.uint8)
    striped[:, 100:200] = (0, 200, 0)
    (tmp_path / "in").mkdir()
    Image.fromarray(striped).save(tmp_path / "in" / "a.png")
    image, *_ = generate(tmp_path, "a", width=100, height=100, options={"pictures": str(tmp_path / "in")})
    assert (pixels(image) == (0, 200, 0)).all(axis=-1).mean() > 0.97
    assert image["warnings"] == []


@pytest.mark.parametrize(("size", "at"), [((300, 100), (250, 50)), ((100, 300), (50, 40))])
def test_a_picture_is_cropped_to_where_its_subject_is(
    tmp_path: Path, size: tuple[int, int], at: tuple[int, int]
) -> None:
    picture = Image.new("RGB", size, (120, 160, 220))
    checks = np.indices((50, 50)).sum(axis=0) // 5 % 2 * 200
    picture.paste(Image.fromarray(checks.astype(np.uint8)).convert("RGB"), (at[0] - 25, at[1] - 25))
    (tmp_path / "in").mkdir()
    picture.save(tmp_path / "in" / "a.png")
    image, *_ = generate(tmp_path, "a", width=100, height=100, options={"pictures": str(tmp_path / "in")})
    grey = (np.ptp(pixels(image), axis=-1) < 20).mean()  # the subject has no colour, its surroundings have
    assert grey > 0.2


@given(st.tuples(*[st.integers(1, 20000)] * 4))
def test_the_crop_lies_inside_and_has_the_shape_asked(sizes: tuple[int, int, int, int]) -> None:
    width, height, wide, tall = sizes
    left, top, right, bottom = cover_box((width, height), wide, tall)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert (right - left) * tall == pytest.approx((bottom - top) * wide, rel=1e-6)
    assert left + right == pytest.approx(width)


def test_a_small_picture_is_warned_of(tmp_path: Path) -> None:
    solid(tmp_path / "in" / "a.png", "#f00", (40, 40))
    options = {"pictures": str(tmp_path / "in")}
    assert generate(tmp_path, "a", width=80, height=80, options=options)[0]["warnings"] == []
    assert generate(tmp_path, "a", width=82, height=64, options=options)[0]["warnings"] == ["low_resolution"]


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    picture = Image.new("RGB", (60, 30), "#f00")
    picture.paste("#00f", (0, 0, 30, 30))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90° clockwise to see it upright
    picture.save(tmp_path / "a.png", exif=exif)
    upright = open_picture(tmp_path / "a.png")
    assert upright.size == (30, 60)
    assert (upright.getpixel((15, 5)), upright.getpixel((15, 55))) == ((0, 0, 255), (255, 0, 0))


MODES = {
    "RGBA": (Image.new("RGBA", (8, 8), (255, 0, 0, 0)), "png", (255, 255, 255)),
    "half": (Image.new("RGBA", (8, 8), (255, 0, 0, 128)), "png", (255, 127, 127)),
    "LA": (Image.new("LA", (8, 8), (0, 0)), "png", (255, 255, 255)),
    "P": (Image.new("RGB", (8, 8), (10, 200, 30)).convert("P", palette=Image.Palette.ADAPTIVE), "gif", (10, 200, 30)),
    "L": (Image.new("L", (8, 8), 77), "bmp", (77, 77, 77)),
    "1": (Image.new("1", (8, 8), 1), "tiff", (255, 255, 255)),
    "CMYK": (Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "tiff", (255, 0, 0)),
    "16 bit": (Image.fromarray(np.full((8, 8), 0x8080, np.uint16)), "png", (128, 128, 128)),
    "float": (Image.fromarray(np.full((8, 8), 0.5, np.float32)), "tiff", (128, 128, 128)),
    "webp": (Image.new("RGB", (8, 8), (0, 0, 0)), "webp", (0, 0, 0)),
}


@pytest.mark.parametrize("mode", MODES)
def test_every_kind_of_pixel_becomes_plain_rgb(tmp_path: Path, mode: str) -> None:
    picture, suffix, wanted = MODES[mode]
    picture.save(tmp_path / f"a.{suffix}")
    opened = open_picture(tmp_path / f"a.{suffix}")
    assert opened.mode == "RGB"
    assert np.abs(color_at(opened, 4, 4) - wanted).max() <= 1


def test_of_an_animation_the_first_frame_is_taken(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("#f00", "#0f0")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert open_picture(tmp_path / "a.gif").getpixel((4, 4)) == (255, 0, 0)


def test_a_colour_profile_is_converted_to_srgb_and_a_broken_one_ignored(tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for name, profile in (("good", srgb), ("broken", b"nonsense" * 40)):
        Image.new("RGB", (8, 8), (200, 100, 50)).save(tmp_path / f"{name}.png", icc_profile=profile)
        assert np.abs(color_at(open_picture(tmp_path / f"{name}.png"), 4, 4) - (200, 100, 50)).max() <= 1


# --- what goes wrong --------------------------------------------------------------------------------------------------


def bomb(path: Path, width: int, height: int) -> Path:
    """A small PNG whose header promises many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )
    return path


@pytest.mark.parametrize("size", [(60000, 60000), (12000, 10000), (10001, 10000)])
def test_an_image_bomb_is_refused_before_it_is_decoded(tmp_path: Path, size: tuple[int, int]) -> None:
    with pytest.raises(WorkerError, match=r"too large.*100 million") as error:
        open_picture(bomb(tmp_path / "bomb.png", *size))
    assert error.value.code == "input_unreadable"
    assert "bomb.png" in error.value.message


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "gif", "tiff"])
def test_a_truncated_picture_is_unreadable_and_named(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    file = tmp_path / f"holiday.{suffix}"
    Image.fromarray(noise).save(file)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(WorkerError, match=r"holiday\.") as error:
        open_picture(file)
    assert error.value.code == "input_unreadable"


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"%PDF-1.4", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"]
)
def test_what_is_no_picture_is_refused_whatever_its_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(content)
    with pytest.raises(WorkerError, match=r"a\.png") as error:
        generate(tmp_path / "out", "a", width=64, height=64, options={"pictures": str(tmp_path / "in")})
    assert error.value.code == "input_unreadable"
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_missing_empty_or_a_file_has_its_own_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    codes = {}
    for name in ("missing", "empty", "file"):
        with pytest.raises(WorkerError, match=name) as error:
            generate(tmp_path, "a", width=64, height=64, options={"pictures": str(tmp_path / name)})
        codes[name] = error.value.code
    assert codes == {"missing": "input_not_found", "empty": "input_unreadable", "file": "input_unreadable"}


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes in a folder are POSIX")
def test_a_pipe_named_as_a_picture_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(WorkerError, match="not a file"):
        open_picture(tmp_path / "a.png")
    with pytest.raises(WorkerError, match="no picture"):
        list_pictures(tmp_path)


@pytest.mark.parametrize(
    "file", [SCHEMAS / "image_generation" / "examples" / f"storyboard{which}.json" for which in ("", "_own_pictures")]
)
def test_the_examples_are_valid_requests(file: Path) -> None:
    request = json.loads(file.read_text(encoding="utf-8"))
    assert (request["op"], request["engine"]) == ("generate", "storyboard")
    check(request["input"], "input")
    Draft202012Validator(Engine.options_schema).validate(request.get("engine_options", {}))


def test_a_published_panel_is_what_its_digest_says(tmp_path: Path) -> None:
    image, *_ = generate(tmp_path, "hills", width=64, height=64)
    assert hashlib.sha256(Path(image["path"]).read_bytes()).hexdigest() == image["sha256"]
    assert [path.name for path in tmp_path.iterdir()] == ["panel_001.png"]
