"""The KL of a batch taken apart: what the latents say of the image, of one another, and each alone."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from pellucid.errors import BatchError, ConfigError
from pellucid.model.posterior import Posterior

Estimator = Literal["weighted", "stratified"]


@dataclass(frozen=True)
class Decomposition:
    """E[log q(z|x) - log p(z)] in three parts that add up to it (arXiv:1802.04942, eq. 2), in nats an image.

    Attributes:
        mutual_information: float32 [], between the image and its z.
        total_correlation: float32 [], KL(q(z) || prod_j q(z_j)): how far the latents are from independent.
        dimension_wise_kl: float32 [], sum_j KL(q(z_j) || N(0, 1)).
    """

    mutual_information: Float[Tensor, ""]
    total_correlation: Float[Tensor, ""]
    dimension_wise_kl: Float[Tensor, ""]


def decompose(
    z: Float[Tensor, "batch latent"],
    posterior: Posterior,
    *,
    dataset_size: int,
    estimator: Estimator = "weighted",
) -> Decomposition:
    """Estimate the three parts of the KL from one batch, where q(z) is the mean of q(z|x) over the data set.

    `weighted` is minibatch-weighted sampling (Chen et al. 2018, arXiv:1802.04942, eq. S3) without its
    factor 1/N, which has no gradient but shifts S3's values: S3's mutual information is this one + log N,
    its total correlation this one + (latents - 1) log N, its dimension-wise KL this one - latents * log N.
    As it is here, it is exact when the batch is the data set. In a smaller batch an image weighs 1/batch
    in its own q(z), instead of 1/N: mutual information is too low, at most log(batch), and total
    correlation too high, by up to about log(N / batch). With few images to a batch it is a
    quantity to compare and to lower, not to quote.

    `stratified` (eq. S5) has the right weights, so q(z) is unbiased (its logarithm is not), at the price of
    much variance: the image's own term nearly vanishes.

    Memory is batch * batch * latents floats, a few times over. In distributed training, gather z, mean and
    log-variance of all processes first: the estimate depends on the batch size.

    Args:
        z: One sample per image, drawn from `posterior`.
        posterior: The encoder's output for the same images, in the same order.
        dataset_size: Images in the training set (N), at least the batch size; `weighted` only checks it.
        estimator: "weighted" or "stratified".

    Raises:
        BatchError: If the batch has fewer than 2 images, or more than `dataset_size`, or z does not fit.
        ConfigError: If the estimator is unknown.
    """
    log_weights = _log_weights(estimator, z, posterior, dataset_size)
    with torch.autocast(z.device.type, enabled=False):
        densities = _log_densities(z, posterior)
        conditional = densities.diagonal().sum(0)
        joint = torch.logsumexp(log_weights + densities.sum(2), 1)
        marginals = torch.logsumexp(log_weights[:, :, None] + densities, 1).sum(1)
        prior = -0.5 * (_precise(z).square() + math.log(2 * math.pi)).sum(1)
        return Decomposition(
            mutual_information=(conditional - joint).mean(),
            total_correlation=(joint - marginals).mean(),
            dimension_wise_kl=(marginals - prior).mean(),
        )


def total_correlation(
    z: Float[Tensor, "batch latent"],
    posterior: Posterior,
    *,
    dataset_size: int,
    estimator: Estimator = "weighted",
) -> Float[Tensor, ""]:
    """Estimate how far the latents are from independent, KL(q(z) || prod_j q(z_j)), in nats.

    A finite-batch estimate can be negative; the true value cannot. See `decompose` for the estimators, the
    arguments and the errors.
    """
    parts = decompose(z, posterior, dataset_size=dataset_size, estimator=estimator)
    return parts.total_correlation


def stratified_log_weights(*, batch_size: int, dataset_size: int) -> Float[Tensor, "batch batch"]:
    """Weigh each image of a batch in each image's q(z), without bias (arXiv:1802.04942, eq. S5), as logs.

    With M = batch_size - 1 and N = dataset_size, row i has 1/N on the diagonal, (N - M) / (N M) once, for
    the next image of the batch, and 1/M elsewhere. Each row sums to 1.

    Args:
        batch_size: Images in a batch drawn without replacement, at least 2.
        dataset_size: Images in the training set, at least `batch_size`.

    Returns:
        float32 [batch batch].

    Raises:
        BatchError: If the batch has fewer than 2 images, or more than `dataset_size`.
    """
    _check_sizes(batch_size, dataset_size)
    others = batch_size - 1
    weights = torch.full((batch_size, batch_size), 1 / others, dtype=torch.float64)
    rows = torch.arange(batch_size)
    weights[rows, (rows + 1) % batch_size] = (dataset_size - others) / (dataset_size * others)
    weights[rows, rows] = 1 / dataset_size
    return weights.log().float()


def _log_weights(
    estimator: Estimator, z: Tensor, posterior: Posterior, dataset_size: int
) -> Float[Tensor, "batch batch"]:
    if z.shape != posterior.mean.shape:
        expected, got = tuple(posterior.mean.shape), tuple(z.shape)
        raise BatchError(f"Expected one sample for each posterior, z of shape {expected}, got {got}.")
    batch_size = z.shape[0]
    _check_sizes(batch_size, dataset_size)
    if estimator == "weighted":
        return torch.full((batch_size, batch_size), -math.log(batch_size), device=z.device)
    if estimator == "stratified":
        return stratified_log_weights(batch_size=batch_size, dataset_size=dataset_size).to(z.device)
    raise ConfigError(
        f"Expected an estimator 'weighted' or 'stratified', got {estimator!r}. Choose one of them."
    )


def _check_sizes(batch_size: int, dataset_size: int) -> None:
    if batch_size < 2:
        raise BatchError(
            f"Total correlation needs at least 2 images in a batch, got {batch_size}. "
            "Enlarge the batch, or drop the last incomplete one."
        )
    if dataset_size < batch_size:
        raise BatchError(
            f"Expected a dataset_size of at least the batch size, {batch_size}, got {dataset_size}. "
            "Give the number of images in the whole training set."
        )


def _log_densities(
    z: Float[Tensor, "batch latent"], posterior: Posterior
) -> Float[Tensor, "batch batch latent"]:
    """Compute log q(z_ij | x_k) as [i k j]: sample i under the posterior of image k, for latent j."""
    log_variance = _precise(posterior.log_variance)
    offset = _precise(z)[:, None] - _precise(posterior.mean)[None]
    return -0.5 * (offset.square() * torch.exp(-log_variance) + (log_variance + math.log(2 * math.pi)))


def _precise(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))
