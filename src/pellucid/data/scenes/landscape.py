"""Sky, sun and clouds above hills or a sea, from a bare plain in haze to wooded, broken country."""

from dataclasses import dataclass

import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from pellucid.data.scenes.canvas import Canvas, Picture, Plane, mix, noise, paint, plane
from pellucid.data.scenes.color import tint
from pellucid.data.scenes.draws import Draws

# Hue, chroma and luminance at noon, in the evening, at dusk and under a grey sky
_SKY_TOP = ((0.59, 0.30, 0.48), (0.68, 0.22, 0.36), (0.66, 0.22, 0.15), (0.60, 0.05, 0.56))
_SKY_LOW = ((0.56, 0.12, 0.82), (0.06, 0.33, 0.70), (0.92, 0.22, 0.42), (0.58, 0.03, 0.76))
_CLOUD = ((0.58, 0.02, 0.95), (0.02, 0.25, 0.60), (0.75, 0.12, 0.28), (0.60, 0.03, 0.64))
_SUN = ((0.13, 0.20, 0.95), (0.10, 0.35, 0.85), (0.15, 0.06, 0.90), (0.14, 0.04, 0.90))
_LAND = ((0.26, 0.17, 0.36), (0.16, 0.16, 0.27), (0.62, 0.12, 0.20), (0.25, 0.10, 0.34))
_SEA = ((0.54, 0.24, 0.34), (0.62, 0.18, 0.28), (0.64, 0.16, 0.14), (0.55, 0.08, 0.36))
_CONTRAST = (0.7, 1.1, 2.0, 1.1)  # of the ground: what is dark needs more to show as much

_BREADTHS = (0.0, 0.025, 0.04, 0.06, 0.09)  # of a tree, on the ridges from far to near
_NEAREST = len(_BREADTHS) - 1
_TREES = 44  # at most, across the picture


@dataclass(frozen=True)
class _View:
    """What the parts of a landscape share; `mood` picks a column of the colours above."""

    draws: Draws
    effort: Float32[Tensor, " scene"]
    canvas: Canvas
    horizon: Plane
    mood: Int64[Tensor, " scene"]
    drift: Float32[Tensor, " scene"]

    def color(self, table: tuple[tuple[float, float, float], ...]) -> Float32[Tensor, "scene 3"]:
        hue, chroma, light = torch.tensor(table)[self.mood].unbind(1)
        return tint(hue + self.drift, chroma, light)


def draw(draws: Draws, effort: Float32[Tensor, " scene"], canvas: Canvas) -> Picture:
    """Paint from far to near: sky, sun, clouds, sea, then ridges with trees on them."""
    horizon = plane(draws.between(0.44, 0.62) - 0.08 * effort)
    view = _View(draws, effort, canvas, horizon, draws.choice(4), draws.between(-0.03, 0.03))
    picture = mix(view.color(_SKY_LOW), view.color(_SKY_TOP), (1 - canvas.y / horizon).clamp_(0, 1))
    picture = picture.expand(-1, -1, -1, canvas.x.shape[2]).contiguous()
    sun_x = plane(draws.between(0.12, 0.88))
    _sun(picture, view, sun_x)
    paint(picture, view.color(_CLOUD), _clouds(view))
    _sea(picture, view, sun_x)
    _land(picture, view)
    return picture


def _sun(picture: Picture, view: _View, sun_x: Plane) -> None:
    sun_y = view.horizon - plane(view.draws.between(0.06, 0.34))
    away = torch.sqrt((view.canvas.x - sun_x).square() + (view.canvas.y - sun_y).square())
    disc = away - plane(view.draws.between(0.035, 0.07))
    paint(picture, view.color(_SUN), 0.45 * torch.exp(-7 * away))
    paint(picture, view.color(_SUN), view.canvas.coverage(disc, blur=plane(0.08 * (1 - view.effort))))


def _clouds(view: _View) -> Plane:
    # Seen from below, clouds are flatter and closer together towards the horizon.
    draws, effort = view.draws, view.effort
    height = (view.horizon - view.canvas.y).clamp(min=0)
    rows = 1 + plane(4 + 14 * effort) * (1 - height / (height + 0.3))
    columns = view.canvas.x * plane(2 + 5 * effort)
    shape = noise(draws(22, 12), 1 + columns, rows) + 0.6 * noise(draws(22, 20), 1 + 2 * columns, rows)
    cover = plane(draws.between(-1.3, 0.2) - 0.9 * (1 - effort))
    return (plane(0.4 + 1.2 * effort) * (shape + cover)).clamp(0, 0.85) * (height * 25).clamp(max=1)


def _sea(picture: Picture, view: _View, sun_x: Plane) -> None:
    effort, canvas = view.effort, view.canvas
    deep, pale = view.color(_SEA), view.color(_SKY_LOW)
    depth = (canvas.y - view.horizon).clamp(min=0)
    water = canvas.coverage(view.horizon - canvas.y)
    paint(picture, mix(pale, deep, (0.35 + 2.2 * depth).clamp(max=1)), water)
    rows = 1 + plane(4 + 58 * effort) * depth / (depth + 0.35)
    waves = noise(view.draws(42, 18), 1 + canvas.x * plane(2 + 12 * effort), rows)
    paint(picture, deep * 0.55, water * (plane(0.6 * effort) * waves).clamp(0, 0.7))
    path = torch.exp(-((canvas.x - sun_x) / (0.05 + 0.25 * depth)).square())
    glints = (0.3 + plane(effort) * (0.6 - waves)).clamp(0, 1)
    paint(picture, view.color(_SUN), water * (0.75 * path + plane(0.25 * effort)) * glints)


def _land(picture: Picture, view: _View) -> None:
    draws, effort, y = view.draws, view.effort, view.canvas.y
    by_sea, ashore = (
        (draws() < 0.45).float(),
        draws.between(0.25, 0.6) * torch.where(draws() < 0.5, -1.0, 1.0),
    )
    conifers, ground = plane((draws() < 0.5).float()), _ground(view)
    for ridge, breadth in enumerate(_BREADTHS):
        share = ridge / _NEAREST
        # By the sea, what is left is mountains beyond it and a shore to one side of it.
        sunk = by_sea * (0 < ridge < _NEAREST) + (ridge > 0) * (effort < 0.08 * ridge)
        base = view.horizon + (1 - view.horizon) * 0.8 * share**1.3 + plane(sunk + draws.between(-0.03, 0.03))
        if ridge == _NEAREST:
            base = base + plane(by_sea) * (0.04 + plane(ashore) * (view.canvas.x - 0.5))
        skyline = base - _relief(view, near=share)
        color = torch.lerp(view.color(_SKY_LOW), view.color(_LAND), 0.35 + 0.65 * share)
        color = color * draws.between(0.85, 1.1)[:, None]
        if ridge > 0:
            _trees(picture, view, skyline, color, conifers, breadth)
        shade = (1 + (0.35 + 0.65 * share) * ground - 0.5 * (y - skyline)).clamp_(0.4, 1.6)
        shore = torch.lerp(torch.full_like(view.horizon, 2.0), view.horizon, plane(by_sea * (ridge == 0)))
        below = torch.maximum(skyline - y, y - shore)
        paint(picture, (color[:, :, None, None] * shade[:, None]).clamp_(0, 1), view.canvas.coverage(below))
        if ridge > 0:
            _trees(picture, view, skyline + 1.2 * breadth, color, conifers, breadth)


def _ground(view: _View) -> Plane:
    across = view.canvas.x * plane(3 + 14 * view.effort)
    down = view.canvas.y * plane(3 + 21 * view.effort)
    broad = noise(view.draws(28, 21), 1 + across, 1 + down)
    fine = noise(view.draws(52, 38), 1 + 2 * across, 1 + 2 * down)
    contrast = torch.tensor(_CONTRAST)[view.mood] * (0.15 + 0.36 * view.effort) * view.effort.sqrt()
    return plane(contrast) * (0.8 * broad + plane(0.8 * view.effort) * fine)


def _relief(view: _View, *, near: float) -> Float32[Tensor, "scene 1 width"]:
    """The height of a ridge over its base: rolling when near, peaked when far."""
    one = torch.ones(1, 1, 1)
    smooth = noise(view.draws(3, 8), 1 + view.canvas.x * 3, one)
    rough = noise(view.draws(3, 30), 1 + view.canvas.x * plane(6 + 18 * view.effort), one)
    peaks = 0.07 * (1 - near) * (1 - rough.abs()) + 0.01 * rough
    return 0.04 * (1 - near) + 0.045 * smooth + plane(view.effort) * peaks


def _trees(
    picture: Picture,
    view: _View,
    foot: Float32[Tensor, "scene 1 width"],
    ground: Float32[Tensor, "scene 3"],
    conifers: Plane,
    breadth: float,
) -> None:
    """A row of trees `breadth` apart, each standing with its foot on the line or not there."""
    place, reach = view.canvas.x / breadth + plane(view.draws()), 2.3 * breadth
    column = place.floor()
    traits = view.draws(4, _TREES).gather(2, column.long().expand(-1, 4, -1)).unsqueeze(2)
    presence, jitter, stature, light = traits.unbind(1)  # each [scene 1 width]
    grows = (presence < plane(1.5 * view.effort - 0.15)).float()
    across = place - column - 0.5 + 0.24 * (jitter - 0.5)
    # Only the rows of pixels that a tree of one of these scenes could touch
    size = view.canvas.y.shape[1]
    band = slice(max(0, int((foot.min() - reach) * size) - 1), max(0, int((foot.max() + 0.01) * size) + 2))
    if not grows.any() or band.start >= size:
        return
    up = (foot + 0.01 - view.canvas.y[:, band]) / (breadth * (1.3 + stature))
    jags = up * 4 - (up * 4).floor()
    conifer = across.abs() - (1 - up).clamp(min=0) * (0.44 - 0.14 * jags)
    crown = 0.4 * torch.sqrt((across / 0.44).square() + ((up - 0.62) / 0.36).square()) - 0.4
    crown = crown + 0.05 * torch.sin(21 * across + 9 * light) * torch.sin(16 * up)  # not quite round
    leafy = torch.minimum(crown, torch.maximum(across.abs() - 0.06, up - 0.5))
    outline = torch.maximum(torch.lerp(leafy, conifer, conifers), torch.maximum(up - 1, -up))
    lit = 0.45 * (0.7 + 0.7 * light) * (1 + plane(1.2 * view.effort) * (across + 0.2 * up)).clamp_(0.5, 2.5)
    color = (ground[:, :, None, None] * lit[:, None]).clamp_(0, 1)
    paint(picture[:, :, band], color, view.canvas.coverage(outline * breadth) * grows)
