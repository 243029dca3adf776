"""Features of a small model with random weights: which numbers, in which rows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import structural_similarity

from pellucid.anomaly import features as module
from pellucid.anomaly.features import (
    LOSS_COLUMNS,
    Features,
    columns_of,
    measure,
    measure_images,
)
from pellucid.anomaly.texture import TEXTURE, texture
from pellucid.data.dataset import Dataset
from pellucid.data.images import Preprocessing
from pellucid.data.store import open_dataset
from pellucid.errors import ConfigError, DataError, ImageError, RunError
from pellucid.model.architecture import Architecture
from pellucid.model.directory import ModelConfig
from pellucid.model.predictor import Model
from pellucid.model.vae import VAE


@pytest.fixture
def model(generator: torch.Generator) -> Model:
    architecture = Architecture("burgess", 32, 3, 4)
    vae = VAE(architecture)
    vae.initialise(generator)
    return Model(vae, ModelConfig(architecture, Preprocessing(32, 3, "center"), {}, {}))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Seven pictures, of which the third is damaged and the last is text."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (7, 32, 32, 3), np.uint8)
    for at, image in enumerate(pixels):
        Image.fromarray(image).save(pictures / f"{at}.png")
    (pictures / "2.png").write_bytes((pictures / "2.png").read_bytes()[:500])
    (pictures / "6.png").write_text("no picture")
    return pictures


@pytest.fixture
def dataset(folder: Path) -> Dataset:
    return open_dataset(folder, size=32, workers=0)


def test_losses_are_those_of_the_reconstruction_and_latents_the_posterior_mean(
    model: Model, dataset: Dataset
) -> None:
    found = measure(model, dataset, np.array([3]))
    image = dataset.batch(np.array([3]))
    x, y = (tensor[0].double().numpy() for tensor in (image, model.reconstruct(image)))
    similarity = structural_similarity(
        x, y, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1, channel_axis=0
    )
    row = dict(zip(found.columns, found.values[0], strict=True))
    assert row["mse"] == pytest.approx(((x - y) ** 2).mean(), rel=1e-5)
    assert row["mae"] == pytest.approx(np.abs(x - y).mean(), rel=1e-5)
    assert row["cosine"] == pytest.approx(1 - (x * y).sum() / np.sqrt((x**2).sum() * (y**2).sum()), rel=1e-4)
    assert row["ssim"] == pytest.approx(1 - similarity, rel=1e-5)
    assert [row[f"z{latent}"] for latent in range(4)] == pytest.approx(model.encode(image).mean[0].tolist())
    assert found.select(TEXTURE)[0] == pytest.approx(texture(image)[0].numpy())
    assert found.columns[:6] == LOSS_COLUMNS


def test_rows_are_measured_in_their_order_whatever_the_batches(
    model: Model, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = measure(model, dataset, np.arange(5))
    monkeypatch.setattr(module, "_BATCH", 2)
    turned = measure(model, dataset, np.arange(4, -1, -1))
    assert turned.names == whole.names[::-1]
    assert turned.values[::-1] == pytest.approx(whole.values, abs=1e-6)


def test_images_in_memory_give_what_their_files_give(model: Model, folder: Path, dataset: Dataset) -> None:
    pictures = [Image.open(folder / f"{at}.png") for at in (0, 1)]
    found = measure_images(model, pictures)
    rows = measure(model, dataset, np.arange(2))
    assert found.values == pytest.approx(rows.values, abs=1e-6)
    assert found.names == ("00000000", "00000001")
    assert measure_images(model, pictures[0], ["first"]).names == ("first",)


def test_what_cannot_be_measured_is_refused(model: Model, folder: Path, dataset: Dataset) -> None:
    with pytest.raises(DataError, match="at least 1 image"):
        measure(model, dataset, np.arange(0))
    with pytest.raises(DataError, match="prepared as in training"):
        measure(model, replace(dataset, preprocessing=Preprocessing(32, 3, "whole")), np.arange(2))
    with pytest.raises(ImageError, match="damaged"):
        measure_images(model, folder / "2.png")
    with pytest.raises(DataError, match="one name for each of 1"):
        measure_images(model, folder / "0.png", ["a", "b"])
    torch.nn.init.constant_(model.vae.encoder[-1].bias, float("nan"))
    with pytest.raises(RunError, match="finite"):
        measure_images(model, folder / "0.png")


@pytest.mark.parametrize(
    ("choice", "columns"),
    [
        ("losses", LOSS_COLUMNS),
        ("latents", ("z0", "z1", "z2")),
        ("losses+latents", (*LOSS_COLUMNS, "z0", "z1", "z2")),
        ("mse, ssim,z2", ("mse", "ssim", "z2")),
        ("z1,latents", ("z1", "z0", "z2")),
        (["z0", "cosine"], ("z0", "cosine")),
    ],
)
def test_a_choice_of_columns_means(choice: str | list[str], columns: tuple[str, ...]) -> None:
    assert columns_of(choice, 3) == columns


@pytest.mark.parametrize("choice", ["", "z3", "z01", "lpips", "losses latents", ["mse", ""], []])
def test_a_choice_of_columns_that_are_not_there_is_refused(choice: str | list[str]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        columns_of(choice, 3)


def made(names: tuple[str, ...]) -> Features:
    """Numbers with many digits, and a last image that could not be read."""
    chance = np.random.default_rng(0)
    values = chance.standard_normal((len(names), 2))
    values[-1] = np.nan
    return Features(("mse", "z0"), values, names, ("",) * (len(names) - 1) + ("is damaged, or\nnot",))


def test_images_and_columns_are_chosen_in_the_order_asked_for() -> None:
    features = made(("a", "b", "c"))
    assert features.of(np.array([2, 0])).names == ("c", "a")
    assert features.of(np.array([2, 0])).readable.tolist() == [False, True]
    assert np.array_equal(features.of(features.readable).select(["z0", "mse"]), features.values[:2, ::-1])
    with pytest.raises(ConfigError, match="'ssim'"):
        features.select(["ssim"])
