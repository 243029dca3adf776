"""The FactorVAE score against a literal loop, and codes whose votes are known."""

import numpy as np
import pytest

from pellucid.errors import ConfigError, DataError
from pellucid.metrics.factor_vae import FactorVAEScore, factor_vae


def score(codes: np.ndarray, factors: np.ndarray, **settings: float) -> FactorVAEScore:
    return factor_vae(codes, factors, generator=np.random.default_rng(0), train=800, test=800, **settings)


def slow_score(codes: np.ndarray, factors: np.ndarray, rng: np.random.Generator) -> float:
    """Sec. 4 of the paper, one group at a time."""
    spread = [np.std(column) for column in codes.T]
    votes: dict[bool, list[tuple[int, int]]] = {True: [], False: []}
    for group in range(1600):
        factor = rng.integers(factors.shape[1])
        same = np.flatnonzero(factors[:, factor] == rng.choice(factors[:, factor]))
        chosen = rng.choice(same, 64)
        relative = [np.var(codes[chosen, latent]) / spread[latent] ** 2 for latent in range(codes.shape[1])]
        votes[group < 800].append((int(np.argmin(relative)), int(factor)))
    right = 0
    for latent, factor in votes[False]:
        voted = [f for d, f in votes[True] if d == latent]
        right += bool(voted) and max(set(voted), key=voted.count) == factor
    return right / 800


def test_the_factors_as_codes_score_1(identity: np.ndarray, grid: np.ndarray) -> None:
    found = score(identity, grid)
    assert found.score == 1
    assert (found.per_factor == 1).all()


def test_a_duplicated_latent_costs_nothing(duplicated: np.ndarray, grid: np.ndarray) -> None:
    assert score(duplicated, grid).score == 1


def test_noise_scores_chance(noise: np.ndarray, grid: np.ndarray) -> None:
    assert score(noise, grid).score == pytest.approx(1 / 4, abs=0.05)


def test_a_constant_code_scores_chance_exactly(grid: np.ndarray) -> None:
    found = score(np.full((len(grid), 3), 0.1), grid)
    assert found.score == 1 / 4
    assert not found.active.any()


def test_a_single_latent_scores_chance_exactly(identity: np.ndarray, grid: np.ndarray) -> None:
    # it always varies least, so it votes for one factor whatever is fixed
    found = score(identity[:, :1], grid)
    assert found.score == 1 / 4
    assert sorted(found.per_factor) == [0, 0, 0, 1]


def test_latents_turned_by_45_degrees_are_a_toss_up(
    rotated: np.ndarray, noise: np.ndarray, grid: np.ndarray
) -> None:
    # fixing either factor of a pair halves both latents' variance, so which is least is chance
    assert score(rotated + 0.01 * noise, grid).score == pytest.approx(1 / 2, abs=0.06)


def test_the_score_of_a_blurred_code_is_that_of_a_literal_loop(
    identity: np.ndarray, noise: np.ndarray, grid: np.ndarray, rng: np.random.Generator
) -> None:
    blurred = identity + np.array([0.2, 1.0, 4.0, 8.0]) * noise
    found, expected = score(blurred, grid).score, slow_score(blurred, grid, rng)
    assert 0.5 < expected < 0.9
    assert found == pytest.approx(expected, abs=0.06)  # 3 standard errors of the difference of two counts


def test_permuting_and_rescaling_latents_changes_nothing(
    identity: np.ndarray, noise: np.ndarray, grid: np.ndarray
) -> None:
    blurred = identity + 2 * noise
    order = np.array([2, 0, 3, 1])
    moved = (blurred * np.array([4.0, -8.0, 0.25, 1.0]))[:, order]
    assert score(moved, grid, least_std=0).score == score(blurred, grid).score


def test_a_latent_that_fell_back_to_the_prior_has_no_vote(
    identity: np.ndarray, noise: np.ndarray, grid: np.ndarray
) -> None:
    # an echo of a factor, too faint for the limit of 0.05
    codes = np.concatenate([identity[:, :3], 0.02 * identity[:, 3:]], axis=1)
    found = score(codes, grid)
    assert found.active.tolist() == [True, True, True, False]
    assert found.per_factor[:3] == pytest.approx([1, 1, 1])
    assert found.per_factor[3] < 0.5
    assert score(codes, grid, least_std=0).score == 1


def test_a_continuous_factor_is_fixed_within_a_bin(rng: np.random.Generator) -> None:
    factors = rng.random((3000, 2))
    assert score(factors * 4, factors).score == 1


def test_unusable_input_is_refused(rng: np.random.Generator) -> None:
    codes = rng.standard_normal((40, 2))
    with pytest.raises(ConfigError, match="at least 2 factors"):
        score(codes, np.arange(40.0)[:, None] % 4)
    with pytest.raises(DataError, match="factor 0: expected images that share a value"):
        score(codes, np.stack([np.arange(40.0), np.arange(40.0) % 2], axis=1))
    codes[3, 1] = np.nan
    with pytest.raises(DataError, match="nan in row 3, column 1"):
        score(codes, np.stack([np.arange(40.0) % 4, np.arange(40.0) % 2], axis=1))
