"""What is not like the images that a model knows is said beside every comparison."""

import numpy as np
import pytest
import torch

import pellucid
from pellucid.anomaly.storage import detector_of
from pellucid.anomaly.strangers import strangers
from pellucid.model.predictor import Model


@pytest.fixture(scope="module")
def model() -> Model:
    return pellucid.pretrained("people", device="cpu")


def test_a_picture_that_the_model_cannot_know_is_said_by_its_letter(model: Model) -> None:
    assert model.directory is not None
    table = pellucid.read_latents(model.directory, model.latents)
    detector = detector_of(model, table)
    people, scenes = (
        pellucid.open_dataset(kind, skip=960_000, limit=2).batch(np.arange(2))
        for kind in ("people", "scenes")
    )
    for a, b, which in (
        (people[:1], people[1:], None),
        (people[:1], scenes[:1], "B"),
        (scenes[:1], people[:1], "A"),
        (scenes[:1], scenes[1:], "A and B"),
    ):
        found = pellucid.compare(model, a, b, table=table, detector=detector)
        if which is None:
            assert found.cautions == ()
        else:
            assert f"takes {which} for anomalous" in found.cautions[0]
            assert found.cautions[0] in found.sentence
    many = strangers(detector, torch.cat([scenes, scenes, people]), "abcdef")
    assert "takes 4 of 6 images for anomalous" in many[0]
    assert strangers(None, torch.cat([scenes, people]), "abcd") == ()


def test_a_run_without_a_detector_warns_of_nothing(model: Model) -> None:
    table = pellucid.read_latents(model.directory, model.latents)
    assert detector_of(Model(model.vae, model.config, device=model.device), table) is None
