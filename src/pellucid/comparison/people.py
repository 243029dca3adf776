"""Simulated people of whom it is known who is who, each under chance pose, light, hair and clothes."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float32, Int
from torch import Tensor

from pellucid.data.people import IDENTITY, NAMES, person, render, sample
from pellucid.errors import DataError
from pellucid.latents.activity import Codes
from pellucid.model.predictor import Model

_FIRST = 100_000  # persons below are left to whoever measures
_AT_ONCE = 250


def pictures_of(
    persons: Int[np.ndarray, " person"], each: int, generator: torch.Generator
) -> tuple[Float32[Tensor, "image factor"], Int[np.ndarray, " image"]]:
    """Factors of `each` pictures of every person, all nuisances by chance, and who is on each.

    Args:
        persons: Seeds of `pellucid.data.people.person`.
        each: Pictures of one person; they follow one another.
        generator: Decides the nuisances.
    """
    who = np.repeat(persons, each)
    factors = sample(len(who), generator)
    fixed = [NAMES.index(name) for name in IDENTITY]
    known = torch.cat([person(int(seed)) for seed in persons]).repeat_interleave(each, dim=0)
    factors[:, fixed] = known[:, fixed]
    return factors, who


def encode_people(
    model: Model,
    factors: Float32[Tensor, "image factor"],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Codes:
    """Draw and encode people, some at a time.

    Raises:
        DataError: If the model does not take colour pictures, as people are.
    """
    if model.config.architecture.channels != 3:
        raise DataError(
            "expected a model of colour pictures, as simulated people are, got one of grey ones. "
            "Name a folder of pictures with one sub-folder for each identity."
        )
    mean, log_variance = [], []
    for part in torch.split(factors, _AT_ONCE):
        posterior = model.encode(render(part, model.config.preprocessing.size))
        mean.append(posterior.mean.numpy())
        log_variance.append(posterior.log_variance.numpy())
        if progress:
            progress(sum(map(len, mean)), len(factors))
    return Codes(np.concatenate(mean), np.concatenate(log_variance))


def known_people(
    model: Model,
    persons: int,
    each: int = 2,
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Codes, Int[np.ndarray, " image"]]:
    """Codes of simulated people to learn sameness from, and who is on each picture."""
    generator = torch.Generator().manual_seed(seed)
    factors, who = pictures_of(np.arange(_FIRST, _FIRST + persons), each, generator)
    return encode_people(model, factors, progress=progress), who
