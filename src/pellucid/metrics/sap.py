"""Separated attribute predictability: does one latent alone predict a factor, and no other as well?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int, Int64

from pellucid.errors import ConfigError
from pellucid.metrics.mutual_information import check_codes, discretise_factors

_LEAST_VARIANCE = 1e-12


@dataclass(frozen=True)
class Separation:
    """How well each latent alone predicts each factor, and by how much the best is ahead.

    Attributes:
        score: The mean of `gaps`, in [0, 1].
        gaps: float64 [factor], best - second best, each in [0, 1].
        best: int64 [factor], the latent that predicts it best.
        predictability: float64 [latent factor], R² or balanced accuracy, in [0, 1].
    """

    score: float
    gaps: Float64[np.ndarray, " factor"]
    best: Int64[np.ndarray, " factor"]
    predictability: Float64[np.ndarray, "latent factor"]


def sap(
    codes: Float[np.ndarray, "image latent"],
    factors: Float[np.ndarray, "image factor"],
    *,
    categorical: Sequence[bool] | None = None,
) -> Separation:
    """SAP score of Kumar et al. 2018 (arXiv:1711.00848, sec. 3).

    mean over k of (S_j1k - S_j2k), where j1 and j2 predict factor k best and second best. For a number, S is
    the squared correlation, R² of a line. For a class, it is the balanced accuracy of thresholds on the
    latent, fitted on the same images, one interval a class: the best of all thresholds, with the classes in
    ascending or descending order of their mean latent. Of two classes that is (1 + Kolmogorov-Smirnov
    distance) / 2. A constant latent, of a variance of 1e-12 at most, has S = 0.

    Only straight relations count for numbers: a latent that bends, or an angle that wraps around, scores low.
    For classes, an unrelated latent has S a little above 1 / classes, so a perfect latent among unrelated
    ones is ahead by only 1 - 1 / classes: 0.5 for two. disentanglement_lib computes something else under this
    name: it takes every factor as classes and predicts them by linear SVMs, which tell little more than the
    ends of a scale from the rest, so its numbers are much lower.

    Args:
        codes: Posterior means, one row an image.
        factors: What is true of the same images.
        categorical: For each factor, whether its values are classes. Default: those with two values are.

    Raises:
        DataError: If codes or factors are unusable; see `check_codes` and `discretise_factors`.
        ConfigError: If `categorical` does not have an entry for each factor.
    """
    check_codes(codes, factors)
    classes = discretise_factors(factors)
    if categorical is None:
        categorical = [bool(count == 1) for count in classes.max(axis=0)]
    if len(categorical) != factors.shape[1]:
        raise ConfigError(
            f"categorical: expected an entry for each of {factors.shape[1]} factors, got {len(categorical)}."
        )
    predictability = _squared_correlations(codes, factors)
    order = np.argsort(codes, axis=0, kind="stable")
    for factor in np.flatnonzero(categorical):
        predictability[:, factor] = _threshold_accuracies(codes, order, classes[:, factor])
    predictability[codes.var(axis=0, dtype=np.float64) <= _LEAST_VARIANCE] = 0
    ordered = np.sort(np.pad(predictability, ((1, 0), (0, 0))), axis=0)
    gaps = ordered[-1] - ordered[-2]
    return Separation(float(gaps.mean()), gaps, predictability.argmax(axis=0), predictability)


def _squared_correlations(
    codes: Float[np.ndarray, "image latent"], factors: Float[np.ndarray, "image factor"]
) -> Float64[np.ndarray, "latent factor"]:
    x = codes - codes.mean(axis=0, dtype=np.float64)
    y = factors - factors.mean(axis=0, dtype=np.float64)
    spread = np.outer((x**2).sum(axis=0), (y**2).sum(axis=0))
    squares: Float64[np.ndarray, "latent factor"] = (x.T @ y) ** 2 / np.where(spread > 0, spread, 1)
    np.minimum(squares, 1, out=squares)
    return squares


def _threshold_accuracies(
    codes: Float[np.ndarray, "image latent"],
    order: Int64[np.ndarray, "image latent"],
    classes: Int[np.ndarray, " image"],
) -> Float64[np.ndarray, " latent"]:
    """Best balanced accuracy of cutting each latent in one interval a class."""
    member = np.eye(int(classes.max()) + 1)[classes]  # [image class]
    shares = member / member.sum(axis=0)
    means = shares.T @ codes  # [class latent]
    best = np.zeros(codes.shape[1])
    for latent, places in enumerate(order.T):
        values = codes[places, latent]
        # A threshold can lie before the first image, after the last, and between two that differ.
        cuts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1], [True]]))
        below = np.pad(np.cumsum(shares[places], axis=0), ((1, 0), (0, 0)))[cuts]  # [cut class]
        ascending = np.argsort(means[:, latent], kind="stable")
        best[latent] = max(_best_intervals(below[:, ascending]), _best_intervals(below[:, ascending[::-1]]))
    return best


def _best_intervals(below: Float64[np.ndarray, "cut class"]) -> float:
    """Largest mean share of the classes caught, class by class from the left, each by one interval.

    Of the first c classes, the last interval ending at cut t, the most is F_c(t) + max over s <= t of what
    the classes before catch up to s, less F_c(s), with F_c(t) the share of class c below t.
    """
    caught = np.zeros(len(below))
    for share in below.T:
        caught = share + np.maximum.accumulate(caught - share)
    return float(caught[-1] / below.shape[1])
