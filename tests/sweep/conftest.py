from pathlib import Path

import numpy as np
import pytest

from pellucid.data.dataset import Dataset
from pellucid.data.store import open_dataset
from pellucid.model.architecture import Architecture
from pellucid.objective.objectives import Objective
from pellucid.sweep.grid import Plan, grid
from pellucid.training.config import TrainingConfig


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """200 grey pictures of a bright bar, whose place is all there is to know, and nobody says it."""
    chance = np.random.default_rng(0)
    pixels = np.zeros((200, 32, 32), np.uint8)
    for image, left in zip(pixels, chance.integers(0, 24, 200), strict=True):
        image[:, left : left + 8] = 255
    np.save(tmp_path / "bars.npy", pixels)
    return open_dataset(tmp_path / "bars.npy", size=32)


@pytest.fixture
def plan(dataset: Dataset, tmp_path: Path) -> Plan:
    """Four runs of six steps."""
    config = TrainingConfig(
        Objective(losses=(("cross_entropy", 1.0),)),
        steps=6,
        batch_size=8,
        precision="float32",
        log_every=2,
        validations=0,
    )
    architecture = Architecture("burgess", 32, 1, 3)
    return Plan(dataset, architecture, config, grid("beta-tcvae", (1, 4), 2), tmp_path / "sweep", "cpu")
