"""Pellucid makes images explainable: autoencoders whose latents a person can name.

Names are loaded when first used, so that `import pellucid` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "Architecture": "pellucid.model.architecture",
    "Dataset": "pellucid.data.dataset",
    "Detector": "pellucid.anomaly.detector",
    "LOSSES": "pellucid.objective.reconstruction",
    "Model": "pellucid.model.predictor",
    "Objective": "pellucid.objective.objectives",
    "PellucidError": "pellucid.errors",
    "Posterior": "pellucid.model.posterior",
    "Preprocessing": "pellucid.data.images",
    "TrainingConfig": "pellucid.training.config",
    "compare": "pellucid.comparison.compare",
    "load": "pellucid.model.predictor",
    "load_detector": "pellucid.anomaly.storage",
    "open_dataset": "pellucid.data.store",
    "pretrained": "pellucid.model.pretrained",
    "read_latents": "pellucid.latents.names",
    "reconstruction_losses": "pellucid.objective.reconstruction",
    "run_fingerprint": "pellucid.runtime.fingerprint",
    "save_detector": "pellucid.anomaly.storage",
    "show": "pellucid.report.displays",
    "train": "pellucid.training.loop",
}

__all__ = [
    "LOSSES",
    "Architecture",
    "Dataset",
    "Detector",
    "Model",
    "Objective",
    "PellucidError",
    "Posterior",
    "Preprocessing",
    "TrainingConfig",
    "compare",
    "load",
    "load_detector",
    "open_dataset",
    "pretrained",
    "read_latents",
    "reconstruction_losses",
    "run_fingerprint",
    "save_detector",
    "show",
    "train",
]

if TYPE_CHECKING:
    from pellucid.anomaly.detector import Detector
    from pellucid.anomaly.storage import load_detector, save_detector
    from pellucid.comparison.compare import compare
    from pellucid.data.dataset import Dataset
    from pellucid.data.images import Preprocessing
    from pellucid.data.store import open_dataset
    from pellucid.errors import PellucidError
    from pellucid.latents.names import read_latents
    from pellucid.model.architecture import Architecture
    from pellucid.model.posterior import Posterior
    from pellucid.model.predictor import Model, load
    from pellucid.model.pretrained import pretrained
    from pellucid.objective.objectives import Objective
    from pellucid.objective.reconstruction import LOSSES, reconstruction_losses
    from pellucid.report.displays import show
    from pellucid.runtime.fingerprint import run_fingerprint
    from pellucid.training.config import TrainingConfig
    from pellucid.training.loop import train


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'pellucid' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
