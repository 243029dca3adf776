"""Modularity against a loop over the formula, explicitness against its closed form and scikit-learn."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mutual_info_score, roc_auc_score

from pellucid.errors import ConfigError, DataError
from pellucid.metrics.modularity import explicitness, modularity


def slow_modularity(codes: np.ndarray, factors: np.ndarray) -> list[float]:
    """Ridgeway & Mozer's distance of each latent from the nearest template, as they write it."""
    found = []
    for code in codes.T:
        binned = np.digitize(code, np.histogram_bin_edges(code, 20)[1:-1])
        informations = np.array([mutual_info_score(binned, factor) for factor in factors.T])
        largest = informations.max()
        template = np.where(informations == largest, largest, 0)
        deviation = ((informations - template) ** 2).sum() / (largest**2 * (len(informations) - 1))
        found.append(1 - deviation)
    return found


def test_it_is_the_papers_formula(rng: np.random.Generator) -> None:
    factors = rng.integers(0, [3, 5, 8], (600, 3)).astype(np.float64)
    codes = factors @ rng.standard_normal((3, 6)) + rng.standard_normal((600, 6))
    found = modularity(codes, factors)
    assert found.latents == pytest.approx(slow_modularity(codes, factors))
    assert found.score == pytest.approx(found.latents.mean())


def test_the_factors_as_codes_and_copies_of_them_score_1(
    identity: np.ndarray, duplicated: np.ndarray, grid: np.ndarray
) -> None:
    assert modularity(identity, grid).score == pytest.approx(1)
    assert modularity(duplicated, grid).score == pytest.approx(1)


def test_a_latent_about_two_factors_of_five_alike_scores_three_quarters() -> None:
    factors = np.array(np.meshgrid(*[[0.0, 1.0]] * 5)).reshape(5, -1).T
    codes = factors[:, [0]] + factors[:, [1]]
    assert modularity(codes, factors).score == pytest.approx(0.75)


def test_noise_scores_two_thirds_because_chance_differs_with_the_number_of_values(
    noise: np.ndarray, grid: np.ndarray
) -> None:
    values = np.array([3, 6, 40, 32, 32])
    chance = (values - 1) / 39
    assert 1 - (np.sort(chance**2)[:-1].sum()) / 4 == pytest.approx(0.68, abs=0.005)
    rng = np.random.default_rng(0)
    factors = rng.integers(0, values, (10_000, 5)).astype(np.float64)
    found = modularity(rng.standard_normal((10_000, 10)), factors)
    assert found.score == pytest.approx(0.67, abs=0.03)


def test_a_rotation_by_45_degrees_scores_less(rotated: np.ndarray, grid: np.ndarray) -> None:
    # of four factors, latents 2 and 3 say as much of factor 2 as of 3: 1 - 1/3
    found = modularity(rotated, grid)
    assert found.latents[2:] == pytest.approx([2 / 3, 2 / 3], abs=0.02)
    assert found.score == pytest.approx(0.80, abs=0.01)


def test_a_constant_latent_counts_0(identity: np.ndarray, grid: np.ndarray) -> None:
    padded = np.concatenate([identity, np.ones((len(grid), 1))], axis=1)
    assert modularity(padded, grid).latents == pytest.approx([1, 1, 1, 1, 0])


def test_one_factor_cannot_be_told_from_others() -> None:
    factors = np.repeat([[0.0], [1.0]], 5, axis=0)
    with pytest.raises(ConfigError, match="at least 2 factors"):
        modularity(factors, factors)


def test_order_sign_and_scale_of_latents_do_not_matter(rng: np.random.Generator) -> None:
    factors = rng.integers(0, [3, 5], (500, 2)).astype(np.float64)
    codes = factors @ rng.standard_normal((2, 4)) + rng.standard_normal((500, 4))
    changed = codes[:, [2, 0, 3, 1]] * [3.0, 0.1, 1e4, 7.0] + 5
    assert modularity(codes, factors).score == pytest.approx(modularity(changed, factors).score)
    one, other = (
        explicitness(each, factors, generator=np.random.default_rng(0)) for each in (codes, changed * -1)
    )
    assert one.factors == pytest.approx(other.factors, abs=1e-4)


def test_the_factors_as_codes_are_explicit_at_the_ends_of_a_scale_only(
    identity: np.ndarray, grid: np.ndarray, rng: np.random.Generator
) -> None:
    found = explicitness(identity[::4], grid[::4], generator=rng)
    closed = [np.mean(np.maximum(np.arange(v), np.arange(v)[::-1]) / (v - 1)) for v in (3, 6, 40)]
    assert found.factors[:3] == pytest.approx(closed, abs=0.015)
    assert closed == pytest.approx([0.833, 0.8, 0.756], abs=1e-3)


def test_disentanglement_libs_explicitness_of_the_factors_is_another_and_higher(
    rng: np.random.Generator,
) -> None:
    factors = rng.integers(0, [3, 6, 40, 32, 32], (4000, 5)).astype(np.float64)
    codes = (factors - factors.mean(axis=0)) / factors.std(axis=0)
    assert explicitness(codes, factors, generator=rng).score == pytest.approx(0.78, abs=0.015)
    areas = []
    for factor in factors.T:
        multinomial = LogisticRegression(max_iter=300).fit(codes[::2], factor[::2])
        said = multinomial.predict_proba(codes[1::2])
        areas.append(
            np.mean([roc_auc_score(factor[1::2] == v, said[:, i]) for i, v in enumerate(np.unique(factor))])
        )
    assert np.mean(areas) > 0.95  # of 10,000 images .978


def test_two_values_can_be_perfectly_explicit_and_a_rotation_changes_nothing(
    rng: np.random.Generator,
) -> None:
    factors = rng.integers(0, 2, (1000, 2)).astype(np.float64)
    turned = factors @ np.array([[1.0, -1.0], [1.0, 1.0]])
    assert explicitness(factors, factors, generator=rng).score == 1
    assert explicitness(turned, factors, generator=rng).score == 1


def test_noise_is_explicit_by_chance_only(rng: np.random.Generator) -> None:
    factors = rng.integers(0, [2, 6], (2000, 2)).astype(np.float64)
    found = explicitness(rng.standard_normal((2000, 4)), factors, generator=rng)
    assert found.score == pytest.approx(0.5, abs=0.03)
    assert explicitness(np.ones((2000, 4)), factors, generator=rng).score == 0.5


def test_explicitness_agrees_with_scikit_learns_other_solver_on_another_split(
    rng: np.random.Generator,
) -> None:
    factors = rng.integers(0, 4, (6000, 1)).astype(np.float64)
    codes = np.concatenate([factors, np.abs(factors - 1)], axis=1) + rng.standard_normal((6000, 2))
    areas = []
    for value in range(4):
        has = factors[:, 0] == value
        classifier = LogisticRegression(C=100.0).fit(codes[:3000], has[:3000])
        areas.append(roc_auc_score(has[3000:], classifier.predict_proba(codes[3000:])[:, 1]))
    found = explicitness(codes, factors, generator=rng)
    assert found.score == pytest.approx(np.mean(areas), abs=0.02)


def test_a_value_that_occurs_once_is_left_out(rng: np.random.Generator) -> None:
    factors = np.repeat([0.0, 1.0, 2.0], [20, 20, 1])[:, None]
    assert explicitness(np.minimum(factors, 1), factors, generator=rng).score == pytest.approx(1, abs=0.02)


def test_explicitness_of_values_that_occur_once_is_refused(rng: np.random.Generator) -> None:
    with pytest.raises(DataError, match="values that occur twice"):
        explicitness(rng.standard_normal((10, 2)), np.arange(10.0)[:, None], generator=rng)
