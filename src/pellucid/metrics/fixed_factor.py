"""Images that have the value of one factor in common, drawn from the images at hand."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Int64

from pellucid.errors import ConfigError, DataError


@dataclass(frozen=True)
class FixedFactor:
    """The images of one factor, class by class; an image that is alone in its class is left out.

    Attributes:
        rows: int [place], images sorted by their class.
        start: int [place], the first place of that place's class.
        size: int [place], images in that place's class, at least 2.
    """

    rows: Int64[np.ndarray, " place"]
    start: Int64[np.ndarray, " place"]
    size: Int64[np.ndarray, " place"]

    def groups(
        self, count: int, size: int, generator: np.random.Generator
    ) -> Int64[np.ndarray, "group member"]:
        """Draw `count` groups of `size` images, those of a group sharing the value of an image at random.

        With replacement, so a class may have fewer images than a group.
        """
        place = generator.integers(len(self.rows), size=(count, 1))
        member = generator.integers(self.size[place], size=(count, size))
        return self.rows[self.start[place] + member]

    def pairs(
        self, count: int, generator: np.random.Generator
    ) -> tuple[Int64[np.ndarray, " pair"], Int64[np.ndarray, " pair"]]:
        """Draw `count` pairs of two different images that share a value, that of an image at random."""
        place = generator.integers(len(self.rows), size=count)
        start, size = self.start[place], self.size[place]
        step = 1 + generator.integers(size - 1)
        return self.rows[place], self.rows[start + (place - start + step) % size]


def fixed_factors(factor_classes: Int[np.ndarray, "image factor"]) -> tuple[FixedFactor, ...]:
    """Sort the images by each factor's classes, ready to draw from.

    Args:
        factor_classes: From `discretise_factors`, so that a continuous factor is shared within a bin.

    Raises:
        DataError: If no two images share a value of some factor.
        ConfigError: If there is one factor only.
    """
    if factor_classes.shape[1] < 2:
        raise ConfigError("expected at least 2 factors, to tell which one is fixed, got 1. Add another.")
    return tuple(_sorted(classes, factor) for factor, classes in enumerate(factor_classes.T))


def _sorted(classes: Int[np.ndarray, " image"], factor: int) -> FixedFactor:
    shared = np.bincount(classes)[classes] > 1
    if not shared.any():
        raise DataError(
            f"factor {factor}: expected images that share a value of it, got {len(classes):,} images with as "
            "many values. Pass more images."
        )
    rows = np.flatnonzero(shared)
    rows = rows[np.argsort(classes[rows], kind="stable")]
    _, start, inverse, counts = np.unique(
        classes[rows], return_index=True, return_inverse=True, return_counts=True
    )
    return FixedFactor(rows, start[inverse].astype(np.int64), counts[inverse].astype(np.int64))
