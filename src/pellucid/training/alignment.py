"""Turn the latents onto the axes along which they are most independent.

A standard normal prior looks the same from every side: z and any rotation of z reconstruct equally well, and
only the total correlation tells them apart. A rotation leaves the joint entropy as it is, so the total
correlation is least where the entropies of the single latents add up to least. A batch of some dozen images
estimates that too poorly to turn axes that training has once settled on; some thousand images do not. So,
now and then, the rotation is solved for instead of descended to, and training goes on from there. The decoder
sees the same z; no image changes.
"""

from collections.abc import Callable
from itertools import combinations
from typing import cast

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from pellucid.model.posterior import Posterior
from pellucid.model.vae import VAE
from pellucid.objective.kl import active_latents, kl

ALIGN_IMAGES = 3_000
_SMOOTHING = 0.3  # standard deviation of noise on the means: else two clusters, however near, draw an axis
_COARSE = np.linspace(-np.pi / 4, np.pi / 4, 13)  # a quarter of a turn is all there is: axes have no order
_FINE = np.linspace(-np.pi / 24, np.pi / 24, 9)
_LEAST_GAIN = 2e-3  # nats: less is the estimate's own noise
_MOST_SWEEPS = 10


def spacing_entropy(values: Float[np.ndarray, "row sample"]) -> Float[np.ndarray, " row"]:
    """Estimate the entropy of each row's distribution in nats, from the gaps between its sorted samples.

    The mean of log((n + 1) / m (x_(i + m) - x_(i))) with m = sqrt(n) (Vasicek 1976, in the form of
    Learned-Miller & Fisher 2003, JMLR 4, eq. 8). Slightly too low where a density bends; what is compared
    here is off by about the same.
    """
    count = values.shape[1]
    reach = round(count**0.5)
    ordered = np.sort(values, axis=1)
    gaps = np.maximum(ordered[:, reach:] - ordered[:, :-reach], 1e-12)
    entropy: Float[np.ndarray, " row"] = np.log(gaps * ((count + 1) / reach)).mean(axis=1)
    return entropy


def independent_axes(
    means: Float[np.ndarray, "image latent"], active: Bool[np.ndarray, " latent"]
) -> Float[np.ndarray, "latent latent"]:
    """Find the rotation after which the active latents are most independent.

    Jacobi's sweeps over all pairs of latents, each turned to its best angle, until none moves: the
    search of RADICAL (Learned-Miller & Fisher 2003), but on the latents as they are. To whiten them first
    would ask for independence on other axes than those that the prior allows.

    Args:
        means: Posterior means; 3,000 of them are looked at.
        active: Which latents take part; the others say nothing, and stay where they are.

    Returns:
        An orthogonal matrix; row k is the direction that becomes latent k.
    """
    rotation = np.eye(means.shape[1])
    chosen = np.flatnonzero(active)
    chance = np.random.Generator(np.random.PCG64(0))
    some = chance.permutation(len(means))[:ALIGN_IMAGES]
    codes = means[some][:, chosen].T.astype(np.float64)  # [latent image]
    codes += _SMOOTHING * chance.standard_normal(codes.shape)
    moved = np.ones(len(chosen), bool)
    for _ in range(_MOST_SWEEPS):
        before, moved = moved, np.zeros(len(chosen), bool)
        for pair in combinations(range(len(chosen)), 2):
            both = list(pair)
            if (before[both] | moved[both]).any() and _turn(codes, rotation, chosen, both):
                moved[both] = True
        if not moved.any():
            break
    return rotation


def _turn(
    codes: Float[np.ndarray, "active image"],
    rotation: Float[np.ndarray, "latent latent"],
    chosen: Int[np.ndarray, " active"],
    both: list[int],
) -> bool:
    """Turn two latents in their plane, in place, if that makes them more independent."""
    pair = codes[both]
    coarse = _entropies(pair, _COARSE)
    fine = _COARSE[coarse.argmin()] + _FINE
    entropies = _entropies(pair, fine)
    if entropies.min() > coarse[len(_COARSE) // 2] - _LEAST_GAIN:
        return False
    angle = fine[entropies.argmin()]
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    codes[both] = turn @ pair
    rotation[chosen[both]] = turn @ rotation[chosen[both]]
    return True


def _entropies(
    pair: Float[np.ndarray, "2 image"], angles: Float[np.ndarray, " angle"]
) -> Float[np.ndarray, " angle"]:
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    first, second = cos * pair[0] + sin * pair[1], cos * pair[1] - sin * pair[0]  # [angle image]
    sum_of_both: Float[np.ndarray, " angle"] = spacing_entropy(first) + spacing_entropy(second)
    return sum_of_both


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
    active = active_latents(kl(posterior).mean(0), posterior.mean.var(0, correction=0)).cpu().numpy()
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
