"""Traversals: one latent moved through its range while all the others stand still."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float32
from torch import Tensor

from pellucid.drawn import Drawn
from pellucid.errors import ConfigError, LatentError
from pellucid.latents.names import LatentTable
from pellucid.model.predictor import Model

MAX_STEPS = 200


@dataclass(frozen=True)
class Traversal(Drawn):
    """A table of images: along each row one latent goes from low to high.

    Attributes:
        images: float32 [row step channel height width] in [0, 1].
        labels: One for each row.
        values: float32 [step], what the moved latent is set to.
        starts: float32 [row channel height width] in [0, 1], the photographs that the rows start from;
            None where they start from codes alone.
        title: What is shown, in one line.
    """

    images: Float32[Tensor, "row step channel height width"]
    labels: tuple[str, ...]
    values: Float32[Tensor, " step"]
    starts: Float32[Tensor, "row channel height width"] | None
    title: str


def traverse_latents(
    model: Model,
    table: LatentTable,
    *,
    start: Float[Tensor, "1 latent"] | None = None,
    photo: Float[Tensor, "1 channel height width"] | None = None,
    latents: Sequence[int] | None = None,
    low: float = -3.0,
    high: float = 3.0,
    steps: int = 9,
) -> Traversal:
    """Move every latent of one image in turn: a row for each latent.

    Args:
        model: The model.
        table: Its latents' names.
        start: The code to start from; by default the photo's posterior mean, else the prior's mean.
        photo: The photograph to start from, as `model.to_tensor` gives it.
        latents: Which latents, in this order; by default the active ones, largest KL first, or all of them
            where none is known to be active.
        low: Value of the moved latent at the left.
        high: Value of the moved latent at the right.
        steps: Images in a row, 2 to 200.

    Raises:
        ConfigError: If the range or the number of steps makes no sense.
        LatentError: If there is no such latent, or the code is of another model.
    """
    values = _values(low, high, steps)
    chosen = list(latents) if latents is not None else table.active() or table.order()
    if not chosen:
        raise LatentError(
            "expected at least one latent to move, got none. Name one, or leave the choice to Pellucid."
        )
    z = _start(model, start, photo)
    images = torch.cat([model.traverse(z, latent, values) for latent in chosen])
    origin = "the average image" if start is None and photo is None else "one image"
    return Traversal(
        images=images,
        labels=tuple(_measured_label(table, latent) for latent in chosen),
        values=values,
        starts=None if photo is None else photo.float().expand(len(chosen), -1, -1, -1),
        title=f"Each latent of {origin} from {low:g} to {high:g}",
    )


def traverse_seeds(
    model: Model,
    table: LatentTable,
    *,
    latent: int,
    seeds: Float[Tensor, "seed latent"] | None = None,
    photos: Float[Tensor, "seed channel height width"] | None = None,
    labels: Sequence[str] | None = None,
    low: float = -3.0,
    high: float = 3.0,
    steps: int = 9,
) -> Traversal:
    """Move one latent of several images: a row for each image.

    Args:
        model: The model.
        table: Its latents' names.
        latent: Which latent.
        seeds: The codes to start from; by default the photos' posterior means, else the prior's mean alone.
        photos: The photographs to start from, as `model.to_tensor` gives them.
        labels: What to call the rows.
        low: Value of the latent at the left.
        high: Value of the latent at the right.
        steps: Images in a row, 2 to 200.

    Raises:
        ConfigError: If the range, the number of steps or of labels makes no sense.
        LatentError: If there is no such latent, or the codes are of another model.
    """
    values = _values(low, high, steps)
    z = _start(model, seeds, photos)
    images = model.traverse(z, latent, values)
    rows = tuple(labels) if labels is not None else tuple(f"image {row + 1}" for row in range(len(z)))
    if len(rows) != len(z):
        raise ConfigError(f"labels: expected one for each of {len(z)} rows, got {len(rows)}.")
    return Traversal(
        images=images,
        labels=rows,
        values=values,
        starts=None if photos is None else photos.float(),
        title=f"{table.label(latent)} from {low:g} to {high:g}",
    )


def _measured_label(table: LatentTable, latent: int) -> str:
    kl = table.records[latent].kl
    return table.label(latent) if kl is None else f"{table.label(latent)}, KL {kl:.2f}"


def _values(low: float, high: float, steps: int) -> Float32[Tensor, " step"]:
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ConfigError(f"range: expected two finite numbers, low below high, got {low:g} and {high:g}.")
    if not 2 <= steps <= MAX_STEPS:
        raise ConfigError(f"steps: expected 2 to {MAX_STEPS}, got {steps}.")
    return torch.linspace(low, high, steps)


def _start(
    model: Model,
    codes: Float[Tensor, "seed latent"] | None,
    photos: Float[Tensor, "seed channel height width"] | None,
) -> Float32[Tensor, "seed latent"]:
    if codes is not None:
        if codes.shape[1] != model.latents:
            raise LatentError(f"expected codes of the model's {model.latents} latents, got {codes.shape[1]}.")
        return codes.float().cpu()
    return torch.zeros(1, model.latents) if photos is None else model.encode(photos).mean
