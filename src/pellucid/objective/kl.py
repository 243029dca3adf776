"""The rate: how much each latent says about an image."""

from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pellucid.model.posterior import Posterior

ACTIVE_KL = 0.1
"""Nats an image above which a latent says something."""
ACTIVE_VARIANCE = 0.01
"""Variance of the posterior mean over images above which it moves (Burda et al. 2015, arXiv:1509.00519)."""

_Values = TypeVar("_Values", Tensor, np.ndarray)


def active_latents(kl: _Values, variance: _Values) -> _Values:
    """Tell which latents are active: KL above 0.1 nat, and a mean that moves from image to image.

    Args:
        kl: [latent], mean over images, nats.
        variance: [latent], of the posterior mean over the images.

    Returns:
        bool [latent].
    """
    return (kl > ACTIVE_KL) & (variance > ACTIVE_VARIANCE)


def kl(posterior: Posterior) -> Float[Tensor, "batch latent"]:
    """Compute KL(q(z_j|x) || N(0, 1)) of each latent in closed form, in nats (arXiv:1312.6114, appendix B).

    Zero where a latent ignores the image, never negative but for rounding. Sum over latents for the KL of
    an image; average over images for a latent's activity.

    Args:
        posterior: The encoder's output for a batch of images.
    """
    precision = torch.promote_types(posterior.mean.dtype, torch.float32)
    mean, log_variance = posterior.mean.to(precision), posterior.log_variance.to(precision)
    return 0.5 * (mean.square() + log_variance.expm1() - log_variance)
