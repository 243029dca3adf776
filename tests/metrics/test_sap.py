"""SAP against scipy, enumeration of all thresholds, and closed forms."""

import itertools

import numpy as np
import pytest
from scipy import stats

from pellucid.errors import ConfigError
from pellucid.metrics.sap import sap

CATEGORICAL = (True, False, False, False)


def best_thresholds(code: np.ndarray, classes: np.ndarray) -> float:
    """Balanced accuracy of the best two thresholds for three classes, all orders and all places tried."""
    cuts = np.concatenate([[-np.inf], (np.unique(code)[1:] + np.unique(code)[:-1]) / 2, [np.inf]])
    tried = []
    for low, high in itertools.combinations_with_replacement(cuts, 2):
        interval = np.digitize(code, [low, high]) if low < high else np.where(code < low, 0, 2)
        shares = np.array([[(interval[classes == c] == i).mean() for i in range(3)] for c in range(3)])
        means = [code[classes == c].mean() for c in range(3)]
        for order in (np.argsort(means), np.argsort(means)[::-1]):
            tried.append(np.mean([shares[c, place] for place, c in enumerate(order)]))
    return max(tried)


def test_a_number_is_scored_by_the_r2_of_a_line(rng: np.random.Generator) -> None:
    factors = rng.standard_normal((300, 2))
    codes = factors @ rng.standard_normal((2, 4)) + rng.standard_normal((300, 4))
    found = sap(codes, factors)
    expected = [[stats.linregress(code, factor).rvalue ** 2 for factor in factors.T] for code in codes.T]
    assert found.predictability == pytest.approx(np.array(expected))
    ordered = np.sort(expected, axis=0)
    assert found.score == pytest.approx((ordered[-1] - ordered[-2]).mean())


@pytest.mark.parametrize("decimals", [8, 0], ids=["without ties", "with many ties"])
def test_two_classes_are_scored_by_the_kolmogorov_smirnov_distance(
    rng: np.random.Generator, decimals: int
) -> None:
    has = (rng.random((400, 1)) < 0.2).astype(np.float64)
    codes = np.round(rng.standard_normal((400, 5)) + has * [0, 1, -1, 2, 0.2], decimals)
    distances = [stats.ks_2samp(code[has[:, 0] == 1], code[has[:, 0] == 0]).statistic for code in codes.T]
    assert sap(codes, has).predictability[:, 0] == pytest.approx((1 + np.array(distances)) / 2)


@pytest.mark.parametrize("seed", range(4))
def test_three_classes_are_scored_by_the_best_of_all_thresholds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, 3, (25, 1))
    codes = np.round(rng.standard_normal((25, 2)) + np.array([1.0, 0.0, 2.0])[classes], 1)
    found = sap(codes, classes.astype(np.float64), categorical=[True]).predictability[:, 0]
    assert found == pytest.approx([best_thresholds(code, classes[:, 0]) for code in codes.T])


def test_the_factors_as_codes_score_1_for_numbers_and_two_thirds_for_three_classes(
    identity: np.ndarray, grid: np.ndarray
) -> None:
    found = sap(identity, grid, categorical=CATEGORICAL)
    assert found.gaps == pytest.approx([2 / 3, 1, 1, 1], abs=1e-9)
    assert found.best.tolist() == [0, 1, 2, 3]


def test_a_duplicated_latent_has_no_gap(duplicated: np.ndarray, grid: np.ndarray) -> None:
    assert sap(duplicated, grid, categorical=CATEGORICAL).score == pytest.approx(0)


def test_noise_scores_about_0(noise: np.ndarray, grid: np.ndarray) -> None:
    assert sap(noise, grid, categorical=CATEGORICAL).score < 0.005


def test_a_rotation_by_45_degrees_leaves_no_gap_for_numbers(rotated: np.ndarray, grid: np.ndarray) -> None:
    found = sap(rotated, grid, categorical=CATEGORICAL)
    assert found.predictability[2:, 2] == pytest.approx([0.5, 0.5])
    assert found.gaps == pytest.approx([0, 0, 0, 0], abs=0.01)


def test_one_of_two_values_has_a_gap_of_a_half_at_most(rng: np.random.Generator) -> None:
    has = (rng.random((5000, 1)) < 0.3).astype(np.float64)
    codes = np.concatenate([has, rng.standard_normal((5000, 1))], axis=1)
    assert sap(codes, has).score == pytest.approx(0.5, abs=0.02)


def test_a_constant_latent_predicts_nothing(rng: np.random.Generator) -> None:
    has = (rng.random((100, 1)) < 0.3).astype(np.float64)
    assert sap(np.concatenate([has, np.ones((100, 1))], axis=1), has).score == pytest.approx(1)
    assert sap(np.ones((100, 3)), has).score == 0


def test_a_bent_latent_scores_0_though_it_says_all(grid: np.ndarray) -> None:
    centred = grid[:, [1]] - 2.5
    assert sap(np.abs(centred), centred).score == pytest.approx(0, abs=1e-12)


def test_order_sign_and_scale_of_latents_do_not_matter(rng: np.random.Generator) -> None:
    factors = rng.integers(0, [3, 5], (300, 2)).astype(np.float64)
    codes = factors @ rng.standard_normal((2, 4)) + rng.standard_normal((300, 4))
    changed = codes[:, [2, 0, 3, 1]] * [3.0, -0.1, 1e4, -7.0] + 5
    one, other = (sap(each, factors, categorical=[True, False]) for each in (codes, changed))
    assert one.gaps == pytest.approx(other.gaps)


def test_an_entry_for_each_factor_is_asked_for() -> None:
    factors = np.repeat([[0.0], [1.0]], 5, axis=0)
    with pytest.raises(ConfigError, match="each of 1 factors, got 2"):
        sap(factors, factors, categorical=[True, False])
