"""Do two codes show the same identity? Learned from pictures of which it is known who is on them.

Two codes differ by d. Between two pictures of one identity d is normal with covariance 2 W, between
strangers with 2 T; the log of the ratio of these densities is the evidence. It is the two-covariance model of
speaker and face recognition (Ioffe 2006, "Probabilistic linear discriminant analysis"; Prince & Elder 2007)
reduced to the difference: no pair can seem more alike than a picture and itself, however odd both are.

Nuisance latents are no evidence, but they say what pose and light have done to the identity latents: before d
is weighed, what goes with d's nuisance part in pictures of one identity (a linear regression) is taken off.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64, Int, Shaped
from scipy.linalg import eigh
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from pellucid.errors import ConfigError, DataError
from pellucid.latents.names import LatentTable

MIN_IDENTITIES = 20
FOLDS = 5
RESAMPLES = 400
_RIDGE = 1e-3
_MAX_SAME, _STRANGERS_EACH = 4_000, 10  # pairs in a fold
_Z95 = 1.959963984540054


@dataclass(frozen=True)
class ErrorRates:
    """How often a decision about identities that took no part in the fit is wrong.

    All 95 % intervals are those of the bootstrap over identities, not over pairs: 20 pictures of one person
    are 190 pairs, and still one person. Where a rate is perfect, its other end is Wilson's.

    Attributes:
        auc: How often a pair of one identity scores above a pair of strangers, 0.5 by chance.
        auc_low: Lower end of its interval.
        auc_high: Upper end.
        equal_error: The error rate where as many pairs of one identity are refused as strangers are accepted.
        equal_error_low: Lower end of its interval.
        equal_error_high: Upper end.
        accepted: Share of the pairs of one identity that are accepted where 1 % of the strangers are.
        accepted_low: Lower end of its interval.
        accepted_high: Upper end.
        identities: Identities of which there are pairs.
        same_pairs: Pairs of one identity.
        different_pairs: Pairs of strangers, drawn at random.
    """

    auc: float
    auc_low: float
    auc_high: float
    equal_error: float
    equal_error_low: float
    equal_error_high: float
    accepted: float
    accepted_low: float
    accepted_high: float
    identities: int
    same_pairs: int
    different_pairs: int


@dataclass(frozen=True)
class SameModel:
    """The log-odds of one identity against two, `base + evidence.sum()`: quadratic in the codes' difference.

    Attributes:
        latents: The latents that are evidence, by number.
        corrected_by: The latents that correct them, by number; they are no evidence.
        correction: float64 [evidence corrector]: what is taken off each latent's difference for each unit of
            the correctors' differences.
        weights: float64 [evidence evidence], symmetric, no negative eigenvalue: the log-odds fall by
            `d @ weights @ d`.
        usual: float64 [evidence]: what the latent takes off the log-odds of two strangers on average.
        base: Log-odds of two strangers on average, at even odds before looking.
        rates: Error rates on identities that took no part in the fit, fold by fold.
    """

    latents: tuple[int, ...]
    corrected_by: tuple[int, ...]
    correction: Float64[np.ndarray, "evidence corrector"]
    weights: Float64[np.ndarray, "evidence evidence"]
    usual: Float64[np.ndarray, " evidence"]
    base: float
    rates: ErrorRates

    def evidence(
        self, a: Shaped[np.ndarray, "#pair latent"], b: Shaped[np.ndarray, "#pair latent"]
    ) -> Float64[np.ndarray, "pair evidence"]:
        """What each latent adds to the log-odds of pairs of codes: above 0, it speaks for one identity.

        0 is what the latent says of two strangers on average. In the order of `latents`.
        """
        d = self._difference(a, b)
        evidence: Float64[np.ndarray, "pair evidence"] = self.usual - d * (d @ self.weights)
        return evidence

    def log_odds(
        self, a: Shaped[np.ndarray, "#pair latent"], b: Shaped[np.ndarray, "#pair latent"]
    ) -> Float64[np.ndarray, " pair"]:
        """Log-odds that each pair of codes shows one identity, at even odds before looking."""
        odds: Float64[np.ndarray, " pair"] = self.base + self.evidence(a, b).sum(axis=1)
        return odds

    def distance(
        self, a: Shaped[np.ndarray, "#pair latent"], b: Shaped[np.ndarray, "#pair latent"]
    ) -> Float64[np.ndarray, " pair"]:
        """How far apart the identities are: 0 for the same code, and ordered as the log-odds are."""
        d = self._difference(a, b)
        distance: Float64[np.ndarray, " pair"] = np.sqrt(
            np.maximum((d * (d @ self.weights)).sum(axis=1), 0.0)
        )
        return distance

    def probability(
        self,
        a: Shaped[np.ndarray, "#pair latent"],
        b: Shaped[np.ndarray, "#pair latent"],
        *,
        prior: float = 0.5,
    ) -> Float64[np.ndarray, " pair"]:
        """Probability that each pair of codes shows one identity.

        Args:
            a: Posterior means [pair latent], all latents of the model; or one, for all pairs.
            b: Likewise.
            prior: The probability before looking, above 0 and below 1.
        """
        if not 0 < prior < 1:
            raise ConfigError(
                f"prior: expected a number above 0 and below 1, got {prior}. Even odds are 0.5."
            )
        probability: Float64[np.ndarray, " pair"] = expit(self.log_odds(a, b) + logit(prior))
        return probability

    def fits(self, table: LatentTable, *, ignore_nuisance: bool = True) -> bool:
        """Whether it was fitted with the present marks and activity, see `fit_same`."""
        latents, active = set(table.identity() if ignore_nuisance else table.active()), set(table.active())
        return set(self.latents) == latents and set(self.corrected_by) == active - latents

    def _difference(self, a: np.ndarray, b: np.ndarray) -> Float64[np.ndarray, "pair evidence"]:
        d = b.astype(np.float64) - a.astype(np.float64)
        corrected: Float64[np.ndarray, "pair evidence"] = d[:, list(self.latents)] - (
            d[:, list(self.corrected_by)] @ self.correction.T
        )
        return corrected


def evidence_of(
    table: LatentTable, *, ignore_nuisance: bool = True
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The latents that are evidence of identity, and those that correct them, by number.

    Raises:
        ConfigError: If no active latent is left as evidence, or none has been measured.
    """
    latents = tuple(sorted(table.identity() if ignore_nuisance else table.active()))
    if not latents:
        raise ConfigError(
            "expected an active latent that is not marked as nuisance, got none. Measure the latents "
            "(pellucid latents RUN), and mark fewer of them: pellucid name RUN z3 --no-nuisance."
        )
    return latents, tuple(sorted(set(table.active()) - set(latents)))


def fit_same(
    codes: Shaped[np.ndarray, "image latent"],
    identity: Int[np.ndarray, " image"],
    table: LatentTable,
    *,
    ignore_nuisance: bool = True,
    seed: int = 0,
) -> SameModel:
    """Learn what sameness looks like from pictures of which it is known who is on them.

    The identities are cut into five folds, and pairs within each are scored by a fit to the other four. These
    scores give the calibration (logistic regression on the log ratio, pairs of one identity weighing as much
    as pairs of strangers) and the error rates; the covariances of the result are those of all pictures.

    Args:
        codes: Posterior means of the pictures, all latents of the model.
        identity: Who is on each picture, by any number; those with one picture count as strangers only.
        table: The model's latents, measured, with their marks.
        ignore_nuisance: Whether nuisance latents only correct the others; False takes all as evidence.
        seed: Decides the folds, which strangers are paired, and the bootstrap.

    Raises:
        DataError: If there are too few identities with two pictures or more.
        ConfigError: If no active latent is left as evidence.
    """
    latents, corrected_by = evidence_of(table, ignore_nuisance=ignore_nuisance)
    rng = np.random.Generator(np.random.PCG64(seed))
    folds = _folds(identity, latents + corrected_by, rng)
    codes = codes.astype(np.float64)
    scores, kinds, people = [], [], []
    for fold in folds:
        others = np.setdiff1d(np.arange(len(identity)), fold)
        fitted = _covariances(codes[others], identity[others], latents, corrected_by)
        pairs, same = _pairs(identity, fold, rng)
        scores.append(fitted.log_odds(codes[pairs[:, 0]], codes[pairs[:, 1]]))
        kinds.append(same)
        people.append(identity[pairs])
    score, same, who = np.concatenate(scores), np.concatenate(kinds), np.concatenate(people)
    raw = _covariances(codes, identity, latents, corrected_by)
    slope, offset = _calibrate(score, same)
    return replace(
        raw,
        weights=slope * raw.weights,
        usual=slope * raw.usual,
        base=slope * raw.base + offset,
        rates=error_rates(score, same, who, seed=seed),
    )


def error_rates(
    score: Shaped[np.ndarray, " pair"],
    same: Bool[np.ndarray, " pair"],
    who: Int[np.ndarray, "pair 2"],
    *,
    seed: int = 0,
) -> ErrorRates:
    """The error rates of scores of pairs, higher for one identity, of which the truth is known.

    Args:
        score: One for each pair.
        same: Whether the pair is of one identity.
        who: The identities of both pictures, by any number.
        seed: Draws the samples of the bootstrap.

    Raises:
        DataError: If there is no pair of one kind.
    """
    if same.all() or not same.any():
        raise DataError("expected pairs of one identity and pairs of strangers, got only one kind. Add some.")
    order = np.argsort(-score, kind="stable")
    kind, last = same[order], np.append(np.diff(score[order]) != 0, True)
    identities, numbers = np.unique(who, return_inverse=True)
    first, second = numbers.reshape(-1, 2)[order].T
    found = _rates(kind, last, np.ones(len(kind)))
    rng = np.random.Generator(np.random.PCG64(seed))
    drawn = [found]
    for _ in range(RESAMPLES):
        times = np.bincount(rng.integers(len(identities), size=len(identities)), minlength=len(identities))
        weight = times[first] * np.where(kind, 1, times[second])
        if weight[kind].any() and weight[~kind].any():
            drawn.append(_rates(kind, last, weight))
    low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
    # A rate without a mistake has none in any sample either. Its end is then Wilson's for no mistake of as
    # many identities as have pairs of their own: the others are strangers only.
    repeated = len(np.unique(first[kind]))
    surest = _Z95**2 / (repeated + _Z95**2)
    low = np.where([found[0] == 1, False, found[2] == 1], np.minimum(low, 1 - surest), low)
    high = np.where([False, found[1] == 0, False], np.maximum(high, surest), high)
    ends = [(min(a, value), value, max(value, b)) for a, value, b in zip(low, found, high, strict=True)]
    (auc_low, auc, auc_high), (equal_low, equal, equal_high), (accepted_low, accepted, accepted_high) = ends
    return ErrorRates(
        auc=float(auc),
        auc_low=float(auc_low),
        auc_high=float(auc_high),
        equal_error=float(equal),
        equal_error_low=float(equal_low),
        equal_error_high=float(equal_high),
        accepted=float(accepted),
        accepted_low=float(accepted_low),
        accepted_high=float(accepted_high),
        identities=len(identities),
        same_pairs=int(same.sum()),
        different_pairs=int((~same).sum()),
    )


def _rates(
    same: Bool[np.ndarray, " pair"], last: Bool[np.ndarray, " pair"], weight: Shaped[np.ndarray, " pair"]
) -> tuple[float, float, float]:
    """AUC, equal error rate and share accepted of weighted pairs, the highest score first.

    `last` marks the last pair of each score: a threshold cannot part those that score alike.
    """
    true = np.pad(np.cumsum(weight * same)[last], (1, 0)) / (weight * same).sum()
    false = np.pad(np.cumsum(weight * ~same)[last], (1, 0)) / (weight * ~same).sum()
    equal = int(np.argmin(np.abs(false - (1 - true))))
    accepted = true[false <= 0.01].max()
    return float(np.trapezoid(true, false)), float((false[equal] + 1 - true[equal]) / 2), float(accepted)


def identities_of(names: Sequence[str]) -> Int[np.ndarray, " image"]:
    """A number for who is on each picture: all pictures of one sub-folder show one identity.

    Raises:
        DataError: If a picture lies in no sub-folder.
    """
    loose = next((name for name in names if "/" not in name), None)
    if loose is not None:
        raise DataError(
            f"expected a folder with one sub-folder for each identity, got the picture {loose!r} outside of "
            "any. Sort the pictures into sub-folders, or put a table with columns file_name and identity "
            "into the folder; CelebA's is identity_CelebA.txt."
        )
    return np.unique([name.rpartition("/")[0] for name in names], return_inverse=True)[1].astype(np.int64)


def _folds(
    identity: Int[np.ndarray, " image"], used: Sequence[int], rng: np.random.Generator
) -> list[Int[np.ndarray, " row"]]:
    """Rows of each fold; no identity is in two, and each has its share of those with one picture."""
    everyone, count = np.unique(identity, return_counts=True)
    repeated, single = everyone[count >= 2], everyone[count == 1]
    if len(repeated) < MIN_IDENTITIES:
        raise DataError(
            f"expected {MIN_IDENTITIES} identities or more with two pictures or more each, got "
            f"{len(repeated)}. Add pictures, or learn from simulated people: pellucid same RUN people."
        )
    shares = [np.array_split(rng.permutation(people), FOLDS) for people in (repeated, single)]
    folds = [np.flatnonzero(np.isin(identity, np.concatenate(parts))) for parts in zip(*shares, strict=True)]
    for fold in folds:
        people = len(everyone) - len(np.unique(identity[fold]))
        freedom = len(identity) - len(fold) - people
        if min(freedom, people - 1) <= len(used):
            raise DataError(
                f"expected more than {len(used)} identities to learn from, as many as active latents, and as "
                f"many second pictures, got {people} identities and {freedom} second pictures. Add pictures."
            )
    return folds


def _covariances(
    codes: Float64[np.ndarray, "image latent"],
    identity: Int[np.ndarray, " image"],
    latents: tuple[int, ...],
    corrected_by: tuple[int, ...],
) -> SameModel:
    """The log ratio by the covariances within identities and over all pictures, not yet calibrated."""
    used = [*latents, *corrected_by]
    codes = codes[:, used]
    groups = np.unique(identity, return_inverse=True)[1]
    count = np.bincount(groups)
    mean = np.stack([np.bincount(groups, column) for column in codes.T], axis=1) / count[:, None]
    apart = codes - mean[groups]
    within = apart.T @ apart / (len(codes) - len(count))
    # The mean of n pictures of one identity has covariance T - W + W / n.
    total = np.atleast_2d(np.cov(mean.T)) + within * (1 - np.mean(1 / count))
    ridge = _RIDGE * np.diag(np.diag(total))
    within, total = within + ridge, total + ridge
    n = len(latents)
    correction = np.linalg.solve(within[n:, n:], within[n:, :n]).T
    taken_off = np.concatenate([np.eye(n), -correction], axis=1)
    within, total = (taken_off @ spread @ taken_off.T for spread in (within, total))
    # In the basis where W = 1, T's eigenvalues below 1 are chance: identities cannot take spread away.
    ratio, basis = eigh((total + total.T) / 2, (within + within.T) / 2)
    ratio = np.maximum(ratio, 1.0)
    weights = basis @ np.diag(1 - 1 / ratio) @ basis.T / 4
    inverse = np.linalg.inv(basis)
    total = inverse.T @ np.diag(ratio) @ inverse
    usual = 2 * (weights * total).sum(axis=1)
    base = float(0.5 * np.log(ratio).sum() - usual.sum())
    return SameModel(latents, corrected_by, correction, weights, usual, base, _UNKNOWN)


_UNKNOWN = ErrorRates(0.5, 0.0, 1.0, 0.5, 0.0, 1.0, 0.01, 0.0, 1.0, 0, 0, 0)


def _pairs(
    identity: Int[np.ndarray, " image"], rows: Int[np.ndarray, " row"], rng: np.random.Generator
) -> tuple[Int[np.ndarray, "pair 2"], Bool[np.ndarray, " pair"]]:
    """All pairs of one identity, 4,000 at most, and ten times as many pairs of strangers."""
    groups = [rows[identity[rows] == someone] for someone in np.unique(identity[rows])]
    same = np.concatenate([group[np.stack(np.triu_indices(len(group), 1), axis=1)] for group in groups])
    if len(same) > _MAX_SAME:
        same = same[rng.choice(len(same), _MAX_SAME, replace=False)]
    drawn = rng.choice(rows, (_STRANGERS_EACH * len(same), 2))
    strangers = drawn[identity[drawn[:, 0]] != identity[drawn[:, 1]]]
    return np.concatenate([same, strangers]), np.arange(len(same) + len(strangers)) < len(same)


def _calibrate(score: Float64[np.ndarray, " pair"], same: Bool[np.ndarray, " pair"]) -> tuple[float, float]:
    """Slope and offset of the log-odds by Platt (1999), both kinds weighing the same; slope never below 0."""
    spread = max(float(score.std()), 1e-12)
    fitted = LogisticRegression(C=1e4, class_weight="balanced").fit(score[:, None] / spread, same)
    slope = float(fitted.coef_[0, 0]) / spread
    return (slope, float(fitted.intercept_[0])) if slope > 0 else (0.0, 0.0)
