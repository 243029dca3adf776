"""Features of a small model with random weights: which numbers, in which rows, and how they are written."""

import csv
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
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
    measure_files,
    measure_images,
    write_features,
)
from pellucid.anomaly.texture import TEXTURE, texture
from pellucid.data.dataset import Dataset
from pellucid.data.images import Preprocessing
from pellucid.data.store import open_dataset
from pellucid.errors import ConfigError, DataError, ImageError, MissingExtraError, RunError
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


def test_every_image_of_a_folder_has_a_row_and_the_unreadable_ones_a_reason(
    model: Model, dataset: Dataset
) -> None:
    found = measure(model, dataset)
    assert found.names == tuple(f"{at}.png" for at in range(7))
    assert found.readable.tolist() == [True, True, False, True, True, True, False]
    assert "damaged" in found.problems[2]
    assert np.isnan(found.values).all(axis=1).tolist() == (~found.readable).tolist()
    assert found.of(found.readable).values == pytest.approx(
        measure(model, dataset, np.arange(5)).values, abs=1e-6
    )


def test_files_give_what_the_data_set_of_them_gives(
    model: Model, folder: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BATCH", 3)
    seen: list[tuple[int, int]] = []
    paths = [folder / f"{at}.png" for at in range(7)]
    found = measure_files(model, paths, progress=lambda done, total: seen.append((done, total)))
    expected = measure(model, dataset)
    assert found.names == tuple(map(str, paths))
    assert found.readable.tolist() == expected.readable.tolist()
    assert found.values == pytest.approx(expected.values, abs=1e-6, nan_ok=True)
    assert seen == [(3, 7), (6, 7), (7, 7)]


def test_rows_are_measured_in_their_order_whatever_the_batches(
    model: Model, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = measure(model, dataset, np.arange(5))
    monkeypatch.setattr(module, "_BATCH", 2)
    turned = measure(model, dataset, np.arange(4, -1, -1))
    assert turned.names == whole.names[::-1]
    assert turned.values[::-1] == pytest.approx(whole.values, abs=1e-6)


def test_images_in_memory_give_what_their_files_give(model: Model, folder: Path) -> None:
    pictures = [Image.open(folder / f"{at}.png") for at in (0, 1)]
    found = measure_images(model, pictures)
    expected = measure_files(model, [folder / "0.png", folder / "1.png"])
    assert found.values == pytest.approx(expected.values, abs=1e-6)
    assert found.names == ("00000000", "00000001")
    assert measure_images(model, pictures[0], ["first"]).names == ("first",)


def test_what_cannot_be_measured_is_refused(model: Model, folder: Path, dataset: Dataset) -> None:
    with pytest.raises(DataError, match="at least 1 image"):
        measure(model, dataset, np.arange(0))
    with pytest.raises(DataError, match="at least 1 picture"):
        measure_files(model, [])
    with pytest.raises(DataError, match="prepared as in training"):
        measure(model, replace(dataset, preprocessing=Preprocessing(32, 3, "whole")))
    with pytest.raises(ImageError, match="damaged"):
        measure_images(model, folder / "2.png")
    with pytest.raises(DataError, match="one name for each of 1"):
        measure_images(model, folder / "0.png", ["a", "b"])
    torch.nn.init.constant_(model.vae.encoder[-1].bias, float("nan"))
    with pytest.raises(RunError, match="finite"):
        measure_files(model, [folder / "0.png"])


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


HOSTILE = ("plain.jpg", "=HYPERLINK(1).jpg", 'a"b,c.jpg', "line\nbreak.jpg", "not\udcffutf8.jpg", "last")
HARMLESS = ("plain.jpg", "=HYPERLINK(1).jpg", 'a"b,c.jpg', "line\\nbreak.jpg", "not\\udcffutf8.jpg", "last")


def test_csv_loses_no_digit_and_no_name_breaks_it(tmp_path: Path) -> None:
    features = made(HOSTILE)
    write_features(features, tmp_path / "features.csv")
    with (tmp_path / "features.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [HARMLESS[0], "./" + HARMLESS[1], *HARMLESS[2:]]
    assert [row["problem"] for row in rows] == [*[""] * 5, "is damaged, or\\nnot"]
    assert [[float(row["mse"]), float(row["z0"])] for row in rows[:-1]] == features.values[:-1].tolist()
    assert rows[-1]["mse"] == ""


def test_npz_holds_the_arrays_and_nothing_that_runs(tmp_path: Path) -> None:
    features = made(HOSTILE)
    write_features(features, tmp_path / "features.npz")
    with np.load(tmp_path / "features.npz", allow_pickle=False) as file:
        assert tuple(file["names"].tolist()) == HARMLESS
        assert file["columns"].tolist() == ["mse", "z0"]
        assert np.array_equal(file["values"], features.values, equal_nan=True)


def test_parquet_loses_no_digit(tmp_path: Path) -> None:
    features = made(HOSTILE)
    write_features(features, tmp_path / "features.parquet")
    table = pq.read_table(tmp_path / "features.parquet").to_pydict()
    assert tuple(table["name"]) == HARMLESS
    assert table["z0"][:-1] == features.values[:-1, 1].tolist()


def test_parquet_without_pyarrow_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pellucid\[parquet\]"):
        write_features(made(("a", "b")), tmp_path / "features.parquet")
    assert not list(tmp_path.iterdir())


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\.csv, \.npz, \.parquet"):
        write_features(made(("a", "b")), tmp_path / "features.xlsx")
