"""Modularity: is each latent about one factor? Explicitness: is each factor easy to read off all latents?"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from pellucid.errors import ConfigError, DataError
from pellucid.metrics.mutual_information import (
    check_codes,
    discretise_codes,
    discretise_factors,
    mutual_information,
)
from pellucid.metrics.scale import standardise


@dataclass(frozen=True)
class Modularity:
    """How far each latent is about one factor only.

    Attributes:
        score: The mean of `latents`, in [0, 1].
        latents: float64 [latent], each in [0, 1]; 0 for a constant latent.
    """

    score: float
    latents: Float64[np.ndarray, " latent"]


@dataclass(frozen=True)
class Explicitness:
    """How well a linear classifier reads each factor off all latents.

    Attributes:
        score: The mean of `factors`; 0.5 is chance, 1 perfect.
        factors: float64 [factor], mean area under the ROC curve over the factor's values.
    """

    score: float
    factors: Float64[np.ndarray, " factor"]


def modularity(
    codes: Float[np.ndarray, "image latent"], factors: Float[np.ndarray, "image factor"]
) -> Modularity:
    """Modularity of Ridgeway & Mozer 2018 (arXiv:1802.05312, sec. 3).

    mean over latents of 1 - sum over k != k* of I(z_j; v_k)² / ((factors - 1) I(z_j; v_k*)²), where k* is the
    factor on which z_j has the most information, counted in 20 bins of equal width. As in
    disentanglement_lib, a constant latent counts 0.

    1 for the factors themselves as codes, and for any copies of them: it does not ask that a factor is in one
    latent only. It is lenient. A latent that says the same of two factors of five scores 0.75. An unrelated
    latent does not score 0, for its chance informations differ with the number of values: 0.67 on
    dSprites' factors with 10,000 images, so a model with many dead but not constant latents scores that.

    Args:
        codes: Posterior means, one row an image.
        factors: What is true of the same images; cut in classes by `discretise_factors`.

    Raises:
        DataError: If codes or factors are unusable; see `check_codes` and `discretise_factors`.
        ConfigError: If there is one factor only.
    """
    check_codes(codes, factors)
    if factors.shape[1] < 2:
        raise ConfigError("modularity: expected at least 2 factors to tell apart, got 1. Add another.")
    squares = mutual_information(discretise_codes(codes), discretise_factors(factors)) ** 2
    largest = squares.max(axis=1)
    others = squares.sum(axis=1) - largest
    unit = np.where(largest > 0, largest, 1) * (factors.shape[1] - 1)
    latents = np.where(largest > 0, np.clip(1 - others / unit, 0, 1), 0)
    return Modularity(float(latents.mean()), latents)


def explicitness(
    codes: Float[np.ndarray, "image latent"],
    factors: Float[np.ndarray, "image factor"],
    *,
    generator: np.random.Generator,
) -> Explicitness:
    """Explicitness of Ridgeway & Mozer 2018 (arXiv:1802.05312, sec. 3).

    mean over factors, and over each factor's values, of the area under the ROC curve of a logistic regression
    that tells the value from all others by all latents, standardised. It is fitted on one half of the images
    and measured on the other; both halves have every value that occurs twice. 0.5 is chance.

    It does not ask which latents: a rotation of all of them changes nothing. A value in the middle of a scale
    cannot be told by a plane from those on both sides, so the factors themselves as codes score 1 for two
    values only. Value i of V equally frequent ones scores max(i, V - 1 - i) / (V - 1), on average 0.78 over
    dSprites' factors, and 0.75 for many values. disentanglement_lib computes something else under this name:
    one multinomial regression of all values, whose probabilities rise and fall along a scale, so that
    dSprites' factors as codes score 0.98.

    Args:
        codes: Posterior means, one row an image.
        factors: What is true of the same images; cut in classes by `discretise_factors`.
        generator: Draws the halves.

    Raises:
        DataError: If codes or factors are unusable (see `check_codes` and `discretise_factors`), or no value
            of a factor occurs twice.
    """
    check_codes(codes, factors)
    standard = standardise(codes)
    shuffled = generator.permutation(len(codes))
    by_factor = np.array(
        [_mean_area(standard[shuffled], classes[shuffled]) for classes in discretise_factors(factors).T]
    )
    return Explicitness(float(by_factor.mean()), by_factor)


def _mean_area(standard: Float64[np.ndarray, "image latent"], classes: Int[np.ndarray, " image"]) -> float:
    by_class = np.argsort(classes, kind="stable")
    fitted, measured = by_class[::2], by_class[1::2]
    areas = []
    for value in range(int(classes.max()) + 1):
        has = classes == value
        if not (has[fitted].any() and has[measured].any()):
            continue
        classifier = LogisticRegression(solver="newton-cholesky").fit(standard[fitted], has[fitted])
        areas.append(roc_auc_score(has[measured], classifier.decision_function(standard[measured])))
    if not areas:
        raise DataError("explicitness: expected values that occur twice, got none. Pass more images.")
    return float(np.mean(areas))
