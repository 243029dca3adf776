"""A run with what was exported from it, for tests of the export."""

from dataclasses import dataclass
from pathlib import Path

from pellucid.anomaly.detector import Detector
from pellucid.model.predictor import Model
from pellucid.runtime.export import Exported


@dataclass(frozen=True)
class Case:
    """A run with what was exported from it."""

    run: Path
    model: Model
    detector: Detector
    exported: Exported
