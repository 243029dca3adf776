"""How busy a picture is, measured on its pixels."""

import numpy as np
import torch
from jaxtyping import Float32, Float64
from torch import Tensor

from pellucid.data.scenes.color import LUMINANCE
from pellucid.errors import ImageError


def busyness(images: Float32[Tensor, "image 3 height width"]) -> Float64[np.ndarray, " image"]:
    """Average the size of the luminance's gradient over a picture, in luminance a pixel of 64x64.

    Luminance is Rec. ITU-R BT.709's sum of the channels as stored; the gradient, differences between
    neighbours to the right and below. At most √2, 0 for one flat colour. It takes any pictures, real ones
    too, so it says nothing of how scenes are made.

    Args:
        images: In [0, 1], 64 pixels high and wide: another size would be another measure.

    Raises:
        ImageError: If they are not 64x64.
    """
    if images.shape[2:] != (64, 64):
        raise ImageError(
            f"images: expected 64x64 pixels, got {images.shape[2]}x{images.shape[3]}. Resize them."
        )
    light = torch.einsum("ichw,c->ihw", images, torch.tensor(LUMINANCE))
    across = light[:, :-1, 1:] - light[:, :-1, :-1]
    down = light[:, 1:, :-1] - light[:, :-1, :-1]
    busy: Float64[np.ndarray, " image"] = torch.hypot(across, down).double().mean((1, 2)).numpy()
    return busy
