import dataclasses
import math
from typing import Any, get_args

import pytest
import torch

from pellucid.errors import ConfigError
from pellucid.model.posterior import Posterior
from pellucid.objective.kl import kl
from pellucid.objective.objectives import OBJECTIVES, WEIGHTS, Objective, ObjectiveName, latent_terms
from pellucid.objective.reconstruction import training_loss
from pellucid.objective.total_correlation import decompose

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor, Posterior]


@pytest.fixture
def batch(generator: torch.Generator) -> Batch:
    image = torch.rand(6, 3, 16, 16, generator=generator, dtype=torch.float64)
    logits, (mean, log_variance) = (
        torch.logit(image) + 0.5,
        torch.randn(2, 6, 4, generator=generator).double(),
    )
    posterior = Posterior(mean, log_variance)
    return image, logits, posterior.sample(generator), posterior


def log_ratio(z: torch.Tensor) -> torch.Tensor:
    """Some log density ratio: one number for each row."""
    return z.square().sum(1) - z.prod(1)


def loss_terms(
    objective: Objective,
    image: torch.Tensor,
    logits: torch.Tensor,
    z: torch.Tensor,
    posterior: Posterior,
    **options: Any,
) -> dict[str, torch.Tensor]:
    """The price of the latents, and the loss that it is a part of."""
    reconstruction = training_loss(dict(objective.losses), image, logits).mean()
    found = latent_terms(objective, z, posterior, **options)
    return {"loss": reconstruction + found.pop("price"), "reconstruction": reconstruction, **found}


def terms(objective: Objective, batch: Batch, progress: float = 0.5) -> dict[str, float]:
    found = loss_terms(objective, *batch, dataset_size=100, progress=progress, log_density_ratio=log_ratio)
    return {name: value.item() for name, value in found.items()}


def as_outside_tests(settings: dict[str, Any]) -> Objective:
    """Make an Objective as outside tests, where no type checker stands before its own checks."""
    objective = object.__new__(Objective)
    for field in dataclasses.fields(Objective):
        object.__setattr__(objective, field.name, settings.get(field.name, field.default))
    objective.__post_init__()
    return objective


def elbo_loss(batch: Batch) -> float:
    image, logits, _, posterior = batch
    squares = (image - torch.sigmoid(logits)).square().sum((1, 2, 3)).mean()
    return (squares + kl(posterior).sum(1).mean()).item()


def test_every_objective_has_its_row() -> None:
    assert tuple(OBJECTIVES) == tuple(WEIGHTS) == get_args(ObjectiveName)


@pytest.mark.parametrize("name", list(OBJECTIVES))
def test_an_objective_heeds_its_weights_and_no_others(name: Any, batch: Batch) -> None:
    objective = Objective(name=name, beta=1.0 if name == "vae" else 4.0)
    loss = terms(objective, batch)["loss"]
    numbers = {f.name for f in dataclasses.fields(Objective)} - {"name", "estimator", "losses"}
    numbers = {number for number in numbers if not number.startswith("discriminator")}
    if name == "vae":
        numbers.remove("beta")  # cannot be anything but 1
    heeded = {
        number
        for number in numbers
        if terms(dataclasses.replace(objective, **{number: 0.7}), batch)["loss"] != loss
    }
    assert heeded == set(WEIGHTS[name])


def test_vae_is_the_elbo(batch: Batch) -> None:
    found = terms(Objective(name="vae", beta=1.0), batch)
    assert found["loss"] == pytest.approx(elbo_loss(batch), rel=1e-12)
    assert set(found) == {"loss", "reconstruction", "kl"}


@pytest.mark.parametrize("estimator", ["weighted", "stratified"])
def test_beta_tcvae_with_weights_of_one_is_the_elbo(batch: Batch, estimator: Any) -> None:
    found = terms(Objective(beta=1.0, estimator=estimator), batch)
    assert found["loss"] == pytest.approx(elbo_loss(batch), rel=1e-12)


def test_beta_vae_prices_every_nat_at_beta(batch: Batch) -> None:
    found = terms(Objective(name="beta-vae", beta=6.0), batch)
    assert found["loss"] == pytest.approx(found["reconstruction"] + 6 * found["kl"], rel=1e-12)


def test_beta_tcvae_is_its_parts_but_for_the_samples_noise_in_the_kl(batch: Batch) -> None:
    """alpha MI + beta TC + gamma DWKL, with one (MI + TC + DWKL) exchanged for the KL that it estimates."""
    found = terms(Objective(alpha=2.0, beta=6.0, gamma=0.5), batch)
    mutual, correlation, wise = (
        found[name] for name in ("mutual_information", "total_correlation", "dimension_wise_kl")
    )
    weighted = 2 * mutual + 6 * correlation + 0.5 * wise
    noise = mutual + correlation + wise - found["kl"]
    assert found["loss"] == pytest.approx(found["reconstruction"] + weighted - noise, rel=1e-12)
    parts = decompose(batch[2], batch[3], dataset_size=100)
    assert correlation == parts.total_correlation.item()


@pytest.mark.parametrize(("progress", "capacity"), [(0.0, 0.0), (0.25, 5.0), (1.0, 20.0)])
def test_annealed_capacity_grows_linearly(batch: Batch, progress: float, capacity: float) -> None:
    objective = Objective(name="annealed-beta-vae", capacity=20.0, capacity_weight=100.0)
    found = terms(objective, batch, progress)
    price = 100 * abs(found["kl"] - capacity)
    assert found["loss"] == pytest.approx(found["reconstruction"] + price, rel=1e-12)


def test_annealed_loss_at_its_capacity_is_the_reconstruction(batch: Batch) -> None:
    capacity = kl(batch[3]).sum(1).mean().item()
    found = terms(Objective(name="annealed-beta-vae", capacity=capacity), batch, 1.0)
    assert found["loss"] == pytest.approx(found["reconstruction"], abs=1e-9)


def test_factor_vae_adds_the_total_correlation_to_the_elbo(batch: Batch) -> None:
    found = terms(Objective(name="factor-vae", tc_weight=35.0), batch)
    expected = log_ratio(batch[2]).mean().item()
    assert found["total_correlation"] == pytest.approx(expected, rel=1e-12)
    assert found["loss"] == pytest.approx(elbo_loss(batch) + 35 * expected, rel=1e-12)


def test_factor_vae_without_a_density_ratio_is_refused(batch: Batch) -> None:
    with pytest.raises(ConfigError, match="log_density_ratio"):
        loss_terms(Objective(name="factor-vae"), *batch, dataset_size=100, progress=0.5)


@pytest.mark.parametrize(
    ("settings", "price"),
    [
        # Means (1, 1) and (-1, -1): covariance [[1, 1], [1, 1]]. Variances 0.5: [[1.5, 1], [1, 1.5]].
        ({"name": "dip-vae-i"}, 10 * 2 + 100 * 0),
        ({"name": "dip-vae-ii"}, 10 * 2 + 10 * 2 * 0.25),
        ({"name": "dip-vae-ii", "off_diagonal": 3.0}, 3 * 2 + 3 * 2 * 0.25),
        ({"name": "dip-vae-ii", "off_diagonal": 3.0, "diagonal": 8.0}, 3 * 2 + 8 * 2 * 0.25),
    ],
)
def test_dip_vae_adds_the_price_of_its_covariance_to_the_elbo(
    batch: Batch, settings: dict[str, Any], price: float
) -> None:
    means = torch.tensor([[1.0, 1.0], [-1.0, -1.0]]).double()
    two = (batch[0][:2], batch[1][:2], means, Posterior(means, torch.full_like(means, math.log(0.5))))
    found = terms(Objective(**settings), two)
    assert found["covariance_penalty"] == pytest.approx(price, rel=1e-12)
    assert found["loss"] == pytest.approx(elbo_loss(two) + price, rel=1e-12)


def test_dip_vae_i_prices_a_variance_ten_times_as_much_by_default(batch: Batch) -> None:
    """Means 2 and -2 of one latent: variance 4."""
    means = torch.tensor([[2.0], [-2.0]]).double()
    two = (batch[0][:2], batch[1][:2], means, Posterior(means, torch.zeros_like(means)))
    assert terms(Objective(name="dip-vae-i", off_diagonal=3.0), two)["covariance_penalty"] == 30 * 9


@pytest.mark.parametrize("name", list(OBJECTIVES))
def test_gradient_is_the_finite_difference(name: Any, generator: torch.Generator) -> None:
    objective = Objective(
        name=name, beta=1.0 if name == "vae" else 4.0, alpha=2.0, losses=(("mse", 1.0), ("mae", 1.0))
    )
    image, logits = torch.rand(2, 3, 1, 4, 4, generator=generator, dtype=torch.float64)
    mean, log_variance, z = torch.randn(3, 3, 2, generator=generator, dtype=torch.float64)

    def loss(
        logits: torch.Tensor, z: torch.Tensor, mean: torch.Tensor, log_variance: torch.Tensor
    ) -> torch.Tensor:
        posterior = Posterior(mean, log_variance)
        found = loss_terms(
            objective, image, logits, z, posterior, dataset_size=9, progress=0.1, log_density_ratio=log_ratio
        )
        return found["loss"]

    inputs = tuple(t.detach().requires_grad_() for t in (logits, z, mean, log_variance))
    assert torch.autograd.gradcheck(loss, inputs)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "gan"}, "as objective one of vae"),
        ({"name": "vae"}, "beta=1"),
        ({"name": "vae", "beta": 4.0}, "beta=1"),
        ({"estimator": "exact"}, "as estimator one of weighted"),
        ({"beta": math.nan}, "for beta, got nan"),
        ({"beta": math.inf}, "for beta, got inf"),
        ({"beta": 1e7}, "for beta"),
        ({"gamma": -1.0}, "for gamma"),
        ({"alpha": "1"}, "for alpha"),
        ({"alpha": True}, "for alpha"),
        ({"capacity": -5.0}, "for capacity"),
        ({"capacity_weight": 10**400}, "for capacity_weight"),
        ({"tc_weight": math.nan}, "for tc_weight"),
        ({"discriminator_learning_rate": -1.0}, "for discriminator_learning_rate"),
        ({"off_diagonal": -1.0}, "for off_diagonal"),
        ({"diagonal": math.inf}, "for diagonal"),
        ({"diagonal": -1.0}, "for diagonal"),
        ({"discriminator_width": 0}, "for discriminator_width"),
        ({"discriminator_width": 10.5}, "for discriminator_width"),
        ({"discriminator_width": 10**9}, "for discriminator_width"),
        ({"losses": ()}, "at least one loss"),
        ({"losses": (("mse", 0.0),)}, "at least one loss"),
        ({"losses": (("mse", -1.0), ("mae", 2.0))}, "the weight of mse"),
        ({"losses": (("mape", 1.0),)}, "as loss one of mse"),
        ({"losses": (("mse", 1.0), ("mse", 2.0))}, "each loss once"),
        ({"losses": "mse"}, "pairs"),
        ({"losses": ("ab",)}, "pairs"),
        ({"losses": (([], 1.0),)}, "as loss one of mse"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        as_outside_tests(settings)


def test_whole_numbers_are_settings_too() -> None:
    whole: Any = {"beta": 6, "diagonal": 5, "losses": (("mse", 1),)}
    assert as_outside_tests(whole) == Objective(beta=6.0, diagonal=5.0, losses=(("mse", 1.0),))
