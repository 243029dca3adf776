import math
from collections import Counter

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal

from pellucid.objective.factor_vae import Adversary, permute_latents

RHO = 0.8
TRUE = -0.5 * math.log(1 - RHO**2)
"""The total correlation of two normal latents with correlation RHO, about half a nat."""


def normal(covariance: Tensor) -> MultivariateNormal:
    return MultivariateNormal(torch.zeros(len(covariance)), covariance)


def learned(covariance: Tensor, generator: torch.Generator, steps: int = 200) -> Adversary:
    """A small discriminator, trained fast on samples of a normal distribution."""
    adversary = Adversary(len(covariance), generator=generator, width=64)
    root = torch.linalg.cholesky(covariance)
    for step in range(steps):
        adversary.optimizer.param_groups[0]["lr"] = 2e-3 * (1 - step / steps)
        adversary.learn(torch.randn(512, len(covariance), generator=generator) @ root.T, generator)
    return adversary


def test_permuted_latents_keep_exactly_their_values(generator: torch.Generator) -> None:
    z = torch.randn(50, 4, generator=generator)
    permuted = permute_latents(z, generator)
    assert torch.equal(permuted.sort(0).values, z.sort(0).values)
    assert not (permuted == z).all(0).any()


def test_permuted_latents_know_nothing_of_one_another(generator: torch.Generator) -> None:
    """Two equal latents, permuted, have no correlation; 4 standard errors are allowed."""
    z = torch.randn(10_000, 1, generator=generator).repeat(1, 3)
    correlations = torch.corrcoef(permute_latents(z, generator).T) - torch.eye(3)
    assert correlations.abs().max() < 0.04


def test_every_order_of_one_latent_against_another_is_as_likely(generator: torch.Generator) -> None:
    """With three images, all six orders; two latents of a row meet again once in three times."""
    z = torch.arange(3.0)[:, None].repeat(1, 2)
    orders: Counter[tuple[float, ...]] = Counter()
    for _ in range(3000):
        permuted = permute_latents(z, generator)
        orders[tuple(permuted[permuted[:, 0].argsort(), 1].tolist())] += 1
    assert len(orders) == 6
    assert all(abs(count - 500) < 4 * math.sqrt(500 * 5 / 6) for count in orders.values())


def test_the_same_seed_permutes_alike() -> None:
    z = torch.arange(20.0).reshape(10, 2)
    first, second, other = (permute_latents(z, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_before_learning_nothing_can_be_told_apart(generator: torch.Generator) -> None:
    z = torch.randn(8, 5, generator=generator)
    adversary = Adversary(5, generator=generator, width=64)
    assert adversary.log_density_ratio(z).eq(0).all()
    assert adversary.learn(z, generator).item() == pytest.approx(math.log(2), rel=1e-6)


def test_total_correlation_of_correlated_normal_latents_is_the_closed_form(
    generator: torch.Generator,
) -> None:
    covariance = torch.tensor([[1, RHO, 0], [RHO, 1, 0], [0, 0, 1]])
    adversary = learned(covariance, generator)
    z = torch.randn(20_000, 3, generator=generator) @ torch.linalg.cholesky(covariance).T
    with torch.no_grad():
        found = adversary.log_density_ratio(z)
    assert found.mean().item() == pytest.approx(TRUE, abs=0.06)
    exact = normal(covariance).log_prob(z) - Normal(0.0, 1.0).log_prob(z).sum(1)
    assert exact.mean().item() == pytest.approx(TRUE, abs=0.02)
    assert (found - exact).square().mean() < 0.1 * exact.var()  # right for each z, not on average alone


def test_total_correlation_of_independent_latents_is_0(generator: torch.Generator) -> None:
    adversary = learned(torch.eye(3), generator, steps=100)
    with torch.no_grad():
        found = adversary.log_density_ratio(torch.randn(20_000, 3, generator=generator))
    assert found.mean().item() == pytest.approx(0, abs=0.03)


def test_lowering_the_estimate_makes_latents_independent(generator: torch.Generator) -> None:
    """Descending TC on the mixing of two normal latents undoes it, while the discriminator learns along."""
    adversary = Adversary(2, generator=generator, width=64)
    correlation = torch.tensor(RHO, requires_grad=True)
    mixing = torch.optim.SGD([correlation], lr=0.02)
    for _ in range(300):
        adversary.optimizer.param_groups[0]["lr"] = 2e-3
        first, second = torch.randn(2, 256, generator=generator)
        mixed = correlation * first + (1 - correlation.square()).sqrt() * second
        z = torch.stack([first, mixed], 1)
        mixing.zero_grad()
        torch.autograd.backward(adversary.log_density_ratio(z).mean(), inputs=[correlation])
        mixing.step()
        adversary.learn(z, generator)
    assert abs(correlation.item()) < 0.2


def test_bfloat16_tells_the_same_ratio(generator: torch.Generator) -> None:
    adversary = learned(torch.tensor([[1, RHO], [RHO, 1]]), generator, steps=50)
    z = torch.randn(500, 2, generator=generator)
    exact = adversary.log_density_ratio(z)
    adversary._precision = torch.bfloat16
    rough = adversary.log_density_ratio(z)
    assert rough.dtype == torch.float32
    assert (rough - exact).abs().mean() < 0.03 * exact.abs().mean()


def test_what_is_learned_depends_on_the_generators_alone() -> None:
    def logits(seed: int) -> Tensor:
        torch.rand(seed + 7)  # global state must not matter
        adversary = Adversary(3, generator=torch.Generator().manual_seed(0), width=16)
        z = torch.linspace(-1, 1, 30).reshape(10, 3)
        for step in range(3):
            adversary.learn(z, torch.Generator().manual_seed(step))
        return adversary.log_density_ratio(z)

    before = torch.random.get_rng_state()
    first = logits(0)
    torch.random.set_rng_state(before)
    assert torch.equal(first, logits(1))


def test_no_gradient_flows_back_from_learning(generator: torch.Generator) -> None:
    z = torch.randn(8, 2, generator=generator, requires_grad=True)
    Adversary(2, generator=generator, width=8).learn(z, generator)
    assert z.grad is None


def test_the_default_is_the_papers() -> None:
    adversary = Adversary(10, generator=torch.Generator())
    weights = 10 * 1000 + 5 * 1000 * 1000 + 1000 * 2
    biases = 6 * 1000 + 2
    assert sum(parameter.numel() for parameter in adversary.network.parameters()) == weights + biases
    assert adversary.optimizer.defaults["lr"] == 1e-4
    assert adversary.optimizer.defaults["betas"] == (0.5, 0.9)
    z = torch.linspace(-1, 1, 10)[None]
    layers = [layer for layer in adversary.network if isinstance(layer, torch.nn.Linear)]
    expected = z
    for layer in layers[:-1]:
        expected = expected @ layer.weight.T
        expected = torch.where(expected > 0, expected, 0.2 * expected)
    hidden = adversary.network[:-1](z)
    assert torch.allclose(hidden, expected, atol=1e-5)
