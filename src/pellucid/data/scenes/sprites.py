"""The shapes of dSprites in colours: squares, ellipses and hearts, from one pale one to a swarm."""

from functools import cache
from math import pi

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from pellucid.data.scenes.canvas import Canvas, Cells, Picture, Plane, cells, mix, paint, plane
from pellucid.data.scenes.color import tint
from pellucid.data.scenes.draws import Draws

_ANGLES = 256
_SIDE = 16  # cells in a row of the tables
_CELLS = _SIDE * _SIDE


def draw(draws: Draws, effort: Float32[Tensor, " scene"], canvas: Canvas) -> Picture:
    """Sprites scattered on a plain ground in two sheets, one over the other."""
    hue, ground = draws(), draws.between(0.08, 0.85)
    picture = mix(
        tint(hue, draws.between(0.05, 0.3), ground - 0.04),
        tint(hue + 0.05, draws.between(0.05, 0.3), ground + 0.04),
        canvas.y.expand(len(hue), -1, canvas.x.shape[2]),
    )
    across = 1.25 + 6.5 * effort**1.3
    crowd = 0.35 + 0.6 * effort
    contrast = (0.10 + 1.2 * effort).clamp(max=0.36)
    start_x, start_y = plane(draws()), plane(draws())
    for sheet in range(2):
        grid = cells(
            canvas.x * plane(across) + start_x + 0.5 * sheet,
            canvas.y * plane(across) + start_y + 0.5 * sheet,
            side=_SIDE,
        )
        shown = (draws(_CELLS) < crowd[:, None]).float()
        sign = torch.where(draws(_CELLS) < ground[:, None], -1.0, 1.0)
        light = ground[:, None] + sign * contrast[:, None] * draws.between(0.7, 1.2, _CELLS)
        colors = tint(hue[:, None] + draws(_CELLS), draws.between(0.2, 0.5, _CELLS), light)
        outline = _outline(draws, grid) / plane(across)
        paint(picture, grid.picture(colors), canvas.coverage(outline) * grid.plane(shown))
    return picture


def _outline(draws: Draws, grid: Cells) -> Plane:
    """The distance to the outline of a cell's sprite, in cells, about right within a pixel of it."""
    reach = draws.between(0.28, 0.46, _CELLS)  # of the farthest point from the origin
    room = 0.5 - reach
    x = grid.u - 0.5 - grid.plane(room * draws.between(-1, 1, _CELLS))
    y = grid.v - 0.5 - grid.plane(room * draws.between(-1, 1, _CELLS))
    turn, form = draws(_CELLS), draws.choice(3, _CELLS).float()
    angle = torch.atan2(y, x) * (1 / (2 * pi)) + grid.plane(turn) + 1
    at = (angle - angle.floor()) * (_ANGLES - 1e-3)
    entry = (at.floor() + grid.plane(form) * _ANGLES).long()
    radius, slant = _outlines()
    edge = radius.take(entry) * grid.plane(reach)
    return (torch.sqrt(x.square() + y.square()) - edge) * slant.take(entry)


@cache
def _outlines() -> tuple[Float32[Tensor, "form angle"], Float32[Tensor, "form angle"]]:
    """Radius by angle of the square, the ellipse and the heart of `pellucid.data.sprites`, at most 1.

    And the cosine of the angle between the radius and the outline's normal there.
    """
    angles = (np.arange(_ANGLES) + 0.5) * 2 * pi / _ANGLES
    cos, sin = np.cos(angles), np.sin(angles)
    square = 9.6 / np.maximum(np.abs(cos), np.abs(sin))
    ellipse = 1 / np.sqrt((cos / 12.757) ** 2 + (sin / 7.209) ** 2)
    t = np.linspace(0, 2 * pi, 20_000)
    x = 9.5915 * np.sin(t) ** 3
    y = -(0.66236 * (13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)) + 1.4347)
    around = np.arctan2(y, x) % (2 * pi)
    order = np.argsort(around)
    heart = np.interp(angles, around[order], np.hypot(x, y)[order], period=2 * pi)
    radii = np.stack([square, ellipse, heart])
    radii /= radii.max(axis=1, keepdims=True)
    slope = (np.roll(radii, -1, axis=1) - np.roll(radii, 1, axis=1)) / (4 * pi / _ANGLES) / radii
    slants = 1 / np.sqrt(1 + slope**2)
    return torch.from_numpy(radii).float(), torch.from_numpy(slants).float()
