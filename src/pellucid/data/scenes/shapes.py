"""Overlapping discs, boxes and polygons that shade each other, from one faint one to a crowd."""

from math import pi

import torch
from jaxtyping import Float32
from torch import Tensor

from pellucid.data.scenes.canvas import Canvas, Picture, Plane, mix, paint, plane
from pellucid.data.scenes.color import tint
from pellucid.data.scenes.draws import Draws

_MOST = 36


def draw(draws: Draws, effort: Float32[Tensor, " scene"], canvas: Canvas) -> Picture:
    """Solids of some colours on a softly lit ground; light comes from one side, shadows fall to the other."""
    hue, ground = draws(), draws.between(0.35, 0.75)
    angle = 2 * pi * draws()
    light_x, light_y = plane(torch.cos(angle)), plane(torch.sin(angle))
    picture = mix(
        tint(hue, draws.between(0.02, 0.2), ground - 0.06),
        tint(hue + 0.08, draws.between(0.02, 0.2), ground + 0.06),
        0.5 + 0.7 * ((canvas.x - 0.5) * light_x + (canvas.y - 0.5) * light_y),
    )
    _checks(picture, draws, effort, canvas)
    shadow_color = tint(hue, 0.1, torch.full_like(hue, 0.08))
    # Whichever kind of shape a scene starts with, the others follow in their order.
    count = 1 + (_MOST - 1) * effort**1.2
    rank = (torch.arange(_MOST) - draws.choice(_MOST)[:, None]) % _MOST
    shown = (count[:, None] - rank).clamp(0, 1)
    radii = draws.between(0.5, 1.25, _MOST) * (0.34 * count**-0.31)[:, None]
    places, turns = draws.between(0.06, 0.94, 2, _MOST), 2 * pi * draws(_MOST)
    aspects, colors = draws.between(0.35, 1.0, _MOST), _colors(draws, effort, hue, ground)
    striped = draws.between(-0.65, 0.65, _MOST) * (draws(_MOST) < (1.3 * effort)[:, None])
    depth = (0.25 + effort * 4).clamp(max=1)
    blur = plane(0.25 * (1 - effort * 8).clamp(min=0))
    for number in range(_MOST):
        if not shown[:, number].any():
            continue
        x, y = canvas.x - plane(places[:, 0, number]), canvas.y - plane(places[:, 1, number])
        radius, seen = plane(radii[:, number]), plane(shown[:, number])
        distance = _outline(number % 4, x, y, radius, turns[:, number], plane(aspects[:, number]))
        lit = (x * light_x + y * light_y) / radius
        shadow = canvas.coverage(distance - 0.12 * radius * lit - 0.02, blur=0.09)
        paint(picture, shadow_color, shadow * (0.5 * seen * plane(depth)))
        tone = 1 + 0.28 * lit.clamp(-1.3, 1.3)
        if number % 2:
            tone = tone + plane(striped[:, number]) * _stripes(lit * radius, canvas)
        shaded = colors[:, :, number, None, None] * tone[:, None]
        paint(picture, shaded.clamp_(0, 1), canvas.coverage(distance, blur=blur) * seen)
    return picture


def _checks(picture: Picture, draws: Draws, effort: Tensor, canvas: Canvas) -> None:
    """A floor of checks under the busier pictures."""
    turn, across = 2 * pi * draws(), draws.between(3, 6)
    cos, sin = plane(torch.cos(turn) * across), plane(torch.sin(turn) * across)
    a, b = cos * canvas.x + sin * canvas.y, cos * canvas.y - sin * canvas.x
    odd_a = 0.25 - (a - a.floor() - 0.5).abs()
    odd_b = 0.25 - (b - b.floor() - 0.5).abs()
    # Inside both or outside both: the sign of the product, and the nearer outline's distance.
    distance = torch.minimum(odd_a.abs(), odd_b.abs()) * torch.sign(odd_a * odd_b) / plane(across)
    strength = (1.6 * (effort - 0.3)).clamp(0, 1) * draws.between(0.5, 1.0)
    picture *= 1 - plane(0.55 * strength)[:, None] * canvas.coverage(distance)[:, None]


def _stripes(height: Plane, canvas: Canvas) -> Plane:
    """1 and 0 by turns, each for a 22nd of the picture's side."""
    place = height * 11
    return canvas.coverage(((place - place.floor() - 0.5).abs() - 0.25) / 11)


def _colors(draws: Draws, effort: Tensor, hue: Tensor, ground: Tensor) -> Float32[Tensor, "scene 3 shape"]:
    """A few hues at even steps, lighter or darker than the ground."""
    sign = torch.where(draws(_MOST) < (1.15 * ground)[:, None], -1.0, 1.0)
    contrast = (0.12 + 0.22 * (effort * 4).clamp(max=1) + 0.07 * effort)[:, None] * draws.between(
        0.65, 1.2, _MOST
    )
    hues = hue[:, None] + draws.between(0.08, 0.5)[:, None] * (draws.choice(5, _MOST) - 2)
    light = (ground[:, None] + sign * contrast).clamp(0.08, 0.9)
    return tint(hues, draws.between(0.15, 0.45, _MOST), light)


def _outline(form: int, x: Plane, y: Plane, radius: Plane, turn: Tensor, aspect: Plane) -> Plane:
    """The signed distance to a disc, a box, a triangle or a hexagon."""
    if form == 0:
        return torch.sqrt(x.square() + y.square()) - radius
    cos, sin = plane(torch.cos(turn)), plane(torch.sin(turn))
    along, across = cos * x + sin * y, cos * y - sin * x
    if form == 1:
        return torch.maximum(along.abs() - radius, across.abs() - radius * aspect)
    left, right = 0.866 * along - 0.5 * across, -0.866 * along - 0.5 * across
    if form == 2:
        return torch.maximum(torch.maximum(left, right), across) - 0.62 * radius
    return torch.maximum(torch.maximum(left.abs(), right.abs()), across.abs()) - 0.9 * radius
