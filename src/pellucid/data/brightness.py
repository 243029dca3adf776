"""Whether the pixels of a set of images use the range that there is, or show hardly anything to a model."""

import math
from itertools import chain, islice
from pathlib import Path

import numpy as np

from pellucid.data.images import value_range
from pellucid.data.pixel_file import PixelFile
from pellucid.data.source import Source
from pellucid.errors import ImageError

_NARROW = 85
"""Of 256 levels, a third: 14 bits in a file of 16 use 64, and resizing exceeds that."""
_LOOKED_AT = 100


def brightness_notes(pixels: PixelFile, source: Source) -> tuple[str, ...]:
    """Say so if all images are of one value, or of few, with the values that the files hold.

    Args:
        pixels: Of all images, as a model sees them.
        source: Where they come from.
    """
    extremes = np.array([(block.min(), block.max()) for block in pixels.blocks()])
    low, high = int(extremes[:, 0].min()), int(extremes[:, 1].max())
    if high - low > _NARROW:
        return ()
    least, most, largest = _values(source)
    found = (
        f"the values found are {least:,g} to {most:,g}"
        if least < most
        else f"the only value found is {most:,g}"
    )
    what = f"All pixels of all images are {'black' if high == 0 else 'white' if low == 255 else 'alike'}"
    if low < high:
        what = f"The images are nearly of one shade, {low} to {high} of 0 to 255"
    if least == most:
        return (f"{what}: {found}. There is nothing to learn from them.",)
    return (f"{what}: {found}{largest}. To use the whole range, train with {_option(least, most)}.",)


def _values(source: Source) -> tuple[float, float, str]:
    """The least and the largest value in the files, and what more there could be, in words."""
    if source.value_range is not None:
        return (*source.value_range(), "")
    ranges = []
    for item in islice(chain.from_iterable(source.chunks()), _LOOKED_AT):
        if isinstance(item, Path | bytes):
            try:
                ranges.append(value_range(item))
            except ImageError:  # told elsewhere
                continue
    if not ranges:
        return 0, 0, ""
    least, most, largest = np.array(ranges).T
    return float(least.min()), float(most.max()), f", of 0 to {largest.max():,g}"


def _option(least: float, most: float) -> str:
    """A window that all values lie in: from 0, and to the end of so many bits, where that is near."""
    if not 0 <= least < most / 2:
        return f"--window={least:.6g},{most:.6g}"
    whole = least.is_integer() and most.is_integer()
    return f"--window 0,{2 ** math.ceil(math.log2(most + 1)) - 1 if whole else f'{most:.6g}'}"
