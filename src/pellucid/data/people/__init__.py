"""Simulated people: head and shoulders with known factors, for measuring what latents have learned."""

from pellucid.data.people.factors import (
    FACTORS,
    IDENTITY,
    NAMES,
    NUISANCE,
    Factor,
    factors_of,
    neutral,
    person,
    sample,
    with_factors,
)
from pellucid.data.people.portrait import SIZES, render

__all__ = [
    "FACTORS",
    "IDENTITY",
    "NAMES",
    "NUISANCE",
    "SIZES",
    "Factor",
    "factors_of",
    "neutral",
    "person",
    "render",
    "sample",
    "with_factors",
]
