"""Where a verdict begins: thresholds on a score, chosen by a rule with a name."""

import re
from fractions import Fraction
from math import ceil
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64

from pellucid.anomaly.calibration import MOST_PUT_ASIDE, CalibrationScores
from pellucid.errors import ConfigError, DataError

_ROUNDING = 1e-9  # of sums of weights: far below any weight
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
    """Read a rule: "even", "f1", "recall=0.95" or "false-alarm=0.01"; a share is above 0 and below 1.

    A recall of 1, or a false alarm rate of 0, is what no number of images can promise.

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
    if found and share is not None and 0 < share < 1:
        return Rule(found[1], share)
    raise ConfigError(f"threshold: expected {ALLOWED}, got {str(rule)[:60]!r}. Choose one of them.")


def purpose(rule: str) -> str:
    """What a rule chooses the threshold for, in plain words.

    Raises:
        ConfigError: As `parse`.
    """
    name, share = parse(rule)
    if share is None:
        return "at even odds" if name == "even" else "for the best F1"
    percent = f"{100 * float(share):g} %"
    if name == "recall":
        return f"so that at least {percent} of anomalies are found"
    return f"so that at most {percent} of normal images are"


def groups_needed(rule: str) -> int:
    """How many calibration groups a rule's promise needs, of the class that it is about; 1 without a promise.

    False alarms of 1 % need 99 groups of normal images, and a recall of 95 % needs 19 of anomalous ones: the
    new image may rank anywhere among them, so with fewer its rank tells nothing so rare.
    """
    name, share = parse(rule)
    if share is None:
        return 1
    return ceil(1 / (share if name == "false-alarm" else 1 - share)) - 1


def choose(
    rule: str, normal: CalibrationScores, anomalous: CalibrationScores | None, kept: float | None = None
) -> float:
    """The threshold that a rule asks for; an image whose score is below it is anomalous.

    "f1" finds anomalies with the best F1 among these scores, each image counting as one; of equally good
    ways, the one that flags least.

    "recall=0.95" finds an anomaly of a new group with probability 0.95 at least, and has the fewest false
    alarms of all thresholds that promise it.

    "false-alarm=0.01" flags a normal image of a new group with probability 0.01 at most, and finds the most
    anomalies of all thresholds that promise it. Flagged is exactly what has a conformal p-value of at most
    0.01.

    Both promises are those of conformal prediction with groups (see `CalibrationScores`): they count this
    choice of a threshold in, and hold for scores of images that the detector was not fitted on, if new
    groups are like these. They need enough groups (see `groups_needed`).

    Args:
        rule: As for `parse`; not "even", which is a matter of probabilities rather than of scores.
        normal: Of normal images, finite, at least one.
        anomalous: Of anomalous images, finite; None if there are none.
        kept: The share of all images that are kept for calibration, for an error to say how many are needed.

    Raises:
        ConfigError: If the rule is not one of them, or needs anomalous images and there are none.
        DataError: If there is no normal score, a score is not finite, or there are too few groups for the
            promise.
    """
    name, share = parse(rule)
    if name == "even":
        raise ConfigError(
            'threshold: "even" needs calibrated probabilities, which a detector fitted on normal images '
            'alone does not have. Choose "false-alarm=0.05".'
        )
    if name != "false-alarm" and (anomalous is None or not len(anomalous.scores)):
        raise ConfigError(
            f'threshold: "{rule}" needs anomalous images, got none. Choose "false-alarm=0.05", or add some.'
        )
    if not len(normal.scores):
        raise DataError("threshold: expected scores of normal images, got none. Add normal images.")
    found = CalibrationScores.of(np.empty(0)) if anomalous is None else anomalous
    if not (np.isfinite(normal.scores).all() and np.isfinite(found.scores).all()):
        raise DataError("threshold: expected finite scores. Leave out the images that could not be read.")
    if share is None:
        return _best_f1(normal.scores, found.scores)
    promised = normal if name == "false-alarm" else found
    if promised.groups < groups_needed(rule):
        raise DataError(_too_few(name, rule, promised, kept))
    if name == "false-alarm":
        return _false_alarm(share, normal)
    return _recall(share, normal.scores, found)


def _too_few(name: str, rule: str, promised: CalibrationScores, kept: float | None) -> str:
    kind = "normal" if name == "false-alarm" else "anomalous"
    unit = f"groups of {kind} images" if promised.groups < len(promised.scores) else f"{kind} images"
    needed = groups_needed(rule)
    floor = Fraction(ceil(Fraction(1000, promised.groups + 1)), 1000)
    reachable = float(floor if name == "false-alarm" else 1 - floor)
    more = "Give more" if kept is None else f"Give {ceil(needed / kept):,} in all"
    instead = f'{more}, or choose "{name}={reachable:g}"' if 0 < reachable < 1 else more
    if needed > MOST_PUT_ASIDE:
        instead = f'No more than {MOST_PUT_ASIDE:,} are ever used for it. Choose "{name}={reachable:g}"'
    return (
        f'threshold: "{rule}" needs {needed:,} {unit} for calibration, has {promised.groups:,}'
        f"{'' if kept is None else f' ({kept:.0%} of all)'}. {instead}."
    )


def _false_alarm(share: Fraction, normal: CalibrationScores) -> float:
    """The lowest score whose p-value exceeds the share: an image below it has a p-value of at most that."""
    limit = float(share * (normal.groups + 1) - 1)
    rank = int(np.searchsorted(normal.below[1:], limit + _ROUNDING, side="right"))
    return float(normal.scores[min(rank, len(normal.scores) - 1)])


def _recall(share: Fraction, normal: Float64[np.ndarray, " score"], anomalous: CalibrationScores) -> float:
    """Just above the highest anomalous score from which on more groups lie than may be missed."""
    limit = float((1 - share) * (anomalous.groups + 1) - 1)
    above = np.cumsum(anomalous.weights[::-1])
    rank = int(np.searchsorted(above, limit + _ROUNDING, side="right"))
    last = float(anomalous.scores[::-1][min(rank, len(above) - 1)])
    return _just_above(last, np.concatenate([normal, anomalous.scores]))


def _best_f1(normal: Float64[np.ndarray, " score1"], anomalous: Float64[np.ndarray, " score2"]) -> float:
    """Just above the score up to which flagging everything has the best F1."""
    last = np.unique(anomalous)  # to end with a normal image would add false alarms alone
    found = np.searchsorted(anomalous, last, side="right")
    alarms = np.searchsorted(normal, last, side="right")
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
