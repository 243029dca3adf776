"""Codes whose scores are known: the factors themselves, noise, a copy, a rotation."""

import itertools
import math

import numpy as np
import pytest

SIZES = (3, 6, 40, 32)
"""dSprites' factors, but for the second position, which is like the first."""


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def grid() -> np.ndarray:
    """Every combination of the factors once, so they are independent exactly: float64 [23,040 4]."""
    return np.array(list(itertools.product(*(range(size) for size in SIZES))), np.float64)


@pytest.fixture(scope="session")
def identity(grid: np.ndarray) -> np.ndarray:
    """A latent for each factor, with mean 0 and variance 1."""
    return (grid - grid.mean(axis=0)) / grid.std(axis=0)


@pytest.fixture(scope="session")
def duplicated(identity: np.ndarray) -> np.ndarray:
    """Every latent twice."""
    return np.concatenate([identity, identity], axis=1)


@pytest.fixture(scope="session")
def rotated(identity: np.ndarray) -> np.ndarray:
    """Latents 0 and 1, and 2 and 3, turned by 45 degrees: each says as much of one factor as of another."""
    turn = np.array([[1, -1], [1, 1]]) * math.sqrt(0.5)
    return identity @ np.kron(np.eye(2), turn)


@pytest.fixture(scope="session")
def noise(grid: np.ndarray) -> np.ndarray:
    """Latents that have nothing to do with the factors."""
    return np.random.default_rng(1).standard_normal(grid.shape)
