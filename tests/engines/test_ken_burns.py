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

from engines.video_generation._camera import Motion, choose, kind_in, part_at
from engines.video_generation.ken_burns import AHEAD, Engine, _frames, _Still, _still
from media.color import rgb_from_yuv420
from runtime.context import Context
from runtime.errors import Cancelled, WorkerError

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas" / "v1"
SCHEMA = json.loads((SCHEMAS / "video_generation" / "animate.schema.json").read_text(encoding="utf-8"))
COMMON = json.loads((SCHEMAS / "common.schema.json").read_text(encoding="utf-8"))
REGISTRY: Registry[Any] = Registry().with_resources((s["$id"], Resource.from_contents(s)) for s in (COMMON, SCHEMA))
MOVES = ["zoom_in", "zoom_out", "pan_left", "pan_right", "pan_up", "pan_down", "orbit"]


def check(value: object, definition: str) -> None:
    Draft202012Validator({"$ref": f"{SCHEMA['$id']}#/$defs/{definition}"}, registry=REGISTRY).validate(value)


def animate(folder: Path, image: Path, *, context: Context | None = None, **fields: Any) -> dict[str, Any]:
    """One request with the schema's and the engine's defaults filled in, as the runtime does."""
    properties = SCHEMA["$defs"]["input"]["properties"]
    defaults = {name: field["default"] for name, field in properties.items() if "default" in field}
    request = {**defaults, "image": str(image), **fields}
    if request["motion"] is not None:
        request["motion"] = {"strength": properties["motion"]["properties"]["strength"]["default"], **request["motion"]}
    check(request, "input")
    options = {name: field["default"] for name, field in Engine.options_schema["properties"].items()}
    context = context or Context(output_dir=folder, output_name="clip", engine_options=options)
    output = Engine().run("animate", request, context)
    check(output, "output")
    return {**output, "warnings": context.warnings}


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


def test_hold_is_the_same_picture_in_every_frame(tmp_path: Path) -> None:
    image = gradient(tmp_path / "a.png")
    motion = Motion("hold", 1, "motion")
    still = _still(image, motion, 320, 240, Context(output_dir=tmp_path, output_name="clip"))
    assert len(set(_frames(still, motion, 60, 320, 240))) == 1
    output = animate(tmp_path, image, num_frames=60, width=320, height=240, motion={"kind": "hold"})
    first, *others = (planes[0].astype(int) for planes in decoded(output["video"]["path"]))
    # x264 refines single pixels of a still once, by less than the eye sees
    assert max(np.abs(luma - first).max() for luma in others) <= 3
    assert max(np.abs(luma - first).mean() for luma in others) < 0.3


def test_frames_are_drawn_only_a_few_ahead_so_that_memory_does_not_grow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn, draw, motion = [], _Still.frame, Motion("pan_up", 1, "motion")

    def counted(self: _Still, *where: Any) -> bytes:
        drawn.append(where)
        return draw(self, *where)

    monkeypatch.setattr(_Still, "frame", counted)
    still = _still(gradient(tmp_path / "a.png"), motion, 64, 64, Context(output_dir=tmp_path, output_name="clip"))
    frames = _frames(still, motion, 18000, 64, 64)
    assert all(len(next(frames)) == 64 * 64 * 3 // 2 for _ in range(10))
    assert len(drawn) <= 10 + AHEAD
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
    if kind == "orbit":
        size, room, angle = zoom ** -((1 + ease) / 2), 1 - zoom**-0.5, math.pi * (1 - ease)
        return (1 - size) / 2 + 0.45 * room * math.cos(angle), (1 - size) / 2 + 0.25 * room * math.sin(angle), size
    size = 1 / zoom
    room = 1 - size
    along = room * (ease if kind in {"pan_right", "pan_down"} else 1 - ease)
    return (along, room / 2, size) if kind in {"pan_left", "pan_right"} else (room / 2, along, size)


@pytest.mark.parametrize("kind", MOVES)
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
    assert np.linalg.norm(wanted[-1] - wanted[0], axis=-1).max() > 10  # it does move
    assert error <= 0.2
    assert step <= 0.2


def test_colors_stay_on_their_outlines_during_a_zoom(tmp_path: Path) -> None:
    """Chroma of H.264 is sited on even columns: what is at x in luma is at x/2 + 1/4 in chroma."""
    width, height, motion = 540, 960, Motion("zoom_in", 1, "motion")
    image = dotted(tmp_path / "red.png", color=(240, 40, 40))
    still = _still(image, motion, width, height, Context(output_dir=tmp_path, output_name="clip"))
    drift = []
    for i, frame in enumerate(_frames(still, motion, 12, width, height)):
        planes = np.frombuffer(frame, np.uint8)
        luma = planes[: width * height].reshape(height, width)
        red = planes[-width * height // 4 :].reshape(height // 2, width // 2)
        left, top, size = expected("zoom_in", 1, i / 11)
        for x, y in DOTS:
            place = np.array([(x - left) / size * width, (y - top) / size * height])
            drift.append(centroid(red, place / 2, radius=8) - (centroid(luma, place) / 2 + [0.25, 0]))
    by_frame = np.mean(np.reshape(drift, (12, len(DOTS), 2)), axis=1)
    assert np.abs(by_frame).max() < 0.02  # chroma pixels; a merely halved box would drift by 0.05 over this zoom


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
    assert right - left == pytest.approx(bottom - top)  # nothing is stretched
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
    ],
)
def test_a_hint_in_words_names_a_move(hint: str, kind: str | None) -> None:
    assert kind_in(hint) == kind


def test_motion_goes_before_the_hint_and_the_hint_before_the_gentle_zoom(tmp_path: Path) -> None:
    assert choose({"kind": "hold", "strength": 0.2}, "pan left") == Motion("hold", 0.2, "motion")
    assert choose(None, "fast pan left") == Motion("pan_left", 0.9, "hint")
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


def test_cancelled_in_the_middle_it_stops_between_frames_and_leaves_no_thread(tmp_path: Path) -> None:
    cancelled, seen = threading.Event(), []

    def emit(kind: str, fields: dict[str, Any]) -> None:
        if fields.get("stage") == "encode":
            seen.append(fields["current"])
            if fields["current"] == 5:
                cancelled.set()

    options = {"crf": 14, "preset": "veryfast"}
    context = Context(
        output_dir=tmp_path / "out", output_name="clip", engine_options=options, cancelled=cancelled, emit=emit
    )
    with pytest.raises(Cancelled):
        animate(tmp_path, gradient(tmp_path / "a.png"), num_frames=2000, width=320, height=240, context=context)
    context.clean_up()
    assert seen[-1] == 5
    assert list((tmp_path / "out").iterdir()) == []
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ken_burns")]


@pytest.mark.parametrize(
    "file", sorted((SCHEMAS / "video_generation" / "examples").glob("ken_burns*.json")), ids=lambda f: f.stem
)
def test_the_examples_are_valid_requests(file: Path) -> None:
    request = json.loads(file.read_text(encoding="utf-8"))
    assert (request["op"], request["engine"]) == ("animate", "ken_burns")
    check(request["input"], "input")
    Draft202012Validator(Engine.options_schema).validate(request.get("engine_options", {}))
