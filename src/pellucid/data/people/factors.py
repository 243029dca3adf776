"""What decides the picture of a simulated person: twenty named numbers, and ways to choose them."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float32, Int
from torch import Tensor

from pellucid.data.hashing import uniform
from pellucid.errors import DataError


@dataclass(frozen=True)
class Factor:
    """One number of a simulated person.

    Attributes:
        name: What it is called.
        low: Its smallest value.
        high: Its largest value.
        neutral: Its value where nothing is said of it.
        unit: What it is measured in.
        role: `identity` stays with a person, `nuisance` changes from picture to picture.
        chance: For factors that are 0 or 1: how often it is 1; None for all others, which are spread evenly.
    """

    name: str
    low: float
    high: float
    neutral: float
    unit: str
    role: Literal["identity", "nuisance"]
    chance: float | None = None


FACTORS = (
    Factor("face_width", 0.84, 1.16, 1.0, "of the average", "identity"),
    Factor("face_length", 0.86, 1.14, 1.0, "of the average", "identity"),
    Factor("brow_height", 0.0, 1.0, 0.5, "low to high", "identity"),
    Factor("eye_spacing", 0.78, 1.22, 1.0, "of the average", "identity"),
    Factor("nose_length", 0.6, 1.4, 1.0, "of the average", "identity"),
    Factor("skin_tone", 0.0, 1.0, 0.25, "light to dark", "identity"),
    Factor("hairline", 0.0, 1.0, 0.35, "low to receded", "identity"),
    Factor("azimuth", -45.0, 45.0, 0.0, "degrees, to the viewer's right", "nuisance"),
    Factor("elevation", -25.0, 25.0, 0.0, "degrees, upwards", "nuisance"),
    Factor("light_azimuth", -70.0, 70.0, -25.0, "degrees, to the viewer's right", "nuisance"),
    Factor("light_elevation", -10.0, 60.0, 30.0, "degrees, from above", "nuisance"),
    Factor("background_color", 0.0, 1.0, 0.7, "dark blue to light sand", "nuisance"),
    Factor("clothes_color", 0.0, 1.0, 0.2, "blue to red", "nuisance"),
    Factor("smile", -0.5, 1.0, 0.0, "frown to open smile", "nuisance"),
    Factor("facial_hair", 0.0, 1.0, 0.0, "shaven to full beard", "nuisance"),
    Factor("hair_color", 0.0, 1.0, 0.35, "black to blond", "nuisance"),
    Factor("hair_length", 0.0, 1.0, 0.4, "cropped to below the shoulders", "nuisance"),
    Factor("hair_part", -1.0, 1.0, -0.6, "viewer's left to right", "nuisance"),
    Factor("sunglasses", 0.0, 1.0, 0.0, "0 or 1", "nuisance", 0.3),
    Factor("hat", 0.0, 1.0, 0.0, "0 or 1", "nuisance", 0.3),
)
NAMES = tuple(factor.name for factor in FACTORS)
IDENTITY = tuple(factor.name for factor in FACTORS if factor.role == "identity")
NUISANCE = tuple(factor.name for factor in FACTORS if factor.role == "nuisance")

_PERSON_STREAMS = -1_000  # persons are drawn from other random numbers than rows (0 and up) and scenes


def neutral() -> Float32[Tensor, "1 factor"]:
    """The average person, looking straight ahead."""
    return torch.tensor([[factor.neutral for factor in FACTORS]])


def sample(n: int, generator: torch.Generator) -> Float32[Tensor, "n factor"]:
    """Draw people: every factor independent, spread evenly over its range or 1 by its chance.

    Args:
        n: How many.
        generator: Decides them.
    """
    return _spread(torch.rand(n, len(FACTORS), generator=generator, dtype=torch.float64))


def factors_of(rows: Int[np.ndarray, " row"]) -> Float32[Tensor, "row factor"]:
    """The people of the built-in data set: each row number's own factors, distributed as in `sample`."""
    numbers = [uniform(rows, stream) for stream in range(len(FACTORS))]
    return _spread(torch.from_numpy(np.stack(numbers, axis=1)))


def person(seed: int, **nuisance: float) -> Float32[Tensor, "1 factor"]:
    """One identity, in a neutral picture but for the nuisances that are given.

    `person(3)` and `person(3, sunglasses=1, azimuth=30)` are the same person.

    Args:
        seed: Which person, 0 or more.
        nuisance: Values of nuisance factors, each within its range.

    Raises:
        DataError: If a name is not a nuisance factor, or a value is out of its range.
    """
    if seed < 0:
        raise DataError(f"person: expected a seed of 0 or more, got {seed}. Choose another.")
    drawn = _spread(
        torch.from_numpy(
            np.stack(
                [uniform(np.array([seed]), _PERSON_STREAMS + stream) for stream in range(len(FACTORS))],
                axis=1,
            )
        )
    )
    factors = neutral()
    for column, factor in enumerate(FACTORS):
        if factor.role == "identity":
            factors[0, column] = drawn[0, column]
    return with_factors(factors, **_only_nuisances(nuisance))


def with_factors(factors: Float32[Tensor, "n factor"], **values: float) -> Float32[Tensor, "n factor"]:
    """The same people, with some factors set to a value.

    Raises:
        DataError: If a name is not a factor, or a value is out of its range.
    """
    changed = factors.clone()
    for name, value in values.items():
        if name not in NAMES:
            raise DataError(f"expected a factor of people, one of {', '.join(NAMES)}, got {name!r}.")
        changed[:, NAMES.index(name)] = value
    return checked(changed)


def checked(factors: Tensor) -> Float32[Tensor, "n factor"]:
    """The factors as float32, each of them checked.

    Raises:
        DataError: If there are not 20 numbers for each person, or one is out of its range; it is named.
    """
    if factors.ndim != 2 or factors.shape[1] != len(FACTORS) or not factors.is_floating_point():
        got = f"{factors.dtype} {list(factors.shape)}"
        raise DataError(f"factors: expected floats [person {len(FACTORS)}], got {got}. Use people.sample.")
    for column, factor in enumerate(FACTORS):
        values = factors[:, column]
        outside = ~((values >= factor.low - 1e-6) & (values <= factor.high + 1e-6))  # also nan
        if outside.any():
            raise DataError(
                f"{factor.name}: expected {factor.low:g} to {factor.high:g} ({factor.unit}), "
                f"got {values[outside][0]:g}. Change it."
            )
    return factors.float()


def _only_nuisances(values: dict[str, float]) -> dict[str, float]:
    fixed = sorted(set(values) & set(IDENTITY))
    if fixed:
        raise DataError(
            f"person: expected nuisance factors ({', '.join(NUISANCE)}), got {fixed[0]!r}, which is part of "
            "the identity. Use people.with_factors to change it."
        )
    return values


def _spread(numbers: Tensor) -> Float32[Tensor, "n factor"]:
    """Numbers in [0, 1) to factors."""
    low, high = (
        torch.tensor([getattr(factor, end) for factor in FACTORS]).double() for end in ("low", "high")
    )
    chance = torch.tensor([factor.chance or 0.0 for factor in FACTORS]).double()
    return torch.where(chance > 0, (numbers < chance).double(), low + (high - low) * numbers).float()
