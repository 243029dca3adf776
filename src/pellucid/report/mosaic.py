"""Images side by side, in whole pixels: what the figures, the animation and the report are made of."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from pellucid.data.images import to_pixels

CELL = 128


def cell_factor(size: int) -> int:
    """How many device pixels a side an image pixel gets: a whole number, at least 128 for the image."""
    return max(1, -(-CELL // size))


def opaque(
    images: Float[Tensor, "batch channel height width"], factor: int = 1
) -> UInt8[np.ndarray, "b h w 4"]:
    """RGBA pixels of images in [0, 1], each pixel repeated `factor` times a side."""
    pixels = to_pixels(images)  # [batch height width channel]
    colour = np.repeat(pixels, 3, axis=3) if pixels.shape[3] == 1 else pixels
    rgba = np.concatenate([colour, np.full_like(colour[..., :1], 255)], axis=3)
    return rgba.repeat(factor, axis=1).repeat(factor, axis=2)


def fitted(
    images: Float[Tensor, "batch channel height width"], side: int
) -> UInt8[np.ndarray, "b side side 4"]:
    """RGBA pixels at `side` pixels a side: repeated where that is a multiple, else resized."""
    size = images.shape[2]
    if side % size == 0:
        return opaque(images, side // size)
    resized = [
        Image.fromarray(image).resize((side, side), Image.Resampling.LANCZOS) for image in opaque(images)
    ]
    return np.stack([np.asarray(image) for image in resized])


def mosaic(
    cells: UInt8[np.ndarray, "row column h w 4"], row_gap: int, column_gaps: Sequence[int]
) -> UInt8[np.ndarray, "height width 4"]:
    """One picture of all cells with transparent gaps; `column_gaps` has one fewer than there are columns."""
    rows, columns, height, width, _ = cells.shape
    lefts = column_starts(width, column_gaps)
    sheet = np.zeros((rows * (height + row_gap) - row_gap, lefts[-1] + width, 4), np.uint8)
    for row in range(rows):
        top = row * (height + row_gap)
        for column in range(columns):
            sheet[top : top + height, lefts[column] : lefts[column] + width] = cells[row, column]
    return sheet


def column_starts(width: int, column_gaps: Sequence[int]) -> list[int]:
    """The left edge of each column."""
    lefts = [0]
    for gap in column_gaps:
        lefts.append(lefts[-1] + width + gap)
    return lefts


def same_images(images: Float[Tensor, "batch channel height width"]) -> bool:
    """Whether all images of the batch are one and the same."""
    return bool(torch.equal(images, images[:1].expand_as(images)))
