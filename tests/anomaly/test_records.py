"""Records of detectors that somebody has changed are refused with one kind of error."""

import copy
import json
import math
import random
from typing import Any

import numpy as np
import pytest

from pellucid.anomaly.gaussian import GaussianDetector
from pellucid.anomaly.logistic import LogisticDetector
from pellucid.errors import RunError

pytestmark = pytest.mark.usefixtures("as_installed")

ROWS = np.random.default_rng(0).normal(size=(60, 3))
LABELS = np.repeat([1, -1], 30)
FITTED = (
    LogisticDetector(class_weight={-1: 0.5, 1: 2.0}).fit(ROWS, LABELS),
    GaussianDetector(threshold="false-alarm=0.2").fit(ROWS, groups=np.arange(60) // 2),
)
STRANGE = (
    None,
    True,
    0,
    -1,
    10**400,
    0.0,
    -1.5,
    1e-200,
    1e200,
    math.nan,
    math.inf,
    "",
    "x" * 500,
    "even",
    "1.5",
    [],
    [1.0],
    [0.0, 0.0, 0.0],
    [1e-200, 1.0, 1.0],
    [math.nan, 0.0, 0.0],
    [3.0, 2.0, 1.0],
    [[1.0], [1.0], [1.0]],
    ["a", "b", "c"],
    {},
    {"C": 1.0},
)


def read(kind: Any, record: Any) -> tuple[Any, str]:
    """The detector, or None and why it is refused."""
    try:
        return kind.from_record(record), ""
    except RunError as error:
        return None, str(error)


@pytest.mark.parametrize("detector", FITTED, ids=lambda detector: type(detector).__name__)
def test_a_changed_record_is_refused_or_scores_with_finite_numbers(detector: Any) -> None:
    chance = random.Random(0)
    whole = detector.to_record()
    refused = 0
    for _ in range(4000):
        record = copy.deepcopy(whole)
        part = record["settings"] if chance.random() < 0.3 else record
        key = chance.choice(list(part))
        value = part[key]
        if isinstance(value, list) and chance.random() < 0.5:
            value[chance.randrange(len(value))] = chance.choice(STRANGE)
        elif chance.random() < 0.1:
            del part[key]
        else:
            part[key] = copy.deepcopy(chance.choice(STRANGE))
        loaded, reason = read(type(detector), record)
        if loaded is None:
            refused += 1
            assert reason.startswith("detector: ")
            assert len(reason) < 400
        else:
            assert np.isfinite(loaded.score_samples(ROWS)).all()
            assert np.isfinite(loaded.decision_function(ROWS)).all()
            assert set(loaded.predict(ROWS).tolist()) <= set(record.get("classes", [-1, 1]))
    assert refused > 2000


@pytest.mark.parametrize("record", [None, [], "x", 1.5, {}, {"kind": "logistic"}])
@pytest.mark.parametrize("kind", [LogisticDetector, GaussianDetector])
def test_what_is_no_record_is_refused(kind: Any, record: Any) -> None:
    with pytest.raises(RunError, match="exactly the keys"):
        kind.from_record(record)


def test_a_record_of_the_other_kind_is_refused() -> None:
    record = {**FITTED[0].to_record(), "kind": "gaussian"}
    with pytest.raises(RunError, match="kind: expected 'logistic', got 'gaussian'"):
        LogisticDetector.from_record(record)


def test_extra_keys_are_refused() -> None:
    with pytest.raises(RunError, match="exactly the keys"):
        GaussianDetector.from_record({**FITTED[1].to_record(), "more": 1})


@pytest.mark.parametrize(
    "labels", [[1, -1], [1, 1], [-1], [-1, 0, 1], [-1, True], ["a", "b" * 201], [[], []], [0, 10**30], None]
)
def test_labels_out_of_order_or_of_two_kinds_are_refused(labels: Any) -> None:
    with pytest.raises(RunError, match="classes: expected"):
        LogisticDetector.from_record({**FITTED[0].to_record(), "classes": labels})


def test_records_hold_json_types_alone() -> None:
    for detector in FITTED:
        assert json.loads(json.dumps(detector.to_record(), allow_nan=False)) == detector.to_record()
