"""The beta-VAE score: can a linear classifier tell from differences of codes which factor is fixed?"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64
from sklearn.linear_model import LogisticRegression

from pellucid.metrics.fixed_factor import FixedFactor, fixed_factors
from pellucid.metrics.mutual_information import check_codes, discretise_factors
from pellucid.metrics.scale import standardise

PAIRS = 64
_POINTS_AT_ONCE = 500


@dataclass(frozen=True)
class BetaVAEScore:
    """How well a linear classifier tells which factor two images have in common.

    Attributes:
        score: Accuracy in [0, 1]; chance is 1 / factors.
        per_factor: float64 [factor], accuracy on the points with that factor fixed.
    """

    score: float
    per_factor: Float64[np.ndarray, " factor"]


def beta_vae(
    codes: Float[np.ndarray, "image latent"],
    factors: Float[np.ndarray, "image factor"],
    *,
    generator: np.random.Generator,
    train: int = 10_000,
    test: int = 5_000,
) -> BetaVAEScore:
    """Score a linear classifier of differences, after Higgins et al. 2017 (openreview Sy2fzU9gl, sec. 3).

    A point is the mean of |z_a - z_b| over 64 pairs of images, each pair sharing the value of the same
    factor, whatever that value is; its class is the factor. The score is the accuracy of multinomial logistic
    regression on `test` points after fitting on `train` others. Counts as in Locatello et al. 2019
    (arXiv:1811.12359, app. C), with as many points of each factor. Each latent is first divided by its
    standard deviation, and each feature standardised, so that scales do not matter. A factor of more than
    50 values is shared within a bin of 20.

    Two things to know when reading it (Kim & Mnih 2018, sec. 4): a rotated code can score 1, since the
    classifier may combine latents, and a code that misses one factor can too, by elimination.

    Args:
        codes: Posterior means.
        factors: The true factors of the same images, at least two.
        generator: Draws the pairs.
        train: Points to fit.
        test: Points that are scored.

    Raises:
        DataError: If codes or factors cannot be used (`check_codes`, `discretise_factors`), or no two images
            share a value of a factor.
        ConfigError: If there is one factor only.
    """
    check_codes(codes, factors)
    fixed = fixed_factors(discretise_factors(factors))
    scaled = standardise(codes)
    points, truth = _points(scaled, fixed, train, generator)
    classifier = LogisticRegression(max_iter=1000).fit(standardise(points), truth)
    tested, truth = _points(scaled, fixed, test, generator)
    right = classifier.predict(standardise(tested, points)) == truth
    return BetaVAEScore(float(right.mean()), np.bincount(truth, right) / np.bincount(truth))


def _points(
    scaled: Float64[np.ndarray, "image latent"],
    fixed: tuple[FixedFactor, ...],
    count: int,
    generator: np.random.Generator,
) -> tuple[Float64[np.ndarray, "point latent"], Int64[np.ndarray, " point"]]:
    """Mean differences, and the factor that was fixed; about count / factors points a factor."""
    each = -(-count // len(fixed))
    points = [_differences(scaled, one, each, generator) for one in fixed]
    return np.concatenate(points), np.repeat(np.arange(len(fixed)), each)


def _differences(
    scaled: Float64[np.ndarray, "image latent"],
    fixed: FixedFactor,
    count: int,
    generator: np.random.Generator,
) -> Float64[np.ndarray, "point latent"]:
    means = []
    for begun in range(0, count, _POINTS_AT_ONCE):
        points = min(_POINTS_AT_ONCE, count - begun)
        one, other = fixed.pairs(points * PAIRS, generator)
        apart = np.abs(scaled[one] - scaled[other])
        means.append(apart.reshape(points, PAIRS, -1).mean(axis=1))
    return np.concatenate(means)
