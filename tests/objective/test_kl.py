import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from pellucid.model.posterior import Posterior
from pellucid.objective.kl import kl


def test_kl_of_the_prior_is_zero() -> None:
    assert torch.equal(kl(Posterior(torch.zeros(2, 3), torch.zeros(2, 3))), torch.zeros(2, 3))


def test_kl_of_a_shift_by_one_is_half_a_nat() -> None:
    assert kl(Posterior(torch.ones(1, 1), torch.zeros(1, 1))).item() == 0.5


def test_kl_of_a_doubled_deviation_is_three_halves_less_log_2() -> None:
    posterior = Posterior(torch.zeros(1, 1), torch.full((1, 1), math.log(4)))
    assert kl(posterior).item() == pytest.approx(1.5 - math.log(2), rel=1e-6)


def test_kl_is_torchs_for_each_latent(generator: torch.Generator) -> None:
    mean, log_variance = torch.randn(2, 5, 7, generator=generator, dtype=torch.float64)
    expected = kl_divergence(Normal(mean, torch.exp(0.5 * log_variance)), Normal(0.0, 1.0))
    assert torch.allclose(kl(Posterior(mean, log_variance)), expected, rtol=1e-12)


def test_kl_close_to_the_prior_keeps_its_digits() -> None:
    """KL ~ log_variance^2 / 4, which exp() - 1 - log_variance loses in float32."""
    posterior = Posterior(torch.zeros(1, 1), torch.full((1, 1), 1e-3))
    assert kl(posterior).item() == pytest.approx(2.5e-7, rel=2e-3)
