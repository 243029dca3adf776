from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import pellucid
from pellucid.data.images import Preprocessing, read_image, to_float
from pellucid.errors import ConfigError, ImageError, LatentError
from pellucid.model.architecture import Architecture
from pellucid.model.directory import ModelConfig
from pellucid.model.predictor import Model, load, resolve_device
from pellucid.model.vae import VAE
from pellucid.objective.reconstruction import LOSSES, reconstruction_losses


@pytest.fixture
def model(vae: VAE, config: ModelConfig) -> Model:
    return Model(vae, config)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_path_picture_and_array_of_one_photo_are_encoded_alike(model: Model, photo: Path) -> None:
    picture = Image.open(photo)
    expected = to_float(read_image(photo, model.config.preprocessing)[None])
    array = np.asarray(picture)
    for same in (photo, str(photo), picture, array, array / 255, array[None], [photo], expected, expected[0]):
        assert torch.equal(model.to_tensor(same), expected)
    assert torch.equal(model.to_tensor([photo, picture]), torch.cat([expected, expected]))


def test_encoding_is_the_encoder_and_decoding_its_sigmoid(model: Model, photo: Path) -> None:
    x = model.to_tensor(photo)
    with torch.no_grad():
        posterior = model.vae.encode(x)
        expected = torch.sigmoid(model.vae.decode(posterior.mean))
    assert torch.allclose(model.encode(photo).mean, posterior.mean)
    assert torch.allclose(model.reconstruct(photo), expected)


def test_results_do_not_depend_on_the_company_an_image_is_in(
    model: Model, generator: torch.Generator
) -> None:
    many = torch.rand((300, 3, 32, 32), generator=generator)
    together = model.encode(many).mean
    alone = torch.cat([model.encode(many[i : i + 1]).mean for i in (0, 255, 256, 299)])
    assert torch.allclose(together[[0, 255, 256, 299]], alone, atol=1e-5)


@pytest.mark.parametrize("preset", ["burgess", "broadcast", "photo"])
@pytest.mark.parametrize("size", [32, 64, 128, 256])
def test_an_empty_batch_has_empty_answers_of_the_same_shape(preset: str, size: int) -> None:
    """As a loader's last batch may be, of which nothing was left."""
    config = ModelConfig(Architecture(preset, size, 3, 5), Preprocessing(size, 3, "center"), {}, {})
    model = Model(VAE(config.architecture), config)
    one = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    for empty in (one[:0], np.zeros((0, 7, 9, 3), np.uint8)):
        assert model.to_tensor(empty).shape == (0, 3, size, size)
        assert model.encode(empty).mean.shape == model.encode(empty).log_variance.shape == (0, 5)
        assert model.reconstruct(empty).shape == (0, 3, size, size)
    codes = model.encode(one).mean
    assert model.decode(codes[:0]).shape == (0, 3, size, size)
    assert model.traverse(codes[:0], 0, torch.linspace(-3, 3, 7)).shape == (0, 7, 3, size, size)
    assert model.traverse(codes, 0, torch.empty(0)).shape == (1, 0, 3, size, size)
    losses = reconstruction_losses(one[:0], one[:0])
    assert [loss.shape for loss in losses.values()] == [(0,)] * len(LOSSES)


def test_traversal_changes_one_latent_only(model: Model, generator: torch.Generator) -> None:
    z = torch.randn((2, 4), generator=generator)
    moved = z[1].clone()
    moved[2] = 1.5
    images = model.traverse(z, 2, torch.tensor([-3.0, 1.5]))
    assert torch.allclose(images[1, 1], model.decode(moved[None])[0], atol=1e-6)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (torch.zeros(1, 3, 64, 64), "3 32 32"),
        (torch.zeros(1, 1, 32, 32), "3 32 32"),
        (torch.zeros(3, 32, 32, dtype=torch.uint8), "uint8"),
        (torch.full((3, 32, 32), 255.0), "255"),
        (torch.full((3, 32, 32), torch.nan), r"\[0, 1\]"),
        (np.zeros((32, 32, 4), np.uint8), "height width 3"),
        (np.zeros((32, 32), np.int32), "uint8"),
        (np.full((32, 32), 2.0), r"\[0, 1\]"),
        (np.zeros((0, 32), np.uint8), "height width"),
        ([], "empty"),
        ("no/such/file.jpg", "no/such/file.jpg"),
    ],
)
def test_a_wrong_image_is_refused_with_what_was_expected(model: Model, wrong: object, says: str) -> None:
    with pytest.raises(ImageError, match=says):
        model.encode(wrong)  # type: ignore[arg-type]


def test_a_wrong_latent_is_refused(model: Model) -> None:
    with pytest.raises(LatentError, match="z3"):
        model.traverse(torch.zeros(1, 4), 4, torch.zeros(2))
    with pytest.raises(LatentError, match="4 latents"):
        model.decode(torch.zeros(1, 5))


def test_a_loaded_model_computes_what_the_saved_one_did(run: Path, model: Model, photo: Path) -> None:
    loaded = load(run, device="cpu")
    assert torch.equal(loaded.encode(photo).mean, model.encode(photo).mean)
    assert loaded.directory == run
    assert pellucid.load is load


def test_an_absent_device_is_refused() -> None:
    with pytest.raises(ConfigError, match="--device cpu"):
        resolve_device("cuda:7")
    with pytest.raises(ConfigError, match="--device cpu"):
        resolve_device("toaster")
