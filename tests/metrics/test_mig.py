"""MIG against its closed form on a grid, a loop over the paper's formula, and quadrature."""

import math

import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from pellucid.errors import ConfigError, DataError
from pellucid.metrics.mig import mig, mig_chen


def ceiling(values: int) -> float:
    """MIG of a factor that is its own code: the entropy of its 20 bins over its own."""
    shares = np.unique(np.floor(np.arange(values) / (values - 1) * 20).clip(max=19), return_counts=True)[1]
    shares = shares / values
    return float(-(shares * np.log(shares)).sum() / math.log(values))


def slow_mig(codes: np.ndarray, factors: np.ndarray) -> float:
    """As disentanglement_lib's paper says it, latent by latent with other libraries."""
    gaps = []
    for factor in factors.T:
        informations = []
        for code in codes.T:
            edges = np.histogram_bin_edges(code, 20)
            informations.append(mutual_info_score(factor, np.digitize(code, edges[1:-1])))
        second, first = sorted(informations)[-2:]
        gaps.append((first - second) / mutual_info_score(factor, factor))
    return sum(gaps) / len(gaps)


def test_the_factors_as_codes_score_what_20_bins_can_tell(identity: np.ndarray, grid: np.ndarray) -> None:
    found = mig(identity, grid)
    expected = [ceiling(3), ceiling(6), ceiling(40), ceiling(32)]
    assert found.gaps == pytest.approx(expected)
    assert expected == pytest.approx([1, 1, 1 - math.log(2) / math.log(40), 0.85])
    assert found.best.tolist() == [0, 1, 2, 3]
    # so of dSprites' five factors 0.902 is the most that there is
    assert np.mean([*expected, expected[3]]) == pytest.approx(0.902, abs=5e-4)


def test_a_duplicated_latent_has_no_gap(duplicated: np.ndarray, grid: np.ndarray) -> None:
    assert mig(duplicated, grid).score == 0


def test_noise_scores_about_0(noise: np.ndarray, grid: np.ndarray) -> None:
    assert mig(noise, grid).score < 0.002


def test_a_rotation_by_45_degrees_scores_low(rotated: np.ndarray, grid: np.ndarray) -> None:
    # each latent of a pair says as much of a factor; what is left is that 3 and 6 values make uneven sums
    assert mig(rotated, grid).gaps == pytest.approx([0, 0, 0, 0], abs=0.06)


def test_a_constant_latent_changes_nothing(identity: np.ndarray, grid: np.ndarray) -> None:
    padded = np.concatenate([np.full((len(grid), 1), 7.0), identity], axis=1)
    found = mig(padded, grid)
    assert found.score == mig(identity, grid).score
    assert found.best.tolist() == [1, 2, 3, 4]


def test_it_is_the_papers_formula(rng: np.random.Generator) -> None:
    factors = rng.integers(0, [3, 5, 8], (600, 3)).astype(np.float64)
    codes = factors @ rng.standard_normal((3, 6)) + rng.standard_normal((600, 6))
    assert mig(codes, factors).score == pytest.approx(slow_mig(codes, factors))


def test_order_sign_and_scale_of_latents_do_not_matter(rng: np.random.Generator) -> None:
    factors = rng.integers(0, [3, 5], (500, 2)).astype(np.float64)
    codes = factors @ rng.standard_normal((2, 4)) + rng.standard_normal((500, 4))
    changed = codes[:, [2, 0, 3, 1]] * [3.0, -0.1, 1e4, 7.0] + 5
    logs = rng.normal(-1, 0.5, codes.shape)
    changed_logs = logs[:, [2, 0, 3, 1]] + 2 * np.log([3.0, 0.1, 1e4, 7.0])
    assert mig(codes, factors).score == pytest.approx(mig(changed, factors).score, abs=0.01)
    one, other = (
        mig_chen(*pair, factors, generator=np.random.default_rng(0), samples=20_000)
        for pair in ((codes, logs), (changed, changed_logs))
    )
    assert one.gaps == pytest.approx(other.gaps, abs=0.02)


def test_one_latent_is_ahead_of_nothing() -> None:
    factors = np.repeat([[0.0], [1.0]], 10, axis=0)
    assert mig(factors, factors).score == pytest.approx(1)


def by_quadrature(means: np.ndarray, logs: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """I(z_j; v_k) of the mixtures of all posteriors, integrated on a fine grid."""
    found = np.zeros((means.shape[1], factors.shape[1]))
    z = np.linspace(-12, 12, 20_001)
    for latent in range(means.shape[1]):
        deviation = np.exp(logs[:, latent] / 2)
        densities = np.exp(-(((z[:, None] - means[:, latent]) / deviation) ** 2) / 2)
        densities /= deviation * math.sqrt(2 * math.pi)
        mixture = densities.mean(axis=1)
        for factor in range(factors.shape[1]):
            for value in np.unique(factors[:, factor]):
                has = factors[:, factor] == value
                own = densities[:, has].mean(axis=1)
                log_ratio = np.log(np.where(own > 0, own, 1)) - np.log(np.where(own > 0, mixture, 1))
                found[latent, factor] += has.mean() * np.trapezoid(own * log_ratio, z)
    return found


def test_chens_information_is_that_of_the_mixtures_by_quadrature(rng: np.random.Generator) -> None:
    factors = rng.integers(0, [2, 4], (60, 2)).astype(np.float64)
    means = factors @ np.array([[2.0, 0.0, 1.0], [0.0, 1.0, 1.0]]) + 0.3 * rng.standard_normal((60, 3))
    logs = rng.normal(-1.5, 1, (60, 3))
    found = mig_chen(means, logs, factors, generator=rng, samples=20_000)
    expected = by_quadrature(means, logs, factors)
    assert found.information == pytest.approx(expected, abs=0.02)
    ordered = np.sort(expected, axis=0)
    entropy = [mutual_info_score(factor, factor) for factor in factors.T]
    assert found.gaps == pytest.approx((ordered[-1] - ordered[-2]) / entropy, abs=0.03)


def test_chens_score_of_narrow_posteriors_is_1_and_of_wide_ones_0(rng: np.random.Generator) -> None:
    factors = rng.integers(0, [3, 6], (2000, 2)).astype(np.float64)
    narrow, wide = (
        mig_chen(factors, np.full(factors.shape, value), factors, generator=rng) for value in (-6.0, 9.0)
    )
    assert narrow.score == pytest.approx(1, abs=0.005)
    assert wide.score == pytest.approx(0, abs=0.01)
    # where the step of a factor is one standard deviation of the noise, much of it is lost; mig sees no noise
    assert mig_chen(factors, np.zeros(factors.shape), factors, generator=rng).score == pytest.approx(
        0.3, abs=0.05
    )
    assert mig(factors, factors).score == pytest.approx(1, abs=0.005)


def test_chens_score_of_a_duplicated_latent_and_of_noise_is_about_0(rng: np.random.Generator) -> None:
    factors = rng.integers(0, [3, 6], (2000, 2)).astype(np.float64)
    twice = np.concatenate([factors, factors], axis=1)
    assert mig_chen(twice, np.full(twice.shape, -6.0), factors, generator=rng).score == pytest.approx(
        0, abs=0.01
    )
    noise = rng.standard_normal((2000, 4))
    assert mig_chen(noise, np.full(noise.shape, -2.0), factors, generator=rng).score == pytest.approx(
        0, abs=0.01
    )


def test_few_images_add_information_that_is_not_there(rng: np.random.Generator) -> None:
    factors = rng.integers(0, 40, (10_000, 1)).astype(np.float64)
    noise = rng.standard_normal((10_000, 1))
    found = mig_chen(noise, np.full(noise.shape, -6.0), factors, generator=rng, samples=5000)
    assert found.information[0, 0] == pytest.approx(0.07, abs=0.015)


@pytest.mark.parametrize("log_variance", [-40.0, 40.0])
def test_extreme_posteriors_stay_finite(rng: np.random.Generator, log_variance: float) -> None:
    factors = np.repeat([[0.0], [1.0]], 50, axis=0)
    found = mig_chen(factors, np.full(factors.shape, log_variance), factors, generator=rng, samples=50)
    assert found.score == pytest.approx(1.0 if log_variance < 0 else 0.0, abs=1e-3)


def test_what_cannot_be_measured_is_refused(rng: np.random.Generator) -> None:
    factors = np.repeat([[0.0], [1.0]], 5, axis=0)
    with pytest.raises(DataError, match="row 0"):
        mig(np.full((10, 1), np.nan), factors)
    with pytest.raises(DataError, match="two different values"):
        mig(factors, np.ones((10, 1)))
    with pytest.raises(DataError, match="log_variances"):
        mig_chen(factors, np.full((10, 1), np.inf), factors, generator=rng)
    with pytest.raises(ConfigError, match="samples"):
        mig_chen(factors, np.zeros((10, 1)), factors, generator=rng, samples=0)
