"""The one-class detector, for people who have no anomalies: how far an image lies from the normal ones."""

# ruff: noqa: N803, N806  (X is what scikit-learn calls it)

from numbers import Integral
from typing import Any

import numpy as np
from jaxtyping import Float64
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.covariance import LedoitWolf
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted, validate_data

from pellucid.anomaly import records
from pellucid.anomaly.calibration import (
    CalibrationScores,
    check_random_source,
    check_share,
    checked_rows,
    put_aside,
)
from pellucid.anomaly.thresholds import choose, parse
from pellucid.data.grouping import numbered
from pellucid.errors import ConfigError

KIND = "gaussian"
MOST_COLUMNS = 384  # a record has half a square of numbers, and a run's files are bounded
FLATTEST = 1e-6
_SETTINGS = ("threshold", "calibration", "random_state")
_KEYS = ("kind", "settings", "mean", "scale", "whitening", "offset", *records.CALIBRATION_KEYS)


class GaussianDetector(OutlierMixin, BaseEstimator):
    """Score rows by how far they lie from the mean of normal ones, by their covariance.

    A share of the groups of images is held out: threshold and p-values come from it. The rest gives mean and
    scale of each column (1 for a constant one) and the columns' correlation, shrunk as Ledoit & Wolf (2004)
    do. Every image is a group of its own unless `fit` is told otherwise.

    The score is -1/2 of the squared Mahalanobis distance: but for a constant, the log-density of a Gaussian
    in nats. It is split into one share for each column by the symmetric root of the inverse correlation,
    which among all decorrelated variables has those that are most like the columns themselves (Garthwaite &
    Koch 2016, doi:10.1111/anzs.12144; Kessy et al. 2018, arXiv:1512.00809). So no share is above 0.

    Args:
        threshold: "false-alarm=0.05", the share of normal images that may be flagged. The other rules of
            `thresholds.choose` need anomalous images.
        calibration: The share of the groups that is held out, between 0 and 1.
        random_state: Seed of that split.

    Attributes:
        mean_: Of each column, over the images that were fitted on.
        scale_: Standard deviation of each column, likewise; 1 for a constant one.
        whitening_: [column column], symmetric: the root of the inverse of the shrunk correlation.
        offset_: The threshold: rows with a lower score are anomalous.
        calibration_scores_: Of the held-out images, as `calibration.CalibrationScores`.
        n_features_in_: How many columns there are.
    """

    def __init__(
        self, *, threshold: Any = "false-alarm=0.05", calibration: Any = 0.25, random_state: Any = 0
    ) -> None:
        # Any, because scikit-learn has settings checked by `fit` and never before
        self.threshold = threshold
        self.calibration = calibration
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, groups: Any = None) -> "GaussianDetector":
        """Fit and calibrate.

        Args:
            X: [image column], normal images only, finite, at least 2.
            y: Not used; scikit-learn passes it.
            groups: [image], a label for each image's group: images of one group are crops of one image, say,
                or frames of one video. None: each is on its own.

        Raises:
            ConfigError: If a setting is out of range, or the rule needs anomalous images.
            DataError: If there are too few groups for what the threshold promises.
            ValueError: If X cannot be used, as scikit-learn says it.
        """
        self._check_settings()
        X = validate_data(self, X, dtype=np.float64, order="C", ensure_min_samples=2)
        number = numbered(groups, len(X))
        fitted, aside = put_aside(np.zeros(len(X), np.int64), self.calibration, self.random_state, number)
        scaler = StandardScaler().fit(X[fitted])
        self.mean_, self.scale_ = scaler.mean_, scaler.scale_
        self.whitening_ = _whitening((X[fitted] - self.mean_) / self.scale_)
        scores = self._contributions(X[aside]).sum(axis=1)
        self.calibration_scores_ = CalibrationScores.of(scores, number[aside])
        self.offset_ = choose(self.threshold, self.calibration_scores_, None, self.calibration)
        return self

    def _check_settings(self) -> None:
        if parse(self.threshold).name != "false-alarm":
            raise ConfigError(
                f'threshold: expected "false-alarm=0.05" or the like, because "{self.threshold}" needs '
                "anomalous images. Choose that, or use LogisticDetector."
            )
        check_share(self.calibration)
        check_random_source(self.random_state)

    def _contributions(self, X: Float64[np.ndarray, "image column"]) -> Float64[np.ndarray, "image column"]:
        standardised = (X - self.mean_) / self.scale_
        # einsum rather than a matrix product: no library behind it that adds up in another order tomorrow
        whitened = np.einsum("ij,jk->ik", standardised, self.whitening_, optimize=False)
        return np.ascontiguousarray(-0.5 * whitened**2)

    def contributions(self, X: Any) -> Float64[np.ndarray, "image column"]:
        """Each column's share of the score, at most 0; their sum is the score, exactly."""
        return self._contributions(checked_rows(self, X))

    def score_samples(self, X: Any) -> Float64[np.ndarray, " image"]:
        """-1/2 of the squared Mahalanobis distance from the normal images' mean, in nats, at most 0."""
        scores: Float64[np.ndarray, " image"] = self.contributions(X).sum(axis=1)
        return scores

    def decision_function(self, X: Any) -> Float64[np.ndarray, " image"]:
        """The score's distance above the threshold; below 0 is anomalous."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> Any:
        """+1 for normal rows, -1 for anomalous ones."""
        return np.where(self.decision_function(X) >= 0, 1, -1)

    def p_values(self, X: Any) -> Float64[np.ndarray, " image"]:
        """How rarely a normal image has a score as low: conformal; see `CalibrationScores.p_values`."""
        return self.calibration_scores_.p_values(self.score_samples(X))

    def to_record(self) -> dict[str, Any]:
        """Everything that scoring needs, in JSON's types; floats keep their bits.

        Raises:
            ConfigError: If there are more than 384 columns, which a run's file does not hold.
        """
        check_is_fitted(self)
        columns = len(self.mean_)
        if columns > MOST_COLUMNS:
            raise ConfigError(
                f"expected at most {MOST_COLUMNS} columns to be kept, got {columns}. Use fewer."
            )
        seed = int(self.random_state) if isinstance(self.random_state, Integral) else None
        return {
            "kind": KIND,
            "settings": {
                "threshold": self.threshold,
                "calibration": float(self.calibration),
                "random_state": seed,
            },
            "mean": self.mean_.tolist(),
            "scale": self.scale_.tolist(),
            "whitening": self.whitening_[np.tril_indices(columns)].tolist(),
            "offset": self.offset_,
            **records.calibration_record(self.calibration_scores_),
        }

    @classmethod
    def from_record(cls, record: Any) -> "GaussianDetector":
        """The detector that `to_record` was asked of; its scores are the same to the last bit.

        Raises:
            RunError: If the record is not one, or has numbers that cannot be used.
        """
        records.check_keys(record, _KEYS, "an object")
        if record["kind"] != KIND:
            raise records.malformed(f"kind: expected {KIND!r}, got {str(record['kind'])[:60]!r}")
        settings = record["settings"]
        records.check_keys(settings, _SETTINGS, "settings")
        detector = cls(
            threshold=records.text(settings, "threshold"),
            calibration=records.number(settings, "calibration", above=0),
            random_state=records.seed(settings, "random_state"),
        )
        try:
            detector._check_settings()
        except ConfigError as error:
            raise records.malformed(str(error).rstrip(".")) from error
        detector.mean_ = records.numbers(record, "mean", most=MOST_COLUMNS)
        columns = len(detector.mean_)
        detector.scale_ = records.scales(record, "scale", count=columns)
        half = records.numbers(record, "whitening", count=columns * (columns + 1) // 2)
        detector.whitening_ = np.zeros((columns, columns))
        below, across = np.tril_indices(columns)
        detector.whitening_[below, across] = detector.whitening_[across, below] = half
        detector.offset_ = records.number(record, "offset")
        detector.calibration_scores_ = records.calibration_scores(record)
        detector.n_features_in_ = columns
        return detector


def _whitening(standardised: Float64[np.ndarray, "image column"]) -> Float64[np.ndarray, "column column"]:
    """The symmetric root of the inverse of the shrunk correlation; a constant column keeps to itself.

    No direction is taken for flatter than a millionth of the widest: a duplicated column would have one
    without any width.
    """
    whitening = np.eye(standardised.shape[1])
    varying = np.flatnonzero(standardised.var(axis=0) > 0.5)  # it is 1, or 0 for a constant column
    if len(varying):
        shrunk = LedoitWolf(assume_centered=True).fit(standardised[:, varying]).covariance_
        widths, axes = np.linalg.eigh(shrunk)
        root = (axes / np.sqrt(np.maximum(widths, FLATTEST * widths.max()))) @ axes.T
        whitening[np.ix_(varying, varying)] = (root + root.T) / 2
    return whitening
