"""A fitted detector in the run's folder: detector.json, sealed, and the normal images beside it.

The normal images' features and the remembered pictures lie in detector-DIGEST.safetensors, which is written
before detector.json names it, so a kill at any moment leaves the old detector or the new one.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.anomaly.detector import BASELINES, MOST_PICTURES, Detector, Fitted, Reference
from pellucid.anomaly.features import columns_of
from pellucid.anomaly.gaussian import KIND as GAUSSIAN
from pellucid.anomaly.gaussian import GaussianDetector
from pellucid.anomaly.logistic import LogisticDetector
from pellucid.data.images import printable
from pellucid.errors import ConfigError, RunError
from pellucid.latents.names import LatentTable
from pellucid.model.beside import DIGEST, Shapes, drop_others, read_beside, write_beside
from pellucid.model.directory import DETECTOR
from pellucid.model.predictor import Model
from pellucid.model.sealed import read_sealed, write_sealed
from pellucid.storage.writing import SOON, locked

FORMAT = "pellucid-detector"
VERSION = 3
_KEYS = {"format", "version", "model", "columns", "estimator", "unbeaten", "reference", "about"}
_STEM = "detector"
_REMEDY = "Fit the detector again."
_LONGEST_NAME = 300


def save_detector(detector: Detector, run: Path, about: Mapping[str, Any] | None = None) -> None:
    """Write a fitted detector into a run's folder, in place of an earlier one.

    Args:
        detector: Fitted.
        run: The folder of the detector's model.
        about: What it was fitted on and how well it does, for people; JSON's types, kept as it is.

    Raises:
        ConfigError: If the detector is not fitted.
        BusyError: If another program is fitting one for this run.
    """
    fitted = detector.fitted
    if fitted is None:
        raise ConfigError("expected a fitted detector. Call fit(normal, anomalous) first.")
    reference = fitted.reference
    with locked(run / DETECTOR, patience=SOON):
        digest = write_beside(run, _STEM, {"values": reference.values, "pixels": reference.pixels})
        write_sealed(
            run / DETECTOR,
            {
                "format": FORMAT,
                "version": VERSION,
                "model": detector.model.fingerprint,
                "columns": list(fitted.columns),
                "estimator": fitted.estimator.to_record(),
                "unbeaten": list(detector.unbeaten),
                "reference": {
                    "sha256": digest,
                    "names": [printable(name)[:_LONGEST_NAME] for name in reference.names],
                },
                "about": dict(about or {}),
            },
        )
        drop_others(run, _STEM, digest)


def detector_of(model: Model, table: LatentTable | None = None) -> Detector | None:
    """Read the detector of a model's run; None where there is none.

    Raises:
        RunError: If it is damaged, or was fitted to other weights.
    """
    run = model.directory
    if run is None or not (run / DETECTOR).exists():
        return None
    return load_detector(model, run, table=table)


def load_detector(model: Model, run: str | os.PathLike[str], *, table: LatentTable | None = None) -> Detector:
    """Read the detector in a run's folder; its scores are the same to the last bit.

    Args:
        model: The run's model.
        run: The folder.
        table: Names of the latents; those of the run unless given.

    Raises:
        RunError: If there is none, it is damaged, or it was fitted to another model.
    """
    path = Path(run) / DETECTOR
    if not path.exists():
        raise RunError(
            f"{path}: there is no detector yet. Make one: pellucid detector {run} --normal A --anomalous B."
        )
    content = read_sealed(path)
    if (content.get("format"), content.get("version")) != (FORMAT, VERSION) or set(content) != _KEYS:
        raise RunError(f"{path}: expected {FORMAT} of version {VERSION}. Update Pellucid, or fit it again.")
    if content["model"] != model.fingerprint:
        raise RunError(
            f"{path}: fitted to other weights or another preprocessing than the run's. Fit it again."
        )
    fitted = _fitted(content, model, path)
    estimator = fitted.estimator
    detector = Detector(model, table=table, columns=fitted.columns, threshold=estimator.threshold)
    detector.fitted = fitted
    unbeaten = content["unbeaten"]
    if not isinstance(unbeaten, list) or any(name not in BASELINES for name in unbeaten):
        raise RunError(f"{path}: unbeaten: expected some of {', '.join(BASELINES)}. {_REMEDY}")
    detector.unbeaten = tuple(unbeaten)
    return detector


def _fitted(content: Mapping[str, Any], model: Model, path: Path) -> Fitted:
    columns = content["columns"]
    try:
        known = isinstance(columns, list) and list(columns_of(columns, model.latents)) == columns
    except (ConfigError, AttributeError, TypeError):
        known = False
    if not known:
        raise RunError(f"{path}: expected columns that the model has. Fit the detector again.")
    record = content["estimator"]
    gaussian = isinstance(record, Mapping) and record.get("kind") == GAUSSIAN
    estimator = GaussianDetector.from_record(record) if gaussian else LogisticDetector.from_record(record)
    if estimator.n_features_in_ != len(columns):
        raise RunError(f"{path}: expected an estimator of {len(columns)} columns. Fit the detector again.")
    return Fitted(tuple(columns), estimator, _reference(content["reference"], model, path))


def _reference(record: Any, model: Model, path: Path) -> Reference:
    digest = record.get("sha256") if isinstance(record, Mapping) else None
    names = record.get("names") if isinstance(record, Mapping) else None
    if not (isinstance(digest, str) and DIGEST.fullmatch(digest) and isinstance(names, list)):
        raise RunError(f"{path}: expected a reference with its digest and names. {_REMEDY}")
    if len(names) > MOST_PICTURES or not all(
        isinstance(n, str) and len(n) <= _LONGEST_NAME and n.isprintable() for n in names
    ):
        raise RunError(f"{path}: expected at most {MOST_PICTURES} short names. {_REMEDY}")
    built = model.config.architecture
    columns = len(columns_of("losses+texture+latents", model.latents))
    shapes: Shapes = {
        "values": (np.dtype(np.float64), (None, columns)),
        "pixels": (np.dtype(np.uint8), (len(names), built.size, built.size, built.channels)),
    }
    arrays = read_beside(path, _STEM, digest, shapes, _REMEDY)
    values = arrays["values"]
    if len(values) < max(2, len(names)) or not np.isfinite(values).all():
        raise RunError(f"{path}: expected finite features of 2 normal images or more. {_REMEDY}")
    return Reference(values, tuple(names), arrays["pixels"])
