"""A latent that falls with what it is called is turned around, and nothing else changes."""

import pytest
import torch

from pellucid.latents.names import LatentRecord, LatentTable
from pellucid.latents.orientation import backwards, turn_around
from pellucid.latents.tracking import track
from pellucid.model.architecture import PRESETS, Architecture
from pellucid.model.vae import VAE


def test_latents_that_fall_with_their_name_are_found() -> None:
    values = torch.rand(400, 2, generator=torch.Generator().manual_seed(0)).numpy()
    codes = values[:, [0, 0, 1, 1]] * [1, -1, 1, -1]
    found = track(codes, values, ("hair_color", "Smile"), ("ordinal", "ordinal"))
    names = ("hair color", "hair color too", "hair color 2", "smile")
    table = LatentTable(tuple(LatentRecord(index, name) for index, name in enumerate(names)))
    assert backwards(table, found) == [3]
    table = LatentTable(tuple(LatentRecord(i, n) for i, n in enumerate((None, "hair color", "smile", None))))
    assert backwards(table, found) == [1]


@pytest.mark.parametrize("preset", PRESETS)
def test_turning_around_negates_the_codes_and_keeps_every_image(
    preset: str, generator: torch.Generator
) -> None:
    vae = VAE(Architecture(preset, 32, 3, 5))
    vae.initialise(generator)
    torch.nn.init.normal_(vae.encoder[-1].bias, generator=generator)
    images = torch.rand(4, 3, 32, 32, generator=generator)
    with torch.no_grad():
        before = vae.encode(images)
        drawn = vae.decode(before.mean)
        turn_around(vae, [1, 4])
        after = vae.encode(images)
        sign = torch.tensor([1.0, -1.0, 1.0, 1.0, -1.0])
        assert torch.equal(after.mean, sign * before.mean)
        assert torch.equal(after.log_variance, before.log_variance)
        assert torch.equal(vae.decode(after.mean), drawn)
