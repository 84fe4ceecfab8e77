"""Camera moves over a still, checked on the decoded clip: frames, tags, colours, and where dots of the still go."""

from __future__ import annotations

import itertools
import json
import math
import threading
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from PIL import Image
from referencing import Registry, Resource

from engines.video_generation._camera import Motion, choose, kind_in, part_at, unasked
from engines.video_generation._still import AHEAD, Still, drawn, load_still, moves
from engines.video_generation.ken_burns import Engine
from media.color import rgb_from_yuv420
from runtime.context import Context
from runtime.errors import Cancelled, WorkerError

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas" / "v1"
OPERATIONS = {
    op: json.loads((SCHEMAS / "video_generation" / f"{op}.schema.json").read_text(encoding="utf-8"))
    for op in Engine.ops
}
COMMON = json.loads((SCHEMAS / "common.schema.json").read_text(encoding="utf-8"))
REGISTRY: Registry[Any] = Registry().with_resources(
    (s["$id"], Resource.from_contents(s)) for s in (COMMON, *OPERATIONS.values())
)
MOVES = ["zoom_in", "zoom_out", "pan_left", "pan_right", "pan_up", "pan_down", "orbit"]


def check(value: object, op: str, definition: str) -> None:
    reference = {"$ref": f"{OPERATIONS[op]['$id']}#/$defs/{definition}"}
    Draft202012Validator(reference, registry=REGISTRY).validate(value)


def filled(value: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """The value with the schema's defaults, as the runtime fills them in."""
    defaults = {name: field["default"] for name, field in schema["properties"].items() if "default" in field}
    return {**defaults, **value}


def ask(op: str, folder: Path, *, context: Context | None = None, **fields: Any) -> dict[str, Any]:
    """One request with the schema's and the engine's defaults."""
    schema = OPERATIONS[op]["$defs"]["input"]
    request = filled(fields, schema)
    if request.get("motion") is not None:
        request["motion"] = filled(request["motion"], schema["properties"]["motion"])
    if op == "sequence":
        request["scenes"] = [filled(scene, schema["properties"]["scenes"]["items"]) for scene in request["scenes"]]
    check(request, op, "input")
    options = {name: field["default"] for name, field in Engine.options_schema["properties"].items()}
    context = context or Context(output_dir=folder, output_name="clip", engine_options=options)
    output = Engine().run(op, request, context)
    check(output, op, "output")
    return {**output, "warnings": context.warnings}


def animate(folder: Path, image: Path, **fields: Any) -> dict[str, Any]:
    return ask("animate", folder, image=str(image), **fields)


def decoded(path: str) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The Y, U and V planes of every frame."""
    frames = []
    with av.open(path) as container:
        for frame in container.decode(video=0):
            planes = frame.to_ndarray(format="yuv420p")
            h, w = frame.height, frame.width
            flat = planes.reshape(-1)
            quarter = h * w // 4
            y, u, v = flat[: h * w], flat[h * w : h * w + quarter], flat[h * w + quarter :]
            frames.append((y.reshape(h, w), u.reshape(h // 2, w // 2), v.reshape(h // 2, w // 2)))
    return frames


def gradient(path: Path, width: int = 320, height: int = 240) -> Path:
    across, down = np.meshgrid(np.linspace(20, 230, width), np.linspace(20, 230, height))
    Image.fromarray(np.stack([across, down, 255 - across], axis=-1).astype(np.uint8)).save(path)
    return path


# --- what comes out ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_frames", [1, 2, 75, 121])
def test_the_clip_has_exactly_the_frames_asked_and_says_its_colours(tmp_path: Path, num_frames: int) -> None:
    output = animate(tmp_path, gradient(tmp_path / "a.png"), num_frames=num_frames, fps=30, width=96, height=160)
    with av.open(output["video"]["path"]) as container:
        stream = container.streams.video[0]
        codec = stream.codec_context
        assert sum(1 for _ in container.decode(video=0)) == num_frames == output["video"]["num_frames"]
        assert (codec.width, codec.height, stream.average_rate) == (96, 160, 30)
        tags = (codec.pix_fmt, codec.colorspace, codec.color_primaries, codec.color_trc, codec.color_range)
        assert tags == ("yuv420p", 1, 1, 1, 1)  # 1 is BT.709, and limited range
    assert output["video"]["duration_s"] == num_frames / 30


@pytest.mark.parametrize(("still", "clip"), [((321, 77), (16, 400)), ((77, 321), (642, 18)), ((641, 359), (130, 98))])
def test_any_still_gives_any_even_size(tmp_path: Path, still: tuple[int, int], clip: tuple[int, int]) -> None:
    image = gradient(tmp_path / "a.png", *still)
    for kind in ["orbit", "zoom_in", "hold"]:
        motion = {"kind": kind, "strength": 1}
        output = animate(tmp_path, image, num_frames=3, width=clip[0], height=clip[1], motion=motion)
        assert [planes[0].shape for planes in decoded(output["video"]["path"])] == [(clip[1], clip[0])] * 3


def test_the_same_request_gives_the_same_bytes(tmp_path: Path) -> None:
    image = gradient(tmp_path / "a.png")
    digests = {
        animate(tmp_path / name, image, num_frames=20, width=128, height=128, motion={"kind": "orbit"})["video"][
            "sha256"
        ]
        for name in ("one", "two")
    }
    assert len(digests) == 1


@pytest.mark.parametrize("color", ["#c04020", "#2040c0", "#10a060", "#ffffff", "#000000", "#808080"])
def test_a_flat_color_survives_within_two_levels(tmp_path: Path, color: str) -> None:
    Image.new("RGB", (300, 200), color).save(tmp_path / "flat.png")
    output = animate(tmp_path, tmp_path / "flat.png", num_frames=5, width=192, height=108)
    wanted = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)])
    for planes in decoded(output["video"]["path"]):
        assert np.abs(rgb_from_yuv420(*planes).astype(int) - wanted).max() <= 2


def still_of(image: Path, motion: Motion, width: int, height: int) -> Still:
    return load_still(image, motion, width, height, Context(output_dir=image.parent, output_name="clip"))


def test_hold_is_the_same_picture_in_every_frame(tmp_path: Path) -> None:
    image = gradient(tmp_path / "a.png")
    motion = Motion("hold", 1, "motion")
    assert len(set(drawn(moves(still_of(image, motion, 320, 240), motion, 60)))) == 1
    output = animate(tmp_path, image, num_frames=60, width=320, height=240, motion={"kind": "hold"})
    first, *others = (planes[0].astype(int) for planes in decoded(output["video"]["path"]))
    # x264 refines single pixels of a still once, by less than the eye sees
    assert max(np.abs(luma - first).max() for luma in others) <= 3
    assert max(np.abs(luma - first).mean() for luma in others) < 0.3


def test_frames_are_drawn_only_a_few_ahead_so_that_memory_does_not_grow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown, draw, motion = [], Still.frame, Motion("pan_up", 1, "motion")

    def counted(self: Still, part: Any) -> bytes:
        shown.append(part)
        return draw(self, part)

    monkeypatch.setattr(Still, "frame", counted)
    frames = drawn(moves(still_of(gradient(tmp_path / "a.png"), motion, 64, 64), motion, 18000))
    assert all(len(next(frames)) == 64 * 64 * 3 // 2 for _ in range(10))
    assert len(shown) <= 10 + AHEAD
    frames.close()


def test_a_moving_clip_rests_at_both_ends_and_moves_between(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (48, 27, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((540, 960)).save(tmp_path / "a.png")
    output = animate(tmp_path, tmp_path / "a.png", num_frames=60, width=270, height=480, motion={"kind": "pan_left"})
    luma = [planes[0].astype(int) for planes in decoded(output["video"]["path"])]
    steps = [np.abs(b - a).mean() for a, b in itertools.pairwise(luma)]
    assert max(steps[0], steps[-1]) < 0.2 * max(steps)
    assert np.abs(luma[0] - luma[-1]).mean() > 10


# --- where the dots go ------------------------------------------------------------------------------------------------

DOTS = [(x, y) for x in (0.35, 0.5, 0.65) for y in (0.35, 0.5, 0.65)]


def dotted(path: Path, width: int = 648, height: int = 1152, color: tuple[int, int, int] = (230, 230, 230)) -> Path:
    """Soft round dots, 3.5 px of sigma, on grey, at DOTS of the picture."""
    across, down = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    light = np.zeros((height, width))
    for x, y in DOTS:
        light += np.exp(-((across - x * width) ** 2 + (down - y * height) ** 2) / (2 * 3.5**2))
    ground = np.full((height, width, 3), 60.0)
    picture = ground + light[..., None] * (np.array(color) - ground)
    Image.fromarray(np.rint(picture).astype(np.uint8)).save(path)
    return path


def centroid(plane: np.ndarray, place: np.ndarray, radius: int = 14) -> np.ndarray:
    """Centre of the brightness around ``place`` (x, y), in pixels whose centres are at halves."""
    left, top = (int(value) - radius for value in place)
    window = plane[top : top + 2 * radius, left : left + 2 * radius].astype(float)
    window = np.clip(window - np.median(window) - 2, 0, None)
    rows, columns = np.mgrid[0 : 2 * radius, 0 : 2 * radius]
    return np.array(
        [left + 0.5 + (window * columns).sum() / window.sum(), top + 0.5 + (window * rows).sum() / window.sum()]
    )


def expected(kind: str, strength: float, t: float) -> tuple[float, float, float]:
    """Left, top and size of what is seen: the contract, written down a second time."""
    ease, zoom = (1 - math.cos(math.pi * t)) / 2, 1 + 0.2 * strength
    if kind in {"zoom_in", "zoom_out"}:
        size = zoom ** -(ease if kind == "zoom_in" else 1 - ease)
        return (1 - size) / 2, (1 - size) / 2, size
    if kind == "orbit":  # a bow: across the room of the widest view, which a quarter of the zoom closes, and down
        size, room, across = zoom ** (-0.75 - 0.25 * ease), 1 - zoom**-0.75, 2 * ease - 1
        return (1 - size) / 2 + 0.5 * room * across, (1 - size) / 2 + 0.2 * room * (1 - across**2), size
    if kind == "hold":
        return 0, 0, 1
    size = 1 / zoom
    room = 1 - size
    along = room * (ease if kind in {"pan_right", "pan_down"} else 1 - ease)
    return (along, room / 2, size) if kind in {"pan_left", "pan_right"} else (room / 2, along, size)


@pytest.mark.parametrize("kind", [*MOVES, "hold"])
def test_dots_follow_the_eased_path_to_a_fifth_of_a_pixel(tmp_path: Path, kind: str) -> None:
    width, height, count, strength = 540, 960, 60, 0.75
    image = dotted(tmp_path / "dots.png")
    motion = {"kind": kind, "strength": strength}
    output = animate(tmp_path, image, num_frames=count, fps=30, width=width, height=height, motion=motion)
    found, wanted = np.zeros((2, count, len(DOTS), 2))
    for i, planes in enumerate(decoded(output["video"]["path"])):
        left, top, size = expected(kind, strength, i / (count - 1))
        for j, (x, y) in enumerate(DOTS):
            wanted[i, j] = (x - left) / size * width, (y - top) / size * height
            found[i, j] = centroid(planes[0], wanted[i, j])
    error = np.linalg.norm(found - wanted, axis=-1).max()
    step = np.linalg.norm(np.diff(found, axis=0) - np.diff(wanted, axis=0), axis=-1).max()
    print(f"{kind}: error {error:.3f} px, step error {step:.3f} px")
    assert kind == "hold" or np.linalg.norm(wanted[-1] - wanted[0], axis=-1).max() > 10  # it does move
    assert error <= 0.2
    assert step <= 0.2


# In chroma pixels. A merely halved box would drift by 0.05 over the zoom. In a pan all dots lie alike between two
# pixels, so that the ripple of the interpolation does not average out.
@pytest.mark.parametrize(("kind", "most"), [("zoom_in", 0.02), ("pan_right", 0.1), ("pan_up", 0.1)])
def test_colors_stay_on_their_outlines_during_a_move(tmp_path: Path, kind: str, most: float) -> None:
    """Chroma of H.264 is sited on even columns: what is at x in luma is at x/2 + 1/4 in chroma."""
    width, height, motion = 540, 960, Motion(kind, 1, "motion")
    image = dotted(tmp_path / "red.png", color=(240, 40, 40))
    drift = []
    for i, frame in enumerate(drawn(moves(still_of(image, motion, width, height), motion, 12))):
        planes = np.frombuffer(frame, np.uint8)
        luma = planes[: width * height].reshape(height, width)
        red = planes[-width * height // 4 :].reshape(height // 2, width // 2)
        left, top, size = expected(kind, 1, i / 11)
        for x, y in DOTS:
            place = np.array([(x - left) / size * width, (y - top) / size * height])
            drift.append(centroid(red, place / 2, radius=8) - (centroid(luma, place) / 2 + [0.25, 0]))
    by_frame = np.mean(np.reshape(drift, (12, len(DOTS), 2)), axis=1)
    print(f"{kind}: {np.abs(by_frame).max():.3f} chroma pixels")
    assert np.abs(by_frame).max() < most


# --- which move -------------------------------------------------------------------------------------------------------


@given(
    kind=st.sampled_from([*MOVES, "hold"]),
    strength=st.floats(0, 1),
    size=st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
    num_frames=st.integers(1, 18000),
    data=st.data(),
)
def test_the_window_never_leaves_the_still(
    kind: str, strength: float, size: tuple[int, int], num_frames: int, data: st.DataObject
) -> None:
    frame = data.draw(st.integers(0, num_frames - 1))
    left, top, right, bottom = part_at(Motion(kind, strength, "motion"), frame, num_frames)
    assert 0 <= left < right <= 1
    assert 0 <= top < bottom <= 1
    wide, high = Motion(kind, strength, "motion").extent
    assert (right - left) * wide == pytest.approx((bottom - top) * high)  # nothing is stretched
    width, height = 2 * size[0], 2 * size[1]
    assert right * width <= width
    assert bottom * height <= height
    assert right - left >= 1 / 1.2 - 1e-9


@pytest.mark.parametrize(
    ("hint", "kind"),
    [
        ("Slow push-in on her face", "zoom_in"),
        ("camera pulls back to reveal the valley", "zoom_out"),
        ("pan left", "pan_left"),
        ("pan from left to right", "pan_right"),
        ("the camera pans slowly across the field", "pan_right"),
        ("tilt up to the sky", "pan_up"),
        ("crane down", "pan_down"),
        ("orbit around the pitcher", "orbit"),
        ("static shot", "hold"),
        ("zoom_out", "zoom_out"),
        ("dolly in", "zoom_in"),
        ("tracking to the left", "pan_left"),
        ("", None),
        ("the camera moves slowly towards the left", "pan_left"),
        ("moving towards the door", "zoom_in"),
        ("the crow is upset", None),
        ("extreme close-up of the coin", None),
        ("pan left, close up", "pan_left"),
    ],
)
def test_a_hint_in_words_names_a_move(hint: str, kind: str | None) -> None:
    assert kind_in(hint) == kind


def test_motion_goes_before_the_hint_and_the_hint_before_the_gentle_zoom(tmp_path: Path) -> None:
    assert choose({"kind": "hold", "strength": 0.2}, "pan left") == Motion("hold", 0.2, "motion")
    assert choose(None, "fast pan left") == Motion("pan_left", 0.9, "hint")
    assert choose(None, "hmm", angle="low angle, looking up") == Motion("pan_up", 0.5, "camera_angle")
    assert choose(None, None, angle="close-up") is None
    output = animate(tmp_path, gradient(tmp_path / "a.png"), num_frames=2, width=64, height=64)
    assert output["motion"] == {"kind": "zoom_in", "strength": 0.5, "chosen_by": "default"}
    assert output["warnings"] == []


def test_a_hint_that_names_no_move_is_warned_of(tmp_path: Path) -> None:
    output = animate(tmp_path, gradient(tmp_path / "a.png"), num_frames=2, width=64, height=64, motion_hint="hmm")
    assert [warning["code"] for warning in output["warnings"]] == ["motion_hint_unknown"]


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_a_small_still_is_warned_of(tmp_path: Path) -> None:
    output = animate(tmp_path, gradient(tmp_path / "a.png", 100, 80), num_frames=2, width=300, height=300)
    assert [warning["code"] for warning in output["warnings"]] == ["low_resolution"]


def test_no_still_no_clip_and_nothing_left_behind(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(WorkerError) as missing:
        animate(out, tmp_path / "none.png")
    (tmp_path / "a.png").write_text("not a picture")
    with pytest.raises(WorkerError) as unreadable:
        animate(out, tmp_path / "a.png")
    assert (missing.value.code, unreadable.value.code) == ("input_not_found", "input_unreadable")
    assert not out.exists()


@pytest.mark.parametrize("op", Engine.ops)
def test_cancelled_in_the_middle_it_stops_between_frames_and_leaves_no_thread(tmp_path: Path, op: str) -> None:
    cancelled, seen = threading.Event(), []

    def emit(kind: str, fields: dict[str, Any]) -> None:
        if fields.get("stage") == "encode":
            seen.append(fields["current"])
            assert (fields["total"], fields["unit"]) == (2000, "frames")
            if fields["current"] == 5:
                cancelled.set()

    options = {"crf": 14, "preset": "veryfast"}
    context = Context(
        output_dir=tmp_path / "out", output_name="clip", engine_options=options, cancelled=cancelled, emit=emit
    )
    image = str(gradient(tmp_path / "a.png"))
    scenes = [
        {"scene_number": 1, "keyframe": image, "duration_frames": 4},
        {"scene_number": 2, "keyframe": image, "duration_frames": 1996},
    ]
    fields: dict[str, dict[str, Any]] = {
        "animate": {"image": image, "num_frames": 2000},
        "sequence": {"scenes": scenes},  # taken back within the fade
        "transition": {"start_keyframe": image, "end_keyframe": image, "num_frames": 2000},
    }
    with pytest.raises(Cancelled):
        ask(op, tmp_path, width=320, height=240, context=context, **fields[op])
    context.clean_up()
    assert seen == [1, 2, 3, 4, 5]
    assert list((tmp_path / "out").iterdir()) == []
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ken_burns")]


def test_a_pan_takes_its_room_from_what_the_clip_would_cut_off(tmp_path: Path) -> None:
    """Of a picture wider than the clip a pan shows the whole height."""
    rows = np.repeat(np.linspace(0, 255, 200).astype(np.uint8)[:, None], 400, axis=1)
    Image.fromarray(np.stack([rows] * 3, axis=-1)).save(tmp_path / "a.png")
    motion = {"kind": "pan_right", "strength": 1}
    output = animate(tmp_path, tmp_path / "a.png", num_frames=3, width=100, height=200, motion=motion)
    for luma, _, _ in decoded(output["video"]["path"]):
        assert (luma[0].mean(), luma[-1].mean()) == (pytest.approx(16, abs=4), pytest.approx(235, abs=4))


# --- several keyframes ------------------------------------------------------------------------------------------------


def grey(path: Path, level: int) -> str:
    Image.new("RGB", (160, 96), (level, level, level)).save(path)
    return str(path)


def greys(folder: Path, levels: list[int], durations: list[int]) -> list[dict[str, Any]]:
    """Scenes of flat grey, numbered in tens."""
    return [
        {"scene_number": 10 * i, "keyframe": grey(folder / f"{level}.png", level), "duration_frames": frames}
        for i, (level, frames) in enumerate(zip(levels, durations, strict=True), 1)
    ]


def seen_greys(path: str) -> list[float]:
    """The mean of each frame, 0..255."""
    return [(float(planes[0].mean()) - 16) * 255 / 219 for planes in decoded(path)]


def test_scenes_follow_by_number_and_fade_in_the_first_frames_of_the_later(tmp_path: Path) -> None:
    scenes, events = greys(tmp_path, [0, 200, 100], [10, 12, 7]), []

    def emit(kind: str, fields: dict[str, Any]) -> None:
        if kind == "progress":
            events.append(tuple(fields.values()))

    options = {"crf": 16, "preset": "ultrafast"}
    context = Context(output_dir=tmp_path, output_name="clip", engine_options=options, emit=emit)
    size = {"width": 80, "height": 48, "fps": 25}
    output = ask("sequence", tmp_path, context=context, scenes=scenes[::-1], transition_frames=4, **size)
    assert events[:3] == [("prepare", count, 3, "pictures") for count in (1, 2, 3)]
    assert events[3:] == [("encode", count, 29, "frames") for count in range(1, 30)]
    assert (output["video"]["num_frames"], output["video"]["fps"]) == (29, 25)
    fades = [40.0, 80.0, 120.0, 160.0], [180.0, 160.0, 140.0, 120.0]
    wanted = [0.0] * 10 + fades[0] + [200.0] * 8 + fades[1] + [100.0] * 3
    assert seen_greys(output["video"]["path"]) == pytest.approx(wanted, abs=2.5)
    told = [(scene["scene_number"], scene["first_frame"], scene["duration_frames"]) for scene in output["scenes"]]
    assert told == [(10, 0, 10), (20, 10, 12), (30, 22, 7)]


@pytest.mark.parametrize(
    ("durations", "fade"), [([1], 24), ([1, 1], 24), ([2, 1, 2], 24), ([3, 5, 4], 24), ([6, 2, 6], 5), ([4, 4], 0)]
)
def test_any_durations_give_their_sum_whatever_the_fade(tmp_path: Path, durations: list[int], fade: int) -> None:
    levels = [0, 200, 100][: len(durations)]
    scenes = greys(tmp_path, levels, durations)
    output = ask("sequence", tmp_path, scenes=scenes, transition_frames=fade, width=32, height=32)
    seen = seen_greys(output["video"]["path"])
    assert len(seen) == sum(durations) == output["video"]["num_frames"]
    starts = [scene["first_frame"] for scene in output["scenes"]]
    for start, before, after, duration in zip(starts[1:], levels, levels[1:], durations[1:], strict=False):
        share = 1 / (min(fade, duration) + 1)  # of the later scene in its first frame
        assert seen[start] == pytest.approx(before + (after - before) * share, abs=2.5)


def test_a_scene_moves_as_its_hint_or_angle_says_and_never_as_the_one_before(tmp_path: Path) -> None:
    scenes = greys(tmp_path, [10, 20, 30, 40, 50], [2] * 5)
    scenes[1]["motion_hint"], scenes[1]["camera_angle"] = "orbit slowly", "high angle looking down"
    scenes[2]["camera_angle"] = "low angle looking up"
    scenes[3]["motion_hint"] = "hmm"
    output = ask("sequence", tmp_path, scenes=scenes, width=32, height=32)
    found = [(scene["motion"]["kind"], scene["motion"]["chosen_by"]) for scene in output["scenes"]]
    assert found[:3] == [("zoom_in", "default"), ("orbit", "hint"), ("pan_up", "camera_angle")]
    assert all(kind != before for (before, _), (kind, _) in itertools.pairwise(found))
    assert [warning["code"] for warning in output["warnings"]] == ["motion_hint_unknown"]
    assert "Scene 40" in output["warnings"][0]["message"]


def test_unasked_moves_take_turns() -> None:
    motion, kinds = None, []
    for _ in range(8):
        motion = unasked(motion)
        kinds.append(motion.kind)
    assert kinds == ["zoom_in", "zoom_out", "pan_right", "pan_left"] * 2


def test_a_move_goes_on_under_the_fade_as_if_it_were_a_clip_of_its_own(tmp_path: Path) -> None:
    """Scene 1 of 20 frames and a fade of 10 moves as a clip of 30 does."""
    image = dotted(tmp_path / "dots.png", 270, 480)
    scene = {"scene_number": 1, "keyframe": str(image), "duration_frames": 20, "motion_hint": "pan right"}
    black = {"scene_number": 2, "keyframe": grey(tmp_path / "0.png", 60), "duration_frames": 15}
    size: dict[str, Any] = {"width": 270, "height": 480}
    both = decoded(
        ask("sequence", tmp_path / "a", scenes=[scene, black], transition_frames=10, **size)["video"]["path"]
    )
    motion = {"kind": "pan_right", "strength": 0.5}
    alone = decoded(animate(tmp_path / "b", image, num_frames=30, motion=motion, **size)["video"]["path"])
    for frame in (0, 12, 19, 24):
        share = (frame - 19) / 11 if frame > 19 else 0
        level = 60 * 219 / 255 + 16
        wanted = alone[frame][0] * (1 - share) + level * share
        assert np.abs(both[frame][0] - wanted).mean() < 0.7
    assert np.abs(alone[0][0].astype(int) - alone[24][0]).mean() > 1.5  # there was something to see


def test_two_scenes_of_one_number_are_refused(tmp_path: Path) -> None:
    scenes = [{**scene, "scene_number": 7} for scene in greys(tmp_path, [10, 20], [2, 2])]
    with pytest.raises(WorkerError) as caught:
        ask("sequence", tmp_path / "out", scenes=scenes)
    assert (caught.value.code, caught.value.pointer) == ("invalid_request", "/input/scenes/1/scene_number")
    assert "7" in caught.value.message
    assert not (tmp_path / "out").exists()


def test_a_missing_keyframe_is_said_before_anything_is_encoded(tmp_path: Path) -> None:
    scenes = greys(tmp_path, [10, 20], [2000, 2])
    scenes[1]["keyframe"] = str(tmp_path / "none.png")
    with pytest.raises(WorkerError) as caught:
        ask("sequence", tmp_path / "out", scenes=scenes)
    assert (caught.value.code, "none.png" in caught.value.message) == ("input_not_found", True)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("num_frames", [1, 2, 3, 48])
def test_a_transition_shows_each_keyframe_whole_at_its_end(tmp_path: Path, num_frames: int) -> None:
    start, end = gradient(tmp_path / "a.png", 160, 96), tmp_path / "b.png"
    Image.open(start).rotate(180).save(end)
    size: dict[str, Any] = {"width": 160, "height": 96}
    output = ask(
        "transition", tmp_path / "t", start_keyframe=str(start), end_keyframe=str(end), num_frames=num_frames, **size
    )
    frames = [planes[0].astype(int) for planes in decoded(output["video"]["path"])]
    assert len(frames) == num_frames == output["video"]["num_frames"]
    held = [
        decoded(animate(tmp_path / name, image, num_frames=1, motion={"kind": "hold"}, **size)["video"]["path"])[0][0]
        for name, image in (("s", start), ("e", end))
    ]
    assert np.abs(frames[0] - held[0]).mean() < 1.5
    if num_frames > 1:
        assert np.abs(frames[-1] - held[1]).mean() < 1.5
    if num_frames == 48:
        steps = [np.abs(b - a).mean() for a, b in itertools.pairwise(frames)]
        assert max(steps) < 4 * np.mean(steps)  # no cut anywhere
        assert np.abs(frames[11] - held[0]).max() > 5  # it leans in before anything fades


@pytest.mark.parametrize(
    "file", sorted((SCHEMAS / "video_generation" / "examples").glob("ken_burns*.json")), ids=lambda f: f.stem
)
def test_the_examples_are_valid_requests(file: Path) -> None:
    request = json.loads(file.read_text(encoding="utf-8"))
    assert request["engine"] == "ken_burns"
    check(request["input"], request["op"], "input")
    Draft202012Validator(Engine.options_schema).validate(request.get("engine_options", {}))
