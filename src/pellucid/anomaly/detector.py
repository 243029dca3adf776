"""The detector of a model: is this image like the ones I know, how sure is that, and why."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64, Int, UInt8
from torch import Tensor

from pellucid.anomaly.counterfactual import move_across, move_inside
from pellucid.anomaly.explanation import (
    Counterfactual,
    Explanation,
    Move,
    Neighbour,
    residual_map,
    similarity_map,
)
from pellucid.anomaly.features import (
    PICTURE_COLUMNS,
    Features,
    columns_of,
    measure,
    measure_images,
    measured_beside,
)
from pellucid.anomaly.gaussian import GaussianDetector
from pellucid.anomaly.logistic import LogisticDetector
from pellucid.anomaly.verdict import COLUMN_LABELS, Contribution, Verdict
from pellucid.data.dataset import Dataset
from pellucid.data.grouping import Labels, group_labels, joined_groups
from pellucid.data.images import to_float, to_pixels
from pellucid.errors import ConfigError, DataError
from pellucid.latents.caution import cautions
from pellucid.latents.names import LatentTable, table_of
from pellucid.model.beside import MOST_ROWS
from pellucid.model.predictor import Images, Model
from pellucid.objective.kl import ACTIVE_VARIANCE

MOST_REFERENCES = MOST_ROWS
MOST_PICTURES = 2_000
BOTH, ONE_CLASS = "losses+texture+latents", "losses+texture"
BASELINES = ("texture alone", "PCA", "PCA + texture")
RULE, ONE_CLASS_RULE = "f1", "false-alarm=0.05"
_RANGE = (0.005, 0.995)
_INSIDE = 1 - 1e-9  # of the ellipsoid's radius, so that rounding leaves nothing outside
_SAME = 1e-3  # of a standard deviation, in every feature: more than rounding, less than any other image
_SMALLEST = 1e-9  # of a standard deviation: a latent that never moves would have none

Examples = Images | Dataset | Features
Pictures = Callable[[Int[np.ndarray, " row"]], Float32[Tensor, "row channel height width"]]
Estimator = LogisticDetector | GaussianDetector


@dataclass(frozen=True)
class Reference:
    """The normal images that a detector compares with.

    Attributes:
        values: float64 [image column], every feature of each; at most 10,000 images.
        names: One for each of the first images: those whose pictures are remembered.
        pixels: uint8 [picture height width channel], of the first images.
    """

    values: Float64[np.ndarray, "image column"]
    names: tuple[str, ...]
    pixels: UInt8[np.ndarray, "picture height width channel"]

    def select(self, columns: Sequence[str]) -> Float64[np.ndarray, "image chosen"]:
        """Some columns by name."""
        first = len(PICTURE_COLUMNS)
        places = [
            PICTURE_COLUMNS.index(name) if name in PICTURE_COLUMNS else first + int(name[1:])
            for name in columns
        ]
        return self.values[:, places]

    def knows(self, features: Features) -> Bool[np.ndarray, " asked"]:
        """Whether each of some images is among them, by all that was measured of it."""
        values = self.select(features.columns)
        units = values.std(axis=0).clip(_SMALLEST)
        order = np.argsort(values[:, 0], kind="stable")
        first, reach = values[order, 0], _SAME * units[0]
        starts = np.searchsorted(first, features.values[:, 0] - reach)
        ends = np.searchsorted(first, features.values[:, 0] + reach, side="right")
        return np.array(
            [
                bool((np.abs(values[order[start:end]] - row) <= _SAME * units).all(axis=1).any())
                for row, start, end in zip(features.values, starts, ends, strict=True)
            ],
            bool,
        )


@dataclass(frozen=True)
class Fitted:
    """What a detector has learned.

    Attributes:
        columns: Those that decide, in the estimator's order.
        estimator: Gives scores, probabilities, p-values and contributions.
        reference: The normal images.
    """

    columns: tuple[str, ...]
    estimator: Estimator
    reference: Reference

    @cached_property
    def usual(self) -> Float64[np.ndarray, "image column"]:
        """The deciding columns of the normal images, each ascending."""
        return np.sort(self.reference.select(self.columns), axis=0)

    @cached_property
    def start(self) -> Float64[np.ndarray, " column"]:
        """What each column contributes to the score of a normal image, on average over the reference."""
        start: Float64[np.ndarray, " column"] = self.estimator.contributions(
            self.reference.select(self.columns)
        ).mean(axis=0)
        return start

    @property
    def base(self) -> float:
        """The score of a normal image, on average over the reference."""
        intercept = 0.0 if isinstance(self.estimator, GaussianDetector) else float(self.estimator.intercept_)
        return intercept + float(self.start.sum())

    @property
    def threshold(self) -> float:
        """Scores below it are anomalous."""
        scorer = self.estimator
        return float(scorer.threshold_ if isinstance(scorer, LogisticDetector) else scorer.offset_)


class Detector:
    """Tells images that are like the known ones from others, by reconstruction losses and latents.

    With examples of both kinds it is the paper's standardised logistic regression (`LogisticDetector`); with
    normal images alone, a Gaussian around them (`GaussianDetector`). Higher scores are more normal, +1 is
    normal and -1 anomalous. Both estimators also stand alone, as scikit-learn's own do, on
    `Features.select(columns)`.

    Args:
        model: Encodes and reconstructs.
        table: Names of the latents; those of the model's run unless given.
        columns: What decides: `losses`, `texture`, `latents`, several (`losses+latents` is the paper's), or
            some by name (`mse,ssim,z3`). `latents` are the active ones if they have been measured, else all.
            None takes all three, because a loss means something only beside how busy the image is; and with
            normal images alone `losses+texture`: what is unlike them has latents like theirs, but cannot
            be drawn with these (docs/results.md).
        threshold: How to choose what is anomalous: `f1`, `even`, `recall=0.95`, `false-alarm=0.01`; with
            normal images alone, `false-alarm=0.05` or another share. None takes the first, or that. A share
            is a promise, which needs images: `false-alarm=0.05` 19 for calibration, a quarter of all.
        class_weight: Of the logistic regression; "balanced" counts both classes alike.
        strength: Inverse strength of its penalty, scikit-learn's C.
        seed: Decides which images are held out for the threshold, and which are remembered.
        remember: How many normal pictures to keep, to show the nearest ones in explanations.

    Attributes:
        fitted: What it has learned; None before `fit`.
        unbeaten: Which of `BASELINES`, which need no network, were not beaten when it was evaluated; empty
            if it was not.

    Raises:
        ConfigError: If there is no such column, or a setting is out of range.
    """

    def __init__(
        self,
        model: Model,
        *,
        table: LatentTable | None = None,
        columns: str | Sequence[str] | None = None,
        threshold: str | None = None,
        class_weight: Any = "balanced",
        strength: float = 1.0,
        seed: int = 0,
        remember: int = 300,
    ) -> None:
        if not 0 <= remember <= MOST_PICTURES:
            raise ConfigError(
                f"remember: expected 0 to {MOST_PICTURES:,} pictures, got {remember}. Change it."
            )
        self.model = model
        self.table = table or table_of(model)
        self.columns = columns
        self.threshold = threshold
        self.class_weight = class_weight
        self.strength = strength
        self.seed = seed
        self.remember = remember
        self.fitted: Fitted | None = None
        self.unbeaten: tuple[str, ...] = ()
        decisive(columns or BOTH, self.table)

    def fit(
        self,
        normal: Examples,
        anomalous: Examples | None = None,
        *,
        groups: Labels | None = None,
        anomalous_groups: Labels | None = None,
        pictures: Pictures | None = None,
    ) -> "Detector":
        """Learn what is normal, and what is not if examples are given.

        Thresholds and p-values promise something for new images that are like these. Crops of one image,
        frames of one video and images of one identity resemble each other more than new ones will resemble
        them: tell by `groups` which belong together. What is promised then holds for an image of a new group.

        Args:
            normal: Normal images, better not those that the model was trained on: their losses are lower.
            anomalous: Anomalous images. None: the detector learns from normal images alone.
            groups: A label for each normal image, the same for those that belong together; None if each is on
                its own, but for copies in a data set.
            anomalous_groups: Likewise for anomalous images. A label may also stand among `groups`.
            pictures: If `normal` are features that were measured before: gives the pictures to remember, by
                their rows. Without it none are.

        Raises:
            DataError: If there are too few images or groups, or not one label for each image.
            ConfigError: If a setting is out of range.
        """
        known, found = self._measured(normal)
        every = columns_of("losses+texture+latents", self.model.latents)
        if known.columns != every:
            raise DataError(
                f"expected all {len(every)} features of each normal image, because later verdicts compare "
                f"with them, got {len(known.columns)}. Measure them again, without a choice of columns."
            )
        pictures = pictures or found
        kept = np.flatnonzero(known.readable)
        names = decisive(self.columns or (ONE_CLASS if anomalous is None else BOTH), self.table)
        if len(kept) < 2:
            raise DataError(f"expected at least 2 normal images to learn from, got {len(kept)}. Give more.")
        usual = known.of(kept).select(names)
        parts = [_readable(_together(normal, groups), known)]
        self.unbeaten = ()
        estimator: Estimator
        if anomalous is None:
            one_class = GaussianDetector(threshold=self.threshold or ONE_CLASS_RULE, random_state=self.seed)
            estimator = one_class.fit(usual, groups=joined_groups(*parts))
        else:
            others = self._measured(anomalous)[0]
            unusual = others.of(others.readable).select(names)
            parts.append(_readable(_together(anomalous, anomalous_groups), others))
            if len(unusual) < 2:
                raise DataError(
                    f"expected at least 2 anomalous images to learn from, got {len(unusual)}. "
                    "Give more, or none."
                )
            two_class = LogisticDetector(
                C=self.strength,
                class_weight=self.class_weight,
                threshold=self.threshold or RULE,
                random_state=self.seed,
            )
            labels = np.repeat([1, -1], [len(usual), len(unusual)])
            estimator = two_class.fit(np.concatenate([usual, unusual]), labels, joined_groups(*parts))
        self.fitted = Fitted(names, estimator, self._remembered(known, kept, pictures))
        return self

    def _remembered(
        self, known: Features, kept: Int[np.ndarray, " row"], pictures: Pictures | None
    ) -> Reference:
        chosen = np.random.default_rng(self.seed).permutation(kept)[:MOST_REFERENCES]
        shown = chosen[: self.remember if pictures is not None else 0]
        built = self.model.config.architecture
        pixels = np.zeros((0, built.size, built.size, built.channels), np.uint8)
        if pictures is not None and len(shown):
            pixels = to_pixels(pictures(shown))
        return Reference(known.values[chosen], tuple(known.names[row] for row in shown), pixels)

    def _measured(self, examples: Examples) -> tuple[Features, Pictures | None]:
        if isinstance(examples, Features):
            return examples, None
        if isinstance(examples, Dataset):
            return measure(self.model, examples, np.arange(len(examples))), examples.batch
        images = self.model.to_tensor(examples)
        return measure_images(self.model, images), lambda rows: images[torch.from_numpy(rows)]

    def _ready(self) -> Fitted:
        if self.fitted is None:
            raise ConfigError("expected a fitted detector. Call fit(normal, anomalous) first.")
        return self.fitted

    def _rows(self, examples: Examples) -> Float64[np.ndarray, "image column"]:
        columns = self._ready().columns
        features = self._measured(examples)[0]
        if not features.readable.all():
            raise DataError(
                "expected images that can be read. Leave others out: features.of(features.readable)."
            )
        return features.select(columns)

    def score_samples(self, images: Examples) -> Float64[np.ndarray, " image"]:
        """Each image's score, higher is more normal: log-odds, or minus half the squared distance."""
        return self._ready().estimator.score_samples(self._rows(images))

    def decision_function(self, images: Examples) -> Float64[np.ndarray, " image"]:
        """The score's distance above the threshold; below 0 is anomalous."""
        return self._ready().estimator.decision_function(self._rows(images))

    def predict(self, images: Examples) -> Int[np.ndarray, " image"]:
        """+1 for normal images, -1 for anomalous ones."""
        return np.asarray(self._ready().estimator.predict(self._rows(images)))

    def predict_proba(self, images: Examples) -> Float64[np.ndarray, "image 2"]:
        """Calibrated probabilities of being anomalous and of being normal.

        Raises:
            ConfigError: If the detector knows normal images only: it has p-values, but no probabilities.
        """
        estimator = self._ready().estimator
        if not isinstance(estimator, LogisticDetector):
            raise ConfigError("a detector that knows normal images only has no probabilities. Use p_values.")
        return estimator.predict_proba(self._rows(images))

    @property
    def measures(self) -> tuple[str, ...]:
        """The columns that `judge` needs of an image: those that decide, and what comes with them."""
        return measured_beside(self._ready().columns, self.model.latents)

    @property
    def gives_probabilities(self) -> bool:
        """Whether it was fitted with anomalous images."""
        return isinstance(self._ready().estimator, LogisticDetector)

    def p_values(self, images: Examples) -> Float64[np.ndarray, " image"]:
        """How rarely an image of a new normal group looks as little normal: conformal, above 0 to 1."""
        return self._ready().estimator.p_values(self._rows(images))

    def judge(self, images: Examples) -> tuple[Verdict, ...]:
        """The verdict on each image with what each measurement adds to it: fast, for many images.

        Raises:
            DataError: If an image could not be read.
            ConfigError: If the detector is not fitted.
        """
        features = self._measured(images)[0]
        self._rows(features)
        return self._verdicts(features)

    def explain(
        self, images: Images, *, names: Sequence[str] | None = None, neighbours: int = 4
    ) -> tuple[Explanation, ...]:
        """The verdict on each image with every reason for it; some tenths of a second each.

        Args:
            images: One or many.
            names: One for each image; None numbers them.
            neighbours: How many of the nearest remembered normal images to show.

        Raises:
            ImageError: If something is not an image, or not one that the model takes.
            ConfigError: If the detector is not fitted.
        """
        fitted = self._ready()
        tensor = self.model.to_tensor(images)
        features = measure_images(self.model, tensor, names)
        return tuple(
            self._explain(fitted, tensor[i : i + 1], features.of(np.array([i])), neighbours)
            for i in range(len(tensor))
        )

    def _explain(self, fitted: Fitted, image: Tensor, features: Features, neighbours: int) -> Explanation:
        reconstruction = self.model.decode(_codes(features))
        return Explanation(
            **vars(self._verdicts(features)[0]),
            image=image,
            reconstruction=reconstruction,
            residual=residual_map(image, reconstruction),
            similarity=similarity_map(image, reconstruction),
            neighbours=_nearest(fitted.reference, features, neighbours),
            counterfactual=self._counterfactual(fitted, features),
        )

    def _verdicts(self, features: Features) -> tuple[Verdict, ...]:
        fitted = self._ready()
        estimator, rows = fitted.estimator, features.select(fitted.columns)
        if not len(rows):
            return ()
        scores, normal = estimator.score_samples(rows), estimator.decision_function(rows) >= 0
        p_values, shares = estimator.p_values(rows), estimator.contributions(rows) - fitted.start
        two_class = isinstance(estimator, LogisticDetector)
        probability = estimator.predict_proba(rows)[:, 1] if two_class else None
        at_threshold = estimator.threshold_probability if isinstance(estimator, LogisticDetector) else None
        known, doubts = fitted.reference.knows(features), self.cautions
        return tuple(
            Verdict(
                name=features.names[i],
                verdict="normal" if normal[i] else "anomalous",
                score=float(scores[i]),
                threshold=fitted.threshold,
                rule=estimator.threshold,
                probability=None if probability is None else float(probability[i]),
                threshold_probability=at_threshold,
                p_value=float(p_values[i]),
                min_p_value=estimator.calibration_scores_.min_p_value,
                known=bool(known[i]),
                cautions=doubts,
                base=fitted.base,
                contributions=self._contributions(fitted, rows[i], shares[i]),
            )
            for i in range(len(rows))
        )

    @property
    def cautions(self) -> tuple[str, ...]:
        """What makes every verdict doubtful, in plain words; empty where nothing is known against them."""
        found = cautions(self.model, self.table)
        if self.unbeaten:
            found += (f"without any network, {self.unbeaten[0]} tells these images apart as well",)
        return found

    def label(self, column: str) -> str:
        """How people call a column."""
        return COLUMN_LABELS[column] if column in COLUMN_LABELS else self.table.label(int(column[1:]))

    def _contributions(
        self, fitted: Fitted, values: Float64[np.ndarray, " column"], shares: Float64[np.ndarray, " column"]
    ) -> tuple[Contribution, ...]:
        usual = fitted.usual
        parts = [
            Contribution(
                column=name,
                label=self.label(name),
                value=float(values[i]),
                usual=float(
                    usual[len(usual) // 2, i]
                    if len(usual) % 2
                    else usual[len(usual) // 2 - 1 : len(usual) // 2 + 1, i].mean()
                ),
                quantile=_quantile(usual[:, i], float(values[i])),
                contribution=float(shares[i]) + 0.0,  # -0.0 becomes 0.0
            )
            for i, name in enumerate(fitted.columns)
        ]
        return tuple(sorted(parts, key=lambda part: -abs(part.contribution)))

    def _counterfactual(self, fitted: Fitted, features: Features) -> Counterfactual | None:
        """Move the latents that decide, with the losses left as they are, until the verdict turns."""
        at = [i for i, name in enumerate(fitted.columns) if name not in PICTURE_COLUMNS]
        if not at:
            return None
        names = [fitted.columns[i] for i in at]
        usual = fitted.reference.select(names)
        low, high = np.quantile(usual, _RANGE, axis=0)
        deviation = usual.std(axis=0).clip(_SMALLEST)
        row = features.select(fitted.columns)[0]

        def scores(codes: Float64[np.ndarray, "code latent"]) -> Float64[np.ndarray, " code"]:
            rows = np.repeat(row[None], len(codes), axis=0)
            rows[:, at] = codes
            return fitted.estimator.score_samples(rows)

        limits = {"low": low, "high": high, "deviation": deviation}
        estimator, threshold = fitted.estimator, fitted.threshold
        one_class = isinstance(estimator, GaussianDetector)
        if one_class and scores(row[at][None])[0] < threshold:
            axes = estimator.whitening_[:, at] / estimator.scale_[at]
            offset = (row - estimator.mean_) / estimator.scale_ @ estimator.whitening_ - axes @ row[at]
            after = move_inside(axes, offset, _INSIDE * float(np.sqrt(-2 * threshold)), row[at], **limits)
        else:
            after = move_across(scores, row[at], threshold=threshold, **limits)
        if after is None:
            return None
        code = features.values.copy()
        code[0, [features.columns.index(name) for name in names]] = after
        image = self.model.decode(_codes(replace(features, values=code)))
        ways = (after - row[at]) / deviation
        furthest = sorted(np.flatnonzero(ways).tolist(), key=lambda i: -abs(ways[i]))
        return Counterfactual(
            moves=tuple(
                Move(names[i], self.label(names[i]), float(row[at][i]), float(after[i]), float(ways[i]))
                for i in furthest
            ),
            image=image,
            score=float(scores(after[None])[0]),
            rescored=float(self.score_samples(image)[0]),
            smallest=not one_class or float(scores(row[at][None])[0]) < threshold,
        )


def decisive(choice: str | Sequence[str], table: LatentTable) -> tuple[str, ...]:
    """The columns that a choice means; `latents` are the active ones, if they have been measured.

    Raises:
        ConfigError: If there is no such column.
    """
    idle = {f"z{record.index}" for record in table.records if record.active is False}
    parts = re.split("[,+]", choice) if isinstance(choice, str) else choice
    chosen: dict[str, None] = {}
    for part in parts or columns_of((), len(table.records)):
        columns = columns_of((part,), len(table.records))
        if part.strip() == "latents":
            columns = tuple(name for name in columns if name not in idle) or columns
        chosen |= dict.fromkeys(columns)
    return tuple(chosen)


def _together(examples: Examples, groups: Labels | None) -> Labels | None:
    """The labels that are given; of a data set without any, those of its copies."""
    if groups is None and isinstance(examples, Dataset):
        return group_labels(examples, np.arange(len(examples)), None)
    return groups


def _readable(groups: Labels | None, features: Features) -> tuple[Labels | None, int]:
    """The labels of the images that could be read, and how many these are."""
    kept = np.flatnonzero(features.readable)
    if groups is not None and len(groups) != len(features):
        raise DataError(
            f"groups: expected one label for each of {len(features):,} images, got {len(groups):,}. Give one "
            "for each."
        )
    return (None if groups is None else [str(groups[row]) for row in kept.tolist()]), len(kept)


def _quantile(ascending: Float64[np.ndarray, " image"], value: float) -> float:
    """Share of the values that are smaller, those that are equal counting half."""
    below, above = np.searchsorted(ascending, value, "left"), np.searchsorted(ascending, value, "right")
    return float(below + above) / (2 * len(ascending))


def _codes(features: Features) -> Float32[Tensor, "image latent"]:
    return torch.from_numpy(features.values[:, len(PICTURE_COLUMNS) :]).float()


def _nearest(reference: Reference, features: Features, count: int) -> tuple[Neighbour, ...]:
    """By latents in standard deviations; those that hardly move are noise and left out."""
    known, code = (values[:, len(PICTURE_COLUMNS) :] for values in (reference.values, features.values))
    moving = known.var(axis=0) > ACTIVE_VARIANCE
    ways = (known[: len(reference.names)] - code)[:, moving] / known[:, moving].std(axis=0)
    distances = np.sqrt(np.square(ways).sum(axis=1))
    nearest = np.argsort(distances, kind="stable")[:count]
    pictures = to_float(reference.pixels[nearest])
    return tuple(
        Neighbour(reference.names[row], float(distances[row]), pictures[i])
        for i, row in enumerate(nearest.tolist())
    )
