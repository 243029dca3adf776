"""Warn of images that are not like those a model knows: comparisons by its latents mean little there."""

from collections.abc import Sequence

from pellucid.anomaly.detector import Detector
from pellucid.model.predictor import Images

_NAMED = 3  # images, of which more are only counted


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
    which = " and ".join(found) if len(found) <= _NAMED else f"{len(found):,} of {len(names):,} images"
    return (f"the run's detector takes {which} for anomalous, so the comparison means little",)
