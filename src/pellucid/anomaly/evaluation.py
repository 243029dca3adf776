"""How well measurements tell normal from anomalous images that were not fitted: the paper's protocol.

100 times, 70 % of either class, drawn at random, fit a standardised logistic regression, and the other 30 %
are scored. The splits overlap, so what is shown over them is a band of quantiles and no standard error.

The paper's positive class is the normal image, so that with 1,000 of them and 100 anomalous ones random
scores reach an average precision of 0.911 on the held-out 30 %. Everything here is given for both classes as
the positive one, [0] normal and [1] anomalous, and beside it the chance level.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float64, Int, Int64
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from pellucid.anomaly.features import LOSS_COLUMNS, Features
from pellucid.data.grouping import numbered, strata
from pellucid.errors import ConfigError, DataError
from pellucid.metrics.scale import standardise

STEPS = 101
"""Points of a precision-recall curve: recall 0, 0.01, ... 1."""

BAND = (0.05, 0.95)
"""Quantiles over the splits that a band shows."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Evaluation:
    """One set of columns, evaluated over many splits.

    Attributes:
        name: What was evaluated, for people.
        columns: The columns.
        counts: How many images are normal, and how many anomalous.
        recall: float64 [step], 0, 0.01, ... 1.
        precision: float64 [2 split step], of the precision-recall curve at that recall, as a step function
            whose area is the average precision; [0] with normal as the positive class (the paper's), [1]
            with anomalous.
        average_precision: float64 [2 split], likewise.
        chance: The expected average precision of random scores on the held-out images, mean over splits, for
            either class as the positive one; see `chance_level`.
        coefficients: float64 [split column], of the logistic regression on standardised columns: by how
            much one standard deviation more raises the log-odds of being normal.
    """

    name: str
    columns: tuple[str, ...]
    counts: tuple[int, int]
    recall: Float64[np.ndarray, " step"]
    precision: Float64[np.ndarray, "2 split step"]
    average_precision: Float64[np.ndarray, "2 split"]
    chance: tuple[float, float]
    coefficients: Float64[np.ndarray, "split column"]

    def summary(self) -> dict[str, Any]:
        """The numbers as JSON types.

        Keys: `name`, `splits`; `normal` and `anomalous`, each with `images`, `chance`, and
        `average_precision`, `low` and `high`, which are the mean and the 5 % and 95 % quantiles over splits;
        `coefficients`, for each column `mean` and standard deviation `sd` over splits.
        """
        low, high = np.quantile(self.average_precision, BAND, axis=1).tolist()
        mean = self.average_precision.mean(axis=1).tolist()
        directions = {
            positive: {
                "images": self.counts[at],
                "chance": self.chance[at],
                "average_precision": mean[at],
                "low": low[at],
                "high": high[at],
            }
            for at, positive in enumerate(("normal", "anomalous"))
        }
        spread = zip(
            self.columns,
            self.coefficients.mean(axis=0).tolist(),
            self.coefficients.std(axis=0).tolist(),
            strict=True,
        )
        return {
            "name": self.name,
            "splits": len(self.coefficients),
            **directions,
            "coefficients": {column: {"mean": centre, "sd": sd} for column, centre, sd in spread},
        }


@dataclass(frozen=True)
class TextureDiagnosis:
    """Whether images are told apart by what they show, or by how busy they are.

    Attributes:
        columns: The columns.
        edges: float64 [edge], where bins of texture begin and end, ascending; one more than there are bins.
        counts: int64 [2 bin], normal and anomalous images in each bin.
        average_precision: float64 [2 bin split], among the images of a bin that a split left out; [0] normal
            and [1] anomalous as the positive class; nan where one of the classes is missing.
        chance: float64 [2 bin], the expected average precision of random scores among the held-out images of
            a bin, mean over the splits that have both classes there; nan where none has. It differs from bin
            to bin, so compare an average precision with its own.
        correlation: float64 [2 column], Spearman's, of each column with texture, over the normal and over the
            anomalous images; nan where the column or the texture is constant.
    """

    columns: tuple[str, ...]
    edges: Float64[np.ndarray, " edge"]
    counts: Int64[np.ndarray, "2 bin"]
    average_precision: Float64[np.ndarray, "2 bin split"]
    chance: Float64[np.ndarray, "2 bin"]
    correlation: Float64[np.ndarray, "2 column"]

    def summary(self) -> dict[str, Any]:
        """The numbers as JSON types.

        Keys: `bins`, for each `low`, `high`, and `normal` and `anomalous` with `images`, `chance` and mean
        `average_precision` over splits; `correlation`, for each column `normal` and `anomalous`. What is nan
        here is None there.
        """

        def number(value: float) -> float | None:
            return float(value) if np.isfinite(value) else None

        def direction(place: int, at: int) -> dict[str, Any]:
            known = self.average_precision[at, place][np.isfinite(self.average_precision[at, place])]
            return {
                "images": int(self.counts[at, place]),
                "chance": number(self.chance[at, place]),
                "average_precision": float(known.mean()) if len(known) else None,
            }

        bins = [
            {
                "low": float(self.edges[at]),
                "high": float(self.edges[at + 1]),
                "normal": direction(at, 0),
                "anomalous": direction(at, 1),
            }
            for at in range(len(self.edges) - 1)
        ]
        correlation = {
            column: {"normal": number(of_normal), "anomalous": number(of_anomalous)}
            for column, of_normal, of_anomalous in zip(self.columns, *self.correlation, strict=True)
        }
        return {"bins": bins, "correlation": correlation}


@dataclass(frozen=True)
class Extremes:
    """The rows of the images that a loss puts at either end of each class: the paper's Figs 7 to 10.

    Attributes:
        loss: The loss.
        normal_least: int64 [row], the smallest loss first.
        normal_largest: int64 [row], the largest loss first.
        anomalous_least: int64 [row], the smallest loss first: what the model takes for normal.
        anomalous_largest: int64 [row], the largest loss first.
    """

    loss: str
    normal_least: Int64[np.ndarray, " row1"]
    normal_largest: Int64[np.ndarray, " row2"]
    anomalous_least: Int64[np.ndarray, " row3"]
    anomalous_largest: Int64[np.ndarray, " row4"]


@dataclass(frozen=True)
class _Trial:
    """One split: its held-out rows, their scores (larger is more normal), and the coefficients."""

    test: Int64[np.ndarray, " row"]
    scores: Float64[np.ndarray, " row"]
    coefficients: Float64[np.ndarray, " column"]


def evaluate(
    values: Float64[np.ndarray, "image column"],
    normal: Bool[np.ndarray, " image"],
    *,
    columns: Sequence[str],
    name: str,
    splits: int = 100,
    test_share: float = 0.3,
    seed: int = 0,
    groups: Int[np.ndarray, " image"] | None = None,
    class_weight: Literal["balanced"] | None = "balanced",
    threads: int | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Fit on a part of the images and measure on the others, over and over.

    Both parts have their share of either class. Columns are standardised by the part that is fitted.

    Args:
        values: The features, finite.
        normal: Which images are normal.
        columns: The names of the columns.
        name: What is evaluated, for people.
        splits: How many.
        test_share: The share of images that a split leaves out.
        seed: Decides the splits; the same ones for whatever values, so evaluations can be compared.
        groups: For each image the number of its group, and the images of one group are never on both sides:
            crops of one picture, say (`groups_of`). None: every image is on its own.
        class_weight: `balanced`, as in the detector, counts both classes alike, however many images they
            have; None counts images alike.
        threads: How many compute; None takes one for each processor. Never changes a number.
        progress: Called with the number of splits done and of all.

    Raises:
        DataError: If a value is not finite, or a class has fewer than 2 groups, too few for both parts.
        ConfigError: If a setting is out of range, or names and columns differ in number.
    """
    _check(values, normal, columns)
    protocol = _Protocol(splits, test_share, seed, groups, class_weight, threads)
    trials = _trials(values, normal, protocol, progress)
    curves = [[_curve(t.scores, normal[t.test]) for t in trials]]
    curves += [[_curve(-t.scores, ~normal[t.test]) for t in trials]]
    held_out = [normal[trial.test] for trial in trials]
    levels = [[chance_level(len(of), int(one.sum())) for one in (of, ~of)] for of in held_out]
    of_normal, of_anomalous = np.mean(levels, axis=0).tolist()
    return Evaluation(
        name=name,
        columns=tuple(columns),
        counts=(int(normal.sum()), int((~normal).sum())),
        recall=np.linspace(0, 1, STEPS),
        precision=np.array([[precision for precision, _ in direction] for direction in curves]),
        average_precision=np.array([[area for _, area in direction] for direction in curves]),
        chance=(of_normal, of_anomalous),
        coefficients=np.stack([trial.coefficients for trial in trials]),
    )


def within_texture(
    values: Float64[np.ndarray, "image column"],
    normal: Bool[np.ndarray, " image"],
    texture: Float64[np.ndarray, " image"],
    *,
    columns: Sequence[str],
    bins: int = 4,
    splits: int = 100,
    test_share: float = 0.3,
    seed: int = 0,
    groups: Int[np.ndarray, " image"] | None = None,
    class_weight: Literal["balanced"] | None = "balanced",
    threads: int | None = None,
    progress: Progress | None = None,
) -> TextureDiagnosis:
    """Put a number on the paper's diagnosis, that losses see how busy an image is rather than what it shows.

    Fits as `evaluate` does, on all textures together, and measures among images that are about equally busy.
    Bins hold equal shares of all images; where many are equally busy, there are fewer bins.

    Args:
        values: The features, finite.
        normal: Which images are normal.
        texture: How busy each image is, by one of `pellucid.anomaly.texture`'s measures.
        columns: The names of the columns.
        bins: How many bins of texture.
        splits: As in `evaluate`, like all that follow.
        test_share: Likewise.
        seed: Likewise.
        groups: Likewise.
        class_weight: Likewise.
        threads: Likewise.
        progress: Likewise.

    Raises:
        DataError: As `evaluate`.
        ConfigError: As `evaluate`, and if there are no bins.
    """
    _check(values, normal, columns)
    if bins < 1:
        raise ConfigError(f"bins: expected 1 or more, got {bins}. Raise it.")
    if len(texture) != len(normal) or not np.isfinite(texture).all():
        raise DataError("texture: expected a finite number for each image. Leave out what could not be read.")
    protocol = _Protocol(splits, test_share, seed, groups, class_weight, threads)
    trials = _trials(values, normal, protocol, progress)
    edges = np.unique(np.quantile(texture, np.linspace(0, 1, bins + 1)))
    if len(edges) == 1:
        edges = np.repeat(edges, 2)
    place = np.clip(np.searchsorted(edges, texture, side="right") - 1, 0, len(edges) - 2)
    count = np.stack([np.bincount(place[of], minlength=len(edges) - 1) for of in (normal, ~normal)])
    precision = np.full((2, len(edges) - 1, splits), np.nan)
    levels: list[list[list[float]]] = [[] for _ in edges[1:]]
    for split, trial in enumerate(trials):
        for at in range(len(edges) - 1):
            inside = place[trial.test] == at
            scores, positive = trial.scores[inside], normal[trial.test][inside]
            if positive.any() and not positive.all():
                precision[:, at, split] = _curve(scores, positive)[1], _curve(-scores, ~positive)[1]
                levels[at].append(
                    [chance_level(len(scores), int(one.sum())) for one in (positive, ~positive)]
                )
    return TextureDiagnosis(
        columns=tuple(columns),
        edges=edges,
        counts=count,
        average_precision=precision,
        chance=np.stack([np.mean(of, axis=0) if of else np.full(2, np.nan) for of in levels], axis=1),
        correlation=np.stack([_correlations(values[of], texture[of]) for of in (normal, ~normal)]),
    )


def chance_level(images: int, positives: int) -> float:
    """Give the expected average precision of random scores without ties.

    Every rank i is as likely to be that of a positive, and the other p - 1 positives are spread evenly over
    the other n - 1 ranks, so that the precision there is (1 + (p - 1)(i - 1) / (n - 1)) / i on average. The
    mean over the ranks is

        (1 / n) (H_n + (p - 1)(n - H_n) / (n - 1)),    H_n = 1 + 1/2 + ... + 1/n,

    which is above the share p / n, and by much where positives are few: .142 and not .098 for 8 of 82.

    Args:
        images: How many images are ranked, n.
        positives: How many of them are positive, p.

    Raises:
        DataError: If no image is positive, or more are than there are.
    """
    if not 1 <= positives <= images:
        raise DataError(f"expected from 1 to {images:,} positive images, got {positives:,}. Add some.")
    if images == 1:
        return 1.0
    harmonic = float((1 / np.arange(1, images + 1)).sum())
    return (harmonic + (positives - 1) * (images - harmonic) / (images - 1)) / images


def subsample(normal: Bool[np.ndarray, " image"], anomalies: int, seed: int) -> Int64[np.ndarray, " row"]:
    """The rows of all normal images and of some anomalous ones, drawn at random: 100 instead of 1,000.

    Raises:
        DataError: If there are not as many.
    """
    anomalous = np.flatnonzero(~normal)
    if not 0 <= anomalies <= len(anomalous):
        raise DataError(
            f"expected {anomalies:,} anomalous images or more to choose from, got {len(anomalous):,}. "
            "Ask for fewer."
        )
    chosen = np.random.default_rng(seed).choice(anomalous, anomalies, replace=False)
    return np.sort(np.concatenate([np.flatnonzero(normal), chosen]))


def extremes(features: Features, normal: Bool[np.ndarray, " image"], loss: str, count: int = 16) -> Extremes:
    """The images of each class with the least and the largest loss; of a small class all, both ways.

    Args:
        features: Of all images; those that could not be read are left out.
        normal: Which images are normal.
        loss: The name of a loss.
        count: How many at each end, at most.

    Raises:
        ConfigError: If there is no such loss, or `count` is less than 1.
    """
    if loss not in LOSS_COLUMNS:
        raise ConfigError(f"loss: expected one of {', '.join(LOSS_COLUMNS)}, got {loss[:60]!r}.")
    if count < 1:
        raise ConfigError(f"count: expected 1 or more, got {count}. Raise it.")
    value = features.select([loss])[:, 0]
    ends: list[Int64[np.ndarray, " row"]] = []
    for member in (normal, ~normal):
        rows = np.flatnonzero(member & features.readable)
        ends += [rows[np.argsort(sign * value[rows], kind="stable")][:count] for sign in (1, -1)]
    return Extremes(loss, *ends)


def _check(
    values: Float64[np.ndarray, "row column"], normal: Bool[np.ndarray, " image"], columns: Sequence[str]
) -> None:
    if len(columns) != values.shape[1] or not len(columns):
        raise ConfigError(f"columns: expected a name for each of {values.shape[1]}, got {len(columns)}.")
    if len(values) != len(normal):
        raise DataError(
            f"expected a class for each of {len(values):,} images, got {len(normal):,}. Pass as many."
        )
    if not np.isfinite(values).all():
        raise DataError("expected finite features, got nan or inf. Leave out what could not be read.")


@dataclass(frozen=True)
class _Protocol:
    """How `evaluate` splits and fits; its arguments say what each is."""

    splits: int
    test_share: float
    seed: int
    groups: Int[np.ndarray, " member"] | None
    class_weight: Literal["balanced"] | None
    threads: int | None

    def __post_init__(self) -> None:
        for name, value, least in (
            ("splits", self.splits, 1),
            ("seed", self.seed, 0),
            ("threads", self.threads, 1),
        ):
            if value is not None and value < least:
                raise ConfigError(f"{name}: expected {least} or more, got {value}. Raise it.")
        if not 0 < self.test_share < 1:
            raise ConfigError(
                f"test_share: expected a share between 0 and 1, got {self.test_share}. Take 0.3."
            )


def _trials(
    values: Float64[np.ndarray, "image column"],
    normal: Bool[np.ndarray, " image"],
    protocol: _Protocol,
    progress: Progress | None,
) -> list[_Trial]:
    strata = _strata(normal, protocol.groups)

    def trial(split: int) -> _Trial:
        test = _held_out(strata, protocol.test_share, np.random.default_rng([protocol.seed, split]))
        return _fit(values, normal, test, protocol.class_weight)

    done: list[_Trial] = []
    # The matrices are small: BLAS would let its threads wait, and sums would depend on how many there are.
    with (
        threadpool_limits(1, user_api="blas"),
        ThreadPoolExecutor(protocol.threads or os.cpu_count() or 1) as pool,
    ):
        for result in pool.map(trial, range(protocol.splits)):
            done.append(result)
            if progress:
                progress(len(done), protocol.splits)
    return done


def _strata(normal: Bool[np.ndarray, " image"], groups: Any) -> list[list[Int64[np.ndarray, " ..."]]]:
    """Groups of rows, by whether they hold normal images, anomalous images, or both."""
    found = strata(normal.astype(np.int64), numbered(groups, len(normal)))
    for number, word in ((1, "normal"), (0, "anomalous")):
        count = max((len(of_kind) for kind, of_kind in found.items() if number in kind), default=0)
        if count < 2:
            raise DataError(
                f"expected at least 2 {word} images (or groups of them), one to fit and one to test on, got "
                f"{count}. Give more images."
            )
    return list(found.values())


def _held_out(
    strata: list[list[Int64[np.ndarray, " ..."]]], share: float, generator: np.random.Generator
) -> Int64[np.ndarray, " row"]:
    """The rows of one split's test part: of every stratum the share, to the nearest whole group."""
    chosen: list[Int64[np.ndarray, " ..."]] = []
    for groups in strata:
        order = generator.permutation(len(groups))
        total = np.cumsum([len(groups[at]) for at in order])
        count = int(np.argmin(np.abs(total - share * total[-1]))) + 1
        if len(groups) > 1:
            chosen += [groups[at] for at in order[: min(count, len(groups) - 1)]]
    return np.sort(np.concatenate(chosen))


def _fit(
    values: Float64[np.ndarray, "image column"],
    normal: Bool[np.ndarray, " image"],
    test: Int64[np.ndarray, " row"],
    class_weight: Literal["balanced"] | None,
) -> _Trial:
    train = np.ones(len(values), bool)
    train[test] = False
    scaled = standardise(values, values[train])
    model = LogisticRegression(class_weight=class_weight, max_iter=1000)
    model.fit(scaled[train], normal[train])
    return _Trial(test, model.decision_function(scaled[test]), model.coef_[0])


def _curve(
    scores: Float64[np.ndarray, " row"], positive: Bool[np.ndarray, " row"]
) -> tuple[Float64[np.ndarray, " step"], float]:
    """Precision at each step of recall, and the average precision, with larger scores for the positive.

    Recall R_n and precision P_n at the n-th largest of the different scores; the average precision is
    sum_n (R_n - R_(n-1)) P_n, and precision at recall r is P_n of the first n with R_n >= r (at 0, > 0).
    """
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.diff(scores[order]) != 0, True)
    found, named = np.cumsum(positive[order])[last], np.flatnonzero(last) + 1
    precision = found / named
    average = float(np.diff(found, prepend=0) @ precision / found[-1])
    # In whole numbers, as found / all >= step / 100 would turn on the last bit.
    wanted = np.maximum(np.arange(STEPS) * found[-1], 1)
    return precision[np.searchsorted(found * (STEPS - 1), wanted)], average


def _correlations(
    values: Float64[np.ndarray, "image column"], texture: Float64[np.ndarray, " image"]
) -> Float64[np.ndarray, " column"]:
    def correlation(column: Float64[np.ndarray, " image"]) -> float:
        if np.ptp(column) == 0 or np.ptp(texture) == 0:
            return np.nan
        return float(spearmanr(column, texture).statistic)

    return np.array([correlation(column) for column in values.T])
