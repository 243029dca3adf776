"""The rate: how much each latent says about an image."""

import torch
from jaxtyping import Float
from torch import Tensor

from pellucid.model.posterior import Posterior

ACTIVE_KL = 0.1
"""Nats an image above which a latent says something."""


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
