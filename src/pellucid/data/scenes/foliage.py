"""Leaves over leaves, from a soft blur of green or brown to a dense, sharp thicket."""

from math import pi

import torch
from jaxtyping import Float32
from torch import Tensor

from pellucid.data.scenes.canvas import Canvas, Cells, Picture, Plane, cells, mix, paint, plane
from pellucid.data.scenes.color import tint
from pellucid.data.scenes.draws import Draws

_SIDE = 16  # leaves in a row of the tables
_CELLS = _SIDE * _SIDE
_LAYERS = 5
_HUES = (0.27, 0.30, 0.22, 0.10, 0.02, 0.36)  # greens, autumn, red, sea green


def draw(draws: Draws, effort: Float32[Tensor, " scene"], canvas: Canvas) -> Picture:
    """Layers of pointed leaves with a rib, lighter and larger towards the front, and shadows between."""
    hue = torch.tensor(_HUES)[draws.choice(len(_HUES))] + draws.between(-0.02, 0.02)
    dark = draws.between(0.12, 0.3)
    picture = _ground(draws, hue, dark, canvas)
    across = 1.1 + 6.5 * effort
    blur = plane(0.30 * (1 - 6 * effort).clamp(min=0) / across)
    strength = plane((0.25 + 4 * effort).clamp(max=1))
    for layer in range(_LAYERS):
        share = layer / (_LAYERS - 1)
        leaf = 1 / (across * (1.25 - 0.35 * share))  # the side of a leaf's cell
        grid = _grid(draws, canvas, leaf)
        light = (dark + 0.04 + 0.19 * share)[:, None] + draws.between(-0.05, 0.05, _CELLS)
        hues = hue[:, None] + draws.between(-0.04, 0.04, _CELLS)
        colors = tint(hues, draws.between(0.12, 0.26, _CELLS), light)
        grows = grid.plane((draws(_CELLS) < 0.8).float()) * strength
        outline, rib = _leaf(draws, grid)
        outline, rib, size = outline * plane(leaf), rib * plane(leaf), plane(leaf)
        shadow = canvas.coverage(outline - 0.15 * size, blur=0.3 * size + blur)
        paint(picture, colors[:, :, 0] * 0.15, 0.4 * shadow * grows)
        shade = 0.89 + 0.2 * canvas.coverage(rib) + 0.25 * canvas.coverage(rib.abs() - 0.018 * size)
        leaves = (grid.picture(colors) * shade[:, None]).clamp_(0, 1)
        paint(picture, leaves, canvas.coverage(outline, blur=blur) * grows)
    return picture


def _ground(draws: Draws, hue: Tensor, dark: Tensor, canvas: Canvas) -> Picture:
    angle = 2 * pi * draws()
    slant = (canvas.x - 0.5) * plane(torch.cos(angle)) + (canvas.y - 0.5) * plane(torch.sin(angle))
    low = tint(hue, draws.between(0.1, 0.2), dark)
    return mix(low, tint(hue - 0.06, draws.between(0.1, 0.25), dark + 0.2), 0.5 + 0.45 * slant)


def _grid(draws: Draws, canvas: Canvas, leaf: Float32[Tensor, " scene"]) -> Cells:
    """Cells turned at random, lest the leaves of the layers stand in line."""
    turn = 2 * pi * draws()
    cos, sin = plane(torch.cos(turn) / leaf), plane(torch.sin(turn) / leaf)
    a = cos * (canvas.x - 0.5) + sin * (canvas.y - 0.5) + plane(draws())
    b = cos * (canvas.y - 0.5) - sin * (canvas.x - 0.5) + plane(draws())
    return cells(a, b, side=_SIDE)


def _leaf(draws: Draws, grid: Cells) -> tuple[Plane, Plane]:
    """The distance to the outline of a cell's leaf and that to its rib, on one side negative, in cells."""
    turn = 2 * pi * draws(_CELLS)
    half, slim = draws.between(0.36, 0.5, _CELLS), draws.between(0.3, 0.5, _CELLS)
    cos, sin = grid.plane(torch.cos(turn)), grid.plane(torch.sin(turn))
    x, y = grid.u - 0.5, grid.v - 0.5
    along, aside = (cos * x + sin * y) / grid.plane(half), cos * y - sin * x
    aside = aside + 0.06 * along.square()  # a slight bend
    # Broadest a little behind the middle, pointed at both ends.
    breadth = grid.plane(half * slim) * (1 - along.square()) * (1 - 0.35 * along)
    slope = 2 * grid.plane(slim) * along
    outline = (aside.abs() - breadth) / torch.sqrt(1 + slope.square())
    return torch.maximum(outline, (along.abs() - 1) * grid.plane(half)), aside
