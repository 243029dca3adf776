"""What is said against a model that has hardly been trained or hardly uses its latents."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from pellucid.data.images import Preprocessing
from pellucid.latents.caution import MIN_IMAGES_SEEN, cautions, warned
from pellucid.latents.names import LatentRecord, LatentTable
from pellucid.model.architecture import Architecture
from pellucid.model.directory import ModelConfig
from pellucid.model.predictor import Model
from pellucid.model.vae import VAE


@pytest.fixture(scope="module")
def model() -> Model:
    vae = VAE(Architecture("burgess", 32, 1, 4))
    vae.initialise(torch.Generator().manual_seed(0))
    return Model(
        vae, ModelConfig(vae.architecture, Preprocessing(32, 1, "center"), {}, {}), fingerprint="f" * 64
    )


def trained(model: Model, **training: Any) -> Model:
    return Model(model.vae, replace(model.config, training=training), fingerprint="f" * 64)


def table(*active: bool | None) -> LatentTable:
    return LatentTable(tuple(LatentRecord(at, active=used) for at, used in enumerate(active)))


def test_a_model_of_46_steps_says_so(model: Model) -> None:
    said = cautions(trained(model, images_seen=2_944, steps_taken=46), table(True, True, True, False))
    assert said == ("the model has been trained on only 2,944 images in 46 steps",)


def test_few_active_latents_are_counted_once_they_are_measured(model: Model) -> None:
    assert cautions(model, table(False, True, False, False)) == ("only 1 of 4 latents is active",)
    assert cautions(model, table(True, True, False, False)) == ("only 2 of 4 latents are active",)
    assert cautions(model, table(False, False, False, False)) == ("none of 4 latents is active",)
    assert cautions(model, table(None, None, None, None)) == ()


@pytest.mark.parametrize("seen", [MIN_IMAGES_SEEN, None, "few", True, -1, 2.0, 10**400])
def test_nothing_is_said_of_what_is_not_known_or_not_little(model: Model, seen: Any) -> None:
    assert cautions(trained(model, images_seen=seen, steps_taken=46), table(True, True, True, False)) == ()


@pytest.mark.parametrize("steps", [None, "46", -3, 10**400])
def test_steps_that_are_no_number_are_left_out(model: Model, steps: Any) -> None:
    (said,) = cautions(trained(model, images_seen=0, steps_taken=steps), table(True, True, True, True))
    assert said == "the model has been trained on only 0 images"


def test_a_sentence_ends_with_its_cautions() -> None:
    assert warned("Alike.", ("a", "b")) == "Alike. Caution: a; b."
    assert warned("Alike.", ()) == "Alike."
