"""Settings that work for each kind of data: what `pellucid train DATA` uses unless told otherwise.

Measured in docs/results.md; what was tried and lost is in docs/log.md.
"""

from dataclasses import dataclass

from pellucid.errors import ConfigError
from pellucid.objective.reconstruction import LOSSES


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
        alignments: How often latents are turned onto independent axes (beta-tcvae). Drawings: once, at half
            time, because turning them while they come alive, all at once, keeps too many of them alive.
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
BINARY = Defaults("burgess", 10, 6.0, (("cross_entropy", 1.0),), 1e-3, False, None, 1)


def defaults_for(kind: str, channels: int) -> Defaults:
    """The settings for a kind of data set (`celeba`, `sprites`, `folder`, `array`, `parquet`)."""
    if kind == "celeba":
        return FACES
    return BINARY if kind == "sprites" or (kind == "array" and channels == 1) else PHOTOGRAPHS


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
