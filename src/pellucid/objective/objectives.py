"""What training minimises: a reconstruction loss and a price on what the latents say."""

from collections.abc import Callable
from dataclasses import dataclass
from reprlib import repr
from typing import Literal, get_args

from jaxtyping import Float
from torch import Tensor

from pellucid.errors import ConfigError
from pellucid.model.posterior import Posterior
from pellucid.objective.kl import kl
from pellucid.objective.reconstruction import LOSSES, training_loss
from pellucid.objective.total_correlation import Estimator, decompose

ObjectiveName = Literal["vae", "beta-vae", "annealed-beta-vae", "beta-tcvae"]

_LARGEST = 1e6


@dataclass(frozen=True)
class Objective:
    """What training minimises, and its weights; values that make no sense are refused with ConfigError.

    Attributes:
        name: "vae": reconstruction + KL (arXiv:1312.6114). "beta-vae": reconstruction + beta KL (Higgins et
            al. 2017). "annealed-beta-vae": reconstruction + capacity_weight |KL - C|, C growing linearly from
            0 to `capacity` over the whole training (arXiv:1804.03599, eq. 8). "beta-tcvae": reconstruction +
            alpha MI + beta TC + gamma dimension-wise KL (arXiv:1802.04942, eq. 4).
        alpha: Weight of the mutual information, "beta-tcvae" only.
        beta: Weight of the KL, or of the total correlation; must be 1 for "vae".
        gamma: Weight of the dimension-wise KL, "beta-tcvae" only.
        estimator: Of the parts of the KL, "beta-tcvae" only: see `pellucid.objective.total_correlation`.
        capacity: The final C in nats, "annealed-beta-vae" only.
        capacity_weight: Price of a nat away from C, "annealed-beta-vae" only.
        losses: (name, weight) of the reconstruction losses, see `LOSSES`.
    """

    name: ObjectiveName = "beta-tcvae"
    alpha: float = 1.0
    beta: float = 4.0
    gamma: float = 1.0
    estimator: Estimator = "weighted"
    capacity: float = 25.0
    capacity_weight: float = 1000.0
    losses: tuple[tuple[str, float], ...] = (("mse", 1.0),)

    def __post_init__(self) -> None:
        _check_choice("objective", self.name, get_args(ObjectiveName))
        _check_choice("estimator", self.estimator, get_args(Estimator))
        for field in ("alpha", "beta", "gamma", "capacity", "capacity_weight"):
            object.__setattr__(self, field, _number(field, getattr(self, field)))
        if self.name == "vae" and self.beta != 1:
            raise ConfigError(
                f"Expected beta=1 for the objective 'vae', got {self.beta:g}. "
                "Give beta=1, or choose 'beta-vae'."
            )
        object.__setattr__(self, "losses", _checked_losses(self.losses))


def loss_terms(
    objective: Objective,
    image: Float[Tensor, "batch channel height width"],
    logits: Float[Tensor, "batch channel height width"],
    z: Float[Tensor, "rows latent"],
    posterior: Posterior,
    *,
    dataset_size: int,
    progress: float,
) -> dict[str, Float[Tensor, ""]]:
    """Compute the loss of a batch, and what it is made of, in nats an image.

    Args:
        objective: What to minimise.
        image: Values in [0, 1].
        logits: The decoder's output for z.
        z: One sample per image, drawn from `posterior`. In distributed training z and `posterior` may be
            those of all processes, beside the images of this one.
        posterior: The encoder's output, in the order of z.
        dataset_size: Images in the training set, at least the rows of z.
        progress: How much of the training is done, 0 to 1.

    Returns:
        "loss" to minimise, "reconstruction", "kl", and for "beta-tcvae" also "mutual_information",
        "total_correlation" and "dimension_wise_kl".

    Raises:
        BatchError: If the batch is too small or too large for the estimator.
        ImageError: If image and logits differ in shape.
    """
    reconstruction = training_loss(dict(objective.losses), image, logits).mean()
    rate, terms = OBJECTIVES[objective.name](
        objective, z, posterior, dataset_size=dataset_size, progress=progress
    )
    return {"loss": reconstruction + rate, "reconstruction": reconstruction, **terms}


def _vae(
    objective: Objective, z: Tensor, posterior: Posterior, *, dataset_size: int, progress: float
) -> tuple[Tensor, dict[str, Tensor]]:
    total = kl(posterior).sum(1).mean()
    return total, {"kl": total}


def _beta_vae(
    objective: Objective, z: Tensor, posterior: Posterior, *, dataset_size: int, progress: float
) -> tuple[Tensor, dict[str, Tensor]]:
    total = kl(posterior).sum(1).mean()
    return objective.beta * total, {"kl": total}


def _annealed_beta_vae(
    objective: Objective, z: Tensor, posterior: Posterior, *, dataset_size: int, progress: float
) -> tuple[Tensor, dict[str, Tensor]]:
    total = kl(posterior).sum(1).mean()
    capacity = objective.capacity * min(max(progress, 0.0), 1.0)
    return objective.capacity_weight * (total - capacity).abs(), {"kl": total}


def _beta_tcvae(
    objective: Objective, z: Tensor, posterior: Posterior, *, dataset_size: int, progress: float
) -> tuple[Tensor, dict[str, Tensor]]:
    # alpha MI + beta TC + gamma DWKL with MI + TC + DWKL exchanged for the closed form of its expectation,
    # the KL: the same objective, with less variance.
    total = kl(posterior).sum(1).mean()
    parts = decompose(z, posterior, dataset_size=dataset_size, estimator=objective.estimator)
    rate = (
        total
        + (objective.alpha - 1) * parts.mutual_information
        + (objective.beta - 1) * parts.total_correlation
        + (objective.gamma - 1) * parts.dimension_wise_kl
    )
    return rate, {"kl": total, **vars(parts)}


OBJECTIVES: dict[str, Callable[..., tuple[Tensor, dict[str, Tensor]]]] = {
    "vae": _vae,
    "beta-vae": _beta_vae,
    "annealed-beta-vae": _annealed_beta_vae,
    "beta-tcvae": _beta_tcvae,
}
"""name -> (objective, z, posterior, dataset_size=, progress=) -> (price of the latents, terms)."""


def _check_choice(what: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigError(
            f"Expected as {what} one of {', '.join(choices)}, got {repr(value)}. Choose one of them."
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
