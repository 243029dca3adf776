"""The shortest way across a threshold, against a linear programme and a circle."""

import numpy as np
import pytest
from scipy.optimize import linprog

from pellucid.anomaly.counterfactual import move_across, move_inside


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
    moved = move_across(
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
    moved = move_across(
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
        move_across(
            lambda codes: codes.sum(1), np.zeros(2), threshold=1.0, low=-ends, high=ends, deviation=np.ones(2)
        )
        is None
    )


@pytest.mark.parametrize("seed", range(12))
def test_the_way_into_an_ellipsoid_is_as_short_as_a_linear_programme_allows(seed: int) -> None:
    """At the end of the shortest way, no shorter way leads below the tangent plane there."""
    random = np.random.default_rng(seed)
    latents, others = int(random.integers(2, 24)), 8
    values = random.normal(size=(200, latents + others)) @ random.normal(size=(latents + others,) * 2)
    width, directions = np.linalg.eigh(np.corrcoef(values.T))
    whitening = (directions / np.sqrt(width)) @ directions.T
    deviation = random.uniform(0.2, 2, latents)
    code = 1.5 * deviation * random.normal(size=latents)
    axes, offset = whitening[:, :latents] / deviation, whitening[:, latents:] @ random.normal(0, 0.3, others)
    low, high = -2.5 * deviation, 2.5 * deviation
    radius = np.linalg.norm(axes @ code + offset) * random.uniform(0.6, 0.95)
    moved = move_inside(axes, offset, radius, code, low=low, high=high, deviation=deviation)
    assert moved is not None
    ends = axes @ moved + offset
    assert np.linalg.norm(ends) == pytest.approx(radius)
    assert (moved >= np.minimum(low, code) - 1e-9).all()
    assert (moved <= np.maximum(high, code) + 1e-9).all()
    tangent = axes.T @ ends
    bound = linprog(
        np.r_[1 / deviation, 1 / deviation],
        A_ub=np.r_[tangent, -tangent][None],
        b_ub=[tangent @ (moved - code)],
        bounds=[(0, reach) for reach in np.r_[np.maximum(high, code) - code, code - np.minimum(low, code)]],
    )
    assert (np.abs(moved - code) / deviation).sum() == pytest.approx(bound.fun, rel=1e-4)


def test_one_latent_after_another_would_be_longer_or_would_not_get_in_at_all() -> None:
    limits = {"low": np.full(2, -6.0), "high": np.full(2, 6.0), "deviation": np.ones(2)}
    corner = np.array([1.0, -1.0])
    moved = move_inside(np.eye(2), np.zeros(2), 1.0, corner, **limits)
    assert moved == pytest.approx([0.5**0.5, -(0.5**0.5)], abs=1e-6)
    greedy = move_across(lambda codes: -np.square(codes).sum(1), corner, threshold=-1.0, **limits)
    assert greedy == pytest.approx([0, -1], abs=1e-6)
    axes, code = np.array([[1.0, 0.0], [-1.0, -1.0]]), np.array([-4.0, -2.0])
    assert (
        move_across(lambda codes: -np.square(codes @ axes.T).sum(1), code, threshold=-1.0, **limits) is None
    )
    moved = move_inside(axes, np.zeros(2), 1.0, code, **limits)
    assert moved is not None
    steps = np.linspace(-6, 6, 1201)
    grid = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    within = grid[np.linalg.norm(grid @ axes.T, axis=1) <= 1]
    assert np.abs(moved - code).sum() == pytest.approx(np.abs(within - code).sum(1).min(), abs=0.03)


def test_an_ellipsoid_out_of_range_is_not_reached_and_a_latent_without_range_stays() -> None:
    code, axes = np.array([4.0, 5.0]), np.eye(2)
    limits = {"low": np.array([-1.0, 5.0]), "high": np.array([1.0, 5.0]), "deviation": np.ones(2)}
    assert move_inside(axes, np.zeros(2), 4.9, code, **limits) is None
    assert move_inside(axes, np.zeros(2), 0.0, code, **limits) is None
    moved = move_inside(
        axes, np.zeros(2), 13**0.5 + 1e-12, np.array([9.0, 3.0]), **limits | {"high": limits["low"]}
    )
    assert moved == pytest.approx([2.0, 3.0], abs=1e-5)
