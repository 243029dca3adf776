"""The shortest way across a threshold, against a linear programme and a circle."""

import numpy as np
import pytest
from scipy.optimize import linprog

from pellucid.anomaly.counterfactual import smallest_move


@pytest.mark.parametrize("seed", range(8))
def test_for_a_linear_score_the_way_is_as_short_as_a_linear_programme_finds(seed: int) -> None:
    chance = np.random.default_rng(seed)
    weights, code = chance.normal(size=6), chance.normal(size=6)
    deviation = chance.uniform(0.2, 2, 6)
    low, high = code - chance.uniform(0, 2, 6), code + chance.uniform(0, 2, 6)
    now = code @ weights
    threshold = now + chance.choice([-1, 1]) * chance.uniform(0.2, 2)
    sign = 1 if threshold > now else -1
    # rises u and falls v of each latent: least (u + v) / deviation such that weights (u - v) is enough
    best = linprog(
        np.r_[1 / deviation, 1 / deviation],
        A_ub=-sign * np.r_[weights, -weights][None],
        b_ub=[-abs(threshold - now)],
        bounds=[(0, d) for d in np.r_[high - code, code - low]],
    )
    moved = smallest_move(
        lambda codes: codes @ weights, code, threshold=threshold, low=low, high=high, deviation=deviation
    )
    if not best.success:
        assert moved is None
        return
    assert moved is not None
    assert (np.abs(moved - code) / deviation).sum() == pytest.approx(best.fun, rel=1e-6)
    assert sign * (moved @ weights - threshold) == pytest.approx(0, abs=1e-9)


def test_a_code_inside_a_circle_leaves_it_along_one_axis() -> None:
    code = np.array([0.5, 0.1])
    moved = smallest_move(
        lambda codes: -np.square(codes).sum(1),
        code,
        threshold=-1.0,
        low=np.full(2, -3.0),
        high=np.full(2, 3.0),
        deviation=np.ones(2),
    )
    assert moved is not None
    assert np.square(moved).sum() == pytest.approx(1)
    assert np.square(moved).sum() > 1
    assert (moved != code).sum() == 1


def test_a_code_whose_range_does_not_reach_across_stays() -> None:
    ends = np.full(2, 0.1)
    assert (
        smallest_move(
            lambda codes: codes.sum(1), np.zeros(2), threshold=1.0, low=-ends, high=ends, deviation=np.ones(2)
        )
        is None
    )
