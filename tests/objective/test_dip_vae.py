import math

import numpy as np
import pytest
import torch
from scipy.linalg import hadamard

from pellucid.model.posterior import Posterior
from pellucid.objective.dip_vae import covariance_of_latents, covariance_of_means, distance_from_identity


def posterior_of(means: list[list[float]], variances: list[list[float]]) -> Posterior:
    return Posterior(torch.tensor(means).double(), torch.tensor(variances).double().log())


def test_covariances_of_two_images_by_hand() -> None:
    """Means (1, 2) and (-1, 0): deviations (1, 1) and (-1, -1). Mean variances: 0.5 and 0.25."""
    posterior = posterior_of([[1.0, 2.0], [-1.0, 0.0]], [[0.25, 0.1], [0.75, 0.4]])
    assert covariance_of_means(posterior).tolist() == [[1, 1], [1, 1]]
    assert covariance_of_latents(posterior).flatten().tolist() == pytest.approx([1.5, 1, 1, 1.25])


def test_covariance_of_means_is_numpys(generator: torch.Generator) -> None:
    mean, log_variance = torch.randn(2, 7, 3, generator=generator, dtype=torch.float64)
    expected = np.cov(mean.numpy(), rowvar=False, bias=True)
    assert covariance_of_means(Posterior(mean, log_variance)).numpy() == pytest.approx(expected, rel=1e-12)


def test_covariance_of_latents_is_that_of_many_samples(generator: torch.Generator) -> None:
    mean, log_variance = torch.randn(2, 5, 3, generator=generator, dtype=torch.float64)
    many = Posterior(mean.repeat(20_000, 1), log_variance.repeat(20_000, 1))
    sampled = np.cov(many.sample(generator).numpy(), rowvar=False, bias=True)
    assert covariance_of_latents(Posterior(mean, log_variance)).numpy() == pytest.approx(sampled, abs=0.05)


@pytest.mark.parametrize(
    ("covariance", "price"),
    [
        ([[1.0, 0.0], [0.0, 1.0]], 0.0),
        ([[1.0, 0.5], [0.5, 1.0]], 3 * (0.25 + 0.25)),  # each pair counts twice
        ([[2.0, 0.0], [0.0, 0.5]], 7 * (1 + 0.25)),
        ([[0.0, -2.0], [-2.0, 3.0]], 3 * (4 + 4) + 7 * (1 + 4)),
    ],
)
def test_price_of_a_covariance_by_hand(covariance: list[list[float]], price: float) -> None:
    found = distance_from_identity(torch.tensor(covariance), off_diagonal=3.0, diagonal=7.0)
    assert found.item() == pytest.approx(price, abs=1e-12)


def test_uncorrelated_latents_of_the_priors_variance_are_free() -> None:
    """Columns of a Hadamard matrix are uncorrelated and of variance 1."""
    means = torch.from_numpy(hadamard(8)[:, 1:5].copy()).double()
    certain = Posterior(means, torch.full_like(means, -math.inf))
    assert distance_from_identity(covariance_of_means(certain), off_diagonal=10, diagonal=100) == 0
    spread = Posterior(0.6 * means, torch.full_like(means, math.log(0.64)))
    price = distance_from_identity(covariance_of_latents(spread), off_diagonal=10, diagonal=100)
    assert price.item() == pytest.approx(0, abs=1e-24)


def test_a_batchs_noise_is_priced_as_documented(generator: torch.Generator) -> None:
    """lambda_od d (d - 1) / B for d independent latents, but for a factor (B - 1) / B of the sample mean."""
    images, latents = 16, 4
    prices = [
        distance_from_identity(
            covariance_of_means(Posterior(mean, torch.zeros_like(mean))), off_diagonal=10, diagonal=0
        ).item()
        for mean in torch.randn(2000, images, latents, generator=generator, dtype=torch.float64)
    ]
    expected = 10 * latents * (latents - 1) / images * (images - 1) / images
    assert np.mean(prices) == pytest.approx(expected, rel=0.05)
