from pathlib import Path

import pytest
import torch

from pellucid.data.images import Preprocessing
from pellucid.model.architecture import Architecture
from pellucid.model.directory import ModelConfig, save_model
from pellucid.model.vae import VAE


@pytest.fixture
def config() -> ModelConfig:
    return ModelConfig(
        Architecture("burgess", 32, 3, 4), Preprocessing(32, 3, "center"), {"description": "noise"}, {}
    )


@pytest.fixture
def vae(config: ModelConfig, generator: torch.Generator) -> VAE:
    vae = VAE(config.architecture)
    vae.initialise(generator)
    return vae.eval()


@pytest.fixture
def run(tmp_path: Path, vae: VAE, config: ModelConfig) -> Path:
    save_model(tmp_path / "run", vae.state_dict(), config)
    return tmp_path / "run"
