"""The fingerprint of a run: one sha256 over everything in its folder that changes a result."""

import hashlib
import json
from pathlib import Path

from pellucid.errors import RunError
from pellucid.latents.names import LATENTS
from pellucid.latents.typical import TYPICAL
from pellucid.model.directory import DETECTOR, SAME
from pellucid.model.predictor import Model
from pellucid.model.sealed import MAX_BYTES
from pellucid.storage.regular import read_regular

_FILES = (DETECTOR, LATENTS, SAME, TYPICAL)
"""Arrays beside these need no reading: the JSON file holds their digest, which is checked on use."""


def run_fingerprint(model: Model) -> str:
    """Compute the fingerprint of a model's run, which changes with anything that changes a result.

    Covers the model (weights, architecture, preprocessing), the latents' names, nuisance marks and
    measurements, the detector, what is known of sameness, and the typical losses. Reports, figures,
    logs and checkpoints are not part of it.

    Args:
        model: Loaded from a run; of a model without a run, only the model counts.

    Returns:
        64 hexadecimal digits.

    Raises:
        RunError: If one of these files cannot be read.

    Example::

        model = pellucid.load("runs/mine")
        assert pellucid.run_fingerprint(model) == noted_when_the_run_was_approved
    """
    parts = [model.fingerprint, *(_digest(model.directory, name) for name in _FILES)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _digest(run: Path | None, name: str) -> str | None:
    if run is None:
        return None
    path = run / name
    try:
        return hashlib.sha256(read_regular(path, max_bytes=MAX_BYTES)).hexdigest()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.strerror or error}).") from error
