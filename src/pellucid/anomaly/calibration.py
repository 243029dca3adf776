"""What a detector learns from images put aside: probabilities, p-values, and which images those are."""

from numbers import Integral
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from pellucid.errors import ConfigError

FEWEST_TO_SPLIT = 8
FEWEST_IN_A_PART = 2
MOST_PUT_ASIDE = 20_000
SMALLEST_SLOPE = 1e-6


def check_share(calibration: Any) -> None:
    """Refuse a share of images to put aside that is not between 0 and 1.

    Raises:
        ConfigError: If it is not.
    """
    if not isinstance(calibration, float | np.floating) or not 0 < calibration < 1:
        raise ConfigError(f"calibration: expected a share between 0 and 1, got {str(calibration)[:60]}.")


def check_random_source(random_state: Any) -> None:
    """Refuse what scikit-learn cannot draw from.

    Raises:
        ConfigError: If it is neither a whole number from 0 to 2^32 - 1, nor None, nor a RandomState.
    """
    seed = isinstance(random_state, Integral) and 0 <= int(random_state) < 2**32
    if not (seed or random_state is None or isinstance(random_state, np.random.RandomState)):
        raise ConfigError(f"random_state: expected 0 to 2^32 - 1 or None, got {str(random_state)[:60]}.")


def checked_rows(estimator: Any, X: Any) -> Float64[np.ndarray, "image column"]:  # noqa: N803
    """The rows that a fitted estimator is to score, as scikit-learn checks them.

    Rows lie one after another (order C): numpy adds up a row in the same order then, whatever the rows around
    it.

    Raises:
        ValueError: If they cannot be used, as scikit-learn says it.
    """
    check_is_fitted(estimator)
    checked: Float64[np.ndarray, "image column"] = validate_data(
        estimator, X, dtype=np.float64, order="C", reset=False
    )
    return checked


def put_aside(
    classes: Int64[np.ndarray, " image"], share: float, random_state: Any
) -> tuple[Int64[np.ndarray, " fitted"], Int64[np.ndarray, " calibration"]]:
    """The rows to fit on and the rows to calibrate on, each with its share of every class, at random.

    They have no image in common, but for a class that is too small to split, of fewer than 8 images or
    with fewer than 2 in one of the parts: all of it is in both, so what is calibrated on it is flattered
    by the fit. Of a large class at most 20,000 are put aside, since p-values need no finer steps.

    Args:
        classes: The class of each image, by number.
        share: Of the images to put aside.
        random_state: A seed, a RandomState, or None for another split every time.
    """
    chance = check_random_state(random_state)
    fitted, calibration = [], []
    for number in np.unique(classes):
        rows = chance.permutation(np.flatnonzero(classes == number))
        aside = min(round(share * len(rows)), MOST_PUT_ASIDE)
        small = len(rows) < FEWEST_TO_SPLIT or min(aside, len(rows) - aside) < FEWEST_IN_A_PART
        fitted.append(rows if small else rows[aside:])
        calibration.append(rows if small else rows[:aside])
    return np.sort(np.concatenate(fitted)), np.sort(np.concatenate(calibration))


def p_values(
    scores: Float64[np.ndarray, " image"], normal: Float64[np.ndarray, " calibration"]
) -> Float64[np.ndarray, " image"]:
    """How rarely a normal image is as anomalous as each of these: split-conformal p-values.

    (1 + number of calibration images whose score is at most this one's) / (calibration images + 1). A new
    normal image has a p-value of at most p with probability p at most, whatever the scores' distribution,
    if it and the calibration images are exchangeable and none of them was fitted on (Vovk et al. 2005;
    Bates et al. 2023, arXiv:2104.08279). From 1 / (calibration images + 1) to 1.

    Args:
        scores: Higher is more normal.
        normal: Scores of the normal calibration images, ascending.
    """
    return (1 + np.searchsorted(normal, scores, side="right")) / (len(normal) + 1)


def platt(
    scores: Float64[np.ndarray, " image"],
    normal: Bool[np.ndarray, " image"],
    weights: tuple[float, float] = (1.0, 1.0),
) -> tuple[float, float]:
    """Slope and offset that make probabilities of scores: P(normal) = 1 / (1 + exp(-slope score - offset)).

    Maximum likelihood with smoothed targets, (normal + 1) / (normal + 2) and 1 / (anomalous + 2), so that
    classes that come apart still give finite numbers (Platt 1999, Probabilistic outputs for support vector
    machines). The slope is kept positive, at least 1e-6 for a standard deviation of the scores: a higher
    score never makes an image less probably normal, even where these few images would have it so.

    Args:
        scores: Of calibration images; the probabilities are those of their mixture.
        normal: Whether each image is normal; there are images of both kinds.
        weights: How many images an anomalous and a normal one stand for, at least one of them above 0.
    """
    center, spread = float(scores.mean()), float(scores.std())
    unit = spread if spread > 1e-12 * max(1.0, abs(center)) else 1.0
    known = (scores - center) / unit
    positives = int(normal.sum())
    target = np.where(normal, (positives + 1) / (positives + 2), 1 / (len(normal) - positives + 2))
    counted = np.where(normal, weights[1], weights[0])
    counted /= counted.sum()

    def loss(line: Float64[np.ndarray, "2"]) -> tuple[float, Float64[np.ndarray, "2"]]:
        log_odds = line[0] * known + line[1]
        missed = counted * (expit(log_odds) - target)
        gradient = np.array([missed @ known, missed.sum()])
        return float(counted @ (np.logaddexp(0, log_odds) - target * log_odds)), gradient

    bounds = [(SMALLEST_SLOPE, None), (None, None)]
    best = minimize(loss, [1.0, 0.0], jac=True, method="L-BFGS-B", bounds=bounds, options=_PRECISE).x
    slope = float(best[0]) / unit
    offset = float(best[1]) - slope * center
    return slope, offset


_PRECISE = {"ftol": 0.0, "gtol": 1e-10, "maxiter": 1000}
