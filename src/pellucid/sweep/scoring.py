"""Scores of a run's codes against the factors of the images, where these are known."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int

from pellucid.data.dataset import Dataset
from pellucid.metrics.table import FEWEST_IMAGES, METRICS, Sample, unusable

AGAINST_FACTORS = ("mig", "dci", "sap", "factor_vae")
"""The metrics of `METRICS` that a run is scored by where factors are known; of DCI the disentanglement."""

LABELS: Mapping[str, str] = {
    "mig": "MIG",
    "dci": "DCI",
    "sap": "SAP",
    "factor_vae": "FactorVAE",
    "udr": "UDR",
}
"""What people call the scores."""

_FEWEST_FACTORS = 2  # with one, there is nothing to keep apart


@dataclass(frozen=True)
class KnownFactors:
    """What is true of some of the images.

    Attributes:
        names: One for each factor.
        values: float32 [image factor], each of which varies enough to be scored.
        categorical: For each factor, whether its values are classes without an order.
        known: bool [row], which of the rows asked for these images are.
    """

    names: tuple[str, ...]
    values: Float32[np.ndarray, "image factor"]
    categorical: tuple[bool, ...]
    known: Bool[np.ndarray, " row"]


def known_factors(dataset: Dataset, rows: Int[np.ndarray, " row"]) -> KnownFactors | None:
    """The factors of the images in `rows`; None if the data have none, or too few for any score.

    Factors that most of the images lack are left out, then images that lack one of the others, then factors
    that hardly vary.
    """
    if dataset.attributes is None or len(rows) < FEWEST_IMAGES:
        return None
    values = dataset.attributes.lookup(rows)
    kept = np.flatnonzero(np.isfinite(values).mean(axis=0) > 0.5)
    known = np.isfinite(values[:, kept]).all(axis=1)
    if known.sum() < FEWEST_IMAGES:
        return None
    faults = unusable(values[known][:, kept])
    kept = kept[[fault is None for fault in faults]]
    if len(kept) < _FEWEST_FACTORS:
        return None
    names, kinds = dataset.attributes.names, dataset.attributes.kinds
    return KnownFactors(
        tuple(names[factor] for factor in kept),
        values[known][:, kept],
        tuple(kinds[factor] in ("binary", "categorical") for factor in kept),
        known,
    )


def score_codes(codes: Float32[np.ndarray, "row latent"], factors: KnownFactors) -> dict[str, float]:
    """Score posterior means, each in [0, 1], without intervals: seeds say more of how sure a score is.

    Args:
        codes: Of all rows that `factors` was asked for.
        factors: From `known_factors`.

    Returns:
        Name in `AGAINST_FACTORS` -> score.
    """
    scores = {}
    for name in AGAINST_FACTORS:
        generator = np.random.default_rng(0)
        sample = Sample(codes[factors.known], factors.values, factors.categorical, None, generator)
        scores[name] = METRICS[name].measure(sample)[0][0]  # DCI's first is disentanglement
    return scores
