"""Mutual information gap: is what the latents say of a factor said by one latent alone?

Two versions with one name are in the literature, and their numbers are not comparable: `mig` after
Locatello et al. 2019 and `mig_chen` after Chen et al. 2018.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64, Int, Int64

from pellucid.errors import ConfigError, DataError
from pellucid.metrics.mutual_information import (
    check_codes,
    discretise_codes,
    discretise_factors,
    entropies,
    mutual_information,
)

_CHUNK = 250


@dataclass(frozen=True)
class InformationGap:
    """What each latent says of each factor, and by how much the best latent is ahead.

    Attributes:
        score: The mean of `gaps`, in [0, 1].
        gaps: float64 [factor], (best - second best) / the factor's entropy, each in [0, 1].
        best: int64 [factor], the latent with the most information on it.
        information: float64 [latent factor], mutual information in nats.
        entropy: float64 [factor], of the factor, in nats: the most that a latent can say of it.
    """

    score: float
    gaps: Float64[np.ndarray, " factor"]
    best: Int64[np.ndarray, " factor"]
    information: Float64[np.ndarray, "latent factor"]
    entropy: Float64[np.ndarray, " factor"]


def mig(
    codes: Float[np.ndarray, "image latent"], factors: Float[np.ndarray, "image factor"]
) -> InformationGap:
    """Mutual information gap of posterior means, as in Locatello et al. 2019 (arXiv:1811.12359, app. C).

    mean over k of (I(z_j1; v_k) - I(z_j2; v_k)) / H(v_k), where j1 and j2 have the most and the second most
    information on v_k, counted in 20 bins of equal width of each mean. The protocol takes 10,000 images.

    0 for a duplicated latent, about 0 for noise. The ceiling is below 1 for factors with more values than
    bins: dSprites' factors themselves as codes score 0.902 (1 for shape and scale, 0.81 for orientation, 0.85
    for each position). An outlier stretches the bins of its latent and lowers the score.

    Args:
        codes: Posterior means, one row an image.
        factors: What is true of the same images; cut in classes by `discretise_factors`.

    Raises:
        DataError: If codes or factors are unusable; see `check_codes` and `discretise_factors`.
    """
    check_codes(codes, factors)
    classes = discretise_factors(factors)
    return _gap(mutual_information(discretise_codes(codes), classes), entropies(classes))


def mig_chen(
    means: Float[np.ndarray, "image latent"],
    log_variances: Float[np.ndarray, "image latent"],
    factors: Float[np.ndarray, "image factor"],
    *,
    generator: np.random.Generator,
    samples: int = 2_000,
) -> InformationGap:
    """Mutual information gap of sampled latents, as in Chen et al. 2018 (arXiv:1802.04942, sec. 4.1, app. B).

    I(z_j; v_k) = E[log q(z_j | v_k) - log q(z_j)], z_j drawn from the posterior of an image drawn from the
    data; q(z_j) is the mean of all images' posteriors (not a histogram), q(z_j | v_k) of those with the same
    v_k, both summed in log space. Gap and normalisation are those of `mig`.

    Chen et al. take dSprites' four ordered factors without shape, all 737,280 images, and 10,000 samples for
    each entropy. With few images, an image's own posterior weighs more among those that share its v_k than
    among all, which adds information to every pair, most for narrow posteriors and factors with many values
    (0.07 nats for unrelated latents with a standard deviation of 0.05, 10,000 images, 40 values), and the gap
    loses some. A posterior as wide as the step between two values of a factor cannot tell them apart, so the
    score falls with noise in the latents, and that of `mig` does not.

    Args:
        means: Posterior means.
        log_variances: Natural logarithms of the posteriors' variances.
        factors: What is true of the same images; cut in classes by `discretise_factors`.
        generator: Draws the images and their z.
        samples: How many z are drawn, with replacement if there are fewer images. Time and memory grow
            with samples times images; the standard error is about 1 / sqrt(samples) nats.

    Raises:
        DataError: If an input is unusable; see `check_codes` and `discretise_factors`.
        ConfigError: If `samples` is below 1.
    """
    check_codes(means, factors)
    if log_variances.shape != means.shape or not np.isfinite(log_variances).all():
        raise DataError(
            f"log_variances: expected a finite number for each of the {means.shape} means, got "
            f"{log_variances.shape}. Pass those of the same posteriors."
        )
    if samples < 1:
        raise ConfigError(f"samples: expected 1 or more, got {samples}. 2,000 are enough.")
    classes = discretise_factors(factors)
    drawn = generator.choice(len(means), samples, replace=samples > len(means))
    noise = generator.standard_normal((samples, means.shape[1]))
    latents = zip(means.T, log_variances.T, noise.T, strict=True)
    information = [_continuous_information(m, v, classes, drawn, n) for m, v, n in latents]
    return _gap(np.maximum(np.stack(information), 0), entropies(classes))


def _gap(
    information: Float64[np.ndarray, "latent factor"], entropy: Float64[np.ndarray, " factor"]
) -> InformationGap:
    ordered = np.sort(np.pad(information, ((1, 0), (0, 0))), axis=0)  # a lone latent is ahead of nothing
    gaps = np.clip((ordered[-1] - ordered[-2]) / entropy, 0, 1)
    return InformationGap(float(gaps.mean()), gaps, information.argmax(axis=0), information, entropy)


def _continuous_information(
    mean: Float[np.ndarray, " image"],
    log_variance: Float[np.ndarray, " image"],
    classes: Int[np.ndarray, "image factor"],
    drawn: Int[np.ndarray, " sample"],
    noise: Float64[np.ndarray, " sample"],
) -> Float64[np.ndarray, " factor"]:
    """E[log q(z | v_k) - log q(z)] of one latent for every factor, in nats."""
    z = mean[drawn] + np.exp(log_variance[drawn] / 2) * noise
    counts = classes.max(axis=0) + 1
    columns = classes + np.cumsum(counts) - counts
    members = np.zeros((len(mean), counts.sum()), np.float32)  # [image, class of any factor]
    np.put_along_axis(members, columns, 1, axis=1)
    sizes = members.sum(axis=0, dtype=np.float64)[columns[drawn]]  # [sample factor], images with its v_k
    total = np.zeros(classes.shape[1])
    for start in range(0, len(z), _CHUNK):
        part = slice(start, start + _CHUNK)
        density = _relative_densities(z[part], mean, log_variance)
        everywhere = density.sum(axis=1, dtype=np.float64) / len(mean)
        within = np.take_along_axis(density @ members, columns[drawn[part]], axis=1) / sizes[part]
        total += (np.log(within) - np.log(everywhere)[:, None]).sum(axis=0)
    return total / len(z)


def _relative_densities(
    z: Float[np.ndarray, " sample"],
    mean: Float[np.ndarray, " image"],
    log_variance: Float[np.ndarray, " image"],
) -> Float32[np.ndarray, "sample image"]:
    """Each sample's density under each image's posterior, over the largest of the sample's.

    The largest is taken out in the exponent, so that nothing overflows, and the sample's own
    posterior, which is in every sum, does not underflow.
    """
    scale = np.exp(-log_variance / 2) / np.sqrt(2)
    exponent = np.subtract.outer(z, mean).astype(np.float32)
    exponent *= scale.astype(np.float32)
    np.square(exponent, out=exponent)
    exponent += (log_variance / 2).astype(np.float32)
    exponent -= exponent.min(axis=1, keepdims=True)
    relative: Float32[np.ndarray, "sample image"] = np.exp(np.negative(exponent, out=exponent), out=exponent)
    return relative
