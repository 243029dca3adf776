"""Cards of a decoder made by hand, where it is known which pixels a latent moves."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pellucid.data.images import Preprocessing
from pellucid.errors import DataError
from pellucid.latents.activity import Codes
from pellucid.latents.cards import build_cards, response_map, typical_images
from pellucid.latents.names import LatentRecord, LatentTable, rename
from pellucid.latents.tracking import Tracking
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
    return rename(LatentTable(tuple(LatentRecord(i) for i in range(LATENTS))), 2, "sunglasses")


@pytest.fixture
def codes() -> Codes:
    # z2 carries most, then z0; z1 and z3 are the prior
    mean = np.random.default_rng(0).standard_normal((200, LATENTS)) * [0.5, 0.0, 2.0, 0.0]
    log_variance = np.tile(np.log([0.5, 1.0, 0.01, 1.0]), (200, 1))
    return Codes(mean.astype(np.float32), log_variance.astype(np.float32))


def test_response_is_the_closed_form_where_the_latent_acts_and_zero_elsewhere(model: Model) -> None:
    seeds = torch.randn(5, LATENTS, generator=torch.Generator().manual_seed(1))
    response = response_map(model, seeds, 1, -2.0, 1.0)
    expected = 1 / (1 + math.exp(-1)) - 1 / (1 + math.exp(2))
    assert response[8:16] == pytest.approx(np.full((8, 32), expected), abs=1e-6)
    assert not response[:8].any()
    assert not response[16:].any()


def test_response_does_not_depend_on_which_end_is_first(model: Model) -> None:
    seeds = torch.zeros(1, LATENTS)
    assert np.array_equal(response_map(model, seeds, 0, -1.0, 2.0), response_map(model, seeds, 0, 2.0, -1.0))


def test_there_is_a_card_for_each_active_latent_by_kl(model: Model, table: LatentTable, codes: Codes) -> None:
    cards = build_cards(model, table, codes)
    assert [card.latent for card in cards] == [2, 0]
    assert [card.label for card in cards] == ["z2 sunglasses", "z0"]
    first = cards[0]
    assert (first.name, first.suggested, first.evidence) == ("sunglasses", False, None)
    mean = codes.mean[:, 2].astype(np.float64)
    assert first.kl == pytest.approx(0.5 * ((mean**2).mean() + 0.01 - math.log(0.01) - 1), rel=1e-5)
    assert (first.low, first.high) == pytest.approx(tuple(np.quantile(mean, [0.01, 0.99])), rel=1e-5)
    assert first.response[16:24].min() > 0.9
    assert not first.response[:16].any()


def test_the_histogram_holds_every_image_and_shows_the_prior(
    model: Model, table: LatentTable, codes: Codes
) -> None:
    for card in build_cards(model, table, codes):
        assert card.counts.sum() == 200
        assert card.edges[0] <= -3
        assert card.edges[-1] >= 3
    assert card.edges.tolist() == pytest.approx(np.linspace(-3, 3, 41).tolist())


def test_the_strip_starts_with_the_average_and_goes_on_with_real_images(
    model: Model, table: LatentTable, codes: Codes
) -> None:
    strip = build_cards(model, table, codes)[0].strip
    assert strip.labels == ("average", "typical image 1", "typical image 2")
    still = strip.images[:, 0, 0, 0, 0]  # a pixel that only z0 moves
    typical = codes.mean[typical_images(codes.mean[:, [2, 0]]), 0]
    assert still.tolist() == pytest.approx([0.5, *(1 / (1 + np.exp(-typical)))], abs=1e-6)


def test_the_strongest_tracks_above_chance_are_shown(model: Model, table: LatentTable, codes: Codes) -> None:
    def auc(latent: int, value: float, low: float) -> Tracking:
        return Tracking(latent, f"a{value}", "AUC", value, 1, 200, 50, low, 1.0, 2 * value - 1, 0.001)

    size = Tracking(2, "size", "correlation", 0.75, 1, 200, None, 0.7, 0.8, 0.75, 0.001)
    found = [auc(2, value, 0.55) for value in (0.6, 0.8, 0.9, 0.7, 0.65)]
    doubtful = [auc(2, 0.95, 0.45), replace(auc(2, 0.94, 0.9), p_value=0.06)]
    cards = build_cards(model, table, codes, trackings=[*found, size, *doubtful, auc(0, 0.99, 0.9)])
    # a correlation of 0.75 lies between AUC 0.9 (strength 0.8) and 0.8 (0.6)
    assert [track.attribute for track in cards[0].tracks] == ["a0.9", "size", "a0.8", "a0.7", "a0.65"]
    assert [track.attribute for track in cards[1].tracks] == ["a0.99"]


def test_typical_images_are_the_nearest_to_the_median_and_its_opposite() -> None:
    codes = np.array([[0.0], [0.1], [-0.2], [5.0], [-5.0], [0.3], [9.0], [-9.0]], np.float32)
    # the median is 0.05: rows 0, 1, 2, 5 are the nearer half, and row 5 is farthest from row 0
    assert typical_images(codes).tolist() == [0, 5]


def test_one_image_is_enough_and_none_is_refused(model: Model, table: LatentTable, codes: Codes) -> None:
    assert typical_images(codes.mean[:1]).tolist() == [0]
    assert build_cards(model, table, Codes(codes.mean[:1], codes.log_variance[:1])) == ()
    with pytest.raises(DataError, match="at least 1 image"):
        build_cards(model, table, Codes(codes.mean[:0], codes.log_variance[:0]))


def test_a_collapsed_model_has_no_cards(model: Model, table: LatentTable) -> None:
    assert build_cards(model, table, Codes(np.zeros((9, 4), np.float32), np.zeros((9, 4), np.float32))) == ()
