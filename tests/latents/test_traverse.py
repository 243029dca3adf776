"""Traversals through a decoder made by hand, where every pixel is known."""

import math

import pytest
import torch
from torch import Tensor, nn

from pellucid.data.images import Preprocessing
from pellucid.errors import ConfigError, LatentError
from pellucid.latents.names import LatentRecord, LatentTable, rename
from pellucid.latents.traverse import traverse_latents, traverse_seeds
from pellucid.model.architecture import Architecture
from pellucid.model.directory import ModelConfig
from pellucid.model.predictor import Model
from pellucid.model.vae import VAE

LATENTS = 4


class Bands(nn.Module):
    """Latent j is the logit of the 8 rows from 8 j on."""

    def forward(self, z: Tensor) -> Tensor:
        return z.repeat_interleave(8, dim=1)[:, None, :, None].expand(-1, 1, 32, 32)


@pytest.fixture
def model(generator: torch.Generator) -> Model:
    architecture = Architecture("burgess", 32, 1, LATENTS)
    vae = VAE(architecture)
    vae.initialise(generator)
    vae.decoder = Bands()
    return Model(vae, ModelConfig(architecture, Preprocessing(32, 1, "whole"), {}, {}))


@pytest.fixture
def table() -> LatentTable:
    kl = (0.5, 0.0, 2.0, 1.0)
    records = (LatentRecord(i, kl=kl[i], active=kl[i] > 0.1) for i in range(LATENTS))
    return rename(LatentTable(tuple(records)), 2, "sunglasses")


@pytest.fixture
def photos(generator: torch.Generator) -> Tensor:
    return torch.rand(3, 1, 32, 32, generator=generator)


def band(latent: int) -> slice:
    return slice(8 * latent, 8 * latent + 8)


def sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def test_rows_are_the_active_latents_by_kl_with_names(model: Model, table: LatentTable) -> None:
    traversal = traverse_latents(model, table)
    assert traversal.labels == ("z2 sunglasses, KL 2.00", "z3, KL 1.00", "z0, KL 0.50")
    assert traversal.values.tolist() == [-3, -2.25, -1.5, -0.75, 0, 0.75, 1.5, 2.25, 3]
    assert traversal.starts is None
    assert traversal.title == "Each latent of the average image from -3 to 3"


def test_each_row_moves_its_own_latent_and_no_other(model: Model, table: LatentTable) -> None:
    start = torch.tensor([[0.1, 0.2, 0.3, 0.4]])
    traversal = traverse_latents(model, table, start=start, latents=[3, 1], low=-1, high=2, steps=4)
    for row, moved in enumerate((3, 1)):
        for step, value in enumerate((-1.0, 0.0, 1.0, 2.0)):
            for latent in range(LATENTS):
                expected = sigmoid(value if latent == moved else start[0, latent].item())
                pixels = traversal.images[row, step, :, band(latent)]
                assert pixels == pytest.approx(torch.full_like(pixels, expected).numpy(), abs=1e-6)
    assert start.tolist() == torch.tensor([[0.1, 0.2, 0.3, 0.4]]).tolist()


def test_a_photo_starts_from_its_posterior_mean(model: Model, table: LatentTable, photos: Tensor) -> None:
    traversal = traverse_latents(model, table, photo=photos[:1])
    same = traverse_latents(model, table, start=model.encode(photos[:1]).mean)
    assert torch.equal(traversal.images, same.images)
    assert traversal.starts is not None
    assert torch.equal(traversal.starts, photos[:1].expand(3, -1, -1, -1))


def test_without_measurements_every_latent_has_a_row(model: Model) -> None:
    nothing = LatentTable(tuple(LatentRecord(i) for i in range(LATENTS)))
    assert traverse_latents(model, nothing).labels == ("z0", "z1", "z2", "z3")


def test_rows_of_seeds_differ_in_all_but_the_moved_latent(
    model: Model, table: LatentTable, photos: Tensor
) -> None:
    traversal = traverse_seeds(model, table, latent=2, photos=photos, steps=3)
    assert traversal.labels == ("image 1", "image 2", "image 3")
    assert traversal.title == "z2 sunglasses from -3 to 3"
    assert traversal.starts is not None
    assert torch.equal(traversal.starts, photos)
    means = model.encode(photos).mean
    for row in range(3):
        for latent in (0, 1, 3):
            pixels = traversal.images[row, :, :, band(latent)]
            expected = torch.full_like(pixels, sigmoid(means[row, latent].item()))
            assert pixels == pytest.approx(expected.numpy(), abs=1e-6)
        moved = traversal.images[row, :, 0, 16, 0]
        assert moved.tolist() == pytest.approx([sigmoid(-3), 0.5, sigmoid(3)], abs=1e-6)


def test_one_latent_of_the_prior_is_one_row(model: Model, table: LatentTable) -> None:
    assert traverse_seeds(model, table, latent=0, labels=["average"]).labels == ("average",)


@pytest.mark.parametrize(
    "range_",
    [{"low": 3.0, "high": -3.0}, {"high": math.nan}, {"low": -math.inf}, {"steps": 1}, {"steps": 201}],
)
def test_a_range_that_makes_no_sense_is_refused(
    model: Model, table: LatentTable, range_: dict[str, float]
) -> None:
    with pytest.raises(ConfigError):
        traverse_latents(model, table, **range_)
    with pytest.raises(ConfigError):
        traverse_seeds(model, table, latent=0, **range_)


@pytest.mark.parametrize("latent", [-1, LATENTS])
def test_a_latent_that_is_not_there_is_refused(model: Model, table: LatentTable, latent: int) -> None:
    with pytest.raises(LatentError):
        traverse_latents(model, table, latents=[latent])
    with pytest.raises(LatentError):
        traverse_seeds(model, table, latent=latent)


def test_the_codes_of_another_model_are_refused(model: Model, table: LatentTable) -> None:
    with pytest.raises(LatentError, match="4 latents"):
        traverse_latents(model, table, start=torch.zeros(1, 5))


def test_no_latents_and_missing_labels_are_refused(model: Model, table: LatentTable) -> None:
    with pytest.raises(LatentError, match="at least one"):
        traverse_latents(model, table, latents=[])
    with pytest.raises(ConfigError, match="labels"):
        traverse_seeds(model, table, latent=0, labels=["one", "two"])
