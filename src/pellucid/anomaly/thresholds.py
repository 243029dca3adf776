"""Where a verdict begins: thresholds on a score, chosen by a rule with a name."""

import re
from fractions import Fraction
from math import ceil, floor
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64

from pellucid.errors import ConfigError, DataError

ALLOWED = '"even", "f1", "recall=0.95" or "false-alarm=0.01"'


class Rule(NamedTuple):
    """A rule that has been read.

    Attributes:
        name: "even", "f1", "recall" or "false-alarm".
        share: What stands behind "recall=" or "false-alarm=", exactly; None for the others.
    """

    name: str
    share: Fraction | None = None


def parse(rule: Any) -> Rule:
    """Read a rule: "even", "f1", "recall=0.95" (above 0, up to 1) or "false-alarm=0.01" (from 0, below 1).

    Raises:
        ConfigError: If it is none of them.
    """
    if isinstance(rule, str) and rule in ("even", "f1"):
        return Rule(rule)
    # exact fractions: as a float, 0.29 of 100 is less than 29
    found = (
        re.fullmatch(r"(recall|false-alarm)=([01]|[01]?\.[0-9]{1,9})", rule)
        if isinstance(rule, str)
        else None
    )
    share = Fraction(found[2]) if found else None
    if found and share is not None and (0 < share <= 1 if found[1] == "recall" else 0 <= share < 1):
        return Rule(found[1], share)
    raise ConfigError(f"threshold: expected {ALLOWED}, got {str(rule)[:60]!r}. Choose one of them.")


def choose(
    rule: str, normal: Float64[np.ndarray, " score1"], anomalous: Float64[np.ndarray, " score2"] | None
) -> float:
    """The threshold that a rule asks for; an image whose score is below it is anomalous.

    "f1" finds anomalies with the best F1 among these scores; of equally good ways, the one that flags least.

    "recall=0.95" finds a new anomaly with probability 0.95 at least, and has the fewest false alarms of all
    thresholds that promise it; of these scores, too, at least 95 % are found.

    "false-alarm=0.01" flags a new normal image with probability 0.01 at most, and finds the most anomalies
    of all thresholds that promise it; of these scores, too, at most 1 % are flagged. Flagged is exactly what
    has a conformal p-value of at most 0.01, if there are images enough for so small a one.

    Both promises are those of split-conformal prediction (Vovk et al. 2005, Algorithmic Learning in a Random
    World, ch. 4): they count this choice of a threshold in, and hold for scores of images that the detector
    was not fitted on, if new images are like them. Nothing promises a share finer than 1 / (images + 1):
    with fewer images than that, all of these anomalies are found, or none of these normal images is flagged.

    Args:
        rule: As for `parse`; not "even", which is a matter of probabilities rather than of scores.
        normal: Of normal images, finite, at least one.
        anomalous: Of anomalous images, finite; None if there are none.

    Raises:
        ConfigError: If the rule is not one of them, or needs anomalous images and there are none.
        DataError: If there is no normal score, or a score is not finite.
    """
    name, share = parse(rule)
    if name == "even":
        raise ConfigError(
            'threshold: "even" needs calibrated probabilities, which a detector fitted on normal images '
            'alone does not have. Choose "false-alarm=0.05".'
        )
    if name != "false-alarm" and (anomalous is None or not len(anomalous)):
        raise ConfigError(
            f'threshold: "{rule}" needs anomalous images, got none. Choose "false-alarm=0.05", or add some.'
        )
    if not len(normal):
        raise DataError("threshold: expected scores of normal images, got none. Add normal images.")
    found = np.empty(0) if anomalous is None else anomalous
    if not (np.isfinite(normal).all() and np.isfinite(found).all()):
        raise DataError("threshold: expected finite scores. Leave out the images that could not be read.")
    if name == "f1":
        return _best_f1(normal, found)
    assert share is not None
    return _false_alarm(share, normal) if name == "false-alarm" else _recall(share, normal, found)


def _false_alarm(share: Fraction, normal: Float64[np.ndarray, " score"]) -> float:
    """The k-th least normal score, k = floor(share (images + 1)): a new one is below it at most so often."""
    rank = max(1, floor(share * (len(normal) + 1)))
    return float(np.partition(normal, rank - 1)[rank - 1])


def _recall(
    share: Fraction, normal: Float64[np.ndarray, " score1"], anomalous: Float64[np.ndarray, " score2"]
) -> float:
    """Just above the k-th least anomalous score, k = ceil(share (images + 1)), and below the next of all."""
    rank = min(len(anomalous), ceil(share * (len(anomalous) + 1)))
    last = float(np.partition(anomalous, rank - 1)[rank - 1])
    return _just_above(last, np.concatenate([normal, anomalous]))


def _best_f1(normal: Float64[np.ndarray, " score1"], anomalous: Float64[np.ndarray, " score2"]) -> float:
    """Just above the score up to which flagging everything has the best F1."""
    last = np.unique(anomalous)  # to end with a normal image would add false alarms alone
    found = np.searchsorted(np.sort(anomalous), last, side="right")
    alarms = np.searchsorted(np.sort(normal), last, side="right")
    f1 = 2 * found / (found + alarms + len(anomalous))
    return _just_above(float(last[f1.argmax()]), np.concatenate([normal, anomalous]))


def _just_above(score: float, scores: Float64[np.ndarray, " score"]) -> float:
    """Half-way from `score` to the next larger one, so that rounding changes no verdict."""
    larger = scores[scores > score]
    if not len(larger):
        return float(np.nextafter(score, np.inf))
    following = float(larger.min())
    middle = score / 2 + following / 2
    return middle if middle > score else following
