"""Smooth blends of colours, from one slow blend to many narrow waves."""

from math import pi

import torch
from jaxtyping import Float32
from torch import Tensor

from pellucid.data.scenes.canvas import Canvas, Picture, Plane, mix, paint, plane
from pellucid.data.scenes.color import tint
from pellucid.data.scenes.draws import Draws


def draw(draws: Draws, effort: Float32[Tensor, " scene"], canvas: Canvas) -> Picture:
    """Waves of two colours, straight, bent, round or crossing, over a slow blend into a third."""
    hue, light = draws(), draws.between(0.35, 0.6)
    contrast = draws.between(0.85, 1.1) * (0.17 + 0.03 * effort)
    low = tint(hue, draws.between(0.15, 0.4), light - contrast)
    high = tint(hue + draws.between(0.05, 0.3), draws.between(0.15, 0.35), light + contrast)
    other = tint(hue + draws.between(0.3, 0.7), draws.between(0.2, 0.45), light - contrast + 0.05)

    angle = 2 * pi * draws()
    along, across = _turned(canvas, angle), _turned(canvas, angle + pi / 2)
    style, swing = draws(), 2 * pi * (plane(draws.between(0.5, 1.6)) * across + plane(draws()))
    bend = plane(draws.between(0.0, 0.22) * effort.sqrt() * (style < 0.45))
    phase = torch.lerp(along + bend * torch.sin(swing), _ripples(draws, canvas), plane((style > 0.6).float()))

    crossed = 0.5 * ((style > 0.45) & (style < 0.7))
    waves, start = plane((0.4 + 10 * effort**1.25) * (1 + 0.7 * crossed)), plane(draws())
    wave = torch.cos(2 * pi * (waves * phase + start))
    crossing = torch.cos(2 * pi * (waves * (0.7 * across + 0.4 * along) + start))
    blend = 0.5 + plane(draws.between(-0.6, 0.6)) * across + plane(draws.between(-0.5, 0.5)) * along
    picture = mix(low, other, blend.clamp_(0, 1))
    paint(picture, high, 0.5 - 0.5 * torch.lerp(wave, crossing, plane(crossed)))
    return picture


def _ripples(draws: Draws, canvas: Canvas) -> Plane:
    x, y = canvas.x - plane(draws.between(-0.1, 1.1)), canvas.y - plane(draws.between(-0.1, 1.1))
    return torch.sqrt(x.square() + y.square())


def _turned(canvas: Canvas, angle: Float32[Tensor, " scene"]) -> Plane:
    return (canvas.x - 0.5) * plane(torch.cos(angle)) + (canvas.y - 0.5) * plane(torch.sin(angle))
