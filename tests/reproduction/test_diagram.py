import pytest
import torch

from pellucid.model.architecture import Architecture
from pellucid.model.vae import VAE
from pellucid.reproduction.diagram import layers_of


@pytest.mark.parametrize("preset", ["burgess", "broadcast", "photo"])
def test_the_layers_have_all_weights_and_end_in_codes_and_pictures(preset: str) -> None:
    vae = VAE(Architecture(preset, 32, 3, 5)).eval()
    encoder = layers_of(vae.encoder, torch.zeros(1, 3, 32, 32))
    decoder = layers_of(vae.decoder, torch.zeros(1, 5))
    weights = sum(layer.weights for layer in encoder + decoder)
    assert weights == sum(parameter.numel() for parameter in vae.parameters())
    assert encoder[-1].shape == (10,)
    assert decoder[-1].shape == (3, 32, 32)
