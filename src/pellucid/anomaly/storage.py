"""A fitted detector in the run's folder: detector.json, sealed, and the normal images beside it.

The normal images' features and the remembered pictures lie in detector-DIGEST.safetensors, which is written
before detector.json names it, so a kill at any moment leaves the old detector or the new one.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from pellucid.anomaly.detector import MOST_PICTURES, MOST_REFERENCES, Detector, Fitted, Reference
from pellucid.anomaly.features import columns_of
from pellucid.anomaly.gaussian import KIND as GAUSSIAN
from pellucid.anomaly.gaussian import GaussianDetector
from pellucid.anomaly.logistic import LogisticDetector
from pellucid.data.images import printable
from pellucid.errors import ConfigError, RunError
from pellucid.latents.names import LatentTable
from pellucid.model.predictor import Model
from pellucid.model.sealed import read_sealed, write_file, write_sealed

DETECTOR = "detector.json"
FORMAT = "pellucid-detector"
VERSION = 1
_KEYS = {"format", "version", "model", "columns", "estimator", "reference", "about"}
_HEADER_BYTES = 1 << 16
_LONGEST_NAME = 300


def save_detector(detector: Detector, run: Path, about: Mapping[str, Any] | None = None) -> None:
    """Write a fitted detector into a run's folder, in place of an earlier one.

    Args:
        detector: Fitted.
        run: The folder of the detector's model.
        about: What it was fitted on and how well it does, for people; JSON's types, kept as it is.

    Raises:
        ConfigError: If the detector is not fitted.
    """
    fitted = detector.fitted
    if fitted is None:
        raise ConfigError("expected a fitted detector. Call fit(normal, anomalous) first.")
    content = save({"values": fitted.reference.values, "pixels": fitted.reference.pixels})
    digest = hashlib.sha256(content).hexdigest()
    write_file(run / _beside(digest), content)
    write_sealed(
        run / DETECTOR,
        {
            "format": FORMAT,
            "version": VERSION,
            "model": detector.model.fingerprint,
            "columns": list(fitted.columns),
            "estimator": fitted.estimator.to_record(),
            "reference": {
                "sha256": digest,
                "names": [printable(name)[:_LONGEST_NAME] for name in fitted.reference.names],
            },
            "about": dict(about or {}),
        },
    )
    for other in run.glob("detector-*.safetensors"):
        if other.name != _beside(digest):
            other.unlink(missing_ok=True)


def load_detector(model: Model, run: str | os.PathLike[str], *, table: LatentTable | None = None) -> Detector:
    """Read the detector in a run's folder; its scores are the same to the last bit.

    Args:
        model: The run's model.
        run: The folder.
        table: Names of the latents; those of the run unless given.

    Raises:
        RunError: If there is none, it is damaged, or it was fitted to other weights.
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
        raise RunError(f"{path}: it was fitted to other weights than the run has now. Fit it again.")
    fitted = _fitted(content, model, path)
    estimator = fitted.estimator
    detector = Detector(model, table=table, columns=fitted.columns, threshold=estimator.threshold)
    detector.fitted = fitted
    return detector


def _beside(digest: str) -> str:
    return f"detector-{digest[:16]}.safetensors"


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
    if not (isinstance(digest, str) and re.fullmatch("[0-9a-f]{64}", digest) and isinstance(names, list)):
        raise RunError(f"{path}: expected a reference with its digest and names. Fit the detector again.")
    if len(names) > MOST_PICTURES or not all(
        isinstance(n, str) and len(n) <= _LONGEST_NAME and n.isprintable() for n in names
    ):
        raise RunError(f"{path}: expected at most {MOST_PICTURES} short names. Fit the detector again.")
    beside = path.with_name(_beside(digest))
    built = model.config.architecture
    columns = len(columns_of("losses+texture+latents", model.latents))
    pixels = (len(names), built.size, built.size, built.channels)
    largest = MOST_REFERENCES * columns * 8 + int(np.prod(pixels)) + _HEADER_BYTES
    try:
        if beside.stat().st_size > largest:
            raise RunError(f"{beside}: expected at most {largest:,} bytes. Fit the detector again.")
        raw = beside.read_bytes()
    except OSError as error:
        raise RunError(
            f"{beside}: cannot be read ({error.strerror or error}). Fit the detector again."
        ) from error
    if hashlib.sha256(raw).hexdigest() != digest:
        raise RunError(f"{beside}: its checksum is not the one in {DETECTOR}. Fit the detector again.")
    try:
        tensors = load(raw)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:  # a dtype that numpy has not
        raise RunError(f"{beside}: expected safetensors, but {error}. Fit the detector again.") from error
    found = {name: (tensor.dtype, tensor.shape) for name, tensor in tensors.items()}
    rows = len(tensors["values"]) if "values" in tensors and tensors["values"].ndim else 0
    expected = {"values": (np.dtype(np.float64), (rows, columns)), "pixels": (np.dtype(np.uint8), pixels)}
    if found != expected or not 2 <= rows <= MOST_REFERENCES or len(names) > rows:
        raise RunError(
            f"{beside}: expected the features and pictures of normal images. Fit the detector again."
        )
    if not np.isfinite(tensors["values"]).all():
        raise RunError(f"{beside}: expected finite features. Fit the detector again.")
    return Reference(tensors["values"], tuple(names), tensors["pixels"])
