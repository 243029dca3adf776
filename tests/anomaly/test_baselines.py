"""Principal components against numpy's singular value decomposition."""

from collections.abc import Iterator

import jaxtyping
import numpy as np
import pytest
import torch

from pellucid.anomaly.baselines import pca_columns, pca_features
from pellucid.data.images import to_float
from pellucid.errors import ConfigError, DataError


@pytest.fixture
def pixels() -> np.ndarray:
    """Sixty pictures of few causes, and ten of noise, uint8 [70 8 8 3]."""
    chance = np.random.default_rng(0)
    causes = chance.standard_normal((60, 5)) * [9, 7, 5, 3, 2] @ chance.standard_normal((5, 192))
    noise = chance.integers(0, 256, (10, 192))
    flat = np.concatenate([np.clip(128 + causes, 0, 255), noise]).astype(np.uint8)
    return flat.reshape(70, 8, 8, 3)


@pytest.fixture
def unchecked() -> Iterator[None]:
    """As users run it: shapes that differ are for the package itself to refuse."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def test_codes_and_error_are_those_of_the_singular_vectors(pixels: np.ndarray) -> None:
    found = pca_features(pixels[:60], [pixels], 4)
    flat = pixels.astype(np.float64).reshape(70, -1) / 255
    mean = flat[:60].mean(axis=0)
    axes = np.linalg.svd(flat[:60] - mean)[2][:4]
    codes = (flat - mean) @ axes.T
    error = ((flat - mean - codes @ axes) ** 2).mean(axis=1)
    assert np.abs(found[:, 1:]) == pytest.approx(np.abs(codes), abs=1e-3)
    assert found[:, 0] == pytest.approx(error, rel=1e-3, abs=1e-7)
    assert found[60:, 0].min() > 100 * found[:60, 0].max()


def test_pixels_and_tensors_give_the_same(pixels: np.ndarray) -> None:
    tensor = to_float(pixels)
    expected = pca_features(pixels[:60], [pixels], 4)
    assert np.array_equal(pca_features(tensor[:60], [tensor], 4), expected)


def test_an_image_is_described_alike_in_any_company(pixels: np.ndarray) -> None:
    together = pca_features(pixels[:60], [pixels], 4)
    parts = [pixels[:16], pixels[16:65], pixels[65:]]
    assert pca_features(pixels[:60], parts, 4) == pytest.approx(together, abs=1e-6)
    assert pca_features(pixels[:60], [pixels[65:66]], 4) == pytest.approx(together[65:66], abs=1e-6)
    assert len(pca_features(pixels[:60], [pixels[:0]], 4)) == 0


def test_columns_are_the_error_and_the_components() -> None:
    assert pca_columns(2) == ("error", "pc0", "pc1")


def test_what_cannot_be_fitted_or_described_is_refused(pixels: np.ndarray) -> None:
    with pytest.raises(ConfigError, match="components"):
        pca_features(pixels, [pixels], 0)
    with pytest.raises(DataError, match="more than 70 training images"):
        pca_features(pixels, [pixels], 70)


def test_images_of_another_size_are_refused(pixels: np.ndarray, unchecked: None) -> None:
    with pytest.raises(DataError, match="images of 192 values"):
        pca_features(pixels, [torch.zeros(1, 3, 4, 4)], 4)
