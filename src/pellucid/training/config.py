"""What a training run is told, checked before anything starts."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import torch

from pellucid.data.dataset import Dataset
from pellucid.errors import ConfigError
from pellucid.model.architecture import Architecture
from pellucid.objective.objectives import Objective

Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of a run. Exactly one of `steps`, `epochs` and `minutes` is given.

    Attributes:
        objective: What is minimised.
        steps: Budget in optimiser steps.
        epochs: Budget in passes over the training images.
        minutes: Budget in minutes of training (resumed runs go on counting).
        most_epochs: With `minutes`: end after so many passes even so, because a small set is then learned
            by heart and held-out images only get worse. None for no such end.
        batch_size: Images a step, at least 2.
        learning_rate: Peak of the schedule: linear warm-up, then half a cosine to zero.
        warm_up: Share of the budget that the learning rate takes to rise.
        gradient_clip: Largest norm of the gradient, in nats an image.
        flip: Whether images are mirrored left to right at random.
        alignments: How often in the whole budget the latents are turned onto independent axes
            (`pellucid.training.alignment`); the last stretch is left for settling. 0 for never. Not with
            "factor-vae", whose discriminator knows the latents by their axes.
        precision: `auto` is bfloat16 autocast where a race at the start says that it is faster, else float32.
        seed: Decides weights, order, flips and noise.
        log_every: Steps between rows of metrics.jsonl.
        checkpoint_minutes: Minutes between checkpoints.
        validations: How often in the whole budget the held-out images are measured.
    """

    objective: Objective = field(default_factory=Objective)
    steps: int | None = None
    epochs: float | None = None
    minutes: float | None = None
    most_epochs: float | None = None
    batch_size: int = 64
    learning_rate: float = 1e-3
    warm_up: float = 0.02
    gradient_clip: float = 1000.0
    flip: bool = False
    alignments: int = 0
    precision: Precision = "auto"
    seed: int = 0
    log_every: int = 50
    checkpoint_minutes: float = 2.0
    validations: int = 20

    def __post_init__(self) -> None:
        named = {"steps": self.steps, "epochs": self.epochs, "minutes": self.minutes}
        budgets = {name: value for name, value in named.items() if value is not None}
        if len(budgets) != 1:
            raise ConfigError(f"expected one of steps, epochs and minutes, got {len(budgets)}.")
        for name, value in budgets.items():
            _within(name, value, 1 if name == "steps" else 1e-9, 1e12)
        _within("most_epochs", 1 if self.most_epochs is None else self.most_epochs, 1e-9, 1e12)
        _within("batch_size", self.batch_size, 2, 1 << 20)
        _within("learning_rate", self.learning_rate, 1e-12, 10)
        _within("warm_up", self.warm_up, 0, 0.9)
        _within("alignments", self.alignments, 0, 10_000)
        if self.alignments and self.objective.name == "factor-vae":
            raise ConfigError(
                f"alignments: expected 0 for the objective 'factor-vae', got {self.alignments}: its "
                "discriminator would not know the turned latents. Leave it at 0 (--no-align)."
            )
        _within("gradient_clip", self.gradient_clip, 1e-9, math.inf)
        _within("seed", self.seed, 0, 2**63 - 1)
        _within("log_every", self.log_every, 1, 1e9)
        _within("checkpoint_minutes", self.checkpoint_minutes, 0, 1e6)
        _within("validations", self.validations, 0, 10_000)
        if self.precision not in ("auto", "float32", "bfloat16"):
            raise ConfigError(f"precision: expected auto, float32 or bfloat16, got {self.precision!r}.")

    def most_steps(self, train_images: int) -> int | None:
        """The number of steps after which the budget is used up; None where only time decides."""
        epochs = self.epochs if self.epochs is not None else self.most_epochs
        if self.steps is not None or epochs is None:
            return self.steps
        return max(1, math.ceil(epochs * train_images / self.batch_size))


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:  # also refuses nan
        raise ConfigError(f"{name}: expected {low:g} to {high:g}, got {value}. Change it.")


def settings_of(
    config: TrainingConfig, architecture: Architecture, dataset: Dataset, precision: torch.dtype
) -> dict[str, Any]:
    """Everything that decides the weights, as JSON: config.json records it, a resumed run repeats it."""
    settings, pre = asdict(config), dataset.preprocessing
    for watching_only in ("log_every", "checkpoint_minutes", "validations"):
        settings.pop(watching_only)
    return {
        **settings,
        "objective": {**settings["objective"], "losses": dict(config.objective.losses)},
        "precision": str(precision).removeprefix("torch."),
        "architecture": asdict(architecture),
        "preprocessing": {**asdict(pre), "window": None if pre.window is None else list(pre.window)},
        "data": dataset.fingerprint,
    }


def check_same_settings(now: Mapping[str, Any], then: Mapping[str, Any]) -> None:
    """Refuse to resume a run as another one.

    Raises:
        ConfigError: Naming the first setting that differs.
    """
    key = _first_difference(now, then)
    if key is not None:
        raise ConfigError(
            f"--resume goes on with the same settings, but {key} was {then.get(key)!r} and is now "
            f"{now.get(key)!r}. Give the first command's settings, or train anew with another --out."
        )


def check_same_everywhere(here: Mapping[str, Any], first: Mapping[str, Any]) -> None:
    """Refuse to train one model with two recipes, in two of its processes.

    Raises:
        ConfigError: Naming the first setting that differs from those of the first process.
    """
    key = _first_difference(here, first)
    if key is not None:
        raise ConfigError(
            f"expected the same data and settings in all processes, but {key} is {here.get(key)!r} in "
            f"this one and {first.get(key)!r} in the first. Give all the same; where machines differ, "
            "give --precision, too."
        )


def _first_difference(some: Mapping[str, Any], others: Mapping[str, Any]) -> str | None:
    return next(
        (key for key in sorted(some.keys() | others.keys()) if some.get(key) != others.get(key)), None
    )
