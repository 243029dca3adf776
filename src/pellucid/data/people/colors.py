"""Colours of simulated people: each runs along one nearly straight line, so that one number can say it."""

import torch
from jaxtyping import Float
from torch import Tensor

Color = Float[Tensor, "image 3"]

_SKIN = ((0.98, 0.82, 0.71), (0.70, 0.49, 0.36), (0.30, 0.18, 0.12))
_HAIR = ((0.05, 0.045, 0.05), (0.38, 0.23, 0.12), (0.92, 0.77, 0.45))
_CLOTHES = ((0.12, 0.27, 0.72), (0.47, 0.28, 0.45), (0.85, 0.20, 0.16))
_BACKGROUND = ((0.09, 0.16, 0.34), (0.52, 0.53, 0.54), (0.97, 0.88, 0.70))


def skin(tone: Float[Tensor, " image"]) -> Color:
    """Light (0) to dark (1)."""
    return _along(_SKIN, tone)


def hair(colour: Float[Tensor, " image"]) -> Color:
    """Black (0), brown, blond (1)."""
    return _along(_HAIR, colour)


def clothes(colour: Float[Tensor, " image"]) -> Color:
    """Blue (0), mauve, red (1)."""
    return _along(_CLOTHES, colour)


def background(colour: Float[Tensor, " image"]) -> Color:
    """Dark blue (0), grey, light sand (1)."""
    return _along(_BACKGROUND, colour)


def _along(stops: tuple[tuple[float, float, float], ...], at: Float[Tensor, " image"]) -> Color:
    first, middle, last = (torch.tensor(stop) for stop in stops)
    t = at[:, None]
    return torch.where(t < 0.5, first + (middle - first) * 2 * t, middle + (last - middle) * (2 * t - 1))
