"""Warn of images that are not like those a model knows: comparisons by its latents mean little there."""

from collections.abc import Sequence
from pathlib import Path

from pellucid.anomaly.detector import Detector
from pellucid.anomaly.storage import load_detector
from pellucid.latents.names import LatentTable
from pellucid.model.directory import DETECTOR
from pellucid.model.predictor import Images, Model


def strangers(detector: Detector | None, images: Images, names: Sequence[str]) -> tuple[str, ...]:
    """Say which images a detector takes for anomalous; empty where it takes none, or there is no detector.

    Args:
        detector: The run's.
        images: As many as names.
        names: What to call each.
    """
    if detector is None:
        return ()
    verdicts = detector.judge(images)
    found = [name for name, one in zip(names, verdicts, strict=True) if one.verdict == "anomalous"]
    if not found:
        return ()
    which = " and ".join(found)
    return (f"the run's detector takes {which} for anomalous, so the comparison means little",)


def detector_of(model: Model, table: LatentTable) -> Detector | None:
    """Read the detector of a model's run; None where there is none.

    Raises:
        RunError: If it is damaged, or was fitted to other weights.
    """
    run = model.directory
    if run is None or not (Path(run) / DETECTOR).exists():
        return None
    return load_detector(model, run, table=table)
