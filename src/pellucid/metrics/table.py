"""All scores of one code, each with an interval: the table that `pellucid metrics` prints."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from pellucid.errors import ConfigError, DataError
from pellucid.metrics.beta_vae import beta_vae
from pellucid.metrics.dci import dci
from pellucid.metrics.factor_vae import factor_vae
from pellucid.metrics.infomec import infomec
from pellucid.metrics.interval import Splitting, half_widths, part_scores
from pellucid.metrics.mig import mig, mig_chen
from pellucid.metrics.modularity import explicitness, modularity
from pellucid.metrics.mutual_information import check_codes
from pellucid.metrics.sap import sap

RESAMPLES = 50
FEWEST_IMAGES = 200
STANDARD_IMAGES = 10_000
"""What the literature scores on, and where the scores have nearly reached what more images would give."""

FEWEST_OTHERS = 40
"""Images that differ from a factor's most frequent value: with fewer, a quarter of them may have none."""

Reading = tuple[float, Float64[np.ndarray, " factor"] | None]


@dataclass(frozen=True)
class Score:
    """One score with its interval.

    Attributes:
        name: What it is called, in `METRICS`.
        value: The score of all images, in [0, 1].
        low: Lower end of the 95 % interval.
        high: Upper end of the 95 % interval.
        images: How many were scored.
        biased: Whether so few images move the expected score itself, which no interval shows: it must not be
            compared with a score of another number of images.
        per_factor: What it is the mean of, one for each factor in order, where it is made of such; else None.
    """

    name: str
    value: float
    low: float
    high: float
    images: int
    biased: bool
    per_factor: tuple[float, ...] | None


@dataclass(frozen=True)
class Sample:
    """What a metric is computed from.

    Attributes:
        codes: float [image latent], posterior means.
        factors: float [image factor].
        categorical: For each factor, whether its values are classes without an order.
        log_variances: float [image latent], of the posteriors; None if not known.
        generator: For all that is drawn.
        share: Part of all images that these are: 1 / share times as little is drawn from them.
    """

    codes: Float[np.ndarray, "image latent"]
    factors: Float[np.ndarray, "image factor"]
    categorical: tuple[bool, ...]
    log_variances: Float[np.ndarray, "image latent"] | None
    generator: np.random.Generator
    share: float = 1.0

    def part(self, rows: Int64[np.ndarray, " row"]) -> "Sample":
        """The same for some of the images."""
        logs = None if self.log_variances is None else self.log_variances[rows]
        share = len(rows) / len(self.codes)
        return Sample(self.codes[rows], self.factors[rows], self.categorical, logs, self.generator, share)

    def count(self, number: int) -> int:
        """So many draws, for the share that this is."""
        return max(1, round(number * self.share))


@dataclass(frozen=True)
class Metric:
    """How the scores of one function are computed.

    Attributes:
        names: Of its scores, in the order in which `measure` gives them.
        measure: Gives each score and what it is made of, factor by factor.
        costly: Whether it takes seconds for 10,000 images: its interval then rests on fewer parts.
        least_factors: Factors that it needs.
        of_posteriors: Whether it needs the posteriors' log-variances.
        steady: Whether its expected value is the same with fewer than 10,000 images.
    """

    names: tuple[str, ...]
    measure: Callable[[Sample], list[Reading]]
    costly: bool = False
    least_factors: int = 1
    of_posteriors: bool = False
    steady: bool = False


def _mig(sample: Sample) -> list[Reading]:
    found = mig(sample.codes, sample.factors)
    return [(found.score, found.gaps)]


def _mig_chen(sample: Sample) -> list[Reading]:
    assert sample.log_variances is not None
    found = mig_chen(
        sample.codes,
        sample.log_variances,
        sample.factors,
        generator=sample.generator,
        samples=sample.count(1_000),
    )
    return [(found.score, found.gaps)]


def _sap(sample: Sample) -> list[Reading]:
    found = sap(sample.codes, sample.factors, categorical=sample.categorical)
    return [(found.score, found.gaps)]


def _dci(sample: Sample) -> list[Reading]:
    found = dci(sample.codes, sample.factors, categorical=sample.categorical, generator=sample.generator)
    return [
        (found.disentanglement, None),
        (found.completeness, found.completeness_per_factor),
        (found.informativeness, found.informativeness_per_factor),
    ]


def _factor_vae(sample: Sample) -> list[Reading]:
    counts = {"train": sample.count(10_000), "test": sample.count(5_000)}
    found = factor_vae(sample.codes, sample.factors, generator=sample.generator, **counts)
    return [(found.score, found.per_factor)]


def _beta_vae(sample: Sample) -> list[Reading]:
    counts = {"train": sample.count(10_000), "test": sample.count(5_000)}
    found = beta_vae(sample.codes, sample.factors, generator=sample.generator, **counts)
    return [(found.score, found.per_factor)]


def _modularity(sample: Sample) -> list[Reading]:
    return [(modularity(sample.codes, sample.factors).score, None)]


def _explicitness(sample: Sample) -> list[Reading]:
    found = explicitness(sample.codes, sample.factors, generator=sample.generator)
    return [(found.score, found.factors)]


def _infomec(sample: Sample) -> list[Reading]:
    found = infomec(sample.codes, sample.factors, generator=sample.generator)
    return [
        (found.modularity, None),
        (found.compactness, found.compactness_per_factor),
        (found.explicitness, found.explicitness_per_factor),
    ]


METRICS: Mapping[str, Metric] = {
    "mig": Metric(("MIG (Locatello)",), _mig),
    "mig_chen": Metric(("MIG (Chen)",), _mig_chen, costly=True, of_posteriors=True),
    "sap": Metric(("SAP",), _sap),
    "dci": Metric(
        ("DCI disentanglement", "DCI completeness", "DCI informativeness"), _dci, costly=True, least_factors=2
    ),
    "factor_vae": Metric(("FactorVAE score",), _factor_vae, least_factors=2),
    "beta_vae": Metric(("beta-VAE score",), _beta_vae, costly=True, least_factors=2, steady=True),
    "modularity": Metric(("modularity",), _modularity, least_factors=2),
    "explicitness": Metric(("explicitness",), _explicitness, costly=True),
    "infomec": Metric(
        ("InfoM modularity", "InfoC compactness", "InfoE explicitness"),
        _infomec,
        costly=True,
        least_factors=2,
    ),
}
"""Every metric that needs factors, by its module's name."""


def unusable(factors: Float[np.ndarray, "image factor"]) -> tuple[str | None, ...]:
    """Why each factor cannot be scored: it is unknown, constant or nearly so on these images; else None."""
    return tuple(_fault(column) for column in factors.T)


def _fault(values: Float[np.ndarray, " image"]) -> str | None:
    unknown = int((~np.isfinite(values)).sum())
    if unknown:
        return f"unknown for {unknown:,} of {len(values):,} images"
    counts = np.unique(values, return_counts=True)[1]
    others = len(values) - int(counts.max(initial=0))
    if others == 0:
        return "the same in all images"
    if others < FEWEST_OTHERS:
        return f"the same in all images but {others}; {FEWEST_OTHERS} are needed"
    return None


def evaluate(
    codes: Float[np.ndarray, "image latent"],
    factors: Float[np.ndarray, "image factor"],
    names: Sequence[str],
    *,
    log_variances: Float[np.ndarray, "image latent"] | None = None,
    categorical: Sequence[bool] | None = None,
    metrics: Sequence[str] = tuple(METRICS),
    seed: int = 0,
    resamples: int = RESAMPLES,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Score, ...]:
    """Score codes against known factors, with 95 % intervals over the images.

    An interval says how far the score would move with as many other images of the same kind, for the same
    model. It says nothing of training again, which moves scores more, nor of how far too few images move the
    score itself (`Score.biased`). Intervals are symmetric, cut to [0, 1], and rest
    on `resamples` halves of the images; those of MIG (Chen), DCI, beta-VAE score, explicitness and InfoMEC,
    which take long, on 4 quarters for every 24 halves. See `half_widths`.

    All latents count, as published, except where a metric's own protocol leaves out those that do not move
    (FactorVAE score, InfoMEC). A metric that needs more than is given is left out: MIG (Chen) without
    log-variances, and all but MIG, SAP and explicitness with a single factor.

    Args:
        codes: Posterior means, one row an image.
        factors: What is true of the same images; classes as numbers.
        names: One for each factor, for messages.
        log_variances: Natural logarithms of the posteriors' variances.
        categorical: For each factor, whether its values are classes without an order (used by SAP and DCI).
            Default: those with two values.
        metrics: Which, by their names in `METRICS`.
        seed: Decides all that is drawn.
        resamples: Halves that the interval of a cheap metric rests on; at least 4.
        progress: Called with the number of computations done and of all, after each.

    Returns:
        The scores in the order of `metrics`.

    Raises:
        DataError: If there are fewer than 200 images, or a factor cannot be scored; see `unusable`.
        ConfigError: If a setting is out of range, or names and factors differ in number.
    """
    _check(codes, factors, names, metrics, resamples)
    if categorical is None:
        categorical = [len(np.unique(column)) == 2 for column in factors.T]
    plan = {
        name: _splitting(METRICS[name], resamples)
        for name in metrics
        if METRICS[name].least_factors <= factors.shape[1]
        and (log_variances is not None or not METRICS[name].of_posteriors)
    }
    advance = _counter(sum(1 + split.splits * split.parts for split in plan.values()), progress)
    scores: list[Score] = []
    # The matrices are small: on a busy machine threads wait for one another 50 times as long as they compute.
    with threadpool_limits(1, user_api="blas"):
        for name, splitting in plan.items():
            generator = np.random.default_rng([seed, list(METRICS).index(name)])
            sample = Sample(codes, factors, tuple(categorical), log_variances, generator)
            scores += _scores(METRICS[name], sample, splitting, advance)
    return tuple(scores)


def _scores(metric: Metric, sample: Sample, splitting: Splitting, advance: Callable[[], None]) -> list[Score]:
    readings = metric.measure(sample)
    advance()

    def of_part(rows: Int64[np.ndarray, " row"]) -> list[float]:
        values = [value for value, _ in metric.measure(sample.part(rows))]
        advance()
        return values

    widths = half_widths(part_scores(of_part, len(sample.codes), splitting, sample.generator))
    return [
        Score(
            name=name,
            value=value,
            low=max(0.0, value - float(width)),
            high=min(1.0, value + float(width)),
            images=len(sample.codes),
            biased=len(sample.codes) < STANDARD_IMAGES and not metric.steady,
            per_factor=None if per_factor is None else tuple(per_factor.tolist()),
        )
        for name, (value, per_factor), width in zip(metric.names, readings, widths, strict=True)
    ]


def _splitting(metric: Metric, resamples: int) -> Splitting:
    return Splitting(max(1, resamples // 24), 4) if metric.costly else Splitting(resamples // 2, 2)


def _counter(total: int, progress: Callable[[int, int], None] | None) -> Callable[[], None]:
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1
        if progress:
            progress(done, total)

    return advance


def _check(
    codes: Float[np.ndarray, "image latent"],
    factors: Float[np.ndarray, "image factor"],
    names: Sequence[str],
    metrics: Sequence[str],
    resamples: int,
) -> None:
    if len(names) != factors.shape[1]:
        raise ConfigError(f"names: expected one for each of {factors.shape[1]} factors, got {len(names)}.")
    if resamples < 4:
        raise ConfigError(f"resamples: expected 4 or more, got {resamples}. Leave it out for {RESAMPLES}.")
    unknown = [name for name in metrics if name not in METRICS]
    if unknown:
        raise ConfigError(f"metrics: expected some of {', '.join(METRICS)}, got {unknown[0]!r}.")
    for name, fault in zip(names, unusable(factors), strict=True):
        if fault is not None:
            raise DataError(
                f"{name}: expected a factor that is known and varies, but it is {fault}. Leave it out."
            )
    check_codes(codes, factors)
    if len(codes) < FEWEST_IMAGES:
        raise DataError(
            f"expected at least {FEWEST_IMAGES} images to score, got {len(codes)}. Pass more images."
        )
