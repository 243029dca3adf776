"""Codes on a common scale, so that a latent's own scale does not matter."""

import numpy as np
from jaxtyping import Float, Float64


def standardise(
    values: Float[np.ndarray, "row column"], reference: Float[np.ndarray, "other column"] | None = None
) -> Float64[np.ndarray, "row column"]:
    """Give every column the mean 0 and deviation 1 that it has in `reference`; a constant one becomes 0.

    Args:
        values: Finite numbers.
        reference: Rows that mean and deviation are taken from; `values` themselves if not given.
    """
    known = values if reference is None else reference
    largest = np.abs(known).max(axis=0).astype(np.float64)
    unit = np.where(largest > 0, largest, 1)  # squares of what is divided by it neither overflow nor vanish
    shares = known / unit
    varies = (known != known[0]).any(axis=0)
    std = np.where(varies, shares.std(axis=0), np.inf)
    scaled: Float64[np.ndarray, "row column"] = (values / unit - shares.mean(axis=0)) / std
    return scaled
