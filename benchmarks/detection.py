"""Faces against anything else, beyond the protocol: other kinds of images, normal images alone.

python benchmarks/detection.py RUN CELEBA NONFACES [--skip 7000]

RUN was trained on CelebA's first images (`--skip` of them); NONFACES has pictures coco_* and ade20k_*.
"""

import argparse
from collections.abc import Callable

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import pellucid
from pellucid.anomaly.baselines import pca_features
from pellucid.anomaly.detector import Detector
from pellucid.anomaly.evaluation import evaluate
from pellucid.anomaly.features import Features, columns_of, measure
from pellucid.anomaly.texture import TEXTURE
from pellucid.data.grouping import groups_of

CHOICES = ("losses", "losses+texture", "losses+latents", "losses+texture+latents")


def both(scores: np.ndarray, normal: np.ndarray) -> tuple[float, float]:
    """Average precision with either class as the positive one."""
    return (
        float(average_precision_score(normal, scores)),
        float(average_precision_score(~normal, -scores)),
    )


def other_kinds(
    describe: Callable[[str], np.ndarray], coco: np.ndarray, counts: tuple[int, int]
) -> list[tuple[float, float]]:
    """Fitted on validation faces against one kind of non-faces, tested on unseen faces against the other."""
    seen, unseen, others = describe("seen"), describe("unseen"), describe("others")
    found = []
    for known in (~coco, coco):
        fitted = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=5000))
        fitted.fit(np.r_[seen, others[known]], np.repeat([True, False], [counts[0], known.sum()]))
        scores = fitted.decision_function(np.r_[unseen, others[~known]])
        found.append(both(scores, np.repeat([True, False], [counts[1], (~known).sum()])))
    return found


def normal_alone(model: pellucid.Model, faces: Features, others: Features) -> None:
    """700 faces fitted, 300 and all non-faces scored, 20 times."""
    for columns in ("losses", "losses+texture", "latents", "losses+texture+latents"):
        rows = []
        for seed in range(20):
            order = np.random.default_rng(seed).permutation(len(faces))
            detector = Detector(model, columns=columns, seed=seed).fit(faces.of(order[:700]))
            new = faces.of(order[700:])
            scores = np.r_[detector.score_samples(new), detector.score_samples(others)]
            precision = both(scores, np.repeat([True, False], [len(new), len(others)]))
            rows.append(
                (*precision, (detector.predict(new) == -1).mean(), (detector.predict(others) == -1).mean())
            )
        print(f"normal alone, {columns}: AP, flagged, found {np.mean(rows, 0).round(3)}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("celeba")
    parser.add_argument("nonfaces")
    parser.add_argument("--skip", type=int, default=7000)
    chosen = parser.parse_args()
    model = pellucid.load(chosen.run, device="cpu")
    trained = pellucid.open_dataset(chosen.celeba, limit=chosen.skip)
    faces = pellucid.open_dataset(chosen.celeba, skip=chosen.skip)
    others = pellucid.open_dataset(chosen.nonfaces, crop=model.config.preprocessing.crop)
    sets = {"seen": (trained, trained.rows("held-out"))}
    sets |= {"unseen": (faces, faces.rows("all")), "others": (others, others.rows("all"))}
    features = {name: measure(model, data, rows) for name, (data, rows) in sets.items()}
    known = trained.fetch(trained.rows("train"))
    pca = {name: pca_features(known, [data.fetch(rows)]) for name, (data, rows) in sets.items()}
    coco = np.array([name.startswith("coco") for name in features["others"].names])
    normal = np.repeat([True, False], [len(features["unseen"]), len(features["others"])])
    groups = np.r_[np.arange(normal.sum()), normal.sum() + groups_of(features["others"].names)]

    def report(name: str, describe: Callable[[str], np.ndarray]) -> None:
        kinds = other_kinds(describe, coco, (len(features["seen"]), len(features["unseen"])))
        values = np.r_[describe("unseen"), describe("others")]
        columns = [str(column) for column in range(values.shape[1])]
        protocol = evaluate(values, normal, columns=columns, name=name, groups=groups)
        cells = [*kinds, protocol.average_precision.mean(axis=1)]
        print(name, *(f"{of:.4f}/{other:.4f}" for of, other in cells), sep="  ", flush=True)

    print("features  ADE20K->COCO  COCO->ADE20K  the protocol, 100 splits")
    for choice in CHOICES:
        columns = columns_of(choice, model.latents)
        report(choice, lambda name, columns=columns: features[name].select(columns))  # type: ignore[misc]
    report("PCA", lambda name: pca[name])
    report("PCA + texture", lambda name: np.c_[pca[name], features[name].select(TEXTURE)])
    normal_alone(model, features["unseen"], features["others"])


if __name__ == "__main__":
    main()
