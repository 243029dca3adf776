"""A fitted detector as JSON, read with suspicion, since a run may come from anyone."""

from collections.abc import Collection, Mapping
from math import isfinite
from typing import Any

import numpy as np
from jaxtyping import Float64

from pellucid.anomaly.calibration import MOST_PUT_ASIDE, CalibrationScores
from pellucid.errors import RunError

CALIBRATION_KEYS = ("calibration_scores", "calibration_weights")
LARGEST = 1e100  # of any number, so that products of a few of them are finite
SMALLEST_SCALE = 1e-100


def check_keys(record: Any, expected: Collection[str], what: str) -> None:
    """Refuse what is not an object with exactly these keys.

    Raises:
        RunError: If it is not.
    """
    if not isinstance(record, Mapping) or set(record) != set(expected):
        raise malformed(f"expected {what} with exactly the keys {', '.join(sorted(expected))}")


def number(record: Mapping[str, Any], key: str, *, above: float = -np.inf) -> float:
    """The finite number under a key.

    Raises:
        RunError: If it is not one, or not above `above`.
    """
    value = record[key]
    if type(value) is not float or not _usable(value) or value <= above:
        raise malformed(f"{key}: expected a finite number" + (f" above {above:g}" if above > -np.inf else ""))
    return value


def numbers(
    record: Mapping[str, Any], key: str, *, count: int | None = None, most: int = 0
) -> Float64[np.ndarray, " number"]:
    """The list of finite numbers under a key.

    Args:
        record: Has the key.
        key: Which.
        count: How many it must have; from 1 to `most` if not given.
        most: Not checked if there is a count.

    Raises:
        RunError: If it is not such a list.
    """
    values = record[key]
    size = len(values) if isinstance(values, list) else -1
    wanted = f"1 to {most}" if count is None else str(count)
    if not (1 <= size <= most if count is None else size == count):
        raise malformed(f"{key}: expected a list of {wanted} numbers")
    if not all(type(value) is float and _usable(value) for value in values):
        raise malformed(f"{key}: expected finite numbers only")
    return np.array(values, np.float64)


def scales(record: Mapping[str, Any], key: str, *, count: int) -> Float64[np.ndarray, " number"]:
    """The list of positive numbers under a key, which others are divided by.

    Raises:
        RunError: If it is not such a list.
    """
    values = numbers(record, key, count=count)
    if (values < SMALLEST_SCALE).any():
        raise malformed(f"{key}: expected numbers of at least {SMALLEST_SCALE:g}")
    return values


def calibration_record(calibrated: CalibrationScores) -> dict[str, list[float]]:
    """What `calibration_scores` reads."""
    return {
        "calibration_scores": calibrated.scores.tolist(),
        "calibration_weights": calibrated.weights.tolist(),
    }


def calibration_scores(record: Mapping[str, Any]) -> CalibrationScores:
    """The scores of a detector's calibration images, with the weight of each.

    Raises:
        RunError: If they are not such: ascending, and for each a weight above 0 and up to 1.
    """
    scores = numbers(record, "calibration_scores", most=MOST_PUT_ASIDE)
    if (np.diff(scores) < 0).any():
        raise malformed("calibration_scores: expected ascending numbers")
    weights = numbers(record, "calibration_weights", count=len(scores))
    if not ((weights > 0) & (weights <= 1)).all() or weights.sum() < 0.5:
        raise malformed("calibration_weights: expected numbers above 0 and up to 1 that sum to 1 or more")
    return CalibrationScores(scores, weights)


def seed(record: Mapping[str, Any], key: str) -> int | None:
    """The whole number from 0 to 2^32 - 1 under a key, or None.

    Raises:
        RunError: If it is neither.
    """
    value = record[key]
    if value is not None and not (type(value) is int and 0 <= value < 2**32):
        raise malformed(f"{key}: expected a whole number or null")
    return value


def text(record: Mapping[str, Any], key: str) -> str:
    """The text under a key.

    Raises:
        RunError: If it is not one.
    """
    value = record[key]
    if not isinstance(value, str):
        raise malformed(f"{key}: expected a text")
    return value


def malformed(reason: str) -> RunError:
    """The error to raise for a record of which something is wrong."""
    return RunError(f"detector: {reason}. Restore it from a copy, or fit the detector again.")


def _usable(value: float) -> bool:
    return isfinite(value) and abs(value) <= LARGEST
