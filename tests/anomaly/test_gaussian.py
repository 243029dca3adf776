"""The one-class detector against scipy's Gaussian, closed forms and scikit-learn's estimator checks."""

import json

import numpy as np
import pytest
from scipy.stats import chi2, multivariate_normal
from sklearn.base import clone
from sklearn.covariance import LedoitWolf
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from pellucid.anomaly.calibration import put_aside
from pellucid.anomaly.gaussian import MOST_COLUMNS, GaussianDetector
from pellucid.errors import ConfigError, DataError

MIXING = np.array([[1, 0.8, 0, 0], [0, 0.6, 0, 0], [0, 0, 50, 0.02], [0, 0, 0, 0.01]])


def draw(images: int, seed: int = 0) -> np.ndarray:
    """Correlated Gaussian columns in different units."""
    return np.random.default_rng(seed).normal(size=(images, 4)) @ MIXING + [0, 5, 100, -1]


@pytest.fixture(scope="module")
def fitted() -> GaussianDetector:
    return GaussianDetector(threshold="false-alarm=0.1").fit(draw(800))


@pytest.fixture(scope="module")
def fresh() -> np.ndarray:
    return draw(4000, seed=1)


def test_scikit_learns_estimator_checks_pass() -> None:
    # with a promise that their few images can keep
    check_estimator(GaussianDetector(threshold="false-alarm=0.5"), on_skip=None)


def test_the_score_is_scipys_log_density_but_for_a_constant(
    fitted: GaussianDetector, fresh: np.ndarray
) -> None:
    values = draw(800)
    known = values[put_aside(np.zeros(800, np.int64), 0.25, 0)[0]]
    mean, scale = known.mean(axis=0), known.std(axis=0)
    covariance = LedoitWolf(assume_centered=True).fit((known - mean) / scale).covariance_
    density = multivariate_normal(np.zeros(4), covariance)
    expected = density.logpdf((fresh - mean) / scale) - density.logpdf(np.zeros(4))
    assert fitted.score_samples(fresh) == pytest.approx(expected, rel=1e-9)


def test_twice_the_score_of_gaussian_images_is_chi_squared(fresh: np.ndarray) -> None:
    scores = GaussianDetector().fit(draw(20_000, seed=2)).score_samples(fresh)
    levels = [0.1, 0.5, 0.9]
    assert np.quantile(-2 * scores, levels) == pytest.approx(chi2(4).ppf(levels), rel=0.06)


def test_contributions_sum_to_the_score_to_the_last_bit_and_none_is_positive(
    fitted: GaussianDetector, fresh: np.ndarray
) -> None:
    shares = fitted.contributions(np.asfortranarray(fresh))
    assert (shares.sum(axis=1) == fitted.score_samples(fresh)).all()
    assert shares.max() <= 0


def test_contributions_of_two_correlated_columns_follow_the_closed_form() -> None:
    chance = np.random.default_rng(3)
    x = chance.normal(size=(50_000, 2))
    detector = GaussianDetector().fit(np.stack([x[:, 0], 0.6 * x[:, 0] + 0.8 * x[:, 1]], axis=1))
    # the inverse root of [[1, r], [r, 1]] has a = (1/sqrt(1+r) + 1/sqrt(1-r)) / 2 and b, the half difference
    a, b = ((0.6 + 1) ** -0.5 + (1 - 0.6) ** -0.5) / 2, ((0.6 + 1) ** -0.5 - (1 - 0.6) ** -0.5) / 2
    assert detector.whitening_ == pytest.approx(np.array([[a, b], [b, a]]), abs=0.01)
    # one deviation up and one down, against the correlation, is shared alike: -1/2 (a - b)^2 each
    against = detector.mean_ + detector.scale_ * [1, -1]
    assert detector.contributions(against[None]) == pytest.approx(-0.5 * (a - b) ** 2, abs=0.02)


def test_a_column_that_goes_with_no_other_is_scored_by_itself() -> None:
    signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, 8).T.astype(float)
    # twice the same 8, as two groups, so that one of them is fitted
    twice, groups = np.tile(signs * [1, 10, 0.1], (2, 1)), np.repeat([0, 1], 8)
    detector = GaussianDetector(threshold="false-alarm=0.5").fit(twice, groups=groups)
    assert detector.contributions(np.array([[2.0, 10, 0.3]])) == pytest.approx(np.array([[-2, -0.5, -4.5]]))


def test_an_image_alone_scores_as_among_others_to_the_last_bit() -> None:
    values = np.random.default_rng(4).normal(size=(300, 38))
    detector = GaussianDetector().fit(values)
    alone = np.concatenate([detector.score_samples(row[None]) for row in values])
    assert (alone == detector.score_samples(values)).all()


def test_the_units_of_the_columns_do_not_matter(fresh: np.ndarray) -> None:
    units, zero = np.array([1e6, 1e-6, -3, 1]), np.array([0, 1, -7, 2])
    expected = GaussianDetector().fit(draw(200)).score_samples(fresh)
    found = GaussianDetector().fit(draw(200) * units + zero).score_samples(fresh * units + zero)
    assert found == pytest.approx(expected, rel=1e-5)


def test_a_constant_column_counts_in_its_own_unit_and_leaves_the_others_alone() -> None:
    values = draw(200)
    detector = GaussianDetector().fit(np.insert(values, 2, 0.1, axis=1))
    assert detector.scale_[2] == 1
    shares = detector.contributions(np.insert(values[:1], 2, 2.1, axis=1))
    assert shares[0, 2] == pytest.approx(-2)
    assert np.delete(shares, 2) == pytest.approx(GaussianDetector().fit(values).contributions(values[:1])[0])


def test_columns_that_are_all_constant_give_the_plain_distance() -> None:
    detector = GaussianDetector(threshold="false-alarm=0.1").fit(np.ones((50, 2)))
    assert detector.score_samples(np.array([[1.0, 1], [4, 5]])) == pytest.approx([0, -12.5])


def test_a_column_that_is_there_twice_has_no_flatter_direction_than_a_millionth() -> None:
    signs = np.tile([[1.0, 1.0], [-1.0, -1.0]], (20, 1))
    detector = GaussianDetector(threshold="false-alarm=0.5").fit(signs, groups=np.arange(40) // 2)
    assert np.linalg.eigvalsh(detector.whitening_) == pytest.approx([2**-0.5, 1e3 * 2**-0.5], rel=0.1)
    assert detector.score_samples(np.array([[1.0, 1.0]])) == pytest.approx(-0.5, rel=0.1)


def test_flagged_is_what_has_a_p_value_of_at_most_the_false_alarm_rate(
    fitted: GaussianDetector, fresh: np.ndarray
) -> None:
    flagged = fitted.predict(fresh) == -1
    assert (flagged == (fitted.p_values(fresh) <= 0.1)).all()
    assert (flagged == (fitted.decision_function(fresh) < 0)).all()
    assert flagged.mean() == pytest.approx(0.1, abs=0.05)


def test_on_average_over_detectors_the_false_alarm_rate_is_kept(fresh: np.ndarray) -> None:
    rates = [
        (GaussianDetector(threshold="false-alarm=0.05").fit(draw(400, seed)).predict(fresh) == -1).mean()
        for seed in range(10, 60)
    ]
    # 5 of 101, each rate with a deviation of .022, so their mean with one of .003
    assert np.mean(rates) == pytest.approx(5 / 101, abs=0.01)


def test_images_off_the_correlation_are_found_though_each_column_is_usual() -> None:
    detector = GaussianDetector().fit(draw(800))
    along, across = np.array([1.5, 1.5, 0, 0]), np.array([1.5, -1.5, 0, 0])
    assert detector.predict(detector.mean_ + detector.scale_ * [along, across]).tolist() == [1, -1]


def test_it_clones_and_sits_in_a_pipeline() -> None:
    detector = clone(GaussianDetector(threshold="false-alarm=0.2", calibration=0.5, random_state=3))
    assert detector.get_params() == {
        "threshold": "false-alarm=0.2",
        "calibration": 0.5,
        "random_state": 3,
    }
    values = draw(200)
    piped = make_pipeline(StandardScaler(), detector).fit(values)
    assert piped.score_samples(values) == pytest.approx(clone(detector).fit(values).score_samples(values))


@pytest.mark.parametrize("alike", [True, False])
def test_the_rate_is_kept_for_crops_of_new_images_if_their_groups_are_told(alike: bool) -> None:
    """Ten crops of each of 40 images, which differ in 12 columns far more than its crops do."""
    rates = []
    for seed in range(40):
        random = np.random.default_rng(seed)
        images = random.normal(size=(240, 12))
        crops = images.repeat(10, axis=0) + 0.2 * random.normal(size=(2400, 12))
        groups = np.repeat(np.arange(40), 10) if alike else None
        detector = GaussianDetector(threshold="false-alarm=0.2").fit(crops[:400], groups=groups)
        rates.append((detector.predict(crops[400:]) == -1).mean())
    if alike:
        assert np.mean(rates) == pytest.approx(0.16, abs=0.04)  # promised is at most .2: 2 of 11 groups, .18
    else:
        assert np.mean(rates) > 0.4


def test_a_rate_that_the_images_cannot_promise_is_refused_and_the_nearest_is_offered() -> None:
    with pytest.raises(
        DataError, match=r'needs 99 normal images .* has 10 .* Give 396 in all, .*"false-alarm=0.091"'
    ):
        GaussianDetector(threshold="false-alarm=0.01").fit(draw(40))
    assert len(GaussianDetector(threshold="false-alarm=0.01").fit(draw(396)).calibration_scores_.scores) == 99


@pytest.mark.parametrize("rule", ["even", "f1", "recall=0.95", "best"])
def test_rules_that_need_anomalies_are_refused(rule: str) -> None:
    with pytest.raises(ConfigError, match="threshold: expected"):
        GaussianDetector(threshold=rule).fit(draw(20))


def test_a_single_image_is_refused() -> None:
    with pytest.raises(ValueError, match="minimum of 2"):
        GaussianDetector().fit(draw(1))


def test_it_is_the_same_to_the_last_bit_after_json(fresh: np.ndarray) -> None:
    detector = GaussianDetector(threshold="false-alarm=0.01", random_state=np.int64(7)).fit(draw(500))
    loaded = GaussianDetector.from_record(json.loads(json.dumps(detector.to_record(), allow_nan=False)))
    for method in ("score_samples", "decision_function", "predict", "p_values", "contributions"):
        assert (getattr(loaded, method)(fresh) == getattr(detector, method)(fresh)).all()
    assert loaded.get_params() == detector.get_params()
    assert loaded.to_record() == detector.to_record()


def test_more_columns_than_a_run_can_keep_are_refused_when_it_is_kept() -> None:
    values = np.random.default_rng(5).normal(size=(8, MOST_COLUMNS + 1))
    with pytest.raises(ConfigError, match=f"at most {MOST_COLUMNS} columns"):
        GaussianDetector(threshold="false-alarm=0.5").fit(values).to_record()
