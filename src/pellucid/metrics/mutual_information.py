"""Bins, entropies and mutual information of codes and factors: what the information metrics share."""

import numpy as np
from jaxtyping import Float, Float64, Int, Int64

from pellucid.errors import DataError

MOST_CLASSES = 50
FACTOR_BINS = 20
CODE_BINS = 20
_NOTHING = 1e-12


def check_codes(codes: Float[np.ndarray, "image latent"], factors: Float[np.ndarray, "row factor"]) -> None:
    """Refuse codes and factors that no metric can say anything about.

    Raises:
        DataError: If there are fewer than 2 images, no latent or no factor, a different number of rows, or a
            value that is not finite.
    """
    if len(codes) != len(factors):
        raise DataError(
            f"codes and factors: expected a row of each for every image, got {len(codes):,} rows of codes "
            f"and {len(factors):,} of factors. Pass those of the same images, in the same order."
        )
    if len(codes) < 2 or codes.shape[1] == 0 or factors.shape[1] == 0:
        raise DataError(
            f"expected at least 2 images, 1 latent and 1 factor, got {len(codes)}, {codes.shape[1]} and "
            f"{factors.shape[1]}. Pass more."
        )
    for name, values in (("codes", codes), ("factors", factors)):
        if not np.isfinite(values).all():
            bad = np.argwhere(~np.isfinite(values))[0]
            raise DataError(
                f"{name}: expected finite numbers, got {values[tuple(bad)]} in row {bad[0]}, column "
                f"{bad[1]}. Leave out images whose factors are unknown."
            )


def discretise_factors(factors: Float[np.ndarray, "image factor"]) -> Int64[np.ndarray, "image factor"]:
    """Give every factor classes 0, 1, ... in ascending order of its values.

    A factor with at most 50 distinct values keeps each as a class (dSprites has 40 orientations). One with
    more is cut in 20 bins of equal counts: a value goes to the bin of the middle of its ranks, so equal
    values stay together and ties can leave fewer bins.

    Raises:
        DataError: If a value is not finite, or a factor has one value only: nothing can be said of it.
    """
    if not np.isfinite(factors).all():
        raise DataError(
            "factors: expected finite numbers, got nan or inf. Leave out images with unknown ones."
        )
    return np.stack([_classes(column, index) for index, column in enumerate(factors.T)], axis=1)


def _classes(values: Float[np.ndarray, " image"], factor: int) -> Int64[np.ndarray, " image"]:
    distinct, classes, counts = np.unique(values, return_inverse=True, return_counts=True)
    if len(distinct) > MOST_CLASSES:
        middles = (np.cumsum(counts) - counts / 2) / len(values)
        bins = np.floor(middles * FACTOR_BINS).astype(np.int64)
        distinct, classes = np.unique(bins[classes], return_inverse=True)
    if len(distinct) < 2:
        raise DataError(
            f"factor {factor}: expected at least two different values among the images, got one. "
            "Leave it out."
        )
    return classes.astype(np.int64)


def discretise_codes(
    codes: Float[np.ndarray, "image latent"], bins: int = CODE_BINS
) -> Int64[np.ndarray, "image latent"]:
    """Cut each latent's range, smallest to largest value, in bins of equal width, numbered from 0.

    The protocol of Locatello et al. 2019 (arXiv:1811.12359, app. C). A constant latent is all in bin 0.
    """
    wide = codes.astype(np.float64)
    low = wide.min(axis=0)
    span = wide.max(axis=0) - low
    places = np.floor((wide - low) / np.where(span > 0, span, 1) * bins)
    binned: Int64[np.ndarray, "image latent"] = np.minimum(places, bins - 1).astype(np.int64)
    return binned


def entropies(classes: Int[np.ndarray, "image column"]) -> Float64[np.ndarray, " column"]:
    """Entropy of every column's frequencies, in nats."""
    return np.array([_entropy(np.bincount(column)) for column in classes.T])


def mutual_information(
    code_classes: Int[np.ndarray, "image latent"], factor_classes: Int[np.ndarray, "image factor"]
) -> Float64[np.ndarray, "latent factor"]:
    """Mutual information of every latent with every factor, from the counts of their classes, in nats.

    The plug-in estimate I = H(a) + H(b) - H(a, b). For independent columns it is not 0 but about
    (classes of a - 1)(classes of b - 1) / (2 images) (Miller 1955), e.g. 0.03 for 20 and 32 classes and
    10,000 images.

    Args:
        code_classes: From `discretise_codes`.
        factor_classes: From `discretise_factors`.
    """
    latents = code_classes.shape[1]
    code_count = int(code_classes.max()) + 1
    of_codes, of_factors = entropies(code_classes), entropies(factor_classes)
    information = np.empty((latents, factor_classes.shape[1]))
    own_cells = code_classes + code_count * np.arange(latents)  # a range of cells for each latent
    for factor, classes in enumerate(factor_classes.T):
        count = int(classes.max()) + 1
        cells = np.bincount(
            (own_cells * count + classes[:, None]).ravel(), minlength=latents * code_count * count
        )
        joint = np.array([_entropy(one) for one in cells.reshape(latents, -1)])
        information[:, factor] = of_codes + of_factors[factor] - joint
    return np.where(information > _NOTHING, information, 0.0)


def _entropy(counts: Int[np.ndarray, " cell"]) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())
