"""Use an exported detector with ONNX Runtime: from pixels to features, as the model itself gives them."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, UInt8

from pellucid.errors import MissingExtraError, RunError
from pellucid.model.inside import inside
from pellucid.model.predictor import Model
from pellucid.model.sealed import read_sealed
from pellucid.storage.regular import read_regular

FORMAT, VERSION = "pellucid-onnx", 2
FOLDER, RECORD, DETECTOR = "onnx", "export.json", "detector.onnx"
_MOST_BYTES = 1 << 30


def open_session(content: bytes, *, threads: int = 1) -> Any:
    """An ONNX Runtime session of a file's content; nothing beside it is opened.

    Args:
        content: Of an ONNX file.
        threads: That compute.

    Raises:
        MissingExtraError: If onnxruntime is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError(
            "--runtime onnx needs onnxruntime. Run: pip install 'pellucid[onnx]'"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


class ExportedDetector:
    """The file detector.onnx of a run, checked to be the one that was exported from the run's model.

    Attributes:
        digest: sha256 of the file, in hexadecimal.

    Args:
        model: The run's model.
        run: Its folder; the export lies in `onnx`.

    Raises:
        RunError: If there is none, it is damaged, or it was exported from another model.
        MissingExtraError: If onnxruntime is not installed.
    """

    def __init__(self, model: Model, run: Path) -> None:
        folder = inside(run, FOLDER)
        record, file = folder / RECORD, folder / DETECTOR
        if not record.exists():
            raise RunError(f"{record}: there is no export yet. Make one: pellucid export {run}.")
        content = read_sealed(record)
        if (content.get("format"), content.get("version")) != (FORMAT, VERSION):
            raise RunError(
                f"{record}: expected {FORMAT} of version {VERSION}. Export again, or update Pellucid."
            )
        if content.get("model") != model.fingerprint:
            raise RunError(
                f"{record}: exported from other weights or another preprocessing than the run's. "
                "Export it again."
            )
        files = content.get("files")
        digest = files.get(DETECTOR) if isinstance(files, dict) else None
        if digest is None:
            raise RunError(
                f"{record}: exported before there was a detector. Fit one (pellucid detector {run}), "
                "then export again."
            )
        self.digest = str(digest)
        self._session = open_session(_read(file, digest, record))

    def values(
        self, pixels: UInt8[np.ndarray, "image height width channel"]
    ) -> Float64[np.ndarray, "image column"]:
        """Losses, texture and posterior means, the columns of `pellucid.anomaly.features`.

        Args:
            pixels: As the model's preprocessing gives them.
        """
        wanted = ["losses", "texture", "posterior_mean"]
        losses, busy, mean = self._session.run(wanted, {"pixels": pixels})
        return np.concatenate([losses.astype(np.float64), busy, mean.astype(np.float64)], axis=1)


def _read(file: Path, digest: object, record: Path) -> bytes:
    try:
        content = read_regular(file, max_bytes=_MOST_BYTES)
    except OSError as error:
        raise RunError(f"{file}: cannot be read ({error.strerror or error}). Export it again.") from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise RunError(f"{file}: its checksum is not the one in {record.name}. Export it again.")
    return content
