"""The paper's protocol, against scikit-learn and against answers that can be written down."""

import json
from itertools import combinations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pellucid.anomaly.evaluation import (
    STEPS,
    _curve,
    _held_out,
    _strata,
    chance_level,
    evaluate,
    extremes,
    subsample,
    within_texture,
)
from pellucid.anomaly.features import Features
from pellucid.errors import ConfigError, DataError

COLUMNS = ("a", "b", "c")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def normal() -> np.ndarray:
    return np.arange(200) < 120


@pytest.fixture
def values(rng: np.random.Generator, normal: np.ndarray) -> np.ndarray:
    """Three columns of 200 images, of which the first tells the classes apart, not without mistakes."""
    return rng.standard_normal((200, 3)) + np.outer(normal, [1.5, 0, 0])


@pytest.mark.parametrize("ties", [False, True])
def test_average_precision_is_scikit_learns_with_and_without_ties(
    rng: np.random.Generator, ties: bool
) -> None:
    for _ in range(20):
        positive = rng.random(60) < 0.3
        positive[:2] = True, False
        scores = rng.standard_normal(60) + positive
        scores = scores.round() if ties else scores
        assert _curve(scores, positive)[1] == pytest.approx(average_precision_score(positive, scores))


def test_precision_at_a_recall_is_that_of_the_first_threshold_that_finds_as_many() -> None:
    positive = np.array([True, False, True, False, False, True, True])
    precision, _ = _curve(np.arange(7.0)[::-1], positive)
    expected = {0: 1, 25: 1, 26: 2 / 3, 50: 2 / 3, 51: 3 / 6, 75: 3 / 6, 76: 4 / 7, 100: 4 / 7}
    assert {step: precision[step] for step in expected} == pytest.approx(expected)


def test_the_area_under_the_steps_is_the_average_precision(rng: np.random.Generator) -> None:
    positive = np.arange(250) < 100  # as many positives as there are steps
    precision, average = _curve(rng.standard_normal(250) + positive, positive)
    assert precision[1:].mean() == pytest.approx(average)


def test_a_split_is_scikit_learns_pipeline_on_the_part_that_is_fitted(
    values: np.ndarray, normal: np.ndarray
) -> None:
    found = evaluate(values, normal, columns=COLUMNS, name="three", splits=4, seed=3)
    strata = _strata(normal, None)
    for split in range(4):
        test = _held_out(strata, 0.3, np.random.default_rng([3, split]))
        train = np.setdiff1d(np.arange(200), test)
        pipeline = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000))
        scores = pipeline.fit(values[train], normal[train]).decision_function(values[test])
        positive = average_precision_score(normal[test], scores)
        negative = average_precision_score(~normal[test], -scores)
        assert found.average_precision[:, split] == pytest.approx([positive, negative], abs=1e-6)
        assert found.coefficients[split] == pytest.approx(pipeline[-1].coef_[0], abs=1e-4)


def test_a_split_leaves_out_its_share_of_either_class(normal: np.ndarray) -> None:
    test = _held_out(_strata(normal, None), 0.3, np.random.default_rng(0))
    assert (normal[test].sum(), (~normal[test]).sum()) == (36, 24)
    assert len(np.unique(test)) == 60


def test_images_of_one_group_stay_together_and_the_shares_are_kept(normal: np.ndarray) -> None:
    groups = np.arange(200) // 4
    for seed in range(10):
        test = _held_out(_strata(normal, groups), 0.3, np.random.default_rng(seed))
        assert (np.bincount(groups[test]) % 4 == 0).all()
        assert (normal[test].sum(), (~normal[test]).sum()) == (36, 24)


def test_copies_of_one_image_help_only_where_groups_do_not_keep_them_together(
    rng: np.random.Generator,
) -> None:
    normal, groups = np.arange(80) < 40, np.arange(80) // 4
    noise = np.repeat(rng.standard_normal((20, 30)), 4, axis=0)  # 20 pictures, four copies each
    columns = [str(column) for column in range(30)]
    cheating = evaluate(noise, normal, columns=columns, name="", splits=20)
    honest = evaluate(noise, normal, columns=columns, name="", splits=20, groups=groups)
    assert cheating.average_precision.mean() > 0.95
    assert honest.average_precision.mean() < 0.75


def test_classes_that_do_not_overlap_are_told_apart_without_a_mistake(normal: np.ndarray) -> None:
    values = np.where(normal, 1.0, -1.0)[:, None] + np.linspace(0, 0.1, 200)[:, None]
    found = evaluate(values, normal, columns=["a"], name="", splits=5)
    assert (found.average_precision == 1).all()
    assert (found.precision == 1).all()
    assert (found.coefficients > 0).all()  # more of it is more normal


def test_noise_scores_what_chance_gives_in_both_directions(rng: np.random.Generator) -> None:
    normal = np.arange(2000) < 1500
    found = evaluate(rng.standard_normal((2000, 2)), normal, columns=["a", "b"], name="", splits=20)
    assert found.chance == pytest.approx((chance_level(600, 450), chance_level(600, 150)))
    assert found.average_precision.mean(axis=1) == pytest.approx(found.chance, abs=0.03)
    assert found.counts == (1500, 500)


@pytest.mark.parametrize(("images", "positives"), [(1, 1), (5, 1), (5, 5), (7, 3), (10, 2)])
def test_the_chance_level_is_the_mean_over_all_orders(images: int, positives: int) -> None:
    orders = [np.isin(np.arange(images), of) for of in combinations(range(images), positives)]
    found = [average_precision_score(positive, -np.arange(images)) for positive in orders]
    assert chance_level(images, positives) == pytest.approx(np.mean(found), rel=1e-12)


def test_the_chance_level_of_few_positives_is_far_above_their_share() -> None:
    assert (chance_level(330, 30), chance_level(82, 8)) == pytest.approx((0.106, 0.142), abs=5e-4)
    for positives in (0, 6):
        with pytest.raises(DataError, match="from 1 to 5 positive images"):
            chance_level(5, positives)


def test_the_chance_level_is_that_of_the_images_that_splits_leave_out() -> None:
    normal, noise = np.arange(60) < 50, np.random.default_rng(0).standard_normal((60, 1))
    found = evaluate(noise, normal, columns=["a"], name="", splits=3)
    assert found.chance == pytest.approx((chance_level(18, 15), chance_level(18, 3)))
    # One group of 7 anomalous images and three of one each: a split leaves out some of the three.
    groups = np.where(normal, np.arange(60), np.minimum(np.arange(60), 53))
    held_out = [_held_out(_strata(normal, groups), 0.3, np.random.default_rng([0, at])) for at in range(3)]
    levels = [chance_level(len(test), int((~normal[test]).sum())) for test in held_out]
    grouped = evaluate(noise, normal, columns=["a"], name="", splits=3, groups=groups)
    assert grouped.chance[1] == pytest.approx(np.mean(levels))


def test_the_chance_level_within_a_bin_is_that_of_its_held_out_images(rng: np.random.Generator) -> None:
    normal, texture = np.arange(400) % 4 > 0, rng.random(400)
    columns = {"columns": ["a"], "bins": 2, "splits": 200}
    found = within_texture(rng.standard_normal((400, 1)), normal, texture, **columns)
    share = found.counts / found.counts.sum(axis=0)
    assert (found.chance > share + 0.005).all()
    scored = [chance_level(60, round(60 * one)) for one in share[1]]
    assert found.chance[1] == pytest.approx(scored, abs=0.02)
    half = np.arange(400) % 2 > 0
    alone = within_texture(rng.standard_normal((400, 1)), half, half + 0.1 * texture, **columns)
    assert alone.summary()["bins"][0]["normal"]["chance"] is None  # only one class there


def test_numbers_do_not_depend_on_threads_or_on_the_scale_of_a_column(
    values: np.ndarray, normal: np.ndarray
) -> None:
    one, four = (
        evaluate(values, normal, columns=COLUMNS, name="", splits=6, threads=threads) for threads in (1, 4)
    )
    np.testing.assert_array_equal(one.precision, four.precision)
    np.testing.assert_array_equal(one.coefficients, four.coefficients)
    scaled = evaluate(values * [1e3, 1, 1e-3] + 5, normal, columns=COLUMNS, name="", splits=6)
    np.testing.assert_allclose(scaled.coefficients, one.coefficients, atol=1e-6)


def test_a_constant_column_takes_no_part(values: np.ndarray, normal: np.ndarray) -> None:
    found = evaluate(values * [1, 1, 0] + 7, normal, columns=COLUMNS, name="", splits=3)
    assert (found.coefficients[:, 2] == 0).all()


def test_the_summary_says_mean_and_band_in_json(values: np.ndarray, normal: np.ndarray) -> None:
    found = evaluate(values, normal, columns=COLUMNS, name="three", splits=9)
    summary = json.loads(json.dumps(found.summary()))
    for at, positive in enumerate(("normal", "anomalous")):
        low, high = np.quantile(found.average_precision[at], (0.05, 0.95))
        mean = found.average_precision[at].mean()
        told = [summary[positive][key] for key in ("average_precision", "low", "high", "chance")]
        assert told == pytest.approx([mean, low, high, found.chance[at]])
    assert summary["coefficients"]["a"]["sd"] == pytest.approx(found.coefficients[:, 0].std())
    assert (summary["name"], summary["splits"]) == ("three", 9)
    assert len(found.recall) == STEPS


def test_what_cannot_be_evaluated_is_refused(values: np.ndarray, normal: np.ndarray) -> None:
    with pytest.raises(ConfigError, match="columns"):
        evaluate(values, normal, columns=("a", "b"), name="")
    with pytest.raises(ConfigError, match="splits"):
        evaluate(values, normal, columns=COLUMNS, name="", splits=0)
    with pytest.raises(ConfigError, match="test_share"):
        evaluate(values, normal, columns=COLUMNS, name="", test_share=1.0)
    with pytest.raises(DataError, match="finite"):
        evaluate(values * np.nan, normal, columns=COLUMNS, name="")
    with pytest.raises(DataError, match="2 anomalous"):
        evaluate(values, np.arange(200) < 199, columns=COLUMNS, name="")
    with pytest.raises(DataError, match="2 normal"):
        evaluate(values, normal, columns=COLUMNS, name="", groups=np.where(normal, 0, np.arange(200)))


def test_losses_that_fail_on_smooth_images_are_found_out(rng: np.random.Generator) -> None:
    texture, normal = rng.uniform(0, 1, 1200), np.arange(1200) < 600
    loss = np.where(texture > 0.5, np.where(normal, 0.0, 5.0), 2.5) + 0.1 * rng.standard_normal(1200)
    columns = ("loss", "like texture", "unlike it", "constant")
    values = np.column_stack([loss, np.exp(texture), -(texture**3), np.ones(1200)])
    found = within_texture(values, normal, texture, columns=columns, bins=2, splits=10)
    assert found.edges == pytest.approx([texture.min(), np.median(texture), texture.max()])
    smooth, busy = found.average_precision.mean(axis=2).T
    assert smooth == pytest.approx(found.chance[:, 0], abs=0.12)
    assert (busy > 0.99).all()
    assert found.correlation[:, 1] == pytest.approx([1, 1])
    assert found.correlation[:, 2] == pytest.approx([-1, -1])
    assert np.isnan(found.correlation[:, 3]).all()
    assert found.counts.sum(axis=1).tolist() == [600, 600]


def test_within_one_bin_nothing_changes(values: np.ndarray, normal: np.ndarray) -> None:
    everything = evaluate(values, normal, columns=COLUMNS, name="", splits=5, seed=2)
    for texture in (values[:, 0], np.ones(200)):  # of images that are all equally busy there is one bin
        bins = 1 if np.ptp(texture) else 4
        found = within_texture(values, normal, texture, columns=COLUMNS, bins=bins, splits=5, seed=2)
        np.testing.assert_array_equal(found.average_precision[:, 0], everything.average_precision)


def test_a_bin_without_one_of_the_classes_has_no_average_precision(
    rng: np.random.Generator, values: np.ndarray, normal: np.ndarray
) -> None:
    texture = np.where(normal, 0.0, 1.0) + 0.1 * rng.random(200)
    found = within_texture(values, normal, texture, columns=COLUMNS, bins=10, splits=3)
    assert np.isnan(found.average_precision[:, 0]).all()
    assert np.isnan(found.average_precision[:, -1]).all()


def test_bins_and_texture_that_make_no_sense_are_refused(values: np.ndarray, normal: np.ndarray) -> None:
    with pytest.raises(ConfigError, match="bins"):
        within_texture(values, normal, np.ones(200), columns=COLUMNS, bins=0)
    with pytest.raises(DataError, match="texture"):
        within_texture(values, normal, np.full(200, np.nan), columns=COLUMNS)


def test_a_subsample_keeps_every_normal_image(normal: np.ndarray) -> None:
    rows = subsample(normal, 10, seed=1)
    assert np.isin(np.flatnonzero(normal), rows).all()
    assert len(np.unique(rows)) == 130
    np.testing.assert_array_equal(rows, subsample(normal, 10, seed=1))
    with pytest.raises(DataError, match="81"):
        subsample(normal, 81, seed=0)


def test_extremes_are_the_ends_of_each_class_without_the_unreadable() -> None:
    values = np.array([0.4, 0.1, 0.3, np.nan, 0.2, 0.9, 0.05])[:, None]
    problems = tuple("damaged" if np.isnan(value) else "" for value in values[:, 0])
    features = Features(("mse",), values, tuple("abcdefg"), problems)
    normal = np.array([True, True, True, True, False, False, False])
    found = extremes(features, normal, "mse", count=2)
    assert found.normal_least.tolist() == [1, 2]
    assert found.normal_largest.tolist() == [0, 2]
    assert found.anomalous_least.tolist() == [6, 4]
    assert found.anomalous_largest.tolist() == [5, 4]
    assert len(extremes(features, normal, "mse", count=99).normal_least) == 3
    with pytest.raises(ConfigError, match="loss"):
        extremes(features, normal, "z0")
    with pytest.raises(ConfigError, match="count"):
        extremes(features, normal, "mse", count=0)
