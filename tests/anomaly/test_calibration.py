"""Calibration against scikit-learn's regression, enumeration and uniform p-values."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from pellucid.anomaly.calibration import MOST_PUT_ASIDE, CalibrationScores, groups_kept, platt, put_aside


def test_the_split_is_stratified_and_has_no_image_twice() -> None:
    classes = np.repeat([0, 1], [40, 400])
    fitted, aside = put_aside(classes, 0.25, 0)
    assert np.bincount(classes[aside]).tolist() == [10, 100]
    assert sorted([*fitted, *aside]) == list(range(440))


@pytest.mark.parametrize(
    ("images", "share", "kept"), [(2, 0.25, 1), (7, 0.25, 2), (10, 0.01, 1), (10, 0.99, 9)]
)
def test_a_small_class_is_divided_too(images: int, share: float, kept: int) -> None:
    classes = np.repeat([0, 1], [images, 400])
    fitted, aside = put_aside(classes, share, 0)
    assert (classes[aside] == 0).sum() == kept
    assert not set(fitted) & set(aside)


def test_a_class_of_one_group_is_refused() -> None:
    classes = np.repeat([0, 1], [5, 40])
    with pytest.raises(ValueError, match="2 groups or more, .* got 1 of a class"):
        put_aside(classes, 0.25, 0, np.repeat([0, 1, 2], [5, 20, 20]))


def test_no_group_is_on_both_sides_and_every_kind_of_group_gives_its_share() -> None:
    random = np.random.default_rng(0)
    groups = random.integers(0, 60, 900)
    classes = np.where(groups < 20, 0, np.where(groups < 40, 1, random.integers(0, 2, 900)))
    fitted, aside = put_aside(classes, 0.25, 0, groups)
    assert not set(groups[fitted]) & set(groups[aside])
    assert sorted([*fitted, *aside]) == list(range(900))
    assert np.bincount(np.unique(groups[aside]) // 20).tolist() == [5, 5, 5]
    assert groups_kept(classes, 0.25, groups) == [10, 10]


def test_of_many_images_in_few_groups_every_group_gives_as_many() -> None:
    groups = np.repeat(np.arange(8), 30_000)
    fitted, aside = put_aside(np.zeros(240_000, np.int64), 0.25, 0, groups)
    assert np.bincount(groups[aside]).max() == MOST_PUT_ASIDE // 2
    assert len(aside) == MOST_PUT_ASIDE
    assert len(fitted) == 180_000


def test_of_a_large_class_a_bounded_number_is_put_aside() -> None:
    fitted, aside = put_aside(np.zeros(100_000, np.int64), 0.25, 0)
    assert (len(fitted), len(aside)) == (100_000 - MOST_PUT_ASIDE, MOST_PUT_ASIDE)


def test_it_is_bounded_over_all_kinds_of_groups_so_that_a_record_holds_it() -> None:
    alone, mixed = (
        90_000,
        45_000,
    )  # images that are normal and on their own; groups of one image of each class
    classes = np.concatenate([np.ones(alone, np.int64), np.tile([0, 1], mixed)])
    groups = np.concatenate([np.arange(alone), alone + np.repeat(np.arange(mixed), 2)])
    fitted, aside = put_aside(classes, 0.25, 0, groups)
    assert len(aside) == MOST_PUT_ASIDE
    assert 0.7 < classes[aside].mean() < 0.8  # a half of single ones, and a half of either class
    assert not set(groups[fitted]) & set(groups[aside])
    assert groups_kept(classes, 0.25, groups) == [MOST_PUT_ASIDE // 2, MOST_PUT_ASIDE]


def test_another_seed_splits_otherwise_and_the_same_seed_alike() -> None:
    classes = np.zeros(40, np.int64)
    assert put_aside(classes, 0.25, 0)[1].tolist() == put_aside(classes, 0.25, 0)[1].tolist()
    assert put_aside(classes, 0.25, 0)[1].tolist() != put_aside(classes, 0.25, 1)[1].tolist()


def test_p_values_count_the_scores_at_most_as_high() -> None:
    normal = np.array([1.0, 2.0, 2.0, 4.0])
    scores = np.array([0.0, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0])
    counted = [(1 + sum(other <= score for other in normal)) / 5 for score in scores]
    assert CalibrationScores.of(normal[::-1]).p_values(scores).tolist() == counted


def test_p_values_of_a_normal_image_are_uniform_by_enumeration() -> None:
    scores = np.random.default_rng(0).normal(size=50)
    every = [
        CalibrationScores.of(np.delete(scores, image)).p_values(scores[image : image + 1])[0]
        for image in range(50)
    ]
    assert sorted(every) == pytest.approx(np.arange(1, 51) / 50)


@pytest.mark.parametrize("ties", [False, True])
def test_p_values_of_an_image_of_a_new_group_keep_their_promise_by_enumeration(ties: bool) -> None:
    # any of the groups may be the new one, and any of its images the new image
    random = np.random.default_rng(1)
    groups = np.repeat(np.arange(20), random.integers(1, 12, 20))
    scores = 3 * random.normal(size=20)[groups] + random.normal(size=len(groups))
    scores = scores.round() if ties else scores
    found = np.empty(len(groups))
    for new in range(20):
        known = CalibrationScores.of(scores[groups != new], groups[groups != new])
        assert known.groups == 19
        assert known.min_p_value == 1 / 20
        found[groups == new] = known.p_values(scores[groups == new])
    for level in np.arange(1, 20) / 20:
        flagged = [(found[groups == new] <= level + 1e-12).mean() for new in range(20)]
        assert np.mean(flagged) <= level + 1e-12


def test_without_groups_the_same_images_would_break_the_promise() -> None:
    random = np.random.default_rng(2)
    groups = np.repeat(np.arange(20), 10)
    scores = 3 * random.normal(size=20)[groups] + 0.1 * random.normal(size=200)
    flagged = [
        (CalibrationScores.of(scores[groups != new]).p_values(scores[groups == new]) <= 0.01).mean()
        for new in range(20)
    ]
    assert np.mean(flagged) == pytest.approx(
        0.05, abs=0.005
    )  # that of the lowest group, five times too often


def test_platt_is_scikit_learns_regression_on_smoothed_targets() -> None:
    chance = np.random.default_rng(1)
    normal = chance.random(80) < 0.7
    scores = 40 + 3 * normal + 2 * chance.normal(size=80)
    positives = normal.sum()
    target = np.where(normal, (positives + 1) / (positives + 2), 1 / (80 - positives + 2))
    both_ways = np.concatenate([scores, scores])[:, None]
    shares = np.concatenate([target, 1 - target])
    reference = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000)
    reference.fit(both_ways, np.repeat([1, 0], 80), sample_weight=shares)
    assert platt(scores, normal) == pytest.approx((reference.coef_[0, 0], reference.intercept_[0]), rel=1e-4)


def test_platts_probabilities_sum_to_the_smoothed_number_of_normal_images() -> None:
    chance = np.random.default_rng(2)
    normal = np.repeat([True, False], [90, 10])
    scores = chance.normal(normal, 1)
    slope, offset = platt(scores, normal)
    assert expit(slope * scores + offset).sum() == pytest.approx(90 * 91 / 92 + 10 / 12, abs=1e-5)


def test_a_weight_is_that_many_copies_of_an_image() -> None:
    # in the limit of many images, where smoothing does not matter
    chance = np.random.default_rng(3)
    normal = chance.random(40_000) < 0.5
    scores = chance.normal(normal, 1)
    copies = np.concatenate([np.arange(40_000), np.repeat(np.flatnonzero(normal), 4)])
    weighted, copied = platt(scores, normal, (1.0, 5.0)), platt(scores[copies], normal[copies])
    assert weighted == pytest.approx(copied, abs=2e-3)


def test_classes_that_come_apart_give_a_finite_slope() -> None:
    slope, offset = platt(np.array([-1.0, 1.0]), np.array([False, True]))
    # one image of each class has the smoothed targets 1/3 and 2/3
    assert expit(np.array([offset - slope, offset + slope])) == pytest.approx([1 / 3, 2 / 3], abs=1e-6)


def test_a_higher_score_is_never_less_probably_normal() -> None:
    slope, offset = platt(np.array([1.0, 2.0, 3.0, 4.0]), np.array([True, True, False, False]))
    assert 0 < slope < 1e-5
    assert offset == pytest.approx(0, abs=1e-4)


def test_scores_that_are_all_alike_give_the_share_of_normal_images() -> None:
    _, offset = platt(np.full(500, 0.0), np.arange(500) < 400)
    assert expit(offset) == pytest.approx(0.8, abs=0.003)
