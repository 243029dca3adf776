"""Unsupervised disentanglement ranking: does training again find the same latents? It needs no labels."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float, Float64
from scipy.stats import rankdata
from sklearn.linear_model import Lasso

from pellucid.errors import ConfigError, DataError
from pellucid.metrics.scale import standardise

INFORMATIVE_KL = 0.01
_LASSO_ALPHA = 0.1


def udr(
    codes_of_runs: Sequence[Float[np.ndarray, "image _"]],
    kl_of_runs: Sequence[Float[np.ndarray, " _"]],
    *,
    method: Literal["lasso", "spearman"] = "lasso",
) -> Float64[np.ndarray, " run"]:
    """Score each run by how well its latents match, one to one, those of the other runs.

    Duan et al. 2020 (arXiv:1905.12614, sec. 4). Of two runs, R(a, b) >= 0 says how alike latent a of one and
    b of the other are, and UDR_ij = (sum over b of max_a R(a, b)² / sum_a R(a, b), plus the same with a and b
    exchanged) / (informative latents of both), over latents with a KL above 0.01 nat only. A run's score is
    the median over the others. The reasoning: there are many ways to mix factors and one to keep them apart,
    so runs that keep them apart find the same latents, up to order and sign.

    `spearman`: R is the size of the rank correlation. Two equal runs with independent latents score 1.
    `lasso`: R is the size of the weights that predict one run's latents, standardised, from all of the
    other's, with an L1 penalty of 0.1 as in the authors' code. The penalty takes 0.1 off every weight, so two
    equal runs with independent latents score 0.9.

    It compares runs, nothing else: a model that finds one factor each time and drops all others scores high,
    which is why it is read beside the reconstruction. The paper takes runs that differ in the seed only, five
    or more a setting; fewer make the median coarse.

    Args:
        codes_of_runs: Each run's posterior means of the same images, in the same order; latents may differ in
            number.
        kl_of_runs: Each run's mean KL to the prior for each of its latents, nats.
        method: Which similarity.

    Returns:
        A score for each run, in [0, 1] (where weights of nearly collinear latents give more, 1); 0 for a
        run without informative latents.

    Raises:
        ConfigError: If there are fewer than two runs.
        DataError: If the runs do not fit together, or a value is not finite.
    """
    _check(codes_of_runs, kl_of_runs)
    informative = [
        codes[:, kl > INFORMATIVE_KL].astype(np.float64)
        for codes, kl in zip(codes_of_runs, kl_of_runs, strict=True)
    ]
    if method == "spearman":
        informative = [_ranks(codes) for codes in informative]
    standard = [standardise(codes) for codes in informative]
    similarity = _correlations if method == "spearman" else _lasso_weights
    pairs = np.array([[_one_to_one(similarity(one, other)) for other in standard] for one in standard])
    return np.array([min(1.0, np.median(np.delete(pairs[:, run], run))) for run in range(len(pairs))])


def _one_to_one(alike: Float64[np.ndarray, "one other"]) -> float:
    """Mean over the latents of both runs of (largest entry)² / (sum of entries) in its row or column."""
    if alike.size == 0:
        return 0.0
    shares = [
        alike.max(axis=axis) ** 2 / np.where(alike.any(axis=axis), alike.sum(axis=axis), 1) for axis in (0, 1)
    ]
    return float(np.concatenate(shares).mean())


def _correlations(
    one: Float64[np.ndarray, "image one"], other: Float64[np.ndarray, "image other"]
) -> Float64[np.ndarray, "one other"]:
    sizes: Float64[np.ndarray, "one other"] = np.abs(one.T @ other) / len(one)
    return sizes


def _lasso_weights(
    one: Float64[np.ndarray, "image one"], other: Float64[np.ndarray, "image other"]
) -> Float64[np.ndarray, "one other"]:
    """Sizes of the weights that predict each latent of `other` from all of `one`."""
    if one.shape[1] == 0 or other.shape[1] == 0:
        return np.zeros((one.shape[1], other.shape[1]))
    fitted = Lasso(alpha=_LASSO_ALPHA, precompute=True).fit(one, other)
    sizes: Float64[np.ndarray, "one other"] = np.abs(fitted.coef_).reshape(other.shape[1], one.shape[1]).T
    return sizes


def _ranks(codes: Float64[np.ndarray, "image latent"]) -> Float64[np.ndarray, "image latent"]:
    """Ranks within each latent; equal values share the mean of theirs."""
    ranks: Float64[np.ndarray, "image latent"] = rankdata(codes, axis=0).astype(np.float64)
    return ranks


def _check(
    codes_of_runs: Sequence[Float[np.ndarray, "image _"]], kl_of_runs: Sequence[Float[np.ndarray, " _"]]
) -> None:
    if len(codes_of_runs) < 2 or len(codes_of_runs) != len(kl_of_runs):
        raise ConfigError(
            f"expected codes and KL of at least 2 runs to compare, got {len(codes_of_runs)} and "
            f"{len(kl_of_runs)}. Train with more seeds."
        )
    images = {len(codes) for codes in codes_of_runs}
    if len(images) > 1 or min(images) < 2:
        raise DataError(
            f"expected codes of the same images from every run, at least 2, got {sorted(images)} rows. "
            "Encode the same images with every run."
        )
    for run, (codes, kl) in enumerate(zip(codes_of_runs, kl_of_runs, strict=True)):
        if codes.shape[1] != len(kl) or not (np.isfinite(codes).all() and np.isfinite(kl).all()):
            raise DataError(
                f"run {run}: expected finite codes and a finite KL for each of its {codes.shape[1]} latents, "
                f"got {len(kl)} KLs or values that are not finite. Measure the run again."
            )
