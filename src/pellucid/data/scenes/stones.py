"""Cobbles and pebbles: Voronoi cells with rounded tops, from a few broad slabs to a bed of pebbles."""

import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from pellucid.data.scenes.canvas import Canvas, Picture, Plane, cells, paint, plane
from pellucid.data.scenes.color import tint
from pellucid.data.scenes.draws import Draws

_SIDE = 16  # stones in a row of the tables
_CELLS = _SIDE * _SIDE


def draw(draws: Draws, effort: Float32[Tensor, " scene"], canvas: Canvas) -> Picture:
    """Stones of slightly different tones, lit from one side, with darker joints."""
    hue, light = draws(), draws.between(0.35, 0.65)
    across = 1.4 + 8.6 * effort
    a = canvas.x * plane(across) + plane(4 * draws())
    b = canvas.y * plane(across * draws.between(0.75, 1.25)) + plane(4 * draws())
    centres = draws.between(0.1, 0.9, 2, _CELLS)
    spread = (0.04 + 0.2 * effort * draws.between(0.5, 1.0))[:, None]
    tones = light[:, None] + spread * draws.between(-1, 1, _CELLS)
    colors = tint(hue[:, None] + draws.between(-0.12, 0.12, _CELLS), draws.between(0.0, 0.2, _CELLS), tones)

    edge, x, y, number = _voronoi(a, b, centres)
    stone = [channel.gather(1, number.flatten(1)).view(number.shape) for channel in colors.unbind(1)]
    relief = plane((0.12 + 1.2 * effort).clamp(max=1))
    tilt = plane(torch.where(draws() < 0.5, -1.0, 1.0))
    rounded = (1 - (edge * 3.5).clamp(max=1)).square()
    shade = 1 - relief * (0.3 * (tilt * x + y) * (0.4 + rounded) + 0.25 * rounded)
    picture = (torch.stack(stone, dim=1) * shade[:, None]).clamp_(0, 1)
    blur = plane(0.3 * (1 - 5 * effort).clamp(min=0) / across)
    joint = canvas.coverage((edge - plane(draws.between(0.02, 0.07))) / plane(across), blur=blur)
    paint(picture, tint(hue + 0.05, 0.06, (light - 0.3).clamp(min=0.05)), joint * relief)
    return picture


def _voronoi(
    a: Plane, b: Plane, centres: Float32[Tensor, "scene 2 cell"]
) -> tuple[Plane, Plane, Plane, Int64[Tensor, "scene height width"]]:
    """For each pixel: how far the next stone is, where its own stone's centre is (x, y), and its number.

    The first is half the difference of the distances to the two nearest centres. Lengths are in cells.
    """
    column, row = a.floor(), b.floor()
    first = torch.full_like(a + b, 9.0)
    second, x, y = first.clone(), torch.zeros_like(first), torch.zeros_like(first)
    number = torch.zeros(first.shape, dtype=torch.int64)
    for i in (-1, 0, 1):
        for j in (-1, 0, 1):
            grid = cells(column + i, row + j, side=_SIDE)
            dx = a - column - i - grid.plane(centres[:, 0])
            dy = b - row - j - grid.plane(centres[:, 1])
            distance = torch.sqrt(dx.square() + dy.square())
            nearer = (distance < first).float()
            second = torch.minimum(second, torch.maximum(first, distance))
            first = torch.minimum(first, distance)
            x, y = torch.lerp(x, dx, nearer), torch.lerp(y, dy, nearer)
            number = torch.where(nearer > 0, grid.number, number)
    return (second - first) / 2, x, y, number
