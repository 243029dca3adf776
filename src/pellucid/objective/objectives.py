"""What training minimises: a reconstruction loss and a price on what the latents say."""

from collections.abc import Callable
from dataclasses import dataclass
from reprlib import repr
from typing import Literal, get_args

from jaxtyping import Float
from torch import Tensor

from pellucid.errors import ConfigError
from pellucid.model.posterior import Posterior
from pellucid.objective.dip_vae import covariance_of_latents, covariance_of_means, distance_from_identity
from pellucid.objective.factor_vae import LEARNING_RATE, WIDTH
from pellucid.objective.kl import kl
from pellucid.objective.reconstruction import LOSSES
from pellucid.objective.total_correlation import Estimator, decompose

ObjectiveName = Literal[
    "vae", "beta-vae", "annealed-beta-vae", "beta-tcvae", "factor-vae", "dip-vae-i", "dip-vae-ii"
]

_LARGEST = 1e6


@dataclass(frozen=True)
class Objective:
    """What training minimises, and its weights; values that make no sense are refused with ConfigError.

    Attributes:
        name: "vae": reconstruction + KL (arXiv:1312.6114). "beta-vae": reconstruction + beta KL (Higgins et
            al. 2017). "annealed-beta-vae": reconstruction + capacity_weight |KL - C|, C growing linearly from
            0 to `capacity` over the whole training (arXiv:1804.03599, eq. 8). "beta-tcvae": reconstruction +
            alpha MI + beta TC + gamma dimension-wise KL (arXiv:1802.04942, eq. 4). "factor-vae":
            reconstruction + KL + tc_weight TC, the TC told by a second network (arXiv:1802.05983, eq. 2).
            "dip-vae-i": reconstruction + KL + off_diagonal sum_{i != j} C_ij^2 + diagonal sum_i (C_ii - 1)^2
            with C = Cov[mu(x)] (arXiv:1711.00848, eq. 6). "dip-vae-ii": the same with C = Cov[z] (eq. 7).
        alpha: Weight of the mutual information, "beta-tcvae" only.
        beta: Weight of the KL ("beta-vae"; must be 1 for "vae"), or of the total correlation ("beta-tcvae").
        gamma: Weight of the dimension-wise KL, "beta-tcvae" only. Not FactorVAE's gamma: that is `tc_weight`.
        estimator: Of the parts of the KL, "beta-tcvae" only: see `pellucid.objective.total_correlation`.
        capacity: The final C in nats, "annealed-beta-vae" only.
        capacity_weight: Price of a nat away from C, "annealed-beta-vae" only.
        tc_weight: Weight of the total correlation, "factor-vae" only: the paper's gamma. It comes on top of
            the KL, which has one TC in it: tc_weight does what beta - 1 does in "beta-tcvae".
        discriminator_width: Units of a hidden layer of the second network, "factor-vae" only.
        discriminator_learning_rate: Of the second network, "factor-vae" only; constant. The default is the
            paper's, where everything learns at 1e-4; faster encoders may want more.
        off_diagonal: lambda_od, price of a squared covariance of two latents, "dip-vae-i" and "-ii" only;
            1 to 50 in the literature.
        diagonal: lambda_d, price of a variance's squared distance from 1, "dip-vae-i" and "-ii" only. None:
            10 off_diagonal for I, off_diagonal for II, the ratios of Locatello et al. (arXiv:1811.12359).
        losses: (name, weight) of the reconstruction losses, see `LOSSES`.
    """

    name: ObjectiveName = "beta-tcvae"
    alpha: float = 1.0
    beta: float = 4.0
    gamma: float = 1.0
    estimator: Estimator = "weighted"
    capacity: float = 25.0
    capacity_weight: float = 1000.0
    tc_weight: float = 10.0
    discriminator_width: int = WIDTH
    discriminator_learning_rate: float = LEARNING_RATE
    off_diagonal: float = 10.0
    diagonal: float | None = None
    losses: tuple[tuple[str, float], ...] = (("mse", 1.0),)

    def __post_init__(self) -> None:
        _check_choice("objective", self.name, get_args(ObjectiveName))
        _check_choice("estimator", self.estimator, get_args(Estimator))
        for field in _NUMBERS:
            object.__setattr__(self, field, _number(field, getattr(self, field)))
        if self.diagonal is not None:
            object.__setattr__(self, "diagonal", _number("diagonal", self.diagonal))
        _check_width(self.discriminator_width)
        if self.name == "vae" and self.beta != 1:
            raise ConfigError(
                f"Expected beta=1 for the objective 'vae', got {self.beta:g}. "
                "Give beta=1, or choose 'beta-vae'."
            )
        object.__setattr__(self, "losses", _checked_losses(self.losses))


_NUMBERS = (
    "alpha",
    "beta",
    "gamma",
    "capacity",
    "capacity_weight",
    "tc_weight",
    "discriminator_learning_rate",
    "off_diagonal",
)


@dataclass(frozen=True)
class _Batch:
    """What the price of the latents is computed from: the arguments of `latent_terms`, and the KL."""

    z: Tensor
    posterior: Posterior
    kl: Tensor
    dataset_size: int
    progress: float
    log_density_ratio: Callable[[Tensor], Tensor] | None


def latent_terms(
    objective: Objective,
    z: Float[Tensor, "batch latent"],
    posterior: Posterior,
    *,
    dataset_size: int,
    progress: float,
    log_density_ratio: Callable[[Tensor], Tensor] | None = None,
) -> dict[str, Float[Tensor, ""]]:
    """Compute what a batch's latents cost beside the reconstruction, in nats an image.

    The loss to minimise is the mean `training_loss` of the batch plus the price.

    Args:
        objective: What to minimise.
        z: One sample per image, drawn from `posterior`. In distributed training, those of all processes.
        posterior: The encoder's output, in the order of z.
        dataset_size: Images in the training set, at least the rows of z.
        progress: How much of the training is done, 0 to 1.
        log_density_ratio: For "factor-vae": z -> log q(z) / prod_j q(z_j) of each row, such as that of an
            `Adversary`.

    Returns:
        "price", "kl"; for "beta-tcvae" also "mutual_information", "total_correlation" and
        "dimension_wise_kl"; for "factor-vae" also "total_correlation"; for "dip-vae-i" and "-ii" also
        "covariance_penalty", weighed.

    Raises:
        BatchError: If the batch is too small or too large for the estimator.
        ConfigError: If "factor-vae" has no `log_density_ratio`.
    """
    rate = kl(posterior).sum(1).mean()
    batch = _Batch(z, posterior, rate, dataset_size, progress, log_density_ratio)
    price, terms = OBJECTIVES[objective.name](objective, batch)
    return {"price": price, "kl": rate, **terms}


_Priced = tuple[Tensor, dict[str, Tensor]]


def _vae(objective: Objective, batch: _Batch) -> _Priced:
    return batch.kl, {}


def _beta_vae(objective: Objective, batch: _Batch) -> _Priced:
    return objective.beta * batch.kl, {}


def _annealed_beta_vae(objective: Objective, batch: _Batch) -> _Priced:
    capacity = objective.capacity * min(max(batch.progress, 0.0), 1.0)
    return objective.capacity_weight * (batch.kl - capacity).abs(), {}


def _beta_tcvae(objective: Objective, batch: _Batch) -> _Priced:
    # alpha MI + beta TC + gamma DWKL with MI + TC + DWKL exchanged for the closed form of its expectation,
    # the KL: the same objective, with less variance.
    parts = decompose(
        batch.z, batch.posterior, dataset_size=batch.dataset_size, estimator=objective.estimator
    )
    price = (
        batch.kl
        + (objective.alpha - 1) * parts.mutual_information
        + (objective.beta - 1) * parts.total_correlation
        + (objective.gamma - 1) * parts.dimension_wise_kl
    )
    return price, vars(parts)


def _factor_vae(objective: Objective, batch: _Batch) -> _Priced:
    if batch.log_density_ratio is None:
        raise ConfigError(
            "Expected a log_density_ratio for the objective 'factor-vae', got none. Give an Adversary's."
        )
    total_correlation = batch.log_density_ratio(batch.z).mean()
    return batch.kl + objective.tc_weight * total_correlation, {"total_correlation": total_correlation}


def _dip_vae_i(objective: Objective, batch: _Batch) -> _Priced:
    return _dip_vae(objective, batch, covariance_of_means(batch.posterior), diagonal_ratio=10)


def _dip_vae_ii(objective: Objective, batch: _Batch) -> _Priced:
    return _dip_vae(objective, batch, covariance_of_latents(batch.posterior), diagonal_ratio=1)


def _dip_vae(objective: Objective, batch: _Batch, covariance: Tensor, *, diagonal_ratio: float) -> _Priced:
    off_diagonal, diagonal = objective.off_diagonal, objective.diagonal
    if diagonal is None:
        diagonal = diagonal_ratio * off_diagonal
    penalty = distance_from_identity(covariance, off_diagonal=off_diagonal, diagonal=diagonal)
    return batch.kl + penalty, {"covariance_penalty": penalty}


OBJECTIVES: dict[str, Callable[[Objective, _Batch], _Priced]] = {
    "vae": _vae,
    "beta-vae": _beta_vae,
    "annealed-beta-vae": _annealed_beta_vae,
    "beta-tcvae": _beta_tcvae,
    "factor-vae": _factor_vae,
    "dip-vae-i": _dip_vae_i,
    "dip-vae-ii": _dip_vae_ii,
}
"""name -> what prices the latents of a batch, and names the terms of the price."""

WEIGHTS: dict[str, tuple[str, ...]] = {
    "vae": (),
    "beta-vae": ("beta",),
    "annealed-beta-vae": ("capacity", "capacity_weight"),
    "beta-tcvae": ("alpha", "beta", "gamma"),
    "factor-vae": ("tc_weight",),
    "dip-vae-i": ("off_diagonal", "diagonal"),
    "dip-vae-ii": ("off_diagonal", "diagonal"),
}
"""name -> the weights of `Objective` that it heeds; it does not look at the others."""


def _check_choice(what: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigError(
            f"Expected as {what} one of {', '.join(choices)}, got {repr(value)}. Choose one of them."
        )


def _check_width(width: object) -> None:
    if isinstance(width, bool) or not isinstance(width, int) or not 1 <= width <= 10_000:
        raise ConfigError(
            f"Expected a whole number from 1 to 10000 for discriminator_width, got {repr(width)}. Change it."
        )


def _number(what: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LARGEST:
        raise ConfigError(
            f"Expected a number from 0 to {_LARGEST:g} for {what}, got {repr(value)}. Change it."
        )
    return float(value)


def _checked_losses(losses: object) -> tuple[tuple[str, float], ...]:
    if not isinstance(losses, tuple) or not all(
        isinstance(pair, tuple) and len(pair) == 2 for pair in losses
    ):
        raise ConfigError(
            f"Expected losses as (name, weight) pairs, such as (('mse', 1.0),), got {repr(losses)}."
        )
    for name, _ in losses:
        _check_choice("loss", name, tuple(LOSSES))
    checked = tuple((name, _number(f"the weight of {name}", weight)) for name, weight in losses)
    if len({name for name, _ in checked}) < len(checked):
        raise ConfigError(
            f"Expected each loss once, got {', '.join(name for name, _ in checked)}. Add up the weights."
        )
    if not sum(weight for _, weight in checked) > 0:
        raise ConfigError(
            "Expected at least one loss with a weight above 0, got none. Give one, such as mse."
        )
    return checked
