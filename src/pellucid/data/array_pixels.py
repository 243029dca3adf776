"""From the values of an array to pixels: which value is black, and which is white."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Shaped

from pellucid.data.axes import Axes, Layout, layout_of
from pellucid.data.images import MAX_PIXELS, levels
from pellucid.data.source import MAX_ROWS, Item
from pellucid.errors import DataError

MAX_IMAGE_BYTES = 3 * MAX_PIXELS


@dataclass(frozen=True)
class Reading:
    """How an array is to be read.

    Attributes:
        axes: What its axes are; None if their lengths tell.
        window: The values that become black and white; None takes 0 and 1 for floats, and for bytes 0 and
            255, or 0 and 1 if the whole file has no others.
    """

    axes: Axes | None = None
    window: tuple[float, float] | None = None

    def layout(self, shape: tuple[int, ...], dtype: np.dtype[Any], label: str) -> Layout:
        """Check that an array may hold images, and find out how they lie in it.

        Raises:
            DataError: If it does not, or its axes could be different things.
        """
        if not (dtype in (np.uint8, np.bool_) or dtype.kind == "f" or (self.window and dtype.kind in "iu")):
            raise DataError(
                f"{label}: expected bytes, bools, or floats in [0, 1], got {dtype}. Save it so, or say which "
                "values are black and white: train with --window 0,4095."
            )
        try:
            layout = layout_of(shape, self.axes)
        except DataError as error:
            raise DataError(f"{label}: {error}") from error
        count, height, width, channels = layout.shape
        got = f"got shape {list(shape)}"
        if not 1 <= count <= MAX_ROWS or height < 1 or not 1 <= width * height <= MAX_PIXELS:
            most = f"1 to {MAX_ROWS:,} images of 1 to {MAX_PIXELS:,} pixels"
            raise DataError(f"{label}: expected {most}, {got}. Keep so many.")
        if height * width * channels * dtype.itemsize > MAX_IMAGE_BYTES:
            most = f"images of at most {MAX_IMAGE_BYTES:,} bytes"
            raise DataError(f"{label}: expected {most}, {got} of {dtype}. Save them as uint8.")
        return layout


@dataclass(frozen=True)
class ImageArray:
    """An array of images in a file.

    Attributes:
        label: How to call it in errors.
        layout: What its axes are.
        dtype: uint8, bool or a float; with a window any number.
        blocks: Reads the rows from the first number up to the second, [row ...] at a time, in order.
        asked: The window that was asked for, or None.
    """

    label: str
    layout: Layout
    dtype: np.dtype[Any]
    blocks: Callable[[int, int], Iterator[Shaped[np.ndarray, "row ..."]]]
    asked: tuple[float, float] | None

    @cached_property
    def window(self) -> tuple[float, float]:
        """The values that become black and white; for bytes, the whole file is read for one above 1."""
        if self.asked is not None:
            return self.asked
        count = self.layout.shape[0]
        if self.dtype == np.uint8 and any(block.max() > 1 for block in self.blocks(0, count)):
            return (0, 255)
        return (0, 1)

    def items(self, rows: range) -> Iterator[list[Item]]:
        """Images of 0 to 255, and the reason for each that has values that are none."""
        for block in self.blocks(rows.start, rows.stop):
            yield self._items(self.layout.arranged(block))

    def value_range(self, rows: range) -> tuple[float, float]:
        """The least and the largest value that is finite."""
        low, high = math.inf, -math.inf
        for block in self.blocks(rows.start, rows.stop):
            finite = block[np.isfinite(block)] if self.dtype.kind == "f" else block
            if finite.size:
                low, high = min(low, float(finite.min())), max(high, float(finite.max()))
        return low, high

    def said(self) -> tuple[str, ...]:
        """What was decided about the values, where it was not obvious."""
        guessed = self.asked is None and self.dtype == np.uint8
        note = (
            "All bytes of the array are 0 or 1: taken for black and white. If not so, train with "
            "--window 0,255."
        )
        return (note,) if guessed and self.window == (0, 1) else ()

    def _items(self, block: Shaped[np.ndarray, "row height width channel"]) -> list[Item]:
        if self.dtype == np.bool_:
            block = (block != 0).view(np.uint8)
        binary = block.dtype == np.uint8 and self.window == (0, 1)
        if binary:  # in place: one image may be 150 MB
            np.minimum(block, 1, out=block)
            block *= np.uint8(255)
            return list(np.ascontiguousarray(block))
        if self.dtype.kind != "f":
            same = block.dtype == np.uint8 and self.window == (0, 255)
            return list(np.ascontiguousarray(block) if same else levels(block, self.window))
        finite = np.isfinite(block).all(axis=(1, 2, 3))
        values = block if finite.all() else np.where(finite[:, None, None, None], block, self.window[0])
        least, most = float(values.min()), float(values.max())
        if self.asked is None and not -1e-6 <= least <= most <= 1 + 1e-6:
            raise DataError(
                f"{self.label}: expected floats in [0, 1], got {least:.4g} to {most:.4g}. Scale them, or say "
                "which values are black and white: train with --window 0,255."
            )
        return [
            pixel if good else "has values that are not finite"
            for pixel, good in zip(levels(values, self.window), finite, strict=True)
        ]
