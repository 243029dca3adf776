"""Colours by hue, chroma and luminance, so that contrast is chosen and not left to chance."""

from math import pi

import torch
from jaxtyping import Float32
from torch import Tensor

LUMINANCE = (0.2126, 0.7152, 0.0722)  # of red, green, blue: Rec. ITU-R BT.709, on the values as stored


def tint(
    hue: Float32[Tensor, "scene *rest"],
    chroma: Float32[Tensor, "scene *rest"] | float,
    light: Float32[Tensor, "scene *rest"] | float,
) -> Float32[Tensor, "scene 3 *rest"]:
    """Mix colours from a hue, a chroma and a luminance.

    Args:
        hue: In turns: 0 red, 1/3 green, 2/3 blue.
        chroma: 0 grey; from about 0.4 on, as strong as the luminance allows.
        light: The colour's luminance in [0, 1]; met exactly where no channel leaves [0, 1].
    """
    waves = [torch.cos(2 * pi * (hue - channel / 3)) for channel in range(3)]
    grey = sum(weight * wave for weight, wave in zip(LUMINANCE, waves, strict=True))
    return torch.stack([light + chroma * (wave - grey) for wave in waves], dim=1).clamp_(0, 1)
