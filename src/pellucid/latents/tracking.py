"""How closely each single latent follows each attribute or factor, and how sure that is.

The best of many latents is also the luckiest: measured on the images that chose it, it seems better than it
is, and its interval misses the truth. So one random half of the images chooses (which latent, which class,
which direction, and whether it is significant after counting every test), and the other half measures. Images
that belong together are no independent evidence: of each group one takes part.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Float64, Int
from scipy.special import erfc, fdtrc, ncfdtr

from pellucid.data.attributes import Kind
from pellucid.data.grouping import Labels, numbered

Z95 = 1.959963984540054
ANGLE_BINS = 20
MAX_CLASSES = 100
SIGNIFICANT = 0.05
_NEARLY_1 = 1 - 1e-12
_MOST_NONCENTRAL = 1e5
_BISECTIONS = 50


@dataclass(frozen=True)
class Tracking:
    """How closely one latent follows one attribute, chosen on one half of the images, measured on the other.

    Attributes:
        latent: The latent's index.
        attribute: The attribute's name in the data.
        statistic: `AUC` for binary and categorical attributes, `correlation` for the others.
        value: On the half that measures: the AUC, in [0, 1] with 0.5 for chance, or the correlation, in
            [-1, 1], in the direction that was chosen. On the wrong side of chance, the halves disagree.
        direction: +1 if the latent rises with the attribute, -1 if it falls, 0 if neither can be said.
        images: Images of the half that measures whose attribute is known.
        positives: Of these, images that have the attribute (AUC only).
        low: Lower end of the 95 % interval of `value`.
        high: Upper end of the 95 % interval of `value`.
        strength: On the half that chooses, from 0, chance, to 1, perfect: 2 AUC - 1 (Somers' D), or the
            correlation's size. For choosing and ordering only; of the strongest of many it is too large.
        p_value: Probability that, with nothing to be found, any of the tests made together (latents x
            attributes x classes) would be as extreme as this on the half that chooses; at most 1.
        category: The class that is told from all others (categorical attributes only).
    """

    latent: int
    attribute: str
    statistic: Literal["AUC", "correlation"]
    value: float
    direction: int
    images: int
    positives: int | None
    low: float
    high: float
    strength: float
    p_value: float
    category: int | None = None

    @property
    def above_chance(self) -> bool:
        """Whether both halves say so: p at most 0.05 on the one, chance below the interval of the other."""
        return self.p_value <= SIGNIFICANT and self.low > (0.5 if self.statistic == "AUC" else 0.0)

    def describe(self) -> str:
        """The evidence in one line, for people."""
        which = "" if self.category is None else f" class {self.category}"
        counted = "" if self.positives is None else f", {self.positives:,} with it"
        moves = {1: "; rises with it", -1: "; falls with it", 0: ""}[self.direction]
        interval = f"{self.value:.2f} ({self.low:.2f}-{self.high:.2f})"
        measured = (
            f"{self.attribute}{which} {self.statistic} {interval}, {self.images:,} images{counted}{moves}"
        )
        return f"{measured}; chosen on other images"


def track(
    codes: Float[np.ndarray, "image latent"],
    values: Float[np.ndarray, "image attribute"],
    names: Sequence[str],
    kinds: Sequence[Kind],
    *,
    groups: Labels | None = None,
    seed: int = 0,
) -> tuple[Tracking, ...]:
    """Measure every latent against every attribute: one half of the images chooses, the other measures.

    A binary attribute gives the AUC of telling by the latent alone who has it (Mann-Whitney, ties count
    half), with DeLong's interval; a categorical one the AUC of the class best told from the others. An
    ordinal one gives Spearman's correlation with Fisher's interval. A periodic one gives the correlation
    ratio of the latent's ranks over 20 bins of the circle, less what chance gives (Kelley's epsilon), which
    is right for any symmetry of the thing that turns, with the interval of the noncentral F distribution.

    P-values are those of the F test for a periodic attribute, and of a normal deviate with the variance of
    permutations without ties for all others, which errs to the safe side with few images and with ties. Each
    is multiplied by the number of tests made (Bonferroni).

    Args:
        codes: Posterior means.
        values: The attributes of the same images: 0 or 1, a number, a class's index, or radians; nan if
            not known.
        names: One for each attribute.
        kinds: One for each attribute.
        groups: A label for each image; images with one label belong together, as crops of one image do. One
            of them, drawn at random, takes part. None: each image is on its own.
        seed: Decides which image of a group takes part, and in which half. One split serves all attributes.

    Returns:
        Attribute by attribute, and latent by latent within it. A latent or an attribute that is constant in
        either half, and an attribute too rarely known to say anything, has none.

    Raises:
        DataError: If there is not one group for each image.
    """
    order = np.random.default_rng(seed).permutation(len(codes))
    first = np.sort(np.unique(numbered(groups, len(codes))[order], return_index=True)[1])
    choosing, measuring = (
        _measure_all(codes[half], values[half], kinds) for half in np.array_split(order[first], 2)
    )
    tests = sum(int(one.varies.sum()) for alternatives in choosing for one in alternatives.values())
    return tuple(
        tracking
        for name, chosen, measured in zip(names, choosing, measuring, strict=True)
        for latent in range(codes.shape[1])
        if (tracking := _tracking(latent, name, chosen, measured, tests)) is not None
    )


def best_of_each(trackings: Sequence[Tracking]) -> tuple[Tracking, ...]:
    """Choose the latent that tells each attribute best, by the half that chooses; the strongest first."""
    best: dict[str, Tracking] = {}
    for tracking in trackings:
        leader = best.get(tracking.attribute)
        if leader is None or tracking.strength > leader.strength:
            best[tracking.attribute] = tracking
    return tuple(sorted(best.values(), key=lambda tracking: -tracking.strength))


@dataclass(frozen=True)
class _Ranked:
    """Each latent's images from its smallest to its largest value; equal values form one group.

    Attributes:
        scores: float64 [latent image].
        order: int [latent place], the image at each place.
        start: int [latent place], the first place of that place's group.
        end: int [latent place], one past the last place of that place's group.
    """

    scores: Float64[np.ndarray, "latent image"]
    order: Int[np.ndarray, "latent image"]
    start: Int[np.ndarray, "latent image"]
    end: Int[np.ndarray, "latent image"]

    def varies(self) -> Bool[np.ndarray, " latent"]:
        """Whether each latent has more than one value."""
        varies: Bool[np.ndarray, " latent"] = self.start[:, -1] > 0
        return varies

    def midranks(self) -> Float64[np.ndarray, "latent image"]:
        """Ranks from 1/2, halfway through each group of equal values."""
        ranks = np.empty(self.order.shape)
        np.put_along_axis(ranks, self.order, (self.start + self.end) / 2, axis=1)
        return ranks


@dataclass(frozen=True)
class _Measured:
    """One attribute, or one class of it, against every latent, on some images.

    Attributes:
        statistic: As in `Tracking`.
        signed: float64 [latent], strength from -1 to 1, 0 is chance; below 0 where the latent falls with it.
        low: float64 [latent], lower end of the 95 % interval of `signed`.
        high: float64 [latent], upper end.
        p_value: float64 [latent], of this test alone.
        varies: bool [latent], whether the latent has more than one value.
        images: How many.
        positives: Of these, images that have the attribute (AUC only).
        directed: Whether a latent can rise or fall with it.
    """

    statistic: Literal["AUC", "correlation"]
    signed: Float64[np.ndarray, " latent"]
    low: Float64[np.ndarray, " latent"]
    high: Float64[np.ndarray, " latent"]
    p_value: Float64[np.ndarray, " latent"]
    varies: Bool[np.ndarray, " latent"]
    images: int
    positives: int | None = None
    directed: bool = True

    def seen(self, latent: int, direction: int) -> tuple[float, float, float]:
        """Strength in a direction, with its interval."""
        strength, low, high = (float(of[latent]) for of in (self.signed, self.low, self.high))
        return (-strength, -high, -low) if direction < 0 else (strength, low, high)


_Alternatives = dict[int | None, _Measured]
"""An attribute's measurements by class; a single one, of None, unless it is categorical."""


def _tracking(
    latent: int, attribute: str, choosing: _Alternatives, measuring: _Alternatives, tests: int
) -> Tracking | None:
    """Choose class and direction by one half and measure them on the other; None if either half cannot."""
    tried: list[tuple[float, float, int, int | None]] = []
    for category, one in choosing.items():
        direction = int(np.sign(one.signed[latent]))
        strength, low, _ = one.seen(latent, direction)
        if one.varies[latent]:
            tried.append((low, strength, direction, category))
    if not tried:
        return None
    _, strength, direction, category = max(tried, key=lambda one: one[0])
    measured = measuring.get(category)
    if measured is None or not measured.varies[latent]:
        return None
    value, low, high = (
        (1 + of) / 2 if measured.statistic == "AUC" else of for of in measured.seen(latent, direction)
    )
    return Tracking(
        latent=latent,
        attribute=attribute,
        statistic=measured.statistic,
        value=value,
        direction=direction if measured.directed else 0,
        images=measured.images,
        positives=measured.positives,
        low=low,
        high=high,
        strength=strength,
        p_value=min(1.0, tests * float(choosing[category].p_value[latent])),
        category=category,
    )


def _rank(scores: Float64[np.ndarray, "latent image"]) -> _Ranked:
    order = np.argsort(scores, axis=1, kind="stable")
    ordered = np.take_along_axis(scores, order, axis=1)
    differs = ordered[:, 1:] != ordered[:, :-1]
    count = scores.shape[1]
    places = np.arange(count)
    first = np.pad(differs, ((0, 0), (1, 0)), constant_values=True)
    last = np.pad(differs, ((0, 0), (0, 1)), constant_values=True)
    start = np.maximum.accumulate(np.where(first, places, 0), axis=1)
    end = np.minimum.accumulate(np.where(last, places + 1, count)[:, ::-1], axis=1)[:, ::-1]
    return _Ranked(scores, order, start, end)


def _interval(
    signed: Float64[np.ndarray, " latent"], error: Float64[np.ndarray, " latent"]
) -> tuple[Float64[np.ndarray, " latent"], Float64[np.ndarray, " latent"]]:
    """Fisher's interval: normal, with this standard error, on the scale of the inverse hyperbolic tangent."""
    center = np.arctanh(np.clip(signed, -_NEARLY_1, _NEARLY_1))
    return np.tanh(center - Z95 * error), np.tanh(center + Z95 * error)


def _two_sided(deviate: Float64[np.ndarray, " latent"]) -> Float64[np.ndarray, " latent"]:
    """Probability that a standard normal variable is at least as far from 0."""
    p_value: Float64[np.ndarray, " latent"] = erfc(np.abs(deviate) / np.sqrt(2))
    return p_value


def _separation(ranked: _Ranked, member: Bool[np.ndarray, " image"]) -> _Measured | None:
    """AUC of a class against the rest, with an interval after DeLong et al. 1988 (Biometrics 44:837).

    It is Wilson's interval of a proportion of as many images as would give it DeLong's variance, at least as
    many as the smaller class has: an interval that is normal in AUC or its logit is far too narrow or too
    wide near 1. Mean and variance are those with one more placement of either class at chance, as Agresti &
    Coull 1998 do for proportions; without it, intervals of 10 to 20 images in a class hold the truth in 77 %
    to 93 % of simulated samples, and with it in 92 % to 99 %. Under chance the AUC's variance is
    (images + 1) / (12 members others): Mann & Whitney 1947.
    """
    members, others = int(member.sum()), int((~member).sum())
    if min(members, others) < 2:
        return None
    inside = member[ranked.order]
    passed = np.pad(np.cumsum(inside, axis=1), ((0, 0), (1, 0)))
    below = np.take_along_axis(passed, ranked.start, axis=1) + np.take_along_axis(passed, ranked.end, axis=1)
    # Each image's place within the other class, in [0, 1]: the share of it that lies below, ties by half.
    of_members = (ranked.start + ranked.end - below)[inside].reshape(-1, members) / (2 * others)
    of_others = below[~inside].reshape(-1, others) / (2 * members)
    signed = 2 * of_members.mean(axis=1) - 1
    variance = _variance(of_members) / members + _variance(of_others) / others
    shrunk = signed * members * others / ((members + 1) * (others + 1))
    alike = np.where(variance > 0, (1 - shrunk**2) / 4 / np.where(variance > 0, variance, 1), 0)
    count = np.maximum(alike, min(members, others))
    center = signed / (1 + Z95**2 / count)
    width = Z95 / (1 + Z95**2 / count) * np.sqrt((1 - signed**2) / count + (Z95 / count) ** 2)
    continuous = np.maximum(np.abs(signed) - 1 / (members * others), 0)  # half a step of the rank sum less
    return _Measured(
        statistic="AUC",
        signed=signed,
        low=center - width,
        high=center + width,
        p_value=_two_sided(continuous * np.sqrt(3 * members * others / (members + others + 1))),
        varies=ranked.varies(),
        images=len(member),
        positives=members,
    )


def _variance(placements: Float64[np.ndarray, "latent image"]) -> Float64[np.ndarray, " latent"]:
    """Variance with one more placement at chance."""
    padded = np.pad(placements, ((0, 0), (0, 1)), constant_values=0.5)
    variance: Float64[np.ndarray, " latent"] = padded.var(axis=1, ddof=1)
    return variance


def _binary(ranked: _Ranked, values: Float64[np.ndarray, " image"]) -> _Alternatives:
    return _only(_separation(ranked, values > 0.5))


def _categorical(ranked: _Ranked, values: Float64[np.ndarray, " image"]) -> _Alternatives:
    classes, counts = np.unique(values, return_counts=True)
    frequent = np.sort(classes[np.argsort(-counts, kind="stable")[:MAX_CLASSES]])
    tried = ((int(one), _separation(ranked, values == one)) for one in frequent)
    return {category: measured for category, measured in tried if measured is not None}


def _ordinal(ranked: _Ranked, values: Float64[np.ndarray, " image"]) -> _Alternatives:
    """Spearman's correlation; its error on Fisher's scale is that of Bonett & Wright 2000."""
    ranks, target = ranked.midranks(), _rank(values[None]).midranks()[0]
    ranks -= ranks.mean(axis=1, keepdims=True)
    target -= target.mean()
    if not target.any():
        return {}
    count, product = len(values), ranks @ target
    size = np.sqrt((ranks**2).sum(axis=1) * (target**2).sum())
    signed = np.clip(product / np.where(size > 0, size, 1), -1, 1)
    error = np.sqrt((1 + signed**2 / 2) / (count - 3))
    # Of permutations; (count^3 - count) / 12 is the sum of squares of ranks without ties.
    deviation = np.sqrt((count**3 - count) / 12 * (target**2).sum() / (count - 1))
    low, high = _interval(signed, error)
    return _only(
        _Measured(
            statistic="correlation",
            signed=signed,
            low=low,
            high=high,
            p_value=_two_sided(product / deviation),
            varies=ranked.varies(),
            images=count,
        )
    )


def _periodic(ranked: _Ranked, values: Float64[np.ndarray, " image"]) -> _Alternatives:
    """Square root of the share of the variance of a latent's ranks that lies between the bins of the circle.

    The ratio of the variances between and within the bins follows a noncentral F distribution, which for
    ranks holds whatever the latent's own distribution (Conover & Iman 1981). The interval is every
    noncentrality under which the ratio found is neither among the lowest nor the highest 2.5 %.
    """
    turns = np.mod(values, 2 * np.pi) / (2 * np.pi)
    bins = np.minimum((turns * ANGLE_BINS).astype(np.int64), ANGLE_BINS - 1)
    occupied, member = np.unique(bins, return_inverse=True)
    count, degrees, spare = len(values), len(occupied) - 1, len(values) - len(occupied)
    if degrees < 1 or spare < 1:
        return {}
    inside = np.eye(len(occupied))[member]  # [image bin]
    found = _variance_ratio(ranked.midranks(), inside)

    def ratio(noncentrality: Float64[np.ndarray, " latent"]) -> Float64[np.ndarray, " latent"]:
        excess = np.maximum(noncentrality, 0)
        root: Float64[np.ndarray, " latent"] = np.sqrt(excess / (excess + count - 1))
        return root

    low, high = (_noncentrality(found, degrees, spare, quantile) for quantile in (0.975, 0.025))
    return _only(
        _Measured(
            statistic="correlation",
            signed=ratio(degrees * (found - 1)),
            low=ratio(low),
            high=ratio(high),
            p_value=fdtrc(degrees, spare, found),
            varies=ranked.varies(),
            images=count,
            directed=False,
        )
    )


def _variance_ratio(
    scores: Float64[np.ndarray, "latent image"], inside: Float64[np.ndarray, "image bin"]
) -> Float64[np.ndarray, " latent"]:
    """Fisher's F: the variance between bins over the variance within them; 0 for a constant latent."""
    images, bins = inside.shape
    centered = scores - scores.mean(axis=1, keepdims=True)
    between = ((centered @ inside) ** 2 / inside.sum(axis=0)).sum(axis=1)
    total = (centered**2).sum(axis=1)
    within = np.maximum(total - between, 1e-9 * total) / (images - bins)
    found: Float64[np.ndarray, " latent"] = between / (bins - 1) / np.where(within > 0, within, 1)
    return found


def _noncentrality(
    found: Float64[np.ndarray, " latent"], degrees: int, spare: int, quantile: float
) -> Float64[np.ndarray, " latent"]:
    """The noncentrality under which a variance ratio as found is at this quantile; 0 if there is none.

    Where it is large it grows in proportion to the ratio, so it is solved below 100,000, by bisection.
    """
    scale = np.maximum(1.0, found * degrees / _MOST_NONCENTRAL)
    ratio = found / scale
    low, high = np.zeros_like(ratio), degrees * (ratio + 1)
    while (below := ncfdtr(degrees, spare, high, ratio) > quantile).any():
        high = np.where(below, 2 * high, high)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        below = ncfdtr(degrees, spare, middle, ratio) > quantile
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    solved: Float64[np.ndarray, " latent"] = np.where(
        ncfdtr(degrees, spare, 0.0, ratio) > quantile, scale * low, 0.0
    )
    return solved


def _only(measured: _Measured | None) -> _Alternatives:
    return {} if measured is None else {None: measured}


_MEASURES: dict[Kind, Callable[[_Ranked, Float64[np.ndarray, " image"]], _Alternatives]] = {
    "binary": _binary,
    "categorical": _categorical,
    "ordinal": _ordinal,
    "periodic": _periodic,
}


def _measure_all(
    codes: Float[np.ndarray, "image latent"],
    values: Float[np.ndarray, "image attribute"],
    kinds: Sequence[Kind],
) -> list[_Alternatives]:
    """Each attribute against every latent, on the images where it is known."""
    scores = np.where(np.isfinite(codes).all(axis=0), codes, 0).astype(np.float64).T
    ranked = _rank(scores)
    measured: list[_Alternatives] = []
    for kind, column in zip(kinds, values.T, strict=True):
        known = np.isfinite(column)
        if known.sum() < 4:
            measured.append({})
            continue
        within = ranked if known.all() else _rank(scores[:, known])
        measured.append(_MEASURES[kind](within, column[known].astype(np.float64)))
    return measured
