"""`pellucid detector`: teach a run what is normal, and measure how well it knows."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.cli.examples import anomalous_rows, normal_rows, warn_of_training_images
from pellucid.cli.opening import Run, keep_apart, only_with, open_images, open_own_images, skipped_record
from pellucid.cli.printing import print_json, print_table
from pellucid.errors import ConfigError, PellucidError
from pellucid.terminal import counting_bar, say, spinner

if TYPE_CHECKING:
    from pellucid.anomaly.detector import Detector, Pictures
    from pellucid.anomaly.features import Features
    from pellucid.anomaly.study import Study
    from pellucid.data.dataset import Dataset
    from pellucid.model.predictor import Model

_PCA_IMAGES, _PCA_BYTES = 7_000, 1_000_000_000
_AT_ONCE = 1_000
_SPLITS = 100  # the paper's


def detector(
    run: Run,
    /,
    *,
    normal: str | None = None,
    anomalous: str | None = None,
    skip: int = 0,
    limit: int | None = None,
    anomalous_limit: int | None = None,
    columns: str | None = None,
    threshold: str | None = None,
    groups: str | None = None,
    anomalous_groups: str | None = None,
    splits: int | None = None,
    remember: int = 300,
    out: Path | None = None,
    trust_data: bool = False,
    json: bool = False,
    device: str = "auto",
) -> None:
    """Fit a detector of what is not like the normal images, evaluate it, keep it with the run.

    With --anomalous: the paper's standardised logistic regression, evaluated over random 70/30 splits beside
    what needs no network, with figures. Without: a detector that knows normal images only.

    Args:
        run: A run directory whose latents have been measured.
        normal: Normal images, better not those of the training. Default: the held-out ones of the training.
        anomalous: Images of anything else.
        skip: Leave out the first images of --normal by name.
        limit: Use no more than this many images of --normal.
        anomalous_limit: Use no more than this many images of --anomalous.
        columns: What decides: losses, texture, latents, or some by name. Default: all three; with normal
            images alone, losses and texture.
        threshold: f1, even, recall=0.95 (of new anomalies found: needs 76, or groups), false-alarm=0.01 (of
            new normal images flagged: needs 396). Default: f1; with normal images alone, false-alarm=0.05.
        groups: Which images belong together, as crops of one image do, or frames of one video: folder (images
            of one folder), name (STREET_1, STREET_2: equal before the last _), identity (by a table
            of who is on each), or an attribute. No split divides a group; promises hold for new groups.
        anomalous_groups: The same for anomalous images. Default: as --groups; none says that each is on its
            own.
        splits: Random splits to evaluate on; 0 skips the evaluation. Default: 100.
        remember: Normal pictures to keep with the run, to show the nearest ones in explanations.
        out: Where figures go. Default: the run's own folder, in `detector`.
        trust_data: Open the training images at the path that the run names, even if it was not trained here.
        json: Print everything as JSON.
        device: auto, cpu, cuda, cuda:1 or mps.
    """
    from pellucid.anomaly.detector import Detector
    from pellucid.anomaly.features import measure
    from pellucid.anomaly.storage import save_detector
    from pellucid.data.grouping import group_labels, joined_groups
    from pellucid.model.directory import DETECTOR
    from pellucid.model.inside import inside
    from pellucid.model.predictor import load
    from pellucid.storage.shipped import refuse_shipped
    from pellucid.storage.writing import locked

    refuse_shipped(run)  # before anything is measured
    only_with("--normal", normal is not None, skip=skip or None, limit=limit)
    only_with(
        "--anomalous",
        anomalous is not None,
        anomalous_limit=anomalous_limit,
        anomalous_groups=anomalous_groups,
        splits=splits,
        out=out,
    )
    splits = _SPLITS if splits is None else splits
    if splits < 0:
        raise ConfigError(f"--splits: expected 0 or more, got {splits}. The paper takes 100.")
    model = load(run, device=device)
    folder = out or inside(run, "detector")
    keep_apart(model, out, *(source for source in (normal, anomalous) if source is not None))
    if normal is None:
        usual = open_own_images(model, "--normal", trust_data=trust_data)
    else:
        usual = open_images(model, normal, skip, limit)
    rows = normal_rows(model, usual)
    alike = group_labels(usual, rows, groups)
    examples, strangers_alike = {"normal": (usual, rows)}, None
    if anomalous is not None:
        unusual = open_images(model, anomalous, limit=anomalous_limit)
        strange = anomalous_rows(unusual, usual)
        strangers_alike = group_labels(unusual, strange, anomalous_groups or groups)
        examples["anomalous"] = (unusual, strange)
    warn_of_training_images(model, examples, trust_data=trust_data)
    with counting_bar("measuring normal images") as advance:
        known = measure(model, usual, rows, progress=advance)
    others = None
    if anomalous is not None:
        with counting_bar("measuring anomalous images") as advance:
            others = measure(model, unusual, strange, progress=advance)
    fitted = Detector(model, columns=columns, threshold=threshold, remember=remember)
    fitted.fit(
        known,
        others,
        groups=alike,
        anomalous_groups=strangers_alike,
        pictures=lambda chosen: usual.batch(rows[chosen]),
    )
    about: dict[str, Any] = {"normal": f"{len(known):,} of {usual.description}"}
    figures: list[Path] = []
    if others is not None:
        about["anomalous"] = f"{len(others):,} of {unusual.description}"
    assert fitted.fitted is not None
    kept = fitted.fitted.estimator.calibration_scores_
    about["calibration"] = {
        "normal_images": len(kept.scores),
        "groups": kept.groups,
        "min_p_value": kept.min_p_value,
    }
    with locked(run / DETECTOR):  # figures and detector are of the same command
        save_detector(fitted, run, about)  # what follows may be stopped without losing it
        if others is not None and splits:
            pictures = _pictures((usual, rows), (unusual, strange))
            together = joined_groups((alike, len(known)), (strangers_alike, len(others)))
            studied = _study(model, fitted, known, others, pictures, together, splits, trust_data)
            fitted.unbeaten = studied.unbeaten
            about["study"] = studied.summary()
            with spinner("drawing figures"):
                figures = _draw(folder, fitted, studied, known, others, pictures)
        save_detector(fitted, run, about)
    record = {
        "columns": list(fitted.fitted.columns),
        "threshold": fitted.fitted.threshold,
        **about,
        "cautions": list(fitted.cautions),
        "skipped": skipped_record(*(dataset for dataset, _ in examples.values())),
        "figures": [str(figure) for figure in figures],
    }
    if json:
        print_json(record)
        return
    if others is not None and splits:
        _print(studied)
    of_groups = "" if kept.groups == len(kept.scores) else f" in {kept.groups:,} groups"
    for caution in fitted.cautions:
        print(f"Caution: {caution}.")
    print(
        f"Calibrated on {len(kept.scores):,} normal images{of_groups} that were not fitted: no p-value is "
        f"below {kept.min_p_value:.2g}."
    )
    print(f"Kept with the run: {run / 'detector.json'}. Next: pellucid detect {run} IMAGES")
    for figure in figures:
        print(f"  {figure}")


def _study(
    model: "Model",
    fitted: "Detector",
    known: "Features",
    others: "Features",
    pictures: "Pictures",
    groups: Any,
    splits: int,
    trust_data: bool,
) -> "Study":
    import numpy as np
    from sklearn.base import clone

    from pellucid.anomaly.detector import decisive
    from pellucid.anomaly.features import joined
    from pellucid.anomaly.study import study

    assert fitted.fitted is not None
    normal = np.repeat([True, False], [len(known), len(others)])
    pca = _pca(model, pictures, len(normal), trust_data)
    with counting_bar("evaluating") as advance:
        return study(
            joined([known, others]),
            normal,
            decisive("latents", fitted.table),
            detector=clone(fitted.fitted.estimator),
            decides_by=fitted.fitted.columns,
            pca=pca,
            groups=groups,
            splits=splits,
            progress=advance,
        )


def _pca(model: "Model", pictures: "Pictures", count: int, trust_data: bool) -> Any:
    """Error and codes of a PCA of the training images, or None where they cannot be opened."""
    import numpy as np

    from pellucid.anomaly.baselines import pca_features

    try:
        own = open_own_images(model, trust_data=trust_data, quiet=True)
    except PellucidError as error:
        say(f"No PCA to compare with: {error}")
        return None
    with spinner("fitting a PCA to compare with"):
        pixels = int(np.prod(own.fetch(own.rows("train")[:1]).shape))
        trained = own.fetch(own.rows("train", at_most=min(_PCA_IMAGES, _PCA_BYTES // (4 * pixels))))
        starts = range(0, count, _AT_ONCE)
        batches = (pictures(np.arange(start, min(start + _AT_ONCE, count))) for start in starts)
        return pca_features(trained, batches)


def _pictures(*parts: "tuple[Dataset, Any]") -> "Pictures":
    """Rows of the joined features -> images, where every part is some rows of a data set."""
    import numpy as np
    import torch

    starts = np.cumsum([0, *(len(rows) for _, rows in parts)])

    def pictures(chosen: Any) -> Any:
        place = np.searchsorted(starts, chosen, side="right") - 1
        images = [
            (place == at, dataset.batch(rows[chosen[place == at] - starts[at]]))
            for at, (dataset, rows) in enumerate(parts)
            if (place == at).any()
        ]
        together = torch.empty(len(chosen), *images[0][1].shape[1:])
        for here, batch in images:
            together[torch.from_numpy(here)] = batch
        return together

    return pictures


def _draw(
    folder: Path,
    fitted: "Detector",
    studied: "Study",
    known: "Features",
    others: "Features",
    pictures: "Pictures",
) -> list[Path]:
    import numpy as np

    from pellucid.anomaly.evaluation import extremes
    from pellucid.anomaly.features import joined
    from pellucid.report.detection import precision_recall_figure
    from pellucid.report.diagnosis import coefficients_figure, reliability_figure, texture_figure
    from pellucid.report.extremes import extremes_figure
    from pellucid.report.figures import save_figure

    features, normal = joined([known, others]), np.repeat([True, False], [len(known), len(others)])
    labels = {column: fitted.label(column) for column in features.columns}
    decisive = studied.decisive
    drawn = {
        "precision-recall": precision_recall_figure(studied.evaluations),
        "coefficients": coefficients_figure(decisive, labels=labels),
        "coefficients-losses": coefficients_figure(studied.named("six losses")),
        "texture": texture_figure(studied.diagnosis, measure="busyness", labels=labels),
        "extremes": extremes_figure(
            extremes(features, normal, "mse"), features, pictures, fitted.model.reconstruct
        ),
    }
    if len(studied.probability):
        drawn["reliability"] = reliability_figure(studied.probability, studied.normal)
    paths = [folder / f"{name}.png" for name in drawn]
    for path, figure in zip(paths, drawn.values(), strict=True):
        save_figure(figure, path)
    return paths


def _print(studied: "Study") -> None:
    from rich.table import Table

    first = studied.evaluations[0]
    normal, anomalous = first.counts
    printed = Table(
        title=f"{normal:,} normal against {anomalous:,} anomalous images: average precision, "
        f"mean of {len(first.coefficients)} splits (5 %-95 %)"
    )
    printed.add_column("features")
    printed.add_column(f"finding normal (chance {first.chance[0]:.2f})", justify="right")
    printed.add_column(f"finding anomalous (chance {first.chance[1]:.2f})", justify="right")
    for evaluation in studied.evaluations:
        summary = evaluation.summary()
        cells = [
            f"{_below_one(summary[positive]['average_precision'])} "
            f"({summary[positive]['low']:.3f}-{summary[positive]['high']:.3f})"
            for positive in ("normal", "anomalous")
        ]
        printed.add_row(evaluation.name, *cells)
    print_table(printed)
    if studied.found is None or studied.false_alarms is None:
        print("At its threshold: not measured, because fewer images than all are too few for its promise.")
        return
    print(
        f"At its threshold, on images that it was not fitted on: {studied.found:.1%} of the anomalous found, "
        f"{studied.false_alarms:.1%} of the normal flagged."
    )


def _below_one(value: float) -> str:
    """Four digits, never rounded up to 1."""
    return f"{min(value, 0.9999) if value < 1 else 1:.4f}"
