import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import percentileofscore

from pellucid.data.dataset import Dataset
from pellucid.data.images import to_float
from pellucid.errors import DataError, RunError
from pellucid.latents.typical import (
    LEVELS,
    MOST_IMAGES,
    TYPICAL,
    Typical,
    average_picture,
    measure_typical,
    read_typical,
    write_typical,
)
from pellucid.model.architecture import Architecture
from pellucid.model.directory import ModelConfig, save_model
from pellucid.model.predictor import Model, load
from pellucid.model.sealed import read_sealed, write_sealed
from pellucid.model.vae import VAE
from pellucid.objective.reconstruction import LOSSES, reconstruction_losses

pytestmark = pytest.mark.usefixtures("as_installed")


@pytest.fixture
def model(dataset: Dataset, tmp_path: Path) -> Model:
    """An untrained model of the pictures of a bar."""
    vae = VAE(Architecture("burgess", 32, 1, 3))
    vae.initialise(torch.Generator().manual_seed(0))
    save_model(
        tmp_path / "run", vae.state_dict(), ModelConfig(vae.architecture, dataset.preprocessing, {}, {})
    )
    return load(tmp_path / "run", device="cpu")


@pytest.fixture
def typical(model: Model, dataset: Dataset) -> Typical:
    return measure_typical(model, dataset, dataset.rows("all"), samples=7)


def of_values(values: np.ndarray) -> Typical:
    quantiles = np.quantile(values, np.linspace(0, 1, LEVELS))
    losses = np.tile(quantiles, (len(LOSSES), 1))
    average, pixels = np.zeros((1, 32, 32), np.float32), np.zeros((0, 32, 32, 1), np.uint8)
    return Typical(len(values), losses, average, pixels, ())


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1), st.floats(-0.5, 1.5))
def test_a_rank_is_the_share_of_smaller_losses(seed: int, value: float) -> None:
    values = np.random.default_rng(seed).random(LEVELS)  # as many as levels: every value is a quantile
    assert of_values(values).rank("ssim", value) == pytest.approx(
        percentileofscore(values, value, "mean") / 100, abs=1.01 / LEVELS
    )


def test_equal_losses_count_half_and_the_ends_are_0_and_1() -> None:
    equal = of_values(np.full(50, 0.3))
    assert [equal.rank("mse", value) for value in (0.2, 0.3, 0.4)] == [0.0, 0.5, 1.0]
    half = of_values(np.repeat([0.0, 1.0], 500))
    assert half.rank("mse", 0.0) == pytest.approx(0.25, abs=0.01)
    assert half.rank("mse", 0.5) == pytest.approx(0.5, abs=0.01)


def test_quantiles_are_those_of_the_models_own_losses(
    model: Model, dataset: Dataset, typical: Typical
) -> None:
    images = to_float(dataset.fetch(dataset.rows("all")))
    assert typical.images == len(images) == 200
    for row, loss in zip(
        typical.losses, reconstruction_losses(images, model.reconstruct(images)).values(), strict=True
    ):
        np.testing.assert_allclose(row[[0, 100, 200]], np.quantile(loss.numpy(), [0, 0.5, 1]), rtol=1e-5)
    np.testing.assert_allclose(typical.average, images.numpy().mean(0), atol=1e-6)
    np.testing.assert_array_equal(average_picture(model, typical)[0].numpy(), typical.average)
    assert torch.equal(average_picture(model, None), model.decode(torch.zeros(1, 3)))


def test_samples_are_spread_evenly_over_the_images(dataset: Dataset, typical: Typical) -> None:
    rows = np.array([0, 33, 66, 100, 133, 166, 199])
    np.testing.assert_array_equal(typical.pixels, dataset.fetch(rows))
    assert typical.names == tuple(dataset.names[int(row)] for row in rows)


def test_of_many_images_some_are_measured(model: Model, dataset: Dataset) -> None:
    many = np.tile(dataset.rows("all"), 20)
    done: list[tuple[int, int]] = []
    found = measure_typical(model, dataset, many, progress=lambda *both: done.append(both))
    assert found.images == MOST_IMAGES
    assert done[-1] == (MOST_IMAGES, MOST_IMAGES)
    with pytest.raises(DataError, match="at least 1 image"):
        measure_typical(model, dataset, many[:0])


def test_what_is_kept_is_read_back_to_the_last_bit_and_replaces_what_was(
    model: Model, typical: Typical
) -> None:
    assert model.directory is not None
    assert read_typical(model) is None
    write_typical(model.directory, replace(typical, images=5, losses=typical.losses + 1), model)
    write_typical(model.directory, typical, model)
    found = read_typical(model)
    assert found is not None
    np.testing.assert_array_equal(found.losses, typical.losses)
    np.testing.assert_array_equal(found.pixels, typical.pixels)
    np.testing.assert_array_equal(found.average, typical.average)
    assert (found.images, found.names) == (typical.images, typical.names)
    assert len(list(model.directory.glob("typical-*"))) == 1


def test_of_other_weights_it_is_as_if_there_were_none(model: Model, typical: Typical) -> None:
    assert model.directory is not None
    write_typical(model.directory, typical, model)
    model.fingerprint = "0" * 64
    assert read_typical(model) is None


@pytest.mark.parametrize(
    "change",
    [
        {"version": 9},
        {"more": 1},
        {"images": 0},
        {"images": True},
        {"names": "a"},
        {"names": ["a"] * 101},
        {"names": ["a"]},
        {"names": ["\n"] * 7},
        {"arrays": "../../etc/passwd"},
        {"arrays": "0" * 64},
    ],
)
def test_other_content_is_refused(model: Model, typical: Typical, change: dict[str, object]) -> None:
    assert model.directory is not None
    write_typical(model.directory, typical, model)
    path = model.directory / TYPICAL
    write_sealed(path, {**read_sealed(path), **change})
    with pytest.raises(RunError):
        read_typical(model)


def test_damaged_files_are_refused(model: Model, typical: Typical) -> None:
    assert model.directory is not None
    write_typical(model.directory, typical, model)
    chance = np.random.default_rng(0)
    for path in (model.directory / TYPICAL, next(model.directory.glob("typical-*"))):
        whole = path.read_bytes()
        for _ in range(40):
            at = int(chance.integers(len(whole)))
            damaged = whole[:at] + bytes([whole[at] ^ int(chance.integers(1, 256))]) + whole[at + 1 :]
            path.write_bytes(damaged if chance.random() < 0.7 else whole[:at])
            try:
                found = read_typical(model)
            except RunError:
                continue
            # white space between JSON's words means nothing
            assert found is not None
            assert json.loads(damaged) == json.loads(whole)
        path.write_bytes(whole)


def test_an_average_beyond_black_and_white_is_refused(model: Model, typical: Typical) -> None:
    assert model.directory is not None
    for value in (1.5, -0.1, np.nan):
        average = np.full_like(typical.average, value)
        write_typical(model.directory, replace(typical, average=average), model)
        with pytest.raises(RunError, match="average"):
            read_typical(model)


def test_quantiles_that_fall_are_refused(model: Model, typical: Typical) -> None:
    assert model.directory is not None
    write_typical(model.directory, replace(typical, losses=typical.losses[:, ::-1].copy()), model)
    with pytest.raises(RunError, match="ascending"):
        read_typical(model)
