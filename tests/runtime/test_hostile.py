"""Ten thousand requests that nobody should send: each ends by the table, none in a traceback."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import SCHEMAS

from runtime import validation
from runtime.errors import WorkerError, error_table
from runtime.request import Family, Request, prepare

EXAMPLES = [
    (path.parent.parent.name, json.loads(path.read_text(encoding="utf-8")))
    for path in sorted(SCHEMAS.glob("*/examples/*.json"))
]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(["", "\0", "../../x", "/", "~", "http://x/y", "a" * 5000, "\ud800", "NaN", "auto", "\u202e"]),
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def spoilt(draw: st.DrawFn) -> tuple[str, Any]:
    """A valid request in which up to three places hold something else, or have gone, or are new."""
    family, example = draw(st.sampled_from(EXAMPLES))
    request = copy.deepcopy(example)
    for _ in range(draw(st.integers(1, 3))):
        place = request
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(place[key], (dict, list)) and draw(st.booleans()):
                place = place[key]
                continue
            change = draw(st.sampled_from(["replace", "remove", "add"]))
            if change == "remove":
                del place[key]
            elif change == "add" and isinstance(place, dict):
                place[draw(st.text(max_size=8))] = draw(JSON)
            else:
                place[key] = draw(JSON)
            break
    return family, request


def ending(family: str, body: bytes, folder: Path, *, serving: bool) -> int:
    """The exit code of a request that is only read and checked; 0 when it would run."""
    try:
        raw = validation.parse(body)
        found = prepare(raw, Family(family), output_dir=folder, timeout_s=None, serving=serving)
    except WorkerError as error:
        return error.exit_code if json.dumps(error.as_json(), allow_nan=False) and error.message else -1
    assert isinstance(found, Request)
    assert found.output_dir.is_relative_to(folder.resolve())
    return 0


EXITS = {row["exit"] for row in error_table().values()} | {0}


@settings(max_examples=9000, deadline=None, suppress_health_check=list(HealthCheck))
@given(spoilt(), st.booleans())
def test_a_spoilt_request_ends_by_the_table(
    tmp_path_factory: pytest.TempPathFactory, told: tuple[str, Any], serving: bool
) -> None:
    family, request = told
    folder = tmp_path_factory.getbasetemp()
    assert ending(family, json.dumps(request).encode("utf-8", "surrogatepass"), folder, serving=serving) in EXITS


@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.one_of(st.binary(max_size=200), JSON.map(lambda value: json.dumps(value).encode())))
def test_what_is_no_request_ends_by_the_table(tmp_path_factory: pytest.TempPathFactory, body: bytes) -> None:
    assert ending("media_processing", body, tmp_path_factory.getbasetemp(), serving=False) == 65


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"v":1,"op":"probe","input":{"media":' + b'"x"' * 2 + b"}}",
        b'{"v":1,"v":2,"op":"probe","input":{}}',
        b'{"v":1e400,"op":"probe","input":{}}',
        b'{"v":true,"op":"probe","input":{"media":"x"}}',
        b'{"v":1.0,"op":"probe","input":{"media":"\\ud800"}}',
        b'{"v":1,"op":"probe","input":{"media":"' + b"a/" * 3000 + b'"}}',
        b'{"v":1,"op":"probe","input":{"media":"x\\u0000y"}}',
        b'{"v":1,"op":"probe","id":"' + b"a" * 500 + b'","input":{"media":"x"}}',
        b'{"v":1,"op":"compose","input":{"shots":[{"clip":"x","num_frames":1e300}]}}',
        b'{"v":1,"op":"probe","options":{"timeout_s":1e308},"input":{"media":"x"}}',
        b'{"v":1,"op":"probe","input":{"media":"x"},"options":{"timeout_s":' + b"9" * 5000 + b"}}",
    ],
)
def test_monsters_end_by_the_table(body: bytes, tmp_path: Path) -> None:
    assert ending("media_processing", body, tmp_path, serving=False) in {65, 66}
