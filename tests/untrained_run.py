"""Runs on disk of models that have learned nothing."""

from pathlib import Path

import torch

from pellucid.data.images import Preprocessing
from pellucid.model.architecture import Architecture
from pellucid.model.directory import ModelConfig, save_model
from pellucid.model.vae import VAE


def make_untrained_run(
    run: Path,
    *,
    preset: str = "burgess",
    channels: int = 3,
    latents: int = 6,
    crop: str = "center",
    window: tuple[float, float] | None = None,
    source: str = "people",
    spread: float = 20,
) -> Path:
    """The run of an untrained model of 32 pixels a side; `spread` makes codes of different images differ."""
    vae = VAE(Architecture(preset, 32, channels, latents))
    vae.initialise(torch.Generator().manual_seed(0))
    vae.encoder[-1].weight.data[:latents] *= spread
    preprocessing = Preprocessing(32, channels, crop, window)  # type: ignore[arg-type]
    data = {"description": "nothing", "source": source, "kind": source}
    save_model(run, vae.state_dict(), ModelConfig(vae.architecture, preprocessing, data, {}))
    return run
