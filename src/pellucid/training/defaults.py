"""Settings that work for each kind of data: what `pellucid train DATA` uses unless told otherwise.

Measured in docs/results.md; what was tried and lost is in docs/log.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pellucid.data.dataset import Dataset
from pellucid.errors import ConfigError
from pellucid.model.architecture import Architecture
from pellucid.objective.objectives import WEIGHTS, Objective
from pellucid.objective.reconstruction import LOSSES
from pellucid.training.config import TrainingConfig


@dataclass(frozen=True)
class Defaults:
    """Settings for a kind of data.

    Attributes:
        preset: The networks.
        latents: How many.
        beta: For objectives that have one.
        losses: Reconstruction losses and their weights.
        learning_rate: Peak of the schedule.
        flip: Whether a mirrored image is as good an image.
        most_epochs: Passes after which a budget in minutes ends.
        alignments: How often latents are turned onto independent axes (beta-tcvae). Sprites and grey
            arrays: four times, the first when their latents have long come alive; nine kept too many alive.
    """

    preset: str
    latents: int
    beta: float
    losses: tuple[tuple[str, float], ...]
    learning_rate: float
    flip: bool
    most_epochs: float | None
    alignments: int = 9


PHOTOGRAPHS = Defaults("photo", 32, 4.0, (("mse", 1.0), ("ssim", 1.0)), 1e-3, False, 60)
FACES = Defaults("photo", 32, 4.0, (("mse", 1.0), ("ssim", 1.0)), 1e-3, True, 60)
SIMULATED = replace(PHOTOGRAPHS, beta=2.0, most_epochs=None)  # people and scenes: there are always new ones
BINARY = Defaults("broadcast", 10, 6.0, (("cross_entropy", 1.0),), 1e-3, False, None, 4)


def defaults_for(kind: str, channels: int) -> Defaults:
    """The settings for a kind of data set: `Dataset.kind`, and channels."""
    if kind == "celeba":
        return FACES
    if kind in ("people", "scenes"):
        return SIMULATED
    return BINARY if kind == "sprites" or (kind == "array" and channels == 1) else PHOTOGRAPHS


def settings_for(
    dataset: Dataset,
    *,
    objective: str,
    weights: Mapping[str, Any] | None = None,
    beta: float | None = None,
    losses: tuple[tuple[str, float], ...] | None = None,
    latents: int | None = None,
    preset: str | None = None,
    learning_rate: float | None = None,
    flip: bool | None = None,
    align: bool | None = None,
    most_epochs: float | None = None,
    **training: Any,
) -> tuple[TrainingConfig, Architecture]:
    """Complete what a person asked for: whatever is None takes what suits the data and the objective.

    Args:
        dataset: What will be trained on; its size and channels are those of the networks.
        objective: Its name.
        weights: Other settings of `Objective`, such as alpha; they have one default for all data.
        beta: Default: 1 for `vae`, else that of the data.
        losses: Reconstruction losses and their weights.
        latents: How many.
        preset: The networks.
        learning_rate: Its peak.
        flip: Whether images are mirrored at random.
        align: Whether latents are turned onto independent axes now and then. Default: for `beta-tcvae`.
        most_epochs: Passes after which a budget in minutes ends.
        training: Other settings of `TrainingConfig`: the budget, batch_size, precision, seed.

    Raises:
        ConfigError: If a setting is out of range or contradicts another.
    """
    _refuse_idle(objective, dict(weights or {}) | ({} if beta is None else {"beta": beta}))
    if most_epochs is not None and training.get("minutes") is None:
        raise ConfigError("most_epochs: ends a budget in minutes, but there is none. Leave it out.")
    pre = dataset.preprocessing
    defaults = defaults_for(dataset.kind, pre.channels)
    if beta is None:
        beta = 1.0 if objective == "vae" else defaults.beta
    if align is None:
        align = objective == "beta-tcvae"
    config = TrainingConfig(
        objective=Objective(
            name=objective,  # type: ignore[arg-type]  # checked there
            beta=beta,
            losses=defaults.losses if losses is None else losses,
            **(weights or {}),
        ),
        learning_rate=defaults.learning_rate if learning_rate is None else learning_rate,
        flip=defaults.flip if flip is None else flip,
        alignments=defaults.alignments if align else 0,
        most_epochs=defaults.most_epochs if most_epochs is None else most_epochs,
        **training,
    )
    latents = defaults.latents if latents is None else latents
    return config, Architecture(preset or defaults.preset, pre.size, pre.channels, latents)


def _refuse_idle(objective: str, weights: Mapping[str, Any]) -> None:
    """Refuse weights that the objective does not look at, unless they are as they always are."""
    heeded = WEIGHTS.get(objective)
    if heeded is None:  # no such objective, which has an error of its own
        return
    defaults = Objective()
    for name, value in weights.items():
        if name in heeded or (objective, name) in (("beta-tcvae", "estimator"), ("vae", "beta")):
            continue
        if name == "beta" or value != getattr(defaults, name):
            uses = ", ".join(heeded) or "no weight"
            raise ConfigError(f"{name}: does nothing for {objective}, which has {uses}. Leave it out.")


def parse_losses(text: str) -> tuple[tuple[str, float], ...]:
    """Read `ssim`, `mse,ssim` or `mse=1,ssim=0.5`: losses to add up, and their weights (1 unless given).

    Raises:
        ConfigError: If a name is not a loss, or a weight is not a number.
    """
    losses = []
    for part in text.split(","):
        name, _, weight = part.strip().partition("=")
        if name not in LOSSES:
            raise ConfigError(
                f"loss: expected some of {', '.join(LOSSES)}, got {name!r}. For example: mse=1,ssim=0.5."
            )
        try:
            losses.append((name, float(weight or 1)))
        except ValueError as error:
            raise ConfigError(f"loss: expected a number after {name}=, got {weight!r}.") from error
    return tuple(losses)
