"""Figures as files: the suffix decides the format."""

from collections.abc import Callable
from pathlib import Path

from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from pellucid.errors import ConfigError
from pellucid.latents.cards import Card
from pellucid.latents.traverse import Traversal
from pellucid.model.sealed import write_file
from pellucid.report.card import card_figure
from pellucid.report.curves import Metrics, loss_curves
from pellucid.report.grids import reconstructions_figure, traversal_figure
from pellucid.report.ink import encode
from pellucid.report.sweep import sweep_gif

__all__ = [
    "card_figure",
    "loss_curves",
    "reconstructions_figure",
    "save_card",
    "save_figure",
    "save_loss_curves",
    "save_reconstructions",
    "save_traversal",
    "traversal_figure",
]


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as .png or .pdf.

    Raises:
        ConfigError: If the suffix is another.
    """
    _save(path, lambda: figure)


def save_traversal(traversal: Traversal, path: Path) -> None:
    """Write a traversal: a grid as .png or .pdf, an animation that sweeps back and forth as .gif.

    Raises:
        ConfigError: If the suffix is another, or the figure would be too large.
    """
    _save(path, lambda: traversal_figure(traversal), lambda: sweep_gif(traversal))


def save_reconstructions(
    originals: Float[Tensor, "image channel height width"],
    reconstructions: Float[Tensor, "image channel height width"],
    path: Path,
) -> None:
    """Write originals above their reconstructions as .png or .pdf."""
    _save(path, lambda: reconstructions_figure(originals, reconstructions))


def save_loss_curves(metrics: Metrics, path: Path) -> None:
    """Write the curves of a run's metrics.jsonl as .png or .pdf."""
    _save(path, lambda: loss_curves(metrics))


def save_card(card: Card, path: Path) -> None:
    """Write a latent's card as .png or .pdf."""
    _save(path, lambda: card_figure(card))


def _save(path: Path, draw: Callable[[], Figure], animate: Callable[[], bytes] | None = None) -> None:
    kind = path.suffix.lower().removeprefix(".")
    kinds = ["png", "pdf"] + (["gif"] if animate else [])
    if kind not in kinds:
        expected = ", ".join(f".{name}" for name in kinds)
        raise ConfigError(
            f"{path}: expected a name that ends in {expected}, got {path.suffix or 'no ending'!r}."
        )
    write_file(path, animate() if animate and kind == "gif" else encode(draw(), kind))
