"""How well features tell two sets of images apart: the paper's protocol, beside what must be beaten."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int
from sklearn.base import clone
from sklearn.model_selection import StratifiedGroupKFold

from pellucid.anomaly.baselines import pca_columns
from pellucid.anomaly.calibration import groups_kept
from pellucid.anomaly.detector import BASELINES
from pellucid.anomaly.evaluation import Evaluation, TextureDiagnosis, evaluate, within_texture
from pellucid.anomaly.features import LOSS_COLUMNS, PICTURE_COLUMNS, Features
from pellucid.anomaly.logistic import LogisticDetector
from pellucid.anomaly.texture import TEXTURE
from pellucid.anomaly.thresholds import groups_needed, parse

_FOLDS = 5
_BUSYNESS = "gradient"
DEFAULT, THIS = "losses + texture + latents", "this detector"


@dataclass(frozen=True)
class Study:
    """What can be told apart by which features.

    Attributes:
        evaluations: By name: `six losses`, `losses + all latents` (both the paper's), `losses + texture +
            latents` (the active ones, as in `Detector`), and without any network `texture alone`, `PCA` and
            `PCA + texture` (if there is a PCA).
            If the detector at hand decides by other columns, it is there as `this detector`.
        diagnosis: Of the six losses, within bins of equally busy images.
        probability: float64 [image], of being normal, by the detector at hand, fitted on other images; of
            the images that could be judged so.
        normal: bool [image], whether each of these images is.
        found: Share of the anomalous images that its threshold flags, likewise; None where what is left for
            fitting is too little for what the threshold promises.
        false_alarms: Share of the normal images that it flags, likewise.
    """

    evaluations: tuple[Evaluation, ...]
    diagnosis: TextureDiagnosis
    probability: Float64[np.ndarray, " image"]
    normal: Bool[np.ndarray, " image"]
    found: float | None
    false_alarms: float | None

    @property
    def brier(self) -> float | None:
        """Brier score of the probabilities; None where there were too few images to judge any unseen."""
        errors = self.probability - self.normal
        return float(np.square(errors).mean()) if len(errors) else None

    @property
    def decisive(self) -> Evaluation:
        """That of the columns that the detector at hand decides by."""
        names = [evaluation.name for evaluation in self.evaluations]
        return self.named(THIS if THIS in names else DEFAULT)

    def named(self, name: str) -> Evaluation:
        """One of the evaluations."""
        return next(evaluation for evaluation in self.evaluations if evaluation.name == name)

    @property
    def unbeaten(self) -> tuple[str, ...]:
        """The baselines that find anomalous images as well as the detector at hand or better, on average."""
        own = self.decisive.average_precision[1].mean()
        return tuple(
            evaluation.name
            for evaluation in self.evaluations
            if evaluation.name in BASELINES and evaluation.average_precision[1].mean() >= own
        )

    def summary(self) -> dict[str, Any]:
        """The numbers as JSON types."""
        return {
            "evaluations": [evaluation.summary() for evaluation in self.evaluations],
            "texture": self.diagnosis.summary(),
            "brier": self.brier,
            "found": self.found,
            "false_alarms": self.false_alarms,
        }


def column_sets(columns: Sequence[str], active: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The paper's two sets of columns and the default of `Detector`, by name.

    Args:
        columns: All that a model gives: `Features.columns`.
        active: Those of the active latents.
    """
    latents = [name for name in columns if name not in PICTURE_COLUMNS]
    return {
        "six losses": LOSS_COLUMNS,
        "losses + all latents": (*LOSS_COLUMNS, *latents),
        DEFAULT: (*LOSS_COLUMNS, *TEXTURE, *active),
    }


def study(
    features: Features,
    normal: Bool[np.ndarray, " image"],
    latents: Sequence[str],
    *,
    detector: LogisticDetector | None = None,
    decides_by: Sequence[str] | None = None,
    pca: Float64[np.ndarray, "image component"] | None = None,
    groups: Int[np.ndarray, " image"] | None = None,
    splits: int = 100,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Study:
    """Evaluate the paper's two sets of features, the default of `Detector`, and the baselines.

    Args:
        features: Of all images, readable ones only.
        normal: Which are normal.
        latents: The columns of the active latents.
        detector: With the settings of the detector at hand; None takes the defaults.
        decides_by: Its columns; None takes losses, texture and `latents`.
        pca: `pca_features` of the same images.
        groups: Images of one group stay on one side of every split, those that calibrate a detector too.
        splits: How many.
        seed: Decides them.
        progress: Called with the number of splits done and of all.

    Raises:
        DataError: If a class has too few images.
    """
    columns = {**column_sets(features.columns, latents), "texture alone": TEXTURE}
    decides = tuple(decides_by or columns[DEFAULT])
    if set(decides) != set(columns[DEFAULT]):
        columns[THIS] = decides
    tables = {name: (chosen, features.select(chosen)) for name, chosen in columns.items()}
    if pca is not None:
        codes = pca_columns(pca.shape[1] - 1)
        both = np.concatenate([pca, features.select(TEXTURE)], axis=1)
        tables["PCA"] = (codes, pca)
        tables["PCA + texture"] = ((*codes, *TEXTURE), both)
    total = (len(tables) + 1) * splits

    def counted(before: int) -> Callable[[int, int], None]:
        return lambda done, _: progress(before + done, total) if progress else None

    settings: dict[str, Any] = {"splits": splits, "seed": seed, "groups": groups}
    evaluations = tuple(
        evaluate(values, normal, columns=chosen, name=name, progress=counted(i * splits), **settings)
        for i, (name, (chosen, values)) in enumerate(tables.items())
    )
    diagnosis = within_texture(
        features.select(LOSS_COLUMNS),
        normal,
        features.select([_BUSYNESS])[:, 0],
        columns=LOSS_COLUMNS,
        progress=counted(len(tables) * splits),
        **settings,
    )
    probability, flagged = _judged(
        features.select(decides), normal, groups, detector or LogisticDetector(), seed
    )
    seen, decided = np.isfinite(probability), np.isfinite(flagged)
    every = decided[normal].any() and decided[~normal].any()
    return Study(
        evaluations,
        diagnosis,
        probability[seen],
        normal[seen],
        found=float(flagged[decided & ~normal].mean()) if every else None,
        false_alarms=float(flagged[decided & normal].mean()) if every else None,
    )


def _judged(
    values: Float64[np.ndarray, "image column"],
    normal: Bool[np.ndarray, " image"],
    groups: Int[np.ndarray, " image"] | None,
    detector: LogisticDetector,
    seed: int,
) -> tuple[Float64[np.ndarray, " image"], Float64[np.ndarray, " image"]]:
    """Each image's probability of being normal, and whether it is flagged, by detectors without its group.

    The probability is nan for images of a fold beside which a class has fewer than two groups, and the flag
    also where the others are too few for what the threshold promises.
    """
    alone = np.arange(len(values)) if groups is None else groups
    fewest = min(len(np.unique(alone[of])) for of in (normal, ~normal))
    folds = StratifiedGroupKFold(min(_FOLDS, fewest), shuffle=True, random_state=seed)
    labels = np.where(normal, 1, -1)
    probability, flagged = np.full(len(values), np.nan), np.full(len(values), np.nan)
    for known, unseen in folds.split(values, labels, alone):
        kept = groups_kept(normal[known].astype(np.int64), detector.calibration, alone[known])
        if len(kept) < 2 or min(kept) < 1:
            continue
        about = 0 if parse(detector.threshold).name == "recall" else 1
        promises = kept[about] >= groups_needed(detector.threshold)
        fitted = clone(detector).set_params(threshold=detector.threshold if promises else "even")
        fitted.fit(values[known], labels[known], alone[known])
        probability[unseen] = fitted.predict_proba(values[unseen])[:, 1]
        if promises:
            flagged[unseen] = fitted.predict(values[unseen]) == -1
    return probability, flagged
