from pathlib import Path

import pytest

from pellucid.data.dataset import Dataset
from pellucid.model.architecture import Architecture
from pellucid.objective.objectives import Objective
from pellucid.sweep.grid import Plan, grid
from pellucid.training.config import TrainingConfig


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
