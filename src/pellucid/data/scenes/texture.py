"""Band-limited noise: mist, grain and marble, from broad to fine."""

from math import pi

import torch
from jaxtyping import Float32
from torch import Tensor

from pellucid.data.scenes.canvas import Canvas, Picture, Plane, mix, noise, paint, plane
from pellucid.data.scenes.color import tint
from pellucid.data.scenes.draws import Draws

_FINEST = 18  # cells across of the coarser of two octaves: the finer's are 1.8 pixels of 64
_LATTICE = 2 * _FINEST + 8  # room for the finer side of stretched grain


def draw(draws: Draws, effort: Float32[Tensor, " scene"], canvas: Canvas) -> Picture:
    """Two colours by noise or by veins that follow it, over a broad drift into a third colour."""
    hue, light = draws(), draws.between(0.38, 0.58)
    contrast = draws.between(0.85, 1.1) * (0.15 + 0.13 * effort)
    low = tint(hue, draws.between(0.05, 0.3), light - contrast)
    high = tint(hue + draws.between(-0.12, 0.12), draws.between(0.05, 0.3), light + contrast)
    other = tint(hue + draws.between(0.2, 0.8), draws.between(0.1, 0.3), light - contrast)

    # Grain is stretched one way and finer the other; veins are steeper than mist, and start broader.
    style = draws()
    grained, veined = (style < 0.35).float(), (style > 0.65).float()
    coarse = (1.4 + (_FINEST - 1.4) * effort**1.4) * (1 - 0.55 * veined) * (1 + 0.15 * grained)
    stretch = 1 + 3 * grained * effort.sqrt()
    upright = (draws() < 0.5).float()
    wide, tall = coarse * stretch ** (0.5 - upright), coarse * stretch ** (upright - 0.5)
    broad = _noise(draws, wide, tall, canvas, lattice=_LATTICE)
    fine = _noise(draws, 2 * wide, 2 * tall, canvas, lattice=2 * _LATTICE)
    slow = torch.full_like(wide, 1.5)
    drift = _noise(draws, slow, slow, canvas, lattice=6)

    mixed = 0.8 * broad + plane(draws.between(0.5, 0.7) * effort.sqrt()) * fine
    mist = torch.sigmoid(plane(1.6 + 1.2 * effort) * mixed)
    veins = 0.5 + 0.5 * torch.sin(pi * (1.1 * mixed + 0.5 * drift) + plane(2 * pi * draws()))
    picture = mix(low, other, torch.sigmoid(1.5 * drift - 0.5))
    paint(picture, high, torch.lerp(mist, veins, plane(veined)))
    return picture


def _noise(draws: Draws, wide: Tensor, tall: Tensor, canvas: Canvas, *, lattice: int) -> Plane:
    return noise(draws(lattice, lattice), 1 + canvas.x * plane(wide), 1 + canvas.y * plane(tall))
