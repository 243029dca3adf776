"""InfoMEC: modularity, explicitness and compactness, each a share of information."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Int64
from scipy.optimize import minimize

from pellucid.errors import ConfigError
from pellucid.metrics.mutual_information import check_codes, discretise_factors, entropies
from pellucid.metrics.scale import standardise

NEIGHBOURS = 10
LEAST_RANGE = 1 / 20
MOST_STEPS = 100
_JITTER = 1e-10
_SHUFFLED_ESTIMATES = 30
_SIGNIFICANT = 4.0


@dataclass(frozen=True)
class InfoMEC:
    """The three scores and what they are made of.

    Attributes:
        modularity: InfoM in [0, 1]: 1 if every latent tells of one factor only, 0 if of all alike.
        explicitness: InfoE in [0, 1]: 1 if a linear classifier finds every factor in the codes.
        compactness: InfoC in [0, 1]: 1 if every factor is told by one latent only.
        explicitness_per_factor: float64 [factor], in [0, 1]; `explicitness` is the mean.
        compactness_per_factor: float64 [factor], in [0, 1]; `compactness` is the mean.
        information: float64 [latent factor], I(latent; factor) / H(factor), in [0, 1].
        active: bool [latent], the latents that count in modularity and compactness.
    """

    modularity: float
    explicitness: float
    compactness: float
    explicitness_per_factor: Float64[np.ndarray, " factor"]
    compactness_per_factor: Float64[np.ndarray, " factor"]
    information: Float64[np.ndarray, "latent factor"]
    active: Bool[np.ndarray, " latent"]


def infomec(
    codes: Float[np.ndarray, "image latent"],
    factors: Float[np.ndarray, "image factor"],
    *,
    generator: np.random.Generator,
    least_range: float = LEAST_RANGE,
) -> InfoMEC:
    """Score codes after Hsu et al. 2023 (arXiv:2305.18378).

    With N_ij = I(latent i; factor j) / H(factor j) over the active latents,

        InfoM = mean_i (max_j N_ij / sum_j N_ij - 1/F) / (1 - 1/F),    F factors,
        InfoC = mean_j (max_i N_ij / sum_i N_ij - 1/L) / (1 - 1/L),    L active latents,
        InfoE = mean_j (H_lin(j) - H_lin(j | codes)) / H_lin(j),

    where I is the nearest-neighbour estimate for continuous codes (`neighbour_information`), and H_lin the
    smallest cross entropy that multinomial logistic regression reaches with the codes, or without any:
    that is the entropy H(factor j). As in the authors' program the regression has no penalty, at most 100
    steps of L-BFGS, and is measured on the images that it was fitted to; its optimism is about
    (classes - 1) latents / (2 images) nats, e.g. 0.02 of H = 3.7 for 40 classes, 10 latents, 10,000 images.
    Unlike there its classes are not weighted, since the definition's infimum is over the plain cross entropy.

    A latent is active if it spans more than a twentieth of the widest latent's range (the paper's rule, which
    is all that depends on the latents' scales; `least_range=0` leaves out constant ones only), and if it
    tells of some factor at all. The second condition is ours: of a latent that tells nothing, max / sum is
    the ratio of two estimates of 0, which would give pure noise an InfoM of about one half. Nothing is what
    does not exceed 4 times the estimates' deviation after shuffling. A factor that no latent tells of has
    compactness 0, and 1 if only one latent is active; with no active latent both scores are 0.

    Args:
        codes: Posterior means. For an interval draw images without replacement: a repeated image is its own
            nearest neighbour, which passes for information.
        factors: The true factors of the same images, at least two; taken as classes (`discretise_factors`).
        generator: Breaks ties and shuffles.
        least_range: Smallest range of an active latent, as a share of the widest one's.

    Raises:
        DataError: If codes or factors cannot be used (`check_codes`, `discretise_factors`).
        ConfigError: If there is one factor only.
    """
    check_codes(codes, factors)
    if factors.shape[1] < 2:
        raise ConfigError("InfoMEC: expected at least 2 factors to tell apart, got 1. Add another.")
    classes = discretise_factors(factors)
    scaled = standardise(codes)
    information, tells = _normalised(scaled, classes, generator)
    span = np.ptp(codes.astype(np.float64), axis=0)
    active = (span > least_range * span.max()) & tells.any(axis=1)
    modularity, compactness = 0.0, np.zeros(factors.shape[1])
    if active.any():
        modularity = float(_concentration(information[active]).mean())
        compactness = np.where(tells[active].any(axis=0), _concentration(information[active].T), 0.0)
    explicitness = np.array([_explicitness(scaled, column) for column in classes.T])
    return InfoMEC(
        modularity=modularity,
        explicitness=float(explicitness.mean()),
        compactness=float(compactness.mean()),
        explicitness_per_factor=explicitness,
        compactness_per_factor=compactness,
        information=information,
        active=active,
    )


def neighbour_information(
    latent: Float64[np.ndarray, " image"], classes: Int[np.ndarray, " image"], neighbours: int = NEIGHBOURS
) -> float:
    """Estimate the mutual information of a continuous latent and a class, in nats; below 0 by chance.

    Ross 2014 (doi:10.1371/journal.pone.0087357, eq. 2), after Kraskov et al. 2004: with d the distance of an
    image to its k-th nearest neighbour in its own class of n images, and m the images of any class nearer
    than d, itself included,

        I = psi(images) - <psi(n)> + psi(k) - <psi(m)>.

    Equals scikit-learn's `mutual_info_classif`, which the authors use, 14 times as fast: in one dimension the
    neighbours are neighbours in sorted order. Classes of one image are left out, and a smaller class has a
    smaller k; with nothing left the estimate is 0.

    Args:
        latent: Values without ties; a tie has no nearest neighbour.
        classes: The class of each image, from 0.
        neighbours: The k of the estimate.
    """
    shared = np.bincount(classes)[classes] > 1
    if not shared.any():
        return 0.0
    order = np.argsort(latent[shared])
    ordered, ordered_classes = latent[shared][order], classes[shared][order]
    by_class = np.argsort(ordered_classes, kind="stable")
    values = ordered[by_class]
    _, start, inverse, counts = np.unique(
        ordered_classes[by_class], return_index=True, return_inverse=True, return_counts=True
    )
    size = counts[inverse]
    reach = np.minimum(neighbours, size - 1)
    radius = _reach_within_class(values, start[inverse], size, reach)
    # v - (v - x) may round past x: an image just at the distance is taken out again.
    first = np.searchsorted(ordered, values - radius, side="left")
    first += values - ordered[first] >= radius
    last = np.searchsorted(ordered, values + radius, side="right") - 1
    last -= ordered[last] - values >= radius
    nearer = np.maximum(last - first + 1, 1)
    psi = _digamma(len(values))
    return float(psi[len(values)] - psi[size].mean() + psi[reach].mean() - psi[nearer].mean())


def _reach_within_class(
    values: Float64[np.ndarray, " place"],
    start: Int[np.ndarray, " place"],
    size: Int[np.ndarray, " place"],
    reach: Int[np.ndarray, " place"],
) -> Float64[np.ndarray, " place"]:
    """Distance to the `reach`-th nearest of the same class; values ascend class by class.

    The nearest lie side by side, so it is the least, over all windows of reach + 1 places that hold this one,
    of the distance to the window's farther end.
    """
    place = np.arange(len(values))
    radius = np.full(len(values), np.inf)
    for before in range(int(reach.max()) + 1):
        low, high = place - before, place - before + reach
        inside = (before <= reach) & (low >= start) & (high < start + size)
        low, high = np.where(inside, low, place), np.where(inside, high, place)
        farther = np.maximum(values - values[low], values[high] - values)
        radius = np.where(inside, np.minimum(radius, farther), radius)
    return radius


def _digamma(largest: int) -> Float64[np.ndarray, " n"]:
    """The digamma function of 0 (not used), 1, ... `largest`: psi(n) = -gamma + 1 + 1/2 + ... + 1/(n-1)."""
    sums = np.concatenate([[0.0, 0.0], np.cumsum(1 / np.arange(1, largest))])
    return sums - np.euler_gamma


def _normalised(
    scaled: Float64[np.ndarray, "image latent"],
    classes: Int64[np.ndarray, "image factor"],
    generator: np.random.Generator,
) -> tuple[Float64[np.ndarray, "latent factor"], Bool[np.ndarray, "latent factor"]]:
    """Each latent's share of each factor's entropy, and whether it is more than chance gives."""
    bounds = entropies(classes)
    jittered = scaled + _JITTER * generator.standard_normal(scaled.shape)
    information = _table(jittered, classes)
    rounds = -(-_SHUFFLED_ESTIMATES // scaled.shape[1])
    chance = np.concatenate([_table(jittered, generator.permutation(classes)) for _ in range(rounds)])
    deviation = np.sqrt((chance**2).mean(axis=0))
    varies = np.any(scaled, axis=0, keepdims=True).T
    tells = varies & (information > _SIGNIFICANT * deviation)
    return np.where(varies, np.clip(information / bounds, 0, 1), 0.0), tells


def _table(
    jittered: Float64[np.ndarray, "image latent"], classes: Int64[np.ndarray, "image factor"]
) -> Float64[np.ndarray, "latent factor"]:
    return np.array([[neighbour_information(z, column) for column in classes.T] for z in jittered.T])


def _concentration(information: Float64[np.ndarray, "row column"]) -> Float64[np.ndarray, " row"]:
    """The largest share of each row's sum, 0 for equal shares and 1 for a single one."""
    columns = information.shape[1]
    if columns == 1:
        return np.ones(len(information))
    total = information.sum(axis=1)
    share = np.where(total > 0, information.max(axis=1) / np.where(total > 0, total, 1), 1 / columns)
    concentration: Float64[np.ndarray, " row"] = (share - 1 / columns) / (1 - 1 / columns)
    return concentration


def _explicitness(scaled: Float64[np.ndarray, "image latent"], classes: Int64[np.ndarray, " image"]) -> float:
    """1 - cross entropy of logistic regression / entropy of the classes."""
    images, count = len(scaled), int(classes.max()) + 1
    inputs = np.concatenate([scaled, np.ones((images, 1))], axis=1)
    own = (np.arange(images), classes)

    def cross_entropy(flat: Float64[np.ndarray, " weight"]) -> tuple[float, Float64[np.ndarray, " weight"]]:
        logits = inputs @ flat.reshape(-1, count)
        logits -= logits.max(axis=1, keepdims=True)
        of_own = logits[own]
        odds = np.exp(logits, out=logits)
        total = odds.sum(axis=1)
        odds /= total[:, None]
        odds[own] -= 1
        return float((np.log(total) - of_own).mean()), (inputs.T @ odds).ravel() / images

    frequencies = np.bincount(classes) / images
    weights = np.zeros((inputs.shape[1], count))
    weights[-1] = np.log(frequencies)  # the best without codes: no step can make it worse
    fitted = minimize(
        cross_entropy, weights.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": MOST_STEPS}
    )
    bound = entropies(classes[:, None])[0]
    return float(np.clip(1 - fitted.fun / bound, 0, 1))
