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
from sklearn.metrics import roc_curve

from pellucid.errors import ConfigError, DataError
from pellucid.latents.names import LatentTable

MIN_IDENTITIES = 20
_PARTS = (0.6, 0.2)  # of the identities: covariances, calibration; the rest tells the error rates
_RIDGE = 1e-3
_MOST_SAME, _STRANGERS_EACH = 20_000, 10


@dataclass(frozen=True)
class ErrorRates:
    """How often a decision about identities that were put aside is wrong.

    Attributes:
        auc: How often a pair of one identity scores above a pair of strangers, 0.5 by chance.
        equal_error: The error rate where as many pairs of one identity are refused as strangers are accepted.
        accepted: Share of the pairs of one identity that are accepted where 1 % of the strangers are.
        identities: Identities that were put aside.
        same_pairs: Pairs of one identity.
        different_pairs: Pairs of strangers, drawn at random.
    """

    auc: float
    equal_error: float
    accepted: float
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
        rates: Error rates on identities that took no part in the fit.
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

    60 % of the identities give the two covariances, 20 % the calibration (logistic regression on the log
    ratio, pairs of one identity weighing as much as pairs of strangers), the rest the error rates.

    Args:
        codes: Posterior means of the pictures, all latents of the model.
        identity: Who is on each picture, by any number; those with one picture count as strangers only.
        table: The model's latents, measured, with their marks.
        ignore_nuisance: Whether nuisance latents only correct the others; False takes all as evidence.
        seed: Decides which identities are put aside, and which strangers are paired.

    Raises:
        DataError: If there are too few identities with two pictures or more.
        ConfigError: If no active latent is left as evidence.
    """
    latents, corrected_by = evidence_of(table, ignore_nuisance=ignore_nuisance)
    chance = np.random.Generator(np.random.PCG64(seed))
    fitting, calibration, aside = _parts(identity, latents + corrected_by, chance)
    raw = _covariances(codes[fitting].astype(np.float64), identity[fitting], latents, corrected_by)
    pairs, same = _pairs(identity, calibration, chance)
    score = raw.log_odds(codes[pairs[:, 0]], codes[pairs[:, 1]])
    slope, offset = _calibrate(score, same)
    calibrated = replace(
        raw, weights=slope * raw.weights, usual=slope * raw.usual, base=slope * raw.base + offset
    )
    pairs, same = _pairs(identity, aside, chance)
    score = calibrated.log_odds(codes[pairs[:, 0]], codes[pairs[:, 1]])
    rates = error_rates(score, same, identities=len(np.unique(identity[aside])))
    return replace(calibrated, rates=rates)


def error_rates(
    score: Shaped[np.ndarray, " pair"], same: Bool[np.ndarray, " pair"], *, identities: int
) -> ErrorRates:
    """The error rates of scores of pairs, higher for one identity, of which the truth is known.

    Raises:
        DataError: If there is no pair of one kind.
    """
    if same.all() or not same.any():
        raise DataError("expected pairs of one identity and pairs of strangers, got only one kind. Add some.")
    false, true, _ = roc_curve(same, score)
    equal = int(np.argmin(np.abs(false - (1 - true))))
    return ErrorRates(
        auc=float(np.trapezoid(true, false)),
        equal_error=float((false[equal] + 1 - true[equal]) / 2),
        accepted=float(true[false <= 0.01].max()),
        identities=identities,
        same_pairs=int(same.sum()),
        different_pairs=int((~same).sum()),
    )


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


def _parts(
    identity: Int[np.ndarray, " image"], used: Sequence[int], chance: np.random.Generator
) -> tuple[Int[np.ndarray, " a"], Int[np.ndarray, " b"], Int[np.ndarray, " c"]]:
    """Rows for the covariances, the calibration and the error rates; no identity is in two of them."""
    everyone, count = np.unique(identity, return_counts=True)
    known = everyone[count >= 2]
    if len(known) < MIN_IDENTITIES:
        raise DataError(
            f"expected {MIN_IDENTITIES} identities or more with two pictures or more each, got {len(known)}. "
            "Add pictures of others, or learn from simulated ones: pellucid same RUN people."
        )
    shuffled = chance.permutation(known)
    first, second = (round(share * len(known)) for share in (_PARTS[0], sum(_PARTS)))
    fitting, calibration, aside = (
        np.flatnonzero(np.isin(identity, part))
        for part in (shuffled[:first], shuffled[first:second], shuffled[second:])
    )
    freedom = len(fitting) - first
    if min(freedom, first - 1) <= len(used):
        raise DataError(
            f"expected more than {len(used)} identities to learn from, as many as active latents, and as "
            f"many second pictures, got {first} identities and {freedom} second pictures. Add pictures."
        )
    return fitting, calibration, aside


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
    nothing = ErrorRates(0.5, 0.5, 0.01, 0, 0, 0)
    return SameModel(latents, corrected_by, correction, weights, usual, base, nothing)


def _pairs(
    identity: Int[np.ndarray, " image"], rows: Int[np.ndarray, " row"], chance: np.random.Generator
) -> tuple[Int[np.ndarray, "pair 2"], Bool[np.ndarray, " pair"]]:
    """All pairs of one identity, 20,000 at most, and ten times as many pairs of strangers."""
    groups = [rows[identity[rows] == someone] for someone in np.unique(identity[rows])]
    same = np.concatenate([group[np.stack(np.triu_indices(len(group), 1), axis=1)] for group in groups])
    if len(same) > _MOST_SAME:
        same = same[chance.choice(len(same), _MOST_SAME, replace=False)]
    drawn = chance.choice(rows, (_STRANGERS_EACH * len(same), 2))
    strangers = drawn[identity[drawn[:, 0]] != identity[drawn[:, 1]]]
    return np.concatenate([same, strangers]), np.arange(len(same) + len(strangers)) < len(same)


def _calibrate(score: Float64[np.ndarray, " pair"], same: Bool[np.ndarray, " pair"]) -> tuple[float, float]:
    """Slope and offset of the log-odds by Platt (1999), both kinds weighing the same; slope never below 0."""
    spread = max(float(score.std()), 1e-12)
    fitted = LogisticRegression(C=1e4, class_weight="balanced").fit(score[:, None] / spread, same)
    slope = float(fitted.coef_[0, 0]) / spread
    return (slope, float(fitted.intercept_[0])) if slope > 0 else (0.0, 0.0)
