"""DCI against closed forms, scipy's entropy, and gradient-boosted trees."""

import math

import numpy as np
import pytest
from scipy.stats import entropy
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

from pellucid.errors import ConfigError, DataError
from pellucid.metrics.dci import DCI, dci


@pytest.fixture(scope="module")
def few(grid: np.ndarray) -> np.ndarray:
    """Rows of 1,200 images."""
    return np.random.default_rng(2).choice(len(grid), 1200, replace=False)


def score(codes: np.ndarray, factors: np.ndarray, **settings: list[bool]) -> DCI:
    return dci(codes, factors, generator=np.random.default_rng(0), **settings)


def scores(found: DCI) -> tuple[float, float, float]:
    return found.disentanglement, found.completeness, found.informativeness


def test_the_factors_as_codes_score_1(identity: np.ndarray, grid: np.ndarray, few: np.ndarray) -> None:
    found = score(identity[few], grid[few])
    assert scores(found) == pytest.approx((1, 1, 1), abs=0.02)
    assert found.importance == pytest.approx(np.eye(4), abs=0.01)


def test_noise_scores_about_0(noise: np.ndarray, grid: np.ndarray, few: np.ndarray) -> None:
    assert scores(score(noise[few], grid[few])) == pytest.approx((0, 0, 0), abs=0.08)


def test_a_constant_code_scores_0(grid: np.ndarray, few: np.ndarray) -> None:
    found = score(np.full((1200, 3), 0.1), grid[few])
    assert scores(found) == pytest.approx((0, 0, 0), abs=1e-5)
    assert (found.importance == 0).all()


def test_a_single_latent_is_complete_and_entangled(
    identity: np.ndarray, grid: np.ndarray, few: np.ndarray
) -> None:
    found = score((identity[:, :1] + identity[:, 1:2])[few], grid[few])
    assert scores(found)[:2] == pytest.approx((0, 1))


def test_a_duplicated_latent_costs_completeness_only(
    duplicated: np.ndarray, grid: np.ndarray, few: np.ndarray
) -> None:
    # of 8 latents two share each factor
    expected = (1, 1 - math.log(2) / math.log(8), 1)
    assert scores(score(duplicated[few], grid[few])) == pytest.approx(expected, abs=0.03)


def test_a_rotation_by_45_degrees_lies_between_and_is_still_informative(
    rotated: np.ndarray, noise: np.ndarray, grid: np.ndarray, few: np.ndarray
) -> None:
    disentanglement, completeness, informativeness = scores(score((rotated + 0.05 * noise)[few], grid[few]))
    # two latents for two factors: half of the entropy of four
    assert disentanglement == pytest.approx(0.5, abs=0.06)
    assert completeness == pytest.approx(0.5, abs=0.06)
    assert informativeness > 0.7


def test_the_scores_follow_from_the_importances_by_scipys_entropy(
    rotated: np.ndarray, noise: np.ndarray, grid: np.ndarray, few: np.ndarray
) -> None:
    codes = np.concatenate([rotated + 0.3 * noise, noise[:, :2], np.zeros((len(grid), 1))], axis=1)
    found = score(codes[few], grid[few])
    table = found.importance
    assert table.sum(axis=0) == pytest.approx(np.ones(4))
    of_latents = [1 - entropy(row, base=4) if row.any() else 0 for row in table]
    assert found.disentanglement_per_latent == pytest.approx(of_latents)
    assert found.disentanglement == pytest.approx(np.average(of_latents, weights=table.sum(axis=1)))
    assert found.completeness_per_factor == pytest.approx([1 - entropy(c, base=7) for c in table.T])


def test_the_importances_are_near_those_of_boosted_trees(
    rotated: np.ndarray, noise: np.ndarray, grid: np.ndarray, few: np.ndarray
) -> None:
    codes, factors = (rotated + 0.2 * noise)[few], grid[few]
    found = score(codes, factors).importance
    for factor, kind in ((0, GradientBoostingClassifier), (3, GradientBoostingRegressor)):
        trees = kind(n_estimators=30, random_state=0).fit(codes, factors[:, factor])
        assert found[:, factor] == pytest.approx(trees.feature_importances_, abs=0.1)


def test_informativeness_of_a_number_is_1_less_the_error_in_deviations(rng: np.random.Generator) -> None:
    # 0.8 z + 0.6 noise has variance 1, and knowing z leaves a deviation of 0.6
    z, other, rest = rng.standard_normal((3, 4000))
    found = score(np.stack([z, other], axis=1), np.stack([0.8 * z + 0.6 * rest, other], axis=1))
    assert found.informativeness_per_factor[0] == pytest.approx(0.4, abs=0.04)


def test_informativeness_of_a_class_is_1_less_the_share_of_constant_errors_left(
    rng: np.random.Generator,
) -> None:
    # the code gives away the class of 3 in 4 images; guessing is right for half of the others
    sign = np.arange(4000) % 2 * 2.0 - 1
    code = np.where(rng.random(4000) < 0.75, sign, 0.0)
    factors = np.stack([sign, rng.permutation(sign)], axis=1)
    found = score(np.stack([code, rng.standard_normal(4000)], axis=1), factors)
    assert found.informativeness_per_factor == pytest.approx([0.75, 0], abs=0.05)


def test_many_values_can_be_predicted_as_classes(rng: np.random.Generator) -> None:
    # the values are names: their order says nothing, and the code knows them in another
    factors = np.stack([np.arange(1200) % 20, np.arange(1200) % 7], axis=1).astype(float)
    code = np.argsort(rng.permutation(20))[factors[:, 0].astype(int)].astype(float)
    found = score(np.stack([code, factors[:, 1]], axis=1), factors, categorical=[True, False])
    assert scores(found) == pytest.approx((1, 1, 1), abs=0.05)


def test_permuting_and_rescaling_latents_changes_little(
    rotated: np.ndarray, noise: np.ndarray, grid: np.ndarray, few: np.ndarray
) -> None:
    codes, factors = (rotated + 0.3 * noise)[few], grid[few]
    expected = scores(score(codes, factors))
    assert scores(score(codes * np.array([4.0, 1e-30, 1.0, 1e30]), factors)) == pytest.approx(
        expected, abs=1e-3
    )
    assert scores(score(codes[:, [2, 0, 3, 1]], factors)) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("positives", [1, 2])
def test_a_value_that_is_too_rare_to_learn_gives_numbers(rng: np.random.Generator, positives: int) -> None:
    factors = np.stack([np.arange(40) < positives, np.arange(40) % 2], axis=1).astype(float)
    found = score(rng.standard_normal((40, 2)), factors)
    assert all(0 <= value <= 1 for value in scores(found))


def test_unusable_input_is_refused(rng: np.random.Generator) -> None:
    codes, factors = rng.standard_normal((40, 2)), np.stack([np.arange(40.0), np.arange(40.0) % 2], axis=1)
    with pytest.raises(ConfigError, match="at least 2 factors"):
        score(codes, factors[:, :1])
    with pytest.raises(ConfigError, match="one for each of 2 factors, got 1"):
        score(codes, factors, categorical=[True])
    with pytest.raises(DataError, match="at least 20 images, got 19"):
        score(codes[:19], factors[:19])
    with pytest.raises(DataError, match="factor 1: expected at least two different values"):
        score(codes, factors * [1, 0])
    with pytest.raises(DataError, match="expected finite numbers, got nan"):
        score(codes, np.where(factors == 3, np.nan, factors))
