"""The beta-VAE score against a literal loop with another classifier, and its known weaknesses."""

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from pellucid.errors import ConfigError, DataError
from pellucid.metrics.beta_vae import BetaVAEScore, beta_vae


def score(codes: np.ndarray, factors: np.ndarray) -> BetaVAEScore:
    return beta_vae(codes, factors, generator=np.random.default_rng(0), train=800, test=800)


def slow_score(codes: np.ndarray, factors: np.ndarray, rng: np.random.Generator) -> float:
    """Sec. 3 of the paper, one pair at a time, with a linear classifier of another kind."""
    members = [
        {value: np.flatnonzero(column == value) for value in np.unique(column)} for column in factors.T
    ]
    points, truth = [], []
    for _ in range(1600):
        factor = int(rng.integers(factors.shape[1]))
        total = np.zeros(codes.shape[1])
        for one in rng.integers(len(codes), size=64):
            same = members[factor][factors[one, factor]]
            total += np.abs(codes[one] - codes[same[rng.integers(len(same))]])
        points.append(total / 64)
        truth.append(factor)
    classifier = LinearDiscriminantAnalysis().fit(points[:800], truth[:800])
    return float(classifier.score(points[800:], truth[800:]))


def test_the_factors_as_codes_score_1(identity: np.ndarray, grid: np.ndarray) -> None:
    found = score(identity, grid)
    assert found.score == 1
    assert (found.per_factor == 1).all()


def test_a_duplicated_latent_costs_nothing(duplicated: np.ndarray, grid: np.ndarray) -> None:
    assert score(duplicated, grid).score == 1


def test_noise_scores_chance(noise: np.ndarray, grid: np.ndarray) -> None:
    assert score(noise, grid).score == pytest.approx(1 / 4, abs=0.06)


def test_a_constant_code_scores_chance_exactly(grid: np.ndarray) -> None:
    assert score(np.full((len(grid), 3), 0.1), grid).score == 1 / 4


def test_a_code_that_misses_one_factor_scores_1_by_elimination(
    identity: np.ndarray, grid: np.ndarray
) -> None:
    assert score(identity[:, 1:], grid).score == 1


def test_a_blurred_code_scores_what_a_literal_loop_and_another_classifier_say(
    identity: np.ndarray, noise: np.ndarray, grid: np.ndarray, rng: np.random.Generator
) -> None:
    blurred = identity + np.array([0.5, 1.0, 2.0, 3.0]) * noise
    found, expected = score(blurred, grid).score, slow_score(blurred, grid, rng)
    assert 0.5 < expected < 0.9
    assert found == pytest.approx(expected, abs=0.07)  # 3 standard errors of the difference of two counts


def test_a_rotated_code_scores_less_than_the_factors_but_more_than_noise(
    rotated: np.ndarray, noise: np.ndarray, grid: np.ndarray
) -> None:
    assert 0.4 < score(rotated, grid).score < 0.9


def test_permuting_and_rescaling_latents_changes_nothing(
    identity: np.ndarray, noise: np.ndarray, grid: np.ndarray
) -> None:
    blurred = identity + 2 * noise
    expected = score(blurred, grid).score
    assert score(blurred * np.array([4.0, -8.0, 0.25, 1024.0]), grid).score == expected
    assert score(blurred[:, [2, 0, 3, 1]], grid).score == pytest.approx(expected, abs=0.003)


def test_unusable_input_is_refused(rng: np.random.Generator) -> None:
    codes = rng.standard_normal((40, 2))
    with pytest.raises(ConfigError, match="at least 2 factors"):
        score(codes, np.arange(40.0)[:, None] % 4)
    with pytest.raises(DataError, match="factor 0: expected images that share a value"):
        score(codes, np.stack([np.arange(40.0), np.arange(40.0) % 2], axis=1))
    with pytest.raises(DataError, match="factor 1: expected at least two different values"):
        score(codes, np.stack([np.arange(40.0) % 4, np.ones(40)], axis=1))
