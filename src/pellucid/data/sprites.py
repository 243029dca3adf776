"""All 737,280 images of dSprites, drawn from their factors when they are asked for.

The geometry (Matthey et al. 2017, https://github.com/google-deepmind/dsprites-dataset) was recovered from 60
genuine images. In pixels of the canvas, x to the right, y down, pixel p covering [p, p + 1], at scale 1:

- A sprite's origin is at 16 + 32·i/31 for position index i, in x and in y.
- Orientation index k turns it by 2π·k/39 about that origin, x axis towards y axis (clockwise on the screen).
- The square has half side 9.6; the ellipse semi-axes 12.757 (along x at orientation 0) and 7.209.
- The heart is the classic curve x = 16 sin³t, y = 13 cos t - 5 cos 2t - 2 cos 3t - cos 4t (y up, so that the
  tip points down at orientation 0), with x times 9.5915/16, and y times 0.66236 and then raised by 1.4347.

The numbers of the ellipse and the heart are fitted, to some 0.005 pixels: one image of these in ten or so
may differ from the original in a pixel of its outline. A pixel is lit where its centre is inside.
Orientations 0 and 39 are the same image. Every shape is its own mirror image, so images without labels cannot
tell clockwise from anticlockwise, nor which end of an axis has index 0: these follow the canvas.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64, UInt8

from pellucid.errors import DataError

SIZES = (3, 6, 40, 32, 32)
FACTORS = ("shape", "scale", "orientation", "position x", "position y")

_CANVAS = 64
_WINDOW = 28  # sprites reach 9.6·√2 = 13.58 pixels from their origin at most
_CHUNK = 64  # images drawn together: small enough for the processor's cache

_Plane = Float[np.ndarray, "batch height width"]
_Mask = Bool[np.ndarray, "batch height width"]


def _in_square(x: _Plane, y: _Plane) -> _Mask:
    mask: _Mask = np.maximum(np.abs(x), np.abs(y)) <= 9.6
    return mask


def _in_ellipse(x: _Plane, y: _Plane) -> _Mask:
    return (x / 12.757) ** 2 + (y / 7.209) ** 2 <= 1


def _in_heart(x: _Plane, y: _Plane) -> _Mask:
    # With c = cos t, c² = 1 - (x/16)^(2/3), the upper and lower outline are y = 4 - 2c² - 8c⁴ ± c(19 - 8c²).
    c2 = np.maximum(1 - np.cbrt((x / 9.5915) ** 2), 0)
    height = (y + 1.4347) / -0.66236
    mask: _Mask = np.abs(height - 4 + (2 + 8 * c2) * c2) < np.sqrt(c2) * (19 - 8 * c2)
    return mask


_INSIDE: tuple[Callable[[_Plane, _Plane], _Mask], ...] = (_in_square, _in_ellipse, _in_heart)


def render(indices: np.ndarray) -> UInt8[np.ndarray, "batch 64 64"]:
    """Draw sprites from the indices of their factors.

    Args:
        indices: Integers `[batch 5]`, in the order of `FACTORS`, each from 0 to its entry of `SIZES` less 1.

    Returns:
        Images of 0 and 1, black background, `[batch height width]`.

    Raises:
        DataError: If the indices are not integers, not five for each image, or out of range.
    """
    checked = _checked_indices(indices)
    images = np.zeros((len(checked), _CANVAS, _CANVAS), dtype=np.uint8)
    for shape, inside in enumerate(_INSIDE):
        chosen = np.flatnonzero(checked[:, 0] == shape)
        for start in range(0, len(chosen), _CHUNK):
            rows = chosen[start : start + _CHUNK]
            _draw(images, rows, checked[rows], inside)
    return images


def _draw(
    images: UInt8[np.ndarray, "all 64 64"],
    rows: Int64[np.ndarray, " batch"],
    indices: Int64[np.ndarray, "batch 5"],
    inside: Callable[[_Plane, _Plane], _Mask],
) -> None:
    # Double precision, lest pixels on an outline depend on the machine's rounding.
    scale = (0.5 + indices[:, 1] / 10)[:, None]
    angle = 2 * np.pi * (indices[:, 2:3] % 39) / 39
    cos, sin = np.cos(angle), np.sin(angle)
    origin = 16 + 32 * indices[:, 3:] / 31  # [batch 2], x then y
    pixels = np.floor(origin).astype(np.int64)[:, :, None] + np.arange(-_WINDOW // 2, _WINDOW // 2)
    offsets = (pixels + 0.5 - origin[:, :, None]) / scale[:, :, None]  # [batch 2 window]
    dx, dy = offsets[:, 0], offsets[:, 1]
    x = (cos * dx)[:, None, :] + (sin * dy)[:, :, None]  # [batch window window]
    y = (cos * dy)[:, :, None] - (sin * dx)[:, None, :]
    images[rows[:, None, None], pixels[:, 1, :, None], pixels[:, 0, None, :]] = inside(x, y)


def indices_of(rows: np.ndarray) -> Int64[np.ndarray, "batch 5"]:
    """Find the factors of images by their rows in the set: shape changes slowest, position y fastest.

    Args:
        rows: Integers `[batch]` from 0 to 737,279.

    Raises:
        DataError: If the rows are not a list of integers, or out of range.
    """
    count = int(np.prod(SIZES))
    if not _is_integer(rows, dimensions=1):
        raise DataError(f"rows: expected integers [batch], got {_described(rows)}. Pass an integer array.")
    if rows.size and (rows.min() < 0 or rows.max() >= count):
        raise DataError(
            f"rows: expected 0 to {count - 1}, got {rows.min()} to {rows.max()}. Choose rows in range."
        )
    return np.stack(np.unravel_index(rows.astype(np.int64), SIZES), axis=1).astype(np.int64)


def values_of(indices: np.ndarray) -> Float32[np.ndarray, "batch 5"]:
    """Give the factors as numbers: shape's index, scale 0.5 to 1, orientation in radians, positions 0 to 1.

    Args:
        indices: As for `render`.

    Raises:
        DataError: As for `render`.
    """
    first = np.array([0, 0.5, 0, 0, 0])
    step = np.array([1, 0.1, 2 * np.pi / 39, 1 / 31, 1 / 31])
    values: Float[np.ndarray, "batch 5"] = first + step * _checked_indices(indices)
    return values.astype(np.float32)


def _checked_indices(indices: np.ndarray) -> Int64[np.ndarray, "batch 5"]:
    if not _is_integer(indices, dimensions=2) or indices.shape[1] != len(SIZES):
        raise DataError(
            f"indices: expected integers [batch 5], got {_described(indices)}. Use indices_of(rows)."
        )
    for column, (name, size) in enumerate(zip(FACTORS, SIZES, strict=True)):
        values = indices[:, column]
        if values.size and (values.min() < 0 or values.max() >= size):
            raise DataError(
                f"indices: expected {name} from 0 to {size - 1}, got {values.min()} to {values.max()}. "
                f"Column {column} is {name}."
            )
    return indices.astype(np.int64)


def _is_integer(array: np.ndarray, *, dimensions: int) -> bool:
    return isinstance(array, np.ndarray) and array.dtype.kind in "iu" and array.ndim == dimensions


def _described(array: np.ndarray) -> str:
    return f"{array.dtype} {list(array.shape)}" if isinstance(array, np.ndarray) else type(array).__name__
