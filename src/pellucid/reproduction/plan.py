"""The models that the paper's figures need: what each is told, and its share of the time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pellucid.reproduction.settings import Settings

Subject = Literal["faces", "people"]

LATENTS = 32
"""Of the models of faces, as in the paper."""

COMPARED = ("mse", "cosine", "ssim")
"""Reconstruction losses that Fig 11 compares, one model each."""

BETA = 4.0
SWEPT = (1.0, 10.0)
"""Other betas of Fig 11, beside `BETA`."""


@dataclass(frozen=True)
class Recipe:
    """A model to be trained, or the one of simulated people that comes with Pellucid.

    Attributes:
        name: Of its folder.
        data: What it is trained on.
        objective: Its objective.
        about: How it is called in figures and tables.
        share: Of the time, beside the shares of the others; 0 for the model that comes with Pellucid.
        beta: None takes what suits the data.
        loss: The one reconstruction loss; None takes what suits the data.
    """

    name: str
    data: Literal["sprites", "faces", "people"]
    objective: str
    about: str
    share: float = 1.0
    beta: float | None = None
    loss: str | None = None

    @property
    def pretrained(self) -> bool:
        """Whether the model comes with Pellucid, trained on more images than there is time for here."""
        return not self.share

    @property
    def choices(self) -> dict[str, Any]:
        """Arguments for `settings_for`; what is None there takes the default."""
        losses = None if self.loss is None else ((self.loss, 1.0),)
        return {"objective": self.objective, "beta": self.beta, "losses": losses}


def subject_of(settings: Settings) -> Subject:
    """What the detector's normal images show: faces, or the simulated people that stand in for them."""
    return "people" if settings.data is None else "faces"


def by_loss(subject: Subject, loss: str, beta: float = BETA) -> str:
    """The name of the model that was trained with one loss alone."""
    return f"{subject}-{loss}" if beta == BETA else f"{subject}-{loss}-beta-{beta:g}"


def recipes(subject: Subject) -> tuple[Recipe, ...]:
    """All models, in the order in which the figures need them; that of simulated people is the last."""
    labels = {"mse": "MSE", "cosine": "cosine", "ssim": "SSIM"}
    found = [
        Recipe("sprites-vae", "sprites", "vae", "VAE", 1.5),
        Recipe("sprites-tcvae", "sprites", "beta-tcvae", "β-TCVAE", 1.5),
    ]
    for loss in COMPARED:
        about = f"β-TCVAE, {labels[loss]} alone, β = {BETA:g}"
        found.append(
            Recipe(by_loss(subject, loss), subject, "beta-tcvae", about, beta=BETA, loss=loss),
        )
    for beta in SWEPT:
        name, about = by_loss(subject, "mse", beta), f"β-TCVAE, MSE alone, β = {beta:g}"
        found.append(Recipe(name, subject, "beta-tcvae", about, beta=beta, loss="mse"))
    if subject != "people":
        found.insert(0, Recipe(subject, subject, "beta-tcvae", "β-TCVAE with the default settings", 2.0))
    return (*found, Recipe("people", "people", "beta-tcvae", "β-TCVAE that comes with Pellucid", 0.0))


def minutes_of(recipe: Recipe, every: Sequence[Recipe], minutes: float) -> float:
    """Its part of the time for all."""
    return minutes * recipe.share / sum(other.share for other in every)
