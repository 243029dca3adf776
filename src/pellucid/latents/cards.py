"""A card for each active latent: what it does to the picture, how it is spread, what it tracks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int
from torch import Tensor

from pellucid.drawn import Drawn
from pellucid.errors import DataError
from pellucid.latents.activity import Codes, measure_activity
from pellucid.latents.names import LatentTable, with_activity
from pellucid.latents.tracking import Tracking
from pellucid.latents.traverse import Traversal, traverse_seeds
from pellucid.model.predictor import Model

MAX_TRACKS = 5
_BINS = 40
_RESPONSE_SEEDS = 16


@dataclass(frozen=True)
class Card(Drawn):
    """All there is to know of one latent.

    Attributes:
        latent: Its index.
        label: `z17 sunglasses`, or `z17`.
        name: What it is called, or None.
        suggested: Whether the name is Pellucid's proposal.
        evidence: What the proposal rests on, or None.
        kl: Nats per image.
        variance: Of the posterior mean; the prior's is 1.
        low: 1 % quantile of the posterior mean.
        high: 99 % quantile of the posterior mean.
        strip: Row 0 moves the latent of the average image (the prior's mean) from -3 to 3, the other rows
            that of typical images.
        response: float32 [height width], how much each pixel changes from `low` to `high`, in [0, 1].
        counts: int64 [bin], images by the latent's posterior mean.
        edges: float64 [bin+1], the bins' edges.
        tracks: Attributes that it follows better than chance, the strongest on the half of the images that
            chooses first, at most 5; see `Tracking`.
    """

    latent: int
    label: str
    name: str | None
    suggested: bool
    evidence: str | None
    kl: float
    variance: float
    low: float
    high: float
    strip: Traversal
    response: Float32[np.ndarray, "height width"]
    counts: Int[np.ndarray, " bin"]
    edges: Float64[np.ndarray, " bin+1"]
    tracks: tuple[Tracking, ...]


def build_cards(
    model: Model, table: LatentTable, codes: Codes, *, trackings: Sequence[Tracking] = ()
) -> tuple[Card, ...]:
    """Make the cards of the active latents, the one with the largest KL first.

    Everything on a card is measured on `codes`; of the table only the names are used.

    Args:
        model: The model.
        table: Its latents' names.
        codes: The images to measure on, as `encode_dataset` gives them.
        trackings: What `track` found on the same images.

    Raises:
        DataError: If there are no codes.
    """
    if not len(codes.mean):
        raise DataError("expected the codes of at least 1 image, got none. Choose another part of the data.")
    table = with_activity(table, measure_activity(codes))
    active = table.active()
    typical = torch.from_numpy(codes.mean[typical_images(codes.mean[:, active])])
    spread = np.linspace(0, len(codes.mean) - 1, min(_RESPONSE_SEEDS, len(codes.mean))).astype(int)
    seeds = torch.from_numpy(codes.mean[spread])
    return tuple(_card(model, table, latent, codes, typical, seeds, trackings) for latent in active)


def _card(
    model: Model,
    table: LatentTable,
    latent: int,
    codes: Codes,
    typical: Float[Tensor, "row latent"],
    seeds: Float[Tensor, "seed latent"],
    trackings: Sequence[Tracking],
) -> Card:
    record = table.records[latent]
    kl, variance, low, high = (
        record.kl or 0.0,
        record.variance or 0.0,
        record.low or 0.0,
        record.high or 0.0,
    )
    starts = torch.cat([torch.zeros(1, model.latents), typical])
    labels = ["average", *(f"typical image {i + 1}" for i in range(len(typical)))]
    values = codes.mean[:, latent].astype(np.float64)
    counts, edges = np.histogram(values, _BINS, (min(-3.0, values.min()), max(3.0, values.max())))
    tracks = [tracking for tracking in trackings if tracking.latent == latent and tracking.above_chance]
    return Card(
        latent=latent,
        label=table.label(latent),
        name=record.name,
        suggested=record.suggested,
        evidence=record.evidence,
        kl=kl,
        variance=variance,
        low=low,
        high=high,
        strip=traverse_seeds(model, table, latent=latent, seeds=starts, labels=labels),
        response=response_map(model, seeds, latent, low, high),
        counts=counts,
        edges=edges,
        tracks=tuple(sorted(tracks, key=lambda tracking: -tracking.strength)[:MAX_TRACKS]),
    )


def response_map(
    model: Model, seeds: Float[Tensor, "seed latent"], latent: int, low: float, high: float
) -> Float32[np.ndarray, "height width"]:
    """Where the picture changes: each pixel's mean absolute difference between the two ends of a latent.

    Args:
        model: The model.
        seeds: Codes of images; the latent is moved in each, the others stay.
        latent: Which latent.
        low: Its value at one end.
        high: Its value at the other.

    Returns:
        float32 [height width] in [0, 1], averaged over seeds and channels.
    """
    ends = model.traverse(seeds.float(), latent, torch.tensor([low, high]))
    change = (ends[:, 1] - ends[:, 0]).abs().mean(dim=(0, 1))  # [height width]
    return change.numpy()


def typical_images(codes: Float[np.ndarray, "image latent"]) -> Int[np.ndarray, " seed"]:
    """Two rows that stand for the rest: the image nearest to the median, and one unlike it.

    The second is the farthest from the first among the half of the images that lie nearest to the median.
    """
    centred = (codes - np.median(codes, axis=0)) / np.maximum(codes.std(axis=0), 1e-6)
    near = np.argsort((centred**2).sum(axis=1), kind="stable")[: max(len(codes) // 2, 2)]
    if len(near) < 2:
        return near
    apart = ((centred[near] - centred[near[0]]) ** 2).sum(axis=1)
    return near[[0, int(apart.argmax())]]
