"""The logistic detector against scikit-learn's own pipeline, its estimator checks and Gaussian classes."""

import json
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from pellucid.anomaly.calibration import put_aside
from pellucid.anomaly.logistic import LogisticDetector
from pellucid.errors import ConfigError, DataError

RULES = ["even", "f1", "recall=0.9", "false-alarm=0.1"]
STEP = np.array([1.0, 0.5, 0.0, -0.3])  # between the class means: the true log-odds rise by 2 STEP x
UNITS, ZEROS = np.array([1, 100, 0.01, 5]), np.array([0, 1000, 3, -2])


def draw(normal: int, anomalous: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two Gaussian classes at +STEP and -STEP, each column in another unit."""
    chance = np.random.default_rng(seed)
    y = np.repeat([1, -1], [normal, anomalous])
    values = chance.normal(size=(len(y), 4)) + y[:, None] * STEP
    return values * UNITS + ZEROS, y


@pytest.fixture(scope="module")
def fitted() -> LogisticDetector:
    return LogisticDetector(threshold="false-alarm=0.1").fit(*draw(400, 200))


@pytest.fixture(scope="module")
def fresh() -> tuple[np.ndarray, np.ndarray]:
    return draw(4000, 2000, seed=1)


class LargerLabelIsNormal(LogisticDetector):
    """For scikit-learn's checks, which bring labels of their own without saying which is normal."""

    def _which_is_normal(self, classes: list[Any]) -> int:
        return 1


def test_scikit_learns_estimator_checks_pass() -> None:
    check_estimator(LargerLabelIsNormal(), on_skip=None)


def test_scores_are_those_of_scikit_learns_pipeline_on_the_part_that_was_fitted() -> None:
    values, y = draw(400, 200)
    detector = LogisticDetector(C=0.3, random_state=5).fit(values, y)
    rows, _ = put_aside((y > 0).astype(np.int64), 0.25, 5)
    reference = make_pipeline(
        StandardScaler(), LogisticRegression(C=0.3, class_weight="balanced", tol=1e-8)
    ).fit(values[rows], y[rows])
    assert detector.score_samples(values) == pytest.approx(reference.decision_function(values), abs=1e-3)
    assert detector.mean_ == pytest.approx(values[rows].mean(axis=0))
    assert detector.scale_ == pytest.approx(values[rows].std(axis=0))


def test_contributions_and_intercept_sum_to_the_score_to_the_last_bit(
    fitted: LogisticDetector, fresh: tuple[np.ndarray, np.ndarray]
) -> None:
    values = np.asfortranarray(fresh[0])
    assert (
        fitted.intercept_ + fitted.contributions(values).sum(axis=1) == fitted.score_samples(values)
    ).all()


def test_an_image_alone_scores_as_among_others_to_the_last_bit() -> None:
    chance = np.random.default_rng(2)
    values, y = chance.normal(size=(300, 38)), np.repeat([1, -1], 150)
    detector = LogisticDetector().fit(values, y)
    alone = np.concatenate([detector.score_samples(row[None]) for row in values])
    assert (alone == detector.score_samples(values)).all()


def test_moving_one_column_moves_its_own_contribution_alone(fitted: LogisticDetector) -> None:
    before = draw(1, 0)[0]
    after = before.copy()
    after[0, 1] += fitted.scale_[1]
    moved = (fitted.contributions(after) - fitted.contributions(before))[0]
    assert moved == pytest.approx([0, fitted.coef_[1], 0, 0], abs=1e-12)


def test_at_the_mean_only_the_intercept_speaks(fitted: LogisticDetector) -> None:
    assert fitted.score_samples(fitted.mean_[None]) == fitted.intercept_


def test_probabilities_are_the_true_ones_though_the_fit_was_balanced() -> None:
    values, y = draw(19_000, 1_000, seed=3)
    detector = LogisticDetector().fit(values, y)
    points = np.linspace(-1.5, 0.5, 5)[:, None] * STEP
    truth = 2 * points @ STEP + np.log(19)
    points = points * UNITS + ZEROS
    anomalous, normal = detector.predict_proba(points).T
    # fitted to other images they scatter by .14, .07 where the classes meet
    assert np.log(normal / anomalous) == pytest.approx(truth, abs=0.5)
    assert detector.predict_proba(values)[:, 1].mean() == pytest.approx(0.95, abs=0.005)
    # while the score itself is of classes that are equally frequent
    assert detector.score_samples(points) == pytest.approx(truth - np.log(19), abs=0.5)


def test_weights_given_by_hand_are_how_often_each_class_is_met(
    fresh: tuple[np.ndarray, np.ndarray],
) -> None:
    values, y = fresh
    plain, rare = (
        LogisticDetector(class_weight=weights).fit(values, y).predict_proba(values)
        for weights in (None, {-1: 0.1, 1: 1.0})
    )
    odds = [np.log(of_each[:, 1] / of_each[:, 0]) for of_each in (plain, rare)]
    assert np.median(odds[1] - odds[0]) == pytest.approx(np.log(10), abs=0.15)


@pytest.mark.parametrize("rule", RULES)
def test_anomalous_is_below_the_threshold(rule: str, fresh: tuple[np.ndarray, np.ndarray]) -> None:
    detector = LogisticDetector(threshold=rule).fit(*draw(400, 200))
    flagged = detector.predict(fresh[0]) == -1
    assert (flagged == (detector.score_samples(fresh[0]) < detector.threshold_)).all()
    assert (flagged == (detector.decision_function(fresh[0]) < 0)).all()
    assert 0.1 < flagged.mean() < 0.9


def test_even_parts_at_the_probability_of_one_half(fresh: tuple[np.ndarray, np.ndarray]) -> None:
    detector = LogisticDetector().fit(*draw(400, 200))
    normal = detector.predict_proba(fresh[0])[:, 1]
    assert ((detector.predict(fresh[0]) == 1) == (normal >= 0.5)).all()


def test_rules_keep_their_word_on_images_put_aside() -> None:
    values, y = draw(400, 200)
    _, aside = put_aside((y > 0).astype(np.int64), 0.25, 0)
    for rule, label, least, most in (("recall=0.9", -1, 0.9, 0.96), ("false-alarm=0.1", 1, 0.06, 0.1)):
        flagged = LogisticDetector(threshold=rule).fit(values, y).predict(values[aside]) == -1
        assert least <= flagged[y[aside] == label].mean() <= most


def test_flagged_is_what_has_a_p_value_of_at_most_the_false_alarm_rate(
    fitted: LogisticDetector, fresh: tuple[np.ndarray, np.ndarray]
) -> None:
    assert ((fitted.predict(fresh[0]) == -1) == (fitted.p_values(fresh[0]) <= 0.1)).all()


def test_p_values_of_new_normal_images_are_uniform() -> None:
    detector = LogisticDetector().fit(*draw(8000, 200))
    found = detector.p_values(draw(4000, 0, seed=4)[0])
    # the deviation of the calibration's 2,000 and the test's 4,000 images together is 0.014 at most
    assert np.quantile(found, [0.05, 0.25, 0.5, 0.75]) == pytest.approx([0.05, 0.25, 0.5, 0.75], abs=0.04)


def test_a_constant_column_has_the_scale_1_and_says_nothing() -> None:
    values, y = draw(100, 100)
    detector = LogisticDetector().fit(np.concatenate([values, np.full((200, 1), 0.1)], axis=1), y)
    assert detector.scale_[4] == 1
    assert detector.coef_[4] == pytest.approx(0, abs=1e-9)


PYOD = {1: 0, -1: 1}


@pytest.mark.parametrize(
    ("names", "normal"),
    [
        (PYOD, 0),
        (PYOD, np.int64(0)),
        ({1: "normal", -1: "outlier"}, "normal"),
        ({1: "good", -1: "bad"}, "good"),
        ({1: True, -1: False}, True),
        ({1: 1.0, -1: -1.0}, None),
        ({1: -1, -1: 1}, -1),
    ],
)
def test_whatever_the_labels_the_normal_one_is_as_said(
    names: dict[int, Any], normal: Any, fresh: tuple[np.ndarray, np.ndarray]
) -> None:
    values, y = draw(400, 200)
    labels = np.array([names[label] for label in y.tolist()])
    plain = LogisticDetector(threshold="false-alarm=0.01").fit(values, y)
    detector = LogisticDetector(threshold="false-alarm=0.01", normal=normal).fit(values, labels)
    assert detector.score_samples(fresh[0]) == pytest.approx(plain.score_samples(fresh[0]), abs=1e-4)
    expected = np.array([names[label] for label in plain.predict(fresh[0]).tolist()])
    assert (detector.predict(fresh[0]) == expected).mean() > 0.999
    flagged = detector.predict(fresh[0][fresh[1] == 1]) == names[-1]
    assert flagged.mean() < 0.04  # of 1 % that was asked for, with 100 calibration images
    at = detector.classes_.tolist().index(names[1])
    assert detector.predict_proba(fresh[0])[:, at] == pytest.approx(
        plain.predict_proba(fresh[0])[:, 1], abs=1e-3
    )
    assert detector.p_values(fresh[0]) == pytest.approx(plain.p_values(fresh[0]), abs=0.011)


@pytest.mark.parametrize("labels", [(0, 1), (False, True), ("normal", "outlier"), (-1, 0), (1, 2)])
def test_labels_that_do_not_say_which_is_normal_are_refused(labels: tuple[Any, Any]) -> None:
    values, y = draw(20, 20)
    with pytest.raises(ConfigError, match=r"expected \+1 for normal and -1 .* LogisticDetector\(normal="):
        LogisticDetector().fit(values, np.array(labels)[(y > 0).astype(int)])
    with pytest.raises(ConfigError, match="normal: expected one of the labels"):
        LogisticDetector(normal="usual").fit(values, np.array(labels)[(y > 0).astype(int)])


def test_scikit_learns_metrics_read_labels_of_outliers_rightly() -> None:
    values, y = draw(300, 100)
    outlier = (y < 0).astype(int)
    found = cross_val_score(LogisticDetector(normal=0), values, outlier, scoring="roc_auc")
    assert found.mean() == pytest.approx(0.95, abs=0.02)
    rates = cross_val_score(LogisticDetector(normal=0), values, outlier, scoring="neg_brier_score")
    assert -rates.mean() < 0.1


def test_the_balanced_weights_and_own_ones_follow_their_label(fresh: tuple[np.ndarray, np.ndarray]) -> None:
    values, y = fresh
    rare = LogisticDetector(class_weight={-1: 0.1, 1: 1.0}).fit(values, y)
    same = LogisticDetector(class_weight={1: 0.1, 0: 1.0}, normal=0).fit(values, (y < 0).astype(int))
    assert same.predict_proba(values)[:, 0] == pytest.approx(rare.predict_proba(values)[:, 1], abs=1e-3)


@pytest.mark.parametrize("alike", [True, False])
def test_recall_is_kept_for_crops_of_new_images_if_their_groups_are_told(alike: bool) -> None:
    """Ten crops of each image, which differ in 12 columns far more than its crops do."""
    found = []
    for seed in range(30):
        random = np.random.default_rng(seed)
        images = random.normal(size=(280, 12))
        images[:, 0] += np.repeat([0.7, -0.7], [40, 240])
        crops = images.repeat(10, axis=0) + 0.2 * random.normal(size=(2800, 12))
        known, labels = crops[:800], np.repeat([1, -1], 400)
        groups = np.repeat(np.arange(80), 10) if alike else None
        detector = LogisticDetector(threshold="recall=0.8").fit(known, labels, groups)
        found.append((detector.predict(crops[800:]) == -1).mean())
    if alike:
        assert 0.8 - 0.03 < np.mean(found) < 0.92
    else:
        assert np.mean(found) < 0.75


def test_a_detector_that_learnt_nothing_says_what_is_more_frequent() -> None:
    values, y = np.zeros((100, 2)), np.repeat([1, -1], [90, 10])
    detector = LogisticDetector().fit(values, y)
    assert (detector.predict(values) == 1).all()
    assert detector.predict_proba(values)[:, 1] == pytest.approx(0.9, abs=0.06)


def test_it_clones_sits_in_a_pipeline_and_is_cross_validated() -> None:
    values, y = draw(300, 100)
    copy = clone(LogisticDetector(C=2.0, threshold="f1", class_weight={-1: 1, 1: 3}))
    assert copy.get_params() == {
        "C": 2.0,
        "threshold": "f1",
        "class_weight": {-1: 1, 1: 3},
        "normal": None,
        "calibration": 0.25,
        "random_state": 0,
    }
    # the classes' means are 2 |STEP| = 2.3 deviations apart: AUC = Phi(2.3 / sqrt 2) = 0.95
    found = cross_val_score(make_pipeline(StandardScaler(), LogisticDetector()), values, y, scoring="roc_auc")
    assert found.mean() == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("C", 0),
        ("C", np.nan),
        ("C", np.inf),
        ("C", "1"),
        ("threshold", "best"),
        ("threshold", 0.5),
        ("class_weight", "even"),
        ("class_weight", {-1: np.nan}),
        ("class_weight", {1: 0}),
        ("class_weight", [1, 2]),
        ("normal", [1]),
        ("calibration", 0),
        ("calibration", 1.0),
        ("calibration", "0.25"),
        ("random_state", -1),
        ("random_state", "seed"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(setting: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"^{setting}: expected"):
        LogisticDetector().set_params(**{setting: value}).fit(*draw(20, 20))


def test_one_class_and_three_are_refused() -> None:
    with pytest.raises(ValueError, match="GaussianDetector"):
        LogisticDetector().fit(*draw(20, 0))
    with pytest.raises(ValueError, match="got 3"):
        LogisticDetector().fit(draw(20, 10)[0], np.arange(30) % 3)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("labels", [(-1, 1), (False, True), ("bad", "good"), (1.0, 0.0)])
@pytest.mark.parametrize("weighted", [False, True])
def test_it_is_the_same_to_the_last_bit_after_json(
    rule: str, labels: tuple[Any, Any], weighted: bool, fresh: tuple[np.ndarray, np.ndarray]
) -> None:
    values, y = draw(200, 60)
    weights = {labels[0]: 0.5, labels[1]: 1 / 3} if weighted else "balanced"
    normal = None if labels == (-1, 1) else labels[1]
    detector = LogisticDetector(
        C=3, threshold=rule, class_weight=weights, normal=normal, random_state=np.int64(7)
    )
    detector.fit(values, np.array(labels)[(y > 0).astype(int)])
    loaded = LogisticDetector.from_record(json.loads(json.dumps(detector.to_record(), allow_nan=False)))
    for method in ("score_samples", "decision_function", "predict", "predict_proba", "p_values"):
        assert (getattr(loaded, method)(fresh[0]) == getattr(detector, method)(fresh[0])).all()
    assert loaded.get_params() == detector.get_params()
    assert loaded.to_record() == detector.to_record()


@pytest.mark.parametrize(("rule", "kind"), [("recall=0.95", "anomalous"), ("false-alarm=0.05", "normal")])
def test_a_promise_of_either_kind_counts_groups_and_not_their_images(rule: str, kind: str) -> None:
    few, many = 40, 80  # groups of ten images: 10 and 20 of them calibrate
    y = np.repeat([1, -1] if kind == "anomalous" else [-1, 1], [10 * many, 10 * few])
    values = np.random.default_rng(0).standard_normal((len(y), 3)) + y[:, None]
    groups = np.arange(len(y)) // 10
    assert (
        LogisticDetector(threshold=rule).fit(values, y).threshold_
    )  # a hundred images on their own are enough
    with pytest.raises(DataError, match=f"needs 19 groups of {kind} images for calibration, has 10 "):
        LogisticDetector(threshold=rule).fit(values, y, groups)
