"""What a detector learns from held-out images: probabilities, p-values, and which images those are."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from pellucid.data.grouping import numbered, strata
from pellucid.errors import ConfigError

MOST_PUT_ASIDE = 20_000
SMALLEST_SLOPE = 1e-6


@dataclass(frozen=True)
class CalibrationScores:
    """Scores of the calibration images of one class.

    Every group counts as one, so a promise is made for an image drawn from a new group, whatever images of
    one group have in common (hierarchical conformal prediction: Lee, Barber & Willett 2023,
    arXiv:2306.06342). Where every image is a group of its own, that is split-conformal prediction (Vovk et
    al. 2005, Algorithmic Learning in a Random World, ch. 4).

    Attributes:
        scores: float64 [image], ascending; higher is more normal.
        weights: float64 [image], 1 over how many of these images its group has: above 0 to 1.
    """

    scores: Float64[np.ndarray, " image"]
    weights: Float64[np.ndarray, " image"]

    @classmethod
    def of(cls, scores: Float64[np.ndarray, " image"], groups: Any = None) -> "CalibrationScores":
        """Those of images in any order; `groups` has a label for each, None if each is on its own."""
        number = numbered(groups, len(scores))
        order = np.argsort(scores, kind="stable")
        return cls(scores[order], 1 / np.bincount(number)[number[order]])

    @cached_property
    def groups(self) -> int:
        """How many groups there are."""
        return round(float(self.weights.sum()))

    @cached_property
    def below(self) -> Float64[np.ndarray, " rank"]:
        """How many groups the n lowest scores make up, for n from 0 to all images."""
        return np.concatenate([[0.0], np.cumsum(self.weights)])

    @property
    def min_p_value(self) -> float:
        """The smallest p-value that there can be: 1 / (groups + 1)."""
        return 1 / (self.groups + 1)

    def p_values(self, scores: Float64[np.ndarray, " scored"]) -> Float64[np.ndarray, " scored"]:
        """How rarely an image of this class is as anomalous as each of these: conformal p-values.

        (1 + the sum over groups of the share of a group's images whose score is at most this one's) / (groups
        + 1). An image of a new group has a p-value of at most p with probability p at most, whatever the
        scores' distribution, if the new group and those of the calibration are exchangeable and none of them
        was fitted on. From 1 / (groups + 1) to 1: ten groups tell nothing below 1/11.

        Args:
            scores: Higher is more normal.
        """
        return (1 + self.below[np.searchsorted(self.scores, scores, side="right")]) / (self.groups + 1)


def check_share(calibration: Any) -> None:
    """Refuse a share of images to hold out that is not between 0 and 1.

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


def groups_kept(
    classes: Int64[np.ndarray, " image"], share: float, groups: Int64[np.ndarray, " image"]
) -> list[int]:
    """How many groups with images of each class `put_aside` keeps; 0 of a class that it cannot divide."""
    kinds = strata(classes, groups)
    room = _room(kinds)
    return [
        sum(_kept(len(rows), share, room) for kind, rows in kinds.items() if number in kind)
        for number in range(classes.max(initial=-1) + 1)
    ]


def _room(kinds: Collection[tuple[int, ...]]) -> int:
    """How many images each kind of group may give, so that those with one class in common give 20,000."""
    shared = Counter(number for kind in kinds for number in kind)
    return MOST_PUT_ASIDE // max(shared.values(), default=1)


def _kept(groups: int, share: float, room: int) -> int:
    return min(max(round(share * groups), 1), groups - 1, room)


def put_aside(
    classes: Int64[np.ndarray, " image"],
    share: float,
    random_state: Any,
    groups: Int64[np.ndarray, " image"] | None = None,
) -> tuple[Int64[np.ndarray, " fitted"], Int64[np.ndarray, " calibration"]]:
    """The rows to fit on and the rows to calibrate on, at random: no group of images has rows in both.

    Of the groups that hold images of the same classes, the share is held out, at least one group and never
    the last one. Of a large class at most 20,000 images are held out, since p-values need no finer steps;
    where so many would be held out of groups, each gives as many as leave room for the others.

    Args:
        classes: The class of each image, by number from 0 on.
        share: Of the groups to hold out.
        random_state: A seed, a RandomState, or None for another split every time.
        groups: The group of each image, by number; None if each is on its own.

    Raises:
        ValueError: If a class has images in one group only, which cannot be in both parts.
    """
    held = np.arange(len(classes)) if groups is None else groups
    for number, count in enumerate(groups_kept(classes, share, held)):
        if count < 1:
            raise ValueError(
                "expected images of each class in 2 groups or more, to fit on some and calibrate on others, "
                f"got {len(np.unique(held[classes == number]))} of a class. Give more."
            )
    random = check_random_state(random_state)
    fitted, calibration = [], []
    kinds = strata(classes, held)
    room = _room(kinds)
    for kind in kinds.values():
        count = _kept(len(kind), share, room)
        most = room // max(count, 1)
        for place, number in enumerate(random.permutation(len(kind))):
            rows = kind[number]
            if place >= count:
                fitted.append(rows)
            else:
                calibration.append(rows if len(rows) <= most else random.permutation(rows)[:most])
    return np.sort(np.concatenate(fitted)), np.sort(np.concatenate(calibration))


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
