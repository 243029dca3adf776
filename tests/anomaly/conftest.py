"""A model that has learned nothing, smooth pictures that are normal to it, and noise that is not."""

import numpy as np
import pytest
import torch
from torch import Tensor

from pellucid.anomaly.detector import Detector
from pellucid.data.images import Preprocessing
from pellucid.model.architecture import Architecture
from pellucid.model.directory import ModelConfig
from pellucid.model.predictor import Model
from pellucid.model.vae import VAE


@pytest.fixture(scope="session")
def blank_model() -> Model:
    """Untrained: its codes are fixed random projections, its reconstructions grey."""
    vae = VAE(Architecture("burgess", 32, 1, 4))
    vae.initialise(torch.Generator().manual_seed(0))
    config = ModelConfig(vae.architecture, Preprocessing(32, 1, "center"), {}, {})
    return Model(vae, config, fingerprint="f" * 64)


@pytest.fixture(scope="session")
def smooth() -> Tensor:
    """60 grey ramps [60 1 32 32]."""
    chance = np.random.default_rng(0)
    ends = torch.from_numpy(chance.uniform(0.3, 0.7, (60, 2, 1, 1, 1)).astype(np.float32))
    ramp = torch.linspace(0, 1, 32).expand(1, 32, 32)
    return ends[:, 0] * (1 - ramp) + ends[:, 1] * ramp


@pytest.fixture(scope="session")
def noisy(smooth: Tensor) -> Tensor:
    """40 of the ramps under noise of .1 to .25."""
    chance = np.random.default_rng(1)
    size = torch.from_numpy(chance.uniform(0.1, 0.25, (40, 1, 1, 1)).astype(np.float32))
    return (
        smooth[:40] + size * torch.from_numpy(chance.normal(size=(40, 1, 32, 32)).astype(np.float32))
    ).clamp(0, 1)


@pytest.fixture
def detector(blank_model: Model, smooth: Tensor, noisy: Tensor) -> Detector:
    """Fitted to all of these."""
    return Detector(blank_model, remember=20).fit(smooth, noisy)
