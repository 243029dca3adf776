"""Turn the latents onto the axes along which they are most independent.

A standard normal prior looks the same from every side: z and any rotation of z reconstruct equally well, and
only the total correlation tells them apart. Its marginal part is the contrast of independent component
analysis (Hyvärinen & Oja 2000), but a batch of some dozen images estimates it too poorly to turn axes that
training has once settled on. The whole training set does not: so, now and then, the rotation is solved for
instead of descended to, and training goes on from there. The decoder sees the same z; no image changes.
"""

import warnings
from collections.abc import Callable
from typing import cast

import numpy as np
import torch
from jaxtyping import Bool, Float
from sklearn.decomposition import FastICA
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor, nn

from pellucid.model.posterior import Posterior
from pellucid.model.vae import VAE
from pellucid.objective.kl import ACTIVE_KL, kl

ALIGN_IMAGES = 20_000


def independent_axes(
    means: Float[np.ndarray, "image latent"], active: Bool[np.ndarray, " latent"]
) -> Float[np.ndarray, "latent latent"]:
    """Find the rotation after which the active latents are most independent.

    FastICA's unmixing directions, made orthonormal by their polar factor, so that the prior stays as it is.

    Args:
        means: Posterior means.
        active: Which latents take part; the others say nothing, and stay where they are.

    Returns:
        An orthogonal matrix; row k is the direction that becomes latent k.
    """
    rotation = np.eye(means.shape[1])
    chosen = np.flatnonzero(active)
    if len(chosen) < 2:
        return rotation
    analysis = FastICA(whiten="unit-variance", max_iter=500, tol=1e-3, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", ConvergenceWarning
        )  # a normal distribution has no axes to converge to
        unmixing = analysis.fit(means[:, chosen].astype(np.float64)).components_
    left, _, right = np.linalg.svd(unmixing)
    rotation[np.ix_(chosen, chosen)] = left @ right
    return rotation


@torch.no_grad()
def align(vae: VAE, optimizer: torch.optim.Optimizer, posterior: Posterior) -> None:
    """Rotate a model's latents onto independent axes, with the optimiser's memory of them.

    The means turn exactly. The posteriors stay diagonal: each new variance is the rotated covariance's
    diagonal for the average image, and follows the old variances to first order.

    Args:
        vae: The encoder must end, and the decoder begin, with a linear layer.
        optimizer: Adam.
        posterior: Of as many training images as is affordable.
    """
    active = (kl(posterior).mean(0) > ACTIVE_KL).cpu().numpy()
    axes = independent_axes(posterior.mean.cpu().numpy(), active)
    encode, decode = cast(nn.Linear, vae.encoder[-1]), cast(nn.Linear, vae.decoder[0])
    rotation = torch.from_numpy(axes).to(encode.weight)  # [latent latent]
    variance = posterior.log_variance.exp().mean(0).to(encode.weight)  # [latent]
    turned = rotation.square() @ variance
    mixing = rotation.square() * variance / turned[:, None]  # rows sum to 1

    def both(mean: Tensor, log_variance: Tensor) -> Callable[[Tensor], Tensor]:
        def linear(tensor: Tensor) -> Tensor:
            first, second = tensor.chunk(2)
            return torch.cat([mean @ first, log_variance @ second])

        return linear

    _map(optimizer, encode.weight, both(rotation, mixing), both(rotation.square(), mixing.square()))
    _map(optimizer, encode.bias, both(rotation, mixing), both(rotation.square(), mixing.square()))
    encode.bias[len(rotation) :] += turned.log() - mixing @ variance.log()
    _map(optimizer, decode.weight, lambda w: w @ rotation.T, lambda w: w @ rotation.square().T)


def _map(
    optimizer: torch.optim.Optimizer,
    parameter: Tensor,
    linear: Callable[[Tensor], Tensor],
    squared: Callable[[Tensor], Tensor],
) -> None:
    """Transform a parameter, and Adam's moments with it; `squared` has the squares of the coefficients."""
    parameter.copy_(linear(parameter))
    state = optimizer.state.get(parameter)
    if state:
        state["exp_avg"].copy_(linear(state["exp_avg"]))
        state["exp_avg_sq"].copy_(squared(state["exp_avg_sq"]))
