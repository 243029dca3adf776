import numpy as np
import pytest
import torch

from pellucid.data import people, scenes
from pellucid.data.images import Preprocessing
from pellucid.data.store import open_dataset, open_prepared
from pellucid.errors import ConfigError


def test_people_are_drawn_from_the_factors_that_are_told() -> None:
    data = open_dataset("people", size=32, skip=100, limit=5_000)
    rows = np.array([4_999, 0, 17])
    assert data.attributes is not None
    values = data.attributes.lookup(rows)
    assert data.attributes.names == people.NAMES
    drawn = (people.render(torch.from_numpy(values), 32) * 255).round() / 255
    assert torch.allclose(data.batch(rows), drawn, atol=1e-6)
    assert np.array_equal(values, people.factors_of(rows + 100).numpy())
    kinds = dict(zip(data.attributes.names, data.attributes.kinds, strict=True))
    assert (kinds["hat"], kinds["smile"]) == ("binary", "ordinal")


def test_scenes_are_drawn_with_their_kind_and_texture() -> None:
    data = open_dataset("scenes", size=32, limit=200)
    rows = np.array([3, 150])
    assert data.attributes is not None
    assert data.attributes.lookup(rows)[:, 1].tolist() == pytest.approx(scenes.texture_of(rows).tolist())
    assert data.attributes.lookup(rows)[:, 0].tolist() == scenes.kind_of(rows).tolist()
    assert torch.allclose(data.batch(rows), (scenes.render(rows, 32) * 255).round() / 255, atol=1e-6)


def test_sizes_and_parts_have_their_own_fingerprints() -> None:
    opened = [
        open_dataset("people", size=32),
        open_dataset("people"),
        open_dataset("people", limit=10),
        open_dataset("scenes"),
    ]
    assert len({data.fingerprint for data in opened}) == 4
    assert open_dataset("people").fingerprint == opened[1].fingerprint


@pytest.mark.parametrize("name", ["people", "scenes"])
@pytest.mark.parametrize("setting", [{"channels": 1}, {"crop": "celeba"}, {"size": 48}])
def test_other_forms_are_refused(name: str, setting: dict) -> None:
    with pytest.raises(ConfigError, match=f"{name}: expected size 32 or 64 or 128 or 256, 3 channels"):
        open_dataset(name, **setting)


def test_a_set_that_a_model_cannot_take_is_told_by_what_the_model_takes() -> None:
    with pytest.raises(ConfigError, match="sprites: drawn as grey images of 64 .* the model takes color"):
        open_prepared("sprites", Preprocessing(64, 3, "center"))
    with pytest.raises(ConfigError, match="people: drawn as color .* the model takes grey"):
        open_prepared("people", Preprocessing(64, 1, "whole"))
