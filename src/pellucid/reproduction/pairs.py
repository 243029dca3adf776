"""Two pictures of one simulated person, without sunglasses and with them, and what else is changed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Float64
from torch import Tensor

from pellucid.comparison.people import encode_people
from pellucid.data.people import NAMES, person, sample
from pellucid.latents.activity import Codes
from pellucid.model.predictor import Model

SUNGLASSES = "sunglasses"
POSE_AND_LIGHT = ("azimuth", "elevation", "light_azimuth", "light_elevation")


@dataclass(frozen=True)
class Pairs:
    """Two pictures of each person, A without sunglasses and B with them.

    Attributes:
        a: float32 [pair factor].
        b: float32 [pair factor].
    """

    a: Float32[Tensor, "pair factor"]
    b: Float32[Tensor, "pair factor"]


def draw_pairs(persons: int, changing: Sequence[str], seed: int) -> Pairs:
    """Pairs of so many people, the first of those that are left to whoever measures.

    Args:
        persons: How many.
        changing: Factors that are drawn for each picture by itself; all other nuisances are neutral.
        seed: Decides what is drawn.
    """
    generator = torch.Generator().manual_seed(seed)
    base = torch.cat([person(number) for number in range(persons)])
    columns = [NAMES.index(name) for name in changing]
    sides = []
    for worn in (0.0, 1.0):
        factors = base.clone()
        factors[:, columns] = sample(persons, generator)[:, columns]
        factors[:, NAMES.index(SUNGLASSES)] = worn
        sides.append(factors)
    return Pairs(*sides)


def differences(model: Model, pairs: Pairs) -> Float64[np.ndarray, "pair latent"]:
    """How far B's posterior mean is from A's, in each latent."""
    a, b = (encode_people(model, factors).mean.astype(np.float64) for factors in (pairs.a, pairs.b))
    return b - a


def explained_by_sunglasses(model: Model, images: int, seed: int) -> Float64[np.ndarray, " latent"]:
    """The share of each latent's variance that wearing sunglasses explains, over people by chance."""
    factors = sample(images, torch.Generator().manual_seed(seed))
    codes: Codes = encode_people(model, factors)
    return explained(codes.mean.astype(np.float64), factors[:, NAMES.index(SUNGLASSES)].numpy() > 0.5)


def explained(codes: Float64[np.ndarray, "image latent"], worn: np.ndarray) -> Float64[np.ndarray, " latent"]:
    """The share of each column's variance between the images with a mark and those without, 0 to 1."""
    part = worn.mean()
    if part in (0, 1):
        return np.zeros(codes.shape[1])
    apart = codes[worn].mean(axis=0) - codes[~worn].mean(axis=0)
    share: Float64[np.ndarray, " latent"] = (
        part * (1 - part) * apart**2 / np.maximum(codes.var(axis=0), 1e-12)
    )
    return share
