import itertools
import math

import numpy as np
import pytest
import torch
from scipy.stats import norm

from pellucid.errors import BatchError
from pellucid.model.posterior import Posterior
from pellucid.objective.kl import kl
from pellucid.objective.total_correlation import (
    Decomposition,
    decompose,
    stratified_log_weights,
    total_correlation,
)

ESTIMATORS = ("weighted", "stratified")


def some_batch(
    batch: int, latents: int, generator: torch.Generator, dtype: torch.dtype = torch.float64
) -> tuple[torch.Tensor, Posterior]:
    mean, log_variance = torch.randn(2, batch, latents, generator=generator, dtype=dtype)
    posterior = Posterior(mean, log_variance - 1)
    return posterior.sample(generator), posterior


def gaussian_batch(
    covariance: torch.Tensor, noise: float, batch: int, generator: torch.Generator
) -> tuple[torch.Tensor, Posterior]:
    """Posteriors of one variance, whose mixture over images is N(0, covariance)."""
    latents = len(covariance)
    factor = torch.linalg.cholesky(covariance - noise * torch.eye(latents, dtype=torch.float64))
    mean = torch.randn(batch, latents, generator=generator, dtype=torch.float64) @ factor.T
    posterior = Posterior(mean, torch.full_like(mean, math.log(noise)))
    return posterior.sample(generator), posterior


@pytest.mark.parametrize(("dataset_size", "batch_size"), [(5, 3), (5, 2), (4, 4), (6, 5)])
def test_stratified_weights_are_unbiased_by_enumeration(dataset_size: int, batch_size: int) -> None:
    """Over all ordered batches with one image in row i, the mean of q(z) is the data set's."""
    weights = stratified_log_weights(batch_size=batch_size, dataset_size=dataset_size).exp().double().numpy()
    means = np.linspace(-2, 2, dataset_size) ** 3
    densities = norm.pdf(0.3, means, 0.5)
    for row, image in itertools.product(range(batch_size), range(dataset_size)):
        batches = [b for b in itertools.permutations(range(dataset_size), batch_size) if b[row] == image]
        estimate = np.mean([weights[row] @ densities[list(batch)] for batch in batches])
        assert estimate == pytest.approx(densities.mean(), rel=1e-6)


def test_weighted_estimate_overweighs_the_images_own_term_by_enumeration() -> None:
    """The documented bias: its expectation is q(z|x)/M + (M-1)/M * the mean over the other images."""
    images, size = 5, 3
    generator = torch.Generator().manual_seed(3)
    z, posterior = some_batch(images, 1, generator)
    densities = norm.pdf(z[0].item(), posterior.mean[:, 0], torch.exp(0.5 * posterior.log_variance[:, 0]))
    estimates = []
    for others in itertools.permutations(range(1, images), size - 1):
        rows = [0, *others]
        batch = Posterior(posterior.mean[rows], posterior.log_variance[rows])
        # Every sample is z[0], so each row of the batch estimates the same log q(z[0]).
        same = z[:1].expand(size, 1).clone()
        parts = decompose(same, batch, dataset_size=images)
        estimates.append(math.exp(parts.dimension_wise_kl.item() + norm.logpdf(z[0].item())))
    expected = densities[0] / size + (size - 1) / size * densities[1:].mean()
    assert np.mean(estimates) == pytest.approx(expected, rel=1e-6)
    assert abs(expected / densities.mean() - 1) > 0.1


@pytest.mark.parametrize(("batch_size", "dataset_size"), [(2, 2), (3, 5), (8, 8), (64, 737_280)])
def test_stratified_weights_of_a_row_sum_to_1(batch_size: int, dataset_size: int) -> None:
    weights = stratified_log_weights(batch_size=batch_size, dataset_size=dataset_size).exp()
    assert torch.allclose(weights.sum(1), torch.ones(batch_size), atol=1e-5)


def test_stratified_weights_of_five_images_by_three() -> None:
    weights = stratified_log_weights(batch_size=3, dataset_size=5).exp()
    expected = torch.tensor([[0.2, 0.3, 0.5], [0.5, 0.2, 0.3], [0.3, 0.5, 0.2]])
    assert torch.allclose(weights, expected)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_parts_are_those_of_explicit_loops(estimator: str, generator: torch.Generator) -> None:
    batch, latents, dataset_size = 4, 3, 9
    z, posterior = some_batch(batch, latents, generator)
    others = batch - 1
    conditional, joint, marginals, prior = np.zeros((4, batch))
    for i in range(batch):
        weights = [1 / batch] * batch
        if estimator == "stratified":
            weights = [1 / others] * batch
            weights[(i + 1) % batch] = (dataset_size - others) / (dataset_size * others)
            weights[i] = 1 / dataset_size
        density = np.array(
            [
                norm.pdf(z[i], posterior.mean[k], np.exp(0.5 * posterior.log_variance[k].numpy()))
                for k in range(batch)
            ]
        )
        conditional[i] = np.log(density[i]).sum()
        joint[i] = np.log(np.sum([w * d.prod() for w, d in zip(weights, density, strict=True)]))
        marginals[i] = np.log(np.sum([w * d for w, d in zip(weights, density, strict=True)], 0)).sum()
        prior[i] = norm.logpdf(z[i]).sum()
    parts = decompose(z, posterior, dataset_size=dataset_size, estimator=estimator)
    assert parts.mutual_information.item() == pytest.approx((conditional - joint).mean(), abs=1e-6)
    assert parts.total_correlation.item() == pytest.approx((joint - marginals).mean(), abs=1e-6)
    assert parts.dimension_wise_kl.item() == pytest.approx((marginals - prior).mean(), abs=1e-6)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_total_correlation_of_a_correlated_gaussian(estimator: str, generator: torch.Generator) -> None:
    correlation = torch.tensor([[1.0, 0.7, 0.2], [0.7, 1.0, 0.0], [0.2, 0.0, 1.0]], dtype=torch.float64)
    z, posterior = gaussian_batch(correlation, 0.25, 1500, generator)
    expected = -0.5 * torch.logdet(correlation).item()
    got = total_correlation(z, posterior, dataset_size=1500, estimator=estimator).item()
    assert got == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_total_correlation_of_a_product_is_zero(estimator: str, generator: torch.Generator) -> None:
    z, posterior = gaussian_batch(torch.eye(2, dtype=torch.float64), 0.25, 1500, generator)
    got = total_correlation(z, posterior, dataset_size=1500, estimator=estimator).item()
    assert got == pytest.approx(0, abs=0.05)


def test_weighted_parts_of_a_gaussian_are_the_closed_forms(generator: torch.Generator) -> None:
    """MI of z = x + noise is half the log of the signal's gain; q(z) of N(0, 1) costs nothing."""
    z, posterior = gaussian_batch(torch.eye(2, dtype=torch.float64), 0.25, 1500, generator)
    parts = decompose(z, posterior, dataset_size=1500)
    assert parts.mutual_information.item() == pytest.approx(math.log(4), abs=0.05)
    assert parts.dimension_wise_kl.item() == pytest.approx(0, abs=0.05)


def test_weighted_estimate_is_exact_when_the_batch_is_the_data_set() -> None:
    """Two images, at -1 and 1, seen from z = 1 and z = -1: log q(z) = log((n(0) + n(2)) / 2)."""
    mean = torch.tensor([[-1.0], [1.0]], dtype=torch.float64)
    parts = decompose(mean, Posterior(mean, torch.zeros_like(mean)), dataset_size=2)
    expected = -math.log((1 + math.exp(-2)) / 2)
    assert parts.mutual_information.item() == pytest.approx(expected, abs=1e-7)


def test_weighted_parts_differ_from_equation_s3_by_the_documented_constants(
    generator: torch.Generator,
) -> None:
    batch, latents, size = 6, 4, 100
    z, posterior = some_batch(batch, latents, generator)
    densities = torch.distributions.Normal(posterior.mean, torch.exp(0.5 * posterior.log_variance)).log_prob(
        z[:, None]
    )
    joint = densities.sum(2).logsumexp(1) - math.log(batch * size)
    marginals = (densities.logsumexp(1) - math.log(batch * size)).sum(1)
    published = (joint - marginals).mean().item()
    got = total_correlation(z, posterior, dataset_size=size).item()
    assert published == pytest.approx(got + (latents - 1) * math.log(size), abs=1e-6)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_parts_add_up_to_the_sampled_kl(estimator: str, generator: torch.Generator) -> None:
    z, posterior = some_batch(16, 5, generator)
    parts = decompose(z, posterior, dataset_size=50, estimator=estimator)
    total = parts.mutual_information + parts.total_correlation + parts.dimension_wise_kl
    own = torch.distributions.Normal(posterior.mean, torch.exp(0.5 * posterior.log_variance)).log_prob(z)
    prior = torch.distributions.Normal(0.0, 1.0).log_prob(z)
    assert total.item() == pytest.approx((own - prior).sum(1).mean().item(), abs=1e-6)


def test_parts_add_up_to_the_closed_form_on_average(generator: torch.Generator) -> None:
    _, posterior = some_batch(8, 3, generator)
    draws = [decompose(posterior.sample(generator), posterior, dataset_size=8) for _ in range(800)]
    totals = [(d.mutual_information + d.total_correlation + d.dimension_wise_kl).item() for d in draws]
    error = np.std(totals) / math.sqrt(len(totals))
    assert np.mean(totals) == pytest.approx(kl(posterior).sum(1).mean().item(), abs=4 * error)


def test_order_of_latents_and_of_images_does_not_matter(generator: torch.Generator) -> None:
    z, posterior = some_batch(8, 4, generator)
    expected = decompose(z, posterior, dataset_size=20)
    for rows, columns in (
        (torch.randperm(8), torch.arange(4)),
        (torch.arange(8), torch.tensor([2, 0, 3, 1])),
    ):
        moved = Posterior(posterior.mean[rows][:, columns], posterior.log_variance[rows][:, columns])
        got = decompose(z[rows][:, columns], moved, dataset_size=20)
        assert got.total_correlation.item() == pytest.approx(expected.total_correlation.item(), abs=1e-9)


def test_far_apart_posteriors_do_not_underflow() -> None:
    mean = 1e3 * torch.arange(4.0)[:, None].expand(4, 32).clone()
    parts = decompose(mean, Posterior(mean, torch.full_like(mean, -8.0)), dataset_size=4)
    assert parts.mutual_information.item() == pytest.approx(math.log(4), abs=1e-4)
    assert parts.total_correlation.item() == pytest.approx(31 * math.log(4), rel=1e-4)


def test_autocast_does_not_change_the_estimate(generator: torch.Generator) -> None:
    z, posterior = some_batch(8, 4, generator, torch.float32)
    expected = decompose(z, posterior, dataset_size=20)
    with torch.autocast("cpu", torch.bfloat16):
        assert decompose(z, posterior, dataset_size=20) == expected


def test_gradient_is_the_finite_difference(generator: torch.Generator) -> None:
    z, posterior = some_batch(4, 2, generator)

    def parts(z: torch.Tensor, mean: torch.Tensor, log_variance: torch.Tensor) -> tuple[torch.Tensor, ...]:
        result: Decomposition = decompose(
            z, Posterior(mean, log_variance), dataset_size=9, estimator="stratified"
        )
        return tuple(vars(result).values())

    inputs = tuple(t.detach().requires_grad_() for t in (z, posterior.mean, posterior.log_variance))
    assert torch.autograd.gradcheck(parts, inputs)


def test_one_image_is_refused() -> None:
    single = torch.zeros(1, 2)
    with pytest.raises(BatchError, match="at least 2 images"):
        total_correlation(single, Posterior(single, single), dataset_size=10)


def test_a_batch_larger_than_the_data_set_is_refused() -> None:
    with pytest.raises(BatchError, match="at least the batch size, 4, got 3"):
        stratified_log_weights(batch_size=4, dataset_size=3)


def test_samples_of_another_batch_are_refused() -> None:
    with pytest.raises(BatchError, match="one sample for each posterior"):
        decompose(torch.zeros(3, 2), Posterior(torch.zeros(4, 2), torch.zeros(4, 2)), dataset_size=10)
