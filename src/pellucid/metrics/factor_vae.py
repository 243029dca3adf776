"""The FactorVAE score: is there, for each fixed factor, one latent that stands still with it?"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from pellucid.metrics.fixed_factor import FixedFactor, fixed_factors
from pellucid.metrics.mutual_information import check_codes, discretise_factors
from pellucid.metrics.scale import standardise

GROUP_SIZE = 64
LEAST_STD = 0.05
_GROUPS_AT_ONCE = 1000


@dataclass(frozen=True)
class FactorVAEScore:
    """How well the latent that varies least tells which factor is fixed.

    Attributes:
        score: Accuracy in [0, 1]; chance is 1 / factors.
        per_factor: float64 [factor], accuracy on the groups with that factor fixed.
        active: bool [latent], the latents that took part.
    """

    score: float
    per_factor: Float64[np.ndarray, " factor"]
    active: Bool[np.ndarray, " latent"]


def factor_vae(
    codes: Float[np.ndarray, "image latent"],
    factors: Float[np.ndarray, "image factor"],
    *,
    generator: np.random.Generator,
    train: int = 10_000,
    test: int = 5_000,
    least_std: float = LEAST_STD,
) -> FactorVAEScore:
    """Score a majority vote on variances, after Kim & Mnih 2018 (arXiv:1802.05983, sec. 4).

    A group is 64 images that share the value of one factor. Each latent is divided by its standard
    deviation over all images; the latent with the smallest variance within the group votes for the factor.
    The classifier gives every latent the factor that it voted for most often in `train` groups; its accuracy
    on `test` other groups is the score. Counts as in Locatello et al. 2019 (arXiv:1811.12359, app. C), with
    as many groups of each factor. The value shared is that of an image drawn at random, so a frequent value
    is fixed as often as it is met; a factor of more than 50 values is fixed within a bin of 20.

    A latent that fell back to the prior has a mean that hardly moves, and dividing by its small deviation
    would blow up noise, so both papers leave it out. The limit assumes a prior of variance 1: for codes on
    another scale pass `least_std=0`, which leaves out constant latents only, and makes the score
    independent of each latent's scale. With no latent left the score is chance.

    Args:
        codes: Posterior means.
        factors: The true factors of the same images, at least two.
        generator: Draws the groups.
        train: Groups that vote.
        test: Groups that are scored; the score's sampling error is about sqrt(score (1 - score) / test).
        least_std: Smallest standard deviation of an active latent, in units of the code.

    Raises:
        DataError: If codes or factors cannot be used (`check_codes`, `discretise_factors`), or no two images
            share a value of a factor.
        ConfigError: If there is one factor only.
    """
    check_codes(codes, factors)
    fixed = fixed_factors(discretise_factors(factors))
    active = (codes.std(axis=0, dtype=np.float64) >= least_std) & (codes != codes[0]).any(axis=0)
    count = len(fixed)
    if not active.any():
        return FactorVAEScore(1 / count, np.full(count, 1 / count), active)
    scaled = standardise(codes[:, active])
    learnt = _votes(scaled, fixed, train, generator).argmax(axis=1)  # [latent], the factor it votes for
    votes = _votes(scaled, fixed, test, generator)
    right = np.where(learnt[:, None] == np.arange(count), votes, 0).sum(axis=0)
    return FactorVAEScore(float(right.sum() / votes.sum()), right / votes.sum(axis=0), active)


def _votes(
    scaled: Float64[np.ndarray, "image latent"],
    fixed: tuple[FixedFactor, ...],
    groups: int,
    generator: np.random.Generator,
) -> Int64[np.ndarray, "latent factor"]:
    """How often each latent varied least while each factor was fixed; about groups / factors a factor."""
    each = -(-groups // len(fixed))
    return np.stack([_least_varying(scaled, one, each, generator) for one in fixed], axis=1)


def _least_varying(
    scaled: Float64[np.ndarray, "image latent"],
    fixed: FixedFactor,
    groups: int,
    generator: np.random.Generator,
) -> Int64[np.ndarray, " latent"]:
    counts = np.zeros(scaled.shape[1], np.int64)
    for begun in range(0, groups, _GROUPS_AT_ONCE):
        rows = fixed.groups(min(_GROUPS_AT_ONCE, groups - begun), GROUP_SIZE, generator)
        least = scaled[rows].var(axis=1).argmin(axis=1)
        counts += np.bincount(least, minlength=len(counts))
    return counts
