"""What the kinds of scenes draw with: a square from 0 to 1, x to the right, y down."""

from dataclasses import dataclass

import torch
from jaxtyping import Float32, Int64
from torch import Tensor

Plane = Float32[Tensor, "#scene #height #width"]
Picture = Float32[Tensor, "scene 3 height width"]


@dataclass(frozen=True)
class Canvas:
    """The pixels of a picture: `x` [1 1 width] and `y` [1 height 1] of their centres, and their side."""

    x: Float32[Tensor, "1 1 width"]
    y: Float32[Tensor, "1 height 1"]
    pixel: float

    @classmethod
    def of(cls, size: int) -> "Canvas":
        """A canvas of `size` by `size` pixels."""
        centres = (torch.arange(size) + 0.5) / size
        return cls(centres[None, None, :], centres[None, :, None], 1 / size)

    def coverage(self, distance: Plane, *, blur: Tensor | float = 0.0) -> Plane:
        """How much of each pixel is inside a shape: 1 where the signed distance is below 0, 0 above.

        The outline is a ramp one pixel wide, or `blur` wide if that is more.
        """
        if isinstance(blur, Tensor):
            return (0.5 - distance / blur.clamp(min=self.pixel)).clamp_(0, 1)
        return (0.5 - distance / max(blur, self.pixel)).clamp_(0, 1)


@dataclass(frozen=True)
class Cells:
    """A grid over the canvas: for each pixel, its cell's number and its place `u`, `v` in it, in [0, 1)."""

    u: Plane
    v: Plane
    number: Int64[Tensor, "scene height width"]

    def plane(self, table: Float32[Tensor, "scene cell"]) -> Plane:
        """Spread one number for each cell over the cell's pixels."""
        return table.gather(1, self.number.flatten(1)).view(self.number.shape)

    def picture(self, table: Float32[Tensor, "scene 3 cell"]) -> Picture:
        """Spread one colour for each cell over the cell's pixels."""
        return torch.stack([self.plane(table[:, channel]) for channel in range(3)], dim=1)


def cells(a: Plane, b: Plane, *, side: int) -> Cells:
    """Cut the plane at whole numbers of `a` (across) and `b` (down); numbers repeat after `side` cells.

    Args:
        a: Coordinates in cells.
        b: Coordinates in cells.
        side: Cells in a row of the tables, a power of two.
    """
    column, row = a.floor(), b.floor()
    number = (row.long() & (side - 1)) * side + (column.long() & (side - 1))
    return Cells(a - column, b - row, number)


def paint(picture: Picture, color: Tensor, alpha: Plane) -> None:
    """Lay a colour, `[scene 3]` or a whole picture, over the picture where alpha is 1."""
    picture.lerp_(color if color.dim() == 4 else color[:, :, None, None], alpha[:, None])


def mix(first: Float32[Tensor, "scene 3"], second: Float32[Tensor, "scene 3"], share: Plane) -> Picture:
    """Blend two colours over the canvas: `first` where share is 0, `second` where it is 1."""
    return torch.lerp(first[:, :, None, None], second[:, :, None, None], share[:, None])


def plane(values: Float32[Tensor, " scene"]) -> Float32[Tensor, "scene 1 1"]:
    """One number a scene, ready to meet planes."""
    return values[:, None, None]


def noise(
    lattice: Float32[Tensor, "scene row column"],
    x: Float32[Tensor, "#scene 1 width"],
    y: Float32[Tensor, "#scene height 1"],
) -> Float32[Tensor, "scene height width"]:
    """Band-limited noise: a cubic B-spline through random values, of mean 0 and deviation about 1.

    Args:
        lattice: Independent numbers, uniform in [0, 1].
        x: Columns of the lattice at the pixels, from 1 to columns - 2.
        y: Rows of the lattice at the pixels, from 1 to rows - 2.
    """
    scenes, rows, columns = lattice.shape
    across = _spline(x.transpose(1, 2) - torch.arange(columns, dtype=torch.float32))  # [scene width column]
    down = _spline(y - torch.arange(rows, dtype=torch.float32))  # [scene height row]
    across, down = across.expand(scenes, -1, -1), down.expand(scenes, -1, -1)
    # Uniform numbers deviate by 0.289, and averaging with B-spline weights leaves 0.479 of that in 2-D.
    centred = (lattice - 0.5) * (1 / (0.289 * 0.479))
    return torch.bmm(torch.bmm(down, centred), across.transpose(1, 2))


def _spline(offset: Tensor) -> Tensor:
    """The cubic B-spline, (2 - |t|)³/6 less 4(1 - |t|)³/6, each where positive."""
    distance = offset.abs()
    return ((2 - distance).clamp(min=0) ** 3 - 4 * (1 - distance).clamp(min=0) ** 3) / 6
