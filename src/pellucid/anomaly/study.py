"""How well features tell two sets of images apart: the paper's protocol, beside what must be beaten."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int
from sklearn.base import clone
from sklearn.model_selection import StratifiedGroupKFold

from pellucid.anomaly.baselines import pca_columns
from pellucid.anomaly.evaluation import Evaluation, TextureDiagnosis, evaluate, within_texture
from pellucid.anomaly.features import LOSS_COLUMNS, PICTURE_COLUMNS, Features
from pellucid.anomaly.logistic import LogisticDetector
from pellucid.anomaly.texture import TEXTURE

_FOLDS = 5
_BUSYNESS = "gradient"


@dataclass(frozen=True)
class Study:
    """What can be told apart by which features.

    Attributes:
        evaluations: By name: `six losses`, `losses + all latents` (both the paper's), `losses + texture +
            latents` (the active ones, as in `Detector`), and without any network `texture alone`, `PCA` and
            `PCA + texture` (if there is a PCA).
        diagnosis: Of the six losses, within bins of equally busy images.
        probability: float64 [image], of being normal, by a detector that was fitted on other images.
        normal: bool [image], whether each image is.
    """

    evaluations: tuple[Evaluation, ...]
    diagnosis: TextureDiagnosis
    probability: Float64[np.ndarray, " image"]
    normal: Bool[np.ndarray, " image"]

    def named(self, name: str) -> Evaluation:
        """One of the evaluations."""
        return next(evaluation for evaluation in self.evaluations if evaluation.name == name)

    def summary(self) -> dict[str, Any]:
        """The numbers as JSON types."""
        return {
            "evaluations": [evaluation.summary() for evaluation in self.evaluations],
            "texture": self.diagnosis.summary(),
            "brier": float(np.square(self.probability - self.normal).mean()),
        }


def study(
    features: Features,
    normal: Bool[np.ndarray, " image"],
    latents: Sequence[str],
    *,
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
        pca: `pca_features` of the same images.
        groups: Images of one group stay on one side of every split.
        splits: How many.
        seed: Decides them.
        progress: Called with the number of splits done and of all.

    Raises:
        DataError: If a class has too few images.
    """
    every = [name for name in features.columns if name not in PICTURE_COLUMNS]
    columns = {
        "six losses": LOSS_COLUMNS,
        "losses + all latents": (*LOSS_COLUMNS, *every),
        "losses + texture + latents": (*LOSS_COLUMNS, *TEXTURE, *latents),
        "texture alone": TEXTURE,
    }
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
    probability = _probabilities(tables["losses + texture + latents"][1], normal, groups, seed)
    return Study(evaluations, diagnosis, probability, normal)


def _probabilities(
    values: Float64[np.ndarray, "image column"],
    normal: Bool[np.ndarray, " image"],
    groups: Int[np.ndarray, " image"] | None,
    seed: int,
) -> Float64[np.ndarray, " image"]:
    """Of being normal, each image by a detector that has not seen it or others of its group."""
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=seed)
    alone = np.arange(len(values)) if groups is None else groups
    labels = np.where(normal, 1, -1)
    probability = np.empty(len(values))
    detector = LogisticDetector(random_state=seed)
    for known, unseen in folds.split(values, labels, alone):
        fitted = clone(detector).fit(values[known], labels[known])
        probability[unseen] = fitted.predict_proba(values[unseen])[:, 1]
    return probability
