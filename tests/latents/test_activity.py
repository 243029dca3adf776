"""Activity against closed forms, on posteriors made by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pellucid.data.images import Preprocessing
from pellucid.data.store import Dataset, open_dataset
from pellucid.errors import DataError, RunError
from pellucid.latents.activity import Codes, encode_dataset, measure_activity
from pellucid.model.architecture import Architecture
from pellucid.model.directory import ModelConfig
from pellucid.model.predictor import Model
from pellucid.model.vae import VAE

GREY = Preprocessing(32, 1, "center")


@pytest.fixture
def model(generator: torch.Generator) -> Model:
    architecture = Architecture("burgess", 32, 1, 4)
    vae = VAE(architecture)
    vae.initialise(generator)
    return Model(vae, ModelConfig(architecture, GREY, {}, {}))


@pytest.fixture
def noise(tmp_path: Path) -> Dataset:
    np.save(tmp_path / "noise.npy", np.random.default_rng(0).integers(0, 256, (300, 32, 32), dtype=np.uint8))
    return open_dataset(tmp_path / "noise.npy", size=32, workers=0)


def codes(mean: list[list[float]], variance: list[list[float]]) -> Codes:
    return Codes(np.array(mean, np.float32), np.log(np.array(variance, np.float32)))


def test_kl_of_a_unit_shift_is_half_a_nat() -> None:
    activity = measure_activity(codes([[1.0], [-1.0]], [[1.0], [1.0]]))
    assert activity.kl == pytest.approx([0.5])
    assert activity.variance == pytest.approx([1.0])
    assert activity.images == 2


def test_kl_of_a_sharp_posterior_at_the_origin_is_its_closed_form() -> None:
    activity = measure_activity(codes([[0.0]], [[0.25]]))
    assert activity.kl == pytest.approx([0.5 * (0.25 - 1) + np.log(2)])


def test_kl_agrees_with_torch_distributions() -> None:
    rng = np.random.default_rng(1)
    made = Codes(*rng.standard_normal((2, 50, 3)).astype(np.float32))
    posterior = torch.distributions.Normal(
        torch.from_numpy(made.mean), torch.from_numpy(made.log_variance).div(2).exp()
    )
    expected = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).mean(0)
    assert measure_activity(made).kl == pytest.approx(expected.numpy(), rel=1e-5)


def test_the_posterior_of_the_prior_is_inactive() -> None:
    activity = measure_activity(codes([[0.0, 1.0], [0.0, -1.0]], [[1.0, 0.1], [1.0, 0.1]]))
    assert activity.kl[0] == 0
    assert activity.active.tolist() == [False, True]


@pytest.mark.parametrize(
    ("mean", "variance"),
    [([[5.0], [5.0]], [[1.0], [1.0]]), ([[0.2], [-0.2]], [[1.0], [1.0]])],
    ids=["large KL but a mean that never moves", "a mean that moves but little KL"],
)
def test_both_thresholds_must_be_passed(mean: list[list[float]], variance: list[list[float]]) -> None:
    assert measure_activity(codes(mean, variance)).active.tolist() == [False]


def test_range_is_the_central_98_percent() -> None:
    mean = np.linspace(-1, 1, 201, dtype=np.float32)[:, None]
    activity = measure_activity(Codes(mean, np.zeros_like(mean)))
    assert activity.low == pytest.approx([-0.98])
    assert activity.high == pytest.approx([0.98])


def test_codes_are_those_of_the_rows_in_their_order(model: Model, noise: Dataset) -> None:
    seen: list[tuple[int, int]] = []
    rows = np.arange(299, -1, -1)
    found = encode_dataset(model, noise, rows, progress=lambda done, total: seen.append((done, total)))
    alone = model.encode(noise.batch(np.array([7])))
    assert found.mean[292] == pytest.approx(alone.mean[0].numpy(), abs=1e-6)
    assert found.log_variance[292] == pytest.approx(alone.log_variance[0].numpy(), abs=1e-6)
    assert seen == [(256, 300), (300, 300)]


def test_images_prepared_in_another_way_are_refused(model: Model, noise: Dataset) -> None:
    other = replace(noise, preprocessing=replace(GREY, crop="celeba"))
    with pytest.raises(DataError, match="prepared as in training"):
        encode_dataset(model, other, np.arange(2))


def test_sprites_are_never_cropped_so_the_crop_does_not_matter(model: Model, noise: Dataset) -> None:
    sprites = replace(noise, kind="sprites", preprocessing=replace(GREY, crop="whole"))
    assert len(encode_dataset(model, sprites, np.arange(2)).mean) == 2


def test_no_rows_are_refused(model: Model, noise: Dataset) -> None:
    with pytest.raises(DataError, match="at least 1 image"):
        encode_dataset(model, noise, np.arange(0))


def test_a_model_that_answers_nan_is_refused(model: Model, noise: Dataset) -> None:
    last = model.vae.encoder[-1]
    torch.nn.init.constant_(last.bias, float("nan"))
    with pytest.raises(RunError, match="finite codes"):
        encode_dataset(model, noise, np.arange(2))
