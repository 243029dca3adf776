"""Which axis of an array is what: images, height, width, channels; refused where it could be two things."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Shaped

from pellucid.errors import ConfigError, DataError

Axes = Literal["HW", "HWC", "CHW", "NHW", "NHWC", "NCHW"]
"""N images, H height, W width, C channels, in the order of the array."""

_NAMES = {"N": "image", "H": "height", "W": "width", "C": "channel"}
_CHANNELS = (1, 3)
_WHERE = "where the command has this option: train, sweep, detect, features"
_LEAST_SIDE = 5
"""An axis shorter than this is hardly the height or the width of an image, but rather its channels."""


@dataclass(frozen=True)
class Layout:
    """How images lie in an array.

    Attributes:
        axes: What each axis of the array is.
        shape: image height width channel, as `arranged` gives them; 1 where there is no such axis.
    """

    axes: Axes
    shape: tuple[int, int, int, int]

    @property
    def one_image(self) -> bool:
        """Whether the array is one image, without an axis of images."""
        return "N" not in self.axes

    def arranged(self, rows: Shaped[np.ndarray, "row ..."]) -> Shaped[np.ndarray, "row height width channel"]:
        """Rows of the array, of an array without an axis of images the one in a list, with channels last."""
        if "C" not in self.axes:
            return rows[..., None]
        return np.moveaxis(rows, 1, -1) if "CHW" in self.axes else rows

    def __str__(self) -> str:
        return named(self.axes)


def named(axes: str) -> str:
    """Axes in words, as `[image height width]`."""
    return f"[{' '.join(_NAMES[axis] for axis in axes)}]"


def check_axes(axes: object) -> Axes | None:
    """Take the name of a layout, or None for none.

    Raises:
        ConfigError: If it is neither.
    """
    if axes is not None and axes not in get_args(Axes):
        known = ", ".join(get_args(Axes))
        raise ConfigError(f"axes: expected one of {known}, got {str(axes)[:60]!r}. Choose one of them.")
    return axes  # type: ignore[return-value]


def layout_of(shape: tuple[int, ...], axes: Axes | None) -> Layout:
    """Find out how images lie in an array.

    Args:
        shape: Of the array.
        axes: What its axes are; None if that is to be told by their lengths.

    Raises:
        DataError: If they are not those of images, or could be those of different ones.
    """
    got = f"got shape {list(shape)}"
    if axes is not None:
        if len(axes) != len(shape):
            raise DataError(f"expected an array {named(axes)}, {got}. Say what its axes are by --axes.")
        return _checked(axes, shape, got)
    found = [axes for axes, fits in _FITS.items() if len(axes) == len(shape) and fits(*shape)]
    if len(shape) == 2:
        raise DataError(
            f"expected images, {got}: one grey image, or pixels in a row? Save them as [image height width], "
            f"or say --axes HW for one image, {_WHERE}."
        )
    if len(shape) not in (3, 4):
        raise DataError(
            f"expected images as [image height width] or [... channel], {got}. Give it 3 or 4 axes."
        )
    if not found:
        raise DataError(f"expected images with 1 or 3 channels, {got}. Keep 1 or 3 channels.")
    if len(found) > 1:
        could = " or ".join(named(axes) for axes in found)
        options = " or ".join(f"--axes {axes}" for axes in found)
        raise DataError(
            f"expected images, {got}, which could be {could}. Save it as [image height width channel], or "
            f"say {options}, {_WHERE}."
        )
    return _checked(found[0], shape, got)


# What the lengths of the axes can mean. One grey image with channels is the same either way: NHW.
_FITS: dict[Axes, Callable[..., bool]] = {
    "NHW": lambda n, h, w: min(h, w) >= _LEAST_SIDE,
    "HWC": lambda h, w, c: c in _CHANNELS,
    "CHW": lambda c, h, w: c == 3 or (c == 1 and min(h, w) < _LEAST_SIDE),
    "NHWC": lambda n, h, w, c: c in _CHANNELS,
    "NCHW": lambda n, c, h, w: c in _CHANNELS,
}


def _checked(axes: Axes, shape: tuple[int, ...], got: str) -> Layout:
    length = dict(zip(axes, shape, strict=True))
    if length.get("C", 1) not in _CHANNELS:
        raise DataError(f"expected 1 or 3 channels in {named(axes)}, {got}. Keep 1 or 3 channels.")
    return Layout(axes, (length.get("N", 1), length["H"], length["W"], length.get("C", 1)))
