"""RGB pictures as BT.709 limited-range Y, U and V planes, 4:2:0, and back: what every video of ours is made of.

Chroma is sited as H.264 assumes when a file says nothing (ITU-T H.264, annex E, type 0, "left", as in MPEG-2): on
every second column, halfway between two rows. Who resizes the planes must keep that place, see ``left_sited_box``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

KR, KB = 0.2126, 0.0722  # ITU-R BT.709-6, item 3.2
ROWS_AT_ONCE = 128  # keeps the float32 work small beside the picture itself; even, so that row pairs stay together

Planes = tuple["NDArray[Any]", "NDArray[Any]", "NDArray[Any]"]


def yuv420_planes(rgb: NDArray[Any]) -> Planes:
    """Y (h, w), U and V (h/2, w/2), uint8, of a uint8 picture (h, w, 3) whose height and width are even."""
    import numpy as np

    height, width, _ = rgb.shape
    y = np.empty((height, width), np.uint8)
    u, v = (np.empty((height // 2, width // 2), np.uint8) for _ in range(2))
    matrix = np.array(_matrix(), np.float32)
    for top in range(0, height, ROWS_AT_ONCE):
        rows = rgb[top : top + ROWS_AT_ONCE].astype(np.float32) @ matrix.T
        y[top : top + ROWS_AT_ONCE] = _rounded(rows[..., 0] + 16)
        half = slice(top // 2, (top + ROWS_AT_ONCE) // 2)
        u[half] = _rounded(_left_sited(rows[..., 1]) + 128)
        v[half] = _rounded(_left_sited(rows[..., 2]) + 128)
    return y, u, v


def rgb_from_yuv420(y: NDArray[Any], u: NDArray[Any], v: NDArray[Any]) -> NDArray[Any]:
    """The uint8 picture (h, w, 3) of BT.709 limited-range planes; each chroma sample serves its 2×2 pixels."""
    import numpy as np

    chroma = [plane.repeat(2, axis=0).repeat(2, axis=1).astype(np.float32) - 128 for plane in (u, v)]
    yuv = np.stack([y.astype(np.float32) - 16, *chroma], axis=-1)
    return _rounded(yuv @ np.linalg.inv(np.array(_matrix(), np.float64)).astype(np.float32).T)


def left_sited_box(box: tuple[float, float, float, float], scale: float) -> tuple[float, float, float, float]:
    """Where in a half-size chroma plane to resize from, when luma is resized from ``box`` (pixels, floats).

    ``scale`` is luma pixels read per pixel written, across. Halving the box alone would treat chroma as centred and
    move it by (1 - scale)/4 of its pixels: with the scale of a zoom the colours would drift against the outlines.
    The left edge may come out up to ``|1 - scale|/4`` outside the plane: pad the plane by a column on either side.
    """
    left, top, right, bottom = box
    shift = (1 - scale) / 4
    return left / 2 + shift, top / 2, right / 2 + shift, bottom / 2


def _matrix() -> list[list[float]]:
    """Rows Y, Cb, Cr of full-range RGB 0..255, without the offsets 16, 128, 128 (BT.709-6, items 3.3 and 3.4)."""
    luma = (KR, 1 - KR - KB, KB)
    cb = [(part - weight) / (2 * (1 - KB)) for part, weight in zip((0, 0, 1), luma, strict=True)]
    cr = [(part - weight) / (2 * (1 - KR)) for part, weight in zip((1, 0, 0), luma, strict=True)]
    return [[219 / 255 * k for k in luma], [224 / 255 * k for k in cb], [224 / 255 * k for k in cr]]


def _left_sited(plane: NDArray[Any]) -> NDArray[Any]:
    """Half the size: row pairs averaged, columns filtered 1:2:1 around every second one."""
    import numpy as np

    rows = (plane[0::2] + plane[1::2]) / 2
    before = np.concatenate([rows[:, :1], rows[:, 1:-1:2]], axis=1)
    return (before + 2 * rows[:, 0::2] + rows[:, 1::2]) / 4


def _rounded(values: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
