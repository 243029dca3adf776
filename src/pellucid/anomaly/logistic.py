"""The detector of the paper: a standardised logistic regression of normal against anomalous images."""

# ruff: noqa: N803, N806  (X and C are what scikit-learn calls them)

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
from jaxtyping import Float64
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from pellucid.anomaly import records
from pellucid.anomaly.calibration import (
    MOST_PUT_ASIDE,
    check_random_source,
    check_share,
    checked_rows,
    p_values,
    platt,
    put_aside,
)
from pellucid.anomaly.thresholds import choose, parse
from pellucid.errors import ConfigError

KIND = "logistic"
MOST_COLUMNS = 4096
_SETTINGS = ("C", "class_weight", "threshold", "calibration", "random_state")
_KEYS = ("kind", "settings", "classes", "mean", "scale", "coef", "intercept", "threshold", "slope", "offset")


class LogisticDetector(ClassifierMixin, BaseEstimator):
    """Tell normal rows from anomalous ones by the log-odds of a logistic regression.

    A share of the images, stratified, is put aside: threshold, probabilities and p-values come from it. The
    rest is standardised (a constant column has the scale 1) and fitted. A class of fewer than 8 images, or
    of which fewer than 2 would be in a part, is not split: all of it is fitted and calibrated on, so that
    probabilities are then too sure of themselves and p-values of that class promise nothing.

    Higher scores are more normal. Of the two labels the larger is normal: +1 against -1, True against False.

    The balanced class weights fit as if both classes were equally frequent, which shifts the scores' odds.
    The calibration counts each image once, which puts the shift back: `predict_proba` is right for images
    of the mixture that was fitted on. Where anomalies are rarer in use, give the weights themselves: those
    count in the calibration, too. {-1: 0.1, 1: 1.0} makes each anomalous image stand for a tenth of one.

    Args:
        C: Inverse strength of the L2 penalty on the standardised coefficients, above 0.
        class_weight: As in scikit-learn: "balanced", None, or a weight for each label.
        threshold: How to choose what is anomalous: "even" (probability below one half), "f1", "recall=0.95"
            or "false-alarm=0.01"; see `thresholds.choose`.
        calibration: The share of the images that is put aside, between 0 and 1.
        random_state: Seed of that split.

    Attributes:
        classes_: The two labels; the second is normal.
        mean_: Of each column, over the images that were fitted on.
        scale_: Standard deviation of each column, likewise; 1 for a constant one.
        coef_: Log-odds for each column and standard deviation.
        intercept_: Log-odds where every column is at its mean.
        threshold_: Rows with a lower score are anomalous.
        slope_: Of the calibrated log-odds against the score, above 0.
        offset_: Calibrated log-odds where the score is 0.
        calibration_scores_: Of the normal images put aside, ascending.
        n_features_in_: How many columns there are.
    """

    def __init__(
        self,
        *,
        C: Any = 1.0,
        class_weight: Any = "balanced",
        threshold: Any = "even",
        calibration: Any = 0.25,
        random_state: Any = 0,
    ) -> None:
        # Any, because scikit-learn has settings checked by `fit` and never before
        self.C = C
        self.class_weight = class_weight
        self.threshold = threshold
        self.calibration = calibration
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags

    def fit(self, X: Any, y: Any) -> "LogisticDetector":
        """Fit and calibrate.

        Args:
            X: [image column], finite.
            y: [image], two labels; the larger is normal.

        Raises:
            ConfigError: If a setting is out of range.
            ValueError: If X or y cannot be used, as scikit-learn says it.
        """
        self._check_settings()
        X, y = validate_data(self, X, y, dtype=np.float64, order="C")
        check_classification_targets(y)
        classes, numbers = np.unique(y, return_inverse=True)
        if len(classes) > 2:
            raise ValueError(
                "Only binary classification is supported, normal against anomalous. The type of the target "
                f"is multiclass: expected 2 classes, got {len(classes)}."
            )
        if len(classes) < 2:
            raise ValueError(
                "expected normal and anomalous images, got 1 class. Add the other, or use GaussianDetector."
            )
        self.classes_ = classes
        fitted, aside = put_aside(numbers.astype(np.int64), self.calibration, self.random_state)
        scaler = StandardScaler().fit(X[fitted])
        self.mean_, self.scale_ = scaler.mean_, scaler.scale_
        regression = LogisticRegression(C=self.C, class_weight=self.class_weight, max_iter=10_000, tol=1e-6)
        regression.fit((X[fitted] - self.mean_) / self.scale_, y[fitted])
        self.coef_, self.intercept_ = regression.coef_[0], float(regression.intercept_[0])
        self._calibrate(self._scores(X[aside]), numbers[aside] == 1)
        return self

    def _check_settings(self) -> None:
        if not isinstance(self.C, Real) or not 0 < float(self.C) < np.inf:
            raise ConfigError(f"C: expected a number above 0, got {str(self.C)[:60]}.")
        weights = self.class_weight
        fine = weights is None or (isinstance(weights, str) and weights == "balanced")
        if not fine and not _are_weights(weights):
            raise ConfigError(
                'class_weight: expected "balanced", None or a finite weight above 0 for each label, got '
                f"{str(weights)[:60]!r}."
            )
        parse(self.threshold)
        check_share(self.calibration)
        check_random_source(self.random_state)

    def _calibrate(self, scores: Float64[np.ndarray, " image"], normal: Any) -> None:
        self.slope_, self.offset_ = platt(scores, normal, self._own_weights() or (1.0, 1.0))
        self.calibration_scores_ = np.sort(scores[normal])
        if self.threshold == "even":
            self.threshold_ = -self.offset_ / self.slope_
        else:
            self.threshold_ = choose(self.threshold, scores[normal], scores[~normal])

    def _own_weights(self) -> tuple[float, float] | None:
        """The weights that were given label by label, in the order of `classes_`."""
        if not isinstance(self.class_weight, Mapping):
            return None
        anomalous, normal = (float(self.class_weight.get(label, 1)) for label in self.classes_.tolist())
        return anomalous, normal

    def _contributions(self, X: Float64[np.ndarray, "image column"]) -> Float64[np.ndarray, "image column"]:
        contributions: Float64[np.ndarray, "image column"] = (X - self.mean_) / self.scale_ * self.coef_
        return contributions

    def _scores(self, X: Float64[np.ndarray, "image column"]) -> Float64[np.ndarray, " image"]:
        scores: Float64[np.ndarray, " image"] = self.intercept_ + self._contributions(X).sum(axis=1)
        return scores

    def contributions(self, X: Any) -> Float64[np.ndarray, "image column"]:
        """What each column adds to the log-odds; with `intercept_` their sum is the score, exactly."""
        return self._contributions(checked_rows(self, X))

    def score_samples(self, X: Any) -> Float64[np.ndarray, " image"]:
        """Log-odds of being normal, of the regression as it was weighted: higher is more normal."""
        return self._scores(checked_rows(self, X))

    def decision_function(self, X: Any) -> Float64[np.ndarray, " image"]:
        """The score's distance above the threshold; below 0 is anomalous."""
        return self.score_samples(X) - self.threshold_

    def predict(self, X: Any) -> Any:
        """The label of each row: +1 normal or -1 anomalous, if it was fitted with these."""
        normal = self.decision_function(X) >= 0
        return self.classes_[normal.astype(np.int64)]

    def predict_proba(self, X: Any) -> Float64[np.ndarray, "image 2"]:
        """Calibrated probability of each class, in the order of `classes_`: anomalous, normal."""
        scores = self.score_samples(X)
        log_odds = self.slope_ * scores + self.offset_
        return np.stack([expit(-log_odds), expit(log_odds)], axis=1)

    def p_values(self, X: Any) -> Float64[np.ndarray, " image"]:
        """How rarely a normal image has a score as low: split-conformal; see `calibration.p_values`."""
        return p_values(self.score_samples(X), self.calibration_scores_)

    def to_record(self) -> dict[str, Any]:
        """Everything that scoring needs, in JSON's types; floats keep their bits."""
        check_is_fitted(self)
        own_weights = self._own_weights()
        seed = int(self.random_state) if isinstance(self.random_state, Integral) else None
        return {
            "kind": KIND,
            "settings": {
                "C": float(self.C),
                "class_weight": list(own_weights) if own_weights else self.class_weight,
                "threshold": self.threshold,
                "calibration": float(self.calibration),
                "random_state": seed,
            },
            "classes": self.classes_.tolist(),
            "mean": self.mean_.tolist(),
            "scale": self.scale_.tolist(),
            "coef": self.coef_.tolist(),
            "intercept": self.intercept_,
            "threshold": self.threshold_,
            "slope": self.slope_,
            "offset": self.offset_,
            "calibration_scores": self.calibration_scores_.tolist(),
        }

    @classmethod
    def from_record(cls, record: Any) -> "LogisticDetector":
        """The detector that `to_record` was asked of; its scores are the same to the last bit.

        Raises:
            RunError: If the record is not one, or has numbers that cannot be used.
        """
        records.check_keys(record, (*_KEYS, "calibration_scores"), "an object")
        if record["kind"] != KIND:
            raise records.malformed(f"kind: expected {KIND!r}, got {str(record['kind'])[:60]!r}")
        classes = _classes(record["classes"])
        detector = cls(**_settings(record["settings"], classes))
        try:
            detector._check_settings()
        except ConfigError as error:
            raise records.malformed(str(error).rstrip(".")) from error
        detector.classes_ = np.array(classes)
        detector.mean_ = records.numbers(record, "mean", most=MOST_COLUMNS)
        columns = len(detector.mean_)
        detector.scale_ = records.scales(record, "scale", count=columns)
        detector.coef_ = records.numbers(record, "coef", count=columns)
        detector.intercept_ = records.number(record, "intercept")
        detector.threshold_ = records.number(record, "threshold")
        detector.slope_ = records.number(record, "slope", above=0)
        detector.offset_ = records.number(record, "offset")
        detector.calibration_scores_ = records.ascending(record, "calibration_scores", most=MOST_PUT_ASIDE)
        detector.n_features_in_ = columns
        return detector


def _are_weights(weights: Any) -> bool:
    return isinstance(weights, Mapping) and all(
        isinstance(weight, Real) and 0 < float(weight) < np.inf for weight in weights.values()
    )


def _classes(labels: Any) -> list[Any]:
    """Two labels of one kind, in numpy's order."""
    if not isinstance(labels, list) or len(labels) != 2 or type(labels[0]) is not type(labels[1]):
        raise records.malformed("classes: expected a list of two labels")
    kind = type(labels[0])
    if kind in (int, float):
        fine = all(abs(label) <= 2**53 for label in labels)
    else:
        fine = kind is bool or (kind is str and all(len(label) <= 200 for label in labels))
    if not fine or np.unique(labels).tolist() != labels:
        raise records.malformed("classes: expected two labels in ascending order")
    return labels


def _settings(settings: Any, classes: list[Any]) -> dict[str, Any]:
    records.check_keys(settings, _SETTINGS, "settings")
    weights = settings["class_weight"]
    if isinstance(weights, list):
        of_each = records.numbers(settings, "class_weight", count=2).tolist()
        weights = dict(zip(classes, of_each, strict=True))
    elif weights is not None and weights != "balanced":
        raise records.malformed('class_weight: expected "balanced", null or two weights')
    return {
        "C": records.number(settings, "C", above=0),
        "class_weight": weights,
        "threshold": records.text(settings, "threshold"),
        "calibration": records.number(settings, "calibration", above=0),
        "random_state": records.seed(settings, "random_state"),
    }
