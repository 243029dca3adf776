"""Images on which ONNX Runtime is compared with PyTorch."""

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from pellucid.latents.typical import read_typical
from pellucid.model.predictor import Model


def example_pixels(model: Model) -> UInt8[Tensor, "image height width channel"]:
    """Draw 32 images of noise, flat color and ramps; the samples that are kept with the run follow them."""
    built = model.config.architecture
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (8, built.size, built.size, built.channels))
    flat = np.broadcast_to(rng.integers(0, 256, (8, 1, 1, built.channels)), noise.shape)
    ramp = np.broadcast_to(np.linspace(0, 255, built.size)[:, None, None], noise.shape[1:])
    mixed = (ramp * rng.random((16, 1, 1, built.channels))).round()
    drawn = np.concatenate([noise, flat, mixed]).astype(np.uint8)
    typical = read_typical(model)
    return torch.from_numpy(drawn if typical is None else np.concatenate([drawn, typical.pixels]))
