"""The detector of the paper: a standardised logistic regression of normal against anomalous images."""

# ruff: noqa: N803, N806  (X and C are what scikit-learn calls them)

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from pellucid.anomaly import records
from pellucid.anomaly.calibration import (
    CalibrationScores,
    check_random_source,
    check_share,
    checked_rows,
    platt,
    put_aside,
)
from pellucid.anomaly.thresholds import choose, parse
from pellucid.data.grouping import numbered
from pellucid.errors import ConfigError

KIND = "logistic"
MOST_COLUMNS = 4096
_SETTINGS = ("C", "class_weight", "normal", "threshold", "calibration", "random_state")
_KEYS = (
    "kind",
    "settings",
    "classes",
    "mean",
    "scale",
    "coef",
    "intercept",
    "threshold",
    "slope",
    "offset",
    *records.CALIBRATION_KEYS,
)


class LogisticDetector(ClassifierMixin, BaseEstimator):
    """Tell normal rows from anomalous ones by the log-odds of a logistic regression.

    A share of the groups of images, stratified, is held out: threshold, probabilities and p-values come from
    it. The rest is standardised (a constant column has the scale 1) and fitted. Every image is a group of its
    own unless `fit` is told otherwise. Each class needs two groups.

    Higher scores are more normal. The labels are +1 for normal and -1 for anomalous images, as for
    scikit-learn's outlier detectors; of any others, `normal` says which one is normal.

    The balanced class weights fit as if both classes were equally frequent, which shifts the scores' odds.
    The calibration counts each image once, which puts the shift back: `predict_proba` is right for images
    of the mixture that was fitted on. Where anomalies are rarer in use, give the weights themselves: those
    count in the calibration, too. {-1: 0.1, 1: 1.0} makes each anomalous image stand for a tenth of one.

    Args:
        C: Inverse strength of the L2 penalty on the standardised coefficients, above 0.
        class_weight: As in scikit-learn: "balanced", None, or a weight for each label.
        normal: The label of normal images, if the labels are not +1 and -1: 0 where 1 stands for outliers, as
            in pyod.
        threshold: How to choose what is anomalous: "even" (probability below one half), "f1", "recall=0.95"
            or "false-alarm=0.01"; see `thresholds.choose`.
        calibration: The share of the groups that is held out, between 0 and 1.
        random_state: Seed of that split.

    Attributes:
        classes_: The two labels, ascending.
        normal_index_: Which of them is normal, 0 or 1.
        mean_: Of each column, over the images that were fitted on.
        scale_: Standard deviation of each column, likewise; 1 for a constant one.
        coef_: Log-odds for each column and standard deviation.
        intercept_: Log-odds where every column is at its mean.
        threshold_: Rows with a lower score are anomalous.
        slope_: Of the calibrated log-odds against the score, above 0.
        offset_: Calibrated log-odds where the score is 0.
        calibration_scores_: Of the held-out normal images, as `calibration.CalibrationScores`.
        n_features_in_: How many columns there are.
    """

    def __init__(
        self,
        *,
        C: Any = 1.0,
        class_weight: Any = "balanced",
        normal: Any = None,
        threshold: Any = "even",
        calibration: Any = 0.25,
        random_state: Any = 0,
    ) -> None:
        # Any, because scikit-learn has settings checked by `fit` and never before
        self.C = C
        self.class_weight = class_weight
        self.normal = normal
        self.threshold = threshold
        self.calibration = calibration
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags

    def fit(self, X: Any, y: Any, groups: Any = None) -> "LogisticDetector":
        """Fit and calibrate.

        Args:
            X: [image column], finite.
            y: [image], +1 for normal and -1 for anomalous images, or two other labels if `normal` is one.
            groups: [image], a label for each image's group: images of one group are crops of one image, say,
                or frames of one video. None: each is on its own.

        Raises:
            ConfigError: If a setting is out of range, or it is not said which of two labels is normal.
            DataError: If there are too few groups for what the threshold promises.
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
        self.normal_index_ = self._which_is_normal(classes.tolist())
        normal, number = numbers == self.normal_index_, numbered(groups, len(X))
        fitted, aside = put_aside(normal.astype(np.int64), self.calibration, self.random_state, number)
        scaler = StandardScaler().fit(X[fitted])
        self.mean_, self.scale_ = scaler.mean_, scaler.scale_
        own = self._own_weights()
        weights = self.class_weight if own is None else {False: own[0], True: own[1]}
        regression = LogisticRegression(C=self.C, class_weight=weights, max_iter=10_000, tol=1e-6)
        regression.fit((X[fitted] - self.mean_) / self.scale_, normal[fitted])
        self.coef_, self.intercept_ = regression.coef_[0], float(regression.intercept_[0])
        self._calibrate(self._scores(X[aside]), normal[aside], number[aside])
        return self

    def _which_is_normal(self, classes: list[Any]) -> int:
        """The place of the normal label among the two."""
        if self.normal is None and classes != [-1, 1]:
            raise ConfigError(
                f"y: expected +1 for normal and -1 for anomalous images, got {classes[0]!r} and "
                f"{classes[1]!r}. Say which of them is normal: LogisticDetector(normal={classes[0]!r})."
            )
        normal = 1 if self.normal is None else self.normal
        if normal not in classes:
            raise ConfigError(
                f"normal: expected one of the labels {classes[0]!r} and {classes[1]!r}, got "
                f"{str(normal)[:60]!r}. Choose one."
            )
        return classes.index(normal)

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
        if not isinstance(self.normal, bool | np.bool_ | Real | str | None):
            raise ConfigError(f"normal: expected a label, got {str(self.normal)[:60]!r}. Give one of y's.")
        parse(self.threshold)
        check_share(self.calibration)
        check_random_source(self.random_state)

    def _calibrate(
        self, scores: Float64[np.ndarray, " image"], normal: Any, groups: Int64[np.ndarray, " image"]
    ) -> None:
        self.slope_, self.offset_ = platt(scores, normal, self._own_weights() or (1.0, 1.0))
        self.calibration_scores_ = CalibrationScores.of(scores[normal], groups[normal])
        if self.threshold == "even":
            self.threshold_ = -self.offset_ / self.slope_
        else:
            anomalous = CalibrationScores.of(scores[~normal], groups[~normal])
            self.threshold_ = choose(self.threshold, self.calibration_scores_, anomalous, self.calibration)

    def _own_weights(self) -> tuple[float, float] | None:
        """The weights that were given label by label, of anomalous and of normal images."""
        if not isinstance(self.class_weight, Mapping):
            return None
        anomalous, normal = _by_kind(self.classes_.tolist(), self.normal_index_)
        return float(self.class_weight.get(anomalous, 1)), float(self.class_weight.get(normal, 1))

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
        """The score's distance from the threshold, above 0 on the side of the larger label.

        With the labels +1 and -1 it is above 0 for normal rows. Where the smaller label is normal, it is
        above 0 for anomalous rows, as scikit-learn's metrics expect it of a classifier.
        """
        above: Float64[np.ndarray, " image"] = self.score_samples(X) - self.threshold_
        return above if self.normal_index_ else -above

    def predict(self, X: Any) -> Any:
        """The label of each row: +1 normal or -1 anomalous, if it was fitted with these."""
        normal = self.score_samples(X) >= self.threshold_
        return self.classes_[np.where(normal, self.normal_index_, 1 - self.normal_index_)]

    def predict_proba(self, X: Any) -> Float64[np.ndarray, "image 2"]:
        """Calibrated probability of each class, in the order of `classes_`: of -1 anomalous, +1 normal."""
        scores = self.score_samples(X)
        log_odds = self.slope_ * scores + self.offset_
        both = [expit(-log_odds), expit(log_odds)]
        return np.stack(both if self.normal_index_ else both[::-1], axis=1)

    @property
    def threshold_probability(self) -> float:
        """The probability of being normal at the threshold."""
        return float(expit(self.slope_ * self.threshold_ + self.offset_))

    def p_values(self, X: Any) -> Float64[np.ndarray, " image"]:
        """How rarely a normal image has a score as low: conformal; see `CalibrationScores.p_values`."""
        return self.calibration_scores_.p_values(self.score_samples(X))

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
                "normal": None if self.normal is None else self.classes_[self.normal_index_].item(),
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
            **records.calibration_record(self.calibration_scores_),
        }

    @classmethod
    def from_record(cls, record: Any) -> "LogisticDetector":
        """The detector that `to_record` was asked of; its scores are the same to the last bit.

        Raises:
            RunError: If the record is not one, or has numbers that cannot be used.
        """
        records.check_keys(record, _KEYS, "an object")
        if record["kind"] != KIND:
            raise records.malformed(f"kind: expected {KIND!r}, got {str(record['kind'])[:60]!r}")
        classes = _classes(record["classes"])
        detector = cls(**_settings(record["settings"], classes))
        try:
            detector._check_settings()
        except ConfigError as error:
            raise records.malformed(str(error).rstrip(".")) from error
        detector.classes_ = np.array(classes)
        detector.normal_index_ = 1 if detector.normal is None else classes.index(detector.normal)
        detector.mean_ = records.numbers(record, "mean", most=MOST_COLUMNS)
        columns = len(detector.mean_)
        detector.scale_ = records.scales(record, "scale", count=columns)
        detector.coef_ = records.numbers(record, "coef", count=columns)
        detector.intercept_ = records.number(record, "intercept")
        detector.threshold_ = records.number(record, "threshold")
        detector.slope_ = records.number(record, "slope", above=0)
        detector.offset_ = records.number(record, "offset")
        detector.calibration_scores_ = records.calibration_scores(record)
        detector.n_features_in_ = columns
        return detector


def _are_weights(weights: Any) -> bool:
    return isinstance(weights, Mapping) and all(
        isinstance(weight, Real) and 0 < float(weight) < np.inf for weight in weights.values()
    )


def _by_kind(classes: list[Any], normal: int) -> tuple[Any, Any]:
    """The label of anomalous images and that of normal ones."""
    return classes[1 - normal], classes[normal]


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
    normal, weights = settings["normal"], settings["class_weight"]
    if normal is None and classes != [-1, 1]:
        raise records.malformed("normal: expected one of the classes, because they are not -1 and 1")
    if normal is not None and (type(normal) is not type(classes[0]) or normal not in classes):
        raise records.malformed("normal: expected one of the classes, or null")
    if isinstance(weights, list):
        of_each = records.numbers(settings, "class_weight", count=2).tolist()
        kinds = _by_kind(classes, 1 if normal is None else classes.index(normal))
        weights = dict(zip(kinds, of_each, strict=True))
    elif weights is not None and weights != "balanced":
        raise records.malformed('class_weight: expected "balanced", null or two weights')
    return {
        "C": records.number(settings, "C", above=0),
        "normal": normal,
        "class_weight": weights,
        "threshold": records.text(settings, "threshold"),
        "calibration": records.number(settings, "calibration", above=0),
        "random_state": records.seed(settings, "random_state"),
    }
