"""Fronts of buildings under the sky, from a bare wall to rows of windows in brick."""

from dataclasses import dataclass

import torch
from jaxtyping import Float32
from torch import Tensor

from pellucid.data.scenes.canvas import Canvas, Cells, Picture, Plane, cells, mix, paint, plane
from pellucid.data.scenes.color import tint
from pellucid.data.scenes.draws import Draws

_SIDE = 16  # windows in a row of the tables
_CELLS = _SIDE * _SIDE
_BRICKS = 32  # bricks in a row of the tables


@dataclass(frozen=True)
class _Wall:
    """A wall: `night` 0 or 1, its luminance, the trim's colour, a cell for each window and a cell's sides."""

    night: Float32[Tensor, " scene"]
    light: Float32[Tensor, " scene"]
    trim: Float32[Tensor, "scene 3"]
    grid: Cells
    width: Plane
    height: Plane


def draw(draws: Draws, effort: Float32[Tensor, " scene"], canvas: Canvas) -> Picture:
    """A wall seen at an angle, with a cornice, ledges and windows, and the sky above and beside it."""
    hue, night = draws(), (draws() < 0.25).float()
    picture = _sky(draws, night, canvas)
    light = torch.lerp(draws.between(0.35, 0.75), draws.between(0.15, 0.3), night)
    chroma = draws.between(0.02, 0.18)
    # The roof falls towards the far end of the wall, and the floors with it.
    slope = plane(draws.between(-0.25, 0.25))
    roof = plane(draws.between(0.04, 0.2) + 0.15 * (1 - effort)) + slope * (canvas.x - 0.5)
    corner = plane(draws.between(-0.3, 0.22).clamp(min=-0.05))
    inside = canvas.coverage(torch.maximum(roof - canvas.y, corner - canvas.x))
    down, ahead = (canvas.y - roof) / (1.05 - roof), canvas.x - corner
    paint(picture, _bricks(draws, effort, ahead, down, tint(hue, chroma, light)), inside)

    trim = tint(hue, chroma * 0.4, (light + draws.between(0.08, 0.18)).clamp(max=0.9))
    floors = plane((1.4 + 7.6 * effort).floor())
    columns = plane((1.4 + 7.6 * effort * draws.between(0.8, 1.15)).floor())
    grid = cells(ahead * columns, down * floors, side=_SIDE)
    wall = _Wall(night, light, trim, grid, 1 / columns, (1.05 - roof) / floors)
    strength = plane((0.06 + 3 * effort).clamp(max=1)) * inside
    ledges = canvas.coverage((grid.v - 0.97).abs() / floors - 0.010) * plane((draws() < 0.6).float())
    paint(picture, trim, ledges * strength)
    _windows(picture, draws, wall, strength, canvas)
    cornice = torch.maximum((canvas.y - roof).abs() - 0.022, corner - 0.02 - canvas.x)
    paint(picture, trim, canvas.coverage(cornice) * plane((0.3 + 2 * effort).clamp(max=1)))
    return picture


def _sky(draws: Draws, night: Float32[Tensor, " scene"], canvas: Canvas) -> Picture:
    light = torch.lerp(draws.between(0.6, 0.85), draws.between(0.06, 0.18), night)
    hue = draws.between(0.54, 0.64)
    low = tint(hue + draws.between(0, 0.4), draws.between(0.05, 0.15), light + 0.08)
    share = canvas.y.expand(len(hue), -1, canvas.x.shape[2])
    return mix(tint(hue, draws.between(0.1, 0.25), light - 0.05), low, share)


def _bricks(
    draws: Draws, effort: Tensor, ahead: Plane, down: Plane, color: Float32[Tensor, "scene 3"]
) -> Picture:
    courses = plane(9 + 13 * effort)
    row = down * courses
    shift = row.floor() * 0.5  # every other course by half a brick
    grid = cells(ahead * courses * 0.45 + shift - shift.floor(), row, side=_BRICKS)
    inset = torch.minimum(0.5 - (grid.v - 0.5).abs(), 2.2 * (0.5 - (grid.u - 0.5).abs()))
    shade = grid.plane(draws.between(-0.16, 0.16, _BRICKS**2)) + 0.22 * (1 - 4 * inset).clamp(min=0)
    lit = 1.08 - 0.2 * down + plane(effort * draws.between(0.4, 1.1)) * shade
    return (color[:, :, None, None] * lit[:, None]).clamp_(0, 1)


def _windows(picture: Picture, draws: Draws, wall: _Wall, strength: Plane, canvas: Canvas) -> None:
    x, y = (wall.grid.u - 0.5) * wall.width, (wall.grid.v - 0.5) * wall.height
    half_width = plane(draws.between(0.22, 0.36)) * wall.width
    half_height = plane(draws.between(0.26, 0.36)) * wall.height
    pane = torch.maximum(x.abs() - half_width, y.abs() - half_height)
    sill = torch.maximum(x.abs() - 1.25 * half_width, (y - 1.12 * half_height).abs() - 0.09 * half_height)
    frame = torch.minimum(pane - 0.07 * wall.width, sill)
    paint(picture, wall.trim * 0.35, 0.5 * canvas.coverage(sill - 0.01, blur=0.04) * strength)
    paint(picture, wall.trim, canvas.coverage(frame) * strength)
    paint(picture, _glass(draws, wall), canvas.coverage(pane) * strength)
    bars = torch.minimum(x.abs(), (y + 0.15 * half_height).abs()) - 0.04 * wall.width
    barred = plane((draws() < 0.7).float())
    paint(picture, wall.trim, canvas.coverage(torch.maximum(bars, pane)) * strength * barred)


def _glass(draws: Draws, wall: _Wall) -> Picture:
    """Dark panes, some with a curtain by day, some lit, most of them at night."""
    night = wall.night[:, None]
    lamp = (draws(_CELLS) < 0.12 + 0.4 * night).float()
    curtain = (draws(_CELLS) < 0.25 * (1 - night)).float()
    dark = (wall.light[:, None] - draws.between(0.14, 0.26, _CELLS)).clamp(min=0.05)
    light = torch.lerp(dark, (1.15 * wall.light[:, None]).expand_as(dark), curtain)
    light = torch.lerp(light, torch.full_like(dark, 0.6), lamp * (0.5 + 0.5 * night))
    glass = wall.grid.picture(tint(0.6 - 0.48 * lamp, 0.08 + 0.2 * lamp, light))
    return (glass * (1.25 - 0.5 * wall.grid.v)[:, None]).clamp_(0, 1)
